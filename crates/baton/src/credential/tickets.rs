//! What an initiator has: a cache of tickets, found when it is first needed, and filled and renewed from the client keytab.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use gss_krb5::ServiceTicket;
use krb5::formats::ccache::{Credential, CredentialCache, TimeOffset};
use krb5::formats::keytab::Keytab;
use krb5::formats::settings::Settings;
use krb5::principal::Principal;
use krb5_crypto::Enctype;
use wire::time::Timestamp;

use super::{CredentialError, keys, select};
use crate::environment::Environment;
use crate::host::ccache::{CcacheStore, CcacheStoreError, own};
use crate::host::collection::CacheCollection;
use crate::host::kdc::Io;
use crate::host::keytab::KeytabFile;
use crate::host::names as places;
use crate::host::tickets::{InitialOptions, Obtained, Secret, TicketError, keys_of};
use crate::host::user::User;

/// The setting of a cache that tells when its tickets are to be got anew, in seconds.
const REFRESH_TIME: &str = "refresh_time";
/// The setting of a cache that tells who may act for its client with the tickets in it.
pub(super) const IMPERSONATOR: &str = "proxy_impersonator";
/// Tickets that end so soon are got anew, and after a failure it is not tried again for so long.
const SOON: Duration = Duration::from_secs(30);

/// An initiator's tickets.
pub(super) struct Tickets {
    /// Whose, if somebody said so.
    pub(super) wanted: Option<Principal>,
    pub(super) place: Place,
    /// Instead of the configured one.
    pub(super) client_keytab: Option<String>,
    /// For how long tickets are asked for.
    pub(super) lifetime: Option<Duration>,
    /// The first use decides, and those of clones with it.
    identity: OnceLock<Identity>,
}

/// Where tickets are.
pub(super) enum Place {
    /// In whichever cache of the user's fits.
    Collection,
    /// In this one.
    Named(CcacheStore),
    /// In memory, for as long as the credential lives.
    Own {
        /// Ends with it.
        _cache: OwnCache,
    },
}

/// A cache in memory that ends with this value.
pub(super) struct OwnCache(CcacheStore);

impl Drop for OwnCache {
    fn drop(&mut self) {
        // Nobody else knows its name, so it can only be there.
        let _ = self.0.destroy();
    }
}

/// Which cache it has become, and whose that is.
pub(super) struct Identity {
    pub(super) cache: CcacheStore,
    pub(super) client: Principal,
    /// Who may act for the client with the tickets in the cache, if they are evidence and not the client's own.
    pub(super) impersonator: Option<Principal>,
    /// When the cache has to be looked at again, in microseconds, as the next two are.
    look_again: AtomicI64,
    /// Until when a thread has the looking at it to itself.
    claimed: AtomicI64,
    /// When the tickets end, by our clock.
    ends: AtomicI64,
}

/// What a cache says about itself.
pub(super) struct Scan {
    /// The end of the ticket-granting ticket of the client's realm; without one, of the first ticket.
    pub(super) expires: Option<Timestamp>,
    pub(super) refresh_time: Option<Timestamp>,
    pub(super) time_offset: Option<TimeOffset>,
}

impl Scan {
    pub(super) fn of(contents: &CredentialCache, settings: &Settings) -> Self {
        let tgs = Principal::krbtgt(contents.principal.realm());
        let granting = contents.tickets().filter(|ticket| ticket.server == tgs);
        let granting = granting.map(|ticket| ticket.endtime).max();
        let seconds = contents
            .config(REFRESH_TIME, None)
            .and_then(|value| str::from_utf8(value).ok()?.parse().ok());
        Self {
            expires: granting.or_else(|| Some(contents.tickets().next()?.endtime)),
            refresh_time: seconds.map(Timestamp::from_seconds),
            time_offset: contents.time_offset.filter(|_| settings.kdc_timesync),
        }
    }

    /// The time by the KDC's clock.
    fn kdc_now(&self, env: &Environment) -> Timestamp {
        let offset = self.time_offset.unwrap_or_default();
        let micros = i64::from(offset.seconds) * 1_000_000 + i64::from(offset.micros);
        Timestamp::from_micros(env.now().micros().saturating_add(micros))
    }

    /// How long the tickets still live; nothing if they do not.
    pub(super) fn left(&self, env: &Environment) -> Option<Duration> {
        let (expires, now) = (self.expires?, self.kdc_now(env));
        (expires > now).then(|| expires.abs_diff(now))
    }

    fn is_due(&self, env: &Environment) -> bool {
        let now = self.kdc_now(env);
        let at = |time: Timestamp| time <= now;
        self.refresh_time.is_some_and(at) || self.expires.is_none_or(|end| end < now + SOON)
    }

    /// When there will be something to do, by our clock.
    fn next_look(&self, env: &Environment) -> Timestamp {
        let ending = self.expires.map(|end| end - SOON);
        let next = ending.into_iter().chain(self.refresh_time).min();
        let left = next.map(|next| {
            let now = self.kdc_now(env).micros();
            // The refresh time is whatever number stands in the cache.
            next.micros().saturating_sub(now)
        });
        let left = left.unwrap_or(0).max(0);
        // What is due and could not be done is not tried again at once.
        let floor = if self.is_due(env) {
            SOON
        } else {
            Duration::ZERO
        };
        (env.now() + floor).max(Timestamp::from_micros(
            env.now().micros().saturating_add(left),
        ))
    }
}

impl Tickets {
    pub(super) const fn new(
        wanted: Option<Principal>,
        place: Place,
        client_keytab: Option<String>,
        lifetime: Option<Duration>,
    ) -> Self {
        Self {
            wanted,
            place,
            client_keytab,
            lifetime,
            identity: OnceLock::new(),
        }
    }

    /// Those in `cache`, of which a copy is kept in memory.
    pub(super) fn own(cache: &CredentialCache) -> Self {
        let store = own(cache);
        let identity = Identity {
            impersonator: impersonator(cache),
            ..Identity::new(store.clone(), cache.principal.clone(), i64::MAX)
        };
        let place = Place::Own {
            _cache: OwnCache(store),
        };
        Self {
            identity: OnceLock::from(identity),
            ..Self::new(Some(cache.principal.clone()), place, None, None)
        }
    }

    /// Those of a client who has just proved itself, kept in memory.
    pub(super) fn initial(env: &Environment, obtained: &Obtained) -> Self {
        Self::own(&initial_cache(env, obtained))
    }

    /// Which cache it is, and whose, as far as that is known already.
    pub(super) fn known(&self) -> Option<&Identity> {
        self.identity.get()
    }

    /// Which cache it is, and whose. The first call decides, by the service that it is for; its tickets are got or renewed
    /// if they have to be and can be.
    pub(super) async fn identity(
        &self,
        io: impl Io,
        env: &Environment,
        target: Option<&Principal>,
    ) -> Result<&Identity, CredentialError> {
        if let Some(known) = self.identity.get() {
            if known.has_to_be_looked_at(env.now()) {
                self.fill(io, env, known).await?;
            }
            return Ok(known);
        }
        let (cache, client) = match &self.place {
            Place::Named(cache) => self.in_named(env, cache)?,
            Place::Collection | Place::Own { .. } => select::cache(self, env, target)?,
        };
        let mut identity = Identity::new(cache, client, 0);
        if let Some(client) = self.fill(io, env, &identity).await? {
            // The KDC may have corrected the name.
            identity.client = client;
        }
        identity.impersonator = identity.contents()?.as_ref().and_then(impersonator);
        // No lock is held while KDCs are asked: of threads that ask at once, one decides for all.
        Ok(self.identity.get_or_init(|| identity))
    }

    /// That the credential is one, though its cache may not be known before the target is.
    pub(super) async fn check(
        &self,
        io: impl Io,
        env: &Environment,
    ) -> Result<(), CredentialError> {
        if let (Place::Collection, None) = (&self.place, &self.wanted) {
            return select::any(self, env);
        }
        self.identity(io, env, None).await.map(drop)
    }

    /// The cache that was named has to be the client's, or not to be there and to be made.
    fn in_named(
        &self,
        env: &Environment,
        cache: &CcacheStore,
    ) -> Result<(CcacheStore, Principal), CredentialError> {
        match (cache.read(), &self.wanted) {
            (Ok(contents), Some(wanted)) if contents.principal != *wanted => {
                Err(CredentialError::CacheNoMatch {
                    cache: cache.name().clone(),
                    holds: contents.principal,
                    wanted: Box::new(wanted.clone()),
                })
            }
            (Ok(contents), _) => Ok((cache.clone(), contents.principal)),
            (Err(missing @ CcacheStoreError::NotFound(_)), wanted) => {
                let keytab = self.client_keys(env).ok();
                let client = keytab
                    .as_deref()
                    .and_then(|keytab| whose(keytab, wanted.as_ref()));
                match client {
                    Some(client) => Ok((cache.clone(), client)),
                    None => Err(missing.into()),
                }
            }
            (Err(error), _) => Err(error.into()),
        }
    }

    /// Gets tickets where there are none, or they have to be renewed. Gives the client's name if the KDC corrected it.
    async fn fill(
        &self,
        io: impl Io,
        env: &Environment,
        identity: &Identity,
    ) -> Result<Option<Principal>, CredentialError> {
        let contents = identity.contents()?;
        let scan = contents
            .as_ref()
            .map(|contents| Scan::of(contents, env.settings()));
        let has_tickets = scan.as_ref().is_some_and(|scan| scan.expires.is_some());
        let is_due = scan.as_ref().is_none_or(|scan| scan.is_due(env));
        let mut obtained = None;
        if is_due {
            match self.renew(io, env, identity, contents).await {
                Ok(ticket) => obtained = Some(ticket),
                // They may still be good, and whether they are is seen when they are used.
                Err(error) if has_tickets => {
                    tracing::debug!(client = %identity.client, %error, "the tickets were not renewed");
                }
                Err(error) => return Err(error),
            }
        }
        let renewed = obtained.as_ref().map(|(_, scan)| scan);
        identity.looked_at(renewed.or(scan.as_ref()), env);
        Ok(obtained.map(|(client, _)| client))
    }

    /// Makes the cache anew with an initial ticket, got with a key of the client keytab.
    async fn renew(
        &self,
        io: impl Io,
        env: &Environment,
        identity: &Identity,
        contents: Option<CredentialCache>,
    ) -> Result<(Principal, Scan), CredentialError> {
        let secret = self.secret(env, identity, contents.is_some())?;
        if let Some(mut contents) = contents.filter(|contents| contents.tickets().next().is_some())
        {
            // Other processes leave it to this one for a while.
            let later = (env.now() + SOON).seconds().to_string();
            contents.set_config(REFRESH_TIME, None, later.as_bytes());
            identity.replace(&contents)?;
        }
        let options = InitialOptions {
            lifetime: self.lifetime,
            ..InitialOptions::default()
        };
        let tickets = env.tickets();
        let obtained = tickets.initial_credential(io, &identity.client, secret, &options);
        let mut cache = initial_cache(env, &obtained.await?);
        set_refresh_time(&mut cache);
        identity.replace(&cache)?;
        let scan = Scan::of(&cache, env.settings());
        Ok((cache.principal, scan))
    }

    /// The client's key; what is missing without it are tickets, or the cache itself.
    fn secret(
        &self,
        env: &Environment,
        identity: &Identity,
        is_there: bool,
    ) -> Result<Secret, CredentialError> {
        let keytab = self.client_keys(env);
        let secret = keytab.and_then(|keytab| Ok(keys_of(&identity.client, &keytab)?));
        secret.map_err(|_| match is_there {
            true => CredentialError::EmptyCache {
                cache: identity.cache.name().clone(),
                client: identity.client.clone(),
                keytab: self.client_keytab_name(env),
            },
            false => CcacheStoreError::NotFound(identity.cache.name().clone()).into(),
        })
    }

    /// The client keytab as it is now.
    fn client_keys(&self, env: &Environment) -> Result<Arc<Keytab>, CredentialError> {
        let explicit = self.client_keytab.as_deref();
        let explicit = explicit.or(env.config().client_keytab.as_deref());
        let name = places::client_keytab(explicit, env.settings(), &User::current())?;
        Ok(KeytabFile::new(keys::path(name)?).current()?)
    }

    /// For people: where the client keytab is.
    pub(super) fn client_keytab_name(&self, env: &Environment) -> String {
        let explicit = self.client_keytab.as_deref();
        let explicit = explicit.or(env.config().client_keytab.as_deref());
        match places::client_keytab(explicit, env.settings(), &User::current()) {
            Ok(name) => name.to_string(),
            Err(problem) => format!("({problem})"),
        }
    }

    /// The client keytab's name, if it is one.
    pub(super) fn client_keytab_path(&self, env: &Environment) -> Option<String> {
        let explicit = self.client_keytab.as_deref();
        let explicit = explicit.or(env.config().client_keytab.as_deref());
        let name = places::client_keytab(explicit, env.settings(), &User::current());
        Some(name.ok()?.to_string())
    }

    /// The cache's name, if it was chosen before anything else was known.
    pub(super) fn place_name(&self) -> Option<String> {
        match &self.place {
            Place::Named(cache) => Some(cache.name().to_string()),
            Place::Collection | Place::Own { .. } => None,
        }
    }

    /// Whose tickets could be got with the client keytab: those of `wanted` if that is said, else of its first entry.
    pub(super) fn obtainable(
        &self,
        env: &Environment,
        wanted: Option<&Principal>,
    ) -> Option<Principal> {
        whose(&*self.client_keys(env).ok()?, wanted)
    }

    /// A ticket for `target`: from the cache, else from the KDC.
    pub(super) async fn ticket_for(
        &self,
        io: impl Io,
        env: &Environment,
        target: &Principal,
        enctypes: Option<&[&'static Enctype]>,
    ) -> Result<ServiceTicket, CredentialError> {
        let identity = self.identity(io, env, Some(target)).await?;
        let mut settings = None;
        let mut tickets = env.tickets();
        if let Some(enctypes) = enctypes {
            tickets.settings = settings.insert(limited(tickets.settings, enctypes));
        }
        let mut found = tickets.service_ticket(io, target, &identity.cache).await;
        if let Err(TicketError::Cache(CcacheStoreError::NotFound(_))) = found {
            // Somebody has removed it; the client keytab may make it anew.
            self.fill(io, env, identity).await?;
            found = tickets.service_ticket(io, target, &identity.cache).await;
        }
        let found = found?;
        let ticket = found.credential;
        identity.is_still_of(&ticket.client)?;
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

    /// A forwarded ticket-granting ticket, to delegate to `target`.
    pub(super) async fn forwarded(
        &self,
        io: impl Io,
        env: &Environment,
        target: &Principal,
        enctype: &'static Enctype,
    ) -> Result<Credential, CredentialError> {
        let identity = self.identity(io, env, Some(target)).await?;
        let tickets = env.tickets();
        let forwarded = tickets.forwarded_ticket(io, &identity.cache, Some(enctype));
        let forwarded = forwarded.await?;
        // Nobody else's, where the cache has changed since the context's own ticket came from it.
        identity.is_still_of(&forwarded.client)?;
        Ok(forwarded)
    }
}

impl Identity {
    fn new(cache: CcacheStore, client: Principal, look_again: i64) -> Self {
        Self {
            cache,
            client,
            impersonator: None,
            look_again: AtomicI64::new(look_again),
            claimed: AtomicI64::new(i64::MIN),
            ends: AtomicI64::new(i64::MIN),
        }
    }

    /// Whether the cache has to be looked at now, by who asks. Of threads that ask at once one has to, and the others go on with
    /// the tickets that are there; where these have ended, all have to.
    fn has_to_be_looked_at(&self, now: Timestamp) -> bool {
        let (now, until) = (now.micros(), (now + SOON).micros());
        if now < self.look_again.load(Ordering::Relaxed) {
            return false;
        }
        let claimed = self.claimed.load(Ordering::Relaxed);
        let claim = |claimed| {
            let (ordering, claims) = (Ordering::Relaxed, &self.claimed);
            claims.compare_exchange(claimed, until, ordering, ordering)
        };
        now >= claimed && claim(claimed).is_ok() || now >= self.ends.load(Ordering::Relaxed)
    }

    /// Notes when there is something to do again.
    fn looked_at(&self, scan: Option<&Scan>, env: &Environment) {
        let next = scan.map_or_else(|| env.now(), |scan| scan.next_look(env));
        let left = scan.and_then(|scan| scan.left(env));
        let ends = left.map_or(i64::MIN, |left| (env.now() + left).micros());
        self.ends.store(ends, Ordering::Relaxed);
        self.look_again.store(next.micros(), Ordering::Relaxed);
    }

    /// What is in the cache, if it is there.
    pub(super) fn contents(&self) -> Result<Option<CredentialCache>, CredentialError> {
        match self.cache.read() {
            Ok(contents) => {
                self.is_still_of(&contents.principal)?;
                Ok(Some(contents))
            }
            Err(CcacheStoreError::NotFound(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// What is in the cache, which has to be there.
    pub(super) fn tickets(&self) -> Result<CredentialCache, CredentialError> {
        let missing = || CcacheStoreError::NotFound(self.cache.name().clone()).into();
        self.contents()?.ok_or_else(missing)
    }

    /// Makes the cache anew, unless it has become another client's meanwhile.
    fn replace(&self, contents: &CredentialCache) -> Result<(), CredentialError> {
        self.contents()?;
        Ok(self.cache.replace(contents)?)
    }

    fn is_still_of(&self, client: &Principal) -> Result<(), CredentialError> {
        if *client == self.client {
            return Ok(());
        }
        Err(CredentialError::CacheChanged {
            cache: self.cache.name().clone(),
            holds: client.clone(),
            was: Box::new(self.client.clone()),
        })
    }
}

/// Who may act for the cache's client.
pub(super) fn impersonator(contents: &CredentialCache) -> Option<Principal> {
    Principal::parse_bytes(contents.config(IMPERSONATOR, None)?, None).ok()
}

/// The principal of `keytab` that tickets can be got for: `wanted` if that is said, else the first.
fn whose(keytab: &Keytab, wanted: Option<&Principal>) -> Option<Principal> {
    let mut entries = keytab.entries.iter().map(|entry| &entry.principal);
    entries
        .find(|one| wanted.is_none_or(|wanted| *one == wanted))
        .cloned()
}

/// A cache with the ticket that its client has just got.
fn initial_cache(env: &Environment, obtained: &Obtained) -> CredentialCache {
    // The KDC may have corrected the name.
    let mut cache = CredentialCache::new(obtained.credential.client.clone());
    cache.version = env.settings().ccache_type;
    cache.time_offset = (env.settings().kdc_timesync)
        // MIT's programs expect the field to be there.
        .then(|| obtained.time_offset.unwrap_or_default());
    cache.credentials.push(obtained.credential.clone());
    cache
}

/// Tickets are got anew when half of their life is over.
fn set_refresh_time(cache: &mut CredentialCache) {
    let Some(ticket) = cache.tickets().next() else {
        return;
    };
    let (end, epoch) = (ticket.endtime.seconds(), Timestamp::from_seconds(0));
    let start = match ticket.starttime {
        time if time == epoch => ticket.authtime.seconds(),
        time => time.seconds(),
    };
    let half = (start + (end - start) / 2).to_string();
    cache.set_config(REFRESH_TIME, None, half.as_bytes());
}

/// The settings of a credential that may use these enctypes alone.
fn limited(settings: &Settings, enctypes: &[&'static Enctype]) -> Settings {
    let allowed = |list: &[&'static Enctype]| -> Vec<&'static Enctype> {
        let is_allowed = |one: &&&'static Enctype| {
            enctypes
                .iter()
                .any(|allowed| allowed.number() == one.number())
        };
        list.iter().filter(is_allowed).copied().collect()
    };
    Settings {
        default_tgs_enctypes: allowed(&settings.default_tgs_enctypes),
        permitted_enctypes: allowed(&settings.permitted_enctypes),
        ..settings.clone()
    }
}

/// The collection of the user's caches.
pub(super) fn collection(env: &Environment) -> Result<CacheCollection, CredentialError> {
    let explicit = env.config().ccache.as_deref();
    let name = places::ccache(explicit, env.settings(), &User::current())?;
    Ok(CacheCollection::new(name))
}
