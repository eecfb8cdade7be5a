//! Credentials: whose keys an acceptor has, whose tickets an initiator has.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use gss_core::error::{Error, Major};
use gss_core::name::Name;
use gss_krb5::{AcceptorCred, ServiceTicket};
use krb5::exchange::ap::Acceptable;
use krb5::formats::ccache::CredentialCache;
use krb5::formats::keytab::Keytab;
use krb5::principal::Principal;
use zeroize::Zeroizing;

use crate::environment::Environment;
use crate::host::ccache::{CcacheStore, CcacheStoreError};
#[cfg(feature = "tokio")]
use crate::host::kdc::Tokio;
use crate::host::kdc::{Blocking, Io, at_once};
use crate::host::keytab::{KeytabFile, KeytabFileError};
use crate::host::names::{self as places, KeytabName, NameProblem};
use crate::host::tickets::{Client, InitialOptions, Secret, TicketError, keys_of};
use crate::host::user::User;
use crate::names;

/// Whose keys an acceptor has, or whose tickets an initiator has. Cheap to clone; clones share their tickets.
///
/// ```
/// use baton::{Credential, Name};
/// # use baton::realm::DevelopmentRealm;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let realm = DevelopmentRealm::builder("EXAMPLE.TEST").user("alice", "secret").service("HTTP/localhost").start()?;
/// # let env = realm.environment()?;
/// let service = Credential::acceptor(&env, None)?; // the keytab that the configuration names
/// let name = Name::krb5_principal("alice@EXAMPLE.TEST");
/// let alice = Credential::with_password(&env, &name, "secret")?;
/// assert_eq!(alice.name().unwrap().to_string(), "alice@EXAMPLE.TEST");
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Credential(Arc<Kind>);

enum Kind {
    /// To accept with.
    Keys {
        keys: Keys,
        principal: Option<Principal>,
    },
    /// To initiate with.
    Tickets {
        cache: CcacheStore,
        client: Principal,
        /// A cache in memory that ends with this credential.
        own: bool,
    },
}

enum Keys {
    File(KeytabFile),
    Given(Arc<Keytab>),
}

impl Credential {
    /// The keys of a keytab file: the one named (`FILE:/etc/krb5.keytab`), else the configured one, else the host's. It is
    /// looked at anew at each accept.
    pub fn acceptor(env: &Environment, keytab: Option<&str>) -> Result<Self, Error> {
        let explicit = keytab.or(env.config().keytab.as_deref());
        let name = places::keytab(explicit, env.settings(), &User::current());
        let file = KeytabFile::new(keytab_path(name.map_err(CredentialError::Place)?)?);
        // A keytab that is not there is better learned now than at the first client.
        file.current().map_err(CredentialError::Keytab)?;
        Ok(Self::keys(Keys::File(file)))
    }

    /// The keys in `keytab`, which the program got in its own way.
    pub fn from_keytab(keytab: Arc<Keytab>) -> Self {
        Self::keys(Keys::Given(keytab))
    }

    fn keys(keys: Keys) -> Self {
        Self(Arc::new(Kind::Keys {
            keys,
            principal: None,
        }))
    }

    /// The same acceptor's credential, for the one service `name` alone.
    pub fn for_service(&self, env: &Environment, name: &Name) -> Result<Self, Error> {
        let wanted = env.principal(name)?;
        match &*self.0 {
            Kind::Keys { keys, .. } => Ok(Self(Arc::new(Kind::Keys {
                keys: keys.again(),
                principal: Some(wanted),
            }))),
            Kind::Tickets { .. } => Err(CredentialError::InitiateOnly.into()),
        }
    }

    /// The tickets of a credential cache: the one named (`FILE:/tmp/krb5cc_1000`), else the configured one, else the user's.
    ///
    /// Where there is none, and the client keytab of the configuration is there, tickets are got with that, as MIT does it.
    pub fn initiator(env: &Environment, ccache: Option<&str>) -> Result<Self, Error> {
        let explicit = ccache.or(env.config().ccache.as_deref());
        let name = places::ccache(explicit, env.settings(), &User::current());
        let cache = CcacheStore::new(name.map_err(CredentialError::Place)?);
        match cache.read() {
            Ok(contents) => Ok(Self(Arc::new(Kind::Tickets {
                cache,
                client: contents.principal,
                own: false,
            }))),
            Err(missing @ CcacheStoreError::NotFound(_)) => {
                let from_keytab = Self::client_keytab(env)?;
                from_keytab.ok_or_else(|| CredentialError::Ticket(missing.into()).into())
            }
            Err(error) => Err(CredentialError::Ticket(error.into()).into()),
        }
    }

    /// An initial ticket for the first client in the client keytab, if there is such a file.
    fn client_keytab(env: &Environment) -> Result<Option<Self>, Error> {
        let explicit = env.config().client_keytab.as_deref();
        let name = places::client_keytab(explicit, env.settings(), &User::current());
        let Ok(KeytabName::File(path)) = name else {
            return Ok(None);
        };
        if !Path::new(&path).exists() {
            return Ok(None);
        }
        let keytab = KeytabFile::new(path).current();
        let keytab = keytab.map_err(CredentialError::Keytab)?;
        let Some(first) = keytab.entries.first() else {
            return Ok(None);
        };
        let secret = keys_of(&first.principal, &keytab).map_err(CredentialError::Ticket)?;
        Self::initial(env, &first.principal, secret).map(Some)
    }

    /// An initial ticket for `name`, got with its password from the realm's KDC. The tickets are kept in this process.
    pub fn with_password(env: &Environment, name: &Name, password: &str) -> Result<Self, Error> {
        let client = env.principal(name)?;
        Self::initial(env, &client, password_secret(password))
    }

    /// The same as [`with_password`](Self::with_password), as a task of tokio's runtime.
    #[cfg(feature = "tokio")]
    pub async fn with_password_async(
        env: &Environment,
        name: &Name,
        password: &str,
    ) -> Result<Self, Error> {
        let client = env.principal(name)?;
        Self::initial_by(Tokio, env, &client, password_secret(password)).await
    }

    /// An initial ticket for `name`, got with its key in a keytab file: the one named, else the configured client keytab.
    /// The tickets are kept in this process.
    pub fn with_keytab(
        env: &Environment,
        name: &Name,
        keytab: Option<&str>,
    ) -> Result<Self, Error> {
        let (client, secret) = Self::client_keys(env, name, keytab)?;
        Self::initial(env, &client, secret)
    }

    /// The same as [`with_keytab`](Self::with_keytab), as a task of tokio's runtime.
    #[cfg(feature = "tokio")]
    pub async fn with_keytab_async(
        env: &Environment,
        name: &Name,
        keytab: Option<&str>,
    ) -> Result<Self, Error> {
        let (client, secret) = Self::client_keys(env, name, keytab)?;
        Self::initial_by(Tokio, env, &client, secret).await
    }

    fn client_keys(
        env: &Environment,
        name: &Name,
        keytab: Option<&str>,
    ) -> Result<(Principal, Secret), Error> {
        let client = env.principal(name)?;
        let explicit = keytab.or(env.config().client_keytab.as_deref());
        let place = places::client_keytab(explicit, env.settings(), &User::current());
        let path = keytab_path(place.map_err(CredentialError::Place)?)?;
        let keytab = KeytabFile::new(path).current();
        let keytab = keytab.map_err(CredentialError::Keytab)?;
        let secret = keys_of(&client, &keytab).map_err(CredentialError::Ticket)?;
        Ok((client, secret))
    }

    /// The tickets in `cache`, which the program got in its own way. Tickets for further services are added to a copy in memory.
    pub fn from_cache(cache: &CredentialCache) -> Result<Self, Error> {
        Ok(Self(Arc::new(Kind::Tickets {
            cache: crate::host::ccache::own(cache),
            client: cache.principal.clone(),
            own: true,
        })))
    }

    fn initial(env: &Environment, client: &Principal, secret: Secret) -> Result<Self, Error> {
        at_once(Self::initial_by(Blocking, env, client, secret))
    }

    /// The same, waiting as `io` does.
    async fn initial_by(
        io: impl Io,
        env: &Environment,
        client: &Principal,
        secret: Secret,
    ) -> Result<Self, Error> {
        let (tickets, options) = (env.tickets(), InitialOptions::default());
        let obtained = tickets.initial_credential(io, client, secret, &options);
        let obtained = obtained.await.map_err(CredentialError::Ticket)?;
        // The KDC may have corrected the name.
        let mut cache = CredentialCache::new(obtained.credential.client.clone());
        cache.time_offset = obtained.time_offset.filter(|_| env.settings().kdc_timesync);
        cache.credentials.push(obtained.credential);
        Self::from_cache(&cache)
    }

    /// Writes the tickets into a credential cache, which is made anew: the one named, else the configured one, else the
    /// user's. Gives its name.
    pub fn store(&self, env: &Environment, ccache: Option<&str>) -> Result<String, Error> {
        let explicit = ccache.or(env.config().ccache.as_deref());
        let name = places::ccache(explicit, env.settings(), &User::current());
        let store = CcacheStore::new(name.map_err(CredentialError::Place)?);
        let mut contents = self.tickets()?;
        contents.version = env.settings().ccache_type;
        store
            .replace(&contents)
            .map_err(|error| CredentialError::Ticket(error.into()))?;
        Ok(store.name().to_string())
    }

    /// The tickets as they are now.
    pub fn tickets(&self) -> Result<CredentialCache, Error> {
        match &*self.0 {
            Kind::Keys { .. } => Err(CredentialError::AcceptOnly.into()),
            Kind::Tickets { cache, .. } => cache
                .read()
                .map_err(|error| CredentialError::Ticket(error.into()).into()),
        }
    }

    /// Whose credential this is, if it is one principal's.
    pub fn name(&self) -> Option<Name> {
        match &*self.0 {
            Kind::Keys { principal, .. } => principal.as_ref().map(names::name),
            Kind::Tickets { client, .. } => Some(names::name(client)),
        }
    }

    /// How long the ticket-granting ticket still lives, if this credential has one that does. Keys do not expire.
    pub fn lifetime(&self, env: &Environment) -> Option<Duration> {
        let tickets = self.tickets().ok()?;
        let ends = tickets
            .tickets()
            .filter(|ticket| ticket.server.is_krbtgt())
            .map(|ticket| ticket.endtime)
            .max()?;
        let now = env.now();
        (ends > now).then(|| ends.abs_diff(now))
    }

    /// A ticket for `target`: from the cache, else from the KDC.
    pub(crate) async fn ticket_for(
        &self,
        io: impl Io,
        env: &Environment,
        target: &Principal,
    ) -> Result<ServiceTicket, Error> {
        let Kind::Tickets { cache, .. } = &*self.0 else {
            return Err(CredentialError::AcceptOnly.into());
        };
        let found = env
            .tickets()
            .service_ticket(io, target, cache)
            .await
            .map_err(CredentialError::Ticket)?;
        let ticket = found.credential;
        let key = ticket.key.usable().ok_or(CredentialError::UnknownEnctype)?;
        Ok(ServiceTicket {
            key: Arc::clone(key),
            client: ticket.client,
            server: ticket.server,
            ticket: ticket.ticket,
            authtime: ticket.authtime,
            endtime: ticket.endtime,
            flags: ticket.flags,
            time_offset: found.time_offset.unwrap_or_default(),
        })
    }

    /// The keys as they are now.
    pub(crate) fn acceptor_keys(&self) -> Result<AcceptorCred, Error> {
        let Kind::Keys { keys, principal } = &*self.0 else {
            return Err(CredentialError::InitiateOnly.into());
        };
        let keytab = match keys {
            Keys::Given(keytab) => Arc::clone(keytab),
            Keys::File(file) => file.current().map_err(CredentialError::Keytab)?,
        };
        Ok(AcceptorCred {
            keytab,
            acceptable: principal
                .clone()
                .map_or(Acceptable::Any, Acceptable::Principal),
        })
    }
}

impl Keys {
    fn again(&self) -> Self {
        match self {
            Self::File(file) => Self::File(KeytabFile::new(file.path())),
            Self::Given(keytab) => Self::Given(Arc::clone(keytab)),
        }
    }
}

impl Drop for Kind {
    fn drop(&mut self) {
        if let Self::Tickets {
            cache, own: true, ..
        } = self
        {
            // Nobody else knows its name, so it can only be there.
            let _ = cache.destroy();
        }
    }
}

fn password_secret(password: &str) -> Secret {
    Secret::Password(Zeroizing::new(password.as_bytes().to_vec()))
}

fn keytab_path(name: KeytabName) -> Result<String, CredentialError> {
    match name {
        KeytabName::File(path) => Ok(path),
        KeytabName::Memory(name) => Err(CredentialError::MemoryKeytab(name)),
    }
}

impl Environment {
    /// Gets tickets.
    pub(crate) fn tickets(&self) -> Client<'_> {
        Client {
            settings: self.settings(),
            clock: &**self.clock(),
            random: self.random(),
            timeout: self.config().kdc_timeout,
        }
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Credential");
        if let Some(name) = self.name() {
            out.field("name", &name.to_string());
        }
        out.finish_non_exhaustive()
    }
}

/// Why there is no credential, or why it is not good for what it is used for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CredentialError {
    /// An acceptor's credential was used to initiate.
    #[error("this credential has keys to accept with, and no tickets to initiate with")]
    AcceptOnly,
    /// An initiator's credential was used to accept.
    #[error("this credential has tickets to initiate with, and no keys to accept with")]
    InitiateOnly,
    /// The name of a keytab or cache means no place.
    #[error(transparent)]
    Place(NameProblem),
    /// A keytab in memory, of which there are none by name: [`Credential::from_keytab`] takes the keys themselves.
    #[error("there is no keytab in memory called {0}")]
    MemoryKeytab(String),
    /// The keytab cannot be used.
    #[error(transparent)]
    Keytab(KeytabFileError),
    /// There is no ticket.
    #[error(transparent)]
    Ticket(TicketError),
    /// The KDC gave a session key of an enctype that is not supported.
    #[error("the ticket's session key is of an enctype that is not supported")]
    UnknownEnctype,
}

impl From<CredentialError> for Error {
    fn from(error: CredentialError) -> Self {
        let major = match &error {
            CredentialError::AcceptOnly
            | CredentialError::InitiateOnly
            | CredentialError::Place(_)
            | CredentialError::MemoryKeytab(_)
            | CredentialError::Keytab(_) => Major::NoCred,
            CredentialError::Ticket(cause) => match cause {
                TicketError::Expired(_) => Major::CredentialsExpired,
                TicketError::Cache(_)
                | TicketError::NoKey(_)
                | TicketError::NoTicketGrantingTicket(_) => Major::NoCred,
                _ => Major::Failure,
            },
            CredentialError::UnknownEnctype => Major::Failure,
        };
        Self::new(major, error)
    }
}
