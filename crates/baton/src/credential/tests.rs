//! What happens to a cache while its tickets are being used, and threads that use them at once.

use std::fs;
use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use krb5::formats::ccache::CredentialCache;
use krb5::formats::settings::Settings;
use krb5::principal::Principal;
use krb5_crypto::Enctype;
use tempfile::TempDir;
use wire::time::Timestamp;

use super::tickets::{Place, Tickets};
use super::{CredentialError, acquire};
use crate::config::{Config, Store};
use crate::environment::Environment;
use crate::host::kdc::{Blocking, Endpoint, Io, LocateError, Waiting, at_once};
use crate::realm::DevelopmentRealm;

const REALM: &str = "EXAMPLE.TEST";

/// A realm, a cache, and a client keytab with the key of `robot`.
struct Site {
    realm: DevelopmentRealm,
    home: TempDir,
    env: Environment,
    ahead: Arc<AtomicI64>,
}

impl Site {
    fn new() -> Self {
        let realm = DevelopmentRealm::builder(REALM)
            .user("alice", "secret")
            .service("robot")
            .start()
            .unwrap();
        let home = tempfile::tempdir().unwrap();
        let config = Config {
            client_keytab: Some(format!("FILE:{}", realm.keytab().display())),
            store: Store::Memory,
            ..realm.config()
        };
        let ahead = Arc::<AtomicI64>::default();
        let moved = Arc::clone(&ahead);
        let clock = move || {
            let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
            Timestamp::from_micros(since.as_micros() as i64 + moved.load(Ordering::Relaxed))
        };
        let env = Environment::with_clock(config, Arc::new(clock)).unwrap();
        Self {
            realm,
            home,
            env,
            ahead,
        }
    }

    fn cache(&self) -> PathBuf {
        self.home.path().join("cc")
    }

    /// Those of `robot`, in a file.
    fn tickets(&self) -> Tickets {
        let name = format!("FILE:{}", self.cache().display());
        let place: Place = acquire::place(&self.env, Some(&name)).unwrap();
        let robot = Principal::user("robot", REALM);
        let tickets = Tickets::new(Some(robot), place, None, None);
        at_once(tickets.identity(Blocking, &self.env, None)).unwrap();
        tickets
    }

    /// Makes the cache alice's.
    fn becomes_alices(&self) {
        let alice = self.realm.credential(&self.env, "alice").unwrap();
        let bytes = alice.tickets().unwrap().encode().unwrap();
        fs::write(self.cache(), &*bytes).unwrap();
    }

    fn contents(&self) -> CredentialCache {
        CredentialCache::parse(&fs::read(self.cache()).unwrap()).unwrap()
    }

    /// Three quarters of the tickets' life.
    fn pass(&self) {
        let contents = self.contents();
        let ticket = contents.tickets().next().unwrap();
        let life = ticket.endtime.micros() - ticket.authtime.micros();
        self.ahead.fetch_add(life * 3 / 4, Ordering::Relaxed);
    }
}

/// Does something whenever the KDCs of a realm are looked for, which is once an exchange.
#[derive(Clone, Copy)]
struct Meanwhile<'a>(&'a (dyn Fn() + Sync));

impl Io for Meanwhile<'_> {
    fn ready(
        self,
        sockets: &[Waiting<'_>],
        until: Instant,
    ) -> impl Future<Output = io::Result<Vec<bool>>> + Send {
        Blocking.ready(sockets, until)
    }

    fn locate(
        self,
        settings: &Settings,
        realm: &[u8],
        deadline: Instant,
    ) -> impl Future<Output = Result<Vec<Endpoint>, LocateError>> + Send {
        (self.0)();
        Blocking.locate(settings, realm, deadline)
    }
}

#[test]
fn a_cache_that_has_become_anothers_delegates_nothing() {
    let site = Site::new();
    let tickets = site.tickets();
    let target = Principal::user("robot", REALM);
    let enctype = Enctype::from_number(18).unwrap();
    let forward = || at_once(tickets.forwarded(Blocking, &site.env, &target, enctype));
    assert_eq!(forward().unwrap().client, target);
    site.becomes_alices();
    let error = forward().err();
    assert!(
        matches!(error, Some(CredentialError::CacheChanged { .. })),
        "{error:?}"
    );
}

#[test]
fn a_cache_that_becomes_anothers_while_tickets_are_got_stays_so() {
    let site = Site::new();
    let tickets = site.tickets();
    site.pass();
    let begun = AtomicUsize::new(0);
    let change = || {
        begun.fetch_add(1, Ordering::Relaxed);
        site.becomes_alices();
    };
    let known = at_once(tickets.identity(Meanwhile(&change), &site.env, None)).unwrap();
    assert_eq!(begun.load(Ordering::Relaxed), 1);
    assert_eq!(site.contents().principal.to_string(), "alice@EXAMPLE.TEST");
    let error = known.contents().err();
    assert!(
        matches!(error, Some(CredentialError::CacheChanged { .. })),
        "{error:?}"
    );
}

#[test]
fn of_threads_that_find_tickets_due_one_gets_them() {
    let site = Site::new();
    let tickets = site.tickets();
    site.pass();
    let begun = AtomicUsize::new(0);
    let second = || {
        if begun.fetch_add(1, Ordering::Relaxed) == 0 {
            // The second has read the cache before the first noted in it that it gets tickets.
            let mut contents = site.contents();
            contents.set_config("refresh_time", None, b"1");
            fs::write(site.cache(), &*contents.encode().unwrap()).unwrap();
            let count = || _ = begun.fetch_add(1, Ordering::Relaxed);
            at_once(tickets.identity(Meanwhile(&count), &site.env, None)).unwrap();
        }
    };
    at_once(tickets.identity(Meanwhile(&second), &site.env, None)).unwrap();
    assert_eq!(begun.load(Ordering::Relaxed), 1);
    // The next ones get theirs in their turn.
    site.pass();
    let count = || _ = begun.fetch_add(1, Ordering::Relaxed);
    at_once(tickets.identity(Meanwhile(&count), &site.env, None)).unwrap();
    assert_eq!(begun.load(Ordering::Relaxed), 2);
}

/// Nobody who could have tickets goes on with those that are over.
#[test]
fn where_the_tickets_have_ended_each_thread_gets_them() {
    let site = Site::new();
    let tickets = site.tickets();
    site.ahead.fetch_add(
        Duration::from_secs(30 * 24 * 3600).as_micros() as i64,
        Ordering::Relaxed,
    );
    let begun = AtomicUsize::new(0);
    let second = || {
        // The first has not got them yet.
        if begun.fetch_add(1, Ordering::Relaxed) == 0 {
            let count = || _ = begun.fetch_add(1, Ordering::Relaxed);
            at_once(tickets.identity(Meanwhile(&count), &site.env, None)).unwrap();
        }
    };
    at_once(tickets.identity(Meanwhile(&second), &site.env, None)).unwrap();
    assert_eq!(begun.load(Ordering::Relaxed), 2);
}
