//! The AS exchange (RFC 4120 §3.1): a password or a key becomes a ticket, most often the ticket-granting one.
//!
//! An error from the KDC is unauthenticated. It may choose the enctype among those that the request lists, the salt, and
//! a string-to-key no cheaper than the enctype's own; it may ask for pre-authentication once, for a stream transport once, and where the caller
//! believes the KDC's clock, correct ours once. Nothing else hangs on it.

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use krb5_crypto::{Enctype, Key};
use wire::der::GeneralString;
use wire::random::Random;
use wire::time::Timestamp;
use zeroize::Zeroizing;

use super::kdc_reply::{Answer, ClientNames, Expected, KdcRep, ServerNames, kdc_time, nonce};
pub use super::kdc_reply::{ExchangeError, KdcError, Obtained, Progress, ReplyError};
use crate::formats::ccache::TimeOffset;
use crate::messages::{
    AsReq, Const, EncAsRepPart, EncKdcRepPart, EncryptedData, EtypeInfo2Entry, EtypeInfoEntry,
    Flags, KdcReqBody, KerberosString, KerberosTime, KrbError, MethodData, PaData, PaEncTsEnc,
    PrincipalName, Protected, Value, Word, encrypt, error_code, kdc_options, pa_type, ticket_flags,
};
use crate::principal::Principal;

/// What proves the client.
pub enum Secret {
    /// A password.
    Password(Zeroizing<Vec<u8>>),
    /// Keys and their versions, from a keytab.
    Keys(Vec<(u32, Arc<Key>)>),
}

/// What to ask for.
#[derive(Clone)]
pub struct AsOptions {
    /// Who asks.
    pub client: Principal,
    /// For which service: the ticket-granting one of the client's realm, if nothing else is said.
    pub server: Option<Principal>,
    /// KDCOptions (RFC 4120 §5.4.1), such as [`kdc_options::FORWARDABLE`].
    pub flags: u32,
    /// For how long.
    pub lifetime: Duration,
    /// For how long the ticket is to be renewable.
    pub renew_lifetime: Option<Duration>,
    /// Enctypes, the preferred first.
    pub etypes: Vec<&'static Enctype>,
    /// How far clocks may be apart.
    pub clock_skew: Duration,
    /// Whether a KDC's clock that is further away is believed, and the distance told to the caller.
    pub kdc_timesync: bool,
}

impl AsOptions {
    /// A ticket-granting ticket for ten hours, with what MIT's tools take if nothing is configured.
    pub fn new(client: Principal) -> Self {
        Self {
            client,
            server: None,
            flags: kdc_options::RENEWABLE_OK,
            lifetime: Duration::from_secs(10 * 3600),
            renew_lifetime: None,
            etypes: super::tgs::default_etypes(),
            clock_skew: Duration::from_secs(300),
            kdc_timesync: true,
        }
    }
}

/// Waits for the KDC's reply to an AS-REQ.
pub struct AsExchange {
    options: AsOptions,
    server: Principal,
    secret: Secret,
    etypes: Vec<&'static Enctype>,
    nonce: u32,
    till: KerberosTime,
    rtime: Option<KerberosTime>,
    bytes: Vec<u8>,
    stream: bool,
    /// The KDC's clock less ours, in microseconds, as an error told it.
    offset: Option<i64>,
    proof: Option<Proof>,
}

/// The key that the request's timestamp was encrypted with, and how it came about.
struct Proof {
    key: Arc<Key>,
    salt: Vec<u8>,
    s2kparams: Option<Vec<u8>>,
    cookie: Option<Vec<u8>>,
}

impl AsExchange {
    /// Makes the first request, which proves nothing yet.
    pub fn start(
        options: AsOptions,
        secret: Secret,
        now: Timestamp,
        random: &dyn Random,
    ) -> Result<Progress<Self>, ExchangeError> {
        let etypes: Vec<_> = options
            .etypes
            .iter()
            .copied()
            .filter(|etype| secret.serves(etype))
            .collect();
        if etypes.is_empty() {
            return Err(ExchangeError::NoUsableKey);
        }
        let server = options.server.clone();
        let mut machine = Self {
            server: server.unwrap_or_else(|| Principal::krbtgt(options.client.realm())),
            secret,
            etypes,
            nonce: 0,
            till: now.into(),
            rtime: None,
            bytes: Vec::new(),
            stream: false,
            offset: None,
            proof: None,
            options,
        };
        machine.write_request(now, random);
        Ok(machine.send())
    }

    /// Takes the KDC's reply.
    pub fn next(
        self,
        reply: &[u8],
        now: Timestamp,
        random: &dyn Random,
    ) -> Result<Progress<Self>, ExchangeError> {
        match Answer::of_as(reply)? {
            Answer::Reply(reply) => self
                .finish(&reply, now)
                .map(|o| Progress::Done(Box::new(o))),
            Answer::Error(error) => self.answer(&error, now, random),
        }
    }

    fn send(self) -> Progress<Self> {
        Progress::Send {
            realm: self.options.client.realm().to_vec(),
            bytes: self.bytes.clone(),
            stream: self.stream,
            next: self,
        }
    }

    fn answer(
        mut self,
        error: &KrbError<'_>,
        now: Timestamp,
        random: &dyn Random,
    ) -> Result<Progress<Self>, ExchangeError> {
        let offset = || kdc_time(error).micros().saturating_sub(now.micros());
        match error.error_code {
            error_code::KRB_ERR_RESPONSE_TOO_BIG if !self.stream => {
                self.stream = true;
                return Ok(self.send());
            }
            error_code::KDC_ERR_PREAUTH_REQUIRED if self.proof.is_none() => {
                self.proof = Some(self.prove(error.e_data.unwrap_or_default())?);
                if self.options.kdc_timesync {
                    self.offset = Some(offset());
                }
            }
            error_code::KRB_AP_ERR_SKEW if self.options.kdc_timesync && self.offset.is_none() => {
                self.offset = Some(offset());
            }
            _ => {
                let (client, server) = (&self.options.client, &self.server);
                return Err(ExchangeError::refused(
                    error,
                    client.realm(),
                    client,
                    server,
                ));
            }
        }
        self.write_request(now, random);
        Ok(self.send())
    }

    /// Chooses among what the KDC offers; the order of the enctypes is the KDC's.
    fn prove(&self, method_data: &[u8]) -> Result<Proof, ExchangeError> {
        let malformed = |error| ExchangeError::Reply(ReplyError::Malformed(error));
        let methods = MethodData::decode(method_data).map_err(malformed)?;
        let value = |kind| PaData::value_of(&methods, kind);
        if value(pa_type::PA_ENC_TIMESTAMP).is_none() {
            return Err(ExchangeError::NoCommonPreauthentication);
        }
        let info = etype_info(&methods)?.unwrap_or_else(|| {
            vec![EtypeInfo2Entry {
                etype: self.etypes[0].number(),
                salt: None,
                s2kparams: None,
            }]
        });
        let (entry, enctype) = info
            .iter()
            .find_map(|entry| Some((entry, self.requested(entry.etype)?)))
            .ok_or(ExchangeError::NoUsableKey)?;
        let salt = entry
            .salt
            .map_or_else(|| self.options.client.salt(), |salt| salt.0.to_vec());
        Ok(Proof {
            key: self.key(enctype, &salt, entry.s2kparams, None)?,
            salt,
            s2kparams: entry.s2kparams.map(<[u8]>::to_vec),
            cookie: value(pa_type::PA_FX_COOKIE).map(<[u8]>::to_vec),
        })
    }

    fn requested(&self, etype: i32) -> Option<&'static Enctype> {
        self.etypes
            .iter()
            .copied()
            .find(|requested| requested.number() == etype)
    }

    fn key(
        &self,
        enctype: &'static Enctype,
        salt: &[u8],
        s2kparams: Option<&[u8]>,
        kvno: Option<u32>,
    ) -> Result<Arc<Key>, ExchangeError> {
        match &self.secret {
            Secret::Password(password) => {
                Ok(Arc::new(enctype.string_to_key(password, salt, s2kparams)?))
            }
            Secret::Keys(keys) => {
                let fitting = || keys.iter().filter(|(_, key)| fits(key, enctype));
                // The version is a hint: keytabs of old hold 8 bits of it.
                let exact = fitting().find(|(version, _)| Some(*version) == kvno);
                let (_, key) = exact
                    .or_else(|| fitting().max_by_key(|(version, _)| *version))
                    .ok_or(ExchangeError::NoUsableKey)?;
                Ok(Arc::clone(key))
            }
        }
    }

    fn write_request(&mut self, now: Timestamp, random: &dyn Random) {
        let kdc_now = shifted(now, self.offset.unwrap_or(0));
        self.nonce = nonce(random);
        self.till = (kdc_now + self.options.lifetime).into();
        self.rtime = self
            .options
            .renew_lifetime
            .map(|life| (kdc_now + life).into());
        let timestamp = self
            .proof
            .as_ref()
            .map(|proof| enc_timestamp(&proof.key, kdc_now, random));
        let cookie = self
            .proof
            .as_ref()
            .and_then(|proof| proof.cookie.as_deref());
        let pa_data = |kind, value| PaData {
            padata_type: kind,
            padata_value: value,
        };
        let padata: Vec<_> = cookie
            .map(|cookie| pa_data(pa_type::PA_FX_COOKIE, cookie))
            .into_iter()
            .chain(
                timestamp
                    .as_deref()
                    .map(|value| pa_data(pa_type::PA_ENC_TIMESTAMP, value)),
            )
            .collect();
        let request = AsReq {
            pvno: Const,
            msg_type: Const,
            padata: (!padata.is_empty()).then_some(padata),
            req_body: KdcReqBody {
                kdc_options: Flags::from_bits(self.flags()),
                cname: Some(PrincipalName::from(&self.options.client)),
                realm: KerberosString(self.options.client.realm()),
                sname: Some(PrincipalName::from(&self.server)),
                from: None,
                till: self.till,
                rtime: self.rtime,
                nonce: Word::from(self.nonce),
                etype: self.etypes.iter().map(|etype| etype.number()).collect(),
                addresses: None,
                enc_authorization_data: None,
                additional_tickets: None,
            },
        };
        self.bytes = request.encode();
    }

    fn flags(&self) -> u32 {
        match self.options.renew_lifetime {
            Some(_) => self.options.flags | kdc_options::RENEWABLE,
            None => self.options.flags,
        }
    }

    fn finish(&self, reply: &KdcRep<'_>, now: Timestamp) -> Result<Obtained, ExchangeError> {
        let skew = self.options.clock_skew;
        let expected = Expected {
            client: &self.options.client,
            clients: ClientNames::Exact,
            server: &self.server,
            servers: ServerNames::Exact,
            nonce: self.nonce,
            options: self.flags(),
            till: self.till,
            rtime: self.rtime,
            etypes: &self.etypes,
            inherited: 0,
            addresses: &[],
            begins: (!self.options.kdc_timesync).then_some((now, skew)),
        };
        expected.check_clear(reply)?;
        let key = self.reply_key(reply)?;
        let plain = reply
            .enc_part
            .decrypt_as(&key, EncAsRepPart::USAGE)
            .map_err(ReplyError::Secret)?;
        let part = EncKdcRepPart::decode_as_rep(&plain).map_err(ReplyError::EncPartMalformed)?;
        let credential = expected.check(reply, &part)?;
        if !part.flags.contains(ticket_flags::INITIAL) {
            return Err(ReplyError::NotInitial.into());
        }
        let offset = credential.authtime.seconds().saturating_sub(now.seconds());
        let told = self.options.kdc_timesync && offset.abs() > 1;
        let time_offset = told.then(|| time_offset(offset));
        Ok(Obtained {
            credential,
            time_offset,
        })
    }

    /// The reply says itself how its key comes from a password, or it is the key of the request's timestamp.
    fn reply_key(&self, reply: &KdcRep<'_>) -> Result<Arc<Key>, ExchangeError> {
        let etype = reply.enc_part.etype;
        let enctype = self.requested(etype).ok_or(ReplyError::NoKey(etype))?;
        let padata = reply.padata.as_deref().unwrap_or_default();
        let info = etype_info(padata)?.unwrap_or_default();
        let entry = info.iter().find(|entry| entry.etype == etype);
        let own_salt = self.proof.as_ref().map(|proof| proof.salt.as_slice());
        let salt = match entry
            .and_then(|entry| entry.salt)
            .map(|salt| salt.0)
            .or(own_salt)
        {
            Some(salt) => salt.to_vec(),
            None => self.options.client.salt(),
        };
        let own_params = self
            .proof
            .as_ref()
            .and_then(|proof| proof.s2kparams.as_deref());
        let params = entry.map_or(own_params, |entry| entry.s2kparams);
        match &self.proof {
            Some(proof)
                if matches!(self.secret, Secret::Password(_))
                    && fits(&proof.key, enctype)
                    && proof.salt == salt
                    && own_params == params =>
            {
                Ok(Arc::clone(&proof.key))
            }
            _ => self.key(enctype, &salt, params, reply.enc_part.kvno.map(Word::bits)),
        }
    }
}

impl Secret {
    fn serves(&self, enctype: &'static Enctype) -> bool {
        match self {
            Self::Password(_) => true,
            Self::Keys(keys) => keys.iter().any(|(_, key)| fits(key, enctype)),
        }
    }
}

/// How keys are made from the password, as ETYPE-INFO2 tells it, or ETYPE-INFO where that is all there is (RFC 4120 §5.2.7.5).
fn etype_info<'a>(padata: &[PaData<'a>]) -> Result<Option<Vec<EtypeInfo2Entry<'a>>>, ReplyError> {
    let value = |kind| PaData::value_of(padata, kind);
    if let Some(value) = value(pa_type::PA_ETYPE_INFO2) {
        let info = Vec::<EtypeInfo2Entry<'_>>::decode(value);
        return info.map(Some).map_err(ReplyError::Malformed);
    }
    let Some(value) = value(pa_type::PA_ETYPE_INFO) else {
        return Ok(None);
    };
    let info = Vec::<EtypeInfoEntry<'_>>::decode(value).map_err(ReplyError::Malformed)?;
    let entry = |entry: EtypeInfoEntry<'a>| EtypeInfo2Entry {
        etype: entry.etype,
        salt: entry.salt.map(GeneralString),
        s2kparams: None,
    };
    Ok(Some(info.into_iter().map(entry).collect()))
}

fn fits(key: &Key, enctype: &Enctype) -> bool {
    key.enctype().number() == enctype.number()
}

/// PA-ENC-TIMESTAMP (RFC 4120 §5.2.7.2).
fn enc_timestamp(key: &Key, now: Timestamp, random: &dyn Random) -> Vec<u8> {
    let plain = PaEncTsEnc {
        patimestamp: now.into(),
        pausec: Some(now.into()),
    };
    let cipher = encrypt(&plain, key, random);
    EncryptedData::new(key, None, &cipher).encode()
}

fn shifted(time: Timestamp, micros: i64) -> Timestamp {
    Timestamp::from_micros(time.micros().saturating_add(micros))
}

fn time_offset(seconds: i64) -> TimeOffset {
    let seconds = seconds.clamp(i64::from(i32::MIN), i64::from(i32::MAX));
    TimeOffset {
        seconds: seconds as i32,
        micros: 0,
    }
}
