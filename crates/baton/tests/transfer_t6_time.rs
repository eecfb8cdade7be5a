//! T6: an expired context is not exported, an expired token not imported; a token dies in its own time or with its context.

mod common;

use std::time::Duration;

use baton::transfer::{Channel, Sending, receive_over, send_over};
use baton::{Config, Context, ExportOptions, Major, Store, StoreOptions, Transfer};
use common::Site;

const MINUTE: Duration = Duration::from_secs(60);

#[test]
fn a_token_lives_for_five_minutes() {
    let site = Site::in_memory();
    let export = || site.contexts().1.export(&ExportOptions::default()).unwrap();
    let (early, late) = (export(), export());
    site.clock.pass(5 * MINUTE - Duration::from_secs(5));
    assert!(Context::import(&site.env, &early).is_ok());
    site.clock.pass(Duration::from_secs(6));
    let error = Context::import(&site.env, &late).unwrap_err();
    assert_eq!(error.major(), Major::NoContext);
}

#[test]
fn a_message_over_a_socket_lives_for_five_minutes() {
    let site = Site::in_memory();
    let (here, there) = Channel::pair().unwrap();
    let send = || send_over(&here, site.contexts().1, &Sending::default()).unwrap();
    send();
    send();
    site.clock.pass(5 * MINUTE - Duration::from_secs(5));
    assert!(receive_over(&site.env, &there).is_ok());
    site.clock.pass(Duration::from_secs(6));
    let error = receive_over(&site.env, &there).unwrap_err();
    assert_eq!(error.major(), Major::NoContext, "{error}");
    let counts = site.env.counts();
    assert_eq!((counts.expired, counts.import_failed), (1, 0));
    send();
    assert!(receive_over(&site.env, &there).is_ok(), "the next one");
}

#[test]
fn the_exporter_or_the_configuration_may_say_otherwise() {
    let site = Site::new(Config {
        store: Store::Memory,
        transfer: Transfer {
            lifetime: 10 * MINUTE,
            ..Transfer::default()
        },
        ..Config::default()
    });
    let export = |options: &ExportOptions| site.contexts().1.export(options).unwrap();
    let configured = export(&ExportOptions::default());
    let short = export(&ExportOptions::default().lifetime(MINUTE));
    let long = export(&ExportOptions::default().lifetime(30 * MINUTE));
    site.clock.pass(2 * MINUTE);
    let error = Context::import(&site.env, &short).unwrap_err();
    assert_eq!(error.major(), Major::NoContext);
    site.clock.pass(7 * MINUTE);
    assert!(Context::import(&site.env, &configured).is_ok());
    site.clock.pass(15 * MINUTE);
    assert!(Context::import(&site.env, &long).is_ok());
}

#[test]
fn a_token_does_not_outlive_its_context() {
    let site = Site {
        lifetime: Duration::from_secs(90),
        ..Site::in_memory()
    };
    // The acceptor's context lives on for the clock skew; the initiator's ends with the ticket.
    let (client, server) = site.contexts();
    let ends = client.lifetime().unwrap();
    assert!(ends <= Duration::from_secs(90));
    assert!(server.lifetime().unwrap() > Duration::from_secs(300));
    let long = ExportOptions::default().lifetime(60 * MINUTE);
    let token = client.export(&long).unwrap();
    site.clock.pass(ends);
    let error = Context::import(&site.env, &token).unwrap_err();
    assert_eq!(error.major(), Major::NoContext);
}

#[test]
fn an_expired_context_is_not_exported_and_goes_on_protecting_messages() {
    let site = Site::in_memory();
    let (client, server) = site.contexts();
    site.clock.pass(120 * MINUTE);
    for context in [client, server] {
        let (context, error) = context.export(&ExportOptions::default()).unwrap_err();
        assert_eq!(error.major(), Major::ContextExpired);
        assert_eq!(context.lifetime(), None);
        assert!(context.wrap(true, b"long sessions live on this").is_ok());
    }
}

#[test]
fn expired_deposits_make_room() {
    let directory = common::store_directory();
    let config = common::in_directory(directory.path());
    let site = Site::new(Config {
        store_options: StoreOptions {
            deposits: 16,
            ..StoreOptions::default()
        },
        ..config
    });
    let export = || site.contexts().1.export(&ExportOptions::default());
    for _ in 0..3 {
        let tokens: Vec<_> = (0..16).map(|_| export().expect("room for 16")).collect();
        let (_, error) = export().expect_err("and no more");
        assert_eq!(error.major(), Major::Failure, "{error}");
        site.clock.pass(6 * MINUTE);
        assert!(Context::import(&site.env, &tokens[0]).is_err());
    }
    let token = export().unwrap();
    assert!(Context::import(&site.env, &token).is_ok());
}
