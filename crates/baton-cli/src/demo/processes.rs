//! Processes of the demonstration: started, asked, ended, and none left behind.

use std::env;
use std::error::Error;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, ErrorKind};
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use baton::Environment;
use baton::transfer::{Arrival, Channel};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, kill_process};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use super::part::{self, PATIENCE};
use super::report::Refusal;
use crate::signals::Signals;
use crate::user::User;

/// What has to go when the demonstration ends, however it ends.
#[derive(Clone, Default)]
pub(crate) struct Leftovers(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    processes: Vec<Pid>,
    directories: Vec<PathBuf>,
    /// Everything is being ended, and what fails from now on fails because of that.
    interrupted: bool,
}

impl Leftovers {
    /// From now on an interruption cleans up and ends this process.
    pub(crate) fn watch() -> io::Result<Self> {
        let signals = Signals::new(&[SIGINT, SIGTERM, SIGHUP])?;
        let leftovers = Self::default();
        let theirs = leftovers.clone();
        thread::Builder::new().spawn(move || {
            while signals.take().is_empty() {
                let _ = poll(&mut [PollFd::new(&signals, PollFlags::IN)], None);
            }
            theirs.remove();
            eprintln!("baton: interrupted");
            std::process::exit(130);
        })?;
        Ok(leftovers)
    }

    pub(crate) fn add_directory(&self, path: &Path) {
        self.lock().directories.push(path.to_owned());
    }

    /// Does not come back if an interruption is ending this process.
    pub(crate) fn stand_aside(&self) {
        while self.lock().interrupted {
            thread::park();
        }
    }

    fn remove(&self) {
        let (processes, directories) = {
            let mut inner = self.lock();
            inner.interrupted = true;
            (inner.processes.clone(), inner.directories.clone())
        };
        // A front door ends at once at the second time.
        for _ in 0..2 {
            for pid in &processes {
                let _ = kill_process(*pid, Signal::TERM);
            }
            thread::sleep(Duration::from_millis(200));
        }
        for directory in &directories {
            let _ = fs::remove_dir_all(directory);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A process of ours, which ends with this value.
pub(crate) struct Process {
    child: Child,
    leftovers: Leftovers,
}

impl Process {
    /// Starts this program anew, with an environment of nothing but `variables`, as `user` if there is one.
    fn start(
        leftovers: &Leftovers,
        user: Option<&User>,
        prepare: impl Fn(&mut Command) -> io::Result<()>,
    ) -> io::Result<Self> {
        let program = env::current_exe()?;
        let spawn = |program: OsString| {
            let mut command = Command::new(program);
            command.arg0("baton").env_clear().current_dir("/");
            command.envs(env::var_os("PATH").map(|path| ("PATH", path)));
            prepare(&mut command)?;
            if let Some(User { uid, gid }) = user {
                command.uid(*uid).gid(*gid);
            }
            command.spawn()
        };
        // Held until the process is listed: an interruption in between would leave it running.
        let mut inner = leftovers.lock();
        if inner.interrupted {
            return Err(ErrorKind::Interrupted.into());
        }
        let child = match spawn(program.as_os_str().to_owned()) {
            // The user may not be allowed into the program's directory; the program itself, opened by us, can be started.
            Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                let program = File::open(&program)?;
                spawn(format!("/proc/self/fd/{}", program.as_raw_fd()).into())?
            }
            other => other?,
        };
        inner.processes.push(Pid::from_child(&child));
        drop(inner);
        Ok(Self {
            child,
            leftovers: leftovers.clone(),
        })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: Signal) -> io::Result<()> {
        Ok(kill_process(Pid::from_child(&self.child), signal)?)
    }

    /// Waits for its end.
    fn wait(&mut self, patience: Duration) -> Option<i32> {
        let deadline = Instant::now() + patience;
        while Instant::now() < deadline {
            if let Ok(Some(status)) = self.child.try_wait() {
                return status.code();
            }
            thread::sleep(Duration::from_millis(10));
        }
        None
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let pid = Pid::from_child(&self.child);
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = self.signal(Signal::TERM);
            if self.wait(Duration::from_millis(500)).is_none() {
                let _ = self.signal(Signal::TERM);
                if self.wait(Duration::from_secs(3)).is_none() {
                    let _ = self.child.kill();
                    let _ = self.child.wait();
                }
            }
        }
        self.leftovers.lock().processes.retain(|one| *one != pid);
    }
}

/// The service.
pub(crate) struct Echo {
    pub(crate) process: Process,
    pub(crate) address: SocketAddr,
}

impl Echo {
    pub(crate) fn start(
        leftovers: &Leftovers,
        user: Option<&User>,
    ) -> Result<Self, Box<dyn Error>> {
        let mut process = Process::start(leftovers, user, |command| {
            command.args(["demo-part", "--echo"]);
            command.stdin(Stdio::piped()).stdout(Stdio::piped());
            Ok(())
        })?;
        let output = process.child.stdout.take().ok_or("no output")?;
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line)?;
        let address = line
            .trim()
            .parse()
            .map_err(|_| "the service does not start")?;
        Ok(Self { process, address })
    }
}

/// `baton serve`, and what it logs.
pub(crate) struct Door {
    pub(crate) process: Process,
    pub(crate) address: SocketAddr,
    log: Arc<Mutex<Vec<String>>>,
}

impl Door {
    pub(crate) fn start(
        leftovers: &Leftovers,
        krb5_conf: &Path,
        arguments: &[OsString],
    ) -> Result<Self, Box<dyn Error>> {
        let mut process = Process::start(leftovers, None, |command| {
            command.args(["serve", "--listen", "127.0.0.1:0"]);
            command.args(arguments);
            command.env("KRB5_CONFIG", krb5_conf);
            command
                .env("RUST_LOG", "error,serve=info")
                .env("NO_COLOR", "1");
            command.stdin(Stdio::null()).stderr(Stdio::piped());
            Ok(())
        })?;
        let output = process.child.stderr.take().ok_or("no log")?;
        let log = Arc::new(Mutex::new(Vec::new()));
        let ours = Arc::clone(&log);
        thread::Builder::new().spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                log.lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(line);
            }
        })?;
        let mut door = Self {
            process,
            address: SocketAddr::from(([0, 0, 0, 0], 0)),
            log: ours,
        };
        let line = door.wait_for("listening on ", 1)?.remove(0);
        let address = line.rsplit(' ').next().ok_or("no address")?;
        door.address = address.parse()?;
        Ok(door)
    }

    /// What it has logged with `text` in it.
    pub(crate) fn lines(&self, text: &str) -> Vec<String> {
        let log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        log.iter()
            .filter(|line| line.contains(text))
            .cloned()
            .collect()
    }

    /// The same, once there are `count` of them.
    pub(crate) fn wait_for(&self, text: &str, count: usize) -> Result<Vec<String>, String> {
        self.wait_until(text, || {
            Some(self.lines(text)).filter(|lines| lines.len() >= count)
        })
    }

    /// The first line with one of two texts in it.
    pub(crate) fn wait_for_either(&self, texts: [&str; 2]) -> Result<String, String> {
        let line = || texts.into_iter().find_map(|text| self.lines(text).pop());
        self.wait_until(&texts.join("` or `"), line)
    }

    fn wait_until<T>(&self, what: &str, ask: impl Fn() -> Option<T>) -> Result<T, String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(found) = ask() {
                return Ok(found);
            }
            if Instant::now() > deadline {
                let all = self.lines("").join("\n  ");
                return Err(format!(
                    "the front door did not say `{what}` in time; it said:\n  {all}"
                ));
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Tells it to end, and whether it ended well.
    pub(crate) fn end(mut self) -> Result<String, String> {
        let told = self.process.signal(Signal::TERM);
        told.map_err(|error| error.to_string())?;
        match self.process.wait(PATIENCE) {
            Some(0) => Ok("it waited for its last conversation, and so did its workers".to_owned()),
            other => Err(format!("the front door ended with {other:?}")),
        }
    }
}

/// A process that can hold a context.
pub(crate) struct Holder {
    pub(crate) process: Process,
    pub(crate) channel: Channel,
    env: Environment,
}

impl Holder {
    /// One that shares the once-store in `store`, and accepts with `keytab`.
    pub(crate) fn start(
        leftovers: &Leftovers,
        env: &Environment,
        user: Option<&User>,
        store: &Path,
        keytab: Option<&Path>,
    ) -> io::Result<Self> {
        let (channel, theirs) = Channel::pair()?;
        let theirs = theirs.into_descriptor();
        let process = Process::start(leftovers, user, |command| {
            command.args(["demo-part", "--store"]).arg(store);
            if let Some(keytab) = keytab {
                command.arg("--keytab").arg(keytab);
            }
            command.env("RUST_LOG", "off");
            command.stdin(Stdio::from(theirs.try_clone()?));
            Ok(())
        })?;
        Ok(Self {
            process,
            channel,
            env: env.clone(),
        })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Gives an order and waits for the answer.
    pub(crate) fn ask(&self, order: u8, bytes: &[u8]) -> Result<Vec<u8>, Refusal> {
        self.channel.send_note(&[&[order], bytes].concat(), &[])?;
        self.answer()
    }

    /// The answer.
    pub(crate) fn answer(&self) -> Result<Vec<u8>, Refusal> {
        let gone = |reason: &str| Refusal {
            status: "no answer".to_owned(),
            reason: reason.to_owned(),
        };
        let patience = Timespec {
            tv_sec: PATIENCE.as_secs().cast_signed(),
            tv_nsec: 0,
        };
        let mut fds = [PollFd::new(&self.channel, PollFlags::IN)];
        if !matches!(poll(&mut fds, Some(&patience)), Ok(1..)) {
            return Err(gone("the process says nothing"));
        }
        match self.channel.receive(&self.env)? {
            Arrival::Note(note) => part::decode(&note.bytes),
            _ => Err(gone("the process has ended")),
        }
    }
}

/// A line of `/proc/PID/status`.
pub(crate) fn status(pid: u32, field: &str) -> Option<String> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    Some(line?.trim().to_owned())
}

/// The effective user of a process, by name where `/etc/passwd` has one.
pub(crate) fn user_of(pid: u32) -> (Option<u32>, String) {
    let uid = status(pid, "Uid").and_then(|ids| ids.split_whitespace().nth(1)?.parse().ok());
    let Some(uid) = uid else {
        return (None, "?".to_owned());
    };
    let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let name = passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    });
    (Some(uid), name.unwrap_or_else(|| uid.to_string()))
}
