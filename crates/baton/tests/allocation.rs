//! No call that takes a token from a peer takes much more memory than the token has bytes, whatever it says of its own lengths:
//! the readers of handshakes, of negotiations, of messages and of transferred contexts, through the calls that lead to them.
//!
//! In a test binary of its own, because it replaces the process's allocator by one that counts.

mod common;
#[path = "../../../tests/allocator/counting.rs"]
mod counting;

use std::hint::black_box;

use baton::{Acceptor, Context, ExportOptions, Handshake, Initiator, Name, Step, Token};
use common::Site;
use counting::{damaged, peak};

/// What a call may take beside a multiple of the token: an answer, an error with its causes, a snapshot of keys, a context.
const MORE: usize = 6 << 10;

/// Gives every damaged form of `good` to `call`.
fn watch(what: &str, good: &[u8], factor: usize, mut call: impl FnMut(&[u8])) {
    for input in damaged(good) {
        let taken = peak(|| call(&input));
        let allowed = factor * input.len() + MORE;
        assert!(
            taken <= allowed,
            "{what}: {} bytes became {taken}, more than {allowed}",
            input.len()
        );
    }
}

fn negotiated(site: &Site) -> (Vec<u8>, Handshake) {
    let (client, name) = (
        site.client("alice"),
        Name::hostbased_service("host@a.example.test"),
    );
    let initiator = Initiator::new(&site.env, &client, &name).negotiate();
    match initiator.start().unwrap() {
        Step::Continue { token, next } => (token, next),
        Step::Done { .. } => panic!("a negotiation has an answer"),
    }
}

#[test]
fn first_tokens() {
    let site = Site::in_memory();
    let cred = common::acceptor(site.enctype);
    // The table of replay marks is made by the first.
    site.contexts();
    for (what, token) in [
        ("Kerberos", site.begin().0),
        ("SPNEGO", negotiated(&site).0),
    ] {
        watch(what, &token, 4, |token| {
            _ = black_box(Acceptor::new(&site.env, &cred).step(token));
        });
    }
}

#[test]
fn answers() {
    let site = Site::in_memory();
    let cred = common::acceptor(site.enctype);
    let (token, _) = negotiated(&site);
    let accepted = Acceptor::new(&site.env, &cred).step(&token).unwrap();
    let (Step::Continue {
        token: answer_token,
        ..
    }
    | Step::Done {
        token: Some(answer_token),
        ..
    }) = accepted
    else {
        panic!("mutual authentication has an answer")
    };
    let mut waiting = Vec::new();
    for _ in damaged(&answer_token) {
        waiting.push(negotiated(&site).1);
    }
    watch("an answer", &answer_token, 4, |token| {
        let next = waiting.pop().expect("one for each");
        _ = black_box(next.step(token));
    });
}

#[test]
fn messages() {
    let site = Site::in_memory();
    let (client, server) = site.contexts();
    let sealed = client.wrap(true, b"what is said").unwrap();
    let plain = client.wrap(false, b"what is said").unwrap();
    let mic = client.get_mic(b"what is said").unwrap();
    for (what, token) in [("sealed", sealed), ("plain", plain)] {
        watch(what, &token, 4, |token| {
            _ = black_box(server.unwrap(token));
        });
    }
    watch("a MIC", &mic, 4, |token| {
        _ = black_box(server.verify_mic(b"what is said", token));
    });
}

#[test]
fn transferred_contexts() {
    let site = Site::in_memory();
    let (_client, server) = site.contexts();
    let token = server.export(&ExportOptions::default()).unwrap();
    watch("an exported context", token.as_ref(), 4, |bytes| {
        let altered = Token::from(bytes);
        if altered != token {
            _ = black_box(Context::import(&site.env, &altered));
        }
    });
    Context::import(&site.env, &token).expect("nothing was burned");
}
