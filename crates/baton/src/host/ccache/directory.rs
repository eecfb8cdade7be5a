//! A directory of caches, `DIR:`, as MIT's programs keep it: files whose names begin with `tkt`, and the file `primary`,
//! whose one line names the one of them that is used where nobody says which.

use std::fs::{self, DirBuilder, File, Metadata};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use krb5::formats::residual::SUBSIDIARY;
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;
use wire::random::array;

use super::{may_own, replace_file};
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
    /// It, or its file `primary`, belongs to this other user, who could choose our tickets.
    Owner(u32),
    /// Its file `primary` names no cache.
    Primary,
}

/// The file of the primary cache, which need not be there yet: `tkt` where nothing says otherwise.
pub(crate) fn primary(directory: &str) -> Result<PathBuf, DirectoryError> {
    let directory = Path::new(directory);
    check(directory)?;
    let Some(file) = open_primary(&directory.join(PRIMARY))? else {
        return Ok(directory.join(SUBSIDIARY));
    };
    let mut line = String::new();
    let read = file.take(MAX_LINE).read_to_string(&mut line);
    read.map_err(|_| DirectoryError::Primary)?;
    let (name, _) = line.split_once('\n').ok_or(DirectoryError::Primary)?;
    if !name.starts_with(SUBSIDIARY) || name.contains(['/', '\\']) {
        return Err(DirectoryError::Primary);
    }
    Ok(directory.join(name))
}

/// Whether it is a directory, of an owner whom we trust with it.
fn check(directory: &Path) -> Result<(), DirectoryError> {
    let found = match fs::metadata(directory) {
        Ok(found) => found,
        Err(error) if error.kind() == ErrorKind::NotFound => return Err(DirectoryError::NotFound),
        Err(cause) => return Err(DirectoryError::Io("open", cause)),
    };
    if !found.is_dir() {
        let cause = io::Error::from(ErrorKind::NotADirectory);
        return Err(DirectoryError::Io("open", cause));
    }
    check_owner(&found)
}

fn check_owner(found: &Metadata) -> Result<(), DirectoryError> {
    match may_own(found.uid()) {
        true => Ok(()),
        false => Err(DirectoryError::Owner(found.uid())),
    }
}

/// The file `primary`, if it is there: a file, not a link to one, and not somebody else's. Nothing that is there instead stops us.
fn open_primary(path: &Path) -> Result<Option<File>, DirectoryError> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = match openat(CWD, path, flags | OFlags::NOCTTY, Mode::empty()) {
        Ok(file) => File::from(file),
        Err(Errno::NOENT) => return Ok(None),
        Err(Errno::LOOP) => return Err(DirectoryError::Primary),
        Err(error) => return Err(DirectoryError::Io("read", error.into())),
    };
    let found = file.metadata();
    let found = found.map_err(|cause| DirectoryError::Io("read", cause))?;
    if !found.is_file() {
        return Err(DirectoryError::Primary);
    }
    check_owner(&found)?;
    Ok(Some(file))
}

/// Makes the directory, for its owner alone, if it is not there.
pub(crate) fn prepare(directory: &str) -> Result<(), DirectoryError> {
    match DirBuilder::new().mode(0o700).create(directory) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => check(Path::new(directory)),
        Err(error) => Err(DirectoryError::Io("make", error)),
        Ok(()) => Ok(()),
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
