//! What a peer that is refused is told, and what a log shows.

use gss_core::error::Major;
use gss_core::framing;
use gss_core::oid::Oid;
use krb5::exchange::ap::ApError;
use krb5::formats::keytab::Keytab;
use krb5::messages::{ApReq, Const, EncryptedData, PrincipalName, Realm, Ticket, ap_options};
use krb5::principal::Principal;
use krb5_crypto::KeyUsage;
use wire::der::Flags as Bits;

use super::rows::ROWS;
use super::{Attempt, gss_checksum, krb_error, minute};
use crate::checksum::{GSS_CHECKSUM, NO_BINDINGS};
use crate::tests::realm::failed;
use crate::{Error, Malformed};

/// Nobody has authenticated the name of a ticket that no key opens.
#[test]
fn a_tickets_own_name_is_shown_in_one_line_that_ends() {
    let mut attempt = Attempt::new();
    attempt.realm.keytab = Keytab::default();
    let host = [&b"\r\n\x1b[2J"[..], &[b'x'; 60_000]].concat();
    attempt.realm.ticket.server = Principal::service("host", &host, "EXAMPLE.COM");
    let text = failed(attempt.accept(&attempt.token())).error.to_string();
    assert!(
        text.contains(r"host/\x0d\n\x1b[2Jx") && text.len() < 400,
        "{text}"
    );
}

#[test]
fn a_peer_that_waits_for_nothing_is_told_nothing() {
    for (name, change, code, ..) in ROWS {
        let mut attempt = Attempt::new();
        attempt.ap_options = 0;
        change(&mut attempt);
        if let Some((GSS_CHECKSUM, value)) = &mut attempt.cksum
            && let Some(flags) = value.get_mut(20)
        {
            *flags &= !2;
        }
        let failure = failed(attempt.accept(&attempt.token()));
        let unreadable = read_alone(&attempt.token()).is_none();
        // DCE style is mutual whatever else is said.
        let waits = unreadable || name.starts_with("DCE style");
        assert_eq!(failure.token.is_some(), waits, "{name}");
        assert_eq!(
            failure.error.cause::<Error>().unwrap().krb_error_code(),
            *code,
            "{name}"
        );
    }
}

/// Once the ticket was opened, the flag in the checksum says it as well as the AP option does.
#[test]
fn a_peer_that_asks_in_its_checksum_alone_is_told() {
    let told = |keys: bool, flags: u32| {
        let mut attempt = Attempt::new();
        attempt.ap_options = 0;
        attempt.cksum = Some(gss_checksum(NO_BINDINGS, flags, &[]));
        attempt.ctime = attempt.ctime - minute(6);
        if !keys {
            attempt.realm.keytab = Keytab::default();
        }
        let failure = failed(attempt.accept(&attempt.token()));
        failure.token.map(|token| krb_error(&token).0)
    };
    assert_eq!(told(true, 2), Some(37));
    assert_eq!(told(true, 4), None);
    assert_eq!(told(false, 2), None, "nobody knows what it asks for");
}

fn read_alone(token: &[u8]) -> Option<()> {
    let inner = framing::unframe(Oid::KRB5, token).ok()?;
    (inner.get(..2)? == [1, 0]).then_some(())?;
    ApReq::decode(&inner[2..]).ok().map(|_| ())
}

#[test]
fn what_is_in_no_frame_of_ours_gets_no_answer() {
    let attempt = Attempt::new();
    let token = attempt.token();
    let inner = framing::unframe(Oid::KRB5, &token).unwrap();
    let other = framing::frame(Oid::NT_EXPORT_NAME, inner);
    for token in [&b""[..], b"\x60", &token[..token.len() - 1], &other] {
        let failure = failed(attempt.accept(token));
        assert_eq!(failure.error.major(), Major::DefectiveToken);
        assert!(failure.token.is_none());
        let error = failure.error.cause::<Error>();
        assert!(matches!(error, Some(Error::Malformed(Malformed::Frame(_)))));
    }
}

#[test]
fn a_ticket_that_says_nothing_sensible_is_refused() {
    let attempt = Attempt::new();
    let (random, ticket_key) = (&*attempt.realm.random, &attempt.realm.ticket.key);
    let cipher = ticket_key.encrypt(KeyUsage::TICKET, random, b"ticket");
    let ticket = Ticket {
        tkt_vno: Const,
        realm: Realm(b"EXAMPLE.COM"),
        sname: PrincipalName::from(&attempt.realm.ticket.server),
        enc_part: EncryptedData::new(ticket_key, Some(3), &cipher),
    };
    let authenticator = attempt.authenticator_key.encrypt(
        KeyUsage::AP_REQ_AUTHENTICATOR,
        random,
        &attempt.authenticator(),
    );
    let request = ApReq {
        pvno: Const,
        msg_type: Const,
        ap_options: Bits::from_bits(ap_options::MUTUAL_REQUIRED),
        ticket,
        authenticator: EncryptedData::new(&attempt.authenticator_key, None, &authenticator),
    };
    let token = framing::frame(Oid::KRB5, &[&[1, 0], &request.encode()[..]].concat());
    let failure = failed(attempt.accept(&token));
    let error = failure.error.cause::<Error>();
    assert!(matches!(
        error,
        Some(Error::Exchange(ApError::Malformed(_)))
    ));
    assert_eq!(krb_error(&failure.token.unwrap()).0, 60);
}
