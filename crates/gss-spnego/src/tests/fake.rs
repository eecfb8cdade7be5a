//! A mechanism for tests: as many tokens as one likes, with or without integrity, and a MIC of everything it should be of.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use gss_core::error::{Error as GssError, Major};
use gss_core::flags::Flags;
use gss_core::host::Host;
use gss_core::mechanism::{
    Dormant, DormantHandshake, Facts, Failure, HalfOpen, Handshake, Redeemed, Restore, Resume,
    SecurityContext, Step, Unwrapped,
};
use gss_core::name::Name;
use gss_core::oid::Oid;
use gss_core::sequence::{Order, SequenceWindow};
use wire::random::Random;
use wire::time::{Clock, Timestamp};
use zeroize::Zeroizing;

use crate::{Choice, Error, Initiator, Offer};

pub(super) struct Epoch;

impl Clock for Epoch {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(0)
    }
}

impl Random for Epoch {
    fn fill(&self, out: &mut [u8]) {
        out.fill(4);
    }
}

pub(super) const HOST: Host<'static> = Host {
    clock: &Epoch,
    random: &Epoch,
    replay: None,
    shared_replay: None,
};

/// A mechanism that exchanges `legs` tokens in all, the initiator's first.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Fake {
    pub(super) oid: Oid,
    pub(super) legs: usize,
    pub(super) integrity: bool,
}

pub(super) const A: Oid = Oid::KRB5;
pub(super) const B: Oid = Oid::NT_USER_NAME;
pub(super) const C: Oid = Oid::NT_EXPORT_NAME;

pub(super) const fn fake(oid: Oid, legs: usize) -> Fake {
    Fake {
        oid,
        legs,
        integrity: true,
    }
}

impl Fake {
    pub(super) fn token(self, number: usize) -> Vec<u8> {
        format!("{} {number} of {}", self.oid, self.legs).into_bytes()
    }

    /// The side whose turn is `number` says it, and is done if it is the last.
    fn say(self, number: usize, initiates: bool) -> Step {
        let token = self.token(number);
        if number == self.legs {
            let context = self.context(initiates);
            return Step::Done {
                token: Some(token),
                context,
            };
        }
        Step::Continue {
            token,
            next: Box::new(Expect {
                fake: self,
                number: number + 1,
                initiates,
            }),
        }
    }

    pub(super) fn context(self, initiates: bool) -> Box<dyn SecurityContext> {
        Box::new(self.context_at(initiates, 0, SequenceWindow::new(0, true, true)))
    }

    /// One that its mechanism cannot transfer.
    pub(super) fn untransferable(self) -> Box<dyn SecurityContext> {
        let mut context = self.context_at(false, 0, SequenceWindow::new(0, true, true));
        context.facts.flags = context.facts.flags.without(Flags::TRANS);
        Box::new(context)
    }

    fn context_at(self, initiates: bool, sent: u64, window: SequenceWindow) -> FakeContext {
        FakeContext {
            facts: Facts {
                mechanism: self.oid,
                initiator: Name::krb5_principal("initiator"),
                acceptor: Name::krb5_principal("acceptor"),
                flags: Flags::INTEG.when(self.integrity) | Flags::TRANS,
                locally_initiated: initiates,
                expires: Timestamp::MAX,
            },
            sent: AtomicU64::new(sent),
            window: Mutex::new(window),
        }
    }
}

impl Offer for Fake {
    fn oid(&self) -> Oid {
        self.oid
    }

    fn initiate(self: Box<Self>, _: &Host<'_>) -> Result<Step, Failure> {
        Ok(self.say(1, true))
    }
}

impl Choice for Fake {
    fn oid(&self) -> Oid {
        self.oid
    }

    fn accept(self: Box<Self>) -> Result<Box<dyn Handshake>, GssError> {
        Ok(Box::new(Expect {
            fake: *self,
            number: 1,
            initiates: false,
        }))
    }
}

/// A mechanism without credentials, on whichever side.
pub(super) struct Penniless(pub(super) Oid);

#[derive(Debug, thiserror::Error)]
#[error("no credentials for {0}")]
pub(super) struct NoCred(pub(super) Oid);

impl Offer for Penniless {
    fn oid(&self) -> Oid {
        self.0
    }

    fn initiate(self: Box<Self>, _: &Host<'_>) -> Result<Step, Failure> {
        Err(GssError::new(Major::NoCred, NoCred(self.0)).into())
    }
}

impl Choice for Penniless {
    fn oid(&self) -> Oid {
        self.0
    }

    fn accept(self: Box<Self>) -> Result<Box<dyn Handshake>, GssError> {
        Err(GssError::new(Major::NoCred, NoCred(self.0)))
    }
}

struct Expect {
    fake: Fake,
    number: usize,
    initiates: bool,
}

#[derive(Debug, thiserror::Error)]
#[error("the fake mechanism got {0:?}")]
pub(super) struct BadToken(pub(super) Vec<u8>);

pub(super) const SORRY: &[u8] = b"the fake mechanism is sorry";

impl Handshake for Expect {
    fn step(self: Box<Self>, token: &[u8], _: &Host<'_>) -> Result<Step, Failure> {
        if token != self.fake.token(self.number) {
            return Err(Failure {
                error: GssError::new(Major::BadBindings, BadToken(token.to_vec())),
                token: Some(SORRY.to_vec()),
            });
        }
        if self.number == self.fake.legs {
            return Ok(Step::Done {
                token: None,
                context: self.fake.context(self.initiates),
            });
        }
        Ok(self.fake.say(self.number + 1, self.initiates))
    }

    fn half_open(&self) -> Option<&dyn HalfOpen> {
        Some(self)
    }
}

impl HalfOpen for Expect {
    fn mechanism(&self) -> Oid {
        self.fake.oid
    }

    fn save(&self) -> Result<Zeroizing<Vec<u8>>, GssError> {
        let Fake {
            legs, integrity, ..
        } = self.fake;
        let (integrity, initiates) = (u8::from(integrity), u8::from(self.initiates));
        let state = vec![legs as u8, self.number as u8, integrity, initiates];
        Ok(state.into())
    }
}

/// Reads what the fake mechanism of this OID saved.
pub(super) struct FakeReader(pub(super) Oid);

impl Resume for FakeReader {
    fn oid(&self) -> Oid {
        self.0
    }

    fn resume(self: Box<Self>, state: &[u8]) -> Result<Box<dyn DormantHandshake>, GssError> {
        let &[legs, number, integrity, initiates] = state else {
            return Err(GssError::new(Major::DefectiveToken, BadToken(state.into())));
        };
        Ok(Box::new(Expect {
            fake: Fake {
                oid: self.0,
                legs: legs.into(),
                integrity: integrity == 1,
            },
            number: number.into(),
            initiates: initiates == 1,
        }))
    }
}

impl DormantHandshake for Expect {
    fn wake(self: Box<Self>, _: Redeemed) -> Box<dyn Handshake> {
        self
    }
}

impl Restore for FakeReader {
    fn oid(&self) -> Oid {
        self.0
    }

    fn restore(&self, state: &[u8]) -> Result<Box<dyn Dormant>, GssError> {
        let bad = || GssError::new(Major::DefectiveToken, BadToken(state.into()));
        let (flags, numbers) = state.split_first_chunk::<2>().ok_or_else(bad)?;
        let mut numbers = numbers
            .chunks_exact(8)
            .map(|number| u64::from_be_bytes(number.try_into().unwrap()));
        let mut number = || numbers.next().ok_or_else(bad);
        let (sent, window) = (number()?, [number()?, number()?, number()?]);
        let [integrity, initiates] = flags.map(|flag| flag == 1);
        let fake = Fake {
            oid: self.0,
            legs: 0,
            integrity,
        };
        let window = SequenceWindow::restore(window, true, true);
        Ok(Box::new(fake.context_at(initiates, sent, window)))
    }
}

impl Dormant for FakeContext {
    fn facts(&self) -> &Facts {
        &self.facts
    }

    fn wake(self: Box<Self>, _: Redeemed) -> Box<dyn SecurityContext> {
        self
    }
}

struct FakeContext {
    facts: Facts,
    sent: AtomicU64,
    window: Mutex<SequenceWindow>,
}

impl FakeContext {
    fn mic(&self, by_initiator: bool, number: u64, message: &[u8]) -> Vec<u8> {
        let said = [
            self.facts.mechanism.bytes(),
            &[u8::from(by_initiator)],
            &number.to_be_bytes(),
            message,
        ]
        .concat();
        let mut mic = number.to_be_bytes().to_vec();
        mic.extend(
            said.iter()
                .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
                    (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
                })
                .to_be_bytes(),
        );
        mic
    }
}

#[derive(Debug, thiserror::Error)]
#[error("not a MIC")]
struct NotMic;

impl SecurityContext for FakeContext {
    fn facts(&self) -> &Facts {
        &self.facts
    }

    fn wrap(&self, _: bool, _: &[u8], _: &mut Vec<u8>) -> Result<bool, GssError> {
        panic!("SPNEGO wraps nothing")
    }

    fn unwrap(&self, _: &[u8], _: &mut Vec<u8>) -> Result<Unwrapped, GssError> {
        panic!("SPNEGO unwraps nothing")
    }

    fn get_mic(&self, message: &[u8], out: &mut Vec<u8>) -> Result<(), GssError> {
        let number = self.sent.fetch_add(1, Ordering::Relaxed);
        out.extend(self.mic(self.facts.locally_initiated, number, message));
        Ok(())
    }

    fn verify_mic(&self, message: &[u8], token: &[u8]) -> Result<Order, GssError> {
        let number = token.first_chunk().map(|bytes| u64::from_be_bytes(*bytes));
        let number = number.ok_or(GssError::new(Major::DefectiveToken, NotMic))?;
        if token != self.mic(!self.facts.locally_initiated, number, message) {
            return Err(GssError::new(Major::BadMic, NotMic));
        }
        Ok(self.window.lock().unwrap().note(number))
    }

    fn wrap_size_limit(&self, _: bool, _: u32) -> u32 {
        0
    }

    fn save(&self) -> Result<Zeroizing<Vec<u8>>, GssError> {
        let integrity = self.facts.flags.contains(Flags::INTEG);
        let mut state = vec![u8::from(integrity), u8::from(self.facts.locally_initiated)];
        state.extend(self.sent.load(Ordering::Relaxed).to_be_bytes());
        for number in self.window.lock().unwrap().save() {
            state.extend(number.to_be_bytes());
        }
        Ok(state.into())
    }
}

/// How many MICs either side of an established pair has made and seen.
pub(super) fn numbers(context: &dyn SecurityContext) -> u64 {
    let mut mic = Vec::new();
    context.get_mic(b"", &mut mic).unwrap();
    u64::from_be_bytes(*mic.first_chunk().unwrap())
}

pub(super) fn offers(fakes: &[Fake]) -> Vec<Box<dyn Offer>> {
    let boxed = |fake: &Fake| -> Box<dyn Offer> { Box::new(*fake) };
    fakes.iter().map(boxed).collect()
}

pub(super) fn choices(fakes: &[Fake]) -> Vec<Box<dyn Choice>> {
    let boxed = |fake: &Fake| -> Box<dyn Choice> { Box::new(*fake) };
    fakes.iter().map(boxed).collect()
}

pub(super) fn start(fakes: &[Fake]) -> (Vec<u8>, Box<dyn Handshake>) {
    going(Initiator::new(offers(fakes)).start(&HOST))
}

/// The token and the next state of a step that goes on.
#[track_caller]
pub(super) fn going(step: Result<Step, Failure>) -> (Vec<u8>, Box<dyn Handshake>) {
    match step {
        Ok(Step::Continue { token, next }) => (token, next),
        Ok(Step::Done { .. }) => panic!("done"),
        Err(failure) => panic!("{}", failure.error),
    }
}

#[track_caller]
pub(super) fn failed(step: Result<Step, Failure>) -> Failure {
    match step {
        Ok(Step::Continue { .. }) => panic!("goes on"),
        Ok(Step::Done { .. }) => panic!("done"),
        Err(failure) => failure,
    }
}

/// Our own error in a step that must fail.
#[track_caller]
pub(super) fn error(step: Result<Step, Failure>) -> Error {
    let failure = failed(step);
    let error = failure.error.cause::<Error>();
    *error.unwrap_or_else(|| panic!("{}", failure.error))
}

/// What both sides come to.
pub(super) type Ended = Option<Failure>;

pub(super) struct Outcome {
    pub(super) initiator: Result<Box<dyn SecurityContext>, Option<Failure>>,
    pub(super) acceptor: Result<Box<dyn SecurityContext>, Option<Failure>>,
    pub(super) messages: Vec<Vec<u8>>,
}

/// Which side's turn it is, and what it has come to. `Err(None)` still waits.
struct Side {
    next: Option<Box<dyn Handshake>>,
    end: Result<Box<dyn SecurityContext>, Option<Failure>>,
}

impl Side {
    fn waiting(next: Box<dyn Handshake>) -> Self {
        Self {
            next: Some(next),
            end: Err(None),
        }
    }

    fn turn(&mut self, token: &[u8]) -> Option<Vec<u8>> {
        match self.next.take()?.step(token, &HOST) {
            Ok(Step::Continue { token, next }) => {
                self.next = Some(next);
                Some(token)
            }
            Ok(Step::Done { token, context }) => {
                self.end = Ok(context);
                token
            }
            Err(mut failure) => {
                let token = failure.token.take();
                self.end = Err(Some(failure));
                token
            }
        }
    }
}

/// Runs both sides against each other; `tamper` sees each message with its number and may change it.
pub(super) fn run(
    initiator: Initiator,
    acceptor: crate::Acceptor,
    tamper: impl FnMut(usize, Vec<u8>) -> Vec<u8>,
) -> Outcome {
    run_moving(initiator, acceptor, tamper, |_, next| next)
}

/// The same; `travel` has each state that waits, with its side's number, before its turn.
pub(super) fn run_moving(
    initiator: Initiator,
    acceptor: crate::Acceptor,
    mut tamper: impl FnMut(usize, Vec<u8>) -> Vec<u8>,
    mut travel: impl FnMut(usize, Box<dyn Handshake>) -> Box<dyn Handshake>,
) -> Outcome {
    let (token, next) = going(initiator.start(&HOST));
    let mut sides = [Side::waiting(Box::new(acceptor)), Side::waiting(next)];
    let (mut messages, mut token) = (Vec::new(), Some(token));
    while let Some(message) = token {
        let turn = messages.len();
        let message = tamper(turn, message);
        let side = &mut sides[turn % 2];
        side.next = side.next.take().map(|next| travel(turn, next));
        token = side.turn(&message);
        messages.push(message);
    }
    let [acceptor, initiator] = sides;
    Outcome {
        initiator: initiator.end,
        acceptor: acceptor.end,
        messages,
    }
}

/// One way to negotiate.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scene {
    pub(super) offers: &'static [Oid],
    pub(super) choices: &'static [Oid],
    pub(super) own_preference: bool,
    pub(super) optimistic: bool,
    pub(super) legs: usize,
    pub(super) integrity: bool,
}

impl Scene {
    pub(super) const fn new(offers: &'static [Oid], choices: &'static [Oid], legs: usize) -> Self {
        Self {
            offers,
            choices,
            own_preference: false,
            optimistic: true,
            legs,
            integrity: true,
        }
    }

    pub(super) const fn own_preference(mut self) -> Self {
        self.own_preference = true;
        self
    }

    pub(super) const fn not_optimistic(mut self) -> Self {
        self.optimistic = false;
        self
    }

    pub(super) const fn without_integrity(mut self) -> Self {
        self.integrity = false;
        self
    }

    fn fakes(&self, oids: &[Oid]) -> Vec<Fake> {
        let fake = |oid: &Oid| Fake {
            oid: *oid,
            legs: self.legs,
            integrity: self.integrity,
        };
        oids.iter().map(fake).collect()
    }

    pub(super) fn initiator(&self) -> Initiator {
        let initiator = Initiator::new(offers(&self.fakes(self.offers)));
        if self.optimistic {
            initiator
        } else {
            initiator.without_optimistic_token()
        }
    }

    pub(super) fn acceptor(&self) -> crate::Acceptor {
        let acceptor = crate::Acceptor::new(choices(&self.fakes(self.choices)));
        if self.own_preference {
            acceptor.by_own_preference()
        } else {
            acceptor
        }
    }

    pub(super) fn run(&self, tamper: impl FnMut(usize, Vec<u8>) -> Vec<u8>) -> Outcome {
        run(self.initiator(), self.acceptor(), tamper)
    }
}
