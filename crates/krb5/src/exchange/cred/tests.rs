//! Credentials arrive as they were sent, and nothing altered arrives.

use std::sync::Arc;

use krb5_crypto::Enctype;

use super::*;
use crate::messages::{EncTicketPart, KrbCredInfo, Protected, encrypt_as, ticket_flags};

struct Counting(std::sync::atomic::AtomicU8);

impl Random for Counting {
    fn fill(&self, out: &mut [u8]) {
        out.fill_with(|| self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
    }
}

fn random() -> Counting {
    Counting(1.into())
}

fn key(number: i32, byte: u8) -> Key {
    let enctype = Enctype::from_number(number).unwrap();
    Key::new(enctype, &vec![byte; enctype.key_length()]).unwrap()
}

const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

fn ticket() -> Vec<u8> {
    let server = Principal::krbtgt(b"EXAMPLE.COM");
    Ticket {
        tkt_vno: Const,
        realm: Realm(server.realm()),
        sname: PrincipalName::from(&server),
        enc_part: EncryptedData::new(&key(18, 9), Some(2), b"sealed by the KDC"),
    }
    .encode()
}

fn forwarded(client: &str) -> Credential {
    Credential {
        client: Principal::user(client, "EXAMPLE.COM"),
        server: Principal::krbtgt(b"EXAMPLE.COM"),
        key: CachedKey::Key(Arc::new(key(17, 7))),
        authtime: NOW,
        starttime: Timestamp::default(),
        endtime: Timestamp::from_seconds(1_800_036_000),
        renew_till: Timestamp::default(),
        is_skey: false,
        flags: ticket_flags::FORWARDED | ticket_flags::FORWARDABLE,
        addresses: vec![Typed {
            kind: 2,
            data: vec![192, 0, 2, 1],
        }],
        authdata: Vec::new(),
        ticket: ticket(),
        second_ticket: Vec::new(),
    }
}

fn same(one: &Credential, other: &Credential) -> bool {
    let key = |of: &Credential| of.key.usable().map(|key| key.expose().to_vec());
    (&one.client, &one.server, key(one)) == (&other.client, &other.server, key(other))
        && (one.authtime, one.starttime) == (other.authtime, other.starttime)
        && (one.endtime, one.renew_till) == (other.endtime, other.renew_till)
        && (one.flags, &one.addresses, &one.ticket)
            == (other.flags, &other.addresses, &other.ticket)
}

#[test]
fn what_is_sent_arrives_in_each_enctype() {
    for number in [17, 18, 19, 20] {
        let mut second = forwarded("alice");
        second.addresses.clear();
        (second.starttime, second.renew_till) = (NOW, NOW);
        let sent = [forwarded("alice"), second];
        let key = key(number, 1);
        let message = write(&sent, &key, NOW, &random()).unwrap();
        let read = read(&message, &[&key]).unwrap();
        assert_eq!(read.len(), 2);
        assert!(sent.iter().zip(&read).all(|(sent, read)| same(sent, read)));
    }
}

#[test]
fn any_of_the_keys_may_open_it_and_no_other() {
    let (right, wrong) = (key(18, 1), key(18, 2));
    let message = write(&[forwarded("alice")], &right, NOW, &random()).unwrap();
    for keys in [&[&wrong, &right][..], &[&right, &wrong]] {
        assert!(read(&message, keys).is_ok());
    }
    for keys in [&[&wrong][..], &[], &[&key(17, 1)]] {
        assert_eq!(read(&message, keys).err(), Some(CredError::Integrity));
    }
}

/// What is clear in the message is the ticket, which the KDC sealed, and what says how the rest is sealed.
#[test]
fn nothing_altered_arrives_as_it_was() {
    for number in [17, 18, 19, 20] {
        let key = key(number, 1);
        let sent = [forwarded("alice")];
        let message = write(&sent, &key, NOW, &random()).unwrap();
        for bit in 0..message.len() * 8 {
            let mut other = message.clone();
            other[bit / 8] ^= 1 << (bit % 8);
            if let Ok(read) = read(&other, &[&key]) {
                assert_ne!(read[0].ticket, sent[0].ticket, "{bit}");
                let ticket = sent[0].ticket.clone();
                let but_for_that = Credential {
                    ticket,
                    ..read[0].clone()
                };
                assert!(same(&but_for_that, &sent[0]), "{bit}");
            }
        }
        for cut in 0..message.len() {
            assert!(read(&message[..cut], &[&key]).is_err(), "{cut}");
        }
        assert!(read(&[&message[..], &[0]].concat(), &[&key]).is_err());
    }
}

/// A message of these tickets and descriptions, encrypted or, with no key, not.
fn crafted(tickets: usize, part: &EncKrbCredPart<'_>, key: Option<&Key>) -> Vec<u8> {
    let ticket = ticket();
    let tickets = vec![Ticket::decode(&ticket).unwrap(); tickets];
    let usage = EncKrbCredPart::USAGE;
    let (etype, cipher) = match key {
        Some(key) => (
            key.enctype().number(),
            encrypt_as(part, key, usage, &random()),
        ),
        None => (0, part.encode()),
    };
    KrbCred {
        pvno: Const,
        msg_type: Const,
        tickets,
        enc_part: EncryptedData {
            etype,
            kvno: None,
            cipher: &cipher,
        },
    }
    .encode()
}

fn part<'a>(ticket_info: Vec<KrbCredInfo<'a>>) -> EncKrbCredPart<'a> {
    EncKrbCredPart {
        ticket_info,
        nonce: None,
        timestamp: None,
        usec: None,
        s_address: None,
        r_address: None,
    }
}

/// RFC 6448; MIT's library sent them so for years, within its authenticator.
#[test]
fn a_part_that_is_not_encrypted_is_read() {
    let sent = forwarded("alice");
    let message = crafted(1, &part(vec![describe(&sent).unwrap()]), None);
    let read = read(&message, &[&key(18, 1)]).unwrap();
    assert!(same(&read[0], &sent));
}

#[test]
fn each_rule_of_the_message_has_its_error() {
    let (alice, bob) = (forwarded("alice"), forwarded("bob"));
    let key = key(18, 1);
    let info = |of| describe(of).unwrap();
    let without = |change: fn(&mut KrbCredInfo<'_>)| {
        let mut info = info(&alice);
        change(&mut info);
        read(&crafted(1, &part(vec![info]), Some(&key)), &[&key]).err()
    };
    assert_eq!(without(|_| ()), None);
    for change in [
        (|info| info.pname = None) as fn(&mut KrbCredInfo<'_>),
        |info| info.prealm = None,
        |info| info.sname = None,
        |info| info.srealm = None,
    ] {
        assert_eq!(without(change), Some(CredError::Nameless));
    }
    let error = |tickets, infos| {
        let message = crafted(tickets, &part(infos), Some(&key));
        read(&message, &[&key]).err()
    };
    let count = |tickets, described| Some(CredError::Count { tickets, described });
    assert_eq!(error(0, vec![]), Some(CredError::Empty));
    assert_eq!(error(2, vec![info(&alice)]), count(2, 1));
    assert_eq!(error(0, vec![info(&alice)]), count(0, 1));
    let both = vec![info(&alice), info(&bob)];
    assert_eq!(error(2, both), Some(CredError::SeveralClients));
    let far = without(|info| {
        info.caddr = Some(vec![HostAddress {
            addr_type: -1,
            address: b"",
        }]);
    });
    assert_eq!(far, Some(CredError::Address(-1)));
    // Of another type under the right key and usage.
    let cipher = key.encrypt(EncKrbCredPart::USAGE, &random(), b"\x30\x00");
    let message = KrbCred {
        pvno: Const,
        msg_type: Const,
        tickets: Vec::new(),
        enc_part: EncryptedData::new(&key, None, &cipher),
    };
    let error = read(&message.encode(), &[&key]).err();
    assert!(matches!(error, Some(CredError::Malformed(_))));
    // Under the right key and another usage.
    let ours = part(vec![info(&alice)]);
    let cipher = encrypt_as(&ours, &key, EncTicketPart::USAGE, &random());
    let message = KrbCred {
        enc_part: EncryptedData::new(&key, None, &cipher),
        ..message
    };
    let error = read(&message.encode(), &[&key]).err();
    assert_eq!(error, Some(CredError::Integrity));
}

#[test]
fn a_key_that_is_unknown_here_is_not_sent_and_is_kept_if_it_comes() {
    let mut unknown = forwarded("alice");
    unknown.key = CachedKey::Raw {
        enctype: 99,
        bytes: Arc::new(Zeroizing::new(vec![1, 2, 3])),
    };
    let error = write(&[unknown], &key(18, 1), NOW, &random()).err();
    assert_eq!(error, Some(CredError::KeyEnctype(99)));
    let alice = forwarded("alice");
    let mut info = describe(&alice).unwrap();
    info.key = EncryptionKey {
        keytype: 99,
        keyvalue: &[1, 2, 3],
    };
    let read = read(&crafted(1, &part(vec![info]), None), &[]).unwrap();
    assert_eq!(read[0].key.enctype(), 99);
    assert!(read[0].key.usable().is_none());
}
