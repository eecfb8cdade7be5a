//! SASL between a client and a server of ours: what is agreed on, and what each rule refuses.
#![allow(missing_docs)]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use baton::realm::DevelopmentRealm;
use baton::sasl::{
    Client, ClientStep, Established, HeaderError, Layer, LayerError, Layers, SaslError,
    SaslMechanism, Server, ServerStep,
};
use baton::{ChannelBindings, Credential, Environment, Name};

struct Setting {
    _realm: DevelopmentRealm,
    env: Environment,
    alice: Credential,
    service: Credential,
    name: Name,
}

fn setting() -> Setting {
    let realm = DevelopmentRealm::builder("SASL.TEST")
        .user("alice", "secret")
        .service("imap/localhost")
        .start()
        .unwrap();
    let env = realm.environment().unwrap();
    Setting {
        alice: realm.credential(&env, "alice").unwrap(),
        service: realm.acceptor(&env).unwrap(),
        name: Name::hostbased_service("imap@localhost"),
        env,
        _realm: realm,
    }
}

impl Setting {
    fn client(&self, mechanism: SaslMechanism) -> Client<'_> {
        Client::new(mechanism, &self.env, &self.alice, &self.name)
    }

    fn server(&self, mechanism: SaslMechanism) -> Server<'_> {
        Server::new(mechanism, &self.env, &self.service)
    }
}

/// Runs an exchange in a protocol without initial response and without data along with the success.
fn run(client: Client<'_>, server: Server<'_>) -> Result<(Established, Established), SaslError> {
    let ServerStep::Challenge { challenge, next } = server.start().step(b"")? else {
        panic!("nothing has come yet");
    };
    assert!(challenge.is_empty());
    let mut server = next;
    let mut client = client.start()?;
    loop {
        let response = client.response().to_vec();
        match server.step(&response)? {
            ServerStep::Challenge { challenge, next } => {
                server = next;
                client = respond(client, &challenge)?;
            }
            ServerStep::Done { data, established } => {
                if !data.is_empty() {
                    client = respond(client, &data)?;
                    assert!(client.response().is_empty());
                }
                match client {
                    ClientStep::Done {
                        established: ours, ..
                    } => return Ok((ours, established)),
                    ClientStep::Respond { .. } => panic!("the client waits for more"),
                }
            }
        }
    }
}

fn respond(client: ClientStep, challenge: &[u8]) -> Result<ClientStep, SaslError> {
    match client {
        ClientStep::Respond { next, .. } => next.step(challenge),
        ClientStep::Done { .. } => panic!("the client is done already"),
    }
}

fn exporter(byte: u8) -> ChannelBindings {
    ChannelBindings::tls_exporter(&[byte; 32])
}

#[test]
fn every_mechanism_authenticates() {
    let setting = setting();
    for mechanism in SaslMechanism::ALL {
        let (mut client, mut server) = (setting.client(mechanism), setting.server(mechanism));
        if mechanism == SaslMechanism::Gs2Krb5Plus {
            client = client.bindings(exporter(1));
            server = server
                .bindings(ChannelBindings::tls_unique(b"x"))
                .bindings(exporter(1));
        }
        let (client, server) = run(client.authzid("bøb,=x"), server).unwrap();
        assert_eq!(server.client().to_string(), "alice@SASL.TEST");
        let layer = match mechanism {
            SaslMechanism::Gs2Krb5 | SaslMechanism::Gs2Krb5Plus => Layer::None,
            SaslMechanism::Gssapi | SaslMechanism::GssSpnego => Layer::Confidentiality,
        };
        assert_eq!(
            (client.layer(), server.layer()),
            (layer, layer),
            "{mechanism:?}"
        );
        let authzid = (mechanism != SaslMechanism::GssSpnego).then_some("bøb,=x");
        assert_eq!(server.authzid(), authzid, "{mechanism:?}");
        assert_eq!(SaslMechanism::from_name(mechanism.name()), Some(mechanism));
    }
    assert_eq!(SaslMechanism::from_name("gssapi"), None);
}

#[test]
fn the_strongest_common_layer_protects_a_stream() {
    let setting = setting();
    let integrity = Layers::NONE_ALONE.and(Layer::Integrity);
    for (ours, theirs, layer) in [
        (Layers::ANY, Layers::ANY, Layer::Confidentiality),
        (integrity, Layers::ANY, Layer::Integrity),
        (Layers::ANY, integrity, Layer::Integrity),
        (Layers::NONE_ALONE, Layers::ANY, Layer::None),
    ] {
        let client = setting
            .client(SaslMechanism::Gssapi)
            .layers(ours)
            .max_frame(500);
        let server = setting
            .server(SaslMechanism::Gssapi)
            .layers(theirs)
            .max_frame(1000);
        let (client, server) = run(client, server).unwrap();
        assert_eq!((client.layer(), server.layer()), (layer, layer));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let here = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let there = listener.accept().unwrap().0;
        if layer == Layer::None {
            assert!(client.into_stream(here).is_err(), "there is no layer");
            continue;
        }
        let echo = thread::spawn(move || {
            let mut stream = server.into_stream(there).unwrap();
            let mut data = vec![0; 5000];
            stream.read_exact(&mut data).unwrap();
            stream.write_all(&data).unwrap();
            stream.flush().unwrap();
        });
        let mut stream = client.into_stream(here).unwrap();
        stream.write_all(&[7; 5000]).unwrap();
        let mut data = Vec::new();
        stream.read_to_end(&mut data).unwrap();
        assert_eq!(data, [7; 5000]);
        echo.join().unwrap();
    }
}

#[test]
fn without_a_common_layer_nothing_is_agreed_on() {
    let setting = setting();
    let client = setting
        .client(SaslMechanism::Gssapi)
        .layers(Layers::CONFIDENTIALITY_ALONE);
    let server = setting
        .server(SaslMechanism::Gssapi)
        .layers(Layers::NONE_ALONE);
    let refused = run(client, server).unwrap_err();
    assert!(
        matches!(refused, SaslError::Layer(LayerError::NothingInCommon)),
        "{refused}"
    );
}

/// RFC 5801 §5, row by row, and that name and flag agree.
#[test]
fn each_rule_of_channel_bindings_refuses_alone() {
    use SaslMechanism::{Gs2Krb5 as Plain, Gs2Krb5Plus as Plus};
    let setting = setting();
    type Change<T> = fn(T) -> T;
    fn same<T>(it: T) -> T {
        it
    }
    type Rule<'a> = (
        SaslMechanism,
        Change<Client<'a>>,
        SaslMechanism,
        Change<Server<'a>>,
        &'static str,
    );
    let rules: [Rule<'_>; 9] = [
        (Plain, same, Plain, same, ""),
        (Plain, |c| c.bindings(exporter(1)), Plain, same, ""),
        (
            Plain,
            |c| c.bindings(exporter(1)),
            Plain,
            |s| s.bindings(exporter(1)),
            "changed the list",
        ),
        (
            Plain,
            same,
            Plain,
            |s| s.bindings(exporter(1)).bindings_required(),
            "asks for them",
        ),
        (
            Plus,
            |c| c.bindings(exporter(1)),
            Plus,
            |s| s.bindings(exporter(1)),
            "",
        ),
        (
            Plus,
            |c| c.bindings(exporter(1)),
            Plus,
            |s| s.bindings(exporter(2)),
            "channel bindings",
        ),
        (
            Plus,
            |c| c.bindings(exporter(1)),
            Plus,
            |s| s.bindings(ChannelBindings::tls_unique(&[1; 32])),
            "by `tls-exporter`",
        ),
        (
            Plus,
            |c| c.bindings(exporter(1)),
            Plain,
            |s| s.bindings(exporter(1)),
            "do not agree",
        ),
        (Plain, same, Plus, same, "do not agree"),
    ];
    for (number, (ours, client, theirs, server, wanted)) in rules.into_iter().enumerate() {
        let client = client(setting.client(ours));
        let found = run(client, server(setting.server(theirs)));
        match found {
            Ok(_) => assert_eq!(wanted, "", "rule {number}"),
            Err(error) => {
                let text = error.to_string();
                assert!(
                    !wanted.is_empty() && text.contains(wanted),
                    "rule {number}: {text}"
                );
            }
        }
    }
    let without = setting.client(Plus).start().unwrap_err();
    assert!(matches!(without, SaslError::NoBindings));
}

/// The header is a part of what the context is bound to: whoever changes it on the way is noticed.
#[test]
fn a_changed_gs2_header_is_noticed() {
    let setting = setting();
    for (find, replace) in [
        (&b"n,a=bob,"[..], &b"n,a=bot,"[..]),
        (b"n,a=bob,", b"n,,"),
        (b"n,a=bob,", b"y,a=bob,"),
        (b"n,a=bob,", b"F,n,a=bob,"),
        (b"n,a=bob,", b"n,a=bob"),
        (b"n,a=bob,", b""),
    ] {
        let client = setting.client(SaslMechanism::Gs2Krb5).authzid("bob");
        let response = client.start().unwrap().response().to_vec();
        let rest = response.strip_prefix(find).unwrap();
        let server = setting.server(SaslMechanism::Gs2Krb5).start();
        let changed = [replace, rest].concat();
        assert!(
            server.step(&changed).is_err(),
            "{}",
            String::from_utf8_lossy(replace)
        );
        let server = setting.server(SaslMechanism::Gs2Krb5).start();
        server.step(&response).unwrap();
    }
}

/// A client that does not bind its context at all (its hash is zero, which an acceptor takes) did not vouch for the header.
#[test]
fn a_client_that_is_bound_to_nothing_is_refused_by_gs2() {
    use baton::{Flags, Initiator, Step};
    let setting = setting();
    for (flags, wanted) in [
        (Flags::MUTUAL, "not bound"),
        (Flags::NONE, "did not authenticate"),
    ] {
        let begun = Initiator::new(&setting.env, &setting.alice, &setting.name)
            .flags(flags)
            .start();
        let (Step::Continue { token, .. }
        | Step::Done {
            token: Some(token), ..
        }) = begun.unwrap()
        else {
            panic!("a first token");
        };
        // The frame has 4 bytes of lengths here, then the OID with its 11.
        let inner = &token[token.windows(2).position(|two| two == [1, 0]).unwrap()..];
        let response = [&b"n,,"[..], inner].concat();
        let refused = setting
            .server(SaslMechanism::Gs2Krb5)
            .start()
            .step(&response);
        let text = refused.unwrap_err().to_string();
        assert!(text.contains(wanted), "{text}");
    }
}

#[test]
fn gssapi_takes_kerberos_and_what_is_expected_alone() {
    let setting = setting();
    // SPNEGO's token.
    let client = setting.client(SaslMechanism::GssSpnego).start().unwrap();
    let refused = setting
        .server(SaslMechanism::Gssapi)
        .start()
        .step(client.response());
    assert!(matches!(refused, Err(SaslError::OtherMechanism)));
    // Data where an empty response is due.
    let client = setting.client(SaslMechanism::Gssapi).start().unwrap();
    let step = setting
        .server(SaslMechanism::Gssapi)
        .start()
        .step(client.response());
    let ServerStep::Challenge { challenge, next } = step.unwrap() else {
        panic!("the token of mutual authentication");
    };
    assert!(matches!(next.step(b"x"), Err(SaslError::Unexpected)));
    // A challenge that is cut, changed, or the one before.
    let after = respond(client, &challenge).unwrap();
    let ClientStep::Respond { next, .. } = after else {
        panic!("the layers are to come");
    };
    assert!(matches!(next.step(&challenge), Err(SaslError::Message(_))));
    for garbage in [&b""[..], b"\x60", b"n,,"] {
        assert!(matches!(
            setting.server(SaslMechanism::Gs2Krb5).start().step(garbage),
            Err(SaslError::Header(HeaderError::Malformed))
                | Ok(ServerStep::Challenge { .. })
                | Err(SaslError::Handshake { .. })
        ));
    }
}

/// The answer that chooses a layer is under the context: every other one is refused.
#[test]
fn an_altered_choice_of_a_layer_is_refused() {
    let setting = setting();
    let client = setting
        .client(SaslMechanism::Gssapi)
        .layers(Layers::NONE_ALONE)
        .start()
        .unwrap();
    let step = setting
        .server(SaslMechanism::Gssapi)
        .start()
        .step(client.response());
    let ServerStep::Challenge { challenge, next } = step.unwrap() else {
        panic!("AP-REP")
    };
    let client = respond(client, &challenge).unwrap();
    let ServerStep::Challenge {
        challenge,
        mut next,
    } = next.step(client.response()).unwrap()
    else {
        panic!("layers")
    };
    let client = respond(client, &challenge).unwrap();
    let mut response = client.response().to_vec();
    let at = response.len() - 5;
    response[at] ^= 1;
    let refused = next.step(&response);
    assert!(matches!(refused, Err(SaslError::Message(_))));
    next = setting.server(SaslMechanism::Gssapi).start();
    assert!(next.step(&response).is_err(), "nor is it a first response");
}

#[test]
fn who_to_act_as_has_no_nul() {
    let setting = setting();
    for mechanism in [SaslMechanism::Gssapi, SaslMechanism::Gs2Krb5] {
        let refused = setting.client(mechanism).authzid("bob\0").start();
        assert!(matches!(refused, Err(SaslError::Authzid)));
    }
}
