//! Whose tickets are used where nobody says: by `.k5identity`, the target's realm, its host's name, else the default cache.

use std::fs;
use std::time::Duration;

use baton::kerberos::Principal;
use baton::kerberos::ccache::CredentialCache;
use baton::{Acquire, Config, Credential, Environment, Initiator, Major, Name, Usage};

use crate::site::{REALM, Site, name, web};

/// An environment whose caches are in a directory.
fn collection(site: &Site) -> Environment {
    site.env_of(Config {
        ccache: Some(site.named("DIR", "caches")),
        ..site.config()
    })
}

/// Who it was, toward `target`. That the realm is not ours, or the tickets are none, is not the question here.
fn chosen(env: &Environment, target: &Name) -> String {
    let cred = Acquire::new(env, Usage::Initiate).acquire().unwrap();
    let _ = Initiator::new(env, &cred, target).start();
    cred.name()
        .map_or_else(String::new, |name| name.to_string())
}

/// A cache of `client` with a ticket that lasts.
fn cache_of(site: &Site, env: &Environment, client: &Principal, file: &str) {
    let mut cache = CredentialCache::new(client.clone());
    let mut ticket = site
        .user(env, "alice")
        .tickets()
        .unwrap()
        .credentials
        .remove(0);
    ticket.client = client.clone();
    cache.credentials.push(ticket);
    let directory = site.path("caches");
    fs::create_dir_all(&directory).unwrap();
    fs::write(directory.join(file), &*cache.encode().unwrap()).unwrap();
}

#[test]
fn the_target_decides() {
    let site = Site::new();
    let env = collection(&site);
    let client = |name: &str, realm: &str| Principal::user(name, realm);
    cache_of(&site, &env, &client("main", "ELSEWHERE.TEST"), "tkt");
    cache_of(&site, &env, &client("alice", REALM), "tkta");
    cache_of(&site, &env, &client("wide", "SERVERS.TEST"), "tktb");
    cache_of(&site, &env, &client("narrow", "DEEP.SERVERS.TEST"), "tktc");
    cache_of(&site, &env, &client("late", "SERVERS.TEST"), "tktd");
    let host = |name: &str| Name::hostbased_service(name);
    // The target's realm.
    assert_eq!(chosen(&env, &web()), "alice@EXAMPLE.TEST");
    let user = Name::krb5_principal("bob@SERVERS.TEST");
    assert_eq!(chosen(&env, &user), "wide@SERVERS.TEST");
    // The longest tail of its host's name, where nothing but the default realm tells its realm: MIT's library knows none then.
    let on = |name: &str| chosen(&env, &host(name));
    assert_eq!(on("x@a.deep.servers.test"), "narrow@DEEP.SERVERS.TEST");
    assert_eq!(on("x@shallow.servers.test"), "wide@SERVERS.TEST");
    assert_eq!(on("x@servers.test"), "wide@SERVERS.TEST");
    assert_eq!(on("x@notservers.test"), "main@ELSEWHERE.TEST");
    // Else the primary cache.
    assert_eq!(on("x@unheard.of"), "main@ELSEWHERE.TEST");
    fs::write(site.path("caches/primary"), "tktc\n").unwrap();
    assert_eq!(on("x@unheard.of"), "narrow@DEEP.SERVERS.TEST");
    // What the user wrote goes before all of that.
    fs::write(
        site.path(".k5identity"),
        "late@SERVERS.TEST service=HTTP host=local*\nmain@ELSEWHERE.TEST realm=SERVERS.*\n",
    )
    .unwrap();
    assert_eq!(chosen(&env, &web()), "late@SERVERS.TEST");
    assert_eq!(chosen(&env, &user), "main@ELSEWHERE.TEST");
    assert_eq!(chosen(&env, &host("smtp@localhost")), "alice@EXAMPLE.TEST");
    // A realm that was guessed is none there either.
    fs::write(
        site.path(".k5identity"),
        "late@SERVERS.TEST realm=EXAMPLE.TEST\n",
    )
    .unwrap();
    assert_eq!(on("x@a.deep.servers.test"), "narrow@DEEP.SERVERS.TEST");
    assert_eq!(on("smtp@localhost"), "late@SERVERS.TEST");
}

#[test]
fn whom_the_user_chose_gets_tickets_with_the_client_keytab() {
    let site = Site::new();
    let env = collection(&site);
    site.user(&env, "alice")
        .store(&env, Some(&site.named("DIR", "caches")))
        .unwrap();
    fs::write(site.path(".k5identity"), format!("second@{REALM}\n")).unwrap();
    let cred = Acquire::new(&env, Usage::Initiate).acquire().unwrap();
    let error = Initiator::new(&env, &cred, &web()).start().unwrap_err();
    assert_eq!(error.major(), Major::NoCred);
    for part in ["second@EXAMPLE.TEST", "caches", "client.keytab"] {
        assert!(error.to_string().contains(part), "{error}");
    }
    site.keytab("client.keytab", &["robot", "second"]);
    assert_eq!(chosen(&env, &web()), "second@EXAMPLE.TEST");
    // Beside the others, and without becoming the default.
    let files = fs::read_dir(site.path("caches")).unwrap();
    let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    assert_eq!(names.filter(|name| name.starts_with("tkt")).count(), 2);
    let default = Credential::initiator(&env, None).unwrap();
    assert_eq!(default.name().unwrap().to_string(), "alice@EXAMPLE.TEST");
}

/// What cannot be the user's own words is none, and stops nobody.
#[test]
fn a_k5identity_that_is_no_file_or_too_long_says_nothing() {
    let site = Site::new();
    let env = collection(&site);
    let alice = Principal::user("alice", REALM);
    cache_of(&site, &env, &alice, "tkt");
    cache_of(&site, &env, &Principal::user("bob", REALM), "tktb");
    let (path, rule) = (site.path(".k5identity"), format!("bob@{REALM}\n"));
    let host = Name::hostbased_service("x@unheard.of");
    fs::write(&path, &rule).unwrap();
    assert_eq!(chosen(&env, &host), format!("bob@{REALM}"));
    fs::write(&path, rule + &"#".repeat(1 << 20)).unwrap();
    assert_eq!(chosen(&env, &host), format!("alice@{REALM}"));
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    assert_eq!(chosen(&env, &host), format!("alice@{REALM}"));
    fs::remove_dir(&path).unwrap();

    // A pipe that nobody writes into: it is not waited for.
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    let (tell, told) = std::sync::mpsc::channel();
    let (env, target) = (env.clone(), host.clone());
    std::thread::spawn(move || tell.send(chosen(&env, &target)));
    let answer = told.recv_timeout(Duration::from_secs(60));
    assert_eq!(answer.unwrap(), format!("alice@{REALM}"));

    // Without an end, and without a size beforehand.
    fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink("/dev/zero", &path).unwrap();
    let env = collection(&site);
    assert_eq!(chosen(&env, &host), format!("alice@{REALM}"));
}

#[test]
fn a_name_finds_its_cache() {
    let site = Site::new();
    let env = collection(&site);
    let robot = name("robot");
    let acquire = |name: &Name| Acquire::new(&env, Usage::Initiate).name(name).acquire();
    assert_eq!(acquire(&robot).unwrap_err().major(), Major::NoCred);
    for user in ["alice", "bob"] {
        let store = baton::StoreCred::new(&env);
        store.store_cred(&site.user(&env, user)).unwrap();
    }
    for user in ["alice", "bob"] {
        let wanted = name(user);
        let cred = acquire(&wanted).unwrap();
        assert_eq!(
            cred.tickets().unwrap().principal,
            Principal::user(user, REALM)
        );
    }
    site.keytab("client.keytab", &["robot"]);
    assert_eq!(acquire(&robot).unwrap().name(), Some(robot));
}

/// One file is no collection.
#[test]
fn a_name_that_is_not_the_caches_is_refused_where_there_is_one_cache() {
    let site = Site::new();
    let env = site.env();
    site.user(&env, "alice").store(&env, None).unwrap();
    let robot = name("robot");
    let acquire = || Acquire::new(&env, Usage::Initiate).name(&robot).acquire();
    let nowhere = acquire().unwrap_err();
    assert!(nowhere.to_string().contains("client.keytab"), "{nowhere}");
    site.keytab("client.keytab", &["robot"]);
    let error = acquire().unwrap_err();
    assert_eq!((error.major(), error.minor()), (Major::NoCred, 39_756_032));
    for part in ["cc", "alice@EXAMPLE.TEST", "robot@EXAMPLE.TEST"] {
        assert!(error.to_string().contains(part), "{error}");
    }
    fs::remove_file(site.path("cc")).unwrap();
    acquire().unwrap();
    assert_eq!(site.read("cc").principal, Principal::user("robot", REALM));
}

#[test]
fn the_first_use_decides_for_good() {
    let site = Site::new();
    let env = collection(&site);
    for user in ["alice", "bob"] {
        baton::StoreCred::new(&env)
            .store_cred(&site.user(&env, user))
            .unwrap();
    }
    fs::write(
        site.path(".k5identity"),
        format!("bob@{REALM} service=HTTP\nalice@{REALM}\n"),
    )
    .unwrap();
    let cred = Acquire::new(&env, Usage::Initiate).acquire().unwrap();
    let clone = cred.clone();
    Initiator::new(&env, &cred, &web()).start().unwrap();
    let host = Name::hostbased_service("host@localhost");
    Initiator::new(&env, &clone, &host).start().unwrap();
    assert_eq!(clone.name().unwrap().to_string(), "bob@EXAMPLE.TEST");
}
