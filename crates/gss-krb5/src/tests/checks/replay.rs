//! Which requests are the same one again, and which are not.

use std::sync::Arc;
use std::time::Duration;

use gss_core::error::{Major, Supplementary};
use gss_core::mechanism::Handshake;
use krb5::principal::Principal;
use once::ClaimError;

use super::{Attempt, Change, from_afar, krb_error};
use crate::tests::realm::{done, failed};
use crate::{Acceptor, Error, Local};

#[test]
fn a_replay_is_an_error_with_its_bit_beside_it() {
    let attempt = Attempt::new();
    let token = attempt.token();
    done(attempt.accept(&token));
    let failure = failed(attempt.accept(&token));
    assert_eq!(failure.error.major(), Major::Failure);
    assert_eq!(
        failure.error.supplementary(),
        Some(Supplementary::DuplicateToken)
    );
    assert_eq!(failure.error.minor(), 0x96c7_3a00 + 34);
    let error = failure.error.cause::<Error>();
    let claimed = Error::Local(Local::Replay(ClaimError::AlreadyClaimed));
    assert_eq!(error.unwrap().to_string(), claimed.to_string());
    assert_eq!(
        krb_error(&failure.token.unwrap()),
        (34, b"EXAMPLE.COM".to_vec())
    );
}

#[test]
fn requests_that_differ_in_one_thing_are_different_requests() {
    // One thing changed at a time, on one store: each is another request, and none is taken for the first.
    let attempt = Attempt::new();
    let store = attempt.realm.store;
    let changes: [Change; 7] = [
        |_| {},
        |a| a.ctime = a.ctime + Duration::from_micros(1),
        |a| a.ctime = a.ctime + Duration::from_secs(1),
        |a| from_afar(a, 1, b""),
        |a| {
            let client = Principal::user("carol", "EXAMPLE.COM");
            a.client = client.clone();
            a.realm.ticket.client = client;
        },
        |a| {
            let key = a.realm.ticket.key.enctype().random_key(&*a.realm.random);
            a.realm.ticket.key = Arc::new(key);
            a.realm.keytab.entries[0].key = Arc::clone(&a.realm.ticket.key);
        },
        |a| a.seq_number = Some(8),
    ];
    let mut tokens = Vec::new();
    for (index, change) in changes.iter().enumerate() {
        let mut attempt = Attempt::new();
        change(&mut attempt);
        let token = attempt.token();
        let accept = |attempt: &Attempt| {
            let mut host = attempt.realm.host();
            host.replay = Some(&store);
            let acceptor = Acceptor::new(attempt.realm.cred(), attempt.realm.accept_options());
            Box::new(acceptor).step(&token, &host)
        };
        done(accept(&attempt));
        failed(accept(&attempt));
        assert!(!tokens.contains(&token), "{index}");
        tokens.push(token);
    }
}
