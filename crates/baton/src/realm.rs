//! A development realm: a KDC in memory on loopback, for demonstrations and for tests, of other people's software too.
//!
//! **Not for production**: it keeps its keys in this process and in files that anybody who runs as this user can read, knows no
//! administration, no password policy and no lockout, and forgets everything when it ends.
//!
//! ```
//! use baton::realm::DevelopmentRealm;
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let realm = DevelopmentRealm::builder("EXAMPLE.TEST")
//!     .user("alice", "secret")
//!     .service("HTTP/localhost")
//!     .start()?;
//! // `realm.krb5_conf()` and `realm.keytab()` are files that any Kerberos program can use, MIT's too.
//! let env = realm.environment()?;
//! let (client, server) = realm.contexts(&env, "alice", "HTTP/localhost")?;
//! let sealed = client.wrap(true, b"hello")?;
//! assert_eq!(server.unwrap(&sealed)?.data, b"hello");
//! # Ok(())
//! # }
//! ```

mod files;
mod server;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use gss_core::error::{Error, Major};
use krb5::formats::settings::DEFAULT_ENCTYPES;
use krb5::kdc::{Kdc, Policy, Principals};
use krb5::principal::{Principal, PrincipalError};
use krb5_crypto::{CryptoError, Enctype};
use wire::time::Clock;

use crate::world::{SystemClock, SystemRandom};
use crate::{Acceptor, Config, Context, Credential, Environment, Initiator, Name, Step, Store};
use files::Files;
use server::{MAX_DATAGRAM, Server, Way};

/// What a development realm will consist of.
#[derive(Clone)]
pub struct Builder {
    realm: String,
    directory: Option<PathBuf>,
    address: SocketAddr,
    users: Vec<(String, String)>,
    services: Vec<String>,
    enctypes: Vec<i32>,
    trusts: Vec<(String, String)>,
    delegations: Vec<(String, String)>,
}

/// A development realm that serves until this value is dropped. See the [module](self): **not for production**.
pub struct DevelopmentRealm {
    name: String,
    kdc: Arc<RwLock<Kdc>>,
    enctypes: Vec<&'static Enctype>,
    users: Vec<(String, String)>,
    services: Vec<Principal>,
    files: Files,
    server: Server,
}

/// Why a development realm does not start, or does not do what it is asked to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RealmError {
    /// The socket or the files.
    #[error("cannot {doing}")]
    Io {
        /// What.
        doing: &'static str,
        /// Why not.
        #[source]
        cause: io::Error,
    },
    /// A name that is no principal's.
    #[error("`{name}` is not a principal's name")]
    Name {
        /// The name.
        name: String,
        /// Why not.
        #[source]
        cause: PrincipalError,
    },
    /// An enctype that is not supported.
    #[error("enctype {0} is not supported")]
    Enctype(i32),
    /// A password that cannot be made a key.
    #[error("the password of `{name}` cannot be made a key")]
    Password {
        /// Whose.
        name: String,
        /// Why not.
        #[source]
        cause: CryptoError,
    },
    /// A user or service that the realm does not have.
    #[error("the realm has no `{0}`")]
    Unknown(String),
    /// The keytab cannot be written.
    #[error("cannot write the keytab")]
    Keytab(#[source] krb5::formats::keytab::KeytabError),
}

impl From<RealmError> for Error {
    fn from(error: RealmError) -> Self {
        Self::new(Major::Failure, error)
    }
}

impl Builder {
    /// Adds a user with a password.
    #[must_use]
    pub fn user(mut self, name: impl Into<String>, password: impl Into<String>) -> Self {
        self.users.push((name.into(), password.into()));
        self
    }

    /// Adds a service (`HTTP/localhost`), with a random key that goes into the keytab.
    #[must_use]
    pub fn service(mut self, name: impl Into<String>) -> Self {
        self.services.push(name.into());
        self
    }

    /// Shares keys made of a password with another realm, which must do the same: users of each then reach services of
    /// the other.
    #[must_use]
    pub fn trust(mut self, realm: impl Into<String>, password: impl Into<String>) -> Self {
        self.trusts.push((realm.into(), password.into()));
        self
    }

    /// Lets a service act in any user's name towards another one: [`Credential::impersonate`].
    #[must_use]
    pub fn delegation(mut self, service: impl Into<String>, target: impl Into<String>) -> Self {
        self.delegations.push((service.into(), target.into()));
        self
    }

    /// Enctypes of keys, by number, instead of all four: tickets and session keys are of the first one.
    #[must_use]
    pub fn enctypes(mut self, enctypes: impl Into<Vec<i32>>) -> Self {
        self.enctypes = enctypes.into();
        self
    }

    /// Where to serve, instead of any free port of 127.0.0.1.
    #[must_use]
    pub fn address(mut self, address: SocketAddr) -> Self {
        self.address = address;
        self
    }

    /// Where to write `krb5.conf` and the keytab, instead of a new directory that ends with the realm.
    #[must_use]
    pub fn directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.directory = Some(directory.into());
        self
    }

    /// Starts the realm.
    pub fn start(self) -> Result<DevelopmentRealm, Error> {
        Ok(self.try_start()?)
    }

    fn try_start(self) -> Result<DevelopmentRealm, RealmError> {
        let known =
            |number: &i32| Enctype::from_number(*number).ok_or(RealmError::Enctype(*number));
        let enctypes: Vec<&'static Enctype> =
            self.enctypes.iter().map(known).collect::<Result<_, _>>()?;
        let mut principals = Principals::new(&self.realm, &enctypes, &SystemRandom);
        for (name, password) in &self.users {
            let user = principal(name, &self.realm)?;
            principals
                .add_password(user, password.as_bytes(), &enctypes)
                .map_err(|cause| RealmError::Password {
                    name: name.clone(),
                    cause,
                })?;
        }
        let mut services = Vec::new();
        for name in &self.services {
            let service = principal(name, &self.realm)?;
            principals.add_random(service.clone(), &enctypes, &SystemRandom);
            services.push(service);
        }
        for (with, password) in &self.trusts {
            principals
                .add_trust(with, password.as_bytes(), &enctypes)
                .map_err(|cause| RealmError::Password {
                    name: with.clone(),
                    cause,
                })?;
        }
        for (service, target) in &self.delegations {
            let service = principal(service, &self.realm)?;
            let target = principal(target, &self.realm)?;
            let delegations = principals.delegations_mut();
            delegations.trust(service.clone());
            delegations.allow(service, target);
        }
        let kdc = Arc::new(RwLock::new(Kdc::new(principals, Policy::default())));
        let server = serve(self.address, Arc::clone(&kdc)).map_err(|cause| RealmError::Io {
            doing: "serve the development realm",
            cause,
        })?;
        let files = Files::new(self.directory).map_err(|cause| RealmError::Io {
            doing: "make the realm's directory",
            cause,
        })?;
        let realm = DevelopmentRealm {
            name: self.realm,
            kdc,
            enctypes,
            users: self.users,
            services,
            files,
            server,
        };
        realm.write_configuration()?;
        realm.write_keytab()?;
        Ok(realm)
    }
}

fn principal(name: &str, realm: &str) -> Result<Principal, RealmError> {
    Principal::parse(name, Some(realm)).map_err(|cause| RealmError::Name {
        name: name.to_owned(),
        cause,
    })
}

fn serve(address: SocketAddr, kdc: Arc<RwLock<Kdc>>) -> io::Result<Server> {
    Server::start(
        address,
        Arc::new(move |request, way| {
            let kdc = kdc.read().unwrap_or_else(PoisonError::into_inner);
            let now = SystemClock.now();
            match way {
                Way::Datagram => kdc.reply_within(MAX_DATAGRAM, request, now, &SystemRandom),
                Way::Stream => kdc.reply(request, now, &SystemRandom),
            }
        }),
    )
}

impl DevelopmentRealm {
    /// Begins to describe a realm called `realm`.
    pub fn builder(realm: impl Into<String>) -> Builder {
        Builder {
            realm: realm.into(),
            directory: None,
            address: (Ipv4Addr::LOCALHOST, 0).into(),
            users: Vec::new(),
            services: Vec::new(),
            trusts: Vec::new(),
            delegations: Vec::new(),
            enctypes: DEFAULT_ENCTYPES
                .iter()
                .map(|enctype| enctype.number())
                .collect(),
        }
    }

    /// The realm's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it serves, over UDP and TCP.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// A `krb5.conf` for the realm.
    pub fn krb5_conf(&self) -> &Path {
        self.files.krb5_conf()
    }

    /// The keytab of all its services.
    pub fn keytab(&self) -> &Path {
        self.files.keytab()
    }

    /// A configuration for the realm, with the once-store of this user's processes.
    pub fn config(&self) -> Config {
        Config {
            krb5_conf: vec![self.krb5_conf().to_owned()],
            keytab: Some(format!("FILE:{}", self.keytab().display())),
            ..Config::default()
        }
    }

    /// An environment for the realm, with a once-store in this process's memory.
    pub fn environment(&self) -> Result<Environment, Error> {
        Environment::new(Config {
            store: Store::Memory,
            ..self.config()
        })
    }

    /// The credential of one of the realm's users: an initial ticket, got with the password.
    pub fn credential(&self, env: &Environment, user: &str) -> Result<Credential, Error> {
        let found = self.users.iter().find(|(name, _)| name == user);
        let (name, password) = found.ok_or_else(|| RealmError::Unknown(user.to_owned()))?;
        let name = Name::krb5_principal(&principal(name, &self.name)?.to_string());
        Credential::with_password(env, &name, password)
    }

    /// The credential of the realm's services.
    pub fn acceptor(&self, env: &Environment) -> Result<Credential, Error> {
        let keytab = format!("FILE:{}", self.keytab().display());
        Credential::acceptor(env, Some(&keytab))
    }

    /// A context between a user and a service with both of its sides in this process, for trying things out: the user's side first.
    pub fn contexts(
        &self,
        env: &Environment,
        user: &str,
        service: &str,
    ) -> Result<(Context, Context), Error> {
        let (client, server) = (self.credential(env, user)?, self.acceptor(env)?);
        let name = Name::krb5_principal(&principal(service, &self.name)?.to_string());
        let begun = Initiator::new(env, &client, &name).start()?;
        let (token, next) = match begun {
            Step::Continue { token, next } => (token, next),
            Step::Done { .. } => return Err(RealmError::Unknown(service.to_owned()).into()),
        };
        let accepted = Acceptor::new(env, &server).step(&token);
        match accepted.map_err(|failure| failure.error)? {
            Step::Done {
                token: Some(answer),
                context: server,
            } => match next.step(&answer).map_err(|failure| failure.error)? {
                Step::Done { context, .. } => Ok((context, server)),
                Step::Continue { .. } => Err(RealmError::Unknown(service.to_owned()).into()),
            },
            _ => Err(RealmError::Unknown(service.to_owned()).into()),
        }
    }

    /// Gives `service` a new key of the next version and writes the keytab anew, old keys and all: tickets that are about still
    /// work.
    pub fn rotate_key(&self, service: &str) -> Result<(), Error> {
        let wanted = principal(service, &self.name)?;
        if !self.services.contains(&wanted) {
            return Err(RealmError::Unknown(service.to_owned()).into());
        }
        // The keytab first: no ticket is to be about that it cannot open. Both happen under the lock.
        let mut kdc = self.kdc.write().unwrap_or_else(PoisonError::into_inner);
        kdc.principals_mut()
            .add_random(wanted, &self.enctypes, &SystemRandom);
        Ok(self.files.write_keytab(kdc.principals(), &self.services)?)
    }

    fn write_configuration(&self) -> Result<(), RealmError> {
        self.files.write_krb5_conf(&self.name, self.address())
    }

    fn write_keytab(&self) -> Result<(), RealmError> {
        let kdc = self.kdc.read().unwrap_or_else(PoisonError::into_inner);
        self.files.write_keytab(kdc.principals(), &self.services)
    }
}

/// The realm and its users, without passwords.
impl std::fmt::Debug for DevelopmentRealm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DevelopmentRealm")
            .field("name", &self.name)
            .field("address", &self.address())
            .field("services", &self.services)
            .finish_non_exhaustive()
    }
}
