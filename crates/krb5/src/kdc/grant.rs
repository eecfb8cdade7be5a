//! What both services do alike: choose keys, decide times and flags, seal the ticket and the reply.

use std::time::Duration;

use krb5_crypto::{Enctype, Key, KeyUsage};
use wire::der::{Application, GeneralString};
use wire::time::Timestamp;

use super::refusal::Refusal;
use super::{KdcKey, KdcReqBody, Service, error_code, signature};
use crate::exchange::kdc_reply::is_krbtgt;
use crate::exchange::transited::DOMAIN_X500_COMPRESS;
use crate::messages::{
    AuthorizationData, Const, EncKdcRepPart, EncTicketPart, EncryptedData, EncryptionKey, Flags,
    HostAddress, KerberosTime, LastReqEntry, PaData, PrincipalName, Ticket, TransitedEncoding,
    encrypt, encrypt_as, kdc_options, ticket_flags,
};
use crate::principal::Principal;

/// A ticket that is decided upon.
pub(super) struct Grant<'g> {
    pub(super) client: Principal,
    pub(super) server: Principal,
    pub(super) server_key: &'g KdcKey,
    pub(super) session: Key,
    pub(super) flags: u32,
    /// The realms that the ticket came through (RFC 4120 §3.3.3.2).
    pub(super) transited: Vec<u8>,
    pub(super) authtime: KerberosTime,
    pub(super) starttime: KerberosTime,
    pub(super) endtime: KerberosTime,
    pub(super) renew_till: Option<KerberosTime>,
    pub(super) caddr: Option<Vec<HostAddress<'g>>>,
    pub(super) authorization_data: Option<AuthorizationData<'g>>,
    /// What the reply's encrypted part says besides (RFC 6806 §11).
    pub(super) encrypted_pa_data: Vec<(i32, Vec<u8>)>,
}

/// When a ticket begins, ends, and can be renewed until.
pub(super) struct Times {
    pub(super) starttime: KerberosTime,
    pub(super) endtime: KerberosTime,
    pub(super) renew_till: Option<KerberosTime>,
}

impl<'k> Service<'k> {
    /// The server that the request names, of this realm; else, where the request allows it or is for a ticket-granting
    /// service, the ticket-granting service to go on with (RFC 4120 §3.3.1, RFC 6806 §8).
    pub(super) fn server(
        &self,
        body: &KdcReqBody<'_>,
    ) -> Result<(Principal, &'k [KdcKey]), Refusal> {
        let unknown = || Refusal::new(error_code::KDC_ERR_S_PRINCIPAL_UNKNOWN);
        let principals = &self.kdc.principals;
        if body.realm.0 != principals.realm() {
            return Err(Refusal::new(error_code::KDC_ERR_WRONG_REALM));
        }
        let sname = body.sname.as_ref().ok_or_else(unknown)?;
        let may_refer = body.kdc_options.contains(kdc_options::CANONICALIZE) || is_krbtgt(sname);
        principals
            .newest(sname)
            .or_else(|| principals.referral(sname).filter(|_| may_refer))
            .ok_or_else(unknown)
    }

    /// A session key of the first enctype in the request that the server has too.
    pub(super) fn session_key(&self, etypes: &[i32], server: &[KdcKey]) -> Result<Key, Refusal> {
        let enctype = first_common(etypes, server)?.key.enctype();
        Ok(enctype.random_key(self.random))
    }

    /// Times as the request and the realm's policy have them, within `limit` (RFC 4120 §3.1.3).
    pub(super) fn times(&self, body: &KdcReqBody<'_>, limit: Limit) -> Result<Times, Refusal> {
        let policy = &self.kdc.policy;
        let starttime = KerberosTime::from(self.now);
        let from = body.from.map_or(self.now, Timestamp::from);
        if from > self.now + policy.clock_skew {
            return Err(Refusal::new(error_code::KDC_ERR_CANNOT_POSTDATE));
        }
        let longest = self.now + policy.max_life;
        let till = requested(body.till);
        let endtime: KerberosTime = till.min(longest).min(limit.endtime).into();
        if endtime <= starttime {
            return Err(Refusal::new(error_code::KDC_ERR_NEVER_VALID));
        }
        let options = body.kdc_options;
        let wanted = if options.contains(kdc_options::RENEWABLE) {
            Some(body.rtime.map_or(Timestamp::MAX, requested))
        } else if options.contains(kdc_options::RENEWABLE_OK) && till > longest {
            Some(till)
        } else {
            None
        };
        let most = self.now + policy.max_renewable_life;
        let renew_till = wanted
            .zip(limit.renew_till)
            .map(|(wanted, limit)| KerberosTime::from(wanted.min(most).min(limit)));
        // A ticket that cannot be renewed past its end is not renewable.
        Ok(Times {
            starttime,
            endtime,
            renew_till: renew_till.filter(|&until| until > endtime),
        })
    }

    /// The ticket; signed, if it is one for a service that may show it as evidence.
    pub(super) fn ticket(&self, grant: &Grant<'_>) -> Vec<u8> {
        let mut part = EncTicketPart {
            flags: Flags::from_bits(grant.flags),
            key: EncryptionKey::from(&grant.session),
            crealm: GeneralString(grant.client.realm()),
            cname: PrincipalName::from(&grant.client),
            transited: TransitedEncoding {
                tr_type: DOMAIN_X500_COMPRESS,
                contents: &grant.transited,
            },
            authtime: grant.authtime,
            starttime: Some(grant.starttime),
            endtime: grant.endtime,
            renew_till: grant.renew_till,
            caddr: grant.caddr.clone(),
            authorization_data: grant.authorization_data.clone(),
        };
        let principals = &self.kdc.principals;
        let concerned = principals.delegations.concern(&grant.server);
        let signature = concerned.then(|| signature::sign(principals, &grant.server, &part));
        if let Some(signature) = &signature {
            signature::add(&mut part, signature);
        }
        let KdcKey { key, kvno, salt: _ } = grant.server_key;
        let cipher = encrypt(&part, key, self.random);
        let ticket = Ticket {
            tkt_vno: Const,
            realm: GeneralString(principals.realm()),
            sname: PrincipalName::from(&grant.server),
            enc_part: EncryptedData::new(key, Some(*kvno), &cipher),
        };
        ticket.encode()
    }

    /// The reply's encrypted part, under the application tag `TAG`.
    pub(super) fn enc_part<const TAG: u8>(
        &self,
        grant: &Grant<'_>,
        body: &KdcReqBody<'_>,
        key: &Key,
        usage: KeyUsage,
    ) -> Vec<u8> {
        let part = EncKdcRepPart {
            key: EncryptionKey::from(&grant.session),
            last_req: vec![LastReqEntry {
                lr_type: 0,
                lr_value: grant.starttime,
            }],
            nonce: body.nonce,
            key_expiration: None,
            flags: Flags::from_bits(grant.flags),
            authtime: grant.authtime,
            starttime: Some(grant.starttime),
            endtime: grant.endtime,
            renew_till: grant.renew_till,
            srealm: GeneralString(self.kdc.principals.realm()),
            sname: PrincipalName::from(&grant.server),
            caddr: grant.caddr.clone(),
            encrypted_pa_data: pa_data(&grant.encrypted_pa_data),
        };
        encrypt_as(&Application::<TAG, _>(part), key, usage, self.random)
    }
}

/// Pre-authentication data for a message, or none if there is nothing in it.
pub(super) fn pa_data(values: &[(i32, Vec<u8>)]) -> Option<Vec<PaData<'_>>> {
    let data = values.iter().map(|(kind, value)| PaData {
        padata_type: *kind,
        padata_value: value,
    });
    (!values.is_empty()).then(|| data.collect())
}

/// What another ticket allows at most.
#[derive(Clone, Copy)]
pub(super) struct Limit {
    pub(super) endtime: Timestamp,
    /// `None` if nothing can be renewed.
    pub(super) renew_till: Option<Timestamp>,
}

impl Limit {
    /// The AS knows no limit but the policy.
    pub(super) const NONE: Self = Self {
        endtime: Timestamp::MAX,
        renew_till: Some(Timestamp::MAX),
    };
}

/// The key of the first enctype in the request that is among `keys`.
pub(super) fn first_common<'k>(etypes: &[i32], keys: &'k [KdcKey]) -> Result<&'k KdcKey, Refusal> {
    etypes
        .iter()
        .find_map(|etype| keys.iter().find(|key| key.key.enctype().number() == *etype))
        .ok_or(Refusal::new(error_code::KDC_ERR_ETYPE_NOSUPP))
}

/// The flags that an option of the request sets, where nothing forbids it.
pub(super) const OPTIONAL: [(u32, u32); 2] = [
    (kdc_options::FORWARDABLE, ticket_flags::FORWARDABLE),
    (kdc_options::PROXIABLE, ticket_flags::PROXIABLE),
];

/// Whether two moments are no further apart than clocks may be.
pub(super) fn within(a: Timestamp, b: Timestamp, skew: Duration) -> bool {
    a.abs_diff(b) <= skew
}

/// The enctype of `number`, or the refusal that says there is none.
pub(super) fn enctype(number: i32) -> Result<&'static Enctype, Refusal> {
    Enctype::from_number(number).ok_or(Refusal::new(error_code::KDC_ERR_ETYPE_NOSUPP))
}

/// A time of zero asks for as much as there is.
fn requested(time: KerberosTime) -> Timestamp {
    if time.seconds() == 0 {
        Timestamp::MAX
    } else {
        time.into()
    }
}
