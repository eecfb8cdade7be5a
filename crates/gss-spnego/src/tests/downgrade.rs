//! Somebody on the way wants another mechanism, or less protection.

use gss_core::framing;
use gss_core::oid::Oid;
use wire::der::Extensions;

use super::fake::{A, B, C, Outcome, Scene, fake};
use crate::list::MechList;
use crate::messages::{NegState, NegTokenInit, NegTokenResp, NegotiationToken};
use crate::{Error, PeerMisbehaved};

/// Negotiations with MICs.
const WITH_MICS: [Scene; 9] = [
    Scene::new(&[A, B], &[B], 1),
    Scene::new(&[A, B], &[B], 2),
    Scene::new(&[A, B], &[B], 3),
    Scene::new(&[A, B], &[B], 4),
    Scene::new(&[A, B], &[C, A], 1).own_preference(),
    Scene::new(&[A, B], &[C, A], 2).own_preference(),
    Scene::new(&[A, B], &[C, A], 3).own_preference(),
    Scene::new(&[A, B], &[C, A], 4).own_preference(),
    Scene::new(&[A, B], &[B], 2).not_optimistic(),
];

const WITHOUT: [Scene; 4] = [
    Scene::new(&[A, B], &[B, A], 1),
    Scene::new(&[A, B], &[B, A], 2),
    Scene::new(&[A, B], &[B, A], 3),
    Scene::new(&[A, B], &[A], 2).not_optimistic(),
];

fn list(mechanisms: &[Oid], token: Option<&[u8]>) -> Vec<u8> {
    let mechanisms = MechList::of(mechanisms);
    let init = NegotiationToken::Init(NegTokenInit {
        mech_types: mechanisms.as_types(),
        req_flags: None,
        mech_token: token,
        mech_list_mic: None,
        extensions: Extensions::NONE,
    });
    framing::frame(Oid::SPNEGO, &init.encode())
}

fn resp(token: &[u8]) -> NegTokenResp<'_> {
    match NegotiationToken::decode(token).unwrap() {
        NegotiationToken::Resp(resp) => resp,
        other => panic!("{other:?}"),
    }
}

fn why(outcome: Outcome) -> (Option<Error>, Option<Error>) {
    let why = |end: Option<crate::tests::fake::Ended>| {
        end.flatten()
            .map(|failure| *failure.error.cause::<Error>().unwrap())
    };
    (why(outcome.initiator.err()), why(outcome.acceptor.err()))
}

/// Both prefer A; whatever is made of the list, they do not end with B (RFC 4178 §7). An acceptor without a preference of its
/// own may take B for the only wish, but then the initiator does not end, and nobody else has the keys.
#[test]
fn an_altered_list_gains_nothing() {
    for legs in 1..=4 {
        for own_preference in [false, true] {
            for forged in [&[B][..], &[B, A], &[C, B, A], &[B, C]] {
                for with_token in [false, true] {
                    let mut scene = Scene::new(&[A, B], &[A, B], legs);
                    scene.own_preference = own_preference;
                    // The one token that there is.
                    let token = fake(A, legs).token(1);
                    let outcome = scene.run(|number, message| match number {
                        0 => list(forged, with_token.then_some(&token)),
                        _ => message,
                    });
                    let case = format!("{legs} {own_preference} {forged:?} {with_token}");
                    // RFC 4178 §7 b: at worst the initiator completes with its favourite.
                    if let Ok(context) = &outcome.initiator {
                        assert_eq!(context.facts().mechanism, A, "{case}");
                    }
                    assert!(
                        outcome.acceptor.is_err() || outcome.initiator.is_err(),
                        "{case}"
                    );
                    assert!(outcome.acceptor.is_err() || !own_preference, "{case}");
                }
            }
        }
    }
}

/// The case that the MICs are for: neither side can tell but by them.
#[test]
fn an_altered_list_is_noticed_by_its_mic() {
    // The initiator speaks last, so the acceptor sees the MIC first.
    let outcome = Scene::new(&[A, B], &[A, B], 1).run(|number, message| match number {
        0 => list(&[B], None),
        _ => message,
    });
    let reasons = why(outcome);
    assert_eq!(reasons.1, Some(PeerMisbehaved::MicWrong.into()));
    assert_eq!(reasons.0, Some(Error::PeerRefused));

    // The acceptor speaks last, and it does not know that there should be one.
    let outcome = Scene::new(&[A, B], &[A, B], 2).run(|number, message| match number {
        0 => list(&[B], None),
        _ => message,
    });
    assert_eq!(why(outcome).0, Some(PeerMisbehaved::MicMissing.into()));
}

/// The favourite of both loses its MICs to somebody on the way: the initiator completes with it, the acceptor does not (RFC 4178 §7 b).
#[test]
fn a_request_that_is_taken_away_leaves_the_acceptor_waiting() {
    let outcome = Scene::new(&[A, B], &[C, A], 2)
        .own_preference()
        .run(|number, message| {
            if number != 1 {
                return message;
            }
            NegotiationToken::Resp(NegTokenResp {
                neg_state: Some(NegState::AcceptCompleted),
                mech_list_mic: None,
                ..resp(&message)
            })
            .encode()
        });
    assert_eq!(
        outcome
            .initiator
            .unwrap_or_else(|_| panic!())
            .facts()
            .mechanism,
        A
    );
    assert!(outcome.acceptor.is_err_and(|end| end.is_none()));
}

/// Without its MIC no message completes anything, whatever state it claims.
#[test]
fn trap_8_a_mic_cannot_be_taken_away() {
    let states = [
        None,
        Some(NegState::AcceptCompleted),
        Some(NegState::AcceptIncomplete),
        Some(NegState::RequestMic),
    ];
    let mut taken = 0;
    for scene in WITH_MICS {
        let honest = scene.run(|_, message| message);
        for (at, message) in honest.messages.iter().enumerate().skip(1) {
            if resp(message).mech_list_mic.is_none() {
                continue;
            }
            for state in states {
                let outcome = scene.run(|number, message| {
                    if number != at {
                        return message;
                    }
                    NegotiationToken::Resp(NegTokenResp {
                        neg_state: state,
                        mech_list_mic: None,
                        ..resp(&message)
                    })
                    .encode()
                });
                let receiver_is_acceptor = at % 2 == 0;
                let case = format!("{scene:?} {at} {state:?}");
                assert!(
                    outcome.acceptor.is_err()
                        || !receiver_is_acceptor && at + 1 == honest.messages.len(),
                    "{case}"
                );
                // The favourite, when the request went with it: the test above.
                let lost = scene.own_preference && at == 1;
                assert!(
                    receiver_is_acceptor || lost || outcome.initiator.is_err(),
                    "{case}"
                );
                taken += 1;
            }
        }
    }
    assert_eq!(taken, 2 * 4 * WITH_MICS.len());
}

/// The initiator's MIC, sent back to it.
#[test]
fn a_mic_is_of_its_sender() {
    for scene in WITH_MICS {
        let mut first = None;
        let outcome = scene.run(|number, message| {
            if number == 0 {
                return message;
            }
            let resp = resp(&message);
            match (resp.mech_list_mic, &first) {
                (Some(mic), None) => {
                    first = Some(mic.to_vec());
                    message
                }
                (Some(_), Some(first)) => NegotiationToken::Resp(NegTokenResp {
                    mech_list_mic: Some(first),
                    ..resp
                })
                .encode(),
                (None, _) => message,
            }
        });
        let reasons = why(outcome);
        let wrong = Some(PeerMisbehaved::MicWrong.into());
        assert!(reasons.0 == wrong || reasons.1 == wrong, "{scene:?}");
    }
}

/// What an alteration came to must be what RFC 4178 §7 allows.
fn assert_harmless(scene: Scene, honest: Oid, outcome: &Outcome, case: &str) {
    if let Ok(context) = &outcome.acceptor {
        assert_eq!(context.facts().mechanism, honest, "{scene:?} {case}");
    }
    if let Ok(context) = &outcome.initiator {
        let mechanism = context.facts().mechanism;
        assert!(
            mechanism == honest || mechanism == scene.offers[0],
            "{scene:?} {case}"
        );
    }
}

#[test]
fn each_bit_of_each_message() {
    for scene in WITH_MICS.iter().chain(&WITHOUT).copied() {
        let honest = scene.run(|_, message| message);
        let mechanism = honest
            .acceptor
            .unwrap_or_else(|_| panic!())
            .facts()
            .mechanism;
        for (at, message) in honest.messages.iter().enumerate() {
            let mic = (at > 0).then(|| resp(message).mech_list_mic).flatten();
            let mic = mic.map(|mic| mic.as_ptr() as usize - message.as_ptr() as usize..);
            for bit in 0..message.len() * 8 {
                let outcome = scene.run(|number, mut message| {
                    if number == at {
                        message[bit / 8] ^= 1 << (bit % 8);
                    }
                    message
                });
                let case = format!("message {at} bit {bit}");
                assert_harmless(scene, mechanism, &outcome, &case);
                if mic.as_ref().is_some_and(|mic| mic.contains(&(bit / 8))) {
                    let receiver = if at % 2 == 0 {
                        outcome.acceptor.err()
                    } else {
                        outcome.initiator.err()
                    };
                    let failure = receiver
                        .flatten()
                        .unwrap_or_else(|| panic!("{scene:?} {case}"));
                    assert_eq!(
                        failure.error.cause::<Error>(),
                        Some(&PeerMisbehaved::MicWrong.into()),
                        "{scene:?} {case}"
                    );
                } else if at == 0
                    && WITH_MICS
                        .iter()
                        .any(|with| format!("{with:?}") == format!("{scene:?}"))
                {
                    // The list, and what it could be taken for: the acceptor at least is protected.
                    let same = outcome.messages[1..] == honest.messages[1..];
                    assert!(outcome.acceptor.is_err() || same, "{scene:?} {case}");
                }
            }
        }
    }
}

#[test]
fn each_cut_of_each_message() {
    for scene in WITH_MICS.iter().chain(&WITHOUT) {
        let honest = scene.run(|_, message| message);
        for (at, message) in honest.messages.iter().enumerate() {
            for length in 1..message.len() {
                let outcome = scene.run(|number, mut message| {
                    if number == at {
                        message.truncate(length);
                    }
                    message
                });
                let receiver = if at % 2 == 0 {
                    outcome.acceptor
                } else {
                    outcome.initiator
                };
                let failure = receiver.err().flatten();
                let failure = failure.unwrap_or_else(|| panic!("{scene:?} {at} cut to {length}"));
                assert!(
                    matches!(failure.error.cause::<Error>(), Some(Error::Malformed(_))),
                    "{scene:?} {at} cut to {length}: {}",
                    failure.error
                );
            }
        }
    }
}
