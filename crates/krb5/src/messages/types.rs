//! What several messages contain (RFC 4120 §5.2).

use krb5_crypto::{CryptoError, Enctype, Key};
use thiserror::Error;
use wire::der::{GeneralString, Word};

use crate::principal::Principal;

wire::sequence! {
    /// RFC 4120 §5.2.2.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct PrincipalName<'a> {
        [0] name_type: i32,
        [1] name_string: Vec<GeneralString<'a>>,
    }

    /// RFC 4120 §5.2.5.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct HostAddress<'a> {
        [0] addr_type: i32,
        [1] address: &'a [u8],
    }

    /// RFC 4120 §5.2.9.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct EncryptedData<'a> {
        [0] etype: i32,
        [1] kvno: Option<Word>,
        [2] cipher: &'a [u8],
    }

    /// RFC 4120 §5.2.9. It cannot be printed.
    pub struct EncryptionKey<'a> {
        [0] keytype: i32,
        [1] keyvalue: &'a [u8],
    }

    /// RFC 4120 §5.2.9.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Checksum<'a> {
        [0] cksumtype: i32,
        [1] checksum: &'a [u8],
    }
}

/// Why a key in a message is none for us.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum KeyError {
    /// The enctype is not one that this software has.
    #[error("enctype {0} is not supported")]
    UnknownEnctype(i32),
    /// The bytes are no key of the enctype.
    #[error(transparent)]
    Crypto(#[from] CryptoError),
}

impl<'a> PrincipalName<'a> {
    /// The name as an owned principal of `realm`.
    pub fn in_realm(&self, realm: GeneralString<'_>) -> Principal {
        Principal::new(
            self.name_type,
            self.name_string.iter().map(|part| part.0),
            realm.0,
        )
    }

    /// Whether this is the name of `principal`, its realm and both name types left out.
    pub fn names(&self, principal: &Principal) -> bool {
        let own = self.name_string.iter().map(|part| part.0);
        own.eq(principal.components().iter().map(|component| &**component))
    }
}

impl<'a> From<&'a Principal> for PrincipalName<'a> {
    fn from(principal: &'a Principal) -> Self {
        Self {
            name_type: principal.name_type(),
            name_string: principal
                .components()
                .iter()
                .map(|c| GeneralString(c))
                .collect(),
        }
    }
}

impl EncryptionKey<'_> {
    /// The key, if its enctype is one that this software has.
    pub fn to_key(&self) -> Result<Key, KeyError> {
        let enctype =
            Enctype::from_number(self.keytype).ok_or(KeyError::UnknownEnctype(self.keytype))?;
        Ok(Key::new(enctype, self.keyvalue)?)
    }
}

impl<'a> From<&'a Key> for EncryptionKey<'a> {
    /// A key goes into a message only to be encrypted within it.
    fn from(key: &'a Key) -> Self {
        Self {
            keytype: key.enctype().number(),
            keyvalue: key.expose(),
        }
    }
}
