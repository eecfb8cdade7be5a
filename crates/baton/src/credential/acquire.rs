//! `GSS_Acquire_cred` and `GSS_Add_cred` (RFC 2743 §2.1.1, §2.1.4), with a password and with a credential store too.

use std::sync::Arc;
use std::time::Duration;

use gss_core::error::Error;
use gss_core::name::Name;
use gss_core::oid::Oid;
use krb5::exchange::ap::Acceptable;
use krb5::principal::Principal;
use zeroize::Zeroizing;

use super::keys::{self, Keys, OwnRcache, Source};
use super::tickets::{Place, Tickets};
use super::{CredStore, Credential, CredentialError, Element, MECHANISMS, Usage, verify};
use crate::environment::Environment;
use crate::host::ccache::CcacheStore;
#[cfg(feature = "tokio")]
use crate::host::kdc::Tokio;
use crate::host::kdc::{Blocking, Io, at_once};
use crate::host::names as places;
use crate::host::tickets::{InitialOptions, Secret};
use crate::host::user::User;
use crate::mechanisms::meant;

/// How a credential is acquired.
///
/// What is left out has a default (RFC 2743 §1.1.1.2): without a [name](Self::name) an acceptor takes tickets for any key of its
/// keytab, and an initiator is whoever's cache fits the first target it is used for: by the user's `.k5identity`, by the target's
/// realm, by the name of its host, else the default cache; where there is none, the first client of the client keytab.
///
/// ```
/// use baton::{Acquire, Lifetime, Name, Usage};
/// # use baton::realm::DevelopmentRealm;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let realm = DevelopmentRealm::builder("EXAMPLE.TEST").user("alice", "secret").service("HTTP/localhost").start()?;
/// # let env = realm.environment()?;
/// let alice = Name::krb5_principal("alice");
/// let client = Acquire::new(&env, Usage::Initiate).name(&alice).password("secret").acquire()?;
/// let web = Name::hostbased_service("HTTP@localhost");
/// let service = Acquire::new(&env, Usage::Accept).name(&web).acquire()?;
/// assert_eq!(service.inquire(&env)?.lifetime, Lifetime::Indefinite);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Acquire<'a> {
    env: &'a Environment,
    usage: Usage,
    name: Option<&'a Name>,
    mechanisms: Option<Vec<Oid>>,
    lifetime: Option<Duration>,
    store: CredStore,
}

impl<'a> Acquire<'a> {
    /// A credential for `usage`, all else by default.
    pub fn new(env: &'a Environment, usage: Usage) -> Self {
        Self {
            env,
            usage,
            name: None,
            mechanisms: None,
            lifetime: None,
            store: CredStore::default(),
        }
    }

    /// Whose: an initiator's own name, or the service that an acceptor is for.
    #[must_use]
    pub fn name(mut self, name: &'a Name) -> Self {
        self.name = Some(name);
        self
    }

    /// For which mechanisms, instead of Kerberos and SPNEGO. Those that are not here are passed over, if one is.
    #[must_use]
    pub fn mechanisms(mut self, mechanisms: impl IntoIterator<Item = Oid>) -> Self {
        self.mechanisms = Some(mechanisms.into_iter().collect());
        self
    }

    /// For how long tickets are asked that have to be got now or later; else what `krb5.conf` says. The KDC may give less, and
    /// tickets that are there already are taken as they are.
    #[must_use]
    pub const fn lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime = Some(lifetime);
        self
    }

    /// From where, instead of what the configuration says.
    #[must_use]
    pub fn store(mut self, store: CredStore) -> Self {
        self.store = store;
        self
    }

    /// The password of the [name](Self::name): its tickets are got now, and kept in this process
    /// (`gss_acquire_cred_with_password`).
    #[must_use]
    pub fn password(mut self, password: impl Into<String>) -> Self {
        self.store = self.store.password(password);
        self
    }

    /// Acquires it.
    pub fn acquire(self) -> Result<Credential, Error> {
        at_once(self.acquire_by(Blocking))
    }

    /// The same as [`acquire`](Self::acquire), as a task of tokio's runtime.
    #[cfg(feature = "tokio")]
    pub async fn acquire_async(self) -> Result<Credential, Error> {
        self.acquire_by(Tokio).await
    }

    /// `cred` with what this acquires added to it, `cred` itself being as it was. An element that is there is completed: what can
    /// only initiate may get keys to accept with, and the reverse. `GSS_S_DUPLICATE_ELEMENT` if it could do that already.
    pub fn add_to(self, cred: &Credential) -> Result<Credential, Error> {
        at_once(self.add_by(Blocking, cred))
    }

    /// The same as [`add_to`](Self::add_to), as a task of tokio's runtime.
    #[cfg(feature = "tokio")]
    pub async fn add_to_async(self, cred: &Credential) -> Result<Credential, Error> {
        self.add_by(Tokio, cred).await
    }

    async fn acquire_by(self, io: impl Io) -> Result<Credential, Error> {
        let mechanisms = self.known_mechanisms()?;
        self.check_password()?;
        let keys = self.keys()?;
        let tickets = self.tickets(io).await?;
        Ok(Credential::of(&mechanisms, tickets, keys))
    }

    async fn add_by(self, io: impl Io, cred: &Credential) -> Result<Credential, Error> {
        let mechanisms = self.known_mechanisms()?;
        let overlap = |element: &&Element| {
            mechanisms.contains(&element.mechanism)
                && (element.tickets.is_some() && self.usage.initiates()
                    || element.keys.is_some() && self.usage.accepts())
        };
        if let Some(there) = cred.elements.iter().find(overlap) {
            return Err(CredentialError::Duplicate {
                mechanism: there.mechanism,
                usage: there.usage().unwrap_or(self.usage),
            }
            .into());
        }
        let added = self.acquire_by(io).await?;
        Ok(cred.joined_by(&added))
    }

    fn known_mechanisms(&self) -> Result<Vec<Oid>, CredentialError> {
        let Some(wanted) = &self.mechanisms else {
            return Ok(MECHANISMS.to_vec());
        };
        let mut known: Vec<Oid> = Vec::new();
        for mechanism in wanted {
            let mechanism = meant(*mechanism);
            if MECHANISMS.contains(&mechanism) && !known.contains(&mechanism) {
                known.push(mechanism);
            }
        }
        match (known.is_empty(), wanted.first()) {
            (false, _) => Ok(known),
            (true, Some(unknown)) => Err(CredentialError::NoMechanism(*unknown)),
            (true, None) => Err(CredentialError::EmptyMechanisms),
        }
    }

    /// What to accept with, if that is asked for.
    fn keys(&self) -> Result<Option<Arc<Keys>>, Error> {
        if !self.usage.accepts() {
            return Ok(None);
        }
        let acceptable = match self.name {
            Some(name) => keys::acceptable(self.env, name)?,
            None => Acceptable::Any,
        };
        let rcache = self.store.rcache.clone();
        let rcache = rcache.map(|name| OwnRcache::named(self.env, name));
        let keys = Keys {
            source: Source::named(self.env, self.store.keytab.as_deref())?,
            acceptable,
            rcache: rcache.transpose()?,
        };
        keys.check()?;
        Ok(Some(Arc::new(keys)))
    }

    /// What to initiate with, if that is asked for.
    async fn tickets(&self, io: impl Io) -> Result<Option<Arc<Tickets>>, Error> {
        if let (Some(password), Some(name)) = (&self.store.password, self.name) {
            let tickets = self.by_password(io, name, password).await?;
            return Ok(Some(Arc::new(tickets)));
        }
        if !self.usage.initiates() {
            return Ok(None);
        }
        let wanted = self.name.map(|name| self.env.principal(name)).transpose()?;
        let place = match &self.store.ccache {
            Some(name) => place(self.env, Some(name))?,
            None => Place::Collection,
        };
        let client_keytab = self.store.client_keytab.clone();
        let tickets = Tickets::new(wanted, place, client_keytab, self.lifetime);
        tickets.check(io, self.env).await?;
        Ok(Some(Arc::new(tickets)))
    }

    /// A password gets an initiator's tickets, whose name is known, and nothing else is asked where from.
    fn check_password(&self) -> Result<(), CredentialError> {
        let store = &self.store;
        if store.password.is_none() {
            return match store.verify {
                Some(_) => Err(CredentialError::VerifyWithoutPassword),
                None => Ok(()),
            };
        }
        if self.name.is_none() {
            return Err(CredentialError::PasswordWithoutName);
        }
        let beside = store.ccache.is_some() || store.client_keytab.is_some();
        if !self.usage.initiates() || beside {
            return Err(CredentialError::PasswordBesideOthers);
        }
        Ok(())
    }

    async fn by_password(
        &self,
        io: impl Io,
        name: &Name,
        password: &Zeroizing<String>,
    ) -> Result<Tickets, Error> {
        let client: Principal = self.env.principal(name)?;
        let options = InitialOptions {
            lifetime: self.lifetime,
            ..InitialOptions::default()
        };
        let secret = Secret::Password(Zeroizing::new(password.as_bytes().to_vec()));
        let tickets = self.env.tickets();
        let obtained = tickets.initial_credential(io, &client, secret, &options);
        let obtained = obtained.await.map_err(CredentialError::Ticket)?;
        let found = Tickets::initial(self.env, &obtained);
        if let Some(how) = &self.store.verify {
            let source = Source::named(self.env, self.store.keytab.as_deref())?;
            verify::verify(io, self.env, &found, &source, how).await?;
        }
        Ok(found)
    }
}

/// The cache called `name`; without a name, whichever of the user's fits.
pub(super) fn place(env: &Environment, name: Option<&str>) -> Result<Place, CredentialError> {
    let Some(name) = name else {
        return Ok(Place::Collection);
    };
    let name = places::ccache(Some(name), env.settings(), &User::current())?;
    let cache = CcacheStore::new(name);
    // A directory stands for the cache that is its primary one now.
    Ok(Place::Named(cache.resolved()?))
}
