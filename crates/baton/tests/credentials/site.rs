//! A development realm, and files of a user in a directory of the test's own.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use baton::kerberos::ccache::CredentialCache;
use baton::kerberos::keytab::Keytab;
use baton::realm::DevelopmentRealm;
use baton::{Config, Credential, Environment, Error, Major, Name, Store};
use tempfile::TempDir;
use wire::time::Timestamp;

pub(crate) const REALM: &str = "EXAMPLE.TEST";

/// A realm of two users, two services and two programs that have keys, and a user's home.
pub(crate) struct Site {
    pub(crate) realm: Arc<DevelopmentRealm>,
    home: TempDir,
    ahead: Arc<AtomicI64>,
}

pub(crate) fn name(text: &str) -> Name {
    Name::krb5_principal(&format!("{text}@{REALM}"))
}

pub(crate) fn web() -> Name {
    Name::hostbased_service("HTTP@localhost")
}

impl Site {
    pub(crate) fn new() -> Self {
        let realm = DevelopmentRealm::builder(REALM)
            .user("alice", "alice's")
            .user("bob", "bob's")
            .service("HTTP/localhost")
            .service("host/localhost")
            .service("robot")
            .service("second")
            .enctypes([18, 17])
            .start()
            .unwrap();
        Self::in_realm(&Arc::new(realm))
    }

    /// Another user's home in a realm that is there.
    pub(crate) fn in_realm(realm: &Arc<DevelopmentRealm>) -> Self {
        Self {
            realm: Arc::clone(realm),
            home: tempfile::tempdir().unwrap(),
            ahead: Arc::default(),
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// Such as `FILE:/home/x`.
    pub(crate) fn named(&self, kind: &str, name: &str) -> String {
        format!("{kind}:{}", self.path(name).display())
    }

    /// Nothing of the host's user or its configuration is looked at.
    pub(crate) fn config(&self) -> Config {
        Config {
            ccache: Some(self.named("FILE", "cc")),
            client_keytab: Some(self.named("FILE", "client.keytab")),
            k5identity: Some(self.path(".k5identity")),
            store: Store::Memory,
            ..self.realm.config()
        }
    }

    pub(crate) fn env(&self) -> Environment {
        self.env_of(self.config())
    }

    /// By a clock that can be [moved](Self::pass).
    pub(crate) fn env_of(&self, config: Config) -> Environment {
        let ahead = Arc::clone(&self.ahead);
        let clock = move || {
            let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
            let ahead = ahead.load(Ordering::Relaxed);
            Timestamp::from_micros(since.as_micros() as i64 + ahead)
        };
        Environment::with_clock(config, Arc::new(clock)).unwrap()
    }

    pub(crate) fn pass(&self, time: Duration) {
        self.ahead
            .fetch_add(time.as_micros() as i64, Ordering::Relaxed);
    }

    /// The keys of just these principals, in a file.
    pub(crate) fn keytab(&self, file: &str, of: &[&str]) -> String {
        let bytes = fs::read(self.realm.keytab()).unwrap();
        let mut keytab = Keytab::parse(&bytes).unwrap();
        let wanted: Vec<String> = of.iter().map(|name| format!("{name}@{REALM}")).collect();
        let place = |entry: &str| wanted.iter().position(|name| name == entry);
        keytab
            .entries
            .retain(|entry| place(&entry.principal.to_string()).is_some());
        keytab
            .entries
            .sort_by_key(|entry| place(&entry.principal.to_string()));
        fs::write(self.path(file), &*keytab.encode().unwrap()).unwrap();
        self.named("FILE", file)
    }

    /// A ticket-granting ticket of a user.
    pub(crate) fn user(&self, env: &Environment, user: &str) -> Credential {
        self.realm.credential(env, user).unwrap()
    }

    /// What is in the cache of that name.
    pub(crate) fn read(&self, file: &str) -> CredentialCache {
        CredentialCache::parse(&fs::read(self.path(file)).unwrap()).unwrap()
    }
}

/// A step's result, for tables.
pub(crate) fn outcome<T>(result: Result<T, Error>) -> String {
    match result {
        Ok(_) => "ok".to_owned(),
        Err(error) => short(error.major()).to_owned(),
    }
}

pub(crate) fn short(major: Major) -> &'static str {
    match major {
        Major::NoCred => "NO_CRED",
        Major::BadMech => "BAD_MECH",
        Major::BadName => "BAD_NAME",
        Major::Failure => "FAILURE",
        Major::CredentialsExpired => "EXPIRED",
        Major::DuplicateElement => "DUPLICATE",
        Major::DefectiveCredential => "DEFECTIVE_CRED",
        Major::DefectiveToken => "DEFECTIVE_TOKEN",
        Major::Unavailable => "UNAVAILABLE",
        _ => "another",
    }
}
