//! What a program decides about its GSS-API, as one explicit value.

use std::path::PathBuf;
use std::time::Duration;

use gss_transfer::policy::Policy;
use krb5::formats::settings::Settings;

use crate::Error;
use crate::host::user::has_foreign_rights;

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
    /// How far clocks may be apart; else what `krb5.conf` says, else five minutes.
    pub clock_skew: Option<Duration>,
    /// Where replays are noticed and deposits of exported contexts lie.
    pub store: Store,
    /// Whether replays of handshakes are noticed at all.
    pub replay: Replay,
    /// Transfer of contexts.
    pub transfer: Transfer,
    /// How long an exchange with KDCs may take; else what `krb5.conf` says.
    pub kdc_timeout: Option<Duration>,
}

impl Config {
    /// What MIT's manual describes: the files that `KRB5_CONFIG` lists or `/etc/krb5.conf`, and what `KRB5_KTNAME`,
    /// `KRB5_CLIENT_KTNAME` and `KRB5CCNAME` name. In programs that run with another user's rights (set-uid), the variables are
    /// ignored.
    pub fn from_env() -> Result<Self, Error> {
        let believed = !has_foreign_rights();
        let variable = |name: &str| {
            let value = believed.then(|| std::env::var(name).ok()).flatten();
            value.filter(|value| !value.is_empty())
        };
        let files = variable("KRB5_CONFIG").unwrap_or_else(|| "/etc/krb5.conf".to_owned());
        Ok(Self {
            krb5_conf: files.split(':').map(PathBuf::from).collect(),
            keytab: variable("KRB5_KTNAME"),
            client_keytab: variable("KRB5_CLIENT_KTNAME"),
            ccache: variable("KRB5CCNAME"),
            ..Self::default()
        })
    }
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
}

impl Default for Transfer {
    fn default() -> Self {
        Self {
            enabled: true,
            policy: Policy::same_user(),
            lifetime: Duration::from_secs(300),
        }
    }
}
