//! Handshakes that wait: their state is all of them, has one encoding, and is of its own side.

use std::sync::Arc;

use gss_core::flags::Flags;
use gss_core::mechanism::{DormantHandshake, Handshake, Redeemed, Restore, Resume};
use gss_core::sequence::Order;
use krb5::exchange::ap::{Acceptable, ApError};
use krb5::formats::settings::DEFAULT_ENCTYPES;
use krb5::principal::Principal;
use krb5_crypto::Enctype;
use once::{Claimed, MarkTag};
use zeroize::Zeroizing;

use super::realm::{ALL, TestRealm, continued, done, enctypes, one_bit_flips, signed, wrapped};
use crate::{AcceptOptions, Acceptor, AcceptorCred, Error, InitiatorResume};

fn saved(handshake: &dyn Handshake) -> Zeroizing<Vec<u8>> {
    handshake.half_open().unwrap().save().unwrap()
}

fn initiators(realm: &TestRealm) -> Box<InitiatorResume> {
    Box::new(InitiatorResume {
        permitted_enctypes: Arc::new(DEFAULT_ENCTYPES),
        random: Arc::clone(&realm.random),
    })
}

fn acceptors(realm: &TestRealm) -> Box<Acceptor> {
    Box::new(Acceptor::new(realm.cred(), realm.accept_options()))
}

fn claimed(realm: &TestRealm) -> Claimed {
    let now = realm.host().now();
    realm.store.claim(&MarkTag::of(&[b"token"]), now).unwrap()
}

fn wake(dormant: Box<dyn DormantHandshake>, realm: &TestRealm) -> Box<dyn Handshake> {
    dormant.wake(Redeemed::Claimed(claimed(realm)))
}

#[test]
fn either_side_is_finished_by_another() {
    for enctype in enctypes() {
        let realm = TestRealm::new(enctype);
        let (request, next) = continued(realm.initiate(&realm.init_options(ALL)));
        let waits = saved(&*realm.acceptor());
        drop(realm.acceptor());
        let acceptor = wake(acceptors(&realm).resume(&waits).unwrap(), &realm);
        let (reply, acceptor) = done(acceptor.step(&request, &realm.host()));

        let waits = saved(&*next);
        drop(next);
        let dormant = initiators(&realm).resume(&waits).unwrap();
        let other = TestRealm::new(enctype);
        let next = wake(dormant, &other);
        let (_, initiator) = done(next.step(&reply.unwrap(), &realm.host()));
        assert_eq!(initiator.facts().flags, acceptor.facts().flags);
        assert_eq!(initiator.facts().initiator, acceptor.facts().initiator);
        for (from, to) in [(&initiator, &acceptor), (&acceptor, &initiator)] {
            let mut out = Vec::new();
            let token = wrapped(&**from, true, b"message");
            assert_eq!(to.unwrap(&token, &mut out).unwrap().order, Order::InOrder);
            let mic = signed(&**from, b"message");
            assert_eq!(to.verify_mic(b"message", &mic).unwrap(), Order::InOrder);
        }
    }
}

#[test]
fn a_half_open_state_has_one_encoding() {
    for enctype in enctypes() {
        let realm = TestRealm::new(enctype);
        let (_, next) = continued(realm.initiate(&realm.init_options(Flags::MUTUAL)));
        let state = saved(&*next);
        assert_eq!(*saved(&*next), *state, "saving changes nothing");
        let again = |bytes: &[u8], what: &str, at: usize| {
            if let Ok(dormant) = initiators(&realm).resume(bytes) {
                let other = TestRealm::new(enctype);
                assert_eq!(*saved(&*wake(dormant, &other)), *bytes, "{what} {at}");
            }
        };
        again(&state, "as it is", 0);
        for (bit, other) in one_bit_flips(&state) {
            again(&other, "bit", bit);
        }
        for cut in 0..state.len() {
            assert!(initiators(&realm).resume(&state[..cut]).is_err(), "{cut}");
        }
        let longer = [&state[..], &[12, 0]].concat();
        assert!(initiators(&realm).resume(&longer).is_err());
    }
}

#[test]
fn a_state_is_of_its_own_side() {
    let realm = TestRealm::new(enctypes().next().unwrap());
    let (_, next) = continued(realm.initiate(&realm.init_options(ALL)));
    let (initiating, accepting) = (saved(&*next), saved(&*realm.acceptor()));
    assert!(acceptors(&realm).resume(&initiating).is_err());
    assert!(initiators(&realm).resume(&accepting).is_err());
    for (_, other) in one_bit_flips(&accepting) {
        assert!(acceptors(&realm).resume(&other).is_err());
    }
    for cut in 0..accepting.len() {
        assert!(acceptors(&realm).resume(&accepting[..cut]).is_err());
    }
}

const DCE: Flags = Flags::from_bits(4 | 8 | 0x1000);

/// An acceptor that waits for the third leg, and that leg.
fn third_leg(realm: &TestRealm) -> (Box<dyn Handshake>, Vec<u8>) {
    let (request, next) = continued(realm.initiate(&realm.init_options(DCE)));
    let (reply, acceptor) = continued(realm.acceptor().step(&request, &realm.host()).unwrap());
    let (leg, _) = done(next.step(&reply, &realm.host()));
    (acceptor, leg.unwrap())
}

#[test]
fn the_third_leg_of_dce_style_is_taken_by_another() {
    for enctype in enctypes() {
        let realm = TestRealm::new(enctype);
        let (request, next) = continued(realm.initiate(&realm.init_options(DCE)));
        let (reply, acceptor) = continued(realm.acceptor().step(&request, &realm.host()).unwrap());
        let waits = saved(&*acceptor);
        drop(acceptor);
        let (leg, initiator) = done(next.step(&reply, &realm.host()));
        let dormant = acceptors(&realm).resume(&waits).unwrap();
        let acceptor = wake(dormant, &realm);
        let (_, acceptor) = done(acceptor.step(&leg.unwrap(), &realm.host()));
        assert_eq!(initiator.facts().flags, acceptor.facts().flags);
        for (from, to) in [(&initiator, &acceptor), (&acceptor, &initiator)] {
            let mic = signed(&**from, b"message");
            assert_eq!(to.verify_mic(b"message", &mic).unwrap(), Order::InOrder);
        }
    }
}

#[test]
fn an_acceptor_of_dce_style_has_one_encoding() {
    for enctype in enctypes() {
        let realm = TestRealm::new(enctype);
        let (acceptor, leg) = third_leg(&realm);
        let state = saved(&*acceptor);
        assert!(initiators(&realm).resume(&state).is_err());
        let other = |bytes: &[u8], what: &str, at: usize| {
            if let Ok(dormant) = acceptors(&realm).resume(bytes) {
                let woken = wake(dormant, &TestRealm::new(enctype));
                assert_eq!(*saved(&*woken), *bytes, "{what} {at}");
                let _ = woken.step(&leg, &realm.host());
            }
        };
        other(&state, "as it is", 0);
        for (bit, flipped) in one_bit_flips(&state) {
            other(&flipped, "bit", bit);
        }
        for cut in 0..state.len() {
            assert!(acceptors(&realm).resume(&state[..cut]).is_err(), "{cut}");
        }
        let longer = [&state[..], &[13, 0]].concat();
        assert!(acceptors(&realm).resume(&longer).is_err());
    }
}

/// Each of those that share the keys of half-open handshakes has services and enctypes of its own.
#[test]
fn a_context_is_taken_by_one_that_would_have_made_it() {
    let realm = TestRealm::new(enctypes().next().unwrap());
    let (acceptor, _) = third_leg(&realm);
    let waiting = saved(&*acceptor);
    let established = realm.pair(ALL).acceptor.save().unwrap();
    let taken = |change: &dyn Fn(&mut AcceptorCred, &mut AcceptOptions)| {
        let own = || {
            let (mut cred, mut options) = (realm.cred(), realm.accept_options());
            change(&mut cred, &mut options);
            Acceptor::new(cred, options)
        };
        let resumed = Box::new(own()).resume(&waiting).map(drop);
        let restored = own().restore(&established).map(drop);
        [resumed, restored].map(|taken| match taken {
            Ok(()) => None,
            Err(error) => match error.cause::<Error>() {
                Some(Error::Exchange(cause)) => Some(cause.clone()),
                _ => panic!("{error}"),
            },
        })
    };
    let server = realm.ticket.server.clone();
    let ours = Acceptable::Principal(server.clone());
    assert_eq!(
        taken(&|cred, _| cred.acceptable = ours.clone()),
        [None, None]
    );

    let acceptable = Acceptable::Principal(Principal::parse("other/host@R", None).unwrap());
    let not_us = ApError::NotUs {
        server: server.clone(),
        acceptable: acceptable.clone(),
    };
    assert_eq!(
        taken(&|cred, _| cred.acceptable = acceptable.clone()),
        [Some(not_us.clone()), Some(not_us)]
    );

    let etype = realm.ticket.session_key.enctype().number();
    let no_key = ApError::NoKey { server, etype };
    assert_eq!(
        taken(&|cred, _| cred.keytab = Arc::default()),
        [Some(no_key.clone()), Some(no_key)]
    );

    let not_permitted = ApError::EnctypeNotPermitted(etype);
    let others: Vec<_> = DEFAULT_ENCTYPES
        .into_iter()
        .filter(|one| one.number() != etype)
        .collect();
    assert_eq!(
        taken(&|_, options| options.policy.permitted_enctypes = others.clone().into()),
        [Some(not_permitted.clone()), Some(not_permitted)]
    );
}

/// Each of a state's keys is looked at.
#[test]
fn no_key_of_a_taken_context_is_of_an_enctype_that_is_not_permitted() {
    let realm = TestRealm::new(Enctype::from_number(18).unwrap());
    let mut options = realm.init_options(DCE);
    options.permitted_enctypes = Arc::new([17, 18].map(|one| Enctype::from_number(one).unwrap()));
    let mut accepting = realm.accept_options();
    accepting.policy.permitted_enctypes = Arc::clone(&options.permitted_enctypes);
    let (request, _) = continued(realm.initiate(&options));
    let acceptor = Box::new(Acceptor::new(realm.cred(), accepting));
    let (_, acceptor) = continued(acceptor.step(&request, &realm.host()).unwrap());
    let waiting = saved(&*acceptor);
    // The subkey of the acceptor is of enctype 17, all else of 18.
    for (permitted, refused) in [(17, 18), (18, 17)] {
        let mut options = realm.accept_options();
        options.policy.permitted_enctypes = Arc::new([Enctype::from_number(permitted).unwrap()]);
        let own = Box::new(Acceptor::new(realm.cred(), options));
        let Err(error) = own.resume(&waiting) else {
            panic!("{permitted}")
        };
        match error.cause::<Error>() {
            Some(Error::Exchange(ApError::EnctypeNotPermitted(one))) => assert_eq!(one, &refused),
            _ => panic!("{error}"),
        }
    }
}

#[test]
fn an_acceptor_takes_no_initiators_context() {
    let realm = TestRealm::new(enctypes().next().unwrap());
    let state = realm.pair(ALL).initiator.save().unwrap();
    assert!(acceptors(&realm).restore(&state).is_err());
}
