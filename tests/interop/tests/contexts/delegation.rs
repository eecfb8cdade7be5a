//! Credentials delegated both ways: got by whom they were meant for, and good for a ticket of the realm's KDC.

use baton::{Acceptor, Context, Flags, Initiator, Name, Step};
use interop::Vendor;
use interop::peer::{Peer, Stepped};
use interop::realm::{CLIENT, REALM};

use crate::parties::{
    ALL_FLAGS, Case, Pair, TICKETS, We, config, environment, establish_in, keys, realm,
};

fn delegating() -> impl Iterator<Item = Case> {
    let flags = ALL_FLAGS | Flags::DELEG;
    Case::each_way().map(move |case| Case { flags, ..case })
}

/// A context of `case` in an environment where any enctype goes, as the KDC is asked for a new ticket.
fn establish(case: Case) -> Pair {
    establish_in(&environment(realm(case.vendor)), case)
}

/// Theirs initiates with what ours delegated to it, toward a second acceptor of theirs.
#[test]
fn theirs_acts_with_what_ours_delegates() {
    for case in delegating().filter(|case| case.we == We::Initiate) {
        let Pair { ours, mut theirs } = establish(case);
        assert!(ours.facts().flags.contains(Flags::DELEG), "{case:?}");
        assert!(Flags::from_bits(theirs.inquire().flags).contains(Flags::DELEG));
        let whose = theirs.delegated();
        assert_eq!(whose, Some(format!("{CLIENT}@{REALM}")), "{case:?}");
        theirs.use_delegated();
        theirs.initiate("e17@localhost", ALL_FLAGS.bits(), None);
        let request = theirs.step(&[]).token();
        let mut third = Peer::start(case.vendor, realm(case.vendor), TICKETS);
        third.accept(None);
        let Stepped::Done(reply) = third.step(&request) else {
            panic!("{case:?}: the delegated credential is no use");
        };
        theirs.step(&reply).token();
        assert_eq!(third.inquire().source, format!("{CLIENT}@{REALM}"));
    }
}

/// Ours initiates with what theirs delegated to it, over the realm's KDC, and it can be delegated further.
#[test]
fn ours_acts_with_what_theirs_delegates() {
    for case in delegating().filter(|case| case.we == We::Accept) {
        let Pair { ours, mut theirs } = establish(case);
        assert!(
            Flags::from_bits(theirs.inquire().flags).contains(Flags::DELEG),
            "{case:?}: nothing was forwarded, so this test shows nothing"
        );
        assert!(ours.facts().flags.contains(Flags::DELEG), "{case:?}");
        let cred = ours.take_delegated().unwrap().unwrap();
        assert_eq!(
            cred.name().unwrap().to_string(),
            format!("{CLIENT}@{REALM}")
        );
        assert!(ours.take_delegated().unwrap().is_none());
        let (env, service) = (environment(realm(case.vendor)), keys(realm(case.vendor)));
        let name = Name::hostbased_service("e17@localhost");
        let flags = ALL_FLAGS | Flags::DELEG;
        let initiator = Initiator::new(&env, &cred, &name).flags(flags);
        let Step::Continue { token, next } = initiator.start().unwrap() else {
            panic!("an answer is awaited");
        };
        let accepted = Acceptor::new(&env, &service).step(&token);
        let Step::Done { token, context } = accepted.unwrap() else {
            panic!("not accepted");
        };
        next.step(&token.unwrap()).unwrap();
        assert_eq!(
            context.facts().initiator.to_string(),
            format!("{CLIENT}@{REALM}")
        );
        assert!(context.take_delegated().unwrap().is_some(), "{case:?}");
    }
}

/// RFC 5896: MIT's KDC marks a service whose principal has the attribute. Nothing is delegated to another.
#[test]
fn policy_delegates_where_the_kdc_says_so() {
    let realm = interop::realm::Realm::start(Vendor::Mit);
    realm.admin(&["modprinc +ok_as_delegate e18/localhost"]);
    realm.kinit(Vendor::Mit, TICKETS);
    let flags_of = |service: &str, flags: Flags, enforced: bool| {
        let mut config = config(&realm);
        if enforced {
            let path = realm.path("enforced.conf");
            std::fs::write(&path, "[libdefaults]\n enforce_ok_as_delegate = true\n").unwrap();
            config.krb5_conf.insert(0, path);
        }
        let env = baton::Environment::new(config).unwrap();
        let cache = std::fs::read(realm.path(TICKETS)).unwrap();
        let cache = baton::kerberos::ccache::CredentialCache::parse(&cache).unwrap();
        let cred = baton::Credential::from_cache(&cache).unwrap();
        let name = Name::hostbased_service(&format!("{service}@localhost"));
        let initiator = Initiator::new(&env, &cred, &name).flags(flags);
        let mut theirs = Peer::start(Vendor::Mit, &realm, TICKETS);
        theirs.accept(None);
        let Step::Continue { token, next } = initiator.start().unwrap() else {
            panic!("an answer is awaited");
        };
        let Step::Done { context, .. } = next.step(&theirs.step(&token).token()).unwrap() else {
            panic!("not done");
        };
        (told(&context), theirs.delegated().is_some())
    };
    let both = Flags::DELEG | Flags::DELEG_POLICY;
    let policy = ALL_FLAGS | Flags::DELEG_POLICY;
    let plain = ALL_FLAGS | Flags::DELEG;
    assert_eq!(flags_of("e18", policy, false), (both, true));
    assert_eq!(flags_of("e17", policy, false), (Flags::NONE, false));
    assert_eq!(flags_of("e17", plain, false), (Flags::DELEG, true));
    assert_eq!(flags_of("e17", plain, true), (Flags::NONE, false));
    assert_eq!(flags_of("e18", plain, true), (both, true));
}

fn told(context: &Context) -> Flags {
    context.facts().flags & (Flags::DELEG | Flags::DELEG_POLICY)
}

/// What cannot be forwarded is not, and the context is established all the same.
#[test]
fn a_ticket_that_is_not_forwardable_delegates_nothing() {
    for vendor in Vendor::ALL {
        let realm = realm(vendor);
        let input = std::fs::File::open(realm.path("password")).unwrap();
        let output = realm
            .command("/usr/bin/kinit", "unforwardable")
            .args(["-F", &format!("{CLIENT}@{REALM}")])
            .stdin(input)
            .output();
        interop::realm::succeeded("kinit", output.unwrap());
        let cache = std::fs::read(realm.path("unforwardable")).unwrap();
        let cache = baton::kerberos::ccache::CredentialCache::parse(&cache).unwrap();
        let cred = baton::Credential::from_cache(&cache).unwrap();
        let (env, name) = (environment(realm), Name::hostbased_service("e18@localhost"));
        let initiator = Initiator::new(&env, &cred, &name).flags(ALL_FLAGS | Flags::DELEG);
        let Step::Continue { token, next } = initiator.start().unwrap() else {
            panic!("an answer is awaited");
        };
        let mut theirs = Peer::start(vendor, realm, TICKETS);
        theirs.accept(None);
        let Step::Done { context, .. } = next.step(&theirs.step(&token).token()).unwrap() else {
            panic!("not done");
        };
        assert_eq!(told(&context), Flags::NONE, "{vendor:?}");
        assert_eq!(theirs.delegated(), None, "{vendor:?}");
    }
}
