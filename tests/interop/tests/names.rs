//! Names between ours and theirs: what they mean, how they are shown and exported, what a ticket says of them, which users
//! they are.
#![allow(missing_docs)]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use baton::kerberos::{ccache::CredentialCache, keytab::Keytab};
use baton::{Acceptor, Config, Context, Credential, Environment, Initiator, MechName, Name, Oid};
use baton::{Step, Store};
use interop::Vendor;
use interop::peer::{COMPLETE, Peer, UNAVAILABLE, compile, hex, unhex};
use interop::realm::{Realm, shared};

const TICKETS: &str = "names.ccache";
const SERVICE: &str = "e18@localhost";
const ALICE: &str = "alice@INTEROP.TEST";

fn program(vendor: Vendor) -> &'static Path {
    static MIT: OnceLock<PathBuf> = OnceLock::new();
    static HEIMDAL: OnceLock<PathBuf> = OnceLock::new();
    let (cell, package, name) = match vendor {
        Vendor::Mit => (&MIT, "mit-krb5-gssapi", "names_peer_mit"),
        Vendor::Heimdal => (&HEIMDAL, "heimdal-gssapi", "names_peer_heimdal"),
    };
    cell.get_or_init(|| compile("names_peer.c", package, name))
}

fn realm(vendor: Vendor) -> &'static Realm {
    static MIT: OnceLock<()> = OnceLock::new();
    static HEIMDAL: OnceLock<()> = OnceLock::new();
    let realm = shared(vendor);
    let ready = match vendor {
        Vendor::Mit => &MIT,
        Vendor::Heimdal => &HEIMDAL,
    };
    ready.get_or_init(|| {
        realm.kinit(Vendor::Mit, TICKETS);
        realm.run("/usr/bin/kvno", TICKETS, &["-q", "e18/localhost"]);
    });
    realm
}

fn peer(vendor: Vendor) -> Peer {
    Peer::start_with(realm(vendor).command(program(vendor), TICKETS))
}

fn environment(vendor: Vendor) -> Environment {
    let config = Config {
        krb5_conf: vec![realm(vendor).config()],
        store: Store::Memory,
        ..Config::default()
    };
    Environment::new(config).unwrap()
}

/// The first number of an answer, the major status.
fn major(answer: &[String]) -> u32 {
    answer[1].parse().unwrap()
}

fn completed(peer: &mut Peer, command: &str) -> Vec<String> {
    let answer = peer.call(command);
    assert_eq!(major(&answer), COMPLETE, "{command}: {answer:?}");
    answer
}

fn import(peer: &mut Peer, name: &Name) -> u32 {
    let (name_type, text) = (name.name_type(), name.text());
    major(&peer.call(&format!("name {} {}", hex(name_type.bytes()), hex(text))))
}

/// Their text and type of the name that they have.
fn displayed(peer: &mut Peer) -> (Vec<u8>, Vec<u8>) {
    let answer = completed(peer, "display");
    (unhex(&answer[2]), unhex(&answer[3]))
}

/// Names that `vendor`'s library takes, and shows as ours does: Heimdal's knows no users' numbers and escapes nothing.
fn names(vendor: Vendor) -> Vec<Name> {
    let all = vec![
        Name::krb5_principal(ALICE),
        Name::krb5_principal("alice"),
        Name::krb5_principal("alice/admin@OTHER.TEST"),
        Name::krb5_principal(r"a\/b\@c\\d@R"),
        Name::user("bob"),
        Name::string_uid(0),
        Name::machine_uid(0),
        Name::hostbased_service("HTTP@Web.INTEROP.test"),
        Name::hostbased_service("e18@localhost"),
    ];
    let are_known = |name: &Name| {
        let a_number = [Oid::NT_STRING_UID_NAME, Oid::NT_MACHINE_UID_NAME];
        let known = !name.text().contains(&b'\\') && !a_number.contains(&name.name_type());
        vendor == Vendor::Mit || known
    };
    all.into_iter().filter(are_known).collect()
}

#[test]
fn names_mean_and_export_the_same() {
    for vendor in Vendor::ALL {
        let (env, mut theirs) = (environment(vendor), peer(vendor));
        for name in names(vendor) {
            let ours = env.canonicalize(&name).unwrap();
            assert_eq!(import(&mut theirs, &name), COMPLETE, "{vendor:?} {name}");
            completed(&mut theirs, "canonicalize");
            let (text, name_type) = displayed(&mut theirs);
            if let Some((b'@', _)) = text.split_last() {
                // They leave the realm to whoever looks for a ticket.
                assert_eq!(name.name_type(), Oid::NT_HOSTBASED_SERVICE);
                assert!(ours.text().starts_with(&text[..]), "{name}");
                continue;
            }
            assert_eq!(text, ours.text(), "{vendor:?} {name}");
            assert_eq!(name_type, ours.name_type().bytes(), "{vendor:?} {name}");
            let token = unhex(&completed(&mut theirs, "export")[2]);
            assert_eq!(token, ours.export(), "{vendor:?} {name}");
            assert!(
                env.canonicalize(&Name::exported(token))
                    .unwrap()
                    .is_same_as(&ours)
            );
            assert_eq!(
                import(&mut theirs, &Name::exported(ours.export())),
                COMPLETE
            );
            assert_eq!(displayed(&mut theirs).0, ours.text());
        }
    }
}

#[test]
fn anonymous_and_enterprise_names_are_mits() {
    let (env, mut theirs) = (environment(Vendor::Mit), peer(Vendor::Mit));
    for name in [
        Name::anonymous(),
        Name::new(Oid::NT_KRB5_ENTERPRISE, *b"alice@corp.test"),
    ] {
        let ours = env.canonicalize(&name).unwrap();
        assert_eq!(import(&mut theirs, &name), COMPLETE, "{name}");
        completed(&mut theirs, "canonicalize");
        let (text, name_type) = displayed(&mut theirs);
        assert_eq!(text, ours.text(), "{name}");
        assert_eq!(name_type, ours.name_type().bytes(), "{name}");
    }
}

#[test]
fn names_are_the_same_to_either() {
    for vendor in Vendor::ALL {
        let all = names(vendor);
        let (env, mut theirs) = (environment(vendor), peer(vendor));
        for one in all
            .iter()
            .filter(|one| one.name_type() != Oid::NT_HOSTBASED_SERVICE)
        {
            assert_eq!(import(&mut theirs, one), COMPLETE);
            completed(&mut theirs, "canonicalize");
            for other in all
                .iter()
                .filter(|other| other.name_type() == Oid::NT_KRB5_PRINCIPAL)
            {
                let command = format!(
                    "same {} {}",
                    hex(other.name_type().bytes()),
                    hex(other.text())
                );
                let equal = completed(&mut theirs, &command)[2] == "1";
                let ours = env.compare_names(one, other).unwrap();
                assert_eq!(ours, equal, "{vendor:?}: {one} and {other}");
            }
        }
    }
}

#[test]
fn what_they_refuse_we_refuse() {
    let nobody = Name::string_uid(4_294_967_294);
    let foreign = Name::new(Oid::SPNEGO, *b"x");
    let (env, mut theirs) = (environment(Vendor::Mit), peer(Vendor::Mit));
    for name in [nobody, foreign] {
        assert!(env.canonicalize(&name).is_err(), "{name}");
        let imported = import(&mut theirs, &name);
        let refused = imported != COMPLETE || major(&theirs.call("canonicalize")) != COMPLETE;
        assert!(refused, "{name}");
    }
}

/// A context that ours accepts, and one by the same ticket that theirs accepts.
fn accepted(vendor: Vendor) -> (Context, Peer) {
    let (env, realm) = (environment(vendor), realm(vendor));
    let cache = CredentialCache::parse(&fs::read(realm.path(TICKETS)).unwrap()).unwrap();
    let alice = Credential::from_cache(&cache).unwrap();
    let keytab = Keytab::parse(&fs::read(realm.keytab()).unwrap()).unwrap();
    let service = Credential::from_keytab(Arc::new(keytab));
    let name = Name::hostbased_service(SERVICE);
    let token = || match Initiator::new(&env, &alice, &name).start().unwrap() {
        Step::Continue { token, .. } => token,
        Step::Done { token, .. } => token.unwrap(),
    };
    let Step::Done { context, .. } = Acceptor::new(&env, &service).step(&token()).unwrap() else {
        panic!("one step is enough")
    };
    let mut theirs = peer(vendor);
    theirs.accept(None);
    theirs.step(&token()).token();
    completed(&mut theirs, "initiator");
    (context, theirs)
}

/// MIT's KDC puts a PAC into each ticket.
#[test]
fn a_tickets_pac_is_authenticated_on_both_sides() {
    let (context, mut theirs) = accepted(Vendor::Mit);
    let ours = context.initiator_name();
    assert_eq!(ours.to_string(), ALICE);
    let listed = completed(&mut theirs, "attributes").split_off(2);
    assert!(
        listed.contains(&"urn:mspac:client-info".to_owned()),
        "{listed:?}"
    );
    for attribute in listed {
        assert!(ours.attribute_names().contains(&attribute), "{attribute}");
        let found = ours.attribute(&attribute).unwrap();
        let answer = completed(&mut theirs, &format!("attribute {attribute}"));
        assert_eq!(answer[2..4], ["1", "1"], "{attribute}: {answer:?}");
        assert!(found.authenticated && found.complete, "{attribute}");
        assert_eq!(found.values[0].value, unhex(&answer[4]), "{attribute}");
    }
}

#[test]
fn a_composite_name_brings_its_pac_to_either() {
    let (context, mut theirs) = accepted(Vendor::Mit);
    let ours = context.initiator_name();
    let pac = ours.attribute("urn:mspac:").unwrap();
    let same = |name: &MechName| {
        let found = name.attribute("urn:mspac:").unwrap();
        assert_eq!(found, pac);
        assert!(found.authenticated);
    };
    let token = unhex(&completed(&mut theirs, "export-composite")[2]);
    let env = environment(Vendor::Mit);
    same(&env.canonicalize(&Name::composite_export(token)).unwrap());
    let composite = Name::composite_export(ours.export_composite());
    same(&env.canonicalize(&composite).unwrap());
    assert_eq!(import(&mut theirs, &composite), COMPLETE);
    completed(&mut theirs, "canonicalize");
    assert_eq!(displayed(&mut theirs).0, ours.text());
    let answer = completed(&mut theirs, "attribute urn:mspac:");
    assert_eq!(answer[2], "1");
    assert_eq!(unhex(&answer[4]), pac.values[0].value);
}

/// Whatever Heimdal's KDC puts into its tickets, both sides see the same.
#[test]
fn heimdals_tickets_say_the_same_to_either() {
    let (context, mut theirs) = accepted(Vendor::Heimdal);
    let ours = context.initiator_name();
    assert_eq!(ours.to_string(), ALICE);
    let answer = theirs.call("attribute urn:mspac:");
    match ours.attribute("urn:mspac:") {
        Ok(found) => {
            assert_eq!(found.values[0].value, unhex(&answer[4]));
            assert_eq!(found.authenticated, answer[2] == "1");
        }
        Err(_) => assert_ne!(major(&answer), COMPLETE),
    }
}

#[test]
fn names_are_users_by_the_same_rules() {
    let realm = realm(Vendor::Mit);
    let rules = realm.path("rules.conf");
    let text = "[realms]\n INTEROP.TEST = {\n  auth_to_local_names = {\n   boss = root\n  }\n\
        \x20 auth_to_local = RULE:[2:$1;$2](^.*;admin$)s/;admin$//\n\
        \x20 auth_to_local = RULE:[1:$1@$0](.*@OTHER.TEST)s/@.*//s/[aeiou]/-/g\n\
        \x20 auth_to_local = RULE:[3:$1](.*x)s/^a//g\n\
        \x20 auth_to_local = RULE:[4:$5]\n\
        \x20 auth_to_local = RULE:[2:$2$1foo](^[[:lower:]]+foo$)s/o/0/\n\
        \x20 auth_to_local = DEFAULT\n }\n";
    fs::write(&rules, text).unwrap();
    let files = format!("{}:{}", rules.display(), realm.config().display());
    let mut command = realm.command(program(Vendor::Mit), TICKETS);
    command.env("KRB5_CONFIG", files);
    let mut theirs = Peer::start_with(command);
    let config = Config {
        krb5_conf: vec![rules, realm.config()],
        store: Store::Memory,
        ..Config::default()
    };
    let env = Environment::new(config).unwrap();
    let mut users = 0;
    for principal in [
        "alice@INTEROP.TEST",
        "alice/INTEROP.TEST@INTEROP.TEST",
        "alice/admin@INTEROP.TEST",
        "alice/admin@ANY.TEST",
        "boss@INTEROP.TEST",
        "alice@OTHER.TEST",
        "alice@OTHER2TEST",
        "alice@ELSEWHERE.TEST",
        "john/doe@INTEROP.TEST",
        "John/doe@INTEROP.TEST",
        "a/b/c@INTEROP.TEST",
        "aabax/b/c@INTEROP.TEST",
    ] {
        let name = Name::krb5_principal(principal);
        assert_eq!(import(&mut theirs, &name), COMPLETE);
        let answer = theirs.call("localname");
        match env.localname(&name) {
            Ok(user) => {
                assert_eq!(major(&answer), COMPLETE, "{principal}");
                assert_eq!(unhex(&answer[2]), user.as_bytes(), "{principal}");
                users += 1;
            }
            Err(error) => {
                assert_ne!(major(&answer), COMPLETE, "{principal}");
                assert_eq!(error.major().code(), UNAVAILABLE, "{principal}");
            }
        }
    }
    assert_eq!(users, 9);
}
