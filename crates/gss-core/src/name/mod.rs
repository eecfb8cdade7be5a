//! Names (RFC 2743 §2.4, RFC 6680): what a user wrote and the kind of name it is, and what a mechanism makes of it.
//!
//! A [`Name`] is anything of a type; only a mechanism can say whom it means. A [`MechName`] is that answer: one spelling a
//! principal, so it can be compared, exported, and shown, and it may have [`attributes`].

pub mod attributes;
pub mod exported;
mod mech_name;

use std::fmt;

use wire::shown::Shown;

pub use self::mech_name::MechName;
use crate::oid::Oid;

/// A name of a type, as it was given: `GSS_Import_name`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Name {
    name_type: Oid,
    text: Box<[u8]>,
}

impl Name {
    /// A name of `name_type`, spelled `text`.
    pub fn new(name_type: Oid, text: impl Into<Box<[u8]>>) -> Self {
        Self {
            name_type,
            text: text.into(),
        }
    }

    /// `service@host`, or `service` for one on this host (RFC 2743 §4.1).
    pub fn hostbased_service(text: &str) -> Self {
        Self::new(Oid::NT_HOSTBASED_SERVICE, text.as_bytes())
    }

    /// A user, spelled as this host's users are (RFC 2743 §4.2). Kerberos takes it for a principal's name.
    pub fn user(text: &str) -> Self {
        Self::new(Oid::NT_USER_NAME, text.as_bytes())
    }

    /// The user of this host with a number (RFC 2743 §4.3), in C a `uid_t` as memory holds it.
    pub fn machine_uid(uid: u32) -> Self {
        Self::new(Oid::NT_MACHINE_UID_NAME, uid.to_ne_bytes())
    }

    /// The same, the number in digits (RFC 2743 §4.4).
    pub fn string_uid(uid: u32) -> Self {
        Self::new(Oid::NT_STRING_UID_NAME, uid.to_string().into_bytes())
    }

    /// Nobody in particular (RFC 2743 §4.5).
    pub fn anonymous() -> Self {
        Self::new(Oid::NT_ANONYMOUS, [])
    }

    /// A Kerberos principal, `component/component@REALM` (RFC 1964 §2.1.1).
    pub fn krb5_principal(text: &str) -> Self {
        Self::new(Oid::NT_KRB5_PRINCIPAL, text.as_bytes())
    }

    /// What `GSS_Export_name` gave, here or in another process (RFC 2743 §3.2).
    pub fn exported(token: impl Into<Box<[u8]>>) -> Self {
        Self::new(Oid::NT_EXPORT_NAME, token)
    }

    /// What `GSS_Export_name_composite` gave (RFC 6680 §7.8). Its attributes are as authentic as the way it came by: nothing in the
    /// token protects them, so this is for tokens of processes that are trusted.
    pub fn composite_export(token: impl Into<Box<[u8]>>) -> Self {
        Self::new(Oid::NT_COMPOSITE_EXPORT, token)
    }

    /// The type.
    pub const fn name_type(&self) -> Oid {
        self.name_type
    }

    /// The spelling.
    pub const fn text(&self) -> &[u8] {
        &self.text
    }
}

/// Bytes that are not UTF-8 show as replacement characters, control characters as escapes. It is shown whole: names that
/// differ in their ends do not look the same.
impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", Shown::whole(&self.text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_shown_on_one_line_and_to_its_end() {
        let name = Name::krb5_principal("a\r\u{9b}2J@R");
        assert_eq!(name.to_string(), r"a\x0d\x9b2J@R");
        let long = "x".repeat(60_000);
        assert_eq!(Name::krb5_principal(&long).to_string(), long);
    }
}
