//! What a context leaves in this process's memory when it is dropped: none of its keys.
//!
//! The one test of this program, so that no other thread's memory is looked at. A key is remembered with every bit turned,
//! because the memory of this test is searched too.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use gss_core::flags::Flags;
use gss_core::host::Host;
use gss_core::mechanism::{Handshake, Restore, SecurityContext, Step};
use gss_krb5::{AcceptOptions, Acceptor, AcceptorCred, InitOptions, Krb5, ServiceTicket, initiate};
use krb5::exchange::ap::Acceptable;
use krb5::formats::ccache::TimeOffset;
use krb5::formats::keytab::{Keytab, KeytabEntry};
use krb5::messages::{
    Const, EncTicketPart, EncryptedData, EncryptionKey, Flags as Bits, PrincipalName, Realm,
    Ticket, TransitedEncoding, encrypt,
};
use krb5::principal::Principal;
use krb5_crypto::{Enctype, Key};
use once::{Limits, OnceStore, Tag};
use wire::fields::FieldReader;
use wire::random::Random;
use wire::time::{Clock, Timestamp};

struct Counting(AtomicU64);

impl Random for Counting {
    fn fill(&self, out: &mut [u8]) {
        for byte in out {
            let next = self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
            *byte = (next.wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 56) as u8;
        }
    }
}

/// A key with every bit turned.
struct Turned(Vec<u8>);

impl Turned {
    fn of(key: &[u8]) -> Self {
        Self(key.iter().map(|byte| !byte).collect())
    }

    fn is_in(&self, bytes: &[u8]) -> bool {
        let first = !self.0[0];
        let starts = bytes.iter().enumerate().filter(|(_, byte)| **byte == first);
        starts.map(|(at, _)| &bytes[at..]).any(|rest| {
            let turned = rest.iter().map(|byte| !byte).take(self.0.len());
            turned.eq(self.0.iter().copied())
        })
    }
}

/// Where in this process's writable memory one of `keys` lies.
fn found(keys: &[Turned]) -> Vec<String> {
    let memory = File::open("/proc/self/mem").unwrap();
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let mut found = Vec::new();
    let mut page = vec![0; 4096 + 64];
    for map in maps.lines().filter(|map| map.contains(" rw")) {
        let (range, _) = map.split_once(' ').unwrap();
        let (start, end) = range.split_once('-').unwrap();
        let [start, end] = [start, end].map(|text| u64::from_str_radix(text, 16).unwrap());
        for at in (start..end).step_by(4096) {
            // The first bytes of the next page come along, for a key across both.
            page.fill(0);
            let Ok(length) = memory.read_at(&mut page, at) else {
                continue;
            };
            for (index, key) in keys.iter().enumerate() {
                if key.is_in(&page[..length]) {
                    found.push(format!("key {index} after {at:#x}: {map}"));
                }
            }
        }
    }
    found
}

/// The keys in a saved state.
fn remember(context: &dyn SecurityContext, keys: &mut Vec<Turned>) {
    const INITIATORS_KEY: u8 = 6;
    const ACCEPTOR_SUBKEY: u8 = 8;
    let state = context.save().unwrap();
    let mut fields = FieldReader::new(&state, 1).unwrap();
    for number in 1..INITIATORS_KEY {
        fields.bytes(number).unwrap();
    }
    keys.push(Turned::of(fields.bytes(INITIATORS_KEY).unwrap()));
    fields.bytes(7).unwrap();
    keys.push(Turned::of(fields.bytes(ACCEPTOR_SUBKEY).unwrap()));
}

fn ticket(
    client: &Principal,
    server: &Principal,
    session: &Key,
    key: &Key,
    random: &dyn Random,
    now: Timestamp,
) -> Vec<u8> {
    let part = EncTicketPart {
        flags: Bits::NONE,
        key: EncryptionKey::from(session),
        crealm: Realm(client.realm()),
        cname: PrincipalName::from(client),
        transited: TransitedEncoding {
            tr_type: 1,
            contents: b"",
        },
        authtime: now.into(),
        starttime: None,
        endtime: (now + Duration::from_secs(3600)).into(),
        renew_till: None,
        caddr: None,
        authorization_data: None,
    };
    let cipher = encrypt(&part, key, random);
    Ticket {
        tkt_vno: Const,
        realm: Realm(server.realm()),
        sname: PrincipalName::from(server),
        enc_part: EncryptedData::new(key, Some(1), &cipher),
    }
    .encode()
}

/// A whole life: handshake, messages, a transfer, the end. Remembers every key that there was.
fn live(enctype: &'static Enctype, keys: &mut Vec<Turned>) {
    let now = Timestamp::from_seconds(1_800_000_000);
    let clock: Arc<dyn Clock> = Arc::new(move || now);
    let random: Arc<dyn Random> = Arc::new(Counting(AtomicU64::new(enctype.number() as u64)));
    let limits = Limits {
        marks: 64,
        deposits: 16,
        ..Limits::default()
    };
    let store = OnceStore::memory_with(&limits, Arc::clone(&clock));
    let host = Host {
        clock: &*clock,
        random: &*random,
        replay: Some(&store),
        shared_replay: None,
    };
    let client = Principal::user("alice", "EXAMPLE.COM");
    let server = Principal::service("host", "www.example.com", "EXAMPLE.COM");
    let (key, session) = (enctype.random_key(&*random), enctype.random_key(&*random));
    keys.extend([&key, &session].map(|key| Turned::of(key.expose())));
    let ticket = ServiceTicket {
        ticket: ticket(&client, &server, &session, &key, &*random, now),
        client,
        server: server.clone(),
        key: Arc::new(session),
        authtime: now,
        endtime: now + Duration::from_secs(3600),
        flags: 0,
        time_offset: TimeOffset::default(),
    };
    let entry = KeytabEntry {
        principal: server.clone(),
        timestamp: now,
        kvno: 1,
        key: Arc::new(key),
    };
    let keytab = Keytab {
        entries: vec![entry],
        others: Vec::new(),
    };
    let cred = AcceptorCred {
        keytab: Arc::new(keytab),
        acceptable: Acceptable::Any,
    };
    let mut options = InitOptions::new(Arc::clone(&random));
    options.flags = Flags::MUTUAL | Flags::REPLAY | Flags::SEQUENCE;
    let Ok(Step::Continue { token, next }) = initiate(&ticket, &server, &options, &host) else {
        panic!("no request");
    };
    let acceptor = Box::new(Acceptor::new(cred, AcceptOptions::new(Arc::clone(&random))));
    let Ok(Step::Done {
        token,
        context: acceptor,
    }) = acceptor.step(&token, &host)
    else {
        panic!("no context");
    };
    let Ok(Step::Done {
        context: initiator, ..
    }) = next.step(&token.unwrap(), &host)
    else {
        panic!("no context");
    };
    remember(&*initiator, keys);
    let tag = Tag::from_bytes([1; 16]);
    store.put(&tag, b"", Timestamp::MAX).unwrap();
    let dormant = Krb5::new(random)
        .restore(&acceptor.save().unwrap())
        .unwrap();
    drop(acceptor);
    let acceptor = dormant.wake(store.take(&tag).unwrap().into());
    let (mut token, mut message) = (Vec::new(), Vec::new());
    initiator.wrap(true, b"message", &mut token).unwrap();
    acceptor.unwrap(&token, &mut message).unwrap();
    assert_eq!(message, b"message");
}

/// Covers the part of the stack that calls have used and given back: what lies there is gone with the next call.
#[inline(never)]
fn use_the_stack() {
    std::hint::black_box(&mut [0_u8; 256 * 1024]);
}

#[test]
fn no_key_is_left_when_everything_is_dropped() {
    let mut keys = Vec::new();
    for number in [17, 18, 19, 20, 25, 26] {
        live(Enctype::from_number(number).unwrap(), &mut keys);
    }
    let kept = Enctype::from_number(18)
        .unwrap()
        .random_key(&Counting(AtomicU64::new(1)));
    use_the_stack();
    let control = found(&[Turned::of(kept.expose())]);
    assert!(
        !control.is_empty(),
        "a key that is kept is found, or the search finds nothing"
    );
    let found = found(&keys);
    assert!(found.is_empty(), "{found:#?}");
}
