//! Context flags (RFC 2743 §1.2.1.2, RFC 2744 §3.3, RFC 5554, RFC 5896, MS-KILE).

use std::ops::{BitAnd, BitOr, BitOrAssign};

/// A set of context flags, with the numbers that C gives them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Flags(u32);

impl Flags {
    /// None.
    pub const NONE: Self = Self(0);
    /// `GSS_C_DELEG_FLAG`: credentials are delegated.
    pub const DELEG: Self = Self(1);
    /// `GSS_C_MUTUAL_FLAG`: the acceptor proves itself too.
    pub const MUTUAL: Self = Self(2);
    /// `GSS_C_REPLAY_FLAG`: replayed messages are detected.
    pub const REPLAY: Self = Self(4);
    /// `GSS_C_SEQUENCE_FLAG`: messages out of sequence are detected.
    pub const SEQUENCE: Self = Self(8);
    /// `GSS_C_CONF_FLAG`: confidentiality is available.
    pub const CONF: Self = Self(16);
    /// `GSS_C_INTEG_FLAG`: integrity is available.
    pub const INTEG: Self = Self(32);
    /// `GSS_C_ANON_FLAG`: the initiator stays anonymous.
    pub const ANON: Self = Self(64);
    /// `GSS_C_PROT_READY_FLAG`: messages can be protected already.
    pub const PROT_READY: Self = Self(128);
    /// `GSS_C_TRANS_FLAG`: the context can be transferred to another process.
    pub const TRANS: Self = Self(256);
    /// `GSS_C_CHANNEL_BOUND_FLAG`: the channel bindings were verified.
    pub const CHANNEL_BOUND: Self = Self(2048);

    /// `GSS_C_DCE_STYLE`: a third token goes from the initiator, as DCE's remote procedure calls have it (MS-KILE §3.4.5.1).
    pub const DCE_STYLE: Self = Self(0x1000);
    /// `GSS_C_IDENTIFY_FLAG`: the acceptor may learn who the initiator is, and not act as it (MS-KILE §3.2.5.2).
    pub const IDENTIFY: Self = Self(0x2000);
    /// `GSS_C_EXTENDED_ERROR_FLAG`: the initiator understands the error tokens of Windows.
    pub const EXTENDED_ERROR: Self = Self(0x4000);
    /// `GSS_C_DELEG_POLICY_FLAG`: credentials are delegated where the KDC's policy says so (RFC 5896).
    pub const DELEG_POLICY: Self = Self(0x8000);

    /// The flags with these numbers; bits that nobody defined are kept.
    pub const fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    /// The numbers.
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// Whether all of `other` are in here.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// These without `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// `self` if `condition`, else none.
    #[must_use]
    pub const fn when(self, condition: bool) -> Self {
        if condition { self } else { Self::NONE }
    }
}

impl BitOr for Flags {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for Flags {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

impl BitAnd for Flags {
    type Output = Self;
    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The numbers of MIT's and Heimdal's `gssapi_ext.h` and `gssapi.h`.
    #[test]
    fn numbers_are_those_of_c() {
        let flags = [
            Flags::DELEG,
            Flags::MUTUAL,
            Flags::REPLAY,
            Flags::SEQUENCE,
            Flags::CONF,
            Flags::INTEG,
            Flags::ANON,
            Flags::PROT_READY,
            Flags::TRANS,
            Flags::CHANNEL_BOUND,
            Flags::DCE_STYLE,
            Flags::IDENTIFY,
            Flags::EXTENDED_ERROR,
            Flags::DELEG_POLICY,
        ];
        let bits = [0, 1, 2, 3, 4, 5, 6, 7, 8, 11, 12, 13, 14, 15];
        assert_eq!(flags.map(Flags::bits), bits.map(|bit| 1 << bit));
    }
}
