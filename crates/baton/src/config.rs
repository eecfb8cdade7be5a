//! What a program decides about its GSS-API, as one explicit value.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use gss_transfer::policy::Policy;
use krb5::formats::settings::Settings;
use once::{Limits, ReplayAfterReset};

use crate::half_open::{HalfOpen, HalfOpenKeys};
use crate::host::accounts::Accounts;
use crate::host::resolver::Resolver;
use crate::host::user::has_foreign_rights;
use crate::{Error, Major};

/// What an [`Environment`](crate::Environment) is made of.
///
/// Nothing here is looked up behind the program's back: `Config::default()` reads no file and no variable. What MIT's
/// manual says of `krb5.conf`, `KRB5_CONFIG`, `KRB5_KTNAME`, `KRB5CCNAME` and the like is what [`Config::from_env`] gives.
///
/// ```
/// use baton::{Config, Environment};
/// use std::time::Duration;
///
/// # fn main() -> Result<(), baton::Error> {
/// let config = Config {
///     keytab: Some("FILE:/etc/web.keytab".into()),
///     clock_skew: Some(Duration::from_secs(60)),
///     ..Config::default()
/// };
/// let env = Environment::new(config)?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// The files that make up `krb5.conf`, the first one to name a relation wins. Ignored if there are
    /// [`settings`](Self::settings).
    pub krb5_conf: Vec<PathBuf>,
    /// The contents of `krb5.conf`, made by the program instead of read.
    pub settings: Option<Settings>,
    /// The keytab of acceptors (`FILE:/etc/krb5.keytab`); else what `krb5.conf` says.
    pub keytab: Option<String>,
    /// The keytab that initiators get their own tickets with; else what `krb5.conf` says.
    pub client_keytab: Option<String>,
    /// The credential cache (`FILE:/tmp/krb5cc_1000`, `MEMORY:name`); else what `krb5.conf` says.
    pub ccache: Option<String>,
    /// The file that tells as whom to initiate toward which service, `.k5identity`; else the one in the user's home directory.
    pub k5identity: Option<PathBuf>,
    /// How far clocks may be apart; else what `krb5.conf` says, else five minutes.
    pub clock_skew: Option<Duration>,
    /// Where replays are noticed and deposits of exported contexts lie.
    pub store: Store,
    /// How large that store is, how far it is trusted, whether it may lie on a disk.
    pub store_options: StoreOptions,
    /// Whether replays of handshakes are noticed at all.
    pub replay: Replay,
    /// MIT's replay cache that is kept beside the store, in MIT's notation: `file2:/var/lib/web/rcache`, `dfl:` for the user's own,
    /// `none:` for no replay detection at all; else what `krb5.conf` says. Where nobody says anything, and the store is one of
    /// files, the user's own is used as soon as it is there.
    pub rcache: Option<String>,
    /// The directory of users' replay caches; else `/var/tmp`.
    pub rcache_directory: Option<PathBuf>,
    /// Transfer of contexts.
    pub transfer: Transfer,
    /// Where this host's users are looked up; else in `/etc/passwd`.
    pub accounts: Option<Arc<dyn Accounts>>,
    /// Where hosts are looked up; else in `/etc/hosts`, and by the name servers in `/etc/resolv.conf`.
    pub resolver: Option<Arc<dyn Resolver>>,
    /// How long an exchange with KDCs may take; else what `krb5.conf` says.
    pub kdc_timeout: Option<Duration>,
}

impl Config {
    /// What MIT's manual describes: the files that `KRB5_CONFIG` lists or `/etc/krb5.conf`, and what `KRB5_KTNAME`,
    /// `KRB5_CLIENT_KTNAME`, `KRB5CCNAME`, `KRB5RCACHENAME`, `KRB5RCACHETYPE` and `KRB5RCACHEDIR` or `TMPDIR` name, and the
    /// `.k5identity` in `HOME`. In programs that run with another user's rights (set-uid), the variables are
    /// ignored.
    pub fn from_env() -> Result<Self, Error> {
        let believed = !has_foreign_rights();
        Self::from_variables(|name| believed.then(|| std::env::var_os(name)).flatten())
    }

    fn from_variables(variable: impl Fn(&'static str) -> Option<OsString>) -> Result<Self, Error> {
        let set = |name| variable(name).filter(|value| !value.is_empty());
        let text = |name| {
            let value = set(name).map(OsString::into_string).transpose();
            value.map_err(|value| Error::new(Major::Failure, NotText { name, value }))
        };
        let files = set("KRB5_CONFIG").unwrap_or_else(|| "/etc/krb5.conf".into());
        let files = files.as_bytes().split(|byte| *byte == b':');
        Ok(Self {
            krb5_conf: files.map(|file| OsStr::from_bytes(file).into()).collect(),
            keytab: text("KRB5_KTNAME")?,
            client_keytab: text("KRB5_CLIENT_KTNAME")?,
            ccache: text("KRB5CCNAME")?,
            k5identity: set("HOME").map(|home| PathBuf::from(home).join(".k5identity")),
            rcache: match text("KRB5RCACHENAME")? {
                Some(name) => Some(name),
                None => text("KRB5RCACHETYPE")?.map(|kind| format!("{kind}:")),
            },
            rcache_directory: set("KRB5RCACHEDIR")
                .or_else(|| set("TMPDIR"))
                .map(PathBuf::from),
            ..Self::default()
        })
    }
}

/// A variable of the environment that cannot be followed, and is not passed over either.
#[derive(Debug, thiserror::Error)]
#[error("the variable {name} is not UTF-8: {value:?}")]
struct NotText {
    name: &'static str,
    value: OsString,
}

/// Which once-store.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Store {
    /// The one of every process of the effective user on this host, under `/run/baton` or `/dev/shm`, or in the directory
    /// named here.
    File {
        /// The directory, if not the usual one.
        directory: Option<PathBuf>,
    },
    /// One in this process's memory: contexts change hands among its threads only, and a replay in another process is not
    /// noticed. For tests, and for programs that are one process and hand contexts over by sockets.
    Memory,
}

impl Default for Store {
    fn default() -> Self {
        Self::File { directory: None }
    }
}

/// How large the once-store is, how far it is trusted, and whether it may lie on a disk.
///
/// All processes that share a file take its sizes from whoever made it: to change them, stop its users and remove it. The rest
/// is each process's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreOptions {
    /// Places for the marks of handshakes, in each of four spans of time; rounded up to a power of two.
    pub marks: usize,
    /// How many tables of marks there may be; each is twice as large as the one before, and made when that is full.
    pub mark_segments: usize,
    /// Places for deposits, one a context that was exported and not yet imported; rounded up to a power of two.
    pub deposits: usize,
    /// Whether a handshake that began before the store was made, after a boot, is accepted.
    pub replay_after_reset: ReplayAfterReset,
    /// Allows deposits outside tmpfs, where erased one-time keys may stay on a disk.
    pub deposits_on_disk: bool,
}

impl Default for StoreOptions {
    fn default() -> Self {
        let limits = Limits::default();
        Self {
            marks: limits.marks,
            mark_segments: limits.mark_segments,
            deposits: limits.deposits,
            replay_after_reset: limits.replay_after_reset,
            deposits_on_disk: false,
        }
    }
}

/// Whether replays of handshakes are noticed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Replay {
    /// They are, and refused. If the store does not answer, an accept fails.
    #[default]
    Detect,
    /// They are not (`replay = none`): for protocols that can bear a replay. Logged as a warning whenever an environment is made
    /// so.
    None,
}

/// How contexts may change hands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transfer {
    /// Whether they may: if not, both calls are `GSS_S_UNAVAILABLE`.
    pub enabled: bool,
    /// Who may import, where an export does not say.
    pub policy: Policy,
    /// How long a token is good, where an export does not say.
    pub lifetime: Duration,
    /// Whether handshakes may change hands before they have ended, where an export does not say.
    pub half_open: HalfOpen,
    /// The keys of the service that they are sealed under.
    pub half_open_keys: HalfOpenKeys,
    /// How long such a token is good, where an export does not say; at most five minutes.
    pub half_open_lifetime: Duration,
}

impl Default for Transfer {
    fn default() -> Self {
        Self {
            enabled: true,
            policy: Policy::same_user(),
            lifetime: Duration::from_secs(300),
            half_open: HalfOpen::Refused,
            half_open_keys: HalfOpenKeys::None,
            half_open_lifetime: Duration::from_secs(60),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt;

    use super::*;

    fn of(variables: &[(&str, &[u8])]) -> Result<Config, Error> {
        Config::from_variables(|name| {
            let (_, value) = variables.iter().find(|(known, _)| *known == name)?;
            Some(OsString::from_vec(value.to_vec()))
        })
    }

    #[test]
    fn variables_are_what_mits_manual_says() {
        let config = of(&[]).unwrap();
        assert_eq!(config.krb5_conf, [PathBuf::from("/etc/krb5.conf")]);
        assert_eq!(
            (config.keytab, config.client_keytab, config.ccache),
            (None, None, None)
        );
        let config = of(&[
            ("KRB5_CONFIG", b"/a:/b"),
            ("KRB5_KTNAME", b"/k"),
            ("KRB5_CLIENT_KTNAME", b"/c"),
            ("KRB5CCNAME", b""),
        ])
        .unwrap();
        assert_eq!(config.krb5_conf, [PathBuf::from("/a"), PathBuf::from("/b")]);
        assert_eq!(config.keytab.as_deref(), Some("/k"));
        assert_eq!(config.client_keytab.as_deref(), Some("/c"));
        assert_eq!(config.ccache, None);
        assert_eq!(config.k5identity, None);
        let config = of(&[("HOME", b"/home/alice")]).unwrap();
        assert_eq!(config.k5identity, Some("/home/alice/.k5identity".into()));
    }

    #[test]
    fn replay_caches_are_what_mits_manual_says() {
        let name = |variables: &[(&str, &[u8])]| of(variables).unwrap().rcache;
        let directory = |variables: &[(&str, &[u8])]| of(variables).unwrap().rcache_directory;
        let (named, kind): ((_, &[u8]), (_, &[u8])) =
            (("KRB5RCACHENAME", b"file2:/r"), ("KRB5RCACHETYPE", b"none"));
        assert_eq!(name(&[]), None);
        assert_eq!(name(&[kind]).as_deref(), Some("none:"));
        assert_eq!(name(&[kind, named]).as_deref(), Some("file2:/r"));
        assert_eq!(directory(&[]), None);
        assert_eq!(directory(&[("TMPDIR", b"/t")]), Some("/t".into()));
        let both: [(&str, &[u8]); 2] = [("TMPDIR", b"/t"), ("KRB5RCACHEDIR", b"/d")];
        assert_eq!(directory(&both), Some("/d".into()));
    }

    #[test]
    fn what_is_not_text_is_not_passed_over() {
        for name in [
            "KRB5_KTNAME",
            "KRB5_CLIENT_KTNAME",
            "KRB5CCNAME",
            "KRB5RCACHENAME",
            "KRB5RCACHETYPE",
        ] {
            let error = of(&[(name, b"/x\xff")]).unwrap_err().to_string();
            assert!(error.contains(name) && error.contains("/x\\xFF"), "{error}");
        }
        // Whoever reads it says that it cannot.
        let config = of(&[("KRB5_CONFIG", b"/a:/x\xff")]).unwrap();
        let error = crate::Environment::new(config).unwrap_err().to_string();
        assert!(error.contains("/x\\xFF"), "{error}");
    }
}
