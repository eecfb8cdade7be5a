//! Who holds what: workers run as another user, hold no keytab and no way to it.

mod setting;

use std::fs;
use std::process::Command;

use rustix::process::geteuid;
use setting::{echo_service, setting};

/// A line of `/proc/PID/status`.
fn status(pid: rustix::process::Pid, field: &str) -> String {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(field));
    line.unwrap().trim_start_matches(':').trim().to_owned()
}

#[test]
fn workers_are_another_user_without_privileges() {
    let setting = setting();
    let door = setting.serve([&format!("--forward={}", echo_service())]);
    let mut client = setting.connect(&door);
    client.echo(b"x");
    let workers = door.workers(1);
    assert_eq!(workers.len(), 2);
    for worker in workers {
        assert_eq!(status(worker, "NoNewPrivs"), "1");
        if !geteuid().is_root() {
            continue;
        }
        let users: Vec<u32> = status(worker, "Uid")
            .split_whitespace()
            .map(|id| id.parse().unwrap())
            .collect();
        assert!(
            users.iter().all(|user| *user == users[0] && *user != 0),
            "{users:?}"
        );
        let groups = status(worker, "Gid");
        assert!(
            groups.split_whitespace().all(|group| group != "0"),
            "{groups}"
        );
        assert_eq!(status(worker, "Groups"), "");
        for capabilities in ["CapPrm", "CapEff", "CapAmb"] {
            assert_eq!(
                u64::from_str_radix(&status(worker, capabilities), 16),
                Ok(0)
            );
        }
        // Not dumpable: what is below /proc belongs to root, whatever the worker's user is.
        use std::os::unix::fs::MetadataExt;
        assert_eq!(
            fs::metadata(format!("/proc/{worker}/environ"))
                .unwrap()
                .uid(),
            0
        );
    }
}

/// The front door, root, starts a worker as root, which becomes another user first of all; without being told whom, it ends.
#[test]
fn a_worker_does_not_stay_root() {
    if !geteuid().is_root() {
        eprintln!("not root: there is nobody to become");
        return;
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_baton"));
    command.args([
        "worker",
        "--name=1.0",
        "--max-frame=9",
        "--idle-timeout=0",
        "--",
        "cat",
    ]);
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{said}");
    assert!(said.contains("workers must not run as root"), "{said}");
}

#[test]
fn a_worker_has_neither_the_keytab_nor_the_listener() {
    let setting = setting();
    let keytab = fs::canonicalize(setting.realm.keytab()).unwrap();
    let door = setting.serve([&format!("--forward={}", echo_service())]);
    let mut client = setting.connect(&door);
    client.echo(b"x");
    let listening = inode_of_listener(door.address.port());
    let holds = |pid: rustix::process::Pid| -> Vec<String> {
        let entries = fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
        let name = |entry: std::io::Result<fs::DirEntry>| {
            let target = fs::read_link(entry.ok()?.path()).ok()?;
            Some(target.to_string_lossy().into_owned())
        };
        entries.filter_map(name).collect()
    };
    assert!(holds(door.pid()).contains(&listening), "the door listens");
    for worker in door.workers(1) {
        if !geteuid().is_root() {
            // Nobody but root sees into a process that is not dumpable, not even its own user.
            let refused = fs::read_dir(format!("/proc/{worker}/fd")).map(drop);
            assert_eq!(
                refused.map_err(|error| error.kind()),
                Err(std::io::ErrorKind::PermissionDenied)
            );
            continue;
        }
        let held = holds(worker);
        assert!(
            held.iter().all(|name| *name != keytab.to_string_lossy()),
            "{held:?}"
        );
        assert!(
            held.iter().all(|name| !name.contains("baton-")),
            "no once-store: {held:?}"
        );
        assert!(!held.contains(&listening));
        let maps = fs::read_to_string(format!("/proc/{worker}/maps")).unwrap();
        assert!(!maps.contains("/dev/shm") && !maps.contains("/run/baton"));
        let environ = fs::read(format!("/proc/{worker}/environ")).unwrap();
        assert!(!String::from_utf8_lossy(&environ).contains("KRB5"));
    }
}

/// A descriptor that the front door was started with would be the workers', too.
#[test]
fn an_inherited_descriptor_is_told_of_and_a_private_file_refused() {
    let setting = setting();
    let keytab = setting.realm.keytab().display().to_string();
    let start = |redirection: &str| {
        let script = format!("exec {redirection}; exec \"$@\"");
        let mut command = Command::new("sh");
        command.args(["-c", &script, "sh", env!("CARGO_BIN_EXE_baton"), "serve"]);
        command.args(["--listen=127.0.0.1:0", "--keytab", &keytab, "--", "cat"]);
        command
    };
    let door = setting.start(start("7</dev/null"));
    let told = |number: u32, name: &str| format!("descriptor {number} is open ({name})");
    door.wait_for(&told(7, "/dev/null"));
    setting.connect(&door).echo(b"x");
    if geteuid().is_root() {
        let output = start(&format!("8<{keytab}"))
            .env("KRB5_CONFIG", setting.realm.krb5_conf())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{said}");
        assert!(said.contains(&told(8, &keytab)), "{said}");
        assert!(said.contains("`8<&-`"), "{said}");
    } else {
        let door = setting.start(start(&format!("8<{keytab}")));
        door.wait_for(&told(8, &keytab));
    }
}

fn inode_of_listener(port: u16) -> String {
    let table = fs::read_to_string("/proc/net/tcp").unwrap();
    let local = format!("0100007F:{port:04X}");
    let inode = table.lines().find_map(|line| {
        let fields: Vec<_> = line.split_whitespace().collect();
        (fields[1] == local && fields[3] == "0A").then(|| fields[9].to_owned())
    });
    format!("socket:[{}]", inode.unwrap())
}

/// What a worker would see, a program that it starts sees: the same user, the same privileges.
#[test]
fn the_workers_user_cannot_read_the_keytab() {
    if !geteuid().is_root() {
        eprintln!("not root: workers are the same user");
        return;
    }
    let setting = setting();
    let keytab = setting.realm.keytab().display().to_string();
    let script = format!("id -u; cat {keytab} >/dev/null 2>&1 && echo readable || echo refused");
    let door = setting.serve(["--", "sh", "-c", &script]);
    let mut client = setting.connect(&door);
    client.finish();
    let said = String::from_utf8(client.receive_all()).unwrap();
    let [user, access] = said.lines().collect::<Vec<_>>()[..] else {
        panic!("{said}");
    };
    assert_ne!(user, "0");
    assert_eq!(access, "refused");
}
