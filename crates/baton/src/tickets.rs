//! A user's tickets: got with a password or a keytab, kept in a credential cache that other Kerberos programs share.
//!
//! This is what `kinit`, `klist`, `kvno` and `kdestroy` do, as calls. Programs that only talk to a service need none of it:
//! [`Credential::initiator`](crate::Credential::initiator) finds what is in the cache.
//!
//! ```
//! use baton::tickets::{InitialOptions, TicketCache};
//! use baton::Name;
//! # use baton::realm::DevelopmentRealm;
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let realm = DevelopmentRealm::builder("EXAMPLE.TEST").user("alice", "secret").service("HTTP/localhost").start()?;
//! # let env = realm.environment()?;
//! let cache = TicketCache::named(&env, Some("MEMORY:example"))?;
//! let alice = env.principal(&Name::krb5_principal("alice@EXAMPLE.TEST"))?;
//! cache.log_in(&alice, baton::tickets::password("secret"), &InitialOptions::default())?;
//! let ticket = cache.get(&Name::hostbased_service("HTTP@localhost"))?;
//! assert_eq!(ticket.server.to_string(), "HTTP/localhost@EXAMPLE.TEST");
//! assert_eq!(cache.read()?.tickets().count(), 2);
//! cache.destroy()?;
//! # Ok(())
//! # }
//! ```

use krb5::formats::ccache::CredentialCache;
use krb5::formats::keytab::Keytab;
use krb5::formats::settings::Settings;
use krb5::principal::Principal;
use zeroize::Zeroizing;

pub use crate::host::ccache::CcacheStoreError;
pub use crate::host::names::NameProblem;
pub use crate::host::tickets::{
    ExchangeError, InitialOptions, Secret, ServiceTicketError, TicketError,
};
pub use krb5::formats::ccache::Credential as Ticket;
pub use krb5::messages::ticket_flags;

use crate::host::ccache::CcacheStore;
use crate::host::names::{self as places, KeytabName};
use crate::host::tickets::keys_of;
use crate::host::user::User;
use crate::{Environment, Name, NameError, names};

/// A credential cache, which need not be there yet.
#[derive(Clone, Debug)]
pub struct TicketCache {
    env: Environment,
    store: CcacheStore,
}

impl TicketCache {
    /// The cache called `name` (`FILE:/tmp/krb5cc_1000`), else the configured one, else the user's.
    pub fn named(env: &Environment, name: Option<&str>) -> Result<Self, NameProblem> {
        let explicit = name.or(env.config().ccache.as_deref());
        let name = places::ccache(explicit, env.settings(), &User::current())?;
        Ok(Self {
            env: env.clone(),
            store: CcacheStore::new(name),
        })
    }

    /// Its name.
    pub fn name(&self) -> String {
        self.store.name().to_string()
    }

    /// Everything in it.
    pub fn read(&self) -> Result<CredentialCache, CcacheStoreError> {
        self.store.read()
    }

    /// Gets an initial ticket of `client` (RFC 4120 §3.1) and makes the cache anew with it.
    pub fn log_in(
        &self,
        client: &Principal,
        secret: Secret,
        options: &InitialOptions,
    ) -> Result<Ticket, TicketError> {
        let tickets = self.env.tickets();
        tickets.log_in(client, secret, options, &self.store)
    }

    /// A ticket for `service`: the one in the cache if it is good, else one from the KDC (RFC 4120 §3.3), which is then stored.
    pub fn get(&self, service: &Name) -> Result<Ticket, GetError> {
        let server = self.env.principal(service)?;
        let found = self
            .env
            .tickets()
            .get_service_ticket(&server, &self.store)?;
        Ok(found.credential)
    }

    /// Renews the ticket-granting ticket (RFC 4120 §2.3) and makes the cache anew with it.
    pub fn renew(&self) -> Result<Ticket, TicketError> {
        self.env.tickets().renew(&self.store)
    }

    /// Makes a postdated ticket-granting ticket valid whose time has come (RFC 4120 §2.5), and the cache anew with it.
    pub fn validate(&self) -> Result<Ticket, TicketError> {
        self.env.tickets().validate(&self.store)
    }

    /// Removes it with all its tickets, and overwrites them.
    pub fn destroy(&self) -> Result<(), CcacheStoreError> {
        self.store.destroy()
    }
}

/// Why there is no ticket for a service.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GetError {
    /// The service's name means no principal.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The exchange failed, or the cache does not work.
    #[error(transparent)]
    Ticket(#[from] TicketError),
}

/// A password as the secret that proves a client.
pub fn password(password: impl AsRef<[u8]>) -> Secret {
    Secret::Password(Zeroizing::new(password.as_ref().to_vec()))
}

/// The keys of `client` in `keytab` as the secret that proves it.
pub fn keys(client: &Principal, keytab: &Keytab) -> Result<Secret, TicketError> {
    keys_of(client, keytab)
}

/// The path of the keytab called `name` (`FILE:/etc/krb5.keytab`), else of the configured one, else of the host's; of what
/// initiators use, if it is not for an acceptor. None for a keytab that is not a file.
pub fn keytab_path(
    env: &Environment,
    name: Option<&str>,
    acceptor: bool,
) -> Result<Option<String>, NameProblem> {
    type Find = fn(Option<&str>, &Settings, &User) -> Result<KeytabName, NameProblem>;
    let config = env.config();
    let (find, configured): (Find, _) = match acceptor {
        true => (places::keytab, &config.keytab),
        false => (places::client_keytab, &config.client_keytab),
    };
    let explicit = name.or(configured.as_deref());
    Ok(match find(explicit, env.settings(), &User::current())? {
        KeytabName::File(path) => Some(path),
        KeytabName::Memory(_) => None,
    })
}

impl Environment {
    /// The principal that `name` means: names of hosts find their realm, names without a realm the default one.
    pub fn principal(&self, name: &Name) -> Result<Principal, NameError> {
        names::principal(name, self)
    }
}
