//! T9: a context can change hands any number of times.

mod common;

use baton::{Context, ExportOptions, Major};
use common::Site;
use common::process::{self, Worker};

#[test]
fn worker() {
    process::worker();
}

#[test]
fn a_hundred_hops_among_processes() {
    let directory = common::store_directory();
    let site = Site::in_directory(directory.path());
    let workers: Vec<Worker> = (0..3).map(|_| Worker::start(directory.path())).collect();
    let (client, server) = site.contexts();
    let mut token = server.export(&ExportOptions::default()).unwrap();
    let mut used = Vec::new();
    for hop in 0..100 {
        let worker = &workers[hop % workers.len()];
        worker.import(&token).unwrap();
        worker.converse(&client);
        used.push(token);
        token = worker.export().unwrap();
    }
    for token in &used {
        let error = Context::import(&site.env, token).unwrap_err();
        assert_eq!(
            error.major(),
            Major::NoContext,
            "an old token brings nothing back"
        );
    }
    let server = Context::import(&site.env, &token).unwrap();
    common::converse(&client, &server);
}
