//! A worker: carries conversations that the front door hands it, and holds no key but theirs.

pub(crate) mod conversation;
mod event_loop;
mod handover;
pub(crate) mod relay;
pub(crate) mod service;

use std::error::Error;
use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use rustix::process::{DumpableBehavior, geteuid, set_dumpable_behavior, setsid};
use rustix::thread::set_no_new_privs;

use self::conversation::Rules;
use self::event_loop::EventLoop;
use self::service::Target;
use crate::limits::raise_descriptor_limit;
use crate::user::{User, UserError};

/// What the front door starts a worker with. Standard input is the socket that connections arrive on, standard output the one
/// for orders and reports.
#[derive(Args, Clone, Debug)]
pub(crate) struct WorkerArgs {
    /// Names the worker in the log
    #[arg(long)]
    pub(crate) name: String,
    /// The user to become
    #[arg(long, requires = "gid")]
    pub(crate) uid: Option<u32>,
    /// The group to become
    #[arg(long, requires = "uid")]
    pub(crate) gid: Option<u32>,
    /// The longest frame taken from a client
    #[arg(long)]
    pub(crate) max_frame: usize,
    /// Seconds of silence after which a conversation ends; 0: never
    #[arg(long)]
    pub(crate) idle_timeout: u64,
    /// An address of the service
    #[arg(long)]
    pub(crate) forward: Vec<SocketAddr>,
    /// The service's socket
    #[arg(long)]
    pub(crate) unix: Option<PathBuf>,
    /// Tell the service of its client
    #[arg(long)]
    pub(crate) unix_header: bool,
    /// A program for each conversation
    #[arg(last = true)]
    pub(crate) program: Vec<OsString>,
}

impl WorkerArgs {
    /// The arguments that say the same.
    pub(crate) fn to_arguments(&self) -> Vec<OsString> {
        let mut out: Vec<OsString> = [
            "worker".to_owned(),
            format!("--name={}", self.name),
            format!("--max-frame={}", self.max_frame),
            format!("--idle-timeout={}", self.idle_timeout),
        ]
        .map(OsString::from)
        .into();
        if let Some(User { uid, gid }) = self.user() {
            out.extend([format!("--uid={uid}").into(), format!("--gid={gid}").into()]);
        }
        out.extend(self.forward.iter().map(|a| format!("--forward={a}").into()));
        if let Some(path) = &self.unix {
            let mut argument = OsString::from("--unix=");
            argument.push(path);
            out.push(argument);
        }
        if self.unix_header {
            out.push("--unix-header".into());
        }
        if !self.program.is_empty() {
            out.push("--".into());
            out.extend(self.program.iter().cloned());
        }
        out
    }

    fn user(&self) -> Option<User> {
        let (uid, gid) = (self.uid?, self.gid?);
        Some(User { uid, gid })
    }

    fn rules(&self) -> Rules {
        let target = if let Some(path) = &self.unix {
            Target::Unix {
                path: path.clone(),
                header: self.unix_header,
            }
        } else if !self.program.is_empty() {
            Target::Program(self.program.clone())
        } else {
            Target::Forward(self.forward.clone())
        };
        Rules {
            target,
            max_token: self.max_frame,
            idle: (self.idle_timeout > 0).then(|| Duration::from_secs(self.idle_timeout)),
        }
    }
}

/// Carries conversations until the front door and the clients have done with it.
pub(crate) fn run(args: &WorkerArgs) -> Result<(), Box<dyn Error>> {
    // We were started as root, because a process of the workers' user could be traced by that user's others before its first
    // instruction. The kernel makes one that changes its user not dumpable, so there is no such moment.
    if let Some(user) = args.user() {
        user.become_it()?;
    }
    if geteuid().is_root() {
        return Err(UserError::Root.into());
    }
    // What the front door's terminal sends its group, as at ^C, is not for us nor for the programs we start; and neither of us
    // has any business with that terminal.
    setsid()?;
    set_no_new_privs(true)?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    raise_descriptor_limit();
    let passing = take_over(&io::stdin())?;
    let control = take_over(&io::stdout())?;
    let nothing = File::options().read(true).write(true).open("/dev/null")?;
    rustix::stdio::dup2_stdin(&nothing)?;
    rustix::stdio::dup2_stdout(&nothing)?;
    EventLoop::new(args.name.clone(), args.rules(), passing, control)?.run()?;
    Ok(())
}

/// A descriptor of our own for what a standard one names, so that it can be closed.
fn take_over(standard: &impl AsFd) -> io::Result<OwnedFd> {
    standard.as_fd().try_clone_to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Parse {
        #[command(flatten)]
        args: WorkerArgs,
    }

    #[test]
    fn arguments_say_what_they_were_made_from() {
        let plain = WorkerArgs {
            name: "1.2".to_owned(),
            uid: None,
            gid: None,
            max_frame: 5,
            idle_timeout: 0,
            forward: vec![],
            unix: None,
            unix_header: false,
            program: vec![],
        };
        let forward = WorkerArgs {
            forward: vec!["127.0.0.1:5".parse().unwrap(), "[::1]:5".parse().unwrap()],
            ..plain.clone()
        };
        let unix = WorkerArgs {
            unix: Some("-odd path".into()),
            unix_header: true,
            idle_timeout: 7,
            uid: Some(65_534),
            gid: Some(65_533),
            ..plain.clone()
        };
        let program = WorkerArgs {
            program: ["cat", "-u", "--", "x"].map(OsString::from).into(),
            ..plain
        };
        for args in [forward, unix, program] {
            let arguments = args.to_arguments();
            let again = Parse::try_parse_from(arguments).unwrap().args;
            assert_eq!(format!("{again:?}"), format!("{args:?}"));
            assert_eq!(again.rules().target, args.rules().target);
        }
    }
}
