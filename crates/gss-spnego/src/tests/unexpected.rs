//! Each state, fed every message: what is not named here is refused.

use gss_core::framing;
use gss_core::mechanism::{Handshake, Step};
use gss_core::oid::Oid;
use wire::der::Extensions;

use super::fake::{A, B, BadToken, C, Fake, HOST, Scene, error, failed, fake, going, start};
use crate::list::MechList;
use crate::messages::{NegState, NegTokenResp, NegotiationToken};
use crate::{Malformed, PeerMisbehaved};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Token {
    Absent,
    Empty,
    Right,
    Wrong,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Mic {
    Absent,
    Right,
    Wrong,
    /// The mechanism's token again.
    Copied,
}

use NegState::{AcceptCompleted, AcceptIncomplete, Reject, RequestMic};

/// An answer in its parts.
#[derive(Clone, Copy, Debug)]
struct Parts {
    state: Option<NegState>,
    mech: Option<Oid>,
    token: Token,
    mic: Mic,
}

impl Parts {
    fn all() -> impl Iterator<Item = Self> {
        let states = [
            None,
            Some(AcceptCompleted),
            Some(AcceptIncomplete),
            Some(Reject),
            Some(RequestMic),
        ];
        let mechs = [None, Some(A), Some(B), Some(C)];
        let tokens = [Token::Absent, Token::Empty, Token::Right, Token::Wrong];
        let mics = [Mic::Absent, Mic::Right, Mic::Wrong, Mic::Copied];
        states.into_iter().flat_map(move |state| {
            mechs.into_iter().flat_map(move |mech| {
                tokens.into_iter().flat_map(move |token| {
                    mics.into_iter().map(move |mic| Self {
                        state,
                        mech,
                        token,
                        mic,
                    })
                })
            })
        })
    }

    fn no_token(&self) -> bool {
        matches!(self.token, Token::Absent | Token::Empty)
    }

    fn no_mic(&self) -> bool {
        matches!(self.mic, Mic::Absent | Mic::Copied)
    }

    fn completed(&self) -> bool {
        matches!(self.state, None | Some(AcceptCompleted))
    }
}

/// A state, the mechanism that is talked about in it, and what it takes.
struct State {
    name: &'static str,
    reach: fn() -> Box<dyn Handshake>,
    mechanism: Fake,
    /// The number of the mechanism's token that would be right.
    number: usize,
    initiates: bool,
    takes: fn(&Parts) -> bool,
}

fn first(legs: usize) -> Box<dyn Handshake> {
    start(&[fake(A, legs), fake(B, legs)]).1
}

/// The next state of the side that gets message `at` of a scene.
fn after(scene: Scene, at: usize) -> Box<dyn Handshake> {
    let mut kept = None;
    let (token, initiator) = going(scene.initiator().start(&HOST));
    let (mut token, mut sides) = (
        token,
        [
            Some(Box::new(scene.acceptor()) as Box<dyn Handshake>),
            Some(initiator),
        ],
    );
    for turn in 0..=at {
        let side = sides[turn % 2].take().unwrap();
        let (reply, next) = going(side.step(&token, &HOST));
        token = reply;
        if turn == at {
            kept = Some(next);
        } else {
            sides[turn % 2] = Some(next);
        }
    }
    kept.unwrap()
}

fn states() -> Vec<State> {
    vec![
        State {
            name: "initiator, favourite waits",
            reach: || first(2),
            mechanism: fake(A, 2),
            number: 2,
            initiates: true,
            takes: |parts| {
                let chosen = parts.mech.is_none() || parts.mech == Some(A);
                match parts.state {
                    Some(AcceptCompleted) => {
                        chosen && parts.token == Token::Right && parts.mic != Mic::Wrong
                    }
                    Some(AcceptIncomplete | RequestMic) => {
                        chosen && parts.token == Token::Right && parts.mic == Mic::Right
                            || parts.mech == Some(B) && parts.no_token() && parts.no_mic()
                    }
                    None | Some(Reject) => false,
                }
            },
        },
        State {
            name: "initiator, favourite is established",
            reach: || first(1),
            mechanism: fake(A, 1),
            number: 1,
            initiates: true,
            takes: |parts| {
                let chosen = (parts.mech.is_none() || parts.mech == Some(A)) && parts.no_token();
                match parts.state {
                    Some(AcceptCompleted) => chosen && parts.mic != Mic::Wrong,
                    Some(AcceptIncomplete | RequestMic) => {
                        chosen && parts.mic == Mic::Right
                            || parts.mech == Some(B) && parts.no_token() && parts.no_mic()
                    }
                    None | Some(Reject) => false,
                }
            },
        },
        State {
            name: "initiator, nothing has begun",
            reach: || {
                let scene = Scene::new(&[A, B], &[A], 2).not_optimistic();
                going(scene.initiator().start(&HOST)).1
            },
            mechanism: fake(A, 2),
            number: 2,
            initiates: true,
            takes: |parts| {
                matches!(parts.state, Some(AcceptIncomplete | RequestMic))
                    && matches!(parts.mech, Some(A | B))
                    && parts.no_token()
                    && parts.no_mic()
            },
        },
        State {
            name: "initiator, mechanism waits, MICs optional",
            reach: || after(Scene::new(&[A, B], &[A], 4), 1),
            mechanism: fake(A, 4),
            number: 4,
            initiates: true,
            takes: |parts| {
                (parts.mech.is_none() || parts.mech == Some(A))
                    && parts.token == Token::Right
                    && match parts.mic {
                        Mic::Right => {
                            matches!(parts.state, None | Some(AcceptCompleted | AcceptIncomplete))
                        }
                        Mic::Absent | Mic::Copied => parts.completed(),
                        Mic::Wrong => false,
                    }
            },
        },
        State {
            name: "initiator, mechanism waits, MICs required",
            reach: || after(Scene::new(&[A, B], &[B], 2), 1),
            mechanism: fake(B, 2),
            number: 2,
            initiates: true,
            takes: |parts| {
                (parts.mech.is_none() || parts.mech == Some(B))
                    && parts.token == Token::Right
                    && parts.mic == Mic::Right
                    && matches!(parts.state, None | Some(AcceptCompleted | AcceptIncomplete))
            },
        },
        State {
            name: "initiator, last token sent",
            reach: || after(Scene::new(&[A, B], &[A], 3), 1),
            mechanism: fake(A, 3),
            number: 3,
            initiates: true,
            takes: |parts| {
                (parts.mech.is_none() || parts.mech == Some(A))
                    && parts.no_token()
                    && match parts.mic {
                        Mic::Right => {
                            matches!(parts.state, None | Some(AcceptCompleted | AcceptIncomplete))
                        }
                        Mic::Absent | Mic::Copied => parts.completed(),
                        Mic::Wrong => false,
                    }
            },
        },
        State {
            name: "initiator, MIC sent",
            reach: || after(Scene::new(&[A, B], &[B], 1), 1),
            mechanism: fake(B, 1),
            number: 1,
            initiates: true,
            takes: |parts| {
                (parts.mech.is_none() || parts.mech == Some(B))
                    && parts.no_token()
                    && parts.mic == Mic::Right
                    && parts.completed()
            },
        },
        State {
            name: "acceptor, mechanism waits, MICs optional",
            reach: || after(Scene::new(&[A, B], &[A], 3), 0),
            mechanism: fake(A, 3),
            number: 3,
            initiates: false,
            takes: |parts| {
                (parts.mech.is_none() || parts.mech == Some(A))
                    && parts.token == Token::Right
                    && parts.mic != Mic::Wrong
                    && matches!(parts.state, None | Some(AcceptCompleted | AcceptIncomplete))
            },
        },
        State {
            name: "acceptor, mechanism waits, MICs required",
            reach: || after(Scene::new(&[A, B], &[B], 1), 0),
            mechanism: fake(B, 1),
            number: 1,
            initiates: false,
            takes: |parts| {
                (parts.mech.is_none() || parts.mech == Some(B))
                    && parts.token == Token::Right
                    && parts.mic == Mic::Right
                    && matches!(parts.state, None | Some(AcceptCompleted | AcceptIncomplete))
            },
        },
        State {
            name: "acceptor, MIC sent",
            reach: || after(Scene::new(&[A, B], &[C, A], 2).own_preference(), 0),
            mechanism: fake(A, 2),
            number: 3,
            initiates: false,
            takes: |parts| {
                (parts.mech.is_none() || parts.mech == Some(A))
                    && parts.no_token()
                    && parts.mic == Mic::Right
                    && parts.completed()
            },
        },
    ]
}

impl State {
    fn message(&self, parts: &Parts) -> Vec<u8> {
        let right = self.mechanism.token(self.number);
        let token = match parts.token {
            Token::Absent => None,
            Token::Empty => Some(&b""[..]),
            Token::Right => Some(&right[..]),
            Token::Wrong => Some(&b"wrong"[..]),
        };
        let mut mic = Vec::new();
        let peer = self.mechanism.context(!self.initiates);
        let list = MechList::of(&[A, B]);
        mic.extend(list.sign(&*peer).unwrap());
        let mic = match parts.mic {
            Mic::Absent => None,
            Mic::Right => Some(&mic[..]),
            Mic::Wrong => Some(&b"not a MIC"[..]),
            Mic::Copied => token,
        };
        NegotiationToken::Resp(NegTokenResp {
            neg_state: parts.state,
            supported_mech: parts.mech.as_ref().map(Into::into),
            response_token: token,
            mech_list_mic: mic,
            extensions: Extensions::NONE,
        })
        .encode()
    }
}

#[test]
fn each_state_takes_what_it_waits_for_and_nothing_else() {
    for state in states() {
        let (mut taken, mut refused) = (0, 0);
        for parts in Parts::all() {
            let step = (state.reach)().step(&state.message(&parts), &HOST);
            let error = step.as_ref().err().map(|failure| failure.error.to_string());
            assert_eq!(
                step.is_ok(),
                (state.takes)(&parts),
                "{}: {parts:?}: {error:?}",
                state.name
            );
            match step {
                Ok(Step::Continue { .. } | Step::Done { .. }) => taken += 1,
                Err(failure) => {
                    // An acceptor tells, and a mechanism; who was told says nothing more.
                    let tells = !state.initiates || failure.error.cause::<BadToken>().is_some();
                    let told = parts.state == Some(Reject);
                    assert_eq!(
                        failure.token.is_some(),
                        tells && !told,
                        "{}: {parts:?}",
                        state.name
                    );
                    refused += 1;
                }
            }
        }
        assert!(
            taken > 0 && refused > taken,
            "{}: {taken} {refused}",
            state.name
        );
    }
}

#[test]
fn a_first_message_is_taken_once() {
    let (init, _) = start(&[fake(A, 3), fake(B, 3)]);
    let inner = framing::unframe(Oid::SPNEGO, &init).unwrap();
    for state in states() {
        let step = (state.reach)().step(inner, &HOST);
        assert_eq!(
            error(step),
            PeerMisbehaved::InitNotExpected.into(),
            "{}",
            state.name
        );
        // Nor is a frame (RFC 4178 §4.2).
        let step = (state.reach)().step(&init, &HOST);
        assert_eq!(error(step), Malformed::Kind.into(), "{}", state.name);
        failed((state.reach)().step(b"", &HOST));
        failed((state.reach)().step(b"\xa1", &HOST));
    }
}

/// The states that wait for a list: with and without a hint.
#[test]
fn an_acceptor_takes_a_list_and_nothing_else() {
    let scene = Scene::new(&[A, B], &[A, B], 2);
    let states: [fn() -> Box<dyn Handshake>; 2] = [
        || Box::new(Scene::new(&[A, B], &[A, B], 2).acceptor()),
        || going(Box::new(Scene::new(&[A, B], &[A, B], 2).acceptor()).step(b"", &HOST)).1,
    ];
    let (init, _) = going(scene.initiator().start(&HOST));
    let inner = framing::unframe(Oid::SPNEGO, &init).unwrap();
    let framed = |inner: &[u8]| framing::frame(Oid::SPNEGO, inner);
    for state in states {
        assert!(state().step(&init, &HOST).is_ok());
        for parts in Parts::all() {
            let answer = super::unexpected::states()[0].message(&parts);
            let step = state().step(&framed(&answer), &HOST);
            assert_eq!(error(step), PeerMisbehaved::RespNotExpected.into());
            assert!(failed(state().step(&answer, &HOST)).token.is_none());
        }
        // Without its frame, in another's, with nothing in it, without a list, with an empty one.
        for (token, answered) in [
            (inner.to_vec(), false),
            (framing::frame(A, inner), false),
            (framed(b""), true),
            (framed(b"\xa0\x02\x30\x00"), true),
            (framed(b"\xa0\x06\x30\x04\xa0\x02\x30\x00"), true),
        ] {
            let failure = failed(state().step(&token, &HOST));
            assert_eq!(
                failure.token.is_some(),
                answered,
                "{token:x?}: {}",
                failure.error
            );
        }
    }
}

/// A MIC in the first message is of the favourite's context, if that needs no answer.
#[test]
fn a_mic_beside_the_list_is_verified() {
    let list = MechList::of(&[A, B]);
    let init = |legs: usize, mic: &[u8], with_token: bool| {
        let token = fake(A, legs).token(1);
        let init = NegotiationToken::Init(crate::messages::NegTokenInit {
            mech_types: list.as_types(),
            req_flags: None,
            mech_token: with_token.then_some(&token[..]),
            mech_list_mic: Some(mic),
            extensions: Extensions::NONE,
        });
        framing::frame(Oid::SPNEGO, &init.encode())
    };
    let right = list.sign(&*fake(A, 1).context(true)).unwrap();
    let accept = |choices: &'static [Oid], legs, mic: &[u8], with_token| {
        let acceptor = Scene::new(&[A, B], choices, legs).acceptor();
        Box::new(acceptor).step(&init(legs, mic, with_token), &HOST)
    };
    let Ok(Step::Done { token, .. }) = accept(&[A], 1, &right, true) else {
        panic!("one token is enough");
    };
    assert!(
        start(&[fake(A, 1), fake(B, 1)])
            .1
            .step(&token.unwrap(), &HOST)
            .is_ok()
    );
    for bit in 0..right.len() * 8 {
        let mut other = right.clone();
        other[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(
            error(accept(&[A], 1, &other, true)),
            PeerMisbehaved::MicWrong.into(),
            "{bit}"
        );
    }
    assert_eq!(
        error(accept(&[A], 3, &right, true)),
        PeerMisbehaved::MicNotExpected.into()
    );
    assert_eq!(
        error(accept(&[A], 1, &right, false)),
        PeerMisbehaved::MicNotExpected.into()
    );
    // Another's MIC, when the favourite is not chosen, says nothing.
    assert!(accept(&[B], 1, b"not a MIC", true).is_ok());
}

/// A MIC is its sender's first message, of a context that has integrity.
#[test]
fn a_mic_that_is_not_the_first_is_refused() {
    let list = MechList::of(&[A, B]);
    let peer = fake(A, 1).context(false);
    let answer = |mic: &[u8]| {
        NegotiationToken::Resp(NegTokenResp {
            neg_state: Some(AcceptCompleted),
            mech_list_mic: Some(mic),
            ..NegTokenResp::default()
        })
        .encode()
    };
    let [one, two] = [(); 2].map(|()| answer(&list.sign(&*peer).unwrap()));
    assert!(first(1).step(&one, &HOST).is_ok());
    assert_eq!(
        error(first(1).step(&two, &HOST)),
        PeerMisbehaved::MicWrong.into()
    );

    let without = |oid| Fake {
        integrity: false,
        ..fake(oid, 1)
    };
    let (_, next) = start(&[without(A), without(B)]);
    let mic = answer(&list.sign(&*without(A).context(false)).unwrap());
    assert_eq!(
        error(next.step(&mic, &HOST)),
        PeerMisbehaved::MicNotExpected.into()
    );
}
