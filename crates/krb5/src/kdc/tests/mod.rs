//! The KDC and the exchanges, one against the other.

mod as_service;
mod damage;
mod tgs_service;

use std::sync::atomic::{AtomicU8, Ordering};

use krb5_crypto::{
    AES128_CTS_HMAC_SHA1_96, AES128_CTS_HMAC_SHA256_128, AES256_CTS_HMAC_SHA1_96,
    AES256_CTS_HMAC_SHA384_192, Enctype, KeyUsage,
};
use wire::random::Random;
use wire::time::Timestamp;
use zeroize::Zeroizing;

use crate::exchange::as_exchange::{
    AsExchange, AsOptions, ExchangeError, Obtained, Progress, Secret,
};
use crate::exchange::tgs::{TgsExchange, TgsOptions};
use crate::formats::ccache::{CachedKey, Credential};
use crate::kdc::{Kdc, Policy, Principals};
use crate::messages::{
    ApReq, Authenticator, AuthorizationData, AuthorizationDataElement, Checksum, Const,
    EncTicketPart, EncryptedData, Flags, KdcReqBody, KerberosString, KrbError, PaData, TgsReq,
    Ticket, Value, Word, encrypt_as, pa_type, ticket_flags,
};
use crate::principal::Principal;

const REALM: &str = "EXAMPLE.ORG";
const ALL: [&Enctype; 4] = [
    AES128_CTS_HMAC_SHA1_96,
    AES256_CTS_HMAC_SHA1_96,
    AES128_CTS_HMAC_SHA256_128,
    AES256_CTS_HMAC_SHA384_192,
];
const NOW: Timestamp = Timestamp::from_micros(1_800_000_000_250_000);

/// Bytes that count: every transcript is the same in every run.
struct Counting(AtomicU8);

impl Random for Counting {
    fn fill(&self, out: &mut [u8]) {
        out.fill_with(|| self.0.fetch_add(1, Ordering::Relaxed));
    }
}

fn counting() -> Counting {
    Counting(AtomicU8::new(0))
}

fn alice() -> Principal {
    Principal::user("alice", REALM)
}

fn web() -> Principal {
    Principal::service("HTTP", "web.example.org", REALM)
}

fn password() -> Secret {
    Secret::Password(Zeroizing::new(b"correct horse".to_vec()))
}

fn kdc(etypes: &[&'static Enctype]) -> Kdc {
    let random = counting();
    let mut principals = Principals::new(REALM, etypes, &random);
    principals
        .add_password(alice(), b"correct horse", etypes)
        .unwrap();
    principals.add_random(web(), etypes, &random);
    Kdc::new(principals, Policy::default())
}

fn log_in(
    kdc: &Kdc,
    options: AsOptions,
    secret: Secret,
    now: Timestamp,
) -> Result<Obtained, ExchangeError> {
    let random = counting();
    let mut progress = AsExchange::start(options, secret, now, &random)?;
    loop {
        progress = match progress {
            Progress::Send {
                realm,
                bytes,
                stream: _,
                next,
            } => {
                assert_eq!(realm, REALM.as_bytes());
                next.next(&kdc.reply(&bytes, NOW, &random), now, &random)?
            }
            Progress::Done(obtained) => return Ok(*obtained),
        }
    }
}

fn get_ticket(kdc: &Kdc, options: TgsOptions, now: Timestamp) -> Result<Credential, ExchangeError> {
    let random = counting();
    let mut progress = TgsExchange::start(options, now, &random)?;
    loop {
        progress = match progress {
            Progress::Send {
                realm,
                bytes,
                stream: _,
                next,
            } => {
                assert_eq!(realm, REALM.as_bytes());
                next.next(&kdc.reply(&bytes, NOW, &random), now)?
            }
            Progress::Done(obtained) => return Ok(obtained.credential),
        }
    }
}

fn options() -> AsOptions {
    AsOptions::new(alice())
}

fn logged_in(kdc: &Kdc) -> Credential {
    log_in(kdc, options(), password(), NOW).unwrap().credential
}

fn code(error: Option<ExchangeError>) -> i32 {
    match error {
        Some(ExchangeError::Refused(error)) => error.code,
        Some(other) => panic!("{other}"),
        None => panic!("a ticket"),
    }
}

fn error_of(reply: &[u8]) -> i32 {
    KrbError::decode(reply).unwrap().error_code
}

fn keys(kdc: &Kdc, principal: &Principal) -> Secret {
    let keys = kdc.principals().keys(principal).iter();
    Secret::Keys(keys.map(|key| (key.kvno, key.key.clone())).collect())
}

/// A TGS-REQ whose parts a test can change.
struct Forged {
    cksum: Option<i32>,
    subkey: bool,
    kvno: Option<u32>,
    change: fn(&mut KdcReqBody<'_>),
    data: Option<KeyUsage>,
    added: fn() -> Vec<u8>,
    checksum: fn(&mut Vec<u8>),
    /// What the body is before the checksum covers it.
    signed: fn(&mut KdcReqBody<'_>),
}

/// Authorization data of one element.
fn element(ad_type: i32, ad_data: &[u8]) -> Vec<u8> {
    vec![AuthorizationDataElement { ad_type, ad_data }].encode()
}

impl Forged {
    const GOOD: Self = Self {
        cksum: Some(16),
        subkey: true,
        kvno: Some(1),
        change: |_| {},
        data: None,
        added: || element(77, b"added"),
        checksum: |_| {},
        signed: |_| {},
    };

    fn encode(&self, kdc: &Kdc, tgt: &Credential) -> Vec<u8> {
        let random = counting();
        let CachedKey::Key(session) = &tgt.key else {
            panic!("a key")
        };
        let options = TgsOptions {
            etypes: Enctype::all().iter().collect(),
            ..TgsOptions::new(tgt.clone(), web())
        };
        let Progress::Send { bytes, .. } = TgsExchange::start(options, NOW, &random).unwrap()
        else {
            panic!("a request");
        };
        let request = TgsReq::decode(&bytes).unwrap();
        let mut body = request.req_body;
        let added = (self.added)();
        let added = AuthorizationData::decode(&added).unwrap();
        let subkey = AES128_CTS_HMAC_SHA1_96.random_key(&random);
        let key = if self.subkey { &subkey } else { session };
        let added = self
            .data
            .map(|usage| encrypt_as(&added, key, usage, &random));
        body.enc_authorization_data = added
            .as_deref()
            .map(|added| EncryptedData::new(key, None, added));
        let usage = KeyUsage::TGS_REQ_AUTHENTICATOR_CHECKSUM;
        (self.signed)(&mut body);
        let mut checksum = session.checksum(usage, &[&body.encode()]);
        (self.checksum)(&mut checksum);
        (self.change)(&mut body);
        let client = alice();
        let authenticator = Authenticator {
            authenticator_vno: Const,
            crealm: KerberosString(REALM.as_bytes()),
            cname: (&client).into(),
            cksum: self.cksum.map(|cksumtype| Checksum {
                cksumtype,
                checksum: &checksum,
            }),
            cusec: NOW.into(),
            ctime: NOW.into(),
            subkey: self.subkey.then(|| (&subkey).into()),
            seq_number: None,
            authorization_data: None,
        };
        let usage = KeyUsage::TGS_REQ_AUTHENTICATOR;
        let cipher = encrypt_as(&authenticator, session, usage, &random);
        let mut ticket = Ticket::decode(&tgt.ticket).unwrap();
        ticket.enc_part.kvno = self.kvno.map(Word::from);
        let header = ApReq {
            pvno: Const,
            msg_type: Const,
            ap_options: Flags::NONE,
            ticket,
            authenticator: EncryptedData::new(session, None, &cipher),
        };
        let header = header.encode();
        let padata = PaData {
            padata_type: pa_type::PA_TGS_REQ,
            padata_value: &header,
        };
        let request = TgsReq {
            pvno: Const,
            msg_type: Const,
            padata: Some(vec![padata]),
            req_body: body,
        };
        kdc.reply(&request.encode(), NOW, &random)
    }
}

#[test]
fn a_password_becomes_a_service_ticket_in_each_enctype() {
    for etype in Enctype::all() {
        let kdc = kdc(&[etype]);
        let etypes = vec![etype];
        let options = AsOptions {
            etypes: etypes.clone(),
            ..options()
        };
        let tgt = log_in(&kdc, options, password(), NOW).unwrap().credential;
        assert_eq!(
            (&tgt.client, &tgt.server),
            (&alice(), &Principal::krbtgt(REALM))
        );
        let options = TgsOptions {
            etypes,
            ..TgsOptions::new(tgt.clone(), web())
        };
        let service = get_ticket(&kdc, options, NOW).unwrap();
        assert_eq!((&service.client, &service.server), (&alice(), &web()));
        assert_eq!(
            (service.authtime, service.endtime),
            (tgt.authtime, tgt.endtime)
        );

        let ticket = Ticket::decode(&service.ticket).unwrap();
        let key = &kdc.principals().keys(&web())[0].key;
        let plain = ticket.enc_part.decrypt::<EncTicketPart<'_>>(key).unwrap();
        let part = EncTicketPart::decode(&plain).unwrap();
        assert_eq!(part.cname.in_realm(part.crealm), alice());
        assert_eq!(part.transited.contents, b"");
        assert_eq!(part.key.keytype, etype.number());
        assert_eq!(part.flags.bits(), service.flags);
        let expected = ticket_flags::PRE_AUTHENT | ticket_flags::TRANSITED_POLICY_CHECKED;
        assert_eq!(service.flags, expected);
    }
}

#[test]
fn transcripts_are_exact() {
    let run = || {
        let kdc = kdc(&ALL);
        let random = counting();
        let Progress::Send {
            bytes: first, next, ..
        } = AsExchange::start(options(), password(), NOW, &random).unwrap()
        else {
            panic!("a request");
        };
        let required = kdc.reply(&first, NOW, &random);
        let Progress::Send { bytes: second, .. } = next.next(&required, NOW, &random).unwrap()
        else {
            panic!("a request");
        };
        let granted = kdc.reply(&second, NOW, &random);
        [first, required, second, granted]
    };
    assert_eq!(run(), run());
}
