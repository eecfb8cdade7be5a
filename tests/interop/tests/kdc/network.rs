//! Datagrams and streams, several KDCs, and the deadline over all of them.

use std::fs;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use baton::host::tickets::TicketError;
use baton::{Config, Credential, Environment, Name};
use interop::Vendor;
use interop::realm::{CLIENT, PASSWORD, REALM, Realm, shared};
use krb5::messages::{Const, KerberosString, KrbError, PrincipalName};
use krb5::principal::Principal;
use wire::time::Timestamp;

use crate::relay::{Datagrams, Relay};
use crate::{config, environment, ticket_error};

const KRB_ERR_RESPONSE_TOO_BIG: i32 = 52;

/// A `krb5.conf` called `name` whose realm has KDCs on `ports`, and with `more` in `[libdefaults]`.
fn conf(realm: &Realm, name: &str, ports: &[u16], more: &str) -> PathBuf {
    let kdc = |port: &u16| format!("  kdc = 127.0.0.1:{port}\n");
    let kdcs: String = ports.iter().map(kdc).collect();
    let own = fs::read_to_string(realm.config()).unwrap();
    let text = own.replacen(&kdc(&realm.port()), &kdcs, 1).replacen(
        "[libdefaults]\n",
        &format!("[libdefaults]\n{more}"),
        1,
    );
    let path = realm.path(name);
    fs::write(&path, text).unwrap();
    path
}

fn log_in(env: &Environment) -> Result<Credential, baton::Error> {
    let name = Name::krb5_principal(&format!("{CLIENT}@{REALM}"));
    Credential::with_password(env, &name, PASSWORD)
}

#[test]
fn datagrams_come_first_unless_configured_otherwise() {
    for vendor in Vendor::ALL {
        let realm = shared(vendor);
        let relay = Relay::start(realm.port(), Datagrams::Forwarded);
        log_in(&environment(&conf(realm, "udp.conf", &[relay.port], ""))).unwrap();
        let (datagrams, streams) = relay.arrived();
        assert!(
            datagrams > 0 && streams == 0,
            "{vendor:?}: {datagrams} {streams}"
        );

        let limited = conf(
            realm,
            "tcp.conf",
            &[relay.port],
            " udp_preference_limit = 1\n",
        );
        log_in(&environment(&limited)).unwrap();
        let (datagrams, streams) = relay.arrived();
        assert!(
            datagrams == 0 && streams > 0,
            "{vendor:?}: {datagrams} {streams}"
        );
    }
}

/// Where datagrams get lost the stream is tried, without waiting for the end of all patience.
#[test]
fn lost_datagrams_are_made_up_for_by_a_stream() {
    for vendor in Vendor::ALL {
        let realm = shared(vendor);
        let relay = Relay::start(realm.port(), Datagrams::Dropped);
        let started = Instant::now();
        log_in(&environment(&conf(realm, "lost.conf", &[relay.port], ""))).unwrap();
        assert!(
            started.elapsed() < Duration::from_secs(8),
            "{:?}",
            started.elapsed()
        );
        let (datagrams, streams) = relay.arrived();
        assert!(
            datagrams > 0 && streams > 0,
            "{vendor:?}: {datagrams} {streams}"
        );
    }
}

/// RFC 4120 §7.2.1: too long an answer for a datagram is fetched over a stream.
#[test]
fn an_answer_too_big_for_a_datagram_comes_over_a_stream() {
    let realm = shared(Vendor::Mit);
    let (now, krbtgt) = (
        Timestamp::from_seconds(1_800_000_000),
        Principal::krbtgt(REALM),
    );
    let too_big = KrbError {
        pvno: Const,
        msg_type: Const,
        ctime: None,
        cusec: None,
        stime: now.into(),
        susec: now.into(),
        error_code: KRB_ERR_RESPONSE_TOO_BIG,
        crealm: None,
        cname: None,
        realm: KerberosString(REALM.as_bytes()),
        sname: PrincipalName::from(&krbtgt),
        e_text: None,
        e_data: None,
    };
    let relay = Relay::start(realm.port(), Datagrams::Answered(too_big.encode()));
    log_in(&environment(&conf(realm, "big.conf", &[relay.port], ""))).unwrap();
    let (datagrams, streams) = relay.arrived();
    assert!(datagrams > 0 && streams > 0, "{datagrams} {streams}");
}

/// A KDC that is switched off (its port closed), then one that hears and says nothing, then the one that works.
#[test]
fn dead_kdcs_are_passed_over() {
    for vendor in Vendor::ALL {
        let realm = shared(vendor);
        let (silent, _udp, _tcp) = silent();
        for (case, ports) in [
            ("closed", vec![closed(), realm.port()]),
            ("silent", vec![silent, realm.port()]),
            ("both", vec![closed(), silent, realm.port()]),
        ] {
            let started = Instant::now();
            let path = conf(realm, &format!("dead-{case}.conf"), &ports, "");
            log_in(&environment(&path))
                .unwrap_or_else(|error| panic!("{vendor:?} {case}: {error}"));
            assert!(
                started.elapsed() < Duration::from_secs(8),
                "{case}: {:?}",
                started.elapsed()
            );
        }
    }
}

/// A port that nobody serves.
fn closed() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

/// A port where datagrams and streams arrive and nobody looks.
fn silent() -> (u16, UdpSocket, TcpListener) {
    loop {
        let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = tcp.local_addr().unwrap();
        if let Ok(udp) = UdpSocket::bind(address) {
            return (address.port(), udp, tcp);
        }
    }
}

/// However many KDCs say nothing, patience ends when it was said to.
#[test]
fn one_deadline_holds_for_all_kdcs() {
    let realm = shared(Vendor::Mit);
    let silent = [silent(), silent(), silent()];
    let ports = silent.each_ref().map(|(port, ..)| *port);
    let path = conf(realm, "deadline.conf", &ports, "");
    let patience = Duration::from_millis(1500);
    let env = Environment::new(Config {
        kdc_timeout: Some(patience),
        ..config(&path)
    });
    let started = Instant::now();
    let error = log_in(&env.unwrap()).unwrap_err();
    let waited = started.elapsed();
    assert!(
        matches!(ticket_error(&error), TicketError::Kdc(_)),
        "{error}"
    );
    assert!(
        waited >= patience && waited < patience + Duration::from_secs(1),
        "{waited:?}"
    );

    // The same from `krb5.conf`.
    let path = conf(realm, "timeout.conf", &ports, " request_timeout = 1\n");
    let started = Instant::now();
    log_in(&environment(&path)).unwrap_err();
    let waited = started.elapsed();
    assert!(
        waited >= Duration::from_secs(1) && waited < Duration::from_secs(2),
        "{waited:?}"
    );
}
