//! A server of another project, as Debian packages it, that runs for one test and never longer than it.

use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Ends the server when standard input ends, and so with the test process, however that ends. One that does not end when it is asked
/// to is killed.
const GUARD: &str = r#"
exec 3<&0
"$@" </dev/null 3<&- & server=$!
( read -r _ <&3; kill -TERM $server; i=0
  while kill -0 $server 2>/dev/null && [ $i -lt 50 ]; do sleep 0.1; i=$((i+1)); done
  kill -KILL $server ) 2>/dev/null &
wait $server
"#;

/// A running server; it ends with this value.
pub struct Daemon {
    guard: Child,
    log: PathBuf,
}

impl Daemon {
    /// Starts `command`; what it says goes to the file `log`. It must stay in the foreground.
    pub fn start(command: &Command, log: &Path) -> Self {
        let output = fs::File::create(log).expect("the server's log");
        let errors = output.try_clone().expect("the server's log");
        let mut guarded = Command::new("/bin/sh");
        guarded.args(["-c", GUARD, "guard"]);
        guarded.arg(command.get_program()).args(command.get_args());
        guarded.env_clear();
        for (name, value) in command.get_envs() {
            if let Some(value) = value {
                guarded.env(name, value);
            }
        }
        if let Some(directory) = command.get_current_dir() {
            guarded.current_dir(directory);
        }
        let guard = guarded
            .stdin(Stdio::piped())
            .stdout(output)
            .stderr(errors)
            .spawn()
            .expect("a shell starts");
        Self {
            guard,
            log: log.to_owned(),
        }
    }

    /// Waits until it listens on `port` of 127.0.0.1. Panics, with what it said, if it ends instead.
    pub fn listening(self, port: u16) -> Self {
        self.ready(|| TcpStream::connect(("127.0.0.1", port)).is_ok())
    }

    /// Waits until `there`.
    pub fn ready(mut self, there: impl Fn() -> bool) -> Self {
        let deadline = Instant::now() + Duration::from_secs(60);
        while !there() {
            if let Some(status) = self.guard.try_wait().expect("the server's state") {
                panic!("the server ended at once ({status}): {}", self.said());
            }
            assert!(
                Instant::now() < deadline,
                "the server is not ready: {}",
                self.said()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
        self
    }

    /// What it has said.
    pub fn said(&self) -> String {
        fs::read(&self.log)
            .map(|text| String::from_utf8_lossy(&text).into_owned())
            .unwrap_or_default()
    }

    /// The shared objects whose names contain `name` that it and its descendants have loaded now.
    pub fn loaded(&self, name: &str) -> Vec<String> {
        let mut found = Vec::new();
        for process in descendants(self.guard.id()) {
            // One that has just ended has none.
            let maps = fs::read_to_string(format!("/proc/{process}/maps")).unwrap_or_default();
            let paths = maps
                .lines()
                .filter_map(|line| line.split_ascii_whitespace().nth(5));
            found.extend(paths.filter(|path| path.contains(name)).map(str::to_owned));
        }
        found.sort();
        found.dedup();
        found
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        drop(self.guard.stdin.take());
        let _ = self.guard.wait();
    }
}

fn descendants(process: u32) -> Vec<u32> {
    let threads = fs::read_dir(format!("/proc/{process}/task"));
    let threads = threads.into_iter().flatten().flatten();
    let children = threads.flat_map(|thread| {
        let children = fs::read_to_string(thread.path().join("children")).unwrap_or_default();
        let numbers = children
            .split_ascii_whitespace()
            .map(|number| number.parse());
        numbers.collect::<Result<Vec<u32>, _>>().unwrap_or_default()
    });
    children
        .flat_map(|child| [vec![child], descendants(child)].concat())
        .collect()
}
