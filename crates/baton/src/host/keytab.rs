//! A keytab file that may change while a program runs.

use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use krb5::formats::keytab::{Keytab, KeytabError};

use super::secret_file::contents;

/// For how long after a change a file's times are not believed to show the next one: clocks of file systems tick
/// slowly.
const SETTLED: Duration = Duration::from_secs(2);

/// A keytab in a file, read once and again when it has changed; a look costs one stat(2).
///
/// A file that has changed into something that is no keytab is one that is being written: what was read before stays in use until
/// it can be read. A file that is gone, or may not be read any more, is an error at once: that is how keys are
/// taken away.
pub struct KeytabFile {
    path: PathBuf,
    read: Mutex<Option<Reading>>,
}

struct Reading {
    stamp: Stamp,
    keytab: Arc<Keytab>,
}

/// What tells two contents of a file apart.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Stamp {
    file: (u64, u64),
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
    settled: bool,
}

/// Why a keytab's file gives no keys.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeytabFileError {
    /// It cannot be read.
    #[error("cannot read the keytab {}: {cause}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why not.
        cause: io::Error,
    },
    /// It is no keytab.
    #[error("{}: {cause}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// Why not.
        cause: KeytabError,
    },
}

impl KeytabFile {
    /// The keytab at `path`, which is not read yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            read: Mutex::new(None),
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The keys that are in the file now.
    pub fn current(&self) -> Result<Arc<Keytab>, KeytabFileError> {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let metadata = fs::metadata(&self.path).map_err(|cause| self.io(cause))?;
        if !metadata.is_file() {
            // Opening a pipe would wait for its other end.
            return Err(self.io(io::Error::other("it is not a regular file")));
        }
        let stamp = Stamp::of(&metadata);
        if let Some(reading) = read.as_ref().filter(|reading| reading.is_of(&stamp)) {
            return Ok(Arc::clone(&reading.keytab));
        }
        match (self.read(), read.as_mut()) {
            (Ok(reading), _) => {
                let keytab = Arc::clone(&reading.keytab);
                *read = Some(reading);
                Ok(keytab)
            }
            (Err(KeytabFileError::Format { cause, .. }), Some(before)) => {
                tracing::warn!(
                    keytab = %self.path.display(),
                    %cause,
                    "the keytab is being written or broken; the keys read before stay in use"
                );
                // Not looked at again before it changes again.
                before.stamp = stamp;
                Ok(Arc::clone(&before.keytab))
            }
            (Err(error), _) => Err(error),
        }
    }

    fn read(&self) -> Result<Reading, KeytabFileError> {
        let file = File::open(&self.path).map_err(|cause| self.io(cause))?;
        // Before the contents: a change while they are read shows at the next look.
        let metadata = file.metadata().map_err(|cause| self.io(cause))?;
        let bytes = contents(&file).map_err(|cause| self.io(cause))?;
        let keytab = Keytab::parse(&bytes).map_err(|cause| KeytabFileError::Format {
            path: self.path.clone(),
            cause,
        })?;
        Ok(Reading {
            stamp: Stamp::of(&metadata),
            keytab: Arc::new(keytab),
        })
    }

    fn io(&self, cause: io::Error) -> KeytabFileError {
        KeytabFileError::Io {
            path: self.path.clone(),
            cause,
        }
    }
}

impl Reading {
    fn is_of(&self, stamp: &Stamp) -> bool {
        self.stamp.settled && self.stamp == *stamp
    }
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        let changed = Duration::from_secs(u64::try_from(metadata.ctime()).unwrap_or(0));
        let age = SystemTime::now().duration_since(UNIX_EPOCH + changed);
        Self {
            file: (metadata.dev(), metadata.ino()),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
            settled: age.is_ok_and(|age| age > SETTLED),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::thread;

    use krb5::formats::keytab::KeytabEntry;
    use krb5::principal::Principal;
    use krb5_crypto::{AES128_CTS_HMAC_SHA1_96, Key};
    use wire::time::Timestamp;

    use super::*;

    fn bytes(kvnos: &[u32]) -> Vec<u8> {
        let entries = kvnos.iter().map(|&kvno| KeytabEntry {
            principal: Principal::service("HTTP", "localhost", "R"),
            timestamp: Timestamp::from_seconds(1),
            kvno,
            key: Arc::new(Key::new(AES128_CTS_HMAC_SHA1_96, &[kvno as u8; 16]).unwrap()),
        });
        let keytab = Keytab {
            entries: entries.collect(),
            others: Vec::new(),
        };
        keytab.encode().unwrap().to_vec()
    }

    fn kvnos(file: &KeytabFile) -> Vec<u32> {
        let keytab = file.current().unwrap();
        keytab.entries.iter().map(|entry| entry.kvno).collect()
    }

    #[test]
    fn a_change_is_seen_at_once_even_within_one_tick_of_the_clock() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keytab");
        let file = KeytabFile::new(&path);
        // Two contents of one length, in turn: neither size nor, on a slow clock, times tell them apart.
        for round in 0..200 {
            fs::write(&path, bytes(&[round])).unwrap();
            assert_eq!(kvnos(&file), [round]);
        }
    }

    #[test]
    fn a_settled_file_is_read_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keytab");
        fs::write(&path, bytes(&[1, 2])).unwrap();
        let file = KeytabFile::new(&path);
        thread::sleep(SETTLED + Duration::from_millis(50));
        let first = file.current().unwrap();
        assert!(Arc::ptr_eq(&first, &file.current().unwrap()));
        fs::write(&path, bytes(&[1, 2, 3])).unwrap();
        assert_eq!(kvnos(&file), [1, 2, 3]);
    }

    #[test]
    fn while_a_keytab_is_being_written_the_keys_before_stay_in_use() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keytab");
        fs::write(&path, bytes(&[1])).unwrap();
        let file = KeytabFile::new(&path);
        assert_eq!(kvnos(&file), [1]);
        let whole = bytes(&[1, 2]);
        let entry = bytes(&[1]).len();
        for cut in (0..whole.len()).filter(|cut| ![2, entry].contains(cut)) {
            fs::write(&path, &whole[..cut]).unwrap();
            assert_eq!(kvnos(&file), [1], "cut to {cut}");
        }
        fs::write(&path, &whole).unwrap();
        assert_eq!(kvnos(&file), [1, 2]);
    }

    #[test]
    fn a_keytab_in_another_ones_place_is_seen() {
        let dir = tempfile::tempdir().unwrap();
        let (path, new) = (dir.path().join("keytab"), dir.path().join("new"));
        fs::write(&path, bytes(&[1])).unwrap();
        let file = KeytabFile::new(&path);
        assert_eq!(kvnos(&file), [1]);
        fs::write(&new, bytes(&[2])).unwrap();
        fs::rename(&new, &path).unwrap();
        assert_eq!(kvnos(&file), [2]);
        // Secrets that are mounted come by way of links that are turned.
        fs::write(&new, bytes(&[3])).unwrap();
        fs::remove_file(&path).unwrap();
        symlink(&new, &path).unwrap();
        assert_eq!(kvnos(&file), [3]);
    }

    #[test]
    fn a_keytab_that_is_gone_gives_no_keys() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keytab");
        fs::write(&path, bytes(&[1])).unwrap();
        let file = KeytabFile::new(&path);
        assert_eq!(kvnos(&file), [1]);
        fs::remove_file(&path).unwrap();
        let error = file.current().err().unwrap();
        assert!(matches!(error, KeytabFileError::Io { .. }));
        assert!(
            error.to_string().contains(path.to_str().unwrap()),
            "{error}"
        );
    }

    #[test]
    fn what_is_no_keytab_from_the_start_is_an_error_that_names_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keytab");
        let file = KeytabFile::new(&path);
        assert!(file.current().is_err());
        fs::write(&path, b"").unwrap();
        let error = file.current().err().unwrap().to_string();
        assert!(
            error.contains(path.to_str().unwrap()) && error.contains("not a keytab"),
            "{error}"
        );
        let directory = KeytabFile::new(dir.path());
        assert!(directory.current().is_err());
    }
}
