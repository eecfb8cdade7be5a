//! Whole negotiations between our two sides.

use gss_core::error::Major;
use gss_core::framing;
use gss_core::mechanism::{Handshake, Restore, Step};
use gss_core::oid::Oid;

use super::fake::{
    A, B, BadToken, C, FakeReader, HOST, NoCred, Penniless, SORRY, Scene, choices, error, failed,
    fake, going, numbers, offers, run, start,
};
use super::half_open::redeemed;
use crate::messages::{MechType, NegState, NegotiationToken};
use crate::{Acceptor, Error, Hint, Initiator, Local, PeerMisbehaved};

/// A message in words.
pub(super) fn words(token: &[u8]) -> String {
    let inner = framing::unframe(Oid::SPNEGO, token).unwrap_or(token);
    let mech = |mech: MechType<'_>| {
        let known = [(A, " A"), (B, " B"), (C, " C")];
        let name = known.iter().find(|(oid, _)| mech == oid.into());
        name.map_or(" ?", |(_, name)| name)
    };
    let token = |token: Option<&[u8]>| if token.is_some() { " token" } else { "" };
    let mic = |mic: Option<&[u8]>| if mic.is_some() { " mic" } else { "" };
    match NegotiationToken::decode(inner).unwrap() {
        NegotiationToken::Init(init) => {
            let mechs: String = init.mech_types.iter().map(mech).collect();
            format!(
                "init{mechs}{}{}",
                token(init.mech_token),
                mic(init.mech_list_mic)
            )
        }
        NegotiationToken::Init2(init) => {
            let mechs: String = init.mech_types.unwrap().iter().map(mech).collect();
            format!("hint{mechs}{}", token(init.mech_token))
        }
        NegotiationToken::Resp(resp) => {
            let state = match resp.neg_state.unwrap() {
                NegState::AcceptCompleted => "completed",
                NegState::AcceptIncomplete => "incomplete",
                NegState::Reject => "reject",
                NegState::RequestMic => "request-mic",
            };
            let named = resp.supported_mech.map_or("", mech);
            format!(
                "{state}{named}{}{}",
                token(resp.response_token),
                mic(resp.mech_list_mic)
            )
        }
    }
}

/// How it goes, and how many MICs each side made.
pub(super) const TABLE: &[(Scene, &[&str], u64)] = &[
    // The favourite of both: no MICs, which is all that old Windows can do.
    (
        Scene::new(&[A], &[A], 1),
        &["init A token", "completed A"],
        0,
    ),
    (
        Scene::new(&[A], &[A], 2),
        &["init A token", "completed A token"],
        0,
    ),
    (
        Scene::new(&[A, B], &[B, A], 2),
        &["init A B token", "completed A token"],
        0,
    ),
    (
        Scene::new(&[A, B], &[A], 3),
        &[
            "init A B token",
            "incomplete A token",
            "incomplete token",
            "completed",
        ],
        0,
    ),
    (
        Scene::new(&[A], &[A], 4),
        &[
            "init A token",
            "incomplete A token",
            "incomplete token",
            "completed token",
        ],
        0,
    ),
    // Another than the initiator's favourite: MICs, after the mechanism's last token.
    (
        Scene::new(&[A, B], &[B], 1),
        &[
            "init A B token",
            "request-mic B",
            "incomplete token mic",
            "completed mic",
        ],
        1,
    ),
    (
        Scene::new(&[A, B], &[B], 2),
        &[
            "init A B token",
            "request-mic B",
            "incomplete token",
            "incomplete token mic",
            "completed mic",
        ],
        1,
    ),
    (
        Scene::new(&[C, A, B], &[B, A], 3),
        &[
            "init C A B token",
            "request-mic A",
            "incomplete token",
            "incomplete token",
            "incomplete token mic",
            "completed mic",
        ],
        1,
    ),
    (
        Scene::new(&[A, B], &[B], 4),
        &[
            "init A B token",
            "request-mic B",
            "incomplete token",
            "incomplete token",
            "incomplete token",
            "incomplete token mic",
            "completed mic",
        ],
        1,
    ),
    (
        Scene::new(&[A, B], &[B, A], 2).own_preference(),
        &[
            "init A B token",
            "request-mic B",
            "incomplete token",
            "incomplete token mic",
            "completed mic",
        ],
        1,
    ),
    // The initiator's favourite, but the acceptor would have liked another: MICs, and the optimistic token counts.
    (
        Scene::new(&[A, B], &[C, A], 1).own_preference(),
        &["init A B token", "request-mic A mic", "completed mic"],
        1,
    ),
    (
        Scene::new(&[A, B], &[C, A], 2).own_preference(),
        &["init A B token", "request-mic A token mic", "completed mic"],
        1,
    ),
    (
        Scene::new(&[A, B], &[C, A], 3).own_preference(),
        &[
            "init A B token",
            "request-mic A token",
            "incomplete token mic",
            "completed mic",
        ],
        1,
    ),
    (
        Scene::new(&[A, B], &[C, A], 4).own_preference(),
        &[
            "init A B token",
            "request-mic A token",
            "incomplete token",
            "incomplete token mic",
            "completed mic",
        ],
        1,
    ),
    (
        Scene::new(&[A, B], &[A, C], 2).own_preference(),
        &["init A B token", "completed A token"],
        0,
    ),
    // A mechanism without integrity has no MICs.
    (
        Scene::new(&[A, B], &[B], 1).without_integrity(),
        &[
            "init A B token",
            "request-mic B",
            "incomplete token",
            "completed",
        ],
        0,
    ),
    (
        Scene::new(&[A, B], &[B], 2).without_integrity(),
        &[
            "init A B token",
            "request-mic B",
            "incomplete token",
            "completed token",
        ],
        0,
    ),
    (
        Scene::new(&[A, B], &[C, A], 1)
            .own_preference()
            .without_integrity(),
        &["init A B token", "completed A"],
        0,
    ),
    // Without the optimistic token.
    (
        Scene::new(&[A, B], &[A], 1).not_optimistic(),
        &["init A B", "incomplete A", "incomplete token", "completed"],
        0,
    ),
    (
        Scene::new(&[A, B], &[A], 2).not_optimistic(),
        &[
            "init A B",
            "incomplete A",
            "incomplete token",
            "completed token",
        ],
        0,
    ),
    (
        Scene::new(&[A, B], &[B], 1).not_optimistic(),
        &[
            "init A B",
            "request-mic B",
            "incomplete token mic",
            "completed mic",
        ],
        1,
    ),
];

#[test]
fn transcripts() {
    for (scene, expected, mics) in TABLE {
        let outcome = scene.run(|_, message| message);
        let said: Vec<String> = outcome.messages.iter().map(|token| words(token)).collect();
        assert_eq!(said, *expected, "{scene:?}");
        let initiator = outcome.initiator.unwrap_or_else(|_| panic!("{scene:?}"));
        let acceptor = outcome.acceptor.unwrap_or_else(|_| panic!("{scene:?}"));
        assert_eq!(initiator.facts().mechanism, acceptor.facts().mechanism);
        assert_eq!(
            (numbers(&*initiator), numbers(&*acceptor)),
            (*mics, *mics),
            "{scene:?}"
        );
    }
}

/// The inner context is what the caller gets, so a transfer is the mechanism's.
#[test]
fn the_inner_context_is_handed_over() {
    let outcome = Scene::new(&[A, B], &[B], 2).run(|_, message| message);
    for context in [outcome.initiator, outcome.acceptor] {
        let context = context.unwrap_or_else(|_| panic!());
        assert_eq!(context.facts().mechanism, B);
        let state = context.save().unwrap();
        assert_eq!(
            *state,
            *FakeReader(B)
                .restore(&state)
                .unwrap()
                .wake(redeemed())
                .save()
                .unwrap()
        );
    }
}

#[test]
fn an_acceptor_that_speaks_first_gives_a_hint() {
    let scene = Scene::new(&[A], &[A, B], 2);
    let (hint, next) = going(Box::new(scene.acceptor()).step(&[], &HOST));
    assert_eq!(words(&hint), "hint A B");
    let (init, _) = start(&[fake(A, 2)]);
    let Ok(Step::Done { token, .. }) = next.step(&init, &HOST) else {
        panic!("the favourite of both");
    };
    assert_eq!(words(&token.unwrap()), "completed A token");

    // One hint is enough.
    let (_, next) = going(Box::new(scene.acceptor()).step(&[], &HOST));
    assert_eq!(
        failed(next.step(&[], &HOST)).error.major(),
        Major::DefectiveToken
    );
    let nothing = Box::new(Acceptor::new(Vec::new()));
    assert_eq!(error(nothing.step(&[], &HOST)), Local::NoMechanism.into());
}

/// It says what the acceptor has, and changes nothing but whether the favourite's token is sent at once.
#[test]
fn an_initiator_reads_a_hint() {
    for (scene, said) in [
        (Scene::new(&[A, B], &[A], 2), "init A B token"),
        (Scene::new(&[A, B], &[B, A], 2), "init A B token"),
        (Scene::new(&[A, B], &[B], 2), "init A B"),
        (Scene::new(&[A, B], &[C], 2), "init A B"),
    ] {
        let (token, acceptor) = going(Box::new(scene.acceptor()).step(&[], &HOST));
        let hint = Hint::read(&token).unwrap();
        for mech in [A, B, C] {
            assert_eq!(hint.has(mech), scene.choices.contains(&mech));
        }
        let (init, _) = going(scene.initiator().hinted(&hint).start(&HOST));
        assert_eq!(words(&init), said, "{scene:?}");
        assert_eq!(
            acceptor.step(&init, &HOST).is_ok(),
            !scene.choices.contains(&C)
        );
    }
    // A first message of the standard's form is one too, an answer is none, and nothing else is.
    let (init, _) = start(&[fake(Oid::KRB5_MICROSOFT, 2)]);
    assert!(Hint::read(&init).unwrap().has(Oid::KRB5));
    let inner = framing::unframe(Oid::SPNEGO, &init).unwrap();
    assert!(Hint::read(inner).is_err());
    for bit in 0..init.len() * 8 {
        let mut other = init.clone();
        other[bit / 8] ^= 1 << (bit % 8);
        let _ = Hint::read(&other).map(|hint| hint.has(A));
    }
    for cut in 0..init.len() {
        assert!(Hint::read(&init[..cut]).is_err());
    }
    let resp = NegotiationToken::Resp(crate::messages::NegTokenResp::default()).encode();
    let error = Hint::read(&framing::frame(Oid::SPNEGO, &resp))
        .err()
        .unwrap();
    assert_eq!(error, PeerMisbehaved::RespNotExpected.into());
}

#[test]
fn a_hint_in_a_list_is_ignored() {
    let scene = Scene::new(&[A], &[A], 2);
    let (_, next) = going(scene.initiator().start(&HOST));
    let mut answer = None;
    // The acceptor's own hint, with the token of an initiator, is an initiator's list.
    let (hint, _) = going(Box::new(scene.acceptor()).step(&[], &HOST));
    let inner = framing::unframe(Oid::SPNEGO, &hint).unwrap();
    let NegotiationToken::Init2(mut init) = NegotiationToken::decode(inner).unwrap() else {
        panic!("a hint");
    };
    let token = fake(A, 2).token(1);
    init.mech_token = Some(&token);
    let init = framing::frame(Oid::SPNEGO, &NegotiationToken::Init2(init).encode());
    if let Ok(Step::Done { token, .. }) = Box::new(scene.acceptor()).step(&init, &HOST) {
        answer = token;
    }
    assert!(matches!(
        next.step(&answer.unwrap(), &HOST),
        Ok(Step::Done { .. })
    ));
}

#[test]
fn microsofts_oid_is_answered_with_itself() {
    for (list, expected) in [
        (
            &[Oid::KRB5_MICROSOFT, Oid::KRB5, B][..],
            Oid::KRB5_MICROSOFT,
        ),
        (&[Oid::KRB5, Oid::KRB5_MICROSOFT, B], Oid::KRB5),
    ] {
        let init = NegotiationToken::Init(crate::messages::NegTokenInit {
            mech_types: crate::list::MechList::of(list).as_types(),
            req_flags: None,
            mech_token: Some(&fake(A, 2).token(1)),
            mech_list_mic: None,
            extensions: wire::der::Extensions::NONE,
        })
        .encode();
        let acceptor = Box::new(Acceptor::new(choices(&[fake(A, 2)])));
        let step = acceptor.step(&framing::frame(Oid::SPNEGO, &init), &HOST);
        let Ok(Step::Done { token, context }) = step else {
            panic!("no MICs are needed for the favourite");
        };
        assert_eq!(context.facts().mechanism, Oid::KRB5);
        let token = token.unwrap();
        let NegotiationToken::Resp(resp) = NegotiationToken::decode(&token).unwrap() else {
            panic!("an answer");
        };
        assert_eq!(resp.supported_mech, Some((&expected).into()));
        assert_eq!(resp.neg_state, Some(NegState::AcceptCompleted));

        // And an initiator takes it for what it offered.
        let (_, next) = start(&[fake(A, 2)]);
        assert!(matches!(next.step(&token, &HOST), Ok(Step::Done { .. })));
    }
}

#[test]
fn what_cannot_begin_is_not_offered() {
    let offers = || {
        [Box::new(Penniless(A)) as _]
            .into_iter()
            .chain(offers(&[fake(B, 2)]))
    };
    let acceptor = Acceptor::new(choices(&[fake(A, 2), fake(B, 2)]));
    let outcome = run(
        Initiator::new(offers().collect()),
        acceptor,
        |_, message| message,
    );
    let said: Vec<String> = outcome.messages.iter().map(|token| words(token)).collect();
    assert_eq!(said, ["init B token", "completed B token"]);

    // If none can, the favourite's reason is told.
    let both = vec![Box::new(Penniless(A)) as _, Box::new(Penniless(B)) as _];
    let failure = failed(Initiator::new(both).start(&HOST));
    assert_eq!(failure.error.cause::<NoCred>().unwrap().0, A);
    assert_eq!(
        error(Initiator::new(Vec::new()).start(&HOST)),
        Local::NoMechanism.into()
    );
    assert_eq!(
        error(
            Initiator::new(Vec::new())
                .without_optimistic_token()
                .start(&HOST)
        ),
        Local::NoMechanism.into()
    );
    let itself = Initiator::new(super::fake::offers(&[fake(Oid::SPNEGO, 1)]));
    assert_eq!(error(itself.start(&HOST)), Local::Spnego.into());
}

#[test]
fn nothing_in_common_is_rejected() {
    let outcome = Scene::new(&[A, B], &[C], 2).run(|_, message| message);
    assert_eq!(words(&outcome.messages[1]), "reject");
    for failure in [outcome.initiator.err(), outcome.acceptor.err()] {
        let failure = failure.flatten().unwrap();
        assert_eq!(failure.error.major(), Major::BadMech);
    }
    let acceptor = Box::new(Acceptor::new(choices(&[fake(C, 2)])));
    assert_eq!(
        error(acceptor.step(&start(&[fake(A, 2)]).0, &HOST)),
        Error::NoCommonMechanism
    );
}

/// The acceptor's mechanism fails; its error token reaches the initiator's mechanism, in a reject.
#[test]
fn an_error_token_travels_in_the_reject() {
    for legs in [2, 3] {
        let scene = Scene::new(&[A], &[A], legs);
        let acceptor = Acceptor::new(choices(&[fake(A, 9)]));
        let outcome = run(scene.initiator(), acceptor, |_, message| message);
        assert_eq!(words(outcome.messages.last().unwrap()), "reject token");
        let theirs = outcome.initiator.err().flatten().unwrap();
        assert_eq!(theirs.error.cause::<BadToken>().unwrap().0, SORRY);
        assert_eq!(theirs.error.major(), Major::BadBindings);
        assert!(
            outcome
                .acceptor
                .err()
                .flatten()
                .unwrap()
                .error
                .cause::<BadToken>()
                .is_some()
        );
    }
    // A mechanism that needs no answer learns just that.
    let acceptor = Acceptor::new(choices(&[fake(A, 9)]));
    let outcome = run(
        Scene::new(&[A], &[A], 1).initiator(),
        acceptor,
        |_, message| message,
    );
    let theirs = outcome.initiator.err().flatten().unwrap();
    assert_eq!(theirs.error.cause::<Error>(), Some(&Error::PeerRefused));
}

#[test]
fn an_acceptor_without_credentials_says_so() {
    let acceptor = Box::new(Acceptor::new(vec![Box::new(Penniless(A))]));
    let failure = failed(acceptor.step(&start(&[fake(A, 2)]).0, &HOST));
    assert_eq!(failure.error.major(), Major::NoCred);
    assert_eq!(words(&failure.token.unwrap()), "reject");
}
