//! SPNEGO before Kerberos: the mechanism's own context comes out, and it changes hands as any other does.

mod common;

use baton::{
    Acceptor, Context, ExportOptions, Facts, Flags, Handshake, Initiator, Major, Name, NegMechs,
    Oid, Step,
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

/// `GSS_Set_neg_mechs`: what is not in the list is neither offered nor chosen.
#[test]
fn a_list_says_what_may_be_negotiated() {
    let site = Site::in_memory();
    let cred = common::acceptor(site.enctype);
    let accept = |token: &[u8], mechs: &NegMechs| {
        Acceptor::new(&site.env, &cred)
            .neg_mechs(mechs.clone())
            .step(token)
    };
    let list = |oids: &[Oid]| NegMechs::new(oids.iter().copied()).unwrap();
    let others = list(&[Oid::NT_USER_NAME]);
    for good in [
        list(&[Oid::KRB5]),
        list(&[Oid::NT_USER_NAME, Oid::KRB5]),
        list(&[Oid::KRB5_MICROSOFT]),
    ] {
        let (token, next) = site.start(|initiator| initiator.neg_mechs(good.clone()));
        assert!(is_negotiation(&token));
        let (answer, server) = done(accept(&token, &good));
        let (_, client) = done(next.step(&answer.unwrap()));
        common::converse(&client, &server);

        let (token, next) = site.start(|initiator| initiator.neg_mechs(good));
        let failure = accept(&token, &others).unwrap_err();
        assert_eq!(failure.error.major(), Major::BadMech);
        let told = next.step(&failure.token.unwrap()).unwrap_err();
        assert_eq!(told.error.major(), Major::BadMech);
    }
    let (client, name) = (
        site.client("alice"),
        Name::hostbased_service("host@a.example.test"),
    );
    for none in [others.clone(), list(&[])] {
        let initiator = Initiator::new(&site.env, &client, &name).neg_mechs(none.clone());
        assert_eq!(initiator.start().unwrap_err().major(), Major::BadMech);
        let failure = accept(b"", &none).unwrap_err();
        assert_eq!(failure.error.major(), Major::BadMech);
    }
    // A credential's own list, unless the handshake has one.
    let limited = client.with_neg_mechs(others.clone());
    assert_eq!(limited.neg_mechs(), Some(&others));
    let initiator = || Initiator::new(&site.env, &limited, &name);
    let error = initiator().negotiate().start().unwrap_err();
    assert_eq!(error.major(), Major::BadMech);
    assert!(initiator().neg_mechs(list(&[Oid::KRB5])).start().is_ok());
    assert!(initiator().start().is_ok(), "it does not negotiate");
    let (token, _) = start(&site, site.flags);
    let limited = cred.with_neg_mechs(others.clone());
    let failure = Acceptor::new(&site.env, &limited).step(&token).unwrap_err();
    assert_eq!(failure.error.major(), Major::BadMech);
    let acceptor = Acceptor::new(&site.env, &limited).neg_mechs(list(&[Oid::KRB5]));
    assert!(acceptor.step(&token).is_ok());
    // What comes without a negotiation is not concerned.
    let (token, _) = site.begin();
    assert!(accept(&token, &others).is_ok());
}

/// An initiator reads what a service that speaks first says it has.
#[test]
fn a_hint_is_read_and_believed_in_nothing() {
    let site = Site::in_memory();
    let Ok(Step::Continue { token: hint, next }) = accept(&site, b"") else {
        panic!("a list");
    };
    let (token, initiator) = site.start(|initiator| initiator.hint(&hint).unwrap());
    let (answer, server) = done(next.step(&token));
    let (_, client) = done(initiator.step(&answer.unwrap()));
    common::converse(&client, &server);

    // One that has other mechanisms only, or whose list was altered, costs a round.
    let others = krb5_replaced(&hint);
    let (token, initiator) = site.start(|initiator| initiator.hint(&others).unwrap());
    let Ok(Step::Continue { token, next }) = accept(&site, &token) else {
        panic!("no optimistic token");
    };
    let (token, initiator) = match initiator.step(&token) {
        Ok(Step::Continue { token, next }) => (token, next),
        other => panic!("{other:?}"),
    };
    let (answer, server) = done(next.step(&token));
    let (_, client) = done(initiator.step(&answer.unwrap()));
    common::converse(&client, &server);

    let (client, name) = (
        site.client("alice"),
        Name::hostbased_service("host@a.example.test"),
    );
    for bad in [&b""[..], b"NTLMSSP\0", &hint[1..]] {
        let error = Initiator::new(&site.env, &client, &name).hint(bad);
        assert_eq!(error.unwrap_err().major(), Major::DefectiveToken);
    }
}

/// The same token with an arc of Kerberos's OID changed.
fn krb5_replaced(token: &[u8]) -> Vec<u8> {
    let oid = Oid::KRB5.bytes();
    let at = token.windows(oid.len()).position(|part| part == oid);
    let mut other = token.to_vec();
    other[at.unwrap() + oid.len() - 1] ^= 1;
    other
}
