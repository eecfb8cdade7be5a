//! An established context: it protects messages, and it changes hands.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError, TryLockError};
use std::time::Duration;

use gss_core::inquire::Lucid;
use gss_core::mechanism::{NotOffered, PrfKey, Restore, SecurityContext};
use gss_core::name::MechName;
use gss_transfer::Carrier;
use gss_transfer::export::{Exporter, Sealed};
use gss_transfer::import::{Importer, Returnable};
use gss_transfer::policy::{Policy, Terms};
use once::{ForkMark, Leaving, OnceStore};
use wire::time::Timestamp;
use zeroize::Zeroizing;

use crate::copied::{self, Copied};
use crate::credential::Credential;
use crate::environment::Environment;
use crate::half_open::HalfOpen;
use crate::identity;
use crate::{Error, Facts, Order, Unwrapped};

/// An established security context.
///
/// It protects messages for as long as it lives, also after its ticket has expired (long database sessions live on that);
/// [`lifetime`](Self::lifetime) tells whether it has, and an expired one is not exported. Any number of threads may use it
/// at once, and none waits for another's encryption.
///
/// It cannot be cloned: it is here, or, after [`export`](Self::export), it is with whoever [imports](Self::import) the token.
/// `fork` copies it all the same: as soon as one process has exported it, calls on every other copy answer `GSS_S_NO_CONTEXT`.
/// Dropping a copy says nothing to the others.
///
/// ```
/// use baton::{Context, ExportOptions};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use baton::realm::DevelopmentRealm;
/// # let realm = DevelopmentRealm::builder("EXAMPLE.TEST").user("alice", "secret").service("HTTP/localhost").start()?;
/// # let env = realm.environment()?;
/// # let (client, server) = realm.contexts(&env, "alice", "HTTP/localhost")?;
/// let token = server.export(&ExportOptions::default()).map_err(|(_, error)| error)?;
/// // `token.as_ref()` goes to another process, and there:
/// let server = Context::import(&env, &token)?;
/// assert!(Context::import(&env, &token).is_err(), "it changes hands once");
///
/// let sealed = client.wrap(true, b"hello")?;
/// assert_eq!(server.unwrap(&sealed)?.data, b"hello");
/// # Ok(())
/// # }
/// ```
pub struct Context {
    env: Environment,
    inner: Copied<dyn SecurityContext>,
    /// What the token can be given back with.
    returnable: Option<Box<Kept>>,
}

/// A message that was verified.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Message {
    /// What was sent.
    pub data: Vec<u8>,
    /// Where it stands in the sequence. Anything but [`Order::InOrder`] is information beside a valid message: whoever
    /// must not take a replay for a message looks here.
    pub order: Order,
    /// Whether it was encrypted.
    pub confidential: bool,
}

impl Message {
    pub(crate) fn new(data: Vec<u8>, unwrapped: Unwrapped) -> Self {
        Self {
            data,
            order: unwrapped.order,
            confidential: unwrapped.confidential,
        }
    }
}

/// How a context is to be exported. By default as the [configuration](crate::Config::transfer) says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExportOptions {
    /// Who may import.
    pub policy: Option<Policy>,
    /// How long the token is good; it never outlives the context.
    pub lifetime: Option<Duration>,
    /// Whether a [handshake](crate::Handshake::export) that waits may be exported.
    pub half_open: Option<HalfOpen>,
}

impl ExportOptions {
    /// The same, for importers that `policy` admits.
    #[must_use]
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = Some(policy);
        self
    }

    /// The same, with a token that is good for `lifetime`.
    #[must_use]
    pub fn lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime = Some(lifetime);
        self
    }

    /// The same, for handshakes that wait too.
    #[must_use]
    pub const fn half_open(mut self, half_open: HalfOpen) -> Self {
        self.half_open = Some(half_open);
        self
    }
}

/// An exported context on its way: opaque bytes, worth nothing once imported, nor without the once-store.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(Vec<u8>);

impl Token {
    /// The bytes, for the way.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

impl From<Vec<u8>> for Token {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl From<&[u8]> for Token {
    fn from(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }
}

impl AsRef<[u8]> for Token {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// Until it is imported a token is a capability, so it does not print its bytes.
impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({} bytes)", self.0.len())
    }
}

impl Context {
    /// A context that shares `mark` with the copies that `fork` made of its handshake.
    pub(crate) fn new(env: &Environment, mark: ForkMark, inner: Box<dyn SecurityContext>) -> Self {
        Self {
            env: env.clone(),
            inner: Copied::new(mark, inner),
            returnable: None,
        }
    }

    /// Whether this context is here: `GSS_S_NO_CONTEXT` where it is a copy that `fork` made, and another process has exported it
    /// since. Every call asks this first; [`facts`](Self::facts) and [`lifetime`](Self::lifetime) tell what was.
    pub fn check_here(&self) -> Result<(), Error> {
        self.inner.here().map(|_| ())
    }

    /// Names, flags, lifetime.
    pub fn facts(&self) -> &Facts {
        self.inner.anywhere().facts()
    }

    /// Who initiated the context, with what is known of the name (RFC 6680): on the acceptor's side authorization data, the PAC,
    /// authentication indicators, and which of these the KDC vouches for. That mark travels with a transfer.
    pub fn initiator_name(&self) -> MechName {
        self.inner.anywhere().initiator_name()
    }

    /// Who accepted the context.
    pub fn acceptor_name(&self) -> MechName {
        self.inner.anywhere().acceptor_name()
    }

    /// How long the context's ticket still lives; `None` if it has expired.
    pub fn lifetime(&self) -> Option<Duration> {
        let (expires, now) = (self.facts().expires, self.env.now());
        (expires > now).then(|| expires.abs_diff(now))
    }

    /// `GSS_Wrap`: the token of `message`. If `confidential` is asked for, the message is encrypted or the call fails.
    pub fn wrap(&self, confidential: bool, message: &[u8]) -> Result<Vec<u8>, Error> {
        let mut token = Vec::new();
        let encrypted = self.wrap_into(confidential, message, &mut token)?;
        self.kept_promise(confidential, encrypted)?;
        Ok(token)
    }

    /// A message that was to be encrypted is.
    pub(crate) fn kept_promise(&self, confidential: bool, encrypted: bool) -> Result<(), Error> {
        if confidential && !encrypted {
            return Err(NotConfidential.into());
        }
        Ok(())
    }

    /// `GSS_Wrap`: appends the token of `message` to `out` and tells whether it is encrypted.
    pub fn wrap_into(
        &self,
        confidential: bool,
        message: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<bool, Error> {
        self.here()?.wrap(confidential, message, out)
    }

    /// `GSS_Unwrap`: the message in `token`.
    pub fn unwrap(&self, token: &[u8]) -> Result<Message, Error> {
        let mut data = Vec::new();
        let unwrapped = self.unwrap_into(token, &mut data)?;
        Ok(Message::new(data, unwrapped))
    }

    /// `GSS_Unwrap`: appends the message in `token` to `out`, which is left as it was on an error.
    pub fn unwrap_into(&self, token: &[u8], out: &mut Vec<u8>) -> Result<Unwrapped, Error> {
        self.here()?.unwrap(token, out)
    }

    /// `GSS_GetMIC`: a token that proves `message`, which travels beside it.
    pub fn get_mic(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        let mut token = Vec::new();
        self.here()?.get_mic(message, &mut token)?;
        Ok(token)
    }

    /// `GSS_VerifyMIC`: whether `token` proves `message`, and where it stands in the sequence.
    pub fn verify_mic(&self, message: &[u8], token: &[u8]) -> Result<Order, Error> {
        self.here()?.verify_mic(message, token)
    }

    /// `GSS_Wrap_size_limit`: the longest message whose token has at most `token_size` bytes; 0 if none has.
    pub fn wrap_size_limit(&self, confidential: bool, token_size: u32) -> Result<u32, Error> {
        let inner = self.inner.here()?;
        Ok(inner.wrap_size_limit(confidential, token_size))
    }

    /// `GSS_Pseudo_random` (RFC 4401): `length` bytes that both ends of this context derive from `input` and nobody else can.
    /// They are good as keys of an application's own; one application's `input` should not be another's. Kerberos gives up to 16 MiB at
    /// once.
    ///
    /// ```
    /// # use baton::{Context, PrfKey};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use baton::realm::DevelopmentRealm;
    /// # let realm = DevelopmentRealm::builder("EXAMPLE.TEST").user("alice", "secret").service("HTTP/localhost").start()?;
    /// # let env = realm.environment()?;
    /// # let (client, server) = realm.contexts(&env, "alice", "HTTP/localhost")?;
    /// let ours = client.pseudo_random(PrfKey::Full, b"example.test file encryption", 32)?;
    /// assert_eq!(ours, server.pseudo_random(PrfKey::Full, b"example.test file encryption", 32)?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn pseudo_random(
        &self,
        key: PrfKey,
        input: &[u8],
        length: usize,
    ) -> Result<Zeroizing<Vec<u8>>, Error> {
        self.here()?.pseudo_random(key, input, length)
    }

    /// `GSS_Process_context_token` (RFC 2743 §2.2.4): a token of the peer's about the context itself. Kerberos has none (RFC 4121
    /// took RFC 1964's, which ended a context, away), so whatever comes is `GSS_S_DEFECTIVE_TOKEN` and the context goes on.
    pub fn process_token(&self, token: &[u8]) -> Result<(), Error> {
        self.inner.here()?.process_token(token)
    }

    /// The credential that the initiator delegated, for the first who asks: tickets with which this process speaks for it,
    /// usually as good as its own. `None` if it delegated nothing, if somebody has asked already, or if the context was
    /// begun here.
    ///
    /// It is of the process that accepted the context. It does not travel with it (RFC 2743 §2.2.9): who exports the context
    /// and wants the credential elsewhere hands it over in some other way.
    ///
    /// Whose it is its [name](Credential::name) tells: that is the initiator's own word, and need not be who the initiator is.
    pub fn take_delegated(&self) -> Result<Option<Credential>, Error> {
        let delegated = self.inner.here()?.take_delegated()?;
        delegated.as_ref().map(Credential::delegated).transpose()
    }

    /// A credential of the initiator's for `own`, the tickets of the service that accepted the context, to act in the
    /// initiator's name towards other services (S4U2Proxy, [MS-SFU] §3.1.5.2), as far as the KDC lets it. It needs no
    /// delegation by the initiator, whose ticket is the evidence. MIT's library gives such a credential as the delegated one
    /// where the acceptor's credential is for both uses.
    ///
    /// `None` if the acceptor did not [keep](crate::Acceptor::keeping_evidence) the ticket, or if the context came from
    /// another process: evidence does not travel with it.
    pub fn for_initiator(&self, own: &Credential) -> Result<Option<Credential>, Error> {
        let Some(evidence) = self.inner.here()?.evidence()? else {
            return Ok(None);
        };
        let evidence = Credential::delegated(&evidence)?.tickets()?;
        let ticket = evidence.tickets().next();
        ticket.map(|ticket| own.act_for(ticket)).transpose()
    }

    /// `GSS_Export_sec_context`: deactivates the context here, and gives a token that re-activates it, once, in a process
    /// that the policy admits and that shares the once-store.
    ///
    /// If it fails, at whichever step, there is no token and the context comes back as it was.
    pub fn export(self, options: &ExportOptions) -> Result<Token, (Self, Error)> {
        let env = self.env.clone();
        let exported = env.transfer_store().and_then(|store| {
            let (leaving, inner) = self.inner.leave()?;
            let token = self.exporter(options, |exporter| exporter.export(inner, store))?;
            leaving.gone();
            Ok(token)
        });
        match exported {
            Ok(token) => {
                self.leave();
                Ok(Token(token))
            }
            Err(error) => Err(self.export_refused(error)),
        }
    }

    /// `gss_krb5_export_lucid_sec_context`: takes the context apart into numbers and keys, for another implementation of its
    /// messages: a kernel's. The context is not here any more.
    ///
    /// What comes out is not sealed, good for any process, and as often as one likes: no policy of a transfer can follow it.
    /// Where [transfers](crate::config::Transfer::enabled) are switched off this is too. If it fails the context comes back.
    pub fn into_lucid(self) -> Result<Lucid, (Self, Error)> {
        let lucid = self.lucid();
        match lucid {
            Ok(lucid) => {
                self.leave();
                Ok(lucid)
            }
            Err(error) => Err((self, error)),
        }
    }

    fn lucid(&self) -> Result<Lucid, Error> {
        if !self.env.config().transfer.enabled {
            return Err(gss_transfer::Error::SwitchedOff.into());
        }
        let (leaving, inner) = self.inner.leave()?;
        let inquire = inner.inquire().ok_or(NotOffered("lucid form"))?;
        let lucid = inquire.lucid()?;
        leaving.gone();
        Ok(lucid)
    }

    /// `GSS_Import_sec_context`: takes over the context of `token`.
    ///
    /// If it fails nothing is taken: the true token still imports, here or elsewhere.
    pub fn import(env: &Environment, token: &Token) -> Result<Self, Error> {
        let imported = env
            .transfer_store()
            .and_then(|store| Self::import_from(env, store, Carrier::Store, token.as_ref()));
        imported.map_err(|error| import_refused(env, error))
    }

    /// The same for one who may only want to look: a context that was not used can be [given back](Self::give_back), for a minute.
    ///
    /// Until it is used this process keeps the one-time key, and so does each copy that a `fork` makes of it; whoever reads its memory
    /// until then could import a recorded token again once the context is given back.
    pub fn import_returnable(env: &Environment, token: &Token) -> Result<Self, Error> {
        let imported = env
            .transfer_store()
            .and_then(|store| Self::import_kept(env, store, token.as_ref()));
        imported.map_err(|error| import_refused(env, error))
    }

    fn import_kept(
        env: &Environment,
        store: &OnceStore,
        token: &[u8],
    ) -> Result<Self, gss_transfer::Error> {
        // Counted before the context is there: a fork at any time after is seen.
        let forks = once::forks();
        let mark = copied::mark()?.unused();
        let imported =
            importer(env, store, Carrier::Store, &env.mechanisms()).import_returnable(token);
        crate::stack::wipe();
        let (inner, returnable) = imported?;
        let mut context = Self::new(env, mark, inner);
        context.returnable =
            forks.map(|forks| Box::new(Kept::new(returnable, forks, env.now() + RETURNABLE)));
        context.is_imported();
        Ok(context)
    }

    /// Gives up a context that was [imported](Self::import_returnable) and not used: its token is good again, for whoever its policy admits
    /// and until it would have expired. Tells whether it is.
    ///
    /// Use is a message protected or verified, bytes derived, a key or the lucid form given out, another export; asking for names,
    /// flags or the lifetime is none. Once any copy was used, after a minute, or where this process has called `fork` since the import
    /// or is the child of such a call, the context just ends.
    pub fn give_back(self) -> bool {
        let Self {
            env,
            inner,
            returnable,
        } = self;
        let Some(returnable) = returnable.and_then(|kept| kept.take(&env)) else {
            return false;
        };
        if !inner.leave_unused() {
            return false;
        }
        let facts = inner.anywhere().facts().clone();
        // The context is nowhere any more before its token is good again.
        drop(inner);
        let given = env
            .transfer_store()
            .and_then(|store| returnable.give_back(store));
        crate::stack::wipe();
        match given {
            Ok(()) => {
                env.counters().given_back();
                tracing::info!(initiator = %facts.initiator, acceptor = %facts.acceptor, "context given back");
                true
            }
            Err(error) => {
                tracing::warn!(initiator = %facts.initiator, %error, "context not given back: it has ended");
                false
            }
        }
    }

    /// Seals this context for a socket; it is as it was, and given back to its copies unless it is told that it has gone.
    pub(crate) fn seal(
        &self,
        options: &ExportOptions,
        carrier: Carrier,
    ) -> Result<(Leaving<'_>, Sealed), gss_transfer::Error> {
        let (leaving, inner) = self.inner.leave()?;
        let sealed = self.exporter(options, |exporter| exporter.seal(inner, carrier))?;
        Ok((leaving, sealed))
    }

    fn exporter<T>(
        &self,
        options: &ExportOptions,
        export: impl FnOnce(&Exporter<'_>) -> Result<T, gss_transfer::Error>,
    ) -> Result<T, gss_transfer::Error> {
        let transfer = &self.env.config().transfer;
        if !transfer.enabled {
            return Err(gss_transfer::Error::SwitchedOff);
        }
        let (policy, now) = (self.policy(options), self.env.now());
        export(&Exporter {
            policy,
            identity: &identity::of_this_process(policy.wanted()),
            now,
            expires: now + options.lifetime.unwrap_or(transfer.lifetime),
            random: self.env.random(),
        })
    }

    /// What `options` mean for this process as the exporter.
    pub(crate) fn terms(&self, options: &ExportOptions) -> Result<Terms, gss_transfer::Error> {
        let policy = self.policy(options);
        policy
            .bind(&identity::of_this_process(policy.wanted()))
            .map_err(gss_transfer::Error::Policy)
    }

    /// The mechanism's context for a use, if it is here. From the first one on its token is not given back.
    pub(crate) fn here(&self) -> Result<&dyn SecurityContext, Error> {
        let inner = self.inner.used();
        // Also where it has gone: nobody gives this copy back any more.
        if let Some(kept) = &self.returnable {
            kept.forget();
        }
        inner
    }

    /// The same, to look at it.
    pub(crate) fn looked_at(&self) -> Result<&dyn SecurityContext, Error> {
        self.inner.here()
    }

    pub(crate) fn environment(&self) -> &Environment {
        &self.env
    }

    fn policy<'a>(&'a self, options: &'a ExportOptions) -> &'a Policy {
        let configured = &self.env.config().transfer.policy;
        options.policy.as_ref().unwrap_or(configured)
    }

    /// The context is not here any more: wiped, counted, logged.
    pub(crate) fn leave(self) {
        let Self { env, inner, .. } = self;
        let facts = inner.anywhere().facts();
        tracing::info!(
            initiator = %facts.initiator,
            acceptor = %facts.acceptor,
            "context exported"
        );
        env.counters().exported();
        drop(inner);
        crate::stack::wipe();
    }

    /// The context stays, and the caller learns why.
    pub(crate) fn export_refused(self, error: gss_transfer::Error) -> (Self, Error) {
        self.env.counters().export_refused(&error);
        let error = Error::from(error);
        tracing::warn!(initiator = %self.facts().initiator, %error, "context not exported");
        (self, error)
    }

    /// The same, where the context was sealed and then did not leave.
    pub(crate) fn send_failed(self, error: Error) -> (Self, Error) {
        self.env.counters().send_failed();
        tracing::warn!(initiator = %self.facts().initiator, %error, "context not sent");
        (self, error)
    }

    pub(crate) fn import_from(
        env: &Environment,
        store: &OnceStore,
        carrier: Carrier,
        token: &[u8],
    ) -> Result<Self, gss_transfer::Error> {
        let mark = copied::mark()?;
        let imported = importer(env, store, carrier, &env.mechanisms()).import(token);
        // The one-time key, of a refused import too.
        crate::stack::wipe();
        let inner = imported?;
        let context = Self::new(env, mark, inner);
        context.is_imported();
        Ok(context)
    }

    /// It is here: counted, logged.
    fn is_imported(&self) {
        self.env.counters().imported();
        tracing::info!(
            initiator = %self.facts().initiator,
            acceptor = %self.facts().acceptor,
            "context imported"
        );
    }
}

fn importer<'a>(
    env: &Environment,
    store: &'a OnceStore,
    carrier: Carrier,
    mechanisms: &'a [&'a dyn Restore],
) -> Importer<'a> {
    Importer {
        store,
        carrier,
        identify: &identity::of_this_process,
        now: env.now(),
        mechanisms,
    }
}

/// How long after its import an unused context can be given back.
const RETURNABLE: Duration = Duration::from_secs(60);

/// What an unused context is given back with, until it is used.
struct Kept {
    returnable: Mutex<Option<Returnable>>,
    is_there: AtomicBool,
    /// How often processes had forked before the import.
    forks: u64,
    until: Timestamp,
}

impl Kept {
    const fn new(returnable: Returnable, forks: u64, until: Timestamp) -> Self {
        Self {
            returnable: Mutex::new(Some(returnable)),
            is_there: AtomicBool::new(true),
            forks,
            until,
        }
    }

    /// The context is used: the one-time key is erased.
    fn forget(&self) {
        if !self.is_there.load(Ordering::Relaxed) {
            return;
        }
        // Never waits: in a child, a lock stays locked that another thread held at the moment of the `fork`.
        let mut returnable = match self.returnable.try_lock() {
            Ok(returnable) => returnable,
            Err(TryLockError::Poisoned(error)) => error.into_inner(),
            Err(TryLockError::WouldBlock) => return,
        };
        *returnable = None;
        self.is_there.store(false, Ordering::Relaxed);
    }

    fn take(self, env: &Environment) -> Option<Returnable> {
        let is_this_process = once::forks() == Some(self.forks);
        let returnable = self.returnable.into_inner();
        let returnable = returnable.unwrap_or_else(PoisonError::into_inner);
        returnable.filter(|_| is_this_process && env.now() < self.until)
    }
}

/// Counts and logs why an import failed.
pub(crate) fn import_refused(env: &Environment, error: gss_transfer::Error) -> Error {
    env.counters().import_refused(&error);
    let error = Error::from(error);
    tracing::warn!(%error, "context not imported");
    error
}

/// Names and flags; never keys.
impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("facts", self.facts())
            .finish_non_exhaustive()
    }
}

/// Confidentiality was asked for and is not available on this context.
#[derive(Debug, thiserror::Error)]
#[error("the context was established without confidentiality")]
struct NotConfidential;

impl From<NotConfidential> for Error {
    fn from(cause: NotConfidential) -> Self {
        Self::new(gss_core::error::Major::Unavailable, cause)
    }
}
