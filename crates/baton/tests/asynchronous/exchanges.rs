//! Tickets got by tasks: the runtime goes on meanwhile, and a dropped task asks nobody any more.

use std::net::{TcpListener, UdpSocket};
use std::time::{Duration, Instant};

use baton::realm::DevelopmentRealm;
use baton::{Acceptor, Config, Credential, Environment, Initiator, Name, Step, Store};

fn realm() -> DevelopmentRealm {
    DevelopmentRealm::builder("ASYNC.TEST")
        .user("alice", "secret")
        .service("HTTP/localhost")
        .start()
        .unwrap()
}

/// An environment whose `krb5.conf` names these KDCs.
fn environment(kdcs: &[String], timeout: Duration) -> (Environment, tempfile::TempDir) {
    let home = tempfile::tempdir().unwrap();
    let lines: String = kdcs.iter().map(|kdc| format!("  kdc = {kdc}\n")).collect();
    let text = format!(
        "[libdefaults]\n default_realm = ASYNC.TEST\n dns_lookup_kdc = false\n[realms]\n ASYNC.TEST = {{\n{lines} }}\n"
    );
    let krb5_conf = home.path().join("krb5.conf");
    std::fs::write(&krb5_conf, text).unwrap();
    let config = Config {
        krb5_conf: vec![krb5_conf],
        store: Store::Memory,
        kdc_timeout: Some(timeout),
        ..Config::default()
    };
    (Environment::new(config).unwrap(), home)
}

/// A port where datagrams come to and stay in, and connections too.
fn silent() -> (UdpSocket, TcpListener, String) {
    loop {
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = tcp.local_addr().unwrap();
        if let Ok(udp) = UdpSocket::bind(address) {
            return (udp, tcp, address.to_string());
        }
    }
}

fn alice() -> Name {
    Name::krb5_principal("alice@ASYNC.TEST")
}

fn is_send<T: Send>(future: T) -> T {
    future
}

#[tokio::test]
async fn a_ticket_is_got_and_a_context_established() {
    let realm = realm();
    let env = realm.environment().unwrap();
    let name = alice();
    let alice = Credential::with_password_async(&env, &name, "secret");
    let alice = is_send(alice).await.unwrap();
    let service = Name::hostbased_service("HTTP@localhost");
    let begun = is_send(Initiator::new(&env, &alice, &service).start_async());
    let Step::Continue { token, next } = begun.await.unwrap() else {
        panic!("mutual authentication has an answer");
    };
    let acceptor = realm.acceptor(&env).unwrap();
    let accepted = Acceptor::new(&env, &acceptor).step(&token).unwrap();
    let Step::Done { token, context } = accepted else {
        panic!("one step is enough");
    };
    let Step::Done {
        context: client, ..
    } = next.step(&token.unwrap()).unwrap()
    else {
        panic!("established");
    };
    let sealed = client.wrap(true, b"hello").unwrap();
    assert_eq!(context.unwrap(&sealed).unwrap().data, b"hello");
}

#[tokio::test]
async fn a_key_gets_a_ticket_too_and_a_wrong_password_none() {
    let realm = realm();
    let env = realm.environment().unwrap();
    let keytab = format!("FILE:{}", realm.keytab().display());
    let service = Name::krb5_principal("HTTP/localhost@ASYNC.TEST");
    let found = Credential::with_keytab_async(&env, &service, Some(&keytab)).await;
    assert_eq!(
        found.unwrap().name().unwrap().to_string(),
        service.to_string()
    );
    let wrong = Credential::with_password_async(&env, &alice(), "wrong").await;
    let blocking = Credential::with_password(&env, &alice(), "wrong");
    assert_eq!(
        wrong.unwrap_err().to_string(),
        blocking.unwrap_err().to_string()
    );
}

/// One thread has it all: if the exchange held it up, the ticks would not come.
#[tokio::test]
async fn other_tasks_go_on_while_a_kdc_is_silent() {
    let realm = realm();
    let (_udp, _tcp, silent) = silent();
    let kdcs = [silent, realm.address().to_string()];
    let (env, _home) = environment(&kdcs, Duration::from_secs(60));
    let ticking = tokio::spawn(async {
        let mut ticks = 0;
        loop {
            tokio::time::sleep(Duration::from_millis(10)).await;
            ticks += 1;
            if ticks == 5 {
                return Instant::now();
            }
        }
    });
    Credential::with_password_async(&env, &alice(), "secret")
        .await
        .unwrap();
    let done = Instant::now();
    assert!(
        ticking.await.unwrap() < done,
        "the second KDC is asked after a second"
    );
}

#[tokio::test]
async fn silence_ends_at_the_deadline_and_says_who_was_silent() {
    let (_udp, _tcp, silent) = silent();
    let (env, _home) = environment(std::slice::from_ref(&silent), Duration::from_millis(300));
    let error = Credential::with_password_async(&env, &alice(), "secret").await;
    let error = error.unwrap_err().to_string();
    assert!(
        error.contains(&format!("udp/{silent}: no answer")),
        "{error}"
    );
}

#[tokio::test]
async fn a_dropped_exchange_asks_nobody_any_more() {
    let (first_udp, _first_tcp, first) = silent();
    let (second_udp, _second_tcp, second) = silent();
    let (env, _home) = environment(&[first, second], Duration::from_secs(60));
    let name = alice();
    let exchange = Credential::with_password_async(&env, &name, "secret");
    let ended = tokio::time::timeout(Duration::from_millis(200), exchange).await;
    assert!(ended.is_err(), "nobody answers");
    let mut buffer = [0; 2000];
    first_udp
        .recv(&mut buffer)
        .expect("the first one was asked");
    tokio::time::sleep(Duration::from_millis(1500)).await;
    second_udp.set_nonblocking(true).unwrap();
    assert!(second_udp.recv(&mut buffer).is_err(), "a second later");
}

#[tokio::test]
async fn streams_do_as_well_as_datagrams() {
    let realm = realm();
    let (env, _home) = environment(
        &[format!("tcp/{}", realm.address())],
        Duration::from_secs(60),
    );
    let name = alice();
    let alice = Credential::with_password_async(&env, &name, "secret").await;
    let service = Name::hostbased_service("HTTP@localhost");
    let alice = alice.unwrap();
    let begun = Initiator::new(&env, &alice, &service).start_async().await;
    assert!(matches!(begun, Ok(Step::Continue { .. })));
    // Nobody listens there any more.
    let closed = {
        let (_udp, _tcp, address) = silent();
        format!("tcp/{address}")
    };
    let (env, _home) = environment(&[closed], Duration::from_secs(60));
    let refused = Credential::with_password_async(&env, &name, "secret").await;
    let text = refused.unwrap_err().to_string();
    assert!(text.contains("Connection refused"), "{text}");
}
