//! Principal names (RFC 4120 §6.2), and their text form as MIT's tools print and parse it.
//!
//! Components and realms are bytes: names in UTF-8, and in older 8-bit encodings, are in use, so nothing here asks
//! that a name be text.

use core::fmt;
use core::hash::{Hash, Hasher};

use thiserror::Error;
use wire::der::MAX_ELEMENTS;
use wire::shown::Shown;

/// The name type is not known.
pub const NT_UNKNOWN: i32 = 0;
/// A user, or a service of no host.
pub const NT_PRINCIPAL: i32 = 1;
/// A service and an instance of it; the ticket-granting service.
pub const NT_SRV_INST: i32 = 2;
/// A service on a host.
pub const NT_SRV_HST: i32 = 3;
/// A service on a host, the host in several components.
pub const NT_SRV_XHST: i32 = 4;
/// A unique number.
pub const NT_UID: i32 = 5;
/// An X.509 distinguished name.
pub const NT_X500_PRINCIPAL: i32 = 6;
/// A name of the form of a mail address.
pub const NT_SMTP_NAME: i32 = 7;
/// A name that may be looked up in several realms (RFC 6806 §5).
pub const NT_ENTERPRISE: i32 = 10;
/// A name with a meaning of its own (RFC 6111 §3.1).
pub const NT_WELLKNOWN: i32 = 11;

/// The first component of every ticket-granting service's name.
pub const KRBTGT: &[u8] = b"krbtgt";

/// The components of an anonymous principal's name (RFC 8062 §2).
const ANONYMOUS: [&[u8]; 2] = [b"WELLKNOWN", b"ANONYMOUS"];
/// The realm of those whose realm is not told.
const ANONYMOUS_REALM: &[u8] = b"WELLKNOWN:ANONYMOUS";

/// How many components a name in text may have: as many as one in a message ([`MAX_ELEMENTS`]).
pub const MAX_COMPONENTS: usize = MAX_ELEMENTS;

/// A name and the realm it belongs to.
///
/// Comparison leaves the name type out: it is a hint, and no two principals differ in it alone (RFC 4120 §6.2).
#[derive(Clone)]
pub struct Principal {
    name_type: i32,
    components: Vec<Box<[u8]>>,
    realm: Box<[u8]>,
}

/// Why a text is not a principal's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum PrincipalError {
    /// The text ends within an escape.
    #[error("the name ends in a backslash that escapes nothing")]
    DanglingEscape,
    /// A second `@` that is not escaped.
    #[error("the name has more than one realm")]
    SecondRealm,
    /// No realm is given and there is no default.
    #[error("the name has no realm and there is no default realm")]
    NoRealm,
    /// A zero byte that is not escaped.
    #[error("the name contains a zero byte")]
    ZeroByte,
    /// More than [`MAX_COMPONENTS`] components.
    #[error("the name has more than {MAX_COMPONENTS} components")]
    TooManyComponents,
}

impl Principal {
    /// A name from its parts.
    pub fn new<C: AsRef<[u8]>>(
        name_type: i32,
        components: impl IntoIterator<Item = C>,
        realm: impl AsRef<[u8]>,
    ) -> Self {
        Self {
            name_type,
            components: components.into_iter().map(|c| c.as_ref().into()).collect(),
            realm: realm.as_ref().into(),
        }
    }

    /// A user's name, of one component.
    pub fn user(name: impl AsRef<[u8]>, realm: impl AsRef<[u8]>) -> Self {
        Self::new(NT_PRINCIPAL, [name], realm)
    }

    /// The name of a service on a host.
    pub fn service(
        service: impl AsRef<[u8]>,
        host: impl AsRef<[u8]>,
        realm: impl AsRef<[u8]>,
    ) -> Self {
        Self::new(NT_SRV_HST, [service.as_ref(), host.as_ref()], realm)
    }

    /// The ticket-granting service of `realm`, in `realm`.
    pub fn krbtgt(realm: impl AsRef<[u8]>) -> Self {
        Self::new(NT_SRV_INST, [KRBTGT, realm.as_ref()], realm.as_ref())
    }

    /// Nobody in particular, in no realm in particular (RFC 8062 §2).
    pub fn anonymous() -> Self {
        Self::new(NT_WELLKNOWN, ANONYMOUS, ANONYMOUS_REALM)
    }

    /// Parses a name that the realm's KDC is to look up (RFC 6806 §5), such as `user@example.com`: one component, in which the
    /// first `@` stands for itself; a second one begins the realm, without which it is `default_realm`.
    pub fn parse_enterprise(
        text: &[u8],
        default_realm: Option<&[u8]>,
    ) -> Result<Self, PrincipalError> {
        let mut at = text.iter().enumerate().filter(|(_, byte)| **byte == b'@');
        let (name, realm) = match (at.next(), at.next(), at.next()) {
            (_, _, Some(_)) => return Err(PrincipalError::SecondRealm),
            (_, Some((second, _)), None) => (&text[..second], Some(&text[second + 1..])),
            (_, None, None) => (text, default_realm),
        };
        if text.contains(&0) {
            return Err(PrincipalError::ZeroByte);
        }
        let realm = realm.ok_or(PrincipalError::NoRealm)?;
        Ok(Self::new(NT_ENTERPRISE, [name], realm))
    }

    /// Parses the text form: components between `/`, then `@` and the realm; `\` escapes the next character, and
    /// `\n`, `\t`, `\b`, `\0` are a newline, a tab, a backspace and a zero byte. A name with an empty realm is one
    /// whose realm is not known yet. A name of more than [`MAX_COMPONENTS`] components is refused.
    pub fn parse(text: &str, default_realm: Option<&str>) -> Result<Self, PrincipalError> {
        Self::parse_bytes(text.as_bytes(), default_realm.map(str::as_bytes))
    }

    /// [`Self::parse`] for names that may not be UTF-8.
    pub fn parse_bytes(text: &[u8], default_realm: Option<&[u8]>) -> Result<Self, PrincipalError> {
        let mut parts = vec![Vec::new()];
        let mut realm_begun = false;
        let mut bytes = text.iter().copied();
        while let Some(byte) = bytes.next() {
            match byte {
                b'\\' => {
                    let escaped = bytes.next().ok_or(PrincipalError::DanglingEscape)?;
                    push(&mut parts, unescaped(escaped));
                }
                b'@' if realm_begun => return Err(PrincipalError::SecondRealm),
                b'@' => {
                    realm_begun = true;
                    parts.push(Vec::new());
                }
                b'/' if !realm_begun && parts.len() == MAX_COMPONENTS => {
                    return Err(PrincipalError::TooManyComponents);
                }
                b'/' if !realm_begun => parts.push(Vec::new()),
                0 => return Err(PrincipalError::ZeroByte),
                other => push(&mut parts, other),
            }
        }
        let own = if realm_begun { parts.pop() } else { None };
        let realm = match own {
            Some(realm) => realm,
            None => default_realm.ok_or(PrincipalError::NoRealm)?.to_vec(),
        };
        Ok(Self::new(likely_name_type(&parts), parts, realm))
    }

    /// The hint what kind of name this is.
    pub fn name_type(&self) -> i32 {
        self.name_type
    }

    /// The components in their order.
    pub fn components(&self) -> &[Box<[u8]>] {
        &self.components
    }

    /// The realm; empty if it is not known yet.
    pub fn realm(&self) -> &[u8] {
        &self.realm
    }

    /// The same name in `realm`.
    pub fn with_realm(mut self, realm: impl AsRef<[u8]>) -> Self {
        self.realm = realm.as_ref().into();
        self
    }

    /// The same name with another hint.
    pub fn with_name_type(mut self, name_type: i32) -> Self {
        self.name_type = name_type;
        self
    }

    /// Whether this names a ticket-granting service, of whatever realm.
    pub fn is_krbtgt(&self) -> bool {
        self.components.len() == 2 && *self.components[0] == *KRBTGT
    }

    /// Whether this is nobody in particular, of whatever realm (RFC 8062 §2).
    pub fn is_anonymous(&self) -> bool {
        let components = self.components.iter().map(|component| &**component);
        components.eq(ANONYMOUS)
    }

    /// The text form, with every byte as it is.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = self.name_to_bytes();
        out.push(b'@');
        escape(&self.realm, &mut out);
        out
    }

    /// The text form without the realm.
    pub fn name_to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for (index, component) in self.components.iter().enumerate() {
            if index > 0 {
                out.push(b'/');
            }
            escape(component, &mut out);
        }
        out
    }

    /// The salt of a password where the KDC names none: the realm and the components, one after the other
    /// (RFC 4120 §4).
    pub fn salt(&self) -> Vec<u8> {
        let mut salt = self.realm.to_vec();
        for component in &self.components {
            salt.extend_from_slice(component);
        }
        salt
    }
}

impl PartialEq for Principal {
    fn eq(&self, other: &Self) -> bool {
        self.components == other.components && self.realm == other.realm
    }
}

impl Eq for Principal {}

impl Hash for Principal {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.components.hash(state);
        self.realm.hash(state);
    }
}

/// The text form as it may be shown to people, who are not harmed by a peer's choice of it: bytes that are not UTF-8 are
/// replacement characters, control characters beyond the text form's own escapes are escaped, and a long name is cut.
/// What has to be exact is [`to_bytes`](Self::to_bytes).
impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&Shown::new(&self.to_bytes()).to_string())
    }
}

impl fmt::Debug for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Principal({self}, type {})", self.name_type)
    }
}

fn push(parts: &mut [Vec<u8>], byte: u8) {
    if let Some(part) = parts.last_mut() {
        part.push(byte);
    }
}

fn unescaped(byte: u8) -> u8 {
    match byte {
        b'n' => b'\n',
        b't' => b'\t',
        b'b' => 0x08,
        b'0' => 0,
        other => other,
    }
}

fn escape(part: &[u8], out: &mut Vec<u8>) {
    for &byte in part {
        match byte {
            b'/' | b'@' | b'\\' => out.extend([b'\\', byte]),
            b'\n' => out.extend(*b"\\n"),
            b'\t' => out.extend(*b"\\t"),
            0x08 => out.extend(*b"\\b"),
            0 => out.extend(*b"\\0"),
            other => out.push(other),
        }
    }
}

/// MIT's choice: a ticket-granting service is one by its first component, a well-known name likewise.
fn likely_name_type(components: &[Vec<u8>]) -> i32 {
    match components {
        [first, _] if first == KRBTGT => NT_SRV_INST,
        [first, _, ..] if first == b"WELLKNOWN" => NT_WELLKNOWN,
        _ => NT_PRINCIPAL,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_name_are_one_to_one() {
        type Case<'a> = (&'a str, &'a [&'a [u8]], &'a [u8]);
        let cases: [Case; 7] = [
            ("alice@EXAMPLE.ORG", &[b"alice"], b"EXAMPLE.ORG"),
            (
                "HTTP/web.example.org@R",
                &[b"HTTP", b"web.example.org"],
                b"R",
            ),
            (r"a\/b/c\@d@R\@S", &[b"a/b", b"c@d"], b"R@S"),
            (r"\\\n\t\b\0@R", &[b"\\\n\t\x08\0"], b"R"),
            ("a//@R", &[b"a", b"", b""], b"R"),
            ("host/x@", &[b"host", b"x"], b""),
            ("jürgen@R", &["jürgen".as_bytes()], b"R"),
        ];
        for (text, components, realm) in cases {
            let name = Principal::parse(text, None).unwrap();
            assert_eq!(
                name,
                Principal::new(NT_UNKNOWN, components, realm),
                "{text}"
            );
            assert_eq!(name.to_string(), text);
        }
    }

    #[test]
    fn a_default_realm_serves_names_without_one() {
        let name = Principal::parse("alice", Some("R")).unwrap();
        assert_eq!(name, Principal::user("alice", "R"));
        assert_eq!(
            Principal::parse("alice@S", Some("R")).unwrap().realm(),
            b"S"
        );
        assert_eq!(
            Principal::parse("alice", None),
            Err(PrincipalError::NoRealm)
        );
    }

    #[test]
    fn what_is_not_a_name_is_refused() {
        assert_eq!(
            Principal::parse("a@b@c", None),
            Err(PrincipalError::SecondRealm)
        );
        assert_eq!(
            Principal::parse("a@b\\", None),
            Err(PrincipalError::DanglingEscape)
        );
        assert_eq!(
            Principal::parse("a\0@b", None),
            Err(PrincipalError::ZeroByte)
        );
    }

    #[test]
    fn a_name_has_so_many_components_and_no_more() {
        let of = |count: usize| ["a"].repeat(count).join("/");
        for realm in ["@R", ""] {
            let most = Principal::parse(&(of(64) + realm), Some("R")).unwrap();
            assert_eq!((most.components().len(), most.realm()), (64, &b"R"[..]));
            for count in [65, 66, 60_000] {
                let refused = Principal::parse(&(of(count) + realm), Some("R"));
                assert_eq!(refused, Err(PrincipalError::TooManyComponents), "{count}");
            }
        }
        let empty = Principal::parse_bytes(&b"/".repeat(64), Some(b"R"));
        assert_eq!(empty, Err(PrincipalError::TooManyComponents));
        // What separates no components is not counted.
        let escaped = Principal::parse(&(r"\/".repeat(100) + "@R"), None).unwrap();
        assert_eq!(escaped.components().len(), 1);
        let realm = Principal::parse(&(of(64) + "@" + &of(100)), None).unwrap();
        assert_eq!(realm.components().len(), 64);
    }

    #[test]
    fn a_realm_may_hold_a_slash_and_is_written_escaped() {
        let name = Principal::parse("a@b/c", None).unwrap();
        assert_eq!((name.components().len(), name.realm()), (1, &b"b/c"[..]));
        assert_eq!(name.to_string(), r"a@b\/c");
        assert_eq!(Principal::parse(r"a@b\/c", None), Ok(name));
    }

    #[test]
    fn the_name_type_is_a_hint() {
        let name = Principal::parse("krbtgt/R@R", None).unwrap();
        assert_eq!((name.name_type(), name.is_krbtgt()), (NT_SRV_INST, true));
        assert_eq!(name, Principal::krbtgt("R").with_name_type(NT_UNKNOWN));
        assert!(!Principal::parse("krbtgt@R", None).unwrap().is_krbtgt());
    }

    #[test]
    fn the_salt_is_realm_and_components() {
        assert_eq!(
            Principal::parse("host/a.example@R", None).unwrap().salt(),
            b"Rhosta.example"
        );
    }

    #[test]
    fn an_enterprise_name_is_one_component() {
        let parse = |text: &str| Principal::parse_enterprise(text.as_bytes(), Some(b"R"));
        let of = |name: &str, realm| Principal::user(name, realm).with_name_type(NT_ENTERPRISE);
        for (text, wanted) in [
            ("al/ice", of("al/ice", "R")),
            ("alice@corp.example", of("alice@corp.example", "R")),
            ("alice@corp.example@X", of("alice@corp.example", "X")),
        ] {
            let name = parse(text).unwrap();
            assert_eq!(
                (&name, name.name_type()),
                (&wanted, NT_ENTERPRISE),
                "{text}"
            );
        }
        assert_eq!(parse("a@b@c@d"), Err(PrincipalError::SecondRealm));
        assert_eq!(parse("a\0"), Err(PrincipalError::ZeroByte));
        assert_eq!(
            Principal::parse_enterprise(b"a@b", None),
            Err(PrincipalError::NoRealm)
        );
        let text = of("alice@corp.example", "R").to_bytes();
        assert_eq!(text, b"alice\\@corp.example@R");
    }

    #[test]
    fn a_name_is_shown_on_one_line_that_ends() {
        let name = Principal::user("\r\n\x1b[2J", "R");
        assert_eq!(name.to_string(), r"\x0d\n\x1b[2J@R");
        assert_eq!(name.to_bytes(), b"\r\\n\x1b[2J@R");
        let long = Principal::user([b'x'; 60_000], "R").to_string();
        assert_eq!(long, "x".repeat(256) + "\u{2026}");
    }

    #[test]
    fn bytes_that_are_not_utf8_are_kept() {
        let name = Principal::parse_bytes(b"j\xfcrgen@R", None).unwrap();
        assert_eq!(name.to_bytes(), b"j\xfcrgen@R");
        assert_eq!(name.to_string(), "j\u{fffd}rgen@R");
    }
}
