//! Streams for threads: what arrives in pieces, what does not arrive, and what must not.
#![allow(missing_docs)]

use std::collections::VecDeque;
use std::error::Error as _;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use baton::realm::DevelopmentRealm;
use baton::stream::{self, SecureStream, StreamError, StreamOptions};
use baton::{Acceptor, Context, Environment, Flags, Initiator, Name, Order};

struct Setting {
    realm: DevelopmentRealm,
    env: Environment,
}

fn setting() -> Setting {
    let realm = DevelopmentRealm::builder("STREAM.TEST")
        .user("alice", "secret")
        .service("host/localhost")
        .start()
        .unwrap();
    let env = realm.environment().unwrap();
    Setting { realm, env }
}

impl Setting {
    fn contexts(&self) -> (Context, Context) {
        let contexts = self.realm.contexts(&self.env, "alice", "host/localhost");
        contexts.unwrap()
    }
}

fn options() -> StreamOptions {
    StreamOptions::default()
}

/// A transport in memory, which gives and takes a few bytes at once, and now and then none.
#[derive(Default)]
struct Trickle {
    there: VecDeque<u8>,
    written: Vec<u8>,
    piece: usize,
    turns: usize,
    blocks: bool,
}

impl Trickle {
    fn of(bytes: &[u8], piece: usize) -> Self {
        Self {
            there: bytes.iter().copied().collect(),
            piece,
            ..Self::default()
        }
    }

    fn blocks_now(&mut self) -> io::Result<()> {
        self.turns += 1;
        match self.turns % 3 {
            1 if self.blocks => Err(ErrorKind::WouldBlock.into()),
            2 => Err(ErrorKind::Interrupted.into()),
            _ => Ok(()),
        }
    }
}

impl Read for Trickle {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.blocks_now()?;
        let count = self.piece.min(out.len()).min(self.there.len());
        for (to, from) in out.iter_mut().zip(self.there.drain(..count)) {
            *to = from;
        }
        Ok(count)
    }
}

impl Write for Trickle {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.blocks_now()?;
        let count = self.piece.min(data.len());
        self.written.extend_from_slice(&data[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The frames of `writes`, and of the end.
fn frames(context: Context, writes: &[&[u8]], finish: bool) -> Vec<u8> {
    let mut stream = SecureStream::new(context, Trickle::of(b"", 1 << 20), options()).unwrap();
    for data in writes {
        stream.write_all(data).unwrap();
    }
    if finish {
        stream.finish().unwrap();
    } else {
        stream.flush().unwrap();
    }
    stream.transport().written.clone()
}

fn reader(context: Context, bytes: &[u8], piece: usize) -> SecureStream<Trickle> {
    SecureStream::new(context, Trickle::of(bytes, piece), options()).unwrap()
}

fn read_all(context: Context, bytes: &[u8]) -> (Vec<u8>, io::Result<usize>) {
    let mut out = Vec::new();
    let result = reader(context, bytes, 1000).read_to_end(&mut out);
    (out, result)
}

fn cause(error: &io::Error) -> &StreamError {
    let inner = error.get_ref().expect("a cause");
    inner.downcast_ref().expect("a stream's error")
}

#[test]
fn pieces_of_any_size_are_one_stream() {
    let setting = setting();
    for piece in [1, 2, 3, 5, 7, 100, 1 << 20] {
        let (client, server) = setting.contexts();
        let long = vec![7; 70_000];
        let bytes = frames(client, &[b"first", b"", b"second", &long], true);
        let (out, result) = {
            let mut out = Vec::new();
            let result = reader(server, &bytes, piece).read_to_end(&mut out);
            (out, result)
        };
        assert_eq!(result.unwrap(), 11 + 70_000, "{piece}");
        assert!(out.starts_with(b"firstsecond\x07"), "{piece}");
    }
}

#[test]
fn a_small_buffer_gets_a_message_in_parts() {
    let (client, server) = setting().contexts();
    let bytes = frames(client, &[b"message"], true);
    let mut stream = reader(server, &bytes, 1 << 20);
    let mut out = [0; 3];
    let mut found = Vec::new();
    loop {
        match stream.read(&mut out) {
            Ok(0) => break,
            Ok(count) => found.push(out[..count].to_vec()),
            Err(error) => assert_eq!(error.kind(), ErrorKind::Interrupted),
        }
    }
    assert_eq!(found, [&b"mes"[..], b"sag", b"e"]);
    assert_eq!(stream.read(&mut out).unwrap(), 0, "the end stays the end");
}

/// A write that is accepted is sent, in however many pieces, and each piece once.
#[test]
fn a_transport_that_does_not_block_loses_nothing() {
    let (client, server) = setting().contexts();
    let transport = Trickle {
        blocks: true,
        piece: 11,
        ..Trickle::default()
    };
    let mut stream = SecureStream::new(client, transport, options()).unwrap();
    let again = |done: io::Result<usize>| match done {
        Err(error) => {
            assert!(matches!(
                error.kind(),
                ErrorKind::WouldBlock | ErrorKind::Interrupted
            ));
            None
        }
        Ok(count) => Some(count),
    };
    let data: Vec<u8> = (0..100_000u32).map(|n| n as u8).collect();
    let mut rest = &data[..];
    while !rest.is_empty() {
        if let Some(count) = again(stream.write(rest)) {
            rest = &rest[count..];
        }
    }
    while again(stream.finish().map(|()| 0)).is_none() {}
    stream.finish().unwrap_or_default();
    let (out, result) = read_all(server, &stream.transport().written);
    assert_eq!(result.unwrap(), data.len());
    assert!(out == data);
}

#[test]
fn a_stream_that_is_cut_anywhere_is_cut_off() {
    let setting = setting();
    let (client, server) = setting.contexts();
    let bytes = frames(client, &[b"first", b"second"], true);
    drop(server);
    for cut in 0..bytes.len() {
        let (client, server) = setting.contexts();
        let again = frames(client, &[b"first", b"second"], true);
        assert_eq!(again.len(), bytes.len());
        let (out, result) = read_all(server, &again[..cut]);
        let error = result.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnexpectedEof, "{cut}");
        assert!(matches!(cause(&error), StreamError::CutOff), "{cut}");
        assert!(b"firstsecond".starts_with(&out[..]), "{cut}");
    }
}

#[test]
fn where_closing_is_the_end_it_is_one_between_frames_alone() {
    let setting = setting();
    let (client, _) = setting.contexts();
    let whole = frames(client, &[b"data"], false).len();
    for cut in [0, 3, 4, whole - 1, whole] {
        let (client, server) = setting.contexts();
        let bytes = frames(client, &[b"data"], false);
        let transport = Trickle::of(&bytes[..cut], 100);
        let mut stream = SecureStream::new(server, transport, options().end_by_close()).unwrap();
        let mut out = Vec::new();
        let result = stream.read_to_end(&mut out);
        assert_eq!(result.is_ok(), cut == 0 || cut == whole, "{cut}");
        stream.finish().unwrap_or_default();
        assert!(stream.transport().written.is_empty(), "no message ends it");
    }
}

#[test]
fn messages_that_are_lost_repeated_or_swapped_end_the_stream() {
    let setting = setting();
    for (order, wanted) in [
        (&[0, 2][..], Order::Gap),
        (&[0, 0], Order::Duplicate),
        (&[1, 0], Order::Gap),
        (&[0, 1, 0], Order::Duplicate),
    ] {
        let (client, server) = setting.contexts();
        let mut each = Vec::new();
        let mut stream = SecureStream::new(client, Trickle::of(b"", 1 << 20), options()).unwrap();
        for data in [b"one", b"two", b"six"] {
            let before = stream.transport().written.len();
            stream.write_all(data).unwrap();
            stream.flush().unwrap();
            each.push(stream.transport().written[before..].to_vec());
        }
        let bytes = order.iter().flat_map(|&at: &usize| each[at].clone());
        let (_, result) = read_all(server, &bytes.collect::<Vec<_>>());
        let error = result.unwrap_err();
        match cause(&error) {
            StreamError::OutOfOrder(found) => assert_eq!(*found, wanted, "{order:?}"),
            other => panic!("{order:?}: {other}"),
        }
    }
}

#[test]
fn a_flipped_bit_ends_the_stream_and_it_stays_ended() {
    let setting = setting();
    let (client, _) = setting.contexts();
    let length = frames(client, &[b"data"], true).len();
    for at in 0..length {
        let (client, server) = setting.contexts();
        let mut bytes = frames(client, &[b"data"], true);
        bytes[at] ^= 1 << (at % 8);
        let mut stream = reader(server, &bytes, 1000);
        let mut out = Vec::new();
        assert!(stream.read_to_end(&mut out).is_err(), "byte {at}");
        assert!(out.is_empty() || out == b"data", "byte {at}");
        let mut byte = [0];
        let again = loop {
            match stream.read(&mut byte) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                other => break other,
            }
        };
        assert!(again.is_err(), "byte {at}: nothing is read after an error");
    }
}

#[test]
fn a_frame_is_refused_by_its_header() {
    let setting = setting();
    for (header, limit) in [
        ([0, 0, 0, 0], 100),
        ([0, 0, 0, 101], 100),
        ([0xff; 4], 1 << 20),
    ] {
        let (_, server) = setting.contexts();
        let transport = Trickle::of(&header, 100);
        let options = options().max_frame(limit);
        let mut stream = SecureStream::new(server, transport, options).unwrap();
        let error = stream.read_to_end(&mut Vec::new()).unwrap_err();
        let length = u32::from_be_bytes(header) as usize;
        match cause(&error) {
            StreamError::EmptyFrame => assert_eq!(length, 0),
            StreamError::TooLong {
                length: found,
                limit: allowed,
            } => assert_eq!((*found, *allowed), (length, limit)),
            other => panic!("{other}"),
        }
    }
}

#[test]
fn a_message_that_is_not_encrypted_is_refused_unless_integrity_is_enough() {
    let setting = setting();
    let plain = |context| {
        let transport = Trickle::of(b"", 1 << 20);
        let options = options().integrity_only();
        let mut stream = SecureStream::new(context, transport, options).unwrap();
        stream.write_all(b"readable").unwrap();
        stream.finish().unwrap();
        stream.transport().written.clone()
    };
    let (client, server) = setting.contexts();
    let bytes = plain(client);
    assert!(bytes.windows(8).any(|part| part == b"readable"));
    let (out, result) = read_all(server, &bytes);
    assert!(matches!(
        cause(&result.unwrap_err()),
        StreamError::NotConfidential
    ));
    assert!(out.is_empty());
    let (client, server) = setting.contexts();
    let transport = Trickle::of(&plain(client), 1 << 20);
    let mut stream = SecureStream::new(server, transport, options().integrity_only()).unwrap();
    let mut out = Vec::new();
    stream.read_to_end(&mut out).unwrap();
    assert_eq!(out, b"readable");
}

#[test]
fn no_frame_is_larger_than_the_peer_takes() {
    let setting = setting();
    for limit in [100, 1000, 66_048] {
        let (client, server) = setting.contexts();
        let transport = Trickle::of(b"", 1 << 20);
        let options = options().max_sent_frame(limit);
        let mut stream = SecureStream::new(client, transport, options).unwrap();
        let data = vec![9; 200_000];
        stream.write_all(&data).unwrap();
        stream.finish().unwrap();
        let bytes = &stream.transport().written;
        let mut rest = &bytes[..];
        while let Some((header, after)) = rest.split_first_chunk::<4>() {
            let length = u32::from_be_bytes(*header);
            assert!(length <= limit, "{length} > {limit}");
            rest = &after[length as usize..];
        }
        let (out, result) = read_all(server, bytes);
        result.unwrap();
        assert!(out == data);
    }
    let (client, _) = setting.contexts();
    let refused = SecureStream::new(client, Trickle::default(), options().max_sent_frame(20));
    assert!(matches!(refused, Err(StreamError::NoRoom(20))));
}

#[test]
fn a_context_without_sequence_detection_carries_no_stream() {
    let Setting { realm, env } = setting();
    let alice = realm.credential(&env, "alice").unwrap();
    let name = Name::hostbased_service("host@localhost");
    let initiator = Initiator::new(&env, &alice, &name).flags(Flags::REPLAY);
    let baton::Step::Done { context, .. } = initiator.start().unwrap() else {
        panic!("no answer is needed");
    };
    let refused = SecureStream::new(context, Trickle::default(), options());
    assert!(matches!(refused, Err(StreamError::Unsuitable)));
}

#[test]
fn nothing_is_written_after_the_end() {
    let (client, _) = setting().contexts();
    let mut stream = SecureStream::new(client, Trickle::of(b"", 100), options()).unwrap();
    stream.finish().unwrap_or_default();
    while let Err(error) = stream.flush() {
        assert_eq!(error.kind(), ErrorKind::Interrupted);
    }
    let error = stream.write(b"more").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BrokenPipe);
    let sent = stream.transport().written.len();
    stream.finish().unwrap();
    assert_eq!(stream.transport().written.len(), sent, "one end is enough");
}

/// Context and socket come out of a stream between two messages, and not in the middle of one.
#[test]
fn a_stream_is_taken_apart_between_messages() {
    let setting = setting();
    let (client, server) = setting.contexts();
    let bytes = frames(client, &[b"one", b"two"], false);
    let mut stream = reader(server, &bytes, 1 << 20);
    let mut out = [0; 2];
    stream.read_exact(&mut out).unwrap();
    let Err(mut stream) = stream.into_parts() else {
        panic!("a part of a message would be lost");
    };
    stream.read_exact(&mut out[..1]).unwrap();
    let (context, transport) = stream.into_parts().unwrap();
    // The second message is still on its way.
    let mut stream = SecureStream::new(context, transport, options()).unwrap();
    let mut out = [0; 3];
    stream.read_exact(&mut out).unwrap();
    assert_eq!(&out, b"two");
}

fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let here = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let there = listener.accept().unwrap().0;
    for socket in [&here, &there] {
        let long = Some(Duration::from_secs(60));
        socket.set_read_timeout(long).unwrap();
        socket.set_write_timeout(long).unwrap();
    }
    (here, there)
}

/// Both peers write and read megabytes at once, each with two threads.
#[test]
fn both_directions_carry_megabytes_at_once() {
    const SIZE: usize = 4 << 20;
    let (client, server) = setting().contexts();
    let (here, there) = pair();
    let sides = [(client, here, 1u8), (server, there, 2)].map(|(context, socket, sign)| {
        thread::spawn(move || {
            let stream = SecureStream::new(context, socket, options()).unwrap();
            let (mut reader, mut writer) = stream.split_with(TcpStream::try_clone).unwrap();
            let writing = thread::spawn(move || {
                let block = vec![sign; 100_000];
                let mut left = SIZE;
                while left > 0 {
                    let part = &block[..left.min(block.len())];
                    writer.write_all(part).unwrap();
                    left -= part.len();
                }
                writer.finish().unwrap();
            });
            let mut out = Vec::new();
            reader.read_to_end(&mut out).unwrap();
            writing.join().unwrap();
            assert_eq!(out.len(), SIZE);
            assert!(out.iter().all(|byte| *byte == 3 - sign));
        })
    });
    for side in sides {
        side.join().unwrap();
    }
}

#[test]
fn the_handshake_goes_over_the_socket_with_and_without_spnego() {
    let Setting { realm, env } = setting();
    let (alice, service) = (
        realm.credential(&env, "alice").unwrap(),
        realm.acceptor(&env).unwrap(),
    );
    for (negotiate, mutual) in [(false, true), (false, false), (true, true), (true, false)] {
        let (here, there) = pair();
        let (server_env, service) = (env.clone(), service.clone());
        let server = thread::spawn(move || {
            let acceptor = Acceptor::new(&server_env, &service);
            let mut stream = stream::accept(there, acceptor, options()).unwrap();
            let mut out = String::new();
            stream.read_to_string(&mut out).unwrap();
            stream.write_all(out.to_uppercase().as_bytes()).unwrap();
            stream.finish().unwrap();
            stream.context().facts().initiator.to_string()
        });
        let name = Name::hostbased_service("host@localhost");
        let flags = Flags::SEQUENCE | Flags::REPLAY | Flags::MUTUAL.when(mutual);
        let mut initiator = Initiator::new(&env, &alice, &name).flags(flags);
        if negotiate {
            initiator = initiator.negotiate();
        }
        let mut stream = stream::initiate(here, initiator, options()).unwrap();
        stream.write_all(b"hello").unwrap();
        stream.finish().unwrap();
        let mut out = String::new();
        stream.read_to_string(&mut out).unwrap();
        assert_eq!(out, "HELLO");
        assert_eq!(server.join().unwrap(), "alice@STREAM.TEST");
    }
}

/// Each side of a handshake that fails says why, the peer's word included where there is one.
#[test]
fn a_handshake_that_fails_says_so_on_both_sides() {
    let Setting { realm, env } = setting();
    let service = realm.acceptor(&env).unwrap();
    // Garbage, and a close in the middle of a token.
    for (bytes, wanted) in [
        (&b"\0\0\0\x04nope"[..], "the handshake failed"),
        (b"\0\0\0\x04no", "the peer closed the connection"),
        (b"", "the peer closed the connection"),
        (b"\x7f\0\0\0", "longer than"),
        (b"\0\0\0\0", "a frame is empty"),
    ] {
        let (mut here, there) = pair();
        here.write_all(bytes).unwrap();
        here.shutdown(Shutdown::Write).unwrap();
        let refused = stream::accept(there, Acceptor::new(&env, &service), options());
        let error = refused.unwrap_err();
        let text = format!("{error} {:?}", error.source().map(ToString::to_string));
        assert!(text.contains(wanted), "{text}");
    }
    // A replayed token is told to the client.
    let alice = realm.credential(&env, "alice").unwrap();
    let name = Name::hostbased_service("host@localhost");
    let begun = Initiator::new(&env, &alice, &name).start().unwrap();
    let baton::Step::Continue { token, .. } = begun else {
        panic!("mutual");
    };
    Acceptor::new(&env, &service).step(&token).unwrap();
    let (mut here, there) = pair();
    here.write_all(&(token.len() as u32).to_be_bytes()).unwrap();
    here.write_all(&token).unwrap();
    let refused = stream::accept(there, Acceptor::new(&env, &service), options());
    assert!(matches!(refused, Err(StreamError::Handshake(_))));
    let mut header = [0; 4];
    here.read_exact(&mut header).unwrap();
    let mut answer = vec![0; u32::from_be_bytes(header) as usize];
    here.read_exact(&mut answer).unwrap();
    assert_eq!(answer[0], 0x60, "a KRB-ERROR in its frame");
}

/// Whoever is on the way sends something behind the client's last token, before the server has answered.
#[test]
fn cve_2021_23214_bytes_from_before_the_context_are_not_its_data() {
    let Setting { realm, env } = setting();
    let (alice, service) = (
        realm.credential(&env, "alice").unwrap(),
        realm.acceptor(&env).unwrap(),
    );
    for injected in [&b"\0\0\0\x04DROP"[..], b"DROP TABLE", b"\0\0\0\0"] {
        let name = Name::hostbased_service("host@localhost");
        let begun = Initiator::new(&env, &alice, &name).start().unwrap();
        let baton::Step::Continue { token, .. } = begun else {
            panic!("mutual");
        };
        let (mut here, there) = pair();
        let frame = [&(token.len() as u32).to_be_bytes()[..], &token, injected].concat();
        here.write_all(&frame).unwrap();
        here.shutdown(Shutdown::Write).unwrap();
        let mut stream = stream::accept(there, Acceptor::new(&env, &service), options()).unwrap();
        let mut out = Vec::new();
        assert!(stream.read_to_end(&mut out).is_err());
        assert!(out.is_empty(), "{injected:x?}");
    }
}
