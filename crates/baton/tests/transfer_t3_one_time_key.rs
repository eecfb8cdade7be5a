//! T3: after a transfer the one-time key is nowhere; neither token nor store alone opens a context.

mod common;

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use baton::transfer::{Channel, Sending, send_over};
use baton::{Context, ExportOptions, Major};
use common::{Site, memory, process};
use once::{FileOptions, OnceStore, Tag};
use rustix::net::{RecvFlags, SendFlags, recv, send};
use wire::fields::FieldReader;

#[test]
fn worker() {
    process::worker();
}

#[test]
fn a_token_without_its_store_opens_nothing() {
    let (here, elsewhere) = (Site::in_memory(), Site::in_memory());
    let (client, server) = here.contexts();
    let token = server.export(&ExportOptions::default()).unwrap();
    let error = Context::import(&elsewhere.env, &token).unwrap_err();
    assert_eq!(error.major(), Major::NoContext);
    let server = Context::import(&here.env, &token).unwrap();
    common::converse(&client, &server);
    let error = Context::import(&here.env, &token).unwrap_err();
    assert_eq!(
        error.major(),
        Major::NoContext,
        "a recorded token is worthless"
    );
}

#[test]
fn after_an_import_neither_memory_nor_store_holds_the_one_time_key() {
    let directory = common::store_directory();
    let site = Site::in_directory(directory.path());
    let worker = process::Worker::start(directory.path());
    worker.call(b'A', &site.begin().0).unwrap();
    let exporter = process::Worker::start(directory.path());
    let (client, server) = site.contexts();
    let token = server.export(&ExportOptions::default()).unwrap();
    exporter.import(&token).unwrap();
    let empty = words(directory.path());
    let token = exporter.export().unwrap();

    let options = FileOptions {
        directory: Some(directory.path().to_owned()),
        ..FileOptions::default()
    };
    let store = OnceStore::file(&options, site.clock.shared()).unwrap();
    let tag = Tag::from_bytes(token.as_ref()[14..30].try_into().unwrap());
    let deposit = store.peek(&tag).unwrap().expect("a deposit");
    // version, expiry, key
    let key = memory::Pattern::of(&deposit.value[9..41]);
    let full = words(directory.path());
    let written: Vec<usize> = (0..full.len())
        .filter(|at| full[*at] != empty[*at] && full[*at] != 0)
        .collect();
    assert!(
        written.len() > deposit.value.len() / 8,
        "this test can fail"
    );

    worker.import(&token).unwrap();
    worker.converse(&client);
    let after = words(directory.path());
    let left = written.iter().filter(|at| after[**at] == full[**at]);
    assert_eq!(left.count(), 0, "of the deposit nothing stays");
    assert_eq!(
        key.count(&memory::of_process(worker.pid())),
        0,
        "the importer"
    );
    assert_eq!(
        key.count(&memory::of_process(exporter.pid())),
        0,
        "the exporter"
    );
}

#[test]
fn after_a_message_over_a_socket_the_sender_does_not_hold_the_one_time_key() {
    let directory = common::store_directory();
    let site = Site::in_directory(directory.path());
    let sender = process::Worker::start(directory.path());
    let (_, server) = site.contexts();
    let token = server.export(&ExportOptions::default()).unwrap();
    sender.import(&token).unwrap();
    let (here, there) = Channel::pair().unwrap();
    sender.channel.send_note(b"P", &[there.as_fd()]).unwrap();
    sender.answer().unwrap().unwrap();
    let key = one_time_key(&packets(&here));
    assert_eq!(key.count(&memory::of_process(sender.pid())), 0);
}

#[test]
fn after_a_message_over_a_socket_the_receiver_does_not_hold_the_one_time_key() {
    let directory = common::store_directory();
    let worker = process::Worker::start(directory.path());
    let site = Site::in_memory();
    let (client, server) = site.contexts();
    let extra = vec![0; 40_000];
    let packets = sent(server, None, &extra);
    let key = one_time_key(&packets);
    let forward = |packet: &[u8]| {
        send(&worker.channel, packet, SendFlags::empty()).unwrap();
    };
    forward(&packets[0]);
    // While the rest of the message is missing the key is there: this test can fail.
    let begun = Instant::now();
    while key.count(&memory::of_process(worker.pid())) == 0 {
        assert!(begun.elapsed() < Duration::from_secs(20), "it is read");
        std::thread::sleep(Duration::from_millis(10));
    }
    packets[1..].iter().for_each(|packet| forward(packet));
    assert!(worker.answer().unwrap().unwrap() == extra);
    assert_eq!(key.count(&memory::of_process(worker.pid())), 0);
    worker.converse(&client);
}

#[test]
fn after_a_message_that_was_refused_the_receiver_does_not_hold_the_one_time_key() {
    let directory = common::store_directory();
    let worker = process::Worker::start(directory.path());
    let (_, server) = Site::in_memory().contexts();
    let short = Duration::from_millis(500);
    let packets = sent(server, Some(short), b"");
    let key = one_time_key(&packets);
    std::thread::sleep(short);
    send(&worker.channel, &packets[0], SendFlags::empty()).unwrap();
    assert_eq!(worker.answer().unwrap().unwrap_err(), "NoContext");
    assert_eq!(key.count(&memory::of_process(worker.pid())), 0);
}

/// A message with `context`, as it is on the socket.
fn sent(context: Context, lifetime: Option<Duration>, extra: &[u8]) -> Vec<Vec<u8>> {
    let (here, there) = Channel::pair().unwrap();
    let sending = Sending {
        extra,
        lifetime,
        ..Sending::default()
    };
    send_over(&here, context, &sending).unwrap();
    packets(&there)
}

/// The packets of the message that waits at `channel`.
fn packets(channel: &Channel) -> Vec<Vec<u8>> {
    let mut packets = Vec::new();
    loop {
        let mut packet = vec![0; 1 << 16];
        let (length, _) = recv(channel, &mut packet[..], RecvFlags::empty()).unwrap();
        packet.truncate(length);
        let last = packet[0] == 2;
        packets.push(packet);
        if last {
            return packets;
        }
    }
}

/// The one-time key in a message.
fn one_time_key(packets: &[Vec<u8>]) -> memory::Pattern {
    let body: Vec<u8> = packets
        .iter()
        .flat_map(|packet| &packet[14..])
        .copied()
        .collect();
    let mut fields = FieldReader::new(&body, 1).unwrap();
    fields.bytes(1).unwrap();
    // version, expiry, key
    memory::Pattern::of(&fields.bytes(2).unwrap()[9..41])
}

/// The store's files, in the words that they are made of, without the page of each that counts what happened.
fn words(directory: &std::path::Path) -> Vec<u64> {
    let mut files: Vec<_> = std::fs::read_dir(directory)
        .unwrap()
        .map(|file| file.unwrap().path())
        .collect();
    files.sort();
    let table = |file| std::fs::read(file).unwrap().split_off(4096);
    let bytes: Vec<u8> = files.iter().flat_map(table).collect();
    let (words, _) = bytes.as_chunks::<8>();
    words.iter().map(|word| u64::from_le_bytes(*word)).collect()
}
