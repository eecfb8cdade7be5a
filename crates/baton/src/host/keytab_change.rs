//! Changing a keytab file: under its lock, in one step, losing nothing.

use std::fs::{self, File, Metadata, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use krb5::formats::keytab::{Keytab, KeytabEntry, KeytabError};
use krb5::principal::Principal;
use krb5_crypto::{CryptoError, Enctype};
use rustix::fs::{CWD, Mode, OFlags, openat};
use wire::random::array;
use wire::time::Clock;

use super::secret_file::{Lock, contents, lock};
use crate::world::{SystemClock, SystemRandom};

/// Why a keytab file was not changed. It is as it was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeytabChangeError {
    /// There is no such file.
    #[error("there is no keytab {}", .0.display())]
    NotFound(PathBuf),
    /// The file system refused.
    #[error("cannot {doing} the keytab {}: {cause}", path.display())]
    Io {
        /// What.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        cause: io::Error,
    },
    /// What is there is no keytab, or what should be there does not fit into one.
    #[error("{}: {cause}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        cause: KeytabError,
    },
}

/// The locks of fcntl(2) do not keep threads apart.
static THREADS: Mutex<()> = Mutex::new(());

/// Changes the keytab at `path`, which is made, for its owner alone, if it is not there and `create` says so.
///
/// Whoever reads the file sees the keys before or the keys after. Its owner, group and mode stay, and so do entries whose enctypes
/// are unknown here. It is locked meanwhile as MIT's programs lock it. If `edit` fails, nothing is changed; it is called
/// again if another program made the file at the same moment.
pub fn change<E: From<KeytabChangeError>>(
    path: &Path,
    create: bool,
    mut edit: impl FnMut(&mut Keytab) -> Result<(), E>,
) -> Result<(), E> {
    let _one_thread = THREADS.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        // Where a link leads is where the keys are.
        let place = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let target = Target { path: &place };
        if let Some(file) = target.open()? {
            let mut keytab = target.read(&file)?;
            edit(&mut keytab)?;
            target.replace(&file, &keytab)?;
            return Ok(());
        }
        if !create {
            return Err(KeytabChangeError::NotFound(place).into());
        }
        let mut keytab = Keytab::default();
        edit(&mut keytab)?;
        if target.make(&keytab)? {
            return Ok(());
        }
    }
}

/// Entries for `principal` with the keys of its password, one for each of `enctypes`. The salt is the usual one, of realm and
/// name: a KDC that uses another has other keys.
pub fn entries_of_password(
    principal: &Principal,
    kvno: u32,
    password: &[u8],
    enctypes: &[&'static Enctype],
) -> Result<Vec<KeytabEntry>, CryptoError> {
    let salt = principal.salt();
    let key = |enctype: &&'static Enctype| enctype.string_to_key(password, &salt, None);
    let keys = enctypes.iter().map(key);
    keys.map(|key| Ok(entry(principal, kvno, key?))).collect()
}

/// Entries for `principal` with new random keys, one for each of `enctypes`. They are good for a realm that is told these keys.
pub fn entries_at_random(
    principal: &Principal,
    kvno: u32,
    enctypes: &[&'static Enctype],
) -> Vec<KeytabEntry> {
    let keys = enctypes
        .iter()
        .map(|enctype| enctype.random_key(&SystemRandom));
    keys.map(|key| entry(principal, kvno, key)).collect()
}

fn entry(principal: &Principal, kvno: u32, key: krb5_crypto::Key) -> KeytabEntry {
    KeytabEntry {
        principal: principal.clone(),
        timestamp: SystemClock.now(),
        kvno,
        key: Arc::new(key),
    }
}

struct Target<'a> {
    path: &'a Path,
}

impl Target<'_> {
    /// The file that is there once its lock is ours; none if there is none.
    fn open(&self) -> Result<Option<File>, KeytabChangeError> {
        // A pipe that somebody put there must not stop us.
        let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        loop {
            let file = match openat(CWD, self.path, flags, Mode::empty()) {
                Ok(file) => File::from(file),
                Err(rustix::io::Errno::NOENT) => return Ok(None),
                Err(error) => return Err(self.io("open", error.into())),
            };
            lock(&file, Lock::Exclusive).map_err(|cause| self.io("lock", cause))?;
            if self
                .is_still(&file)
                .map_err(|cause| self.io("open", cause))?
            {
                return Ok(Some(file));
            }
        }
    }

    /// Another program may have put a new file there while we waited for the lock.
    fn is_still(&self, file: &File) -> io::Result<bool> {
        let here = file.metadata()?;
        match fs::symlink_metadata(self.path) {
            Ok(there) => Ok((here.dev(), here.ino()) == (there.dev(), there.ino())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn read(&self, file: &File) -> Result<Keytab, KeytabChangeError> {
        let bytes = contents(file).map_err(|cause| self.io("read", cause))?;
        Keytab::parse(&bytes).map_err(|cause| self.format(cause))
    }

    /// Puts `keytab` into the place of `file`.
    fn replace(&self, file: &File, keytab: &Keytab) -> Result<(), KeytabChangeError> {
        let before = file.metadata().map_err(|cause| self.io("read", cause))?;
        self.write(keytab, Some(&before), |temporary| {
            fs::rename(temporary, self.path)
        })
    }

    /// Makes the file; tells whether it was not there.
    fn make(&self, keytab: &Keytab) -> Result<bool, KeytabChangeError> {
        let mut is_new = true;
        self.write(keytab, None, |temporary| {
            // Unlike a renamed file, a link takes nobody's place.
            let linked = fs::hard_link(temporary, self.path);
            fs::remove_file(temporary)?;
            match linked {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                    is_new = false;
                    Ok(())
                }
                other => other,
            }
        })?;
        Ok(is_new)
    }

    fn write(
        &self,
        keytab: &Keytab,
        like: Option<&Metadata>,
        put: impl FnOnce(&Path) -> io::Result<()>,
    ) -> Result<(), KeytabChangeError> {
        let bytes = keytab.encode().map_err(|cause| self.format(cause))?;
        let (temporary, file) = self.beside().map_err(|cause| self.io("write", cause))?;
        let written = fill(&file, &bytes, like).and_then(|()| put(&temporary));
        if written.is_err() {
            _ = fs::remove_file(&temporary);
        }
        written.map_err(|cause| self.io("write", cause))?;
        // Keys exist nowhere else, so the name that leads to them has to last as well.
        self.sync_directory()
            .map_err(|cause| self.io("write", cause))
    }

    fn beside(&self) -> io::Result<(PathBuf, File)> {
        let name = self.path.file_name().ok_or(ErrorKind::InvalidInput)?;
        let unique = u64::from_ne_bytes(array(&SystemRandom));
        let mut temporary = name.to_owned();
        temporary.push(format!(".{unique:016x}"));
        let temporary = self.path.with_file_name(temporary);
        let flags =
            OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let file = openat(CWD, &temporary, flags, Mode::RUSR | Mode::WUSR)?;
        Ok((temporary, File::from(file)))
    }

    fn sync_directory(&self) -> io::Result<()> {
        let parent = self
            .path
            .parent()
            .filter(|path| !path.as_os_str().is_empty());
        File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
    }

    fn io(&self, doing: &'static str, cause: io::Error) -> KeytabChangeError {
        KeytabChangeError::Io {
            doing,
            path: self.path.to_owned(),
            cause,
        }
    }

    fn format(&self, cause: KeytabError) -> KeytabChangeError {
        KeytabChangeError::Format {
            path: self.path.to_owned(),
            cause,
        }
    }
}

fn fill(mut file: &File, bytes: &[u8], like: Option<&Metadata>) -> io::Result<()> {
    let mode = match like {
        Some(before) => {
            let now = file.metadata()?;
            if (now.uid(), now.gid()) != (before.uid(), before.gid()) {
                fchown(file, Some(before.uid()), Some(before.gid()))?;
            }
            before.mode() & 0o777
        }
        None => 0o600,
    };
    file.write_all(bytes)?;
    file.set_permissions(Permissions::from_mode(mode))?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::thread;

    use krb5::formats::keytab::OtherEntry;
    use krb5_crypto::AES256_CTS_HMAC_SHA1_96;
    use wire::time::Timestamp;
    use zeroize::Zeroizing;

    use super::*;

    fn alice() -> Principal {
        Principal::user("alice", "R")
    }

    fn add(path: &Path, kvno: u32) -> Result<(), KeytabChangeError> {
        change(path, true, |keytab| {
            let new = entries_at_random(&alice(), kvno, &[AES256_CTS_HMAC_SHA1_96]);
            keytab.entries.extend(new);
            Ok(())
        })
    }

    fn kvnos(path: &Path) -> Vec<u32> {
        let keytab = Keytab::parse(&fs::read(path).unwrap()).unwrap();
        keytab.entries.iter().map(|entry| entry.kvno).collect()
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o7777
    }

    #[test]
    fn a_new_keytab_is_its_owners_alone_and_an_old_one_stays_whose_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keytab");
        add(&path, 1).unwrap();
        assert_eq!((kvnos(&path), mode(&path)), (vec![1], 0o600));
        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        let is_root = rustix::process::geteuid().is_root();
        if is_root {
            std::os::unix::fs::chown(&path, Some(7), Some(8)).unwrap();
        }
        add(&path, 2).unwrap();
        assert_eq!((kvnos(&path), mode(&path)), (vec![1, 2], 0o640));
        if is_root {
            let metadata = fs::metadata(&path).unwrap();
            assert_eq!((metadata.uid(), metadata.gid()), (7, 8));
        }
        assert_eq!(
            fs::read_dir(dir.path()).unwrap().count(),
            1,
            "nothing is left"
        );
    }

    #[test]
    fn entries_that_are_not_understood_stay() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keytab");
        let before = Keytab {
            entries: Vec::new(),
            others: vec![OtherEntry {
                principal: alice(),
                timestamp: Timestamp::from_seconds(5),
                kvno: 300,
                enctype: 3,
                key: Zeroizing::new(vec![7; 16]),
            }],
        };
        fs::write(&path, before.encode().unwrap()).unwrap();
        add(&path, 1).unwrap();
        let after = Keytab::parse(&fs::read(&path).unwrap()).unwrap();
        assert_eq!(after.entries.len(), 1);
        let [other] = &after.others[..] else {
            panic!("it is gone")
        };
        assert_eq!((other.enctype, other.kvno), (3, 300));
        assert_eq!(*other.key, [7; 16]);
    }

    #[test]
    fn what_fails_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keytab");
        let missing = change(&path, false, |_| Ok::<(), KeytabChangeError>(()));
        assert!(matches!(missing, Err(KeytabChangeError::NotFound(_))));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
        for garbage in [&b""[..], b"nonsense", b"\x05\x02\x00\x00\x00\x09x"] {
            fs::write(&path, garbage).unwrap();
            let error = add(&path, 1).err().unwrap();
            assert!(matches!(error, KeytabChangeError::Format { .. }), "{error}");
            assert_eq!(fs::read(&path).unwrap(), garbage);
        }
        fs::remove_file(&path).unwrap();
        add(&path, 1).unwrap();
        let before = fs::read(&path).unwrap();
        let failed = change(&path, true, |keytab| {
            keytab.entries.clear();
            Err(KeytabChangeError::NotFound(PathBuf::new()))
        });
        assert!(failed.is_err());
        assert_eq!(fs::read(&path).unwrap(), before);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_link_is_followed_and_stays() {
        let dir = tempfile::tempdir().unwrap();
        let (path, link) = (dir.path().join("keytab"), dir.path().join("link"));
        add(&path, 1).unwrap();
        symlink(&path, &link).unwrap();
        add(&link, 2).unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(kvnos(&path), [1, 2]);
    }

    #[test]
    fn changes_at_one_time_all_count_the_first_too() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keytab");
        thread::scope(|scope| {
            for kvno in 0..8 {
                let path = &path;
                scope.spawn(move || add(path, kvno).unwrap());
            }
        });
        let mut all = kvnos(&path);
        all.sort_unstable();
        assert_eq!(all, [0, 1, 2, 3, 4, 5, 6, 7]);
    }

    #[test]
    fn a_passwords_keys_are_those_that_a_kdc_has() {
        let [entry] =
            &entries_of_password(&alice(), 3, b"secret", &[AES256_CTS_HMAC_SHA1_96]).unwrap()[..]
        else {
            panic!("one enctype, one entry")
        };
        let key = AES256_CTS_HMAC_SHA1_96.string_to_key(b"secret", b"Ralice", None);
        assert_eq!(entry.kvno, 3);
        assert!(entry.key.expose() == key.unwrap().expose());
    }
}
