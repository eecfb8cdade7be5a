//! Mechanisms, their attributes and names in SASL, and the codes: as MIT's library tells them.
#![allow(missing_docs)]

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use baton::mechanisms::Mechanism;
use baton::status::major_texts;
use baton::{MechAttribute, Oid};
use interop::peer::compile;
use interop::realm::succeeded;

fn facts(codes: &[u32]) -> Vec<Vec<String>> {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    let program = PROGRAM.get_or_init(|| {
        let libraries = "mit-krb5-gssapi mit-krb5 com_err";
        compile("mechanisms_peer.c", libraries, "mechanisms_peer")
    });
    let codes = codes.iter().map(u32::to_string);
    let output = Command::new(program)
        .env_clear()
        .args(codes)
        .output()
        .unwrap();
    let text = succeeded("mechanisms_peer", output);
    let words = |line: &str| line.split_whitespace().map(str::to_owned).collect();
    text.lines().map(words).collect()
}

/// The facts of a kind, without it.
fn of(kind: &str, facts: &[Vec<String>]) -> Vec<Vec<String>> {
    let some = facts.iter().filter(|fact| fact[0] == kind);
    some.map(|fact| fact[1..].to_vec()).collect()
}

#[test]
fn mechanisms_offer_what_theirs_offer() {
    let facts = facts(&[]);
    let theirs: Vec<Oid> = of("mech", &facts)
        .iter()
        .map(|mech| mech[0].parse().unwrap())
        .collect();
    for ours in Mechanism::all() {
        assert!(theirs.contains(&ours.oid()), "{}", ours.name());
        let oid = ours.oid().to_string();
        let attributes = of("attribute", &facts)
            .into_iter()
            .filter(|fact| fact[0] == oid);
        let theirs: BTreeSet<Oid> = attributes.map(|fact| fact[1].parse().unwrap()).collect();
        let ours_too: BTreeSet<Oid> = ours.attributes().iter().map(|one| one.oid()).collect();
        assert_eq!(ours_too, theirs, "{}", ours.name());
        let sasl = of("sasl", &facts)
            .into_iter()
            .find(|fact| fact[0] == oid)
            .unwrap();
        assert_eq!((ours.sasl_name(), ours.name()), (&*sasl[1], &*sasl[2]));
        assert_eq!(Mechanism::by_sasl_name(&sasl[1]), Some(ours));
    }
}

/// All of the standard's; the one of its own that MIT's library has beside them is none of ours. Where it spells an arc's name
/// in another way, ours is the standard's.
#[test]
fn attributes_have_the_names_and_numbers_of_theirs() {
    let known = of("known", &facts(&[]));
    let theirs: BTreeSet<_> = known
        .iter()
        .filter(|fact| fact[0] != "GSS_C_MA_NEGOEX_AND_SPNEGO")
        .map(|fact| {
            let short = fact[1].replace("auth-target-princ-initial", "auth-targ-princ-initial");
            (fact[0].clone(), short, fact[2].parse().unwrap())
        })
        .collect();
    let ours = MechAttribute::all().map(|one| {
        let (name, short) = (one.name().to_owned(), one.short_description().to_owned());
        (name, short, one.oid())
    });
    assert_eq!(ours.collect::<BTreeSet<_>>(), theirs);
}

#[test]
fn a_major_status_has_as_many_texts_as_theirs() {
    let majors = of("major", &facts(&[]));
    assert_eq!(majors.len(), 40);
    for fact in majors {
        let (code, parts): (u32, usize) = (fact[0].parse().unwrap(), fact[1].parse().unwrap());
        assert_eq!(major_texts(code).count(), parts, "{code:#x}");
    }
}

/// Each number has a text of its own with them too, so none is off by one or of another table.
#[test]
fn minor_codes_are_codes_of_theirs() {
    let codes: Vec<u32> = gss_krb5::minor::all().map(|minor| minor.code).collect();
    let facts = of("minor", &facts(&codes));
    assert_eq!(facts.len(), codes.len());
    let unknown: Vec<_> = facts.iter().filter(|fact| fact[1] != "1").collect();
    assert!(unknown.is_empty(), "{unknown:?}");
    let other = of("minor", &self::facts(&[0x96c7_3a00 + 400]));
    assert_eq!(other[0][1], "0", "or this test shows nothing");
}
