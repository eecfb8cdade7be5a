//! An element as Kerberos's token.

use krb5::exchange::ap::Acceptable;
use krb5::formats::ccache::{Credential as Ticket, CredentialCache, Typed};
use krb5::formats::residual::CcacheName;
use krb5::principal::{NT_SRV_HST, Principal};
use krb5_crypto::Enctype;
use wire::time::Timestamp;

use super::{ACCEPT, BOTH, INITIATE, Json, MAGIC};
use crate::credential::keys::{Keys, Source};
use crate::credential::tickets::{Scan, Tickets};
use crate::credential::{CredentialError, Element, Usage};
use crate::environment::Environment;

pub(super) fn element(
    element: &Element,
    enctypes: Option<&[&'static Enctype]>,
    env: &Environment,
) -> Result<Json, CredentialError> {
    let tickets = element.tickets.as_deref();
    let keys = element.keys.as_deref();
    let contents = tickets.map(contents).transpose()?.flatten();
    let scan = contents
        .as_ref()
        .map(|contents| Scan::of(contents, env.settings()));
    let seconds = |time: Option<Timestamp>| Json::Number(time.map_or(0, Timestamp::seconds));
    let usage = match element.usage() {
        Some(Usage::Initiate) => INITIATE,
        Some(Usage::Accept) => ACCEPT,
        Some(Usage::Both) | None => BOTH,
    };
    let fields = vec![
        Json::Number(usage),
        name(tickets, keys)?,
        (tickets.and_then(Tickets::known))
            .and_then(|known| known.impersonator.as_ref())
            .map_or(Json::Null, principal),
        Json::Bool(is_default(tickets, keys)),
        Json::Bool(false), // IAKERB
        keys.map(keytab).transpose()?.unwrap_or(Json::Null),
        (keys.and_then(|keys| keys.rcache.as_ref()))
            .map_or(Json::Null, |rcache| Json::text(rcache.name.as_bytes())),
        tickets.map_or(Json::Null, |tickets| ccache(tickets, contents.as_ref())),
        tickets.map_or(Json::Null, |tickets| client_keytab(tickets, env)),
        Json::Bool(scan.as_ref().is_some_and(|scan| scan.expires.is_some())),
        seconds(scan.as_ref().and_then(|scan| scan.expires)),
        seconds(scan.as_ref().and_then(|scan| scan.refresh_time)),
        enctypes.map_or(Json::Null, |enctypes| {
            let numbers = enctypes.iter().map(|one| Json::Number(one.number().into()));
            Json::Array(numbers.collect())
        }),
        Json::Null, // No password is kept.
    ];
    Ok(Json::Array(vec![Json::text(MAGIC), Json::Array(fields)]))
}

/// What is in the cache, if it is known which that is, and there.
fn contents(tickets: &Tickets) -> Result<Option<CredentialCache>, CredentialError> {
    match tickets.known() {
        Some(identity) => identity.contents(),
        None => Ok(None),
    }
}

/// For MIT's acceptors this is what makes their keys those of any name.
fn is_default(tickets: Option<&Tickets>, keys: Option<&Keys>) -> bool {
    match keys {
        Some(keys) => keys.acceptable == Acceptable::Any,
        None => tickets.is_none_or(|tickets| tickets.wanted.is_none()),
    }
}

/// A principal, and for the name of a service on a host that name's two parts. There is but one for tickets and keys.
fn name(tickets: Option<&Tickets>, keys: Option<&Keys>) -> Result<Json, CredentialError> {
    let client = tickets.and_then(|tickets| {
        let known = tickets.known().map(|identity| &identity.client);
        known.or(tickets.wanted.as_ref())
    });
    let acceptable = keys.map_or(&Acceptable::Any, |keys| &keys.acceptable);
    let is_of_client = match acceptable {
        Acceptable::Any => true,
        one => client.is_some_and(|client| one.includes(client)),
    };
    if tickets.is_some() && !is_of_client {
        return Err(CredentialError::TwoNames {
            client: client.cloned(),
            service: acceptable.clone(),
        });
    }
    let whole = |one: &Principal, service, host| Json::Array(vec![principal(one), service, host]);
    let text = |part: &[u8]| Json::text(part);
    Ok(match (acceptable, client) {
        (Acceptable::Service { service, host }, client) => {
            let as_service = || {
                let host = host.clone().unwrap_or_default();
                Principal::new(NT_SRV_HST, [service.clone(), host], b"")
            };
            let one = client.cloned().unwrap_or_else(as_service);
            whole(
                &one,
                text(service),
                host.as_deref().map_or(Json::Null, text),
            )
        }
        (Acceptable::Principal(one), _) | (Acceptable::Any, Some(one)) => {
            whole(one, Json::Null, Json::Null)
        }
        (Acceptable::Any, None) => Json::Null,
    })
}

fn principal(principal: &Principal) -> Json {
    Json::text(principal.to_bytes())
}

fn keytab(keys: &Keys) -> Result<Json, CredentialError> {
    match &keys.source {
        Source::File(_) => Ok(Json::text(keys.source.name())),
        Source::Given(_) => Err(CredentialError::KeysWithoutFile),
    }
}

fn client_keytab(tickets: &Tickets, env: &Environment) -> Json {
    tickets
        .client_keytab_path(env)
        .map_or(Json::Null, Json::text)
}

/// The name of a cache that others can look at, or what is in it.
fn ccache(tickets: &Tickets, contents: Option<&CredentialCache>) -> Json {
    let Some(identity) = tickets.known() else {
        return tickets.place_name().map_or(Json::Null, Json::text);
    };
    match (identity.cache.name(), contents) {
        (CcacheName::Memory(_), Some(contents)) => {
            let entries = contents.credentials.iter().filter(|one| !one.is_removed());
            let client = principal(&contents.principal);
            Json::Array([client].into_iter().chain(entries.map(ticket)).collect())
        }
        (name, _) => Json::text(name.to_string()),
    }
}

fn ticket(ticket: &Ticket) -> Json {
    let list = |list: &[Typed]| match list {
        [] => Json::Null,
        list => Json::Array(list.iter().map(typed).collect()),
    };
    let enctype = Json::Number(ticket.key.enctype().into());
    Json::Array(vec![
        principal(&ticket.client),
        principal(&ticket.server),
        Json::Array(vec![enctype, Json::base64(ticket.key.expose())]),
        time(ticket.authtime),
        time(ticket.starttime),
        time(ticket.endtime),
        time(ticket.renew_till),
        Json::Bool(ticket.is_skey),
        Json::Number(ticket.flags.cast_signed().into()),
        list(&ticket.addresses),
        Json::base64(&ticket.ticket),
        Json::base64(&ticket.second_ticket),
        list(&ticket.authdata),
    ])
}

/// MIT has 32 bits for a time, which it writes signed and takes for unsigned.
fn time(time: Timestamp) -> Json {
    let seconds = u32::try_from(time.seconds().max(0)).unwrap_or(u32::MAX);
    Json::Number(seconds.cast_signed().into())
}

fn typed(typed: &Typed) -> Json {
    Json::Array(vec![
        Json::Number(typed.kind.into()),
        Json::base64(&typed.data),
    ])
}
