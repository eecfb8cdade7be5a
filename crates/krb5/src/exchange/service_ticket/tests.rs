//! Ways through realms in memory.

use super::*;
use crate::exchange::realms_for_tests::{Realms, alice, options, web};
use crate::formats::settings::DomainRealm;
use crate::messages::{TgsRep, error_code, ticket_flags};

fn names(tickets: &[Credential]) -> String {
    let names = tickets.iter().map(|ticket| ticket.server.to_string());
    names.collect::<Vec<_>>().join(" ")
}

/// Asserts that alice of the first realm reaches the web server of the last, by these requests, through these realms.
fn assert_reaches(
    realms: &Realms,
    options: ServiceTicketOptions,
    server: &Principal,
    asked: &str,
    transited: &str,
) -> Reached {
    let (reached, order) = realms.reach(options);
    let reached = reached.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(order, asked);
    assert_eq!(reached.credential.server, *server);
    realms.open(&reached.credential.ticket, |part| {
        assert_eq!(part.cname.in_realm(part.crealm), reached.credential.client);
        assert_eq!(str::from_utf8(part.transited.contents), Ok(transited));
        let checked = part.flags.contains(ticket_flags::TRANSITED_POLICY_CHECKED);
        assert_eq!(
            checked,
            part.crealm.0 == server.realm(),
            "left to the server"
        );
    });
    reached
}

#[test]
fn within_one_realm_there_is_one_question() {
    let realms = Realms::new(&["A"], &[]);
    let tgt = realms.log_in(&alice("A"));
    assert_reaches(&realms, options(tgt, web("A")), &web("A"), "A", "");
}

#[test]
fn a_realm_that_shares_a_key_is_next_door() {
    let realms = Realms::new(&["A", "B"], &[("A", "B")]);
    for (from, to) in [("A", "B"), ("B", "A")] {
        let tgt = realms.log_in(&alice(from));
        let asked = format!("{from} {to}");
        let reached = assert_reaches(&realms, options(tgt, web(to)), &web(to), &asked, "");
        assert_eq!(names(&reached.granting), format!("krbtgt/{to}@{from}"));
        assert_eq!(reached.credential.client, alice(from));
    }
}

/// The farthest realm is asked for first; the nearest that is to be had is on the path.
#[test]
fn the_path_is_that_of_the_names_hierarchy() {
    let trusts = [("A.X", "X"), ("X", "B.X")];
    let realms = Realms::new(&["A.X", "X", "B.X"], &trusts);
    let tgt = realms.log_in(&alice("A.X"));
    let web = web("B.X");
    let asked = "A.X A.X X B.X";
    let reached = assert_reaches(&realms, options(tgt, web.clone()), &web, asked, "X");
    assert_eq!(names(&reached.granting), "krbtgt/X@A.X krbtgt/B.X@X");
}

#[test]
fn the_path_is_that_of_capaths() {
    let realms = Realms::new(&["A", "M", "N", "B"], &[("A", "M"), ("M", "N"), ("N", "B")]);
    let tgt = realms.log_in(&alice("A"));
    let mut way = options(tgt, web("B"));
    way.capaths.push("A", "B", "M");
    way.capaths.push("A", "B", "N");
    let asked = "A A A M M N B";
    let reached = assert_reaches(&realms, way.clone(), &web("B"), asked, "M,N");
    assert_eq!(names(&reached.granting), "krbtgt/M@A krbtgt/N@M krbtgt/B@N");

    // What is there is not asked for again, be it the whole way or a part.
    way.granting.extend(reached.granting);
    assert_reaches(&realms, way.clone(), &web("B"), "B", "M,N");
    way.granting.truncate(3);
    assert_reaches(&realms, way, &web("B"), "A N B", "M,N");
}

#[test]
fn the_ticket_of_the_services_realm_is_enough() {
    let realms = Realms::new(&["A", "B"], &[("A", "B")]);
    let tgt = realms.log_in(&alice("A"));
    let mut way = options(tgt, web("B"));
    way.granting = realms.reach(way.clone()).0.unwrap().granting;
    assert_reaches(&realms, way.clone(), &web("B"), "B", "");
    way.server = web("A");
    let missing = ServiceTicketError::NoTicketGrantingTicket(b"A".to_vec());
    assert_eq!(realms.reach(way).0.err(), Some(missing));
}

/// RFC 4120 §3.3.1: a KDC may give a ticket for a realm that is nearer than the one that was asked for.
#[test]
fn a_kdc_may_know_a_nearer_realm() {
    let trusts = [("A", "M"), ("M", "B")];
    let mut realms = Realms::new(&["A", "M", "B"], &trusts);
    realms.principals("A").set_route("B", "M");
    let tgt = realms.log_in(&alice("A"));
    let mut way = options(tgt, web("B"));
    // Off the path that we know of.
    let reached = assert_reaches(&realms, way.clone(), &web("B"), "A M B", "M");
    assert_eq!(names(&reached.granting), "");
    // And on it: what was not asked for is not kept, as in MIT's code.
    way.capaths.push("A", "B", "M");
    let reached = assert_reaches(&realms, way, &web("B"), "A M B", "M");
    assert_eq!(names(&reached.granting), "krbtgt/B@M");
}

fn domain(host: &str, realm: &str) -> DomainRealm {
    let mut map = DomainRealm::default();
    map.insert(host, realm);
    map
}

#[test]
fn kdcs_refer_to_the_realm_of_a_service() {
    let mut realms = Realms::new(&["A", "B", "C"], &[("A", "B"), ("B", "C")]);
    for (realm, next) in [("A", "B"), ("B", "C")] {
        let host = domain(".example.com", next);
        realms.principals(realm).set_domain_realm(host);
    }
    let far = |realm| Principal::service("HTTP", "www.example.com", realm);
    let etypes = crate::exchange::realms_for_tests::ETYPES;
    let random = crate::exchange::realms_for_tests::Drawn::new();
    realms
        .principals("C")
        .add_random(far("C"), &etypes, &random);
    let tgt = realms.log_in(&alice("A"));
    // A name without a realm, and one with the wrong realm.
    for realm in ["", "A"] {
        let way = options(tgt.clone(), far(realm));
        let reached = assert_reaches(&realms, way, &far("C"), "A B C", "B");
        assert_eq!(names(&reached.granting), "");
    }
}

#[test]
fn loops_of_referrals_end() {
    let mut realms = Realms::new(&["A", "B", "C"], &[("A", "B"), ("B", "C")]);
    for (realm, next) in [("A", "B"), ("B", "C"), ("C", "B")] {
        realms
            .principals(realm)
            .set_domain_realm(domain(".example.com", next));
    }
    let tgt = realms.log_in(&alice("A"));
    let far = Principal::service("HTTP", "www.example.com", "");
    let (refused, asked) = realms.reach(options(tgt, far.clone()));
    assert_eq!(asked, "A B C");
    let error = refused.err().unwrap();
    let expected = ServiceTicketError::Loop {
        server: far,
        from: "C".into(),
        to: "B".into(),
    };
    assert_eq!(error, expected);
    assert!(error.to_string().contains("[domain_realm]"), "{error}");

    // The same on the way to a realm: each sends on to the other.
    let trusts = [("A", "M"), ("M", "N")];
    let mut realms = Realms::new(&["A", "M", "N"], &trusts);
    for (realm, via) in [("A", "M"), ("M", "N"), ("N", "M")] {
        realms.principals(realm).set_route("B", via);
    }
    let tgt = realms.log_in(&alice("A"));
    let (refused, asked) = realms.reach(options(tgt, web("B")));
    assert_eq!(asked, "A M N");
    assert!(matches!(
        refused.err(),
        Some(ServiceTicketError::Loop { .. })
    ));
}

#[test]
fn referrals_without_end_end() {
    let names: Vec<String> = (0..14).map(|number| format!("R{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let trusts: Vec<_> = names.windows(2).map(|pair| (pair[0], pair[1])).collect();
    let mut realms = Realms::new(&names, &trusts);
    for (from, to) in &trusts {
        realms
            .principals(from)
            .set_domain_realm(domain(".example.com", to));
        realms.principals(from).set_route("FAR", to);
    }
    let tgt = realms.log_in(&alice("R0"));
    let far = Principal::service("HTTP", "www.example.com", "");
    let (refused, asked) = realms.reach(options(tgt.clone(), far.clone()));
    assert_eq!(
        refused.err(),
        Some(ServiceTicketError::TooManyReferrals(far))
    );
    assert_eq!(asked.split(' ').count(), MAX_REFERRALS);
    // The way to a realm that each KDC knows to be behind the next.
    let far = web("FAR");
    let (refused, asked) = realms.reach(options(tgt, far.clone()));
    assert_eq!(
        refused.err(),
        Some(ServiceTicketError::TooManyReferrals(far))
    );
    assert_eq!(asked.split(' ').count(), MAX_REFERRALS + 1);
}

#[test]
fn a_service_that_no_kdc_knows_may_be_in_the_realm_of_last_resort() {
    let realms = Realms::new(&["A", "B"], &[("A", "B")]);
    let tgt = realms.log_in(&alice("A"));
    let host = |realm| Principal::service("host", "web.example.org", realm);
    let mut way = options(tgt, web(""));
    way.fallback_realm = Some(b"B".to_vec());
    // The client's own realm comes first.
    assert_reaches(&realms, way.clone(), &web("A"), "A", "");
    way.server = host("");
    let (refused, asked) = realms.reach(way.clone());
    assert_eq!(asked, "A A B");
    let code = |error: Option<ServiceTicketError>| match error {
        Some(ServiceTicketError::Exchange(ExchangeError::Refused(error))) => {
            (String::from_utf8(error.realm).unwrap(), error.code)
        }
        other => panic!("{other:?}"),
    };
    let unknown = error_code::KDC_ERR_S_PRINCIPAL_UNKNOWN;
    assert_eq!(code(refused.err()), ("B".to_owned(), unknown));
    for (fallback, asked) in [
        (None, "A"),
        (Some(b"A".to_vec()), "A A"),
        (Some(b"NOWHERE".to_vec()), "A A"),
    ] {
        way.fallback_realm = fallback;
        let (refused, order) = realms.reach(way.clone());
        assert_eq!(order, asked);
        assert_eq!(code(refused.err()), ("A".to_owned(), unknown));
    }
}

#[test]
fn no_way_says_how_far_it_went_and_what_to_do() {
    let realms = Realms::new(&["A.X", "X", "B.X"], &[("A.X", "X")]);
    let tgt = realms.log_in(&alice("A.X"));
    let (refused, asked) = realms.reach(options(tgt, web("B.X")));
    assert_eq!(asked, "A.X A.X X");
    let text = refused.err().unwrap().to_string();
    assert_eq!(
        text,
        "there is no way from the realm A.X to B.X: the KDC of X answers: the server is not known (error 7): krbtgt/B.X@X: \
         the server is not known. The KDC of X must share a key with B.X (krbtgt/B.X@X) or with a realm on the way, which \
         [capaths] in krb5.conf names"
    );
}

/// A realm vouches for its own users, and not for those of the realm that it asks.
#[test]
fn a_realm_does_not_vouch_for_the_users_of_another() {
    let realms = Realms::new(&["A", "B"], &[("A", "B")]);
    let tgt = realms.log_in(&alice("A"));
    let way = options(tgt, web("B"));
    let mut ticket = realms.reach(way).0.unwrap().granting.remove(0);
    // A's KDC could write this into a ticket for B, the two share the key.
    let key = &realms.kdcs["A"].principals().keys(&ticket.server)[0].key;
    let mut message = crate::messages::Ticket::decode(&ticket.ticket).unwrap();
    let plain = message
        .enc_part
        .decrypt::<crate::messages::EncTicketPart<'_>>(key)
        .unwrap();
    let mut part = crate::messages::EncTicketPart::decode(&plain).unwrap();
    part.crealm = wire::der::GeneralString(b"B");
    let cipher = crate::messages::encrypt(&part, key, &realms.random);
    message.enc_part.cipher = &cipher;
    ticket.ticket = message.encode();
    ticket.client = alice("B");
    let mut way = options(ticket, web("B"));
    way.start_realm = b"A".to_vec();
    match realms.reach(way).0.err() {
        Some(ServiceTicketError::Exchange(ExchangeError::Refused(error))) => {
            assert_eq!(error.code, error_code::KDC_ERR_POLICY);
        }
        other => panic!("{other:?}"),
    }
}

/// What the reply says is believed only as far as its request allows it, and whatever was altered on the way is an error
/// or says the same.
#[test]
fn a_flipped_bit_on_the_way_is_an_error_or_nothing() {
    let mut realms = Realms::new(&["A", "B", "C"], &[("A", "B"), ("B", "C")]);
    realms
        .principals("A")
        .set_domain_realm(domain(".example.org", "B"));
    realms
        .principals("B")
        .set_domain_realm(domain(".example.org", "C"));
    let service = |realm| Principal::service("ftp", "www.example.org", realm);
    let etypes = crate::exchange::realms_for_tests::ETYPES;
    let random = crate::exchange::realms_for_tests::Drawn::new();
    realms
        .principals("C")
        .add_random(service("C"), &etypes, &random);
    let tgt = realms.log_in(&alice("A"));
    let mut lengths = Vec::new();
    let good = realms.reach_through(options(tgt.clone(), service("")), |_, _, reply| {
        lengths.push(reply.len());
    });
    assert_eq!(good.unwrap().credential.server, service("C"));
    assert_eq!(lengths.len(), 3);
    for (which, length) in lengths.iter().enumerate() {
        for bit in (0..length * 8).step_by(13) {
            let mut count = 0;
            let reached = realms.reach_through(options(tgt.clone(), service("")), |_, _, reply| {
                if count == which && bit / 8 < reply.len() {
                    reply[bit / 8] ^= 1 << (bit % 8);
                }
                count += 1;
            });
            if let Ok(reached) = reached {
                assert_eq!(reached.credential.server, service("C"), "{which} {bit}");
                assert_eq!(reached.credential.client, alice("A"));
            }
        }
    }
}

/// A reply is good for its own request alone.
#[test]
fn a_reply_to_another_request_is_refused() {
    let realms = Realms::new(&["A", "B"], &[("A", "B")]);
    let tgt = realms.log_in(&alice("A"));
    let mut earlier = Vec::new();
    let first = realms.reach_through(options(tgt.clone(), web("B")), |_, _, reply| {
        earlier.push(reply.clone());
    });
    assert!(first.is_ok());
    for (which, old) in earlier.iter().enumerate() {
        let mut count = 0;
        let refused = realms.reach_through(options(tgt.clone(), web("B")), |_, _, reply| {
            if count == which {
                assert!(TgsRep::decode(old).is_ok());
                reply.clone_from(old);
            }
            count += 1;
        });
        assert!(
            matches!(
                refused.err(),
                Some(ServiceTicketError::Exchange(ExchangeError::Reply(
                    ReplyError::Integrity(_)
                )))
            ),
            "{which}"
        );
    }
}

/// The flag of a KDC on the way counts only if the client's own KDC has said it of that realm.
#[test]
fn another_realm_is_believed_about_delegation_if_ours_vouches_for_it() {
    let flag = ticket_flags::OK_AS_DELEGATE;
    let mut realms = Realms::new(&["A", "B"], &[("A", "B")]);
    realms
        .principals("B")
        .delegations_mut()
        .may_be_delegated_to(web("B"));
    let granting = Principal::krbtgt("B").with_realm("A");
    let flagged = |realms: &Realms| {
        let tgt = realms.log_in(&alice("A"));
        let reached = realms.reach(options(tgt, web("B"))).0.unwrap();
        realms.open(&reached.credential.ticket, |part| {
            assert!(part.flags.contains(flag))
        });
        reached.credential.flags & flag != 0
    };
    assert!(!flagged(&realms));
    realms
        .principals("A")
        .delegations_mut()
        .may_be_delegated_to(granting);
    assert!(flagged(&realms));
    // The client's own KDC needs nobody to vouch for it.
    realms
        .principals("A")
        .delegations_mut()
        .may_be_delegated_to(web("A"));
    let tgt = realms.log_in(&alice("A"));
    let reached = realms.reach(options(tgt, web("A"))).0.unwrap();
    assert_ne!(reached.credential.flags & flag, 0);
}
