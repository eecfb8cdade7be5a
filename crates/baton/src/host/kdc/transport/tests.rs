use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;

use super::super::io::{Blocking, at_once};
use super::*;

const QUICK: Pace = Pace {
    next: Duration::from_millis(100),
    again: Duration::from_millis(200),
};

fn soon(millis: u64) -> Instant {
    Instant::now() + Duration::from_millis(millis)
}

fn udp(address: SocketAddr) -> Endpoint {
    Endpoint {
        address,
        transport: Transport::Udp,
    }
}

fn tcp(address: SocketAddr) -> Endpoint {
    Endpoint {
        address,
        transport: Transport::Tcp,
    }
}

fn take(_: &[u8]) -> Verdict {
    Verdict::Take
}

fn run(endpoints: &[Endpoint], millis: u64) -> Result<Vec<u8>, TransportError> {
    Ok(at_once(exchange(
        Blocking,
        endpoints,
        b"request",
        soon(millis),
        QUICK,
        &take,
    ))?
    .0)
}

/// A socket that datagrams come to and stay in.
fn silent() -> (UdpSocket, SocketAddr) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}

/// Answers the datagram number `nth` after `delay`.
fn answering(reply: &'static [u8], nth: usize, delay: u64) -> SocketAddr {
    let (socket, address) = silent();
    thread::spawn(move || {
        let mut buffer = [0; 100];
        for _ in 1..nth {
            socket.recv_from(&mut buffer).unwrap();
        }
        let (length, peer) = socket.recv_from(&mut buffer).unwrap();
        assert_eq!(&buffer[..length], b"request");
        thread::sleep(Duration::from_millis(delay));
        socket.send_to(reply, peer).unwrap();
    });
    address
}

/// Reads a whole request, then writes these parts, one after the other, and closes.
fn streaming(parts: Vec<Vec<u8>>, pause: u64) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = [0; 11];
        stream.read_exact(&mut request).unwrap();
        assert_eq!(&request, b"\0\0\0\x07request");
        for part in parts {
            if stream.write_all(&part).is_err() {
                return;
            }
            thread::sleep(Duration::from_millis(pause));
        }
    });
    address
}

/// A port where nobody listens.
fn closed() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
}

#[test]
fn a_datagram_is_answered() {
    assert_eq!(
        run(&[udp(answering(b"reply", 1, 0))], 5000).unwrap(),
        b"reply"
    );
}

#[test]
fn a_stream_is_answered_in_however_many_parts() {
    let reply = b"\0\0\0\x05reply";
    let parts = reply.iter().map(|byte| vec![*byte]).collect();
    assert_eq!(run(&[tcp(streaming(parts, 5))], 5000).unwrap(), b"reply");
    let whole = vec![reply.to_vec()];
    assert_eq!(run(&[tcp(streaming(whole, 0))], 5000).unwrap(), b"reply");
}

#[test]
fn a_long_reply_arrives_whole() {
    let reply: Vec<u8> = (0..MAX_REPLY).map(|at| at as u8).collect();
    let framed = [&(MAX_REPLY as u32).to_be_bytes()[..], &reply].concat();
    let endpoint = tcp(streaming(vec![framed], 0));
    assert!(run(&[endpoint], 5000).unwrap() == reply);
}

#[test]
fn the_next_one_is_asked_at_once_where_one_fails() {
    let begin = Instant::now();
    let slow = Pace {
        next: Duration::from_secs(30),
        again: Duration::from_secs(30),
    };
    let endpoints = [tcp(closed()), udp(closed()), udp(answering(b"reply", 1, 0))];
    let reply = at_once(exchange(
        Blocking,
        &endpoints,
        b"request",
        soon(20_000),
        slow,
        &take,
    ));
    let (reply, from) = reply.unwrap();
    assert_eq!((reply, Some(&from)), (b"reply".to_vec(), endpoints.last()));
    assert!(begin.elapsed() < Duration::from_secs(10));
}

#[test]
fn the_next_one_is_asked_after_a_while_where_one_is_silent() {
    let (_socket, address) = silent();
    let endpoints = [udp(address), udp(answering(b"reply", 1, 0))];
    let begin = Instant::now();
    assert_eq!(run(&endpoints, 5000).unwrap(), b"reply");
    assert!(begin.elapsed() >= QUICK.next);
}

#[test]
fn one_that_was_asked_before_may_still_answer() {
    let (_socket, address) = silent();
    let endpoints = [udp(answering(b"late", 1, 250)), udp(address)];
    assert_eq!(run(&endpoints, 5000).unwrap(), b"late");
}

#[test]
fn a_lost_datagram_is_sent_again() {
    assert_eq!(
        run(&[udp(answering(b"reply", 3, 0))], 5000).unwrap(),
        b"reply"
    );
}

#[test]
fn all_end_at_the_deadline() {
    let (_socket, address) = silent();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let stalled = tcp(listener.local_addr().unwrap());
    let dripping = streaming(vec![vec![0]; 1000], 20);
    let begin = Instant::now();
    let error = run(&[udp(address), stalled, tcp(dripping)], 600).unwrap_err();
    let took = begin.elapsed();
    assert!(
        took >= Duration::from_millis(600) && took < Duration::from_secs(4),
        "{took:?}"
    );
    let TransportError::Deadline(story) = error else {
        panic!("{error}")
    };
    assert!(
        story
            .iter()
            .any(|line| line == &format!("udp/{address}: no answer")),
        "{story:?}"
    );
}

#[test]
fn a_deadline_that_is_past_asks_nobody_twice() {
    let (_socket, address) = silent();
    let error = run(&[udp(address)], 0).unwrap_err();
    assert!(matches!(error, TransportError::Deadline(_)));
}

#[test]
fn where_all_fail_each_failure_is_told() {
    let (one, other) = (closed(), closed());
    let error = run(&[tcp(one), udp(other)], 5000).unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, TransportError::AllFailed(_)), "{text}");
    for part in [format!("tcp/{one}: "), format!("udp/{other}: ")] {
        assert!(text.contains(&part), "{text}");
    }
    assert!(matches!(run(&[], 5000), Err(TransportError::NoEndpoint)));
}

#[test]
fn a_stream_that_lies_or_ends_early_is_a_failure() {
    let cases: [&[u8]; 6] = [
        b"",
        b"\0\0\0",
        b"\0\0\0\0",
        b"\0\0\0\x06reply",
        b"\0\x10\0\x01",
        b"\xff\xff\xff\xffreply",
    ];
    for case in cases {
        let liar = tcp(streaming(vec![case.to_vec()], 0));
        let error = run(&[liar], 5000).unwrap_err();
        assert!(
            matches!(error, TransportError::AllFailed(_)),
            "{case:?}: {error}"
        );
        let liar = tcp(streaming(vec![case.to_vec()], 0));
        let honest = udp(answering(b"reply", 1, 0));
        assert_eq!(run(&[liar, honest], 5000).unwrap(), b"reply", "{case:?}");
    }
}

#[test]
fn a_reply_that_is_not_taken_leaves_the_others_their_turn() {
    let judge = |reply: &[u8]| match reply {
        b"busy" => Verdict::AskAnother,
        _ => Verdict::Take,
    };
    let endpoints = [
        udp(answering(b"busy", 1, 0)),
        udp(answering(b"reply", 1, 0)),
    ];
    let reply = at_once(exchange(
        Blocking,
        &endpoints,
        b"request",
        soon(5000),
        PACE,
        &judge,
    ));
    let (reply, from) = reply.unwrap();
    assert_eq!((reply, Some(&from)), (b"reply".to_vec(), endpoints.last()));
    let endpoints = [udp(answering(b"busy", 1, 0))];
    let reply = at_once(exchange(
        Blocking,
        &endpoints,
        b"request",
        soon(5000),
        PACE,
        &judge,
    ));
    assert!(matches!(reply, Err(TransportError::AllFailed(_))));
}

#[test]
fn a_datagram_from_elsewhere_is_no_answer() {
    let (socket, address) = silent();
    thread::spawn(move || {
        let mut buffer = [0; 100];
        let (_, peer) = socket.recv_from(&mut buffer).unwrap();
        let (stranger, _) = silent();
        stranger.send_to(b"forged", peer).unwrap();
        thread::sleep(Duration::from_millis(100));
        socket.send_to(b"genuine", peer).unwrap();
    });
    assert_eq!(run(&[udp(address)], 5000).unwrap(), b"genuine");
}
