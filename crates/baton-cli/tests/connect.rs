//! `baton connect` at the other end of `baton serve`.

mod setting;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;

use setting::{Door, Setting, echo_service, pattern, setting};

/// `baton connect` to the door, with alice's tickets from a cache in a file.
fn connect(setting: &Setting, door: &Door, more: &[&str]) -> Child {
    let cache = format!("FILE:{}", setting.directory.path().join("cache").display());
    setting.alice.store(&setting.env, Some(&cache)).unwrap();
    Command::new(env!("CARGO_BIN_EXE_baton"))
        .args([
            "connect",
            &format!("HTTP@localhost:{}", door.address.port()),
        ])
        .args(["--via", &door.address.to_string()])
        .args(more)
        .env("KRB5_CONFIG", setting.realm.krb5_conf())
        .env("KRB5CCNAME", cache)
        .env_remove("RUST_LOG")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

#[test]
fn standard_input_goes_there_and_comes_back() {
    let setting = setting();
    let door = setting.serve([&format!("--forward={}", echo_service())]);
    let data = pattern(3_000_000, 5);
    let mut child = connect(&setting, &door, &[]);
    let mut input = child.stdin.take().unwrap();
    let sent = data.clone();
    let sender = thread::spawn(move || input.write_all(&sent).unwrap());
    let mut received = Vec::new();
    child
        .stdout
        .take()
        .unwrap()
        .read_to_end(&mut received)
        .unwrap();
    sender.join().unwrap();
    assert!(received == data);
    assert!(child.wait().unwrap().success());
    door.wait_for("has finished: 3000000 bytes to the service, 3000000 to the client");
}

#[test]
fn a_local_port_carries_many() {
    let setting = setting();
    let door = setting.serve([&format!("--forward={}", echo_service())]);
    let mut child = connect(&setting, &door, &["--listen", "127.0.0.1:0"]);
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let line = lines.next().unwrap().unwrap();
    let address = line.split("listening on ").nth(1).unwrap().to_owned();
    thread::scope(|scope| {
        for seed in 0..10 {
            let address = &address;
            scope.spawn(move || {
                let data = pattern(200_000, seed);
                let mut stream = TcpStream::connect(address).unwrap();
                let mut writer = stream.try_clone().unwrap();
                let sent = data.clone();
                let sender = thread::spawn(move || {
                    writer.write_all(&sent).unwrap();
                    writer.shutdown(Shutdown::Write).unwrap();
                });
                let mut received = Vec::new();
                stream.read_to_end(&mut received).unwrap();
                sender.join().unwrap();
                assert!(received == data);
            });
        }
    });
    door.wait_for_count("has finished: 200000 bytes", 10);
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn what_is_wrong_is_said() {
    let setting = setting();
    let door = setting.serve(["--deny=alice@*", &format!("--forward={}", echo_service())]);
    let output = connect(&setting, &door, &[]).wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("closed the connection during the handshake"),
        "{said}"
    );

    let output = connect(&setting, &door, &["--ccache", "FILE:/nonexistent/cache"]);
    let output = output.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("/nonexistent/cache"), "{said}");
}

#[test]
fn a_service_that_ends_first_ends_the_command_when_its_input_ends() {
    let setting = setting();
    let door = setting.serve(["--", "echo", "hello"]);
    let mut child = connect(&setting, &door, &[]);
    let mut received = String::new();
    child
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut received)
        .unwrap();
    assert_eq!(received, "hello\n");
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
}
