//! What one thing changed makes of a good request: a row a check.

use std::sync::Arc;
use std::time::Duration;

use gss_core::error::Major;
use krb5::exchange::ap::{Acceptable, ApError};
use krb5::exchange::cred::CredError;
use krb5::formats::keytab::Keytab;
use krb5::messages::{AuthorizationDataElement, MAX_DEPTH, Value, ap_options, ticket_flags};
use krb5::principal::Principal;
use krb5_crypto::KeyUsage;

use super::{
    CBT, Change, ap_option, bindings, from_afar, gss_checksum, minute, plain_checksum, service,
};
use crate::checksum::NO_BINDINGS;
use crate::tests::delegation::delegation;
use crate::tests::realm::enctypes;
use crate::{Error, Malformed, PeerMisbehaved};

type Row = (&'static str, Change, i32, Major, fn(&Error) -> bool);

const MALFORMED: Major = Major::DefectiveToken;
const FAILURE: Major = Major::Failure;

macro_rules! is {
    ($pattern:pat) => {
        |error| matches!(error, $pattern)
    };
}

/// In the order in which an acceptor looks.
pub(super) const ROWS: &[Row] = &[
    (
        "unknown token identifier",
        |a| a.change_token = |token| token[0] = 9,
        40,
        MALFORMED,
        is!(Error::Malformed(Malformed::TokenId)),
    ),
    (
        "an acceptor's token",
        |a| a.change_token = |token| token[0] = 2,
        40,
        FAILURE,
        is!(Error::Exchange(ApError::MessageType)),
    ),
    (
        "a KRB-ERROR",
        |a| a.change_token = |token| token[0] = 3,
        40,
        FAILURE,
        is!(Error::Exchange(ApError::MessageType)),
    ),
    (
        "no token identifier",
        |a| a.change_token = |token| token.truncate(1),
        60,
        MALFORMED,
        is!(Error::Malformed(Malformed::Short)),
    ),
    (
        "not DER",
        |a| a.change_request = |request| request.truncate(100),
        60,
        FAILURE,
        is!(Error::Exchange(ApError::Malformed(_))),
    ),
    (
        "another message",
        |a| a.change_request = |request| request[0] = 0x6f,
        40,
        FAILURE,
        is!(Error::Exchange(ApError::MessageType)),
    ),
    (
        "pvno",
        |a| a.change_request = |request| replace(request, &[0xa0, 3, 2, 1, 5], &[0xa0, 3, 2, 1, 4]),
        39,
        FAILURE,
        is!(Error::Exchange(ApError::BadVersion { found: 4 })),
    ),
    (
        "msg-type",
        |a| {
            a.change_request =
                |request| replace(request, &[0xa1, 3, 2, 1, 14], &[0xa1, 3, 2, 1, 12])
        },
        40,
        FAILURE,
        is!(Error::Exchange(ApError::MessageType)),
    ),
    (
        "tkt-vno",
        |a| {
            a.change_request = |request| {
                let ticket = request.iter().position(|byte| *byte == 0x61).unwrap();
                replace(
                    &mut request[ticket..],
                    &[0xa0, 3, 2, 1, 5],
                    &[0xa0, 3, 2, 1, 4],
                );
            }
        },
        39,
        FAILURE,
        is!(Error::Exchange(ApError::BadVersion { found: 4 })),
    ),
    (
        "user to user",
        |a| a.ap_options |= ap_options::USE_SESSION_KEY,
        67,
        FAILURE,
        is!(Error::Exchange(ApError::UserToUser)),
    ),
    (
        "no keys at all",
        |a| a.realm.keytab = Keytab::default(),
        45,
        FAILURE,
        is!(Error::Exchange(ApError::NoKey { etype: 18, .. })),
    ),
    (
        "no key of the one service wanted",
        |a| {
            a.acceptable =
                Acceptable::Principal(Principal::service("HTTP", "www.example.com", "EXAMPLE.COM"))
        },
        45,
        FAILURE,
        is!(Error::Exchange(ApError::NoKey { etype: 18, .. })),
    ),
    (
        "no key of the service's realm",
        |a| {
            a.acceptable =
                Acceptable::Principal(a.realm.ticket.server.clone().with_realm("OTHER.COM"))
        },
        45,
        FAILURE,
        is!(Error::Exchange(ApError::NoKey { etype: 18, .. })),
    ),
    (
        "a ticket for a service that is not ours",
        |a| a.acceptable = service(b"HTTP", None),
        35,
        FAILURE,
        is!(Error::Exchange(ApError::NotUs { .. })),
    ),
    (
        "a ticket for the service on a host that is not ours",
        |a| a.acceptable = service(b"host", Some(b"other.example.com")),
        35,
        FAILURE,
        is!(Error::Exchange(ApError::NotUs { .. })),
    ),
    (
        "no key of the ticket's enctype",
        |a| {
            let other = enctypes().next().unwrap().random_key(&*a.realm.random);
            a.realm.keytab.entries[0].key = Arc::new(other);
        },
        45,
        FAILURE,
        is!(Error::Exchange(ApError::NoKey { etype: 18, .. })),
    ),
    (
        "no key of the ticket's version",
        |a| {
            let other = a.realm.ticket.key.enctype().random_key(&*a.realm.random);
            a.realm.ticket.key = Arc::new(other);
            a.realm.ticket.kvno = Some(4);
        },
        44,
        FAILURE,
        is!(Error::Exchange(ApError::BadKeyVersion {
            kvno: 4,
            newest: 3,
            ..
        })),
    ),
    (
        "a ticket that was altered",
        |a| {
            a.change_ticket = |ticket| {
                let last = ticket.len() - 1;
                ticket[last] ^= 1;
            }
        },
        31,
        FAILURE,
        is!(Error::Exchange(ApError::TicketIntegrity)),
    ),
    (
        "a ticket under another key",
        |a| {
            let other = a.realm.ticket.key.enctype().random_key(&*a.realm.random);
            a.realm.ticket.key = Arc::new(other);
        },
        31,
        FAILURE,
        is!(Error::Exchange(ApError::TicketIntegrity)),
    ),
    (
        "an authenticator that was altered",
        |a| {
            a.change_request = |request| {
                let last = request.len() - 1;
                request[last] ^= 1;
            }
        },
        31,
        FAILURE,
        is!(Error::Exchange(ApError::AuthenticatorIntegrity)),
    ),
    (
        "an authenticator under another key",
        |a| {
            let other = a.authenticator_key.enctype().random_key(&*a.realm.random);
            a.authenticator_key = Arc::new(other);
        },
        31,
        FAILURE,
        is!(Error::Exchange(ApError::AuthenticatorIntegrity)),
    ),
    (
        "an authenticator that says it is of another enctype",
        |a| {
            a.change_request = |request| {
                let at = request
                    .windows(5)
                    .rposition(|part| part == [0xa0, 3, 2, 1, 18]);
                request[at.unwrap() + 4] = 17;
            }
        },
        31,
        FAILURE,
        is!(Error::Exchange(ApError::AuthenticatorIntegrity)),
    ),
    (
        "an authenticator for the KDC",
        |a| a.authenticator_usage = KeyUsage::TGS_REQ_AUTHENTICATOR,
        31,
        FAILURE,
        is!(Error::Exchange(ApError::AuthenticatorIntegrity)),
    ),
    (
        "an authenticator that is none",
        |a| a.authenticator = Some(b"authenticator".to_vec()),
        60,
        FAILURE,
        is!(Error::Exchange(ApError::Malformed(_))),
    ),
    (
        "authenticator-vno",
        |a| {
            a.change_authenticator =
                |bytes| replace(bytes, &[0xa0, 3, 2, 1, 5], &[0xa0, 3, 2, 1, 4])
        },
        39,
        FAILURE,
        is!(Error::Exchange(ApError::BadVersion { found: 4 })),
    ),
    (
        "microseconds beyond a second",
        |a| {
            a.change_authenticator = |bytes| {
                replace(
                    bytes,
                    &[0xa4, 5, 2, 3, 1, 0xe2, 0x40],
                    &[0xa4, 5, 2, 3, 15, 0x42, 0x40],
                )
            }
        },
        60,
        FAILURE,
        is!(Error::Exchange(ApError::Malformed(_))),
    ),
    (
        "a subkey of an unknown enctype",
        |a| a.subkey = Some((3, vec![1; 8])),
        14,
        FAILURE,
        is!(Error::Exchange(ApError::KeyEnctype(3))),
    ),
    (
        "a subkey that is none",
        |a| a.subkey = Some((18, vec![1; 16])),
        60,
        FAILURE,
        is!(Error::Exchange(ApError::Key(_))),
    ),
    (
        "another client's authenticator",
        |a| a.client = Principal::user("mallory", "EXAMPLE.COM"),
        36,
        FAILURE,
        is!(Error::Exchange(ApError::ClientMismatch { .. })),
    ),
    (
        "another realm's authenticator",
        |a| a.client = Principal::user("alice", "OTHER.COM"),
        36,
        FAILURE,
        is!(Error::Exchange(ApError::ClientMismatch { .. })),
    ),
    (
        "a client with the same text and other components",
        |a| {
            a.realm.ticket.client = Principal::new(1, ["al/ice"], "EXAMPLE.COM");
            a.client = Principal::new(1, ["al", "ice"], "EXAMPLE.COM");
        },
        36,
        FAILURE,
        is!(Error::Exchange(ApError::ClientMismatch { .. })),
    ),
    (
        "a clock that is behind",
        |a| a.ctime = a.ctime - minute(5) - Duration::from_micros(1),
        37,
        FAILURE,
        is!(Error::Exchange(ApError::Skew { .. })),
    ),
    (
        "a clock that is ahead",
        |a| a.ctime = a.ctime + minute(5) + Duration::from_micros(1),
        37,
        FAILURE,
        is!(Error::Exchange(ApError::Skew { .. })),
    ),
    (
        "a start in the future",
        |a| a.realm.ticket.starttime = Some(a.ctime + minute(5) + Duration::from_secs(1)),
        33,
        FAILURE,
        is!(Error::Exchange(ApError::NotYetValid { .. })),
    ),
    (
        "authentication in the future, where nothing else says when the ticket starts",
        |a| a.realm.ticket.authtime = a.ctime + minute(5) + Duration::from_secs(1),
        33,
        FAILURE,
        is!(Error::Exchange(ApError::NotYetValid { .. })),
    ),
    (
        "a ticket that was not validated",
        |a| a.realm.ticket.flags |= ticket_flags::INVALID,
        33,
        FAILURE,
        is!(Error::Exchange(ApError::Invalid)),
    ),
    (
        "a ticket that has expired",
        |a| a.realm.ticket.endtime = a.ctime - minute(5) - Duration::from_secs(1),
        32,
        FAILURE,
        is!(Error::Exchange(ApError::Expired { .. })),
    ),
    (
        "a realm on the way that has no business there",
        |a| from_afar(a, 1, b"EVIL.ORG"),
        51,
        FAILURE,
        is!(Error::Exchange(ApError::Transited(_))),
    ),
    (
        "realms on the way in an unknown encoding",
        |a| from_afar(a, 2, b"EXAMPLE.COM"),
        51,
        FAILURE,
        is!(Error::Exchange(ApError::TransitedEncoding(2))),
    ),
    (
        "a session key of an enctype that is not permitted",
        |a| {
            a.permitted = vec![20];
            a.subkey = Some((20, vec![1; 32]));
        },
        14,
        FAILURE,
        is!(Error::Exchange(ApError::EnctypeNotPermitted(18))),
    ),
    (
        "a subkey of an enctype that is not permitted",
        |a| {
            a.permitted = vec![18];
            a.subkey = Some((17, vec![1; 16]));
        },
        14,
        FAILURE,
        is!(Error::Exchange(ApError::EnctypeNotPermitted(17))),
    ),
    (
        "a checksum of the session key's type over something",
        |a| a.cksum = Some(plain_checksum(a, &[b"something"])),
        50,
        Major::BadMic,
        is!(Error::PeerMisbehaved(PeerMisbehaved::Checksum)),
    ),
    (
        "a checksum of another type",
        |a| a.cksum = Some((1, plain_checksum(a, &[]).1)),
        50,
        Major::BadMic,
        is!(Error::PeerMisbehaved(PeerMisbehaved::Checksum)),
    ),
    (
        "a checksum that is too short",
        |a| a.cksum.as_mut().unwrap().1.truncate(23),
        60,
        Major::BadBindings,
        is!(Error::Malformed(Malformed::ChecksumShort)),
    ),
    (
        "bindings of another length",
        |a| a.cksum.as_mut().unwrap().1[0] = 15,
        60,
        FAILURE,
        is!(Error::Malformed(Malformed::BindingsLength)),
    ),
    (
        "delegation beyond the checksum",
        |a| a.cksum = Some(gss_checksum(NO_BINDINGS, 3, &[1, 0, 9, 0, 1, 2, 3])),
        60,
        FAILURE,
        is!(Error::Malformed(Malformed::ChecksumPart)),
    ),
    (
        "delegated credentials that are none",
        |a| a.cksum = Some(gss_checksum(NO_BINDINGS, 3, &[1, 0, 3, 0, 1, 2, 3])),
        60,
        FAILURE,
        is!(Error::Delegation(CredError::Malformed(_))),
    ),
    (
        "delegated credentials under another key",
        |a| {
            let other = a.realm.ticket.session_key.enctype();
            let part = delegation(&a.realm, Some(&other.random_key(&*a.realm.random)));
            a.cksum = Some(gss_checksum(NO_BINDINGS, 3, &part));
        },
        31,
        FAILURE,
        is!(Error::Delegation(CredError::Integrity)),
    ),
    (
        "an extension beyond the checksum",
        |a| a.cksum = Some(gss_checksum(NO_BINDINGS, 2, &[0, 0, 0, 1, 0, 0, 0, 9, 1])),
        60,
        FAILURE,
        is!(Error::Malformed(Malformed::ChecksumPart)),
    ),
    (
        "DCE style in a frame",
        |a| a.cksum = Some(gss_checksum(NO_BINDINGS, 0x1002, &[])),
        60,
        MALFORMED,
        is!(Error::PeerMisbehaved(PeerMisbehaved::DceStyle)),
    ),
    (
        "other bindings",
        |a| {
            a.bindings = Some(bindings());
            a.cksum = Some(gss_checksum([1; 16], 2, &[]));
        },
        60,
        Major::BadBindings,
        is!(Error::PeerMisbehaved(PeerMisbehaved::BindingsDiffer)),
    ),
    (
        "no bindings from a peer that knows of them",
        |a| {
            a.bindings = Some(bindings());
            a.authorization_data = Some(ap_option(&[&CBT]));
        },
        60,
        Major::BadBindings,
        is!(Error::PeerMisbehaved(PeerMisbehaved::BindingsMissing)),
    ),
    (
        "no checksum from a peer that knows of bindings",
        |a| {
            a.bindings = Some(bindings());
            a.cksum = None;
            a.authorization_data = Some(ap_option(&[&CBT]));
        },
        60,
        Major::BadBindings,
        is!(Error::PeerMisbehaved(PeerMisbehaved::BindingsMissing)),
    ),
    (
        "options of another length",
        |a| {
            a.bindings = Some(bindings());
            a.authorization_data = Some(ap_option(&[&CBT[..3]]));
        },
        40,
        FAILURE,
        is!(Error::Malformed(Malformed::ApOptions)),
    ),
    (
        "options twice",
        |a| {
            a.bindings = Some(bindings());
            a.authorization_data = Some(ap_option(&[&[0; 4], &[0; 4]]));
        },
        40,
        FAILURE,
        is!(Error::Malformed(Malformed::ApOptions)),
    ),
    (
        "containers within containers",
        |a| {
            a.bindings = Some(bindings());
            let mut data = ap_option(&[&CBT]);
            for _ in 0..MAX_DEPTH {
                let element = AuthorizationDataElement {
                    ad_type: 1,
                    ad_data: &data[0].1,
                };
                data = vec![(1, vec![element].encode())];
            }
            a.authorization_data = Some(data);
        },
        40,
        FAILURE,
        is!(Error::Malformed(Malformed::ApOptions)),
    ),
    (
        "options that are not DER",
        |a| {
            a.bindings = Some(bindings());
            a.authorization_data = Some(vec![(1, vec![0x30, 1])]);
        },
        40,
        FAILURE,
        is!(Error::Malformed(Malformed::ApOptions)),
    ),
];

/// Puts `new` where `old` stands first.
fn replace(bytes: &mut [u8], old: &[u8], new: &[u8]) {
    let at = bytes
        .windows(old.len())
        .position(|part| part == old)
        .unwrap();
    bytes[at..at + new.len()].copy_from_slice(new);
}
