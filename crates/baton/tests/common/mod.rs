//! What the tests share: a service's key and tickets for it made by hand, contexts, and processes.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test file uses its own part"
)]

pub mod log;
pub mod memory;
pub mod negotiation;
pub mod process;

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use baton::{
    Acceptor, Config, Context, Credential, Environment, Flags, HalfOpenKeys, Handshake, Initiator,
    Name, Step, Store, Transfer,
};
use krb5::formats::ccache::{CachedKey, Credential as Ticket, CredentialCache};
use krb5::formats::keytab::{Keytab, KeytabEntry};
use krb5::formats::settings::Settings;
use krb5::messages::{
    EncTicketPart, EncryptedData, Ticket as TicketMessage, TransitedEncoding, encrypt, ticket_flags,
};
use krb5::principal::Principal;
use krb5_crypto::{Enctype, Key};
use wire::der::{Const, GeneralString};
use wire::random::Random;
use wire::time::Timestamp;

pub const REALM: &str = "EXAMPLE.TEST";

pub struct Kernel;

impl Random for Kernel {
    fn fill(&self, out: &mut [u8]) {
        getrandom::fill(out).unwrap();
    }
}

pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Timestamp::from_micros(since.as_micros() as i64)
}

/// A clock that a test moves.
#[derive(Clone, Default)]
pub struct Clock(Arc<AtomicI64>);

impl Clock {
    pub fn pass(&self, time: Duration) {
        self.0.fetch_add(time.as_micros() as i64, Ordering::Relaxed);
    }

    pub fn shared(&self) -> Arc<dyn wire::time::Clock> {
        let ahead = Arc::clone(&self.0);
        Arc::new(move || now() + Duration::from_micros(ahead.load(Ordering::Relaxed) as u64))
    }
}

/// A realm without a KDC: whoever knows the service's key can make tickets for it.
pub struct Site {
    pub env: Environment,
    pub clock: Clock,
    pub enctype: i32,
    pub lifetime: Duration,
    pub flags: Flags,
}

impl Site {
    pub fn new(config: Config) -> Self {
        let clock = Clock::default();
        let config = Config {
            settings: Some(settings()),
            ..config
        };
        Self {
            env: Environment::with_clock(config, clock.shared()).unwrap(),
            clock,
            enctype: 18,
            lifetime: Duration::from_secs(3600),
            flags: Flags::MUTUAL | Flags::REPLAY | Flags::SEQUENCE,
        }
    }

    pub fn in_memory() -> Self {
        Self::new(Config {
            store: Store::Memory,
            ..Config::default()
        })
    }

    pub fn in_directory(directory: &Path) -> Self {
        Self::new(in_directory(directory))
    }

    /// Client and server of one new context, whose messages are under a key of this site's enctype.
    pub fn contexts(&self) -> (Context, Context) {
        let (client, server) = self.established();
        for context in [&client, &server] {
            assert_eq!(context.session_key().unwrap().enctype, self.enctype);
        }
        (client, server)
    }

    fn established(&self) -> (Context, Context) {
        let (token, next) = self.begin();
        let Ok(Step::Done { token, context }) =
            Acceptor::new(&self.env, &acceptor(self.enctype)).step(&token)
        else {
            panic!("not accepted")
        };
        let server = context;
        match next {
            Begun::Done(client) => (client, server),
            Begun::Waits(next) => {
                let Ok(Step::Done { context, .. }) = next.step(&token.unwrap()) else {
                    panic!("the answer was refused")
                };
                (context, server)
            }
        }
    }

    /// A client's first token.
    pub fn begin(&self) -> (Vec<u8>, Begun) {
        let client = self.client("alice");
        let name = Name::hostbased_service("host@a.example.test");
        let step = Initiator::new(&self.env, &client, &name)
            .flags(self.flags)
            .start()
            .unwrap();
        match step {
            Step::Continue { token, next } => (token, Begun::Waits(next)),
            Step::Done { token, context } => (token.unwrap(), Begun::Done(context)),
        }
    }

    /// Begins a context as `initiator` says: the first token, and who waits for the answer.
    pub fn start(
        &self,
        initiator: impl FnOnce(Initiator<'_>) -> Initiator<'_>,
    ) -> (Vec<u8>, Handshake) {
        let client = self.client("alice");
        let name = Name::hostbased_service("host@a.example.test");
        let begun = Initiator::new(&self.env, &client, &name).flags(self.flags);
        match initiator(begun).start() {
            Ok(Step::Continue { token, next }) => (token, next),
            other => panic!("{other:?}"),
        }
    }

    /// A ticket of alice's for the service.
    pub fn service_ticket(&self) -> gss_krb5::ServiceTicket {
        let client = Principal::user("alice", REALM);
        let start = Timestamp::from_seconds(now().seconds());
        let end = start + self.lifetime;
        let enctype = Enctype::from_number(self.enctype).unwrap();
        let session = Arc::new(enctype.random_key(&Kernel));
        gss_krb5::ServiceTicket {
            ticket: ticket(&client, &session, start, end, self.enctype),
            client,
            server: service(),
            key: session,
            authtime: start,
            endtime: end,
            flags: ticket_flags::INITIAL | ticket_flags::PRE_AUTHENT,
            time_offset: krb5::formats::ccache::TimeOffset::default(),
        }
    }

    pub fn client(&self, name: &str) -> Credential {
        let client = Principal::user(name, REALM);
        let start = Timestamp::from_seconds(now().seconds());
        let mut cache = CredentialCache::new(client.clone());
        let enctype = Enctype::from_number(self.enctype).unwrap();
        let session = Arc::new(enctype.random_key(&Kernel));
        cache.credentials.push(Ticket {
            client: client.clone(),
            server: service(),
            key: CachedKey::Key(Arc::clone(&session)),
            authtime: start,
            starttime: start,
            endtime: start + self.lifetime,
            renew_till: Timestamp::default(),
            is_skey: false,
            flags: ticket_flags::INITIAL | ticket_flags::PRE_AUTHENT,
            addresses: Vec::new(),
            authdata: Vec::new(),
            ticket: ticket(
                &client,
                &session,
                start,
                start + self.lifetime,
                self.enctype,
            ),
            second_ticket: Vec::new(),
        });
        let cred = Credential::from_cache(&cache).unwrap();
        cred.with_enctypes(&[self.enctype]).unwrap()
    }
}

pub enum Begun {
    Waits(baton::Handshake),
    Done(Context),
}

/// Where those who share the store in `directory` have their keys for half-open handshakes, if a test puts them there.
pub fn keys_file(directory: &Path) -> PathBuf {
    directory.join("half-open-keys")
}

/// Writes the keys of these bytes, the newest first.
pub fn write_keys(directory: &Path, bytes: &[u8]) {
    let lines: Vec<String> = (bytes.iter())
        .map(|byte| format!("{byte:02x}").repeat(32))
        .collect();
    write_key_text(directory, &lines.join("\n"));
}

pub fn write_key_text(directory: &Path, text: &str) {
    let fresh = keys_file(directory).with_extension("new");
    let mut options = std::fs::OpenOptions::new();
    let options = options.write(true).create(true).truncate(true).mode(0o600);
    let mut file = options.open(&fresh).unwrap();
    file.write_all(text.as_bytes()).unwrap();
    std::fs::rename(fresh, keys_file(directory)).unwrap();
}

pub fn in_directory(directory: &Path) -> Config {
    Config {
        store: Store::File {
            directory: Some(directory.to_owned()),
        },
        transfer: Transfer {
            half_open_keys: HalfOpenKeys::File(keys_file(directory)),
            ..Transfer::default()
        },
        settings: Some(settings()),
        ..Config::default()
    }
}

pub fn settings() -> Settings {
    Settings {
        default_realm: Some(REALM.into()),
        ..Settings::default()
    }
}

fn service() -> Principal {
    Principal::service("host", "a.example.test", REALM)
}

fn service_key(enctype: i32) -> Key {
    let enctype = Enctype::from_number(enctype).unwrap();
    Key::new(enctype, &vec![0x42; enctype.key_length()]).unwrap()
}

/// The service, with a key of `enctype` and contexts of no other: an acceptor chooses its subkey's among all that both sides
/// permit (RFC 4537).
pub fn acceptor(enctype: i32) -> Credential {
    acceptor_as(service(), enctype)
}

/// The same, of another service.
pub fn acceptor_of(principal: &str, enctype: i32) -> Credential {
    acceptor_as(Principal::parse(principal, None).unwrap(), enctype)
}

fn acceptor_as(principal: Principal, enctype: i32) -> Credential {
    let keytab = Keytab {
        entries: vec![KeytabEntry {
            principal,
            timestamp: Timestamp::default(),
            kvno: 1,
            key: Arc::new(service_key(enctype)),
        }],
        others: Vec::new(),
    };
    let cred = Credential::from_keytab(Arc::new(keytab));
    cred.with_enctypes(&[enctype]).unwrap()
}

fn ticket(
    client: &Principal,
    session: &Key,
    start: Timestamp,
    end: Timestamp,
    enctype: i32,
) -> Vec<u8> {
    let (key, server) = (service_key(enctype), service());
    let part = EncTicketPart {
        flags: wire::der::Flags::from_bits(ticket_flags::INITIAL | ticket_flags::PRE_AUTHENT),
        key: session.into(),
        crealm: GeneralString(client.realm()),
        cname: client.into(),
        transited: TransitedEncoding {
            tr_type: 1,
            contents: &[],
        },
        authtime: start.into(),
        starttime: Some(start.into()),
        endtime: end.into(),
        renew_till: None,
        caddr: None,
        authorization_data: None,
    };
    let cipher = encrypt(&part, &key, &Kernel);
    TicketMessage {
        tkt_vno: Const,
        realm: GeneralString(server.realm()),
        sname: (&server).into(),
        enc_part: EncryptedData::new(&key, Some(1), &cipher),
    }
    .encode()
}

/// The client and the server still understand each other, both ways.
pub fn converse(client: &Context, server: &Context) {
    for (from, to) in [(client, server), (server, client)] {
        let sealed = from.wrap(true, b"a secret").unwrap();
        let message = to.unwrap(&sealed).unwrap();
        assert_eq!(message.data, b"a secret");
        assert_eq!(message.order, baton::Order::InOrder);
        assert!(message.confidential);
        let mic = from.get_mic(b"signed").unwrap();
        assert_eq!(
            to.verify_mic(b"signed", &mic).unwrap(),
            baton::Order::InOrder
        );
    }
}

/// A directory for a file store: on tmpfs, as deposits want it, and ours alone.
pub fn store_directory() -> tempfile::TempDir {
    let place = if Path::new("/dev/shm").is_dir() {
        "/dev/shm"
    } else {
        "/tmp"
    };
    tempfile::Builder::new()
        .prefix("baton-test-")
        .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700))
        .tempdir_in(place)
        .unwrap()
}
