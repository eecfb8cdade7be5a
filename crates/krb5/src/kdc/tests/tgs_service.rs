//! The TGS exchange: what becomes of a ticket-granting ticket, and what a request may say.

use std::sync::Arc;
use std::time::Duration;

use krb5_crypto::{AES256_CTS_HMAC_SHA1_96, KeyUsage};
use wire::time::Timestamp;

use super::{
    ALL, Forged, NOW, REALM, code, counting, element, error_of, get_ticket, kdc, log_in, logged_in,
    options, password, web,
};
use crate::exchange::as_exchange::{AsOptions, ExchangeError, Progress};
use crate::exchange::tgs::{TgsExchange, TgsOptions};
use crate::formats::ccache::{CachedKey, Credential};
use crate::kdc::Kdc;
use crate::messages::{
    EncTicketPart, KdcReqBody, TgsRep, Ticket, Word, error_code, kdc_options, ticket_flags,
};
use crate::principal::Principal;

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
