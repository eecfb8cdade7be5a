//! What an initiator delegates its acceptor gets, once and in this process alone; nothing altered is had.

use std::sync::Arc;

use gss_core::flags::Flags;
use gss_core::mechanism::{Handshake, Restore, SecurityContext, Step};
use krb5::exchange::cred::{self, CredError};
use krb5::formats::ccache::{CachedKey, Credential, CredentialCache};
use krb5::messages::{EncKrbCredPart, EncryptedData, KrbCred, ticket_flags};
use krb5::principal::Principal;
use krb5_crypto::{Enctype, Key};
use once::Tag;
use wire::time::Timestamp;

use super::realm::{ALL, Pair, TestRealm, done, enctypes, failed};
use crate::{AcceptOptions, Acceptor, Error, InitOptions, Krb5, Local};

/// A ticket-granting ticket to forward: that of the realm's service, with another name and key.
fn forwarded(realm: &TestRealm) -> Credential {
    let enctype = realm.ticket.session_key.enctype();
    Credential {
        client: realm.ticket.client.clone(),
        server: Principal::krbtgt(b"EXAMPLE.COM"),
        key: CachedKey::Key(Arc::new(enctype.random_key(&*realm.random))),
        authtime: realm.ticket.authtime,
        starttime: Timestamp::default(),
        endtime: realm.ticket.endtime,
        renew_till: Timestamp::default(),
        is_skey: false,
        flags: ticket_flags::FORWARDED,
        addresses: Vec::new(),
        authdata: Vec::new(),
        ticket: realm.ticket.encode(&*realm.random),
        second_ticket: Vec::new(),
    }
}

fn delegating(realm: &TestRealm, flags: Flags) -> InitOptions {
    InitOptions {
        delegated: Some(forwarded(realm)),
        ..realm.init_options(flags)
    }
}

fn pair(realm: &TestRealm, options: &InitOptions, accept: AcceptOptions) -> Pair {
    let (token, waiting) = match realm.initiate(options) {
        Step::Continue { token, next } => (token, Ok(next)),
        Step::Done { token, context } => (token.unwrap(), Err(context)),
    };
    let acceptor = Box::new(Acceptor::new(realm.cred(), accept));
    let (reply, acceptor) = match acceptor.step(&token, &realm.host()).unwrap() {
        Step::Done { token, context } => (token, Ok(context)),
        Step::Continue { token, next } => (Some(token), Err(next)),
    };
    let (leg, initiator) = match waiting {
        Ok(next) => done(next.step(&reply.unwrap(), &realm.host())),
        Err(context) => (None, context),
    };
    let acceptor = match acceptor {
        Ok(context) => context,
        Err(next) => done(next.step(&leg.unwrap(), &realm.host())).1,
    };
    Pair {
        initiator,
        acceptor,
    }
}

fn taken(context: &dyn SecurityContext) -> Option<CredentialCache> {
    let delegated = context.take_delegated().unwrap()?;
    Some(CredentialCache::parse(&delegated.credential).unwrap())
}

#[test]
fn what_is_delegated_arrives_once() {
    for enctype in enctypes() {
        for flags in [ALL, Flags::NONE, ALL | Flags::DCE_STYLE] {
            let realm = TestRealm::new(enctype);
            let options = delegating(&realm, flags);
            let pair = pair(&realm, &options, realm.accept_options());
            let (ours, theirs) = (pair.initiator.facts().flags, pair.acceptor.facts().flags);
            assert!(ours.contains(Flags::DELEG) && theirs.contains(Flags::DELEG));
            let cache = taken(&*pair.acceptor).unwrap();
            let sent = options.delegated.unwrap();
            assert_eq!(cache.principal, sent.client);
            let [got] = &cache.credentials[..] else {
                panic!("one credential was sent");
            };
            assert_eq!((&got.server, &got.ticket), (&sent.server, &sent.ticket));
            let key = |of: &Credential| of.key.usable().unwrap().expose().to_vec();
            assert_eq!(key(got), key(&sent));
            assert!(taken(&*pair.acceptor).is_none(), "for the first who asks");
            assert!(taken(&*pair.initiator).is_none());
        }
    }
}

#[test]
fn nothing_is_granted_that_is_not_delivered() {
    let realm = TestRealm::new(first());
    let asked = ALL | Flags::DELEG | Flags::DELEG_POLICY;
    let pair = realm.pair(asked);
    for side in [&pair.initiator, &pair.acceptor] {
        assert!(!side.facts().flags.contains(Flags::DELEG));
        assert!(!side.facts().flags.contains(Flags::DELEG_POLICY));
        assert!(taken(&**side).is_none());
    }
}

/// RFC 5896: the flag says that the KDC's policy had a say.
#[test]
fn delegation_by_policy_is_called_that() {
    for (asked, ok, expected) in [
        (Flags::DELEG_POLICY, true, true),
        (Flags::DELEG_POLICY, false, false),
        (Flags::DELEG, true, false),
    ] {
        let mut realm = TestRealm::new(first());
        realm.ticket.flags |= if ok { ticket_flags::OK_AS_DELEGATE } else { 0 };
        let pair = pair(&realm, &delegating(&realm, asked), realm.accept_options());
        let flags = pair.initiator.facts().flags;
        assert_eq!(
            flags.contains(Flags::DELEG_POLICY),
            expected,
            "{asked:?} {ok}"
        );
    }
}

#[test]
fn an_acceptor_that_wants_none_is_told_of_it_all_the_same() {
    let realm = TestRealm::new(first());
    let options = AcceptOptions {
        takes_delegated: false,
        ..realm.accept_options()
    };
    let pair = pair(&realm, &delegating(&realm, ALL), options);
    assert!(pair.acceptor.facts().flags.contains(Flags::DELEG));
    assert!(taken(&*pair.acceptor).is_none());
}

/// RFC 2743 §2.2.9.
#[test]
fn what_is_delegated_does_not_travel() {
    let realm = TestRealm::new(first());
    let with = pair(&realm, &delegating(&realm, ALL), realm.accept_options()).acceptor;
    let without = realm.pair(ALL).acceptor;
    let state = with.save().unwrap();
    assert_eq!(state.len(), without.save().unwrap().len());
    let dormant = Krb5::new(Arc::clone(&realm.random))
        .restore(&state)
        .unwrap();
    let tag = Tag::from_bytes([1; 16]);
    realm.store.put(&tag, b"", Timestamp::MAX).unwrap();
    let woken = dormant.wake(realm.store.take(&tag).unwrap().into());
    assert!(woken.facts().flags.contains(Flags::DELEG));
    assert!(taken(&*woken).is_none());
    assert!(taken(&*with).is_some(), "saving takes nothing");
}

#[test]
fn a_credential_that_cannot_be_sent_begins_nothing() {
    let realm = TestRealm::new(first());
    let start = |change: fn(&mut Credential)| {
        let mut options = delegating(&realm, ALL);
        change(options.delegated.as_mut().unwrap());
        let ticket = realm.service_ticket();
        let step = crate::initiate(&ticket, &realm.ticket.server, &options, &realm.host());
        failed(step).error
    };
    let error = start(|one| one.ticket = b"no ticket".to_vec());
    let error = error.cause::<Error>().unwrap();
    assert!(matches!(error, Error::Delegation(CredError::Malformed(_))));
    let error = start(|one| {
        one.addresses = vec![
            krb5::formats::ccache::Typed {
                kind: 2,
                data: vec![0; 60_000],
            };
            2
        ];
    });
    let error = error.cause::<Error>().unwrap();
    assert!(matches!(error, Error::Local(Local::DelegatedTooLong)));
}

fn first() -> &'static Enctype {
    enctypes().next().unwrap()
}

/// `DlgOpt`, `Dlgth` and `Deleg` with a KRB-CRED under `key`, or not encrypted (RFC 6448).
pub(super) fn delegation(realm: &TestRealm, key: Option<&Key>) -> Vec<u8> {
    let sealed_by = key.unwrap_or(&realm.ticket.session_key);
    let now = realm.host().now();
    let sealed = cred::write(&[forwarded(realm)], sealed_by, now, &*realm.random).unwrap();
    let message = KrbCred::decode(&sealed).unwrap();
    let plain = (message.enc_part)
        .decrypt::<EncKrbCredPart<'_>>(sealed_by)
        .unwrap();
    let plain = KrbCred {
        enc_part: EncryptedData {
            etype: 0,
            kvno: None,
            cipher: &plain,
        },
        ..message.clone()
    };
    let message = if key.is_some() {
        sealed.clone()
    } else {
        plain.encode()
    };
    let length = u16::try_from(message.len()).unwrap().to_le_bytes();
    [&[1, 0], &length[..], &message].concat()
}
