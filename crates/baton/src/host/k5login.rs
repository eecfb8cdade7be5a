//! `.k5login`: the principals that may log in as a user (MIT's .k5login(5)).

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use krb5::formats::settings::Settings;
use krb5::principal::Principal;
use rustix::fs::OFlags;

use super::accounts::Account;

/// The longest file that is read.
const MAX_SIZE: u64 = 1 << 20;
/// Bits of a file's mode: its group and others may write.
const WRITABLE: u32 = 0o022;
/// Does not wait for the other end of a pipe, and takes no terminal for its own: a user chooses what is there, and daemons open it.
const FLAGS: i32 = OFlags::NONBLOCK.union(OFlags::NOCTTY).bits().cast_signed();

/// What a user's file says of a principal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum K5login {
    /// There is none.
    Absent,
    /// The principal stands in it.
    Listed,
    /// The principal does not, or the file is not to be believed.
    Unlisted,
}

/// The file of `account`, which has none where it has no home: what is in the working directory is nobody's.
fn place(account: &Account, settings: &Settings) -> Option<PathBuf> {
    match &settings.k5login_directory {
        Some(directory) => Some(Path::new(directory).join(&account.name)),
        None => account
            .home
            .is_absolute()
            .then(|| account.home.join(".k5login")),
    }
}

/// What the file of `account` says of `principal`. A file that cannot be read or looked for, that is somebody else's (but root's), or that
/// others may write, lists nobody.
pub fn look_up(account: &Account, principal: &Principal, settings: &Settings) -> K5login {
    let Some(path) = place(account, settings) else {
        return K5login::Absent;
    };
    match read(&path, account.uid) {
        Ok(Some(contents)) => {
            let name = principal.to_bytes();
            match contents
                .split(|byte| *byte == b'\n')
                .any(|line| line == name)
            {
                true => K5login::Listed,
                false => K5login::Unlisted,
            }
        }
        Ok(None) => K5login::Absent,
        Err(problem) => {
            tracing::warn!(path = %path.display(), %problem, "a .k5login file lists nobody");
            K5login::Unlisted
        }
    }
}

/// Why a file is not believed.
#[derive(Debug, thiserror::Error)]
enum Problem {
    #[error("it cannot be read: {0}")]
    Io(#[from] io::Error),
    #[error("it is not a file")]
    NotAFile,
    #[error("it belongs to user {0}; it has to be the user's own or root's")]
    Owner(u32),
    #[error("its mode is {0:o}; nobody but its owner may write it")]
    Mode(u32),
    #[error("it is longer than {MAX_SIZE} bytes")]
    TooLong,
}

fn read(path: &Path, uid: u32) -> Result<Option<Vec<u8>>, Problem> {
    let mut options = OpenOptions::new();
    let file = match options.read(true).custom_flags(FLAGS).open(path) {
        Ok(file) => file,
        Err(error) if is_absence(&error) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    check(&file, uid)?;
    let mut contents = Vec::new();
    // It may grow meanwhile.
    file.take(MAX_SIZE + 1).read_to_end(&mut contents)?;
    if contents.len() as u64 > MAX_SIZE {
        return Err(Problem::TooLong);
    }
    Ok(Some(contents))
}

/// Nothing can be in a directory that is missing, nor in what is none, as the home `/dev/null` of a daemon's account.
fn is_absence(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

/// The open file's owner and mode: what stands at the path may be another by now.
fn check(file: &File, uid: u32) -> Result<(), Problem> {
    let found = file.metadata()?;
    if !found.is_file() {
        return Err(Problem::NotAFile);
    }
    if found.uid() != uid && found.uid() != 0 {
        return Err(Problem::Owner(found.uid()));
    }
    if found.mode() & WRITABLE != 0 {
        return Err(Problem::Mode(found.mode() & 0o7777));
    }
    Ok(())
}
