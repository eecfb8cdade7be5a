//! Why a name is no principal's, and the status of that.

use std::io;

use gss_core::error::{Error, Major};
use gss_core::name::exported::ExportedError;
use gss_core::oid::Oid;
use krb5::principal::PrincipalError;

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
    /// The exported name does not have its form.
    #[error("this is not an exported name")]
    Exported(#[from] ExportedError),
    /// The exported name is another mechanism's.
    #[error("the exported name is of mechanism {0}, not of Kerberos")]
    ExportedElsewhere(Oid),
    /// The attributes of a composite name do not have their form.
    #[error("the attributes of the exported name are malformed")]
    Attributes,
    /// A user's number is not four octets or digits.
    #[error("this is not a user's number")]
    NotAUid,
    /// No user of this host has the number.
    #[error("no user of this host has the number {0}")]
    NoUser(u32),
    /// The users of this host cannot be looked up.
    #[error("the users of this host cannot be looked up")]
    Accounts(#[source] io::Error),
    /// The name has no form of the wanted type.
    #[error("the name cannot be displayed as one of type {0}")]
    NotDisplayable(Oid),
    /// There is no such mechanism here.
    #[error("mechanism {0} is not supported")]
    Mechanism(Oid),
}

impl From<NameError> for Error {
    fn from(error: NameError) -> Self {
        let major = match &error {
            NameError::Type(_) => Major::BadNameType,
            NameError::Hostbased(_)
            | NameError::NoRealm(_)
            | NameError::Principal { .. }
            | NameError::Exported(_)
            | NameError::ExportedElsewhere(_)
            | NameError::Attributes
            | NameError::NotAUid
            | NameError::NoUser(_) => Major::BadName,
            NameError::Accounts(_) => Major::Failure,
            NameError::NotDisplayable(_) => Major::Unavailable,
            NameError::Mechanism(_) => Major::BadMech,
        };
        Self::new(major, error)
    }
}
