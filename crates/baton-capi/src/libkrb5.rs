//! Calls that take objects of libkrb5's, from programs that use it beside GSS-API (`gssapi_krb5.h` of MIT krb5).
//!
//! Where it is loaded already it is called for exactly these objects; it is never loaded because of them.

use baton::Major;
use baton::kerberos::ccache::{Version, encode_credential};

use crate::abi::COMPLETE;
use crate::boundary::{Status, entry};
use crate::cred;
use crate::ptr::{InCcache, InHandle};
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
    #[error("{function} of libkrb5 failed with its error {code}")]
    Failed {
        /// The function.
        function: &'static str,
        /// Its answer.
        code: i32,
    },
}

impl From<Libkrb5Error> for Status {
    fn from(error: Libkrb5Error) -> Self {
        let (major, minor) = match &error {
            Libkrb5Error::NotLoaded | Libkrb5Error::NoFunction(_) => (Major::Unavailable, GENERIC),
            Libkrb5Error::Failed { code, .. } => (Major::Failure, code.cast_unsigned()),
        };
        Self {
            text: Some(error.to_string()),
            minor,
            ..major.into()
        }
    }
}

entry! {
    /// `gss_krb5_copy_ccache`: a credential's tickets, into a cache of libkrb5's that the caller has initialized.
    fn gss_krb5_copy_ccache(minor, handle: InHandle, ccache: InCcache) {
        let handle = handle.get().ok_or(Status::INACCESSIBLE_READ.with(Major::NoCred))?;
        let ccache = ccache.required()?;
        let object = cred::of_handle(handle)?;
        let contents = object.cred.to_cache(&object.env)?;
        let tickets = contents.credentials.iter().filter(|ticket| !ticket.is_removed());
        let entries = tickets.map(|ticket| encode_credential(ticket, Version::V4));
        let entries = entries.collect::<Result<Vec<_>, _>>();
        let entries = entries.map_err(|error| baton::Error::new(Major::Failure, error))?;
        ccache.store(entries.iter().map(|entry| entry.as_slice()))?;
        Ok(COMPLETE)
    }
}
