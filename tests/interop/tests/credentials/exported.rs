//! Exported credentials: MIT's library imports ours, and we its.

use baton::{Acquire, CredStore, Credential, Lifetime, Name, Oid, Usage};
use interop::Vendor;
use interop::peer::{hex, unhex};

use crate::{User, alice, client, converse};

const TARGET: &str = "HOSTBASED:e18@localhost";

#[test]
fn theirs_are_imported_here() {
    let user = User::of(Vendor::Mit);
    let cache = user.named("FILE", "cc");
    user.kinit(&cache, &[&client()]);
    let env = user.env(&cache);
    let export = |arguments: &[&str]| {
        let answer = user.peer(Vendor::Mit, &cache, &[&["export"], arguments].concat());
        assert_eq!(answer[0], "0", "{arguments:?}");
        unhex(&answer[1])
    };
    let import = |token: &[u8]| {
        let cred = Credential::import(&env, token).unwrap();
        let facts = cred.inquire(&env).unwrap();
        (cred, facts)
    };
    // A cache that is named.
    let (cred, facts) = import(&export(&["initiate", &client()]));
    assert_eq!(facts.name.unwrap().to_string(), client());
    assert_eq!(
        (facts.usage, facts.mechanisms),
        (Usage::Initiate, vec![Oid::KRB5])
    );
    assert_eq!(converse(&env, &cred), client());
    // A cache in their memory, which ended with their process: got with a password, or whichever it is.
    let password = format!("password={}", interop::realm::PASSWORD);
    let (cred, facts) = import(&export(&["initiate", &client(), &password]));
    assert!(matches!(facts.lifetime, Lifetime::Left(_)));
    assert_eq!(converse(&env, &cred), client());
    // Nobody's in particular.
    let (cred, _) = import(&export(&["initiate", "-"]));
    assert_eq!(converse(&env, &cred), client());
    // Acceptors.
    for (name, shown) in [
        ("-", "e17/localhost"),
        (TARGET, "e18/localhost"),
        ("HOSTBASED:e19", "e19/localhost"),
    ] {
        let (cred, facts) = import(&export(&["accept", name]));
        assert_eq!(
            (facts.usage, facts.lifetime),
            (Usage::Accept, Lifetime::Indefinite)
        );
        let displayed = facts.name.unwrap().to_string();
        assert!(displayed.starts_with(shown), "{name}: {displayed}");
        assert_eq!(cred.export(&env).unwrap().first(), Some(&0));
    }
    let (cred, facts) = import(&export(&["both", "-"]));
    assert_eq!(facts.usage, Usage::Both);
    assert_eq!(converse(&env, &cred), client());
}

#[test]
fn ours_are_imported_there() {
    let user = User::of(Vendor::Mit);
    let cache = user.named("FILE", "cc");
    let env = user.env(&cache);
    let import = |cred: &Credential| {
        let token = cred.export(&env).unwrap();
        user.peer(Vendor::Mit, &cache, &["import", &hex(&token), TARGET])
    };
    // MAJOR NAME LIFETIME USAGE IMPERSONATOR CONTEXT
    let facts = |answer: Vec<String>| {
        let [major, name, lifetime, usage, impersonator, context] = &answer[..] else {
            panic!("{answer:?}")
        };
        let lives = lifetime.parse::<u32>().unwrap() > 60;
        (
            format!("{major} {name} {usage} {impersonator} {context}"),
            lives,
        )
    };
    let alice = alice(&env);
    let name = client();
    let good = (format!("0 {name} initiate - 0"), true);
    assert_eq!(facts(import(&alice)), good);
    let krb5 = Acquire::new(&env, Usage::Initiate).mechanisms([Oid::KRB5]);
    alice.store(&env, None).unwrap();
    // A cache that is named, and one that is not chosen yet.
    let store = CredStore::new().ccache(&cache);
    assert_eq!(
        facts(import(&krb5.clone().store(store).acquire().unwrap())),
        good
    );
    assert_eq!(facts(import(&krb5.acquire().unwrap())), good);
    // Acceptors, whose lifetime is GSS_C_INDEFINITE, initiate nothing.
    let keys = Acquire::new(&env, Usage::Accept).mechanisms([Oid::KRB5]);
    let service = Name::hostbased_service("e18@localhost");
    let answer = import(&keys.name(&service).acquire().unwrap());
    assert_eq!((answer[0].as_str(), answer[3].as_str()), ("0", "accept"));
    assert_eq!(answer[2], u32::MAX.to_string());
    assert_eq!(answer[5], crate::NO_CRED);
    let both = Acquire::new(&env, Usage::Both)
        .mechanisms([Oid::KRB5])
        .acquire()
        .unwrap();
    both.inquire(&env).unwrap();
    assert_eq!(facts(import(&both)), (format!("0 {name} both - 0"), true));
    // Evidence of somebody who may act for her.
    let mut contents = alice.tickets().unwrap();
    contents.set_config("proxy_impersonator", None, b"e18/localhost@INTEROP.TEST");
    let evidence = Credential::from_cache(&contents).unwrap();
    let answer = import(&evidence);
    assert_eq!(answer[4], "e18/localhost@INTEROP.TEST");
}

/// SPNEGO's element has Kerberos's within.
#[test]
fn elements_of_both_mechanisms_travel() {
    let user = User::of(Vendor::Mit);
    let cache = user.named("FILE", "cc");
    let env = user.env(&cache);
    let token = alice(&env).export(&env).unwrap();
    let copy = Credential::import(&env, &token).unwrap();
    assert_eq!(
        copy.inquire(&env).unwrap().mechanisms,
        [Oid::KRB5, Oid::SPNEGO]
    );
}
