//! How credentials are acquired, and what stands in the way.

use std::fs;
use std::sync::Arc;

use baton::kerberos::keytab::Keytab;
use baton::kerberos::settings::Settings;
use baton::realm::DevelopmentRealm;
use baton::{
    Acceptor, Acquire, Config, CredStore, Credential, Environment, Error, Initiator, Lifetime,
    Major, Name, NegMechs, Oid, Step, Usage, Verify,
};

use crate::site::{REALM, Site, name, outcome, web};

/// A token for `service`, from a client of the realm.
fn token(site: &Site, service: &Name) -> Vec<u8> {
    let env = site.realm.environment().unwrap();
    let cred = site.user(&env, "alice");
    match Initiator::new(&env, &cred, service).start().unwrap() {
        Step::Continue { token, .. } => token,
        Step::Done { .. } => panic!("an answer is awaited"),
    }
}

fn accepts(env: &Environment, cred: &Credential, token: &[u8]) -> Result<(), Error> {
    let step = Acceptor::new(env, cred).step(token);
    step.map(drop).map_err(|failure| failure.error)
}

#[test]
fn an_acceptor_is_for_what_its_name_says() {
    let site = Site::new();
    let env = site.env();
    let (http, host) = (
        token(&site, &web()),
        token(&site, &Name::hostbased_service("host@localhost")),
    );
    let acquire = |env: &Environment, name: Option<&Name>| {
        let acquire = Acquire::new(env, Usage::Accept);
        match name {
            Some(name) => acquire.name(name).acquire(),
            None => acquire.acquire(),
        }
    };
    for (wanted, takes_http, takes_host) in [
        (None, true, true),
        (Some(web()), true, false),
        (Some(Name::hostbased_service("HTTP")), true, false),
        (Some(name("HTTP/localhost")), true, false),
        (Some(name("host/localhost")), false, true),
    ] {
        let cred = acquire(&env, wanted.as_ref()).unwrap();
        for (token, takes) in [(&http, takes_http), (&host, takes_host)] {
            // Each environment has its own replay cache.
            let env = site.env();
            assert_eq!(accepts(&env, &cred, token).is_ok(), takes, "{wanted:?}");
        }
    }
    for wanted in [Name::hostbased_service("HTTP@other"), name("nobody")] {
        let error = acquire(&env, Some(&wanted)).unwrap_err();
        assert_eq!(
            (error.major(), error.minor()),
            (Major::NoCred, 39_756_032 + 1)
        );
        for part in [
            "keytab",
            "HTTP/localhost@EXAMPLE.TEST",
            "robot@EXAMPLE.TEST",
        ] {
            assert!(error.to_string().contains(part), "{error}");
        }
    }
    // The host may be said not to matter.
    let lenient = site.env_of(Config {
        settings: Some(Settings {
            ignore_acceptor_hostname: true,
            ..env.settings().clone()
        }),
        ..site.config()
    });
    let other = Name::hostbased_service("HTTP@other");
    let cred = acquire(&lenient, Some(&other)).unwrap();
    accepts(&lenient, &cred, &http).unwrap();
    assert!(accepts(&lenient, &cred, &host).is_err());
}

#[test]
fn a_keytab_has_to_have_keys() {
    let site = Site::new();
    let env = site.env();
    let from = |file: &str| {
        let store = CredStore::new().keytab(site.named("FILE", file));
        Acquire::new(&env, Usage::Accept).store(store).acquire()
    };
    let missing = from("nowhere").unwrap_err();
    assert_eq!(missing.major(), Major::NoCred);
    assert!(missing.to_string().contains("nowhere"), "{missing}");
    fs::write(site.path("empty"), &*Keytab::default().encode().unwrap()).unwrap();
    let empty = from("empty").unwrap_err();
    assert_eq!(empty.major(), Major::NoCred);
    assert!(
        empty.to_string().contains("empty") && empty.to_string().contains("no key"),
        "{empty}"
    );
    fs::write(site.path("garbage"), b"garbage").unwrap();
    assert_eq!(from("garbage").unwrap_err().major(), Major::NoCred);
}

#[test]
fn keys_rotate_while_an_acceptor_lives() {
    let site = Site::new();
    let env = site.env();
    let service = web();
    let cred = Acquire::new(&env, Usage::Accept)
        .name(&service)
        .acquire()
        .unwrap();
    let old = token(&site, &web());
    site.realm.rotate_key("HTTP/localhost").unwrap();
    site.realm.rotate_key("HTTP/localhost").unwrap();
    accepts(&env, &cred, &token(&site, &web())).unwrap();
    accepts(&env, &cred, &old).unwrap();
}

#[test]
fn a_replay_cache_is_the_credentials_own() {
    let site = Site::new();
    let env = site.env();
    let with = |rcache: &str| {
        let store = CredStore::new().rcache(rcache);
        Acquire::new(&env, Usage::Accept).store(store).acquire()
    };
    let twice = |cred: &Credential| {
        let token = token(&site, &web());
        accepts(&env, cred, &token).unwrap();
        accepts(&env, cred, &token).map_err(|error| error.major())
    };
    assert_eq!(twice(&with("none:").unwrap()), Ok(()));
    let file = site.path("rcache");
    let own = with(&format!("file2:{}", file.display())).unwrap();
    assert_eq!(twice(&own), Err(Major::Failure));
    assert!(file.exists());
    let usual = Acquire::new(&env, Usage::Accept).acquire().unwrap();
    assert_eq!(twice(&usual), Err(Major::Failure));
    let error = with("nonsense").unwrap_err();
    assert!(error.to_string().contains("nonsense"), "{error}");
}

#[test]
fn a_password_has_a_name_and_no_company() {
    let site = Site::new();
    let env = site.env();
    let alice = name("alice");
    let acquire = |usage| Acquire::new(&env, usage).name(&alice);
    let facts = acquire(Usage::Initiate)
        .password("alice's")
        .acquire()
        .unwrap()
        .inquire(&env)
        .unwrap();
    assert_eq!(facts.name, Some(alice.clone()));
    assert_eq!(facts.usage, Usage::Initiate);
    assert_eq!(facts.mechanisms, [Oid::KRB5, Oid::SPNEGO]);
    assert!(matches!(facts.lifetime, Lifetime::Left(_)));

    let wrong = acquire(Usage::Initiate)
        .password("bob's")
        .acquire()
        .unwrap_err();
    assert_eq!(wrong.major(), Major::Failure);
    let nobody = Acquire::new(&env, Usage::Initiate).password("x").acquire();
    assert_eq!(nobody.unwrap_err().major(), Major::BadName);
    let to_accept = acquire(Usage::Accept).password("alice's").acquire();
    assert_eq!(to_accept.unwrap_err().major(), Major::Failure);
    for store in [
        CredStore::new().ccache("MEMORY:x"),
        CredStore::new().client_keytab("/x"),
        CredStore::new().verify(Verify::AnyHost),
    ] {
        let password = matches!(&store, store if !format!("{store:?}").contains("AnyHost"));
        let store = if password {
            store.password("alice's")
        } else {
            store
        };
        let error = acquire(Usage::Initiate).store(store).acquire().unwrap_err();
        assert_eq!(
            (error.major(), error.minor()),
            (Major::Failure, 0x861b_6d07),
            "{error}"
        );
    }
}

/// A KDC that knows a password and none of this host's keys is not believed.
#[test]
fn tickets_of_a_password_are_verified_with_a_key_of_this_host() {
    let site = Site::new();
    let env = site.env();
    let alice = name("alice");
    let acquire = |env: &Environment, verify, keytab: Option<String>| {
        let mut store = CredStore::new().password("alice's").verify(verify);
        if let Some(keytab) = keytab {
            store = store.keytab(keytab);
        }
        Acquire::new(env, Usage::Initiate)
            .name(&alice)
            .store(store)
            .acquire()
    };
    let principal = |name: &str| Verify::Principal(format!("{name}@{REALM}"));
    acquire(&env, Verify::AnyHost, None).unwrap();
    acquire(&env, principal("HTTP/localhost"), None).unwrap();
    acquire(&env, Verify::Principal("robot".into()), None).unwrap();

    let refused = |result: Result<Credential, Error>, why: &str| {
        let error = result.unwrap_err();
        assert_eq!(error.major(), Major::NoCred, "{error}");
        for part in ["alice@EXAMPLE.TEST", "keytab", why] {
            assert!(error.to_string().contains(part), "{error}");
        }
    };
    let without = site.keytab("without", &["HTTP/localhost"]);
    refused(
        acquire(&env, Verify::AnyHost, Some(without.clone())),
        "no key of any host/",
    );
    refused(
        acquire(&env, principal("host/localhost"), Some(without)),
        "no key for host/localhost",
    );
    refused(acquire(&env, principal("nobody"), None), "nobody");
    let error = acquire(&env, principal("host@HERE"), None).unwrap_err();
    assert_eq!(
        (error.major(), error.minor()),
        (Major::BadName, 0x96c7_3a86)
    );
    assert!(
        error.to_string().contains("host@HERE@EXAMPLE.TEST"),
        "{error}"
    );
    refused(
        acquire(&env, Verify::AnyHost, Some(site.named("FILE", "nowhere")))
            .map_err(as_not_verified),
        "nowhere",
    );

    // The impostor gives tickets for every name that we ask for, under keys of its own.
    let impostor = DevelopmentRealm::builder(REALM)
        .user("alice", "alice's")
        .service("host/localhost")
        .enctypes([18])
        .start()
        .unwrap();
    let deceived = site.env_of(Config {
        krb5_conf: vec![impostor.krb5_conf().to_owned()],
        ..site.config()
    });
    Acquire::new(&deceived, Usage::Initiate)
        .name(&alice)
        .password("alice's")
        .acquire()
        .unwrap();
    refused(
        acquire(&deceived, Verify::AnyHost, None),
        "not one for this keytab",
    );
}

/// A keytab that is not there has nothing to say of whose tickets it was to verify.
fn as_not_verified(error: Error) -> Error {
    assert!(!error.to_string().contains("alice"), "{error}");
    Error::new(error.major(), format!("alice@EXAMPLE.TEST keytab {error}"))
}

#[test]
fn elements_are_added_for_mechanisms_and_usages() {
    let site = Site::new();
    let env = site.env();
    let alice = name("alice");
    let krb5 = Acquire::new(&env, Usage::Initiate)
        .name(&alice)
        .mechanisms([Oid::KRB5_MICROSOFT, Oid::NT_USER_NAME])
        .password("alice's")
        .acquire()
        .unwrap();
    let facts = krb5.inquire(&env).unwrap();
    assert_eq!(facts.mechanisms, [Oid::KRB5]);
    let target = web();
    let negotiate =
        |cred: &Credential| outcome(Initiator::new(&env, cred, &target).negotiate().start());
    assert_eq!(negotiate(&krb5), "NO_CRED");

    let spnego = Acquire::new(&env, Usage::Initiate)
        .name(&alice)
        .mechanisms([Oid::SPNEGO])
        .password("alice's");
    let both = spnego.clone().add_to(&krb5).unwrap();
    assert_eq!(
        both.inquire(&env).unwrap().mechanisms,
        [Oid::KRB5, Oid::SPNEGO]
    );
    assert_eq!(
        krb5.inquire(&env).unwrap().mechanisms,
        [Oid::KRB5],
        "it is as it was"
    );
    assert_eq!(negotiate(&both), "ok");
    assert_eq!(outcome(spnego.add_to(&both)), "DUPLICATE");

    let keys = Acquire::new(&env, Usage::Accept)
        .mechanisms([Oid::KRB5])
        .add_to(&both)
        .unwrap();
    let facts = keys
        .inquire_by_mechanism(&env, Oid::KRB5_MICROSOFT)
        .unwrap();
    assert_eq!(
        (facts.usage, facts.acceptor),
        (Usage::Both, Some(Lifetime::Indefinite))
    );
    let facts = keys.inquire_by_mechanism(&env, Oid::SPNEGO).unwrap();
    assert_eq!((facts.usage, facts.acceptor), (Usage::Initiate, None));
    assert_eq!(keys.inquire(&env).unwrap().usage, Usage::Both);
    accepts(&env, &keys, &token(&site, &web())).unwrap();

    for mechanisms in [vec![], vec![Oid::NT_USER_NAME]] {
        let none = Acquire::new(&env, Usage::Accept)
            .mechanisms(mechanisms)
            .acquire();
        assert_eq!(none.unwrap_err().major(), Major::BadMech);
    }
}

#[test]
fn enctypes_are_limited_on_both_sides() {
    let site = Site::new();
    let env = site.env();
    let acceptor = Acquire::new(&env, Usage::Accept).acquire().unwrap();
    let client = site.user(&env, "alice");
    let enctype = |numbers: &[i32]| {
        let limited = client.with_enctypes(numbers).unwrap();
        let Step::Continue { token, .. } = Initiator::new(&env, &limited, &web()).start().unwrap()
        else {
            panic!("an answer is awaited")
        };
        let tickets = limited.tickets().unwrap();
        (token, tickets.credentials.last().unwrap().key.enctype())
    };
    let (strong, number) = enctype(&[18]);
    assert_eq!(number, 18);
    let (weak, number) = enctype(&[17]);
    assert_eq!(number, 17);
    let limited = acceptor.with_enctypes(&[18]).unwrap();
    accepts(&env, &limited, &strong).unwrap();
    assert_eq!(outcome(accepts(&env, &limited, &weak)), "FAILURE");
    accepts(&env, &acceptor, &weak).unwrap();
}

#[test]
fn for_one_service_the_limits_stay() {
    let site = Site::new();
    let env = site.env();
    let client = site.user(&env, "alice").with_enctypes(&[17]).unwrap();
    let Step::Continue { token, .. } = Initiator::new(&env, &client, &web()).start().unwrap()
    else {
        panic!("an answer is awaited")
    };
    let acceptor = Acquire::new(&env, Usage::Accept).acquire().unwrap();
    let limited = acceptor
        .with_enctypes(&[18])
        .unwrap()
        .with_neg_mechs(NegMechs::new([Oid::KRB5]).unwrap());
    let web = limited.for_service(&env, &web()).unwrap();
    assert_eq!(outcome(accepts(&env, &web, &token)), "FAILURE");
    assert!(web.neg_mechs().unwrap().iter().eq([Oid::KRB5]));
}

#[test]
fn one_credential_does_both() {
    let site = Site::new();
    let env = site.env();
    let keytab = site.keytab("client.keytab", &["HTTP/localhost"]);
    let service = web();
    let both = Acquire::new(&env, Usage::Both)
        .name(&service)
        .acquire()
        .unwrap();
    let facts = both.inquire_by_mechanism(&env, Oid::KRB5).unwrap();
    assert_eq!(facts.usage, Usage::Both);
    assert!(
        matches!(facts.initiator, Some(Lifetime::Left(_))),
        "{keytab}"
    );
    assert_eq!(
        facts.name.unwrap().to_string(),
        "HTTP/localhost@EXAMPLE.TEST"
    );
    let Step::Continue { token, .. } = Initiator::new(&env, &both, &web()).start().unwrap() else {
        panic!("an answer is awaited")
    };
    accepts(&env, &both, &token).unwrap();
}

/// A keytab in memory has no name by which another credential could look at it, and no other cell of a file's.
#[test]
fn keys_that_a_program_has_are_used_as_they_are() {
    let site = Site::new();
    let env = site.env();
    let keytab = Keytab::parse(&fs::read(site.realm.keytab()).unwrap()).unwrap();
    let cred = Credential::from_keytab(Arc::new(keytab));
    accepts(&env, &cred, &token(&site, &web())).unwrap();
    assert_eq!(outcome(cred.export(&env)), "UNAVAILABLE");
    assert_eq!(cred.inquire(&env).unwrap().lifetime, Lifetime::Indefinite);
}
