//! T3: after a transfer the one-time key is nowhere; neither token nor store alone opens a context.

mod common;

use baton::{Context, ExportOptions, Major};
use common::{Site, memory, process};
use once::{FileOptions, OnceStore, Tag};

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
    assert!(
        left.count() < 4,
        "counts may stay, 32 bytes of a key may not"
    );
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

/// The store's files, in the words that they are made of.
fn words(directory: &std::path::Path) -> Vec<u64> {
    let mut files: Vec<_> = std::fs::read_dir(directory)
        .unwrap()
        .map(|file| file.unwrap().path())
        .collect();
    files.sort();
    let bytes = files.iter().flat_map(|file| std::fs::read(file).unwrap());
    let bytes: Vec<u8> = bytes.collect();
    let (words, _) = bytes.as_chunks::<8>();
    words.iter().map(|word| u64::from_le_bytes(*word)).collect()
}
