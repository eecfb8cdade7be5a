//! AD-CAMMAC (RFC 7751) and what travels in it: authentication indicators (RFC 8129).

use krb5_crypto::{Key, KeyUsage};
use wire::der::{DerError, SEQUENCE, Value, Word};

use super::{AuthorizationData, Checksum, PrincipalName};

/// A container whose contents KDCs sign (RFC 7751 §3).
pub const AD_CAMMAC: i32 = 96;
/// How a client authenticated to its KDC (RFC 8129 §2).
pub const AD_AUTHENTICATION_INDICATOR: i32 = 97;

wire::sequence! {
    /// RFC 7751 §3.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct AdCammac<'a> {
        [0] elements: AuthorizationData<'a>,
        [1] kdc_verifier: Option<VerifierMac<'a>>,
        [2] svc_verifier: Option<VerifierMac<'a>>,
        [3] other_verifiers: Option<Verifiers<'a>>,
    }

    /// RFC 7751 §3.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct VerifierMac<'a> {
        [0] identifier: Option<PrincipalName<'a>>,
        [1] kvno: Option<Word>,
        [2] enctype: Option<i32>,
        [3] mac: Checksum<'a>,
    }
}

/// Verifiers of others, which nobody here looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verifiers<'a>(&'a [u8]);

impl<'a> Value<'a> for Verifiers<'a> {
    const TAG: u8 = SEQUENCE;

    fn decode_content(content: &'a [u8]) -> Result<Self, DerError> {
        Ok(Self(content))
    }

    fn content_len(&self) -> usize {
        self.0.len()
    }

    fn encode_content(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.0);
    }
}

impl AdCammac<'_> {
    /// Whether the service verifier is one under the service's key (RFC 7751 §4): of the key's own type, over the elements.
    pub fn is_for_service(&self, key: &Key) -> bool {
        let Some(verifier) = &self.svc_verifier else {
            return false;
        };
        let (mac, elements) = (&verifier.mac, self.elements.encode());
        mac.cksumtype == key.enctype().checksum_type()
            && key
                .verify_checksum(KeyUsage::CAMMAC, &[&elements], mac.checksum)
                .is_ok()
    }
}

/// One authentication indicator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Indicator<'a>(pub &'a str);

impl<'a> Value<'a> for Indicator<'a> {
    /// UTF8String.
    const TAG: u8 = 0x0c;

    fn decode_content(content: &'a [u8]) -> Result<Self, DerError> {
        str::from_utf8(content)
            .map(Self)
            .map_err(|_| DerError::Utf8)
    }

    fn content_len(&self) -> usize {
        self.0.len()
    }

    fn encode_content(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.0.as_bytes());
    }
}

/// AD-AUTHENTICATION-INDICATOR (RFC 8129 §2).
pub type AuthenticationIndicators<'a> = Vec<Indicator<'a>>;
