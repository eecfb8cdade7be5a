//! The initiator's side of the handshake.

use std::sync::Arc;

use gss_core::bindings::ChannelBindings;
use gss_core::error::Error as GssError;
use gss_core::flags::Flags;
use gss_core::host::Host;
use gss_core::mechanism::{Facts, Failure, HalfOpen, Handshake, Step};
use gss_core::oid::Oid;
use gss_core::sequence::SequenceWindow;
use krb5::exchange::ap::{self, ApError, Awaited, Request, ThirdLeg};
use krb5::exchange::cred;
use krb5::formats::ccache::{Credential, TimeOffset};
use krb5::formats::settings::DEFAULT_ENCTYPES;
use krb5::messages::{AD_IF_RELEVANT, AuthorizationDataElement, Checksum, KrbError, ticket_flags};
use krb5::principal::Principal;
use krb5_crypto::{Enctype, Key};
use wire::random::{self, Random};
use wire::shown::Shown;
use wire::time::Timestamp;

use crate::accept::implied;
use crate::authenticator_data::{Said, offer};
use crate::checksum::{self, GSS_CHECKSUM, GssChecksum};
use crate::context::{Context, Established};
use crate::ctime::AuthenticatorTimes;
use crate::error::{Error, Local, Malformed};
use crate::frame::{HandshakeToken, Style};
use crate::inquire::TicketFacts;
use crate::keys::Keys;
use crate::names::display;

/// A ticket for a service, with what its holder knows of it. Times are by the KDC's clock.
#[derive(Clone)]
pub struct ServiceTicket {
    /// The client.
    pub client: Principal,
    /// The service that the KDC named.
    pub server: Principal,
    /// The ticket in DER.
    pub ticket: Vec<u8>,
    /// The session key.
    pub key: Arc<Key>,
    /// When the client proved its own key to the KDC.
    pub authtime: Timestamp,
    /// When the ticket ends.
    pub endtime: Timestamp,
    /// The ticket's flags (`krb5::messages::ticket_flags`).
    pub flags: u32,
    /// By how much the KDC's clock is ahead of ours.
    pub time_offset: TimeOffset,
}

/// What an initiator wants.
#[derive(Clone)]
pub struct InitOptions {
    /// The flags asked for. Integrity, confidentiality and transfer are granted unasked; `CHANNEL_BOUND` asks the acceptor to
    /// insist on bindings if it has any.
    pub flags: Flags,
    /// The channel.
    pub bindings: Option<ChannelBindings>,
    /// What is delegated, if anything is: as a rule a forwarded ticket-granting ticket.
    pub delegated: Option<Credential>,
    /// Of which enctypes the session key may be, and a subkey that the acceptor asserts, the preferred first: those before the
    /// session key's are offered to it (RFC 4537).
    pub permitted_enctypes: Arc<[&'static Enctype]>,
    /// Where requests have their times from. All initiators by one clock share it.
    pub times: AuthenticatorTimes,
    /// Where the context takes the confounders of its messages from, for as long as it lives.
    pub random: Arc<dyn Random>,
}

impl InitOptions {
    /// No flags, no bindings and every enctype; the times are those of this process.
    pub fn new(random: Arc<dyn Random>) -> Self {
        Self {
            flags: Flags::NONE,
            bindings: None,
            delegated: None,
            permitted_enctypes: Arc::new(DEFAULT_ENCTYPES),
            times: AuthenticatorTimes::of_the_process(),
            random,
        }
    }
}

/// Begins a context with `target`, the service's name as it was asked for and will be displayed.
///
/// Without mutual authentication the context is established at once.
pub fn initiate(
    ticket: &ServiceTicket,
    target: &Principal,
    options: &InitOptions,
    host: &Host<'_>,
) -> Result<Step, Failure> {
    let begun = begin(ticket, target, options, host).map_err(GssError::from)?;
    Ok(begun)
}

fn begin(
    ticket: &ServiceTicket,
    target: &Principal,
    options: &InitOptions,
    host: &Host<'_>,
) -> Result<Step, Error> {
    ap::check_permitted(ticket.key.enctype(), &options.permitted_enctypes)?;
    let anonymous = ticket.flags & ticket_flags::ANONYMOUS != 0;
    if options.flags.contains(Flags::ANON) && !anonymous {
        let client = ticket.client.to_string();
        return Err(Local::NotAnonymous { client }.into());
    }
    let offset = micros(ticket.time_offset);
    if shifted(host.now(), offset) > ticket.endtime {
        let server = ticket.server.to_string();
        return Err(Local::TicketExpired { server }.into());
    }
    let ctime = shifted(options.times.next(host.now()), offset);
    let flags = granted(options, ticket);
    let subkey = ticket.key.enctype().random_key(host.random);
    let seq_number = first_number(host.random);
    let request = request(
        ticket,
        options,
        flags,
        ctime,
        &subkey,
        seq_number,
        host.random,
    )?;
    let token = HandshakeToken::ApReq(&request).to_token(style(flags));
    let pending = Pending {
        facts: Facts {
            mechanism: Oid::KRB5,
            initiator: display(&ticket.client),
            acceptor: display(target),
            flags,
            locally_initiated: true,
            expires: shifted(ticket.endtime, offset.saturating_neg()),
        },
        subkey,
        seq_number,
        ticket: TicketFacts::new(ticket.flags, ticket.authtime, ticket.endtime),
        random: Arc::clone(&options.random),
    };
    if !flags.contains(Flags::MUTUAL) {
        return Ok(Step::Done {
            token: Some(token),
            context: Box::new(pending.alone()),
        });
    }
    let awaited = Awaited {
        session_key: Arc::clone(&ticket.key),
        ctime,
        permitted_enctypes: Arc::clone(&options.permitted_enctypes),
    };
    Ok(Step::Continue {
        token,
        next: Box::new(ExpectApRep { awaited, pending }),
    })
}

/// The AP-REQ with the checksum of RFC 4121 §4.1.1.
fn request(
    ticket: &ServiceTicket,
    options: &InitOptions,
    flags: Flags,
    ctime: Timestamp,
    subkey: &Key,
    seq_number: u32,
    random: &dyn Random,
) -> Result<Vec<u8>, Error> {
    let bindings = checksum::hash(options.bindings.as_ref())?;
    let mut gss_checksum = GssChecksum::new(bindings, flags);
    let delegated = (options.delegated.as_slice(), &*ticket.key); // RFC 4121 §4.1.1: under the session key
    let delegated = match delegated {
        ([], _) => None,
        (credentials, key) => Some(cred::write(credentials, key, ctime, random)?),
    };
    if let Some(message) = &delegated {
        gss_checksum = gss_checksum.delegating(message)?;
    }
    let gss_checksum = gss_checksum.to_bytes();
    let said = Said {
        insists_on_bindings: options.flags.contains(Flags::CHANNEL_BOUND),
        // Without a reply there is no subkey to be chosen.
        etypes: match flags.contains(Flags::MUTUAL) {
            true => offer(&options.permitted_enctypes, ticket.key.enctype()),
            false => None,
        },
    };
    let said = said.encode();
    let request = Request {
        client: &ticket.client,
        ticket: &ticket.ticket,
        session_key: &ticket.key,
        mutual: flags.contains(Flags::MUTUAL),
        ctime,
        cksum: Some(Checksum {
            cksumtype: GSS_CHECKSUM,
            checksum: &gss_checksum,
        }),
        subkey: Some(subkey),
        seq_number: Some(seq_number),
        authorization_data: said.as_deref().map(|relevant| {
            vec![AuthorizationDataElement {
                ad_type: AD_IF_RELEVANT,
                ad_data: relevant,
            }]
        }),
    };
    Ok(request.encode(random)?)
}

/// What is granted of what is asked for, as MIT's library does it. `CHANNEL_BOUND` is the acceptor's to say.
///
/// Delegation is granted where there is something to delegate, and called one by the KDC's policy where the ticket allows it.
fn granted(options: &InitOptions, ticket: &ServiceTicket) -> Flags {
    let asked = options.flags;
    let delegates = options.delegated.is_some();
    let by_policy = delegates && ticket.flags & ticket_flags::OK_AS_DELEGATE != 0;
    let delegation = Flags::DELEG.when(delegates) | (asked & Flags::DELEG_POLICY.when(by_policy));
    let optional = Flags::MUTUAL
        | Flags::REPLAY
        | Flags::SEQUENCE
        | Flags::DCE_STYLE
        | Flags::IDENTIFY
        | Flags::EXTENDED_ERROR;
    let anonymous = ticket.flags & ticket_flags::ANONYMOUS != 0;
    delegation
        | Flags::ANON.when(anonymous)
        | implied(asked & optional)
        | Flags::CONF
        | Flags::INTEG
        | Flags::TRANS
        | Flags::PROT_READY
}

fn style(flags: Flags) -> Style {
    match flags.contains(Flags::DCE_STYLE) {
        true => Style::Bare,
        false => Style::FRAMED,
    }
}

/// Where sequence numbers start. Peers that read them as signed are spared the upper bits (RFC 4120 §5.5.1).
pub(crate) fn first_number(random: &dyn Random) -> u32 {
    u32::from_be_bytes(random::array(random)) & 0x3fff_ffff
}

/// The initiator's half of a context.
pub(crate) struct Pending {
    pub(crate) facts: Facts,
    pub(crate) subkey: Key,
    pub(crate) seq_number: u32,
    pub(crate) ticket: TicketFacts,
    pub(crate) random: Arc<dyn Random>,
}

impl Pending {
    /// Without mutual authentication both directions start at the authenticator's number.
    fn alone(self) -> Context {
        let number = self.seq_number;
        self.with(None, number)
    }

    fn with(self, acceptor_subkey: Option<Key>, acceptor_number: u32) -> Context {
        let flags = self.facts.flags;
        Established {
            window: SequenceWindow::new(
                u64::from(acceptor_number),
                flags.contains(Flags::REPLAY),
                flags.contains(Flags::SEQUENCE),
            ),
            facts: self.facts,
            keys: Keys::new(
                Arc::new(self.subkey),
                acceptor_subkey,
                flags.contains(Flags::DCE_STYLE),
            ),
            next: u64::from(self.seq_number),
            authorization_data: Vec::new(),
            vouched: Default::default(),
            ticket: self.ticket,
            delegated: Vec::new(),
            evidence: None,
        }
        .open(self.random)
    }
}

/// An initiator that has sent its request and asked for mutual authentication.
pub(crate) struct ExpectApRep {
    pub(crate) awaited: Awaited,
    pub(crate) pending: Pending,
}

impl Handshake for ExpectApRep {
    fn step(self: Box<Self>, token: &[u8], host: &Host<'_>) -> Result<Step, Failure> {
        Ok(self.finish(token, host).map_err(GssError::from)?)
    }

    fn half_open(&self) -> Option<&dyn HalfOpen> {
        Some(self)
    }
}

impl ExpectApRep {
    fn finish(self, token: &[u8], host: &Host<'_>) -> Result<Step, Error> {
        let style = style(self.pending.facts.flags);
        let reply = match HandshakeToken::parse(style, token)? {
            HandshakeToken::ApRep(reply) => self.awaited.verify(reply)?,
            HandshakeToken::KrbError(error) => return Err(refused(error)),
            HandshakeToken::ApReq(_) => return Err(Malformed::TokenId.into()),
        };
        if style == Style::Bare && reply.subkey.is_none() {
            // Acceptors of DCE style assert one. What has none is an initiator's own third leg.
            return Err(ApError::ReplyMismatch.into());
        }
        let seq_number = reply.seq_number.unwrap_or(0);
        let token = (style == Style::Bare).then(|| {
            let session_key = &self.awaited.session_key;
            let third = ThirdLeg {
                session_key,
                seq_number,
            };
            let third = third.encode(host.now(), host.random);
            HandshakeToken::ApRep(&third).to_token(Style::Bare)
        });
        let context = Box::new(self.pending.with(reply.subkey, seq_number));
        Ok(Step::Done { token, context })
    }
}

/// What the peer's KRB-ERROR says. Nobody has authenticated it, but without a reply there is no context either way.
fn refused(error: &[u8]) -> Error {
    match KrbError::decode(error) {
        Ok(error) => Error::PeerRefused {
            code: error.error_code,
            text: (error.e_text).map_or_else(String::new, |text| Shown::new(text.0).to_string()),
        },
        Err(cause) => ApError::from(cause).into(),
    }
}

fn micros(offset: TimeOffset) -> i64 {
    i64::from(offset.seconds) * 1_000_000 + i64::from(offset.micros)
}

fn shifted(time: Timestamp, micros: i64) -> Timestamp {
    Timestamp::from_micros(time.micros().saturating_add(micros))
}
