//! Tickets from the client keytab: got when they are needed, noted in the cache, got anew when half of their life is over.

use std::fs;
use std::time::Duration;

use baton::kerberos::Principal;
use baton::kerberos::ccache::CredentialCache;
use baton::{Acquire, CredStore, Credential, Environment, Initiator, Lifetime, Major, Usage};

use crate::site::{REALM, Site, name, web};

fn refresh_time(site: &Site) -> Option<i64> {
    let cache = site.read("cc");
    let value = cache.config("refresh_time", None)?;
    Some(str::from_utf8(value).unwrap().parse().unwrap())
}

fn end(site: &Site) -> i64 {
    let cache = site.read("cc");
    let ends = cache.tickets().map(|ticket| ticket.endtime.seconds());
    ends.max().unwrap()
}

fn default(env: &Environment) -> Result<Credential, baton::Error> {
    Acquire::new(env, Usage::Initiate).acquire()
}

#[test]
fn where_there_is_no_cache_the_first_client_of_the_keytab_gets_one() {
    let site = Site::new();
    let env = site.env();
    assert_eq!(default(&env).unwrap_err().major(), Major::NoCred);
    site.keytab("client.keytab", &["robot", "second"]);
    let cred = default(&env).unwrap();
    assert!(
        !site.path("cc").exists(),
        "nothing is got before it is needed"
    );
    assert_eq!(cred.name(), None);
    Initiator::new(&env, &cred, &web()).start().unwrap();
    assert_eq!(cred.name().unwrap().to_string(), format!("robot@{REALM}"));
    let cache = site.read("cc");
    assert_eq!(cache.principal, Principal::user("robot", REALM));
    let ticket = cache.tickets().next().unwrap();
    let half = (ticket.authtime.seconds() + ticket.endtime.seconds()) / 2;
    assert_eq!(refresh_time(&site), Some(half));
}

#[test]
fn tickets_are_got_anew_when_half_of_their_life_is_over() {
    let site = Site::new();
    let env = site.env();
    site.keytab("client.keytab", &["robot"]);
    let cred = Credential::initiator(&env, None).unwrap();
    let (first, refresh) = (end(&site), refresh_time(&site).unwrap());
    // A second look, by this credential or a new one, leaves them alone.
    site.pass(Duration::from_secs(60));
    cred.inquire(&env).unwrap();
    Credential::initiator(&env, None).unwrap();
    assert_eq!((end(&site), refresh_time(&site)), (first, Some(refresh)));

    // The KDC's own clock is the system's: what it gives begins again there, with a new refresh time.
    let mut cache = site.read("cc");
    cache.set_config("refresh_time", None, b"1");
    cache.set_config("mark", None, b"the old one");
    fs::write(site.path("cc"), &*cache.encode().unwrap()).unwrap();
    Credential::initiator(&env, None).unwrap();
    assert_eq!(
        site.read("cc").config("mark", None),
        None,
        "the cache was made anew"
    );
    assert!(refresh_time(&site).unwrap() > 1_000_000);

    // A credential that lives long notices by itself.
    let mut cache = site.read("cc");
    cache.set_config("mark", None, b"the old one");
    fs::write(site.path("cc"), &*cache.encode().unwrap()).unwrap();
    site.pass(Duration::from_secs((first - refresh) as u64 + 3600));
    cred.inquire(&env).unwrap();
    assert_eq!(
        site.read("cc").config("mark", None),
        None,
        "the cache was made anew"
    );
}

#[test]
fn what_cannot_be_renewed_is_used_to_its_end() {
    let site = Site::new();
    let env = site.env();
    site.user(&env, "alice").store(&env, None).unwrap();
    let mut cache = site.read("cc");
    cache.set_config("refresh_time", None, b"1");
    fs::write(site.path("cc"), &*cache.encode().unwrap()).unwrap();
    let cred = Credential::initiator(&env, None).unwrap();
    assert!(matches!(
        cred.inquire(&env).unwrap().lifetime,
        Lifetime::Left(_)
    ));
    // There is a key, and the KDC does not know it any more: after a failed attempt nobody tries again for a while.
    site.keytab("client.keytab", &["robot"]);
    let bytes = fs::read(site.path("client.keytab")).unwrap();
    let mut keytab = baton::kerberos::keytab::Keytab::parse(&bytes).unwrap();
    for entry in &mut keytab.entries {
        entry.principal = Principal::user("alice", REALM);
    }
    fs::write(site.path("client.keytab"), &*keytab.encode().unwrap()).unwrap();
    let cred = Credential::initiator(&env, None).unwrap();
    assert!(matches!(
        cred.inquire(&env).unwrap().lifetime,
        Lifetime::Left(_)
    ));
    let again = refresh_time(&site).unwrap();
    assert!(
        again > 1,
        "it was tried, and is not tried by others at once"
    );
    Initiator::new(&env, &cred, &web()).start().unwrap();
}

#[test]
fn any_refresh_time_that_is_a_number_is_read() {
    let site = Site::new();
    let env = site.env();
    site.user(&env, "alice").store(&env, None).unwrap();
    for time in [i64::MIN, -1, 0, i64::MAX] {
        let mut cache = site.read("cc");
        cache.set_config("refresh_time", None, time.to_string().as_bytes());
        fs::write(site.path("cc"), &*cache.encode().unwrap()).unwrap();
        let cred = Credential::initiator(&env, None).unwrap();
        assert_eq!(cred.name(), Some(name("alice")), "{time}");
    }
}

#[test]
fn an_empty_cache_is_filled_and_one_that_cannot_be_is_an_error() {
    let site = Site::new();
    let env = site.env();
    let empty = CredentialCache::new(Principal::user("robot", REALM));
    fs::write(site.path("cc"), &*empty.encode().unwrap()).unwrap();
    let explicit = || {
        let store = CredStore::new().ccache(site.named("FILE", "cc"));
        Acquire::new(&env, Usage::Initiate).store(store).acquire()
    };
    let error = explicit().unwrap_err();
    assert_eq!(
        (error.major(), error.minor()),
        (Major::NoCred, 39_756_032 + 12)
    );
    for part in ["cc", "robot@EXAMPLE.TEST", "client.keytab", "empty"] {
        assert!(error.to_string().contains(part), "{error}");
    }
    site.keytab("client.keytab", &["second", "robot"]);
    let cred = explicit().unwrap();
    assert_eq!(cred.name().unwrap().to_string(), format!("robot@{REALM}"));
    assert_eq!(cred.tickets().unwrap().tickets().count(), 1);
}

#[test]
fn a_cache_that_was_removed_is_made_again() {
    let site = Site::new();
    let env = site.env();
    site.keytab("client.keytab", &["robot"]);
    let cred = Credential::initiator(&env, None).unwrap();
    fs::remove_file(site.path("cc")).unwrap();
    Initiator::new(&env, &cred, &web()).start().unwrap();
    assert_eq!(site.read("cc").tickets().count(), 2);
}

#[test]
fn the_lifetime_that_is_asked_for_is_what_the_kdc_is_asked_for() {
    let site = Site::new();
    let env = site.env();
    site.keytab("client.keytab", &["robot"]);
    let hour = Duration::from_secs(3600);
    let robot = name("robot");
    let short = Acquire::new(&env, Usage::Initiate)
        .name(&robot)
        .lifetime(hour);
    let Lifetime::Left(left) = short.acquire().unwrap().inquire(&env).unwrap().lifetime else {
        panic!("it lives")
    };
    assert!(left <= hour && left > hour / 2, "{left:?}");
    let alice = name("alice");
    let short = Acquire::new(&env, Usage::Initiate)
        .name(&alice)
        .password("alice's");
    let facts = short
        .lifetime(hour)
        .acquire()
        .unwrap()
        .inquire(&env)
        .unwrap();
    assert!(matches!(facts.lifetime, Lifetime::Left(left) if left <= hour));
}
