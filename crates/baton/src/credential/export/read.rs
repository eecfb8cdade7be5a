//! Kerberos's token as an element.

use std::sync::Arc;

use gss_core::oid::Oid;
use krb5::exchange::ap::Acceptable;
use krb5::formats::ccache::{CachedKey, Credential as Ticket, CredentialCache, Typed};
use krb5::principal::Principal;
use krb5_crypto::Enctype;
use wire::time::Timestamp;

use super::{ACCEPT, BOTH, INITIATE, Json, MAGIC, Read, TokenError};
use crate::credential::acquire;
use crate::credential::keys::{Keys, OwnRcache, Source};
use crate::credential::tickets::{Place, Tickets};
use crate::credential::{CredentialError, Element};
use crate::environment::Environment;

pub(super) fn element(
    mechanism: Oid,
    token: &[u8],
    env: &Environment,
) -> Result<Read, CredentialError> {
    let whole = Json::parse(token).map_err(TokenError::from)?;
    let fields = match &whole {
        Json::Array(parts) => match parts.as_slice() {
            [Json::Text(magic), Json::Array(fields)] if **magic == MAGIC => fields,
            _ => return Err(TokenError::Version.into()),
        },
        _ => return Err(TokenError::Version.into()),
    };
    // The order is MIT's; the two times are seen in the cache itself, and no password is kept.
    let [
        usage,
        name,
        _,
        is_default,
        iakerb,
        keytab,
        rcache,
        ccache,
        client_keytab,
        _,
        _,
        _,
        enctypes,
        _,
    ] = fields.as_slice()
    else {
        return Err(TokenError::Field("credential").into());
    };
    if boolean(iakerb, "iakerb")? {
        return Err(TokenError::Mechanism.into());
    }
    let (initiates, accepts) = match usage {
        Json::Number(INITIATE) => (true, false),
        Json::Number(ACCEPT) => (false, true),
        Json::Number(BOTH) => (true, true),
        _ => return Err(TokenError::Field("usage").into()),
    };
    let name = Name::read(name)?;
    let is_default = boolean(is_default, "default identity")?;
    let tickets = initiates.then(|| {
        let wanted = name.as_ref().map(|name| name.principal.clone());
        tickets(wanted, ccache, client_keytab, env)
    });
    let keys = accepts.then(|| {
        let name = name.as_ref().filter(|_| !is_default);
        keys(name, keytab, rcache, env)
    });
    Ok(Read {
        element: Element {
            mechanism,
            tickets: tickets.transpose()?.map(Arc::new),
            keys: keys.transpose()?.map(Arc::new),
        },
        enctypes: read_enctypes(enctypes)?,
    })
}

fn tickets(
    wanted: Option<Principal>,
    ccache: &Json,
    client_keytab: &Json,
    env: &Environment,
) -> Result<Tickets, CredentialError> {
    if let Json::Array(entries) = ccache {
        return Ok(Tickets::own(&cache(entries)?));
    }
    let place = match text(ccache, "ccache")? {
        Some(name) => acquire::place(env, Some(&name))?,
        None => Place::Collection,
    };
    let client_keytab = text(client_keytab, "client keytab")?;
    Ok(Tickets::new(wanted, place, client_keytab, None))
}

fn keys(
    name: Option<&Name>,
    keytab: &Json,
    rcache: &Json,
    env: &Environment,
) -> Result<Keys, CredentialError> {
    let keytab = text(keytab, "keytab")?;
    let rcache = text(rcache, "rcache")?;
    Ok(Keys {
        source: Source::named(env, keytab.as_deref())?,
        acceptable: name.map_or(Acceptable::Any, Name::acceptable),
        rcache: rcache.map(|name| OwnRcache::named(env, name)).transpose()?,
    })
}

/// A name: its principal, and if it is one of a service on a host, the service and whether the host matters.
struct Name {
    principal: Principal,
    service: Option<String>,
    has_host: bool,
}

impl Name {
    fn read(value: &Json) -> Result<Option<Self>, TokenError> {
        const FIELD: &str = "name";
        let parts = match value {
            Json::Null => return Ok(None),
            Json::Array(parts) => parts.as_slice(),
            _ => return Err(TokenError::Field(FIELD)),
        };
        let [name, service, host] = parts else {
            return Err(TokenError::Field(FIELD));
        };
        Ok(Some(Self {
            principal: principal(name, FIELD)?,
            service: text(service, FIELD)?,
            has_host: text(host, FIELD)?.is_some(),
        }))
    }

    fn acceptable(&self) -> Acceptable {
        let Some(service) = &self.service else {
            return Acceptable::Principal(self.principal.clone());
        };
        let host = self.principal.components().get(1);
        Acceptable::Service {
            service: service.as_bytes().into(),
            host: host.filter(|_| self.has_host).cloned(),
        }
    }
}

/// The client and its entries.
fn cache(values: &[Json]) -> Result<CredentialCache, TokenError> {
    let (client, entries) = values.split_first().ok_or(TokenError::Field("ccache"))?;
    let mut cache = CredentialCache::new(principal(client, "ccache")?);
    for entry in entries {
        cache.credentials.push(ticket(entry)?);
    }
    Ok(cache)
}

fn ticket(value: &Json) -> Result<Ticket, TokenError> {
    const FIELD: TokenError = TokenError::Field("ticket");
    let Json::Array(fields) = value else {
        return Err(FIELD);
    };
    let [
        client,
        server,
        key,
        authtime,
        starttime,
        endtime,
        renew_till,
        is_skey,
        flags,
        addresses,
        ticket,
        second,
        authdata,
    ] = fields.as_slice()
    else {
        return Err(FIELD);
    };
    let bytes = |value: &Json| -> Result<Vec<u8>, TokenError> {
        Ok(value.unbase64().ok_or(FIELD)?.to_vec())
    };
    Ok(Ticket {
        client: principal(client, "ticket")?,
        server: principal(server, "ticket")?,
        key: read_key(key)?,
        authtime: time(authtime)?,
        starttime: time(starttime)?,
        endtime: time(endtime)?,
        renew_till: time(renew_till)?,
        is_skey: boolean(is_skey, "ticket")?,
        flags: word(flags)?,
        addresses: list(addresses)?,
        authdata: list(authdata)?,
        ticket: bytes(ticket)?,
        second_ticket: bytes(second)?,
    })
}

fn read_key(value: &Json) -> Result<CachedKey, TokenError> {
    const FIELD: TokenError = TokenError::Field("key");
    match value {
        Json::Array(parts) => match parts.as_slice() {
            [Json::Number(enctype), key] => {
                let enctype = i32::try_from(*enctype).map_err(|_| FIELD)?;
                Ok(CachedKey::of(enctype, &key.unbase64().ok_or(FIELD)?))
            }
            _ => Err(FIELD),
        },
        _ => Err(FIELD),
    }
}

fn list(value: &Json) -> Result<Vec<Typed>, TokenError> {
    const FIELD: TokenError = TokenError::Field("addresses or authorization data");
    let elements = match value {
        Json::Null => return Ok(Vec::new()),
        Json::Array(elements) => elements,
        _ => return Err(FIELD),
    };
    let typed = elements.iter().map(|element| match element {
        Json::Array(parts) => match parts.as_slice() {
            [Json::Number(kind), data] => Ok(Typed {
                kind: u16::try_from(*kind).map_err(|_| FIELD)?,
                data: data.unbase64().ok_or(FIELD)?.to_vec(),
            }),
            _ => Err(FIELD),
        },
        _ => Err(FIELD),
    });
    typed.collect()
}

fn read_enctypes(value: &Json) -> Result<Option<Arc<[&'static Enctype]>>, TokenError> {
    const FIELD: TokenError = TokenError::Field("enctypes");
    let numbers = match value {
        Json::Null => return Ok(None),
        Json::Array(numbers) => numbers,
        _ => return Err(FIELD),
    };
    let known = numbers.iter().map(|number| match number {
        Json::Number(number) => {
            let number = i32::try_from(*number).map_err(|_| FIELD)?;
            Ok(Enctype::from_number(number))
        }
        _ => Err(FIELD),
    });
    let known = known.collect::<Result<Vec<_>, _>>()?;
    // Those that are not known here are not allowed either.
    Ok(Some(known.into_iter().flatten().collect()))
}

fn principal(value: &Json, field: &'static str) -> Result<Principal, TokenError> {
    match value {
        Json::Text(text) => {
            Principal::parse_bytes(text, None).map_err(|_| TokenError::Field(field))
        }
        _ => Err(TokenError::Field(field)),
    }
}

fn text(value: &Json, field: &'static str) -> Result<Option<String>, TokenError> {
    match value {
        Json::Null => Ok(None),
        Json::Text(text) => match str::from_utf8(text) {
            Ok(text) => Ok(Some(text.to_owned())),
            Err(_) => Err(TokenError::Field(field)),
        },
        _ => Err(TokenError::Field(field)),
    }
}

fn boolean(value: &Json, field: &'static str) -> Result<bool, TokenError> {
    match value {
        Json::Bool(value) => Ok(*value),
        _ => Err(TokenError::Field(field)),
    }
}

/// 32 bits, written with a sign or without.
fn word(value: &Json) -> Result<u32, TokenError> {
    const FIELD: TokenError = TokenError::Field("ticket");
    match value {
        Json::Number(number) => match i32::try_from(*number) {
            Ok(signed) => Ok(signed.cast_unsigned()),
            Err(_) => u32::try_from(*number).map_err(|_| FIELD),
        },
        _ => Err(FIELD),
    }
}

fn time(value: &Json) -> Result<Timestamp, TokenError> {
    Ok(Timestamp::from_seconds(i64::from(word(value)?)))
}
