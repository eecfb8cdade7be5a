//! A KDC whose clock is two hours ahead: the offset is measured, kept in the cache, and made up for by whoever reads it.

use std::fs;
use std::net::{Ipv4Addr, UdpSocket};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use baton::kerberos::Principal;
use baton::kerberos::ccache::CredentialCache;
use baton::kerberos::settings::DEFAULT_ENCTYPES;
use baton::{Credential, Initiator, Name};
use interop::realm::succeeded;
use krb5::kdc::{Kdc, Policy, Principals};
use tempfile::TempDir;
use wire::time::Timestamp;

use crate::{Urandom, environment};

const REALM: &str = "AHEAD.TEST";
const PASSWORD: &str = "a secret";
const AHEAD: Duration = Duration::from_secs(2 * 3600);

fn kdc_now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap() + AHEAD;
    Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap())
}

/// Serves until the process ends; the directory has its `krb5.conf`.
fn start() -> (TempDir, PathBuf) {
    let mut principals = Principals::new(REALM, &DEFAULT_ENCTYPES, &Urandom);
    let alice = Principal::user("alice", REALM);
    principals
        .add_password(alice, PASSWORD.as_bytes(), &DEFAULT_ENCTYPES)
        .unwrap();
    let service = Principal::service("host", "localhost", REALM);
    principals.add_random(service, &DEFAULT_ENCTYPES, &Urandom);
    let kdc = Kdc::new(principals, Policy::default());
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = socket.local_addr().unwrap().port();
    thread::spawn(move || {
        let mut buffer = [0; 65_536];
        while let Ok((length, client)) = socket.recv_from(&mut buffer) {
            let reply = kdc.reply(&buffer[..length], kdc_now(), &Urandom);
            let _ = socket.send_to(&reply, client);
        }
    });
    let dir = TempDir::new().unwrap();
    let conf = dir.path().join("krb5.conf");
    let text = format!(
        "[libdefaults]\n default_realm = {REALM}\n dns_canonicalize_hostname = false\n dns_lookup_kdc = false\n\
         [realms]\n {REALM} = {{\n  kdc = 127.0.0.1:{port}\n }}\n[domain_realm]\n localhost = {REALM}\n"
    );
    fs::write(&conf, text).unwrap();
    (dir, conf)
}

fn mit(program: &str, dir: &TempDir, ccache: &str) -> Command {
    let mut command = Command::new(program);
    let cache = dir.path().join(ccache);
    command
        .env_clear()
        .env("KRB5_CONFIG", dir.path().join("krb5.conf"))
        .env("KRB5CCNAME", format!("FILE:{}", cache.display()));
    command
}

fn assert_ahead(cache: &CredentialCache) {
    let offset = cache.time_offset.expect("an offset").seconds;
    assert!((i64::from(offset) - 7200).abs() < 10, "{offset}");
}

#[test]
fn the_offset_that_mit_measured_is_obeyed_by_ours() {
    let (dir, conf) = start();
    fs::write(dir.path().join("password"), PASSWORD).unwrap();
    let kinit = mit("/usr/bin/kinit", &dir, "theirs")
        .arg(format!("alice@{REALM}"))
        .stdin(fs::File::open(dir.path().join("password")).unwrap())
        .output();
    succeeded("kinit", kinit.unwrap());
    let path = dir.path().join("theirs");
    let cache = CredentialCache::parse(&fs::read(&path).unwrap()).unwrap();
    assert_ahead(&cache);

    let env = environment(&conf);
    let cred = Credential::initiator(&env, Some(&format!("FILE:{}", path.display()))).unwrap();
    let target = Name::hostbased_service("host@localhost");
    Initiator::new(&env, &cred, &target).start().unwrap();

    let mut without = cache;
    without.time_offset = None;
    let cred = Credential::from_cache(&without).unwrap();
    let refused = Initiator::new(&env, &cred, &target).start();
    assert!(
        refused.is_err(),
        "the KDC cares, or this test shows nothing"
    );
}

#[test]
fn the_offset_that_ours_measured_is_obeyed_by_mit() {
    let (dir, conf) = start();
    let env = environment(&conf);
    let name = Name::krb5_principal(&format!("alice@{REALM}"));
    let cred = Credential::with_password(&env, &name, PASSWORD).unwrap();
    assert_ahead(&cred.tickets().unwrap());
    let path = dir.path().join("ours");
    cred.store(&env, Some(&format!("FILE:{}", path.display())))
        .unwrap();
    let kvno = || {
        let mut command = mit("/usr/bin/kvno", &dir, "ours");
        command
            .arg("host/localhost")
            .stdin(Stdio::null())
            .output()
            .unwrap()
    };
    succeeded("kvno", kvno());

    let mut cache = CredentialCache::parse(&fs::read(&path).unwrap()).unwrap();
    cache.time_offset = None;
    cache.credentials.retain(|ticket| ticket.server.is_krbtgt());
    fs::write(&path, cache.encode().unwrap()).unwrap();
    assert!(
        !kvno().status.success(),
        "MIT's client cares, or this test shows nothing"
    );
}
