//! One replay cache for an acceptor of MIT's library and one of ours: what one has seen, the other refuses.

use std::fs;
use std::path::Path;

use baton::{Config, Environment, Flags, Step, Store, Supplementary};
use interop::Vendor;
use interop::peer::{Peer, Stepped, program};
use interop::realm::{Realm, SERVICES};
use tempfile::TempDir;

use crate::parties::{Case, TICKETS, We, accept, config, environment, realm, start};

/// `KRB5KRB_AP_ERR_REPEAT`.
const REPEAT: u32 = 0x96c7_3a00 + 34;

/// An acceptor of MIT's, with a variable of its environment.
fn theirs(realm: &Realm, variable: &str, value: &str) -> Peer {
    let mut command = realm.command(program(Vendor::Mit), TICKETS);
    Peer::start_with({
        command.env(variable, value);
        command
    })
}

/// A fresh request for a service of each enctype in turn.
fn request(env: &Environment, realm: &Realm, number: usize) -> (Case, Vec<u8>) {
    let mut case = Case::new(Vendor::Mit, We::Initiate, SERVICES[number % 4].1);
    case.flags = Flags::NONE;
    match start(env, realm, case) {
        Step::Done { token, .. } => (case, token.unwrap()),
        Step::Continue { .. } => panic!("there is no answer without mutual authentication"),
    }
}

fn they_accept(theirs: &mut Peer, token: &[u8]) -> bool {
    theirs.accept(None);
    match theirs.step(token) {
        Stepped::Done(_) => true,
        Stepped::Failed { minor: REPEAT, .. } => false,
        other => panic!("{other:?}"),
    }
}

fn we_accept(env: &Environment, realm: &Realm, case: Case, token: &[u8]) -> bool {
    match accept(env, realm, case, token) {
        Ok(_) => true,
        Err(failure) => {
            let bit = failure.error.supplementary();
            assert_eq!(bit, Some(Supplementary::DuplicateToken), "{failure:?}");
            assert_eq!(failure.error.minor(), REPEAT);
            false
        }
    }
}

fn ours(realm: &Realm, rcache: &str) -> Environment {
    let config = Config {
        rcache: Some(rcache.to_owned()),
        ..config(realm)
    };
    Environment::new(config).unwrap()
}

fn length(path: &Path) -> u64 {
    fs::metadata(path).unwrap().len()
}

/// More requests than the first table holds: taken by one, all of them are refused by the other.
#[test]
fn what_they_have_seen_we_refuse_and_the_reverse() {
    let realm = realm(Vendor::Mit);
    let client = environment(realm);
    for they_are_first in [true, false] {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("rcache");
        let name = format!("file2:{}", path.display());
        let mut theirs = theirs(realm, "KRB5RCACHENAME", &name);
        // Another environment of ours has another store in memory, and so knows of the requests by the file alone.
        let (first, second) = (ours(realm, &name), ours(realm, &name));
        let requests: Vec<_> = (0..1100).map(|n| request(&client, realm, n)).collect();
        for (number, (case, token)) in requests.iter().enumerate() {
            let taken = match they_are_first {
                true => they_accept(&mut theirs, token),
                false => we_accept(&first, realm, *case, token),
            };
            assert!(taken, "{number}");
        }
        assert!(length(&path) > 16384, "the file has a second table");
        for (number, (case, token)) in requests.iter().enumerate() {
            assert!(!we_accept(&second, realm, *case, token), "{number}");
            assert!(!they_accept(&mut theirs, token), "{number}");
        }
        let (case, fresh) = request(&client, realm, 0);
        assert!(we_accept(&second, realm, case, &fresh));
    }
}

/// The two write one file by turns, and find each other's records in every table.
#[test]
fn a_file_grows_under_both() {
    let realm = realm(Vendor::Mit);
    let client = environment(realm);
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("rcache");
    let name = format!("file2:{}", path.display());
    let mut theirs = theirs(realm, "KRB5RCACHENAME", &name);
    let (first, second) = (ours(realm, &name), ours(realm, &name));
    let requests: Vec<_> = (0..1300).map(|n| request(&client, realm, n)).collect();
    for (number, (case, token)) in requests.iter().enumerate() {
        let taken = match number % 2 {
            0 => they_accept(&mut theirs, token),
            _ => we_accept(&first, realm, *case, token),
        };
        assert!(taken, "{number}");
    }
    assert!(length(&path) > 16384, "the file has a second table");
    for (number, (case, token)) in requests.iter().enumerate() {
        let taken = match number % 2 {
            0 => we_accept(&second, realm, *case, token),
            _ => they_accept(&mut theirs, token),
        };
        assert!(!taken, "{number}");
    }
}

/// Where nothing is configured, their default cache counts from the moment that it is there.
#[test]
fn their_default_cache_is_shared_as_soon_as_it_is_there() {
    let realm = realm(Vendor::Mit);
    let client = environment(realm);
    let dir = TempDir::new_in("/dev/shm").unwrap();
    let mut theirs = theirs(realm, "KRB5RCACHEDIR", dir.path().to_str().unwrap());
    let ours = |store: &str| {
        let config = Config {
            store: Store::File {
                directory: Some(dir.path().join(store)),
            },
            rcache_directory: Some(dir.path().to_owned()),
            ..config(realm)
        };
        Environment::new(config).unwrap()
    };
    let (first, second) = (ours("first"), ours("second"));
    let (case, token) = request(&client, realm, 0);
    assert!(we_accept(&first, realm, case, &token));
    let caches = || {
        let entries = fs::read_dir(dir.path()).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.ends_with(".rcache2")).count()
    };
    assert_eq!(caches(), 0, "ours makes none");
    let (case, token) = request(&client, realm, 1);
    assert!(they_accept(&mut theirs, &token));
    assert_eq!(caches(), 1);
    assert!(!we_accept(&first, realm, case, &token));
    let (case, token) = request(&client, realm, 2);
    assert!(we_accept(&first, realm, case, &token));
    assert!(!they_accept(&mut theirs, &token));
    assert!(!we_accept(&second, realm, case, &token));
}

/// What cannot answer lets nobody in, and says which file it is.
#[test]
fn a_cache_that_cannot_answer_accepts_nothing() {
    let realm = realm(Vendor::Mit);
    let client = environment(realm);
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("none").join("rcache");
    for name in [format!("file2:{}", path.display()), "nonsense:".to_owned()] {
        let env = ours(realm, &name);
        let (case, token) = request(&client, realm, 0);
        let error = accept(&env, realm, case, &token).unwrap_err().error;
        let mut text = error.to_string();
        let mut cause = std::error::Error::source(&error);
        while let Some(error) = cause {
            text += &format!(": {error}");
            cause = error.source();
        }
        let (_, named) = name.split_once("file2:").unwrap_or(("", &name));
        assert!(text.contains(named), "{text}");
        assert_eq!(error.supplementary(), None);
    }
    let env = ours(realm, "none:");
    let (case, token) = request(&client, realm, 0);
    for _ in 0..2 {
        assert!(we_accept(&env, realm, case, &token));
    }
}
