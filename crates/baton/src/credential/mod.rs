//! Credentials: whose keys an acceptor has, whose tickets an initiator has (RFC 2743 §2.1).
//!
//! A [`Credential`] has an element for each mechanism, Kerberos and SPNEGO, and each element has tickets to initiate with, keys to
//! accept with, or both. [`Acquire`] finds them, [`StoreCred`] puts tickets where other programs find them.

mod acquire;
mod cred_store;
mod error;
mod export;
mod inquire;
mod keys;
mod select;
mod store;
#[cfg(test)]
mod tests;
mod tickets;
mod verify;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use gss_core::error::{Error, Major};
use gss_core::mechanism::Delegated;
use gss_core::name::Name;
use gss_core::oid::Oid;
use gss_krb5::{AcceptorCred, ServiceTicket};
use krb5::exchange::ap::Policy;
use krb5::formats::ccache::{Credential as Ticket, CredentialCache};
use krb5::formats::keytab::Keytab;
use krb5::principal::Principal;
use krb5_crypto::Enctype;

pub use self::acquire::Acquire;
pub use self::cred_store::{CredStore, Verify};
pub use self::error::CredentialError;
pub use self::export::TokenError;
pub use self::inquire::{CredentialFacts, ElementFacts, Lifetime};
use self::keys::{Keys, OwnRcache, Source};
pub use self::store::{StoreCred, Stored};
use self::tickets::Tickets;
pub use self::verify::VerifyError;
use crate::environment::{Environment, Rcache};
use crate::host::ccache::CcacheStore;
#[cfg(feature = "tokio")]
use crate::host::kdc::Tokio;
use crate::host::kdc::{Blocking, Io, at_once};
use crate::host::keytab::KeytabFile;
use crate::host::names as places;
use crate::host::tickets::{Client, InitialOptions, Secret, keys_of};
use crate::host::user::User;
use crate::names;
use crate::neg_mechs::NegMechs;
use crate::tickets::password as password_secret;

/// Whose keys an acceptor has, or whose tickets an initiator has, or both. Cheap to clone; clones share their tickets.
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
///
/// [`Acquire`] is the whole of `GSS_Acquire_cred`; what is here are its usual forms.
#[derive(Clone)]
pub struct Credential {
    elements: Arc<[Element]>,
    /// The enctypes that contexts may use, if somebody limited them.
    enctypes: Option<Arc<[&'static Enctype]>>,
    /// The mechanisms that may be negotiated, if somebody limited them.
    neg_mechs: Option<Arc<NegMechs>>,
}

/// What a credential is used for (RFC 2743 §2.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Usage {
    /// `GSS_C_INITIATE`: to begin contexts.
    Initiate,
    /// `GSS_C_ACCEPT`: to accept them.
    Accept,
    /// `GSS_C_BOTH`.
    Both,
}

impl Usage {
    /// Whether contexts can be begun.
    pub const fn initiates(self) -> bool {
        matches!(self, Self::Initiate | Self::Both)
    }

    /// Whether contexts can be accepted.
    pub const fn accepts(self) -> bool {
        matches!(self, Self::Accept | Self::Both)
    }

    /// The usage of what initiates or accepts; what does neither has none.
    const fn of(initiates: bool, accepts: bool) -> Option<Self> {
        match (initiates, accepts) {
            (true, true) => Some(Self::Both),
            (true, false) => Some(Self::Initiate),
            (false, true) => Some(Self::Accept),
            (false, false) => None,
        }
    }
}

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Initiate => "initiate",
            Self::Accept => "accept",
            Self::Both => "initiate and accept",
        })
    }
}

/// The mechanisms that have credentials, in the order in which they are acquired.
const MECHANISMS: [Oid; 2] = [Oid::KRB5, Oid::SPNEGO];

/// A credential for one mechanism: SPNEGO's is that of the mechanism it negotiates.
#[derive(Clone)]
struct Element {
    mechanism: Oid,
    tickets: Option<Arc<Tickets>>,
    keys: Option<Arc<Keys>>,
}

impl Element {
    fn usage(&self) -> Option<Usage> {
        Usage::of(self.tickets.is_some(), self.keys.is_some())
    }

    fn tickets(&self) -> Result<&Tickets, CredentialError> {
        self.tickets.as_deref().ok_or(CredentialError::AcceptOnly)
    }

    fn keys(&self) -> Result<&Keys, CredentialError> {
        self.keys.as_deref().ok_or(CredentialError::InitiateOnly)
    }
}

impl Credential {
    fn new(elements: impl IntoIterator<Item = Element>) -> Self {
        Self {
            elements: elements.into_iter().collect(),
            enctypes: None,
            neg_mechs: None,
        }
    }

    /// The same for each mechanism.
    fn of(mechanisms: &[Oid], tickets: Option<Arc<Tickets>>, keys: Option<Arc<Keys>>) -> Self {
        Self::new(mechanisms.iter().map(|mechanism| Element {
            mechanism: *mechanism,
            tickets: tickets.clone(),
            keys: keys.clone(),
        }))
    }

    fn from_tickets(tickets: Tickets) -> Self {
        Self::of(&MECHANISMS, Some(Arc::new(tickets)), None)
    }

    fn from_keys(keys: Keys) -> Self {
        Self::of(&MECHANISMS, None, Some(Arc::new(keys)))
    }

    /// The keys of a keytab file: the one named (`FILE:/etc/krb5.keytab`), else the configured one, else the host's. It is
    /// looked at anew at each accept.
    pub fn acceptor(env: &Environment, keytab: Option<&str>) -> Result<Self, Error> {
        let source = Source::named(env, keytab)?;
        // A keytab that is not there is better learned now than at the first client.
        source.current()?;
        Ok(Self::from_keys(Keys::any(source)))
    }

    /// The keys in `keytab`, which the program got in its own way.
    pub fn from_keytab(keytab: Arc<Keytab>) -> Self {
        Self::from_keys(Keys::any(Source::Given(keytab)))
    }

    /// The same acceptor's credential, within the same limits, for the one service `name` alone. A service of a host may have any realm.
    pub fn for_service(&self, env: &Environment, name: &Name) -> Result<Self, Error> {
        let wanted = keys::acceptable(env, name)?;
        let elements = self.elements.iter().map(|element| {
            Ok(Element {
                keys: Some(Arc::new(element.keys()?.only(wanted.clone())?)),
                tickets: None,
                mechanism: element.mechanism,
            })
        });
        let elements: Vec<Element> = elements.collect::<Result<_, CredentialError>>()?;
        Ok(Self {
            elements: elements.into(),
            ..self.clone()
        })
    }

    /// The tickets of a credential cache: the one named (`FILE:/tmp/krb5cc_1000`), else the configured one, else the user's.
    ///
    /// Where there is none, and the client keytab of the configuration is there, tickets are got with that into the cache, as
    /// MIT's library does it, and got anew when half of their life is over. [`Acquire`] can leave the choice of the cache until the target is known.
    pub fn initiator(env: &Environment, ccache: Option<&str>) -> Result<Self, Error> {
        at_once(Self::initiator_by(Blocking, env, ccache))
    }

    /// The same as [`initiator`](Self::initiator), as a task of tokio's runtime.
    #[cfg(feature = "tokio")]
    pub async fn initiator_async(env: &Environment, ccache: Option<&str>) -> Result<Self, Error> {
        Self::initiator_by(Tokio, env, ccache).await
    }

    async fn initiator_by(
        io: impl Io,
        env: &Environment,
        ccache: Option<&str>,
    ) -> Result<Self, Error> {
        let place = acquire::place(env, ccache)?;
        let tickets = Tickets::new(None, place, None, None);
        tickets.identity(io, env, None).await?;
        Ok(Self::from_tickets(tickets))
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
        let path = keys::path(place.map_err(CredentialError::Place)?)?;
        let keytab = KeytabFile::new(path).current();
        let keytab = keytab.map_err(CredentialError::Keytab)?;
        let secret = keys_of(&client, &keytab).map_err(CredentialError::Ticket)?;
        Ok((client, secret))
    }

    /// The tickets in `cache`, which the program got in its own way. Tickets for further services are added to a copy in memory.
    pub fn from_cache(cache: &CredentialCache) -> Result<Self, Error> {
        Ok(Self::from_tickets(Tickets::own(cache)))
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
        Ok(Self::from_tickets(Tickets::initial(env, &obtained)))
    }

    /// Writes the tickets into a credential cache, which is made anew: the one named, else the configured one, else the
    /// user's. Gives its name. [`StoreCred`] can be more careful.
    pub fn store(&self, env: &Environment, ccache: Option<&str>) -> Result<String, Error> {
        let explicit = ccache.or(env.config().ccache.as_deref());
        let name = places::ccache(explicit, env.settings(), &User::current());
        let store = CcacheStore::new(name.map_err(CredentialError::Place)?);
        let mut contents = self.tickets()?;
        contents.version = env.settings().ccache_type;
        store.replace(&contents).map_err(CredentialError::from)?;
        Ok(store.name().to_string())
    }

    /// The tickets as they are now. Those of a credential whose cache has not been chosen yet are nobody's: `GSS_S_NO_CRED`.
    pub fn tickets(&self) -> Result<CredentialCache, Error> {
        let tickets = self.first(Element::tickets)?;
        let identity = tickets.known().ok_or(CredentialError::Undecided)?;
        Ok(identity.tickets()?)
    }

    /// The same, of whichever cache it is decided for now if it was not.
    pub(crate) async fn decided_tickets(
        &self,
        io: impl Io,
        env: &Environment,
    ) -> Result<CredentialCache, Error> {
        let tickets = self.first(Element::tickets)?;
        Ok(tickets.identity(io, env, None).await?.tickets()?)
    }

    /// The keys that tickets for this credential's principal may be under, as far as there are any: its own, else those of the
    /// environment's keytab.
    pub(crate) fn own_keys(&self, env: &Environment) -> Arc<Keytab> {
        let source = self.first(Element::keys).map(|keys| keys.source.clone());
        let source = source.or_else(|_| keys::Source::named(env, None));
        let keytab = source.and_then(|source| source.current());
        keytab.unwrap_or_default()
    }

    /// Whose credential this is, if it is one principal's, and known already: see [`inquire`](Self::inquire) for what finds out.
    pub fn name(&self) -> Option<Name> {
        if let Ok(tickets) = self.first(Element::tickets) {
            let client = tickets.known().map(|identity| &identity.client);
            return client.or(tickets.wanted.as_ref()).map(names::name);
        }
        keys::name(&self.first(Element::keys).ok()?.acceptable)
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

    /// The same credential, whose contexts use none but these enctypes (`gss_krb5_set_allowable_enctypes`): an initiator asks for
    /// tickets whose session key is of one of them, an acceptor takes no others. Those that the configuration does not permit
    /// are not permitted by this either. `GSS_S_FAILURE` if none of the numbers is one of ours.
    pub fn with_enctypes(&self, numbers: &[i32]) -> Result<Self, Error> {
        let known = numbers.iter().copied().filter_map(Enctype::from_number);
        let known: Arc<[&'static Enctype]> = known.collect();
        if known.is_empty() {
            return Err(CredentialError::NoEnctype.into());
        }
        Ok(Self {
            enctypes: Some(known),
            ..self.clone()
        })
    }

    /// The same credential, which notices replays where `name` says, in MIT's notation (`file2:/var/lib/web/rcache`), and not where the
    /// environment does (`gss_krb5_set_cred_rcache`). It must be able to accept.
    pub fn with_rcache(&self, env: &Environment, name: &str) -> Result<Self, Error> {
        self.first(Element::keys)?;
        let rcache = OwnRcache::named(env, name.to_owned())?;
        let with = |keys: &Arc<Keys>| {
            Arc::new(Keys {
                rcache: Some(rcache.clone()),
                ..Keys::clone(keys)
            })
        };
        let elements = self.elements.iter().map(|element| Element {
            keys: element.keys.as_ref().map(with),
            ..element.clone()
        });
        Ok(Self {
            elements: elements.collect(),
            ..self.clone()
        })
    }

    /// This credential, and what `other` has and it has not: tickets, keys, mechanisms. The limits are this one's.
    #[must_use]
    pub fn joined_by(&self, other: &Self) -> Self {
        let mut elements = self.elements.to_vec();
        for new in other.elements.iter() {
            let old = |old: &&mut Element| old.mechanism == new.mechanism;
            match elements.iter_mut().find(old) {
                None => elements.push(new.clone()),
                Some(old) => {
                    old.tickets = old.tickets.take().or_else(|| new.tickets.clone());
                    old.keys = old.keys.take().or_else(|| new.keys.clone());
                }
            }
        }
        Self {
            elements: elements.into(),
            ..self.clone()
        }
    }

    /// The same credential, for negotiations among these mechanisms (`GSS_Set_neg_mechs`, RFC 4178 Appendix B.1), where a handshake
    /// does not say it itself.
    #[must_use]
    pub fn with_neg_mechs(&self, mechanisms: NegMechs) -> Self {
        Self {
            neg_mechs: Some(Arc::new(mechanisms)),
            ..self.clone()
        }
    }

    /// The mechanisms that this credential's negotiations are among, if [somebody said it](Self::with_neg_mechs).
    pub fn neg_mechs(&self) -> Option<&NegMechs> {
        self.neg_mechs.as_deref()
    }

    /// What the first element that has it gives; else why the first has it not.
    fn first<'c, T>(
        &'c self,
        of: impl Fn(&'c Element) -> Result<T, CredentialError>,
    ) -> Result<T, CredentialError> {
        let mut problem = None;
        for element in self.elements.iter() {
            match of(element) {
                Ok(found) => return Ok(found),
                Err(error) => problem = problem.or(Some(error)),
            }
        }
        Err(problem.unwrap_or(CredentialError::EmptyMechanisms))
    }

    fn element(&self, mechanism: Oid) -> Result<&Element, CredentialError> {
        let mut elements = self.elements.iter();
        elements
            .find(|element| element.mechanism == mechanism)
            .ok_or(CredentialError::NoElement(mechanism))
    }

    /// A ticket for `target`: from the cache, else from the KDC.
    pub(crate) async fn ticket_for(
        &self,
        io: impl Io,
        env: &Environment,
        mechanism: Oid,
        target: &Principal,
    ) -> Result<ServiceTicket, Error> {
        let tickets = self.element(mechanism)?.tickets()?;
        let enctypes = self.enctypes.as_deref();
        Ok(tickets.ticket_for(io, env, target, enctypes).await?)
    }

    /// A forwarded ticket-granting ticket, to delegate to `target`, which knows keys of `enctype`.
    pub(crate) async fn forwarded(
        &self,
        io: impl Io,
        env: &Environment,
        mechanism: Oid,
        target: &Principal,
        enctype: &'static Enctype,
    ) -> Result<Ticket, Error> {
        let tickets = self.element(mechanism)?.tickets()?;
        Ok(tickets.forwarded(io, env, target, enctype).await?)
    }

    /// What was delegated to an acceptor.
    pub(crate) fn delegated(delegated: &Delegated) -> Result<Self, Error> {
        let cache = CredentialCache::parse(&delegated.credential);
        let cache = cache.map_err(|error| Error::new(Major::DefectiveCredential, error))?;
        Self::from_cache(&cache)
    }

    /// The keys as they are now.
    pub(crate) fn acceptor_keys(&self, mechanism: Oid) -> Result<AcceptorCred, Error> {
        Ok(self.element(mechanism)?.keys()?.current()?)
    }

    /// Where this acceptor notices replays, if it has a place of its own.
    pub(crate) fn rcache(&self, mechanism: Oid) -> Option<Arc<Rcache>> {
        let keys = self.element(mechanism).ok()?.keys.as_ref()?;
        keys.rcache.as_ref().map(|own| Arc::clone(&own.rcache))
    }

    /// `policy`, and of that what this credential's contexts may use.
    pub(crate) fn limit(&self, policy: &Policy) -> Policy {
        let Some(enctypes) = &self.enctypes else {
            return policy.clone();
        };
        let is_allowed = |one: &&&'static Enctype| {
            enctypes
                .iter()
                .any(|allowed| allowed.number() == one.number())
        };
        let permitted = policy.permitted_enctypes.iter();
        Policy {
            permitted_enctypes: permitted.filter(is_allowed).copied().collect(),
            ..policy.clone()
        }
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
