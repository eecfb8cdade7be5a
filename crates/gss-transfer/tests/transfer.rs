//! A made-up mechanism's contexts change hands, and do not where they must not.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use gss_core::error::{Error as GssError, Major};
use gss_core::flags::Flags;
use gss_core::mechanism::{Dormant, Facts, Redeemed, Restore, SecurityContext, Unwrapped};
use gss_core::name::Name;
use gss_core::oid::Oid;
use gss_core::sequence::Order;
use gss_transfer::envelope::token_length;
use gss_transfer::export::Exporter;
use gss_transfer::identity::Identity;
use gss_transfer::import::Importer;
use gss_transfer::policy::Policy;
use gss_transfer::{Carrier, Error};
use once::{Limits, OnceStore};
use wire::random::Random;
use wire::time::Timestamp;
use zeroize::Zeroizing;

struct Echo {
    facts: Facts,
    state: Vec<u8>,
}

impl Echo {
    fn new(state: &[u8], expires: Timestamp) -> Self {
        let facts = Facts {
            mechanism: Oid::KRB5,
            initiator: Name::krb5_principal("alice@EXAMPLE.TEST"),
            acceptor: Name::krb5_principal("host/a.test@EXAMPLE.TEST"),
            flags: Flags::TRANS,
            locally_initiated: false,
            expires,
        };
        Self {
            facts,
            state: state.to_vec(),
        }
    }
}

impl SecurityContext for Echo {
    fn facts(&self) -> &Facts {
        &self.facts
    }
    fn wrap(&self, _: bool, message: &[u8], out: &mut Vec<u8>) -> Result<bool, GssError> {
        out.extend_from_slice(message);
        Ok(false)
    }
    fn unwrap(&self, token: &[u8], out: &mut Vec<u8>) -> Result<Unwrapped, GssError> {
        out.extend_from_slice(token);
        Ok(Unwrapped {
            order: Order::InOrder,
            confidential: false,
        })
    }
    fn get_mic(&self, _: &[u8], _: &mut Vec<u8>) -> Result<(), GssError> {
        Ok(())
    }
    fn verify_mic(&self, _: &[u8], _: &[u8]) -> Result<Order, GssError> {
        Ok(Order::InOrder)
    }
    fn wrap_size_limit(&self, _: bool, token_size: u32) -> u32 {
        token_size
    }
    fn save(&self) -> Result<Zeroizing<Vec<u8>>, GssError> {
        Ok(Zeroizing::new(self.state.clone()))
    }
}

impl Dormant for Echo {
    fn facts(&self) -> &Facts {
        &self.facts
    }
    fn wake(self: Box<Self>, _: Redeemed) -> Box<dyn SecurityContext> {
        self
    }
}

struct EchoMechanism;

impl Restore for EchoMechanism {
    fn oid(&self) -> Oid {
        Oid::KRB5
    }
    fn restore(&self, state: &[u8]) -> Result<Box<dyn Dormant>, GssError> {
        if state == b"unreadable" {
            return Err(GssError::new(Major::Failure, "not a state"));
        }
        Ok(Box::new(Echo::new(state, Timestamp::MAX)))
    }
}

/// Different bytes at each call, the same in each run.
struct Counting(AtomicU64);

impl Random for Counting {
    fn fill(&self, out: &mut [u8]) {
        for byte in out {
            let count = self.0.fetch_add(1, Ordering::Relaxed);
            *byte = (count.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8;
        }
    }
}

struct World {
    now: Arc<AtomicI64>,
    store: OnceStore,
    random: Counting,
    identity: Identity,
}

fn small_store(clock: Arc<dyn wire::time::Clock>) -> OnceStore {
    let limits = Limits {
        marks: 1,
        mark_segments: 1,
        deposits: 64,
        ..Limits::default()
    };
    OnceStore::memory_with(&limits, clock)
}

const HOUR: Duration = Duration::from_secs(3600);

impl World {
    fn new() -> Self {
        let now = Arc::new(AtomicI64::new(1_700_000_000));
        let clock = Arc::clone(&now);
        let store = small_store(Arc::new(move || {
            Timestamp::from_seconds(clock.load(Ordering::Relaxed))
        }));
        Self {
            now,
            store,
            random: Counting(AtomicU64::new(0)),
            identity: Identity {
                user: 1000,
                groups: vec![1000],
                ..Identity::default()
            },
        }
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_seconds(self.now.load(Ordering::Relaxed))
    }

    fn pass(&self, seconds: i64) {
        self.now.fetch_add(seconds, Ordering::Relaxed);
    }

    fn export(&self, state: &[u8], policy: &Policy) -> Result<Vec<u8>, Error> {
        let context = Echo::new(state, self.now() + HOUR);
        self.export_context(&context, policy)
    }

    fn export_context(&self, context: &Echo, policy: &Policy) -> Result<Vec<u8>, Error> {
        self.exporter(policy).export(context, &self.store)
    }

    fn exporter<'a>(&'a self, policy: &'a Policy) -> Exporter<'a> {
        Exporter {
            policy,
            identity: &self.identity,
            now: self.now(),
            expires: self.now() + Duration::from_secs(300),
            random: &self.random,
        }
    }

    fn import(&self, token: &[u8]) -> Result<Vec<u8>, Error> {
        self.import_as(token, &self.identity)
    }

    fn import_as(&self, token: &[u8], identity: &Identity) -> Result<Vec<u8>, Error> {
        let importer = Importer {
            store: &self.store,
            carrier: Carrier::Store,
            identify: &|_| identity.clone(),
            now: self.now(),
            mechanisms: &[&EchoMechanism],
        };
        let context = importer.import(token)?;
        Ok(context.save().unwrap().to_vec())
    }
}

#[test]
fn a_context_arrives_whole_and_once() {
    for length in [0, 1, 31, 32, 33, 255, 256, 70_000] {
        let world = World::new();
        let state = vec![0x80; length];
        let token = world.export(&state, &Policy::default()).unwrap();
        assert_eq!(token.len(), token_length(Oid::KRB5, length));
        assert_eq!(world.import(&token).unwrap(), state);
        assert!(matches!(world.import(&token), Err(Error::NotThere)));
    }
}

#[test]
fn a_token_shows_its_frame_version_and_tag_alone() {
    let world = World::new();
    let state = [0u8; 100];
    let one = world.export(&state, &Policy::default()).unwrap();
    let two = world.export(&state, &Policy::default()).unwrap();
    assert_eq!(one[..4], 9u32.to_be_bytes());
    assert_eq!(one[4..13], *Oid::KRB5.bytes());
    assert_eq!(one[..14], two[..14]);
    assert_ne!(one[14..30], two[14..30]);
    let equal = one[30..].iter().zip(&two[30..]).filter(|(a, b)| a == b);
    assert!(equal.count() < 10);
}

#[test]
fn every_altered_token_is_refused_and_burns_nothing() {
    let world = World::new();
    let token = world.export(b"some state", &Policy::default()).unwrap();
    for bit in 0..token.len() * 8 {
        let mut other = token.clone();
        other[bit / 8] ^= 1 << (bit % 8);
        let error = world.import(&other).unwrap_err();
        let wanted = if (14..30).contains(&(bit / 8)) {
            Major::NoContext
        } else {
            Major::DefectiveToken
        };
        assert_eq!(error.major(), wanted, "bit {bit}: {error}");
    }
    for cut in 0..token.len() {
        let error = world.import(&token[..cut]).unwrap_err();
        assert_eq!(error.major(), Major::DefectiveToken, "cut to {cut}");
    }
    for more in 1..100 {
        let longer = [&token[..], &vec![0; more]].concat();
        let error = world.import(&longer).unwrap_err();
        assert_eq!(error.major(), Major::DefectiveToken, "{more} more");
    }
    assert_eq!(world.import(&token).unwrap(), b"some state");
}

#[test]
fn a_state_that_cannot_be_read_burns_nothing() {
    let world = World::new();
    let token = world.export(b"unreadable", &Policy::default()).unwrap();
    for _ in 0..2 {
        let error = world.import(&token).unwrap_err();
        assert!(matches!(error, Error::Restore(_)), "{error}");
        assert_eq!(error.major(), Major::DefectiveToken);
    }
}

#[test]
fn a_stranger_is_refused_and_burns_nothing() {
    let world = World::new();
    let token = world.export(b"state", &Policy::default()).unwrap();
    let stranger = Identity {
        user: 1001,
        ..world.identity.clone()
    };
    let error = world.import_as(&token, &stranger).unwrap_err();
    assert!(matches!(error, Error::Refused(_)), "{error}");
    assert_eq!(error.major(), Major::Unauthorized);
    assert!(world.import(&token).is_ok());
}

#[test]
fn a_token_dies_in_its_own_time_or_with_its_context() {
    let world = World::new();
    let token = world.export(b"state", &Policy::default()).unwrap();
    world.pass(300);
    assert_eq!(world.import(&token).unwrap_err().major(), Major::NoContext);

    let short = Echo::new(b"state", world.now() + Duration::from_secs(10));
    let token = world.export_context(&short, &Policy::default()).unwrap();
    world.pass(9);
    let again = world.export_context(&short, &Policy::default()).unwrap();
    assert!(world.import(&token).is_ok());
    world.pass(1);
    assert_eq!(world.import(&again).unwrap_err().major(), Major::NoContext);
    let error = world
        .export_context(&short, &Policy::default())
        .unwrap_err();
    assert_eq!(error.major(), Major::ContextExpired);
}

#[test]
fn an_import_believes_the_sealed_time_even_if_the_store_does_not_know() {
    let world = World::new();
    let token = world.export(b"state", &Policy::default()).unwrap();
    let importer = Importer {
        store: &world.store,
        carrier: Carrier::Store,
        identify: &|_| world.identity.clone(),
        now: world.now() + Duration::from_secs(300),
        mechanisms: &[&EchoMechanism],
    };
    assert!(matches!(importer.import(&token), Err(Error::TokenExpired)));
}

#[test]
fn a_damaged_deposit_makes_an_import_fail_and_nothing_else() {
    let world = World::new();
    let policy = Policy::groups([1000]);
    let context = Echo::new(b"state", world.now() + HOUR);
    let sealed = world
        .exporter(&policy)
        .seal(&context, Carrier::PrivateSocket);
    let (token, deposit) = sealed.unwrap().into_parts();
    let receive = |deposit: &[u8]| {
        let now = world.now();
        let store = small_store(Arc::new(move || now));
        let importer = Importer {
            store: &store,
            carrier: Carrier::PrivateSocket,
            identify: &|_| world.identity.clone(),
            now: world.now(),
            mechanisms: &[&EchoMechanism],
        };
        importer.receive(&token, deposit)?;
        importer
            .import(&token)
            .map(|context| context.save().unwrap().to_vec())
    };
    assert_eq!(receive(&deposit).unwrap(), b"state");
    for bit in 0..deposit.len() * 8 {
        let mut other = deposit.clone();
        other[bit / 8] ^= 1 << (bit % 8);
        assert!(receive(&other).is_err(), "bit {bit}");
    }
    for cut in 0..deposit.len() {
        assert!(receive(&deposit[..cut]).is_err(), "cut to {cut}");
    }
}

#[test]
fn a_token_for_one_carrier_does_not_open_by_another() {
    let world = World::new();
    let policy = Policy::same_user();
    let context = Echo::new(b"state", world.now() + HOUR);
    let sockets = [Carrier::PrivateSocket, Carrier::NamedSocket];
    for sealed_for in sockets {
        for opened_by in [Carrier::Store, sockets[0], sockets[1]] {
            let sealed = world.exporter(&policy).seal(&context, sealed_for);
            let (token, deposit) = sealed.unwrap().into_parts();
            let importer = Importer {
                store: &world.store,
                carrier: opened_by,
                identify: &|_| world.identity.clone(),
                now: world.now(),
                mechanisms: &[&EchoMechanism],
            };
            importer.receive(&token, &deposit).unwrap();
            let opened = importer.import(&token);
            let fits = sealed_for == opened_by;
            assert_eq!(opened.is_ok(), fits, "{sealed_for:?} {opened_by:?}");
            if let Err(error) = opened {
                assert_eq!(error.major(), Major::DefectiveToken);
            }
        }
    }
}

#[test]
fn a_context_without_the_flag_stays_where_it_is() {
    let world = World::new();
    let mut context = Echo::new(b"state", world.now() + HOUR);
    context.facts.flags = Flags::INTEG;
    let error = world
        .export_context(&context, &Policy::default())
        .unwrap_err();
    assert_eq!(error.major(), Major::Unavailable);
}

#[test]
fn a_state_that_is_too_long_is_not_sealed_and_leaves_no_deposit() {
    let world = World::new();
    let long = vec![0; (16 << 20) + 1];
    let error = world.export(&long, &Policy::default()).unwrap_err();
    assert!(matches!(error, Error::TooLong(_)), "{error}");
    assert_eq!(error.major(), Major::Failure);
    assert_eq!(world.store.counts().unwrap().put, 0);
}

#[test]
fn of_many_threads_one_wins() {
    let world = World::new();
    for _ in 0..50 {
        let token = world.export(b"state", &Policy::default()).unwrap();
        let wins: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|_| scope.spawn(|| usize::from(world.import(&token).is_ok())))
                .collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .sum()
        });
        assert_eq!(wins, 1);
    }
}

/// Two versions of this software must understand each other, so what version 1 writes never changes.
#[test]
fn version_1_stays_as_it_is() {
    let world = World::new();
    let policy = Policy::holder();
    let context = Echo::new(b"state", world.now() + HOUR);
    let sealed = world
        .exporter(&policy)
        .seal(&context, Carrier::PrivateSocket);
    let (token, deposit) = sealed.unwrap().into_parts();
    let hex = |bytes: &[u8]| -> String { bytes.iter().map(|byte| format!("{byte:02x}")).collect() };
    assert_eq!(hex(&deposit), DEPOSIT);
    assert_eq!(hex(&token), TOKEN);
}

const DEPOSIT: &str = "0100060a2429ffe300009e3cda7817b553f18f2ecc6a08a745e3811fbe5cfa9836d57311af4eec8a28010101020202e803";
const TOKEN: &str = "000000092a864886f71201020201c66503a13fde7c1ab856f59331cf6d0c76c140d3943a8f17c4c70af47521ef20ea3cce070530978a46de39f861e49fe791c7c706510be731f9024b72a87e535e";
