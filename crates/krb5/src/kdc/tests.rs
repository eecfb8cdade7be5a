//! The KDC and the exchanges, one against the other.

use std::sync::atomic::{AtomicU8, Ordering};

use krb5_crypto::{
    AES128_CTS_HMAC_SHA1_96, AES128_CTS_HMAC_SHA256_128, AES256_CTS_HMAC_SHA1_96,
    AES256_CTS_HMAC_SHA384_192, Enctype,
};
use wire::random::Random;
use wire::time::Timestamp;
use zeroize::Zeroizing;

use super::*;
use crate::exchange::as_exchange::{
    AsExchange, AsOptions, ExchangeError, Obtained, Progress, Secret,
};
use crate::exchange::tgs::{TgsExchange, TgsOptions};
use crate::formats::ccache::Credential;
use crate::messages::{EncTicketPart, Ticket, ticket_flags};
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
