//! Descriptors that nobody takes for the standard ones.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;

use rustix::fs::{Mode, OFlags, openat};
use rustix::io::{Errno, fcntl_dupfd_cloexec};

/// The first number after standard input, output and error.
const FIRST: i32 = 3;

/// Opens a file of the store, by a number above the standard three.
///
/// A program that has closed those gets their numbers for the next files that are opened in it. What it or its C library then
/// writes to standard error would go into the store: a daemon under inetd does that.
pub(crate) fn open(
    directory: impl AsFd,
    name: impl AsRef<Path>,
    flags: OFlags,
    mode: Mode,
) -> Result<OwnedFd, Errno> {
    let fd = openat(directory, name.as_ref(), flags | OFlags::CLOEXEC, mode)?;
    from(fd, FIRST)
}

/// The same open file by a number of at least `first`.
fn from(fd: OwnedFd, first: i32) -> Result<OwnedFd, Errno> {
    if fd.as_raw_fd() >= first {
        return Ok(fd);
    }
    fcntl_dupfd_cloexec(&fd, first)
}

#[cfg(test)]
mod tests {
    use rustix::fs::{CWD, fstat};
    use rustix::io::{FdFlags, fcntl_getfd};

    use super::*;

    #[test]
    fn a_low_number_is_given_up_for_a_higher_one() {
        let opened = || openat(CWD, "/dev/null", OFlags::RDONLY, Mode::empty()).unwrap();
        let low = opened();
        let (number, file) = (low.as_raw_fd(), fstat(&low).unwrap());
        let high = from(low, number + 100).unwrap();
        assert!(high.as_raw_fd() >= number + 100);
        assert_eq!(fstat(&high).unwrap().st_rdev, file.st_rdev);
        assert_eq!(fcntl_getfd(&high), Ok(FdFlags::CLOEXEC));
        let kept = opened();
        let number = kept.as_raw_fd();
        assert_eq!(from(kept, number).unwrap().as_raw_fd(), number);
    }
}
