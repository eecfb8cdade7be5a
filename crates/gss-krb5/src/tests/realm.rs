//! A realm in memory: keys, tickets, a clock that stands still, and what both sides make of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use gss_core::flags::Flags;
use gss_core::host::Host;
use gss_core::mechanism::{Failure, Handshake, SecurityContext, Step};
use krb5::exchange::ap::Acceptable;
use krb5::formats::ccache::TimeOffset;
use krb5::formats::keytab::{Keytab, KeytabEntry};
use krb5::messages::{
    AuthorizationDataElement, Const, EncTicketPart, EncryptedData, EncryptionKey, HostAddress,
    PrincipalName, Realm, Ticket, TransitedEncoding, encrypt, ticket_flags,
};
use krb5::principal::Principal;
use krb5_crypto::{Enctype, Key};
use once::{Limits, OnceStore};
use wire::der::Flags as Bits;
use wire::random::Random;
use wire::time::{Clock, Timestamp};

use crate::{
    AcceptOptions, Acceptor, AcceptorCred, AuthenticatorTimes, InitOptions, ServiceTicket, initiate,
};

/// The moment at which everything happens unless a test moves it, with microseconds.
pub(super) const NOW: i64 = 1_800_000_000_123_456;

/// A clock that a test moves.
pub(super) struct TestClock(AtomicI64);

impl TestClock {
    pub(super) fn advance(&self, by: Duration) {
        self.0.fetch_add(by.as_micros() as i64, Ordering::Relaxed);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::Relaxed))
    }
}

/// Different bytes at each call, the same ones in each run (splitmix64).
pub(super) struct TestRandom(AtomicU64);

impl Random for TestRandom {
    fn fill(&self, out: &mut [u8]) {
        for chunk in out.chunks_mut(8) {
            let mut z = self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
            z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
            chunk.copy_from_slice(&(z ^ z >> 31).to_le_bytes()[..chunk.len()]);
        }
    }
}

/// A store for the few entries of one test.
fn small_store(clock: Arc<TestClock>) -> OnceStore {
    let limits = Limits {
        marks: 1024,
        deposits: 16,
        ..Limits::default()
    };
    OnceStore::memory_with(&limits, clock)
}

pub(super) fn random() -> Arc<dyn Random> {
    Arc::new(TestRandom(AtomicU64::new(7)))
}

/// The key of `bytes` once more: keys cannot be cloned.
pub(super) fn same_key(key: &Key) -> Key {
    Key::new(key.enctype(), key.expose()).unwrap()
}

/// What a KDC puts into a ticket, and what the acceptor has.
pub(super) struct TestRealm {
    pub(super) clock: Arc<TestClock>,
    pub(super) random: Arc<dyn Random>,
    pub(super) store: OnceStore,
    pub(super) keytab: Keytab,
    pub(super) ticket: TestTicket,
    pub(super) times: AuthenticatorTimes,
}

pub(super) struct TestTicket {
    pub(super) client: Principal,
    pub(super) server: Principal,
    pub(super) kvno: Option<u32>,
    pub(super) key: Arc<Key>,
    pub(super) session_key: Arc<Key>,
    pub(super) flags: u32,
    pub(super) starttime: Option<Timestamp>,
    pub(super) authtime: Timestamp,
    pub(super) endtime: Timestamp,
    pub(super) transited: (i32, Vec<u8>),
    pub(super) addresses: bool,
    pub(super) authorization_data: Option<Vec<u8>>,
}

impl TestTicket {
    pub(super) fn encode(&self, random: &dyn Random) -> Vec<u8> {
        let address = HostAddress {
            addr_type: 2,
            address: &[192, 0, 2, 1],
        };
        let part = EncTicketPart {
            flags: Bits::from_bits(self.flags),
            key: EncryptionKey::from(&*self.session_key),
            crealm: Realm(self.client.realm()),
            cname: PrincipalName::from(&self.client),
            transited: TransitedEncoding {
                tr_type: self.transited.0,
                contents: &self.transited.1,
            },
            authtime: self.authtime.into(),
            starttime: self.starttime.map(Into::into),
            endtime: self.endtime.into(),
            renew_till: None,
            caddr: self.addresses.then(|| vec![address]),
            authorization_data: self.authorization_data.as_ref().map(|data| {
                vec![AuthorizationDataElement {
                    ad_type: 1,
                    ad_data: data,
                }]
            }),
        };
        let cipher = encrypt(&part, &self.key, random);
        Ticket {
            tkt_vno: Const,
            realm: Realm(self.server.realm()),
            sname: PrincipalName::from(&self.server),
            enc_part: EncryptedData::new(&self.key, self.kvno, &cipher),
        }
        .encode()
    }
}

impl TestRealm {
    pub(super) fn new(enctype: &'static Enctype) -> Self {
        let clock = Arc::new(TestClock(AtomicI64::new(NOW)));
        let random = random();
        let now = clock.now();
        let server = Principal::service("host", "www.example.com", "EXAMPLE.COM");
        let key = Arc::new(enctype.random_key(&*random));
        let entry = KeytabEntry {
            principal: server.clone(),
            timestamp: now,
            kvno: 3,
            key: Arc::clone(&key),
        };
        Self {
            store: small_store(Arc::<TestClock>::clone(&clock)),
            clock,
            times: AuthenticatorTimes::of_another_clock(),
            keytab: Keytab {
                entries: vec![entry],
                others: Vec::new(),
            },
            ticket: TestTicket {
                client: Principal::user("alice", "EXAMPLE.COM"),
                server,
                kvno: Some(3),
                key,
                session_key: Arc::new(enctype.random_key(&*random)),
                flags: ticket_flags::INITIAL,
                starttime: None,
                authtime: now - Duration::from_secs(60),
                endtime: now + Duration::from_secs(36000),
                transited: (1, Vec::new()),
                addresses: false,
                authorization_data: None,
            },
            random,
        }
    }

    pub(super) fn host(&self) -> Host<'_> {
        Host {
            clock: &*self.clock,
            random: &*self.random,
            replay: Some(&self.store),
            shared_replay: None,
        }
    }

    /// A host where replays pass: for tests that show one request often.
    pub(super) fn host_without_replay(&self) -> Host<'_> {
        Host {
            replay: None,
            ..self.host()
        }
    }

    pub(super) fn service_ticket(&self) -> ServiceTicket {
        ServiceTicket {
            client: self.ticket.client.clone(),
            server: self.ticket.server.clone(),
            ticket: self.ticket.encode(&*self.random),
            key: Arc::clone(&self.ticket.session_key),
            authtime: self.ticket.authtime,
            endtime: self.ticket.endtime,
            flags: self.ticket.flags,
            time_offset: TimeOffset::default(),
        }
    }

    pub(super) fn init_options(&self, flags: Flags) -> InitOptions {
        InitOptions {
            flags,
            times: self.times.clone(),
            permitted_enctypes: self.own_enctype(),
            ..InitOptions::new(Arc::clone(&self.random))
        }
    }

    pub(super) fn initiate(&self, options: &InitOptions) -> Step {
        initiate(
            &self.service_ticket(),
            &self.ticket.server,
            options,
            &self.host(),
        )
        .unwrap()
    }

    /// A request, whose initiator goes no further.
    pub(super) fn token(&self, flags: Flags) -> Vec<u8> {
        match self.initiate(&self.init_options(flags)) {
            Step::Continue { token, .. } => token,
            Step::Done { token, .. } => token.unwrap(),
        }
    }

    pub(super) fn cred(&self) -> AcceptorCred {
        let entries = self.keytab.entries.iter().map(|entry| KeytabEntry {
            principal: entry.principal.clone(),
            timestamp: entry.timestamp,
            kvno: entry.kvno,
            key: Arc::clone(&entry.key),
        });
        AcceptorCred {
            keytab: Arc::new(Keytab {
                entries: entries.collect(),
                others: Vec::new(),
            }),
            acceptable: Acceptable::Any,
        }
    }

    pub(super) fn accept_options(&self) -> AcceptOptions {
        let mut options = AcceptOptions::new(Arc::clone(&self.random));
        options.policy.permitted_enctypes = self.own_enctype();
        options
    }

    /// The session key's alone, so that no other is negotiated unless a test wants it.
    fn own_enctype(&self) -> Arc<[&'static Enctype]> {
        Arc::new([self.ticket.session_key.enctype()])
    }

    pub(super) fn acceptor(&self) -> Box<dyn Handshake> {
        Box::new(Acceptor::new(self.cred(), self.accept_options()))
    }

    /// Both ends of a context with these flags, whose messages are under a key of the session key's enctype.
    pub(super) fn pair(&self, flags: Flags) -> Pair {
        let (token, waiting) = match self.initiate(&self.init_options(flags)) {
            Step::Continue { token, next } => (token, Ok(next)),
            Step::Done { token, context } => (token.unwrap(), Err(context)),
        };
        let (reply, acceptor) = done(self.acceptor().step(&token, &self.host()));
        let initiator = match waiting {
            Ok(next) => done(next.step(&reply.unwrap(), &self.host())).1,
            Err(context) => context,
        };
        for context in [&initiator, &acceptor] {
            let key = context.inquire().unwrap().session_key();
            assert_eq!(key.enctype, self.ticket.session_key.enctype().number());
        }
        Pair {
            initiator,
            acceptor,
        }
    }
}

pub(super) struct Pair {
    pub(super) initiator: Box<dyn SecurityContext>,
    pub(super) acceptor: Box<dyn SecurityContext>,
}

pub(super) fn done(step: Result<Step, Failure>) -> (Option<Vec<u8>>, Box<dyn SecurityContext>) {
    match step.unwrap() {
        Step::Done { token, context } => (token, context),
        Step::Continue { .. } => panic!("not done"),
    }
}

pub(super) fn continued(step: Step) -> (Vec<u8>, Box<dyn Handshake>) {
    match step {
        Step::Continue { token, next } => (token, next),
        Step::Done { .. } => panic!("done"),
    }
}

pub(super) fn failed(step: Result<Step, Failure>) -> Failure {
    match step {
        Err(failure) => failure,
        Ok(_) => panic!("it went on"),
    }
}

/// The enctypes of the tokens of RFC 4121.
pub(super) fn enctypes() -> impl Iterator<Item = &'static Enctype> {
    [17, 18, 19, 20, 25, 26]
        .map(|number| Enctype::from_number(number).unwrap())
        .into_iter()
}

pub(super) const ALL: Flags = Flags::from_bits(2 | 4 | 8);

pub(super) fn wrapped(
    context: &dyn SecurityContext,
    confidential: bool,
    message: &[u8],
) -> Vec<u8> {
    let mut token = Vec::new();
    let state = context.wrap(confidential, message, &mut token).unwrap();
    assert_eq!(state, confidential);
    token
}

pub(super) fn signed(context: &dyn SecurityContext, message: &[u8]) -> Vec<u8> {
    let mut token = Vec::new();
    context.get_mic(message, &mut token).unwrap();
    token
}

/// Every token that differs from `bytes` in one bit.
pub(super) fn one_bit_flips(bytes: &[u8]) -> impl Iterator<Item = (usize, Vec<u8>)> {
    (0..bytes.len() * 8).map(|bit| {
        let mut other = bytes.to_vec();
        other[bit / 8] ^= 1 << (bit % 8);
        (bit, other)
    })
}

/// Every token that differs from one of RFC 1964 or RFC 4121 in one bit, but for those in the sequence number of an RC4 token that
/// is not encrypted: that is under a stream cipher and no checksum (RFC 4757 §7.2), so whoever flips a bit in it changes the
/// token's place in the sequence and nothing else.
pub(super) fn protected_bit_flips(
    name: &str,
    encrypted: bool,
    token: &[u8],
) -> impl Iterator<Item = (usize, Vec<u8>)> {
    let unprotected = if name.starts_with("arcfour") && !encrypted {
        // A frame of 13 bytes, and the token's names.
        21..25
    } else {
        0..0
    };
    one_bit_flips(token).filter(move |(bit, _)| !unprotected.contains(&(bit / 8)))
}
