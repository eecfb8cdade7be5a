use std::io::{Read, Write};
use std::net::{TcpListener, UdpSocket};
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use krb5::formats::conf::Profile;
use krb5::formats::keytab::KeytabEntry;
use krb5::formats::residual::CcacheName;
use krb5::kdc::{Kdc, Policy, Principals};
use krb5::messages::ticket_flags;
use krb5_crypto::{AES128_CTS_HMAC_SHA1_96, AES256_CTS_HMAC_SHA1_96};
use zeroize::Zeroizing;

use super::*;
use crate::world::{SystemClock, SystemRandom};

const REALM: &str = "HOST.TEST";

/// A realm whose KDC listens on loopback, with a clock of its own and a count of what it was asked.
struct Realm {
    settings: Settings,
    kdc: Arc<Server>,
}

struct Server {
    kdc: Mutex<Kdc>,
    ahead: AtomicI64,
    datagrams: AtomicUsize,
    streams: AtomicUsize,
    limit: AtomicUsize,
}

impl Server {
    fn now(&self) -> Timestamp {
        let ahead = self.ahead.load(Ordering::Relaxed);
        Timestamp::from_micros(SystemClock.now().micros() + ahead * 1_000_000)
    }

    fn reply(&self, limit: usize, request: &[u8]) -> Vec<u8> {
        self.kdc
            .lock()
            .unwrap()
            .reply_within(limit, request, self.now(), &SystemRandom)
    }
}

impl Realm {
    fn start(extra: &str) -> Self {
        let etypes = [AES256_CTS_HMAC_SHA1_96, AES128_CTS_HMAC_SHA1_96];
        let mut principals = Principals::new(REALM, &etypes, &SystemRandom);
        principals
            .add_password(alice(), b"secret", &etypes)
            .unwrap();
        for name in ["HTTP", "host"] {
            principals.add_random(
                Principal::service(name, "localhost", REALM),
                &etypes,
                &SystemRandom,
            );
        }
        let kdc = Arc::new(Server {
            kdc: Mutex::new(Kdc::new(principals, Policy::default())),
            ahead: AtomicI64::new(0),
            datagrams: AtomicUsize::new(0),
            streams: AtomicUsize::new(0),
            limit: AtomicUsize::new(usize::MAX),
        });
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let socket = UdpSocket::bind(address).unwrap();
        let server = Arc::clone(&kdc);
        thread::spawn(move || {
            let mut buffer = [0; 65_535];
            while let Ok((length, peer)) = socket.recv_from(&mut buffer) {
                server.datagrams.fetch_add(1, Ordering::Relaxed);
                let limit = server.limit.load(Ordering::Relaxed);
                socket
                    .send_to(&server.reply(limit, &buffer[..length]), peer)
                    .unwrap();
            }
        });
        let server = Arc::clone(&kdc);
        thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                server.streams.fetch_add(1, Ordering::Relaxed);
                let mut length = [0; 4];
                stream.read_exact(&mut length).unwrap();
                let mut request = vec![0; u32::from_be_bytes(length) as usize];
                stream.read_exact(&mut request).unwrap();
                let reply = server.reply(usize::MAX, &request);
                let framed = [&(reply.len() as u32).to_be_bytes()[..], &reply].concat();
                stream.write_all(&framed).unwrap();
            }
        });
        let text = format!(
            "[libdefaults]\n default_realm = {REALM}\n dns_lookup_kdc = false\n{extra}\n\
             [realms]\n {REALM} = {{\n  kdc = {address}\n }}\n"
        );
        let profile = Profile::parse("krb5.conf", text.as_bytes(), &()).unwrap();
        Self {
            settings: Settings::read(&profile).unwrap(),
            kdc,
        }
    }

    fn client(&self) -> Client<'_> {
        Client {
            settings: &self.settings,
            clock: &SystemClock,
            random: &SystemRandom,
            timeout: Some(Duration::from_secs(10)),
        }
    }

    fn log_in(&self, cache: &str) -> CcacheStore {
        let store = CcacheStore::new(CcacheName::Memory(cache.to_owned()));
        let client = self.client();
        client
            .log_in(
                &alice(),
                password("secret"),
                &InitialOptions::default(),
                &store,
            )
            .unwrap();
        store
    }

    fn asked(&self) -> (usize, usize) {
        let Server {
            datagrams, streams, ..
        } = &*self.kdc;
        (
            datagrams.load(Ordering::Relaxed),
            streams.load(Ordering::Relaxed),
        )
    }
}

fn alice() -> Principal {
    Principal::user("alice", REALM)
}

fn http() -> Principal {
    Principal::service("HTTP", "localhost", REALM)
}

fn password(text: &str) -> Secret {
    Secret::Password(Zeroizing::new(text.as_bytes().to_vec()))
}

#[test]
fn a_password_becomes_a_cache_and_the_cache_a_service_ticket() {
    let realm = Realm::start("");
    let cache = realm.log_in("becomes");
    let found = realm.client().get_service_ticket(&http(), &cache).unwrap();
    assert_eq!(found.credential.server, http());
    assert_eq!(found.credential.client, alice());
    let stored = cache.read().unwrap();
    let servers: Vec<_> = stored
        .tickets()
        .map(|ticket| ticket.server.clone())
        .collect();
    // As MIT has it: without the realm, which nothing but the default tells.
    assert_eq!(servers, [Principal::krbtgt(REALM), http().with_realm("")]);
}

#[test]
fn a_ticket_in_the_cache_is_used_before_the_kdc() {
    let realm = Realm::start("");
    let cache = realm.log_in("before");
    let first = realm.client().get_service_ticket(&http(), &cache).unwrap();
    let asked = realm.asked();
    let second = realm.client().get_service_ticket(&http(), &cache).unwrap();
    assert_eq!(first.credential.ticket, second.credential.ticket);
    assert_eq!(realm.asked(), asked);
}

#[test]
fn a_ticket_that_will_not_do_is_not_used() {
    let realm = Realm::start("");
    let client = realm.client();
    type Spoil = fn(&mut Credential);
    let spoils: [Spoil; 5] = [
        |ticket| ticket.endtime = Timestamp::from_seconds(1),
        |ticket| ticket.is_skey = true,
        |ticket| ticket.flags |= ticket_flags::INVALID,
        |ticket| ticket.client = Principal::user("mallory", REALM),
        |ticket| ticket.key = Credential::setting(alice(), "x", None, b"").key,
    ];
    for (index, spoil) in spoils.into_iter().enumerate() {
        let cache = realm.log_in(&format!("spoilt {index}"));
        let first = client
            .get_service_ticket(&http(), &cache)
            .unwrap()
            .credential;
        let mut contents = cache.read().unwrap();
        spoil(contents.credentials.last_mut().unwrap());
        cache.replace(&contents).unwrap();
        let second = client
            .get_service_ticket(&http(), &cache)
            .unwrap()
            .credential;
        assert_ne!(first.ticket, second.ticket, "spoilt {index}");
    }
}

#[test]
fn a_ticket_of_an_enctype_that_is_not_permitted_is_not_used() {
    let mut realm = Realm::start("");
    let cache = realm.log_in("enctype");
    let first = realm.client().get_service_ticket(&http(), &cache).unwrap();
    assert_eq!(first.credential.key.enctype(), 18);
    realm.settings.permitted_enctypes = vec![AES128_CTS_HMAC_SHA1_96];
    realm.settings.default_tgs_enctypes = vec![AES128_CTS_HMAC_SHA1_96];
    let second = realm.client().get_service_ticket(&http(), &cache).unwrap();
    assert_eq!(second.credential.key.enctype(), 17);
}

#[test]
fn keys_of_a_keytab_do_as_well_as_a_password() {
    let realm = Realm::start("");
    let key = AES256_CTS_HMAC_SHA1_96
        .string_to_key(b"secret", &alice().salt(), None)
        .unwrap();
    let mut keytab = Keytab::default();
    keytab.entries.push(KeytabEntry {
        principal: alice(),
        timestamp: Timestamp::from_seconds(0),
        kvno: 1,
        key: Arc::new(key),
    });
    let secret = keys_of(&alice(), &keytab).unwrap();
    let client = realm.client();
    let obtained = client.get_initial_credential(&alice(), secret, &InitialOptions::default());
    assert_eq!(
        obtained.unwrap().credential.server,
        Principal::krbtgt(REALM)
    );
    let error = keys_of(&http(), &keytab).err().unwrap();
    assert!(matches!(error, TicketError::NoKey(_)));
}

#[test]
fn a_wrong_password_gives_no_ticket() {
    let realm = Realm::start("");
    let client = realm.client();
    let error =
        client.get_initial_credential(&alice(), password("Secret"), &InitialOptions::default());
    assert!(matches!(
        error.err().unwrap(),
        TicketError::Exchange(ExchangeError::Refused(_))
    ));
}

#[test]
fn options_and_settings_reach_the_kdc() {
    let realm = Realm::start(" forwardable = true\n ticket_lifetime = 1h\n renew_lifetime = 2h");
    let client = realm.client();
    let ticket = |options: &InitialOptions| {
        client
            .get_initial_credential(&alice(), password("secret"), options)
            .unwrap()
            .credential
    };
    let usual = ticket(&InitialOptions::default());
    assert_ne!(usual.flags & ticket_flags::FORWARDABLE, 0);
    assert_eq!(usual.flags & ticket_flags::PROXIABLE, 0);
    assert_ne!(usual.flags & ticket_flags::RENEWABLE, 0);
    let life = |ticket: &Credential| ticket.endtime.seconds() - ticket.authtime.seconds();
    assert!((3598..=3602).contains(&life(&usual)), "{}", life(&usual));
    let other = ticket(&InitialOptions {
        server: Some(http()),
        lifetime: Some(Duration::from_secs(600)),
        renew_lifetime: Some(Duration::ZERO),
        forwardable: Some(false),
        proxiable: Some(true),
    });
    assert_eq!(other.server, http());
    assert_eq!(
        other.flags & (ticket_flags::FORWARDABLE | ticket_flags::RENEWABLE),
        0
    );
    assert_ne!(other.flags & ticket_flags::PROXIABLE, 0);
    assert!((598..=602).contains(&life(&other)), "{}", life(&other));
}

#[test]
fn long_requests_and_long_replies_go_over_streams() {
    let realm = Realm::start("");
    realm.log_in("datagrams");
    assert_eq!(realm.asked().1, 0, "datagrams are enough");
    let realm = Realm::start(" udp_preference_limit = 1");
    realm.log_in("streams");
    assert_eq!(realm.asked(), (0, 2));
    // A datagram has no room for the ticket.
    let realm = Realm::start("");
    realm.kdc.limit.store(300, Ordering::Relaxed);
    realm.log_in("too big");
    let (datagrams, streams) = realm.asked();
    assert!(datagrams > 0 && streams > 0, "{datagrams} and {streams}");
}

#[test]
fn another_kdcs_clock_is_believed_and_remembered_if_configured() {
    let realm = Realm::start("");
    realm.kdc.ahead.store(7200, Ordering::Relaxed);
    let cache = realm.log_in("ahead");
    let offset = cache.read().unwrap().time_offset.unwrap();
    assert!((7198..=7202).contains(&offset.seconds), "{offset:?}");
    let found = realm.client().get_service_ticket(&http(), &cache).unwrap();
    assert_eq!(found.time_offset, Some(offset));
    let realm = Realm::start(" kdc_timesync = 0");
    realm.kdc.ahead.store(7200, Ordering::Relaxed);
    let client = realm.client();
    let obtained =
        client.get_initial_credential(&alice(), password("secret"), &InitialOptions::default());
    assert!(obtained.is_err());
}

#[test]
fn an_ended_or_missing_ticket_granting_ticket_says_so() {
    let realm = Realm::start("");
    let client = realm.client();
    let cache = realm.log_in("ended");
    let mut contents = cache.read().unwrap();
    contents.credentials[0].endtime = Timestamp::from_seconds(1);
    cache.replace(&contents).unwrap();
    let error = client.get_service_ticket(&http(), &cache).err().unwrap();
    assert!(matches!(error, TicketError::Expired(_)), "{error}");
    contents.credentials.clear();
    cache.replace(&contents).unwrap();
    let error = client.get_service_ticket(&http(), &cache).err().unwrap();
    assert!(
        matches!(error, TicketError::NoTicketGrantingTicket(_)),
        "{error}"
    );
    let nowhere = CcacheStore::new(CcacheName::Memory("nowhere".to_owned()));
    let error = client.get_service_ticket(&http(), &nowhere).err().unwrap();
    assert!(
        matches!(error, TicketError::Cache(CcacheStoreError::NotFound(_))),
        "{error}"
    );
    let cache = realm.log_in("other realm");
    let other = http().with_realm("OTHER.TEST");
    let error = client.get_service_ticket(&other, &cache).err().unwrap();
    let way = matches!(error, TicketError::Way(ServiceTicketError::NoWay { .. }));
    assert!(way, "{error}");
}

#[test]
fn what_the_kdc_does_not_know_is_its_refusal_and_not_stored() {
    let realm = Realm::start("");
    let cache = realm.log_in("unknown");
    let error = realm
        .client()
        .get_service_ticket(&Principal::service("no", "where", REALM), &cache);
    let TicketError::Exchange(ExchangeError::Refused(refusal)) = error.err().unwrap() else {
        panic!("the KDC refuses");
    };
    assert_eq!(
        refusal.code,
        krb5::messages::error_code::KDC_ERR_S_PRINCIPAL_UNKNOWN
    );
    assert_eq!(cache.read().unwrap().tickets().count(), 1);
}

#[test]
fn a_realm_without_a_kdc_is_an_error_that_says_what_to_do() {
    let realm = Realm::start("");
    let nobody = Principal::user("a", "ELSEWHERE.TEST");
    let client = realm.client();
    let error = client.get_initial_credential(&nobody, password("x"), &InitialOptions::default());
    let text = error.err().unwrap().to_string();
    assert!(
        text.contains("ELSEWHERE.TEST") && text.contains("[realms]"),
        "{text}"
    );
}

#[test]
fn the_deadline_holds_for_a_whole_exchange() {
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let text = format!(
        "[realms]\n {REALM} = {{\n  kdc = udp/{}\n }}\n",
        silent.local_addr().unwrap()
    );
    let profile = Profile::parse("krb5.conf", text.as_bytes(), &()).unwrap();
    let settings = Settings::read(&profile).unwrap();
    let client = Client {
        settings: &settings,
        clock: &SystemClock,
        random: &SystemRandom,
        timeout: Some(Duration::from_millis(300)),
    };
    let begin = Instant::now();
    let error =
        client.get_initial_credential(&alice(), password("secret"), &InitialOptions::default());
    assert!(matches!(
        error.err().unwrap(),
        TicketError::Kdc(KdcAccessError::Transport { .. })
    ));
    assert!(begin.elapsed() < Duration::from_secs(3));
}

#[test]
fn a_silent_kdc_costs_its_second_once() {
    let mut realm = Realm::start("");
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let Some(live) = realm.settings.realms.get(REALM.as_bytes()).cloned() else {
        panic!("the realm is configured");
    };
    let mut both = live.clone();
    let address = silent.local_addr().unwrap().to_string();
    both.kdc
        .insert(0, krb5::formats::settings::Server::parse(&address).unwrap());
    realm.settings.realms.insert(REALM, both);
    realm.log_in("silent");
    assert_eq!(realm.asked().0, 2, "pre-authentication takes two requests");
    silent.set_nonblocking(true).unwrap();
    let mut buffer = [0; 65_535];
    assert!(
        silent.recv(&mut buffer).is_ok(),
        "the first request came here"
    );
    assert!(silent.recv(&mut buffer).is_err(), "the second one did not");
}

#[test]
fn a_renewed_ticket_is_all_that_the_cache_has_then() {
    let realm = Realm::start(" ticket_lifetime = 1h\n renew_lifetime = 2h");
    let client = realm.client();
    let cache = realm.log_in("renewed");
    client.get_service_ticket(&http(), &cache).unwrap();
    realm.kdc.ahead.store(60, Ordering::Relaxed);
    let old = cache.read().unwrap().credentials[0].clone();
    let renewed = client.renew(&cache).unwrap();
    assert!(renewed.endtime > old.endtime, "a minute later");
    assert_eq!(renewed.renew_till, old.renew_till);
    let left = cache.read().unwrap();
    let servers: Vec<_> = left.tickets().map(|ticket| &ticket.server).collect();
    assert_eq!(servers, [&Principal::krbtgt(REALM)]);

    // What cannot be renewed stays as it is.
    let realm = Realm::start("");
    let cache = realm.log_in("once");
    assert!(matches!(
        realm.client().renew(&cache),
        Err(TicketError::Exchange(ExchangeError::Refused(_)))
    ));
    assert_eq!(cache.read().unwrap().tickets().count(), 1);
}

#[test]
fn a_forwarded_ticket_has_the_services_enctype_if_the_kdc_has_it() {
    let realm = Realm::start(" forwardable = true");
    let cache = realm.log_in("forwarded");
    let ask = |etype| realm.client().get_forwarded_ticket(&cache, etype).unwrap();
    for (etype, number) in [
        (None, 18),
        (Some(AES128_CTS_HMAC_SHA1_96), 17),
        // The realm has no such keys.
        (Some(krb5_crypto::AES256_CTS_HMAC_SHA384_192), 18),
    ] {
        let ticket = ask(etype);
        assert_eq!(ticket.key.enctype(), number);
        let wanted = ticket_flags::FORWARDED | ticket_flags::FORWARDABLE;
        assert_eq!(ticket.flags & wanted, wanted);
        assert_eq!(ticket.server, Principal::krbtgt(REALM));
    }
    assert_eq!(cache.read().unwrap().tickets().count(), 1, "not stored");

    let realm = Realm::start("");
    let cache = realm.log_in("stays here");
    assert!(realm.client().get_forwarded_ticket(&cache, None).is_err());
}
