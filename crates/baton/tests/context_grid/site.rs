//! A realm, and the sides of contexts in it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use baton::realm::DevelopmentRealm;
use baton::{
    Acceptor, Config, Context, Credential, Environment, Error, ExportOptions, Flags, HalfOpen,
    HalfOpenKeys, Handshake, Initiator, Name, ServiceKeys, Step, Store, Token,
};
use wire::time::Timestamp;

const REALM: &str = "EXAMPLE.TEST";
pub(crate) const OK: &str = "ok";

/// A realm, and what is got from it once.
pub(crate) struct World {
    realm: DevelopmentRealm,
    alice: Credential,
    keys: Credential,
    /// The service's own tickets.
    pub(crate) own: Credential,
}

impl World {
    pub(crate) fn new() -> Self {
        let realm = DevelopmentRealm::builder(REALM)
            .user("alice", "secret")
            .service("HTTP/localhost")
            .start()
            .unwrap();
        let env = realm.environment().unwrap();
        let web = Name::krb5_principal(&format!("HTTP/localhost@{REALM}"));
        let keytab = format!("FILE:{}", realm.keytab().display());
        Self {
            alice: realm.credential(&env, "alice").unwrap(),
            keys: realm.acceptor(&env).unwrap(),
            own: Credential::with_keytab(&env, &web, Some(&keytab)).unwrap(),
            realm,
        }
    }
}

/// Both sides of a context, in one environment with a clock of its own.
pub(crate) struct Site<'w> {
    pub(crate) world: &'w World,
    pub(crate) env: Environment,
    ahead: Arc<AtomicI64>,
}

impl<'w> Site<'w> {
    pub(crate) fn new(world: &'w World, transfers: bool) -> Self {
        let mut config = Config {
            store: Store::Memory,
            ..world.realm.config()
        };
        let key = ServiceKeys::parse("5a".repeat(32).as_bytes()).unwrap();
        config.transfer.half_open_keys = HalfOpenKeys::Given(Arc::new(key));
        config.transfer.enabled = transfers;
        let ahead = Arc::new(AtomicI64::new(0));
        let clock = Arc::clone(&ahead);
        let clock = move || {
            let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
            Timestamp::from_micros(since.as_micros() as i64 + clock.load(Ordering::Relaxed))
        };
        Self {
            world,
            env: Environment::with_clock(config, Arc::new(clock)).unwrap(),
            ahead,
        }
    }

    /// Longer than any ticket lives.
    pub(crate) fn pass(&self) {
        let month = Duration::from_secs(30 * 24 * 3600);
        self.ahead
            .fetch_add(month.as_micros() as i64, Ordering::Relaxed);
    }

    fn begin(&self, flags: Flags) -> (Vec<u8>, Handshake) {
        let target = Name::hostbased_service("HTTP@localhost");
        let flags = flags | Flags::MUTUAL | Flags::REPLAY | Flags::SEQUENCE;
        let begun = Initiator::new(&self.env, &self.world.alice, &target).flags(flags);
        match begun.start() {
            Ok(Step::Continue { token, next }) => (token, next),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn contexts(&self) -> (Context, Context) {
        let (token, next) = self.begin(Flags::DELEG);
        let acceptor = Acceptor::new(&self.env, &self.world.keys).keeping_evidence();
        let Ok(Step::Done { token, context }) = acceptor.step(&token) else {
            panic!("one step is enough")
        };
        let Ok(Step::Done { context: ours, .. }) = next.step(&token.unwrap()) else {
            panic!("established")
        };
        (ours, context)
    }

    /// One side that waits, and what it waits for: of DCE style, in which the acceptor waits too.
    pub(crate) fn half_open(&self, initiator: bool) -> (Handshake, Vec<u8>) {
        let (token, ours) = self.begin(Flags::DCE_STYLE);
        let accepted = Acceptor::new(&self.env, &self.world.keys).step(&token);
        let Ok(Step::Continue { token, next }) = accepted else {
            panic!("three legs")
        };
        if initiator {
            return (ours, token);
        }
        let Ok(Step::Done { token, .. }) = ours.step(&token) else {
            panic!("established")
        };
        (next, token.unwrap())
    }

    pub(crate) fn import(&self, token: &Token, initiator: bool) -> Result<Handshake, Error> {
        match initiator {
            true => Handshake::import(&self.env, token, None),
            false => Acceptor::new(&self.env, &self.world.keys).import(token),
        }
    }
}

pub(crate) fn half_open(of: HalfOpen) -> ExportOptions {
    ExportOptions::default().half_open(of)
}

pub(crate) fn both() -> ExportOptions {
    half_open(HalfOpen::BothSides)
}

pub(crate) fn outcome<T>(result: Result<T, Error>) -> String {
    match result {
        Ok(_) => OK.to_owned(),
        Err(error) => format!("{:?}", error.major()),
    }
}
