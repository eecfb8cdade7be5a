//! Which name a host has in its service's principal, before a KDC that knows one of them.

use std::net::IpAddr;
use std::sync::Arc;

use baton::host::resolver::{Host, Resolver};
use baton::kerberos::settings::CanonicalizeHostname;
use baton::realm::DevelopmentRealm;
use baton::{Config, Environment, Error, Initiator, Name, Store};

/// `www` is an alias of `web.example.test`.
#[derive(Debug)]
struct Dns;

impl Resolver for Dns {
    fn forward(&self, name: &str) -> Option<Host> {
        (name == "www").then(|| Host {
            canonical: "web.example.test".to_owned(),
            address: [192, 0, 2, 1].into(),
        })
    }

    fn reverse(&self, _: IpAddr) -> Option<String> {
        None
    }

    fn search_domain(&self) -> Option<String> {
        None
    }
}

fn begun(realm: &DevelopmentRealm, how: CanonicalizeHostname, host: &str) -> Result<(), Error> {
    let mut settings = realm.environment()?.settings().clone();
    settings.dns_canonicalize_hostname = how;
    let env = Environment::new(Config {
        settings: Some(settings),
        store: Store::Memory,
        resolver: Some(Arc::new(Dns)),
        ..realm.config()
    })?;
    let alice = realm.credential(&env, "alice")?;
    let name = Name::hostbased_service(&format!("HTTP@{host}"));
    Initiator::new(&env, &alice, &name).start().map(|_| ())
}

#[test]
fn the_kdcs_name_is_found_where_dns_may_be_asked() {
    let realm = DevelopmentRealm::builder("EXAMPLE.TEST")
        .user("alice", "secret")
        .service("HTTP/web.example.test")
        .start()
        .unwrap();
    let (no, yes, fallback) = (
        CanonicalizeHostname::No,
        CanonicalizeHostname::Yes,
        CanonicalizeHostname::Fallback,
    );
    for how in [no, yes, fallback] {
        begun(&realm, how, "web.example.test").unwrap();
    }
    let error = begun(&realm, no, "www").unwrap_err();
    assert!(error.to_string().contains("HTTP/www@"), "{error}");
    begun(&realm, yes, "www").unwrap();
    begun(&realm, fallback, "www").unwrap();
    for how in [no, yes, fallback] {
        assert!(begun(&realm, how, "unknown").is_err());
    }
}
