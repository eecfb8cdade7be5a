//! The patterns of the shell, fnmatch(3) without flags: in time that does not explode.

/// Whether all of `text` fits `pattern`: `*` is any bytes, `?` one, `[a-z]` and `[!a-z]` one of a set, `\` takes the next
/// byte as it is. A `[` that nothing closes stands for itself. Character classes (`[:alpha:]`) are not known.
pub(super) fn fits(pattern: &[u8], text: &[u8]) -> bool {
    let (mut at, mut rest) = (0, 0);
    // Where the last `*` was, and how far its bytes reach: no earlier one has to be tried again.
    let mut star: Option<(usize, usize)> = None;
    loop {
        if pattern.get(at) == Some(&b'*') {
            star = Some((at + 1, rest));
            at += 1;
            continue;
        }
        let step = match text.get(rest) {
            Some(byte) => one(&pattern[at..], *byte),
            None if at == pattern.len() => return true,
            None => return false,
        };
        if let Some(length) = step {
            at += length;
            rest += 1;
        } else if let Some((after, reached)) = star {
            star = Some((after, reached + 1));
            (at, rest) = (after, reached + 1);
        } else {
            return false;
        }
    }
}

/// How much of `pattern` stands for `byte`, if it does.
fn one(pattern: &[u8], byte: u8) -> Option<usize> {
    match pattern {
        [b'?', ..] => Some(1),
        [b'\\', escaped, ..] => (*escaped == byte).then_some(2),
        [b'[', set @ ..] => match in_set(set, byte) {
            Some((fits, length)) => fits.then_some(length + 1),
            None => (byte == b'[').then_some(1),
        },
        [literal, ..] => (*literal == byte).then_some(1),
        [] => None,
    }
}

/// Whether `byte` is in the set that `set` begins with, and how long that is with its `]`.
fn in_set(set: &[u8], byte: u8) -> Option<(bool, usize)> {
    let negated = matches!(set.first(), Some(b'!' | b'^'));
    let start = usize::from(negated);
    let mut at = start;
    let mut found = false;
    loop {
        match *set.get(at..)? {
            // The first one stands for itself.
            [b']', ..] if at > start => return Some((found != negated, at + 1)),
            [low, b'-', high, ..] if high != b']' => {
                found |= (low..=high).contains(&byte);
                at += 3;
            }
            [literal, ..] => {
                found |= literal == byte;
                at += 1;
            }
            [] => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_those_of_the_shell() {
        for (pattern, text, wanted) in [
            ("", "", true),
            ("", "a", false),
            ("a", "", false),
            ("a", "a", true),
            ("a", "ab", false),
            ("*", "", true),
            ("*", "anything", true),
            ("a*c", "abbbc", true),
            ("a*c", "abbb", false),
            ("*.example.com", "www.example.com", true),
            ("*.example.com", ".example.com", true),
            ("*.example.com", "example.com", false),
            ("*a*b*", "xxaxxbxx", true),
            ("*a*b", "xxbxxa", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("[abc]x", "bx", true),
            ("[a-c]x", "dx", false),
            ("[!a-c]x", "dx", true),
            ("[^a-c]x", "ax", false),
            ("[]]", "]", true),
            ("[a-]", "-", true),
            ("[a", "[a", true),
            ("[a", "a", false),
            ("\\*", "*", true),
            ("\\*", "a", false),
            ("*[0-9]", "host12", true),
            ("a\\", "a\\", true),
        ] {
            assert_eq!(
                fits(pattern.as_bytes(), text.as_bytes()),
                wanted,
                "{pattern} {text}"
            );
        }
    }

    /// With one star after another each would begin again for each of the others.
    #[test]
    fn many_stars_take_no_more_time() {
        let pattern = "*a".repeat(2000);
        assert!(!fits(pattern.as_bytes(), "a".repeat(1999).as_bytes()));
        assert!(fits(pattern.as_bytes(), "a".repeat(2000).as_bytes()));
        assert!(!fits(
            format!("{pattern}b").as_bytes(),
            "a".repeat(2000).as_bytes()
        ));
    }
}
