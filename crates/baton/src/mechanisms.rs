//! Which mechanisms there are, what they offer and what SASL calls them (RFC 5587, RFC 5801).

use gss_core::attribute::MechAttribute::{self, *};
use sha1::{Digest, Sha1};

use crate::Oid;

/// A mechanism.
///
/// ```
/// use baton::mechanisms::Mechanism;
/// use baton::{MechAttribute, Oid};
/// let can_transfer = [MechAttribute::ContextTransfer.oid()];
/// let names = Mechanism::by_attributes(&can_transfer, &[], &[]).map(|mech| mech.name());
/// assert!(names.eq(["krb5"]));
/// assert_eq!(Mechanism::by_sasl_name("GS2-KRB5").unwrap().oid(), Oid::KRB5);
/// ```
#[derive(Debug, PartialEq, Eq)]
pub struct Mechanism {
    oid: Oid,
    name: &'static str,
    description: &'static str,
    sasl_name: &'static str,
    attributes: &'static [MechAttribute],
}

/// All of them, the one that is the default first.
static MECHANISMS: [Mechanism; 2] = [
    Mechanism {
        oid: Oid::KRB5,
        name: "krb5",
        description: "Kerberos 5 (RFC 4121)",
        sasl_name: "GS2-KRB5",
        attributes: &[
            Concrete,
            InitialTokenFramed,
            AuthInitiator,
            AuthTarget,
            Delegation,
            Integrity,
            Confidentiality,
            Mic,
            Wrap,
            ProtReady,
            ReplayDetection,
            OutOfSequenceDetection,
            ChannelBindings,
            ContextTransfer,
        ],
    },
    Mechanism {
        oid: Oid::SPNEGO,
        name: "spnego",
        description: "negotiation of a mechanism (RFC 4178)",
        sasl_name: "SPNEGO",
        attributes: &[Negotiates, InitialTokenFramed],
    },
];

impl Mechanism {
    /// `GSS_Indicate_mechs` (RFC 2743 §2.4.2): all of them, the one that is the default first.
    pub fn all() -> impl Iterator<Item = &'static Self> {
        MECHANISMS.iter()
    }

    /// The mechanism with this OID. Microsoft's OID is Kerberos's within SPNEGO alone, and no mechanism here.
    pub fn find(oid: Oid) -> Option<&'static Self> {
        Self::all().find(|mechanism| mechanism.oid == oid)
    }

    /// `GSS_Indicate_mechs_by_attrs` (RFC 5587 §3.4.2): those that offer all of `desired` and none of `except`, and know of each
    /// of `critical` whether they offer it. No attributes at all: all mechanisms.
    pub fn by_attributes(
        desired: &[Oid],
        except: &[Oid],
        critical: &[Oid],
    ) -> impl Iterator<Item = &'static Self> {
        let known = |oid: &Oid| MechAttribute::from_oid(*oid).is_some();
        let understood = critical.iter().all(known);
        Self::all().filter(move |mechanism| {
            let offers = |oid: &Oid| {
                let attribute = MechAttribute::from_oid(*oid);
                attribute.is_some_and(|one| mechanism.attributes.contains(&one))
            };
            understood && desired.iter().all(offers) && !except.iter().any(offers)
        })
    }

    /// `GSS_Inquire_mech_for_SASLname` (RFC 5801 §10): the mechanism with this name in SASL, given or [computed](computed_sasl_name). A name ends
    /// in `-PLUS` where the channel is bound: that is not a part of it here.
    pub fn by_sasl_name(name: &str) -> Option<&'static Self> {
        Self::all().find(|mech| mech.sasl_name == name || computed_sasl_name(mech.oid) == name)
    }

    /// The OID.
    pub const fn oid(&self) -> Oid {
        self.oid
    }

    /// A name for people.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// A description for people.
    pub const fn description(&self) -> &'static str {
        self.description
    }

    /// What SASL calls it (RFC 5801 §3). SPNEGO must not be used within SASL that way (RFC 5801 §14); its name is MIT's.
    pub const fn sasl_name(&self) -> &'static str {
        self.sasl_name
    }

    /// `GSS_Inquire_attrs_for_mech` (RFC 5587 §3.4.3): what it offers. What it knows of is [all](MechAttribute::all) there is.
    pub const fn attributes(&self) -> &'static [MechAttribute] {
        self.attributes
    }
}

/// The mechanism that a caller means: Microsoft's OID for Kerberos stands for Kerberos.
pub(crate) const fn meant(oid: Oid) -> Oid {
    match oid {
        Oid::KRB5_MICROSOFT => Oid::KRB5,
        other => other,
    }
}

/// What SASL calls a mechanism that has no name of its own there (RFC 5801 §3.1): `GS2-` and 55 bits of its OID's hash in
/// Base32.
pub fn computed_sasl_name(oid: Oid) -> String {
    const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let contents = oid.bytes();
    // An `Oid` has at most 63 octets, so that its length is one.
    let hash = Sha1::new()
        .chain_update([0x06, contents.len() as u8])
        .chain_update(contents)
        .finalize();
    let bits = hash[..8]
        .iter()
        .fold(0, |bits: u64, byte| bits << 8 | u64::from(*byte));
    let digits = (0..11).map(|index| BASE32[(bits >> (59 - 5 * index) & 31) as usize]);
    std::iter::chain(*b"GS2-", digits).map(char::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 5801 §3.3.
    #[test]
    fn computed_names_are_the_standards() {
        let spkm: Oid = "1.3.6.1.5.5.1.1".parse().unwrap();
        assert_eq!(computed_sasl_name(spkm), "GS2-DT4PIK22T6A");
        assert_eq!(computed_sasl_name(Oid::KRB5), "GS2-QLJHGJLWNPL");
    }

    #[test]
    fn names_lead_to_mechanisms() {
        for (name, oid) in [
            ("GS2-KRB5", Some(Oid::KRB5)),
            ("GS2-QLJHGJLWNPL", Some(Oid::KRB5)),
            ("SPNEGO", Some(Oid::SPNEGO)),
            ("GS2-KRB5-PLUS", None),
            ("gs2-krb5", None),
            ("GSSAPI", None),
            ("", None),
        ] {
            let found = Mechanism::by_sasl_name(name).map(Mechanism::oid);
            assert_eq!(found, oid, "{name}");
        }
    }

    #[test]
    fn mechanisms_are_found_by_what_they_offer() {
        let unknown: Oid = "1.3.6.1.5.5.13.99".parse().unwrap();
        let (mic, nego) = (Mic.oid(), Negotiates.oid());
        let framed = InitialTokenFramed.oid();
        for (desired, except, critical, found) in [
            (&[][..], &[][..], &[][..], &["krb5", "spnego"][..]),
            (&[framed], &[], &[], &["krb5", "spnego"]),
            (&[mic, framed], &[], &[], &["krb5"]),
            (&[nego], &[], &[], &["spnego"]),
            (&[nego, mic], &[], &[], &[]),
            (&[], &[mic], &[], &["spnego"]),
            (&[], &[mic, nego], &[], &[]),
            (&[], &[], &[mic, ForwardSecrecy.oid()], &["krb5", "spnego"]),
            (&[unknown], &[], &[], &[]),
            (&[], &[unknown], &[], &["krb5", "spnego"]),
            (&[], &[], &[unknown], &[]),
            (&[Oid::KRB5], &[], &[], &[]),
        ] {
            let names = Mechanism::by_attributes(desired, except, critical).map(Mechanism::name);
            assert!(
                names.eq(found.iter().copied()),
                "{desired:?} {except:?} {critical:?}"
            );
        }
    }

    #[test]
    fn microsofts_oid_is_no_mechanism() {
        assert_eq!(Mechanism::find(Oid::KRB5_MICROSOFT), None);
        assert_eq!(Mechanism::find(Oid::KRB5).unwrap().sasl_name(), "GS2-KRB5");
    }
}
