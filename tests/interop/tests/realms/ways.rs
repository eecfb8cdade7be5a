//! Ways through two and three realms.

use baton::host::tickets::{ServiceTicketError, TicketError};
use baton::{Credential, CredentialError, Name};
use interop::Vendor;
use interop::realm::CLIENT;
use interop::realms::{Member, Realms};
use krb5::messages::ticket_flags;

use crate::{accepted, environment, first_token, log_in, read, servers};

const PAIRS: [[Vendor; 2]; 4] = [
    [Vendor::Mit, Vendor::Mit],
    [Vendor::Mit, Vendor::Heimdal],
    [Vendor::Heimdal, Vendor::Mit],
    [Vendor::Heimdal, Vendor::Heimdal],
];

/// Two realms that share keys, and know each other's hosts.
fn two([one, other]: [Vendor; 2]) -> Realms {
    let member = |name, vendor, trusts, services| Member {
        name,
        vendor,
        services,
        trusts,
    };
    Realms::start(
        &[
            member("ONE.TEST", one, &["OTHER.TEST"], &["HTTP/www.one.test"]),
            member("OTHER.TEST", other, &["ONE.TEST"], &["HTTP/www.other.test"]),
        ],
        "[domain_realm]\n .one.test = ONE.TEST\n .other.test = OTHER.TEST\n",
    )
}

#[test]
fn both_realms_users_reach_both_realms_services() {
    for vendors in PAIRS {
        let realms = two(vendors);
        for (from, to, host) in [
            ("ONE.TEST", "OTHER.TEST", "www.other.test"),
            ("OTHER.TEST", "ONE.TEST", "www.one.test"),
        ] {
            let conf = realms.client_conf(from, &format!("[domain_realm]\n {host} = {to}\n"));
            let env = environment(&conf);
            let cred = log_in(&env, from);
            let target = Name::hostbased_service(&format!("HTTP@{host}"));
            let token = first_token(&env, &cred, &target);
            let token = token.unwrap_or_else(|error| panic!("{vendors:?} {from}: {error}"));
            let client = accepted(&realms, to, &conf, &token).map_err(|failure| failure.error);
            assert_eq!(client.unwrap(), format!("{CLIENT}@{from}"), "{vendors:?}");
            let cache = cred.tickets().unwrap();
            let expected = [
                format!("krbtgt/{from}@{from}"),
                format!("krbtgt/{to}@{from}"),
                format!("HTTP/{host}@{to}"),
            ];
            assert_eq!(servers(&cache), expected, "{vendors:?}");
        }
    }
}

/// The KDC alone knows where the host is (RFC 6806 §8).
#[test]
fn a_kdc_refers_to_the_hosts_realm() {
    for vendors in PAIRS {
        let realms = two(vendors);
        let conf = realms.client_conf("ONE.TEST", "");
        let env = environment(&conf);
        let cred = log_in(&env, "ONE.TEST");
        let target = Name::hostbased_service("HTTP@www.other.test");
        let token = first_token(&env, &cred, &target);
        let token = token.unwrap_or_else(|error| panic!("{vendors:?}: {error}"));
        let client =
            accepted(&realms, "OTHER.TEST", &conf, &token).map_err(|failure| failure.error);
        assert_eq!(client.unwrap(), format!("{CLIENT}@ONE.TEST"), "{vendors:?}");
        // As MIT's library keeps it: by the name that was asked for, and without the referral's own ticket.
        let expected = ["krbtgt/ONE.TEST@ONE.TEST", "HTTP/www.other.test@"];
        assert_eq!(servers(&cred.tickets().unwrap()), expected, "{vendors:?}");
    }
}

/// A cache with tickets of several realms serves their programs, and theirs serves us.
#[test]
fn caches_of_several_realms_are_shared() {
    let realms = two([Vendor::Mit, Vendor::Heimdal]);
    let conf = realms.client_conf("ONE.TEST", "[domain_realm]\n .other.test = OTHER.TEST\n");
    let env = environment(&conf);
    let cred = log_in(&env, "ONE.TEST");
    let target = Name::hostbased_service("HTTP@www.other.test");
    first_token(&env, &cred, &target).unwrap();
    let cache = format!("FILE:{}", realms.path("ours").display());
    cred.store(&env, Some(&cache)).unwrap();
    for vendor in Vendor::ALL {
        let got = realms.get_ticket(vendor, &conf, "ours", "HTTP/www.other.test@OTHER.TEST");
        assert!(got.status.success(), "{vendor:?}: {got:?}");
    }
    let ours = read(&realms.path("ours"));
    assert_eq!(servers(&ours).len(), 3, "nothing was missing");

    for vendor in Vendor::ALL {
        let name = format!("theirs-{vendor:?}");
        realms.kinit("ONE.TEST", &conf, &name);
        let got = realms.get_ticket(vendor, &conf, &name, "HTTP/www.other.test@OTHER.TEST");
        assert!(got.status.success(), "{vendor:?}: {got:?}");
        let before = servers(&read(&realms.path(&name)));
        let cache = format!("FILE:{}", realms.path(&name).display());
        let cred = Credential::initiator(&env, Some(&cache)).unwrap();
        first_token(&env, &cred, &target).unwrap();
        assert_eq!(servers(&read(&realms.path(&name))), before, "{vendor:?}");
    }
}

/// A hierarchy in which nobody but the upper realm knows both of the lower ones.
fn three(vendors: [Vendor; 3], capaths: &str) -> Realms {
    let [left, upper, right] = vendors;
    let member = |name, vendor, trusts, services| Member {
        name,
        vendor,
        services,
        trusts,
    };
    Realms::start(
        &[
            member("A.X.TEST", left, &["X.TEST"], &[]),
            member("X.TEST", upper, &["A.X.TEST", "B.X.TEST"], &[]),
            member("B.X.TEST", right, &["X.TEST"], &["HTTP/www.b.x.test"]),
        ],
        capaths,
    )
}

const THREES: [[Vendor; 3]; 4] = [
    [Vendor::Mit, Vendor::Mit, Vendor::Mit],
    [Vendor::Heimdal, Vendor::Heimdal, Vendor::Heimdal],
    [Vendor::Mit, Vendor::Heimdal, Vendor::Mit],
    [Vendor::Heimdal, Vendor::Mit, Vendor::Heimdal],
];

/// Which realms a ticket came through, as its server sees it.
fn transited(realms: &Realms, cache: &baton::kerberos::ccache::CredentialCache) -> (String, bool) {
    let found = cache.tickets().find(|ticket| !ticket.server.is_krbtgt());
    let ticket = krb5::messages::Ticket::decode(&found.unwrap().ticket).unwrap();
    let keytab = std::fs::read(realms.keytab("B.X.TEST")).unwrap();
    let keytab = baton::kerberos::keytab::Keytab::parse(&keytab).unwrap();
    let plain = ticket
        .enc_part
        .decrypt::<krb5::messages::EncTicketPart<'_>>(&keytab.entries[0].key)
        .unwrap();
    let part = krb5::messages::EncTicketPart::decode(&plain).unwrap();
    let checked = part.flags.contains(ticket_flags::TRANSITED_POLICY_CHECKED);
    let realms = String::from_utf8(part.transited.contents.to_vec()).unwrap();
    (realms, checked)
}

#[test]
fn the_way_leads_through_a_third_realm() {
    for vendors in THREES {
        let realms = three(vendors, "");
        let conf = realms.client_conf("A.X.TEST", "[domain_realm]\n .b.x.test = B.X.TEST\n");
        let env = environment(&conf);
        let cred = log_in(&env, "A.X.TEST");
        let target = Name::hostbased_service("HTTP@www.b.x.test");
        let token = first_token(&env, &cred, &target);
        let token = token.unwrap_or_else(|error| panic!("{vendors:?}: {error}"));
        let client = accepted(&realms, "B.X.TEST", &conf, &token).map_err(|failure| failure.error);
        assert_eq!(client.unwrap(), format!("{CLIENT}@A.X.TEST"), "{vendors:?}");
        let (through, _) = transited(&realms, &cred.tickets().unwrap());
        assert_eq!(through, "X.TEST", "{vendors:?}");
    }
}

/// Where the KDC has not checked the realms on the way, the acceptor's own `[capaths]` decide.
#[test]
fn our_acceptor_checks_the_realms_on_the_way() {
    // The last KDC takes the two realms for neighbours, and so says nothing about the third.
    let direct = "[capaths]\n A.X.TEST = {\n  B.X.TEST = .\n }\n";
    for vendor in Vendor::ALL {
        let realms = three([Vendor::Mit, vendor, Vendor::Mit], direct);
        let domain = "[domain_realm]\n .b.x.test = B.X.TEST\n";
        let conf = realms.client_conf("A.X.TEST", domain);
        let env = environment(&conf);
        let cred = log_in(&env, "A.X.TEST");
        let target = Name::hostbased_service("HTTP@www.b.x.test");
        let token = first_token(&env, &cred, &target).unwrap();
        let (through, checked) = transited(&realms, &cred.tickets().unwrap());
        assert_eq!((&*through, checked), ("X.TEST", false));
        // The names' hierarchy has the upper realm on the way; this configuration has not.
        assert!(accepted(&realms, "B.X.TEST", &conf, &token).is_ok());
        let token = first_token(&env, &cred, &target).unwrap();
        let strict = realms.client_conf("B.X.TEST", direct);
        let refused = accepted(&realms, "B.X.TEST", &strict, &token)
            .err()
            .unwrap();
        let text = refused.error.to_string();
        assert!(
            text.contains("X.TEST") && text.contains("[capaths]"),
            "{text}"
        );
    }
}

#[test]
fn no_way_is_an_error_that_says_what_to_do() {
    for vendor in Vendor::ALL {
        let realms = two([vendor, Vendor::Mit]);
        let more = "[realms]\n NO.WHERE = {\n  kdc = 127.0.0.1:1\n }\n[domain_realm]\n .no.where = NO.WHERE\n";
        let conf = realms.client_conf("ONE.TEST", more);
        let env = environment(&conf);
        let cred = log_in(&env, "ONE.TEST");
        let target = Name::hostbased_service("HTTP@www.no.where");
        let error = first_token(&env, &cred, &target).unwrap_err();
        let Some(CredentialError::Ticket(TicketError::Way(ServiceTicketError::NoWay {
            at, ..
        }))) = error.cause::<CredentialError>()
        else {
            panic!("{error}");
        };
        assert_eq!(at, "ONE.TEST");
        let text = error.to_string();
        for part in [
            "ONE.TEST",
            "NO.WHERE",
            "krbtgt/NO.WHERE@ONE.TEST",
            "[capaths]",
        ] {
            assert!(text.contains(part), "{text}");
        }
    }
}
