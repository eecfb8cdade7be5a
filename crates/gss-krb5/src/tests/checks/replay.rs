//! Which requests are the same one again, and which are not.

use std::sync::atomic::AtomicI64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use gss_core::error::{Major, Supplementary};
use gss_core::host::{ReplayCache, ReplayCacheError};
use gss_core::mechanism::Handshake;
use krb5::principal::Principal;
use once::{ClaimError, Limits, MarkTag, OnceStore, ReplayAfterReset, StoreError};
use wire::time::Timestamp;

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

/// A cache that other programs share, and what it says.
struct Shared {
    says: fn() -> Result<(), ReplayCacheError>,
    asked: Mutex<Vec<([u8; 12], Timestamp)>>,
}

impl ReplayCache for Shared {
    fn record(
        &self,
        tag: &[u8; 12],
        ctime: Timestamp,
        _: Timestamp,
    ) -> Result<(), ReplayCacheError> {
        self.asked.lock().unwrap().push((*tag, ctime));
        (self.says)()
    }
}

/// Both have to find a request new, and a cache that does not answer accepts nothing.
#[test]
fn a_shared_cache_has_its_say() {
    type Case = (
        fn() -> Result<(), ReplayCacheError>,
        Option<Supplementary>,
        i32,
    );
    let cases: [Case; 3] = [
        (|| Ok(()), Some(Supplementary::DuplicateToken), 34),
        (
            || Err(ReplayCacheError::Seen),
            Some(Supplementary::DuplicateToken),
            34,
        ),
        (
            || Err(ReplayCacheError::Failed("/path: no".into())),
            None,
            60,
        ),
    ];
    for (index, (says, bit, code)) in cases.into_iter().enumerate() {
        let attempt = Attempt::new();
        let token = attempt.token();
        let asked = Mutex::default();
        let shared = Shared { says, asked };
        let accept = || {
            let mut host = attempt.realm.host();
            host.shared_replay = Some(&shared);
            let acceptor = Acceptor::new(attempt.realm.cred(), attempt.realm.accept_options());
            Box::new(acceptor).step(&token, &host)
        };
        if index == 0 {
            done(accept());
        }
        let failure = failed(accept());
        assert_eq!(failure.error.major(), Major::Failure, "{index}");
        assert_eq!(failure.error.supplementary(), bit, "{index}");
        assert_eq!(krb_error(&failure.token.unwrap()).0, code, "{index}");
        let asked = shared.asked.into_inner().unwrap();
        // The checksum ends the authenticator's ciphertext, which ends the request.
        let checksum = attempt.realm.ticket.session_key.enctype().checksum_length();
        let tag = &token[token.len() - checksum..][..12];
        assert!(asked.iter().all(|(asked, _)| asked == tag), "{index}");
        assert!(asked.iter().all(|(_, at)| *at == attempt.ctime), "{index}");
    }
}

/// Whoever is refused for another reason leaves no trace there.
#[test]
fn a_shared_cache_is_asked_after_every_other_check() {
    let mut attempt = Attempt::new();
    attempt.ctime = attempt.ctime + Duration::from_secs(3600);
    let token = attempt.token();
    let shared = Shared {
        says: || Ok(()),
        asked: Mutex::default(),
    };
    let mut host = attempt.realm.host();
    host.shared_replay = Some(&shared);
    let acceptor = Acceptor::new(attempt.realm.cred(), attempt.realm.accept_options());
    failed(Box::new(acceptor).step(&token, &host));
    assert!(shared.asked.lock().unwrap().is_empty());
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

/// Where replays are noticed in the test of a store that refuses: its clock is its own, so that nothing but the claim fails.
fn store_at(clock: &Arc<AtomicI64>, replay_after_reset: ReplayAfterReset) -> OnceStore {
    let clock = Arc::clone(clock);
    let limits = Limits {
        marks: 64,
        mark_segments: 1,
        replay_after_reset,
        ..Limits::default()
    };
    let now = move || Timestamp::from_micros(clock.load(Relaxed));
    OnceStore::memory_with(&limits, Arc::new(now))
}

/// Puts so many marks that no chain has room left.
fn fill(store: &OnceStore, at: Timestamp) {
    let full = |number: &u32| {
        let claimed = store.claim(&MarkTag::of(&[&number.to_be_bytes()]), at);
        matches!(claimed, Err(ClaimError::Store(StoreError::Full { .. })))
    };
    assert!((0..10_000).filter(full).count() > 9_000);
}

type Refusal = (
    &'static str,
    fn(&ClaimError) -> bool,
    i32,
    Option<Supplementary>,
);

#[test]
fn a_store_that_cannot_vouch_for_a_request_refuses_it() {
    const DAY: i64 = 86_400_000_000;
    const GENERIC: i32 = 60;
    let now = Attempt::new().ctime.micros();
    let (usual, strict) = (ReplayAfterReset::Allow, ReplayAfterReset::Strict);
    let far_ahead = store_at(&Arc::new(AtomicI64::new(now + DAY)), usual);
    let far_behind = store_at(&Arc::new(AtomicI64::new(now - DAY)), usual);
    let young = store_at(&Arc::new(AtomicI64::new(now + 100_000_000)), strict);
    let clock = Arc::new(AtomicI64::new(now + DAY));
    let set_back = store_at(&clock, usual);
    let tomorrow = Timestamp::from_micros(now + DAY);
    drop(set_back.claim(&MarkTag::of(&[b"tomorrow's"]), tomorrow));
    clock.store(now, Relaxed);
    let full = store_at(&Arc::new(AtomicI64::new(now)), usual);
    fill(&full, Timestamp::from_micros(now));

    let old = Some(Supplementary::OldToken);
    let cases: [(&OnceStore, Refusal); 5] = [
        (
            &far_ahead,
            ("too old", |e| matches!(e, ClaimError::TooOld), 37, old),
        ),
        (
            &far_behind,
            (
                "too new",
                |e| matches!(e, ClaimError::TooNew),
                GENERIC,
                None,
            ),
        ),
        (
            &young,
            (
                "before",
                |e| matches!(e, ClaimError::BeforeStore),
                GENERIC,
                None,
            ),
        ),
        (
            &set_back,
            (
                "set back",
                |e| matches!(e, ClaimError::ClockSetBack { .. }),
                GENERIC,
                None,
            ),
        ),
        (
            &full,
            (
                "full",
                |e| matches!(e, ClaimError::Store(StoreError::Full { .. })),
                GENERIC,
                None,
            ),
        ),
    ];
    for (store, (name, is_it, code, bit)) in cases {
        let attempt = Attempt::new();
        let mut host = attempt.realm.host();
        host.replay = Some(store);
        let acceptor = Acceptor::new(attempt.realm.cred(), attempt.realm.accept_options());
        let failure = failed(Box::new(acceptor).step(&attempt.token(), &host));
        assert_eq!(failure.error.major(), Major::Failure, "{name}");
        assert_eq!(failure.error.supplementary(), bit, "{name}");
        match failure.error.cause::<Error>() {
            Some(Error::Local(Local::Replay(cause))) => assert!(is_it(cause), "{name}: {cause}"),
            other => panic!("{name}: {other:?}"),
        }
        assert_eq!(krb_error(&failure.token.unwrap()).0, code, "{name}");
    }
}
