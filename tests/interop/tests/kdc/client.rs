//! Our client (AS and TGS) against both vendors' KDCs.

use std::fs;
use std::sync::OnceLock;

use baton::kerberos::ccache::CredentialCache;
use baton::kerberos::keytab::Keytab;
use baton::{Acceptor, Credential, Environment, Initiator, Name, Step};
use interop::Vendor;
use interop::realm::{CLIENT, PASSWORD, REALM, Realm, SERVICES, shared};
use krb5::messages::error_code::{
    KDC_ERR_C_PRINCIPAL_UNKNOWN, KDC_ERR_PREAUTH_FAILED, KDC_ERR_S_PRINCIPAL_UNKNOWN,
};

use crate::{environment, refusal};

/// The client from whom the KDC wants pre-authentication, and whose only key has the enctype: `p17`.
fn preauthenticated(enctype: i32) -> String {
    format!("p{enctype}")
}

/// The vendor's realm, with a client that must pre-authenticate for each enctype.
fn realm(vendor: Vendor) -> &'static Realm {
    static MIT: OnceLock<()> = OnceLock::new();
    static HEIMDAL: OnceLock<()> = OnceLock::new();
    let realm = shared(vendor);
    let ready = match vendor {
        Vendor::Mit => &MIT,
        Vendor::Heimdal => &HEIMDAL,
    };
    ready.get_or_init(|| {
        for (number, _, enctype) in SERVICES {
            add_preauthenticated(realm, &preauthenticated(number), enctype);
        }
    });
    realm
}

fn add_preauthenticated(realm: &Realm, client: &str, enctype: &str) {
    match realm.vendor() {
        Vendor::Mit => {
            // Its own kind of salt shows that ours takes the one that the KDC tells.
            let keys = format!("-e {enctype}:onlyrealm");
            realm.admin(&[&format!(
                "addprinc {keys} -pw \"{PASSWORD}\" +requires_preauth {client}"
            )]);
        }
        Vendor::Heimdal => {
            let password = format!("--password={PASSWORD}");
            let attributes = "--attributes=requires-pre-auth";
            realm.admin(&["add", &password, attributes, "--use-defaults", client]);
            for (_, _, other) in SERVICES.iter().filter(|(_, _, other)| *other != enctype) {
                realm.admin(&["del_enctype", client, other]);
            }
        }
    }
}

fn with_password(
    env: &Environment,
    client: &str,
    password: &str,
) -> Result<Credential, baton::Error> {
    let name = Name::krb5_principal(&format!("{client}@{REALM}"));
    Credential::with_password(env, &name, password)
}

/// A service's ticket from the KDC's TGS, shown by a handshake that the service's key completes.
fn assert_reaches(env: &Environment, realm: &Realm, cred: &Credential, service: &str) {
    let target = Name::hostbased_service(&format!("{service}@localhost"));
    let started = Initiator::new(env, cred, &target).start();
    let Step::Continue { token, next } =
        started.unwrap_or_else(|error| panic!("{service}: {error}"))
    else {
        panic!("mutual authentication has an answer");
    };
    let keytab = format!("FILE:{}", realm.keytab().display());
    let keys = Credential::acceptor(env, Some(&keytab)).unwrap();
    let Ok(Step::Done { token, .. }) = Acceptor::new(env, &keys).step(&token) else {
        panic!("{service}: not accepted");
    };
    next.step(&token.unwrap()).unwrap();
    let cached = cred.tickets().unwrap();
    let server = format!("{service}/localhost@{REALM}");
    assert!(
        cached
            .tickets()
            .any(|ticket| ticket.server.to_string() == server)
    );
}

#[test]
fn a_password_gets_tickets_for_every_service() {
    for vendor in Vendor::ALL {
        let realm = realm(vendor);
        let env = environment(&realm.config());
        let cred = with_password(&env, CLIENT, PASSWORD).unwrap();
        for (_, service, _) in SERVICES {
            assert_reaches(&env, realm, &cred, service);
        }
    }
}

/// PREAUTH_REQUIRED with its ETYPE-INFO2, then PA-ENC-TIMESTAMP under the one key that the client has.
#[test]
fn a_password_pre_authenticates_with_each_enctype() {
    for vendor in Vendor::ALL {
        let realm = realm(vendor);
        let env = environment(&realm.config());
        for (number, service, _) in SERVICES {
            let client = preauthenticated(number);
            let cred = with_password(&env, &client, PASSWORD);
            let cred = cred.unwrap_or_else(|error| panic!("{vendor:?} {client}: {error}"));
            assert_reaches(&env, realm, &cred, service);

            let error = with_password(&env, &client, "another").unwrap_err();
            assert_eq!(
                refusal(&error),
                KDC_ERR_PREAUTH_FAILED,
                "{vendor:?} {client}"
            );
        }
    }
}

/// MIT's KDC wants no pre-authentication of this client: there the reply does not decrypt.
#[test]
fn a_wrong_password_gets_nothing() {
    for vendor in Vendor::ALL {
        let env = environment(&realm(vendor).config());
        let error = with_password(&env, CLIENT, "another").unwrap_err();
        match vendor {
            Vendor::Mit => assert!(error.to_string().contains("decrypt"), "{error}"),
            Vendor::Heimdal => assert_eq!(refusal(&error), KDC_ERR_PREAUTH_FAILED),
        }
    }
}

#[test]
fn unknown_names_are_named() {
    for vendor in Vendor::ALL {
        let env = environment(&realm(vendor).config());
        let error = with_password(&env, "nobody", PASSWORD).unwrap_err();
        assert_eq!(refusal(&error), KDC_ERR_C_PRINCIPAL_UNKNOWN, "{vendor:?}");

        let cred = with_password(&env, CLIENT, PASSWORD).unwrap();
        let target = Name::hostbased_service("nothing@localhost");
        let error = Initiator::new(&env, &cred, &target).start().unwrap_err();
        assert_eq!(refusal(&error), KDC_ERR_S_PRINCIPAL_UNKNOWN, "{vendor:?}");
    }
}

/// [`CLIENT`]'s keys as the KDC's administration program exports them.
fn keys_of_client(realm: &Realm) -> Keytab {
    let path = realm.path("client.keytab");
    let file = path.display();
    match realm.vendor() {
        Vendor::Mit => realm.admin(&[&format!("ktadd -k {file} -norandkey {CLIENT}")]),
        Vendor::Heimdal => realm.admin(&["ext_keytab", &format!("--keytab={file}"), CLIENT]),
    };
    let keytab = Keytab::parse(&fs::read(&path).unwrap()).unwrap();
    assert_eq!(keytab.entries.len(), SERVICES.len(), "a key an enctype");
    keytab
}

/// A keytab with a key of one enctype: the request asks for just that.
#[test]
fn a_keytab_gets_tickets_with_each_enctype() {
    for vendor in Vendor::ALL {
        let realm = realm(vendor);
        let env = environment(&realm.config());
        for entry in keys_of_client(realm).entries {
            let number = entry.key.enctype().number();
            let (_, service, _) = SERVICES
                .iter()
                .find(|(other, ..)| *other == number)
                .unwrap();
            let name = Name::krb5_principal(&entry.principal.to_string());
            let keytab = Keytab {
                entries: vec![entry],
                others: Vec::new(),
            };
            let path = realm.path(&format!("client-{number}.keytab"));
            fs::write(&path, keytab.encode().unwrap()).unwrap();
            let keytab = format!("FILE:{}", path.display());
            let cred = Credential::with_keytab(&env, &name, Some(&keytab));
            let cred = cred.unwrap_or_else(|error| panic!("{vendor:?} {number}: {error}"));
            assert_reaches(&env, realm, &cred, service);
        }
    }
}

/// `default_tkt_enctypes` and `default_tgs_enctypes` choose the session keys.
#[test]
fn session_keys_have_the_enctypes_that_are_asked_for() {
    for vendor in Vendor::ALL {
        let realm = realm(vendor);
        let own = fs::read_to_string(realm.config()).unwrap();
        for (number, service, enctype) in SERVICES {
            let conf = realm.path(&format!("session-{number}.conf"));
            let lines = format!(
                "[libdefaults]\n default_tkt_enctypes = {enctype}\n default_tgs_enctypes = {enctype}\n"
            );
            fs::write(&conf, own.replacen("[libdefaults]\n", &lines, 1)).unwrap();
            let env = environment(&conf);
            let cred = with_password(&env, CLIENT, PASSWORD).unwrap();
            assert_reaches(&env, realm, &cred, service);
            for ticket in cred.tickets().unwrap().tickets() {
                assert_eq!(
                    ticket.key.enctype(),
                    number,
                    "{vendor:?}: {}",
                    ticket.server
                );
            }
        }
    }
}

/// Our tickets in our file, used by their programs, and the other way round: one cache for everybody.
#[test]
fn a_cache_is_shared_with_their_programs() {
    for vendor in Vendor::ALL {
        let realm = realm(vendor);
        let env = environment(&realm.config());
        let path = realm.path("shared");
        let cache = format!("FILE:{}", path.display());
        with_password(&env, CLIENT, PASSWORD)
            .unwrap()
            .store(&env, Some(&cache))
            .unwrap();
        realm.run("/usr/bin/kvno", "shared", &["e17/localhost"]);
        let cred = Credential::initiator(&env, Some(&cache)).unwrap();
        assert_reaches(&env, realm, &cred, "e17");
        assert_reaches(&env, realm, &cred, "e18");
        let kgetcred = realm
            .heimdal("kgetcred", "shared")
            .arg("e19/localhost")
            .output()
            .unwrap();
        assert!(kgetcred.status.success());

        let contents = CredentialCache::parse(&fs::read(&path).unwrap()).unwrap();
        let servers: Vec<_> = contents
            .tickets()
            .map(|ticket| ticket.server.to_string())
            .collect();
        let expected = [
            "krbtgt/INTEROP.TEST",
            "e17/localhost",
            "e18/localhost",
            "e19/localhost",
        ];
        assert_eq!(
            servers,
            expected.map(|name| format!("{name}@{REALM}")),
            "{vendor:?}"
        );
        let listed = realm.run("/usr/bin/klist", "shared", &[]);
        assert!(
            expected.iter().all(|name| listed.contains(name)),
            "{listed}"
        );
    }
}
