//! Worker processes: started as another user, replaced when they end, a whole generation at once when told to.

use std::env;
use std::io::{self, ErrorKind};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Instant;

use baton::transfer::Channel;
use rustix::process::{Pid, Signal, kill_process};

use crate::control;
use crate::user::User;
use crate::worker::WorkerArgs;

/// What of our environment workers get, and the programs they start.
const PASSED_ON: [&str; 7] = [
    "PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "RUST_LOG", "NO_COLOR",
];

/// How workers are started.
pub(crate) struct Starter {
    program: PathBuf,
    pub(crate) user: Option<User>,
    pub(crate) args: WorkerArgs,
}

/// A worker, seen from the front door.
pub(crate) struct Worker {
    pub(crate) name: String,
    pub(crate) generation: u64,
    pub(crate) pid: Pid,
    /// Closed when nothing more is handed to it.
    pub(crate) passing: Option<Channel>,
    pub(crate) control: OwnedFd,
    pub(crate) started: Instant,
    pub(crate) is_ready: bool,
    carried: u32,
    received: u64,
    sent: u64,
    /// Connections whose sending failed when part of it may have reached the worker.
    failed: u64,
    /// It said what cannot be, and nothing it says counts any more.
    is_condemned: bool,
}

impl Starter {
    pub(crate) fn new(user: Option<User>, args: WorkerArgs) -> io::Result<Self> {
        Ok(Self {
            // Kept by name: after an upgrade the name leads to the new program.
            program: env::current_exe()?,
            user,
            args,
        })
    }

    /// Starts a worker.
    pub(crate) fn start(&self, generation: u64, number: u16) -> io::Result<Worker> {
        let name = format!("{generation}.{number}");
        let (passing, theirs) = Channel::pair()?;
        passing.set_nonblocking(true)?;
        let (control, orders) = control::pair()?;
        let ends = [theirs.into_descriptor(), orders];
        let args = WorkerArgs {
            name: name.clone(),
            uid: self.user.as_ref().map(|user| user.uid),
            gid: self.user.as_ref().map(|user| user.gid),
            ..self.args.clone()
        };
        let pid = self.spawn(&args, &ends)?;
        Ok(Worker {
            name,
            generation,
            pid,
            passing: Some(passing),
            control,
            started: Instant::now(),
            is_ready: false,
            carried: 0,
            received: 0,
            sent: 0,
            failed: 0,
            is_condemned: false,
        })
    }

    fn spawn(&self, args: &WorkerArgs, ends: &[OwnedFd; 2]) -> io::Result<Pid> {
        let [passing, control] = ends;
        let mut command = Command::new(&self.program);
        command
            .arg0("baton")
            .args(args.to_arguments())
            .env_clear()
            .envs(
                PASSED_ON
                    .iter()
                    .filter_map(|name| Some((name, env::var_os(name)?))),
            )
            .current_dir("/")
            .stdin(Stdio::from(passing.try_clone()?))
            .stdout(Stdio::from(control.try_clone()?));
        let child = command.spawn()?;
        Pid::from_raw(child.id() as i32).ok_or_else(|| ErrorKind::InvalidData.into())
    }
}

impl Worker {
    /// How many connections it has, those on their way to it included.
    pub(crate) fn load(&self) -> usize {
        self.carried as usize + self.sent.saturating_sub(self.received) as usize
    }

    /// How many connections it has been handed.
    pub(crate) fn sent(&self) -> u64 {
        self.sent
    }

    /// Notes what it reports, unless that cannot be: it has received no fewer than before, and no more than it was sent.
    #[must_use]
    pub(crate) fn note_load(&mut self, carried: u32, received: u64) -> bool {
        let can_be = (self.received..=self.sent + self.failed).contains(&received);
        if can_be {
            (self.carried, self.received) = (carried, received);
        }
        can_be
    }

    /// Notes that sending it a connection failed.
    pub(crate) fn note_failed(&mut self) {
        self.failed += 1;
    }

    /// Whether what it says counts.
    pub(crate) fn is_believed(&self) -> bool {
        !self.is_condemned
    }

    /// Ends it, and hands it nothing more.
    pub(crate) fn condemn(&mut self) {
        self.is_condemned = true;
        self.is_ready = false;
        self.passing = None;
        self.kill();
    }

    /// Notes that a connection is on its way to it.
    pub(crate) fn note_sent(&mut self) {
        self.sent += 1;
    }

    /// Ends it at once. It has not been waited for, so its number is still its own.
    pub(crate) fn kill(&self) {
        if let Err(error) = kill_process(self.pid, Signal::KILL) {
            tracing::error!(target: "serve", "worker {} cannot be ended: {error}", self.name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_believed_only_if_it_can_be() {
        let (control, _theirs) = control::pair().unwrap();
        let mut worker = Worker {
            name: "1.0".to_owned(),
            generation: 1,
            pid: rustix::process::getpid(),
            passing: None,
            control,
            started: Instant::now(),
            is_ready: true,
            carried: 0,
            received: 0,
            sent: 0,
            failed: 0,
            is_condemned: false,
        };
        assert!(!worker.note_load(0, 1), "it was sent nothing");
        worker.note_sent();
        worker.note_sent();
        assert_eq!(worker.load(), 2);
        assert!(worker.note_load(2, 2));
        assert!(!worker.note_load(1, 1), "it received two before");
        assert!(!worker.note_load(0, 3));
        assert!(!worker.note_load(0, u64::MAX));
        assert_eq!(worker.load(), 2, "what cannot be changes nothing");
        // Part of what failed may have come as something that could not be used.
        worker.note_failed();
        assert!(worker.note_load(1, 3));
        assert!(!worker.note_load(1, 4));
        assert_eq!(worker.load(), 1);
    }
}
