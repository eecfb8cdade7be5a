//! Looks for keys in a process's memory.

use std::fs::{self, File};
use std::io::BufRead;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

use baton::Token;
use gss_core::mechanism::Restore;
use gss_core::oid::Oid;
use gss_transfer::identity::Identity;
use gss_transfer::import::Importer;
use once::{FileOptions, OnceStore};
use wire::fields::FieldReader;

/// A key, not as it is, so that a test that looks for it does not find itself.
pub struct Pattern(Vec<u8>);

const MASK: u8 = 0xa5;

impl Pattern {
    pub fn of(key: &[u8]) -> Self {
        assert!(key.len() >= 16);
        Self(key.iter().map(|byte| byte ^ MASK).collect())
    }

    /// How often either half of the key stands in `bytes`.
    pub fn count(&self, bytes: &[u8]) -> usize {
        let halves = self.0.split_at(self.0.len() / 2);
        [halves.0, halves.1]
            .iter()
            .map(|half| occurrences(half, bytes))
            .sum()
    }
}

fn occurrences(masked: &[u8], bytes: &[u8]) -> usize {
    let is = |found: &[u8]| {
        found.len() >= masked.len() && found.iter().zip(masked).all(|(a, b)| a ^ MASK == *b)
    };
    let (mut rest, mut count) = (bytes, 0);
    // `skip_until` is the one search for a byte in std that is quick in a test build too.
    while let Ok(skipped) = rest.skip_until(masked[0] ^ MASK)
        && skipped > 0
    {
        let at = bytes.len() - rest.len() - 1;
        count += usize::from(is(&bytes[at..]));
    }
    count
}

/// Everything that the process can write to.
pub fn of_process(pid: u32) -> Vec<u8> {
    let memory = File::open(format!("/proc/{pid}/mem")).unwrap();
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let mut all = Vec::new();
    for map in maps.lines() {
        let mut words = map.split_ascii_whitespace();
        let (range, rights) = (words.next().unwrap(), words.next().unwrap());
        if !rights.contains('w') {
            continue;
        }
        let (start, end) = range.split_once('-').unwrap();
        let number = |text| u64::from_str_radix(text, 16).unwrap();
        let (start, end) = (number(start), number(end));
        let mut map = vec![0; (end - start) as usize];
        let mut read = 0;
        // What cannot be read is the kernel's, and holds nothing of ours.
        while let Ok(more @ 1..) = memory.read_at(&mut map[read..], start + read as u64) {
            read += more;
        }
        all.extend_from_slice(&map[..read]);
    }
    assert!(all.len() > 100_000, "memory could be read");
    all
}

/// The state in an exported context, read as an importer would, without taking it.
pub fn open_state(directory: &Path, token: &Token) -> Vec<u8> {
    struct Spy(std::sync::Mutex<Vec<u8>>);
    impl Restore for Spy {
        fn oid(&self) -> Oid {
            Oid::KRB5
        }
        fn restore(
            &self,
            state: &[u8],
        ) -> Result<Box<dyn gss_core::mechanism::Dormant>, gss_core::error::Error> {
            *self.0.lock().unwrap() = state.to_vec();
            Err(gss_core::error::Error::new(
                gss_core::error::Major::Failure,
                "seen",
            ))
        }
    }
    let options = FileOptions {
        directory: Some(directory.to_owned()),
        ..FileOptions::default()
    };
    let store = OnceStore::file(&options, std::sync::Arc::new(super::now)).unwrap();
    let spy = Spy(std::sync::Mutex::default());
    let importer = Importer {
        store: &store,
        carrier: gss_transfer::Carrier::Store,
        identify: &|_| Identity {
            user: rustix::process::geteuid().as_raw(),
            user_namespace: Some(fs::metadata("/proc/self/ns/user").unwrap().ino()),
            ..Identity::default()
        },
        now: super::now(),
        mechanisms: &[&spy],
    };
    let error = importer.import(token.as_ref()).err().unwrap();
    assert!(matches!(error, gss_transfer::Error::Restore(_)), "{error}");
    let state = spy.0.lock().unwrap().clone();
    assert!(!state.is_empty());
    state
}

/// The state in a half-open token of an acceptor's, read as an importer would, without redeeming it.
pub fn open_half_open_state(keys: &gss_transfer::ServiceKeys, token: &Token) -> Vec<u8> {
    struct Spy(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);
    impl gss_core::mechanism::Resume for Spy {
        fn oid(&self) -> Oid {
            Oid::KRB5
        }
        fn resume(
            self: Box<Self>,
            state: &[u8],
        ) -> Result<Box<dyn gss_core::mechanism::DormantHandshake>, gss_core::error::Error>
        {
            *self.0.lock().unwrap() = state.to_vec();
            Err(gss_core::error::Error::new(
                gss_core::error::Major::Failure,
                "seen",
            ))
        }
    }
    let seen = std::sync::Arc::default();
    let importer = gss_transfer::half_open::HalfOpenImporter {
        keys,
        store: &OnceStore::memory(std::sync::Arc::new(super::now)),
        identify: &|_| Identity {
            user: rustix::process::geteuid().as_raw(),
            user_namespace: Some(fs::metadata("/proc/self/ns/user").unwrap().ino()),
            ..Identity::default()
        },
        accepting: true,
        channel: gss_transfer::half_open::Channel::of(None),
        now: super::now(),
    };
    let spy = Spy(std::sync::Arc::clone(&seen));
    let error = importer.import(token.as_ref(), vec![Box::new(spy)]).err();
    assert!(matches!(error, Some(gss_transfer::Error::Restore(_))));
    let state = seen.lock().unwrap().clone();
    assert!(!state.is_empty());
    state
}

/// The state of the context within that of a handshake of DCE style: its last field.
pub fn context_in(state: &[u8]) -> &[u8] {
    let mut fields = FieldReader::new(state, state[0]).unwrap();
    (0..=u8::MAX)
        .filter_map(|number| fields.optional(number).unwrap())
        .last()
        .unwrap()
}

/// The fields of a state that are keys: those that an enctype's number follows.
pub fn keys_in_state(state: &[u8]) -> Vec<Pattern> {
    let mut fields = FieldReader::new(state, state[0]).unwrap();
    let all: Vec<&[u8]> = (0..=u8::MAX)
        .filter_map(|number| fields.optional(number).unwrap())
        .collect();
    all.windows(2)
        .filter(|pair| [16, 32].contains(&pair[0].len()) && matches!(pair[1], [17..=20]))
        .map(|pair| Pattern::of(pair[0]))
        .collect()
}
