//! Tables in Markdown, and the document that they are written into.

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::rounds::Compared;

/// One operation, ours beside theirs.
pub(crate) struct Row {
    what: String,
    compared: Compared,
    floor: Option<f64>,
}

impl Row {
    /// `floor` is how many times as fast as theirs ours has to be.
    pub(crate) fn new(what: &str, compared: Compared, floor: Option<f64>) -> Self {
        eprintln!("{what}: {:.2}", compared.ratio);
        Self {
            what: what.to_owned(),
            compared,
            floor,
        }
    }

    fn is_kept(&self) -> bool {
        self.floor.is_none_or(|floor| self.compared.ratio >= floor)
    }
}

/// The operations that are not as fast as they have to be.
pub(crate) fn missed(rows: &[Row]) -> Vec<&str> {
    rows.iter()
        .filter(|row| !row.is_kept())
        .map(|row| row.what.as_str())
        .collect()
}

pub(crate) fn compared(rows: &[Row]) -> String {
    let mut text =
        "| operation | ours | MIT | ours is faster by | floor |\n|---|---|---|---|---|\n"
            .to_owned();
    for row in rows {
        let Row {
            what,
            compared,
            floor,
        } = row;
        let verdict = if row.is_kept() { "kept" } else { "**missed**" };
        let floor = floor.map_or(String::new(), |floor| format!("{floor} ({verdict})"));
        let (ours, theirs) = (time(compared.ours), time(compared.theirs));
        let _ = writeln!(
            text,
            "| {what} | {ours} | {theirs} | {:.2} | {floor} |",
            compared.ratio
        );
    }
    text
}

/// What is ours alone: name and figure.
pub(crate) fn figures(rows: &[(String, String)]) -> String {
    let mut text = "| `baton serve` | |\n|---|---|\n".to_owned();
    for (what, figure) in rows {
        let _ = writeln!(text, "| {what} | {figure} |");
    }
    text
}

fn time(time: Duration) -> String {
    let micros = time.as_secs_f64() * 1e6;
    match micros {
        ..10.0 => format!("{micros:.2} µs"),
        10.0..1000.0 => format!("{micros:.1} µs"),
        _ => format!("{:.2} ms", micros / 1000.0),
    }
}

const BEGIN: &str = "<!-- begin: written by cargo run --release -p bench -- --write -->\n";
const END: &str = "<!-- end -->\n";

/// Replaces what is between the marks.
pub(crate) fn write_into(document: &Path, text: &str) {
    let old = fs::read_to_string(document).expect("docs/performance.md");
    let (before, rest) = old.split_once(BEGIN).expect("the mark that begins");
    let (_, after) = rest.split_once(END).expect("the mark that ends");
    fs::write(document, format!("{before}{BEGIN}\n{text}\n{END}{after}"))
        .expect("docs/performance.md");
}
