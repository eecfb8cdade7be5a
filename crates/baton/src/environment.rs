//! What calls have in common: configuration, clock, randomness, the once-store, counts.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use gss_core::host::{Host, ReplayCache};
use gss_core::mechanism::Restore;
use gss_krb5::{AuthenticatorTimes, Krb5};
use krb5::exchange::ap::Policy;
use krb5::formats::settings::Settings;
use once::{FileOptions, Limits, OnceStore, StoreError};
use wire::random::Random;
use wire::time::{Clock, Timestamp};

use crate::config::{Config, Replay, Store, StoreOptions};
use crate::counts::{Counters, TransferCounts};
use crate::host::accounts::{Accounts, PasswdFile};
use crate::host::mit_replay::{DIRECTORY, MitReplay};
use crate::host::names::{NameProblem, RcacheName, rcache};
use crate::host::resolver::{Resolver, SystemResolver};
use crate::host::user::User;
use crate::{Error, world};

/// The world of one configuration. Cheap to clone; clones share one once-store and one set of counts.
///
/// ```
/// use baton::{Config, Environment};
/// # fn main() -> Result<(), baton::Error> {
/// let mine = Environment::new(Config::default())?; // explicit
/// let usual = Environment::from_env()?;            // krb5.conf, KRB5_CONFIG, KRB5_KTNAME, KRB5CCNAME, ...
/// assert_eq!(mine.counts().imported, 0);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Environment(Arc<Inner>);

struct Inner {
    config: Config,
    settings: Settings,
    policy: Policy,
    clock: Arc<dyn Clock>,
    times: AuthenticatorTimes,
    rcache: Rcache,
    random: Arc<dyn Random>,
    krb5: Krb5,
    store: OnceLock<OnceStore>,
    counters: Counters,
    passwd: PasswdFile,
}

impl Environment {
    /// The environment of `config`. Files that it names as `krb5.conf` are read now, the once-store is opened when it is first
    /// needed.
    pub fn new(config: Config) -> Result<Self, Error> {
        let times = AuthenticatorTimes::of_the_process();
        Self::with_times(config, Arc::new(world::SystemClock), times, true)
    }

    /// The environment that MIT's manual describes: `/etc/krb5.conf`, the `KRB5*` variables (outside of set-uid programs), the
    /// user's own keytab and cache.
    pub fn from_env() -> Result<Self, Error> {
        Self::new(Config::from_env()?)
    }

    /// The same as [`new`](Self::new), by another clock: tests live through a ticket's lifetime in no time.
    pub fn with_clock(config: Config, clock: Arc<dyn Clock>) -> Result<Self, Error> {
        // What others believe by the system's clock is not written by this one unless they ask for it.
        let times = AuthenticatorTimes::of_another_clock();
        Self::with_times(config, clock, times, false)
    }

    fn with_times(
        config: Config,
        clock: Arc<dyn Clock>,
        times: AuthenticatorTimes,
        believed: bool,
    ) -> Result<Self, Error> {
        let settings = match &config.settings {
            Some(settings) => settings.clone(),
            None => world::settings(&config.krb5_conf)?,
        };
        let policy = policy(&config, &settings);
        let rcache = Rcache::of(&config, &settings, policy.clock_skew, believed);
        if matches!(rcache, Rcache::Off) {
            tracing::warn!("replay detection of handshakes is switched off by configuration");
        }
        let random: Arc<dyn Random> = Arc::new(world::SystemRandom);
        Ok(Self(Arc::new(Inner {
            krb5: Krb5::new(Arc::clone(&random)),
            policy,
            rcache,
            config,
            settings,
            clock,
            times,
            random,
            store: OnceLock::new(),
            counters: Counters::default(),
            passwd: PasswdFile::default(),
        })))
    }

    /// The configuration this was made from.
    pub fn config(&self) -> &Config {
        &self.0.config
    }

    /// What `krb5.conf` says.
    pub fn settings(&self) -> &Settings {
        &self.0.settings
    }

    /// How often contexts changed hands in this process, and why they did not.
    pub fn counts(&self) -> TransferCounts {
        self.0.counters.snapshot()
    }

    /// How far clocks may be apart.
    pub fn clock_skew(&self) -> Duration {
        self.0.policy.clock_skew
    }

    /// What an acceptor accepts; an initiator looks at the enctypes too.
    pub(crate) fn policy(&self) -> &Policy {
        &self.0.policy
    }

    /// Where hosts are looked up.
    pub(crate) fn resolver(&self) -> &dyn Resolver {
        match &self.0.config.resolver {
            Some(resolver) => &**resolver,
            None => &SystemResolver,
        }
    }

    /// The users of this host.
    pub(crate) fn accounts(&self) -> &dyn Accounts {
        match &self.0.config.accounts {
            Some(accounts) => &**accounts,
            None => &self.0.passwd,
        }
    }

    pub(crate) fn counters(&self) -> &Counters {
        &self.0.counters
    }

    pub(crate) fn clock(&self) -> &Arc<dyn Clock> {
        &self.0.clock
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    /// The times of this clock's authenticators.
    pub(crate) fn times(&self) -> AuthenticatorTimes {
        self.0.times.clone()
    }

    pub(crate) fn random(&self) -> &dyn Random {
        &*self.0.random
    }

    pub(crate) fn shared_random(&self) -> Arc<dyn Random> {
        Arc::clone(&self.0.random)
    }

    /// The mechanisms whose contexts can be imported.
    pub(crate) fn mechanisms(&self) -> [&dyn Restore; 1] {
        [&self.0.krb5]
    }

    /// The once-store, opened if it is not yet. What cannot be opened is tried again at the next call.
    ///
    /// Opened without a lock: one that another thread holds at the moment of a `fork` would stay locked in the child. Of
    /// threads that open at the same moment one prevails, before anything is in the others' stores.
    pub(crate) fn store(&self) -> Result<&OnceStore, StoreError> {
        let store = &self.0.store;
        if let Some(store) = store.get() {
            return Ok(store);
        }
        let opened = self.open_store()?;
        Ok(store.get_or_init(|| opened))
    }

    fn open_store(&self) -> Result<OnceStore, StoreError> {
        let clock = Arc::clone(&self.0.clock);
        let StoreOptions {
            marks,
            mark_segments,
            deposits,
            replay_after_reset,
            deposits_on_disk,
        } = self.config().store_options;
        let limits = Limits {
            clock_skew: self.clock_skew().max(Limits::default().clock_skew),
            marks,
            mark_segments,
            deposits,
            replay_after_reset,
        };
        match &self.config().store {
            Store::Memory => Ok(OnceStore::memory_with(&limits, clock)),
            Store::File { directory } => {
                let options = FileOptions {
                    directory: directory.clone(),
                    limits,
                    deposits_on_disk,
                };
                OnceStore::file(&options, clock).map_err(|error| Arc::new(error).into())
            }
        }
    }

    /// The once-store, for a transfer.
    pub(crate) fn transfer_store(&self) -> Result<&OnceStore, gss_transfer::Error> {
        if !self.config().transfer.enabled {
            return Err(gss_transfer::Error::SwitchedOff);
        }
        self.store().map_err(gss_transfer::Error::Store)
    }

    /// The world as a handshake sees it. An accept needs the store, and fails without it; an initiator does not.
    pub(crate) fn host(&self, accepting: bool) -> Result<Host<'_>, Error> {
        self.host_with(accepting, None)
    }

    /// The same, where an acceptor notices replays in `rcache` if it has one of its own.
    pub(crate) fn host_with<'h>(
        &'h self,
        accepting: bool,
        rcache: Option<&'h Rcache>,
    ) -> Result<Host<'h>, Error> {
        let failure = |error| Error::new(crate::Major::Failure, error);
        let mut shared_replay: Option<&dyn ReplayCache> = None;
        let replay = match rcache.unwrap_or(&self.0.rcache) {
            Rcache::Off => None,
            _ if !accepting => None,
            Rcache::Misnamed(problem) => {
                return Err(Error::new(crate::Major::Failure, problem.clone()));
            }
            Rcache::Ours => Some(self.store().map_err(failure)?),
            Rcache::Both(theirs) => {
                shared_replay = Some(theirs);
                Some(self.store().map_err(failure)?)
            }
        };
        Ok(Host {
            clock: &*self.0.clock,
            random: &*self.0.random,
            replay,
            shared_replay,
        })
    }
}

/// Where replays are noticed.
pub(crate) enum Rcache {
    /// Nowhere.
    Off,
    /// In the once-store.
    Ours,
    /// In MIT's replay cache too.
    Both(MitReplay),
    /// Nobody knows: what is configured means nothing, and no request is accepted.
    Misnamed(NameProblem),
}

impl Rcache {
    /// The one called `name`, in MIT's notation, for one acceptor of `env`.
    pub(crate) fn named(env: &Environment, name: &str) -> Result<Self, NameProblem> {
        let (config, settings) = (env.config(), env.settings());
        if config.replay == Replay::None {
            return Ok(Self::Off);
        }
        let named = Config {
            rcache: Some(name.to_owned()),
            ..config.clone()
        };
        match Self::of(&named, settings, env.clock_skew(), false) {
            Self::Misnamed(problem) => Err(problem),
            rcache => Ok(rcache),
        }
    }

    fn of(config: &Config, settings: &Settings, skew: Duration, believed: bool) -> Self {
        if config.replay == Replay::None {
            return Self::Off;
        }
        // What an acceptor of MIT's library still needs is not overwritten either.
        let skew = skew.max(settings.clockskew);
        let directory = config.rcache_directory.clone();
        let directory = directory.unwrap_or_else(|| DIRECTORY.into());
        match rcache(config.rcache.as_deref(), settings, &User::current()) {
            Ok(Some(RcacheName::None)) => Self::Off,
            Ok(Some(RcacheName::Users)) => Self::Both(MitReplay::users(directory, skew)),
            Ok(Some(RcacheName::File(path))) => Self::Both(MitReplay::file(path.into(), skew)),
            Ok(None) if believed && config.store != Store::Memory => {
                Self::Both(MitReplay::users_if_there(directory, skew))
            }
            Ok(None) => Self::Ours,
            Err(problem) => Self::Misnamed(problem),
        }
    }
}

/// What the configuration tells an acceptor, in its own terms.
fn policy(config: &Config, settings: &Settings) -> Policy {
    Policy {
        clock_skew: config.clock_skew.unwrap_or(settings.clockskew),
        capaths: Arc::new(settings.capaths.clone()),
        permitted_enctypes: settings.permitted_enctypes.as_slice().into(),
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Environment")
            .field("config", &self.0.config)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::mpsc;
    use std::thread;

    use super::*;

    /// Stands still, the first time it is asked, until it is let go.
    struct Standing {
        asked: mpsc::SyncSender<()>,
        first: AtomicBool,
        go: std::sync::Mutex<mpsc::Receiver<()>>,
    }

    impl Clock for Standing {
        fn now(&self) -> Timestamp {
            if self.first.swap(false, Ordering::Relaxed) {
                self.asked.send(()).unwrap();
                self.go.lock().unwrap().recv().unwrap();
            }
            Timestamp::from_seconds(1_800_000_000)
        }
    }

    /// Nor does it hold up a child of `fork`, which has everything but that thread.
    #[test]
    fn a_thread_that_is_stopped_while_it_opens_the_store_holds_up_nobody() {
        let home = tempfile::tempdir_in("/dev/shm").unwrap();
        let config = Config {
            store: Store::File {
                directory: Some(home.path().join("store")),
            },
            settings: Some(Settings::default()),
            ..Config::default()
        };
        let (asked, is_asked) = mpsc::sync_channel(1);
        let (go, may_go) = mpsc::channel();
        let clock = Standing {
            asked,
            first: AtomicBool::new(true),
            go: std::sync::Mutex::new(may_go),
        };
        let env = Environment::with_clock(config, Arc::new(clock)).unwrap();
        let open = |env: Environment, done: mpsc::Sender<usize>| {
            thread::spawn(move || {
                let store = env.store().unwrap();
                let _ = done.send(std::ptr::from_ref(store).addr());
            })
        };
        let (first_done, first) = mpsc::channel();
        open(env.clone(), first_done);
        is_asked.recv().unwrap();
        let (second_done, second) = mpsc::channel();
        open(env.clone(), second_done);
        let theirs = second.recv_timeout(Duration::from_secs(20));
        go.send(()).unwrap();
        let theirs = theirs.expect("held up");
        assert_eq!(first.recv().unwrap(), theirs, "one store for all");
    }
}
