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

/// Neither of the handshake's keys nor of the service's.
#[test]
fn t8_after_a_half_open_export() {
    let directory = common::store_directory();
    let site = Site::in_directory(directory.path());
    drop(site.contexts());
    let mut service_key = [0; 32];
    getrandom::fill(&mut service_key).unwrap();
    let hexadecimal: String = service_key.map(|byte| format!("{byte:02x}")).concat();
    common::write_key_text(directory.path(), &hexadecimal);
    let worker = Worker::start(directory.path());
    let flags = baton::Flags::DCE_STYLE | site.flags;
    let (request, _client) = {
        let cred = site.client("alice");
        let name = baton::Name::hostbased_service("host@a.example.test");
        let initiator = baton::Initiator::new(&site.env, &cred, &name).flags(flags);
        let Ok(Step::Continue { token, next }) = initiator.start() else {
            panic!("three legs")
        };
        (token, next)
    };
    worker.step(&request).unwrap();
    let before = memory::of_process(worker.pid());
    let token = worker.export_half_open(baton::HalfOpen::Acceptors).unwrap();
    let after = memory::of_process(worker.pid());

    let keys = baton::ServiceKeys::parse(hexadecimal.as_bytes()).unwrap();
    let state = memory::open_half_open_state(&keys, &token);
    let mut keys = memory::keys_in_state(&state);
    keys.extend(memory::keys_in_state(memory::context_in(&state)));
    assert_eq!(keys.len(), 3, "the session key and both subkeys");
    for (number, key) in keys.iter().enumerate() {
        assert!(key.count(&before) > 0, "key {number}: this test can fail");
        assert_eq!(key.count(&after), 0, "key {number}");
    }
    assert_eq!(memory::Pattern::of(&service_key).count(&after), 0);
    assert_eq!(memory::Pattern::of(hexadecimal.as_bytes()).count(&after), 0);
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
