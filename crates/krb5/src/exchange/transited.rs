//! The realms a ticket came through (RFC 4120 §3.3.3.2): the encoding DOMAIN-X500-COMPRESS, and whether each of them may
//! have been on the way.
//!
//! The contents of a ticket's transited field are authentic but chosen by other realms' KDCs: they are read as a
//! stream, one realm at a time, so that a short field cannot grow into a large list.

use wire::shown::Shown;

use crate::formats::settings::Capaths;

/// The type of the encoding that is read here (RFC 4120 §5.3).
pub const DOMAIN_X500_COMPRESS: i32 = 1;

/// The realm of anonymous clients (RFC 8062 §3), which is never a realm on a path.
const ANONYMOUS: &[u8] = b"WELLKNOWN:ANONYMOUS";
/// The longest realm name that is put together out of parts.
const MAX_REALM: usize = 512;

/// Why a transited field is not acceptable. On the wire each of these is KRB_AP_PATH_NOT_ACCEPTED (RFC 4120 §7.5.9).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TransitedError {
    /// The field ends within an escape.
    #[error("the list of transited realms ends in a backslash that escapes nothing")]
    DanglingEscape,
    /// A realm's name grows too long.
    #[error("a transited realm's name is longer than {MAX_REALM} bytes")]
    RealmTooLong,
    /// The realms between two that are not one above the other.
    #[error(
        "the list of transited realms leaves out those between {from} and {to}, of which neither is above the other"
    )]
    NotHierarchical {
        /// The one.
        from: String,
        /// The other.
        to: String,
    },
    /// A realm that has no business between these two.
    #[error(
        "the ticket came through {realm}, which is not on the way from {client} to {server}: if it may be, say so in [capaths]"
    )]
    NotOnPath {
        /// The realm.
        realm: String,
        /// The client's realm.
        client: String,
        /// The server's realm.
        server: String,
    },
}

/// Whether every realm in `transited`, the contents of a field of type [`DOMAIN_X500_COMPRESS`], is on the path from the client's realm to the
/// server's: the one in `capaths`, else the one of the names' hierarchy.
pub fn check(
    client_realm: &[u8],
    server_realm: &[u8],
    transited: &[u8],
    capaths: &Capaths,
) -> Result<(), TransitedError> {
    // Old KDCs count a C string's last zero byte in.
    let transited = transited.strip_suffix(&[0]).unwrap_or(transited);
    if transited.is_empty() || client_realm == ANONYMOUS {
        return Ok(());
    }
    let path = if client_realm == server_realm {
        Vec::new()
    } else {
        capaths.between(client_realm, server_realm)
    };
    // MIT's code lets the client's realm pass too, though RFC 4120 leaves it out of the list.
    let on_path = |realm: &[u8]| {
        (realm == client_realm && client_realm != server_realm) || path.contains(&realm)
    };
    each_realm(client_realm, server_realm, transited, &mut |realm| {
        on_path(realm)
            .then_some(())
            .ok_or_else(|| TransitedError::NotOnPath {
                realm: text(realm),
                client: text(client_realm),
                server: text(server_realm),
            })
    })
}

/// `transited` with `realm` at its end, not compressed: what a KDC writes into the ticket that it makes of another realm's
/// ticket-granting ticket.
pub fn append(transited: &[u8], realm: &[u8]) -> Vec<u8> {
    let mut out = transited.to_vec();
    if !out.is_empty() {
        out.push(b',');
    }
    // An X.500 name would be taken for the end of the one before.
    if realm.first() == Some(&b'/') && !transited.is_empty() {
        out.push(b' ');
    }
    let last = realm.len().saturating_sub(1);
    for (at, &byte) in realm.iter().enumerate() {
        let joins = at == last && byte == b'.';
        if matches!(byte, b',' | b'\\') || at == 0 && byte == b' ' || joins {
            out.push(b'\\');
        }
        out.push(byte);
    }
    out
}

/// Calls `visit` with every realm in `transited`, those that it leaves out between two commas included.
pub fn each_realm(
    client_realm: &[u8],
    server_realm: &[u8],
    transited: &[u8],
    visit: &mut dyn FnMut(&[u8]) -> Result<(), TransitedError>,
) -> Result<(), TransitedError> {
    if transited.is_empty() {
        return Ok(());
    }
    let mut rest = Some(transited);
    let mut previous: Option<Vec<u8>> = None;
    let mut left_out = false;
    while let Some(bytes) = rest {
        let (part, after) = Part::read(bytes)?;
        rest = after;
        if part.name.is_empty() {
            left_out = true;
            continue;
        }
        let realm = part.joined(previous.as_deref().unwrap_or_default())?;
        visit(&realm)?;
        if left_out {
            between(previous.as_deref().unwrap_or(client_realm), &realm, visit)?;
            left_out = false;
        }
        previous = Some(realm);
    }
    if left_out {
        between(
            previous.as_deref().unwrap_or(client_realm),
            server_realm,
            visit,
        )?;
    }
    Ok(())
}

/// What stands between two commas.
struct Part {
    name: Vec<u8>,
    /// Begins with a slash: goes behind the previous realm.
    appended: bool,
    /// Ends with a dot: goes before the previous realm.
    prepended: bool,
}

impl Part {
    /// Reads up to the next comma; what follows it.
    fn read(bytes: &[u8]) -> Result<(Self, Option<&[u8]>), TransitedError> {
        let spaces = bytes.iter().take_while(|byte| **byte == b' ').count();
        let (alone, text) = (spaces > 0, &bytes[spaces..]);
        let mut part = Self {
            name: Vec::new(),
            appended: !alone && text.first() == Some(&b'/'),
            prepended: false,
        };
        let mut rest = text.iter();
        while let Some(&byte) = rest.next() {
            let byte = match byte {
                b',' => return Ok((part, Some(rest.as_slice()))),
                b'\\' => {
                    part.prepended = false;
                    *rest.next().ok_or(TransitedError::DanglingEscape)?
                }
                other => {
                    part.prepended = other == b'.' && !alone;
                    other
                }
            };
            if part.name.len() == MAX_REALM {
                return Err(TransitedError::RealmTooLong);
            }
            part.name.push(byte);
        }
        Ok((part, None))
    }

    fn joined(self, previous: &[u8]) -> Result<Vec<u8>, TransitedError> {
        let realm = if self.appended {
            [previous, &self.name].concat()
        } else if self.prepended {
            [&self.name, previous].concat()
        } else {
            self.name
        };
        if realm.len() > MAX_REALM {
            return Err(TransitedError::RealmTooLong);
        }
        Ok(realm)
    }
}

/// The realms between two of which one is above the other, in a hierarchy of domains or of X.500 names.
fn between(
    one: &[u8],
    other: &[u8],
    visit: &mut dyn FnMut(&[u8]) -> Result<(), TransitedError>,
) -> Result<(), TransitedError> {
    let (upper, lower) = if one.len() <= other.len() {
        (one, other)
    } else {
        (other, one)
    };
    let unrelated = || TransitedError::NotHierarchical {
        from: text(one),
        to: text(other),
    };
    if upper == lower {
        return Ok(());
    }
    if upper.is_empty() {
        return Err(unrelated());
    }
    if upper[0] == b'/' {
        let tail = lower.strip_prefix(upper).ok_or_else(unrelated)?;
        if tail[0] != b'/' {
            return Err(unrelated());
        }
        let slashes = (upper.len() + 1..lower.len()).filter(|&at| lower[at] == b'/');
        slashes.map(|end| &lower[..end]).try_for_each(visit)
    } else {
        let head = lower.strip_suffix(upper).ok_or_else(unrelated)?;
        if lower[0] == b'/' || head.last() != Some(&b'.') {
            return Err(unrelated());
        }
        let dots = (0..head.len() - 1).rev().filter(|&at| lower[at] == b'.');
        dots.map(|dot| &lower[dot + 1..]).try_for_each(visit)
    }
}

fn text(realm: &[u8]) -> String {
    Shown::new(realm).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(
        client: &str,
        server: &str,
        transited: &str,
    ) -> Result<Vec<String>, TransitedError> {
        let mut realms = Vec::new();
        let (client, server, transited) =
            (client.as_bytes(), server.as_bytes(), transited.as_bytes());
        each_realm(client, server, transited, &mut |realm| {
            realms.push(text(realm));
            Ok(())
        })?;
        realms.sort();
        Ok(realms)
    }

    /// RFC 4120 §3.3.3.2 and the cases of MIT's `transit-tests`.
    #[test]
    fn the_encoding_is_read() {
        let cases = [
            (
                "x",
                "x",
                "EDU,MIT.,ATHENA.,WASHINGTON.EDU,CS.",
                "ATHENA.MIT.EDU CS.WASHINGTON.EDU EDU MIT.EDU WASHINGTON.EDU",
            ),
            (
                "x",
                "x",
                "/COM,/HP,/APOLLO, /COM/DEC",
                "/COM /COM/DEC /COM/HP /COM/HP/APOLLO",
            ),
            ("ATHENA.MIT.EDU", "EDU", ",", "MIT.EDU"),
            ("EDU", "ATHENA.MIT.EDU", ",", "MIT.EDU"),
            (
                "ATHENA.MIT.EDU",
                "/COM/HP/APOLLO",
                ",EDU, /COM,",
                "/COM /COM/HP EDU MIT.EDU",
            ),
            (
                "ATHENA.MIT.EDU",
                "CS.CMU.EDU",
                ",EDU,",
                "CMU.EDU EDU MIT.EDU",
            ),
            (
                "XYZZY.ATHENA.MIT.EDU",
                "XYZZY.CS.CMU.EDU",
                ",EDU,",
                "ATHENA.MIT.EDU CMU.EDU CS.CMU.EDU EDU MIT.EDU",
            ),
            (
                "ATHENA.MIT.EDU",
                "HACK.FOOBAR.COM",
                ",EDU,BLORT.COM,COM,",
                "BLORT.COM COM EDU FOOBAR.COM MIT.EDU",
            ),
            ("x", "x", "A.B.C.D,,D", "A.B.C.D B.C.D C.D D"),
            ("x", "x", r"A\,B,C\\D\.,\ E", r" E A,B C\D."),
            ("x", "x", "A,  B.", "A B."),
            ("x", "x", "", ""),
            ("A", "A", ",", ""),
        ];
        for (client, server, transited, realms) in cases {
            let found = expanded(client, server, transited).unwrap().join(" ");
            assert_eq!(found, realms, "{transited}");
        }
    }

    #[test]
    fn what_is_appended_is_read_again() {
        let realms = ["A.B", "EDU", "/COM/DEC", r"X,Y\Z", " SPACE", "DOT.", "/COM"];
        let mut transited = Vec::new();
        for count in 1..=realms.len() {
            transited = append(&transited, realms[count - 1].as_bytes());
            let mut read = Vec::new();
            each_realm(b"x", b"x", &transited, &mut |realm| {
                read.push(text(realm));
                Ok(())
            })
            .unwrap();
            assert_eq!(read, realms[..count], "{}", text(&transited));
        }
    }

    #[test]
    fn what_cannot_be_expanded_is_refused() {
        assert_eq!(
            expanded("x", "x", "A\\"),
            Err(TransitedError::DanglingEscape)
        );
        for (client, server, transited) in [
            ("ATHENA.MIT.EDU", "/COM/HP/APOLLO", ",EDU,/COM,"),
            ("A.COM", "B.COM", ","),
            ("ABC.COM", "BC.COM", ","),
            ("/COM/HPX/A", "/COM/HP", ","),
            ("/COM/A", "COM/A", ","),
            ("x", "x", "A.B,,C.B"),
            ("", "A", ","),
        ] {
            let error = expanded(client, server, transited).unwrap_err();
            assert!(
                matches!(error, TransitedError::NotHierarchical { .. }),
                "{transited}: {error}"
            );
        }
    }

    #[test]
    fn a_short_field_does_not_grow_long() {
        assert_eq!(
            expanded("x", "x", &"A".repeat(513)),
            Err(TransitedError::RealmTooLong)
        );
        let joins = "A".to_owned() + &",B.".repeat(300);
        assert_eq!(
            expanded("x", "x", &joins),
            Err(TransitedError::RealmTooLong)
        );
        let joins = "/A".to_owned() + &",/B".repeat(300);
        assert_eq!(
            expanded("x", "x", &joins),
            Err(TransitedError::RealmTooLong)
        );
        assert_eq!(expanded("x", "x", &",".repeat(100_000)), Ok(Vec::new()));
    }

    fn checked(
        client: &str,
        server: &str,
        transited: &str,
        capaths: &Capaths,
    ) -> Result<(), TransitedError> {
        check(
            client.as_bytes(),
            server.as_bytes(),
            transited.as_bytes(),
            capaths,
        )
    }

    #[test]
    fn realms_on_the_path_pass() {
        let mut capaths = Capaths::default();
        capaths.push("ANL.GOV", "HAL.COM", "K5.MOON");
        capaths.push("ANL.GOV", "HAL.COM", "K5.JUPITER");
        capaths.push("DIRECT", "HAL.COM", ".");
        let refused = |client: &str, server: &str, transited: &str| match checked(
            client, server, transited, &capaths,
        ) {
            Err(TransitedError::NotOnPath { realm, .. }) => realm,
            other => panic!("{transited}: {other:?}"),
        };
        for (client, server, transited) in [
            ("ANL.GOV", "HAL.COM", "K5.MOON"),
            ("ANL.GOV", "HAL.COM", "K5.JUPITER,K5.MOON"),
            ("ANL.GOV", "HAL.COM", "ANL.GOV,K5.MOON"),
            ("ANL.GOV", "HAL.COM", ""),
            ("ANL.GOV", "HAL.COM", "\0"),
            ("ANL.GOV", "HAL.COM", "K5.MOON\0"),
            ("A.EXAMPLE.ORG", "B.EXAMPLE.ORG", "EXAMPLE.ORG"),
            ("A.EXAMPLE.ORG", "B.EXAMPLE.ORG", ",EXAMPLE.ORG,"),
            ("WELLKNOWN:ANONYMOUS", "HAL.COM", "ANYWHERE"),
        ] {
            assert_eq!(
                checked(client, server, transited, &capaths),
                Ok(()),
                "{transited}"
            );
        }
        assert_eq!(refused("ANL.GOV", "HAL.COM", "K5.MOON,EVIL"), "EVIL");
        assert_eq!(refused("DIRECT", "HAL.COM", "K5.MOON"), "K5.MOON");
        // A configured path takes the place of the one by names.
        assert_eq!(refused("ANL.GOV", "HAL.COM", "GOV"), "GOV");
        assert_eq!(
            refused("A.EXAMPLE.ORG", "B.EXAMPLE.ORG", "C.EXAMPLE.ORG"),
            "C.EXAMPLE.ORG"
        );
        // Within one realm nothing is transited.
        assert_eq!(refused("HAL.COM", "HAL.COM", "HAL.COM"), "HAL.COM");
        assert_eq!(refused("HAL.COM", "HAL.COM", "EVIL"), "EVIL");
        // The server's realm is not in its own ticket's list.
        assert_eq!(
            refused("A.EXAMPLE.ORG", "B.EXAMPLE.ORG", "B.EXAMPLE.ORG"),
            "B.EXAMPLE.ORG"
        );
        // Realms left out between two commas are checked like those that are named.
        assert_eq!(refused("A.X.EXAMPLE.ORG", "ORG", "Z.Y.ORG,,ORG"), "Z.Y.ORG");
    }

    #[test]
    fn one_flipped_bit_is_no_realm_on_the_path() {
        let mut capaths = Capaths::default();
        capaths.push("A", "B", "MIDDLE.TEST");
        let good = b"MIDDLE.TEST";
        assert_eq!(check(b"A", b"B", good, &capaths), Ok(()));
        for bit in 0..good.len() * 8 {
            let mut other = *good;
            other[bit / 8] ^= 1 << (bit % 8);
            assert!(check(b"A", b"B", &other, &capaths).is_err(), "bit {bit}");
        }
        for cut in 1..good.len() {
            assert!(
                check(b"A", b"B", &good[..cut], &capaths).is_err(),
                "cut to {cut}"
            );
        }
    }
}
