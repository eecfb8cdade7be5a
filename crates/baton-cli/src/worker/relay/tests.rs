use mio::net::UnixStream;

use super::*;
use crate::knc::{FrameError, first_token, frame};

/// A cipher that changes nothing but length, so that frames can be written by hand; it refuses tokens that begin with `!`.
struct Null;

impl Protection for Null {
    fn wrap(&self, message: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
        out.push(b'.');
        out.extend(message);
        Ok(())
    }

    fn unwrap(&self, token: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
        match token {
            [b'.', message @ ..] => {
                out.extend(message);
                Ok(())
            }
            _ => Err("altered".to_owned()),
        }
    }
}

impl Socket for UnixStream {
    fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        UnixStream::shutdown(self, how)
    }

    fn reset_is_end(&self) -> bool {
        true
    }
}

struct Ends {
    relay: Relay<Null, UnixStream, UnixStream>,
    scratch: Scratch,
    client: UnixStream,
    service: UnixStream,
}

const MAX_TOKEN: usize = 1 << 20;

fn ends() -> Ends {
    let (client, inner) = UnixStream::pair().unwrap();
    let (service, outer) = UnixStream::pair().unwrap();
    Ends {
        relay: Relay::new(Null, inner, outer, MAX_TOKEN, Carried::default()),
        scratch: Scratch::new(),
        client,
        service,
    }
}

fn message(bytes: &[u8]) -> Vec<u8> {
    frame(&[b".", bytes].concat())
}

impl Ends {
    fn turn(&mut self) -> Result<Turn, Broken> {
        self.relay.client_ready = Ready::UNKNOWN;
        self.relay.service_ready = Ready::UNKNOWN;
        self.relay.turn(&mut self.scratch)
    }

    /// Puts the conversation into another relay, as a replaced worker does.
    fn change_hands(&mut self) {
        let carried = self.relay.carried();
        let (client, _) = UnixStream::pair().unwrap();
        let (service, _) = UnixStream::pair().unwrap();
        let client = mem::replace(&mut self.relay.client, client);
        let service = mem::replace(&mut self.relay.service, service);
        self.relay = Relay::new(Null, client, service, MAX_TOKEN, carried);
    }

    fn at_rest(&self) -> bool {
        self.relay.frames.capacity() == 0
            && self.relay.to_service.bytes.capacity() == 0
            && self.relay.to_client.bytes.capacity() == 0
    }
}

/// Everything there is to read now, and whether the end came.
fn read_all(from: &mut UnixStream) -> (Vec<u8>, bool) {
    let mut out = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return (out, true),
            Ok(count) => out.extend(&buffer[..count]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return (out, false),
            Err(error) => panic!("{error}"),
        }
    }
}

fn messages(mut bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut out = Vec::new();
    while let Some((token, used)) = first_token(bytes, MAX_TOKEN).unwrap() {
        out.push(token[1..].to_vec());
        bytes = &bytes[used..];
    }
    assert!(bytes.is_empty());
    out
}

#[test]
fn messages_pass_whatever_the_cut_and_the_worker() {
    let bytes = [message(b"one"), message(b"two"), message(&[7; 300])].concat();
    let plain = [&b"onetwo"[..], &[7; 300]].concat();
    for cut in 0..=bytes.len() {
        let mut ends = ends();
        ends.client.write_all(&bytes[..cut]).unwrap();
        ends.turn().unwrap();
        ends.change_hands();
        ends.client.write_all(&bytes[cut..]).unwrap();
        ends.turn().unwrap();
        assert_eq!(read_all(&mut ends.service), (plain.clone(), false), "{cut}");
        assert!(ends.at_rest(), "{cut}");
        ends.client.shutdown(Shutdown::Write).unwrap();
        ends.turn().unwrap();
        assert_eq!(read_all(&mut ends.service), (vec![], true), "{cut}");
    }
}

#[test]
fn a_cut_frame_is_not_an_end() {
    let bytes = message(b"one");
    for cut in 1..bytes.len() {
        let mut ends = ends();
        ends.client.write_all(&bytes[..cut]).unwrap();
        ends.client.shutdown(Shutdown::Write).unwrap();
        let broken = ends.turn();
        assert!(
            matches!(broken, Err(Broken::Frame(FrameError::Cut))),
            "{cut}"
        );
    }
}

#[test]
fn a_conversation_ends_when_both_directions_have() {
    for client_first in [true, false] {
        let mut ends = ends();
        let (first, second) = match client_first {
            true => (&ends.client, &ends.service),
            false => (&ends.service, &ends.client),
        };
        let second = second.try_clone_for_test();
        first.shutdown(Shutdown::Write).unwrap();
        assert_eq!(ends.turn().unwrap(), Turn::Waits);
        second.shutdown(Shutdown::Write).unwrap();
        assert_eq!(ends.turn().unwrap(), Turn::Ended);
        assert_eq!(read_all(&mut ends.client), (vec![], true));
        assert_eq!(read_all(&mut ends.service), (vec![], true));
    }
}

trait CloneForTest {
    fn try_clone_for_test(&self) -> std::os::unix::net::UnixStream;
}

impl CloneForTest for UnixStream {
    fn try_clone_for_test(&self) -> std::os::unix::net::UnixStream {
        use std::os::fd::AsFd;
        self.as_fd().try_clone_to_owned().unwrap().into()
    }
}

#[test]
fn the_other_direction_outlives_a_half_close() {
    let mut ends = ends();
    ends.client.write_all(&message(b"question")).unwrap();
    ends.client.shutdown(Shutdown::Write).unwrap();
    ends.turn().unwrap();
    assert_eq!(read_all(&mut ends.service), (b"question".to_vec(), true));
    ends.change_hands();
    ends.service.write_all(b"answer").unwrap();
    ends.turn().unwrap();
    let (bytes, ended) = read_all(&mut ends.client);
    assert_eq!((messages(&bytes), ended), (vec![b"answer".to_vec()], false));
    ends.service.shutdown(Shutdown::Write).unwrap();
    assert_eq!(ends.turn().unwrap(), Turn::Ended);
}

#[test]
fn a_peer_of_the_other_dialect_ends_by_command_and_is_answered_so() {
    let mut ends = ends();
    let bytes = [message(b"data"), message(b""), message(b"\0")].concat();
    ends.client.write_all(&bytes).unwrap();
    ends.turn().unwrap();
    assert_eq!(read_all(&mut ends.service), (b"data".to_vec(), true));
    ends.service.write_all(b"reply").unwrap();
    ends.service.shutdown(Shutdown::Write).unwrap();
    assert_eq!(ends.turn().unwrap(), Turn::Waits);
    let (bytes, ended) = read_all(&mut ends.client);
    let expected = vec![b"reply".to_vec(), vec![], vec![0]];
    assert_eq!((messages(&bytes), ended), (expected, true));
    assert!(ends.relay.lingers_until().is_some());
    drop(ends.client.shutdown(Shutdown::Both));
    assert_eq!(ends.turn().unwrap(), Turn::Ended);
}

#[test]
fn a_client_that_reads_no_more_stops_the_service() {
    let mut ends = ends();
    ends.client
        .write_all(&[message(b""), message(b"\x01"), message(b"still")].concat())
        .unwrap();
    ends.turn().unwrap();
    assert_eq!(read_all(&mut ends.service), (b"still".to_vec(), false));
    let error = ends.service.write(b"x").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BrokenPipe);
    assert!(read_all(&mut ends.client).1);
}

#[test]
fn data_after_the_end_and_an_altered_message_break_it_off() {
    for (bytes, altered) in [
        (
            [message(b""), message(b"\0"), message(b"x")].concat(),
            false,
        ),
        (frame(b"!altered"), true),
    ] {
        let mut ends = ends();
        ends.client.write_all(&bytes).unwrap();
        match ends.turn() {
            Err(Broken::Unwrap(_)) => assert!(altered),
            Err(Broken::AfterEnd(_)) => assert!(!altered),
            other => panic!("{other:?}"),
        }
        assert_eq!(read_all(&mut ends.service).0, b"");
    }
}

#[test]
fn a_frame_over_the_limit_is_refused_before_it_arrives() {
    let mut ends = ends();
    ends.client
        .write_all(&(MAX_TOKEN as u32 + 1).to_be_bytes())
        .unwrap();
    assert!(matches!(
        ends.turn(),
        Err(Broken::Frame(FrameError::TooLong { .. }))
    ));
}

#[test]
fn what_is_buffered_is_bounded_when_nobody_reads() {
    let mut ends = ends();
    let bytes = message(&[5; 60_000]);
    let (mut taken, mut given, mut quiet) = (0, 0, 0);
    while quiet < 3 {
        let before = (taken, given);
        if let Ok(count) = ends.client.write(&bytes[taken % bytes.len()..]) {
            taken += count;
        }
        if let Ok(count) = ends.service.write(&[6; 60_000]) {
            given += count;
        }
        ends.turn().unwrap();
        quiet = if before == (taken, given) {
            quiet + 1
        } else {
            0
        };
        assert!(ends.relay.frames.len() <= READ + bytes.len());
        assert!(ends.relay.to_service.bytes.len() <= MAX_TOKEN);
        assert!(ends.relay.to_client.bytes.len() <= MAX_PLAINTEXT + 64);
    }
    assert!(taken < 3_000_000 && given < 3_000_000, "{taken} {given}");
    // All of it is still there, in order, after a change of worker.
    ends.change_hands();
    let (mut plain, mut frames) = (0, Vec::new());
    for _ in 0..1000 {
        ends.turn().unwrap();
        let part = read_all(&mut ends.service).0;
        assert!(part.iter().all(|byte| *byte == 5));
        plain += part.len();
        frames.extend(read_all(&mut ends.client).0);
    }
    let whole = taken / bytes.len() * 60_000;
    assert!(plain >= whole, "{plain} {whole}");
    let back: usize = messages(&frames).iter().map(Vec::len).sum();
    assert_eq!(back, given);
    assert!(messages(&frames).iter().flatten().all(|byte| *byte == 6));
}

#[test]
fn a_service_that_exits_unread_still_has_its_last_word() {
    let mut ends = ends();
    ends.client.write_all(&message(b"never read")).unwrap();
    ends.turn().unwrap();
    ends.service.write_all(b"last word").unwrap();
    let (gone, _) = UnixStream::pair().unwrap();
    drop(mem::replace(&mut ends.service, gone));
    ends.client.write_all(&message(b"nor this")).unwrap();
    ends.turn().unwrap();
    let (bytes, ended) = read_all(&mut ends.client);
    assert_eq!(
        (messages(&bytes), ended),
        (vec![b"last word".to_vec()], true)
    );
    ends.client.write_all(&message(b"nor that")).unwrap();
    assert_eq!(ends.turn().unwrap(), Turn::Waits);
    ends.client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(ends.turn().unwrap(), Turn::Ended);
}

#[test]
fn an_idle_conversation_holds_no_buffer() {
    let mut ends = ends();
    for _ in 0..3 {
        ends.client.write_all(&message(&[1; 50_000])).unwrap();
        ends.service.write_all(&[2; 50_000]).unwrap();
        ends.turn().unwrap();
        read_all(&mut ends.service);
        read_all(&mut ends.client);
        ends.turn().unwrap();
        assert!(ends.at_rest());
    }
    assert_eq!(ends.relay.counts(), [150_000, 150_000]);
}
