//! Credentials: whose keys an acceptor has, whose tickets an initiator has.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use gss_core::error::{Error, Major};
use gss_core::name::Name;
use gss_krb5::{AcceptorCred, ServiceTicket};
use krb5::formats::ccache::{Credential as Ticket, CredentialCache};
use krb5::formats::keytab::Keytab;
use krb5::principal::Principal;
use wire::time::Timestamp;

use crate::environment::Environment;
use crate::names;

/// Whose keys an acceptor has, or whose tickets an initiator has. Cheap to clone; clones share their tickets.
#[derive(Clone)]
pub struct Credential(Arc<Kind>);

enum Kind {
    /// Keys that were handed in.
    Keys {
        keytab: Arc<Keytab>,
        principal: Option<Principal>,
    },
    /// Tickets in this process's memory.
    Tickets(Mutex<CredentialCache>),
}

impl Credential {
    /// The keys in `keytab`, which the program got in its own way. With `name`, those of one principal alone.
    pub fn from_keytab(
        env: &Environment,
        keytab: Arc<Keytab>,
        name: Option<&Name>,
    ) -> Result<Self, Error> {
        let principal = name
            .map(|name| names::principal(name, env.settings()))
            .transpose()?;
        Ok(Self(Arc::new(Kind::Keys { keytab, principal })))
    }

    /// The tickets in `cache`, which the program got in its own way. Tickets for further services are added to a copy in memory.
    pub fn from_cache(cache: CredentialCache) -> Self {
        Self(Arc::new(Kind::Tickets(Mutex::new(cache))))
    }

    pub(crate) fn ticket_for(
        &self,
        env: &Environment,
        target: &Principal,
    ) -> Result<ServiceTicket, Error> {
        match &*self.0 {
            Kind::Keys { .. } => Err(CredentialError::AcceptOnly.into()),
            Kind::Tickets(cache) => {
                let cache = cache.lock().unwrap_or_else(PoisonError::into_inner);
                let found = cached(&cache, target, env.now());
                found.ok_or_else(|| CredentialError::NoTicket(target.to_string()).into())
            }
        }
    }

    pub(crate) fn acceptor_keys(&self, _env: &Environment) -> Result<AcceptorCred, Error> {
        match &*self.0 {
            Kind::Keys { keytab, principal } => Ok(AcceptorCred {
                keytab: Arc::clone(keytab),
                principal: principal.clone(),
            }),
            Kind::Tickets(_) => Err(CredentialError::InitiateOnly.into()),
        }
    }

    /// Whose credential this is, if it is one principal's.
    pub fn name(&self) -> Option<Name> {
        let principal = match &*self.0 {
            Kind::Keys { principal, .. } => principal.clone()?,
            Kind::Tickets(cache) => {
                let cache = cache.lock().unwrap_or_else(PoisonError::into_inner);
                cache.principal.clone()
            }
        };
        Some(names::name(&principal))
    }
}

/// A ticket in `cache` for `target` that is good now.
fn cached(cache: &CredentialCache, target: &Principal, now: Timestamp) -> Option<ServiceTicket> {
    let offset = cache.time_offset.unwrap_or_default();
    let theirs = Timestamp::from_micros(
        now.micros() + i64::from(offset.seconds) * 1_000_000 + i64::from(offset.micros),
    );
    let good = |entry: &&Ticket| {
        // What a name is called in lists is no part of it (RFC 4120 §6.2).
        let same = entry.server.realm() == target.realm()
            && entry.server.components() == target.components();
        same && entry.endtime > theirs && !entry.is_skey
    };
    let entry = cache
        .tickets()
        .filter(good)
        .max_by_key(|entry| entry.endtime)?;
    Some(ServiceTicket {
        client: entry.client.clone(),
        server: entry.server.clone(),
        ticket: entry.ticket.clone(),
        key: Arc::clone(entry.key.usable()?),
        authtime: entry.authtime,
        endtime: entry.endtime,
        flags: entry.flags,
        time_offset: offset,
    })
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

/// Why a credential is not good for what it is used for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CredentialError {
    /// An acceptor's credential was used to initiate.
    #[error("this credential has keys to accept with, and no tickets to initiate with")]
    AcceptOnly,
    /// An initiator's credential was used to accept.
    #[error("this credential has tickets to initiate with, and no keys to accept with")]
    InitiateOnly,
    /// No ticket for the service, and no way to get one.
    #[error("no ticket for {0}")]
    NoTicket(String),
}

impl From<CredentialError> for Error {
    fn from(error: CredentialError) -> Self {
        Self::new(Major::NoCred, error)
    }
}
