//! Which cache is meant where nobody says: by `.k5identity`, by the realm of the target, by the name of its host, else the default one;
//! and where tickets go that the client keytab gets.

use std::path::PathBuf;

use krb5::formats::k5identity::Identities;
use krb5::principal::{NT_SRV_HST, Principal};

use super::CredentialError;
use super::tickets::{Tickets, collection};
use crate::environment::Environment;
use crate::host::ccache::{CcacheStore, CcacheStoreError};
use crate::host::collection::CacheCollection;
use crate::host::k5identity;
use crate::host::tickets::service::asked_for;
use crate::host::user::User;

/// A cache, and whose it is. It need not be there yet, if tickets can be got for that client.
pub(super) fn cache(
    tickets: &Tickets,
    env: &Environment,
    target: Option<&Principal>,
) -> Result<(CcacheStore, Principal), CredentialError> {
    let collection = collection(env)?;
    if let Some(wanted) = &tickets.wanted {
        return of_client(tickets, env, &collection, wanted);
    }
    // MIT's library knows no realm here that is but the default one: it would be the guess, and not the user, that chooses.
    if let Some(target) = target.map(|target| asked_for(target, env.settings())) {
        let default_realm = env.settings().default_realm.as_deref();
        if let Some(client) = identities(env).choose(&target, default_realm) {
            return of_client(tickets, env, &collection, &client);
        }
        if let Some(found) = for_target(&collection, &target)? {
            return Ok(found);
        }
    }
    let default = collection.default_cache();
    match default.and_then(|cache| Ok((cache.read()?.principal, cache))) {
        Ok((client, cache)) => Ok((cache, client)),
        Err(CcacheStoreError::NotFound(_)) => match tickets.obtainable(env, None) {
            Some(client) => of_client(tickets, env, &collection, &client),
            None => Err(nothing(tickets, env, &collection)),
        },
        Err(error) => Err(error.into()),
    }
}

/// That there is a cache, or a key to get tickets with: whichever is chosen later.
pub(super) fn any(tickets: &Tickets, env: &Environment) -> Result<(), CredentialError> {
    let collection = collection(env)?;
    if tickets.obtainable(env, None).is_some() || !collection.clients()?.is_empty() {
        return Ok(());
    }
    // If the default cache is there, what is wrong with it is what there is to tell.
    match collection
        .default_cache()
        .and_then(|cache| cache.read().map(drop))
    {
        Ok(()) | Err(CcacheStoreError::NotFound(_)) => Err(nothing(tickets, env, &collection)),
        Err(error) => Err(error.into()),
    }
}

/// The cache of `client`: one that is its already, else one that can be made its own.
fn of_client(
    tickets: &Tickets,
    env: &Environment,
    collection: &CacheCollection,
    client: &Principal,
) -> Result<(CcacheStore, Principal), CredentialError> {
    if let Some(cache) = collection.find(client)? {
        return Ok((cache, client.clone()));
    }
    if tickets.obtainable(env, Some(client)).is_none() {
        return Err(CredentialError::NotInCollection {
            wanted: client.clone(),
            collection: collection.name().clone(),
            keytab: tickets.client_keytab_name(env),
        });
    }
    if let Some(cache) = collection.new_cache()? {
        return Ok((cache, client.clone()));
    }
    let cache = collection.default_cache()?;
    match cache.read() {
        Err(CcacheStoreError::NotFound(_)) => Ok((cache, client.clone())),
        Ok(contents) => Err(CredentialError::CacheNoMatch {
            cache: cache.name().clone(),
            holds: contents.principal,
            wanted: Box::new(client.clone()),
        }),
        Err(error) => Err(error.into()),
    }
}

/// The first cache of the target's realm; else the one whose realm is the longest tail of the target's host.
fn for_target(
    collection: &CacheCollection,
    target: &Principal,
) -> Result<Option<(CcacheStore, Principal)>, CredentialError> {
    let mut clients = collection.clients()?;
    let same_realm = |(_, client): &(CcacheStore, Principal)| {
        !target.realm().is_empty() && client.realm() == target.realm()
    };
    if let Some(at) = clients.iter().position(same_realm) {
        return Ok(Some(clients.swap_remove(at)));
    }
    let host = match target.components() {
        [_, host, ..] if target.name_type() == NT_SRV_HST => host.to_ascii_uppercase(),
        _ => return Ok(None),
    };
    let is_tail = |realm: &[u8]| {
        let before = host.strip_suffix(realm);
        !realm.is_empty() && before.is_some_and(|rest| rest.last().is_none_or(|dot| *dot == b'.'))
    };
    clients.retain(|(_, client)| is_tail(client.realm()));
    // Of those with realms of one length the first; `max_by_key` would take the last.
    let longest = clients.iter().map(|(_, client)| client.realm().len()).max();
    let first = |(_, client): &(CcacheStore, Principal)| Some(client.realm().len()) == longest;
    Ok(clients.into_iter().find(first))
}

/// The user's `.k5identity`; without one, or with one that cannot be read, none.
fn identities(env: &Environment) -> Identities {
    let Some(path) = env.config().k5identity.clone().or_else(|| in_home(env)) else {
        return Identities::default();
    };
    match k5identity::read(&path) {
        Ok(bytes) => Identities::parse(&bytes),
        Err(problem) => {
            tracing::debug!(path = %path.display(), %problem, "no .k5identity chooses a client");
            Identities::default()
        }
    }
}

fn in_home(env: &Environment) -> Option<PathBuf> {
    let account = env.accounts().by_uid(User::current().euid).ok()??;
    Some(account.home.join(".k5identity"))
}

fn nothing(tickets: &Tickets, env: &Environment, collection: &CacheCollection) -> CredentialError {
    CredentialError::Nothing {
        collection: collection.name().clone(),
        keytab: tickets.client_keytab_name(env),
    }
}
