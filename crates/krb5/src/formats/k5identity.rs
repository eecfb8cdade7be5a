//! `.k5identity`: as whom a user initiates toward which service.
//!
//! MIT's format, k5identity(5): a line is a principal and any number of `field=pattern`, all of which have to fit the service
//! that is asked for. The first line that fits decides. `#` begins a line that is a comment. Fields are `realm`, `service` and
//! `host`; patterns are those of the shell, `*`, `?` and `[a-z]`. A line with another field, or with a word that is no field, fits nothing.

mod pattern;

use self::pattern::fits;
use crate::principal::{NT_SRV_HST, Principal};

/// The lines of a `.k5identity`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identities {
    rules: Vec<Rule>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Rule {
    client: Box<[u8]>,
    constraints: Vec<Constraint>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Constraint {
    Realm(Box<[u8]>),
    Service(Box<[u8]>),
    Host(Box<[u8]>),
    /// A field that is not known may be one that matters.
    Unknown,
}

impl Identities {
    /// Reads a whole file. There are no errors in it: a line that means nothing fits nothing.
    pub fn parse(bytes: &[u8]) -> Self {
        let lines = bytes.split(|byte| *byte == b'\n');
        Self {
            rules: lines.filter_map(Rule::parse).collect(),
        }
    }

    /// Whom to be toward `server`: the principal of the first line that fits. A principal without a realm is one of
    /// `default_realm`; a line whose principal is none is passed over.
    pub fn choose(&self, server: &Principal, default_realm: Option<&str>) -> Option<Principal> {
        let default = default_realm.map(str::as_bytes);
        let fitting = self.rules.iter().filter(|rule| rule.is_for(server));
        let mut clients = fitting.map(|rule| Principal::parse_bytes(&rule.client, default));
        clients.find_map(Result::ok)
    }
}

impl Rule {
    fn parse(line: &[u8]) -> Option<Self> {
        let blank = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r');
        let mut words = line.split(blank).filter(|word| !word.is_empty());
        let client = words.next().filter(|word| word[0] != b'#')?;
        Some(Self {
            client: client.into(),
            constraints: words.map(Constraint::parse).collect(),
        })
    }

    fn is_for(&self, server: &Principal) -> bool {
        self.constraints.iter().all(|one| one.is_met_by(server))
    }
}

impl Constraint {
    fn parse(word: &[u8]) -> Self {
        let Some(at) = word.iter().position(|byte| *byte == b'=') else {
            return Self::Unknown;
        };
        let (field, pattern) = (&word[..at], word[at + 1..].into());
        match field {
            b"realm" => Self::Realm(pattern),
            b"service" => Self::Service(pattern),
            b"host" => Self::Host(pattern),
            _ => Self::Unknown,
        }
    }

    fn is_met_by(&self, server: &Principal) -> bool {
        match self {
            Self::Realm(pattern) => fits(pattern, server.realm()),
            Self::Service(pattern) => {
                on_a_host(server).is_some_and(|(service, _)| fits(pattern, service))
            }
            Self::Host(pattern) => {
                on_a_host(server).is_some_and(|(_, host)| fits(pattern, &host.to_ascii_lowercase()))
            }
            Self::Unknown => false,
        }
    }
}

/// Service and host of a name of that type; names of other types only look like it.
fn on_a_host(server: &Principal) -> Option<(&[u8], &[u8])> {
    match server.components() {
        [service, host, ..] if server.name_type() == NT_SRV_HST => Some((service, host)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "# who I am\n\
        alice@KRBTEST.COM       realm=KRBTEST.COM\n\
        \n\
        \talice/root@EXAMPLE.COM  host=*.servers.example.com\r\n\
        alice/mail@EXAMPLE.COM  host=mail.example.com service=imap\n\
        broken@@X\n\
        future@EXAMPLE.COM planet=mars\n\
        typo@EXAMPLE.COM host mail\n\
        alice host=local?ost\n\
        last@EXAMPLE.COM realm=EXAMPLE.COM";

    fn chosen(server: &Principal) -> Option<String> {
        let identities = Identities::parse(FILE.as_bytes());
        let client = identities.choose(server, Some("DEFAULT.TEST"));
        client.map(|client| client.to_string())
    }

    #[test]
    fn the_first_line_that_fits_decides() {
        let on = |service: &str, host: &str, realm: &str| Principal::service(service, host, realm);
        for (server, client) in [
            (on("x", "y", "KRBTEST.COM"), Some("alice@KRBTEST.COM")),
            (
                on("ssh", "A.Servers.example.com", "R"),
                Some("alice/root@EXAMPLE.COM"),
            ),
            (
                on("imap", "mail.example.com", "R"),
                Some("alice/mail@EXAMPLE.COM"),
            ),
            (on("smtp", "mail.example.com", "R"), None),
            (on("smtp", "localhost", "R"), Some("alice@DEFAULT.TEST")),
            (on("smtp", "other", "EXAMPLE.COM"), Some("last@EXAMPLE.COM")),
            (
                Principal::user("x", "KRBTEST.COM"),
                Some("alice@KRBTEST.COM"),
            ),
            // A name of another type has no host.
            (on("imap", "mail.example.com", "R").with_name_type(1), None),
        ] {
            assert_eq!(chosen(&server).as_deref(), client, "{server:?}");
        }
    }

    #[test]
    fn without_a_default_realm_a_bare_name_is_passed_over() {
        let identities = Identities::parse(b"alice\nbob@R\n");
        let server = Principal::service("x", "y", "R");
        let client = identities.choose(&server, None).unwrap();
        assert_eq!(client.to_string(), "bob@R");
        assert_eq!(Identities::default().choose(&server, None), None);
    }

    #[test]
    fn damage_is_another_choice_or_none() {
        let server = Principal::service("imap", "mail.example.com", "R");
        for bytes in super::super::vectors::damaged(FILE.as_bytes()) {
            _ = Identities::parse(&bytes).choose(&server, Some("R"));
        }
    }
}
