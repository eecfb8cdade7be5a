//! Conversations through `baton serve`: each kind of service, half-closes, large data, both dialects.

mod setting;

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::thread;

use baton::Flags;
use rustix::process::{Signal, kill_process_group};
use setting::{all_flags, echo_service, open_to_all, pattern, setting, unix_echo_service};

#[test]
fn data_goes_to_a_tcp_service_and_back() {
    let setting = setting();
    let service = echo_service();
    let mut door = setting.serve(["--workers=3", &format!("--forward={service}")]);
    for round in 0..6 {
        let mut client = setting.connect(&door);
        client.echo(b"hello");
        client.echo(&pattern(70_000, round));
        client.finish();
        assert_eq!(client.receive(), None);
    }
    // Who came, from where, and which worker has them.
    let lines = door.wait_for_count("alice@EXAMPLE.TEST from 127.0.0.1:", 12);
    for worker in ["1.0", "1.1", "1.2"] {
        let with = format!("is with worker {worker} (process ");
        assert!(lines.iter().any(|line| line.contains(&with)), "{worker}");
    }
    door.wait_for_count(
        "has finished: 70005 bytes to the service, 70005 to the client",
        6,
    );
    door.signal(Signal::TERM);
    assert_eq!(door.wait(), Some(0));
}

#[test]
fn large_data_passes_both_ways_at_once() {
    let setting = setting();
    let service = echo_service();
    let door = setting.serve(["--workers=2", &format!("--forward={service}")]);
    thread::scope(|scope| {
        for seed in 0..4 {
            let (setting, door) = (&setting, &door);
            scope.spawn(move || {
                let sent = pattern(8_000_000 + seed as usize, seed);
                let client = setting.connect(door);
                let received = thread::scope(|inner| {
                    let mut socket = client.socket.try_clone().unwrap();
                    let (context, sent) = (&client.context, &sent);
                    inner.spawn(move || {
                        for part in sent.chunks(48_000) {
                            let token = context.wrap(true, part).unwrap();
                            socket.write_all(&setting::frame(&token)).unwrap();
                        }
                        socket.shutdown(Shutdown::Write).unwrap();
                    });
                    let mut received = Vec::new();
                    let mut socket = &client.socket;
                    while let Some(token) = setting::read_frame(&mut socket).unwrap() {
                        assert!(token.len() <= 66_048, "knc(1) takes no longer frame");
                        received.extend(context.unwrap(&token).unwrap().data);
                    }
                    received
                });
                assert!(received == sent);
            });
        }
    });
}

#[test]
fn a_unix_service_is_told_of_its_client() {
    let setting = setting();
    let path = setting.directory.path().join("service");
    unix_echo_service(&path);
    open_to_all(&path);
    let unix = format!("--unix={}", path.display());
    let door = setting.serve([&unix, "--unix-header"]);
    let mut client = setting.connect(&door);
    let port = client.socket.local_addr().unwrap().port();
    client.send(b"data");
    client.finish();
    let text = String::from_utf8(client.receive_all()).unwrap();
    let (header, data) = text.split_once("\nEND\n").unwrap();
    assert_eq!(data, "data");
    for line in [
        "MECH:krb5",
        "CREDS:alice@EXAMPLE.TEST",
        "REMOTE_IP:127.0.0.1",
        "REMOTE_ADDR:127.0.0.1",
        &format!("REMOTE_PORT:{port}"),
    ] {
        assert!(
            header.lines().any(|other| other == line),
            "{line} in {header}"
        );
    }
    let plain = setting.serve([&unix]);
    setting.connect(&plain).echo(b"no header");
}

#[test]
fn a_full_unix_service_is_waited_for() {
    let setting = setting();
    let path = setting.directory.path().join("service");
    let listener = UnixListener::bind(&path).unwrap();
    rustix::net::listen(&listener, 0).unwrap();
    open_to_all(&path);
    let door = setting.serve(["--workers=1", &format!("--unix={}", path.display())]);
    let mut clients: Vec<_> = (0..6).map(|_| setting.connect(&door)).collect();
    for client in &mut clients {
        client.send(b"x");
    }
    thread::sleep(std::time::Duration::from_millis(300));
    for _ in 0..6 {
        let (mut stream, _) = listener.accept().unwrap();
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        stream.write_all(&byte).unwrap();
    }
    for client in &mut clients {
        assert_eq!(client.receive(), Some(b"x".to_vec()));
    }
}

#[test]
fn a_program_is_started_for_each_client() {
    let setting = setting();
    let script =
        "echo $KNC_MECH $KNC_CREDS $KNC_REMOTE_IP $KNC_REMOTE_PORT; env >&2; cat; echo end";
    let mut door = setting.serve(["--", "sh", "-c", script]);
    let mut ports = Vec::new();
    for round in 0..3 {
        let mut client = setting.connect(&door);
        let port = client.socket.local_addr().unwrap().port();
        let sent = pattern(300_000, round);
        for part in sent.chunks(60_000) {
            client.send(part);
        }
        client.finish();
        let received = client.receive_all();
        let first = format!("krb5 alice@EXAMPLE.TEST 127.0.0.1 {port}\n");
        let expected = [first.as_bytes(), &sent, b"end\n"].concat();
        assert!(
            received == expected,
            "{}",
            String::from_utf8_lossy(&received[..80])
        );
        ports.push(port);
    }
    door.wait_for_count("has finished", 3);
    // Nothing of the front door's world came along.
    door.wait_for("KNC_VERSION=");
    assert!(door.lines().iter().all(|line| !line.starts_with("KRB5")));
    for worker in door.workers(1) {
        let children = format!("/proc/{worker}/task/{worker}/children");
        let waited_for = setting::wait_until(|| {
            std::fs::read_to_string(&children)
                .unwrap()
                .is_empty()
                .then_some(())
        });
        assert!(
            waited_for.is_some(),
            "programs that have ended are waited for"
        );
    }
    door.signal(Signal::TERM);
    assert_eq!(door.wait(), Some(0));
}

#[test]
fn a_program_gets_the_documented_environment_and_no_more() {
    let setting = setting();
    let passed_on = ["LANG", "LC_ALL", "LC_CTYPE", "TZ"];
    let mut command = Command::new("env");
    command.args(passed_on.map(|name| format!("{name}=C")));
    command.args(["RUST_LOG=error,serve=info", "NO_COLOR=1", "SECRET=1"]);
    command.args([env!("CARGO_BIN_EXE_baton"), "serve"]);
    command.args(["--listen=127.0.0.1:0", "--keytab"]);
    command.arg(setting.realm.keytab()).args(["--", "env"]);
    let door = setting.start(command);
    let said = String::from_utf8(setting.connect(&door).receive_all()).unwrap();
    let names: BTreeSet<_> = said
        .lines()
        .filter_map(|line| Some(line.split_once('=')?.0))
        .collect();
    let expected = passed_on.into_iter().chain([
        "PATH",
        "KNC_MECH",
        "KNC_CREDS",
        "KNC_EXPORT_NAME",
        "KNC_REMOTE_IP",
        "KNC_REMOTE_ADDR",
        "KNC_REMOTE_PORT",
        "KNC_VERSION",
    ]);
    assert_eq!(names, expected.collect());
}

#[test]
fn a_program_that_ends_unread_still_has_its_last_word() {
    let setting = setting();
    let door = setting.serve(["--", "sh", "-c", "head -c 3; echo bye"]);
    let mut client = setting.connect(&door);
    for _ in 0..40 {
        client.send(&[b'x'; 5_000]);
    }
    assert_eq!(client.receive_all(), b"xxxbye\n");
    client.finish();
    door.wait_for("has finished");
}

#[test]
fn a_program_or_service_that_is_not_there_is_said_once() {
    let setting = setting();
    let nowhere = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let path = setting.directory.path().join("nowhere");
    for arguments in [
        vec![format!("--forward={nowhere}")],
        vec![format!("--unix={}", path.display())],
        vec!["--".to_owned(), path.display().to_string()],
    ] {
        let door = setting.serve(&arguments);
        let mut client = setting.connect(&door);
        assert!(client.is_broken_off(), "{arguments:?}");
        let lines = door.wait_for_count("the service cannot be reached", 1);
        assert!(lines[0].contains("alice@EXAMPLE.TEST"), "{lines:?}");
        assert_eq!(lines.len(), 1);
        // The worker lives on.
        assert!(setting.connect(&door).is_broken_off());
        door.wait_for_count("the service cannot be reached", 2);
    }
}

#[test]
fn a_half_close_leaves_the_other_direction() {
    let setting = setting();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let door = setting.serve([format!("--forward={}", listener.local_addr().unwrap())]);
    // The client finishes first.
    let mut client = setting.connect(&door);
    let (mut service, _) = listener.accept().unwrap();
    client.send(b"question");
    client.finish();
    let mut text = String::new();
    service.read_to_string(&mut text).unwrap();
    assert_eq!(text, "question");
    service.write_all(b"answer").unwrap();
    drop(service);
    assert_eq!(client.receive_all(), b"answer");
    // The service finishes first.
    let mut client = setting.connect(&door);
    let (mut service, _) = listener.accept().unwrap();
    service.write_all(b"welcome").unwrap();
    service.shutdown(Shutdown::Write).unwrap();
    assert_eq!(client.receive_all(), b"welcome");
    client.send(b"thanks");
    client.finish();
    let mut text = String::new();
    service.read_to_string(&mut text).unwrap();
    assert_eq!(text, "thanks");
    door.wait_for_count("has finished", 2);
}

#[test]
fn the_other_dialect_is_understood_and_answered() {
    let setting = setting();
    let service = echo_service();
    let door = setting.serve([format!("--forward={service}")]);
    let mut client = setting.connect(&door);
    client.send(b"data");
    client.send(b"");
    client.send(b"\x00");
    assert_eq!(client.receive_exactly(4), b"data");
    assert_eq!(client.receive(), Some(vec![]));
    assert_eq!(client.receive(), Some(vec![0]));
    assert_eq!(client.receive(), None);
    drop(client);
    door.wait_for("has finished");
}

#[test]
fn what_comes_right_behind_the_handshake_is_not_lost() {
    let setting = setting();
    let service = echo_service();
    let door = setting.serve([format!("--forward={service}")]);
    for _ in 0..20 {
        let mut client = setting.connect(&door);
        let burst: Vec<u8> = (0..50)
            .flat_map(|_| setting::frame(&client.context.wrap(true, b"burst").unwrap()))
            .collect();
        client.socket.write_all(&burst).unwrap();
        client.finish();
        assert_eq!(client.receive_all(), b"burst".repeat(50));
    }
}

#[test]
fn idle_conversations_end() {
    let setting = setting();
    let service = echo_service();
    let door = setting.serve(["--idle-timeout=5", &format!("--forward={service}")]);
    let mut idle = setting.connect(&door);
    idle.echo(b"x");
    let mut busy = setting.connect(&door);
    let ended = setting::wait_until(|| {
        busy.echo(b"x");
        let said = |line: &String| line.contains("nothing was said for 5 seconds");
        door.lines().iter().any(said).then_some(())
    });
    assert!(ended.is_some());
    assert!(idle.is_broken_off());
    busy.echo(b"still here");
    assert_eq!(
        door.wait_for_count("nothing was said for 5 seconds", 1)
            .len(),
        1
    );
}

#[test]
fn the_end_waits_for_conversations_and_then_does_not() {
    let setting = setting();
    let service = echo_service();
    let forward = format!("--forward={service}");
    let mut door = setting.serve([&forward]);
    let mut client = setting.connect(&door);
    client.echo(b"before");
    door.signal(Signal::TERM);
    door.wait_for("ending: 1 connections");
    assert!(
        setting
            .try_connect(&door, &setting.alice, all_flags())
            .is_err()
    );
    client.echo(b"after");
    client.finish();
    assert_eq!(client.receive(), None);
    drop(client);
    assert_eq!(door.wait(), Some(0));

    let mut door = setting.serve(["--drain-timeout=0.5", &forward]);
    let mut client = setting.connect(&door);
    client.echo(b"before");
    door.signal(Signal::TERM);
    assert_eq!(door.wait(), Some(0));
    door.wait_for("1 conversations are broken off");
    assert!(client.is_broken_off());
}

#[test]
fn an_interrupt_at_the_terminal_is_for_the_front_door_alone() {
    let setting = setting();
    let mut command = Command::new(env!("CARGO_BIN_EXE_baton"));
    command.args(["serve", "--listen=127.0.0.1:0", "--keytab"]);
    command.arg(setting.realm.keytab()).args(["--", "cat"]);
    command.process_group(0);
    let mut door = setting.start(command);
    let mut client = setting.connect(&door);
    client.echo(b"before");
    kill_process_group(door.pid(), Signal::INT).unwrap();
    door.wait_for("ending: 1 connections");
    client.echo(b"after");
    client.finish();
    assert_eq!(client.receive(), None);
    drop(client);
    assert_eq!(door.wait(), Some(0));
}

#[test]
fn flags_that_are_needed_are_asked_for() {
    let setting = setting();
    let service = echo_service();
    let door = setting.serve([format!("--forward={service}")]);
    // What knc(1) asks for is enough.
    let knc = Flags::MUTUAL | Flags::SEQUENCE | Flags::CONF | Flags::INTEG;
    setting
        .try_connect(&door, &setting.alice, knc)
        .unwrap()
        .echo(b"knc");
    for (missing, text) in [
        (Flags::MUTUAL, "mutual authentication"),
        (Flags::SEQUENCE, "sequence detection"),
    ] {
        let client = setting.try_connect(&door, &setting.alice, all_flags().without(missing));
        let refused = client
            .map(|mut client| client.is_broken_off())
            .unwrap_or(true);
        assert!(refused, "{text}");
        door.wait_for(&format!("alice@EXAMPLE.TEST did not ask for {text}"));
    }
}

#[test]
fn the_keytab_may_rotate_while_the_door_is_open() {
    let setting = setting();
    let service = echo_service();
    let door = setting.serve([format!("--forward={service}")]);
    setting.connect(&door).echo(b"old key");
    setting.realm.rotate_key("HTTP/localhost").unwrap();
    // The old ticket is still good, and a new one is for the new key.
    setting.connect(&door).echo(b"old ticket");
    let fresh = setting.realm.credential(&setting.env, "alice").unwrap();
    let mut client = setting.try_connect(&door, &fresh, all_flags()).unwrap();
    client.echo(b"new key");
}

#[test]
fn systemd_may_hand_the_listener_over() {
    let setting = setting();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    // As systemd does it: descriptor 3, and variables that name the process.
    let script = "exec 3<&0 </dev/null; export LISTEN_FDS=1 LISTEN_PID=$$; exec \"$@\"";
    let mut command = Command::new("sh");
    command.args(["-c", script, "sh", env!("CARGO_BIN_EXE_baton"), "serve"]);
    command.arg("--keytab").arg(setting.realm.keytab());
    command.arg(format!("--forward={}", echo_service()));
    command.stdin(Stdio::from(OwnedFd::from(listener)));
    let door = setting.start(command);
    assert_eq!(door.address, address);
    setting.connect(&door).echo(b"x");
}

#[test]
fn what_is_wrong_with_the_command_line_is_said_at_once() {
    let setting = setting();
    let keytab = setting.realm.keytab().display().to_string();
    let serve = |arguments: &[&str]| {
        let mut child = Command::new(env!("CARGO_BIN_EXE_baton"))
            .arg("serve")
            .args(arguments)
            .env("KRB5_CONFIG", setting.realm.krb5_conf())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let status = setting::wait_until(|| child.try_wait().unwrap());
        if status.is_none() {
            child.kill().unwrap();
        }
        let said = child.wait_with_output().unwrap().stderr;
        assert!(
            status.is_some_and(|status| !status.success()),
            "{arguments:?}"
        );
        String::from_utf8_lossy(&said).into_owned()
    };
    let listen = "--listen=127.0.0.1:0";
    let forward = "--forward=127.0.0.1:9";
    let keytab = format!("--keytab={keytab}");
    for (arguments, text) in [
        (
            &[listen, forward, "--keytab=/nonexistent/keytab"][..],
            "/nonexistent/keytab",
        ),
        (&[&keytab, forward], "no --listen"),
        (&[listen, &keytab], "--forward"),
        (
            &[listen, &keytab, forward, "--unix=/x"],
            "cannot be used with",
        ),
        (&[listen, &keytab, forward, "--unix-header"], "--unix"),
        (
            &[listen, &keytab, "--forward=nohost.invalid:5"],
            "nohost.invalid",
        ),
        (&[listen, &keytab, forward, "--workers=0"], "--workers"),
        (&[listen, &keytab, forward, "--max-frame=1"], "--max-frame"),
        (
            &[listen, &keytab, forward, "--user=no-such-user-here"],
            "user",
        ),
    ] {
        let said = serve(arguments);
        assert!(said.contains(text), "{arguments:?}: {said}");
    }
}

/// What a program makes of a socket with `baton::stream` is a client like any other.
#[test]
fn a_stream_of_the_crate_is_a_client() {
    use baton::stream::{StreamOptions, initiate};
    let setting = setting();
    let service = echo_service();
    let door = setting.serve([&format!("--forward={service}")]);
    let socket = std::net::TcpStream::connect(door.address).unwrap();
    let name = baton::Name::hostbased_service("HTTP@localhost");
    let initiator = baton::Initiator::new(&setting.env, &setting.alice, &name).flags(all_flags());
    let mut stream = initiate(socket, initiator, StreamOptions::default().end_by_close()).unwrap();
    let sent = pattern(300_000, 1);
    stream.write_all(&sent).unwrap();
    stream.flush().unwrap();
    stream.transport().shutdown(Shutdown::Write).unwrap();
    let mut received = Vec::new();
    stream.read_to_end(&mut received).unwrap();
    assert!(received == sent);
}
