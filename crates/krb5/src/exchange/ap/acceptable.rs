//! For which services an acceptor takes requests.

use core::fmt;

use wire::shown::Shown;

use crate::principal::Principal;

/// The services whose keys an acceptor may use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Acceptable {
    /// Any whose key is there.
    #[default]
    Any,
    /// Just this principal. The ticket may be under another of its names, if it has the same key.
    Principal(Principal),
    /// A service (RFC 2743 §4.1), of whatever realm.
    Service {
        /// Its name, the first component.
        service: Box<[u8]>,
        /// Its host, the second component; without one, any host.
        host: Option<Box<[u8]>>,
    },
}

impl Acceptable {
    /// Whether keys of `principal` may be used.
    pub fn includes(&self, principal: &Principal) -> bool {
        match self {
            Self::Any => true,
            Self::Principal(one) => one == principal,
            Self::Service { service, host } => match principal.components() {
                [first, second] => first == service && host.as_ref().is_none_or(|h| h == second),
                _ => false,
            },
        }
    }
}

/// For people: `HTTP/web@R`, `HTTP/web` in whatever realm, `HTTP/*`.
impl fmt::Display for Acceptable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("any service"),
            Self::Principal(principal) => write!(f, "{principal}"),
            Self::Service { service, host } => {
                let host = host.as_deref().unwrap_or(b"*");
                write!(f, "{}/{}", Shown::new(service), Shown::new(host))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_includes_its_own() {
        let service = |host: Option<&str>| Acceptable::Service {
            service: b"HTTP".as_slice().into(),
            host: host.map(|host| host.as_bytes().into()),
        };
        let principal = |text| Principal::parse(text, None).unwrap();
        let one = Acceptable::Principal(principal("HTTP/a@R"));
        for (name, any, exact, on_a, anywhere) in [
            ("HTTP/a@R", true, true, true, true),
            ("HTTP/a@S", true, false, true, true),
            ("HTTP/b@R", true, false, false, true),
            ("host/a@R", true, false, false, false),
            ("HTTP@R", true, false, false, false),
            ("HTTP/a/b@R", true, false, false, false),
        ] {
            let name = principal(name);
            assert_eq!(Acceptable::Any.includes(&name), any, "{name}");
            assert_eq!(one.includes(&name), exact, "{name}");
            assert_eq!(service(Some("a")).includes(&name), on_a, "{name}");
            assert_eq!(service(None).includes(&name), anywhere, "{name}");
        }
        assert_eq!(service(None).to_string(), "HTTP/*");
        assert_eq!(service(Some("a")).to_string(), "HTTP/a");
    }
}
