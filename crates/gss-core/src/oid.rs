//! Object identifiers, in the contents octets of their DER encoding (X.690 §8.19), as C programs hold them.

mod text;

use std::cmp::Ordering;
use std::fmt;

/// An object identifier: one that a standard names, or any other of at most [`MAX_LENGTH`](Self::MAX_LENGTH) octets.
///
/// Its text is `1.2.840.113554.1.2.2`; the alternate form `{:#}` is that of RFC 2743's notation, `{ 1 2 840 113554 1 2 2 }`,
/// which `gss_oid_to_str` gives. [`FromStr`](std::str::FromStr) reads both.
///
/// ```
/// use gss_core::oid::Oid;
/// let oid: Oid = "{ 1 2 840 113554 1 2 2 }".parse().unwrap();
/// assert_eq!(oid, Oid::KRB5);
/// assert_eq!(oid.to_string(), "1.2.840.113554.1.2.2");
/// assert_eq!(format!("{oid:#}"), "{ 1 2 840 113554 1 2 2 }");
/// ```
// The octets behind the length are zero, so that equal values are equal field by field and constants can be patterns.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Oid {
    octets: [u8; Self::MAX_LENGTH],
    length: u8,
}

/// Why octets, or a text, are no object identifier that can be held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OidError {
    /// There are no octets.
    #[error("an object identifier has at least one octet")]
    Empty,
    /// More octets than [`Oid::MAX_LENGTH`].
    #[error("the object identifier has more than {} octets", Oid::MAX_LENGTH)]
    TooLong,
    /// The last arc does not end (X.690 §8.19.2).
    #[error("the object identifier ends within an arc")]
    Cut,
    /// An arc begins with a zero that means nothing (X.690 §8.19.2).
    #[error("an arc of the object identifier is padded")]
    Padded,
    /// An arc of more than 128 bits, which not even a UUID's (X.667) has.
    #[error("an arc of the object identifier has more than 128 bits")]
    ArcTooLarge,
    /// The text is not made of two or more numbers, between dots or within braces.
    #[error("an object identifier is two or more numbers: 1.2.840 or {{ 1 2 840 }}")]
    Syntax,
    /// The first two arcs are not such as X.660 has.
    #[error("an object identifier begins with 0, 1 or 2, and after 0 or 1 comes a number below 40")]
    Root,
}

impl Oid {
    /// The longest that can be held.
    pub const MAX_LENGTH: usize = 63;

    /// 1.2.840.113554.1.2.2, the Kerberos 5 mechanism (RFC 1964 §1, RFC 4121).
    pub const KRB5: Self = Self::known(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x12, 0x01, 0x02, 0x02]);
    /// 1.2.840.48018.1.2.2, which is how Windows 2000 wrote [`KRB5`](Self::KRB5) (RFC 4178 Appendix C).
    pub const KRB5_MICROSOFT: Self =
        Self::known(&[0x2a, 0x86, 0x48, 0x82, 0xf7, 0x12, 0x01, 0x02, 0x02]);
    /// 1.3.5.1.5.2, which is what [`KRB5`](Self::KRB5) was before its standard (the drafts of RFC 1964).
    pub const KRB5_DRAFT: Self = Self::known(&[0x2b, 0x05, 0x01, 0x05, 0x02]);
    /// 1.2.840.113554.1.2.2.5.14, `GSS_KRB5_GET_CRED_IMPERSONATOR`: what a credential can be asked about.
    pub const GET_CRED_IMPERSONATOR: Self = Self::known(&[
        0x2a, 0x86, 0x48, 0x86, 0xf7, 0x12, 0x01, 0x02, 0x02, 0x05, 0x0e,
    ]);
    /// 1.3.6.1.5.5.2, SPNEGO (RFC 4178 §4.2).
    pub const SPNEGO: Self = Self::known(&[0x2b, 0x06, 0x01, 0x05, 0x05, 0x02]);
    /// 1.2.840.113554.1.2.1.4, `GSS_C_NT_HOSTBASED_SERVICE` (RFC 2743 §4.1).
    pub const NT_HOSTBASED_SERVICE: Self =
        Self::known(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x12, 0x01, 0x02, 0x01, 0x04]);
    /// 1.3.6.1.5.6.2, `GSS_C_NT_HOSTBASED_SERVICE_X`, another number for the same (RFC 2743 §4.1).
    pub const NT_HOSTBASED_SERVICE_X: Self = Self::known(&[0x2b, 0x06, 0x01, 0x05, 0x06, 0x02]);
    /// 1.2.840.113554.1.2.1.1, `GSS_C_NT_USER_NAME` (RFC 2743 §4.2).
    pub const NT_USER_NAME: Self =
        Self::known(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x12, 0x01, 0x02, 0x01, 0x01]);
    /// 1.2.840.113554.1.2.1.2, `GSS_C_NT_MACHINE_UID_NAME` (RFC 2743 §4.3).
    pub const NT_MACHINE_UID_NAME: Self =
        Self::known(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x12, 0x01, 0x02, 0x01, 0x02]);
    /// 1.2.840.113554.1.2.1.3, `GSS_C_NT_STRING_UID_NAME` (RFC 2743 §4.4).
    pub const NT_STRING_UID_NAME: Self =
        Self::known(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x12, 0x01, 0x02, 0x01, 0x03]);
    /// 1.3.6.1.5.6.3, `GSS_C_NT_ANONYMOUS` (RFC 2743 §4.5).
    pub const NT_ANONYMOUS: Self = Self::known(&[0x2b, 0x06, 0x01, 0x05, 0x06, 0x03]);
    /// 1.2.840.113554.1.2.2.1, `GSS_KRB5_NT_PRINCIPAL_NAME` (RFC 1964 §2.1.1).
    pub const NT_KRB5_PRINCIPAL: Self =
        Self::known(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x12, 0x01, 0x02, 0x02, 0x01]);
    /// 1.2.840.113554.1.2.2.6, `GSS_KRB5_NT_ENTERPRISE_NAME`: a name for the KDC to look up (RFC 6806 §5).
    pub const NT_KRB5_ENTERPRISE: Self =
        Self::known(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x12, 0x01, 0x02, 0x02, 0x06]);
    /// 1.3.6.1.5.6.4, `GSS_C_NT_EXPORT_NAME` (RFC 2743 §4.7).
    pub const NT_EXPORT_NAME: Self = Self::known(&[0x2b, 0x06, 0x01, 0x05, 0x06, 0x04]);
    /// 1.3.6.1.5.6.6, `GSS_C_NT_COMPOSITE_EXPORT` (RFC 6680 §8).
    pub const NT_COMPOSITE_EXPORT: Self = Self::known(&[0x2b, 0x06, 0x01, 0x05, 0x06, 0x06]);

    /// One that is written down here.
    pub(crate) const fn known(contents: &[u8]) -> Self {
        let mut oid = Self {
            octets: [0; Self::MAX_LENGTH],
            length: contents.len() as u8,
        };
        let mut at = 0;
        while at < contents.len() {
            oid.octets[at] = contents[at];
            at += 1;
        }
        oid
    }

    /// The object identifier of these contents octets.
    pub fn from_bytes(contents: &[u8]) -> Result<Self, OidError> {
        let last = contents.last().ok_or(OidError::Empty)?;
        if contents.len() > Self::MAX_LENGTH {
            return Err(OidError::TooLong);
        }
        if last & 0x80 != 0 {
            return Err(OidError::Cut);
        }
        for arc in contents.split_inclusive(|octet| octet & 0x80 == 0) {
            if arc[0] == 0x80 {
                return Err(OidError::Padded);
            }
            arc.iter().try_fold(0, push).ok_or(OidError::ArcTooLarge)?;
        }
        Ok(Self::known(contents))
    }

    /// The contents octets.
    pub const fn bytes(&self) -> &[u8] {
        self.octets.split_at(self.length as usize).0
    }

    /// Its numbers. X.690 §8.19.4: the first two share one.
    pub fn arcs(&self) -> impl Iterator<Item = u128> {
        let arcs = self.bytes().split_inclusive(|octet| octet & 0x80 == 0);
        // Whoever made this has looked at the arcs' size.
        let arcs = arcs.map(|arc| arc.iter().try_fold(0, push).unwrap_or(u128::MAX));
        arcs.enumerate().flat_map(|(at, arc)| {
            let root = (arc / 40).min(2);
            let (first, second) = match at {
                0 => (Some(root), arc - root * 40),
                _ => (None, arc),
            };
            first.into_iter().chain([second])
        })
    }
}

/// `arc` with seven bits more, if there is room for them.
fn push(arc: u128, octet: &u8) -> Option<u128> {
    let room = arc >> (u128::BITS - 7) == 0;
    room.then(|| arc << 7 | u128::from(octet & 0x7f))
}

impl Ord for Oid {
    fn cmp(&self, other: &Self) -> Ordering {
        self.bytes().cmp(other.bytes())
    }
}

impl PartialOrd for Oid {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl TryFrom<&[u8]> for Oid {
    type Error = OidError;

    fn try_from(contents: &[u8]) -> Result<Self, OidError> {
        Self::from_bytes(contents)
    }
}

impl fmt::Debug for Oid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}
