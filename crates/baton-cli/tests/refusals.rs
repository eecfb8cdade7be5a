//! Clients that send garbage, stall, or go away, at each step: one line in the log each, and nothing for anybody else.

mod setting;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use setting::{Door, Setting, all_flags, echo_service, frame, setting};

fn serve(setting: &Setting, more: &[&str]) -> Door {
    let forward = format!("--forward={}", echo_service());
    setting.serve([&[forward.as_str()], more].concat())
}

/// The one line that tells why the client at `port` was refused.
fn line_of(door: &Door, port: u16, text: &str) {
    let prefix = format!("refused 127.0.0.1:{port}:");
    let lines = door.wait_for_count(&prefix, 1);
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].contains(text), "{lines:?} does not say {text:?}");
}

fn connect(door: &Door) -> (TcpStream, u16) {
    let socket = TcpStream::connect(door.address).unwrap();
    socket.set_read_timeout(Some(setting::PATIENCE)).unwrap();
    let port = socket.local_addr().unwrap().port();
    (socket, port)
}

fn is_closed(socket: &mut TcpStream) -> bool {
    let mut rest = Vec::new();
    match socket.read_to_end(&mut rest) {
        Ok(_) => true,
        Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
    }
}

#[test]
fn garbage_costs_one_line_each() {
    let setting = setting();
    let door = serve(&setting, &[]);
    let mut kept = setting.connect(&door);
    let token = setting.first_token();
    let mut altered = token.clone();
    *altered.last_mut().unwrap() ^= 1;
    let mut cut = token.clone();
    cut.truncate(token.len() / 2);
    for (bytes, text) in [
        (b"GET / HTTP/1.0\r\n\r\n".to_vec(), "a frame announces"),
        (vec![0xff; 100], "a frame announces"),
        (vec![0; 4], "a frame is empty"),
        (frame(b"garbage"), "token"),
        (frame(&[0x60; 1000]), "token"),
        (frame(&cut), "token"),
        (frame(&altered), ""),
        (frame(&[token.as_slice(), b"x"].concat()), ""),
    ] {
        let (mut socket, port) = connect(&door);
        socket.write_all(&bytes).unwrap();
        assert!(is_closed(&mut socket));
        line_of(&door, port, text);
        kept.echo(b"nobody else notices");
    }
    assert_eq!(door.wait_for_count("refused ", 8).len(), 8);
    setting.connect(&door).echo(b"nor the next one");
}

#[test]
fn a_token_comes_in_once() {
    let setting = setting();
    let door = serve(&setting, &[]);
    let token = setting.first_token();
    let (mut first, _) = connect(&door);
    first.write_all(&frame(&token)).unwrap();
    assert!(setting::read_frame(&mut first).unwrap().is_some());
    let (mut second, port) = connect(&door);
    second.write_all(&frame(&token)).unwrap();
    assert!(is_closed(&mut second));
    line_of(&door, port, "");
}

#[test]
fn who_goes_away_at_any_step_costs_one_line() {
    let setting = setting();
    let door = serve(&setting, &[]);
    let mut kept = setting.connect(&door);
    let bytes = frame(&setting.first_token());
    for (cut, text) in [
        (0, "before it said anything"),
        (1, "ended within a frame"),
        (4, "ended within a frame"),
        (bytes.len() / 2, "ended within a frame"),
        (bytes.len() - 1, "ended within a frame"),
    ] {
        let (mut socket, port) = connect(&door);
        socket.write_all(&bytes[..cut]).unwrap();
        drop(socket);
        line_of(&door, port, text);
    }
    // After the handshake: within a frame, and without a word.
    let mut client = setting.connect(&door);
    let address = client.socket.local_addr().unwrap();
    let sealed = frame(&client.context.wrap(true, b"never whole").unwrap());
    client
        .socket
        .write_all(&sealed[..sealed.len() - 1])
        .unwrap();
    drop(client);
    let lines = door.wait_for_count(&format!("{address} was broken off"), 1);
    assert!(lines[0].contains("ended within a frame"), "{lines:?}");
    drop(setting.connect(&door));
    door.wait_for("has finished: 0 bytes");
    kept.echo(b"nobody else notices");
}

#[test]
fn who_stalls_is_ended_and_holds_nobody_up() {
    let setting = setting();
    let door = serve(&setting, &["--handshake-timeout=4"]);
    let bytes = frame(&setting.first_token());
    let stalled: Vec<_> = [0, 3, 4, bytes.len() - 1]
        .map(|cut| {
            let (mut socket, port) = connect(&door);
            socket.write_all(&bytes[..cut]).unwrap();
            (socket, port)
        })
        .into();
    let start = Instant::now();
    setting.connect(&door).echo(b"at once");
    assert!(start.elapsed() < Duration::from_secs(3));
    for (mut socket, port) in stalled {
        assert!(is_closed(&mut socket));
        line_of(&door, port, "its handshake took too long");
    }
    // One byte now and then does not help.
    let (mut socket, port) = connect(&door);
    for byte in &bytes[..60] {
        if socket.write_all(&[*byte]).is_err() {
            break;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    line_of(&door, port, "its handshake took too long");
}

#[test]
fn a_conversations_message_that_is_altered_replayed_or_missing_ends_it_alone() {
    let setting = setting();
    let door = serve(&setting, &[]);
    let mut kept = setting.connect(&door);
    let wrap = |client: &setting::Client| frame(&client.context.wrap(true, b"data").unwrap());
    type Spoil = fn(&setting::Client, &dyn Fn(&setting::Client) -> Vec<u8>) -> Vec<u8>;
    let cases: [(Spoil, &str); 6] = [
        (
            |client, wrap| {
                let mut bytes = wrap(client);
                *bytes.last_mut().unwrap() ^= 1;
                bytes
            },
            "the client's message",
        ),
        (
            |client, wrap| {
                let bytes = wrap(client);
                [bytes.clone(), bytes].concat()
            },
            "it has come before",
        ),
        (
            |client, wrap| {
                wrap(client);
                wrap(client)
            },
            "one before it is missing",
        ),
        (
            |client, _| frame(&client.context.wrap(false, b"data").unwrap()),
            "it is not encrypted",
        ),
        (|_, _| vec![0xff; 4], "a frame announces"),
        (|_, _| frame(b"garbage"), "the client's message"),
    ];
    for (spoil, text) in cases {
        let mut client = setting.connect(&door);
        client.echo(b"good");
        let address = client.socket.local_addr().unwrap();
        let bytes = spoil(&client, &wrap);
        client.socket.write_all(&bytes).unwrap();
        while let Ok(Some(_)) = client.try_receive() {}
        let lines = door.wait_for_count(&format!("{address} was broken off"), 1);
        assert!(lines[0].contains(text), "{lines:?} does not say {text:?}");
        kept.echo(b"nobody else notices");
    }
}

#[test]
fn clients_are_authorised() {
    let setting = setting();
    let door = serve(&setting, &["--allow=*@EXAMPLE.TEST", "--deny=mallory@*"]);
    setting.connect(&door).echo(b"welcome");
    let refused = setting.try_connect(&door, &setting.mallory, all_flags());
    assert!(refused.is_err());
    let lines = door.wait_for_count("mallory@EXAMPLE.TEST is not allowed", 1);
    assert_eq!(lines.len(), 1);
    assert!(lines[0].contains("refused 127.0.0.1:"), "{lines:?}");
}

#[test]
fn connections_are_limited() {
    let setting = setting();
    let door = serve(&setting, &["--max-connections=2"]);
    let mut first = setting.connect(&door);
    let mut second = setting.connect(&door);
    first.echo(b"one");
    second.echo(b"two");
    let (mut third, port) = connect(&door);
    assert!(is_closed(&mut third));
    line_of(&door, port, "2 connections are the limit");
    first.finish();
    assert_eq!(first.receive(), None);
    drop(first);
    door.wait_for("has finished");
    let again =
        setting::wait_until(|| setting.try_connect(&door, &setting.alice, all_flags()).ok());
    again.unwrap().echo(b"three");
}

#[test]
fn a_crowd_that_stalls_does_not_keep_others_out() {
    let setting = setting();
    let door = serve(&setting, &["--max-handshakes=8"]);
    let mut crowd: Vec<_> = (0..20).map(|_| connect(&door)).collect();
    setting.connect(&door).echo(b"still served");
    let lines = door.wait_for_count("newer handshakes need its place", 12);
    assert!(lines.len() <= 13, "{lines:?}");
    let (oldest, _) = &mut crowd[0];
    assert!(is_closed(oldest));
}
