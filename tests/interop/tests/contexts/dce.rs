//! DCE style: three bare messages, ours first and theirs first, with Kerberos and within SPNEGO.

use baton::{Environment, Flags, Step};
use interop::peer::{COMPLETE, Peer, Stepped, program};

use crate::parties::{
    ALL_FLAGS, Case, Pair, TICKETS, We, accept, environment, keys, own_config, realm, start,
    tickets,
};

pub(crate) const DCE: Flags = Flags::from_bits(ALL_FLAGS.bits() | 0x1000);

/// The third leg is the initiator's, whoever that is. Messages are under the service's enctype.
pub(crate) fn establish(case: Case) -> Pair {
    let realm = realm(case.vendor);
    let env = Environment::new(own_config(case)).unwrap();
    let mut theirs = Peer::start(case.vendor, realm, TICKETS);
    let ours = match case.we {
        We::Initiate => {
            theirs.accept(None);
            let Step::Continue { token, next } = start(&env, realm, case) else {
                panic!("{case:?}: an answer is awaited");
            };
            assert_eq!(token[0], 0x6e, "a bare AP-REQ");
            let Stepped::Continue(reply) = theirs.step(&token) else {
                panic!("{case:?}: a third leg is awaited");
            };
            let Step::Done { token, context } = next.step(&reply).unwrap() else {
                panic!("{case:?}: not done");
            };
            let Stepped::Done(rest) = theirs.step(&token.unwrap()) else {
                panic!("{case:?}: the third leg is refused");
            };
            assert_eq!(rest, b"");
            context
        }
        We::Accept => {
            theirs.initiate(&case.target(), case.flags.bits(), None);
            let request = theirs.step(&[]).token();
            assert_eq!(request[0], 0x6e, "a bare AP-REQ");
            let step = accept(&env, realm, case, &request);
            let step = step.unwrap_or_else(|failure| panic!("{case:?}: {}", failure.error));
            let Step::Continue { token, next } = step else {
                panic!("{case:?}: a context of two legs");
            };
            let Stepped::Done(leg) = theirs.step(&token) else {
                panic!("{case:?}: the reply is refused");
            };
            let step = next.step(&leg);
            let step = step.unwrap_or_else(|failure| panic!("{case:?}: {}", failure.error));
            let Step::Done {
                token: None,
                context,
            } = step
            else {
                panic!("{case:?}: not done");
            };
            context
        }
    };
    let mut pair = Pair { ours, theirs };
    pair.assert_enctype(case);
    pair
}

#[test]
fn three_legs_in_each_enctype_both_ways() {
    for case in Case::all() {
        let case = Case { flags: DCE, ..case };
        let Pair { ours, mut theirs } = establish(case);
        let told = Flags::from_bits(theirs.inquire().flags);
        assert!(told.contains(DCE), "{case:?}: {told:?}");
        assert!(ours.facts().flags.contains(DCE), "{case:?}");
        for message in [&b"one"[..], b"two"] {
            let token = ours.wrap(true, message).unwrap();
            assert_eq!(
                theirs.unwrap(&token),
                (COMPLETE, true, message.to_vec()),
                "{case:?}"
            );
            let token = ours.get_mic(message).unwrap();
            assert_eq!(theirs.verify(message, &token), COMPLETE, "{case:?}");
            let token = theirs.wrap(true, message);
            let read = ours.unwrap(&token);
            let read = read.unwrap_or_else(|e| panic!("{case:?} {message:?}: {e} {token:02x?}"));
            assert_eq!(
                (read.data, read.order),
                (message.to_vec(), baton::Order::InOrder)
            );
            ours.verify_mic(message, &theirs.mic(message)).unwrap();
        }
    }
}

/// Theirs refuses what ours must not accept from them either.
#[test]
fn an_altered_third_leg_is_refused_on_both_sides() {
    for case in Case::each_way() {
        let case = Case { flags: DCE, ..case };
        let realm = realm(case.vendor);
        let env = environment(realm);
        let mut theirs = Peer::start(case.vendor, realm, TICKETS);
        let alter = |mut token: Vec<u8>| {
            *token.last_mut().unwrap() ^= 1;
            token
        };
        match case.we {
            We::Initiate => {
                theirs.accept(None);
                let Step::Continue { token, next } = start(&env, realm, case) else {
                    panic!("an answer is awaited");
                };
                let reply = theirs.step(&token).token();
                let Step::Done { token, .. } = next.step(&reply).unwrap() else {
                    panic!("not done");
                };
                let step = theirs.step(&alter(token.unwrap()));
                assert!(matches!(step, Stepped::Failed { .. }), "{case:?}: {step:?}");
            }
            We::Accept => {
                theirs.initiate(&case.target(), case.flags.bits(), None);
                let request = theirs.step(&[]).token();
                let Step::Continue { token, next } = accept(&env, realm, case, &request).unwrap()
                else {
                    panic!("a context of two legs");
                };
                let leg = theirs.step(&token).token();
                next.step(&alter(leg)).unwrap_err();
            }
        }
    }
}

/// Within SPNEGO the three legs travel in its tokens.
#[test]
fn spnego_carries_the_three_legs() {
    for case in Case::each_way() {
        let realm = realm(case.vendor);
        let env = environment(realm);
        let mut command = realm.command(program(case.vendor), TICKETS);
        let mut theirs = Peer::start_with({
            command.env("GSS_PEER_SPNEGO", "1");
            command
        });
        let (cred, keys) = (tickets(realm), keys(realm));
        let name = baton::Name::hostbased_service(&case.target());
        let context = match case.we {
            We::Initiate => {
                theirs.accept(None);
                let initiator = baton::Initiator::new(&env, &cred, &name).flags(DCE);
                let mut step = initiator.negotiate().start().unwrap();
                loop {
                    match step {
                        Step::Continue { token, next } => {
                            step = next.step(&theirs.step(&token).token()).unwrap();
                        }
                        Step::Done { token, context } => {
                            if let Some(token) = token {
                                theirs.step(&token).token();
                            }
                            break context;
                        }
                    }
                }
            }
            We::Accept => {
                theirs.initiate(&case.target(), DCE.bits(), None);
                let first = theirs.step(&[]).token();
                let mut step = baton::Acceptor::new(&env, &keys).step(&first).unwrap();
                loop {
                    match step {
                        Step::Continue { token, next } => {
                            step = next.step(&theirs.step(&token).token()).unwrap();
                        }
                        Step::Done { token, context } => {
                            if let Some(token) = token {
                                theirs.step(&token).token();
                            }
                            break context;
                        }
                    }
                }
            }
        };
        assert!(context.facts().flags.contains(DCE), "{case:?}");
        let token = context.wrap(true, b"message").unwrap();
        let (major, _, message) = theirs.unwrap(&token);
        assert_eq!(
            (major, &message[..]),
            (COMPLETE, &b"message"[..]),
            "{case:?}"
        );
        let token = theirs.wrap(true, b"back");
        assert_eq!(context.unwrap(&token).unwrap().data, b"back", "{case:?}");
    }
}
