//! Credential caches: in files that MIT's and Heimdal's programs share with us, and in this process's memory.

use std::collections::BTreeMap;
use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use krb5::formats::ccache::{CcacheError, Credential, CredentialCache, encode_credential};
use krb5::formats::residual::CcacheName;
use rustix::fs::{CWD, Mode, OFlags, openat};
use wire::random::array;

use super::secret_file::{Lock, contents, lock};

pub(crate) mod directory;
use crate::world::SystemRandom;

/// A credential cache, by its name; it need not exist yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CcacheStore {
    name: CcacheName,
}

/// Why a credential cache does not do what is asked of it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CcacheStoreError {
    /// There is no such cache.
    #[error("there is no credential cache {0}: get a ticket first")]
    NotFound(CcacheName),
    /// It cannot be read or written.
    #[error("cannot {doing} the credential cache {name}: {cause}")]
    Io {
        /// Reading or writing.
        doing: &'static str,
        /// The cache.
        name: CcacheName,
        /// Why not.
        cause: io::Error,
    },
    /// Somebody put a symbolic link where a cache should be.
    #[error(
        "the credential cache {0} is a symbolic link, which is not followed: name the file itself"
    )]
    Link(CcacheName),
    /// It belongs to somebody else, who could choose our tickets.
    #[error("the credential cache {name} belongs to user {owner}, not to us")]
    Owner {
        /// The cache.
        name: CcacheName,
        /// Whose it is.
        owner: u32,
    },
    /// The file `primary` of a directory of caches names none of them.
    #[error(
        "{0}: the file `primary` in it names no cache: switch to one with kswitch, or remove that file"
    )]
    Primary(CcacheName),
    /// It is no cache, or what should be written does not fit into one.
    #[error("{name}: {cause}")]
    Format {
        /// The cache.
        name: CcacheName,
        /// What is wrong.
        cause: CcacheError,
    },
}

/// The caches in memory, by name. They live as long as the process.
static MEMORY: Mutex<BTreeMap<String, CredentialCache>> = Mutex::new(BTreeMap::new());

/// The locks of fcntl(2) do not keep threads apart, and closing any descriptor of a file gives its lock up.
static FILES: Mutex<()> = Mutex::new(());

fn memory() -> MutexGuard<'static, BTreeMap<String, CredentialCache>> {
    MEMORY.lock().unwrap_or_else(PoisonError::into_inner)
}

impl CcacheStore {
    /// The cache called `name`.
    pub fn new(name: CcacheName) -> Self {
        Self { name }
    }

    /// Its name.
    pub fn name(&self) -> &CcacheName {
        &self.name
    }

    /// The same cache by a name that stays its own: a directory stands for the cache that is its primary one now.
    pub fn resolved(self) -> Result<Self, CcacheStoreError> {
        match &self.name {
            CcacheName::Dir(_) => {
                let path = self.path()?.to_string_lossy().into_owned();
                Ok(Self::new(CcacheName::DirFile(path)))
            }
            _ => Ok(self),
        }
    }

    /// Everything in it.
    pub fn read(&self) -> Result<CredentialCache, CcacheStoreError> {
        match &self.name {
            CcacheName::Memory(name) => {
                let found = memory().get(name).map(copy);
                found.ok_or_else(|| CcacheStoreError::NotFound(self.name.clone()))
            }
            _ => {
                let path = self.path()?;
                let _threads = FILES.lock().unwrap_or_else(PoisonError::into_inner);
                let file = self.open(&path, OFlags::RDONLY, Lock::Shared)?;
                self.parse(&file)
            }
        }
    }

    /// Makes it anew, with just what is in `cache`. A file appears in one step: who reads it sees the old or the new one.
    pub fn replace(&self, cache: &CredentialCache) -> Result<(), CcacheStoreError> {
        match &self.name {
            CcacheName::Memory(name) => {
                memory().insert(name.clone(), copy(cache));
                Ok(())
            }
            _ => {
                if let CcacheName::Dir(directory) = &self.name {
                    directory::prepare(directory).map_err(|cause| self.directory(cause))?;
                }
                let bytes = cache.encode().map_err(|cause| self.format(cause))?;
                replace_file(&self.path()?, &bytes).map_err(|cause| self.io("write", cause))
            }
        }
    }

    /// Adds `credential` to its end.
    pub fn store(&self, credential: &Credential) -> Result<(), CcacheStoreError> {
        match &self.name {
            CcacheName::Memory(name) => {
                let mut caches = memory();
                let missing = || CcacheStoreError::NotFound(self.name.clone());
                let cache = caches.get_mut(name).ok_or_else(missing)?;
                cache.credentials.push(credential.clone());
                Ok(())
            }
            _ => self.append(&self.path()?, credential),
        }
    }

    /// Removes it with all its tickets.
    pub fn destroy(&self) -> Result<(), CcacheStoreError> {
        match &self.name {
            CcacheName::Memory(name) => {
                let removed = memory().remove(name).map(drop);
                removed.ok_or_else(|| CcacheStoreError::NotFound(self.name.clone()))
            }
            _ => {
                let path = &self.path()?;
                let _threads = FILES.lock().unwrap_or_else(PoisonError::into_inner);
                let file = self.open(path, OFlags::RDWR, Lock::Exclusive)?;
                fs::remove_file(path).map_err(|cause| self.io("remove", cause))?;
                // Who has it open still, or finds its blocks later, finds no keys.
                overwrite(&file).map_err(|cause| self.io("wipe", cause))
            }
        }
    }

    /// The file of a cache that is in one: in a directory of caches, that of its primary.
    fn path(&self) -> Result<PathBuf, CcacheStoreError> {
        match &self.name {
            CcacheName::File(path) | CcacheName::DirFile(path) => Ok(path.into()),
            CcacheName::Dir(directory) => {
                directory::primary(directory).map_err(|cause| self.directory(cause))
            }
            CcacheName::Memory(_) => Err(CcacheStoreError::NotFound(self.name.clone())),
        }
    }

    fn append(&self, path: &Path, credential: &Credential) -> Result<(), CcacheStoreError> {
        let _threads = FILES.lock().unwrap_or_else(PoisonError::into_inner);
        let flags = OFlags::RDWR | OFlags::APPEND;
        let mut file = self.open(path, flags, Lock::Exclusive)?;
        let version = self.parse(&file)?.version;
        let bytes = encode_credential(credential, version).map_err(|cause| self.format(cause))?;
        let before = file
            .metadata()
            .map_err(|cause| self.io("write", cause))?
            .len();
        file.write_all(&bytes).map_err(|cause| {
            // A full disk must not leave half an entry behind, which would spoil the whole cache.
            _ = file.set_len(before);
            self.io("write", cause)
        })
    }

    /// Opens and locks the file that is at `path` once the lock is there: another program may have put a new one in its place
    /// while we waited.
    fn open(&self, path: &Path, flags: OFlags, mode: Lock) -> Result<File, CcacheStoreError> {
        // A pipe that somebody put there must not stop us.
        let flags = flags | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        loop {
            let file = match openat(CWD, path, flags, Mode::empty()) {
                Ok(file) => File::from(file),
                Err(rustix::io::Errno::NOENT) => {
                    return Err(CcacheStoreError::NotFound(self.name.clone()));
                }
                Err(rustix::io::Errno::LOOP) => {
                    return Err(CcacheStoreError::Link(self.name.clone()));
                }
                Err(error) => return Err(self.io("open", error.into())),
            };
            let owner = file
                .metadata()
                .map_err(|cause| self.io("open", cause))?
                .uid();
            if !may_own(owner) {
                let name = self.name.clone();
                return Err(CcacheStoreError::Owner { name, owner });
            }
            lock(&file, mode).map_err(|cause| self.io("lock", cause))?;
            if is_at(&file, path).map_err(|cause| self.io("open", cause))? {
                return Ok(file);
            }
        }
    }

    fn parse(&self, file: &File) -> Result<CredentialCache, CcacheStoreError> {
        let bytes = contents(file).map_err(|cause| self.io("read", cause))?;
        CredentialCache::parse(&bytes).map_err(|cause| self.format(cause))
    }

    fn io(&self, doing: &'static str, cause: io::Error) -> CcacheStoreError {
        CcacheStoreError::Io {
            doing,
            name: self.name.clone(),
            cause,
        }
    }

    pub(super) fn directory(&self, cause: directory::DirectoryError) -> CcacheStoreError {
        match cause {
            directory::DirectoryError::NotFound => CcacheStoreError::NotFound(self.name.clone()),
            directory::DirectoryError::Io(doing, cause) => self.io(doing, cause),
            directory::DirectoryError::Owner(owner) => {
                let name = self.name.clone();
                CcacheStoreError::Owner { name, owner }
            }
            directory::DirectoryError::Primary => CcacheStoreError::Primary(self.name.clone()),
        }
    }

    fn format(&self, cause: CcacheError) -> CcacheStoreError {
        CcacheStoreError::Format {
            name: self.name.clone(),
            cause,
        }
    }
}

/// Root may use anyone's cache, as daemons that act for users do; anyone may use what root made for him.
fn may_own(owner: u32) -> bool {
    let us = rustix::process::geteuid().as_raw();
    us == 0 || owner == us || owner == 0
}

fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let here = file.metadata()?;
    match fs::symlink_metadata(path) {
        Ok(there) => Ok((here.dev(), here.ino()) == (there.dev(), there.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// The names of the caches in memory, those that a credential of ours keeps for itself left out.
pub(crate) fn memory_names() -> Vec<String> {
    let names = memory();
    let names = names.keys().filter(|name| !name.starts_with(OWN));
    names.cloned().collect()
}

/// A new cache in memory with what is in `cache`, for whoever asks here alone: no name from outside begins like its.
pub(crate) fn own(cache: &CredentialCache) -> CcacheStore {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let name = format!("{OWN} {number}");
    memory().insert(name.clone(), copy(cache));
    CcacheStore::new(CcacheName::Memory(name))
}

/// How the names of caches begin that one credential keeps for itself.
const OWN: &str = "\0own";

/// Writes a file beside `path`, for the owner alone, and puts it in its place.
fn replace_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let (temporary, mut file) = make_beside(path)?;
    let written = file
        .set_permissions(Permissions::from_mode(0o600))
        .and_then(|()| file.write_all(bytes))
        .and_then(|()| fs::rename(&temporary, path));
    if written.is_err() {
        _ = fs::remove_file(&temporary);
    }
    written
}

fn make_beside(path: &Path) -> io::Result<(PathBuf, File)> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    loop {
        let unique = u64::from_ne_bytes(array(&SystemRandom));
        let mut temporary = name.to_owned();
        temporary.push(format!(".{unique:016x}"));
        let temporary = path.with_file_name(temporary);
        let flags =
            OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        match openat(CWD, &temporary, flags, Mode::RUSR | Mode::WUSR) {
            Ok(file) => return Ok((temporary, File::from(file))),
            Err(rustix::io::Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

fn overwrite(mut file: &File) -> io::Result<()> {
    let zeros = [0; 4096];
    let mut left = file.metadata()?.len();
    while left > 0 {
        let count = left.min(4096);
        file.write_all(&zeros[..count as usize])?;
        left -= count;
    }
    file.sync_data()
}

fn copy(cache: &CredentialCache) -> CredentialCache {
    CredentialCache {
        version: cache.version,
        time_offset: cache.time_offset,
        principal: cache.principal.clone(),
        credentials: cache.credentials.clone(),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::sync::Arc;
    use std::thread;
    use std::time::{Duration, Instant};

    use krb5::formats::ccache::{CachedKey, Version};
    use krb5::principal::Principal;
    use krb5_crypto::{AES128_CTS_HMAC_SHA1_96, Key};
    use wire::time::Timestamp;

    use super::*;

    fn alice() -> Principal {
        Principal::user("alice", "R")
    }

    fn credential(service: &str) -> Credential {
        let mut one = Credential::setting(alice(), "x", None, b"ticket");
        one.server = Principal::service(service, "localhost", "R");
        one.key = CachedKey::from(Arc::new(
            Key::new(AES128_CTS_HMAC_SHA1_96, &[3; 16]).unwrap(),
        ));
        one.endtime = Timestamp::from_seconds(1_000_000);
        one
    }

    fn file(dir: &tempfile::TempDir) -> (PathBuf, CcacheStore) {
        let path = dir.path().join("cc");
        let name = CcacheName::File(path.to_str().unwrap().to_owned());
        (path, CcacheStore::new(name))
    }

    fn services(store: &CcacheStore) -> Vec<String> {
        let cache = store.read().unwrap();
        cache
            .tickets()
            .map(|ticket| ticket.server.to_string())
            .collect()
    }

    fn works(store: &CcacheStore) {
        assert!(matches!(store.read(), Err(CcacheStoreError::NotFound(_))));
        assert!(matches!(
            store.store(&credential("a")),
            Err(CcacheStoreError::NotFound(_))
        ));
        assert!(matches!(
            store.destroy(),
            Err(CcacheStoreError::NotFound(_))
        ));
        store.replace(&CredentialCache::new(alice())).unwrap();
        assert_eq!(services(store), [""; 0]);
        store.store(&credential("a")).unwrap();
        store.store(&credential("b")).unwrap();
        assert_eq!(services(store), ["a/localhost@R", "b/localhost@R"]);
        assert_eq!(store.read().unwrap().principal, alice());
        store
            .replace(&CredentialCache::new(Principal::user("bob", "R")))
            .unwrap();
        assert_eq!(services(store), [""; 0]);
        store.destroy().unwrap();
        assert!(matches!(store.read(), Err(CcacheStoreError::NotFound(_))));
    }

    #[test]
    fn a_file_does_all_a_cache_does() {
        let dir = tempfile::tempdir().unwrap();
        works(&file(&dir).1);
        assert_eq!(
            fs::read_dir(dir.path()).unwrap().count(),
            0,
            "nothing is left"
        );
    }

    #[test]
    fn memory_does_all_a_cache_does() {
        works(&CcacheStore::new(CcacheName::Memory("one".to_owned())));
        let (two, again) = (
            CcacheName::Memory("two".to_owned()),
            CcacheName::Memory("two".to_owned()),
        );
        CcacheStore::new(two)
            .replace(&CredentialCache::new(alice()))
            .unwrap();
        assert_eq!(CcacheStore::new(again).read().unwrap().principal, alice());
    }

    #[test]
    fn a_file_is_its_owners_alone() {
        let dir = tempfile::tempdir().unwrap();
        let (path, store) = file(&dir);
        fs::write(&path, b"old").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o666)).unwrap();
        store.replace(&CredentialCache::new(alice())).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o600);
    }

    #[test]
    fn links_and_pipes_are_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let (path, store) = file(&dir);
        let target = dir.path().join("target");
        let bytes = CredentialCache::new(alice()).encode().unwrap();
        fs::write(&target, &bytes).unwrap();
        symlink(&target, &path).unwrap();
        for result in [
            store.read().err(),
            store.store(&credential("a")).err(),
            store.destroy().err(),
        ] {
            assert!(
                matches!(result, Some(CcacheStoreError::Link(_))),
                "{result:?}"
            );
        }
        // A new cache takes the link's place and leaves its target alone.
        let mut cache = CredentialCache::new(alice());
        cache.credentials.push(credential("new"));
        store.replace(&cache).unwrap();
        assert_eq!(services(&store), ["new/localhost@R"]);
        assert!(fs::read(&target).unwrap() == *bytes);
        fs::remove_file(&path).unwrap();
        let pipe = rustix::fs::FileType::Fifo;
        rustix::fs::mknodat(CWD, &path, pipe, Mode::RUSR | Mode::WUSR, 0).unwrap();
        assert!(matches!(store.read(), Err(CcacheStoreError::Io { .. })));
    }

    #[test]
    fn a_version_3_file_stays_one() {
        let dir = tempfile::tempdir().unwrap();
        let (path, store) = file(&dir);
        let mut cache = CredentialCache::new(alice());
        cache.version = Version::V3;
        store.replace(&cache).unwrap();
        store.store(&credential("a")).unwrap();
        assert_eq!(fs::read(&path).unwrap()[..2], [5, 3]);
        assert_eq!(services(&store), ["a/localhost@R"]);
    }

    #[test]
    fn a_broken_cache_is_not_added_to() {
        let dir = tempfile::tempdir().unwrap();
        let (path, store) = file(&dir);
        for contents in [&b""[..], b"\x05\x04\x00", b"nonsense"] {
            fs::write(&path, contents).unwrap();
            let error = store.store(&credential("a")).err().unwrap();
            assert!(matches!(error, CcacheStoreError::Format { .. }), "{error}");
            assert_eq!(fs::read(&path).unwrap(), contents);
        }
    }

    #[test]
    fn threads_that_add_at_one_time_lose_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let (_, store) = file(&dir);
        store.replace(&CredentialCache::new(alice())).unwrap();
        thread::scope(|scope| {
            for thread in 0..4 {
                let store = &store;
                scope.spawn(move || {
                    for round in 0..25 {
                        store
                            .store(&credential(&format!("{thread}-{round}")))
                            .unwrap();
                    }
                });
            }
        });
        assert_eq!(services(&store).len(), 100);
    }

    /// What the process does that the test below starts: locks of fcntl(2) are the process's.
    #[test]
    fn another_process_holds_a_lock() {
        let (Ok(path), Ok(held)) = (std::env::var("HOST_LOCK"), std::env::var("HOST_HELD")) else {
            return;
        };
        let file = File::options().read(true).write(true).open(path).unwrap();
        lock(&file, Lock::Exclusive).unwrap();
        fs::write(held, b"").unwrap();
        thread::sleep(Duration::from_millis(500));
    }

    #[test]
    fn anothers_lock_is_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let (path, store) = file(&dir);
        store.replace(&CredentialCache::new(alice())).unwrap();
        let held = dir.path().join("held");
        let mut child = std::process::Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "host::ccache::tests::another_process_holds_a_lock",
            ])
            .env("HOST_LOCK", &path)
            .env("HOST_HELD", &held)
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        while !held.exists() {
            assert_eq!(
                child.try_wait().unwrap(),
                None,
                "the other process is there"
            );
            thread::sleep(Duration::from_millis(5));
        }
        let begin = Instant::now();
        store.store(&credential("a")).unwrap();
        assert!(begin.elapsed() > Duration::from_millis(100));
        assert_eq!(services(&store), ["a/localhost@R"]);
        assert!(child.wait().unwrap().success());
    }
}
