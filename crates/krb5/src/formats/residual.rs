//! The names of keytabs, credential caches and replay caches (`FILE:/etc/krb5.keytab`, `MEMORY:mine`, `dfl:`), and the `%{tokens}` in them.

use std::fmt;

/// What a token stands for in this process.
#[derive(Clone, Debug)]
pub struct Tokens<'a> {
    /// The real user's number.
    pub uid: u32,
    /// The effective user's number.
    pub euid: u32,
    /// The effective user's name, if it is known.
    pub username: Option<&'a str>,
    /// The directory for temporary files: `TMPDIR` outside of set-uid programs, else `/tmp`.
    pub temp: &'a str,
}

/// Why a name could not be expanded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ExpandError {
    /// `%{` without its `}`.
    #[error("in `{0}` a `%{{` has no `}}`")]
    Unclosed(String),
    /// A token that means nothing here.
    #[error(
        "`%{{{0}}}` means nothing here: known are uid, USERID, euid, username, TEMP, null, LIBDIR, BINDIR, SBINDIR"
    )]
    Unknown(String),
    /// The user has no name.
    #[error("`%{{username}}` cannot be replaced: user {0} has no name on this host")]
    NoUsername(u32),
}

/// Replaces the tokens in `text`.
pub fn expand(text: &str, tokens: &Tokens<'_>) -> Result<String, ExpandError> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("%{") {
        let (token, after) = after
            .split_once('}')
            .ok_or_else(|| ExpandError::Unclosed(text.to_owned()))?;
        out.push_str(before);
        out.push_str(&value(token, tokens)?);
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

fn value(token: &str, tokens: &Tokens<'_>) -> Result<String, ExpandError> {
    Ok(match token {
        "uid" | "USERID" => tokens.uid.to_string(),
        "euid" => tokens.euid.to_string(),
        "username" => {
            let name = tokens
                .username
                .ok_or(ExpandError::NoUsername(tokens.euid))?;
            name.to_owned()
        }
        "TEMP" => tokens.temp.to_owned(),
        "null" => String::new(),
        // Where MIT's own package is installed, which configurations that were written for it mean.
        "LIBDIR" => "/usr/lib".to_owned(),
        "BINDIR" => "/usr/bin".to_owned(),
        "SBINDIR" => "/usr/sbin".to_owned(),
        other => return Err(ExpandError::Unknown(other.to_owned())),
    })
}

/// Where a keytab is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum KeytabName {
    /// In the file at this path. `WRFILE:`, MIT's old name for the same, is read too.
    File(String),
    /// In this process, under this name.
    Memory(String),
}

/// Where a credential cache is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum CcacheName {
    /// In the file at this path.
    File(String),
    /// In this directory of caches, the one that is its primary.
    Dir(String),
    /// In a directory of caches, the file at this path: its name begins with `tkt`.
    DirFile(String),
    /// In this process, under this name.
    Memory(String),
}

/// Which of MIT's replay caches is meant.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum RcacheName {
    /// None: replays are not noticed.
    None,
    /// The user's own.
    Users,
    /// The file at this path.
    File(String),
}

/// Why a name means no place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// A keytab of a type that is not supported.
    #[error(
        "keytabs of type {kind} are not supported (`{name}`): name a file, FILE:/etc/krb5.keytab, in KRB5_KTNAME or default_keytab_name"
    )]
    Keytab {
        /// The type.
        kind: String,
        /// The whole name.
        name: String,
    },
    /// A credential cache of a type that is not supported.
    #[error(
        "credential caches of type {kind} are not supported (`{name}`): name a file, FILE:/tmp/krb5cc_1000, or a directory, DIR:/run/user/1000/krb5cc, in KRB5CCNAME or default_ccache_name, and get a ticket into it"
    )]
    Ccache {
        /// The type.
        kind: String,
        /// The whole name.
        name: String,
    },
    /// No replay cache, or of a type that is not supported.
    #[error(
        "`{0}` names no replay cache: use dfl:, none: or file2:PATH in KRB5RCACHENAME or default_rcache_name"
    )]
    Rcache(String),
    /// A file that is none of a directory of caches.
    #[error(
        "`{0}` names no cache in a directory of caches: the file's name begins with tkt, as in DIR::/run/user/1000/krb5cc/tkt"
    )]
    Subsidiary(String),
    /// A type, and nothing after it.
    #[error("`{0}` names no file")]
    Nothing(String),
}

impl KeytabName {
    /// Parses an expanded name; without a type it is a file's path.
    pub fn parse(name: &str) -> Result<Self, NameError> {
        match split(name)? {
            ("FILE" | "WRFILE", path) => Ok(Self::File(path.to_owned())),
            ("MEMORY", name) => Ok(Self::Memory(name.to_owned())),
            (kind, _) => Err(NameError::Keytab {
                kind: kind.to_owned(),
                name: name.to_owned(),
            }),
        }
    }
}

impl CcacheName {
    /// Parses an expanded name; without a type it is a file's path.
    pub fn parse(name: &str) -> Result<Self, NameError> {
        match split(name)? {
            ("FILE", path) => Ok(Self::File(path.to_owned())),
            ("MEMORY", name) => Ok(Self::Memory(name.to_owned())),
            ("DIR", path) => match path.strip_prefix(':') {
                None => Ok(Self::Dir(path.to_owned())),
                Some(path) if is_subsidiary(path) => Ok(Self::DirFile(path.to_owned())),
                Some(_) => Err(NameError::Subsidiary(name.to_owned())),
            },
            (kind, _) => Err(NameError::Ccache {
                kind: kind.to_owned(),
                name: name.to_owned(),
            }),
        }
    }
}

impl RcacheName {
    /// Parses an expanded name, which always has a type.
    pub fn parse(name: &str) -> Result<Self, NameError> {
        match name.split_once(':') {
            Some(("none", _)) => Ok(Self::None),
            Some(("dfl", _)) => Ok(Self::Users),
            Some(("file2", "")) => Err(NameError::Nothing(name.to_owned())),
            Some(("file2", path)) => Ok(Self::File(path.to_owned())),
            _ => Err(NameError::Rcache(name.to_owned())),
        }
    }
}

/// How the names of caches in a directory begin.
pub const SUBSIDIARY: &str = "tkt";

fn is_subsidiary(path: &str) -> bool {
    let name = path
        .rsplit_once('/')
        .filter(|(directory, _)| !directory.is_empty());
    name.is_some_and(|(_, file)| file.starts_with(SUBSIDIARY))
}

fn split(name: &str) -> Result<(&str, &str), NameError> {
    let (kind, rest) = match name.split_once(':') {
        Some((kind, rest)) if !name.starts_with('/') => (kind, rest),
        _ => ("FILE", name),
    };
    // A process may have one nameless cache in memory, but a file has a path.
    if rest.is_empty() && kind != "MEMORY" {
        return Err(NameError::Nothing(name.to_owned()));
    }
    Ok((kind, rest))
}

impl fmt::Display for KeytabName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "FILE:{path}"),
            Self::Memory(name) => write!(f, "MEMORY:{name}"),
        }
    }
}

impl fmt::Display for CcacheName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "FILE:{path}"),
            Self::Dir(path) => write!(f, "DIR:{path}"),
            Self::DirFile(path) => write!(f, "DIR::{path}"),
            Self::Memory(name) => write!(f, "MEMORY:{name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKENS: Tokens<'_> = Tokens {
        uid: 1000,
        euid: 0,
        username: Some("root"),
        temp: "/var/tmp",
    };

    #[test]
    fn tokens_are_replaced() {
        let cases = [
            ("FILE:/tmp/krb5cc_%{uid}", "FILE:/tmp/krb5cc_1000"),
            ("%{USERID}-%{euid}-%{username}", "1000-0-root"),
            ("%{TEMP}/%{null}x", "/var/tmp/x"),
            ("100% {uid} %%{uid}", "100% {uid} %1000"),
            ("%{LIBDIR}%{BINDIR}%{SBINDIR}", "/usr/lib/usr/bin/usr/sbin"),
            ("", ""),
        ];
        for (text, expanded) in cases {
            assert_eq!(expand(text, &TOKENS).as_deref(), Ok(expanded), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_replaced_is_an_error() {
        let error = |text| expand(text, &TOKENS).unwrap_err();
        assert_eq!(
            error("/a/%{uid"),
            ExpandError::Unclosed("/a/%{uid".to_owned())
        );
        assert_eq!(error("%{UID}"), ExpandError::Unknown("UID".to_owned()));
        assert_eq!(error("%{}"), ExpandError::Unknown(String::new()));
        let nameless = Tokens {
            username: None,
            ..TOKENS
        };
        assert_eq!(
            expand("%{username}", &nameless),
            Err(ExpandError::NoUsername(0))
        );
        // What a token stands for is not looked at again.
        let odd = Tokens {
            temp: "%{uid}",
            ..TOKENS
        };
        assert_eq!(expand("%{TEMP}", &odd).as_deref(), Ok("%{uid}"));
    }

    #[test]
    fn replay_caches_have_types_in_lower_case() {
        let file = |path: &str| Ok(RcacheName::File(path.to_owned()));
        assert_eq!(RcacheName::parse("none:"), Ok(RcacheName::None));
        assert_eq!(RcacheName::parse("none:x"), Ok(RcacheName::None));
        assert_eq!(RcacheName::parse("dfl:"), Ok(RcacheName::Users));
        assert_eq!(RcacheName::parse("file2:/a:b"), file("/a:b"));
        for name in [
            "", "none", "dfl", "/a", "NONE:", "FILE:/a", "file:/a", "n:", ":",
        ] {
            let error = NameError::Rcache(name.to_owned());
            assert_eq!(RcacheName::parse(name), Err(error), "{name}");
        }
        let error = NameError::Nothing("file2:".to_owned());
        assert_eq!(RcacheName::parse("file2:"), Err(error));
    }

    #[test]
    fn names_have_types() {
        let file = |path: &str| Ok(CcacheName::File(path.to_owned()));
        assert_eq!(CcacheName::parse("/tmp/a:b"), file("/tmp/a:b"));
        assert_eq!(CcacheName::parse("FILE:/tmp/a"), file("/tmp/a"));
        assert_eq!(CcacheName::parse("relative"), file("relative"));
        assert_eq!(
            CcacheName::parse("MEMORY:"),
            Ok(CcacheName::Memory(String::new()))
        );
        assert_eq!(
            CcacheName::parse("FILE:"),
            Err(NameError::Nothing("FILE:".to_owned()))
        );
        assert_eq!(
            CcacheName::parse(""),
            Err(NameError::Nothing(String::new()))
        );
        let parse = CcacheName::parse;
        assert_eq!(parse("DIR:/d"), Ok(CcacheName::Dir("/d".to_owned())));
        let one = CcacheName::DirFile("/d/tktx".to_owned());
        assert_eq!(parse("DIR::/d/tktx"), Ok(one));
        for name in ["DIR::/d/x", "DIR::tkt", "DIR::/tkt", "DIR::", "DIR::/d/"] {
            let error = Err(NameError::Subsidiary(name.to_owned()));
            assert_eq!(parse(name), error, "{name}");
        }
        assert_eq!(parse("DIR:"), Err(NameError::Nothing("DIR:".to_owned())));
        for kind in ["KEYRING", "KCM", "API", "file", "WRFILE"] {
            let error = CcacheName::parse(&format!("{kind}:x"))
                .unwrap_err()
                .to_string();
            assert!(
                error.contains(kind) && error.contains("KRB5CCNAME"),
                "{error}"
            );
        }
        let file = |path: &str| Ok(KeytabName::File(path.to_owned()));
        assert_eq!(KeytabName::parse("WRFILE:/k"), file("/k"));
        assert_eq!(KeytabName::parse("/k"), file("/k"));
        assert_eq!(
            KeytabName::parse("MEMORY:m"),
            Ok(KeytabName::Memory("m".to_owned()))
        );
        let error = KeytabName::parse("ANY:FILE:/k").unwrap_err().to_string();
        assert!(
            error.contains("ANY") && error.contains("KRB5_KTNAME"),
            "{error}"
        );
        assert_eq!(
            KeytabName::parse("WRFILE:/k").unwrap().to_string(),
            "FILE:/k"
        );
    }

    #[test]
    fn damage_is_an_error_or_another_name() {
        let text = "FILE:/tmp/%{TEMP}/krb5cc_%{uid}";
        let damaged = super::super::vectors::damaged(text.as_bytes());
        for text in damaged.filter_map(|bytes| String::from_utf8(bytes).ok()) {
            let Ok(expanded) = expand(&text, &TOKENS) else {
                continue;
            };
            assert!(!expanded.contains("%{"), "{text}");
            if let Ok(name) = CcacheName::parse(&expanded) {
                assert_eq!(CcacheName::parse(&name.to_string()), Ok(name), "{text}");
            }
            if let Ok(name) = KeytabName::parse(&expanded) {
                assert_eq!(KeytabName::parse(&name.to_string()), Ok(name), "{text}");
            }
        }
    }
}
