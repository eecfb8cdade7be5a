//! What an error from the KDC can make the machine do, and what it cannot.

use krb5_crypto::{AES128_CTS_HMAC_SHA1_96, AES256_CTS_HMAC_SHA1_96, ARCFOUR_HMAC, DES3_CBC_SHA1};

use super::*;
use crate::messages::Microseconds;

const NOW: Timestamp = Timestamp::from_micros(1_800_000_000_250_000);
const REALM: &str = "R";
const ENC_TIMESTAMP: PaData<'_> = PaData {
    padata_type: pa_type::PA_ENC_TIMESTAMP,
    padata_value: b"",
};

struct Fixed;

impl Random for Fixed {
    fn fill(&self, out: &mut [u8]) {
        out.fill(0x5a);
    }
}

fn options() -> AsOptions {
    AsOptions {
        etypes: vec![AES256_CTS_HMAC_SHA1_96, AES128_CTS_HMAC_SHA1_96],
        ..AsOptions::new(Principal::user("alice", REALM))
    }
}

fn password() -> Secret {
    Secret::Password(Zeroizing::new(b"password".to_vec()))
}

/// The next request.
struct Request {
    bytes: Vec<u8>,
    stream: bool,
    next: AsExchange,
}

fn request(progress: Result<Progress<AsExchange>, ExchangeError>) -> Request {
    match progress {
        Ok(Progress::Send {
            bytes,
            stream,
            next,
            ..
        }) => Request {
            bytes,
            stream,
            next,
        },
        Ok(Progress::Done(_)) => panic!("done"),
        Err(error) => panic!("{error}"),
    }
}

fn start() -> Request {
    request(AsExchange::start(options(), password(), NOW, &Fixed))
}

fn error(code: i32, time: Timestamp, e_data: Option<&[u8]>) -> Vec<u8> {
    let krbtgt = Principal::krbtgt(REALM);
    KrbError {
        pvno: Const,
        msg_type: Const,
        ctime: None,
        cusec: None,
        stime: time.into(),
        susec: Microseconds::from(time),
        error_code: code,
        crealm: None,
        cname: None,
        realm: KerberosString(REALM.as_bytes()),
        sname: PrincipalName::from(&krbtgt),
        e_text: Some(KerberosString(b"because")),
        e_data,
    }
    .encode()
}

fn required(methods: &[PaData<'_>]) -> Vec<u8> {
    let methods = methods.to_vec().encode();
    error(error_code::KDC_ERR_PREAUTH_REQUIRED, NOW, Some(&methods))
}

fn offer(etype: i32, salt: Option<&'static [u8]>, s2kparams: Option<&[u8]>) -> Vec<u8> {
    let salt = salt.map(KerberosString);
    let info = vec![EtypeInfo2Entry {
        etype,
        salt,
        s2kparams,
    }]
    .encode();
    required(&[
        ENC_TIMESTAMP,
        PaData {
            padata_type: pa_type::PA_ETYPE_INFO2,
            padata_value: &info,
        },
    ])
}

fn failure(progress: Result<Progress<AsExchange>, ExchangeError>) -> ExchangeError {
    progress.err().expect("an error")
}

fn refusal(progress: Result<Progress<AsExchange>, ExchangeError>) -> i32 {
    match failure(progress) {
        ExchangeError::Refused(error) => error.code,
        other => panic!("{other}"),
    }
}

/// The timestamp in a request, opened with the key of the password and `salt`.
fn timestamp(bytes: &[u8], etype: &'static Enctype, salt: &[u8]) -> PaEncTsEnc {
    let request = AsReq::decode(bytes).unwrap();
    let padata = request.padata.unwrap();
    let sent = padata
        .iter()
        .find(|pa| pa.padata_type == pa_type::PA_ENC_TIMESTAMP)
        .unwrap();
    let data = EncryptedData::decode(sent.padata_value).unwrap();
    let key = etype.string_to_key(b"password", salt, None).unwrap();
    PaEncTsEnc::decode(&data.decrypt::<PaEncTsEnc>(&key).unwrap()).unwrap()
}

#[test]
fn the_first_request_proves_nothing_and_the_second_the_time() {
    let first = start();
    assert_eq!(AsReq::decode(&first.bytes).unwrap().padata, None);
    let second = request(
        first
            .next
            .next(&offer(17, Some(b"salt"), None), NOW, &Fixed),
    );
    let sent = timestamp(&second.bytes, AES128_CTS_HMAC_SHA1_96, b"salt");
    assert_eq!(
        sent,
        PaEncTsEnc {
            patimestamp: NOW.into(),
            pausec: Some(NOW.into())
        }
    );
}

#[test]
fn the_usual_salt_serves_where_the_kdc_names_none() {
    let second = request(start().next.next(&offer(18, None, None), NOW, &Fixed));
    timestamp(&second.bytes, AES256_CTS_HMAC_SHA1_96, b"Ralice");
    let second = request(start().next.next(&required(&[ENC_TIMESTAMP]), NOW, &Fixed));
    timestamp(&second.bytes, AES256_CTS_HMAC_SHA1_96, b"Ralice");
}

#[test]
fn a_cookie_comes_back() {
    let cookie = PaData {
        padata_type: pa_type::PA_FX_COOKIE,
        padata_value: b"MIT",
    };
    let second = request(
        start()
            .next
            .next(&required(&[cookie, ENC_TIMESTAMP]), NOW, &Fixed),
    );
    let second = AsReq::decode(&second.bytes).unwrap();
    assert_eq!(second.padata.unwrap()[0], cookie);
}

#[test]
fn pre_authentication_is_asked_for_once() {
    let second = request(start().next.next(&required(&[ENC_TIMESTAMP]), NOW, &Fixed));
    let third = second.next.next(&required(&[ENC_TIMESTAMP]), NOW, &Fixed);
    assert_eq!(refusal(third), error_code::KDC_ERR_PREAUTH_REQUIRED);
}

#[test]
fn a_stream_is_asked_for_once_and_carries_the_same_request() {
    let too_big = error(error_code::KRB_ERR_RESPONSE_TOO_BIG, NOW, None);
    let Request {
        bytes,
        stream,
        next,
    } = start();
    assert!(!stream);
    let again = request(next.next(&too_big, NOW, &Fixed));
    assert!(again.stream);
    assert_eq!(again.bytes, bytes);
    let third = again.next.next(&too_big, NOW, &Fixed);
    assert_eq!(refusal(third), error_code::KRB_ERR_RESPONSE_TOO_BIG);
}

#[test]
fn a_clock_is_corrected_once_and_only_if_the_kdcs_is_believed() {
    let kdc_now = NOW + Duration::from_secs(9000);
    let skew = error(error_code::KRB_AP_ERR_SKEW, kdc_now, None);
    let second = request(start().next.next(&skew, NOW, &Fixed));
    let third = request(second.next.next(&required(&[ENC_TIMESTAMP]), NOW, &Fixed));
    let body = AsReq::decode(&second.bytes).unwrap().req_body;
    assert_eq!(body.till, KerberosTime::from(kdc_now + options().lifetime));
    assert_eq!(
        refusal(third.next.next(&skew, NOW, &Fixed)),
        error_code::KRB_AP_ERR_SKEW
    );

    let own = AsOptions {
        kdc_timesync: false,
        ..options()
    };
    let first = request(AsExchange::start(own.clone(), password(), NOW, &Fixed));
    assert_eq!(
        refusal(first.next.next(&skew, NOW, &Fixed)),
        error_code::KRB_AP_ERR_SKEW
    );
    let first = request(AsExchange::start(own, password(), NOW, &Fixed));
    let mut late = required(&[ENC_TIMESTAMP]);
    let text = late.windows(15).position(|at| at.ends_with(b"Z")).unwrap();
    late[text + 3] = b'9';
    let second = request(first.next.next(&late, NOW, &Fixed));
    let sent = timestamp(&second.bytes, AES256_CTS_HMAC_SHA1_96, b"Ralice");
    assert_eq!(sent.patimestamp, NOW.into());
}

#[test]
fn the_timestamp_is_by_the_kdcs_clock_where_that_is_believed() {
    let kdc_now = NOW + Duration::from_secs(9000);
    let methods = vec![ENC_TIMESTAMP].encode();
    let reply = error(
        error_code::KDC_ERR_PREAUTH_REQUIRED,
        kdc_now,
        Some(&methods),
    );
    let second = request(start().next.next(&reply, NOW, &Fixed));
    let sent = timestamp(&second.bytes, AES256_CTS_HMAC_SHA1_96, b"Ralice");
    assert_eq!(
        sent,
        PaEncTsEnc {
            patimestamp: kdc_now.into(),
            pausec: Some(kdc_now.into())
        }
    );
}

#[test]
fn an_offer_that_is_no_use_is_refused() {
    let next = |reply: &[u8]| failure(start().next.next(reply, NOW, &Fixed));
    assert_eq!(
        next(&required(&[])),
        ExchangeError::NoCommonPreauthentication
    );
    // An enctype that the request did not list, whoever may hold it.
    assert_eq!(next(&offer(23, None, None)), ExchangeError::NoUsableKey);
    assert_eq!(next(&offer(20, None, None)), ExchangeError::NoUsableKey);
    // A password that is cheap to guess, and one that takes hours to use.
    assert!(matches!(
        next(&offer(18, None, Some(&[0, 0, 0, 1]))),
        ExchangeError::StringToKey(_)
    ));
    assert!(matches!(
        next(&offer(18, None, Some(&[0; 4]))),
        ExchangeError::StringToKey(_)
    ));
    assert!(matches!(
        next(&offer(18, None, Some(&[0; 3]))),
        ExchangeError::StringToKey(_)
    ));
    let garbage = error(error_code::KDC_ERR_PREAUTH_REQUIRED, NOW, Some(b"\x30\x01"));
    let malformed = |error| ExchangeError::Reply(ReplyError::Malformed(error));
    assert_eq!(
        next(&garbage),
        malformed(crate::messages::DerError::Truncated)
    );
    assert_eq!(next(b""), ReplyError::MessageType.into());
    assert_eq!(next(b"\x30\x00"), ReplyError::MessageType.into());
}

#[test]
fn a_refusal_tells_what_the_kdc_says() {
    let reply = error(error_code::KDC_ERR_POLICY, NOW, None);
    let error = failure(start().next.next(&reply, NOW, &Fixed));
    assert_eq!(
        error.to_string(),
        "the KDC of R answers: the KDC's policy refuses (error 12): alice@R: because"
    );
    let ExchangeError::Refused(error) = error else {
        panic!("refused")
    };
    assert_eq!((error.time, error.server), (NOW, Principal::krbtgt(REALM)));
}

#[test]
fn a_keytab_offers_the_enctypes_it_has() {
    let key = || Arc::new(AES128_CTS_HMAC_SHA1_96.random_key(&Fixed));
    let secret = Secret::Keys(vec![(1, key()), (2, key())]);
    let first = request(AsExchange::start(options(), secret, NOW, &Fixed));
    assert_eq!(AsReq::decode(&first.bytes).unwrap().req_body.etype, [17]);
    let none = AsExchange::start(options(), Secret::Keys(Vec::new()), NOW, &Fixed);
    assert_eq!(none.err(), Some(ExchangeError::NoUsableKey));
}

/// RFC 4120 §5.2.7.5: ETYPE-INFO counts where there is no ETYPE-INFO2.
#[test]
fn older_kdcs_describe_keys_in_another_way() {
    let etypes = vec![DES3_CBC_SHA1, ARCFOUR_HMAC];
    let options = AsOptions {
        etypes,
        ..options()
    };
    let entry = |etype, salt| EtypeInfoEntry { etype, salt };
    let older = vec![entry(3, None), entry(16, Some(b"salt")), entry(23, None)].encode();
    let newer = vec![EtypeInfo2Entry {
        etype: 16,
        salt: Some(KerberosString(b"other salt")),
        s2kparams: None,
    }]
    .encode();
    let pa = |kind, value| PaData {
        padata_type: kind,
        padata_value: value,
    };
    let older = pa(pa_type::PA_ETYPE_INFO, &older);
    let newer = pa(pa_type::PA_ETYPE_INFO2, &newer);
    for (methods, salt) in [
        (vec![ENC_TIMESTAMP, older], &b"salt"[..]),
        (vec![older, ENC_TIMESTAMP, newer], b"other salt"),
    ] {
        let first = request(AsExchange::start(options.clone(), password(), NOW, &Fixed));
        let second = request(first.next.next(&required(&methods), NOW, &Fixed));
        assert_eq!(
            timestamp(&second.bytes, DES3_CBC_SHA1, salt).patimestamp,
            NOW.into()
        );
    }
    let damaged = pa(pa_type::PA_ETYPE_INFO, b"\x30\x01");
    let first = request(AsExchange::start(options, password(), NOW, &Fixed));
    let refused = failure(
        first
            .next
            .next(&required(&[ENC_TIMESTAMP, damaged]), NOW, &Fixed),
    );
    let malformed = matches!(refused, ExchangeError::Reply(ReplyError::Malformed(_)));
    assert!(malformed, "{refused}");
}

/// Nobody vouches for an error: whatever a flipped bit makes of it, what is asked for stays the same, and the proof that
/// goes out is under our own key.
#[test]
fn a_damaged_error_is_refused_or_asks_for_nothing_else() {
    let key = || Arc::new(AES256_CTS_HMAC_SHA1_96.random_key(&Fixed));
    let start = || {
        let secret = Secret::Keys(vec![(1, key())]);
        request(AsExchange::start(options(), secret, NOW, &Fixed))
    };
    let body = |bytes: &[u8]| {
        let KdcReqBody {
            kdc_options,
            cname,
            realm,
            sname,
            etype,
            ..
        } = AsReq::decode(bytes).unwrap().req_body;
        let names = [cname, sname].map(|name| name.unwrap().in_realm(realm));
        (kdc_options, names, etype)
    };
    let asked = body(&start().bytes);
    let cookie = PaData {
        padata_type: pa_type::PA_FX_COOKIE,
        padata_value: b"cookie",
    };
    let info = vec![EtypeInfo2Entry {
        etype: 18,
        salt: Some(KerberosString(b"salt")),
        s2kparams: Some(&[0, 0, 0x10, 0]),
    }]
    .encode();
    let info = PaData {
        padata_type: pa_type::PA_ETYPE_INFO2,
        padata_value: &info,
    };
    let good = required(&[cookie, info, ENC_TIMESTAMP]);
    for bit in 0..good.len() * 8 {
        let mut other = good.clone();
        other[bit / 8] ^= 1 << (bit % 8);
        let Ok(progress) = start().next.next(&other, NOW, &Fixed) else {
            continue;
        };
        let Progress::Send { bytes, .. } = progress else {
            panic!("an error gives no ticket: bit {bit}");
        };
        assert_eq!(body(&bytes), asked, "bit {bit}");
        let padata = AsReq::decode(&bytes).unwrap().padata.unwrap_or_default();
        for sent in padata {
            if sent.padata_type == pa_type::PA_ENC_TIMESTAMP {
                let data = EncryptedData::decode(sent.padata_value).unwrap();
                assert!(data.decrypt::<PaEncTsEnc>(&key()).is_ok(), "bit {bit}");
            }
        }
    }
    for cut in 0..good.len() {
        let refused = failure(start().next.next(&good[..cut], NOW, &Fixed));
        assert!(matches!(refused, ExchangeError::Reply(_)), "cut to {cut}");
    }
}
