//! `GSS_Store_cred` (RFC 5588), with a credential store too.

use gss_core::error::Error;
use gss_core::oid::Oid;
use krb5::formats::ccache::CredentialCache;

use super::tickets::{Scan, Tickets, collection};
use super::{CredStore, Credential, CredentialError, Usage};
use crate::environment::Environment;
use crate::host::ccache::{CcacheStore, CcacheStoreError};
use crate::host::collection::CacheCollection;
use crate::host::kdc::{Blocking, at_once};
use crate::host::names as places;
use crate::host::user::User;
use crate::mechanisms::meant;

/// How tickets are stored where other programs find them.
///
/// ```
/// use baton::{CredStore, StoreCred};
/// # use baton::realm::DevelopmentRealm;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let realm = DevelopmentRealm::builder("EXAMPLE.TEST").user("alice", "secret").start()?;
/// # let env = realm.environment()?;
/// # let delegated = realm.credential(&env, "alice")?;
/// let store = StoreCred::new(&env).store(CredStore::new().ccache("MEMORY:alice")).overwrite();
/// let stored = store.store_cred(&delegated)?;
/// assert_eq!(stored.ccache, "MEMORY:alice");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct StoreCred<'a> {
    env: &'a Environment,
    usage: Usage,
    mechanism: Option<Oid>,
    overwrite: bool,
    make_default: bool,
    store: CredStore,
}

/// What was stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// The elements.
    pub mechanisms: Vec<Oid>,
    /// What they can be used for.
    pub usage: Usage,
    /// The cache that they are in now.
    pub ccache: String,
}

impl<'a> StoreCred<'a> {
    /// Into the configured cache or the user's, if that is not there yet; in a directory of caches, into one more of them, or the
    /// client's.
    pub fn new(env: &'a Environment) -> Self {
        Self {
            env,
            usage: Usage::Initiate,
            mechanism: None,
            overwrite: false,
            make_default: false,
            store: CredStore::default(),
        }
    }

    /// What is to be stored, if not tickets alone: keys to accept with never are.
    #[must_use]
    pub const fn usage(mut self, usage: Usage) -> Self {
        self.usage = usage;
        self
    }

    /// The element of this mechanism alone.
    #[must_use]
    pub const fn mechanism(mut self, mechanism: Oid) -> Self {
        self.mechanism = Some(mechanism);
        self
    }

    /// Over what is there.
    #[must_use]
    pub const fn overwrite(mut self) -> Self {
        self.overwrite = true;
        self
    }

    /// And makes it the default cache of its directory, as kswitch(1) does. A cache that is a file is not changed by it.
    #[must_use]
    pub const fn make_default(mut self) -> Self {
        self.make_default = true;
        self
    }

    /// Into its `ccache`, a directory of caches included.
    #[must_use]
    pub fn store(mut self, store: CredStore) -> Self {
        self.store = store;
        self
    }

    /// Stores the tickets of `cred`. `GSS_S_DUPLICATE_ELEMENT` if there are others which are not to be overwritten,
    /// `GSS_S_CREDENTIALS_EXPIRED` if they have expired.
    pub fn store_cred(self, cred: &Credential) -> Result<Stored, Error> {
        if !self.usage.initiates() {
            return Err(CredentialError::StoreAcceptor.into());
        }
        let mut elements: Vec<_> = cred.elements.iter().collect();
        if let Some(mechanism) = self.mechanism {
            elements = vec![cred.element(meant(mechanism))?];
        }
        elements.retain(|element| element.tickets.is_some());
        // Of elements with tickets of several clients the first is stored: one cache has one client.
        let Some(tickets) = elements.first().and_then(|one| one.tickets.as_deref()) else {
            return Err(CredentialError::StoreAcceptor.into());
        };
        let contents = contents(self.env, tickets)?;
        let cache = self.put(&contents)?;
        Ok(Stored {
            mechanisms: elements.iter().map(|element| element.mechanism).collect(),
            usage: Usage::Initiate,
            ccache: cache.name().to_string(),
        })
    }

    fn put(&self, contents: &CredentialCache) -> Result<CcacheStore, CredentialError> {
        let collection = match &self.store.ccache {
            None => collection(self.env)?,
            Some(name) => {
                let settings = self.env.settings();
                CacheCollection::new(places::ccache(Some(name), settings, &User::current())?)
            }
        };
        let found = match collection.is_switchable() {
            true => collection.find(&contents.principal)?,
            false => Some(collection.default_cache()?),
        };
        let cache = match found {
            Some(cache) => {
                self.may_replace(&cache)?;
                cache
            }
            None => match collection.new_cache()? {
                Some(cache) => cache,
                None => collection.default_cache()?,
            },
        };
        cache.replace(contents)?;
        if self.make_default {
            collection.switch_to(&cache)?;
        }
        Ok(cache)
    }

    fn may_replace(&self, cache: &CcacheStore) -> Result<(), CredentialError> {
        match cache.read() {
            _ if self.overwrite => Ok(()),
            Ok(there) => Err(CredentialError::AlreadyStored {
                cache: cache.name().clone(),
                holds: there.principal,
            }),
            // What is no cache, or an empty one, is no credential.
            Err(CcacheStoreError::NotFound(_) | CcacheStoreError::Format { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

impl Credential {
    /// The tickets as a credential cache, which a program stores in its own way: the counterpart of
    /// [`from_cache`](Self::from_cache). `GSS_S_CREDENTIALS_EXPIRED` if they have expired.
    pub fn to_cache(&self, env: &Environment) -> Result<CredentialCache, Error> {
        let tickets = self.elements.iter().find_map(|one| one.tickets.as_deref());
        let tickets = tickets.ok_or(CredentialError::StoreAcceptor)?;
        Ok(contents(env, tickets)?)
    }
}

/// What is to be stored, if it is still good.
fn contents(env: &Environment, tickets: &Tickets) -> Result<CredentialCache, CredentialError> {
    let identity = at_once(tickets.identity(Blocking, env, None))?;
    let mut contents = identity.tickets()?;
    let scan = Scan::of(&contents, env.settings());
    if scan.left(env).is_none() {
        return Err(CredentialError::Expired(identity.client.clone()));
    }
    contents.version = env.settings().ccache_type;
    Ok(contents)
}
