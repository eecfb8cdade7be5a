//! `baton demo` as a whole: all is as it must be, as root and as another user, and nothing stays behind.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, geteuid, kill_process};

const NOBODY: u32 = 65534;

/// The demonstration, with a directory for temporary files of its own.
fn demo(temporary: &Path, program: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .args(["demo", "--conversations", "40"])
        .env("TMPDIR", temporary)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn directory() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    fs::set_permissions(&directory, PermissionsExt::from_mode(0o1777)).unwrap();
    directory
}

/// All went well, and each kind of attempt was refused.
fn succeeds(mut command: Command) -> String {
    let output = command.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}\n{error}");
    assert!(!text.contains("WRONG"), "{text}");
    for part in [
        "ok       40 conversations of 4 users",
        "all 24 open conversations changed hands again",
        "refused  a token of ",
        "refused  the same token again, in another process ",
        "refused  a token after its time",
        "GSS_S_UNAUTHORIZED: ",
        "refused  a client's request, recorded and sent again to the front door",
        "seen before",
        "takes it back by its own token",
        "no key is left in the memory of process ",
        "export and import through the once-store",
        " claims held, in ",
    ] {
        assert!(text.contains(part), "no {part:?} in {text}");
    }
    text
}

/// The processes that it told of and that are still there.
fn alive(text: &str) -> Vec<u32> {
    let numbers = text.split("process ").skip(1).filter_map(|rest| {
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        digits.parse::<u32>().ok()
    });
    let is_alive = |number: &u32| {
        let command = fs::read(format!("/proc/{number}/cmdline")).unwrap_or_default();
        // Numbers are given to others soon.
        String::from_utf8_lossy(&command).contains("baton")
    };
    numbers.filter(is_alive).collect()
}

#[test]
fn all_is_as_it_must_be_and_nothing_stays_behind() {
    let temporary = directory();
    let text = succeeds(demo(
        temporary.path(),
        Path::new(env!("CARGO_BIN_EXE_baton")),
    ));
    assert_eq!(fs::read_dir(&temporary).unwrap().count(), 0);
    if geteuid().is_root() {
        assert!(text.contains(" of user nobody"), "{text}");
        assert!(text.contains("workers cannot read the keytab"), "{text}");
    }
    assert_eq!(alive(&text), []);
}

#[test]
fn an_ordinary_user_can_run_it() {
    if !geteuid().is_root() {
        eprintln!("not root: the other test is this one");
        return;
    }
    let (place, temporary) = (directory(), directory());
    let program = place.path().join("baton");
    fs::copy(env!("CARGO_BIN_EXE_baton"), &program).unwrap();
    let mut command = demo(temporary.path(), &program);
    command.uid(NOBODY).gid(NOBODY).current_dir("/");
    let text = succeeds(command);
    assert!(text.contains("(not started as root"), "{text}");
    assert_eq!(fs::read_dir(&temporary).unwrap().count(), 0);
    assert_eq!(alive(&text), []);
}

#[test]
fn an_interrupted_one_cleans_up() {
    let temporary = directory();
    let mut child: Child = Command::new(env!("CARGO_BIN_EXE_baton"))
        .args(["demo", "--conversations", "100000"])
        .env("TMPDIR", temporary.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let said: Vec<String> = lines
        .map_while(Result::ok)
        .take_while(|line| line != "Conversations")
        .collect();
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert_eq!(fs::read_dir(&temporary).unwrap().count(), 0);
    // Its processes end when they notice.
    let deadline = Instant::now() + Duration::from_secs(5);
    let text = said.join("\n");
    assert!(text.contains("front door  process "), "{text}");
    while !alive(&text).is_empty() {
        assert!(Instant::now() < deadline, "{text}");
        thread::sleep(Duration::from_millis(50));
    }
}
