//! Object identifiers in text: `1.2.840` (RFC 4512 §1.4) and `{ 1 2 840 }` (RFC 2743's notation).

use std::fmt;
use std::str::FromStr;

use super::{Oid, OidError};

/// `1.2.840`; `{:#}` is `{ 1 2 840 }`.
impl fmt::Display for Oid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if f.alternate() {
            f.write_str("{ ")?;
            for arc in self.arcs() {
                write!(f, "{arc} ")?;
            }
            return f.write_str("}");
        }
        for (at, arc) in self.arcs().enumerate() {
            let dot = if at == 0 { "" } else { "." };
            write!(f, "{dot}{arc}")?;
        }
        Ok(())
    }
}

/// Two or more numbers with dots or blanks between them, within braces or without; blanks around all of it are passed over.
impl FromStr for Oid {
    type Err = OidError;

    fn from_str(text: &str) -> Result<Self, OidError> {
        let text = text.trim_ascii();
        let numbers = match text.strip_prefix('{') {
            Some(rest) => rest.strip_suffix('}').ok_or(OidError::Syntax)?,
            None => text,
        };
        let words = numbers.split_ascii_whitespace();
        let mut arcs = words.flat_map(|word| word.split('.')).map(number);
        let mut next = || arcs.next().ok_or(OidError::Syntax)?;
        let (root, second) = (next()?, next()?);
        if root > 2 || (root < 2 && second > 39) {
            return Err(OidError::Root);
        }
        let first = second.checked_add(root * 40).ok_or(OidError::ArcTooLarge)?;
        let mut contents = Vec::with_capacity(Self::MAX_LENGTH);
        put(first, &mut contents)?;
        for arc in arcs {
            put(arc?, &mut contents)?;
        }
        Self::from_bytes(&contents)
    }
}

fn number(word: &str) -> Result<u128, OidError> {
    if word.is_empty() || !word.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(OidError::Syntax);
    }
    word.parse().map_err(|_| OidError::ArcTooLarge)
}

/// Appends an arc, seven bits an octet, all but the last marked (X.690 §8.19.2).
fn put(arc: u128, contents: &mut Vec<u8>) -> Result<(), OidError> {
    let octets = (u128::BITS - arc.leading_zeros()).div_ceil(7).max(1);
    if contents.len() + octets as usize > Oid::MAX_LENGTH {
        return Err(OidError::TooLong);
    }
    for left in (0..octets).rev() {
        let more = if left > 0 { 0x80 } else { 0 };
        contents.push((arc >> (7 * left)) as u8 & 0x7f | more);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_oid_reads_as_its_standard_writes_it() {
        for (oid, text) in [
            (Oid::KRB5, "1.2.840.113554.1.2.2"),
            (Oid::KRB5_MICROSOFT, "1.2.840.48018.1.2.2"),
            (Oid::SPNEGO, "1.3.6.1.5.5.2"),
            (Oid::NT_HOSTBASED_SERVICE, "1.2.840.113554.1.2.1.4"),
            (Oid::NT_HOSTBASED_SERVICE_X, "1.3.6.1.5.6.2"),
            (Oid::NT_USER_NAME, "1.2.840.113554.1.2.1.1"),
            (Oid::NT_MACHINE_UID_NAME, "1.2.840.113554.1.2.1.2"),
            (Oid::NT_STRING_UID_NAME, "1.2.840.113554.1.2.1.3"),
            (Oid::NT_ANONYMOUS, "1.3.6.1.5.6.3"),
            (Oid::NT_KRB5_PRINCIPAL, "1.2.840.113554.1.2.2.1"),
            (Oid::NT_KRB5_ENTERPRISE, "1.2.840.113554.1.2.2.6"),
            (Oid::NT_EXPORT_NAME, "1.3.6.1.5.6.4"),
            (Oid::NT_COMPOSITE_EXPORT, "1.3.6.1.5.6.6"),
        ] {
            assert_eq!(oid.to_string(), text);
            assert_eq!(text.parse(), Ok(oid));
            let braces = format!("{{ {} }}", text.replace('.', " "));
            assert_eq!(format!("{oid:#}"), braces);
            assert_eq!(braces.parse(), Ok(oid));
            assert_eq!(Oid::from_bytes(oid.bytes()), Ok(oid));
        }
    }

    #[test]
    fn any_oid_of_some_length_can_be_held() {
        for text in [
            "0.0",
            "0.39",
            "1.39.0",
            "2.0",
            "2.999.3",
            "2.100000.4294967296.18446744073709551616",
            "2.25.340282366920938463463374607431768211455",
        ] {
            let oid: Oid = text.parse().unwrap();
            assert_eq!(oid.to_string(), text);
            assert_eq!(Oid::from_bytes(oid.bytes()), Ok(oid));
        }
        let text = "1.2".to_owned() + &".1".repeat(62);
        let longest: Oid = text.parse().unwrap();
        assert_eq!(longest.bytes().len(), Oid::MAX_LENGTH);
        assert_eq!(longest.to_string(), text);
        assert_eq!((text + ".1").parse::<Oid>(), Err(OidError::TooLong));
    }

    #[test]
    fn text_that_is_no_oid_says_why() {
        use OidError::{ArcTooLarge, Root, Syntax};
        for (text, error) in [
            ("", Syntax),
            ("1", Syntax),
            ("{", Syntax),
            ("{}", Syntax),
            ("{ 1 2", Syntax),
            ("1 2 }", Syntax),
            ("1..2", Syntax),
            ("1.2.", Syntax),
            (".1.2", Syntax),
            ("1.2.x", Syntax),
            ("1.+2", Syntax),
            ("1.-2", Syntax),
            ("1.2.\u{663}", Syntax),
            ("{ { 1 2 } }", Syntax),
            ("3.1", Root),
            ("0.40", Root),
            ("1.40", Root),
            ("1.2.340282366920938463463374607431768211456", ArcTooLarge),
            ("2.340282366920938463463374607431768211455", ArcTooLarge),
        ] {
            assert_eq!(text.parse::<Oid>(), Err(error), "{text}");
        }
        for text in [
            "1 2 840",
            " {1 2 840 } ",
            "{1.2.840}",
            "1.2 840\n",
            "{\t1  2 840}",
        ] {
            assert_eq!(text.parse::<Oid>(), "1.2.840".parse(), "{text}");
        }
    }

    #[test]
    fn octets_that_are_no_oid_say_why() {
        for (contents, error) in [
            (&[][..], OidError::Empty),
            (&[0x2a; 64], OidError::TooLong),
            (&[0x2a, 0x86], OidError::Cut),
            (&[0x80, 0x01], OidError::Padded),
            (&[0x2a, 0x80, 0x01], OidError::Padded),
            (
                &[
                    0x2a, 0x84, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80,
                    0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00,
                ],
                OidError::ArcTooLarge,
            ),
        ] {
            assert_eq!(Oid::from_bytes(contents), Err(error), "{contents:x?}");
        }
    }

    #[test]
    fn oids_have_the_order_of_their_octets() {
        let mut oids = [
            Oid::SPNEGO,
            Oid::KRB5,
            Oid::NT_KRB5_PRINCIPAL,
            Oid::KRB5_MICROSOFT,
        ];
        oids.sort();
        assert!(oids.is_sorted_by(|one, other| one.bytes() < other.bytes()));
    }
}
