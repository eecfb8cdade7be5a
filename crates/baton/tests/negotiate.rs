//! SPNEGO before Kerberos: the mechanism's own context comes out, and it changes hands as any other does.

mod common;

use baton::{
    Acceptor, Context, ExportOptions, Facts, Flags, Handshake, Initiator, Major, Name, Oid, Step,
};
use common::Site;

fn start(site: &Site, flags: Flags) -> (Vec<u8>, Handshake) {
    let (client, name) = (
        site.client("alice"),
        Name::hostbased_service("host@a.example.test"),
    );
    let initiator = Initiator::new(&site.env, &client, &name).flags(flags);
    match initiator.negotiate().start() {
        Ok(Step::Continue { token, next }) => (token, next),
        other => panic!("{other:?}"),
    }
}

fn accept(site: &Site, token: &[u8]) -> Result<Step, baton::Failure> {
    Acceptor::new(&site.env, &common::acceptor(site.enctype)).step(token)
}

#[track_caller]
fn done(step: Result<Step, baton::Failure>) -> (Option<Vec<u8>>, Context) {
    match step {
        Ok(Step::Done { token, context }) => (token, context),
        other => panic!("{other:?}"),
    }
}

/// SPNEGO's frame (RFC 4178 §4.2), after the lengths.
fn is_negotiation(token: &[u8]) -> bool {
    let oid = Oid::SPNEGO.bytes();
    token
        .windows(oid.len())
        .position(|part| part == oid)
        .is_some_and(|at| at < 8)
}

#[test]
fn the_context_is_kerberoses() {
    let site = Site::in_memory();
    for flags in [
        Flags::NONE,
        Flags::MUTUAL,
        Flags::MUTUAL | Flags::REPLAY | Flags::SEQUENCE,
    ] {
        let (token, next) = start(&site, flags);
        assert!(is_negotiation(&token));
        let (answer, server) = done(accept(&site, &token));
        let (rest, client) = done(next.step(&answer.unwrap()));
        assert_eq!(rest, None);
        for context in [&client, &server] {
            let Facts {
                mechanism,
                initiator,
                ..
            } = context.facts();
            assert_eq!(*mechanism, Oid::KRB5);
            assert_eq!(initiator.to_string(), "alice@EXAMPLE.TEST");
        }
        common::converse(&client, &server);
    }
}

#[test]
fn a_token_of_kerberos_alone_is_accepted_too() {
    let site = Site::in_memory();
    let (client, server) = site.contexts();
    common::converse(&client, &server);
    let (token, _) = site.begin();
    assert!(!is_negotiation(&token));
}

/// T8 (design §3): every mechanism.
#[test]
fn t8_a_negotiated_context_changes_hands_and_a_half_open_one_does_not() {
    let site = Site::in_memory();
    let (token, next) = start(&site, site.flags);
    let (next, error) = next.export(&ExportOptions::default()).unwrap_err();
    assert_eq!(error.major(), Major::NoContext);
    let (answer, server) = done(accept(&site, &token));
    let (_, client) = done(next.step(&answer.unwrap()));
    let moved = [client, server].map(|context| {
        let token = context.export(&ExportOptions::default()).unwrap();
        Context::import(&site.env, &token).unwrap()
    });
    common::converse(&moved[0], &moved[1]);
}

#[test]
fn a_service_that_speaks_first_gives_its_list() {
    let site = Site::in_memory();
    let Ok(Step::Continue { token, next }) = accept(&site, b"") else {
        panic!("a list");
    };
    assert!(is_negotiation(&token));
    let (next, error) = next.export(&ExportOptions::default()).unwrap_err();
    assert_eq!(error.major(), Major::NoContext);
    let (token, initiator) = start(&site, site.flags);
    let (answer, server) = done(next.step(&token));
    let (_, client) = done(initiator.step(&answer.unwrap()));
    common::converse(&client, &server);
}

/// The mechanism's reason reaches both sides through the negotiation.
#[test]
fn a_refusal_tells_the_mechanisms_reason() {
    let site = Site::in_memory();
    let (token, next) = start(&site, site.flags);
    done(accept(&site, &token));
    let refused = accept(&site, &token).unwrap_err();
    assert_eq!(refused.error.major(), Major::Failure);
    let told = next.step(&refused.token.unwrap()).unwrap_err();
    // KRB_AP_ERR_REPEAT
    assert_eq!(told.error.minor(), refused.error.minor());
    assert_ne!(told.error.minor(), 0);
}

#[test]
fn what_has_no_frame_is_kerberoses_to_refuse() {
    let site = Site::in_memory();
    for token in [&b"\x60"[..], b"\x60\x00", b"NTLMSSP\0", b"\xa1\x02\x30\x00"] {
        let failure = accept(&site, token).unwrap_err();
        assert_eq!(failure.error.major(), Major::DefectiveToken, "{token:x?}");
        assert!(failure.token.is_none());
    }
}
