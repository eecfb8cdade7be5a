//! Object identifiers, in the contents octets of their DER encoding (X.690 §8.19), as C programs hold them.

use std::fmt;

/// An object identifier.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Oid(&'static [u8]);

impl Oid {
    /// 1.2.840.113554.1.2.2, the Kerberos 5 mechanism (RFC 1964 §1, RFC 4121).
    pub const KRB5: Self = Self(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x12, 0x01, 0x02, 0x02]);
    /// 1.2.840.48018.1.2.2, which is how Windows 2000 wrote [`KRB5`](Self::KRB5) (RFC 4178 Appendix C).
    pub const KRB5_MICROSOFT: Self = Self(&[0x2a, 0x86, 0x48, 0x82, 0xf7, 0x12, 0x01, 0x02, 0x02]);
    /// 1.3.6.1.5.5.2, SPNEGO (RFC 4178 §4.2).
    pub const SPNEGO: Self = Self(&[0x2b, 0x06, 0x01, 0x05, 0x05, 0x02]);
    /// 1.2.840.113554.1.2.1.4, `GSS_C_NT_HOSTBASED_SERVICE` (RFC 2743 §4.1).
    pub const NT_HOSTBASED_SERVICE: Self =
        Self(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x12, 0x01, 0x02, 0x01, 0x04]);
    /// 1.2.840.113554.1.2.1.1, `GSS_C_NT_USER_NAME` (RFC 2743 §4.2).
    pub const NT_USER_NAME: Self =
        Self(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x12, 0x01, 0x02, 0x01, 0x01]);
    /// 1.2.840.113554.1.2.2.1, `GSS_KRB5_NT_PRINCIPAL_NAME` (RFC 1964 §2.1.1).
    pub const NT_KRB5_PRINCIPAL: Self =
        Self(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x12, 0x01, 0x02, 0x02, 0x01]);
    /// 1.3.6.1.5.6.4, `GSS_C_NT_EXPORT_NAME` (RFC 2743 §4.7).
    pub const NT_EXPORT_NAME: Self = Self(&[0x2b, 0x06, 0x01, 0x05, 0x06, 0x04]);

    /// The contents octets.
    pub const fn bytes(self) -> &'static [u8] {
        self.0
    }
}

impl fmt::Display for Oid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut first = true;
        let mut arc: u64 = 0;
        for byte in self.0 {
            arc = arc << 7 | u64::from(byte & 0x7f);
            if byte & 0x80 != 0 {
                continue;
            }
            if first {
                let root = (arc / 40).min(2);
                write!(f, "{root}.{}", arc - root * 40)?;
                first = false;
            } else {
                write!(f, ".{arc}")?;
            }
            arc = 0;
        }
        Ok(())
    }
}

impl fmt::Debug for Oid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_oid_reads_as_its_standard_writes_it() {
        assert_eq!(Oid::KRB5.to_string(), "1.2.840.113554.1.2.2");
        assert_eq!(Oid::KRB5_MICROSOFT.to_string(), "1.2.840.48018.1.2.2");
        assert_eq!(Oid::SPNEGO.to_string(), "1.3.6.1.5.5.2");
        assert_eq!(Oid::NT_EXPORT_NAME.to_string(), "1.3.6.1.5.6.4");
    }
}
