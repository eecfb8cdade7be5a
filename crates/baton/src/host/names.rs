//! Which keytab, credential cache and replay cache are meant where the program does not say.

use krb5::formats::residual::expand;
pub use krb5::formats::residual::{CcacheName, ExpandError, KeytabName, NameError, RcacheName};
use krb5::formats::settings::Settings;

use super::user::User;

/// The keytab of acceptors on a host.
pub const KEYTAB: &str = "FILE:/etc/krb5.keytab";
/// The keytab that a user's own tickets are got with.
pub const CLIENT_KEYTAB: &str = "FILE:/etc/krb5/user/%{euid}/client.keytab";
/// A user's credential cache.
pub const CCACHE: &str = "FILE:/tmp/krb5cc_%{uid}";

/// Why a name that is configured means no file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameProblem {
    /// A token in it cannot be replaced.
    #[error("{setting}: {cause}")]
    Expand {
        /// Which setting holds the name.
        setting: &'static str,
        /// What is wrong.
        cause: ExpandError,
    },
    /// It is of a type that is not supported.
    #[error(transparent)]
    Name(#[from] NameError),
}

/// The keytab that `explicit` names (a program's choice or `KRB5_KTNAME`, taken as it is), else the configured one with its
/// tokens replaced, else the host's.
pub fn keytab(
    explicit: Option<&str>,
    settings: &Settings,
    user: &User,
) -> Result<KeytabName, NameProblem> {
    let configured = settings.default_keytab_name.as_deref();
    let name = choose(explicit, configured, "default_keytab_name", KEYTAB, user)?;
    Ok(KeytabName::parse(&name)?)
}

/// The keytab that initiators get their own tickets with, by the same rules (`KRB5_CLIENT_KTNAME`).
pub fn client_keytab(
    explicit: Option<&str>,
    settings: &Settings,
    user: &User,
) -> Result<KeytabName, NameProblem> {
    let configured = settings.default_client_keytab_name.as_deref();
    let setting = "default_client_keytab_name";
    let name = choose(explicit, configured, setting, CLIENT_KEYTAB, user)?;
    Ok(KeytabName::parse(&name)?)
}

/// The credential cache, by the same rules (`KRB5CCNAME`).
pub fn ccache(
    explicit: Option<&str>,
    settings: &Settings,
    user: &User,
) -> Result<CcacheName, NameProblem> {
    let configured = settings.default_ccache_name.as_deref();
    let name = choose(explicit, configured, "default_ccache_name", CCACHE, user)?;
    Ok(CcacheName::parse(&name)?)
}

/// The replay cache, by the same rules (`KRB5RCACHENAME`); nothing if nobody says one.
pub fn rcache(
    explicit: Option<&str>,
    settings: &Settings,
    user: &User,
) -> Result<Option<RcacheName>, NameProblem> {
    let configured = settings.default_rcache_name.as_deref();
    if explicit.or(configured).is_none() {
        return Ok(None);
    }
    let name = choose(explicit, configured, "default_rcache_name", "", user)?;
    Ok(Some(RcacheName::parse(&name)?))
}

fn choose(
    explicit: Option<&str>,
    configured: Option<&str>,
    setting: &'static str,
    usual: &str,
    user: &User,
) -> Result<String, NameProblem> {
    if let Some(name) = explicit {
        return Ok(name.to_owned());
    }
    let name = configured.unwrap_or(usual);
    expand(name, &user.tokens()).map_err(|cause| NameProblem::Expand { setting, cause })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user() -> User {
        User {
            uid: 1000,
            euid: 7,
            username: None,
            temp: "/tmp".to_owned(),
        }
    }

    #[test]
    fn what_is_said_goes_before_what_is_configured_before_what_is_usual() {
        let bare = Settings::default();
        let configured = Settings {
            default_keytab_name: Some("/k%{uid}".to_owned()),
            default_client_keytab_name: Some("FILE:/c%{euid}".to_owned()),
            default_ccache_name: Some("MEMORY:%{uid}".to_owned()),
            ..Settings::default()
        };
        let text = |explicit, settings: &Settings| {
            let user = user();
            [
                keytab(explicit, settings, &user).unwrap().to_string(),
                client_keytab(explicit, settings, &user)
                    .unwrap()
                    .to_string(),
                ccache(explicit, settings, &user).unwrap().to_string(),
            ]
        };
        assert_eq!(
            text(None, &bare),
            [
                "FILE:/etc/krb5.keytab",
                "FILE:/etc/krb5/user/7/client.keytab",
                "FILE:/tmp/krb5cc_1000"
            ]
        );
        assert_eq!(
            text(None, &configured),
            ["FILE:/k1000", "FILE:/c7", "MEMORY:1000"]
        );
        // Variables are taken as they are, as by MIT's code.
        assert_eq!(text(Some("FILE:/%{uid}"), &configured), ["FILE:/%{uid}"; 3]);
    }

    #[test]
    fn a_replay_cache_is_meant_where_somebody_says_so() {
        let configured = Settings {
            default_rcache_name: Some("file2:/r%{euid}".to_owned()),
            ..Settings::default()
        };
        let named = |explicit, settings: &Settings| rcache(explicit, settings, &user()).unwrap();
        assert_eq!(named(None, &Settings::default()), None);
        let file = Some(RcacheName::File("/r7".to_owned()));
        assert_eq!(named(None, &configured), file);
        assert_eq!(named(Some("none:"), &configured), Some(RcacheName::None));
        assert!(rcache(Some("replay"), &configured, &user()).is_err());
    }

    #[test]
    fn a_name_that_means_nothing_says_where_it_comes_from() {
        let settings = Settings {
            default_ccache_name: Some("FILE:/%{nonsense}".to_owned()),
            ..Settings::default()
        };
        let error = ccache(None, &settings, &user()).unwrap_err().to_string();
        assert!(error.starts_with("default_ccache_name: "), "{error}");
        let error = ccache(Some("KEYRING:persistent:0"), &settings, &user());
        assert!(matches!(
            error,
            Err(NameProblem::Name(NameError::Ccache { .. }))
        ));
    }
}
