//! T8: initiators and acceptors change hands, half-open contexts do not.

mod common;

use baton::{Context, ExportOptions, Major, Step};
use common::process::{self, Worker};
use common::{Begun, Site};

#[test]
fn worker() {
    process::worker();
}

#[test]
fn either_side_lives_on_in_another_process() {
    let directory = common::store_directory();
    let site = Site::in_directory(directory.path());
    let worker = Worker::start(directory.path());
    for client_moves in [false, true] {
        let (client, server) = site.contexts();
        let (moves, stays) = match client_moves {
            true => (client, server),
            false => (server, client),
        };
        assert_eq!(moves.facts().locally_initiated, client_moves);
        let token = moves.export(&ExportOptions::default()).unwrap();
        worker.import(&token).unwrap();
        worker.converse(&stays);
    }
}

#[test]
fn both_sides_at_once() {
    let site = Site::in_memory();
    let (client, server) = site.contexts();
    let tokens = [client, server].map(|context| context.export(&ExportOptions::default()).unwrap());
    let [client, server] = tokens.map(|token| Context::import(&site.env, &token).unwrap());
    common::converse(&client, &server);
}

#[test]
fn a_half_open_context_is_refused_and_goes_on() {
    let directory = common::store_directory();
    let site = Site::in_directory(directory.path());
    let worker = Worker::start(directory.path());
    let (token, next) = site.begin();
    let Begun::Waits(next) = next else {
        panic!("mutual")
    };
    let (next, error) = next.export(&ExportOptions::default()).unwrap_err();
    assert_eq!(error.major(), Major::NoContext);
    let answer = worker.call(b'A', &token).unwrap();
    let Ok(Step::Done { context, .. }) = next.step(&answer) else {
        panic!("established")
    };
    worker.converse(&context);
}
