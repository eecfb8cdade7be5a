//! The TGS exchange (RFC 4120 §3.3): a ticket-granting ticket becomes a ticket for a service of its realm, or one to go on with.

mod options;
mod s4u;

use krb5_crypto::{Enctype, Key, KeyUsage};
use wire::random::Random;
use wire::time::Timestamp;

pub(crate) use self::options::kdc_realm;
pub use self::options::{Subject, TgsOptions};
use super::kdc_reply::{Answer, ClientNames, Expected, KdcRep, ServerNames, nonce};
pub use super::kdc_reply::{ExchangeError, KdcError, Obtained, Progress, ReplyError};
use crate::formats::ccache::{CachedKey, Credential};
use crate::formats::settings::DEFAULT_ENCTYPES;
use crate::messages::{
    ApReq, Authenticator, Checksum, Const, EncTgsRepPart, EncryptedData, EncryptionKey, Flags,
    KdcReqBody, KerberosString, KerberosTime, PaData, PrincipalName, TgsReq, Ticket, Value, Word,
    encrypt_as, error_code, kdc_options, pa_type, ticket_flags,
};
use crate::principal::Principal;

/// The enctypes that are asked for if nothing is configured, in the order in which MIT's tools have them.
pub fn default_etypes() -> Vec<&'static Enctype> {
    DEFAULT_ENCTYPES.to_vec()
}

/// What a TGS exchange gives.
pub struct TgsReply {
    /// The ticket and its session key. It may be a ticket-granting one to go on with, where that was
    /// [asked for](TgsOptions::referrable) or where a ticket-granting ticket was.
    pub credential: Credential,
    /// The user's name, where the KDC of a request [on a user's behalf](TgsOptions::for_user) vouches for it. Without, nothing
    /// says that the ticket is the user's: the credential's client is then what stood in clear.
    pub user: Option<Principal>,
    /// Whether the KDC says that it knows resource-based constrained delegation.
    pub resource_based: bool,
}

/// Waits for the KDC's reply to a TGS-REQ.
pub struct TgsExchange {
    options: TgsOptions,
    subkey: Key,
    nonce: u32,
    till: KerberosTime,
    bytes: Vec<u8>,
    stream: bool,
}

impl TgsExchange {
    /// Makes the request. `now` is the time by the KDC's clock, as far as it is known.
    pub fn start(
        options: TgsOptions,
        now: Timestamp,
        random: &dyn Random,
    ) -> Result<Progress<Self, TgsReply>, ExchangeError> {
        Ok(Self::new(options, now, random)?.send(|machine| machine))
    }

    /// The same, before it is sent.
    pub(crate) fn new(
        options: TgsOptions,
        now: Timestamp,
        random: &dyn Random,
    ) -> Result<Self, ExchangeError> {
        let CachedKey::Key(session) = &options.tgt.key else {
            return Err(ExchangeError::TicketKey);
        };
        let till = till(&options, now);
        let (subkey, nonce) = (session.enctype().random_key(random), nonce(random));
        let bytes = request(&options, session, &subkey, nonce, till, now, random)?;
        Ok(Self {
            options,
            subkey,
            nonce,
            till,
            bytes,
            stream: false,
        })
    }

    /// Takes the KDC's reply; `now` as for [`Self::start`].
    pub fn next(
        mut self,
        reply: &[u8],
        now: Timestamp,
    ) -> Result<Progress<Self, TgsReply>, ExchangeError> {
        match Answer::of_tgs(reply)? {
            Answer::Reply(reply) => Ok(Progress::Done(Box::new(self.finish(&reply, now)?))),
            Answer::Error(error)
                if error.error_code == error_code::KRB_ERR_RESPONSE_TOO_BIG && !self.stream =>
            {
                self.stream = true;
                Ok(self.send(|machine| machine))
            }
            Answer::Error(error) => {
                let TgsOptions { tgt, server, .. } = &self.options;
                let realm = self.options.kdc_realm();
                Err(ExchangeError::refused(&error, realm, &tgt.client, server))
            }
        }
    }

    /// The request on its way; `waiting` makes the machine that waits for the reply.
    pub(crate) fn send<M, D>(self, waiting: impl FnOnce(Self) -> M) -> Progress<M, D> {
        Progress::Send {
            realm: self.options.kdc_realm().to_vec(),
            bytes: self.bytes.clone(),
            stream: self.stream,
            next: waiting(self),
        }
    }

    fn finish(&self, reply: &KdcRep<'_>, now: Timestamp) -> Result<TgsReply, ReplyError> {
        let options = &self.options;
        let subkeys = [self.subkey.enctype()];
        let user = s4u::user_of_reply(options, self.nonce, &self.subkey, reply.padata.as_deref())?;
        let expected = Expected {
            client: &options.tgt.client,
            clients: self.clients(user.as_ref()),
            server: &options.server,
            servers: self.servers(),
            nonce: self.nonce,
            options: options.flags,
            till: self.till,
            rtime: rtime(options),
            etypes: &options.etypes,
            // Only what is not yet valid is asked to be made so.
            inherited: options.tgt.flags & !ticket_flags::INVALID,
            addresses: options.addresses(),
            begins: Some(options.begins(now)),
        };
        // The reply is under the subkey, whatever the enctypes asked for.
        Expected {
            etypes: &subkeys,
            ..expected
        }
        .check_clear(reply)?;
        let usage = KeyUsage::TGS_REP_ENC_PART_SUBKEY;
        let plain = reply
            .enc_part
            .decrypt_as(&self.subkey, usage)
            .map_err(ReplyError::Integrity)?;
        let part = EncTgsRepPart::decode(&plain).map_err(ReplyError::EncPartMalformed)?;
        let mut credential = expected.check(reply, &part.0)?;
        if !is_trusted_to_delegate(&options.tgt) {
            credential.flags &= !ticket_flags::OK_AS_DELEGATE;
        }
        credential.second_ticket = options.evidence().unwrap_or_default().to_vec();
        Ok(TgsReply {
            credential,
            resource_based: s4u::is_resource_based(part.0.encrypted_pa_data.as_deref())?,
            user,
        })
    }

    fn clients<'e>(&'e self, user: Option<&'e Principal>) -> ClientNames<'e> {
        match (&self.options.subject, user) {
            (Subject::Own, _) => ClientNames::Exact,
            (Subject::User(user), None) => ClientNames::Other(user),
            (Subject::User(_), Some(user)) => ClientNames::Other(user),
            (Subject::Evidence { client, .. }, _) => ClientNames::Other(client),
        }
    }

    fn servers(&self) -> ServerNames<'_> {
        let (options, kdc) = (&self.options, self.options.kdc_realm());
        if options.has(kdc_options::CANONICALIZE) {
            ServerNames::Referred(kdc)
        } else if options.server.is_krbtgt() && options.flags & ABOUT_ITSELF == 0 {
            ServerNames::Nearer(kdc)
        } else {
            ServerNames::Exact
        }
    }
}

/// Options that ask for the ticket itself once more, and for no other.
const ABOUT_ITSELF: u32 = kdc_options::RENEW | kdc_options::VALIDATE | kdc_options::FORWARDED;

/// The KDC of another realm is believed that a service may be trusted with a delegated ticket only if the one that gave
/// its ticket-granting ticket says so too. (MIT's rule; RFC 4120 §2.8 leaves it to clients.)
fn is_trusted_to_delegate(tgt: &Credential) -> bool {
    let own = Principal::krbtgt(tgt.client.realm());
    tgt.server == own || tgt.flags & ticket_flags::OK_AS_DELEGATE != 0
}

/// Zero asks for as long as there is.
fn till(options: &TgsOptions, now: Timestamp) -> KerberosTime {
    let end = options.tgt.endtime;
    match options.lifetime {
        _ if options.has(kdc_options::RENEW) => Timestamp::default(),
        Some(lifetime) => end.min(now + lifetime),
        None => end,
    }
    .into()
}

fn rtime(options: &TgsOptions) -> Option<KerberosTime> {
    (options.flags & kdc_options::RENEWABLE != 0).then(|| options.tgt.renew_till.into())
}

fn request(
    options: &TgsOptions,
    session: &Key,
    subkey: &Key,
    nonce: u32,
    till: KerberosTime,
    now: Timestamp,
    random: &dyn Random,
) -> Result<Vec<u8>, ExchangeError> {
    let req_body = KdcReqBody {
        kdc_options: Flags::from_bits(options.flags),
        cname: None,
        realm: KerberosString(options.server.realm()),
        sname: Some(PrincipalName::from(&options.server)),
        from: None,
        till,
        rtime: rtime(options),
        nonce: Word::from(nonce),
        etype: options.etypes.iter().map(|etype| etype.number()).collect(),
        addresses: None,
        enc_authorization_data: None,
        additional_tickets: additional_tickets(options)?,
    };
    let checksum = session.checksum(
        KeyUsage::TGS_REQ_AUTHENTICATOR_CHECKSUM,
        &[&req_body.encode()],
    );
    let client = &options.tgt.client;
    let authenticator = Authenticator {
        authenticator_vno: Const,
        crealm: KerberosString(client.realm()),
        cname: client.into(),
        cksum: Some(Checksum {
            cksumtype: session.enctype().checksum_type(),
            checksum: &checksum,
        }),
        cusec: now.into(),
        ctime: now.into(),
        subkey: Some(EncryptionKey::from(subkey)),
        seq_number: None,
        authorization_data: None,
    };
    let cipher = encrypt_as(
        &authenticator,
        session,
        KeyUsage::TGS_REQ_AUTHENTICATOR,
        random,
    );
    let ap_req = ApReq {
        pvno: Const,
        msg_type: Const,
        ap_options: Flags::NONE,
        ticket: Ticket::decode(&options.tgt.ticket).map_err(ExchangeError::TicketMalformed)?,
        authenticator: EncryptedData::new(session, None, &cipher),
    };
    let ap_req = ap_req.encode();
    let mut padata = vec![PaData {
        padata_type: pa_type::PA_TGS_REQ,
        padata_value: &ap_req,
    }];
    let more = s4u::padata(options, nonce, session, subkey);
    padata.extend(more.iter().map(|(kind, value)| PaData {
        padata_type: *kind,
        padata_value: value,
    }));
    let request = TgsReq {
        pvno: Const,
        msg_type: Const,
        padata: Some(padata),
        req_body,
    };
    Ok(request.encode())
}

fn additional_tickets(options: &TgsOptions) -> Result<Option<Vec<Ticket<'_>>>, ExchangeError> {
    let evidence = options.evidence().map(Ticket::decode).transpose();
    let evidence = evidence.map_err(ExchangeError::EvidenceMalformed)?;
    Ok(evidence.map(|ticket| vec![ticket]))
}
