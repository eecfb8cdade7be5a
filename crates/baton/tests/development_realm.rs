//! The development realm: our own clients get tickets from it, and it withstands what it is sent.

use std::io::{Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use baton::realm::DevelopmentRealm;
use baton::{Acceptor, Credential, Initiator, Major, Name, Step};

fn realm() -> DevelopmentRealm {
    DevelopmentRealm::builder("EXAMPLE.TEST")
        .user("alice", "secret")
        .service("HTTP/localhost")
        .service("host/localhost")
        .start()
        .unwrap()
}

#[test]
fn contexts_with_each_enctype() {
    for enctype in [17, 18, 19, 20, 25, 26] {
        let realm = DevelopmentRealm::builder("EXAMPLE.TEST")
            .user("alice", "secret")
            .service("HTTP/localhost")
            .enctypes([enctype])
            .start()
            .unwrap();
        let env = realm.environment().unwrap();
        let (client, server) = realm.contexts(&env, "alice", "HTTP/localhost").unwrap();
        let sealed = client.wrap(true, b"hello").unwrap();
        assert_eq!(server.unwrap(&sealed).unwrap().data, b"hello");
        assert_eq!(server.facts().initiator.to_string(), "alice@EXAMPLE.TEST");
        assert_eq!(
            client.facts().acceptor.to_string(),
            "HTTP/localhost@EXAMPLE.TEST"
        );
    }
}

#[test]
fn a_wrong_password_an_unknown_user_and_an_unknown_service_are_refused() {
    let realm = realm();
    let env = realm.environment().unwrap();
    for (user, password) in [("alice", "Secret"), ("alice", ""), ("bob", "secret")] {
        let name = Name::krb5_principal(user);
        Credential::with_password(&env, &name, password).unwrap_err();
    }
    let alice = realm.credential(&env, "alice").unwrap();
    let unknown = Name::hostbased_service("imap@localhost");
    let error = Initiator::new(&env, &alice, &unknown).start().unwrap_err();
    assert_eq!(error.major(), Major::Failure, "{error}");
    let service = realm.acceptor(&env).unwrap();
    let error = Initiator::new(&env, &service, &unknown)
        .start()
        .unwrap_err();
    assert_eq!(error.major(), Major::NoCred, "{error}");
}

#[test]
fn keys_rotate_while_an_acceptor_runs() {
    let realm = realm();
    let env = realm.environment().unwrap();
    let service = realm.acceptor(&env).unwrap();
    let name = Name::hostbased_service("HTTP@localhost");
    let begin = || {
        let alice = realm.credential(&env, "alice").unwrap();
        match Initiator::new(&env, &alice, &name).start().unwrap() {
            Step::Continue { token, .. } => token,
            Step::Done { .. } => panic!("mutual"),
        }
    };
    let accepted = |token: &[u8]| Acceptor::new(&env, &service).step(token).is_ok();
    let old = begin();
    assert!(accepted(&begin()));
    realm.rotate_key("HTTP/localhost").unwrap();
    let new = begin();
    assert!(accepted(&old), "a ticket of the old key");
    assert!(accepted(&new), "a ticket of the new one");
    assert!(!accepted(&new), "and a replay is refused");
}

#[test]
fn an_acceptor_for_one_service_takes_no_other() {
    let realm = realm();
    let env = realm.environment().unwrap();
    let alice = realm.credential(&env, "alice").unwrap();
    let http = Name::hostbased_service("HTTP@localhost");
    let any = realm.acceptor(&env).unwrap();
    let one = any
        .for_service(&env, &Name::hostbased_service("host@localhost"))
        .unwrap();
    let token = || match Initiator::new(&env, &alice, &http).start().unwrap() {
        Step::Continue { token, .. } => token,
        Step::Done { .. } => panic!("mutual"),
    };
    assert!(Acceptor::new(&env, &one).step(&token()).is_err());
    assert!(Acceptor::new(&env, &any).step(&token()).is_ok());
}

#[test]
fn its_files_are_its_users_alone_and_end_with_it() {
    let realm = realm();
    let directory = realm.keytab().parent().unwrap().to_owned();
    assert_eq!(std::fs::metadata(&directory).unwrap().mode() & 0o777, 0o700);
    assert_eq!(
        std::fs::metadata(realm.keytab()).unwrap().mode() & 0o777,
        0o600
    );
    drop(realm);
    assert!(!directory.exists());
}

#[test]
fn garbage_and_stalled_clients_hinder_nobody() {
    let realm = realm();
    let env = realm.environment().unwrap();
    let address = realm.address();
    let _stalled: Vec<TcpStream> = (0..10)
        .map(|_| {
            let mut stream = TcpStream::connect(address).unwrap();
            stream.write_all(&[0, 0, 1]).unwrap();
            stream
        })
        .collect();
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    for garbage in [&b""[..], b"\0", &[0x6a], &[0x6a; 1000], &[0xff; 60_000]] {
        udp.send_to(garbage, address).unwrap();
        let mut stream = TcpStream::connect(address).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        stream
            .write_all(&(garbage.len() as u32).to_be_bytes())
            .unwrap();
        stream.write_all(garbage).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut reply = Vec::new();
        // An error message or an end, but an end.
        let _ = stream.read_to_end(&mut reply);
    }
    let mut announced = TcpStream::connect(address).unwrap();
    announced.write_all(&u32::MAX.to_be_bytes()).unwrap();
    assert_eq!(announced.read(&mut [0; 8]).unwrap_or(0), 0, "closed");
    realm.contexts(&env, "alice", "HTTP/localhost").unwrap();
}
