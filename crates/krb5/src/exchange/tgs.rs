//! The TGS exchange (RFC 4120 §3.3): a ticket-granting ticket becomes a ticket for a service of its realm.

use std::time::Duration;

use krb5_crypto::{Enctype, Key, KeyUsage};
use wire::random::Random;
use wire::time::Timestamp;

use super::kdc_reply::{Answer, Expected, KdcRep, nonce};
pub use super::kdc_reply::{ExchangeError, KdcError, Obtained, Progress, ReplyError};
use crate::formats::ccache::{CachedKey, Credential, Typed};
use crate::formats::settings::DEFAULT_ENCTYPES;
use crate::messages::{
    ApReq, Authenticator, Checksum, Const, EncTgsRepPart, EncryptedData, EncryptionKey, Flags,
    KdcReqBody, KerberosString, KerberosTime, PaData, PrincipalName, TgsReq, Ticket, Value, Word,
    encrypt_as, error_code, kdc_options, pa_type, ticket_flags,
};
use crate::principal::Principal;

/// What to ask for.
#[derive(Clone)]
pub struct TgsOptions {
    /// The ticket-granting ticket.
    pub tgt: Credential,
    /// For which service, with its realm.
    pub server: Principal,
    /// KDCOptions (RFC 4120 §5.4.1).
    pub flags: u32,
    /// For how long; as long as the ticket-granting ticket lives, if nothing is said. A renewal leaves it to the KDC.
    pub lifetime: Option<Duration>,
    /// Enctypes for the session key, the preferred first.
    pub etypes: Vec<&'static Enctype>,
    /// How far clocks may be apart.
    pub clock_skew: Duration,
}

impl TgsOptions {
    /// A ticket for `server` that inherits what the ticket-granting ticket allows.
    pub fn new(tgt: Credential, server: Principal) -> Self {
        let inherited = kdc_options::FORWARDABLE | kdc_options::PROXIABLE | kdc_options::RENEWABLE;
        Self {
            flags: tgt.flags & inherited,
            tgt,
            server,
            lifetime: None,
            etypes: default_etypes(),
            clock_skew: Duration::from_secs(300),
        }
    }

    /// The same ticket once more, for as long as it lived (RFC 4120 §2.3).
    pub fn renewal(ticket: Credential) -> Self {
        let server = ticket.server.clone();
        let options = Self::new(ticket, server);
        Self {
            flags: options.flags | kdc_options::RENEW,
            ..options
        }
    }

    /// A postdated ticket whose time has come, made valid (RFC 4120 §2.5).
    pub fn validation(ticket: Credential) -> Self {
        let server = ticket.server.clone();
        let options = Self::new(ticket, server);
        Self {
            flags: options.flags | kdc_options::VALIDATE,
            ..options
        }
    }

    /// A ticket-granting ticket to send on to a service, which has no addresses (RFC 4120 §2.6). It can be forwarded
    /// further unless the caller takes [`kdc_options::FORWARDABLE`] out of the flags. Its session key ought to have an
    /// enctype that the service knows: `etypes` is for the caller to set.
    pub fn forwarded(tgt: Credential) -> Self {
        let server = tgt.server.clone();
        let options = Self::new(tgt, server);
        Self {
            flags: options.flags | kdc_options::FORWARDED,
            ..options
        }
    }

    fn has(&self, option: u32) -> bool {
        self.flags & option != 0
    }

    /// When the new ticket must begin, give or take.
    fn begins(&self, now: Timestamp) -> (Timestamp, Duration) {
        if !self.has(kdc_options::VALIDATE) {
            return (now, self.clock_skew);
        }
        // A validated ticket is the old one but for one flag.
        let Credential {
            starttime,
            authtime,
            ..
        } = self.tgt;
        let begins = if starttime == Timestamp::default() {
            authtime
        } else {
            starttime
        };
        (begins, Duration::ZERO)
    }

    /// The addresses that the new ticket may have.
    fn addresses(&self) -> &[Typed] {
        if self.has(kdc_options::FORWARDED) {
            &[]
        } else {
            &self.tgt.addresses
        }
    }
}

/// The enctypes that are asked for if nothing is configured, in the order in which MIT's tools have them.
pub fn default_etypes() -> Vec<&'static Enctype> {
    DEFAULT_ENCTYPES.to_vec()
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
    ) -> Result<Progress<Self>, ExchangeError> {
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
        }
        .send())
    }

    /// Takes the KDC's reply; `now` as for [`Self::start`].
    pub fn next(mut self, reply: &[u8], now: Timestamp) -> Result<Progress<Self>, ExchangeError> {
        match Answer::of_tgs(reply)? {
            Answer::Reply(reply) => {
                let credential = self.finish(&reply, now)?;
                Ok(Progress::Done(Box::new(Obtained {
                    credential,
                    time_offset: None,
                })))
            }
            Answer::Error(error)
                if error.error_code == error_code::KRB_ERR_RESPONSE_TOO_BIG && !self.stream =>
            {
                self.stream = true;
                Ok(self.send())
            }
            Answer::Error(error) => {
                let TgsOptions { tgt, server, .. } = &self.options;
                Err(ExchangeError::refused(&error, &tgt.client, server))
            }
        }
    }

    fn send(self) -> Progress<Self> {
        Progress::Send {
            realm: self.options.server.realm().to_vec(),
            bytes: self.bytes.clone(),
            stream: self.stream,
            next: self,
        }
    }

    fn finish(&self, reply: &KdcRep<'_>, now: Timestamp) -> Result<Credential, ReplyError> {
        let options = &self.options;
        let subkeys = [self.subkey.enctype()];
        let expected = Expected {
            client: &options.tgt.client,
            server: &options.server,
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
        expected.check(reply, &part.0)
    }
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
        additional_tickets: None,
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
    let padata = PaData {
        padata_type: pa_type::PA_TGS_REQ,
        padata_value: &ap_req,
    };
    let request = TgsReq {
        pvno: Const,
        msg_type: Const,
        padata: Some(vec![padata]),
        req_body,
    };
    Ok(request.encode())
}
