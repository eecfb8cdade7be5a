//! What the AS and the TGS exchange have in common: steps, errors, and the checks of a reply (RFC 4120 §3.1.5, §3.3.4).
//!
//! All that is believed comes from the reply's encrypted part and is compared with the request; the clear ticket must name
//! the server that the encrypted part names.

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use krb5_crypto::{CryptoError, Enctype, IntegrityError};
use thiserror::Error;
use wire::der::{GeneralString, application};
use wire::shown::Shown;
use wire::time::Timestamp;

use crate::formats::ccache::{CachedKey, Credential, TimeOffset, Typed};
use crate::messages::{
    AsRep, DerError, EncKdcRepPart, EncryptedData, HostAddress, KerberosTime, KeyError, KrbError,
    PaData, PrincipalName, TgsRep, Ticket, error_code, kdc_options, ticket_flags,
};
use crate::principal::{KRBTGT, Principal};

/// What an exchange wants next. `M` is the machine that waits for the reply, `D` what the exchange gives in the end.
pub enum Progress<M, D = Obtained> {
    /// Send `bytes` to a KDC of `realm` and give the reply to `next`.
    Send {
        /// The realm whose KDC is meant.
        realm: Vec<u8>,
        /// The request.
        bytes: Vec<u8>,
        /// Whether a datagram will not do: the KDC has said that its reply is too big for one.
        stream: bool,
        /// What waits for the reply.
        next: M,
    },
    /// The ticket is there.
    Done(Box<D>),
}

/// What an exchange gives.
pub struct Obtained {
    /// The ticket and its session key.
    pub credential: Credential,
    /// By how much the KDC's clock is ahead of ours, where that was found out and is more than a second.
    pub time_offset: Option<TimeOffset>,
}

/// An error message from the KDC. Nobody vouches for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KdcError {
    /// The realm whose KDC was asked.
    pub realm: Vec<u8>,
    /// The error's number (RFC 4120 §7.5.9).
    pub code: i32,
    /// The client of the request.
    pub client: Principal,
    /// The server of the request.
    pub server: Principal,
    /// What the KDC says, for people.
    pub text: Option<String>,
    /// The KDC's time.
    pub time: Timestamp,
}

/// Why an exchange with a KDC gave no ticket.
#[derive(Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ExchangeError {
    /// The KDC answered with an error.
    #[error("{0}")]
    Refused(Box<KdcError>),
    /// The reply breaks a rule.
    #[error("the KDC's reply is not to be believed: {0}")]
    Reply(#[from] ReplyError),
    /// There is no key for any enctype that may be used.
    #[error("there is no key of an enctype that may be used")]
    NoUsableKey,
    /// The KDC wants a kind of pre-authentication that is not supported.
    #[error("the KDC wants pre-authentication of a kind that is not supported")]
    NoCommonPreauthentication,
    /// The password does not become a key in the way the KDC asks for.
    #[error("the KDC's string-to-key parameters cannot be used: {0}")]
    StringToKey(#[from] CryptoError),
    /// The ticket-granting ticket cannot be used.
    #[error("the ticket-granting ticket is malformed: {0}")]
    TicketMalformed(DerError),
    /// The evidence ticket of S4U2Proxy cannot be used.
    #[error("the ticket that was to be the evidence for delegation is malformed: {0}")]
    EvidenceMalformed(DerError),
    /// The ticket-granting ticket's key is of an enctype that is not supported.
    #[error("the ticket-granting ticket's key cannot be used")]
    TicketKey,
}

impl ExchangeError {
    /// The KDC's error code, where it refused (RFC 4120 §7.5.9).
    pub fn code(&self) -> Option<i32> {
        match self {
            Self::Refused(error) => Some(error.code),
            Self::Reply(_)
            | Self::NoUsableKey
            | Self::NoCommonPreauthentication
            | Self::StringToKey(_)
            | Self::TicketMalformed(_)
            | Self::EvidenceMalformed(_)
            | Self::TicketKey => None,
        }
    }
}

/// The rule of RFC 4120 §3.1.5 or §3.3.4 that a reply breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ReplyError {
    /// The bytes are no message.
    #[error("it is malformed: {0}")]
    Malformed(DerError),
    /// The message is neither the reply expected nor an error.
    #[error("it is of another type than expected")]
    MessageType,
    /// The reply is for another client.
    #[error("it is for another client")]
    Client,
    /// The reply is encrypted with an enctype that was not asked for.
    #[error("it is encrypted with enctype {0}, which was not asked for")]
    Etype(i32),
    /// We have no key that it could be encrypted with.
    #[error("it is encrypted with a key of enctype {0}, and there is none")]
    NoKey(i32),
    /// The reply of the AS does not decrypt: the password or key is wrong, or it does not come from the KDC.
    #[error("it does not decrypt, wrong password or key: {0}")]
    Secret(IntegrityError),
    /// The reply of the TGS does not decrypt: it does not come from the KDC.
    #[error("it does not decrypt: {0}")]
    Integrity(IntegrityError),
    /// The encrypted part is malformed.
    #[error("its encrypted part is malformed: {0}")]
    EncPartMalformed(DerError),
    /// The nonce is not the request's.
    #[error("it answers another request")]
    Nonce,
    /// The encrypted part names another server than the request.
    #[error("it is for another server")]
    Server,
    /// The ticket names another server than the encrypted part.
    #[error("its ticket is for another server than it says")]
    TicketServer,
    /// The session key is of an enctype that was not asked for, or is none.
    #[error("its session key cannot be used: {0}")]
    SessionKey(KeyError),
    /// The session key is of an enctype that was not asked for.
    #[error("its session key is of enctype {0}, which was not asked for")]
    SessionEtype(i32),
    /// The ticket begins too far from now.
    #[error("its ticket does not begin now, or the clocks are too far apart")]
    Starttime,
    /// The ticket ends before it begins.
    #[error("its ticket ends before it begins")]
    NeverValid,
    /// The ticket lives longer than asked for.
    #[error("its ticket ends later than asked for")]
    Endtime,
    /// The ticket can be renewed for longer than asked for, or there is no such time.
    #[error("its ticket can be renewed for longer than asked for, or it does not say how long")]
    RenewTill,
    /// The ticket has flags that were not asked for.
    #[error("its ticket has flags {0:#010x}, which were not asked for")]
    Flags(u32),
    /// A ticket of the AS exchange that does not say it is one.
    #[error("its ticket is not marked as initial")]
    NotInitial,
    /// What the KDC says of the user whom a service asks for (S4U2Self) is missing where it must be, or is not its word.
    #[error("what it says of the user does not stand under the request's key")]
    UserUnproven,
    /// The KDC passed over that a ticket for somebody else was asked for.
    #[error(
        "its ticket is for the service itself and not for the user that it asked for: the KDC does not know S4U2Self and S4U2Proxy"
    )]
    NotForUser,
    /// The ticket is bound to addresses other than those asked for.
    #[error("its ticket is bound to other addresses")]
    Addresses,
}

impl fmt::Display for KdcError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the KDC of {} answers: {} (error {})",
            Shown::new(&self.realm),
            error_code::text(self.code),
            self.code
        )?;
        match self.code {
            error_code::KDC_ERR_S_PRINCIPAL_UNKNOWN => write!(f, ": {}", self.server)?,
            _ => write!(f, ": {}", self.client)?,
        }
        self.text.iter().try_for_each(|text| write!(f, ": {text}"))
    }
}

impl ExchangeError {
    /// The names are those of the request: the KDC's may be left out, and nobody vouches for them.
    pub(crate) fn refused(
        error: &KrbError<'_>,
        realm: &[u8],
        client: &Principal,
        server: &Principal,
    ) -> Self {
        let text = error.e_text.map(|text| Shown::new(text.0).to_string());
        Self::Refused(Box::new(KdcError {
            realm: realm.to_vec(),
            code: error.error_code,
            client: client.clone(),
            server: server.clone(),
            text,
            time: kdc_time(error),
        }))
    }
}

/// The KDC's clock, as its error tells it.
pub(crate) fn kdc_time(error: &KrbError<'_>) -> Timestamp {
    Timestamp::from(error.stime) + Duration::from_micros(u64::from(error.susec.get()))
}

/// A reply of either exchange.
pub(crate) struct KdcRep<'a> {
    pub(crate) padata: Option<Vec<PaData<'a>>>,
    pub(crate) crealm: GeneralString<'a>,
    pub(crate) cname: PrincipalName<'a>,
    pub(crate) ticket: Ticket<'a>,
    pub(crate) enc_part: EncryptedData<'a>,
}

impl<'a> From<AsRep<'a>> for KdcRep<'a> {
    fn from(reply: AsRep<'a>) -> Self {
        let AsRep {
            pvno: _,
            msg_type: _,
            padata,
            crealm,
            cname,
            ticket,
            enc_part,
        } = reply;
        Self {
            padata,
            crealm,
            cname,
            ticket,
            enc_part,
        }
    }
}

impl<'a> From<TgsRep<'a>> for KdcRep<'a> {
    fn from(reply: TgsRep<'a>) -> Self {
        let TgsRep {
            pvno: _,
            msg_type: _,
            padata,
            crealm,
            cname,
            ticket,
            enc_part,
        } = reply;
        Self {
            padata,
            crealm,
            cname,
            ticket,
            enc_part,
        }
    }
}

/// A KDC's answer, by its tag.
pub(crate) enum Answer<'a> {
    Reply(KdcRep<'a>),
    Error(KrbError<'a>),
}

impl<'a> Answer<'a> {
    /// The answer to an AS-REQ.
    pub(crate) fn of_as(bytes: &'a [u8]) -> Result<Self, ReplyError> {
        Self::of(bytes, application(11), |bytes| {
            Ok(AsRep::decode(bytes)?.into())
        })
    }

    /// The answer to a TGS-REQ.
    pub(crate) fn of_tgs(bytes: &'a [u8]) -> Result<Self, ReplyError> {
        Self::of(bytes, application(13), |bytes| {
            Ok(TgsRep::decode(bytes)?.into())
        })
    }

    fn of(
        bytes: &'a [u8],
        reply: u8,
        decode: impl Fn(&'a [u8]) -> Result<KdcRep<'a>, DerError>,
    ) -> Result<Self, ReplyError> {
        match bytes.first() {
            Some(&tag) if tag == reply => decode(bytes).map(Self::Reply),
            Some(&tag) if tag == application(30) => KrbError::decode(bytes).map(Self::Error),
            _ => return Err(ReplyError::MessageType),
        }
        .map_err(ReplyError::Malformed)
    }
}

/// Which other name than the request's a reply may have for the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ServerNames<'e> {
    /// None (RFC 4120 §3.1.5).
    Exact,
    /// That of another ticket-granting service, nearer to the one that was asked for, by the KDC of this realm (RFC 4120
    /// §3.3.1).
    Nearer(&'e [u8]),
    /// The same one in another realm, or that of a ticket-granting service to go on with, by the KDC of this realm (RFC 6806 §8).
    Referred(&'e [u8]),
}

/// Which client a reply must be for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ClientNames<'e> {
    /// That of the request.
    Exact,
    /// This one, whom the request is for. A ticket-granting ticket to go on with is still for the request's.
    Other(&'e Principal),
}

/// What a request asked for, to hold a reply against.
pub(crate) struct Expected<'e> {
    pub(crate) client: &'e Principal,
    pub(crate) clients: ClientNames<'e>,
    pub(crate) server: &'e Principal,
    pub(crate) servers: ServerNames<'e>,
    pub(crate) nonce: u32,
    pub(crate) options: u32,
    pub(crate) till: KerberosTime,
    pub(crate) rtime: Option<KerberosTime>,
    pub(crate) etypes: &'e [&'static Enctype],
    /// Flags that the ticket may have unasked: those of the ticket it comes from.
    pub(crate) inherited: u32,
    /// The addresses of the ticket it comes from.
    pub(crate) addresses: &'e [Typed],
    /// When the ticket must begin, give or take; not checked where the KDC's clock is believed.
    pub(crate) begins: Option<(Timestamp, Duration)>,
}

/// Flags that a ticket has only if they were asked for: such a ticket is not usable yet, or not bound to this host, or for
/// somebody else.
const ASKED_FOR: [(u32, u32); 5] = [
    (ticket_flags::POSTDATED, kdc_options::POSTDATED),
    (ticket_flags::INVALID, kdc_options::POSTDATED),
    (ticket_flags::FORWARDED, kdc_options::FORWARDED),
    (ticket_flags::PROXY, kdc_options::PROXY),
    (ticket_flags::ANONYMOUS, kdc_options::REQUEST_ANONYMOUS),
];

impl Expected<'_> {
    /// What can be checked before the reply is decrypted.
    pub(crate) fn check_clear(&self, reply: &KdcRep<'_>) -> Result<(), ReplyError> {
        let is = |name: &Principal| reply.crealm.0 == name.realm() && reply.cname.names(name);
        let right = match self.clients {
            // That the encrypted part has the same server is checked there.
            ClientNames::Other(_) if is_krbtgt(&reply.ticket.sname) => is(self.client),
            ClientNames::Other(other) if !is(other) && is(self.client) => {
                return Err(ReplyError::NotForUser);
            }
            ClientNames::Other(other) => is(other),
            ClientNames::Exact => is(self.client),
        };
        if !right {
            return Err(ReplyError::Client);
        }
        if !self.asked_for_etype(reply.enc_part.etype) {
            return Err(ReplyError::Etype(reply.enc_part.etype));
        }
        Ok(())
    }

    /// Checks a reply that decrypted, and makes it a credential.
    pub(crate) fn check(
        &self,
        reply: &KdcRep<'_>,
        part: &EncKdcRepPart<'_>,
    ) -> Result<Credential, ReplyError> {
        if part.nonce.bits() != self.nonce {
            return Err(ReplyError::Nonce);
        }
        self.check_server(&reply.ticket, part)?;
        let starttime = self.check_times(part)?;
        self.check_flags(part.flags.bits())?;
        let renew_till = self.check_renewal(part)?;
        let addresses = self.check_addresses(part.caddr.as_deref())?;
        if !self.asked_for_etype(part.key.keytype) {
            return Err(ReplyError::SessionEtype(part.key.keytype));
        }
        let key = part.key.to_key().map_err(ReplyError::SessionKey)?;
        Ok(Credential {
            client: reply.cname.in_realm(reply.crealm),
            server: part.sname.in_realm(part.srealm),
            key: CachedKey::Key(Arc::new(key)),
            authtime: part.authtime.into(),
            starttime: starttime.into(),
            endtime: part.endtime.into(),
            renew_till,
            is_skey: false,
            flags: part.flags.bits(),
            addresses,
            authdata: Vec::new(),
            ticket: reply.ticket.encode(),
            second_ticket: Vec::new(),
        })
    }

    fn asked_for_etype(&self, etype: i32) -> bool {
        self.etypes.iter().any(|asked| asked.number() == etype)
    }

    fn check_server(
        &self,
        ticket: &Ticket<'_>,
        part: &EncKdcRepPart<'_>,
    ) -> Result<(), ReplyError> {
        let same_name = part.sname.names(self.server);
        let exact = same_name && part.srealm.0 == self.server.realm();
        let granting = |kdc: &[u8]| is_krbtgt(&part.sname) && part.srealm.0 == kdc;
        let right = match self.servers {
            ServerNames::Exact => exact,
            ServerNames::Nearer(kdc) => exact || granting(kdc),
            ServerNames::Referred(kdc) => same_name || granting(kdc),
        };
        if !right {
            return Err(ReplyError::Server);
        }
        // CVE-2017-11103: nobody vouches for the ticket's clear names.
        if ticket.realm != part.srealm || ticket.sname.name_string != part.sname.name_string {
            return Err(ReplyError::TicketServer);
        }
        Ok(())
    }

    fn check_times(&self, part: &EncKdcRepPart<'_>) -> Result<KerberosTime, ReplyError> {
        let starttime = part.starttime.unwrap_or(part.authtime);
        if let Some((now, skew)) = self.begins
            && now.abs_diff(starttime.into()) > skew
        {
            return Err(ReplyError::Starttime);
        }
        if part.endtime <= starttime {
            return Err(ReplyError::NeverValid);
        }
        // A request without an end asks for the longest life there is.
        if self.till.seconds() != 0 && part.endtime > self.till {
            return Err(ReplyError::Endtime);
        }
        Ok(starttime)
    }

    fn check_flags(&self, flags: u32) -> Result<(), ReplyError> {
        let unasked = ASKED_FOR
            .iter()
            .filter(|(flag, option)| self.options & option == 0 && self.inherited & flag == 0)
            .fold(0, |unasked, (flag, _)| unasked | flags & flag);
        if unasked == 0 {
            Ok(())
        } else {
            Err(ReplyError::Flags(unasked))
        }
    }

    fn check_renewal(&self, part: &EncKdcRepPart<'_>) -> Result<Timestamp, ReplyError> {
        if !part.flags.contains(ticket_flags::RENEWABLE) {
            return Ok(Timestamp::default());
        }
        let renew_till = part.renew_till.ok_or(ReplyError::RenewTill)?;
        let limit = if self.options & kdc_options::RENEWABLE != 0 {
            self.rtime
        } else if self.options & kdc_options::RENEWABLE_OK != 0 {
            Some(self.till)
        } else {
            None
        };
        match limit {
            Some(limit) if limit.seconds() != 0 && renew_till > limit => Err(ReplyError::RenewTill),
            _ => Ok(renew_till.into()),
        }
    }

    /// A reply may leave out the addresses of the ticket that it comes from (RFC 4120 §5.4.2).
    fn check_addresses(&self, caddr: Option<&[HostAddress<'_>]>) -> Result<Vec<Typed>, ReplyError> {
        let same = |(sent, own): (&HostAddress<'_>, &Typed)| {
            sent.addr_type == i32::from(own.kind) && sent.address == own.data
        };
        match caddr {
            None | Some([]) => {}
            Some(sent)
                if sent.len() == self.addresses.len()
                    && sent.iter().zip(self.addresses).all(same) => {}
            Some(_) => return Err(ReplyError::Addresses),
        }
        Ok(self.addresses.to_vec())
    }
}

/// Whether this names a ticket-granting service, of whatever realm.
pub(crate) fn is_krbtgt(name: &PrincipalName<'_>) -> bool {
    matches!(name.name_string.as_slice(), [first, _] if first.0 == KRBTGT)
}

/// A nonce: 31 bits, because some peers read it as a signed number.
pub(crate) fn nonce(random: &dyn wire::random::Random) -> u32 {
    u32::from_be_bytes(wire::random::array(random)) >> 1
}
