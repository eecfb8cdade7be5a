//! Which directory the store's files lie in, and whether it can be trusted.

use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, OFlags, Stat, fstat, fstatfs, mkdirat};
use rustix::io::Errno;
use rustix::process::geteuid;

use crate::descriptor;
use crate::error::OpenError;
use crate::options::FileOptions;

const DIRECTORY_MODE: u32 = 0o700;

/// Where root may have made a directory for each user.
const MADE_BY_ROOT: &str = "/run/baton";
/// Where users make their own.
const MADE_BY_USER: &str = "/dev/shm";

/// File systems on which a map is not shared by all who can open it, or is served by another process.
const REFUSED: [(u64, &str); 19] = [
    (0x6969, "NFS"),
    (0x517B, "SMB"),
    (0xFF53_4D42, "CIFS"),
    (0xFE53_4D42, "SMB 2"),
    (0x6573_5546, "FUSE"),
    (0x0102_1997, "9P"),
    (0x00C3_6400, "Ceph"),
    (0x5346_414F, "AFS"),
    (0x6B41_4653, "kAFS"),
    (0x7375_7245, "Coda"),
    (0x564C, "NCP"),
    (0x0BD0_0BD0, "Lustre"),
    (0x4750_4653, "GPFS"),
    (0x0116_1970, "GFS2"),
    (0x7461_636F, "OCFS2"),
    (0x1983_0326, "BeeGFS"),
    (0xAAD7_AAEA, "PanFS"),
    (0x2003_0528, "OrangeFS"),
    (0x786F_4256, "VirtualBox shared folders"),
];

/// tmpfs and ramfs: what is erased there is gone.
const IN_MEMORY: [u64; 2] = [0x0102_1994, 0x8584_58F6];

/// A directory that passed its checks, open.
pub(crate) struct Directory {
    fd: OwnedFd,
    path: PathBuf,
    user: u32,
    keeps_what_is_erased: bool,
}

impl Directory {
    /// The directory that `options` name, made if need be, for the user that this process is now.
    pub(crate) fn open(options: &FileOptions) -> Result<Self, OpenError> {
        let user = geteuid().as_raw();
        let path = match &options.directory {
            // Without a trailing slash, which would have a link followed.
            Some(path) => path.components().collect(),
            None => default_path(Path::new(MADE_BY_ROOT), Path::new(MADE_BY_USER), user)?,
        };
        Self::open_at(path, user)
    }

    fn open_at(path: PathBuf, user: u32) -> Result<Self, OpenError> {
        match mkdirat(CWD, &path, Mode::from_raw_mode(DIRECTORY_MODE)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(system(&path, "make the directory", errno)),
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW;
        let fd = match descriptor::open(CWD, &path, flags, Mode::empty()) {
            Ok(fd) => fd,
            Err(Errno::LOOP | Errno::NOTDIR) => {
                return Err(OpenError::Kind {
                    path,
                    wanted: "directory",
                });
            }
            Err(errno) => return Err(owner_before(&path, user, errno)),
        };
        let stat = fstat(&fd).map_err(|errno| system(&path, "examine the directory", errno))?;
        check_owner(&path, &stat, user)?;
        check_mode(&path, &stat, DIRECTORY_MODE, 0o777)?;
        let file_system = fstatfs(&fd)
            .map_err(|errno| system(&path, "examine the file system", errno))?
            .f_type as u64;
        let keeps_what_is_erased = !check_file_system(&path, file_system)?;
        Ok(Self {
            fd,
            path,
            user,
            keeps_what_is_erased,
        })
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn user(&self) -> u32 {
        self.user
    }

    /// Whether it lies on a disk.
    pub(crate) fn keeps_what_is_erased(&self) -> bool {
        self.keeps_what_is_erased
    }
}

/// By effective uid alone, so that a daemon, its cron job and its shell agree. A candidate that exists is the one, sound or not.
fn default_path(by_root: &Path, by_user: &Path, user: u32) -> Result<PathBuf, OpenError> {
    let first = by_root.join(user.to_string());
    match fs::symlink_metadata(&first) {
        Ok(_) => Ok(first),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Ok(by_user.join(format!("baton-{user}")))
        }
        Err(source) => Err(OpenError::System {
            path: first,
            doing: "look for the directory",
            source,
        }),
    }
}

/// A directory of somebody else that cannot even be opened is still an error that names its owner.
fn owner_before(path: &Path, user: u32, errno: Errno) -> OpenError {
    let stat = rustix::fs::lstat(path).ok();
    let foreign = stat.and_then(|stat| check_owner(path, &stat, user).err());
    foreign.unwrap_or_else(|| system(path, "open the directory", errno))
}

/// True if it lies in memory.
fn check_file_system(path: &Path, magic: u64) -> Result<bool, OpenError> {
    // Sign-extended where the system's word is 32 bits wide.
    let magic = magic & 0xFFFF_FFFF;
    match REFUSED.iter().find(|(refused, _)| *refused == magic) {
        Some((_, name)) => Err(OpenError::FileSystem {
            path: path.into(),
            name,
        }),
        None => Ok(IN_MEMORY.contains(&magic)),
    }
}

pub(crate) fn check_owner(path: &Path, stat: &Stat, user: u32) -> Result<(), OpenError> {
    if stat.st_uid == user {
        return Ok(());
    }
    Err(OpenError::Owner {
        path: path.into(),
        owner: stat.st_uid,
        user,
    })
}

pub(crate) fn check_mode(
    path: &Path,
    stat: &Stat,
    wanted: u32,
    mask: u32,
) -> Result<(), OpenError> {
    let mode = stat.st_mode & mask;
    if mode == wanted {
        return Ok(());
    }
    Err(OpenError::Mode {
        path: path.into(),
        mode,
        wanted,
    })
}

pub(crate) fn check_regular(path: &Path, stat: &Stat) -> Result<(), OpenError> {
    if FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile {
        return Ok(());
    }
    Err(OpenError::Kind {
        path: path.into(),
        wanted: "regular file",
    })
}

pub(crate) fn system(path: &Path, doing: &'static str, errno: Errno) -> OpenError {
    OpenError::System {
        path: path.into(),
        doing,
        source: errno.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_root_made_comes_first_and_by_uid_alone() {
        let root = tempfile::tempdir().unwrap();
        let (run, shm) = (root.path().join("run"), root.path().join("shm"));
        assert_eq!(
            default_path(&run, &shm, 1000).unwrap(),
            shm.join("baton-1000")
        );
        fs::create_dir_all(run.join("1000")).unwrap();
        assert_eq!(default_path(&run, &shm, 1000).unwrap(), run.join("1000"));
        assert_eq!(
            default_path(&run, &shm, 1001).unwrap(),
            shm.join("baton-1001")
        );
    }

    #[test]
    fn an_unsound_candidate_is_not_passed_over() {
        let root = tempfile::tempdir().unwrap();
        let (run, shm) = (root.path().join("run"), root.path().join("shm"));
        fs::create_dir(&run).unwrap();
        std::os::unix::fs::symlink("/nonexistent", run.join("7")).unwrap();
        let chosen = default_path(&run, &shm, 7).unwrap();
        assert_eq!(chosen, run.join("7"));
        assert!(matches!(
            Directory::open_at(chosen, 7),
            Err(OpenError::Kind { .. })
        ));
        fs::write(root.path().join("file"), "").unwrap();
        assert!(matches!(
            default_path(&root.path().join("file"), &shm, 7),
            Err(OpenError::System { .. })
        ));
    }

    #[test]
    fn network_and_fuse_file_systems_are_refused_by_name() {
        let path = Path::new("/somewhere");
        for (magic, name) in REFUSED {
            match check_file_system(path, magic) {
                Err(OpenError::FileSystem { name: found, .. }) => assert_eq!(found, name),
                other => panic!("{name}: {other:?}"),
            }
        }
        assert!(check_file_system(path, 0xFFFF_FFFF_FF53_4D42).is_err());
        assert!(matches!(check_file_system(path, 0x0102_1994), Ok(true)));
        assert!(matches!(check_file_system(path, 0xEF53), Ok(false)));
    }
}
