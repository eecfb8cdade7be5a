//! `krb5.conf` as MIT's profile library reads it: a tree of sections, subsections and relations.
//!
//! Pure: a [`Source`] hands over files and directory listings, so an `include` costs no I/O here. What the relations mean
//! is told by [`settings`](super::settings).

mod parse;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

pub use parse::{MAX_FILES, MAX_INCLUDE_DEPTH, MAX_NESTING};

/// Hands over what `include` and `includedir` name.
pub trait Source {
    /// The contents of the file at `path`; `ErrorKind::IsADirectory` if it is one.
    fn file(&self, path: &str) -> Result<Vec<u8>, ErrorKind>;

    /// The names in the directory at `path`, in any order.
    fn directory(&self, path: &str) -> Result<Vec<String>, ErrorKind>;
}

/// Files that name no other file.
impl Source for () {
    fn file(&self, _: &str) -> Result<Vec<u8>, ErrorKind> {
        Err(ErrorKind::NotFound)
    }

    fn directory(&self, _: &str) -> Result<Vec<String>, ErrorKind> {
        Err(ErrorKind::NotFound)
    }
}

/// Where something stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub file: Arc<str>,
    /// The line, from 1; 0 for the file as a whole.
    pub line: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => f.write_str(&self.file),
            line => write!(f, "{}:{line}", self.file),
        }
    }
}

/// Why a configuration could not be read, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {problem}")]
pub struct ConfError {
    /// The file and line.
    pub place: Place,
    /// What is wrong there.
    pub problem: ConfProblem,
}

/// What is wrong in a configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfProblem {
    /// A `[section]` within braces.
    #[error("a section begins within the braces of another: a closing brace is missing")]
    SectionWithinBraces,
    /// A `[` without `]`, or something after it.
    #[error("a section's name must stand alone between square brackets")]
    SectionSyntax,
    /// A line that is neither a section, a relation, a brace nor a comment.
    #[error("this is not of the form `name = value`")]
    RelationSyntax,
    /// `name =` without a value, and no brace on the next line.
    #[error("the relation before has no value, so an opening brace must be here")]
    MissingBrace,
    /// A `}` too many.
    #[error("a closing brace without an opening one")]
    ExtraBrace,
    /// Braces within braces within braces.
    #[error("more than {MAX_NESTING} levels of braces")]
    TooDeep,
    /// A line that is not UTF-8.
    #[error("this line is not UTF-8")]
    NotUtf8,
    /// A file is loaded by code of a plug-in.
    #[error(
        "`module` lines, which load a plug-in to read the configuration, are not supported: put the settings into the file"
    )]
    Module,
    /// An included file could not be read.
    #[error("cannot include {path}: {cause}")]
    Include {
        /// The file or directory.
        path: String,
        /// Why not.
        cause: ErrorKind,
    },
    /// The file itself could not be read.
    #[error("cannot read the configuration: {0}")]
    Unreadable(ErrorKind),
    /// A file includes itself, if only by way of others.
    #[error("including {path} here would go on for ever")]
    IncludeLoop {
        /// The file.
        path: String,
    },
    /// Includes within includes within includes.
    #[error("more than {MAX_INCLUDE_DEPTH} files include each other")]
    IncludesTooDeep,
    /// Too many files in all.
    #[error("more than {MAX_FILES} files are included")]
    TooManyFiles,
    /// A value that should be one of yes and no.
    #[error("{name} is `{value}`, which is neither true nor false")]
    NotABoolean {
        /// The relation.
        name: String,
        /// Its value.
        value: String,
    },
    /// A value that should be a number.
    #[error("{name} is `{value}`, which is not a number that fits")]
    NotANumber {
        /// The relation.
        name: String,
        /// Its value.
        value: String,
    },
    /// A value that should be a span of time.
    #[error("{name} is `{value}`, which is not a time such as 300, 8h, 1d 2h 30m or 10:00:00")]
    NotADuration {
        /// The relation.
        name: String,
        /// Its value.
        value: String,
    },
    /// A list of enctypes that leaves none.
    #[error(
        "{name} is `{value}`, which names no enctype that may be used here (aes128-cts, aes256-cts, aes128-sha2, aes256-sha2, camellia128-cts, camellia256-cts; rc4 and des3 unless allow_rc4 or allow_des3 forbids)"
    )]
    NoEnctype {
        /// The relation.
        name: String,
        /// Its value.
        value: String,
    },
    /// A server that is not `host` or `host:port`.
    #[error("{name} is `{value}`, which is not of the form `host` or `host:port`")]
    NotAServer {
        /// The relation.
        name: String,
        /// Its value.
        value: String,
    },
}

/// A relation: a name and its value.
#[derive(Clone, Debug)]
pub struct Relation {
    /// The name.
    pub name: String,
    /// The value, without quotes.
    pub value: String,
    /// Where it stands.
    pub place: Place,
}

/// A configuration: the trees of one file, or of several that are asked one after the other.
#[derive(Clone, Debug, Default)]
pub struct Profile {
    files: Vec<Section>,
}

#[derive(Clone, Debug, Default)]
struct Section {
    name: String,
    is_final: bool,
    relations: Vec<Relation>,
    /// The relations that take no further value.
    final_relations: BTreeSet<String>,
    sections: Vec<Section>,
    index: BTreeMap<String, usize>,
}

impl Section {
    /// The place of the subsection `name`, made if it is not there.
    fn enter(&mut self, name: &str) -> usize {
        if let Some(&index) = self.index.get(name) {
            return index;
        }
        let index = self.sections.len();
        self.index.insert(name.to_owned(), index);
        self.sections.push(Self {
            name: name.to_owned(),
            ..Self::default()
        });
        index
    }

    fn section(&self, name: &str) -> Option<&Self> {
        self.index.get(name).map(|&index| &self.sections[index])
    }
}

impl Profile {
    /// Reads one file whose contents are at hand; `name` is for error messages.
    pub fn parse(name: &str, contents: &[u8], source: &dyn Source) -> Result<Self, ConfError> {
        let root = parse::parse(name, contents, source)?;
        Ok(Self { files: vec![root] })
    }

    /// Reads the files at `paths`, as a `KRB5_CONFIG` list names them. Those that do not exist or may not be read are left out; it is an
    /// error if that leaves none, unless all of them just do not exist: then the configuration is empty.
    pub fn load<'p>(
        paths: impl IntoIterator<Item = &'p str>,
        source: &dyn Source,
    ) -> Result<Self, ConfError> {
        let mut profile = Self::default();
        let mut forbidden = None;
        for path in paths {
            let root = match source.file(path) {
                Ok(contents) => parse::parse(path, &contents, source),
                Err(ErrorKind::IsADirectory) => parse::parse_directory(path, source),
                Err(ErrorKind::NotFound) => continue,
                Err(cause) => Err(unreadable(path, cause)),
            };
            match root {
                Ok(root) => profile.files.push(root),
                Err(error) if is_forbidden(&error) => forbidden = forbidden.or(Some(error)),
                Err(error) => return Err(error),
            }
        }
        match forbidden {
            Some(error) if profile.files.is_empty() => Err(error),
            _ => Ok(profile),
        }
    }

    /// Every relation at `path`, a section's name, then those of subsections, last the relation's. The files' values come one
    /// after the other, until one was final or stood in something final.
    pub fn relations(&self, path: &[&str]) -> Vec<&Relation> {
        let Some((name, sections)) = path.split_last() else {
            return Vec::new();
        };
        self.in_section(sections, |section, found| {
            let named = section
                .relations
                .iter()
                .filter(|relation| relation.name == *name);
            found.extend(named);
            section.final_relations.contains(*name)
        })
    }

    /// Every relation of the section at `path`, whatever its name.
    pub fn all_relations(&self, path: &[&str]) -> Vec<&Relation> {
        self.in_section(path, |section, found| {
            found.extend(&section.relations);
            false
        })
    }

    /// The names of the subsections of the section at `path`.
    pub fn subsections(&self, path: &[&str]) -> Vec<&str> {
        let mut names = self.in_section(path, |section, found| {
            found.extend(section.sections.iter().map(|section| section.name.as_str()));
            false
        });
        let mut seen = BTreeSet::new();
        names.retain(|name| seen.insert(*name));
        names
    }

    fn in_section<'a, T>(
        &'a self,
        path: &[&str],
        mut collect: impl FnMut(&'a Section, &mut Vec<T>) -> bool,
    ) -> Vec<T> {
        let mut found = Vec::new();
        for root in &self.files {
            let mut section = Some(root);
            let mut last_file = false;
            for name in path {
                section = section.and_then(|section| section.section(name));
                last_file |= section.is_some_and(|section| section.is_final);
            }
            last_file |= section.is_some_and(|section| collect(section, &mut found));
            if last_file {
                break;
            }
        }
        found
    }

    /// The first value at `path`.
    pub fn relation(&self, path: &[&str]) -> Option<&Relation> {
        self.relations(path).first().copied()
    }

    /// The first value at `path`, as text.
    pub fn string(&self, path: &[&str]) -> Option<&str> {
        self.relation(path).map(|relation| relation.value.as_str())
    }

    /// The first value at `path` as one of MIT's words for yes and no.
    pub fn boolean(&self, path: &[&str]) -> Result<Option<bool>, ConfError> {
        self.relation(path).map(Relation::boolean).transpose()
    }

    /// The first value at `path` as a whole number.
    pub fn number(&self, path: &[&str]) -> Result<Option<i32>, ConfError> {
        self.relation(path).map(Relation::number).transpose()
    }

    /// The first value at `path` as a span of time.
    pub fn duration(&self, path: &[&str]) -> Result<Option<Duration>, ConfError> {
        self.relation(path).map(Relation::duration).transpose()
    }
}

impl Relation {
    /// An error about this relation.
    pub fn error(&self, problem: impl FnOnce(String, String) -> ConfProblem) -> ConfError {
        ConfError {
            place: self.place.clone(),
            problem: problem(self.name.clone(), self.value.clone()),
        }
    }

    /// The value as one of MIT's words for yes and no.
    pub fn boolean(&self) -> Result<bool, ConfError> {
        boolean(&self.value)
            .ok_or_else(|| self.error(|name, value| ConfProblem::NotABoolean { name, value }))
    }

    /// The value as a whole number.
    pub fn number(&self) -> Result<i32, ConfError> {
        let digits = self.value.strip_prefix('+').unwrap_or(&self.value);
        digits
            .parse()
            .map_err(|_| self.error(|name, value| ConfProblem::NotANumber { name, value }))
    }

    /// The value as a span of time.
    pub fn duration(&self) -> Result<Duration, ConfError> {
        duration(&self.value)
            .ok_or_else(|| self.error(|name, value| ConfProblem::NotADuration { name, value }))
    }
}

/// MIT's words for yes and no.
pub fn boolean(text: &str) -> Option<bool> {
    let is = |words: [&str; 6]| words.iter().any(|word| word.eq_ignore_ascii_case(text));
    if is(["y", "yes", "true", "t", "1", "on"]) {
        Some(true)
    } else if is(["n", "no", "false", "nil", "0", "off"]) {
        Some(false)
    } else {
        None
    }
}

/// A span of time as MIT's tools read it: `1d2h3m4s` with any of the parts and blanks before each, `1-2:3:4`
/// (days, hours, minutes, seconds), `2:3:4`, `2:3`, or seconds. At most 2^31 - 1 seconds.
pub fn duration(text: &str) -> Option<Duration> {
    let blank = |c: char| matches!(c, ' ' | '\t' | '\n');
    let text = text.trim_matches(blank);
    let seconds = if text.contains(':') {
        clock_notation(text)
    } else {
        unit_notation(text, blank)
    };
    let seconds = i32::try_from(seconds?).ok()?;
    Some(Duration::from_secs(u64::try_from(seconds).ok()?))
}

fn digits(text: &str) -> Option<u64> {
    let all = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    all.then(|| text.parse().ok()).flatten()
}

fn clock_notation(text: &str) -> Option<u64> {
    let (days, clock) = match text.split_once('-') {
        Some((days, clock)) => (digits(days)?, clock),
        None => (0, text),
    };
    let parts = clock.split(':').map(digits).collect::<Option<Vec<_>>>()?;
    let (hours, minutes, seconds) = match parts[..] {
        [hours, minutes, seconds] => (hours, minutes, seconds),
        [hours, minutes] if !text.contains('-') => (hours, minutes, 0),
        _ => return None,
    };
    sum([(days, 86_400), (hours, 3_600), (minutes, 60), (seconds, 1)])
}

fn unit_notation(text: &str, blank: impl Fn(char) -> bool + Copy) -> Option<u64> {
    if let Some(seconds) = digits(text) {
        return Some(seconds);
    }
    let mut rest = text;
    let mut parts = Vec::new();
    for (unit, size) in [('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)] {
        if let Some((count, after)) = rest.split_once(unit) {
            parts.push((digits(count.trim_start_matches(blank))?, size));
            rest = after;
        }
    }
    (rest.is_empty() && !parts.is_empty()).then(|| sum(parts))?
}

fn sum(parts: impl IntoIterator<Item = (u64, u64)>) -> Option<u64> {
    parts.into_iter().try_fold(0_u64, |total, (count, size)| {
        total.checked_add(count.checked_mul(size)?)
    })
}

fn unreadable(path: &str, cause: ErrorKind) -> ConfError {
    ConfError {
        place: Place {
            file: path.into(),
            line: 0,
        },
        problem: ConfProblem::Unreadable(cause),
    }
}

fn is_forbidden(error: &ConfError) -> bool {
    matches!(
        error.problem,
        ConfProblem::Unreadable(ErrorKind::PermissionDenied)
    )
}

#[cfg(test)]
mod tests;
