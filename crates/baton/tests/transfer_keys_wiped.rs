//! After an export no byte of a key is left in the exporter's memory.

mod common;

use std::path::Path;

use baton::{Context, Step, Token};
use common::memory::{self, Pattern};
use common::process::{self, Worker};
use common::{Begun, Site};

#[test]
fn worker() {
    process::worker();
}

/// The keys of an exported context, which a test that holds token and store can read.
fn keys_of(directory: &Path, token: &Token) -> Vec<Pattern> {
    memory::keys_in_state(&memory::open_state(directory, token))
}

#[test]
fn after_a_handshake_and_messages() {
    let directory = common::store_directory();
    let site = Site::in_directory(directory.path());
    let worker = Worker::start(directory.path());
    let (token, next) = site.begin();
    let answer = worker.call(b'A', &token).unwrap();
    let Begun::Waits(next) = next else {
        panic!("mutual")
    };
    let Ok(Step::Done {
        context: client, ..
    }) = next.step(&answer)
    else {
        panic!("established")
    };
    worker.converse(&client);
    let before = memory::of_process(worker.pid());
    let token = worker.export().unwrap();
    let after = memory::of_process(worker.pid());

    let keys = keys_of(directory.path(), &token);
    assert_eq!(keys.len(), 2, "the initiator's subkey and the acceptor's");
    for (number, key) in keys.iter().enumerate() {
        assert!(key.count(&before) > 0, "key {number}: this test can fail");
        assert_eq!(key.count(&after), 0, "key {number}");
    }
}

#[test]
fn after_an_import_and_messages() {
    let directory = common::store_directory();
    let site = Site::in_directory(directory.path());
    let worker = Worker::start(directory.path());
    let (client, server) = site.contexts();
    let token = server.export(&baton::ExportOptions::default()).unwrap();
    let keys = keys_of(directory.path(), &token);
    worker.import(&token).unwrap();
    worker.converse(&client);
    let before = memory::of_process(worker.pid());
    let token = worker.export().unwrap();
    let after = memory::of_process(worker.pid());
    for (number, key) in keys.iter().enumerate() {
        assert!(key.count(&before) > 0, "key {number}: this test can fail");
        assert_eq!(key.count(&after), 0, "key {number}");
    }
    let server = Context::import(&site.env, &token).unwrap();
    common::converse(&client, &server);
}

#[test]
fn after_sending_it_over_a_socket() {
    let directory = common::store_directory();
    let site = Site::in_directory(directory.path());
    let worker = Worker::start(directory.path());
    let (client, server) = site.contexts();
    let token = server.export(&baton::ExportOptions::default()).unwrap();
    let keys = keys_of(directory.path(), &token);
    worker.import(&token).unwrap();
    let (here, there) = baton::transfer::Channel::pair().unwrap();
    let before = memory::of_process(worker.pid());
    use std::os::fd::AsFd;
    worker.channel.send_note(b"P", &[there.as_fd()]).unwrap();
    worker.answer().unwrap().unwrap();
    let after = memory::of_process(worker.pid());
    for (number, key) in keys.iter().enumerate() {
        assert!(key.count(&before) > 0, "key {number}: this test can fail");
        assert_eq!(key.count(&after), 0, "key {number}");
    }
    let received = baton::transfer::receive_over(&site.env, &here).unwrap();
    common::converse(&client, &received.context);
}
