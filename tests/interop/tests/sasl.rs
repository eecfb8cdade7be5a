//! SASL with Cyrus's library over MIT's: each side, each mechanism, each layer.
#![allow(missing_docs)]

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::sync::OnceLock;

use baton::sasl::{
    Client, ClientStep, Established, Layer, Layers, SaslMechanism, Server, ServerStep,
};
use baton::stream::SecureStream;
use baton::{ChannelBindings, Config, Credential, Environment, Name, Store};
use interop::Vendor;
use interop::peer::{compile, hex, unhex};
use interop::realm::{CLIENT, REALM, Realm, shared};

const CCACHE: &str = "sasl";
const BINDING: &[u8] = b"what the first Finished message was";

/// A party over Cyrus's library.
struct Cyrus {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

/// What it said: `ok`, `continue` or `failed`, the bytes, and the rest.
#[derive(Debug)]
struct Answer {
    word: String,
    bytes: Vec<u8>,
    text: String,
}

impl Cyrus {
    fn start(realm: &Realm) -> Self {
        static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
        let program = PROGRAM.get_or_init(|| compile("sasl_peer.c", "libsasl2", "sasl_peer"));
        let mut child = realm
            .command(program, CCACHE)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let input = child.stdin.take().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Self {
            child,
            input,
            output,
        }
    }

    fn ask(&mut self, command: &str) -> Answer {
        writeln!(self.input, "{command}").unwrap();
        self.input.flush().unwrap();
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        let mut words = line.trim_end().splitn(3, ' ');
        let mut next = || words.next().unwrap_or_default().to_owned();
        let (word, bytes, text) = (next(), next(), next());
        Answer {
            word,
            bytes: unhex(&bytes),
            text,
        }
    }

    /// SSF, the largest message it sends, as whom and who.
    fn facts(&mut self) -> Vec<String> {
        writeln!(self.input, "facts").unwrap();
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line.split_whitespace().skip(1).map(str::to_owned).collect()
    }
}

impl Drop for Cyrus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

struct Ours {
    env: Environment,
    alice: Credential,
    service: Credential,
    name: Name,
}

fn ours(realm: &Realm) -> Ours {
    static TICKET: OnceLock<()> = OnceLock::new();
    TICKET.get_or_init(|| realm.kinit(Vendor::Mit, CCACHE));
    let env = Environment::new(Config {
        krb5_conf: vec![realm.config()],
        keytab: Some(format!("FILE:{}", realm.keytab().display())),
        store: Store::Memory,
        ..Config::default()
    })
    .unwrap();
    let ccache = format!("FILE:{}", realm.path(CCACHE).display());
    Ours {
        alice: Credential::initiator(&env, Some(&ccache)).unwrap(),
        service: Credential::acceptor(&env, None).unwrap(),
        name: Name::hostbased_service("e18@localhost"),
        env,
    }
}

/// Of Cyrus, the strength it may agree on, and the layer that follows.
const STRENGTHS: [(u32, Layer); 3] = [
    (0, Layer::None),
    (1, Layer::Integrity),
    (256, Layer::Confidentiality),
];

fn our_client(
    client: Client<'_>,
    cyrus: &mut Cyrus,
    mechanism: SaslMechanism,
    words: &str,
) -> Established {
    let mut client = client.start().unwrap();
    let first = hex(client.response());
    let words = words.replace("RESPONSE", &first);
    let mut answer = cyrus.ask(&format!(
        "server {} e18 localhost {words}",
        mechanism.name()
    ));
    loop {
        assert_ne!(answer.word, "failed", "{mechanism:?}: {}", answer.text);
        client = match client {
            ClientStep::Respond { next, .. } => next.step(&answer.bytes).unwrap(),
            done @ ClientStep::Done { .. } => done,
        };
        if answer.word == "ok" {
            break;
        }
        answer = cyrus.ask(&format!("step {}", hex(client.response())));
    }
    match client {
        ClientStep::Done { established, .. } => established,
        ClientStep::Respond { .. } => panic!("{mechanism:?}: they are content, and we wait"),
    }
}

fn our_server(
    server: Server<'_>,
    cyrus: &mut Cyrus,
    mechanism: SaslMechanism,
    words: &str,
) -> Established {
    let mut answer = cyrus.ask(&format!(
        "client {} e18 localhost {words}",
        mechanism.name()
    ));
    let mut server = server.start();
    loop {
        assert_ne!(answer.word, "failed", "{mechanism:?}: {}", answer.text);
        match server.step(&answer.bytes).unwrap() {
            ServerStep::Challenge { challenge, next } => {
                server = next;
                answer = cyrus.ask(&format!("step {}", hex(&challenge)));
            }
            ServerStep::Done { data, established } => {
                if !data.is_empty() {
                    answer = cyrus.ask(&format!("step {}", hex(&data)));
                }
                assert_eq!(answer.word, "ok", "{mechanism:?}: {}", answer.text);
                return established;
            }
        }
    }
}

/// Data both ways, under the layer or without one.
fn they_talk(established: Established, cyrus: &mut Cyrus, layer: Layer) {
    they_talk_within(4096, established, cyrus, layer);
}

fn they_talk_within(limit: usize, established: Established, cyrus: &mut Cyrus, layer: Layer) {
    assert_eq!(established.layer(), layer);
    let facts = cyrus.facts();
    let ssf: u32 = facts[0].parse().unwrap();
    match layer {
        Layer::None => assert_eq!(ssf, 0),
        Layer::Integrity => assert_eq!(ssf, 1),
        Layer::Confidentiality => assert!(ssf > 1, "{ssf}"),
    }
    if layer == Layer::None {
        return;
    }
    use std::io::{Cursor, Read};
    // Their frames in, ours out, over a transport in memory.
    let theirs = cyrus.ask(&format!("encode {}", hex(b"from theirs")));
    assert_eq!(theirs.word, "ok");
    let transport = Cursor::new(theirs.bytes.clone());
    let mut stream: SecureStream<Cursor<Vec<u8>>> = established.into_stream(transport).unwrap();
    let mut data = [0; 11];
    stream.read_exact(&mut data).unwrap();
    assert_eq!(&data, b"from theirs");
    let before = stream.transport().get_ref().len();
    let long = vec![b'x'; 100_000];
    stream.write_all(&long).unwrap();
    stream.flush().unwrap();
    let frames = stream.transport().get_ref()[before..].to_vec();
    let mut found = Vec::new();
    let mut rest = &frames[..];
    while let Some((header, after)) = rest.split_first_chunk::<4>() {
        let length = u32::from_be_bytes(*header) as usize;
        assert!(length <= limit, "larger than they take: {length}");
        found.extend(
            cyrus
                .ask(&format!("decode {}", hex(&rest[..4 + length])))
                .bytes,
        );
        rest = &after[length..];
    }
    assert!(found == long);
}

#[test]
fn gssapi_with_each_layer_each_way() {
    let realm = shared(Vendor::Mit);
    let ours = ours(realm);
    let mut cyrus = Cyrus::start(realm);
    for (strength, layer) in STRENGTHS {
        let client = Client::new(SaslMechanism::Gssapi, &ours.env, &ours.alice, &ours.name);
        let client = client.authzid("somebody");
        let words = format!("{strength} RESPONSE");
        let established = our_client(client, &mut cyrus, SaslMechanism::Gssapi, &words);
        assert_eq!(cyrus.facts()[2..], ["somebody", CLIENT]);
        they_talk(established, &mut cyrus, layer);

        let server = Server::new(SaslMechanism::Gssapi, &ours.env, &ours.service);
        let words = format!("{strength} somebody");
        let established = our_server(server, &mut cyrus, SaslMechanism::Gssapi, &words);
        assert_eq!(established.authzid(), Some("somebody"));
        assert_eq!(
            established.client().to_string(),
            format!("{CLIENT}@{REALM}")
        );
        they_talk(established, &mut cyrus, layer);
    }
    // The layer that we allow alone, of all that they have.
    for (layers, layer) in [
        (Layers::NONE_ALONE, Layer::None),
        (Layers::NONE_ALONE.and(Layer::Integrity), Layer::Integrity),
        (Layers::CONFIDENTIALITY_ALONE, Layer::Confidentiality),
    ] {
        let client = Client::new(SaslMechanism::Gssapi, &ours.env, &ours.alice, &ours.name);
        let client = client.layers(layers);
        let established = our_client(client, &mut cyrus, SaslMechanism::Gssapi, "256 RESPONSE");
        they_talk(established, &mut cyrus, layer);
        let server = Server::new(SaslMechanism::Gssapi, &ours.env, &ours.service).layers(layers);
        let established = our_server(server, &mut cyrus, SaslMechanism::Gssapi, "256");
        they_talk(established, &mut cyrus, layer);
    }
}

#[test]
fn gs2_with_and_without_channel_bindings_each_way() {
    let realm = shared(Vendor::Mit);
    let ours = ours(realm);
    let mut cyrus = Cyrus::start(realm);
    let channel = ChannelBindings::tls_unique(BINDING);
    for mechanism in [SaslMechanism::Gs2Krb5, SaslMechanism::Gs2Krb5Plus] {
        let plus = mechanism == SaslMechanism::Gs2Krb5Plus;
        let theirs = if plus {
            format!("tls-unique {}", hex(BINDING))
        } else {
            String::new()
        };
        let mut client = Client::new(mechanism, &ours.env, &ours.alice, &ours.name);
        let mut server = Server::new(mechanism, &ours.env, &ours.service);
        if plus {
            client = client.bindings(channel.clone());
            server = server.bindings(channel.clone());
        }
        let client = client.authzid("some=,body");
        let words = format!("256 RESPONSE {theirs}");
        let established = our_client(client, &mut cyrus, mechanism, &words);
        assert_eq!(cyrus.facts()[2], "some=,body");
        they_talk(established, &mut cyrus, Layer::None);

        let words = format!("256 some=,body {theirs}");
        let established = our_server(server, &mut cyrus, mechanism, &words);
        assert_eq!(established.authzid(), Some("some=,body"));
        assert_eq!(
            established.client().to_string(),
            format!("{CLIENT}@{REALM}")
        );
        they_talk(established, &mut cyrus, Layer::None);
    }
}

#[test]
fn another_channel_is_refused_by_both() {
    let realm = shared(Vendor::Mit);
    let ours = ours(realm);
    let mut cyrus = Cyrus::start(realm);
    let (mechanism, other) = (
        SaslMechanism::Gs2Krb5Plus,
        ChannelBindings::tls_unique(b"another"),
    );
    let client = Client::new(mechanism, &ours.env, &ours.alice, &ours.name).bindings(other.clone());
    let response = hex(client.start().unwrap().response());
    let binding = hex(BINDING);
    let answer = cyrus.ask(&format!(
        "server GS2-KRB5-PLUS e18 localhost 256 {response} tls-unique {binding}"
    ));
    assert_eq!(answer.word, "failed");

    let answer = cyrus.ask(&format!(
        "client GS2-KRB5-PLUS e18 localhost 256 - tls-unique {binding}"
    ));
    assert_eq!(answer.word, "continue", "{}", answer.text);
    let server = Server::new(mechanism, &ours.env, &ours.service)
        .bindings(other)
        .start();
    let text = server.step(&answer.bytes).unwrap_err().to_string();
    assert!(text.contains("channel bindings"), "{text}");
}

#[test]
fn gss_spnego_each_way() {
    let realm = shared(Vendor::Mit);
    let ours = ours(realm);
    let mut cyrus = Cyrus::start(realm);
    let mechanism = SaslMechanism::GssSpnego;
    let client = Client::new(mechanism, &ours.env, &ours.alice, &ours.name);
    let established = our_client(client, &mut cyrus, mechanism, "256 RESPONSE");
    assert_eq!(cyrus.facts()[3], CLIENT);
    they_talk_within(65_536, established, &mut cyrus, Layer::Confidentiality);

    let server = Server::new(mechanism, &ours.env, &ours.service);
    let established = our_server(server, &mut cyrus, mechanism, "256 -");
    assert_eq!(
        established.client().to_string(),
        format!("{CLIENT}@{REALM}")
    );
    they_talk_within(65_536, established, &mut cyrus, Layer::Confidentiality);
}
