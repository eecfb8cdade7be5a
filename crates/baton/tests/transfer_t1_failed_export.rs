//! T1: an export that fails, at whichever step, gives no token and leaves the context usable.

mod common;

use std::fs;
use std::os::unix::fs::FileExt;
use std::time::Duration;

use baton::transfer::{Channel, Sending, receive_over, send_over};
use baton::{Config, Context, ExportOptions, Major, Policy, Store, StoreOptions, Transfer};
use common::Site;
use once::{FileOptions, OnceStore, StoreError, Tag};

/// The export fails with `major`, and the context goes on.
fn refused(client: &Context, server: Context, options: &ExportOptions, major: Major) -> Context {
    let (server, error) = server.export(options).expect_err("exported");
    assert_eq!(error.major(), major, "{error}");
    common::converse(client, &server);
    server
}

#[test]
fn switched_off_by_configuration() {
    let site = Site::new(Config {
        store: Store::Memory,
        transfer: Transfer {
            enabled: false,
            ..Transfer::default()
        },
        ..Config::default()
    });
    let (client, server) = site.contexts();
    refused(
        &client,
        server,
        &ExportOptions::default(),
        Major::Unavailable,
    );
    assert_eq!(site.env.counts().unavailable, 1);
}

#[test]
fn a_policy_that_cannot_be_carried_out() {
    let site = Site::in_memory();
    let (client, server) = site.contexts();
    let long = ExportOptions::default().policy(Policy::users(vec![1; 100]));
    let server = refused(&client, server, &long, Major::Failure);
    let token = server.export(&ExportOptions::default()).unwrap();
    let server = Context::import(&site.env, &token).unwrap();
    common::converse(&client, &server);
}

#[test]
fn an_expired_context() {
    let site = Site::in_memory();
    let (client, server) = site.contexts();
    site.clock.pass(Duration::from_secs(2 * 3600));
    let server = refused(
        &client,
        server,
        &ExportOptions::default(),
        Major::ContextExpired,
    );
    assert_eq!(server.lifetime(), None);
    assert_eq!(site.env.counts().expired, 1);
}

#[test]
fn a_token_that_would_be_dead_on_arrival() {
    let site = Site::in_memory();
    let (client, server) = site.contexts();
    let none = ExportOptions::default().lifetime(Duration::ZERO);
    refused(&client, server, &none, Major::Failure);
    assert_eq!(site.env.counts().export_failed, 1);
}

#[test]
fn a_message_over_a_socket_that_would_be_dead_on_arrival() {
    let site = Site::in_memory();
    let (here, there) = Channel::pair().unwrap();
    there.set_nonblocking(true).unwrap();
    let (client, server) = site.contexts();
    let none = Sending {
        lifetime: Some(Duration::ZERO),
        ..Sending::default()
    };
    let (server, error) = send_over(&here, server, &none).expect_err("sent");
    assert_eq!(error.major(), Major::Failure, "{error}");
    common::converse(&client, &server);
    assert_eq!(site.env.counts().export_failed, 1);
    assert!(receive_over(&site.env, &there).is_err(), "nothing was sent");

    send_over(&here, server, &Sending::default()).unwrap();
    let received = receive_over(&site.env, &there).unwrap();
    common::converse(&client, &received.context);
}

#[test]
fn a_store_that_cannot_be_opened_and_then_can() {
    let place = common::store_directory();
    let directory = place.path().join("store");
    std::fs::write(&directory, b"not a directory").unwrap();
    // Handshakes need the store as well: these contexts come from another one.
    let (client, server) = Site::new(Config {
        replay: baton::Replay::None,
        ..common::in_directory(&directory)
    })
    .contexts();
    let server = refused(&client, server, &ExportOptions::default(), Major::Failure);
    let (server, error) = server.export(&ExportOptions::default()).unwrap_err();
    let told = error.to_string();
    assert!(
        told.contains(directory.to_str().unwrap()),
        "names the path: {told}"
    );

    std::fs::remove_file(&directory).unwrap();
    let token = server.export(&ExportOptions::default()).unwrap();
    let site = Site::in_directory(&directory);
    let server = Context::import(&site.env, &token).unwrap();
    common::converse(&client, &server);
}

#[test]
fn a_full_store() {
    let place = common::store_directory();
    let site = Site::in_directory(place.path());
    let (client, server) = site.contexts();
    let options = FileOptions {
        directory: Some(place.path().to_owned()),
        ..FileOptions::default()
    };
    let store = OnceStore::file(&options, site.clock.shared()).unwrap();
    let expires = common::now() + Duration::from_secs(600);
    // Until so many tags find no place that most will not.
    let mut full = 0;
    while full < 500 {
        match store.put(&Tag::random(&common::Kernel), b"x", expires) {
            Ok(()) => {}
            Err(StoreError::Full { .. }) => full += 1,
            Err(other) => panic!("{other}"),
        }
    }
    // A tag's places may be free by chance.
    let mut server = server;
    let mut refusals = 0;
    for _ in 0..50 {
        server = match server.export(&ExportOptions::default()) {
            Err((server, error)) => {
                assert_eq!(error.major(), Major::Failure);
                refusals += 1;
                server
            }
            Ok(token) => Context::import(&site.env, &token).unwrap(),
        };
        common::converse(&client, &server);
    }
    assert!(refusals > 0);
}

#[test]
fn a_store_that_is_removed_in_use() {
    let place = common::store_directory();
    let site = Site::in_directory(place.path());
    let (client, server) = site.contexts();
    let token = server.export(&ExportOptions::default()).unwrap();
    let server = Context::import(&site.env, &token).unwrap();
    for entry in std::fs::read_dir(place.path()).unwrap() {
        std::fs::remove_file(entry.unwrap().path()).unwrap();
    }
    refused(&client, server, &ExportOptions::default(), Major::Failure);
}

/// The words of the store's deposits beside states and header: zero where there are none.
fn deposited(map: &fs::File) -> bool {
    const HEADER: u64 = 4096;
    const STATES: u64 = 8 * 16;
    let len = map.metadata().unwrap().len() - HEADER - STATES;
    let mut words = vec![0; len as usize];
    map.read_exact_at(&mut words, HEADER + STATES).unwrap();
    words.iter().any(|byte| *byte != 0)
}

#[test]
fn nothing_is_left_of_a_failed_export() {
    let place = common::store_directory();
    let site = Site::new(Config {
        store_options: StoreOptions {
            deposits: 16,
            ..StoreOptions::default()
        },
        ..common::in_directory(place.path())
    });
    let (client, mut server) = site.contexts();
    let map = fs::File::open(place.path().join("deposits")).unwrap();
    let usual = ExportOptions::default;
    for options in [
        usual().lifetime(Duration::ZERO),
        usual().policy(Policy::users(vec![1; 100])),
    ] {
        server = refused(&client, server, &options, Major::Failure);
        assert!(!deposited(&map));
    }
    let counts = site.env.counts();
    assert_eq!((counts.exported, counts.export_failed), (0, 2));

    let token = server.export(&usual()).unwrap();
    assert!(deposited(&map), "this test would see it");
    let server = Context::import(&site.env, &token).unwrap();
    assert!(!deposited(&map));
    // The last step fails: the deposit is made, and then it turns out that nobody would find it.
    fs::remove_file(place.path().join("deposits")).unwrap();
    let server = refused(&client, server, &usual(), Major::Failure);
    assert!(!deposited(&map));
    assert!(
        server
            .lifetime()
            .is_some_and(|left| left > Duration::from_secs(3500))
    );
}
