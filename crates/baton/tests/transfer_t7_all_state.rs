//! T7: all of the state travels, and a token is small.

mod common;

use baton::{Context, ExportOptions, Flags, Order};
use common::Site;

fn moved(site: &Site, context: Context) -> Context {
    let facts = context.facts().clone();
    let token = context.export(&ExportOptions::default()).unwrap();
    let context = Context::import(&site.env, &token).unwrap();
    assert_eq!(
        *context.facts(),
        facts,
        "names, flags, lifetime, mechanism, side"
    );
    context
}

const SIDES: [bool; 2] = [false, true];

#[test]
fn messages_go_on_in_sequence_on_both_sides() {
    for enctype in [17, 18, 19, 20, 25, 26] {
        for mutual in [true, false] {
            let optional = Flags::MUTUAL.when(mutual);
            let site = Site {
                enctype,
                flags: optional | Flags::REPLAY | Flags::SEQUENCE,
                ..Site::in_memory()
            };
            let (mut client, mut server) = site.contexts();
            for client_moves in SIDES {
                common::converse(&client, &server);
                if client_moves {
                    client = moved(&site, client);
                } else {
                    server = moved(&site, server);
                }
                common::converse(&client, &server);
            }
        }
    }
}

#[test]
fn replay_windows_travel() {
    for receiver_initiated in SIDES {
        let site = Site::in_memory();
        let (client, server) = site.contexts();
        let (from, to) = match receiver_initiated {
            true => (server, client),
            false => (client, server),
        };
        let tokens: Vec<Vec<u8>> = (0..10u8).map(|n| from.wrap(true, &[n]).unwrap()).collect();
        let order = |to: &Context, which: usize| to.unwrap(&tokens[which]).unwrap().order;
        for which in [0, 1, 3] {
            order(&to, which);
        }
        let to = moved(&site, to);
        for (which, wanted) in [
            (0, Order::Duplicate),
            (1, Order::Duplicate),
            (3, Order::Duplicate),
            (2, Order::Unsequenced),
            (2, Order::Duplicate),
            (4, Order::InOrder),
            (9, Order::Gap),
        ] {
            assert_eq!(order(&to, which), wanted, "{which}");
        }
        let to = moved(&site, to);
        assert_eq!(order(&to, 9), Order::Duplicate);
        assert_eq!(order(&to, 5), Order::Unsequenced);
    }
}

#[test]
fn a_senders_numbers_travel() {
    let site = Site::in_memory();
    let (client, server) = site.contexts();
    let before = client.wrap(false, b"1").unwrap();
    let client = moved(&site, client);
    let after = client.wrap(false, b"2").unwrap();
    assert_eq!(server.unwrap(&after).unwrap().order, Order::Gap);
    assert_eq!(server.unwrap(&before).unwrap().order, Order::Unsequenced);
    assert_eq!(server.unwrap(&after).unwrap().order, Order::Duplicate);
}

#[test]
fn flags_that_were_not_granted_do_not_appear() {
    for flags in [Flags::MUTUAL, Flags::REPLAY, Flags::NONE] {
        let site = Site {
            flags,
            ..Site::in_memory()
        };
        let (client, server) = site.contexts();
        let (client, server) = (moved(&site, client), moved(&site, server));
        let asked = Flags::MUTUAL | Flags::REPLAY | Flags::SEQUENCE;
        assert_eq!(client.facts().flags & asked, flags);
        assert_eq!(server.facts().flags & asked, flags);
        let token = client.wrap(true, b"x").unwrap();
        server.unwrap(&token).unwrap();
        let again = server.unwrap(&token).unwrap().order;
        let noticed = flags.contains(Flags::REPLAY);
        assert_eq!(again == Order::Duplicate, noticed, "{flags:?}");
    }
}

/// Without a PAC a token is smaller than Heimdal's for the same context: 363 bytes with enctype 18, 315 with 17.
#[test]
fn a_token_is_small() {
    for (enctype, theirs) in [(17, 315), (18, 363)] {
        let site = Site {
            enctype,
            ..Site::in_memory()
        };
        for client_moves in SIDES {
            let (client, server) = site.contexts();
            let context = if client_moves { client } else { server };
            let token = context.export(&ExportOptions::default()).unwrap();
            let ours = token.as_ref().len();
            assert!(ours < theirs, "enctype {enctype}: {ours} bytes");
            println!("enctype {enctype}: {ours} bytes, Heimdal's {theirs}");
        }
    }
}
