//! Requests and replies with bits flipped, parts cut off and names left out.

use krb5_crypto::{AES256_CTS_HMAC_SHA1_96, Enctype, IntegrityError};

use super::{
    Forged, NOW, REALM, alice, counting, error_of, kdc, keys, log_in, logged_in, options, web,
};
use crate::exchange::as_exchange::{AsExchange, AsOptions, ExchangeError, Progress, ReplyError};
use crate::exchange::tgs::{TgsExchange, TgsOptions};
use crate::formats::ccache::Credential;
use crate::kdc::{Kdc, Policy, Principals};
use crate::messages::{
    ApReq, AsRep, AsReq, EncryptedData, KdcReqBody, KrbError, PaData, TgsRep, TgsReq, error_code,
    pa_type,
};

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

/// A KDC and a client with keys of one enctype, which no password has to become first.
fn kdc_with_keys(etype: &'static Enctype) -> Kdc {
    let random = counting();
    let mut principals = Principals::new(REALM, &[etype], &random);
    principals.add_random(alice(), &[etype], &random);
    principals.add_random(web(), &[etype], &random);
    Kdc::new(principals, Policy::default())
}

/// The deprecated ones have to be asked for.
fn with_all(options: AsOptions) -> AsOptions {
    AsOptions {
        etypes: Enctype::all().iter().collect(),
        ..options
    }
}

/// The request with the timestamp, and what waits for its reply.
fn second_request(kdc: &Kdc) -> (Vec<u8>, AsExchange) {
    let random = counting();
    let first = AsExchange::start(with_all(options()), keys(kdc, &alice()), NOW, &random);
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
    let options = TgsOptions {
        etypes: Enctype::all().iter().collect(),
        ..TgsOptions::new(tgt.clone(), web())
    };
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
    for etype in Enctype::all() {
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
    for etype in Enctype::all() {
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
    for etype in Enctype::all() {
        let kdc = kdc_with_keys(etype);
        let tgt = log_in(&kdc, with_all(options()), keys(&kdc, &alice()), NOW).unwrap();
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
    let tgt = log_in(&kdc, with_all(options()), keys(&kdc, &alice()), NOW).unwrap();
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
