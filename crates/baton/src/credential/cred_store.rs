//! Where credentials come from and go to, said by a program: MIT's "credential store extensions".

use std::fmt;

use gss_core::error::{Error, Major};
use zeroize::Zeroizing;

/// Where a credential comes from, or goes to. What is left out is as the configuration says.
///
/// ```
/// use baton::CredStore;
/// let service = CredStore::new().keytab("FILE:/etc/web.keytab").rcache("none:");
/// // As C programs write it:
/// let same = CredStore::from_pairs([("keytab", "FILE:/etc/web.keytab"), ("rcache", "none:")])?;
/// assert_eq!(format!("{service:?}"), format!("{same:?}"));
/// # Ok::<(), baton::Error>(())
/// ```
#[derive(Clone, Default)]
pub struct CredStore {
    pub(super) ccache: Option<String>,
    pub(super) client_keytab: Option<String>,
    pub(super) keytab: Option<String>,
    pub(super) rcache: Option<String>,
    pub(super) password: Option<Zeroizing<String>>,
    pub(super) verify: Option<Verify>,
}

/// With whose key the tickets that a password gets are verified: they are of the KDC that shares that key with this host, and
/// not of one who has made up both.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verify {
    /// With that of any `host/` principal of the keytab.
    AnyHost,
    /// With that of this principal.
    Principal(String),
}

impl CredStore {
    /// Everything as the configuration says.
    pub fn new() -> Self {
        Self::default()
    }

    /// The credential cache (`FILE:/tmp/krb5cc_1000`, `DIR:/run/user/1000/krb5cc`, `MEMORY:name`): an initiator's tickets are in this
    /// one, or are stored there.
    #[must_use]
    pub fn ccache(mut self, name: impl Into<String>) -> Self {
        self.ccache = Some(name.into());
        self
    }

    /// The keytab that an initiator gets its own tickets with.
    #[must_use]
    pub fn client_keytab(mut self, name: impl Into<String>) -> Self {
        self.client_keytab = Some(name.into());
        self
    }

    /// The keytab of an acceptor, and with which tickets are verified.
    #[must_use]
    pub fn keytab(mut self, name: impl Into<String>) -> Self {
        self.keytab = Some(name.into());
        self
    }

    /// The replay cache of an acceptor, in MIT's notation: `file2:/var/lib/web/rcache`, `dfl:`, `none:`.
    #[must_use]
    pub fn rcache(mut self, name: impl Into<String>) -> Self {
        self.rcache = Some(name.into());
        self
    }

    /// The password that an initiator gets its tickets with.
    #[must_use]
    pub fn password(mut self, password: impl Into<String>) -> Self {
        self.password = Some(Zeroizing::new(password.into()));
        self
    }

    /// Verifies the tickets that the password gets.
    #[must_use]
    pub fn verify(mut self, verify: Verify) -> Self {
        self.verify = Some(verify);
        self
    }

    /// The store of a C program's keys and values: `ccache`, `client_keytab`, `keytab`, `rcache`, `password` and `verify`, whose value
    /// is a principal or nothing. Other keys are for other mechanisms and passed over, as by MIT's library. `GSS_S_DUPLICATE_ELEMENT`
    /// if one of ours is there twice, `GSS_S_NO_CRED` if there is nothing at all.
    pub fn from_pairs<'a>(
        pairs: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, Error> {
        let mut store = Self::default();
        let mut empty = true;
        for (key, value) in pairs {
            empty = false;
            let was_there = match key {
                "ccache" => store.ccache.replace(value.to_owned()).is_some(),
                "client_keytab" => store.client_keytab.replace(value.to_owned()).is_some(),
                "keytab" => store.keytab.replace(value.to_owned()).is_some(),
                "rcache" => store.rcache.replace(value.to_owned()).is_some(),
                "password" => {
                    let value = Zeroizing::new(value.to_owned());
                    store.password.replace(value).is_some()
                }
                "verify" => store.verify.replace(Verify::of(value)).is_some(),
                _ => false,
            };
            if was_there {
                return Err(CredStoreError::Twice(key.to_owned()).into());
            }
        }
        match empty {
            true => Err(CredStoreError::Empty.into()),
            false => Ok(store),
        }
    }
}

impl Verify {
    fn of(value: &str) -> Self {
        match value {
            "" => Self::AnyHost,
            principal => Self::Principal(principal.to_owned()),
        }
    }
}

/// The password is not shown.
impl fmt::Debug for CredStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CredStore")
            .field("ccache", &self.ccache)
            .field("client_keytab", &self.client_keytab)
            .field("keytab", &self.keytab)
            .field("rcache", &self.rcache)
            .field("password", &self.password.is_some())
            .field("verify", &self.verify)
            .finish()
    }
}

/// Why keys and values are no store.
#[derive(Debug, thiserror::Error)]
enum CredStoreError {
    #[error("the credential store names `{0}` twice")]
    Twice(String),
    #[error("the credential store is empty: leave it out")]
    Empty,
}

impl From<CredStoreError> for Error {
    fn from(error: CredStoreError) -> Self {
        let major = match error {
            CredStoreError::Twice(_) => Major::DuplicateElement,
            CredStoreError::Empty => Major::NoCred,
        };
        Self::new(major, error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_read_as_mits_library_reads_them() {
        let pairs = [
            ("ccache", "MEMORY:c"),
            ("client_keytab", "/ck"),
            ("keytab", "/k"),
            ("rcache", "dfl:"),
            ("password", "secret"),
            ("verify", "host/a@R"),
            ("another mechanism's", "x"),
            ("another mechanism's", "y"),
        ];
        let store = CredStore::from_pairs(pairs).unwrap();
        let shown = format!("{store:?}");
        for (_, value) in &pairs[..4] {
            assert!(shown.contains(value), "{shown}");
        }
        assert!(!shown.contains("secret"), "{shown}");
        assert_eq!(store.password.unwrap().as_str(), "secret");
        assert_eq!(store.verify, Some(Verify::Principal("host/a@R".into())));
        let any = CredStore::from_pairs([("verify", "")]).unwrap();
        assert_eq!(any.verify, Some(Verify::AnyHost));

        for (key, value) in &pairs[..6] {
            let twice = CredStore::from_pairs([(*key, *value), (*key, *value)]);
            let error = twice.unwrap_err();
            assert_eq!(error.major(), Major::DuplicateElement);
            assert!(error.to_string().contains(key), "{error}");
        }
        let empty = CredStore::from_pairs([]).unwrap_err();
        assert_eq!(empty.major(), Major::NoCred);
    }
}
