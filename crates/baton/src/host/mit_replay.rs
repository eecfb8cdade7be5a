//! MIT's replay cache: the file in which the acceptors of MIT's library note what they have seen.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use gss_core::host::{ReplayCache, ReplayCacheError};
use krb5::formats::rcache2::{Full, LOOK_LENGTH, Looked, SEED_LENGTH, Search, Tag};
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::process::{Resource, geteuid, getrlimit};
use wire::random::Random;
use wire::time::Timestamp;

use super::secret_file::{Lock, PATIENCE, lock};
use crate::world::SystemRandom;

/// The directory of users' replay caches in MIT's library as distributions build it.
pub const DIRECTORY: &str = "/var/tmp";

/// One of MIT's replay caches.
#[derive(Debug)]
pub struct MitReplay {
    place: Place,
    skew: u32,
    told: AtomicBool,
}

#[derive(Debug)]
enum Place {
    /// The file of this name, whoever's it is.
    File(PathBuf),
    /// The effective user's file in this directory; if it has to be there, it is made.
    Users { directory: PathBuf, made: bool },
}

/// Why a replay cache does not answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MitReplayError {
    /// It cannot be opened, read or written.
    #[error("{path}: cannot {doing} MIT's replay cache: {cause}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What was tried.
        doing: &'static str,
        /// Why not.
        cause: io::Error,
    },
    /// It belongs to somebody else, who could erase what is in it.
    #[error(
        "{path}: MIT's replay cache belongs to uid {owner}, not to uid {user}: have it removed, or name another in KRB5RCACHENAME"
    )]
    Owner {
        /// The file.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
        /// Who asks.
        user: u32,
    },
    /// It is no file.
    #[error("{0}: MIT's replay cache must be a regular file: name another in KRB5RCACHENAME")]
    Kind(PathBuf),
    /// It holds no more.
    #[error("{path}: {cause}: stop its users and remove it")]
    Full {
        /// The file.
        path: PathBuf,
        /// The limit.
        cause: Full,
    },
}

impl MitReplay {
    /// The file at `path` (`file2:PATH`), made if it is not there. Others' records count for `skew`.
    pub fn file(path: PathBuf, skew: Duration) -> Self {
        Self::new(Place::File(path), skew)
    }

    /// The effective user's file in `directory` (`dfl:`), made if it is not there.
    pub fn users(directory: PathBuf, skew: Duration) -> Self {
        let made = true;
        Self::new(Place::Users { directory, made }, skew)
    }

    /// The same file as long as it is there: while it is not, there is nothing to share.
    pub fn users_if_there(directory: PathBuf, skew: Duration) -> Self {
        let made = false;
        Self::new(Place::Users { directory, made }, skew)
    }

    fn new(place: Place, skew: Duration) -> Self {
        let seconds = skew.as_secs() + u64::from(skew.subsec_nanos() > 0);
        Self {
            place,
            skew: u32::try_from(seconds).unwrap_or(u32::MAX),
            told: AtomicBool::new(false),
        }
    }

    /// Where the file is, for the user that this process is now.
    pub fn path(&self) -> PathBuf {
        match &self.place {
            Place::File(path) => path.clone(),
            Place::Users { directory, .. } => {
                directory.join(format!("krb5_{}.rcache2", geteuid().as_raw()))
            }
        }
    }

    fn store(&self, tag: Tag, ctime: Timestamp, now: Timestamp) -> Result<bool, MitReplayError> {
        let path = self.path();
        if !self.is_wanted(&path)? {
            return Ok(true);
        }
        let fails = |doing| {
            let path = path.clone();
            move |cause| MitReplayError::Io { path, doing, cause }
        };
        let _threads = Threads::wait().map_err(fails("lock"))?;
        let Some(file) = self.open(&path)? else {
            return Ok(true);
        };
        let seed = seed(&file).map_err(fails("begin"))?;
        let time = seconds(now);
        let mut search = Search::new(seed, tag, time, self.skew);
        loop {
            let mut found = [0; LOOK_LENGTH];
            let length = read(&file, search.offset(), &mut found).map_err(fails("read"))?;
            match search.look(&found[..length]) {
                Ok(Looked::Seen) => return Ok(false),
                Ok(Looked::New(offset)) => {
                    // A client whose clock is ahead can be replayed for longer: its record lasts until then.
                    let record = tag.record(time.max(seconds(ctime)));
                    write(&file, offset, &record).map_err(fails("write"))?;
                    return Ok(true);
                }
                Ok(Looked::Further(next)) => search = next,
                Err(cause) => return Err(MitReplayError::Full { path, cause }),
            }
        }
    }

    /// Whether there is a file of ours, where that is the question. One that somebody else put in its place stops MIT's acceptors,
    /// so that there is no mark of theirs to miss, and must not stop ours.
    fn is_wanted(&self, path: &Path) -> Result<bool, MitReplayError> {
        if !matches!(self.place, Place::Users { made: false, .. }) {
            return Ok(true);
        }
        match fs::symlink_metadata(path) {
            Ok(metadata) if metadata.uid() == geteuid().as_raw() => Ok(true),
            Ok(metadata) => {
                if !self.told.swap(true, Ordering::Relaxed) {
                    let (path, owner) = (path.display(), metadata.uid());
                    tracing::warn!(%path, owner, "MIT's replay cache is another user's and is not used");
                }
                Ok(false)
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(cause) => Err(MitReplayError::Io {
                path: path.to_owned(),
                doing: "look for",
                cause,
            }),
        }
    }

    /// The file, locked; `None` if it vanished and need not be there.
    fn open(&self, path: &Path) -> Result<Option<File>, MitReplayError> {
        let fails = |doing| {
            let path = path.to_owned();
            move |cause| MitReplayError::Io { path, doing, cause }
        };
        let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        let flags = flags
            | match self.place {
                Place::File(_) => OFlags::CREATE,
                Place::Users { made: true, .. } => OFlags::CREATE | OFlags::NOFOLLOW,
                Place::Users { made: false, .. } => OFlags::NOFOLLOW,
            };
        let end = Instant::now() + PATIENCE;
        loop {
            let file = match openat(CWD, path, flags, Mode::RUSR | Mode::WUSR) {
                Ok(file) => File::from(file),
                Err(rustix::io::Errno::NOENT) if !flags.contains(OFlags::CREATE) => {
                    return Ok(None);
                }
                Err(rustix::io::Errno::LOOP) => return Err(MitReplayError::Kind(path.to_owned())),
                Err(error) => return Err(fails("open")(error.into())),
            };
            self.check(path, &file)?;
            lock(&file, Lock::Exclusive).map_err(fails("lock"))?;
            // What was removed while we waited is nobody's any more.
            if file.metadata().map_err(fails("look at"))?.nlink() > 0 {
                return Ok(Some(file));
            }
            if Instant::now() > end {
                return Err(fails("keep")(ErrorKind::NotFound.into()));
            }
        }
    }

    fn check(&self, path: &Path, file: &File) -> Result<(), MitReplayError> {
        let metadata = file.metadata().map_err(|cause| MitReplayError::Io {
            path: path.to_owned(),
            doing: "look at",
            cause,
        })?;
        if !metadata.is_file() {
            return Err(MitReplayError::Kind(path.to_owned()));
        }
        let (owner, user) = (metadata.uid(), geteuid().as_raw());
        if matches!(self.place, Place::Users { .. }) && owner != user {
            let path = path.to_owned();
            return Err(MitReplayError::Owner { path, owner, user });
        }
        Ok(())
    }
}

impl ReplayCache for MitReplay {
    fn record(
        &self,
        tag: &[u8; 12],
        ctime: Timestamp,
        now: Timestamp,
    ) -> Result<(), ReplayCacheError> {
        match self.store(Tag::from_bytes(*tag), ctime, now) {
            Ok(true) => Ok(()),
            Ok(false) => Err(ReplayCacheError::Seen),
            Err(error) => Err(ReplayCacheError::Failed(Box::new(error))),
        }
    }
}

fn seconds(time: Timestamp) -> u32 {
    u32::try_from(time.seconds().max(1)).unwrap_or(u32::MAX)
}

/// The file's seed; a file that has none yet begins with a fresh one.
fn seed(file: &File) -> io::Result<[u8; SEED_LENGTH]> {
    let mut seed = [0; SEED_LENGTH];
    if read(file, 0, &mut seed)? < SEED_LENGTH {
        SystemRandom.fill(&mut seed);
        write(file, 0, &seed)?;
    }
    Ok(seed)
}

/// As much of `out` as there is at `offset`.
fn read(file: &File, offset: u64, out: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < out.len() {
        match file.read_at(&mut out[filled..], offset + filled as u64) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// Writes all of `bytes`, if no limit answers with a deadly signal.
fn write(file: &File, offset: u64, bytes: &[u8]) -> io::Result<()> {
    let end = offset + bytes.len() as u64;
    if getrlimit(Resource::Fsize)
        .current
        .is_some_and(|limit| end > limit)
    {
        return Err(ErrorKind::FileTooLarge.into());
    }
    file.write_all_at(bytes, offset)
}

/// The process whose thread is at a file, or 0. Locks of fcntl(2) do not keep threads apart, and closing any descriptor of a file
/// gives its lock up. A child of `fork` does not wait for a thread that it does not have: what is not its own number is nobody's.
static HELD_BY: AtomicU32 = AtomicU32::new(0);

struct Threads;

impl Threads {
    fn wait() -> io::Result<Self> {
        let end = Instant::now() + 2 * PATIENCE;
        let this = process::id();
        loop {
            let held_by = HELD_BY.load(Ordering::Relaxed);
            if held_by != this
                && (HELD_BY.compare_exchange(held_by, this, Ordering::Acquire, Ordering::Relaxed))
                    .is_ok()
            {
                return Ok(Self);
            }
            if Instant::now() > end {
                let text = "another thread has been at it for twenty seconds";
                return Err(io::Error::new(ErrorKind::TimedOut, text));
            }
            thread::sleep(Duration::from_micros(50));
        }
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        HELD_BY.store(0, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::process::Command;

    use super::*;

    const SKEW: Duration = Duration::from_secs(300);

    fn tag(number: u32) -> [u8; 12] {
        *Tag::of(&number.to_be_bytes()).bytes()
    }

    fn now() -> Timestamp {
        Timestamp::from_seconds(1_800_000_000)
    }

    fn claim(cache: &MitReplay, number: u32) -> Result<(), ReplayCacheError> {
        cache.record(&tag(number), now(), now())
    }

    fn is_seen(cache: &MitReplay, number: u32) -> bool {
        matches!(claim(cache, number), Err(ReplayCacheError::Seen))
    }

    fn failure(cache: &MitReplay) -> String {
        match claim(cache, 1) {
            Err(ReplayCacheError::Failed(error)) => error.to_string(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_recorded_once_is_seen_by_all_and_the_file_is_its_owners() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("rc");
        let open = || MitReplay::file(path.clone(), SKEW);
        let cache = open();
        for number in 0..1100 {
            claim(&cache, number).unwrap();
        }
        let metadata = fs::metadata(&path).unwrap();
        assert!(metadata.len() > 16384, "the second table");
        assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
        for number in 0..1100 {
            assert!(is_seen(&open(), number), "{number}");
        }
        claim(&cache, 1100).unwrap();
    }

    #[test]
    fn a_record_of_a_clock_ahead_lasts_as_long_as_its_request() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("rc");
        MitReplay::file(path.clone(), SKEW)
            .record(&tag(1), now() + SKEW, now())
            .unwrap();
        let bytes = fs::read(path).unwrap();
        let time = u32::from_be_bytes(*bytes.last_chunk().unwrap());
        assert_eq!(i64::from(time), (now() + SKEW).seconds());
    }

    #[test]
    fn a_users_cache_is_made_where_it_is_asked_for_and_else_used_where_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let usual = MitReplay::users_if_there(dir.path().to_owned(), SKEW);
        claim(&usual, 1).unwrap();
        claim(&usual, 1).unwrap();
        assert!(!usual.path().exists());
        let asked = MitReplay::users(dir.path().to_owned(), SKEW);
        claim(&asked, 1).unwrap();
        let name = format!("krb5_{}.rcache2", geteuid().as_raw());
        assert!(dir.path().join(name).exists());
        assert!(is_seen(&usual, 1), "from now on it is there");
        claim(&usual, 2).unwrap();
        assert!(is_seen(&asked, 2));
    }

    #[test]
    fn what_cannot_answer_is_an_error_that_names_its_path() {
        let dir = tempfile::tempdir().unwrap();
        let cache = MitReplay::file(dir.path().join("none/rc"), SKEW);
        assert!(failure(&cache).contains("none/rc: cannot open"));
        let cache = MitReplay::file(dir.path().to_owned(), SKEW);
        assert!(failure(&cache).contains(dir.path().to_str().unwrap()));
        let target = dir.path().join("target");
        fs::write(&target, b"").unwrap();
        for cache in [
            MitReplay::users(dir.path().to_owned(), SKEW),
            MitReplay::users_if_there(dir.path().to_owned(), SKEW),
        ] {
            let path = cache.path();
            symlink(&target, &path).unwrap();
            let text = failure(&cache);
            assert!(text.contains(path.to_str().unwrap()), "{text}");
            fs::remove_file(&path).unwrap();
            let pipe = rustix::fs::FileType::Fifo;
            rustix::fs::mknodat(CWD, &path, pipe, Mode::RUSR | Mode::WUSR, 0).unwrap();
            let text = failure(&cache);
            assert!(text.contains(path.to_str().unwrap()), "{text}");
            fs::remove_file(&path).unwrap();
        }
        assert_eq!(fs::read(&target).unwrap(), b"", "links are not followed");
    }

    #[test]
    fn anothers_file_stops_who_asked_for_it_and_nobody_else() {
        let dir = tempfile::tempdir().unwrap();
        let asked = MitReplay::users(dir.path().to_owned(), SKEW);
        fs::write(asked.path(), b"").unwrap();
        let other = geteuid().as_raw() + 1;
        if std::os::unix::fs::chown(asked.path(), Some(other), None).is_err() {
            eprintln!("left out: only root can give a file to another user");
            return;
        }
        assert!(failure(&asked).contains(&format!("belongs to uid {other}")));
        let usual = MitReplay::users_if_there(dir.path().to_owned(), SKEW);
        claim(&usual, 1).unwrap();
        claim(&usual, 1).unwrap();
        assert_eq!(fs::read(asked.path()).unwrap(), b"");
    }

    /// What the processes do that the test below starts.
    #[test]
    fn another_process_records() {
        let Ok(path) = std::env::var("HOST_REPLAY") else {
            return;
        };
        let cache = MitReplay::file(path.into(), SKEW);
        thread::scope(|scope| {
            let threads = [0, 1].map(|_| {
                scope.spawn(|| {
                    (0..700)
                        .filter(|number| claim(&cache, *number).is_ok())
                        .count()
                })
            });
            let won: usize = threads.map(|thread| thread.join().unwrap()).iter().sum();
            println!("won {won}.");
        });
    }

    #[test]
    fn of_threads_and_processes_that_race_one_wins() {
        let dir = tempfile::tempdir().unwrap();
        let children = [0; 3].map(|_| {
            Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "--nocapture"])
                .arg("host::mit_replay::tests::another_process_records")
                .env("HOST_REPLAY", dir.path().join("rc"))
                .stdout(process::Stdio::piped())
                .spawn()
                .unwrap()
        });
        let won = children.map(|child| {
            let output = child.wait_with_output().unwrap();
            let text = String::from_utf8(output.stdout).unwrap();
            let (_, rest) = text.split_once("won ").expect("it ran");
            rest.split_once('.').unwrap().0.parse::<usize>().unwrap()
        });
        assert_eq!(won.iter().sum::<usize>(), 700, "{won:?}");
    }
}
