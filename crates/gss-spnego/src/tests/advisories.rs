//! Past flaws of others: `docs/advisories.md`.

use gss_core::framing;
use gss_core::mechanism::{Handshake, Step};
use gss_core::oid::Oid;
use wire::der::Extensions;

use super::fake::{
    A, B, BadToken, HOST, NoCred, Penniless, Scene, error, failed, fake, going, start,
};
use crate::list::MechList;
use crate::messages::{NegState, NegTokenInit, NegTokenResp, NegotiationToken};
use crate::{Error, Malformed, PeerMisbehaved};

fn answer(state: NegState, mech: Option<Oid>, token: Option<&[u8]>) -> Vec<u8> {
    NegotiationToken::Resp(NegTokenResp {
        neg_state: Some(state),
        supported_mech: mech.as_ref().map(Into::into),
        response_token: token,
        mech_list_mic: None,
        extensions: Extensions::NONE,
    })
    .encode()
}

#[test]
fn cve_2014_4344_an_empty_continuation_is_refused() {
    let begun = || {
        let acceptor = Box::new(Scene::new(&[A], &[A], 3).acceptor());
        going(acceptor.step(&start(&[fake(A, 3)]).0, &HOST)).1
    };
    assert!(matches!(
        error(begun().step(&[], &HOST)),
        Error::Malformed(_)
    ));
    for state in [NegState::AcceptIncomplete, NegState::AcceptCompleted] {
        let step = begun().step(&answer(state, None, None), &HOST);
        assert_eq!(error(step), PeerMisbehaved::NoMechToken.into());
    }
    let stateless = NegotiationToken::Resp(NegTokenResp::default()).encode();
    assert_eq!(
        error(begun().step(&stateless, &HOST)),
        PeerMisbehaved::NoMechToken.into()
    );
}

#[test]
fn cve_2014_4343_a_mechanism_is_chosen_once() {
    let chosen = || {
        let (_, next) = start(&[fake(A, 4), fake(B, 4)]);
        going(next.step(&answer(NegState::RequestMic, Some(B), None), &HOST)).1
    };
    let token = fake(B, 4).token(2);
    for mech in [A, Oid::NT_EXPORT_NAME] {
        let step = chosen().step(
            &answer(NegState::AcceptIncomplete, Some(mech), Some(&token)),
            &HOST,
        );
        assert_eq!(error(step), PeerMisbehaved::MechChanged.into());
    }
    assert!(
        chosen()
            .step(
                &answer(NegState::AcceptIncomplete, Some(B), Some(&token)),
                &HOST
            )
            .is_ok()
    );
    // Nor with a token for it, which it cannot have.
    let (_, next) = start(&[fake(A, 4), fake(B, 4)]);
    let step = next.step(&answer(NegState::RequestMic, Some(B), Some(&token)), &HOST);
    assert_eq!(error(step), PeerMisbehaved::MechTokenNotExpected.into());
}

/// Until it is done a negotiation has a `step` and nothing else; what is done is the mechanism's own context.
#[test]
fn cve_2015_2695_a_half_negotiated_context_is_no_context() {
    let acceptor: Box<dyn Handshake> = Box::new(Scene::new(&[A], &[A], 3).acceptor());
    let (token, initiator) = start(&[fake(A, 3)]);
    let (token, acceptor) = going(acceptor.step(&token, &HOST));
    let (token, _) = going(initiator.step(&token, &HOST));
    let Ok(Step::Done { context, .. }) = acceptor.step(&token, &HOST) else {
        panic!("established");
    };
    assert_eq!(context.facts().mechanism, A);
}

#[test]
fn cve_2009_0844_lengths_beyond_the_token_are_refused() {
    for inner in [
        &b"\xa0\x84\x7f\xff\xff\xff\x30"[..],
        b"\xa0\x0a\x30\x84\xff\xff\xff\xff\xa0\x02\x30\x00",
        b"\xa0\x0a\x30\x08\xa0\x84\xff\xff\xff\xff\x30\x00",
    ] {
        let acceptor = Box::new(Scene::new(&[A], &[A], 1).acceptor());
        let step = acceptor.step(&framing::frame(Oid::SPNEGO, inner), &HOST);
        assert!(
            matches!(error(step), Error::Malformed(Malformed::Der(_))),
            "{inner:x?}"
        );
    }
}

#[test]
fn cve_2009_0845_flags_are_not_looked_at() {
    let token = fake(A, 1).token(1);
    for flags in [
        &b"\xa1\x02\x03\x00"[..],
        b"\xa1\x04\x03\x02\xff\xff",
        b"\xa1\x05\x03\x03\x00\x00\x00",
    ] {
        let list = b"\xa0\x0d\x30\x0b\x06\x09\x2a\x86\x48\x86\xf7\x12\x01\x02\x02";
        let mech_token = [
            &[0xa2, token.len() as u8 + 2, 4, token.len() as u8],
            &token[..],
        ]
        .concat();
        let fields = [list, flags, &mech_token].concat();
        let init = [
            &[0xa0, fields.len() as u8 + 2, 0x30, fields.len() as u8],
            &fields[..],
        ]
        .concat();
        let acceptor = Box::new(Scene::new(&[A], &[A], 1).acceptor());
        assert!(
            acceptor
                .step(&framing::frame(Oid::SPNEGO, &init), &HOST)
                .is_ok(),
            "{flags:x?}"
        );
    }
}

/// An error token is prepared for every failure, and reads as one.
#[test]
fn cve_2010_0628_what_cannot_be_read_is_rejected() {
    for inner in [
        &b""[..],
        b"\xa0",
        b"\xa0\x00",
        b"\xa1\x00",
        b"\xa0\x02\x30\x00",
        b"\x60\x00",
        b"NTLMSSP\0",
    ] {
        let acceptor = Box::new(Scene::new(&[A], &[A], 1).acceptor());
        let failure = failed(acceptor.step(&framing::frame(Oid::SPNEGO, inner), &HOST));
        assert_eq!(
            failure.token,
            Some(answer(NegState::Reject, None, None)),
            "{inner:x?}"
        );
    }
}

/// With a token and without, the acceptor says no; also where it has the mechanism and cannot begin with it.
#[test]
fn cve_2021_44758_a_list_without_an_acceptable_mechanism_is_rejected() {
    for list in [&[B][..], &[B, Oid::NT_EXPORT_NAME]] {
        for token in [None, Some(&b"token"[..])] {
            let acceptor = Box::new(Scene::new(&[A], &[A], 1).acceptor());
            let failure = failed(acceptor.step(&init(list, token), &HOST));
            assert_eq!(failure.error.cause(), Some(&Error::NoCommonMechanism));
            assert_eq!(failure.token, Some(answer(NegState::Reject, None, None)));
        }
    }
    for token in [None, Some(&b"token"[..])] {
        let acceptor = Box::new(crate::Acceptor::new(vec![Box::new(Penniless(A))]));
        let failure = failed(acceptor.step(&init(&[A], token), &HOST));
        assert!(failure.error.cause::<NoCred>().is_some());
        assert_eq!(failure.token, Some(answer(NegState::Reject, None, None)));
    }
}

fn init(list: &[Oid], mech_token: Option<&[u8]>) -> Vec<u8> {
    let list = MechList::of(list);
    let init = NegotiationToken::Init(NegTokenInit {
        mech_types: list.as_types(),
        req_flags: None,
        mech_token,
        mech_list_mic: None,
        extensions: Extensions::NONE,
    });
    framing::frame(Oid::SPNEGO, &init.encode())
}

/// NegoEx (1.3.6.1.4.1.311.2.2.30) is a mechanism that nobody here has: its messages are not looked at.
#[test]
fn cve_2026_40355_negoex_is_passed_over() {
    let negoex: Oid = "1.3.6.1.4.1.311.2.2.30".parse().unwrap();
    let message = [&b"NEGOEXTS"[..], &[0; 8], &[0xff; 32]].concat();
    let acceptor = Box::new(Scene::new(&[A], &[A], 2).acceptor());
    let (token, next) = going(acceptor.step(&init(&[negoex, A], Some(&message)), &HOST));
    assert_eq!(token, answer(NegState::RequestMic, Some(A), None));
    let step = next.step(
        &answer(NegState::AcceptIncomplete, None, Some(&message)),
        &HOST,
    );
    assert!(failed(step).error.cause::<BadToken>().is_some());
    let acceptor = Box::new(Scene::new(&[A], &[A], 2).acceptor());
    let step = acceptor.step(&init(&[negoex], Some(&message)), &HOST);
    assert_eq!(error(step), Error::NoCommonMechanism);
}

#[test]
fn ghsl_2023_016_empty_sequences_and_names_are_refused() {
    for inner in [
        &b"\xa0\x02\x30\x00"[..],
        b"\xa0\x04\x30\x02\xa0\x00",
        b"\xa0\x06\x30\x04\xa0\x02\x30\x00",
        b"\xa0\x08\x30\x06\xa0\x04\x30\x02\x06\x00",
        b"\xa0\x09\x30\x07\xa0\x05\x30\x03\x06\x01\x80",
    ] {
        for cut in 0..=inner.len() {
            let acceptor = Box::new(Scene::new(&[A], &[A], 1).acceptor());
            let step = acceptor.step(&framing::frame(Oid::SPNEGO, &inner[..cut]), &HOST);
            let error = error(step);
            let refused =
                matches!(error, Error::Malformed(_)) || error == PeerMisbehaved::NoMechTypes.into();
            assert!(refused, "{:x?}: {error:?}", &inner[..cut]);
        }
    }
}

/// MIT's ticket 9213: what stands in the place of the MIC is a string of octets or an error.
#[test]
fn krb5_9213_a_mic_that_is_no_string_is_refused() {
    let token = fake(A, 2).token(2);
    let right = answer(NegState::AcceptCompleted, Some(A), Some(&token));
    let (_, next) = start(&[fake(A, 2)]);
    assert!(next.step(&right, &HOST).is_ok());
    for mic in [
        &b"\xa3\x00"[..],
        b"\xa3\x03\x02\x01\x07",
        b"\xa3\x02\x30\x00",
    ] {
        let mut other = [&right, mic].concat();
        other[1] += mic.len() as u8;
        other[3] += mic.len() as u8;
        let (_, next) = start(&[fake(A, 2)]);
        let error = error(next.step(&other, &HOST));
        assert!(matches!(error, Error::Malformed(_)), "{mic:x?}: {error:?}");
    }
}
