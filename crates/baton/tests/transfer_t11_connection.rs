//! T11: a live connection is handed over in one call: context, descriptors and bytes in one message.

mod common;

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Barrier};
use std::time::Duration;

use baton::transfer::{
    Arrival, CarryError, Channel, MAX_DESCRIPTORS, Sending, receive_over, send_over,
};
use baton::{Config, Context, Error, Major, Policy, Store, Transfer};
use common::Site;
use common::process::{self, Worker};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send};
use rustix::process::geteuid;

#[test]
fn worker() {
    process::worker();
}

fn carry(error: &Error) -> &CarryError {
    error.cause().expect("the channel's own error")
}

fn sent(channel: &Channel, context: Context, sending: &Sending<'_>) -> (Context, Error) {
    send_over(channel, context, sending).expect_err("sent")
}

#[test]
fn a_connection_goes_on_in_another_process() {
    let directory = common::store_directory();
    let site = Site::in_memory();
    let worker = Worker::start(directory.path());
    let (mut ours, theirs) = UnixStream::pair().unwrap();
    let (client, server) = site.contexts();
    let sending = Sending {
        descriptors: &[theirs.as_fd()],
        extra: b"read already",
        ..Sending::default()
    };
    send_over(&worker.channel, server, &sending).unwrap();
    drop(theirs);
    assert_eq!(worker.answer().unwrap().unwrap(), b"read already");

    ours.write_all(&client.wrap(true, b"over the wire").unwrap())
        .unwrap();
    ours.shutdown(Shutdown::Write).unwrap();
    worker.tell(b'C', &[]);
    let mut reply = Vec::new();
    ours.read_to_end(&mut reply).unwrap();
    assert_eq!(client.unwrap(&reply).unwrap().data, b"over the wire");
    worker.answer().unwrap().unwrap();
}

#[test]
fn no_store_is_involved() {
    let nowhere = Site::in_directory("/nonexistent/store".as_ref());
    let (client, server) = Site::in_memory().contexts();
    let (here, there) = Channel::pair().unwrap();
    send_over(&here, server, &Sending::default()).unwrap();
    let received = receive_over(&nowhere.env, &there).unwrap();
    common::converse(&client, &received.context);
    send_over(&here, received.context, &Sending::default()).unwrap();
    let received = receive_over(&nowhere.env, &there).unwrap();
    common::converse(&client, &received.context);
    assert_eq!(nowhere.env.counts().imported, 2);
}

#[test]
fn long_extras_come_whole() {
    let directory = common::store_directory();
    let site = Site::in_memory();
    let worker = Worker::start(directory.path());
    for length in [0, 1, 32_000, 32_768, 65_536, 1 << 20, 5 << 20] {
        let extra: Vec<u8> = (0..length).map(|at: u32| at as u8).collect();
        let (client, server) = site.contexts();
        let sending = Sending {
            extra: &extra,
            ..Sending::default()
        };
        send_over(&worker.channel, server, &sending).unwrap();
        // The answer echoes all of it.
        assert!(worker.answer().unwrap().unwrap() == extra, "{length}");
        worker.converse(&client);
    }
}

#[test]
fn what_is_too_much_is_refused_and_the_context_stays() {
    let site = Site::in_memory();
    let (here, there) = Channel::pair().unwrap();
    let (client, server) = site.contexts();
    let sockets: Vec<UnixStream> = (0..MAX_DESCRIPTORS)
        .map(|_| UnixStream::pair().unwrap().0)
        .collect();
    let mut descriptors: Vec<BorrowedFd<'_>> = sockets.iter().map(AsFd::as_fd).collect();
    descriptors.push(here.as_fd());
    let many = Sending {
        descriptors: &descriptors,
        ..Sending::default()
    };
    let (server, error) = sent(&here, server, &many);
    assert!(
        matches!(carry(&error), CarryError::TooManyDescriptors),
        "{error}"
    );
    let long = vec![0; 17 << 20];
    let long = Sending {
        extra: &long,
        ..Sending::default()
    };
    let (server, error) = sent(&here, server, &long);
    assert!(matches!(carry(&error), CarryError::TooLong), "{error}");
    common::converse(&client, &server);

    let most = Sending {
        descriptors: &descriptors[..MAX_DESCRIPTORS],
        ..Sending::default()
    };
    send_over(&here, server, &most).unwrap();
    let received = receive_over(&site.env, &there).unwrap();
    assert_eq!(received.descriptors.len(), MAX_DESCRIPTORS);
    for descriptor in &received.descriptors {
        let flags = rustix::io::fcntl_getfd(descriptor).unwrap();
        assert!(flags.contains(rustix::io::FdFlags::CLOEXEC));
    }
    common::converse(&client, &received.context);
}

#[test]
fn a_receiver_that_is_gone_leaves_the_context_here() {
    let site = Site::in_memory();
    let (here, there) = Channel::pair().unwrap();
    let (client, server) = site.contexts();
    drop(there);
    let (server, error) = sent(&here, server, &Sending::default());
    assert!(matches!(carry(&error), CarryError::Closed), "{error}");
    common::converse(&client, &server);
    let error = receive_over(&site.env, &here).unwrap_err();
    assert!(matches!(carry(&error), CarryError::Closed), "{error}");
    assert_eq!(site.env.counts().export_failed, 1);
}

#[test]
fn a_receiver_that_dies_in_the_middle_leaves_the_context_here() {
    let site = Site::in_memory();
    let (here, there) = Channel::pair().unwrap();
    let (client, server) = site.contexts();
    let extra = vec![0; 1 << 20];
    let reader = std::thread::spawn(move || {
        let mut packet = vec![0; 1 << 16];
        for _ in 0..5 {
            recv(&there, &mut packet, RecvFlags::empty()).unwrap();
        }
    });
    let sending = Sending {
        extra: &extra,
        ..Sending::default()
    };
    let (server, error) = sent(&here, server, &sending);
    reader.join().unwrap();
    assert!(matches!(carry(&error), CarryError::Closed), "{error}");
    common::converse(&client, &server);
    let (_, error) = sent(&here, server, &Sending::default());
    assert!(matches!(carry(&error), CarryError::Broken), "{error}");
}

#[test]
fn a_channel_that_does_not_block_gives_the_context_back_when_full() {
    let site = Site::in_memory();
    let (here, there) = Channel::pair().unwrap();
    here.set_nonblocking(true).unwrap();
    there.set_nonblocking(true).unwrap();
    assert!(matches!(
        there.receive(&site.env).unwrap(),
        Arrival::Nothing
    ));
    let note = vec![0; 16_000];
    let mut notes = 0;
    while here.send_note(&note, &[]).is_ok() {
        notes += 1;
    }
    let (client, server) = site.contexts();
    let extra = vec![1; 20_000];
    let sending = Sending {
        extra: &extra,
        ..Sending::default()
    };
    let (server, error) = sent(&here, server, &sending);
    assert!(matches!(carry(&error), CarryError::WouldBlock), "{error}");
    common::converse(&client, &server);
    for _ in 0..notes {
        assert!(matches!(
            there.receive(&site.env).unwrap(),
            Arrival::Note(_)
        ));
    }
    send_over(&here, server, &sending).unwrap();
    let Arrival::Context(received) = there.receive(&site.env).unwrap() else {
        panic!("a context")
    };
    assert_eq!(received.extra, extra);
    common::converse(&client, &received.context);
    assert!(matches!(
        there.receive(&site.env).unwrap(),
        Arrival::Nothing
    ));
}

/// One packet with a context as it is on the socket.
fn packet(site: &Site) -> (Context, Vec<u8>) {
    let (here, there) = Channel::pair().unwrap();
    let (client, server) = site.contexts();
    send_over(&here, server, &Sending::default()).unwrap();
    let mut packet = vec![0; 1 << 16];
    let (length, _) = recv(&there, &mut packet[..], RecvFlags::empty()).unwrap();
    packet.truncate(length);
    (client, packet)
}

/// A part of a message, full as each is but the last.
fn part(index: u32) -> Vec<u8> {
    let mut part = vec![0; 32 * 1024];
    part[..2].copy_from_slice(&[1, 1]);
    part[2..6].copy_from_slice(&index.to_be_bytes());
    part
}

/// What `done` does, unless it takes so long that it does not end.
fn in_time<T: Send + 'static>(done: impl FnOnce() -> T + Send + 'static) -> T {
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || _ = tell.send(done()));
    told.recv_timeout(Duration::from_secs(20))
        .expect("it does not end")
}

#[test]
fn altered_and_cut_packets_are_refused_and_the_next_one_is_received() {
    let site = Site::in_memory();
    let (client, packet) = packet(&site);
    let (here, there) = Channel::pair().unwrap();
    there.set_nonblocking(true).unwrap();
    let arrives = |bytes: &[u8]| {
        send(&here, bytes, SendFlags::empty()).unwrap();
        there.receive(&site.env)
    };
    for cut in 1..packet.len() {
        assert!(arrives(&packet[..cut]).is_err(), "cut to {cut}");
    }
    assert!(arrives(&[&packet[..], &[0]].concat()).is_err());
    // The number of the message, which tells two that are interleaved apart, and the kind, of which one is not yet whole and
    // two are of named sockets.
    let harmless = |bit: usize| bit < 8 || (6 * 8..14 * 8).contains(&bit);
    for bit in (0..packet.len() * 8).filter(|bit| !harmless(*bit)) {
        let mut other = packet.clone();
        other[bit / 8] ^= 1 << (bit % 8);
        assert!(arrives(&other).is_err(), "bit {bit}");
    }
    let Arrival::Context(received) = arrives(&packet).unwrap() else {
        panic!("the true one")
    };
    common::converse(&client, &received.context);
}

#[test]
fn a_sender_that_died_in_the_middle_leaves_no_half_message() {
    let site = Site::in_memory();
    let (client, packet) = packet(&site);
    let (here, there) = Channel::pair().unwrap();
    there.set_nonblocking(true).unwrap();
    send(&here, &part(0), SendFlags::empty()).unwrap();
    assert!(matches!(
        there.receive(&site.env).unwrap(),
        Arrival::Nothing
    ));
    send(&here, &packet, SendFlags::empty()).unwrap();
    let Arrival::Context(received) = there.receive(&site.env).unwrap() else {
        panic!("the next one")
    };
    common::converse(&client, &received.context);
    // A part that belongs to nothing.
    let mut stray = packet.clone();
    stray[5] = 7;
    send(&here, &stray, SendFlags::empty()).unwrap();
    let error = there.receive(&site.env).unwrap_err();
    assert_eq!(error.major(), Major::DefectiveToken);
}

#[test]
fn of_two_that_read_one_socket_one_gets_each_context() {
    let site = Site::in_memory();
    let (here, there) = Channel::pair().unwrap();
    // Two descriptors, as two processes would have them.
    let again = Channel::private(there.as_fd().try_clone_to_owned().unwrap());
    let (there, again) = (&there, &again);
    there.set_nonblocking(true).unwrap();
    for _ in 0..50 {
        let (client, server) = site.contexts();
        send_over(&here, server, &Sending::default()).unwrap();
        let contexts: Vec<Context> = std::thread::scope(|scope| {
            let readers = [there, again].map(|end| {
                scope.spawn(|| match end.receive(&site.env).unwrap() {
                    Arrival::Context(received) => Some(received.context),
                    _ => None,
                })
            });
            readers
                .into_iter()
                .filter_map(|reader| reader.join().unwrap())
                .collect()
        });
        assert_eq!(contexts.len(), 1);
        common::converse(&client, &contexts[0]);
    }
}

#[test]
fn a_receiver_with_transfer_switched_off_refuses() {
    let site = Site::in_memory();
    let off = Site::new(Config {
        store: Store::Memory,
        transfer: Transfer {
            enabled: false,
            ..Transfer::default()
        },
        ..Config::default()
    });
    let (here, there) = Channel::pair().unwrap();
    let (_, server) = site.contexts();
    send_over(&here, server, &Sending::default()).unwrap();
    let error = receive_over(&off.env, &there).unwrap_err();
    assert_eq!(error.major(), Major::Unavailable);
    let (client, server) = off.contexts();
    let (server, error) = sent(&here, server, &Sending::default());
    assert_eq!(error.major(), Major::Unavailable);
    common::converse(&client, &server);
}

/// A pair as it would be after `connect` to a socket with a name. Its maker, whom `SO_PEERCRED` names, is this process.
fn named_pair() -> (Channel, OwnedFd) {
    let (one, other) = rustix::net::socketpair(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        SocketFlags::CLOEXEC,
        None,
    )
    .unwrap();
    (Channel::named(one).unwrap(), other)
}

#[test]
fn over_a_named_socket_the_receiver_proves_who_it_is() {
    let directory = common::store_directory();
    let site = Site::in_memory();
    let worker = Worker::start(directory.path());
    let (channel, other) = named_pair();
    worker.channel.send_note(b"N", &[other.as_fd()]).unwrap();
    let (client, server) = site.contexts();
    let sending = Sending {
        extra: b"extra",
        ..Sending::default()
    };
    send_over(&channel, server, &sending).unwrap();
    assert_eq!(worker.answer().unwrap().unwrap(), b"extra");
    worker.converse(&client);
}

/// The kernel tells such a receiver that the sender's process has the number 0.
#[test]
fn over_a_named_socket_a_context_gets_into_a_container() {
    if geteuid().as_raw() != 0 {
        eprintln!("a process namespace is made by root alone");
        return;
    }
    let directory = common::store_directory();
    let site = Site::in_memory();
    let worker = Worker::start_apart(directory.path());
    let (channel, other) = named_pair();
    worker.channel.send_note(b"N", &[other.as_fd()]).unwrap();
    let (client, server) = site.contexts();
    let sending = Sending {
        extra: b"extra",
        ..Sending::default()
    };
    send_over(&channel, server, &sending).unwrap();
    assert_eq!(worker.answer().unwrap().unwrap(), b"extra");
    worker.converse(&client);
}

#[test]
fn over_a_named_socket_another_user_is_refused_unless_named() {
    if geteuid().as_raw() != 0 {
        eprintln!("another user can be tried by root alone");
        return;
    }
    const NOBODY: u32 = 65_534;
    let directory = common::store_directory();
    let site = Site::in_memory();
    let worker = Worker::start_as(directory.path(), Some(NOBODY));
    let (channel, other) = named_pair();
    worker.channel.send_note(b"N", &[other.as_fd()]).unwrap();
    drop(other);
    let (client, server) = site.contexts();
    let mut server = server;
    for policy in [
        None,
        Some(Policy::same_user()),
        Some(Policy::users([0, 1])),
        Some(Policy::groups([0])),
        Some(Policy::holder()),
        Some(Policy::nobody()),
    ] {
        let sending = Sending {
            policy: policy.clone(),
            ..Sending::default()
        };
        let (back, error) = sent(&channel, server, &sending);
        assert_eq!(error.major(), Major::Unauthorized, "{policy:?}: {error}");
        server = back;
    }
    common::converse(&client, &server);
    let named = Sending {
        policy: Some(Policy::users([NOBODY])),
        ..Sending::default()
    };
    send_over(&channel, server, &named).unwrap();
    worker.answer().unwrap().unwrap();
    worker.converse(&client);
}

#[test]
fn a_receiver_believes_contexts_of_its_own_user_and_root_alone() {
    if geteuid().as_raw() != 0 {
        eprintln!("another user can be tried by root alone");
        return;
    }
    const NOBODY: u32 = 65_534;
    let site = Site::in_memory();
    let (client, packet) = packet(&site);
    drop(client);
    let directory = common::store_directory();
    let stranger = Worker::start_as(directory.path(), Some(NOBODY));
    let (channel, other) = named_pair();
    // The very bytes of a context, sent by another user's process.
    let note = [&b"R"[..], &packet].concat();
    stranger.channel.send_note(&note, &[other.as_fd()]).unwrap();
    stranger.answer().unwrap().unwrap();
    let error = receive_over(&site.env, &channel).unwrap_err();
    assert!(
        matches!(carry(&error), CarryError::Stranger(NOBODY)),
        "{error}"
    );
    assert_eq!(error.major(), Major::Unauthorized);
}

#[test]
fn a_receiver_that_proves_nothing_gets_nothing() {
    let site = Site::in_memory();
    let (client, server) = site.contexts();
    let (channel, other) = named_pair();
    let answerer = std::thread::spawn(move || {
        let mut packet = [0; 64];
        let (length, _) = recv(&other, &mut packet[..], RecvFlags::empty()).unwrap();
        // Not a proof but a message; then a proof of another challenge.
        packet[0] = 2;
        send(&other, &packet[..length], SendFlags::empty()).unwrap();
        packet[0] = 4;
        packet[20] ^= 1;
        send(&other, &packet[..length], SendFlags::empty()).unwrap();
    });
    let (server, error) = sent(&channel, server, &Sending::default());
    assert!(matches!(carry(&error), CarryError::Closed), "{error}");
    answerer.join().unwrap();
    common::converse(&client, &server);
    // The message waits to be received; it is not one of ours.
    let error = channel.receive(&site.env).unwrap_err();
    assert!(matches!(carry(&error), CarryError::Message(_)), "{error}");
}

/// Both ends of a socket with a name.
fn named_ends() -> (Channel, Channel) {
    let (one, other) = named_pair();
    (one, Channel::named(other).unwrap())
}

fn context_from(site: &Site, channel: &Channel) -> Context {
    receive_over(&site.env, channel).unwrap().context
}

#[test]
fn both_ends_of_a_named_socket_may_send_at_once() {
    in_time(|| {
        let site = Site::in_memory();
        let (one, other) = named_ends();
        for _ in 0..20 {
            let (alices, hers) = site.contexts();
            let (bobs, his) = site.contexts();
            let start = Barrier::new(2);
            std::thread::scope(|scope| {
                for (channel, context) in [(&one, hers), (&other, his)] {
                    scope.spawn(|| {
                        start.wait();
                        send_over(channel, context, &Sending::default()).unwrap();
                    });
                }
            });
            common::converse(&alices, &context_from(&site, &other));
            common::converse(&bobs, &context_from(&site, &one));
        }
    });
}

#[test]
fn what_comes_before_a_proof_is_kept_for_the_receiver() {
    in_time(|| {
        let site = Site::in_memory();
        let (one, other) = named_ends();
        let (bobs, his) = site.contexts();
        // It is on its way when the other end is asked who it is.
        other.send_note(b"first", &[]).unwrap();
        let (alices, hers) = site.contexts();
        let extra = vec![7; 100_000];
        let sending = Sending {
            extra: &extra,
            ..Sending::default()
        };
        let hers = std::thread::scope(|scope| {
            let receiver = scope.spawn(|| context_from(&site, &other));
            send_over(&one, hers, &sending).unwrap();
            receiver.join().unwrap()
        });
        common::converse(&alices, &hers);
        let Arrival::Note(note) = one.receive(&site.env).unwrap() else {
            panic!("a note")
        };
        assert_eq!(note.bytes, b"first");
        std::thread::scope(|scope| {
            scope.spawn(|| send_over(&other, his, &Sending::default()).unwrap());
            common::converse(&bobs, &context_from(&site, &one));
        });
    });
}

#[test]
fn a_thread_that_waits_to_receive_lets_another_send() {
    let site = Arc::new(Site::in_memory());
    let (one, other) = named_ends();
    let (one, other) = (Arc::new(one), Arc::new(other));
    let (alices, hers) = site.contexts();
    let waiting = {
        let (site, one) = (Arc::clone(&site), Arc::clone(&one));
        std::thread::spawn(move || one.receive(&site.env).unwrap())
    };
    std::thread::sleep(Duration::from_millis(100));
    let hers = in_time({
        let (site, other) = (Arc::clone(&site), Arc::clone(&other));
        move || {
            let receiver = std::thread::spawn(move || context_from(&site, &other));
            send_over(&one, hers, &Sending::default()).unwrap();
            receiver.join().unwrap()
        }
    });
    common::converse(&alices, &hers);
    other.send_note(b"end", &[]).unwrap();
    assert!(matches!(waiting.join().unwrap(), Arrival::Note(_)));
}

/// The packet of a note.
fn note(bytes: &[u8]) -> Vec<u8> {
    let (here, there) = Channel::pair().unwrap();
    here.send_note(bytes, &[]).unwrap();
    let mut packet = vec![0; 1 << 16];
    let (length, _) = recv(&there, &mut packet[..], RecvFlags::empty()).unwrap();
    packet.truncate(length);
    packet
}

#[test]
fn who_asks_and_does_not_listen_holds_up_nobody() {
    let (channel, other) = named_pair();
    let challenge = [&[3, 1][..], &[0; 12], &[9; 32]].concat();
    let note = note(b"after all");
    let (arrival, _other) = in_time(move || {
        let sender = std::thread::spawn(move || {
            for _ in 0..900 {
                send(&other, &challenge, SendFlags::empty()).unwrap();
            }
            send(&other, &note, SendFlags::empty()).unwrap();
            other
        });
        let arrival = channel.receive(&Site::in_memory().env).unwrap();
        (arrival, sender.join().unwrap())
    });
    let Arrival::Note(note) = arrival else {
        panic!("a note")
    };
    assert_eq!(note.bytes, b"after all");
}

#[test]
fn what_was_sent_before_an_end_is_received_though_the_sender_did_not_read_all() {
    let site = Site::in_memory();
    let (here, there) = Channel::pair().unwrap();
    let (client, server) = site.contexts();
    there.send_note(b"not read", &[]).unwrap();
    send_over(&here, server, &Sending::default()).unwrap();
    drop(here);
    common::converse(&client, &context_from(&site, &there));
    assert!(matches!(there.receive(&site.env).unwrap(), Arrival::Closed));
}

#[test]
fn parts_that_are_not_full_or_have_descriptors_are_refused() {
    let site = Site::in_memory();
    let (here, there) = Channel::pair().unwrap();
    there.set_nonblocking(true).unwrap();
    for length in [14, 15, 32 * 1024 - 1] {
        send(&here, &part(0)[..length], SendFlags::empty()).unwrap();
        let error = there.receive(&site.env).unwrap_err();
        assert!(matches!(carry(&error), CarryError::Packet), "{length}");
    }
}

#[test]
fn packets_without_end_end_the_call() {
    let (here, there) = Channel::pair().unwrap();
    there.set_nonblocking(true).unwrap();
    let flood =
        std::thread::spawn(move || while send(&here, &part(0), SendFlags::empty()).is_ok() {});
    let error = in_time(move || {
        let env = Site::in_memory().env;
        loop {
            match there.receive(&env) {
                Ok(Arrival::Nothing) => {}
                Ok(other) => panic!("{other:?}"),
                Err(error) => return error,
            }
        }
    });
    assert!(matches!(carry(&error), CarryError::Flooded), "{error}");
    flood.join().unwrap();
}

#[test]
fn a_message_that_grows_without_end_is_refused() {
    let (here, there) = Channel::pair().unwrap();
    let flood = std::thread::spawn(move || {
        (0..)
            .take_while(|index| send(&here, &part(*index), SendFlags::empty()).is_ok())
            .count()
    });
    let error = in_time(move || there.receive(&Site::in_memory().env).unwrap_err());
    assert!(matches!(carry(&error), CarryError::TooLong), "{error}");
    let sent = flood.join().unwrap();
    assert!((512..600).contains(&sent), "{sent}");
}

#[test]
fn on_a_named_socket_a_note_tells_who_sent_it() {
    let site = Site::in_memory();
    let from = |channel: &Channel| match channel.receive(&site.env).unwrap() {
        Arrival::Note(note) => note.from,
        other => panic!("{other:?}"),
    };
    let (here, there) = Channel::pair().unwrap();
    here.send_note(b"", &[]).unwrap();
    assert_eq!(from(&there), None);
    let (here, there) = named_ends();
    here.send_note(b"", &[]).unwrap();
    assert_eq!(from(&there), Some(geteuid().as_raw()));
}

#[test]
fn a_stranger_is_believed_no_more_than_one_packet() {
    if geteuid().as_raw() != 0 {
        eprintln!("another user can be tried by root alone");
        return;
    }
    const NOBODY: u32 = 65_534;
    let site = Site::in_memory();
    let directory = common::store_directory();
    let stranger = Worker::start_as(directory.path(), Some(NOBODY));
    let (channel, other) = named_pair();
    channel.set_nonblocking(true).unwrap();
    let says = |packet: &[u8]| {
        let command = [b"R", packet].concat();
        stranger
            .channel
            .send_note(&command, &[other.as_fd()])
            .unwrap();
        stranger.answer().unwrap().unwrap();
        channel.receive(&site.env)
    };
    let error = says(&part(0)).unwrap_err();
    assert!(
        matches!(carry(&error), CarryError::Stranger(NOBODY)),
        "{error}"
    );
    match says(&note(b"hello")).unwrap() {
        Arrival::Note(note) => assert_eq!(note.from, Some(NOBODY)),
        other => panic!("{other:?}"),
    }
}
