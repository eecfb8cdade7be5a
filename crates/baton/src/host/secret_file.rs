//! Files that hold keys: read into memory that is wiped, locked as MIT's code locks them.

use std::fs::File;
use std::io::{self, Read};
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, fcntl_lock};
use rustix::io::Errno;
use zeroize::Zeroizing;

/// The longest keytab or credential cache that is read.
const MAX_SIZE: u64 = 64 << 20;
/// How long another process may hold a lock.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// Everything in `file`, into a buffer that does not move while it is filled.
pub(crate) fn contents(mut file: &File) -> io::Result<Zeroizing<Vec<u8>>> {
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "not a regular file",
        ));
    }
    let size = match usize::try_from(metadata.len()) {
        Ok(size) if metadata.len() <= MAX_SIZE => size,
        _ => return Err(io::ErrorKind::FileTooLarge.into()),
    };
    let mut buffer = Zeroizing::new(vec![0; size]);
    let mut filled = 0;
    while filled < size {
        match file.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    buffer.truncate(filled);
    Ok(buffer)
}

/// How a file is locked.
#[derive(Clone, Copy)]
pub(super) enum Lock {
    /// Together with other readers.
    Shared,
    /// Alone.
    Exclusive,
}

/// Takes the lock that MIT's and Heimdal's code takes too (fcntl(2), the whole file); it ends when the file is closed.
///
/// Such a lock belongs to the process: it neither keeps its threads apart nor survives another descriptor of the same file
/// being closed. Callers hold a mutex meanwhile.
pub(super) fn lock(file: &File, lock: Lock) -> io::Result<()> {
    let operation = match lock {
        Lock::Shared => FlockOperation::NonBlockingLockShared,
        Lock::Exclusive => FlockOperation::NonBlockingLockExclusive,
    };
    let end = Instant::now() + PATIENCE;
    let mut pause = Duration::from_micros(50);
    loop {
        match fcntl_lock(file, operation) {
            Ok(()) => return Ok(()),
            Err(Errno::AGAIN | Errno::ACCESS) if Instant::now() < end => {
                std::thread::sleep(pause);
                pause = (pause * 2).min(Duration::from_millis(10));
            }
            Err(Errno::AGAIN | Errno::ACCESS) => {
                let text = "another process has held its lock for ten seconds";
                return Err(io::Error::new(io::ErrorKind::TimedOut, text));
            }
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}
