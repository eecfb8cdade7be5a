//! A made-up mechanism's handshakes are finished by others, and not where they must not be.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use gss_core::bindings::ChannelBindings;
use gss_core::error::{Error as GssError, Major};
use gss_core::host::Host;
use gss_core::mechanism::{DormantHandshake, Failure, HalfOpen, Handshake, Redeemed, Resume, Step};
use gss_core::oid::Oid;
use gss_transfer::half_open::{Channel, HalfOpenExporter, HalfOpenImporter, MAX_LIFETIME};
use gss_transfer::identity::{Identity, Leader};
use gss_transfer::policy::Policy;
use gss_transfer::{Error, ServiceKeys};
use once::{Limits, OnceStore};
use wire::random::Random;
use wire::time::Timestamp;
use zeroize::Zeroizing;

/// A handshake that is what its state says.
struct Waiting(Vec<u8>);

impl Handshake for Waiting {
    fn step(self: Box<Self>, _: &[u8], _: &Host<'_>) -> Result<Step, Failure> {
        Err(GssError::new(Major::Failure, "it waits").into())
    }

    fn half_open(&self) -> Option<&dyn HalfOpen> {
        Some(self)
    }
}

impl HalfOpen for Waiting {
    fn mechanism(&self) -> Oid {
        Oid::SPNEGO
    }

    fn save(&self) -> Result<Zeroizing<Vec<u8>>, GssError> {
        Ok(self.0.clone().into())
    }
}

impl DormantHandshake for Waiting {
    fn wake(self: Box<Self>, _: Redeemed) -> Box<dyn Handshake> {
        self
    }
}

struct Reads(Oid);

impl Resume for Reads {
    fn oid(&self) -> Oid {
        self.0
    }

    fn resume(self: Box<Self>, state: &[u8]) -> Result<Box<dyn DormantHandshake>, GssError> {
        if state == b"unreadable" {
            return Err(GssError::new(Major::Failure, "not a state"));
        }
        Ok(Box::new(Waiting(state.to_vec())))
    }
}

struct Counting(AtomicU64);

impl Random for Counting {
    fn fill(&self, out: &mut [u8]) {
        for byte in out {
            let count = self.0.fetch_add(1, Ordering::Relaxed);
            *byte = (count.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8;
        }
    }
}

const MINUTE: Duration = Duration::from_secs(60);

struct World {
    now: Arc<AtomicI64>,
    store: OnceStore,
    random: Counting,
    identity: Identity,
    keys: ServiceKeys,
    channel: Channel,
    accepting: bool,
    lifetime: Duration,
}

fn keys(bytes: &[u8]) -> ServiceKeys {
    ServiceKeys::new(bytes.iter().map(|byte| Zeroizing::new([*byte; 32]))).unwrap()
}

impl World {
    fn new() -> Self {
        let now = Arc::new(AtomicI64::new(1_700_000_000));
        let clock = Arc::clone(&now);
        let limits = Limits {
            marks: 4096,
            deposits: 1,
            ..Limits::default()
        };
        let clock = move || Timestamp::from_seconds(clock.load(Ordering::Relaxed));
        Self {
            store: OnceStore::memory_with(&limits, Arc::new(clock)),
            now,
            random: Counting(AtomicU64::new(0)),
            identity: Identity {
                user: 1000,
                ..Identity::default()
            },
            keys: keys(&[1]),
            channel: Channel::of(None),
            accepting: true,
            lifetime: MINUTE,
        }
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_seconds(self.now.load(Ordering::Relaxed))
    }

    fn pass(&self, seconds: i64) {
        self.now.fetch_add(seconds, Ordering::Relaxed);
    }

    fn export(&self, state: &[u8]) -> Result<Vec<u8>, Error> {
        self.export_to(state, &Policy::default())
    }

    fn export_to(&self, state: &[u8], policy: &Policy) -> Result<Vec<u8>, Error> {
        HalfOpenExporter {
            keys: &self.keys,
            policy,
            identity: &self.identity,
            accepting: self.accepting,
            channel: self.channel,
            now: self.now(),
            lifetime: self.lifetime,
            random: &self.random,
        }
        .export(&Waiting(state.to_vec()))
    }

    fn import(&self, token: &[u8]) -> Result<Vec<u8>, Error> {
        let importer = HalfOpenImporter {
            keys: &self.keys,
            store: &self.store,
            identify: &|_| self.identity.clone(),
            accepting: self.accepting,
            channel: self.channel,
            now: self.now(),
        };
        let next = importer.import(
            token,
            vec![Box::new(Reads(Oid::KRB5)), Box::new(Reads(Oid::SPNEGO))],
        )?;
        Ok(next.half_open().unwrap().save().unwrap().to_vec())
    }
}

#[test]
fn a_handshake_arrives_whole_and_once() {
    for length in [0, 1, 31, 32, 33, 255, 256, 70_000] {
        let world = World::new();
        let state = vec![0x80; length];
        let token = world.export(&state).unwrap();
        assert_eq!(world.import(&token).unwrap(), state);
        for _ in 0..2 {
            let error = world.import(&token).unwrap_err();
            assert!(matches!(error, Error::Redeemed), "{error}");
            assert_eq!(error.major(), Major::NoContext);
        }
    }
}

#[test]
fn no_two_tokens_are_alike() {
    let world = World::new();
    let [first, second] = [(); 2].map(|()| world.export(b"one state").unwrap());
    assert_eq!(first.len(), second.len());
    let head = 4 + Oid::SPNEGO.bytes().len() + 1 + 8;
    assert_eq!(first[..head], second[..head]);
    assert_ne!(first[head..], second[head..]);
    assert!(!first.windows(9).any(|bytes| bytes == b"one state"));
}

#[test]
fn an_altered_token_is_refused_and_burns_nothing() {
    let world = World::new();
    let token = world.export(b"state").unwrap();
    for bit in 0..token.len() * 8 {
        let mut other = token.clone();
        other[bit / 8] ^= 1 << (bit % 8);
        let error = world.import(&other).unwrap_err();
        assert_eq!(error.major(), Major::DefectiveToken, "bit {bit}: {error}");
    }
    for cut in 0..token.len() {
        let error = world.import(&token[..cut]).unwrap_err();
        assert_eq!(error.major(), Major::DefectiveToken, "cut to {cut}");
    }
    for more in [1, 16, 32, 48] {
        let longer = [&token[..], &vec![0; more]].concat();
        let error = world.import(&longer).unwrap_err();
        assert_eq!(error.major(), Major::DefectiveToken, "{more} more");
    }
    assert_eq!(world.import(&token).unwrap(), b"state");
}

#[test]
fn a_token_is_good_for_its_time() {
    let world = World::new();
    let token = world.export(b"state").unwrap();
    world.pass(59);
    let other = world.export(b"other").unwrap();
    world.pass(1);
    let error = world.import(&token).unwrap_err();
    assert!(matches!(error, Error::TokenExpired), "{error}");
    assert_eq!(error.major(), Major::NoContext);
    assert_eq!(world.import(&other).unwrap(), b"other");
}

#[test]
fn a_time_has_its_limit() {
    let mut world = World::new();
    world.lifetime = Duration::from_secs(86_400);
    let [first, second] = [b"one", b"two"].map(|state| world.export(state).unwrap());
    world.pass(MAX_LIFETIME.as_secs() as i64 - 1);
    assert!(world.import(&first).is_ok());
    assert!(matches!(world.import(&first), Err(Error::Redeemed)));
    world.pass(1);
    assert!(matches!(world.import(&second), Err(Error::TokenExpired)));
    assert!(matches!(world.import(&first), Err(Error::TokenExpired)));
    world.lifetime = Duration::ZERO;
    assert!(matches!(world.export(b"state"), Err(Error::NoLifetime)));
}

/// A clock that is far behind the exporter's does not make a token good for longer than its mark is kept.
#[test]
fn a_token_from_the_future_is_refused() {
    let world = World::new();
    world.pass(3600);
    let token = world.export(b"state").unwrap();
    world.pass(-3600);
    let error = world.import(&token).unwrap_err();
    assert!(matches!(error, Error::NotRedeemable(_)), "{error}");
    assert_eq!(error.major(), Major::NoContext);
}

#[test]
fn a_token_is_of_one_channel() {
    let bindings = |data: &str| ChannelBindings::application(data);
    let address = ChannelBindings {
        initiator_address: b"a".to_vec(),
        ..ChannelBindings::default()
    };
    let channels = [
        None,
        Some(ChannelBindings::default()),
        Some(bindings("a")),
        Some(bindings("b")),
        Some(address),
    ];
    let channels = channels.map(|bindings| Channel::of(bindings.as_ref()));
    let mut world = World::new();
    for ours in channels {
        world.channel = ours;
        let token = world.export(b"state").unwrap();
        for other in channels.into_iter().filter(|other| *other != ours) {
            world.channel = other;
            let error = world.import(&token).unwrap_err();
            assert!(matches!(error, Error::OtherChannel), "{error}");
            assert_eq!(error.major(), Major::BadBindings);
        }
        world.channel = ours;
        assert!(world.import(&token).is_ok());
    }
}

#[test]
fn a_token_is_of_one_side() {
    let mut world = World::new();
    for accepting in [true, false] {
        world.accepting = accepting;
        let token = world.export(b"state").unwrap();
        world.accepting = !accepting;
        let error = world.import(&token).unwrap_err();
        assert!(matches!(error, Error::OtherSide), "{error}");
        world.accepting = accepting;
        assert!(world.import(&token).is_ok());
    }
}

#[test]
fn the_policy_says_who_goes_on() {
    let stranger = Identity {
        user: 1001,
        ..Identity::default()
    };
    let session = |id| Identity {
        session: Some(Leader { id, started: 1 }),
        boot: Some([1; 16]),
        process_namespace: Some(1),
        user: 1000,
        ..Identity::default()
    };
    let mut world = World::new();
    world.identity = session(1);
    let bounded = Policy::same_user().within_session();
    for (policy, importer, admitted) in [
        (Policy::same_user(), session(2), true),
        (Policy::same_user(), stranger.clone(), false),
        (Policy::users([1001]), stranger.clone(), true),
        (Policy::users([1002]), stranger.clone(), false),
        (Policy::holder(), stranger, true),
        (Policy::nobody(), session(1), false),
        (bounded.clone(), session(1), true),
        (bounded, session(2), false),
    ] {
        world.identity = session(1);
        let token = world.export_to(b"state", &policy).unwrap();
        world.identity = importer;
        match world.import(&token) {
            Ok(_) => assert!(admitted, "{policy:?}"),
            Err(error) => {
                assert_eq!(error.major(), Major::Unauthorized);
                assert!(!admitted, "{policy:?}: {error}");
            }
        }
    }
}

#[test]
fn keys_rotate_and_no_token_is_lost() {
    let mut world = World::new();
    let by_old = world.export(b"old").unwrap();
    // The new key first opens, then seals, then is alone.
    world.keys = keys(&[1, 2]);
    let still_by_old = world.export(b"still old").unwrap();
    world.keys = keys(&[2, 1]);
    let by_new = world.export(b"new").unwrap();
    assert_eq!(world.import(&by_old).unwrap(), b"old");
    world.keys = keys(&[2]);
    assert_eq!(world.import(&by_new).unwrap(), b"new");
    let error = world.import(&still_by_old).unwrap_err();
    assert!(matches!(error, Error::UnknownKey), "{error}");
    assert_eq!(error.major(), Major::DefectiveToken);
    // It burned nothing.
    world.keys = keys(&[1]);
    assert_eq!(world.import(&still_by_old).unwrap(), b"still old");
}

#[test]
fn a_state_that_cannot_be_read_burns_nothing() {
    let world = World::new();
    let token = world.export(b"unreadable").unwrap();
    for _ in 0..2 {
        assert!(matches!(world.import(&token), Err(Error::Restore(_))));
    }
}

/// Neither is taken for the other.
#[test]
fn a_half_open_token_is_none_of_an_established_context() {
    let world = World::new();
    let mut token = world.export(b"state").unwrap();
    token[4 + Oid::SPNEGO.bytes().len()] = 1;
    let error = world.import(&token).unwrap_err();
    assert_eq!(error.major(), Major::DefectiveToken);
}
