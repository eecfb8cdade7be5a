//! Camellia, and the deprecated enctypes where `krb5.conf` allows them: tickets from their KDCs, by password and by keytab, and
//! contexts with their libraries. Heimdal has no Camellia.

use std::fs;
use std::sync::atomic::{AtomicU32, Ordering};

use baton::kerberos::keytab::Keytab;
use baton::{Acceptor, Config, Context, Credential, Environment, Initiator, Name, Step, Store};
use interop::Vendor;
use interop::peer::{DEFECTIVE_TOKEN, Peer, Stepped};
use interop::realm::{CLIENT, PASSWORD, Realm, Service};

use crate::buffers::{self, Buffers, SHAPES};
use crate::dce::DCE;
use crate::lucid::assert_mirrored;
use crate::parties::ALL_FLAGS;

const OLDER: [Service; 2] = [
    (16, "e16", "des3-cbc-sha1"),
    (23, "e23", "arcfour-hmac-md5"),
];
const CAMELLIA: [Service; 2] = [
    (25, "e25", "camellia128-cts-cmac"),
    (26, "e26", "camellia256-cts-cmac"),
];

/// A client of `realm` whose `krb5.conf` has `lines` in place of a list of enctypes.
fn environment(realm: &Realm, lines: &str) -> Environment {
    static FILES: AtomicU32 = AtomicU32::new(0);
    let theirs = fs::read_to_string(realm.config()).unwrap();
    let others = theirs.lines().filter(|line| {
        let relation = line.trim_start();
        !relation.starts_with("permitted_enctypes") && !relation.starts_with("allow_")
    });
    let ours: Vec<_> = others
        .map(|line| match line {
            "[libdefaults]" => format!("{line}\n {lines}\n"),
            line => format!("{line}\n"),
        })
        .collect();
    let number = FILES.fetch_add(1, Ordering::Relaxed);
    let path = realm.path(&format!("ours{number}.conf"));
    fs::write(&path, ours.concat()).unwrap();
    Environment::new(Config {
        krb5_conf: vec![path],
        client_keytab: Some(format!("FILE:{}", realm.keytab().display())),
        store: Store::Memory,
        ..Config::default()
    })
    .unwrap()
}

fn keytab(realm: &Realm) -> Keytab {
    Keytab::parse(&fs::read(realm.keytab()).unwrap()).unwrap()
}

fn target(service: &str) -> Name {
    Name::hostbased_service(&format!("{service}@localhost"))
}

fn begun(env: &Environment, cred: &Credential, service: &str) -> Step {
    let target = target(service);
    let initiator = Initiator::new(env, cred, &target).flags(ALL_FLAGS);
    initiator
        .start()
        .unwrap_or_else(|error| panic!("{service}: {error}"))
}

/// We initiate, with tickets that our own requests got.
fn initiated(
    realm: &Realm,
    env: &Environment,
    cred: &Credential,
    service: &str,
) -> (Context, Peer) {
    let mut theirs = Peer::start(realm.vendor(), realm, "none");
    theirs.accept(None);
    let Step::Continue { token, next } = begun(env, cred, service) else {
        panic!("{service}: a reply is expected");
    };
    let reply = match theirs.step(&token) {
        Stepped::Done(reply) => reply,
        other => panic!("{service}: {other:?}"),
    };
    match next.step(&reply) {
        Ok(Step::Done { context, .. }) => (context, theirs),
        Ok(_) => panic!("{service}: one reply is enough"),
        Err(failure) => panic!("{service}: {}", failure.error),
    }
}

/// They initiate, with tickets that their own program got.
fn accepted(realm: &Realm, env: &Environment, service: &str) -> (Context, Peer) {
    realm.kinit(realm.vendor(), service);
    let mut theirs = Peer::start(realm.vendor(), realm, service);
    theirs.initiate(&format!("{service}@localhost"), ALL_FLAGS.bits(), None);
    let request = theirs.step(&[]).token();
    let cred = Credential::from_keytab(keytab(realm).into());
    let step = Acceptor::new(env, &cred).step(&request);
    let step = step.unwrap_or_else(|failure| panic!("{service}: {}", failure.error));
    let Step::Done { token, context } = step else {
        panic!("{service}: one step is enough");
    };
    assert!(
        matches!(theirs.step(&token.unwrap()), Stepped::Done(_)),
        "{service}"
    );
    (context, theirs)
}

fn exchange(ours: &Context, theirs: &mut Peer, what: &str) {
    for length in [0, 1, 15, 16, 17, 1000, 70_000] {
        let message: Vec<u8> = (0..length).map(|at| (at * 7) as u8).collect();
        for conf in [true, false] {
            let token = theirs.wrap(conf, &message);
            let got = ours
                .unwrap(&token)
                .unwrap_or_else(|error| panic!("{what}: {error}"));
            assert_eq!((&*got.data, got.confidential), (&*message, conf), "{what}");
            let token = ours.wrap(conf, &message).unwrap();
            assert_eq!(theirs.unwrap(&token), (0, conf, message.clone()), "{what}");
        }
        assert_eq!(
            theirs.verify(&message, &ours.get_mic(&message).unwrap()),
            0,
            "{what}"
        );
        let token = theirs.mic(&message);
        let order = ours.verify_mic(&message, &token);
        order.unwrap_or_else(|error| panic!("{what}: {error}: {token:02x?}"));
    }
}

/// Tokens in parts, with the padding that the older ones need; an acceptor may have agreed to a better key, and so to the newer.
/// Heimdal has none of Triple DES.
fn exchange_parts(ours: &Context, theirs: &mut Peer, vendor: Vendor, number: i32, what: &str) {
    const FRAME: u8 = 0x60;
    let token = ours.wrap(true, b"").unwrap();
    assert_eq!(theirs.unwrap(&token), (0, true, Vec::new()), "{what}");
    let older = token[0] == FRAME;
    assert!(
        !older || OLDER.iter().any(|(older, ..)| *older == number),
        "{what}"
    );
    if older && (vendor, number) == (Vendor::Heimdal, 16) {
        return;
    }
    for pieces in SHAPES {
        let mut buffers = vec![('H', &b""[..])];
        buffers.extend_from_slice(pieces);
        buffers.push((if older { 'P' } else { 'T' }, b""));
        for confidential in [true, false] {
            let what = format!("{what} {confidential} {buffers:?}");
            buffers::exchange(ours, theirs, confidential, &buffers, &what);
        }
    }
}

/// Both sides' messages are under one key, of the enctype `number`.
fn assert_enctype(ours: &Context, theirs: &mut Peer, number: i32, what: &str) {
    let key = ours.session_key().unwrap();
    assert_eq!(key.enctype, number, "{what}");
    let (same, told) = theirs.session_key();
    assert!(*key.bytes == *same, "{what}: two keys");
    assert!(told.is_none_or(|told| told == number), "{what}: {told:?}");
}

/// Everything that has to work with an enctype: `lines` of `krb5.conf` that let our side use it, among what the realm has. The
/// messages are under `agreed`, another where those lines and the other side permit one that is preferred.
fn works(realm: &Realm, (number, service, _): Service, lines: &str, agreed: i32) {
    let what = format!("{:?}, enctype {number}", realm.vendor());
    let env = environment(realm, lines);
    let client = Name::user(CLIENT);
    let cred = Credential::with_password(&env, &client, PASSWORD);
    let cred = cred.unwrap_or_else(|error| panic!("{what}: {error}"));
    let (ours, mut theirs) = initiated(realm, &env, &cred, service);
    assert_enctype(&ours, &mut theirs, agreed, &what);
    exchange(&ours, &mut theirs, &what);
    exchange_parts(&ours, &mut theirs, realm.vendor(), number, &what);
    let (ours, mut theirs) = accepted(realm, &env, service);
    assert_enctype(&ours, &mut theirs, agreed, &what);
    exchange(&ours, &mut theirs, &what);
    exchange_parts(&ours, &mut theirs, realm.vendor(), number, &what);

    lucid(realm, &env, &cred, service, agreed);

    // A service is a client too, with the key of its keytab.
    let name = Name::krb5_principal(&format!("{service}/localhost"));
    let cred = Credential::with_keytab(&env, &name, None);
    let cred = cred.unwrap_or_else(|error| panic!("{what}: {error}"));
    drop(initiated(realm, &env, &cred, service));
}

/// Both sides' lucid forms, each way.
fn lucid(realm: &Realm, env: &Environment, cred: &Credential, service: &str, agreed: i32) {
    let what = format!("{:?} {service} {agreed}", realm.vendor());
    let initiated = initiated(realm, env, cred, service);
    for (ours, mut theirs) in [initiated, accepted(realm, env, service)] {
        let form = assert_mirrored(realm.vendor(), ours, &mut theirs, &what);
        let older = OLDER.iter().any(|(older, ..)| *older == agreed);
        assert_eq!(form.protocol, u64::from(!older), "{what}");
        if older {
            // Kernels know Triple DES by the number of its encryption alone.
            let number = if agreed == 16 { 6 } else { agreed };
            assert_eq!(form.ctx_key.0, number as u64, "{what}");
        }
    }
}

#[test]
fn camellia_is_on_by_default() {
    let realm = Realm::start_with(Vendor::Mit, &CAMELLIA);
    for (service, named) in CAMELLIA
        .into_iter()
        .zip(["camellia128-cts", "camellia256-cts"])
    {
        let number = service.0;
        // Both sides prefer it to the other one.
        works(&realm, service, "", CAMELLIA[0].0);
        let named = format!("permitted_enctypes = {named}");
        works(&realm, service, &named, number);
    }
}

#[test]
fn deprecated_enctypes_work_where_they_are_allowed_or_named() {
    for vendor in Vendor::ALL {
        let realm = Realm::start_with(vendor, &OLDER);
        for (service, allowed, named) in [
            (OLDER[0], "allow_des3 = true", "permitted_enctypes = des3"),
            (OLDER[1], "allow_rc4 = true", "permitted_enctypes = rc4"),
        ] {
            let number = service.0;
            // Heimdal's offers and takes AES whatever its `permitted_enctypes` say, and so does ours where just one more is allowed.
            let agreed = match vendor {
                Vendor::Mit => number,
                Vendor::Heimdal => 18,
            };
            works(&realm, service, allowed, agreed);
            works(&realm, service, named, number);
        }
    }
}

/// The older tokens in DCE style: the frame ends in front of the data, which its sender has padded. Heimdal has it of RC4 alone,
/// and 7.8 takes none, its own included: it makes them as MIT does, and looks for the flag in the wrong structure when it takes
/// one (corrected since), so that it counts the data to the frame.
#[test]
fn deprecated_enctypes_in_dce_style() {
    const PIECES: Buffers<'_> = &[
        ('H', b""),
        ('S', b"a PDU's header: "),
        ('D', b"attack at dawn, from the left, and behind"),
        ('D', b"and now"),
        ('S', b"its end"),
    ];
    for vendor in Vendor::ALL {
        let realm = Realm::start_with(vendor, &OLDER);
        for (service, named) in [(OLDER[0], "des3"), (OLDER[1], "rc4")] {
            let (number, service, _) = service;
            if (vendor, number) == (Vendor::Heimdal, 16) {
                continue;
            }
            let what = format!("{vendor:?}, enctype {number}");
            let env = environment(&realm, &format!("permitted_enctypes = {named}"));
            let cred = Credential::with_password(&env, &Name::user(CLIENT), PASSWORD).unwrap();
            let target = target(service);
            let initiator = Initiator::new(&env, &cred, &target).flags(DCE);
            let Step::Continue { token, next } = initiator.start().unwrap() else {
                panic!("{what}: an answer is awaited");
            };
            let mut theirs = Peer::start(vendor, &realm, "none");
            theirs.accept(None);
            let Stepped::Continue(reply) = theirs.step(&token) else {
                panic!("{what}: a third leg is awaited");
            };
            let Step::Done { token, context } = next.step(&reply).unwrap() else {
                panic!("{what}: not done");
            };
            theirs.step(&token.unwrap()).token();
            assert_enctype(&context, &mut theirs, number, &what);
            if vendor == Vendor::Mit {
                buffers::exchange(&context, &mut theirs, true, PIECES, &what);
            }
            if vendor == Vendor::Heimdal {
                let (state, left) = buffers::ours(PIECES, |iov| context.wrap_iov(true, iov));
                assert!(state.unwrap());
                let (major, ..) = theirs.buffers("unwrap-iov", &buffers::kinds(PIECES, &left));
                assert_eq!(major, DEFECTIVE_TOKEN, "{what}: a Heimdal that takes them");
            }
            let (major, _, found) = theirs.buffers("wrap-iov 1", PIECES);
            assert_eq!((major, found[0][0]), (0, 0x60), "{what}: an older token");
            let (unwrapped, left) = buffers::ours(&buffers::kinds(PIECES, &found), |iov| {
                context.unwrap_iov(iov)
            });
            unwrapped.unwrap_or_else(|error| panic!("{what}: {error}"));
            assert_eq!(left[2], PIECES[2].1, "{what}");
        }
    }
}

#[test]
fn deprecated_enctypes_are_off_by_default() {
    for vendor in Vendor::ALL {
        let realm = Realm::start_with(vendor, &OLDER);
        let env = environment(&realm, "");
        let refused = Credential::with_password(&env, &Name::user(CLIENT), PASSWORD).err();
        let refused = refused.expect("no enctype in common").to_string();
        assert!(
            refused.contains("the KDC has no enctype that was asked for"),
            "{refused}"
        );
        for (_, service, _) in OLDER {
            realm.kinit(vendor, service);
            let mut theirs = Peer::start(vendor, &realm, service);
            theirs.initiate(&format!("{service}@localhost"), ALL_FLAGS.bits(), None);
            let request = theirs.step(&[]).token();
            let cred = Credential::from_keytab(keytab(&realm).into());
            let refused = Acceptor::new(&env, &cred).step(&request).err();
            let refused = refused.expect("not permitted").error.to_string();
            assert!(refused.contains("not permitted"), "{refused}");
        }
    }
}
