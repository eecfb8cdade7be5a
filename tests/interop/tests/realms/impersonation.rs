//! Constrained delegation: S4U2Self with both vendors' KDCs, S4U2Proxy with Heimdal's (MIT's default database cannot grant
//! it), and both for their programs with our development realm.

use std::path::{Path, PathBuf};
use std::process::Output;

use baton::host::tickets::{ImpersonationError, TicketError};
use baton::realm::DevelopmentRealm;
use baton::{Config, Credential, CredentialError, Environment, Error, Name, Store};
use interop::peer::{Peer, program};
use interop::realm::{CLIENT, succeeded};
use interop::realms::{Member, Realms};
use interop::{Vendor, heimdal_program};
use krb5::exchange::as_exchange::ExchangeError;
use krb5::messages::error_code;

use crate::{accepted, first_token, read, servers};

const REALM: &str = "ONE.TEST";
const WEB: &str = "HTTP/www.one.test";
const DATABASE: &str = "postgres/db.one.test";

/// A realm whose web server may act for its users towards the database, as far as its KDC knows such a thing.
fn realm(vendor: Vendor) -> (Realms, PathBuf) {
    let member = Member {
        name: REALM,
        vendor,
        services: &[WEB, DATABASE, "imap/mail.one.test"],
        trusts: &[],
    };
    let realms = Realms::start(&[member], "");
    match vendor {
        Vendor::Mit => realms.admin(REALM, &[&format!("modprinc +ok_to_auth_as_delegate {WEB}")]),
        Vendor::Heimdal => {
            let target = format!("--constrained-delegation={DATABASE}@{REALM}");
            realms.admin(REALM, &["modify", &target, WEB]);
            let trusted = "--attributes=trusted-for-delegation";
            realms.admin(REALM, &["modify", trusted, WEB])
        }
    };
    let conf = realms.client_conf(REALM, "[domain_realm]\n .one.test = ONE.TEST\n");
    (realms, conf)
}

/// The web server's host, with its keytab: Heimdal 7.8's KDC does not vouch for the user.
fn environment(realms: &Realms, conf: &Path) -> Environment {
    let config = Config {
        krb5_conf: vec![conf.to_owned()],
        store: Store::Memory,
        keytab: Some(format!("FILE:{}", realms.keytab(REALM).display())),
        ..Config::default()
    };
    Environment::new(config).unwrap()
}

/// The web server's own credential.
fn web(env: &Environment, realms: &Realms) -> Credential {
    let keytab = format!("FILE:{}", realms.keytab(REALM).display());
    let name = Name::krb5_principal(&format!("{WEB}@{REALM}"));
    Credential::with_keytab(env, &name, Some(&keytab)).unwrap()
}

fn user(name: &str) -> Name {
    Name::krb5_principal(&format!("{name}@{REALM}"))
}

fn host(service: &str) -> Name {
    Name::hostbased_service(&service.replace('/', "@"))
}

/// Whom the services of the realm see.
fn seen(realms: &Realms, conf: &Path, token: &[u8]) -> String {
    let client = accepted(realms, REALM, conf, token);
    client.map_err(|failure| failure.error).unwrap()
}

fn refusal(error: &Error) -> &ImpersonationError {
    match error.cause::<CredentialError>() {
        Some(CredentialError::Ticket(TicketError::Impersonation(error))) => error,
        _ => panic!("{error:?}"),
    }
}

fn code(error: &Error) -> i32 {
    match refusal(error) {
        ImpersonationError::Exchange {
            cause: ExchangeError::Refused(error),
            ..
        } => error.code,
        _ => panic!("{error}"),
    }
}

#[test]
fn a_service_gets_a_users_ticket_for_itself() {
    for vendor in Vendor::ALL {
        let (realms, conf) = realm(vendor);
        let env = environment(&realms, &conf);
        let web = web(&env, &realms);
        let alice = web.impersonate(&env, &user(CLIENT));
        let alice = alice.unwrap_or_else(|error| panic!("{vendor:?}: {error}"));
        let token = first_token(&env, &alice, &host(WEB)).unwrap();
        assert_eq!(
            seen(&realms, &conf, &token),
            format!("{CLIENT}@{REALM}"),
            "{vendor:?}"
        );
        let service = alice.impersonator(&env).unwrap().unwrap();
        assert_eq!(service.to_string(), format!("{WEB}@{REALM}"));

        let error = web.impersonate(&env, &user("nobody")).unwrap_err();
        assert_eq!(
            code(&error),
            error_code::KDC_ERR_C_PRINCIPAL_UNKNOWN,
            "{vendor:?}"
        );
        let text = error.to_string();
        assert!(
            text.contains("nobody@ONE.TEST") && text.contains(WEB),
            "{text}"
        );
    }
}

/// Where the service's key is not at hand.
#[test]
fn without_a_keytab_the_kdc_has_to_vouch_for_the_user() {
    for vendor in Vendor::ALL {
        let (realms, conf) = realm(vendor);
        let env = crate::environment(&conf);
        let alice = web(&env, &realms).impersonate(&env, &user(CLIENT));
        match vendor {
            Vendor::Mit => drop(alice.unwrap()),
            Vendor::Heimdal => {
                let error = alice.unwrap_err();
                let unproven = matches!(refusal(&error), ImpersonationError::UserUnproven(_));
                assert!(unproven, "{error}");
            }
        }
    }
}

#[test]
fn a_service_acts_for_a_user_towards_another() {
    let (realms, conf) = realm(Vendor::Heimdal);
    let env = environment(&realms, &conf);
    let alice = web(&env, &realms).impersonate(&env, &user(CLIENT)).unwrap();
    let token = first_token(&env, &alice, &host(DATABASE));
    let token = token.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(seen(&realms, &conf, &token), format!("{CLIENT}@{REALM}"));
    // Once more, from the cache.
    let before = servers(&alice.tickets().unwrap());
    assert_eq!(before.last().unwrap(), "postgres/db.one.test@");
    first_token(&env, &alice, &host(DATABASE)).unwrap();
    assert_eq!(servers(&alice.tickets().unwrap()), before);

    // Nobody allows it towards the mail server.
    let error = first_token(&env, &alice, &host("imap/mail.one.test")).unwrap_err();
    assert_eq!(code(&error), error_code::KDC_ERR_BADOPTION);
}

#[test]
fn what_a_kdc_does_not_grant_says_why() {
    let (realms, conf) = realm(Vendor::Mit);
    let env = environment(&realms, &conf);
    let alice = web(&env, &realms).impersonate(&env, &user(CLIENT)).unwrap();
    let error = first_token(&env, &alice, &host(DATABASE)).unwrap_err();
    let text = error.to_string();
    assert!(text.contains(WEB) && text.contains("ONE.TEST"), "{text}");

    // Heimdal's without the trust: the evidence cannot be forwarded.
    let (realms, conf) = realm(Vendor::Heimdal);
    let distrusted = "--attributes=-trusted-for-delegation";
    realms.admin(REALM, &["modify", distrusted, WEB]);
    let env = environment(&realms, &conf);
    let alice = web(&env, &realms).impersonate(&env, &user(CLIENT)).unwrap();
    let error = first_token(&env, &alice, &host(DATABASE)).unwrap_err();
    let not_forwardable = matches!(refusal(&error), ImpersonationError::NotForwardable { .. });
    assert!(not_forwardable, "{error}");
}

/// A cache that says who acts for its client, written by us and used by MIT's library, and used again by us.
#[test]
fn mits_library_acts_with_our_cache() {
    let (realms, conf) = realm(Vendor::Heimdal);
    let env = environment(&realms, &conf);
    let alice = web(&env, &realms).impersonate(&env, &user(CLIENT)).unwrap();
    let path = realms.path("acting");
    let cache = format!("FILE:{}", path.display());
    alice.store(&env, Some(&cache)).unwrap();

    let peer = realms.command(program(Vendor::Mit), &conf, "acting");
    let mut peer = Peer::start_with(peer);
    for service in [DATABASE, WEB] {
        peer.initiate(&service.replace('/', "@"), 62, None);
        let token = peer.step(&[]).token();
        assert_eq!(
            seen(&realms, &conf, &token),
            format!("{CLIENT}@{REALM}"),
            "{service}"
        );
    }
    let written = servers(&read(&path));
    assert_eq!(written.last().unwrap(), "postgres/db.one.test@");

    let again = Credential::initiator(&env, Some(&cache)).unwrap();
    let token = first_token(&env, &again, &host(DATABASE)).unwrap();
    assert_eq!(seen(&realms, &conf, &token), format!("{CLIENT}@{REALM}"));
    assert_eq!(servers(&read(&path)), written, "what they got is used");
}

/// Our development realm as their programs see it.
fn development() -> (DevelopmentRealm, tempfile::TempDir) {
    let realm = DevelopmentRealm::builder("DEVELOPMENT.TEST")
        .user(CLIENT, "a secret")
        .service("HTTP/localhost")
        .service("postgres/localhost")
        .service("imap/localhost")
        .delegation("HTTP/localhost", "postgres/localhost")
        .start();
    (realm.unwrap(), tempfile::tempdir().unwrap())
}

fn run(
    realm: &DevelopmentRealm,
    directory: &tempfile::TempDir,
    program: impl AsRef<Path>,
    arguments: &[&str],
) -> Output {
    let cache = directory.path().join("cache");
    let mut command = std::process::Command::new(program.as_ref());
    command
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env("KRB5_CONFIG", realm.krb5_conf())
        .env("KRB5CCNAME", format!("FILE:{}", cache.display()))
        .stdin(std::process::Stdio::null());
    command.args(arguments).output().unwrap()
}

#[test]
fn their_programs_act_for_users_in_our_realm() {
    let (realm, directory) = development();
    let keytab = realm.keytab().display().to_string();
    let kinit = ["-k", "-t", &*keytab, "HTTP/localhost"];
    succeeded("kinit", run(&realm, &directory, "/usr/bin/kinit", &kinit));
    let alice = format!("{CLIENT}@DEVELOPMENT.TEST");
    let kvno = |arguments: &[&str]| run(&realm, &directory, "/usr/bin/kvno", arguments);
    succeeded("kvno", kvno(&["-I", &alice, "HTTP/localhost"]));
    let proxy = |target| kvno(&["-k", &keytab, "-I", &alice, "-P", target]);
    succeeded("kvno", proxy("postgres/localhost"));
    assert!(!proxy("imap/localhost").status.success());
    assert!(
        !kvno(&["-I", "nobody@DEVELOPMENT.TEST", "HTTP/localhost"])
            .status
            .success()
    );

    let impersonate = format!("--impersonate={alice}");
    let arguments = [&*impersonate, "HTTP/localhost@DEVELOPMENT.TEST"];
    let got = run(&realm, &directory, heimdal_program("kgetcred"), &arguments);
    succeeded("kgetcred", got);
}
