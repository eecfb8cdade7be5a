//! Which clients are admitted.

use std::convert::Infallible;
use std::str::FromStr;

/// A principal's name in which `*` stands for any characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pattern(String);

impl FromStr for Pattern {
    type Err = Infallible;
    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.to_owned()))
    }
}

impl Pattern {
    fn admits(&self, name: &str) -> bool {
        let (pattern, name) = (self.0.as_bytes(), name.as_bytes());
        // Where to go on if what follows the last star does not fit: one character later.
        let mut retry = None;
        let (mut at, mut seen) = (0, 0);
        while seen < name.len() {
            match pattern.get(at) {
                Some(b'*') => {
                    retry = Some((at, seen));
                    at += 1;
                }
                Some(byte) if *byte == name[seen] => {
                    at += 1;
                    seen += 1;
                }
                _ => match retry {
                    None => return false,
                    Some((star, from)) => {
                        retry = Some((star, from + 1));
                        at = star + 1;
                        seen = from + 1;
                    }
                },
            }
        }
        pattern[at..].iter().all(|byte| *byte == b'*')
    }
}

/// Who may come in.
#[derive(Clone, Debug, Default)]
pub(crate) struct Authorisation {
    /// If there are any, only clients that one of them admits.
    pub(crate) allow: Vec<Pattern>,
    /// Never a client that one of them admits.
    pub(crate) deny: Vec<Pattern>,
}

impl Authorisation {
    /// Whether the client is admitted.
    pub(crate) fn admits(&self, name: &str) -> bool {
        let any = |patterns: &[Pattern]| patterns.iter().any(|pattern| pattern.admits(name));
        (self.allow.is_empty() || any(&self.allow)) && !any(&self.deny)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_characters() {
        for (pattern, name, admits) in [
            ("alice@A", "alice@A", true),
            ("alice@A", "alice@AB", false),
            ("alice@A", "lice@A", false),
            ("*@A", "alice@A", true),
            ("*@A", "alice@A@A", true),
            ("*@A", "alice@B", false),
            ("host/*@A", "host/x.y@A", true),
            ("host/*@A", "host/@A", true),
            ("host/*@A", "host@A", false),
            ("*a*b*", "xxaxxbxx", true),
            ("*a*b*", "xxbxxaxx", false),
            ("a*a", "a", false),
            ("a*a", "aa", true),
            ("*", "", true),
            ("", "", true),
            ("", "a", false),
            ("**", "any", true),
        ] {
            assert_eq!(
                Pattern(pattern.into()).admits(name),
                admits,
                "{pattern} {name}"
            );
        }
    }

    #[test]
    fn a_long_name_and_many_stars_take_no_time() {
        let pattern = Pattern("*a".repeat(40));
        assert!(!pattern.admits(&"a".repeat(39).repeat(50).replace("aa", "ab").repeat(20)));
    }

    #[test]
    fn denial_wins() {
        let patterns = |texts: &[&str]| texts.iter().map(|t| Pattern((*t).into())).collect();
        let everyone = Authorisation::default();
        assert!(everyone.admits("bob@A"));
        let rules = Authorisation {
            allow: patterns(&["*@A", "eve@B"]),
            deny: patterns(&["mallory@*"]),
        };
        for (name, admits) in [
            ("bob@A", true),
            ("eve@B", true),
            ("bob@B", false),
            ("mallory@A", false),
        ] {
            assert_eq!(rules.admits(name), admits, "{name}");
        }
    }
}
