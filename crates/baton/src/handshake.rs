//! Handshakes as steps: a step takes the state away and gives the next one back, or the context.

use std::sync::Arc;

use gss_core::bindings::ChannelBindings;
use gss_core::error::Error;
use gss_core::flags::Flags;
use gss_core::host::Host;
use gss_core::mechanism::{self, Failure};
use gss_core::name::Name;
use gss_core::oid::Oid;
use gss_krb5::{AcceptOptions, InitOptions, ServiceTicket};
use gss_spnego::Hint;
use gss_transfer::half_open::{self, Channel};
use krb5::formats::ccache::Credential as Ticket;
use krb5::messages::{error_code, ticket_flags};
use krb5::principal::Principal;
use once::ForkMark;

use crate::context::{Context, Token};
use crate::copied::{self, Copied};
use crate::credential::{Credential, CredentialError};
use crate::environment::{Environment, Rcache};
#[cfg(feature = "tokio")]
use crate::host::kdc::Tokio;
use crate::host::kdc::{Blocking, Io, at_once};
use crate::host::tickets::{ExchangeError, ServiceTicketError, TicketError};
use crate::names::second_choice;
use crate::neg_mechs::NegMechs;
use crate::negotiate::{self, Wishes};

/// What a step of a handshake came to.
#[derive(Debug)]
pub enum Step {
    /// Send `token`; the peer's answer goes to `next`.
    Continue {
        /// For the peer.
        token: Vec<u8>,
        /// Waits for the answer.
        next: Handshake,
    },
    /// The context is established.
    Done {
        /// For the peer, if there is anything left to send.
        token: Option<Vec<u8>>,
        /// The established context.
        context: Context,
    },
}

impl Step {
    fn new(
        env: &Environment,
        side: Side,
        channel: Channel,
        mark: ForkMark,
        step: mechanism::Step,
    ) -> Self {
        match step {
            mechanism::Step::Continue { token, next } => Self::Continue {
                token,
                next: Handshake::new(env, side, channel, mark, next),
            },
            mechanism::Step::Done { token, context } => Self::Done {
                token,
                context: Context::new(env, mark, context),
            },
        }
    }
}

/// A handshake that waits for the peer's next token.
pub struct Handshake {
    pub(crate) env: Environment,
    pub(crate) side: Side,
    /// What a [half-open transfer](Self::export) is bound to.
    pub(crate) channel: Channel,
    pub(crate) inner: Copied<dyn mechanism::Handshake>,
}

/// Which side of a handshake this is.
pub(crate) enum Side {
    Initiates,
    /// Replays are noticed in the acceptor's own place, if it has one.
    Accepts(Option<Arc<Rcache>>),
}

impl Side {
    pub(crate) const fn accepts(&self) -> bool {
        matches!(self, Self::Accepts(_))
    }

    /// The world as this side sees it.
    fn host<'h>(&'h self, env: &'h Environment) -> Result<Host<'h>, Error> {
        match self {
            Self::Initiates => env.host(false),
            Self::Accepts(rcache) => env.host_with(true, rcache.as_deref()),
        }
    }
}

impl Handshake {
    pub(crate) fn new(
        env: &Environment,
        side: Side,
        channel: Channel,
        mark: ForkMark,
        inner: Box<dyn mechanism::Handshake>,
    ) -> Self {
        Self {
            env: env.clone(),
            side,
            channel,
            inner: Copied::new(mark, inner),
        }
    }

    /// Goes on with the peer's token. A failed step leaves nothing half-built; its [`Failure`] may hold a token for the peer.
    pub fn step(self, token: &[u8]) -> Result<Step, Failure> {
        let host = self.side.host(&self.env)?;
        self.inner.here()?;
        let (mark, inner) = self.inner.into_parts();
        let step = inner.step(token, &host)?;
        let (side, channel) = (self.side, self.channel);
        Ok(Step::new(&self.env, side, channel, mark, step))
    }
}

impl std::fmt::Debug for Handshake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Handshake")
            .field("accepting", &self.side.accepts())
            .finish_non_exhaustive()
    }
}

/// Begins a context: the client's side.
///
/// ```
/// use baton::{Acceptor, Flags, Initiator, Name, Step};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use baton::realm::DevelopmentRealm;
/// # let realm = DevelopmentRealm::builder("EXAMPLE.TEST").user("alice", "secret").service("HTTP/localhost").start()?;
/// # let env = realm.environment()?;
/// # let (client, service) = (realm.credential(&env, "alice")?, realm.acceptor(&env)?);
/// let name = Name::hostbased_service("HTTP@localhost");
/// let begun = Initiator::new(&env, &client, &name).flags(Flags::MUTUAL).start()?;
/// let Step::Continue { token, next } = begun else { panic!("mutual authentication has an answer") };
///
/// // `token` travels to the service, and there:
/// let accepted = Acceptor::new(&env, &service).step(&token).map_err(|failure| failure.error)?;
/// let Step::Done { token, context: server } = accepted else { panic!("one step is enough") };
/// assert_eq!(server.facts().initiator.to_string(), "alice@EXAMPLE.TEST");
///
/// // its answer travels back:
/// let done = next.step(&token.unwrap()).map_err(|failure| failure.error)?;
/// let Step::Done { context: client, .. } = done else { panic!("established") };
///
/// let sealed = client.wrap(true, b"hello")?;
/// assert_eq!(server.unwrap(&sealed)?.data, b"hello");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Initiator<'a> {
    env: &'a Environment,
    cred: &'a Credential,
    target: &'a Name,
    flags: Flags,
    bindings: Option<ChannelBindings>,
    negotiate: Option<Wishes>,
}

impl<'a> Initiator<'a> {
    /// A context with `target`, as whom `cred` speaks for. Mutual authentication, and detection of replayed and missing messages,
    /// are asked for unless [`flags`](Self::flags) says otherwise.
    pub fn new(env: &'a Environment, cred: &'a Credential, target: &'a Name) -> Self {
        Self {
            env,
            cred,
            target,
            flags: Flags::MUTUAL | Flags::REPLAY | Flags::SEQUENCE,
            bindings: None,
            negotiate: None,
        }
    }

    /// Asks for just these flags.
    ///
    /// With [`Flags::DELEG`] the service gets a forwarded ticket with which it can act as the initiator
    /// ([`Context::take_delegated`]), with [`Flags::DELEG_POLICY`] only if the KDC's policy trusts the service so far (RFC 5896).
    /// What cannot be forwarded is not, and the context's flags tell.
    #[must_use]
    pub fn flags(mut self, flags: Flags) -> Self {
        self.flags = flags;
        self
    }

    /// Ties the context to a channel.
    #[must_use]
    pub fn bindings(mut self, bindings: ChannelBindings) -> Self {
        self.bindings = Some(bindings);
        self
    }

    /// Negotiates the mechanism by SPNEGO (RFC 4178), as Windows and HTTP's `Negotiate` have it. The context is the mechanism's
    /// own; without mutual authentication too there is an answer to wait for.
    #[must_use]
    pub fn negotiate(mut self) -> Self {
        self.negotiate.get_or_insert_default();
        self
    }

    /// The same, among these mechanisms alone (`GSS_Set_neg_mechs`, RFC 4178 Appendix B.1).
    #[must_use]
    pub fn neg_mechs(mut self, mechanisms: NegMechs) -> Self {
        self.negotiate.get_or_insert_default().mechanisms = Some(mechanisms);
        self
    }

    /// The same, with an acceptor that has spoken first, and said `token` (MS-SPNG §2.2.1). Nobody protects what it says: what is
    /// offered stays as it is, and the favourite's own token is left out where the acceptor does not have that mechanism.
    ///
    /// # Errors
    /// `GSS_S_DEFECTIVE_TOKEN` for what is not the first message of a negotiation.
    pub fn hint(mut self, token: &[u8]) -> Result<Self, Error> {
        let hint = Hint::read(token)?;
        self.negotiate.get_or_insert_default().hint = Some(Arc::new(hint));
        Ok(self)
    }

    /// The first step: gets a ticket for the target, from the cache or a KDC, and gives the first token.
    pub fn start(self) -> Result<Step, Error> {
        at_once(self.start_by(Blocking))
    }

    /// The same as [`start`](Self::start), as a task of tokio's runtime: it waits for KDCs without holding up a thread, and
    /// asks nobody any more once it is dropped. The credential cache is read and written as it goes.
    #[cfg(feature = "tokio")]
    pub async fn start_async(self) -> Result<Step, Error> {
        self.start_by(Tokio).await
    }

    /// The same, waiting as `io` does.
    async fn start_by(self, io: impl Io) -> Result<Step, Error> {
        let mechanisms = self.negotiate.as_ref().and_then(|wishes| {
            let own = wishes.mechanisms.as_ref();
            own.or_else(|| self.cred.neg_mechs())
        });
        NegMechs::check(mechanisms)?;
        let mut target = self.env.principal(self.target)?;
        let mechanism = if self.negotiate.is_some() {
            Oid::SPNEGO
        } else {
            Oid::KRB5
        };
        let ticket = self.cred.ticket_for(io, self.env, mechanism, &target);
        let ticket = match ticket.await {
            Err(error) if is_unknown_service(&error) => {
                let second = second_choice(self.target, self.env, &target).ok_or(error)?;
                target = second;
                let ticket = self.cred.ticket_for(io, self.env, mechanism, &target);
                ticket.await?
            }
            other => other?,
        };
        let policy = self.cred.limit(self.env.policy());
        let flags = self.wanted();
        let delegated = self.delegated(io, flags, mechanism, &target, &ticket).await;
        let channel = Channel::of(self.bindings.as_ref());
        let options = InitOptions {
            flags,
            delegated,
            bindings: self.bindings,
            permitted_enctypes: policy.permitted_enctypes,
            times: self.env.times(),
            ..InitOptions::new(self.env.shared_random())
        };
        let host = self.env.host(false)?;
        let mark = copied::mark()?;
        let step = match &self.negotiate {
            Some(wishes) => negotiate::initiate(ticket, target, options, wishes, mechanisms, &host),
            None => gss_krb5::initiate(&ticket, &target, &options, &host),
        };
        let step = step.map_err(|failure| failure.error)?;
        Ok(Step::new(self.env, Side::Initiates, channel, mark, step))
    }
}

impl Initiator<'_> {
    /// The flags asked for, where configuration has its say.
    fn wanted(&self) -> Flags {
        let settings = self.env.settings();
        let mut flags = self.flags;
        if settings.enforce_ok_as_delegate && flags.contains(Flags::DELEG) {
            flags = flags.without(Flags::DELEG) | Flags::DELEG_POLICY;
        }
        flags | Flags::CHANNEL_BOUND.when(settings.client_aware_channel_bindings)
    }

    /// What is delegated. As with MIT's library, what cannot be had is not delegated, and the context's flags tell.
    async fn delegated(
        &self,
        io: impl Io,
        flags: Flags,
        mechanism: Oid,
        target: &Principal,
        ticket: &ServiceTicket,
    ) -> Option<Ticket> {
        let by_policy =
            flags.contains(Flags::DELEG_POLICY) && ticket.flags & ticket_flags::OK_AS_DELEGATE != 0;
        if !by_policy && !flags.contains(Flags::DELEG) {
            return None;
        }
        let enctype = ticket.key.enctype();
        let forwarded = self
            .cred
            .forwarded(io, self.env, mechanism, target, enctype);
        match forwarded.await {
            Ok(ticket) => Some(ticket),
            Err(error) => {
                tracing::warn!(target = %ticket.server, %error, "nothing is delegated");
                None
            }
        }
    }
}

/// Whether a KDC does not know the service that a ticket was asked for.
fn is_unknown_service(error: &Error) -> bool {
    let refused = match error.cause::<CredentialError>() {
        Some(CredentialError::Ticket(TicketError::Exchange(cause))) => Some(cause),
        Some(CredentialError::Ticket(TicketError::Way(ServiceTicketError::Exchange(cause)))) => {
            Some(cause)
        }
        _ => None,
    };
    matches!(refused, Some(ExchangeError::Refused(cause)) if cause.code == error_code::KDC_ERR_S_PRINCIPAL_UNKNOWN)
}

/// Accepts a context: the service's side. See [`Initiator`] for both sides of a handshake.
#[derive(Clone, Debug)]
pub struct Acceptor<'a> {
    env: &'a Environment,
    cred: &'a Credential,
    bindings: Option<ChannelBindings>,
    mechanisms: Option<NegMechs>,
    takes_delegated: bool,
    keeps_evidence: bool,
}

impl<'a> Acceptor<'a> {
    /// A context as the service whose keys `cred` has.
    pub const fn new(env: &'a Environment, cred: &'a Credential) -> Self {
        Self {
            env,
            cred,
            bindings: None,
            mechanisms: None,
            takes_delegated: true,
            keeps_evidence: false,
        }
    }

    /// Negotiates among these mechanisms alone (`GSS_Set_neg_mechs`, RFC 4178 Appendix B.1). The order is the initiator's. What comes
    /// without a negotiation is not concerned.
    #[must_use]
    pub fn neg_mechs(mut self, mechanisms: NegMechs) -> Self {
        self.mechanisms = Some(mechanisms);
        self
    }

    /// Insists on a channel: a peer that binds to another is refused.
    #[must_use]
    pub fn bindings(mut self, bindings: ChannelBindings) -> Self {
        self.bindings = Some(bindings);
        self
    }

    /// Passes over what initiators delegate, for a service that has no use for it: a credential that nobody keeps cannot be
    /// stolen, and one that cannot be read is no reason to refuse its initiator. The context's flags tell of it all the same.
    #[must_use]
    pub const fn without_delegation(mut self) -> Self {
        self.takes_delegated = false;
        self
    }

    /// Keeps the initiator's ticket, as evidence for acting in its name towards other services
    /// ([`Context::for_initiator`](crate::Context::for_initiator)).
    #[must_use]
    pub const fn keeping_evidence(mut self) -> Self {
        self.keeps_evidence = true;
        self
    }

    /// The first step, with the peer's first token: Kerberos's or, as the token's frame says, SPNEGO's (RFC 4178). An empty token
    /// gets a list of mechanisms to begin with, for protocols in which the service speaks first. The keytab is looked at anew, so keys may rotate while the program runs.
    pub fn step(self, token: &[u8]) -> Result<Step, Failure> {
        let (env, channel) = (self.env, Channel::of(self.bindings.as_ref()));
        let mechanism = negotiate::mechanism(token);
        let side = Side::Accepts(self.cred.rcache(mechanism));
        let krb5 = self.krb5(mechanism)?;
        let mark = copied::mark().map_err(Error::from)?;
        let acceptor = negotiate::acceptor(mechanism, self.mechanisms(), krb5);
        let step = acceptor.step(token, &side.host(env)?)?;
        Ok(Step::new(env, side, channel, mark, step))
    }

    /// Goes on with an acceptor's handshake that another process began and [exported](Handshake::export) half open: with this
    /// credential, over this channel.
    ///
    /// If it fails nothing is burned: the true token is still good, here or elsewhere.
    pub fn import(self, token: &Token) -> Result<Handshake, Error> {
        let (env, channel) = (self.env, Channel::of(self.bindings.as_ref()));
        let mechanism = match half_open::is_of(token.as_ref(), Oid::SPNEGO) {
            true => Oid::SPNEGO,
            false => Oid::KRB5,
        };
        let side = Side::Accepts(self.cred.rcache(mechanism));
        let krb5 = || self.krb5(mechanism);
        let krb5 = [krb5()?, krb5()?, krb5()?, krb5()?];
        let mechanisms = || negotiate::resume_acceptors(self.mechanisms(), krb5);
        Handshake::resume(env, token, side, channel, mechanisms)
    }

    fn mechanisms(&self) -> Option<&NegMechs> {
        let own = self.mechanisms.as_ref();
        own.or_else(|| self.cred.neg_mechs())
    }

    /// The mechanism's own acceptor.
    fn krb5(&self, mechanism: Oid) -> Result<gss_krb5::Acceptor, Error> {
        let cred = self.cred.acceptor_keys(mechanism)?;
        let mut options = AcceptOptions::new(self.env.shared_random());
        options.policy = self.cred.limit(self.env.policy());
        options.bindings.clone_from(&self.bindings);
        options.takes_delegated = self.takes_delegated;
        options.keeps_evidence = self.keeps_evidence;
        Ok(gss_krb5::Acceptor::new(cred, options))
    }
}
