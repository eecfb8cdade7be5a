//! Channel bindings of TLS connections (RFC 5929, RFC 9266).
//!
//! - `tls-server-end-point`: [`server_end_point`] makes it of the server's certificate. It is what browsers, `curl`, Windows and LDAP use, and
//!   needs nothing of the TLS library but the certificate: the server's own, or the one that the client was shown. A proxy that
//!   ends TLS in front of the server needs the same certificate.
//! - `tls-exporter`: [`ChannelBindings::tls_exporter`]; the type to choose with TLS 1.3 where both sides can.
//! - `tls-unique`: [`ChannelBindings::tls_unique`], up to TLS 1.2.

use sha2::{Digest, Sha224, Sha256, Sha384, Sha512};

use crate::ChannelBindings;

/// Why a certificate has no `tls-server-end-point`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// The bytes are not a certificate in DER. In PEM (`-----BEGIN CERTIFICATE-----`) it is Base64 of it.
    #[error("this is not a certificate in DER (a PEM file has to be decoded first)")]
    Malformed,
    /// RFC 5929 §4.1 defines the type for signatures with one hash function alone. Ed25519 and Ed448 have none of their own choice, and neither has RSA-PSS with two different
    /// ones; what peers then do differs, so nothing is guessed here.
    #[error(
        "the certificate's signature (algorithm {0}) has no one hash function that is supported, so \
         tls-server-end-point is not defined for it (RFC 5929 section 4.1): use tls-exporter, or a certificate with another signature"
    )]
    NoHash(String),
}

/// The hash function of a certificate's signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hash {
    Sha224,
    Sha256,
    Sha384,
    Sha512,
}

/// `tls-server-end-point` (RFC 5929 §4): bindings of the channel to the server that has this certificate, in DER.
///
/// The hash is that of the certificate's own signature, but SHA-256 in the place of MD5 and SHA-1. RSA-PSS has the hash of its parameters.
pub fn server_end_point(certificate: &[u8]) -> Result<ChannelBindings, CertificateError> {
    let hash = match signature_hash(certificate)? {
        Hash::Sha224 => Sha224::digest(certificate).to_vec(),
        Hash::Sha256 => Sha256::digest(certificate).to_vec(),
        Hash::Sha384 => Sha384::digest(certificate).to_vec(),
        Hash::Sha512 => Sha512::digest(certificate).to_vec(),
    };
    Ok(ChannelBindings::tls_server_end_point(&hash))
}

/// The hash that the certificate's `signatureAlgorithm` names (RFC 5280 §4.1.1.2).
fn signature_hash(certificate: &[u8]) -> Result<Hash, CertificateError> {
    let malformed = CertificateError::Malformed;
    let (sequence, rest) = element(certificate, SEQUENCE).ok_or(malformed.clone())?;
    if !rest.is_empty() {
        return Err(malformed);
    }
    let parts = element(sequence, SEQUENCE).and_then(|(_, rest)| {
        let (algorithm, rest) = element(rest, SEQUENCE)?;
        let (_, rest) = element(rest, BIT_STRING)?;
        let (oid, parameters) = element(algorithm, OBJECT_IDENTIFIER)?;
        rest.is_empty().then_some((oid, parameters))
    });
    let (oid, parameters) = parts.ok_or(malformed)?;
    let hash = match oid {
        RSASSA_PSS => pss_hash(parameters),
        oid => table(SIGNATURES, oid),
    };
    hash.ok_or_else(|| CertificateError::NoHash(shown(oid)))
}

/// RSASSA-PSS-params (RFC 4055 §3.1): the message's hash, if the mask is made with the same one. Both are SHA-1 where nothing is
/// said.
fn pss_hash(parameters: &[u8]) -> Option<Hash> {
    let (fields, rest) = element(parameters, SEQUENCE)?;
    if !rest.is_empty() {
        return None;
    }
    let (message, rest) = match element(fields, CONTEXT_0) {
        Some((field, rest)) => (algorithm(field)?.0, rest),
        None => (SHA1, fields),
    };
    let mask = match element(rest, CONTEXT_1) {
        Some((field, _)) => {
            let (generator, parameters) = algorithm(field)?;
            (generator == MGF1).then_some(())?;
            algorithm(parameters)?.0
        }
        None => SHA1,
    };
    (message == mask).then(|| table(HASHES, message))?
}

/// An AlgorithmIdentifier alone.
fn algorithm(der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (inner, rest) = element(der, SEQUENCE)?;
    rest.is_empty().then_some(())?;
    element(inner, OBJECT_IDENTIFIER)
}

fn table(rows: &[(&[u8], Hash)], oid: &[u8]) -> Option<Hash> {
    let mut rows = rows.iter();
    rows.find(|(one, _)| *one == oid).map(|(_, hash)| *hash)
}

fn shown(oid: &[u8]) -> String {
    let known = crate::Oid::from_bytes(oid);
    known.map_or_else(|_| "malformed".to_owned(), |oid| oid.to_string())
}

const SEQUENCE: u8 = 0x30;
const BIT_STRING: u8 = 0x03;
const OBJECT_IDENTIFIER: u8 = 0x06;
const CONTEXT_0: u8 = 0xa0;
const CONTEXT_1: u8 = 0xa1;

/// The contents of the element with `tag` that `der` begins with, and what follows it. No more of a certificate is read than that:
/// the TLS library has verified it.
fn element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (found, rest) = der.split_first()?;
    (*found == tag).then_some(())?;
    let (first, rest) = rest.split_first()?;
    if *first < 0x80 {
        return rest.split_at_checked(usize::from(*first));
    }
    let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
    if !(1..=4).contains(&digits.len()) || digits[0] == 0 {
        return None;
    }
    let length = digits
        .iter()
        .fold(0, |length, digit| length << 8 | usize::from(*digit));
    (length >= 0x80).then_some(())?;
    rest.split_at_checked(length)
}

/// 1.2.840.113549.1.1.10 (RFC 4055 §3.1)
const RSASSA_PSS: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a";
/// 1.2.840.113549.1.1.8 (RFC 4055 §2.2)
const MGF1: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x08";
/// 1.3.14.3.2.26
const SHA1: &[u8] = b"\x2b\x0e\x03\x02\x1a";

/// The hashes, and what stands for them in a binding (RFC 5929 §4.1).
const HASHES: &[(&[u8], Hash)] = &[
    (SHA1, Hash::Sha256),
    (b"\x60\x86\x48\x01\x65\x03\x04\x02\x04", Hash::Sha224),
    (b"\x60\x86\x48\x01\x65\x03\x04\x02\x01", Hash::Sha256),
    (b"\x60\x86\x48\x01\x65\x03\x04\x02\x02", Hash::Sha384),
    (b"\x60\x86\x48\x01\x65\x03\x04\x02\x03", Hash::Sha512),
];

/// Signatures with one hash each (RFC 3279 §2.2, RFC 4055 §5, RFC 5758 §3), and what stands for it in a binding.
const SIGNATURES: &[(&[u8], Hash)] = &[
    // RSA with MD5, SHA-1 (under both of its numbers), SHA-224, SHA-256, SHA-384, SHA-512.
    (b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x04", Hash::Sha256),
    (b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x05", Hash::Sha256),
    (b"\x2b\x0e\x03\x02\x1d", Hash::Sha256),
    (b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0e", Hash::Sha224),
    (b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b", Hash::Sha256),
    (b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0c", Hash::Sha384),
    (b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0d", Hash::Sha512),
    // ECDSA with SHA-1, SHA-224, SHA-256, SHA-384, SHA-512.
    (b"\x2a\x86\x48\xce\x3d\x04\x01", Hash::Sha256),
    (b"\x2a\x86\x48\xce\x3d\x04\x03\x01", Hash::Sha224),
    (b"\x2a\x86\x48\xce\x3d\x04\x03\x02", Hash::Sha256),
    (b"\x2a\x86\x48\xce\x3d\x04\x03\x03", Hash::Sha384),
    (b"\x2a\x86\x48\xce\x3d\x04\x03\x04", Hash::Sha512),
    // DSA with SHA-1, SHA-224, SHA-256.
    (b"\x2a\x86\x48\xce\x38\x04\x03", Hash::Sha256),
    (b"\x60\x86\x48\x01\x65\x03\x04\x03\x01", Hash::Sha224),
    (b"\x60\x86\x48\x01\x65\x03\x04\x03\x02", Hash::Sha256),
];

#[cfg(test)]
mod tests;
