//! The file `.k5identity`, which is a user's (MIT's k5identity(5)).

use std::fs::OpenOptions;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::OFlags;

/// The longest file that is read.
const MAX_SIZE: u64 = 1 << 20;
/// Neither waits for the other end of a pipe nor takes a terminal for its own.
const FLAGS: i32 = OFlags::NONBLOCK.union(OFlags::NOCTTY).bits().cast_signed();

/// Why there is nothing in it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Problem {
    #[error("it cannot be read: {0}")]
    Io(#[from] io::Error),
    #[error("it is not a file")]
    NotAFile,
    #[error("it is longer than {MAX_SIZE} bytes")]
    TooLong,
}

/// All that is in the file at `path`.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, Problem> {
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(FLAGS)
        .open(path)?;
    // The open file's: what stands at the path may be another by now.
    if !file.metadata()?.is_file() {
        return Err(Problem::NotAFile);
    }
    let mut contents = Vec::new();
    // It may grow meanwhile.
    file.take(MAX_SIZE + 1).read_to_end(&mut contents)?;
    if contents.len() as u64 > MAX_SIZE {
        return Err(Problem::TooLong);
    }
    Ok(contents)
}
