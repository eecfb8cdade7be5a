//! A table's file: found and checked, or made whole under a temporary name and linked in.

use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use rustix::fs::{
    AtFlags, Dir, FallocateFlags, Mode, OFlags, RenameFlags, Stat, fallocate, fchmod, fstat,
    renameat_with, statat, unlinkat,
};
use rustix::io::{Errno, pread, pwrite};
use rustix::process::{Resource, getrlimit};
use rustix::time::{ClockId, clock_gettime};

use crate::descriptor;
use crate::error::{OpenError, StoreError};
use crate::layout::{Header, Kind};
use crate::map::Map;
use crate::place::{Directory, check_mode, check_owner, check_regular, system};

const FILE_MODE: u32 = 0o600;
const TEMPORARY: &str = ".new-";
/// A maker that has not finished by now is dead, or will find its file gone and begin anew.
const TEMPORARY_LIFE: Duration = Duration::from_secs(60);
/// Others may make and remove the file while we try to.
const ATTEMPTS: usize = 16;

/// A mapped file and the name it must keep.
pub(crate) struct MappedFile {
    map: Map,
    fd: OwnedFd,
    name_confirmed: AtomicU64,
    directory: Arc<Directory>,
    name: String,
    device_and_inode: (u64, u64),
}

impl MappedFile {
    /// The file of `proposed`'s table, made from `proposed` if it is not there.
    pub(crate) fn open_or_create(
        directory: &Arc<Directory>,
        proposed: &Header,
    ) -> Result<(Self, Header), OpenError> {
        for _ in 0..ATTEMPTS {
            if let Some(opened) = Self::open(directory, proposed.kind)? {
                return Ok(opened);
            }
            create(directory, proposed)?;
        }
        let path = directory.path().join(proposed.kind.file_name());
        Err(system(
            &path,
            "open what others make and remove at the same time",
            Errno::AGAIN,
        ))
    }

    /// The file of this table, if there is one.
    pub(crate) fn open(
        directory: &Arc<Directory>,
        kind: Kind,
    ) -> Result<Option<(Self, Header)>, OpenError> {
        let name = kind.file_name();
        let path = directory.path().join(&name);
        let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
        let fd = match descriptor::open(directory.fd(), &name, flags, Mode::empty()) {
            Ok(fd) => fd,
            Err(Errno::NOENT) => return Ok(None),
            Err(Errno::LOOP | Errno::ISDIR | Errno::NXIO) => {
                return Err(OpenError::Kind {
                    path,
                    wanted: "regular file",
                });
            }
            Err(errno) => return Err(system(&path, "open it", errno)),
        };
        let stat = fstat(&fd).map_err(|errno| system(&path, "examine it", errno))?;
        if stat.st_nlink == 0 {
            return Ok(None);
        }
        check(&path, &stat, directory.user())?;
        let header = read_header(&fd, &path, &stat, kind)?;
        // Against a sparse copy: what is allocated stays as it is.
        allocate(&fd, &path, header.bytes())?;
        let map =
            Map::new(fd.as_fd(), header.total_words()).map_err(|source| OpenError::System {
                path,
                doing: "map it",
                source,
            })?;
        let file = Self {
            map,
            fd,
            name_confirmed: AtomicU64::new(0),
            directory: Arc::clone(directory),
            name,
            device_and_inode: identity(&stat),
        };
        Ok(Some((file, header)))
    }

    pub(crate) fn words(&self) -> Option<&[AtomicU64]> {
        self.map.words()
    }

    pub(crate) fn lock(&self) -> bool {
        self.map.lock()
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.directory.path().join(&self.name)
    }

    /// The name still leads to this file. Looked up from the directory that is open, so that it works after `chroot` too.
    pub(crate) fn confirm(&self) -> Result<(), StoreError> {
        match statat(
            self.directory.fd(),
            self.name.as_str(),
            AtFlags::SYMLINK_NOFOLLOW,
        ) {
            Ok(stat) if identity(&stat) == self.device_and_inode => Ok(()),
            _ => Err(StoreError::Unlinked { path: self.path() }),
        }
    }

    /// The file still has a name, and not long ago it was ours. Removing and replacing it is noticed at once; to find that it was
    /// moved costs three times as much, and is worth that only now and then.
    pub(crate) fn confirm_linked(&self) -> Result<(), StoreError> {
        if !fstat(&self.fd).is_ok_and(|stat| stat.st_nlink > 0) {
            return Err(StoreError::Unlinked { path: self.path() });
        }
        let time = clock_gettime(ClockId::MonotonicCoarse);
        let tenths = time.tv_sec as u64 * 10 + time.tv_nsec as u64 / 100_000_000;
        if self.name_confirmed.load(Ordering::Relaxed) != tenths {
            self.confirm()?;
            self.name_confirmed.store(tenths, Ordering::Relaxed);
        }
        Ok(())
    }
}

#[allow(clippy::useless_conversion, clippy::unnecessary_cast)] // their widths differ between architectures
fn identity(stat: &Stat) -> (u64, u64) {
    (stat.st_dev as u64, stat.st_ino as u64)
}

fn check(path: &Path, stat: &Stat, user: u32) -> Result<(), OpenError> {
    check_regular(path, stat)?;
    check_owner(path, stat, user)?;
    check_mode(path, stat, FILE_MODE, 0o7777)?;
    #[allow(clippy::useless_conversion, clippy::unnecessary_cast)]
    match stat.st_nlink as u64 {
        1 => Ok(()),
        links => Err(OpenError::Links {
            path: path.into(),
            links,
        }),
    }
}

fn read_header(fd: &OwnedFd, path: &Path, stat: &Stat, kind: Kind) -> Result<Header, OpenError> {
    const BYTES: usize = Header::fixed_words() * 8;
    let found = u64::try_from(stat.st_size).unwrap_or(0);
    let mut bytes = [0; BYTES];
    let read = pread(fd, &mut bytes, 0).map_err(|errno| system(path, "read its header", errno))?;
    if read < BYTES {
        return Err(OpenError::Size {
            path: path.into(),
            found,
            wanted: BYTES as u64,
        });
    }
    let mut words = [0; Header::fixed_words()];
    for (word, bytes) in words.iter_mut().zip(bytes.as_chunks::<8>().0) {
        *word = u64::from_ne_bytes(*bytes);
    }
    let header = Header::decode(&words, kind).map_err(|what| OpenError::Header {
        path: path.into(),
        what,
    })?;
    if found == header.bytes() {
        Ok(header)
    } else {
        Err(OpenError::Size {
            path: path.into(),
            found,
            wanted: header.bytes(),
        })
    }
}

/// Makes the file whole and links it in; no error if somebody else was first.
fn create(directory: &Directory, header: &Header) -> Result<(), OpenError> {
    let path = directory.path().join(header.kind.file_name());
    check_size_limit(&path, header.bytes())?;
    remove_leftovers(directory);
    let number = getrandom::u64().map_err(OpenError::Random)?;
    let temporary = format!("{TEMPORARY}{number:016x}");
    let made = fill(directory, &temporary, &path, header)
        .and_then(|()| link_in(directory, &temporary, header.kind, &path));
    if made.is_err() {
        let _ = unlinkat(directory.fd(), temporary.as_str(), AtFlags::empty());
    }
    made
}

/// Writing beyond the limit is answered by a signal that kills.
fn check_size_limit(path: &Path, needed: u64) -> Result<(), OpenError> {
    match getrlimit(Resource::Fsize).current {
        Some(limit) if limit < needed => Err(OpenError::FileSizeLimit {
            path: path.into(),
            needed,
            limit,
        }),
        _ => Ok(()),
    }
}

fn fill(
    directory: &Directory,
    temporary: &str,
    path: &Path,
    header: &Header,
) -> Result<(), OpenError> {
    let failed = |doing| move |errno| system(path, doing, errno);
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mode = Mode::from_raw_mode(FILE_MODE);
    let fd = descriptor::open(directory.fd(), temporary, flags, mode).map_err(failed("make it"))?;
    fchmod(&fd, mode).map_err(failed("set its mode"))?;
    allocate(&fd, path, header.bytes())?;
    let bytes: Vec<u8> = header
        .encode()
        .iter()
        .flat_map(|word| word.to_ne_bytes())
        .collect();
    match pwrite(&fd, &bytes, 0).map_err(failed("write its header"))? {
        written if written == bytes.len() => Ok(()),
        _ => Err(OpenError::NoSpace {
            path: path.into(),
            needed: header.bytes(),
        }),
    }
}

/// Space first: a map over a hole would be a deadly signal on a full disk.
fn allocate(fd: &OwnedFd, path: &Path, bytes: u64) -> Result<(), OpenError> {
    loop {
        return match fallocate(fd, FallocateFlags::empty(), 0, bytes) {
            Ok(()) => Ok(()),
            Err(Errno::INTR) => continue,
            Err(Errno::NOSPC | Errno::DQUOT | Errno::FBIG) => Err(OpenError::NoSpace {
                path: path.into(),
                needed: bytes,
            }),
            Err(errno) => Err(system(path, "allocate space for it", errno)),
        };
    }
}

/// Renamed without replacing rather than linked: the file has one name at every moment, and two is what [`check`] refuses.
fn link_in(
    directory: &Directory,
    temporary: &str,
    kind: Kind,
    path: &Path,
) -> Result<(), OpenError> {
    let (from, name) = (directory.fd(), kind.file_name());
    match renameat_with(from, temporary, from, name.as_str(), RenameFlags::NOREPLACE) {
        Ok(()) => Ok(()),
        Err(Errno::EXIST) => {
            let _ = unlinkat(from, temporary, AtFlags::empty());
            Ok(())
        }
        // This process was stopped, and somebody took it for dead.
        Err(Errno::NOENT) => Ok(()),
        Err(errno) => Err(system(path, "link it in", errno)),
    }
}

/// Removes what makers left that were killed. Whatever goes wrong here harms nobody.
fn remove_leftovers(directory: &Directory) {
    let Ok(entries) = Dir::read_from(directory.fd()) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        if name.to_bytes().starts_with(TEMPORARY.as_bytes())
            && is_leftover(directory.fd(), OsStr::from_bytes(name.to_bytes()))
        {
            let _ = unlinkat(directory.fd(), name, AtFlags::empty());
        }
    }
}

fn is_leftover(directory: BorrowedFd<'_>, name: &OsStr) -> bool {
    let Ok(stat) = statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) else {
        return false;
    };
    let made =
        SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(stat.st_mtime).unwrap_or(0));
    SystemTime::now()
        .duration_since(made)
        .is_ok_and(|age| age > TEMPORARY_LIFE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::{FileOptions, Limits};
    use wire::time::Timestamp;

    /// More than any tmpfs has: the kernel's own answer, without filling one.
    #[test]
    fn a_full_disk_is_an_error_and_leaves_nothing_behind() {
        let home = tempfile::tempdir_in("/dev/shm").unwrap();
        let options = FileOptions {
            directory: Some(home.path().join("store")),
            ..FileOptions::default()
        };
        let directory = Directory::open(&options).unwrap();
        for kind in [Kind::Marks { segment: 0 }, Kind::Deposits] {
            let header = Header::propose(kind, &Limits::default(), Timestamp::default()).unwrap();
            let header = Header {
                slots: 1 << 44,
                ..header
            };
            let refused = create(&directory, &header);
            assert!(
                matches!(refused, Err(OpenError::NoSpace { .. })),
                "{refused:?}"
            );
            assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
        }
    }
}
