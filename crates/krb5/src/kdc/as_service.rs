//! The authentication service (RFC 4120 §3.1.2, §3.1.3).

use krb5_crypto::KeyUsage;
use wire::der::{GeneralString, Value};
use wire::time::Timestamp;

use super::grant::{Grant, Limit, OPTIONAL, first_common, within};
use super::refusal::Refusal;
use super::{AsReq, KdcKey, KdcReqBody, Service, error_code};
use crate::messages::{
    AsRep, Const, EncryptedData, EtypeInfo2Entry, EtypeInfoEntry, MethodData, PaData, PaEncTsEnc,
    PrincipalName, Ticket, kdc_options, pa_type, ticket_flags,
};
use crate::principal::Principal;

/// Options that only the ticket-granting service has, or that nobody has here.
const REFUSED: u32 = kdc_options::FORWARDED
    | kdc_options::PROXY
    | kdc_options::REQUEST_ANONYMOUS
    | kdc_options::ENC_TKT_IN_SKEY
    | kdc_options::RENEW
    | kdc_options::VALIDATE;

impl Service<'_> {
    pub(super) fn as_reply(&self, request: &AsReq<'_>) -> Result<Vec<u8>, Refusal> {
        let body = &request.req_body;
        let (name, client) = self.client(body)?;
        let (service, server) = self.server(body)?;
        if body.kdc_options.bits() & REFUSED != 0 {
            return Err(Refusal::new(error_code::KDC_ERR_BADOPTION));
        }
        if body.kdc_options.contains(kdc_options::POSTDATED) {
            return Err(Refusal::new(error_code::KDC_ERR_CANNOT_POSTDATE));
        }
        let client_key = first_common(&body.etype, client)?;
        self.check_timestamp(request, client)?;

        let times = self.times(body, Limit::NONE)?;
        let options = body.kdc_options;
        let renewable = times.renew_till.map_or(0, |_| ticket_flags::RENEWABLE);
        let flags = OPTIONAL
            .iter()
            .filter(|(option, _)| options.contains(*option))
            .fold(renewable, |flags, (_, flag)| flags | flag);
        let grant = Grant {
            client: name,
            server: service,
            server_key: &server[0],
            session: self.session_key(&body.etype, server)?,
            flags: flags | ticket_flags::INITIAL | ticket_flags::PRE_AUTHENT,
            authtime: times.starttime,
            starttime: times.starttime,
            endtime: times.endtime,
            renew_till: times.renew_till,
            caddr: body.addresses.clone(),
            authorization_data: None,
            transited: Vec::new(),
            encrypted_pa_data: Vec::new(),
        };
        self.as_rep(&grant, body, client_key)
    }

    fn as_rep(
        &self,
        grant: &Grant<'_>,
        body: &KdcReqBody<'_>,
        client_key: &KdcKey,
    ) -> Result<Vec<u8>, Refusal> {
        let KdcKey { key, kvno, salt: _ } = client_key;
        let cipher = self.enc_part::<25>(grant, body, key, KeyUsage::AS_REP_ENC_PART);
        let ticket = self.ticket(grant);
        let info = EtypeInfo::of(&[client_key], &body.etype);
        let padata = info.padata().collect();
        let reply = AsRep {
            pvno: Const,
            msg_type: Const,
            padata: client_key.salt.is_some().then_some(padata),
            crealm: GeneralString(self.kdc.principals.realm()),
            cname: PrincipalName::from(&grant.client),
            ticket: Ticket::decode(&ticket)?,
            enc_part: EncryptedData::new(key, Some(*kvno), &cipher),
        };
        Ok(reply.encode())
    }

    fn client(&self, body: &KdcReqBody<'_>) -> Result<(Principal, &[KdcKey]), Refusal> {
        let unknown = || Refusal::new(error_code::KDC_ERR_C_PRINCIPAL_UNKNOWN);
        let cname = body.cname.as_ref().ok_or_else(unknown)?;
        self.kdc.principals.newest(cname).ok_or_else(unknown)
    }

    /// Pre-authentication: the client's time, under a key of the client (RFC 4120 §5.2.7.2).
    fn check_timestamp(&self, request: &AsReq<'_>, client: &[KdcKey]) -> Result<(), Refusal> {
        let padata = request.padata.as_deref().unwrap_or_default();
        let timestamp = PaData::value_of(padata, pa_type::PA_ENC_TIMESTAMP);
        let Some(timestamp) = timestamp else {
            let required = error_code::KDC_ERR_PREAUTH_REQUIRED;
            return Err(offer(required, &request.req_body.etype, client));
        };
        let failed = || {
            offer(
                error_code::KDC_ERR_PREAUTH_FAILED,
                &request.req_body.etype,
                client,
            )
        };
        let data = EncryptedData::decode(timestamp)?;
        let key = first_common(&[data.etype], client)?;
        let plain = data.decrypt::<PaEncTsEnc>(&key.key).map_err(|_| failed())?;
        let plain = PaEncTsEnc::decode(&plain).map_err(|_| failed())?;
        if !within(moment(&plain), self.now, self.kdc.policy.clock_skew) {
            return Err(Refusal::new(error_code::KRB_AP_ERR_SKEW));
        }
        Ok(())
    }
}

fn moment(plain: &PaEncTsEnc) -> Timestamp {
    let micros = plain.pausec.map_or(0, |pausec| i64::from(pausec.get()));
    Timestamp::from_micros(Timestamp::from(plain.patimestamp).micros() + micros)
}

/// An error that says how the client can prove itself: each key once, in the order of the request. A request that names an
/// enctype many times gets no longer an answer: nobody has authenticated it, and its sender may be somebody else's address.
fn offer(code: i32, etypes: &[i32], client: &[KdcKey]) -> Refusal {
    let mut keys: Vec<&KdcKey> = Vec::with_capacity(client.len());
    for etype in etypes {
        let offered = |key: &&KdcKey| key.key.enctype().number() == *etype;
        if !keys.iter().any(offered)
            && let Some(key) = client.iter().find(offered)
        {
            keys.push(key);
        }
    }
    let info = EtypeInfo::of(&keys, etypes);
    let mut methods: MethodData<'_> = info.padata().collect();
    methods.push(PaData {
        padata_type: pa_type::PA_ENC_TIMESTAMP,
        padata_value: b"",
    });
    Refusal::with_data(code, &methods)
}

/// How to make keys from the password.
struct EtypeInfo {
    info2: Vec<u8>,
    /// For clients who know none of the "newer" enctypes (RFC 4120 §3.1.3), and no others.
    info: Option<Vec<u8>>,
}

/// The enctypes of before RFC 4120, as its §3.1.3 names them.
const OLDER: [i32; 8] = [1, 2, 3, 5, 7, 16, 23, 24];

impl EtypeInfo {
    fn of(keys: &[&KdcKey], requested: &[i32]) -> Self {
        let info2 = keys.iter().map(|key| EtypeInfo2Entry {
            etype: key.key.enctype().number(),
            salt: key.salt.as_deref().map(GeneralString),
            s2kparams: None,
        });
        let info = keys.iter().map(|key| EtypeInfoEntry {
            etype: key.key.enctype().number(),
            salt: key.salt.as_deref(),
        });
        let only_older = requested.iter().all(|etype| OLDER.contains(etype));
        Self {
            info2: info2.collect::<Vec<_>>().encode(),
            info: only_older.then(|| info.collect::<Vec<_>>().encode()),
        }
    }

    fn padata(&self) -> impl Iterator<Item = PaData<'_>> {
        let padata = |padata_type| {
            move |value| PaData {
                padata_type,
                padata_value: value,
            }
        };
        let info = self.info.as_deref().map(padata(pa_type::PA_ETYPE_INFO));
        [padata(pa_type::PA_ETYPE_INFO2)(&*self.info2)]
            .into_iter()
            .chain(info)
    }
}
