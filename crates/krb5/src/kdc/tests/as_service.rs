//! The AS exchange: who gets a first ticket, of what enctype, and who gets which error.

use std::time::Duration;

use krb5_crypto::{
    AES128_CTS_HMAC_SHA1_96, AES128_CTS_HMAC_SHA256_128, AES256_CTS_HMAC_SHA1_96, ARCFOUR_HMAC,
    DES3_CBC_SHA1, Enctype,
};
use zeroize::Zeroizing;

use super::{
    ALL, NOW, REALM, alice, code, counting, error_of, kdc, keys, log_in, options, password,
};
use crate::exchange::as_exchange::{AsExchange, AsOptions, Progress, Secret};
use crate::formats::ccache::CachedKey;
use crate::kdc::Kdc;
use crate::messages::{
    AsReq, EtypeInfo2Entry, EtypeInfoEntry, KrbError, MethodData, Value, error_code, kdc_options,
    pa_type,
};
use crate::principal::Principal;

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

/// RFC 4120 §3.1.3.
#[test]
fn a_client_of_before_is_told_in_both_ways() {
    let etypes = [DES3_CBC_SHA1, ARCFOUR_HMAC, AES256_CTS_HMAC_SHA1_96];
    let kdc = kdc(&etypes);
    let told = |etypes: &[&'static Enctype]| {
        let options = AsOptions {
            etypes: etypes.to_vec(),
            ..options()
        };
        let Progress::Send { bytes, .. } =
            AsExchange::start(options, password(), NOW, &counting()).unwrap()
        else {
            panic!("a request");
        };
        let reply = kdc.reply(&bytes, NOW, &counting());
        let error = KrbError::decode(&reply).unwrap();
        let methods = MethodData::decode(error.e_data.unwrap()).unwrap();
        let value = |kind| {
            let found = methods.iter().find(|pa| pa.padata_type == kind);
            found.map(|pa| pa.padata_value.to_vec())
        };
        (
            value(pa_type::PA_ETYPE_INFO2).is_some(),
            value(pa_type::PA_ETYPE_INFO),
        )
    };
    let (info2, info) = told(&etypes[..2]);
    let info = info.expect("for enctypes of before");
    let info = Vec::<EtypeInfoEntry<'_>>::decode(&info).unwrap();
    let told_of: Vec<_> = info.iter().map(|entry| (entry.etype, entry.salt)).collect();
    let salt = Some(&b"EXAMPLE.ORGalice"[..]);
    assert_eq!((info2, told_of), (true, vec![(16, salt), (23, salt)]));
    assert_eq!(told(&etypes), (true, None));
    for etype in etypes {
        let options = AsOptions {
            etypes: vec![etype],
            ..options()
        };
        assert!(log_in(&kdc, options, password(), NOW).is_ok(), "{etype}");
    }
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
