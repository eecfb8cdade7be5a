//! Each call on a credential in each state that one can be in: every cell has a stated outcome.

use std::fs;
use std::time::Duration;

use baton::kerberos::Principal;
use baton::kerberos::ccache::CredentialCache;
use baton::{
    Acceptor, Acquire, CredStore, Credential, Environment, Initiator, Lifetime, Oid, Step,
    StoreCred, Usage,
};

use crate::site::{REALM, Site, name, outcome, short, web};

/// The states, in the order of the columns.
const STATES: [&str; 9] = [
    "initiates",
    "accepts",
    "both",
    "undecided",
    "expired",
    "emptied",
    "cache gone",
    "keytab gone",
    "other client",
];

type Call = fn(&Cell<'_>) -> String;

/// A credential in its state, in a world of its own.
struct Cell<'a> {
    site: &'a Site,
    env: &'a Environment,
    cred: Credential,
}

#[rustfmt::skip]
const GRID: &[(&str, Call, [&str; 9])] = &[
    // call                          initiates  accepts      both       undecided   expired    emptied    cache gone  keytab gone  other client
    ("inquire", inquire,            ["ok",      "ok",        "ok",      "ok",       "expired", "expired", "NO_CRED",  "NO_CRED",   "DEFECTIVE_CRED"]),
    ("inquire by Kerberos", by_krb5,["ok",      "ok",        "ok",      "ok",       "ok",      "ok",      "NO_CRED",  "NO_CRED",   "DEFECTIVE_CRED"]),
    ("inquire by SPNEGO", by_spnego,["ok",      "ok",        "ok",      "ok",       "ok",      "ok",      "NO_CRED",  "NO_CRED",   "DEFECTIVE_CRED"]),
    ("inquire by another", by_other,["NO_CRED", "NO_CRED",   "NO_CRED", "NO_CRED",  "NO_CRED", "NO_CRED", "NO_CRED",  "NO_CRED",   "NO_CRED"]),
    ("impersonator", impersonator,  ["none",    "none",      "none",    "none",     "none",    "none",    "none",     "none",      "none"]),
    ("unknown object", unknown,     ["UNAVAILABLE", "UNAVAILABLE", "UNAVAILABLE", "UNAVAILABLE", "UNAVAILABLE", "UNAVAILABLE", "UNAVAILABLE", "UNAVAILABLE", "UNAVAILABLE"]),
    ("tickets", tickets,            ["ok",      "NO_CRED",   "ok",      "NO_CRED",  "ok",      "ok",      "NO_CRED",  "NO_CRED",   "DEFECTIVE_CRED"]),
    ("store", store,                ["ok",      "FAILURE",   "ok",      "ok",       "EXPIRED", "EXPIRED", "NO_CRED",  "FAILURE",   "DEFECTIVE_CRED"]),
    ("store to accept", store_keys, ["FAILURE", "FAILURE",   "FAILURE", "FAILURE",  "FAILURE", "FAILURE", "FAILURE",  "FAILURE",   "FAILURE"]),
    ("store over others", over,     ["DUPLICATE", "FAILURE", "DUPLICATE", "DUPLICATE", "EXPIRED", "EXPIRED", "NO_CRED", "FAILURE", "DEFECTIVE_CRED"]),
    ("export", export,              ["ok",      "ok",        "ok",      "ok",       "ok",      "ok",      "ok",       "ok",        "DEFECTIVE_CRED"]),
    ("export and import", import,   ["ok",      "ok",        "ok",      "ok",       "ok",      "ok",      "ok",       "ok",        "DEFECTIVE_CRED"]),
    ("add to initiate", add_tickets,["DUPLICATE", "ok",      "DUPLICATE", "DUPLICATE", "DUPLICATE", "DUPLICATE", "DUPLICATE", "ok", "DUPLICATE"]),
    ("add to accept", add_keys,     ["ok",      "DUPLICATE", "DUPLICATE", "ok",     "ok",      "ok",      "ok",       "DUPLICATE", "ok"]),
    ("add another mechanism", add_other, ["BAD_MECH", "BAD_MECH", "BAD_MECH", "BAD_MECH", "BAD_MECH", "BAD_MECH", "BAD_MECH", "BAD_MECH", "BAD_MECH"]),
    ("limit enctypes", limit,       ["ok",      "ok",        "ok",      "ok",       "ok",      "ok",      "ok",       "ok",        "ok"]),
    ("limit to unknown ones", limit_to_none, ["FAILURE", "FAILURE", "FAILURE", "FAILURE", "FAILURE", "FAILURE", "FAILURE", "FAILURE", "FAILURE"]),
    ("for one service", for_service,["NO_CRED", "ok",        "ok",      "NO_CRED",  "NO_CRED", "NO_CRED", "NO_CRED",  "NO_CRED",   "NO_CRED"]),
    ("initiate", initiate,          ["ok",      "NO_CRED",   "ok",      "ok",       "EXPIRED", "NO_CRED", "NO_CRED",  "NO_CRED",   "DEFECTIVE_CRED"]),
    ("negotiate", negotiate,        ["ok",      "NO_CRED",   "ok",      "ok",       "EXPIRED", "NO_CRED", "NO_CRED",  "NO_CRED",   "DEFECTIVE_CRED"]),
    ("accept", accept,              ["NO_CRED", "ok",        "ok",      "NO_CRED",  "NO_CRED", "NO_CRED", "NO_CRED",  "NO_CRED",   "NO_CRED"]),
    ("name", named,                 ["alice",   "none",      "alice",   "none",     "alice",   "alice",   "alice",    "none",      "alice"]),
    ("lifetime", lifetime,          ["some",    "none",      "some",    "none",     "none",    "none",    "none",     "none",      "none"]),
];

#[test]
fn every_call_in_every_state_has_its_outcome() {
    let mut wrong = Vec::new();
    let realm = Site::new().realm;
    for (call, run, outcomes) in GRID {
        for (state, wanted) in STATES.iter().zip(outcomes) {
            let site = Site::in_realm(&realm);
            let env = site.env();
            let cred = in_state(state, &site, &env);
            let got = run(&Cell {
                site: &site,
                env: &env,
                cred,
            });
            if got != *wanted {
                wrong.push(format!("{call}, {state}: {got}, not {wanted}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn in_state(state: &str, site: &Site, env: &Environment) -> Credential {
    site.user(env, "alice").store(env, None).unwrap();
    let acquired = |usage| {
        let keytab = site.keytab("keytab", &["HTTP/localhost"]);
        let store = CredStore::new()
            .ccache(site.named("FILE", "cc"))
            .keytab(keytab);
        Acquire::new(env, usage).store(store).acquire().unwrap()
    };
    let cache = site.path("cc");
    match state {
        "initiates" => acquired(Usage::Initiate),
        "accepts" => acquired(Usage::Accept),
        "both" => acquired(Usage::Both),
        "undecided" => Acquire::new(env, Usage::Initiate).acquire().unwrap(),
        "expired" => {
            let cred = acquired(Usage::Initiate);
            site.pass(Duration::from_secs(30 * 24 * 3600));
            cred
        }
        "emptied" => {
            let cred = acquired(Usage::Initiate);
            let empty = CredentialCache::new(Principal::user("alice", REALM));
            fs::write(cache, &*empty.encode().unwrap()).unwrap();
            cred
        }
        "cache gone" => {
            let cred = acquired(Usage::Initiate);
            fs::remove_file(cache).unwrap();
            cred
        }
        "keytab gone" => {
            let cred = acquired(Usage::Accept);
            fs::remove_file(site.path("keytab")).unwrap();
            cred
        }
        "other client" => {
            let cred = acquired(Usage::Initiate);
            site.user(env, "bob").store(env, None).unwrap();
            cred
        }
        other => panic!("{other}"),
    }
}

fn inquire(cell: &Cell<'_>) -> String {
    match cell.cred.inquire(cell.env) {
        Ok(facts) if facts.lifetime == Lifetime::Expired => "expired".to_owned(),
        other => outcome(other),
    }
}

fn by_krb5(cell: &Cell<'_>) -> String {
    outcome(cell.cred.inquire_by_mechanism(cell.env, Oid::KRB5))
}

fn by_spnego(cell: &Cell<'_>) -> String {
    outcome(cell.cred.inquire_by_mechanism(cell.env, Oid::SPNEGO))
}

fn by_other(cell: &Cell<'_>) -> String {
    outcome(cell.cred.inquire_by_mechanism(cell.env, Oid::NT_USER_NAME))
}

fn impersonator(cell: &Cell<'_>) -> String {
    let found = cell
        .cred
        .inquire_by_oid(cell.env, Oid::GET_CRED_IMPERSONATOR);
    match found {
        Ok(values) if values.is_empty() => "none".to_owned(),
        other => outcome(other),
    }
}

fn unknown(cell: &Cell<'_>) -> String {
    outcome(cell.cred.inquire_by_oid(cell.env, Oid::KRB5))
}

fn tickets(cell: &Cell<'_>) -> String {
    outcome(cell.cred.tickets())
}

fn store(cell: &Cell<'_>) -> String {
    let elsewhere = CredStore::new().ccache(cell.site.named("FILE", "elsewhere"));
    outcome(
        StoreCred::new(cell.env)
            .store(elsewhere)
            .store_cred(&cell.cred),
    )
}

fn store_keys(cell: &Cell<'_>) -> String {
    outcome(
        StoreCred::new(cell.env)
            .usage(Usage::Accept)
            .store_cred(&cell.cred),
    )
}

fn over(cell: &Cell<'_>) -> String {
    outcome(StoreCred::new(cell.env).store_cred(&cell.cred))
}

fn export(cell: &Cell<'_>) -> String {
    outcome(cell.cred.export(cell.env))
}

fn import(cell: &Cell<'_>) -> String {
    let token = cell.cred.export(cell.env);
    outcome(token.and_then(|token| Credential::import(cell.env, &token)))
}

fn add_tickets(cell: &Cell<'_>) -> String {
    let bob = name("bob");
    let more = Acquire::new(cell.env, Usage::Initiate)
        .name(&bob)
        .password("bob's");
    outcome(more.add_to(&cell.cred))
}

fn add_keys(cell: &Cell<'_>) -> String {
    outcome(Acquire::new(cell.env, Usage::Accept).add_to(&cell.cred))
}

fn add_other(cell: &Cell<'_>) -> String {
    let more = Acquire::new(cell.env, Usage::Both).mechanisms([Oid::NT_USER_NAME]);
    outcome(more.add_to(&cell.cred))
}

fn limit(cell: &Cell<'_>) -> String {
    outcome(cell.cred.with_enctypes(&[18, 99]))
}

fn limit_to_none(cell: &Cell<'_>) -> String {
    outcome(cell.cred.with_enctypes(&[99]))
}

fn for_service(cell: &Cell<'_>) -> String {
    outcome(cell.cred.for_service(cell.env, &web()))
}

fn initiate(cell: &Cell<'_>) -> String {
    outcome(Initiator::new(cell.env, &cell.cred, &web()).start())
}

fn negotiate(cell: &Cell<'_>) -> String {
    outcome(
        Initiator::new(cell.env, &cell.cred, &web())
            .negotiate()
            .start(),
    )
}

fn accept(cell: &Cell<'_>) -> String {
    let env = cell.site.realm.environment().unwrap();
    let bob = cell.site.user(&env, "bob");
    let Step::Continue { token, .. } = Initiator::new(&env, &bob, &web()).start().unwrap() else {
        panic!("an answer is awaited")
    };
    match Acceptor::new(cell.env, &cell.cred).step(&token) {
        Ok(_) => "ok".to_owned(),
        Err(failure) => short(failure.error.major()).to_owned(),
    }
}

fn named(cell: &Cell<'_>) -> String {
    let name = cell.cred.name().map(|name| name.to_string());
    let name = name
        .as_deref()
        .and_then(|name| name.strip_suffix("@EXAMPLE.TEST"));
    name.unwrap_or("none").to_owned()
}

fn lifetime(cell: &Cell<'_>) -> String {
    let some = cell.cred.lifetime(cell.env).is_some();
    if some { "some" } else { "none" }.to_owned()
}
