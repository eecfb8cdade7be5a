//! A directory of caches, `DIR:`, as MIT's programs keep it: files whose names begin with `tkt`, and the file `primary`,
//! whose one line names the one of them that is used where nobody says which.

use std::fs::{self, DirBuilder, File};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use krb5::formats::residual::SUBSIDIARY;
use wire::random::array;

use super::replace_file;
use crate::world::SystemRandom;

const PRIMARY: &str = "primary";
/// MIT's code reads no longer line.
const MAX_LINE: u64 = 64;

/// Why a directory of caches is none.
#[derive(Debug)]
pub(crate) enum DirectoryError {
    /// There is no such directory.
    NotFound,
    /// It cannot be read or written.
    Io(&'static str, io::Error),
    /// Its file `primary` names no cache.
    Primary,
}

/// The file of the primary cache, which need not be there yet: `tkt` where nothing says otherwise.
pub(crate) fn primary(directory: &str) -> Result<PathBuf, DirectoryError> {
    let directory = Path::new(directory);
    match fs::metadata(directory) {
        Ok(metadata) if metadata.is_dir() => {}
        Ok(_) => {
            let cause = io::Error::from(ErrorKind::NotADirectory);
            return Err(DirectoryError::Io("open", cause));
        }
        Err(error) if error.kind() == ErrorKind::NotFound => return Err(DirectoryError::NotFound),
        Err(cause) => return Err(DirectoryError::Io("open", cause)),
    }
    let mut line = String::new();
    match File::open(directory.join(PRIMARY)) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(directory.join(SUBSIDIARY)),
        Err(cause) => return Err(DirectoryError::Io("read", cause)),
        Ok(file) => {
            let read = file.take(MAX_LINE).read_to_string(&mut line);
            read.map_err(|_| DirectoryError::Primary)?;
        }
    }
    let (name, _) = line.split_once('\n').ok_or(DirectoryError::Primary)?;
    if !name.starts_with(SUBSIDIARY) || name.contains(['/', '\\']) {
        return Err(DirectoryError::Primary);
    }
    Ok(directory.join(name))
}

/// Makes the directory, for its owner alone, if it is not there.
pub(crate) fn prepare(directory: &str) -> Result<(), DirectoryError> {
    match DirBuilder::new().mode(0o700).create(directory) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => {
            Err(DirectoryError::Io("make", error))
        }
        _ => Ok(()),
    }
}

/// The caches in it, the primary one first if it is there, the others by name.
pub(crate) fn caches(directory: &str) -> Result<Vec<PathBuf>, DirectoryError> {
    let first = match primary(directory) {
        // MIT's library goes on to the others.
        Err(DirectoryError::Primary) => None,
        other => Some(other?),
    };
    let failed = |cause| DirectoryError::Io("read", cause);
    let mut paths = Vec::new();
    for entry in fs::read_dir(directory).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let is_cache = entry.file_name().to_string_lossy().starts_with(SUBSIDIARY);
        if is_cache && first.as_ref() != Some(&entry.path()) {
            paths.push(entry.path());
        }
    }
    paths.sort();
    let first = first.filter(|path| path.exists());
    Ok(first.into_iter().chain(paths).collect())
}

/// A path for one more cache in it.
pub(crate) fn new_path(directory: &str) -> Result<PathBuf, DirectoryError> {
    prepare(directory)?;
    let unique = u64::from_ne_bytes(array(&SystemRandom));
    Ok(Path::new(directory).join(format!("{SUBSIDIARY}{unique:016x}")))
}

/// Makes the cache at `path` the primary one of its directory.
pub(crate) fn switch_to(path: &Path) -> Result<(), DirectoryError> {
    let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(DirectoryError::NotFound);
    };
    let line = [name.as_encoded_bytes(), b"\n"].concat();
    let written = replace_file(&directory.join(PRIMARY), &line);
    written.map_err(|cause| DirectoryError::Io("write", cause))
}
