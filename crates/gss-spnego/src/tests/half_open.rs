//! A negotiation goes on in other hands as it would have where it began.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use gss_core::error::Major;
use gss_core::mechanism::{Handshake, Redeemed, Resume, Step};
use gss_core::oid::Oid;
use once::{Limits, MarkTag, OnceStore};
use wire::time::{Clock, Timestamp};

use super::fake::{
    A, B, C, FakeReader, HOST, Scene, choices, fake, going, numbers, run_moving, start,
};
use super::transcripts::{TABLE, words};
use crate::half_open::Inner;
use crate::{Acceptor, AcceptorResume, InitiatorResume, Reader};

struct Now;

impl Clock for Now {
    fn now(&self) -> Timestamp {
        Timestamp::from_seconds(1_800_000_000)
    }
}

/// Evidence for one state.
pub(super) fn redeemed() -> Redeemed {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let limits = Limits {
        marks: 16,
        deposits: 1,
        ..Limits::default()
    };
    let store = OnceStore::memory_with(&limits, Arc::new(Now));
    let number = NUMBER.fetch_add(1, Ordering::Relaxed).to_be_bytes();
    store
        .claim(&MarkTag::of(&[&number]), Now.now())
        .unwrap()
        .into()
}

fn readers() -> Vec<Reader> {
    [A, B, C]
        .map(|oid| Reader {
            handshake: Box::new(FakeReader(oid)),
            context: Box::new(FakeReader(oid)),
        })
        .into()
}

fn accepting(scene: &Scene) -> Box<dyn Resume> {
    Box::new(AcceptorResume::new(scene.acceptor(), readers()))
}

fn initiating() -> Box<dyn Resume> {
    Box::new(InitiatorResume::new(readers()))
}

fn saved(next: &dyn Handshake) -> Option<Vec<u8>> {
    let half_open = next.half_open()?;
    assert_eq!(half_open.mechanism(), Oid::SPNEGO);
    Some(half_open.save().unwrap().to_vec())
}

/// Every state of every transcript, on both sides, is finished by another: the messages are those of one that stayed.
#[test]
fn a_negotiation_goes_on_in_other_hands() {
    let (mut moved, mut stayed) = (0, 0);
    for (scene, expected, mics) in TABLE {
        let travel = |turn: usize, next: Box<dyn Handshake>| {
            let Some(state) = saved(&*next) else {
                // An acceptor that has not begun, or an initiator that has offers which have not.
                assert!(turn < 2, "{scene:?} {turn}");
                stayed += 1;
                return next;
            };
            moved += 1;
            drop(next);
            let resume = if turn.is_multiple_of(2) {
                accepting(scene)
            } else {
                initiating()
            };
            let next = resume.resume(&state).unwrap().wake(redeemed());
            assert_eq!(saved(&*next), Some(state), "one encoding");
            next
        };
        let outcome = run_moving(
            scene.initiator(),
            scene.acceptor(),
            |_, message| message,
            travel,
        );
        let said: Vec<String> = outcome.messages.iter().map(|token| words(token)).collect();
        assert_eq!(said, *expected, "{scene:?}");
        let initiator = outcome.initiator.unwrap_or_else(|_| panic!("{scene:?}"));
        let acceptor = outcome.acceptor.unwrap_or_else(|_| panic!("{scene:?}"));
        assert_eq!(
            (numbers(&*initiator), numbers(&*acceptor)),
            (*mics, *mics),
            "{scene:?}"
        );
    }
    assert!(moved > 20 && stayed > 0, "{moved} {stayed}");
}

#[test]
fn an_acceptor_that_gave_a_hint_is_finished_by_another() {
    let scene = Scene::new(&[A], &[A, B], 2);
    let (_, next) = going(Box::new(scene.acceptor()).step(&[], &HOST));
    let state = saved(&*next).unwrap();
    let next = accepting(&scene).resume(&state).unwrap().wake(redeemed());
    let (init, _) = start(&[fake(A, 2)]);
    assert!(matches!(next.step(&init, &HOST), Ok(Step::Done { .. })));
}

/// All states that wait, each with the side that goes on with it.
fn states() -> Vec<(usize, Vec<u8>)> {
    let mut states = Vec::new();
    for (scene, ..) in TABLE {
        let travel = |turn: usize, next: Box<dyn Handshake>| {
            states.extend(saved(&*next).map(|state| (turn % 2, state)));
            next
        };
        run_moving(
            scene.initiator(),
            scene.acceptor(),
            |_, message| message,
            travel,
        );
    }
    states.sort();
    states.dedup();
    states
}

fn resume(side: usize, state: &[u8]) -> Result<Box<dyn Handshake>, gss_core::error::Error> {
    let resume = match side {
        0 => accepting(&Scene::new(&[A], &[A], 2)),
        _ => initiating(),
    };
    resume.resume(state).map(|dormant| dormant.wake(redeemed()))
}

#[test]
fn other_bytes_are_refused_or_mean_what_they_say() {
    for (side, state) in states() {
        let mut longer = state.clone();
        longer.push(0);
        assert!(resume(side, &longer).is_err());
        for cut in 0..state.len() {
            assert!(resume(side, &state[..cut]).is_err(), "cut to {cut}");
        }
        for bit in 0..state.len() * 8 {
            let mut other = state.clone();
            other[bit / 8] ^= 1 << (bit % 8);
            match resume(side, &other) {
                Ok(next) => drop(next),
                Err(error) => assert_eq!(error.major(), Major::DefectiveToken),
            }
        }
    }
}

#[test]
fn a_negotiation_is_finished_on_its_own_side() {
    for (side, state) in states() {
        assert!(resume(side, &state).is_ok());
        assert!(resume(1 - side, &state).is_err());
    }
}

/// Somebody who lacks the mechanism that was chosen cannot go on with it.
#[test]
fn the_chosen_mechanism_must_be_there() {
    let (init, _) = start(&[fake(B, 4)]);
    let acceptor = Box::new(Acceptor::new(choices(&[fake(B, 4)])));
    let (_, next) = going(acceptor.step(&init, &HOST));
    let state = saved(&*next).unwrap();
    let mut readers = readers();
    readers.remove(1);
    let acceptor = Acceptor::new(choices(&[fake(A, 4)]));
    let resume = Box::new(AcceptorResume::new(acceptor, readers));
    let error = resume.resume(&state).err().unwrap();
    assert_eq!(error.major(), Major::DefectiveToken);
}

#[test]
fn a_context_that_cannot_be_transferred_stays_with_its_negotiation() {
    assert!(Inner::established(&*fake(A, 2).context(false)).is_some());
    assert!(Inner::established(&*fake(A, 2).untransferable()).is_none());
}
