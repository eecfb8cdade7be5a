//! The system's clock, randomness and configuration files.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use gss_core::error::{Error, Major};
use krb5::formats::conf::{Profile, Source};
use krb5::formats::settings::Settings;
use wire::random::Random;
use wire::time::{Clock, Timestamp};

/// The system's clock.
pub(crate) struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let micros = |duration: std::time::Duration| i64::try_from(duration.as_micros());
        let now = match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since) => micros(since),
            Err(before) => micros(before.duration()).map(|micros| -micros),
        };
        now.map_or(Timestamp::MAX, Timestamp::from_micros)
    }
}

/// The kernel's randomness, asked for each time, so that no process inherits another's.
pub(crate) struct SystemRandom;

impl Random for SystemRandom {
    fn fill(&self, out: &mut [u8]) {
        // `Random` promises bytes or no return: code above makes keys of them.
        getrandom::fill(out).expect("the kernel gives random bytes");
    }
}

/// What the files at `paths` say.
pub(crate) fn settings(paths: &[PathBuf]) -> Result<Settings, Error> {
    let names = paths.iter().map(|path| {
        let name = path.to_str();
        name.ok_or_else(|| Error::new(Major::Failure, NotText(path.clone())))
    });
    let names = names.collect::<Result<Vec<&str>, Error>>()?;
    let profile = Profile::load(names, &Files);
    let settings = profile.and_then(|profile| Settings::read(&profile));
    settings.map_err(|error| Error::new(Major::Failure, error))
}

/// The name of a file that cannot be read, and is not passed over either.
#[derive(Debug, thiserror::Error)]
#[error("{0:?}: the name of a configuration file must be UTF-8")]
struct NotText(PathBuf);

struct Files;

impl Source for Files {
    fn file(&self, path: &str) -> Result<Vec<u8>, ErrorKind> {
        fs::read(path).map_err(|error| error.kind())
    }

    fn directory(&self, path: &str) -> Result<Vec<String>, ErrorKind> {
        let names = fs::read_dir(path).and_then(|entries| {
            entries
                .map(|entry| Ok(entry?.file_name().into_string().ok()))
                .filter_map(Result::transpose)
                .collect::<io::Result<Vec<String>>>()
        });
        names.map_err(|error| error.kind())
    }
}
