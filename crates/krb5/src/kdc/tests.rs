//! The KDC and the exchanges, one against the other.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use krb5_crypto::{
    AES128_CTS_HMAC_SHA1_96, AES128_CTS_HMAC_SHA256_128, AES256_CTS_HMAC_SHA1_96,
    AES256_CTS_HMAC_SHA384_192, Enctype, IntegrityError, KeyUsage,
};
use wire::random::Random;
use wire::time::Timestamp;
use zeroize::Zeroizing;

use super::*;
use crate::exchange::as_exchange::{
    AsExchange, AsOptions, ExchangeError, Obtained, Progress, ReplyError, Secret,
};
use crate::exchange::tgs::{TgsExchange, TgsOptions};
use crate::formats::ccache::{CachedKey, Credential};
use crate::messages::{
    ApReq, AsRep, Authenticator, AuthorizationData, AuthorizationDataElement, Checksum, Const,
    EncTicketPart, EncryptedData, EtypeInfo2Entry, Flags, KerberosString, MethodData, PaData,
    TgsRep, Ticket, Value, Word, encrypt_as, kdc_options, pa_type, ticket_flags,
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

#[test]
fn a_password_becomes_a_service_ticket_in_each_enctype() {
    for etype in ALL {
        let kdc = kdc(&[etype]);
        let tgt = log_in(&kdc, AsOptions::new(alice()), password(), NOW)
            .unwrap()
            .credential;
        assert_eq!(
            (&tgt.client, &tgt.server),
            (&alice(), &Principal::krbtgt(REALM))
        );
        let service = get_ticket(&kdc, TgsOptions::new(tgt.clone(), web()), NOW).unwrap();
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

#[test]
fn keys_of_a_keytab_serve_too() {
    let mut kdc = kdc(&ALL);
    let secret = keys(&kdc, &alice());
    assert!(log_in(&kdc, options(), secret, NOW).is_ok());
    // A password that changed: the new keys serve, the old ones do not.
    let old = keys(&kdc, &alice());
    kdc.principals_mut()
        .add_password(alice(), b"battery staple", &ALL)
        .unwrap();
    assert_eq!(kdc.principals().keys(&alice())[0].kvno, 2);
    let refused = log_in(&kdc, options(), old, NOW).err();
    assert_eq!(code(refused), error_code::KDC_ERR_PREAUTH_FAILED);
    let secret = keys(&kdc, &alice());
    assert!(log_in(&kdc, options(), secret, NOW).is_ok());
}

#[test]
fn tickets_under_an_older_key_of_the_realm_stay_good() {
    let mut kdc = kdc(&ALL);
    let tgt = logged_in(&kdc);
    kdc.principals_mut()
        .add_random(Principal::krbtgt(REALM), &ALL, &counting());
    assert!(get_ticket(&kdc, TgsOptions::new(tgt, web()), NOW).is_ok());
    let ticket = logged_in(&kdc).ticket;
    assert_eq!(
        Ticket::decode(&ticket)
            .unwrap()
            .enc_part
            .kvno
            .unwrap()
            .bits(),
        2
    );
}

#[test]
fn the_session_key_follows_the_requests_order() {
    let kdc = kdc(&ALL);
    for first in ALL {
        let mut etypes = vec![first];
        etypes.extend(ALL);
        let tgt = log_in(
            &kdc,
            AsOptions {
                etypes,
                ..options()
            },
            password(),
            NOW,
        )
        .unwrap();
        let CachedKey::Key(key) = &tgt.credential.key else {
            panic!("a key")
        };
        assert_eq!(key.enctype().number(), first.number());
    }
}

#[test]
fn the_as_refuses_with_the_standards_codes() {
    let refused = |options: AsOptions| code(log_in(&kdc(&ALL), options, password(), NOW).err());
    let nobody = Principal::user("nobody", REALM);
    assert_eq!(
        refused(AsOptions::new(nobody.clone())),
        error_code::KDC_ERR_C_PRINCIPAL_UNKNOWN
    );
    let server = |server| AsOptions {
        server: Some(server),
        ..options()
    };
    assert_eq!(
        refused(server(nobody)),
        error_code::KDC_ERR_S_PRINCIPAL_UNKNOWN
    );
    let lifetime = Duration::ZERO;
    assert_eq!(
        refused(AsOptions {
            lifetime,
            ..options()
        }),
        error_code::KDC_ERR_NEVER_VALID
    );
    for flags in [
        kdc_options::PROXY,
        kdc_options::FORWARDED,
        kdc_options::RENEW,
        kdc_options::VALIDATE,
        kdc_options::ENC_TKT_IN_SKEY,
        kdc_options::REQUEST_ANONYMOUS,
    ] {
        assert_eq!(
            refused(AsOptions { flags, ..options() }),
            error_code::KDC_ERR_BADOPTION
        );
    }
    let flags = kdc_options::POSTDATED;
    assert_eq!(
        refused(AsOptions { flags, ..options() }),
        error_code::KDC_ERR_CANNOT_POSTDATE
    );
    let only = kdc(&[AES128_CTS_HMAC_SHA1_96]);
    let etypes = vec![AES256_CTS_HMAC_SHA1_96];
    let refused = log_in(
        &only,
        AsOptions {
            etypes,
            ..options()
        },
        password(),
        NOW,
    )
    .err();
    assert_eq!(code(refused), error_code::KDC_ERR_ETYPE_NOSUPP);
    let wrong = Secret::Password(Zeroizing::new(b"wrong".to_vec()));
    let refused = log_in(&only, options(), wrong, NOW).err();
    let text = refused.as_ref().map(ToString::to_string);
    assert!(text.is_some_and(|text| text.contains("wrong password or key")));
    assert_eq!(code(refused), error_code::KDC_ERR_PREAUTH_FAILED);
}

#[test]
fn a_clock_that_is_off_is_refused_or_followed() {
    let kdc = kdc(&ALL);
    for now in [
        NOW - Duration::from_secs(301),
        NOW + Duration::from_secs(301),
    ] {
        let own = AsOptions {
            kdc_timesync: false,
            ..options()
        };
        let refused = log_in(&kdc, own, password(), now).err();
        assert_eq!(code(refused), error_code::KRB_AP_ERR_SKEW);
        let followed = log_in(&kdc, options(), password(), now).unwrap();
        let seconds = (NOW.seconds() - now.seconds()) as i32;
        assert_eq!(followed.time_offset.unwrap().seconds, seconds);
    }
    let within = AsOptions {
        kdc_timesync: false,
        ..options()
    };
    assert!(log_in(&kdc, within, password(), NOW - Duration::from_secs(300)).is_ok());
}

#[test]
fn pre_authentication_is_required_and_described() {
    let kdc = kdc(&ALL);
    let random = counting();
    let etypes = vec![AES128_CTS_HMAC_SHA256_128, AES256_CTS_HMAC_SHA1_96];
    let options = AsOptions {
        etypes,
        ..options()
    };
    let Progress::Send { bytes, .. } =
        AsExchange::start(options, password(), NOW, &random).unwrap()
    else {
        panic!("a request");
    };
    let reply = kdc.reply(&bytes, NOW, &random);
    let error = KrbError::decode(&reply).unwrap();
    assert_eq!(error.error_code, error_code::KDC_ERR_PREAUTH_REQUIRED);
    assert_eq!(error.stime, NOW.into());
    let methods = MethodData::decode(error.e_data.unwrap()).unwrap();
    let info = methods
        .iter()
        .find(|pa| pa.padata_type == pa_type::PA_ETYPE_INFO2)
        .unwrap();
    let info = Vec::<EtypeInfo2Entry<'_>>::decode(info.padata_value).unwrap();
    assert_eq!(
        info.iter().map(|entry| entry.etype).collect::<Vec<_>>(),
        [19, 18]
    );
    assert_eq!(info[0].salt.unwrap().0, b"EXAMPLE.ORGalice");
}

/// An answer to somebody who proved nothing is not much longer than the question.
#[test]
fn an_enctype_asked_for_many_times_is_described_once() {
    let kdc = kdc(&ALL);
    let random = counting();
    let Progress::Send { bytes, .. } =
        AsExchange::start(options(), password(), NOW, &random).unwrap()
    else {
        panic!("a request");
    };
    let mut request = AsReq::decode(&bytes).unwrap();
    let offered = |request: &AsReq<'_>| kdc.reply(&request.encode(), NOW, &random);
    request.req_body.etype = vec![18, 23, 19];
    let once = offered(&request);
    request.req_body.etype = vec![18, 18, 23, 19, 18, 19];
    assert_eq!(offered(&request), once);
}

#[test]
fn lifetimes_and_flags_are_what_request_and_policy_allow() {
    let kdc = kdc(&ALL);
    let hours = |hours: u64| Duration::from_secs(hours * 3600);
    let tgt = |options: AsOptions| log_in(&kdc, options, password(), NOW).unwrap().credential;
    let start = Timestamp::from_seconds(NOW.seconds());

    let plain = tgt(AsOptions {
        lifetime: hours(1),
        ..options()
    });
    assert_eq!(
        (plain.endtime, plain.renew_till),
        (start + hours(1), Timestamp::default())
    );
    assert_eq!(
        plain.flags,
        ticket_flags::INITIAL | ticket_flags::PRE_AUTHENT
    );

    // A life beyond the longest: renewable instead, where that will do.
    let long = tgt(AsOptions {
        lifetime: hours(48),
        ..options()
    });
    assert_eq!(
        (long.endtime, long.renew_till),
        (start + hours(24), start + hours(48))
    );
    let long = tgt(AsOptions {
        lifetime: hours(48),
        flags: 0,
        ..options()
    });
    assert_eq!(
        (long.endtime, long.renew_till),
        (start + hours(24), Timestamp::default())
    );

    let flags = kdc_options::FORWARDABLE | kdc_options::PROXIABLE;
    let renew_lifetime = Some(hours(1000));
    let full = tgt(AsOptions {
        flags,
        renew_lifetime,
        ..options()
    });
    assert_eq!(full.renew_till, start + hours(24 * 7));
    let expected = ticket_flags::FORWARDABLE | ticket_flags::PROXIABLE | ticket_flags::RENEWABLE;
    assert_eq!(full.flags & expected, expected);

    let service = get_ticket(&kdc, TgsOptions::new(full.clone(), web()), NOW).unwrap();
    assert_eq!(service.flags & (expected | ticket_flags::INITIAL), expected);
    let lifetime = Some(hours(2));
    let short = TgsOptions {
        lifetime,
        ..TgsOptions::new(full, web())
    };
    assert_eq!(
        get_ticket(&kdc, short, NOW).unwrap().endtime,
        start + hours(2)
    );

    // Nothing comes out of a ticket that is not in it.
    let flags = kdc_options::FORWARDABLE | kdc_options::RENEWABLE;
    let more = get_ticket(
        &kdc,
        TgsOptions {
            flags,
            ..TgsOptions::new(plain, web())
        },
        NOW,
    )
    .unwrap();
    assert_eq!(more.flags & expected, 0);
}

#[test]
fn tickets_are_renewed_and_forwarded() {
    let kdc = kdc(&ALL);
    let krbtgt = || Principal::krbtgt(REALM);
    let renew_lifetime = Some(Duration::from_secs(3600 * 24));
    let lifetime = Duration::from_secs(3600);
    let flags = kdc_options::FORWARDABLE;
    let with = AsOptions {
        renew_lifetime,
        lifetime,
        flags,
        ..options()
    };
    let tgt = log_in(&kdc, with, password(), NOW).unwrap().credential;

    let later = NOW + Duration::from_secs(1800);
    let renewed = exchange_at(&kdc, TgsOptions::renewal(tgt.clone()), later).unwrap();
    assert_eq!(renewed.endtime, tgt.endtime + Duration::from_secs(1800));
    assert_eq!(renewed.renew_till, tgt.renew_till);
    assert_eq!(renewed.flags, tgt.flags & !ticket_flags::INITIAL);

    // What is renewed is the ticket that is shown, not one for somebody else.
    let other = TgsOptions {
        server: web(),
        ..TgsOptions::renewal(tgt.clone())
    };
    let refused = exchange_at(&kdc, other, later).err();
    assert_eq!(code(refused), error_code::KDC_ERR_BADOPTION);

    let flags = kdc_options::FORWARDED;
    let forward = TgsOptions {
        flags,
        ..TgsOptions::new(tgt, krbtgt())
    };
    let forwarded = get_ticket(&kdc, forward, NOW).unwrap();
    assert_ne!(forwarded.flags & ticket_flags::FORWARDED, 0);

    let plain = logged_in(&kdc);
    for flags in [
        kdc_options::RENEW,
        kdc_options::FORWARDED,
        kdc_options::PROXY,
        kdc_options::VALIDATE,
    ] {
        let options = TgsOptions {
            flags,
            ..TgsOptions::new(plain.clone(), krbtgt())
        };
        let refused = get_ticket(&kdc, options, NOW).err();
        assert_eq!(code(refused), error_code::KDC_ERR_BADOPTION);
    }
}

/// Asks for more than the ticket-granting ticket has.
fn unlimited(mut options: TgsOptions) -> TgsOptions {
    options.tgt.endtime = Timestamp::MAX;
    options
}

/// A TGS exchange in which both clocks show `now`.
fn exchange_at(
    kdc: &Kdc,
    options: TgsOptions,
    now: Timestamp,
) -> Result<Credential, ExchangeError> {
    let random = counting();
    let Progress::Send { bytes, next, .. } = TgsExchange::start(options, now, &random)? else {
        panic!("a request");
    };
    match next.next(&kdc.reply(&bytes, now, &random), now)? {
        Progress::Done(obtained) => Ok(obtained.credential),
        Progress::Send { .. } => panic!("a reply ends the exchange"),
    }
}

#[test]
fn the_tgs_refuses_with_the_standards_codes() {
    let kdc = kdc(&ALL);
    let tgt = logged_in(&kdc);
    let refused = |change: &dyn Fn(&mut TgsOptions), now| {
        let mut options = TgsOptions::new(tgt.clone(), web());
        change(&mut options);
        code(get_ticket(&kdc, options, now).err())
    };
    let nobody = Principal::user("nobody", REALM);
    assert_eq!(
        refused(&|o| o.server = nobody.clone(), NOW),
        error_code::KDC_ERR_S_PRINCIPAL_UNKNOWN
    );
    assert_eq!(
        refused(&|o| o.tgt.client = nobody.clone(), NOW),
        error_code::KRB_AP_ERR_BADMATCH
    );
    for now in [
        NOW - Duration::from_secs(301),
        NOW + Duration::from_secs(301),
    ] {
        assert_eq!(refused(&|_| {}, now), error_code::KRB_AP_ERR_SKEW);
    }
    let other_key = || CachedKey::Key(Arc::new(AES256_CTS_HMAC_SHA1_96.random_key(&counting())));
    assert_eq!(
        refused(&|o| o.tgt.key = other_key(), NOW),
        error_code::KRB_AP_ERR_BAD_INTEGRITY
    );
    let flip = |o: &mut TgsOptions| *o.tgt.ticket.last_mut().unwrap() ^= 1;
    assert_eq!(refused(&flip, NOW), error_code::KRB_AP_ERR_BAD_INTEGRITY);
    // A ticket for another service is not one for this one.
    let service = get_ticket(&kdc, TgsOptions::new(tgt.clone(), web()), NOW).unwrap();
    let not_us = |o: &mut TgsOptions| o.tgt = service.clone();
    assert_eq!(refused(&not_us, NOW), error_code::KRB_AP_ERR_NOT_US);
    let later = NOW + Duration::from_secs(11 * 3600);
    let expired = exchange_at(&kdc, unlimited(TgsOptions::new(tgt.clone(), web())), later).err();
    assert_eq!(code(expired), error_code::KRB_AP_ERR_TKT_EXPIRED);
    let earlier = NOW - Duration::from_secs(400);
    let early = exchange_at(&kdc, TgsOptions::new(tgt.clone(), web()), earlier).err();
    assert_eq!(code(early), error_code::KRB_AP_ERR_TKT_NYV);
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
        let Progress::Send { bytes, .. } =
            TgsExchange::start(TgsOptions::new(tgt.clone(), web()), NOW, &random).unwrap()
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
fn the_authenticator_vouches_for_the_request() {
    let kdc = kdc(&ALL);
    let tgt = logged_in(&kdc);
    assert!(TgsRep::decode(&Forged::GOOD.encode(&kdc, &tgt)).is_ok());
    assert!(
        TgsRep::decode(
            &Forged {
                kvno: None,
                ..Forged::GOOD
            }
            .encode(&kdc, &tgt)
        )
        .is_ok()
    );
    let refused = |forged: Forged| error_of(&forged.encode(&kdc, &tgt));
    let changes: [fn(&mut KdcReqBody<'_>); 4] = [
        |body| body.kdc_options = body.kdc_options.with(kdc_options::FORWARDABLE),
        |body| body.till = Timestamp::from_seconds(0).into(),
        |body| body.nonce = Word::from(1),
        |body| body.etype.truncate(1),
    ];
    for change in changes {
        assert_eq!(
            refused(Forged {
                change,
                ..Forged::GOOD
            }),
            error_code::KRB_AP_ERR_MODIFIED
        );
    }
    for cksum in [None, Some(15), Some(7)] {
        assert_eq!(
            refused(Forged {
                cksum,
                ..Forged::GOOD
            }),
            error_code::KRB_AP_ERR_INAPP_CKSUM
        );
    }
    assert_eq!(
        refused(Forged {
            kvno: Some(2),
            ..Forged::GOOD
        }),
        error_code::KRB_AP_ERR_BADKEYVER
    );
}

#[test]
fn the_reply_is_under_the_subkey_or_the_session_key() {
    let kdc = kdc(&ALL);
    let tgt = logged_in(&kdc);
    let CachedKey::Key(session) = &tgt.key else {
        panic!("a key")
    };
    let reply = Forged {
        subkey: false,
        ..Forged::GOOD
    }
    .encode(&kdc, &tgt);
    let reply = TgsRep::decode(&reply).unwrap();
    let usage = KeyUsage::TGS_REP_ENC_PART_SESSION_KEY;
    assert!(reply.enc_part.decrypt_as(session, usage).is_ok());
    let reply = Forged::GOOD.encode(&kdc, &tgt);
    // The subkey's enctype, not the session key's.
    assert_eq!(TgsRep::decode(&reply).unwrap().enc_part.etype, 17);
}

#[test]
fn authorization_data_of_the_client_goes_into_the_ticket() {
    let kdc = kdc(&ALL);
    let tgt = logged_in(&kdc);
    let (sub, session) = (
        KeyUsage::TGS_REQ_AUTHORIZATION_DATA_SUBKEY,
        KeyUsage::TGS_REQ_AUTHORIZATION_DATA_SESSION_KEY,
    );
    for (subkey, usage) in [(true, sub), (false, session)] {
        let reply = Forged {
            subkey,
            data: Some(usage),
            ..Forged::GOOD
        }
        .encode(&kdc, &tgt);
        let ticket = TgsRep::decode(&reply).unwrap().ticket;
        let plain = ticket
            .enc_part
            .decrypt::<EncTicketPart<'_>>(&kdc.principals().keys(&web())[0].key);
        let plain = plain.unwrap();
        let data = EncTicketPart::decode(&plain)
            .unwrap()
            .authorization_data
            .unwrap();
        assert_eq!((data[0].ad_type, data[0].ad_data), (77, &b"added"[..]));
        let other = if subkey { session } else { sub };
        let reply = Forged {
            subkey,
            data: Some(other),
            ..Forged::GOOD
        }
        .encode(&kdc, &tgt);
        assert_eq!(error_of(&reply), error_code::KRB_AP_ERR_BAD_INTEGRITY);
    }
}

/// What only a KDC may say, a client cannot have it say: not bare, and not in containers.
#[test]
fn authorization_data_of_kdcs_is_left_out() {
    let kdc = kdc(&ALL);
    let tgt = logged_in(&kdc);
    let granted = |added: fn() -> Vec<u8>| {
        let reply = Forged {
            data: Some(KeyUsage::TGS_REQ_AUTHORIZATION_DATA_SUBKEY),
            added,
            ..Forged::GOOD
        };
        let reply = reply.encode(&kdc, &tgt);
        let ticket = TgsRep::decode(&reply).unwrap().ticket;
        let key = &kdc.principals().keys(&web())[0].key;
        let plain = ticket.enc_part.decrypt::<EncTicketPart<'_>>(key).unwrap();
        let data = EncTicketPart::decode(&plain).unwrap().authorization_data;
        data.map_or(0, |data| data.len())
    };
    assert_eq!(granted(|| element(1, &element(77, b"fine"))), 1);
    let refused: [fn() -> Vec<u8>; 8] = [
        || element(128, b"a PAC"),
        || element(4, b"KDC-issued"),
        || element(512, b"a signature"),
        || element(96, b"a CAMMAC"),
        || element(97, b"an indicator"),
        || element(1, &element(128, b"a PAC")),
        || element(1, &element(1, &element(128, b"a PAC"))),
        || element(1, b"no container"),
    ];
    for added in refused {
        assert_eq!(granted(added), 0, "{:?}", added());
    }
}

/// Nothing of a request can be changed and the ticket be had, but what nobody vouches for: the options of the AP-REQ, and
/// the types of clear names.
#[test]
fn a_flipped_bit_gets_no_other_ticket() {
    let kdc = kdc(&[AES256_CTS_HMAC_SHA1_96]);
    let tgt = logged_in(&kdc);
    let random = counting();
    let Progress::Send { bytes, .. } =
        TgsExchange::start(TgsOptions::new(tgt, web()), NOW, &random).unwrap()
    else {
        panic!("a request");
    };
    let good = TgsReq::decode(&bytes).unwrap();
    let mut granted = 0;
    for bit in 0..bytes.len() * 8 {
        let mut other = bytes.clone();
        other[bit / 8] ^= 1 << (bit % 8);
        let reply = kdc.reply(&other, NOW, &random);
        if TgsRep::decode(&reply).is_ok() {
            assert_eq!(
                TgsReq::decode(&other).unwrap().req_body,
                good.req_body,
                "bit {bit}"
            );
            granted += 1;
        }
    }
    // 32 options and 8 bits of the type of the ticket's clear server name.
    assert_eq!(granted, 32 + 8);
    for cut in 1..bytes.len() {
        assert_eq!(
            error_of(&kdc.reply(&bytes[..cut], NOW, &random)),
            error_code::KRB_ERR_GENERIC
        );
    }
}

#[test]
fn what_is_no_request_gets_no_answer() {
    let kdc = kdc(&[AES256_CTS_HMAC_SHA1_96]);
    let random = counting();
    let error = kdc.reply(b"\x6a\x00", NOW, &random);
    assert_eq!(error_of(&error), error_code::KRB_ERR_GENERIC);
    for bytes in [&b""[..], b"\x00", b"GET / HTTP/1.0", &error] {
        assert!(kdc.reply(bytes, NOW, &random).is_empty());
    }
}

#[test]
fn a_reply_too_big_for_a_datagram_sends_the_client_to_a_stream() {
    let kdc = kdc(&ALL);
    let random = counting();
    let mut progress = AsExchange::start(options(), password(), NOW, &random).unwrap();
    let mut streams = 0;
    let obtained = loop {
        progress = match progress {
            Progress::Send {
                bytes,
                stream,
                next,
                ..
            } => {
                streams += usize::from(stream);
                let limit = if stream { usize::MAX } else { 400 };
                let reply = kdc.reply_within(limit, &bytes, NOW, &random);
                assert!(reply.len() <= limit);
                next.next(&reply, NOW, &random).unwrap()
            }
            Progress::Done(obtained) => break obtained,
        }
    };
    assert_eq!(streams, 1);
    assert_eq!(obtained.credential.client, alice());
}

#[test]
fn another_realm_is_not_served() {
    let kdc = kdc(&ALL);
    let refused = log_in_elsewhere(&kdc);
    assert_eq!(error_of(&refused), error_code::KDC_ERR_WRONG_REALM);
}

fn log_in_elsewhere(kdc: &Kdc) -> Vec<u8> {
    let random = counting();
    let client = Principal::user("alice", "ELSEWHERE.ORG");
    let Progress::Send { bytes, .. } =
        AsExchange::start(AsOptions::new(client), password(), NOW, &random).unwrap()
    else {
        panic!("a request");
    };
    kdc.reply(&bytes, NOW, &random)
}

/// A KDC and a client with keys of one enctype, which no password has to become first.
fn kdc_with_keys(etype: &'static Enctype) -> Kdc {
    let random = counting();
    let mut principals = Principals::new(REALM, &[etype], &random);
    principals.add_random(alice(), &[etype], &random);
    principals.add_random(web(), &[etype], &random);
    Kdc::new(principals, Policy::default())
}

/// The request with the timestamp, and what waits for its reply.
fn second_request(kdc: &Kdc) -> (Vec<u8>, AsExchange) {
    let random = counting();
    let first = AsExchange::start(options(), keys(kdc, &alice()), NOW, &random);
    let Progress::Send { bytes, next, .. } = first.unwrap() else {
        panic!("a request");
    };
    let required = kdc.reply(&bytes, NOW, &random);
    match next.next(&required, NOW, &random).unwrap() {
        Progress::Send { bytes, next, .. } => (bytes, next),
        Progress::Done(_) => panic!("a request"),
    }
}

/// The request for a service's ticket, and what waits for its reply.
fn tgs_request(tgt: &Credential) -> (Vec<u8>, TgsExchange) {
    let options = TgsOptions::new(tgt.clone(), web());
    match TgsExchange::start(options, NOW, &counting()).unwrap() {
        Progress::Send { bytes, next, .. } => (bytes, next),
        Progress::Done(_) => panic!("a request"),
    }
}

/// Where `part` stands within `whole`.
fn place(whole: &[u8], part: &[u8]) -> std::ops::Range<usize> {
    let at = part.as_ptr() as usize - whole.as_ptr() as usize;
    at..at + part.len()
}

/// Copies of `whole` with a bit flipped in every few bytes of `part`, the first and the last included.
fn altered(whole: &[u8], part: std::ops::Range<usize>) -> impl Iterator<Item = Vec<u8>> {
    let last = part.end - 1;
    part.step_by(5).chain([last]).map(|at| {
        let mut other = whole.to_vec();
        other[at] ^= 1 << (at % 8);
        other
    })
}

#[test]
fn an_altered_timestamp_is_refused_in_each_enctype() {
    for etype in ALL {
        let kdc = kdc_with_keys(etype);
        let (bytes, _) = second_request(&kdc);
        assert!(AsRep::decode(&kdc.reply(&bytes, NOW, &counting())).is_ok());
        let request = AsReq::decode(&bytes).unwrap();
        let padata = request.padata.unwrap();
        let sent = padata
            .iter()
            .find(|pa| pa.padata_type == pa_type::PA_ENC_TIMESTAMP);
        let data = EncryptedData::decode(sent.unwrap().padata_value).unwrap();
        for other in altered(&bytes, place(&bytes, data.cipher)) {
            let reply = kdc.reply(&other, NOW, &counting());
            assert_eq!(error_of(&reply), error_code::KDC_ERR_PREAUTH_FAILED);
        }
    }
}

#[test]
fn an_altered_reply_is_refused_in_each_enctype() {
    for etype in ALL {
        let kdc = kdc_with_keys(etype);
        let random = counting();
        let (bytes, next) = second_request(&kdc);
        let reply = kdc.reply(&bytes, NOW, &random);
        let Ok(Progress::Done(tgt)) = next.next(&reply, NOW, &random) else {
            panic!("a ticket")
        };
        let cipher = AsRep::decode(&reply).unwrap().enc_part.cipher;
        for other in altered(&reply, place(&reply, cipher)) {
            let refused = second_request(&kdc).1.next(&other, NOW, &random).err();
            let expected = ReplyError::Secret(IntegrityError::Mismatch);
            assert_eq!(refused, Some(ExchangeError::Reply(expected)));
        }

        let (bytes, next) = tgs_request(&tgt.credential);
        let reply = kdc.reply(&bytes, NOW, &random);
        assert!(matches!(next.next(&reply, NOW), Ok(Progress::Done(_))));
        let cipher = TgsRep::decode(&reply).unwrap().enc_part.cipher;
        for other in altered(&reply, place(&reply, cipher)) {
            let refused = tgs_request(&tgt.credential).1.next(&other, NOW).err();
            let expected = ReplyError::Integrity(IntegrityError::Mismatch);
            assert_eq!(refused, Some(ExchangeError::Reply(expected)));
        }
    }
}

#[test]
fn an_altered_request_for_a_ticket_is_refused_in_each_enctype() {
    for etype in ALL {
        let kdc = kdc_with_keys(etype);
        let tgt = log_in(&kdc, options(), keys(&kdc, &alice()), NOW).unwrap();
        let tgt = tgt.credential;
        let (bytes, _) = tgs_request(&tgt);
        let padata = TgsReq::decode(&bytes).unwrap().padata.unwrap();
        let request = ApReq::decode(padata[0].padata_value).unwrap();
        for cipher in [request.ticket.enc_part.cipher, request.authenticator.cipher] {
            for other in altered(&bytes, place(&bytes, cipher)) {
                let reply = kdc.reply(&other, NOW, &counting());
                assert_eq!(error_of(&reply), error_code::KRB_AP_ERR_BAD_INTEGRITY);
            }
        }
        let forged = |checksum| {
            let cksum = Some(etype.checksum_type());
            let forged = Forged {
                cksum,
                checksum,
                ..Forged::GOOD
            };
            forged.encode(&kdc, &tgt)
        };
        assert!(TgsRep::decode(&forged(|_| {})).is_ok());
        let wrong: [fn(&mut Vec<u8>); 4] = [
            |checksum| checksum[0] ^= 1,
            |checksum| *checksum.last_mut().unwrap() ^= 0x80,
            |checksum| _ = checksum.pop(),
            |checksum| checksum.push(0),
        ];
        for checksum in wrong {
            let reply = forged(checksum);
            assert_eq!(error_of(&reply), error_code::KRB_AP_ERR_MODIFIED);
        }
    }
}

/// Of an AS-REQ only the timestamp has somebody's word. What a flipped bit makes of the rest is another request, which is
/// answered as what it says; the timestamp stays what it was.
#[test]
fn a_damaged_request_for_the_first_ticket_is_answered_as_what_it_is() {
    let kdc = kdc_with_keys(AES256_CTS_HMAC_SHA1_96);
    let random = counting();
    let (bytes, _) = second_request(&kdc);
    let good = AsReq::decode(&bytes).unwrap().padata.unwrap();
    let cipher = |padata: &[PaData<'_>]| {
        let sent = padata
            .iter()
            .find(|pa| pa.padata_type == pa_type::PA_ENC_TIMESTAMP);
        sent.map(|sent| {
            EncryptedData::decode(sent.padata_value)
                .unwrap()
                .cipher
                .to_vec()
        })
    };
    for bit in 0..bytes.len() * 8 {
        let mut other = bytes.clone();
        other[bit / 8] ^= 1 << (bit % 8);
        let reply = kdc.reply(&other, NOW, &random);
        if AsRep::decode(&reply).is_ok() {
            let padata = AsReq::decode(&other).unwrap().padata.unwrap();
            assert_eq!(cipher(&padata), cipher(&good), "bit {bit}");
        } else if !reply.is_empty() {
            assert!(KrbError::decode(&reply).is_ok(), "bit {bit}");
        }
    }
    for cut in 1..bytes.len() {
        let reply = kdc.reply(&bytes[..cut], NOW, &random);
        assert_eq!(error_of(&reply), error_code::KRB_ERR_GENERIC);
    }
    assert!(kdc.reply(&[], NOW, &random).is_empty());
}

/// CVE-2021-37750 and others: MIT's KDC looked into a name that was not there.
#[test]
fn a_request_may_leave_out_every_name() {
    let kdc = kdc_with_keys(AES256_CTS_HMAC_SHA1_96);
    let (bytes, _) = second_request(&kdc);
    let refused = |change: fn(&mut KdcReqBody<'_>)| {
        let mut request = AsReq::decode(&bytes).unwrap();
        change(&mut request.req_body);
        error_of(&kdc.reply(&request.encode(), NOW, &counting()))
    };
    let no_server = error_code::KDC_ERR_S_PRINCIPAL_UNKNOWN;
    let no_client = error_code::KDC_ERR_C_PRINCIPAL_UNKNOWN;
    assert_eq!(refused(|body| body.sname = None), no_server);
    assert_eq!(refused(|body| body.cname = None), no_client);
    assert_eq!(
        refused(|body| (body.cname, body.sname) = (None, None)),
        no_client
    );
    let tgt = log_in(&kdc, options(), keys(&kdc, &alice()), NOW).unwrap();
    let (bytes, _) = tgs_request(&tgt.credential);
    let mut request = TgsReq::decode(&bytes).unwrap();
    request.req_body.sname = None;
    // The checksum is over another body, which is found first; the name is missing in the error too.
    let reply = kdc.reply(&request.encode(), NOW, &counting());
    assert_eq!(error_of(&reply), error_code::KRB_AP_ERR_MODIFIED);
    let forged = Forged {
        signed: |body| body.sname = None,
        ..Forged::GOOD
    };
    assert_eq!(
        error_of(&forged.encode(&kdc, &tgt.credential)),
        error_code::KDC_ERR_S_PRINCIPAL_UNKNOWN
    );
}
