//! Names: what a user wrote and the kind of name it is (RFC 2743 §2.4).

use std::fmt;

use wire::shown::Shown;

use crate::oid::Oid;

/// A name of a type. A mechanism's own names have its name type and the one spelling that the mechanism displays.
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

    /// `service@host` (RFC 2743 §4.1).
    pub fn hostbased_service(text: &str) -> Self {
        Self::new(Oid::NT_HOSTBASED_SERVICE, text.as_bytes())
    }

    /// A Kerberos principal, `component/component@REALM` (RFC 1964 §2.1.1).
    pub fn krb5_principal(text: &str) -> Self {
        Self::new(Oid::NT_KRB5_PRINCIPAL, text.as_bytes())
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
