//! Our AS and TGS exchanges against MIT's and Heimdal's KDCs, over UDP and TCP.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::time::{Duration, SystemTime};

use interop::Vendor;
use interop::realm::{CLIENT, PASSWORD, REALM, Realm, SERVICES, shared};
use krb5::exchange::as_exchange::{AsExchange, AsOptions, ReplyError, Secret};
use krb5::exchange::tgs::{ExchangeError, Obtained, Progress, TgsExchange, TgsOptions};
use krb5::formats::ccache::{CachedKey, Credential};
use krb5::formats::keytab::Keytab;
use krb5::messages::{EncTicketPart, Ticket, error_code, kdc_options, ticket_flags};
use krb5::principal::Principal;
use krb5_crypto::Enctype;
use wire::random::Random;
use wire::time::Timestamp;

const BOTH: [Vendor; 2] = [Vendor::Mit, Vendor::Heimdal];
const HOUR: Duration = Duration::from_secs(3600);

struct Urandom;

impl Random for Urandom {
    fn fill(&self, out: &mut [u8]) {
        let mut source = File::open("/dev/urandom").expect("/dev/urandom");
        source.read_exact(out).expect("random bytes");
    }
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    Timestamp::from_micros(since.expect("a time after 1970").as_micros() as i64)
}

/// A realm and the transport to its KDC.
#[derive(Clone, Copy)]
struct Kdc {
    realm: &'static Realm,
    tcp: bool,
}

impl Kdc {
    fn of(vendor: Vendor) -> Self {
        Self {
            realm: shared(vendor),
            tcp: false,
        }
    }

    fn ask(self, request: &[u8], stream: bool) -> Vec<u8> {
        let address = ("127.0.0.1", self.realm.port());
        if stream || self.tcp {
            let mut tcp = TcpStream::connect(address).expect("the KDC listens");
            let length = (request.len() as u32).to_be_bytes();
            tcp.write_all(&[&length, request].concat())
                .expect("the KDC reads");
            let mut length = [0; 4];
            tcp.read_exact(&mut length).expect("a reply's length");
            let mut reply = vec![0; u32::from_be_bytes(length) as usize];
            tcp.read_exact(&mut reply).expect("a reply");
            return reply;
        }
        let udp = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        udp.set_read_timeout(Some(Duration::from_secs(10)))
            .expect("a timeout");
        udp.send_to(request, address).expect("the KDC listens");
        let mut reply = vec![0; 65_535];
        let length = udp.recv(&mut reply).expect("a reply");
        reply.truncate(length);
        reply
    }

    fn log_in(self, options: AsOptions, secret: Secret, at: Timestamp) -> Outcome<Obtained> {
        let mut progress = AsExchange::start(options, secret, at, &Urandom)?;
        loop {
            progress = match progress {
                Progress::Send {
                    bytes,
                    stream,
                    next,
                    ..
                } => next.next(&self.ask(&bytes, stream), at, &Urandom)?,
                Progress::Done(obtained) => return Ok(*obtained),
            };
        }
    }

    fn ticket(self, options: TgsOptions) -> Outcome<Credential> {
        let mut progress = TgsExchange::start(options, now(), &Urandom)?;
        loop {
            progress = match progress {
                Progress::Send {
                    bytes,
                    stream,
                    next,
                    ..
                } => next.next(&self.ask(&bytes, stream), now())?,
                Progress::Done(obtained) => return Ok(obtained.credential),
            };
        }
    }
}

type Outcome<T> = Result<T, ExchangeError>;

fn alice() -> Principal {
    Principal::user(CLIENT, REALM)
}

fn password(password: &str) -> Secret {
    Secret::Password(password.as_bytes().to_vec().into())
}

fn refusal<T>(outcome: Outcome<T>) -> i32 {
    match outcome.err().expect("a refusal") {
        ExchangeError::Refused(error) => error.code,
        other => panic!("{other}"),
    }
}

#[test]
fn a_password_becomes_a_service_ticket_in_each_enctype() {
    for vendor in BOTH {
        let keytab = std::fs::read(shared(vendor).keytab()).expect("the keytab");
        let keytab = Keytab::parse(&keytab).expect("a keytab");
        for (number, service, name) in SERVICES {
            let kdc = Kdc {
                tcp: number % 2 == 0,
                ..Kdc::of(vendor)
            };
            let etypes = vec![Enctype::from_number(number).expect("an enctype of ours")];
            let options = AsOptions {
                etypes: etypes.clone(),
                ..AsOptions::new(alice())
            };
            let tgt = kdc.log_in(options, password(PASSWORD), now());
            let tgt = tgt.unwrap_or_else(|error| panic!("{vendor:?} {name}: {error}"));
            let server = Principal::service(service, "localhost", REALM);
            let options = TgsOptions {
                etypes,
                ..TgsOptions::new(tgt.credential, server.clone())
            };
            let ticket = kdc.ticket(options);
            let ticket = ticket.unwrap_or_else(|error| panic!("{vendor:?} {name}: {error}"));
            let CachedKey::Key(session) = &ticket.key else {
                panic!("a key of ours");
            };
            assert_eq!(session.enctype().number(), number);

            // The service opens it with its key, and finds what we were told.
            let sealed = Ticket::decode(&ticket.ticket).expect("a ticket");
            let kvno = sealed.enc_part.kvno.map(|kvno| kvno.bits());
            let key = keytab
                .candidates(&server, sealed.enc_part.etype, kvno)
                .next();
            let key = &key.expect("the service's key").key;
            let plain = sealed.enc_part.decrypt::<EncTicketPart<'_>>(key);
            let plain = plain.expect("the service's ticket");
            let part = EncTicketPart::decode(&plain).expect("a ticket's part");
            assert_eq!(part.cname.in_realm(part.crealm), alice());
            assert!(part.key.keyvalue == session.expose());
            assert_eq!(part.flags.bits(), ticket.flags);
        }
    }
}

#[test]
fn keys_from_a_keytab_serve_as_well() {
    for vendor in BOTH {
        let kdc = Kdc::of(vendor);
        for (number, service, _) in SERVICES {
            let keytab = std::fs::read(kdc.realm.keytab()).expect("the keytab");
            let keytab = Keytab::parse(&keytab).expect("a keytab");
            let client = Principal::service(service, "localhost", REALM);
            let keys: Vec<_> = keytab
                .entries
                .into_iter()
                .filter(|entry| entry.principal == client)
                .map(|entry| (entry.kvno, entry.key))
                .collect();
            let obtained = kdc.log_in(AsOptions::new(client.clone()), Secret::Keys(keys), now());
            let obtained = obtained.unwrap_or_else(|error| panic!("{vendor:?} {number}: {error}"));
            assert_eq!(obtained.credential.client, client);
        }
    }
}

#[test]
fn tickets_are_renewed_and_forwardable() {
    for vendor in BOTH {
        let kdc = Kdc::of(vendor);
        let options = AsOptions {
            flags: kdc_options::FORWARDABLE,
            lifetime: HOUR,
            renew_lifetime: Some(HOUR * 24),
            ..AsOptions::new(alice())
        };
        let tgt = kdc.log_in(options, password(PASSWORD), now());
        let tgt = tgt.expect("a ticket").credential;
        let wanted = ticket_flags::FORWARDABLE | ticket_flags::RENEWABLE | ticket_flags::INITIAL;
        assert_eq!(tgt.flags & wanted, wanted, "{vendor:?}");
        let renewed = kdc.ticket(TgsOptions::renewal(tgt.clone()));
        let renewed = renewed.unwrap_or_else(|error| panic!("{vendor:?}: {error}"));
        assert_eq!(renewed.renew_till, tgt.renew_till, "{vendor:?}");
        assert_ne!(renewed.flags & ticket_flags::RENEWABLE, 0, "{vendor:?}");
    }
}

#[test]
fn pre_authentication_where_the_kdc_wants_it() {
    let realm: &'static Realm = Box::leak(Box::new(Realm::start(Vendor::Mit)));
    realm.admin(&[&format!("modprinc +requires_preauth {CLIENT}")]);
    let kdc = Kdc { realm, tcp: false };
    let tgt = kdc.log_in(AsOptions::new(alice()), password(PASSWORD), now());
    let flags = tgt.expect("a ticket").credential.flags;
    assert_ne!(flags & ticket_flags::PRE_AUTHENT, 0);
    let wrong = kdc.log_in(AsOptions::new(alice()), password("wrong"), now());
    assert_eq!(refusal(wrong), error_code::KDC_ERR_PREAUTH_FAILED);
}

#[test]
fn refusals_are_told() {
    for vendor in BOTH {
        let kdc = Kdc::of(vendor);
        let nobody = Principal::user("nobody", REALM);
        let refused = kdc.log_in(AsOptions::new(nobody.clone()), password("x"), now());
        assert_eq!(refusal(refused), error_code::KDC_ERR_C_PRINCIPAL_UNKNOWN);
        let tgt = kdc.log_in(AsOptions::new(alice()), password(PASSWORD), now());
        let tgt = tgt.expect("a ticket").credential;
        let refused = kdc.ticket(TgsOptions::new(tgt, nobody));
        assert_eq!(refusal(refused), error_code::KDC_ERR_S_PRINCIPAL_UNKNOWN);
    }
    // MIT's KDC answers without asking for proof, Heimdal's asks first.
    let wrong = |vendor| Kdc::of(vendor).log_in(AsOptions::new(alice()), password("wrong"), now());
    assert!(matches!(
        wrong(Vendor::Mit).err(),
        Some(ExchangeError::Reply(ReplyError::Secret(_)))
    ));
    assert_eq!(
        refusal(wrong(Vendor::Heimdal)),
        error_code::KDC_ERR_PREAUTH_FAILED
    );
}

#[test]
fn a_clock_two_hours_late_is_told_or_refused() {
    let late = now() - HOUR * 2;
    for vendor in BOTH {
        let kdc = Kdc::of(vendor);
        let obtained = kdc.log_in(AsOptions::new(alice()), password(PASSWORD), late);
        let offset = obtained.expect("a ticket").time_offset;
        let seconds = offset.expect("an offset").seconds;
        assert!((7200..7260).contains(&seconds), "{vendor:?}: {seconds}");
        let own = AsOptions {
            kdc_timesync: false,
            ..AsOptions::new(alice())
        };
        let refused = kdc.log_in(own, password(PASSWORD), late);
        assert!(refused.is_err(), "{vendor:?}");
    }
}
