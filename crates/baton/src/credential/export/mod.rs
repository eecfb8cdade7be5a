//! `gss_export_cred` and `gss_import_cred`: a credential as bytes that MIT's library reads and writes too.
//!
//! The outer frame is MIT's: for each element its mechanism's OID and its token, both with their lengths in 32 bits. Kerberos's token
//! is JSON, an array of fields in a fixed order; SPNEGO's is such a frame again. A cache in memory is in the token with its
//! tickets and **their keys in clear**; caches in files, and keytabs, are named. Whoever has a token has the credential.

mod json;
mod read;
mod write;

use std::sync::Arc;

use gss_core::error::Error;
use gss_core::oid::Oid;
use krb5_crypto::Enctype;
use zeroize::Zeroizing;

use super::{Credential, CredentialError, Element};
use crate::environment::Environment;
use json::{Json, JsonError};

/// The first field of Kerberos's token.
const MAGIC: &[u8] = b"K5C1";

/// Why bytes are no exported credential.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// The lengths of the frame do not fit it, or there is nothing in it.
    #[error("its frame is malformed")]
    Frame,
    /// An element is of a mechanism that is not here.
    #[error("it has an element of a mechanism that is not here")]
    Mechanism,
    /// Two elements are of one mechanism.
    #[error("it has two elements of one mechanism")]
    Twice,
    /// Kerberos's token is not JSON as MIT writes it.
    #[error("its token is malformed: {0}")]
    Json(#[from] JsonError),
    /// Kerberos's token is of another version.
    #[error("its token is not of the version K5C1")]
    Version,
    /// A field has a value that is none of its kind.
    #[error("its field `{0}` is malformed")]
    Field(&'static str),
}

impl Credential {
    /// `gss_export_cred`: the credential as bytes, for [`import`](Self::import) and for MIT's library. It stays usable. What may be
    /// [negotiated](Self::with_neg_mechs) is not exported, as with MIT's library.
    ///
    /// The bytes are as secret as the credential: tickets in memory are in them with their session keys. `GSS_S_UNAVAILABLE` for keys
    /// of a keytab that is no file, and where tickets and keys are not of one name, because a token has but one.
    pub fn export(&self, env: &Environment) -> Result<Zeroizing<Vec<u8>>, Error> {
        let tokens = self.elements.iter().map(|element| {
            let krb5 = write::element(element, self.enctypes.as_deref(), env)?.encode();
            Ok((element.mechanism, krb5))
        });
        let tokens: Vec<_> = tokens.collect::<Result<_, CredentialError>>()?;
        let mut parts: Vec<(Oid, Zeroizing<Vec<u8>>)> = Vec::new();
        for (mechanism, krb5) in tokens {
            let token = match mechanism {
                Oid::SPNEGO => frame(&[(Oid::KRB5, krb5)]),
                _ => krb5,
            };
            parts.push((mechanism, token));
        }
        Ok(frame(&parts))
    }

    /// `gss_import_cred`: the credential that [`export`](Self::export) or MIT's library wrote. Caches and keytabs that it names are
    /// looked at when they are used.
    ///
    /// The token says which files are read as whose: take it from nobody who may not choose that. `GSS_S_DEFECTIVE_TOKEN` for other bytes,
    /// `GSS_S_BAD_MECH` for elements of other mechanisms.
    pub fn import(env: &Environment, token: &[u8]) -> Result<Self, Error> {
        let mut elements: Vec<Element> = Vec::new();
        let mut enctypes = None;
        for (oid, token) in unframe(token).map_err(CredentialError::Token)? {
            let mechanism = mechanism(oid).map_err(CredentialError::Token)?;
            if elements.iter().any(|one| one.mechanism == mechanism) {
                return Err(CredentialError::Token(TokenError::Twice).into());
            }
            let krb5 = match mechanism {
                Oid::SPNEGO => kerberos_of(token).map_err(CredentialError::Token)?,
                _ => token,
            };
            let read = read::element(mechanism, krb5, env)?;
            enctypes = in_both(enctypes, read.enctypes);
            elements.push(read.element);
        }
        Ok(Self {
            enctypes,
            ..Self::new(elements)
        })
    }
}

/// A credential has one list for all its elements, so it allows what each of them allows.
fn in_both(one: Option<Enctypes>, other: Option<Enctypes>) -> Option<Enctypes> {
    let (Some(one), Some(other)) = (&one, &other) else {
        return one.or(other);
    };
    let is_in_other = |one: &&&'static Enctype| {
        let mut others = other.iter();
        others.any(|other| other.number() == one.number())
    };
    Some(one.iter().filter(is_in_other).copied().collect())
}

/// Kerberos's token within SPNEGO's.
fn kerberos_of(token: &[u8]) -> Result<&[u8], TokenError> {
    let elements = unframe(token)?;
    let mut krb5 = elements.iter().filter(|(oid, _)| *oid == Oid::KRB5.bytes());
    let (_, token) = krb5.next().ok_or(TokenError::Mechanism)?;
    Ok(token)
}

fn mechanism(oid: &[u8]) -> Result<Oid, TokenError> {
    let mut known = super::MECHANISMS.into_iter();
    known
        .find(|known| known.bytes() == oid)
        .ok_or(TokenError::Mechanism)
}

/// Mechanisms and tokens, each with its length.
fn frame(parts: &[(Oid, Zeroizing<Vec<u8>>)]) -> Zeroizing<Vec<u8>> {
    let length = |(oid, token): &(Oid, Zeroizing<Vec<u8>>)| 8 + oid.bytes().len() + token.len();
    let mut out = Zeroizing::new(Vec::with_capacity(parts.iter().map(length).sum()));
    for (oid, token) in parts {
        for part in [oid.bytes(), token.as_slice()] {
            // A token of 4 GiB would be one of a cache of that size, which nobody reads.
            out.extend_from_slice(&(part.len() as u32).to_be_bytes());
            out.extend_from_slice(part);
        }
    }
    out
}

/// A mechanism's OID and its token.
type Part<'a> = (&'a [u8], &'a [u8]);

fn unframe(token: &[u8]) -> Result<Vec<Part<'_>>, TokenError> {
    let mut rest = token;
    let mut parts = Vec::new();
    while !rest.is_empty() {
        let (oid, after) = counted(rest)?;
        let (token, after) = counted(after)?;
        parts.push((oid, token));
        rest = after;
    }
    match parts.is_empty() {
        true => Err(TokenError::Frame),
        false => Ok(parts),
    }
}

fn counted(bytes: &[u8]) -> Result<Part<'_>, TokenError> {
    let (length, rest) = bytes.split_first_chunk::<4>().ok_or(TokenError::Frame)?;
    let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
    rest.split_at_checked(length).ok_or(TokenError::Frame)
}

/// What a token says of an element, and of the enctypes it may use.
struct Read {
    element: Element,
    enctypes: Option<Enctypes>,
}

type Enctypes = Arc<[&'static Enctype]>;

/// `GSS_C_BOTH`, `GSS_C_INITIATE`, `GSS_C_ACCEPT`.
const BOTH: i64 = 0;
const INITIATE: i64 = 1;
const ACCEPT: i64 = 2;
