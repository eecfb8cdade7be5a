//! Handshakes that change hands: a multi-leg handshake that one process began is finished by another (rule T8).

use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gss_core::bindings::ChannelBindings;
use gss_core::mechanism::Resume;
pub use gss_transfer::ServiceKeys;
use gss_transfer::half_open::{Channel, HalfOpenExporter, HalfOpenImporter};

use crate::context::{ExportOptions, Token};
use crate::copied;
use crate::environment::Environment;
use crate::handshake::{Handshake, Side};
use crate::host::secret_file;
use crate::{Error, identity, negotiate};

/// Whether handshakes may change hands before they have ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HalfOpen {
    /// They may not: `GSS_S_NO_CONTEXT`.
    #[default]
    Refused,
    /// An acceptor's may, so that stateless processes share one handshake.
    Acceptors,
    /// An initiator's may too: for those that stand between two parties.
    BothSides,
}

/// Where the keys are that half-open handshakes are sealed under: the same for all processes that share handshakes.
///
/// Whoever has them can make a context with any client's name, as with the service's keytab: they are kept alike.
#[derive(Clone, Debug, Default)]
pub enum HalfOpenKeys {
    /// Nowhere: no handshake is exported or imported.
    #[default]
    None,
    /// In this file, which is read at each use, so that keys may rotate while programs run: a line of 64 hexadecimal digits each,
    /// the newest first. It belongs to root or to this process's user; nobody else writes it, and others than its group do not
    /// read it.
    File(PathBuf),
    /// Here.
    Given(Arc<ServiceKeys>),
}

/// Keys are not compared: two that were given are the same if they were given together.
impl PartialEq for HalfOpenKeys {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::None, Self::None) => true,
            (Self::File(ours), Self::File(theirs)) => ours == theirs,
            (Self::Given(ours), Self::Given(theirs)) => Arc::ptr_eq(ours, theirs),
            _ => false,
        }
    }
}

impl Eq for HalfOpenKeys {}

impl HalfOpenKeys {
    fn load(&self) -> Result<Arc<ServiceKeys>, gss_transfer::Error> {
        match self {
            Self::None => Err(gss_transfer::Error::NoServiceKey),
            Self::Given(keys) => Ok(Arc::clone(keys)),
            Self::File(path) => {
                read(path)
                    .map(Arc::new)
                    .map_err(|cause| gss_transfer::Error::ServiceKeys {
                        path: path.clone(),
                        cause,
                    })
            }
        }
    }
}

/// The file is not as private as a key must be.
#[derive(Debug, thiserror::Error)]
enum NotPrivate {
    #[error("it belongs to user {0}: it has to be root's or this process's user's")]
    Owner(u32),
    #[error(
        "its mode is {0:04o}: nobody but its owner may write it, and nobody but its group read it"
    )]
    Mode(u32),
}

fn read(path: &Path) -> Result<ServiceKeys, Box<dyn std::error::Error + Send + Sync>> {
    let file = File::open(path)?;
    let facts = file.metadata()?;
    let user = rustix::process::geteuid().as_raw();
    if facts.uid() != 0 && facts.uid() != user {
        return Err(NotPrivate::Owner(facts.uid()).into());
    }
    if facts.mode() & 0o027 != 0 {
        return Err(NotPrivate::Mode(facts.mode() & 0o7777).into());
    }
    Ok(ServiceKeys::parse(&secret_file::contents(&file)?)?)
}

impl Handshake {
    /// Hands this handshake over before it has ended, where [`ExportOptions::half_open`] or the
    /// [configuration](crate::Transfer::half_open) asks for it: `GSS_S_NO_CONTEXT` otherwise, as for every context that is not
    /// established.
    ///
    /// The token may travel through the peer: it is sealed under a [key of the service](HalfOpenKeys), bound to the handshake's
    /// channel, good for a minute, and redeemed once among the processes that share the once-store. If this fails, there is no token
    /// and the handshake comes back as it was.
    ///
    /// ```
    /// use baton::{Acceptor, Config, ExportOptions, HalfOpen, HalfOpenKeys, Initiator, Name, ServiceKeys, Step};
    /// use std::sync::Arc;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use baton::realm::DevelopmentRealm;
    /// # let realm = DevelopmentRealm::builder("EXAMPLE.TEST").user("alice", "secret").service("HTTP/localhost").start()?;
    /// # let mut config = realm.environment()?.config().clone();
    /// # let text = "5a".repeat(32);
    /// config.transfer.half_open_keys = HalfOpenKeys::Given(Arc::new(ServiceKeys::parse(text.as_bytes())?));
    /// # let env = baton::Environment::new(config)?;
    /// # let (client, service) = (realm.credential(&env, "alice")?, realm.acceptor(&env)?);
    /// # let name = Name::hostbased_service("HTTP@localhost");
    /// // One process speaks first:
    /// let hinted = Acceptor::new(&env, &service).step(b"").map_err(|failure| failure.error)?;
    /// let Step::Continue { next, .. } = hinted else { panic!("the client's turn") };
    /// let options = ExportOptions::default().half_open(HalfOpen::Acceptors);
    /// let token = next.export(&options).map_err(|(_, error)| error)?;
    ///
    /// // Another one has the client's answer:
    /// # let Step::Continue { token: answer, .. } = Initiator::new(&env, &client, &name).negotiate().start()? else { panic!() };
    /// let next = Acceptor::new(&env, &service).import(&token)?;
    /// let Step::Done { context, .. } = next.step(&answer).map_err(|failure| failure.error)? else { panic!("established") };
    /// assert_eq!(context.facts().initiator.to_string(), "alice@EXAMPLE.TEST");
    /// # Ok(())
    /// # }
    /// ```
    pub fn export(self, options: &ExportOptions) -> Result<Token, (Self, Error)> {
        match self.try_export(options) {
            Ok(token) => {
                tracing::info!(accepting = self.side.accepts(), "handshake exported");
                self.env.counters().half_open_exported();
                drop(self);
                crate::stack::wipe();
                Ok(Token::from(token))
            }
            Err(error) => {
                // What was sealed, perhaps, and the service's keys.
                crate::stack::wipe();
                self.env.counters().export_refused(&error);
                let error = Error::from(error);
                tracing::warn!(accepting = self.side.accepts(), %error, "handshake not exported");
                Err((self, error))
            }
        }
    }

    fn try_export(&self, options: &ExportOptions) -> Result<Vec<u8>, gss_transfer::Error> {
        let transfer = &self.env.config().transfer;
        if !transfer.enabled {
            return Err(gss_transfer::Error::SwitchedOff);
        }
        let allowed = match options.half_open.unwrap_or(transfer.half_open) {
            HalfOpen::Refused => false,
            HalfOpen::Acceptors => self.side.accepts(),
            HalfOpen::BothSides => true,
        };
        if !allowed {
            return Err(gss_transfer::Error::HalfOpen);
        }
        let (leaving, inner) = self.inner.leave()?;
        let half_open = inner.half_open();
        let half_open = half_open.ok_or(gss_transfer::Error::NotTransferable)?;
        let policy = options.policy.as_ref().unwrap_or(&transfer.policy);
        let token = HalfOpenExporter {
            keys: &*transfer.half_open_keys.load()?,
            policy,
            identity: &identity::of_this_process(policy.wanted()),
            accepting: self.side.accepts(),
            channel: self.channel,
            now: self.env.now(),
            lifetime: options.lifetime.unwrap_or(transfer.half_open_lifetime),
            random: self.env.random(),
        }
        .export(half_open)?;
        leaving.gone();
        Ok(token)
    }

    /// Goes on with an initiator's handshake that another process began and [exported](Self::export); `bindings` are those that it
    /// was begun with. An acceptor's is for [`Acceptor::import`](crate::Acceptor::import).
    ///
    /// If it fails nothing is burned: the true token is still good, here or elsewhere.
    pub fn import(
        env: &Environment,
        token: &Token,
        bindings: Option<&ChannelBindings>,
    ) -> Result<Self, Error> {
        let mechanisms = || negotiate::resume_initiators(env);
        Self::resume(
            env,
            token,
            Side::Initiates,
            Channel::of(bindings),
            mechanisms,
        )
    }

    pub(crate) fn resume(
        env: &Environment,
        token: &Token,
        side: Side,
        channel: Channel,
        mechanisms: impl FnOnce() -> Vec<Box<dyn Resume>>,
    ) -> Result<Self, Error> {
        let accepting = side.accepts();
        let resumed = env.transfer_store().and_then(|store| {
            let mark = copied::mark()?;
            let inner = HalfOpenImporter {
                keys: &*env.config().transfer.half_open_keys.load()?,
                store,
                identify: &identity::of_this_process,
                accepting,
                channel,
                now: env.now(),
            }
            .import(token.as_ref(), mechanisms());
            // What the token held, of a refused import too.
            crate::stack::wipe();
            Ok(Self::new(env, side, channel, mark, inner?))
        });
        match resumed {
            Ok(handshake) => {
                env.counters().half_open_imported();
                tracing::info!(accepting, "handshake imported");
                Ok(handshake)
            }
            Err(error) => {
                env.counters().import_refused(&error);
                let error = Error::from(error);
                tracing::warn!(accepting, %error, "handshake not imported");
                Err(error)
            }
        }
    }
}
