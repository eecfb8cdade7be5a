//! Handshakes that must fail, and what each side learns of it.

use std::fs;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use baton::kerberos::Key;
use baton::kerberos::keytab::{Keytab, KeytabEntry};
use baton::{
    Acceptor, Config, Credential, Environment, Flags, Major, Name, Replay, Step, Supplementary,
};
use interop::Vendor;
use interop::peer::{BAD_BINDINGS, Peer, Stepped, program};
use interop::realm::REALM;
use wire::time::Timestamp;

use crate::parties::{
    ALL_FLAGS, Case, TICKETS, We, accept, config, environment, establish, keys, realm, start,
};

/// The minor status of a KRB-ERROR's code: MIT's error table, which Heimdal shares.
fn minor(code: u32) -> u32 {
    (-1_765_328_384_i32).cast_unsigned() + code
}

const KRB_AP_ERR_BAD_INTEGRITY: u32 = 31;
const KRB_AP_ERR_SKEW: u32 = 37;
const KRB_AP_ERR_REPEAT: u32 = 34;

/// Our environment, an hour ahead of theirs.
fn an_hour_ahead(vendor: Vendor) -> Environment {
    let clock = || {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let micros = i64::try_from((since + Duration::from_secs(3600)).as_micros());
        Timestamp::from_micros(micros.unwrap())
    };
    Environment::with_clock(config(realm(vendor)), Arc::new(clock)).unwrap()
}

#[test]
fn channel_bindings_must_agree_where_both_give_some() {
    let (a, b): (&[u8], &[u8]) = (b"tls-unique:a", b"tls-unique:b");
    for case in Case::each_way() {
        for (ours, theirs) in [(Some(a), Some(a)), (None, None)] {
            establish(Case {
                ours,
                theirs,
                ..case
            });
        }
        // An acceptor that gives none does not care; one that gives some takes an initiator that gives none.
        match case.we {
            We::Initiate => establish(Case {
                ours: Some(a),
                theirs: None,
                ..case
            }),
            We::Accept => establish(Case {
                ours: None,
                theirs: Some(a),
                ..case
            }),
        };
        assert_bindings_refused(Case {
            ours: Some(a),
            theirs: Some(b),
            ..case
        });
    }
}

fn assert_bindings_refused(case: Case) {
    let realm = realm(case.vendor);
    let env = environment(realm);
    let mut theirs = Peer::start(case.vendor, realm, TICKETS);
    match case.we {
        We::Initiate => {
            theirs.accept(case.theirs);
            let Step::Continue { token, .. } = start(&env, realm, case) else {
                panic!("mutual authentication has an answer");
            };
            let Stepped::Failed { major, .. } = theirs.step(&token) else {
                panic!("{case:?}: accepted");
            };
            assert_eq!(major, BAD_BINDINGS, "{case:?}");
        }
        We::Accept => {
            theirs.initiate(&case.target(), case.flags.bits(), case.theirs);
            let request = theirs.step(&[]).token();
            let failure = accept(&env, realm, case, &request).unwrap_err();
            assert_eq!(failure.error.major(), Major::BadBindings, "{case:?}");
        }
    }
}

/// Bindings are said to have been bound (RFC 5554's flag is of the acceptor), and ours says when.
#[test]
fn the_channel_bound_flag_tells_whether_they_agreed() {
    for case in Case::each_way().filter(|case| case.we == We::Accept) {
        let a: Option<&'static [u8]> = Some(b"tls-unique:a");
        let bound = |ours, theirs| {
            let pair = establish(Case {
                ours,
                theirs,
                ..case
            });
            pair.ours.facts().flags.contains(Flags::CHANNEL_BOUND)
        };
        assert!(bound(a, a), "{case:?}");
        assert!(!bound(None, a), "{case:?}");
        assert!(!bound(a, None), "{case:?}");
    }
}

/// `client_aware_channel_bindings` in krb5.conf says for every program what `GSS_C_CHANNEL_BOUND_FLAG` asks for one: an
/// acceptor that knows of a channel refuses an initiator that bound to none.
#[test]
fn an_initiator_that_is_aware_of_bindings_is_refused_without_them() {
    let channel: Option<&'static [u8]> = Some(b"tls-unique:a");
    let aware = "[libdefaults]\n client_aware_channel_bindings = true\n";
    for case in Case::each_way().filter(|case| case.vendor == Vendor::Mit) {
        let realm = realm(case.vendor);
        let path = realm.path("aware.conf");
        fs::write(&path, aware).unwrap();
        let both = format!("{}:{}", path.display(), realm.config().display());
        for (bound, insists) in [(false, true), (true, true), (false, false)] {
            let refused = match case.we {
                We::Initiate => {
                    let mut config = config(realm);
                    if insists {
                        config.krb5_conf.insert(0, path.clone());
                    }
                    let env = Environment::new(config).unwrap();
                    let ours = channel.filter(|_| bound);
                    let mut theirs = Peer::start(case.vendor, realm, TICKETS);
                    theirs.accept(channel);
                    let Step::Continue { token, .. } = start(&env, realm, Case { ours, ..case })
                    else {
                        panic!("mutual authentication has an answer");
                    };
                    match theirs.step(&token) {
                        Stepped::Failed { major, .. } => Some(major),
                        _ => None,
                    }
                }
                We::Accept => {
                    let mut command = realm.command(program(case.vendor), TICKETS);
                    if insists {
                        command.env("KRB5_CONFIG", &both);
                    }
                    let mut theirs = Peer::start_with(command);
                    theirs.initiate(&case.target(), case.flags.bits(), channel.filter(|_| bound));
                    let request = theirs.step(&[]).token();
                    let ours = Case {
                        ours: channel,
                        ..case
                    };
                    let step = accept(&environment(realm), realm, ours, &request);
                    step.err().map(|failure| failure.error.major().code())
                }
            };
            let expected = (insists && !bound).then_some(BAD_BINDINGS);
            assert_eq!(refused, expected, "{case:?} {bound} {insists}");
        }
    }
}

#[test]
fn our_skewed_request_is_refused_by_their_error_token() {
    for case in Case::each_way().filter(|case| case.we == We::Initiate) {
        let realm = realm(case.vendor);
        let mut theirs = Peer::start(case.vendor, realm, TICKETS);
        theirs.accept(None);
        let Step::Continue { token, next } = start(&an_hour_ahead(case.vendor), realm, case) else {
            panic!("mutual authentication has an answer");
        };
        let token = match (case.vendor, theirs.step(&token)) {
            (
                Vendor::Mit,
                Stepped::Failed {
                    minor: code, token, ..
                },
            ) => {
                assert_eq!(code, minor(KRB_AP_ERR_SKEW));
                token
            }
            // It would take another request, by the time that its error tells.
            (Vendor::Heimdal, Stepped::Continue(token)) => token,
            (_, other) => panic!("{case:?}: {other:?}"),
        };
        let failure = next.step(&token).unwrap_err();
        assert_eq!(failure.error.major(), Major::Failure, "{case:?}");
        assert_eq!(
            failure.error.minor(),
            minor(KRB_AP_ERR_SKEW),
            "{case:?}: {}",
            failure.error
        );
    }
}

/// MIT's initiator reports our error. Heimdal's learns the time from it and asks again, which ours then takes.
#[test]
fn their_skewed_request_is_refused_by_our_error_token() {
    for case in Case::each_way().filter(|case| case.we == We::Accept) {
        let realm = realm(case.vendor);
        let env = an_hour_ahead(case.vendor);
        // Heimdal's writes what it learnt into its cache.
        fs::copy(realm.path(TICKETS), realm.path("skewed")).unwrap();
        let mut theirs = Peer::start(case.vendor, realm, "skewed");
        theirs.initiate(&case.target(), case.flags.bits(), None);
        let request = theirs.step(&[]).token();
        let failure = accept(&env, realm, case, &request).unwrap_err();
        assert_eq!(failure.error.major(), Major::Failure, "{case:?}");
        assert_eq!(
            failure.error.minor(),
            minor(KRB_AP_ERR_SKEW),
            "{case:?}: {}",
            failure.error
        );
        match (case.vendor, theirs.step(&failure.token.unwrap())) {
            (Vendor::Mit, Stepped::Failed { minor: code, .. }) => {
                assert_eq!(code, minor(KRB_AP_ERR_SKEW));
            }
            (Vendor::Heimdal, Stepped::Continue(request)) => {
                accept(&env, realm, case, &request).unwrap();
            }
            (_, other) => panic!("{case:?}: {other:?}"),
        }
    }
}

/// A keytab with a key of the right name, enctype and version, that is another.
fn wrong_keys(case: Case) -> Keytab {
    let realm = realm(case.vendor);
    let keytab = Keytab::parse(&fs::read(realm.keytab()).unwrap()).unwrap();
    let wrong = |entry: &KeytabEntry| KeytabEntry {
        principal: entry.principal.clone(),
        timestamp: entry.timestamp,
        kvno: entry.kvno,
        key: Arc::new(
            Key::new(
                entry.key.enctype(),
                &vec![7; entry.key.enctype().key_length()],
            )
            .unwrap(),
        ),
    };
    Keytab {
        entries: keytab.entries.iter().map(wrong).collect(),
        others: Vec::new(),
    }
}

#[test]
fn our_request_under_another_key_is_refused_by_theirs() {
    for case in Case::each_way().filter(|case| case.we == We::Initiate) {
        let realm = realm(case.vendor);
        let path = realm.path("wrong.keytab");
        fs::write(&path, wrong_keys(case).encode().unwrap()).unwrap();
        let mut command = realm.command(program(case.vendor), TICKETS);
        command.env("KRB5_KTNAME", format!("FILE:{}", path.display()));
        let mut theirs = Peer::start_with(command);
        theirs.accept(None);
        let Step::Continue { token, next } = start(&environment(realm), realm, case) else {
            panic!("mutual authentication has an answer");
        };
        let Stepped::Failed { token, text, .. } = theirs.step(&token) else {
            panic!("{case:?}: accepted");
        };
        // Heimdal's acceptor keeps what is wrong to itself.
        assert_eq!(token.is_empty(), case.vendor == Vendor::Heimdal, "{text}");
        if !token.is_empty() {
            let error = next.step(&token).unwrap_err().error;
            assert_eq!(error.minor(), minor(KRB_AP_ERR_BAD_INTEGRITY), "{error}");
        }
    }
}

#[test]
fn their_request_under_another_key_is_refused_by_our_error_token() {
    for case in Case::each_way().filter(|case| case.we == We::Accept) {
        let realm = realm(case.vendor);
        let env = environment(realm);
        let mut theirs = Peer::start(case.vendor, realm, TICKETS);
        theirs.initiate(&case.target(), case.flags.bits(), None);
        let request = theirs.step(&[]).token();
        let cred = Credential::from_keytab(Arc::new(wrong_keys(case)));
        let failure = Acceptor::new(&env, &cred).step(&request).unwrap_err();
        assert_eq!(
            failure.error.minor(),
            minor(KRB_AP_ERR_BAD_INTEGRITY),
            "{}",
            failure.error
        );
        let Stepped::Failed {
            minor: code, text, ..
        } = theirs.step(&failure.token.unwrap())
        else {
            panic!("{case:?}: their initiator takes our error for an answer");
        };
        assert_eq!(code, minor(KRB_AP_ERR_BAD_INTEGRITY), "{case:?}: {text}");
    }
}

#[test]
fn an_acceptor_with_one_name_refuses_tickets_for_another() {
    for case in Case::each_way().filter(|case| case.we == We::Accept) {
        let realm = realm(case.vendor);
        let env = environment(realm);
        for (name, is_it) in [("e18", true), ("e17", false)] {
            let mut theirs = Peer::start(case.vendor, realm, TICKETS);
            theirs.initiate(&case.target(), case.flags.bits(), None);
            let request = theirs.step(&[]).token();
            let name = Name::krb5_principal(&format!("{name}/localhost@{REALM}"));
            let cred = keys(realm).for_service(&env, &name).unwrap();
            let step = Acceptor::new(&env, &cred).step(&request);
            assert_eq!(step.is_ok(), is_it, "{case:?}: {name}");
        }
    }
}

/// By ours and MIT's: Heimdal's acceptor keeps no replay cache unless it is configured to.
#[test]
fn a_replayed_request_is_refused() {
    for case in Case::each_way() {
        let realm = realm(case.vendor);
        let env = environment(realm);
        let mut theirs = Peer::start(case.vendor, realm, TICKETS);
        match case.we {
            We::Initiate => {
                let Step::Continue { token, .. } = start(&env, realm, case) else {
                    panic!("mutual authentication has an answer");
                };
                theirs.accept(None);
                theirs.step(&token).token();
                theirs.accept(None);
                let again = theirs.step(&token);
                let is_refused = matches!(again, Stepped::Failed { .. });
                assert_eq!(is_refused, case.vendor == Vendor::Mit, "{again:?}");
            }
            We::Accept => {
                theirs.initiate(&case.target(), case.flags.bits(), None);
                let request = theirs.step(&[]).token();
                accept(&env, realm, case, &request).unwrap();
                let failure = accept(&env, realm, case, &request).unwrap_err();
                let error = failure.error;
                assert_eq!(error.major(), Major::Failure, "{case:?}");
                assert_eq!(
                    error.supplementary(),
                    Some(Supplementary::DuplicateToken),
                    "{case:?}"
                );
                assert_eq!(error.minor(), minor(KRB_AP_ERR_REPEAT), "{case:?}");
                let Stepped::Failed { minor: code, .. } = theirs.step(&failure.token.unwrap())
                else {
                    panic!("{case:?}: their initiator takes our error for an answer");
                };
                assert_eq!(code, minor(KRB_AP_ERR_REPEAT), "{case:?}");
            }
        }
    }
}

/// Every byte of their request changed by one bit: an error each time, but for what is in clear and changes nothing: the AP-REQ's
/// options and the ticket's service name, because the context's name is that of the key which opens the ticket.
#[test]
fn their_altered_request_is_refused() {
    for case in Case::each_way().filter(|case| case.we == We::Accept) {
        let realm = realm(case.vendor);
        // Without replay detection, which would refuse what differs in nothing that is authenticated.
        let unwary = Config {
            replay: Replay::None,
            ..config(realm)
        };
        let env = Environment::new(unwary).unwrap();
        let name = Name::krb5_principal(&format!("e18/localhost@{REALM}"));
        let cred = keys(realm).for_service(&env, &name).unwrap();
        let mut theirs = Peer::start(case.vendor, realm, TICKETS);
        theirs.initiate(&case.target(), ALL_FLAGS.bits(), None);
        let request = theirs.step(&[]).token();
        // The ticket's service name, of all that is in clear, comes last.
        let host = b"localhost";
        let place = request.windows(host.len()).position(|part| part == host);
        let encrypted = place.unwrap() + host.len();
        let mut survivors = Vec::new();
        for at in 0..request.len() {
            let mut other = request.clone();
            other[at] ^= 1 << (at % 8);
            if let Ok(Step::Done { context, .. }) = Acceptor::new(&env, &cred).step(&other) {
                survivors.push((at, context.facts().clone()));
            }
        }
        let Step::Done { context, .. } = Acceptor::new(&env, &cred).step(&request).unwrap() else {
            panic!("{case:?}: one step is enough");
        };
        for (at, facts) in survivors {
            assert!(at < encrypted, "{case:?}: byte {at}");
            assert_eq!(facts, *context.facts(), "{case:?}: byte {at}");
        }
    }
}

/// The same with their answer.
#[test]
fn their_altered_answer_is_refused() {
    for case in Case::each_way().filter(|case| case.we == We::Initiate) {
        let realm = realm(case.vendor);
        let env = environment(realm);
        let mut theirs = Peer::start(case.vendor, realm, TICKETS);
        for at in 0..160 {
            let Step::Continue { token, next } = start(&env, realm, case) else {
                panic!("mutual authentication has an answer");
            };
            theirs.accept(None);
            let mut reply = theirs.step(&token).token();
            if at >= reply.len() {
                return;
            }
            reply[at] ^= 1 << (at % 8);
            assert!(
                next.step(&reply).is_err(),
                "{case:?}: byte {at} of {}",
                reply.len()
            );
        }
    }
}
