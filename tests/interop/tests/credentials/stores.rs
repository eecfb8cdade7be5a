//! Credential stores: the same keys and values, here and there.

use baton::{Acquire, CredStore, Credential, Name, StoreCred, Usage};
use interop::Vendor;
use interop::realm::PASSWORD;

use crate::{DUPLICATE_ELEMENT, NO_CRED, User, alice, client, converse};

#[test]
fn what_either_stores_the_other_acquires() {
    for vendor in Vendor::ALL {
        let user = User::of(Vendor::Mit);
        let (ours, theirs) = (user.named("FILE", "ours"), user.named("FILE", "theirs"));
        let env = user.env(&ours);
        StoreCred::new(&env).store_cred(&alice(&env)).unwrap();
        let store = format!("ccache={ours}");
        let answer = user.peer(
            vendor,
            "FILE:/nowhere",
            &["acquire", "initiate", "-", &store],
        );
        assert_eq!(
            (answer[0].as_str(), answer[2].as_str()),
            ("0", client().as_str()),
            "{answer:?}"
        );
        let answer = user.peer(
            vendor,
            "FILE:/nowhere",
            &["store", "1", "1", &ours, &format!("ccache={theirs}")],
        );
        assert_eq!(answer[0], "0", "{answer:?}");
        let cred = Acquire::new(&env, Usage::Initiate).store(CredStore::new().ccache(&theirs));
        assert_eq!(converse(&env, &cred.acquire().unwrap()), client());
    }
}

#[test]
fn what_is_there_is_not_overwritten_unasked() {
    let user = User::of(Vendor::Mit);
    let (ours, theirs) = (user.named("FILE", "ours"), user.named("FILE", "theirs"));
    let env = user.env(&ours);
    StoreCred::new(&env).store_cred(&alice(&env)).unwrap();
    let into = |overwrite: &str, place: &str| {
        let store = format!("ccache={place}");
        user.peer(
            Vendor::Mit,
            &ours,
            &["store", overwrite, "0", &ours, &store],
        )[0]
        .clone()
    };
    let ours_into = |place: &str| {
        let store = CredStore::new().ccache(place);
        let result = StoreCred::new(&env).store(store).store_cred(&alice(&env));
        result.map_or_else(|error| error.major().code().to_string(), |_| "0".to_owned())
    };
    for store in [&into as &dyn Fn(&str, &str) -> String, &|_, place| {
        ours_into(place)
    }] {
        let _ = std::fs::remove_file(user.path("theirs"));
        assert_eq!(store("0", &theirs), "0");
        assert_eq!(store("0", &theirs), DUPLICATE_ELEMENT);
    }
    assert_eq!(into("1", &theirs), "0");
    // In a directory there is room for others, and none for the same.
    std::fs::create_dir(user.path("caches")).unwrap();
    let directory = user.named("DIR", "caches");
    assert_eq!(into("0", &directory), "0");
    assert_eq!(ours_into(&directory), DUPLICATE_ELEMENT);
}

/// What keys and values acquire, here as there: the status and MIT's minor code, and whose it is.
#[test]
fn each_store_acquires_the_same() {
    let user = User::of(Vendor::Mit);
    let service = user.client_keytab("e17");
    std::fs::copy(user.path("client.keytab"), user.path("other.keytab")).unwrap();
    std::fs::remove_file(user.path("client.keytab")).unwrap();
    let cache = user.named("FILE", "cc");
    let env = user.env(&cache);
    alice(&env)
        .store(&env, Some(&user.named("FILE", "alice")))
        .unwrap();
    let password = format!("password={PASSWORD}");
    let ccache = format!("ccache={}", user.named("FILE", "alice"));
    let fresh = format!("ccache={}", user.named("FILE", "fresh"));
    let own = format!("client_keytab={}", user.named("FILE", "other.keytab"));
    let keytab = format!("keytab=FILE:{}", user.realm.keytab().display());
    let missing = format!("keytab={}", user.named("FILE", "missing"));
    let (name, other) = (client(), "bob@INTEROP.TEST".to_owned());
    let host = "HOSTBASED:e18@localhost".to_owned();
    let verify = "verify=e18/localhost@INTEROP.TEST".to_owned();
    let cases: &[(&str, &str, &[&str])] = &[
        ("initiate", "-", &[&ccache]),
        ("initiate", &name, &[&ccache]),
        ("initiate", &other, &[&ccache]),
        ("initiate", &name, &[]),
        ("initiate", "-", &[]),
        ("initiate", &service, &[&fresh, &own]),
        ("initiate", "-", &[&fresh, &own]),
        ("initiate", &name, &[&password]),
        ("initiate", "-", &[&password]),
        ("initiate", &name, &[&password, &ccache]),
        ("initiate", &name, &[&password, &own]),
        ("initiate", &name, &[&password, &verify]),
        ("initiate", &name, &[&verify, &ccache]),
        ("initiate", &name, &[&ccache, &ccache]),
        ("accept", &name, &[&password]),
        ("accept", "-", &[&keytab]),
        ("accept", "-", &[&missing]),
        ("accept", &host, &[&keytab]),
        ("accept", "HOSTBASED:nobody@localhost", &[&keytab]),
        ("accept", "e18/localhost", &[&keytab, "rcache=none:"]),
        ("both", "-", &[&ccache, &keytab]),
        ("both", "-", &[&ccache, &missing]),
    ];
    let mut good = 0;
    for case @ (usage, name, pairs) in cases {
        let theirs = user.peer(
            Vendor::Mit,
            &cache,
            &[&["acquire", usage, name], *pairs].concat(),
        );
        let ours = acquire(&env, usage, name, pairs);
        let (major, _) = ours.split_once(' ').unwrap();
        assert_eq!(theirs[0], major, "{case:?}: {ours}, theirs {theirs:?}");
        if major == "0" {
            good += 1;
            let theirs = format!("0 {} {}", theirs[2], theirs[4]);
            // Keys and a name of a service on a host: theirs shows the realm that it guesses.
            assert_eq!(ours, theirs, "{case:?}");
        }
        let _ = std::fs::remove_file(user.path("fresh"));
    }
    assert_eq!(good, 10);
}

/// The status, and whose it is and what for.
fn acquire(env: &baton::Environment, usage: &str, name: &str, pairs: &[&str]) -> String {
    let usage = match usage {
        "initiate" => Usage::Initiate,
        "accept" => Usage::Accept,
        _ => Usage::Both,
    };
    let wanted = match name.strip_prefix("HOSTBASED:") {
        Some(service) => Name::hostbased_service(service),
        None => Name::krb5_principal(name),
    };
    let mut acquire = Acquire::new(env, usage);
    if name != "-" {
        acquire = acquire.name(&wanted);
    }
    let mut stored = Ok(CredStore::new());
    if !pairs.is_empty() {
        stored = CredStore::from_pairs(pairs.iter().map(|pair| pair.split_once('=').unwrap()));
    }
    let result = stored.and_then(|store| acquire.store(store).acquire());
    match result.and_then(|cred| cred.inquire(env)) {
        Ok(facts) => {
            let name = facts.name.map_or("-".to_owned(), |name| name.to_string());
            let usage = match facts.usage {
                Usage::Initiate => "initiate",
                Usage::Accept => "accept",
                Usage::Both => "both",
            };
            format!("0 {name} {usage}")
        }
        Err(error) => format!("{} {error}", error.major().code()),
    }
}

/// RFC 2744 §5.2 knows a second usage of one mechanism as an element of its own; MIT's library does not.
#[test]
fn an_initiators_credential_is_made_an_acceptors_too() {
    let user = User::of(Vendor::Mit);
    let cache = user.named("FILE", "cc");
    user.kinit(&cache, &[&client()]);
    let env = user.env(&cache);
    assert_eq!(
        user.peer(Vendor::Mit, &cache, &["add", "accept", "-"])[0],
        DUPLICATE_ELEMENT
    );
    let cred = Credential::initiator(&env, None).unwrap();
    let both = Acquire::new(&env, Usage::Accept).add_to(&cred).unwrap();
    assert_eq!(both.inquire(&env).unwrap().usage, Usage::Both);
    let nothing = user.peer(Vendor::Mit, "FILE:/nowhere", &["acquire", "initiate", "-"]);
    assert_eq!(nothing[0], NO_CRED);
}
