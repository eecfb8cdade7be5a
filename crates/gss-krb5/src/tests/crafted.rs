//! Tokens that other senders make and we do not: built here with the keys themselves.

use gss_core::flags::Flags;
use gss_core::mechanism::{Facts, SecurityContext};
use gss_core::name::Name;
use gss_core::oid::Oid;
use gss_core::sequence::{Order, SequenceWindow};
use krb5_crypto::{Enctype, Key, KeyUsage};
use wire::time::Timestamp;

use super::realm::{enctypes, random, same_key};
use crate::context::{Context, Established};
use crate::error::{Error, Malformed, PeerMisbehaved};
use crate::keys::Keys;
use crate::token::{HEADER, TokenFlags, WrapHeader};

struct Crafter {
    initiators: Key,
    acceptor_subkey: Key,
}

impl Crafter {
    fn new(enctype: &'static Enctype) -> Self {
        let random = random();
        Self {
            initiators: enctype.random_key(&*random),
            acceptor_subkey: enctype.random_key(&*random),
        }
    }

    /// The initiator's end of a context with these keys.
    fn initiator(&self) -> Context {
        self.initiator_from(0)
    }

    /// The same, where both sides' numbers start at `first`.
    fn initiator_from(&self, first: u64) -> Context {
        self.initiator_with(first, Flags::NONE)
    }

    fn initiator_with(&self, first: u64, flags: Flags) -> Context {
        let facts = Facts {
            mechanism: Oid::KRB5,
            initiator: Name::krb5_principal("alice@EXAMPLE.COM"),
            acceptor: Name::krb5_principal("host/www.example.com@EXAMPLE.COM"),
            flags,
            locally_initiated: true,
            expires: Timestamp::MAX,
        };
        Established {
            facts,
            keys: Keys {
                initiators: same_key(&self.initiators).into(),
                acceptor_subkey: Some(same_key(&self.acceptor_subkey)),
            },
            next: first,
            window: SequenceWindow::new(first, true, true),
            authorization_data: Vec::new(),
            vouched: Default::default(),
            ticket: Default::default(),
            delegated: Vec::new(),
            evidence: None,
        }
        .open(random())
    }

    /// `header | encrypt(plaintext)` from the acceptor.
    fn sealed(&self, key: &Key, header: WrapHeader, plaintext: &[u8]) -> Vec<u8> {
        let usage = KeyUsage::KG_USAGE_ACCEPTOR_SEAL;
        let body = key.encrypt(usage, &*random(), plaintext);
        [&header.to_bytes()[..], &body].concat()
    }
}

const FROM_ACCEPTOR: WrapHeader = WrapHeader {
    flags: TokenFlags(1 | 2 | 4),
    ec: 0,
    rrc: 0,
    seq: 0,
};

fn unwrap(context: &Context, token: &[u8]) -> Result<Vec<u8>, String> {
    let mut out = Vec::new();
    match context.unwrap(token, &mut out) {
        Ok(_) => Ok(out),
        Err(error) => Err(error.cause::<Error>().unwrap().to_string()),
    }
}

#[test]
fn filler_is_taken_off() {
    for enctype in enctypes() {
        let crafter = Crafter::new(enctype);
        for ec in [0, 1, 15, 16, 200] {
            let header = WrapHeader {
                ec,
                ..FROM_ACCEPTOR
            };
            let filler = vec![0xaa; usize::from(ec)];
            let plaintext = [&b"message"[..], &filler, &header.to_bytes()].concat();
            let token = crafter.sealed(&crafter.acceptor_subkey, header, &plaintext);
            assert_eq!(
                unwrap(&crafter.initiator(), &token).unwrap(),
                b"message",
                "{ec}"
            );
        }
    }
}

#[test]
fn more_filler_than_plaintext_is_refused() {
    let crafter = Crafter::new(enctypes().next().unwrap());
    for ec in [8, 23, 24, u16::MAX] {
        let header = WrapHeader {
            ec,
            ..FROM_ACCEPTOR
        };
        let plaintext = [&b"message"[..], &header.to_bytes()].concat();
        let token = crafter.sealed(&crafter.acceptor_subkey, header, &plaintext);
        let error = unwrap(&crafter.initiator(), &token).unwrap_err();
        assert_eq!(error, Malformed::ExtraCount.to_string(), "{ec}");
    }
}

/// CVE-2024-37370: the clear EC of a sealed token could be raised on its way, and the message came out shorter.
#[test]
fn cve_2024_37370_an_altered_extra_count_is_refused() {
    let crafter = Crafter::new(enctypes().next().unwrap());
    for (sent, altered) in [(0, 1), (0, 7), (3, 0), (3, 4)] {
        let header = WrapHeader {
            ec: sent,
            ..FROM_ACCEPTOR
        };
        let filler = vec![0; usize::from(sent)];
        let plaintext = [&b"message"[..], &filler, &header.to_bytes()].concat();
        let clear = WrapHeader {
            ec: altered,
            ..header
        };
        let token = crafter.sealed(&crafter.acceptor_subkey, clear, &plaintext);
        let error = unwrap(&crafter.initiator(), &token).unwrap_err();
        assert_eq!(
            error,
            PeerMisbehaved::HeaderCopy.to_string(),
            "{sent} {altered}"
        );
    }
}

/// CVE-2024-37371: lengths in a token that do not fit it were followed beyond its end.
#[test]
fn cve_2024_37371_a_plaintext_without_room_for_a_header_is_refused() {
    for enctype in enctypes() {
        let crafter = Crafter::new(enctype);
        for length in 0..HEADER {
            let plaintext = &FROM_ACCEPTOR.to_bytes()[..length];
            let token = crafter.sealed(&crafter.acceptor_subkey, FROM_ACCEPTOR, plaintext);
            let error = unwrap(&crafter.initiator(), &token).unwrap_err();
            assert_eq!(error, PeerMisbehaved::HeaderCopy.to_string(), "{length}");
        }
        // And a body that is shorter than any ciphertext, whatever its rotation.
        for length in 0..enctype.overhead() {
            for rrc in [0, 1, 28, u16::MAX] {
                let header = WrapHeader {
                    rrc,
                    ..FROM_ACCEPTOR
                };
                let token = [&header.to_bytes()[..], &vec![0; length]].concat();
                let error = unwrap(&crafter.initiator(), &token).unwrap_err();
                assert_eq!(
                    error,
                    PeerMisbehaved::Integrity.to_string(),
                    "{length} {rrc}"
                );
            }
        }
    }
}

#[test]
fn trap_2_the_copy_of_a_header_may_differ_in_the_rotation_alone() {
    let crafter = Crafter::new(enctypes().next().unwrap());
    let header = FROM_ACCEPTOR;
    for bit in 0..HEADER * 8 {
        let mut copy = header.to_bytes();
        copy[bit / 8] ^= 1 << (bit % 8);
        let plaintext = [&b"message"[..], &copy].concat();
        let token = crafter.sealed(&crafter.acceptor_subkey, header, &plaintext);
        let opened = unwrap(&crafter.initiator(), &token);
        match bit / 8 {
            6 | 7 => assert_eq!(opened.unwrap(), b"message", "bit {bit}"),
            _ => assert_eq!(
                opened,
                Err(PeerMisbehaved::HeaderCopy.to_string()),
                "bit {bit}"
            ),
        }
    }
}

#[test]
fn flags_that_nobody_defined_are_ignored() {
    let crafter = Crafter::new(enctypes().next().unwrap());
    let header = WrapHeader {
        flags: TokenFlags(0xff),
        ..FROM_ACCEPTOR
    };
    let plaintext = [&b"message"[..], &header.to_bytes()].concat();
    let token = crafter.sealed(&crafter.acceptor_subkey, header, &plaintext);
    assert_eq!(unwrap(&crafter.initiator(), &token).unwrap(), b"message");
}

#[test]
fn trap_3_the_tokens_own_flag_picks_the_key() {
    for enctype in enctypes() {
        let crafter = Crafter::new(enctype);
        let plain = WrapHeader {
            flags: TokenFlags(1 | 2),
            ..FROM_ACCEPTOR
        };
        for (header, right, wrong) in [
            (FROM_ACCEPTOR, &crafter.acceptor_subkey, &crafter.initiators),
            (plain, &crafter.initiators, &crafter.acceptor_subkey),
        ] {
            let plaintext = [&b"message"[..], &header.to_bytes()].concat();
            let token = crafter.sealed(right, header, &plaintext);
            assert_eq!(unwrap(&crafter.initiator(), &token).unwrap(), b"message");
            let token = crafter.sealed(wrong, header, &plaintext);
            let error = unwrap(&crafter.initiator(), &token).unwrap_err();
            assert_eq!(error, PeerMisbehaved::Integrity.to_string());
        }
    }
}

#[test]
fn another_enctype_of_the_acceptors_subkey_has_its_own_lengths() {
    // The acceptor chooses its subkey's enctype (RFC 4537), so the two keys of a context may differ in kind.
    let random = random();
    for one in enctypes() {
        for other in enctypes() {
            let crafter = Crafter {
                initiators: one.random_key(&*random),
                acceptor_subkey: other.random_key(&*random),
            };
            let context = crafter.initiator();
            let added = HEADER + other.overhead() + HEADER;
            assert_eq!(context.wrap_size_limit(true, 1000), 1000 - added as u32);
            let added = HEADER + other.checksum_length();
            assert_eq!(context.wrap_size_limit(false, 1000), 1000 - added as u32);
            let plain = WrapHeader {
                flags: TokenFlags(1),
                ec: one.checksum_length() as u16,
                ..FROM_ACCEPTOR
            };
            let usage = KeyUsage::KG_USAGE_ACCEPTOR_SEAL;
            let checksum = crafter
                .initiators
                .checksum(usage, &[b"message", &plain.signed()]);
            let token = [&plain.to_bytes()[..], b"message", &checksum].concat();
            assert_eq!(unwrap(&context, &token).unwrap(), b"message");
        }
    }
}

#[test]
fn numbers_go_on_beyond_32_bits_and_around() {
    let crafter = Crafter::new(enctypes().next().unwrap());
    for first in [u64::from(u32::MAX), u64::MAX] {
        let context = crafter.initiator_from(first);
        for number in [first, first.wrapping_add(1)] {
            let header = WrapHeader {
                seq: number,
                ..FROM_ACCEPTOR
            };
            let plaintext = [&b"message"[..], &header.to_bytes()].concat();
            let token = crafter.sealed(&crafter.acceptor_subkey, header, &plaintext);
            let mut out = Vec::new();
            let unwrapped = context.unwrap(&token, &mut out).unwrap();
            assert_eq!(unwrapped.order, Order::InOrder, "{number}");
            let mut token = Vec::new();
            context.wrap(true, b"", &mut token).unwrap();
            assert_eq!(token[8..16], number.to_be_bytes());
        }
    }
}

/// Windows rotates by EC + RRC in DCE style and says RRC (MS-KILE §3.4.5.4.1); Heimdal follows it.
#[test]
fn in_dce_style_a_sealed_token_is_rotated_by_both_counts() {
    for enctype in enctypes() {
        let crafter = Crafter::new(enctype);
        for (ec, rrc) in [(0, 0), (0, 28), (13, 28), (16, 28), (16, 44), (5, u16::MAX)] {
            let header = WrapHeader {
                ec,
                rrc,
                ..FROM_ACCEPTOR
            };
            let copy = WrapHeader { rrc: 0, ..header };
            let filler = vec![0xaa; usize::from(ec)];
            let plaintext = [&b"message"[..], &filler, &copy.to_bytes()].concat();
            let mut token = crafter.sealed(&crafter.acceptor_subkey, header, &plaintext);
            let body = &mut token[HEADER..];
            let length = body.len();
            body.rotate_right((usize::from(ec) + usize::from(rrc)) % length);
            let dce = crafter.initiator_with(0, Flags::DCE_STYLE);
            assert_eq!(unwrap(&dce, &token).unwrap(), b"message", "{ec} {rrc}");
            let other = unwrap(&crafter.initiator(), &token);
            assert_eq!(other.is_ok(), ec == 0, "{ec} {rrc}");
        }
    }
}
