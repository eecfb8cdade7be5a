//! Calls that take objects of libkrb5's, from programs that use it beside GSS-API (`gssapi_krb5.h` of MIT krb5), and caches in memory
//! that such programs name.
//!
//! Where it is loaded already it is called for exactly these objects; it is never loaded because of them.

use std::sync::{Arc, PoisonError};

use baton::host::ccache::CcacheStore;
use baton::host::names::{CcacheName, KeytabName};
use baton::kerberos::Principal;
use baton::kerberos::ccache::Credential as Ticket;
use baton::{Acquire, CredStore, Credential, Environment, Major, Name, Usage};

use crate::abi::COMPLETE;
use crate::boundary::{Status, entry};
use crate::cred;
use crate::environment;
use crate::ptr::{Foreign, HandleSlot, InHandle, LibKrb5};
use crate::status::GENERIC;

/// Why a call with an object of libkrb5's failed.
#[derive(Debug, thiserror::Error)]
pub enum Libkrb5Error {
    /// The program has no libkrb5, and so no object of it.
    #[error(
        "libkrb5.so.3 is not loaded in this process, so this is no object of it: link it, or use gss_acquire_cred_from and \
         gss_store_cred_into"
    )]
    NotLoaded,
    /// It is older than the functions that are called.
    #[error("the libkrb5.so.3 that is loaded has no {0}: it must be of MIT krb5 1.20 or newer")]
    NoFunction(&'static str),
    /// It answered with an error.
    #[error("libkrb5: {text}")]
    Failed {
        /// Its answer.
        code: i32,
        /// What it says of it.
        text: String,
    },
    /// An object of it does not have the form that it has in memory.
    #[error("the object of libkrb5 is malformed: pass one that its calls have made")]
    Malformed,
}

/// `EINVAL`, as MIT's library gives it where nothing is to be imported.
const EINVAL: u32 = libc::EINVAL.cast_unsigned();

impl From<Libkrb5Error> for Status {
    fn from(error: Libkrb5Error) -> Self {
        let (major, minor) = match &error {
            Libkrb5Error::NotLoaded | Libkrb5Error::NoFunction(_) => (Major::Unavailable, GENERIC),
            Libkrb5Error::Failed { code, .. } => (Major::Failure, code.cast_unsigned()),
            Libkrb5Error::Malformed => (Major::Failure, GENERIC),
        };
        Self {
            text: Some(error.to_string()),
            minor,
            ..major.into()
        }
    }
}

/// What a program means by the cache `name`, or by the default one, is the cache in memory that its libkrb5 has under that name:
/// it is copied here. Where there is no such cache, what is here under the name is meant.
pub(crate) fn bring(name: Option<&str>) {
    let name = match name {
        Some(name) => Ok(name.to_owned()),
        None => environment::default_ccache(),
    };
    let Some(name) = name.ok().filter(|name| is_in_memory(name)) else {
        return;
    };
    let Ok(library) = LibKrb5::loaded() else {
        return;
    };
    let found = library.with_cache(&name, LibKrb5::read_cache);
    if let (Ok(contents), Ok(ours)) = (found, CcacheName::parse(&name)) {
        // A cache in memory is replaced without fail.
        let _ = CcacheStore::new(ours).replace(&contents);
    }
}

/// Copies the cache in memory that was stored under `name` to where the program's libkrb5 has such caches.
pub(crate) fn take_along(name: &str) -> Result<(), Status> {
    if !is_in_memory(name) {
        return Ok(());
    }
    let Ok(library) = LibKrb5::loaded() else {
        return Ok(());
    };
    let Ok(ours) = CcacheName::parse(name) else {
        return Ok(());
    };
    let contents = CcacheStore::new(ours).read();
    let contents = contents.map_err(|error| baton::Error::new(Major::Failure, error))?;
    library.with_cache(name, |library, cache| {
        library.initialize(cache, &contents.principal)?;
        library.add_to_cache(cache, live(&contents.credentials))
    })?;
    Ok(())
}

fn is_in_memory(name: &str) -> bool {
    name.starts_with("MEMORY:")
}

fn live(tickets: &[Ticket]) -> impl Iterator<Item = &Ticket> {
    tickets.iter().filter(|ticket| !ticket.is_removed())
}

fn name(principal: &Principal) -> Name {
    Name::new(baton::Oid::NT_KRB5_PRINCIPAL, principal.to_bytes())
}

/// The tickets in a cache of the program's. A file is named, so that tickets for services go there; what else there is, is copied.
fn initiator(env: &Environment, library: &LibKrb5, cache: Foreign) -> Result<Credential, Status> {
    let called = library.cache_name(cache)?;
    match CcacheName::parse(&called) {
        Ok(CcacheName::Memory(_)) | Err(_) => {
            Ok(Credential::from_cache(&library.read_cache(cache)?)?)
        }
        Ok(_) => {
            let store = CredStore::new().ccache(called);
            Ok(Acquire::new(env, Usage::Initiate).store(store).acquire()?)
        }
    }
}

/// The keys in a keytab of the program's, likewise.
fn acceptor(
    env: &Environment,
    library: &LibKrb5,
    keytab: Foreign,
    principal: Option<&Name>,
) -> Result<Credential, Status> {
    let called = library.keytab_name(keytab)?;
    let all = match KeytabName::parse(&called) {
        Ok(KeytabName::Memory(_)) | Err(_) => {
            Credential::from_keytab(Arc::new(library.read_keytab(keytab)?))
        }
        Ok(_) => Credential::acceptor(env, Some(&called))?,
    };
    match principal {
        Some(principal) => Ok(all.for_service(env, principal)?),
        None => Ok(all),
    }
}

entry! {
    /// `gss_krb5_copy_ccache`: a credential's tickets, into a cache of libkrb5's that the caller has initialized.
    fn gss_krb5_copy_ccache(minor, handle: InHandle, ccache: Foreign) {
        let handle = handle.get().ok_or(Status::INACCESSIBLE_READ.with(Major::NoCred))?;
        let ccache = ccache.get().ok_or(Status::INACCESSIBLE_READ)?;
        let object = cred::of_handle(handle)?;
        let contents = object.cred.to_cache(&object.env)?;
        LibKrb5::loaded()?.add_to_cache(ccache, live(&contents.credentials))?;
        Ok(COMPLETE)
    }

    /// `gss_krb5_import_cred`: a credential of a cache's tickets, of a keytab's keys, or of both. A principal is the one that the keys
    /// are for.
    fn gss_krb5_import_cred(minor, ccache: Foreign, principal: Foreign, keytab: Foreign, output: HandleSlot) {
        let output = output.required()?;
        output.set(None);
        let (ccache, keytab) = (ccache.get(), keytab.get());
        if ccache.is_none() && keytab.is_none() {
            return Err(Status { minor: EINVAL, ..Major::Failure.into() });
        }
        let library = LibKrb5::loaded()?;
        let env = environment::current()?;
        let principal = principal.get().map(|one| library.principal(one)).transpose()?;
        let principal = principal.as_ref().map(name);
        let tickets = ccache.map(|cache| initiator(&env, &library, cache)).transpose()?;
        let keys = keytab.map(|keytab| acceptor(&env, &library, keytab, principal.as_ref())).transpose()?;
        let both = match (tickets, keys) {
            (Some(tickets), Some(keys)) => tickets.joined_by(&keys),
            (Some(one), None) | (None, Some(one)) => one,
            (None, None) => return Err(Major::NoCred.into()),
        };
        output.set(Some(cred::insert(&env, both)?));
        Ok(COMPLETE)
    }

    /// `gss_krb5_set_cred_rcache`: an acceptor notices replays in a replay cache of libkrb5's, by its name: both use the file.
    fn gss_krb5_set_cred_rcache(minor, handle: InHandle, rcache: Foreign) {
        let handle = handle.get().ok_or(Status::INACCESSIBLE_READ.with(Major::NoCred))?;
        let rcache = rcache.get().ok_or(Status::INACCESSIBLE_READ)?;
        let name = LibKrb5::loaded()?.rcache_name(rcache)?;
        let object = cred::object(handle)?;
        let mut object = object.write().unwrap_or_else(PoisonError::into_inner);
        object.cred = object.cred.with_rcache(&object.env, &name)?;
        Ok(COMPLETE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_libkrb5_that_is_not_there_is_not_loaded() {
        for _ in 0..2 {
            assert!(matches!(LibKrb5::loaded(), Err(Libkrb5Error::NotLoaded)));
        }
        let status = Status::from(Libkrb5Error::NotLoaded);
        assert_eq!(status.major, Major::Unavailable.code());
        assert!(status.text.unwrap().contains("gss_acquire_cred_from"));
        // Without it, names of caches in memory are this library's own.
        bring(Some("MEMORY:no such cache"));
        assert!(take_along("MEMORY:no such cache").is_ok());
    }
}
