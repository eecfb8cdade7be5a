//! What an acceptor has: keys of a keytab, and where it notices replays.

use std::sync::Arc;

use gss_core::name::Name;
use gss_core::oid::Oid;
use gss_krb5::AcceptorCred;
use krb5::exchange::ap::Acceptable;
use krb5::formats::keytab::Keytab;
use krb5::principal::Principal;

use super::CredentialError;
use crate::environment::{Environment, Rcache};
use crate::host::keytab::KeytabFile;
use crate::host::names::{self as places, KeytabName};
use crate::host::user::User;
use crate::{Error, names};

/// Keys, of which some may be used.
#[derive(Clone)]
pub(super) struct Keys {
    pub(super) source: Source,
    pub(super) acceptable: Acceptable,
    /// Instead of the environment's.
    pub(super) rcache: Option<OwnRcache>,
}

/// Where one acceptor notices replays.
#[derive(Clone)]
pub(super) struct OwnRcache {
    /// In MIT's notation.
    pub(super) name: String,
    pub(super) rcache: Arc<Rcache>,
}

impl OwnRcache {
    pub(super) fn named(env: &Environment, name: String) -> Result<Self, CredentialError> {
        let rcache = Arc::new(Rcache::named(env, &name)?);
        Ok(Self { name, rcache })
    }
}

#[derive(Clone)]
pub(super) enum Source {
    /// Looked at anew at each use.
    File(Arc<KeytabFile>),
    /// What the program got in its own way.
    Given(Arc<Keytab>),
}

impl Source {
    /// The keytab called `name`, else the configured one, else the host's.
    pub(super) fn named(env: &Environment, name: Option<&str>) -> Result<Self, CredentialError> {
        let explicit = name.or(env.config().keytab.as_deref());
        let name = places::keytab(explicit, env.settings(), &User::current())?;
        Ok(Self::File(Arc::new(KeytabFile::new(path(name)?))))
    }

    /// The keys as they are now.
    pub(super) fn current(&self) -> Result<Arc<Keytab>, CredentialError> {
        match self {
            Self::Given(keytab) => Ok(Arc::clone(keytab)),
            Self::File(file) => Ok(file.current()?),
        }
    }

    /// What it is called.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Given(_) => "that was given".to_owned(),
            Self::File(file) => format!("FILE:{}", file.path().display()),
        }
    }
}

impl Keys {
    /// Any key of `source`.
    pub(super) const fn any(source: Source) -> Self {
        Self {
            source,
            acceptable: Acceptable::Any,
            rcache: None,
        }
    }

    /// The same for `wanted` alone, which the keytab has to have: better learned now than at the first client.
    pub(super) fn only(&self, wanted: Acceptable) -> Result<Self, CredentialError> {
        let keys = Self {
            acceptable: wanted,
            ..self.clone()
        };
        keys.check()?;
        Ok(keys)
    }

    /// That there is a key to accept with.
    pub(super) fn check(&self) -> Result<(), CredentialError> {
        let keytab = self.source.current()?;
        if keytab.entries.is_empty() {
            return Err(CredentialError::EmptyKeytab(self.source.name()));
        }
        let mut entries = keytab.entries.iter();
        if entries.any(|entry| self.acceptable.includes(&entry.principal)) {
            return Ok(());
        }
        Err(CredentialError::KeytabNoMatch {
            keytab: self.source.name(),
            wanted: self.acceptable.clone(),
            has: principals(&keytab),
        })
    }

    /// The keys as they are now, for one handshake.
    pub(super) fn current(&self) -> Result<AcceptorCred, CredentialError> {
        Ok(AcceptorCred {
            keytab: self.source.current()?,
            acceptable: self.acceptable.clone(),
        })
    }

    /// The one principal that this is for; else, if there is a choice, the first of the keytab.
    pub(super) fn principal(&self) -> Result<Option<Principal>, CredentialError> {
        if let Acceptable::Principal(principal) = &self.acceptable {
            return Ok(Some(principal.clone()));
        }
        let keytab = self.source.current()?;
        let mut principals = keytab.entries.iter().map(|entry| &entry.principal);
        let first = principals.find(|principal| self.acceptable.includes(principal));
        Ok(first.cloned())
    }
}

/// What an acceptor called `name` is for. A service of a host (RFC 2743 §4.1) may have any realm, as with MIT's library; without
/// a host, or where `ignore_acceptor_hostname` says so, it may be on any host too.
pub(super) fn acceptable(env: &Environment, name: &Name) -> Result<Acceptable, Error> {
    let host_types = [Oid::NT_HOSTBASED_SERVICE, Oid::NT_HOSTBASED_SERVICE_X];
    if !host_types.contains(&name.name_type()) {
        return Ok(Acceptable::Principal(env.principal(name)?));
    }
    let text = name.text();
    let at = text.iter().position(|byte| *byte == b'@');
    let service = &text[..at.unwrap_or(text.len())];
    let principal = match at {
        None => None,
        Some(_) => Some(env.principal(name)?),
    };
    let host = principal.filter(|_| !env.settings().ignore_acceptor_hostname);
    Ok(Acceptable::Service {
        service: service.into(),
        host: host.and_then(|principal| principal.components().get(1).cloned()),
    })
}

/// The name of `acceptable`, if it is one principal's.
pub(super) fn name(acceptable: &Acceptable) -> Option<Name> {
    match acceptable {
        Acceptable::Principal(principal) => Some(names::name(principal)),
        Acceptable::Any => None,
        Acceptable::Service { service, host } => {
            let host = host.as_deref()?;
            let text = [service, &b"@"[..], host].concat();
            Some(Name::new(Oid::NT_HOSTBASED_SERVICE, text))
        }
    }
}

/// The path of a keytab that is a file.
pub(super) fn path(name: KeytabName) -> Result<String, CredentialError> {
    match name {
        KeytabName::File(path) => Ok(path),
        KeytabName::Memory(name) => Err(CredentialError::MemoryKeytab(name)),
    }
}

/// For people: whose keys are in `keytab`.
fn principals(keytab: &Keytab) -> String {
    const SHOWN: usize = 8;
    let mut names: Vec<String> = Vec::new();
    for entry in &keytab.entries {
        let name = entry.principal.to_string();
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let more = names.len().saturating_sub(SHOWN);
    names.truncate(SHOWN);
    match more {
        0 => format!("keys for {}", names.join(", ")),
        _ => format!("keys for {} and {more} others", names.join(", ")),
    }
}
