//! One file, with what it includes, into one tree.

use std::cell::Cell;
use std::io::ErrorKind;
use std::sync::Arc;

use super::{ConfError, ConfProblem, Place, Relation, Section, Source, unreadable};

/// How many levels of braces may be open. MIT sets no limit; a tree of any depth would overflow the stack.
pub const MAX_NESTING: usize = 32;
/// How many files may be including each other at one time.
pub const MAX_INCLUDE_DEPTH: usize = 16;
/// How many files one configuration may be made of.
pub const MAX_FILES: usize = 1000;

/// Parses `contents` and what it includes.
pub(super) fn parse(
    name: &str,
    contents: &[u8],
    source: &dyn Source,
) -> Result<Section, ConfError> {
    let mut root = Section::default();
    let reading = Reading {
        source,
        files: Cell::new(0),
    };
    reading.file(name, contents, &mut root, &[])?;
    Ok(root)
}

/// Parses every file of a directory that `includedir` would take.
pub(super) fn parse_directory(path: &str, source: &dyn Source) -> Result<Section, ConfError> {
    let mut root = Section::default();
    let reading = Reading {
        source,
        files: Cell::new(0),
    };
    let problem = |cause| unreadable(path, cause).problem;
    reading
        .directory(path, problem, &mut root, &[])
        .map_err(|stop| stop.at(path, 0))?;
    Ok(root)
}

/// A problem of the line at hand, or one that has its place already.
enum Stop {
    Here(ConfProblem),
    There(ConfError),
}

impl Stop {
    fn at(self, file: &str, line: usize) -> ConfError {
        match self {
            Self::Here(problem) => ConfError {
                place: Place {
                    file: file.into(),
                    line,
                },
                problem,
            },
            Self::There(error) => error,
        }
    }
}

impl From<ConfProblem> for Stop {
    fn from(problem: ConfProblem) -> Self {
        Self::Here(problem)
    }
}

struct Reading<'a> {
    source: &'a dyn Source,
    files: Cell<usize>,
}

impl Reading<'_> {
    /// Parses one file into the tree. `including` are the files that led here. Each file's syntax is its own: an
    /// included one neither continues nor ends a section of the one that includes it.
    fn file(
        &self,
        name: &str,
        contents: &[u8],
        root: &mut Section,
        including: &[&str],
    ) -> Result<(), ConfError> {
        let chain: Vec<&str> = including.iter().copied().chain([name]).collect();
        let mut parser = Parser::new(name);
        // The last newline ends a line; it does not begin an empty one.
        let contents = contents.strip_suffix(b"\n").unwrap_or(contents);
        for (index, line) in contents.split(|byte| *byte == b'\n').enumerate() {
            parser.line = index + 1;
            self.line(&mut parser, line, root, &chain)
                .map_err(|stop| stop.at(name, index + 1))?;
        }
        Ok(())
    }

    fn line(
        &self,
        parser: &mut Parser,
        line: &[u8],
        root: &mut Section,
        chain: &[&str],
    ) -> Result<(), Stop> {
        let Ok(line) = str::from_utf8(line) else {
            let text = line.trim_ascii_start();
            let comment = text.starts_with(b"#") || text.starts_with(b";");
            return if comment {
                Ok(())
            } else {
                Err(ConfProblem::NotUtf8.into())
            };
        };
        if let Some(path) = directive(line, "include") {
            return self.include(path, root, chain);
        }
        if let Some(path) = directive(line, "includedir") {
            let problem = |cause| ConfProblem::Include {
                path: path.to_owned(),
                cause,
            };
            return self.directory(path, problem, root, chain);
        }
        Ok(parser.line(line, root)?)
    }

    fn include(&self, path: &str, root: &mut Section, chain: &[&str]) -> Result<(), Stop> {
        if chain.contains(&path) {
            let path = path.to_owned();
            return Err(ConfProblem::IncludeLoop { path }.into());
        }
        if chain.len() > MAX_INCLUDE_DEPTH {
            return Err(ConfProblem::IncludesTooDeep.into());
        }
        self.files.set(self.files.get() + 1);
        if self.files.get() > MAX_FILES {
            return Err(ConfProblem::TooManyFiles.into());
        }
        let contents = self
            .source
            .file(path)
            .map_err(|cause| ConfProblem::Include {
                path: path.to_owned(),
                cause,
            })?;
        self.file(path, &contents, root, chain).map_err(Stop::There)
    }

    fn directory(
        &self,
        path: &str,
        problem: impl FnOnce(ErrorKind) -> ConfProblem,
        root: &mut Section,
        chain: &[&str],
    ) -> Result<(), Stop> {
        let mut names = self.source.directory(path).map_err(problem)?;
        names.retain(|name| is_included_name(name));
        names.sort();
        for name in names {
            self.include(&format!("{path}/{name}"), root, chain)?;
        }
        Ok(())
    }
}

/// What follows `word` and a blank at the very beginning of `line`.
fn directive<'l>(line: &'l str, word: &str) -> Option<&'l str> {
    let rest = line.strip_prefix(word)?;
    let path = rest.trim_start_matches(is_blank);
    (path.len() < rest.len()).then(|| path.trim_end_matches(['\r', '\n']))
}

/// Blanks of the C locale.
fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\x0b' | '\x0c' | '\r')
}

/// The names `includedir` takes: ending in `.conf`, or of letters, digits, dashes and underscores alone; never dotfiles.
fn is_included_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    !name.is_empty()
        && !name.starts_with('.')
        && (name.ends_with(".conf") || name.bytes().all(plain))
}

enum Expect {
    /// Everything before the first section is comment.
    FirstSection,
    Line,
    Brace,
}

struct Parser {
    file: Arc<str>,
    line: usize,
    expect: Expect,
    /// The way from the root to the section at hand.
    path: Vec<usize>,
    /// How many sections and braces are open, those that are discarded too.
    level: usize,
    /// The level from which on everything is discarded, because its section was final before; 0 for none.
    discard: usize,
}

impl Parser {
    fn new(file: &str) -> Self {
        Self {
            file: file.into(),
            line: 0,
            expect: Expect::FirstSection,
            path: Vec::new(),
            level: 0,
            discard: 0,
        }
    }

    fn line(&mut self, line: &str, root: &mut Section) -> Result<(), ConfProblem> {
        match self.expect {
            Expect::FirstSection if directive(line, "module").is_some() => {
                return Err(ConfProblem::Module);
            }
            Expect::FirstSection if !line.starts_with('[') => return Ok(()),
            Expect::FirstSection => self.expect = Expect::Line,
            Expect::Line => {}
            Expect::Brace if line.trim_start_matches(is_blank).starts_with('{') => {
                self.expect = Expect::Line;
                return Ok(());
            }
            Expect::Brace => return Err(ConfProblem::MissingBrace),
        }
        let text = line.trim_start_matches(is_blank).trim_end_matches('\r');
        match text.bytes().next() {
            None | Some(b'#' | b';') => Ok(()),
            Some(b'[') => self.section(&text[1..], root),
            Some(b'}') => self.closing_brace(&text[1..], root),
            Some(_) => self.relation(text, root),
        }
    }

    fn current<'r>(&self, root: &'r mut Section) -> &'r mut Section {
        self.path
            .iter()
            .fold(root, |section, &index| &mut section.sections[index])
    }

    fn section(&mut self, text: &str, root: &mut Section) -> Result<(), ConfProblem> {
        if self.level > 1 {
            return Err(ConfProblem::SectionWithinBraces);
        }
        let (name, rest) = text.split_once(']').ok_or(ConfProblem::SectionSyntax)?;
        let (is_final, rest) = starred(rest);
        if !rest.trim_start_matches(is_blank).is_empty() {
            return Err(ConfProblem::SectionSyntax);
        }
        let index = root.enter(name);
        let section = &mut root.sections[index];
        self.discard = usize::from(section.is_final);
        section.is_final |= is_final;
        self.path = vec![index];
        self.level = 1;
        Ok(())
    }

    fn closing_brace(&mut self, rest: &str, root: &mut Section) -> Result<(), ConfProblem> {
        if self.level < 2 {
            return Err(ConfProblem::ExtraBrace);
        }
        if starred(rest).0 && self.discard == 0 {
            self.current(root).is_final = true;
        }
        self.level -= 1;
        if self.level < self.discard {
            self.discard = 0;
        }
        // A subsection that was discarded was never entered.
        if self.discard == 0 {
            self.path.pop();
        }
        Ok(())
    }

    fn relation(&mut self, text: &str, root: &mut Section) -> Result<(), ConfProblem> {
        let (tag, value) = text.split_once('=').ok_or(ConfProblem::RelationSyntax)?;
        let tag = tag.trim_end_matches(is_blank);
        if tag.is_empty() || tag.contains(is_blank) {
            return Err(ConfProblem::RelationSyntax);
        }
        let (name, is_final) = match tag.split_once('*') {
            Some((name, _)) => (name, true),
            None => (tag, false),
        };
        let value = value.trim_matches(is_blank);
        match value {
            "" => {
                self.expect = Expect::Brace;
                self.subsection(name, is_final, root)
            }
            "{" => self.subsection(name, is_final, root),
            _ => {
                self.value(name, is_final, value, root);
                Ok(())
            }
        }
    }

    fn subsection(
        &mut self,
        name: &str,
        is_final: bool,
        root: &mut Section,
    ) -> Result<(), ConfProblem> {
        if self.level > MAX_NESTING {
            return Err(ConfProblem::TooDeep);
        }
        self.level += 1;
        if self.discard != 0 {
            return Ok(());
        }
        let parent = self.current(root);
        let index = parent.enter(name);
        let section = &mut parent.sections[index];
        if section.is_final {
            self.discard = self.level;
        }
        section.is_final |= is_final;
        self.path.push(index);
        Ok(())
    }

    fn value(&mut self, name: &str, is_final: bool, value: &str, root: &mut Section) {
        let place = Place {
            file: self.file.clone(),
            line: self.line,
        };
        let section = self.current(root);
        if self.discard != 0 || section.final_relations.contains(name) {
            return;
        }
        let value = match value.strip_prefix('"') {
            Some(quoted) => unquoted(quoted),
            None => value.to_owned(),
        };
        if is_final {
            section.final_relations.insert(name.to_owned());
        }
        section.relations.push(Relation {
            name: name.to_owned(),
            value,
            place,
        });
    }
}

fn starred(text: &str) -> (bool, &str) {
    match text.strip_prefix('*') {
        Some(rest) => (true, rest),
        None => (false, text),
    }
}

/// The text up to the closing quote, or to the end if there is none; what follows is ignored.
fn unquoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => break,
            '\\' => match chars.next() {
                Some('n') => out.push('\n'),
                Some('t') => out.push('\t'),
                Some('b') => out.push('\x08'),
                Some(other) => out.push(other),
                None => out.push('\\'),
            },
            other => out.push(other),
        }
    }
    out
}
