//! `Negotiate` over HTTP: by hand, leg by leg, and the examples with each other and with `curl`.
#![allow(missing_docs)]

use std::process::{Command, Stdio};

use baton::http::{Answer, Client, ClientError, Connection, HeaderError, Outcome, Refusal, Server};
use baton::realm::DevelopmentRealm;
use baton::{ChannelBindings, Credential, Environment, Flags, Name};

#[path = "../examples/negotiate_client.rs"]
#[allow(dead_code, unreachable_pub)]
mod negotiate_client;
#[path = "../examples/negotiate_server.rs"]
#[allow(dead_code, unreachable_pub)]
mod negotiate_server;

struct Setting {
    realm: DevelopmentRealm,
    env: Environment,
    alice: Credential,
    service: Credential,
    name: Name,
}

fn setting() -> Setting {
    let realm = DevelopmentRealm::builder("HTTP.TEST")
        .user("alice", "secret")
        .service("HTTP/localhost")
        .start()
        .unwrap();
    let env = realm.environment().unwrap();
    Setting {
        alice: realm.credential(&env, "alice").unwrap(),
        service: realm.acceptor(&env).unwrap(),
        name: Name::hostbased_service("HTTP@localhost"),
        env,
        realm,
    }
}

impl Setting {
    fn client(&self) -> Client<'_> {
        Client::new(&self.env, &self.alice, &self.name)
    }

    fn server(&self) -> Server {
        Server::new(&self.env, &self.service)
    }
}

fn ask(connection: &mut Connection, authorization: &str) -> Answer {
    connection.authenticate(Some(authorization.as_bytes()))
}

fn accepted(answer: Answer) -> String {
    match answer {
        Answer::Accepted {
            www_authenticate, ..
        } => www_authenticate.unwrap_or_default(),
        other => panic!("{other:?}"),
    }
}

fn refusal(answer: Answer) -> String {
    match answer {
        Answer::Refused {
            refusal,
            www_authenticate,
        } => {
            assert!(www_authenticate.starts_with("Negotiate"));
            refusal.to_string()
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_server_proves_itself_on_the_response_that_was_asked_for() {
    let setting = setting();
    let request = setting.client().start().unwrap();
    let mut connection = setting.server().connection();
    let token = accepted(ask(&mut connection, request.authorization()));
    let outcome = request
        .response(200, [&b"Basic realm=\"x\""[..], token.as_bytes()])
        .unwrap();
    let Outcome::Done { context } = outcome else {
        panic!("{outcome:?}")
    };
    assert!(context.facts().flags.contains(Flags::MUTUAL));
    // A 404 of an authenticated client proves it too.
    let request = setting.client().start().unwrap();
    let token = accepted(ask(&mut connection, request.authorization()));
    assert!(matches!(
        request.response(404, [token.as_bytes()]),
        Ok(Outcome::Done { .. })
    ));
}

#[test]
fn what_a_response_lacks_is_told() {
    let setting = setting();
    let request = || setting.client().start().unwrap();
    assert!(matches!(request().response(200, []), Ok(Outcome::Unproven)));
    for challenges in [&[&b"Negotiate"[..]][..], &[b"Basic realm=\"x\""], &[]] {
        let outcome = request().response(401, challenges.iter().copied());
        assert!(matches!(outcome, Ok(Outcome::Refused)), "{outcome:?}");
    }
    let garbled = request().response(200, [&b"Negotiate !"[..]]);
    assert!(matches!(
        garbled,
        Err(ClientError::Header(HeaderError::Token))
    ));
    let other = request().response(200, [&b"Negotiate Zm9v"[..]]);
    assert!(matches!(other, Err(ClientError::Handshake(_))));
}

#[test]
fn requests_are_authenticated_one_by_one_or_by_connection() {
    let setting = setting();
    for per_connection in [false, true] {
        let mut server = setting.server();
        if per_connection {
            server = server.per_connection();
        }
        let mut connection = server.connection();
        let challenge = connection.authenticate(None);
        assert!(
            matches!(challenge, Answer::Challenge { www_authenticate } if www_authenticate == "Negotiate")
        );
        let request = setting.client().start().unwrap();
        accepted(ask(&mut connection, request.authorization()));
        let later = connection.authenticate(None);
        assert_eq!(matches!(later, Answer::Accepted { .. }), per_connection);
        // Another connection knows nothing of it, and a replay is refused there and here.
        assert!(matches!(
            server.connection().authenticate(None),
            Answer::Challenge { .. }
        ));
        for connection in [&mut server.connection(), &mut connection] {
            let text = refusal(ask(connection, request.authorization()));
            assert!(text.contains("replay"), "{text}");
            assert!(
                matches!(connection.authenticate(None), Answer::Challenge { .. }),
                "nobody is known"
            );
        }
    }
}

#[test]
fn malformed_requests_are_refused_and_other_schemes_challenged() {
    let setting = setting();
    let mut connection = setting.server().connection();
    for (value, wanted) in [
        ("Negotiate", "one token in Base64"),
        ("Negotiate Zm9v", "handshake failed"),
        ("Negotiate Zm9", "one token in Base64"),
    ] {
        let text = refusal(ask(&mut connection, value));
        assert!(text.contains(wanted), "{value}: {text}");
    }
    let long = format!("Negotiate {}", "A".repeat(200_000));
    match ask(&mut connection, &long) {
        Answer::Refused {
            refusal: Refusal::Header(HeaderError::TooLong),
            ..
        } => {}
        other => panic!("{other:?}"),
    }
    for value in ["Basic Zm9v", "", "NTLM TlRM"] {
        assert!(
            matches!(ask(&mut connection, value), Answer::Challenge { .. }),
            "{value}"
        );
    }
}

#[test]
fn a_token_for_another_tls_connection_is_refused() {
    let setting = setting();
    let channel = |byte| ChannelBindings::tls_server_end_point(&[byte; 32]);
    for (ours, theirs, good) in [(1, 1, true), (1, 2, false)] {
        let request = setting.client().bindings(channel(ours)).start().unwrap();
        let mut connection = setting.server().bindings(channel(theirs)).connection();
        match ask(&mut connection, request.authorization()) {
            Answer::Accepted { context, .. } => {
                assert!(good && context.facts().flags.contains(Flags::CHANNEL_BOUND));
            }
            Answer::Refused { refusal, .. } => {
                assert!(
                    !good && refusal.to_string().contains("channel bindings"),
                    "{refusal}"
                );
            }
            other => panic!("{other:?}"),
        }
    }
}

/// SPNEGO of more than one leg: the client's favourite is not there, so its token comes with the next request of the connection.
#[test]
fn a_handshake_of_several_legs_stays_on_its_connection() {
    let setting = setting();
    // NegTokenInit (RFC 4178 §4.2.1) with NTLM before Kerberos, and NTLM's first words.
    let der = |tag: u8, parts: &[&[u8]]| {
        let contents = parts.concat();
        [&[tag, contents.len() as u8][..], &contents].concat()
    };
    let ntlm = der(6, &[b"\x2b\x06\x01\x04\x01\x82\x37\x02\x02\x0a"]);
    let kerberos = der(6, &[b"\x2a\x86\x48\x86\xf7\x12\x01\x02\x02"]);
    let types = der(0xa0, &[&der(0x30, &[&ntlm, &kerberos])]);
    let token = der(0xa2, &[&der(4, &[b"NTLMSSP\0"])]);
    let init = der(0xa0, &[&der(0x30, &[&types, &token])]);
    let framed = der(0x60, &[&der(6, &[b"\x2b\x06\x01\x05\x05\x02"]), &init]);
    let mut connection = setting.server().connection();
    let answer = ask(&mut connection, &format!("Negotiate {}", base64(&framed)));
    let Answer::Challenge { www_authenticate } = answer else {
        panic!("{answer:?}")
    };
    assert!(
        www_authenticate.len() > "Negotiate ".len(),
        "the choice of Kerberos"
    );
    // On another connection nobody waits for a second leg; here, one that is not good ends it.
    let second = "Negotiate oRkwF6ADCgEB";
    refusal(ask(&mut setting.server().connection(), second));
    refusal(ask(&mut connection, second));
    assert!(
        matches!(connection.authenticate(None), Answer::Challenge { www_authenticate } if www_authenticate == "Negotiate")
    );
}

fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    bytes
        .chunks(3)
        .flat_map(|group| {
            let bits = group
                .iter()
                .fold(0u32, |bits, byte| bits << 8 | u32::from(*byte))
                << (8 * (3 - group.len()));
            (0..4).map(move |digit| match digit <= group.len() {
                true => char::from(ALPHABET[(bits >> (18 - 6 * digit) & 63) as usize]),
                false => '=',
            })
        })
        .collect()
}

/// The example's server on a port of 127.0.0.1, until the test ends.
fn serve(server: Server) -> (tokio::runtime::Runtime, u16) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let listener = runtime
        .block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))
        .unwrap();
    let port = listener.local_addr().unwrap().port();
    runtime.spawn(negotiate_server::serve(listener, server));
    (runtime, port)
}

#[test]
fn the_examples_speak_with_each_other() {
    let setting = setting();
    for server in [setting.server(), setting.server().per_connection()] {
        let (_runtime, port) = serve(server);
        let url = format!("http://localhost:{port}/");
        for _ in 0..2 {
            let text = negotiate_client::fetch(&setting.env, &setting.alice, &url).unwrap();
            assert_eq!(text, "hello alice@HTTP.TEST\n");
        }
    }
    // A server that has no key for what the client asks for refuses it.
    let other = DevelopmentRealm::builder("HTTP.TEST")
        .service("HTTP/localhost")
        .start()
        .unwrap();
    let env = other.environment().unwrap();
    let (_runtime, port) = serve(Server::new(&env, &other.acceptor(&env).unwrap()));
    let url = format!("http://localhost:{port}/");
    let error = negotiate_client::fetch(&setting.env, &setting.alice, &url).unwrap_err();
    assert!(
        error.to_string().contains("401") || error.to_string().contains("handshake"),
        "{error}"
    );
}

/// Debian's curl has MIT's library; its ticket for the service comes from our KDC.
#[test]
fn curl_speaks_with_the_examples_server() {
    let setting = setting();
    let (_runtime, port) = serve(setting.server());
    let home = tempfile::tempdir().unwrap();
    let ccache = format!("FILE:{}", home.path().join("ccache").display());
    setting.alice.store(&setting.env, Some(&ccache)).unwrap();
    let curl = |ccache: &str, arguments: &[&str]| {
        let output = Command::new("curl")
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("KRB5_CONFIG", setting.realm.krb5_conf())
            .env("KRB5CCNAME", ccache)
            .args([
                "--silent",
                "--show-error",
                "--max-time",
                "60",
                "--write-out",
                "%{http_code}",
            ])
            .args(arguments)
            .arg(format!("http://localhost:{port}/"))
            .stdin(Stdio::null())
            .output()
            .unwrap_or_else(|error| panic!("curl: {error}: run tests/install first"));
        (
            String::from_utf8_lossy(&output.stdout).into_owned(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        )
    };
    let (out, err) = curl(&ccache, &["--negotiate", "--user", ":"]);
    assert_eq!(out, "hello alice@HTTP.TEST\n200", "{err}");
    let (out, _) = curl(&ccache, &[]);
    assert_eq!(out, "401", "without a token");
    let (out, _) = curl("FILE:/nonexistent", &["--negotiate", "--user", ":"]);
    assert_eq!(out, "401", "without a ticket");
}
