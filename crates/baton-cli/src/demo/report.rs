//! What the demonstration says, and whether all was as it must be.

use std::io::{self, Write};

use baton::{Error, Major};

/// Counts claims and those that did not hold.
#[derive(Default)]
pub(crate) struct Report {
    claims: usize,
    broken: usize,
}

impl Report {
    /// Begins a part.
    pub(crate) fn title(&self, text: &str) {
        print(&format!("\n{text}\n{}", "-".repeat(text.chars().count())));
    }

    /// Says something.
    pub(crate) fn say(&self, text: impl AsRef<str>) {
        print(&format!("  {}", text.as_ref()));
    }

    /// Notes a claim, and what showed that it holds, or that it does not.
    pub(crate) fn claim(&mut self, claim: &str, shown: Result<String, String>) {
        self.note("ok     ", claim, shown);
    }

    /// Notes that `what` was refused with one of `expected`, or that it was not.
    pub(crate) fn refused<T>(&mut self, what: &str, outcome: Result<T, Refusal>, expected: Major) {
        let shown = match outcome {
            Err(refusal) if refusal.status == status(expected) => Ok(refusal.to_string()),
            Err(refusal) => Err(format!("{} was expected, not {refusal}", status(expected))),
            Ok(_) => Err("it was not refused".to_owned()),
        };
        self.note("refused", what, shown);
    }

    /// The same for what is refused before GSS-API has a status for it.
    pub(crate) fn refused_somehow(&mut self, what: &str, outcome: Result<String, String>) {
        self.note("refused", what, outcome);
    }

    fn note(&mut self, holds: &str, what: &str, shown: Result<String, String>) {
        self.claims += 1;
        match shown {
            Ok(text) => print(&format!("  {holds}  {what}\n             {text}")),
            Err(text) => {
                self.broken += 1;
                print(&format!("  WRONG    {what}\n             {text}"));
            }
        }
    }

    /// How many claims there were, and how many did not hold.
    pub(crate) const fn verdict(&self) -> (usize, usize) {
        (self.claims, self.broken)
    }
}

/// Whether anybody reads on does not matter: what is shown is done all the same, and the exit status tells how it went.
pub(crate) fn print(text: &str) {
    let _ = writeln!(io::stdout(), "{text}");
}

/// A status and the reason, also of another process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: String,
    pub(crate) reason: String,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.status, self.reason)
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        let text = error.to_string();
        let general = format!("{}: ", error.major().text());
        Self {
            status: status(error.major()),
            reason: text.strip_prefix(&general).unwrap_or(&text).to_owned(),
        }
    }
}

/// The name that RFC 2744 §3.9.1 gives a status.
pub(crate) fn status(major: Major) -> String {
    let mut out = "GSS_S".to_owned();
    for letter in format!("{major:?}").chars() {
        if letter.is_ascii_uppercase() {
            out.push('_');
        }
        out.push(letter.to_ascii_uppercase());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_has_its_name_in_c() {
        assert_eq!(status(Major::NoContext), "GSS_S_NO_CONTEXT");
        assert_eq!(status(Major::Unauthorized), "GSS_S_UNAUTHORIZED");
    }

    #[test]
    fn what_does_not_hold_is_counted() {
        let mut report = Report::default();
        let refusal = Refusal {
            status: "GSS_S_NO_CONTEXT".to_owned(),
            reason: String::new(),
        };
        report.refused::<()>("a", Err(refusal.clone()), Major::NoContext);
        report.claim("b", Ok(String::new()));
        assert_eq!(report.verdict(), (2, 0));
        report.refused::<()>("c", Err(refusal), Major::Unauthorized);
        report.refused("d", Ok(()), Major::NoContext);
        report.claim("e", Err(String::new()));
        report.refused_somehow("f", Err(String::new()));
        assert_eq!(report.verdict(), (6, 4));
    }
}
