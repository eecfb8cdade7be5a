//! A context becomes numbers and keys for a kernel, and is not here any more.
#![allow(missing_docs)]

mod common;

use baton::{Config, LucidProtocol, Major, Store, Transfer};
use common::Site;

#[test]
fn a_context_is_taken_apart_once_and_its_peer_goes_on() {
    let site = Site::in_memory();
    let (client, server) = site.contexts();
    let key = client.session_key().unwrap();
    let sealed = server.wrap(true, b"before").unwrap();
    client.unwrap(&sealed).unwrap();
    let lucid = server.into_lucid().map_err(|(_, error)| error).unwrap();
    assert!(!lucid.initiate);
    let LucidProtocol::Cfx {
        acceptor_subkey, ..
    } = lucid.protocol
    else {
        panic!("an older kind of messages");
    };
    assert_eq!(acceptor_subkey.unwrap().bytes, key.bytes);
    assert_eq!(site.env.counts().exported, 1, "it left as any other does");
    client.wrap(true, b"to whoever has it now").unwrap();
}

/// Keys in the open are a transfer that no policy can follow, so the switch is one for both.
#[test]
fn where_transfers_are_switched_off_nothing_is_taken_apart() {
    let site = Site::new(Config {
        store: Store::Memory,
        transfer: Transfer {
            enabled: false,
            ..Transfer::default()
        },
        ..Config::default()
    });
    let (client, server) = site.contexts();
    let Err((server, error)) = server.into_lucid() else {
        panic!("taken apart");
    };
    assert_eq!(error.major(), Major::Unavailable);
    let sealed = server.wrap(true, b"still here").unwrap();
    assert_eq!(client.unwrap(&sealed).unwrap().data, b"still here");
}
