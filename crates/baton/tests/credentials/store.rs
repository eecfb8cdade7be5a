//! Where tickets are stored, and what they are not stored over.

use std::fs;

use baton::kerberos::Principal;
use baton::{CredStore, Credential, Environment, Major, Oid, StoreCred, Usage};

use crate::site::{REALM, Site};

fn into(env: &Environment, ccache: String) -> StoreCred<'_> {
    StoreCred::new(env).store(CredStore::new().ccache(ccache))
}

#[test]
fn one_file_holds_one_client() {
    let site = Site::new();
    let env = site.env();
    let (alice, bob) = (site.user(&env, "alice"), site.user(&env, "bob"));
    let stored = StoreCred::new(&env).store_cred(&alice).unwrap();
    assert_eq!(stored.ccache, site.named("FILE", "cc"));
    assert_eq!(stored.mechanisms, [Oid::KRB5, Oid::SPNEGO]);
    assert_eq!(stored.usage, Usage::Initiate);
    for cred in [&alice, &bob] {
        let error = StoreCred::new(&env).store_cred(cred).unwrap_err();
        assert_eq!(error.major(), Major::DuplicateElement);
        for part in ["cc", "alice@EXAMPLE.TEST", "overwrite"] {
            assert!(error.to_string().contains(part), "{error}");
        }
    }
    StoreCred::new(&env)
        .overwrite()
        .make_default()
        .usage(Usage::Both)
        .store_cred(&bob)
        .unwrap();
    assert_eq!(site.read("cc").principal, Principal::user("bob", REALM));
    // What is no cache is nobody's.
    fs::write(site.path("cc"), b"").unwrap();
    StoreCred::new(&env)
        .mechanism(Oid::KRB5)
        .store_cred(&alice)
        .unwrap();
    let back = Credential::initiator(&env, None).unwrap();
    assert_eq!(back.name().unwrap().to_string(), "alice@EXAMPLE.TEST");
}

#[test]
fn a_program_stores_them_in_its_own_way() {
    let site = Site::new();
    let env = site.env();
    let cache = site.user(&env, "alice").to_cache(&env).unwrap();
    assert_eq!(cache.principal, Principal::user("alice", REALM));
    assert_eq!(cache.tickets().count(), 1);
    let back = Credential::from_cache(&cache).unwrap();
    assert_eq!(back.name().unwrap().to_string(), "alice@EXAMPLE.TEST");
    let keys = Credential::acceptor(&env, None).unwrap();
    let error = keys.to_cache(&env).err().unwrap();
    assert!(error.to_string().contains("keys to accept"), "{error}");
}

#[test]
fn a_directory_holds_several_and_one_is_the_default() {
    let site = Site::new();
    let env = site.env();
    let (alice, bob) = (site.user(&env, "alice"), site.user(&env, "bob"));
    let directory = || site.named("DIR", "caches");
    let first = into(&env, directory())
        .make_default()
        .store_cred(&alice)
        .unwrap();
    let second = into(&env, directory()).store_cred(&bob).unwrap();
    assert_ne!(first.ccache, second.ccache);
    assert!(first.ccache.starts_with("DIR::"), "{}", first.ccache);
    let default = || {
        let cred = Credential::initiator(&env, Some(&directory())).unwrap();
        cred.name().unwrap().to_string()
    };
    assert_eq!(default(), "alice@EXAMPLE.TEST");
    let again = into(&env, directory()).store_cred(&bob);
    assert_eq!(again.unwrap_err().major(), Major::DuplicateElement);
    let again = into(&env, directory())
        .overwrite()
        .make_default()
        .store_cred(&bob)
        .unwrap();
    assert_eq!(again.ccache, second.ccache);
    assert_eq!(default(), "bob@EXAMPLE.TEST");
    // A credential of the default stays with the cache that it had.
    let cred = Credential::initiator(&env, Some(&directory())).unwrap();
    into(&env, directory())
        .overwrite()
        .make_default()
        .store_cred(&alice)
        .unwrap();
    assert_eq!(
        cred.tickets().unwrap().principal,
        Principal::user("bob", REALM)
    );
    // One file of the directory is a file.
    let one = into(&env, first.ccache.clone()).store_cred(&bob);
    assert_eq!(one.unwrap_err().major(), Major::DuplicateElement);
}

#[test]
fn places_that_are_none_are_named() {
    let site = Site::new();
    let env = site.env();
    let alice = site.user(&env, "alice");
    for place in ["KEYRING:persistent:0", "KCM:", "DIR::/x/other"] {
        let error = into(&env, place.to_owned()).store_cred(&alice).unwrap_err();
        assert_eq!(error.major(), Major::NoCred);
        assert!(error.to_string().contains(place), "{error}");
    }
    let error = into(&env, site.named("FILE", "no/such/cc"))
        .store_cred(&alice)
        .unwrap_err();
    assert!(error.to_string().contains("no/such/cc"), "{error}");
}
