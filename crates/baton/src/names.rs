//! From the names that GSS-API knows to Kerberos principals (RFC 1964 §2.1, RFC 4121 §5), and back.

use gss_core::error::{Error, Major};
use gss_core::name::Name;
use gss_core::oid::Oid;
use krb5::formats::settings::Settings;
use krb5::principal::{Principal, PrincipalError};

/// Why a name is no principal's.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// Names of this type are not supported.
    #[error("names of type {0} are not supported")]
    Type(Oid),
    /// Not `service` or `service@host`.
    #[error("`{0}` is not of the form service@host")]
    Hostbased(String),
    /// The name says no realm, and there is no default.
    #[error("`{0}` names no realm, and there is neither a default realm nor one for its host")]
    NoRealm(String),
    /// The name does not have a principal's syntax.
    #[error("`{name}` is not a principal's name")]
    Principal {
        /// The name.
        name: String,
        /// What is wrong with it.
        #[source]
        cause: PrincipalError,
    },
    /// The exported name is cut, or not of this mechanism.
    #[error("this is not an exported name of the Kerberos mechanism")]
    Exported,
}

impl From<NameError> for Error {
    fn from(error: NameError) -> Self {
        let major = match &error {
            NameError::Type(_) => Major::BadNameType,
            NameError::Hostbased(_)
            | NameError::NoRealm(_)
            | NameError::Principal { .. }
            | NameError::Exported => Major::BadName,
        };
        Self::new(major, error)
    }
}

/// The principal that `name` means.
pub(crate) fn principal(name: &Name, settings: &Settings) -> Result<Principal, NameError> {
    match name.name_type() {
        Oid::NT_HOSTBASED_SERVICE => hostbased(name, settings),
        Oid::NT_KRB5_PRINCIPAL => parse(name.text(), settings),
        // MIT takes a user's name for a principal's.
        Oid::NT_USER_NAME => parse(name.text(), settings),
        Oid::NT_EXPORT_NAME => {
            let inner = exported(name.text()).ok_or(NameError::Exported)?;
            parse(inner, settings)
        }
        other => Err(NameError::Type(other)),
    }
}

/// `service@host` is `service/host@REALM`, in the realm that `[domain_realm]` gives the host. No DNS: the host is the one
/// that was named, in lower case.
fn hostbased(name: &Name, settings: &Settings) -> Result<Principal, NameError> {
    let text = || name.to_string();
    let malformed = || NameError::Hostbased(text());
    let whole = str::from_utf8(name.text()).map_err(|_| malformed())?;
    let (service, host) = match whole.split_once('@') {
        Some((service, host)) => (service, host.to_ascii_lowercase()),
        None => (whole, local_host().ok_or_else(malformed)?),
    };
    let host = host.trim_end_matches('.');
    if service.is_empty() || host.is_empty() {
        return Err(malformed());
    }
    let realm = realm_of(host, settings).ok_or_else(|| NameError::NoRealm(text()))?;
    Ok(Principal::service(service, host, realm))
}

/// The realm of a host: the one that is configured for it, else the default realm. (Guessing from the domain's spelling, as
/// MIT does when all else fails, comes last.)
fn realm_of(host: &str, settings: &Settings) -> Option<String> {
    let configured = settings.domain_realm.configured(host).map(str::to_owned);
    configured
        .or_else(|| settings.default_realm.clone())
        .or_else(|| settings.domain_realm.realm_of(host, None))
}

fn local_host() -> Option<String> {
    let name = rustix::system::uname().nodename().to_str().ok()?.to_owned();
    Some(name.to_ascii_lowercase())
}

fn parse(text: &[u8], settings: &Settings) -> Result<Principal, NameError> {
    let shown = || String::from_utf8_lossy(text).into_owned();
    let default = settings.default_realm.as_deref().map(str::as_bytes);
    let principal =
        Principal::parse_bytes(text, default).map_err(|cause| NameError::Principal {
            name: shown(),
            cause,
        })?;
    if principal.realm().is_empty() {
        return Err(NameError::NoRealm(shown()));
    }
    Ok(principal)
}

/// The name of `principal`, as the mechanism displays it.
pub(crate) fn name(principal: &Principal) -> Name {
    Name::new(Oid::NT_KRB5_PRINCIPAL, principal.to_bytes())
}

/// The exported form of a principal's name (RFC 2743 §3.2, RFC 1964 §2.1.3).
pub(crate) fn export(principal: &Principal) -> Vec<u8> {
    let (oid, name) = (Oid::KRB5.bytes(), principal.to_bytes());
    let mut out = vec![0x04, 0x01];
    out.extend_from_slice(&(oid.len() as u16 + 2).to_be_bytes());
    out.push(0x06);
    out.push(oid.len() as u8);
    out.extend_from_slice(oid);
    out.extend_from_slice(&(name.len() as u32).to_be_bytes());
    out.extend_from_slice(&name);
    out
}

fn exported(token: &[u8]) -> Option<&[u8]> {
    let oid = Oid::KRB5.bytes();
    let rest = token.strip_prefix(&[0x04, 0x01])?;
    let rest = rest.strip_prefix(&(oid.len() as u16 + 2).to_be_bytes())?;
    let rest = rest.strip_prefix(&[0x06, oid.len() as u8])?;
    let rest = rest.strip_prefix(oid)?;
    let (length, name) = rest.split_first_chunk::<4>()?;
    (u32::from_be_bytes(*length) as usize == name.len() && !name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Settings {
        let mut settings = Settings {
            default_realm: Some("EXAMPLE.TEST".into()),
            ..Settings::default()
        };
        settings.domain_realm.insert(".other.test", "OTHER.TEST");
        settings
    }

    fn shown(name: &Name) -> String {
        principal(name, &settings()).unwrap().to_string()
    }

    #[test]
    fn each_kind_of_name_is_a_principal() {
        for (name, wanted) in [
            (
                Name::hostbased_service("HTTP@Web.other.test"),
                "HTTP/web.other.test@OTHER.TEST",
            ),
            (
                Name::hostbased_service("HTTP@web.other.test."),
                "HTTP/web.other.test@OTHER.TEST",
            ),
            (
                Name::hostbased_service("host@localhost"),
                "host/localhost@EXAMPLE.TEST",
            ),
            (Name::krb5_principal("alice@SOME.TEST"), "alice@SOME.TEST"),
            (
                Name::krb5_principal("alice/admin"),
                "alice/admin@EXAMPLE.TEST",
            ),
            (Name::new(Oid::NT_USER_NAME, *b"bob"), "bob@EXAMPLE.TEST"),
        ] {
            assert_eq!(shown(&name), wanted, "{name}");
        }
    }

    #[test]
    fn an_exported_name_comes_back_and_no_other() {
        for text in ["alice@SOME.TEST", "a\\/b/c\\@d@X"] {
            let alice = principal(&Name::krb5_principal(text), &settings()).unwrap();
            let token = export(&alice);
            let back =
                |token: &[u8]| principal(&Name::new(Oid::NT_EXPORT_NAME, token), &settings());
            assert_eq!(back(&token).unwrap(), alice);
            for cut in 0..token.len() {
                assert!(back(&token[..cut]).is_err(), "cut to {cut}");
            }
            for bit in 0..19 * 8 {
                let mut other = token.clone();
                other[bit / 8] ^= 1 << (bit % 8);
                assert!(back(&other).is_err(), "bit {bit}");
            }
            assert!(back(&[&token[..], b"x"].concat()).is_err());
        }
    }

    #[test]
    fn what_is_no_name_says_why() {
        let bare = Settings::default();
        let error = |name: &Name| principal(name, &bare).unwrap_err();
        for text in ["@host", "HTTP@", "HTTP@."] {
            let found = error(&Name::hostbased_service(text));
            assert!(matches!(found, NameError::Hostbased(_)), "{text}: {found}");
        }
        assert!(matches!(
            error(&Name::hostbased_service("HTTP@localhost")),
            NameError::NoRealm(_)
        ));
        assert!(matches!(
            error(&Name::new(Oid::KRB5, *b"x")),
            NameError::Type(_)
        ));
        assert!(principal(&Name::krb5_principal("alice"), &bare).is_err());
    }
}
