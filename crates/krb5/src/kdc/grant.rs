//! What both services do alike: choose keys, decide times and flags, seal the ticket and the reply.

use std::time::Duration;

use krb5_crypto::{Enctype, Key, KeyUsage};
use wire::der::{Application, GeneralString};
use wire::time::Timestamp;

use super::refusal::Refusal;
use super::{KdcKey, KdcReqBody, Service, error_code};
use crate::messages::{
    AuthorizationData, Const, EncKdcRepPart, EncTicketPart, EncryptedData, EncryptionKey, Flags,
    HostAddress, KerberosTime, LastReqEntry, PrincipalName, Ticket, TransitedEncoding, encrypt,
    encrypt_as, kdc_options, ticket_flags,
};

/// Domain-X500-compress (RFC 4120 §3.3.3.2), of no realms.
const NO_REALMS: TransitedEncoding<'_> = TransitedEncoding {
    tr_type: 1,
    contents: b"",
};

/// A ticket that is decided upon.
pub(super) struct Grant<'g> {
    pub(super) client: PrincipalName<'g>,
    pub(super) server: PrincipalName<'g>,
    pub(super) server_key: &'g KdcKey,
    pub(super) session: Key,
    pub(super) flags: u32,
    pub(super) authtime: KerberosTime,
    pub(super) starttime: KerberosTime,
    pub(super) endtime: KerberosTime,
    pub(super) renew_till: Option<KerberosTime>,
    pub(super) caddr: Option<Vec<HostAddress<'g>>>,
    pub(super) authorization_data: Option<AuthorizationData<'g>>,
}

/// When a ticket begins, ends, and can be renewed until.
pub(super) struct Times {
    pub(super) starttime: KerberosTime,
    pub(super) endtime: KerberosTime,
    pub(super) renew_till: Option<KerberosTime>,
}

impl<'k> Service<'k> {
    /// The server that the request names, of this realm.
    pub(super) fn server<'b>(
        &self,
        body: &'b KdcReqBody<'_>,
    ) -> Result<(&'b PrincipalName<'b>, &'k [KdcKey]), Refusal> {
        let unknown = || Refusal::new(error_code::KDC_ERR_S_PRINCIPAL_UNKNOWN);
        if body.realm.0 != self.kdc.principals.realm() {
            return Err(Refusal::new(error_code::KDC_ERR_WRONG_REALM));
        }
        let sname = body.sname.as_ref().ok_or_else(unknown)?;
        let keys = self.kdc.principals.newest(sname).ok_or_else(unknown)?;
        Ok((sname, keys))
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

    /// The ticket.
    pub(super) fn ticket(&self, grant: &Grant<'_>) -> Vec<u8> {
        let realm = GeneralString(self.kdc.principals.realm());
        let part = EncTicketPart {
            flags: Flags::from_bits(grant.flags),
            key: EncryptionKey::from(&grant.session),
            crealm: realm,
            cname: grant.client.clone(),
            transited: NO_REALMS,
            authtime: grant.authtime,
            starttime: Some(grant.starttime),
            endtime: grant.endtime,
            renew_till: grant.renew_till,
            caddr: grant.caddr.clone(),
            authorization_data: grant.authorization_data.clone(),
        };
        let KdcKey { key, kvno, salt: _ } = grant.server_key;
        let cipher = encrypt(&part, key, self.random);
        let ticket = Ticket {
            tkt_vno: Const,
            realm,
            sname: grant.server.clone(),
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
            sname: grant.server.clone(),
            caddr: grant.caddr.clone(),
            encrypted_pa_data: None,
        };
        encrypt_as(&Application::<TAG, _>(part), key, usage, self.random)
    }
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
