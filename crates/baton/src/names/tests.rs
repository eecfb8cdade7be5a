use std::io;
use std::sync::Arc;

use krb5::formats::settings::Settings;

use super::*;
use crate::Config;
use crate::host::accounts::{Account, Accounts};

/// Two users, and one who cannot be looked up.
#[derive(Debug)]
struct Users;

impl Accounts for Users {
    fn by_name(&self, _: &str) -> io::Result<Option<Account>> {
        unreachable!("names of users are principals' names")
    }

    fn by_uid(&self, uid: u32) -> io::Result<Option<Account>> {
        let name = match uid {
            0 => "root",
            1000 => "bob",
            13 => return Err(io::ErrorKind::PermissionDenied.into()),
            _ => return Ok(None),
        };
        Ok(Some(Account {
            name: name.to_owned(),
            uid,
            home: "/".into(),
        }))
    }
}

fn environment(default_realm: Option<&str>) -> Environment {
    let mut settings = Settings {
        default_realm: default_realm.map(str::to_owned),
        ..Settings::default()
    };
    settings.domain_realm.insert(".other.test", "OTHER.TEST");
    let config = Config {
        settings: Some(settings),
        accounts: Some(Arc::new(Users)),
        ..Config::default()
    };
    Environment::new(config).unwrap()
}

fn env() -> Environment {
    environment(Some("EXAMPLE.TEST"))
}

fn refused(env: &Environment, name: &Name) -> NameError {
    principal(name, env).unwrap_err()
}

#[test]
fn each_kind_of_name_is_a_principal() {
    for (name, wanted) in [
        (
            Name::hostbased_service("HTTP@Web.other.test"),
            "HTTP/web.other.test@OTHER.TEST",
        ),
        (
            Name::hostbased_service("HTTP@web.other.test."),
            "HTTP/web.other.test@OTHER.TEST",
        ),
        (
            Name::new(Oid::NT_HOSTBASED_SERVICE_X, *b"host@localhost"),
            "host/localhost@EXAMPLE.TEST",
        ),
        (Name::krb5_principal("alice@SOME.TEST"), "alice@SOME.TEST"),
        (
            Name::krb5_principal("alice/admin"),
            "alice/admin@EXAMPLE.TEST",
        ),
        (Name::user("bob"), "bob@EXAMPLE.TEST"),
        (Name::machine_uid(1000), "bob@EXAMPLE.TEST"),
        (Name::string_uid(0), "root@EXAMPLE.TEST"),
        (Name::anonymous(), "WELLKNOWN/ANONYMOUS@WELLKNOWN:ANONYMOUS"),
        (
            Name::new(Oid::NT_KRB5_ENTERPRISE, *b"alice@corp.test"),
            r"alice\@corp.test@EXAMPLE.TEST",
        ),
    ] {
        let found = env().canonicalize(&name).unwrap();
        assert_eq!(found.to_string(), wanted, "{name}");
        assert_eq!(found.mechanism(), Oid::KRB5);
        assert!(NAME_TYPES.contains(&name.name_type()));
        let again = env().canonicalize(found.name()).unwrap();
        assert_eq!(again.text(), found.text(), "{name}");
    }
}

#[test]
fn an_exported_name_comes_back_and_no_other() {
    for text in ["alice@SOME.TEST", "a\\/b/c\\@d@X"] {
        let alice = env().canonicalize(&Name::krb5_principal(text)).unwrap();
        let token = alice.export();
        assert_eq!(token, env().export_name(alice.name()).unwrap());
        let back = |token: &[u8]| principal(&Name::exported(token), &env());
        assert_eq!(back(&token).unwrap().to_bytes(), alice.text());
        for cut in 0..token.len() {
            assert!(back(&token[..cut]).is_err(), "cut to {cut}");
        }
        for bit in 0..19 * 8 {
            let mut other = token.clone();
            other[bit / 8] ^= 1 << (bit % 8);
            assert!(back(&other).is_err(), "bit {bit}");
        }
        assert!(back(&[&token[..], b"x"].concat()).is_err());
    }
}

/// A composite token has more in it to believe, so it is read where it is expected and nowhere else.
#[test]
fn a_composite_export_is_read_as_one_alone() {
    let alice = env().canonicalize(&Name::user("alice")).unwrap();
    let composite = alice.export_composite();
    let back = env().canonicalize(&Name::composite_export(&*composite));
    assert!(back.unwrap().is_same_as(&alice));
    assert!(matches!(
        refused(&env(), &Name::exported(&*composite)),
        NameError::Exported(_)
    ));
    let plain = env().canonicalize(&Name::composite_export(alice.export()));
    assert!(plain.unwrap().is_same_as(&alice));
}

#[test]
fn what_is_no_name_says_why() {
    let bare = environment(None);
    for text in ["@host", "HTTP@", "HTTP@.", ""] {
        let found = refused(&bare, &Name::hostbased_service(text));
        assert!(matches!(found, NameError::Hostbased(_)), "{text}: {found}");
    }
    let unsettled = refused(&bare, &Name::hostbased_service("HTTP@localhost"));
    assert!(matches!(unsettled, NameError::NoRealm(_)));
    let unknown = refused(&bare, &Name::new(Oid::KRB5, *b"x"));
    assert!(matches!(unknown, NameError::Type(Oid::KRB5)));
    for name in [Name::krb5_principal("alice"), Name::string_uid(1000)] {
        let found = refused(&bare, &name);
        assert!(matches!(found, NameError::Principal { .. }), "{found}");
    }
    let foreign = gss_core::name::exported::export(&Oid::SPNEGO, b"alice@R");
    assert!(matches!(
        refused(&bare, &Name::exported(foreign)),
        NameError::ExportedElsewhere(Oid::SPNEGO)
    ));
}

#[test]
fn a_users_number_is_one_and_known() {
    for (name, expected) in [
        (
            Name::new(Oid::NT_MACHINE_UID_NAME, [0; 3]),
            "not a user's number",
        ),
        (
            Name::new(Oid::NT_MACHINE_UID_NAME, [0; 5]),
            "not a user's number",
        ),
        (
            Name::new(Oid::NT_STRING_UID_NAME, *b""),
            "not a user's number",
        ),
        (
            Name::new(Oid::NT_STRING_UID_NAME, *b"+1"),
            "not a user's number",
        ),
        (
            Name::new(Oid::NT_STRING_UID_NAME, *b"4294967296"),
            "not a user's number",
        ),
        (
            Name::string_uid(77),
            "no user of this host has the number 77",
        ),
        (Name::string_uid(13), "cannot be looked up"),
    ] {
        let found = refused(&env(), &name).to_string();
        assert!(found.contains(expected), "{found}");
    }
}

#[test]
fn names_are_compared_by_whom_they_mean() {
    let same = |one: &Name, other: &Name| env().compare_names(one, other).unwrap();
    let bob = Name::user("bob");
    assert!(same(&bob, &Name::string_uid(1000)));
    assert!(same(&bob, &Name::krb5_principal("bob@EXAMPLE.TEST")));
    assert!(!same(&bob, &Name::krb5_principal("bob@OTHER.TEST")));
    assert!(!same(&bob, &Name::user("Bob")));
    // RFC 2743 §2.4.3.
    assert!(!same(&Name::anonymous(), &Name::anonymous()));
    let of_a_realm = Name::krb5_principal("WELLKNOWN/ANONYMOUS@R");
    assert!(!same(&of_a_realm, &of_a_realm));
    let broken = env().compare_names(&bob, &Name::new(Oid::KRB5, *b"x"));
    assert_eq!(broken.unwrap_err().major(), Major::BadNameType);
}

#[test]
fn a_name_is_displayed_in_the_forms_it_has() {
    let show = |name: &Name, name_type| {
        let shown = env().display_as(name, name_type);
        shown.map(|text| String::from_utf8(text).unwrap())
    };
    let http = Name::krb5_principal("HTTP/web.test@R");
    let shown = show(&http, Oid::NT_HOSTBASED_SERVICE).unwrap();
    assert_eq!(shown, "HTTP@web.test");
    assert_eq!(
        show(&http, Oid::NT_KRB5_PRINCIPAL).unwrap(),
        "HTTP/web.test@R"
    );
    let given = Name::hostbased_service("HTTP@Web.test");
    let shown = show(&given, Oid::NT_HOSTBASED_SERVICE).unwrap();
    assert_eq!(shown, "HTTP@Web.test");
    let shown = show(&Name::string_uid(1000), Oid::NT_USER_NAME).unwrap();
    assert_eq!(shown, "bob@EXAMPLE.TEST");
    let nobody = Name::krb5_principal("WELLKNOWN/ANONYMOUS@R");
    assert_eq!(
        show(&nobody, Oid::NT_ANONYMOUS).unwrap(),
        nobody.to_string()
    );
    for (name, name_type) in [
        (Name::user("bob"), Oid::NT_HOSTBASED_SERVICE),
        (Name::user("bob"), Oid::NT_ANONYMOUS),
        (Name::user("krbtgt/R@R"), Oid::NT_HOSTBASED_SERVICE),
        (nobody, Oid::NT_HOSTBASED_SERVICE),
        (Name::user(r"a\@b/c"), Oid::NT_HOSTBASED_SERVICE),
        (http, Oid::NT_MACHINE_UID_NAME),
    ] {
        let major = show(&name, name_type).unwrap_err().major();
        assert_eq!(major, Major::Unavailable, "{name} as {name_type}");
    }
}

#[test]
fn mechanisms_and_types_of_names_belong_together() {
    let types = env().inquire_names_for_mech(Oid::KRB5).unwrap();
    assert!(types.contains(&Oid::NT_HOSTBASED_SERVICE));
    assert_eq!(env().inquire_names_for_mech(Oid::SPNEGO).unwrap(), types);
    let other = env().inquire_names_for_mech(Oid::NT_USER_NAME);
    assert_eq!(other.unwrap_err().major(), Major::BadMech);
    let alice = Name::user("alice");
    let ours = [Oid::KRB5, Oid::SPNEGO];
    assert_eq!(env().inquire_mechs_for_name(&alice), ours);
    let token = env().export_name(&alice).unwrap();
    assert_eq!(env().inquire_mechs_for_name(&Name::exported(token)), ours);
    let foreign = gss_core::name::exported::export(&Oid::SPNEGO, b"x");
    for name in [Name::new(Oid::KRB5, *b"x"), Name::exported(foreign)] {
        assert!(env().inquire_mechs_for_name(&name).is_empty(), "{name}");
    }
    let microsofts = env().canonicalize_for(&alice, Oid::KRB5_MICROSOFT);
    assert_eq!(microsofts.unwrap().mechanism(), Oid::KRB5);
    let other = env().canonicalize_for(&alice, Oid::NT_USER_NAME);
    assert_eq!(other.unwrap_err().major(), Major::BadMech);
}
