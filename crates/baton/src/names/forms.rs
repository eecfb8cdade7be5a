//! Each form of name as a principal, and principals in those forms.

use gss_core::name::exported::Exported;
use gss_core::name::{MechName, Name};
use gss_core::oid::Oid;
use krb5::formats::settings::Settings;
use krb5::principal::Principal;

use super::error::NameError;
use super::hostbased;
use crate::Environment;

/// The principal that `name` means.
pub(crate) fn principal(name: &Name, env: &Environment) -> Result<Principal, NameError> {
    let (text, settings) = (name.text(), env.settings());
    match name.name_type() {
        Oid::NT_HOSTBASED_SERVICE | Oid::NT_HOSTBASED_SERVICE_X => hostbased::principal(name, env),
        // MIT takes a user's name for a principal's.
        Oid::NT_KRB5_PRINCIPAL | Oid::NT_USER_NAME => parse(text, settings),
        Oid::NT_KRB5_ENTERPRISE => enterprise(text, settings),
        Oid::NT_MACHINE_UID_NAME => user(machine_uid(text)?, env),
        Oid::NT_STRING_UID_NAME => user(string_uid(text)?, env),
        Oid::NT_ANONYMOUS => Ok(Principal::anonymous()),
        Oid::NT_EXPORT_NAME | Oid::NT_COMPOSITE_EXPORT => parse(exported(name)?.name, settings),
        other => Err(NameError::Type(other)),
    }
}

/// The principal that `name` means, with the attributes that it brings.
pub(super) fn mech_name(name: &Name, env: &Environment) -> Result<MechName, NameError> {
    let principal = principal(name, env)?;
    if name.name_type() == Oid::NT_COMPOSITE_EXPORT {
        let attributes = exported(name)?.attributes;
        return gss_krb5::composite(principal, attributes).map_err(|_| NameError::Attributes);
    }
    Ok(gss_krb5::mech_name(&principal))
}

/// An exported name of this mechanism. Only where a composite one is expected, one may be: there is more in it to believe.
fn exported(name: &Name) -> Result<Exported<'_>, NameError> {
    let exported = match name.name_type() {
        Oid::NT_COMPOSITE_EXPORT => Exported::parse_composite(name.text())?,
        _ => Exported::parse(name.text())?,
    };
    match exported.mechanism {
        Oid::KRB5 => Ok(exported),
        other => Err(NameError::ExportedElsewhere(other)),
    }
}

/// Whether `name` may be a principal's: an exported name says whose it is.
pub(super) fn may_be_ours(name: &Name) -> bool {
    let is_exported = matches!(
        name.name_type(),
        Oid::NT_EXPORT_NAME | Oid::NT_COMPOSITE_EXPORT
    );
    !is_exported || exported(name).is_ok()
}

fn parse(text: &[u8], settings: &Settings) -> Result<Principal, NameError> {
    let default = settings.default_realm.as_deref().map(str::as_bytes);
    with_realm(text, Principal::parse_bytes(text, default))
}

fn enterprise(text: &[u8], settings: &Settings) -> Result<Principal, NameError> {
    let default = settings.default_realm.as_deref().map(str::as_bytes);
    with_realm(text, Principal::parse_enterprise(text, default))
}

fn with_realm(
    text: &[u8],
    parsed: Result<Principal, krb5::principal::PrincipalError>,
) -> Result<Principal, NameError> {
    let name = || String::from_utf8_lossy(text).into_owned();
    let principal = parsed.map_err(|cause| NameError::Principal {
        name: name(),
        cause,
    })?;
    if principal.realm().is_empty() {
        return Err(NameError::NoRealm(name()));
    }
    Ok(principal)
}

/// A `uid_t` as C's memory holds it.
fn machine_uid(octets: &[u8]) -> Result<u32, NameError> {
    let octets = octets.try_into().map_err(|_| NameError::NotAUid)?;
    Ok(u32::from_ne_bytes(octets))
}

fn string_uid(text: &[u8]) -> Result<u32, NameError> {
    let digits = text.iter().all(u8::is_ascii_digit);
    let text = str::from_utf8(text).ok().filter(|_| digits);
    text.and_then(|text| text.parse().ok())
        .ok_or(NameError::NotAUid)
}

fn user(uid: u32, env: &Environment) -> Result<Principal, NameError> {
    let account = env.accounts().by_uid(uid).map_err(NameError::Accounts)?;
    let account = account.ok_or(NameError::NoUser(uid))?;
    parse(account.name.as_bytes(), env.settings())
}

/// The principal in another syntax, if it has a form there.
pub(super) fn display_as(principal: &Principal, name_type: Oid) -> Option<Vec<u8>> {
    match name_type {
        // A user's name is read as a principal's.
        Oid::NT_KRB5_PRINCIPAL | Oid::NT_USER_NAME => Some(principal.to_bytes()),
        Oid::NT_ANONYMOUS => principal.is_anonymous().then(|| principal.to_bytes()),
        Oid::NT_HOSTBASED_SERVICE | Oid::NT_HOSTBASED_SERVICE_X => service_of_a_host(principal),
        _ => None,
    }
}

fn service_of_a_host(principal: &Principal) -> Option<Vec<u8>> {
    let [service, host] = principal.components() else {
        return None;
    };
    let plain = !service.is_empty() && !service.contains(&b'@') && !host.is_empty();
    let is_service = plain && !principal.is_krbtgt() && !principal.is_anonymous();
    is_service.then(|| [&**service, b"@", &**host].concat())
}
