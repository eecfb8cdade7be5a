//! Exported credentials: what travels, what is named, and what other bytes are.

use std::time::Duration;

use baton::kerberos::ccache::Credential as Ticket;
use baton::{
    Acceptor, Acquire, CredStore, Credential, Environment, Initiator, Lifetime, Major, Name, Oid,
    Step, Usage,
};

use crate::site::{Site, name, outcome, web};

fn again(env: &Environment, cred: &Credential) -> Credential {
    Credential::import(env, &cred.export(env).unwrap()).unwrap()
}

fn converse(env: &Environment, client: &Credential, service: &Credential) {
    let Step::Continue { token, next } = Initiator::new(env, client, &web()).start().unwrap()
    else {
        panic!("an answer is awaited")
    };
    let Ok(Step::Done { token, .. }) = Acceptor::new(env, service).step(&token) else {
        panic!("not accepted")
    };
    assert!(matches!(next.step(&token.unwrap()), Ok(Step::Done { .. })));
}

#[test]
fn what_is_in_memory_travels_and_what_is_in_files_is_named() {
    let site = Site::new();
    let env = site.env();
    let alice = site.user(&env, "alice");
    let service = Acquire::new(&env, Usage::Accept).acquire().unwrap();
    let token = alice.export(&env).unwrap();
    // In another process the first credential would be gone.
    let facts = alice.inquire(&env).unwrap();
    drop(alice);
    let copy = Credential::import(&env, &token).unwrap();
    let copied = copy.inquire(&env).unwrap();
    assert_eq!(
        (&copied.name, copied.usage, &copied.mechanisms),
        (&facts.name, facts.usage, &facts.mechanisms)
    );
    converse(&env, &copy, &again(&env, &service));

    copy.store(&env, None).unwrap();
    let stored = Credential::initiator(&env, None).unwrap();
    let token = stored.export(&env).unwrap();
    let text = String::from_utf8_lossy(&token);
    assert!(text.contains(&site.named("FILE", "cc")), "{text}");
    let key = stored.tickets().unwrap().credentials[0].ticket.clone();
    assert!(!token.windows(16).any(|window| window == &key[..16]));
    converse(&env, &again(&env, &stored), &service);
}

#[test]
fn everything_that_can_be_said_of_a_credential_comes_back() {
    let site = Site::new();
    let env = site.env();
    site.keytab("client.keytab", &["HTTP/localhost"]);
    let service = web();
    let store = CredStore::new()
        .rcache("none:")
        .keytab(site.keytab("k", &["HTTP/localhost"]));
    let both = Acquire::new(&env, Usage::Both)
        .name(&service)
        .store(store)
        .mechanisms([Oid::KRB5]);
    let both = both.acquire().unwrap().with_enctypes(&[18]).unwrap();
    let copy = again(&env, &both);
    let (facts, copied) = (both.inquire(&env).unwrap(), copy.inquire(&env).unwrap());
    assert_eq!(
        (copied.name, copied.usage, copied.mechanisms),
        (facts.name, facts.usage, facts.mechanisms)
    );
    assert_eq!(copy.export(&env).unwrap(), both.export(&env).unwrap());
    // The replay cache and the enctypes came along.
    let client = site.user(&env, "alice");
    let begin = |numbers: &[i32]| {
        let client = client.with_enctypes(numbers).unwrap();
        let Step::Continue { token, .. } = Initiator::new(&env, &client, &web()).start().unwrap()
        else {
            panic!("an answer is awaited")
        };
        token
    };
    let accept = |token: &[u8]| {
        let step = Acceptor::new(&env, &copy).step(token);
        outcome(step.map_err(|failure| failure.error))
    };
    let token = begin(&[18]);
    assert_eq!([accept(&token), accept(&token)], ["ok", "ok"]);
    assert_eq!(accept(&begin(&[17])), "FAILURE");

    for name in [
        Name::hostbased_service("HTTP"),
        web(),
        name("HTTP/localhost"),
    ] {
        let cred = Acquire::new(&env, Usage::Accept)
            .name(&name)
            .acquire()
            .unwrap();
        assert_eq!(
            again(&env, &cred).export(&env).unwrap(),
            cred.export(&env).unwrap(),
            "{name}"
        );
    }
    let undecided = Acquire::new(&env, Usage::Initiate).acquire().unwrap();
    assert_eq!(
        again(&env, &undecided).export(&env).unwrap(),
        undecided.export(&env).unwrap()
    );
}

/// A token has one name. What it cannot say must not become a credential for more, or for nobody.
#[test]
fn keys_for_one_name_and_tickets_of_another_are_not_exported() {
    let site = Site::new();
    let env = site.env();
    site.user(&env, "alice").store(&env, None).unwrap();
    let undecided = Acquire::new(&env, Usage::Initiate).acquire().unwrap();
    let decided = Credential::initiator(&env, None).unwrap();
    let named = name("alice");
    let named = Acquire::new(&env, Usage::Initiate).name(&named);
    let named = named.acquire().unwrap();
    for initiator in [undecided, decided, named] {
        for service in [
            web(),
            Name::hostbased_service("HTTP"),
            name("HTTP/localhost"),
        ] {
            let keys = Acquire::new(&env, Usage::Accept).name(&service);
            let both = keys.add_to(&initiator).unwrap();
            let error = both.export(&env).unwrap_err();
            assert_eq!(error.major(), Major::Unavailable, "{service}");
            assert!(error.to_string().contains("HTTP"), "{error}");
        }
        // Keys for any name stay that.
        let any = Acquire::new(&env, Usage::Accept).add_to(&initiator);
        let (any, client) = (any.unwrap(), site.user(&env, "alice"));
        let copy = again(&env, &any);
        converse(&env, &client, &copy);
        assert_eq!(copy.name(), any.name());
    }
}

#[test]
fn a_copy_accepts_for_the_service_alone_that_it_was_acquired_for() {
    let site = Site::new();
    let env = site.env();
    site.keytab("client.keytab", &["HTTP/localhost"]);
    let client = site.user(&env, "alice");
    let accepted = |cred: &Credential, target: &str| {
        let target = Name::hostbased_service(target);
        let Step::Continue { token, .. } = Initiator::new(&env, &client, &target).start().unwrap()
        else {
            panic!("an answer is awaited")
        };
        Acceptor::new(&env, cred).step(&token).is_ok()
    };
    let own = name("HTTP/localhost");
    let initiator = Acquire::new(&env, Usage::Initiate).name(&own);
    let initiator = initiator.acquire().unwrap();
    for usage in [Usage::Accept, Usage::Both] {
        for (service, parts) in [
            (web(), "\"HTTP\",\"localhost\"]"),
            (Name::hostbased_service("HTTP"), "\"HTTP\",null]"),
            (name("HTTP/localhost"), "null,null]"),
        ] {
            let keys = Acquire::new(&env, Usage::Accept).name(&service);
            let cred = match usage {
                Usage::Both => keys.add_to(&initiator),
                _ => keys.acquire(),
            };
            let token = cred.unwrap().export(&env).unwrap();
            let text = String::from_utf8_lossy(&token);
            assert!(text.contains(parts), "{usage}, {service}: {text}");
            let copy = Credential::import(&env, &token).unwrap();
            let takes = ["HTTP@localhost", "host@localhost"].map(|target| accepted(&copy, target));
            assert_eq!(takes, [true, false], "{usage}, {service}");
        }
    }
}

#[test]
fn enctypes_that_one_element_does_not_allow_are_not_allowed() {
    let site = Site::new();
    let env = site.env();
    let acquire = |mechanism, numbers: &[i32]| {
        let cred = Acquire::new(&env, Usage::Accept).mechanisms([mechanism]);
        let cred = cred.acquire().unwrap().with_enctypes(numbers).unwrap();
        cred.export(&env).unwrap()
    };
    let [wide, narrow] = [(Oid::KRB5, &[17, 18][..]), (Oid::SPNEGO, &[18])]
        .map(|(mechanism, numbers)| acquire(mechanism, numbers));
    let client = site.user(&env, "alice");
    let accepts = |cred: &Credential, number| {
        let client = client.with_enctypes(&[number]).unwrap();
        let Step::Continue { token, .. } = Initiator::new(&env, &client, &web()).start().unwrap()
        else {
            panic!("an answer is awaited")
        };
        Acceptor::new(&env, cred).step(&token).is_ok()
    };
    for token in [[&wide[..], &narrow].concat(), [&narrow[..], &wide].concat()] {
        let cred = Credential::import(&env, &token).unwrap();
        assert_eq!([17, 18].map(|number| accepts(&cred, number)), [false, true]);
    }
    let cred = Credential::import(&env, &wide).unwrap();
    assert_eq!([17, 18].map(|number| accepts(&cred, number)), [true, true]);
}

/// Tickets that a service has to act for somebody: MIT's library marks the cache so, and both know it again.
#[test]
fn evidence_says_whose_it_is() {
    let site = Site::new();
    let env = site.env();
    let mut cache = site.user(&env, "alice").tickets().unwrap();
    cache.set_config("proxy_impersonator", None, b"HTTP/localhost@EXAMPLE.TEST");
    let evidence = Credential::from_cache(&cache).unwrap();
    for cred in [&evidence, &again(&env, &evidence)] {
        let impersonator = cred.impersonator(&env).unwrap();
        assert_eq!(impersonator, Some(name("HTTP/localhost")));
        let values = cred
            .inquire_by_oid(&env, Oid::GET_CRED_IMPERSONATOR)
            .unwrap();
        assert_eq!(values, [b"HTTP/localhost@EXAMPLE.TEST"]);
    }
    let token = String::from_utf8_lossy(&evidence.export(&env).unwrap()).into_owned();
    assert!(
        token.contains("null],\"HTTP/localhost@EXAMPLE.TEST\",false,"),
        "{token}"
    );
}

#[test]
fn tickets_that_expired_travel_and_say_so() {
    let site = Site::new();
    let env = site.env();
    let alice = site.user(&env, "alice");
    site.pass(Duration::from_secs(30 * 24 * 3600));
    let facts = again(&env, &alice).inquire(&env).unwrap();
    assert_eq!(facts.lifetime, Lifetime::Expired);
}

#[test]
fn each_cut_is_refused_and_each_flipped_bit_is_harmless() {
    let site = Site::new();
    let env = site.env();
    let mut cache = site.user(&env, "alice").tickets().unwrap();
    cache.credentials.truncate(1);
    cache.credentials[0].ticket.truncate(40);
    let setting = Ticket::setting(cache.principal.clone(), "x", None, b"y");
    cache.credentials.push(setting);
    let cred = Credential::from_cache(&cache).unwrap();
    let token = cred.export(&env).unwrap();
    let mut read = 0;
    for cut in 0..token.len() {
        // Between two elements a token ends as well as at its end.
        match Credential::import(&env, &token[..cut]) {
            Ok(_) => read += 1,
            Err(error) => assert_eq!(error.major(), Major::DefectiveToken, "{cut}"),
        }
    }
    assert!(read <= 1, "{read}");
    for bit in 0..token.len() * 8 {
        let mut other = token.to_vec();
        other[bit / 8] ^= 1 << (bit % 8);
        match Credential::import(&env, &other) {
            Ok(read) => _ = read.inquire(&env),
            Err(error) => assert!(
                matches!(
                    error.major(),
                    Major::DefectiveToken | Major::BadMech | Major::NoCred
                ),
                "{bit}: {error}"
            ),
        }
    }
    let twice = [&token[..], &token[..]].concat();
    assert_eq!(
        Credential::import(&env, &twice).unwrap_err().major(),
        Major::DefectiveToken
    );
}
