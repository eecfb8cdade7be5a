//! Mechanism attributes (RFC 5587): what a mechanism offers, as OIDs that programs choose mechanisms by.

use crate::oid::Oid;

/// The contents octets of 1.3.6.1.5.5.13, below which the attributes are (RFC 5587 §3.1).
const BASE: [u8; 6] = [0x2b, 0x06, 0x01, 0x05, 0x05, 0x0d];

/// What a mechanism offers, or what kind of one it is (RFC 5587 §3.2). The numbers are the last arcs of the OIDs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum MechAttribute {
    /// `GSS_C_MA_MECH_CONCRETE`
    Concrete = 1,
    /// `GSS_C_MA_MECH_PSEUDO`
    Pseudo = 2,
    /// `GSS_C_MA_MECH_COMPOSITE`
    Composite = 3,
    /// `GSS_C_MA_MECH_NEGO`
    Negotiates = 4,
    /// `GSS_C_MA_MECH_GLUE`
    Glue = 5,
    /// `GSS_C_MA_NOT_MECH`
    NotMech = 6,
    /// `GSS_C_MA_DEPRECATED`
    Deprecated = 7,
    /// `GSS_C_MA_NOT_DFLT_MECH`
    NotDefault = 8,
    /// `GSS_C_MA_ITOK_FRAMED`
    InitialTokenFramed = 9,
    /// `GSS_C_MA_AUTH_INIT`
    AuthInitiator = 10,
    /// `GSS_C_MA_AUTH_TARG`
    AuthTarget = 11,
    /// `GSS_C_MA_AUTH_INIT_INIT`
    AuthInitiatorInitial = 12,
    /// `GSS_C_MA_AUTH_TARG_INIT`
    AuthTargetInitial = 13,
    /// `GSS_C_MA_AUTH_INIT_ANON`
    AuthInitiatorAnonymous = 14,
    /// `GSS_C_MA_AUTH_TARG_ANON`
    AuthTargetAnonymous = 15,
    /// `GSS_C_MA_DELEG_CRED`
    Delegation = 16,
    /// `GSS_C_MA_INTEG_PROT`
    Integrity = 17,
    /// `GSS_C_MA_CONF_PROT`
    Confidentiality = 18,
    /// `GSS_C_MA_MIC`
    Mic = 19,
    /// `GSS_C_MA_WRAP`
    Wrap = 20,
    /// `GSS_C_MA_PROT_READY`
    ProtReady = 21,
    /// `GSS_C_MA_REPLAY_DET`
    ReplayDetection = 22,
    /// `GSS_C_MA_OOS_DET`
    OutOfSequenceDetection = 23,
    /// `GSS_C_MA_CBINDINGS`
    ChannelBindings = 24,
    /// `GSS_C_MA_PFS`
    ForwardSecrecy = 25,
    /// `GSS_C_MA_COMPRESS`
    Compression = 26,
    /// `GSS_C_MA_CTX_TRANS`
    ContextTransfer = 27,
}

/// An attribute, its name in C, the short description that is its arc's name, and a longer one.
type Row = (MechAttribute, &'static str, &'static str, &'static str);

use MechAttribute as A;

/// RFC 5587 §3.2.
#[rustfmt::skip]
const TABLE: [Row; 27] = [
    (A::Concrete, "GSS_C_MA_MECH_CONCRETE", "concrete-mech", "The mechanism stands for itself: it is neither a pseudo-mechanism nor composed of others."),
    (A::Pseudo, "GSS_C_MA_MECH_PSEUDO", "pseudo-mech", "The mechanism needs another one to provide its services."),
    (A::Composite, "GSS_C_MA_MECH_COMPOSITE", "composite-mech", "The mechanism is composed of others."),
    (A::Negotiates, "GSS_C_MA_MECH_NEGO", "mech-negotiation-mech", "The mechanism agrees with its peer on another one."),
    (A::Glue, "GSS_C_MA_MECH_GLUE", "mech-glue", "The OID is that of GSS-API itself and not of a mechanism."),
    (A::NotMech, "GSS_C_MA_NOT_MECH", "not-mech", "The OID is known, and known not to be a mechanism's."),
    (A::Deprecated, "GSS_C_MA_DEPRECATED", "mech-deprecated", "The mechanism, or this OID of it, is deprecated and never the default."),
    (A::NotDefault, "GSS_C_MA_NOT_DFLT_MECH", "mech-not-default", "The mechanism, or this OID of it, is never the default."),
    (A::InitialTokenFramed, "GSS_C_MA_ITOK_FRAMED", "initial-is-framed", "The first token has the frame of RFC 2743 section 3.1."),
    (A::AuthInitiator, "GSS_C_MA_AUTH_INIT", "auth-init-princ", "The initiator authenticates itself to the acceptor."),
    (A::AuthTarget, "GSS_C_MA_AUTH_TARG", "auth-targ-princ", "The acceptor authenticates itself to the initiator."),
    (A::AuthInitiatorInitial, "GSS_C_MA_AUTH_INIT_INIT", "auth-init-princ-initial", "The initiator can authenticate itself with a password or a key it holds, without tickets got before."),
    (A::AuthTargetInitial, "GSS_C_MA_AUTH_TARG_INIT", "auth-targ-princ-initial", "The acceptor can authenticate itself with a password or a key it holds, without tickets got before."),
    (A::AuthInitiatorAnonymous, "GSS_C_MA_AUTH_INIT_ANON", "auth-init-princ-anon", "The initiator can be anonymous."),
    (A::AuthTargetAnonymous, "GSS_C_MA_AUTH_TARG_ANON", "auth-targ-princ-anon", "The acceptor can be anonymous."),
    (A::Delegation, "GSS_C_MA_DELEG_CRED", "deleg-cred", "The initiator can delegate its credentials."),
    (A::Integrity, "GSS_C_MA_INTEG_PROT", "integ-prot", "Messages are protected against changes."),
    (A::Confidentiality, "GSS_C_MA_CONF_PROT", "conf-prot", "Messages can be encrypted."),
    (A::Mic, "GSS_C_MA_MIC", "mic", "Messages can have a MIC token beside them."),
    (A::Wrap, "GSS_C_MA_WRAP", "wrap", "Messages can be wrapped."),
    (A::ProtReady, "GSS_C_MA_PROT_READY", "prot-ready", "Messages can be protected before the context is established in full."),
    (A::ReplayDetection, "GSS_C_MA_REPLAY_DET", "replay-detection", "Replayed messages are noticed."),
    (A::OutOfSequenceDetection, "GSS_C_MA_OOS_DET", "oos-detection", "Messages that are missing, or not in their order, are noticed."),
    (A::ChannelBindings, "GSS_C_MA_CBINDINGS", "channel-bindings", "A context can be bound to a channel."),
    (A::ForwardSecrecy, "GSS_C_MA_PFS", "pfs", "Messages stay secret when long-term keys become known later."),
    (A::Compression, "GSS_C_MA_COMPRESS", "compress", "Wrapped messages are compressed."),
    (A::ContextTransfer, "GSS_C_MA_CTX_TRANS", "context-transfer", "An established context can be exported to another process."),
];

impl MechAttribute {
    /// All that are known.
    pub fn all() -> impl Iterator<Item = Self> {
        TABLE.iter().map(|(attribute, ..)| *attribute)
    }

    /// The attribute of `oid`, if it is a known one.
    pub fn from_oid(oid: Oid) -> Option<Self> {
        let arc = oid.bytes().strip_prefix(&BASE)?;
        Self::all().find(|one| arc == [*one as u8])
    }

    /// The OID.
    pub const fn oid(self) -> Oid {
        let [a, b, c, d, e, f] = BASE;
        Oid::known(&[a, b, c, d, e, f, self as u8])
    }

    /// The name in C: `GSS_C_MA_MIC`.
    pub fn name(self) -> &'static str {
        self.row().1
    }

    /// The arc's name: `mic`.
    pub fn short_description(self) -> &'static str {
        self.row().2
    }

    /// What it means, in a sentence.
    pub fn long_description(self) -> &'static str {
        self.row().3
    }

    fn row(self) -> &'static Row {
        // The rows are in the order of their numbers, which begin at 1; a test says so.
        &TABLE[self as usize - 1]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_attribute_has_its_row_and_its_oid() {
        for (index, (attribute, name, ..)) in TABLE.iter().enumerate() {
            assert_eq!(*attribute as usize, index + 1);
            assert_eq!(attribute.name(), *name);
            let oid = attribute.oid();
            assert_eq!(oid.to_string(), format!("1.3.6.1.5.5.13.{}", index + 1));
            assert_eq!(MechAttribute::from_oid(oid), Some(*attribute));
        }
        assert_eq!(MechAttribute::all().count(), 27);
    }

    #[test]
    fn what_is_no_attribute_is_none() {
        for oid in [
            "1.3.6.1.5.5.13",
            "1.3.6.1.5.5.13.28",
            "1.3.6.1.5.5.13.0",
            "1.3.6.1.5.5.13.1.1",
            "1.3.6.1.5.5.2",
        ] {
            assert_eq!(MechAttribute::from_oid(oid.parse().unwrap()), None, "{oid}");
        }
        assert_eq!(MechAttribute::from_oid(Oid::KRB5), None);
    }
}
