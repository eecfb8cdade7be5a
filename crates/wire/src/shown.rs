//! Text that somebody else chose, for errors and logs.

use core::fmt::{self, Write};

/// Text of a peer's as it may be shown: what would begin a line, move a cursor or turn the direction of writing stands as
/// an escape (`\x0d`, `\u{202e}`), bytes that are not UTF-8 as replacement characters, and an ellipsis for what is longer than its limit.
#[derive(Clone, Copy)]
pub struct Shown<'a> {
    text: &'a [u8],
    limit: usize,
}

/// So many characters of a peer's text are shown in an error.
pub const LIMIT: usize = 256;

impl<'a> Shown<'a> {
    /// The first [`LIMIT`] characters of `text`.
    pub const fn new(text: &'a [u8]) -> Self {
        Self { text, limit: LIMIT }
    }

    /// All of `text`, for where two texts must not look the same because they are long.
    pub const fn whole(text: &'a [u8]) -> Self {
        let limit = usize::MAX;
        Self { text, limit }
    }
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut left = self.limit;
        for chunk in self.text.utf8_chunks() {
            let broken = (!chunk.invalid().is_empty()).then_some(char::REPLACEMENT_CHARACTER);
            for c in chunk.valid().chars().chain(broken) {
                if left == 0 {
                    return f.write_char('\u{2026}');
                }
                left -= 1;
                show(c, f)?;
            }
        }
        Ok(())
    }
}

fn show(c: char, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match c {
        // Lines and paragraphs, and the marks, embeddings, overrides and isolates of writing from right to left.
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
            write!(f, "{}", c.escape_unicode())
        }
        c if c.is_control() => write!(f, "\\x{:02x}", u32::from(c)),
        c => f.write_char(c),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_a_letter_of_one_line_is_escaped() {
        let shown = |text: &str| Shown::new(text.as_bytes()).to_string();
        assert_eq!(shown("j\u{fc}rgen/x@R\\n"), "j\u{fc}rgen/x@R\\n");
        assert_eq!(shown("\r\n\x1b[2J"), "\\x0d\\x0a\\x1b[2J");
        assert_eq!(shown("\0\t\x7f\u{85}\u{9b}"), "\\x00\\x09\\x7f\\x85\\x9b");
        assert_eq!(shown("\u{2028}\u{202e}x"), "\\u{2028}\\u{202e}x");
        assert_eq!(
            Shown::new(b"a\xff\xfeb\xe2\x82").to_string(),
            "a\u{fffd}\u{fffd}b\u{fffd}"
        );
    }

    #[test]
    fn what_is_long_is_cut() {
        let just = "x".repeat(LIMIT);
        assert_eq!(Shown::new(just.as_bytes()).to_string(), just);
        let longer = "x".repeat(60_000);
        assert_eq!(Shown::new(longer.as_bytes()).to_string(), just + "\u{2026}");
        assert_eq!(Shown::whole(longer.as_bytes()).to_string(), longer);
        let escaped = Shown::new(&[0x1b; 60_000]).to_string();
        assert_eq!(escaped.len(), 4 * LIMIT + 3);
    }
}
