//! `libgssapi_krb5.so.2` of ours in place of MIT's: programs that were compiled for theirs run on it as they are.
//!
//! The library is what `cargo xtask capi` made last.

use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::process::Stdio;
use std::thread;

use interop::Vendor;
use interop::library::Library;
use interop::peer::{BAD_SIG, COMPLETE, DUPLICATE_TOKEN, Peer, Stepped, compile};
use interop::realm::{Realm, SERVICES, shared, succeeded};

const TICKETS: &str = "c-library-tickets";
/// Mutual authentication, replay and sequence detection, confidentiality and integrity.
const FLAGS: u32 = 62;

fn realm() -> &'static Realm {
    static TICKETS_ARE_THERE: std::sync::Once = std::sync::Once::new();
    let realm = shared(Vendor::Mit);
    TICKETS_ARE_THERE.call_once(|| realm.kinit(Vendor::Mit, TICKETS));
    realm
}

fn established(pair: [Library; 2], service: &str, bindings: Option<&[u8]>) -> [Peer; 2] {
    let [mut client, mut server] = pair.map(|library| library.peer(realm(), TICKETS));
    client.initiate(&format!("{service}@localhost"), FLAGS, bindings);
    server.accept(bindings);
    let first = client.step(&[]).token();
    let answer = match server.step(&first) {
        Stepped::Done(answer) => answer,
        other => panic!("{pair:?}: {other:?}"),
    };
    match client.step(&answer) {
        Stepped::Done(rest) => assert!(rest.is_empty()),
        other => panic!("{pair:?}: {other:?}"),
    }
    [client, server]
}

#[test]
fn contexts_and_messages_with_each_enctype() {
    for pair in Library::PAIRS {
        for (enctype, service, _) in SERVICES {
            let [mut client, mut server] = established(pair, service, Some(b"channel"));
            for (from, to) in [(0, 1), (1, 0)] {
                let peers = [&mut client, &mut server];
                let [one, other] = if from < to { [0, 1] } else { [1, 0] };
                let mut peers = peers.map(Some);
                let (from, to) = (peers[one].take().unwrap(), peers[other].take().unwrap());
                for conf in [true, false] {
                    let token = from.wrap(conf, b"a message");
                    let unwrapped = to.unwrap(&token);
                    assert_eq!(
                        unwrapped,
                        (COMPLETE, conf, b"a message".to_vec()),
                        "{pair:?} {enctype}"
                    );
                    assert_eq!(to.unwrap(&token).0, DUPLICATE_TOKEN, "{pair:?} {enctype}");
                }
                let mic = from.mic(b"a message");
                assert_eq!(
                    to.verify(b"another one", &mic),
                    BAD_SIG,
                    "{pair:?} {enctype}"
                );
                assert_eq!(
                    to.verify(b"a message", &mic),
                    COMPLETE,
                    "{pair:?} {enctype}"
                );
            }
            let (known, other) = (client.inquire(), server.inquire());
            assert_eq!(known.source, other.source);
            assert_eq!(known.target, other.target);
            assert_eq!(client.limit(true, 1000), server.limit(true, 1000));
            assert_eq!(
                client.prf(false, 40, b"seed"),
                server.prf(false, 40, b"seed")
            );
        }
    }
}

#[test]
fn other_bindings_are_refused() {
    for pair in Library::PAIRS {
        let [mut client, mut server] = pair.map(|library| library.peer(realm(), TICKETS));
        client.initiate("e18@localhost", FLAGS, Some(b"this channel"));
        server.accept(Some(b"that channel"));
        let first = client.step(&[]).token();
        match server.step(&first) {
            Stepped::Failed { major, .. } => {
                assert_eq!(major, interop::peer::BAD_BINDINGS, "{pair:?}")
            }
            other => panic!("{pair:?}: {other:?}"),
        }
    }
}

/// The programs of MIT's `krb5-gss-samples`, `gss-client` and `gss-server`, as Debian packages them. The server is started for one
/// connection, as inetd does it, so that it listens nowhere itself.
fn samples(pair: [Library; 2], client_options: &[&str], server_options: &[&str]) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let log = realm().path(&format!("gss-server-{port}"));
    let [client, server] = pair;
    let started = thread::scope(|scope| {
        let serving = scope.spawn(|| {
            let (connection, _) = listener.accept().unwrap();
            let mut command = server.command(realm(), "gss-server", TICKETS);
            command
                .args(["-inetd", "-logfile"])
                .arg(&log)
                .args(server_options)
                .arg("e18@localhost")
                .stdin(Stdio::from(OwnedFd::from(connection)));
            command.status()
        });
        let mut command = client.command(realm(), "gss-client", TICKETS);
        command.args(["-port", &port]).args(client_options).args([
            "localhost",
            "e18@localhost",
            "what is said",
        ]);
        let output = command.output();
        // Whoever waits for a connection gets one, come what may.
        drop(TcpStream::connect(("127.0.0.1", port.parse().unwrap())));
        let served = serving.join().unwrap();
        let output =
            output.unwrap_or_else(|error| panic!("gss-client: {error}: run tests/install first"));
        let served =
            served.unwrap_or_else(|error| panic!("gss-server: {error}: run tests/install first"));
        (output, served)
    });
    let (output, served) = started;
    let said = String::from_utf8_lossy(&output.stdout);
    let told = std::fs::read_to_string(&log).unwrap_or_default();
    let what = format!("{pair:?} {client_options:?} {server_options:?}: {said}{told}");
    assert!(output.status.success() && served.success(), "{what}");
    assert!(said.contains("Signature verified."), "{what}");
    assert!(
        said.contains("\"alice@INTEROP.TEST\"") && told.contains("what is said"),
        "{what}"
    );
}

#[test]
fn the_sample_programs_run_unmodified() {
    for pair in Library::PAIRS {
        samples(pair, &[], &[]);
        samples(pair, &["-seq", "-noreplay"], &[]);
        samples(pair, &["-nomutual"], &[]);
        samples(pair, &["-nw"], &[]);
        samples(pair, &["-nx"], &[]);
        samples(pair, &["-mech", "{1.3.6.1.5.5.2}"], &[]);
    }
}

/// The server exports its context after the handshake, and imports it again.
#[test]
fn the_sample_server_exports_its_context() {
    samples([Library::Mit, Library::Ours], &[], &["-export"]);
    samples([Library::Ours, Library::Ours], &[], &["-export"]);
}

/// What `calls.c` prints on one of the libraries, in `mode`: each call with its major status.
fn calls(library: Library, mode: &[&str]) -> Vec<String> {
    let program = compile("calls.c", "krb5-gssapi", "calls");
    let mut command = library.command(realm(), program, "no such cache");
    let said = succeeded("calls", command.args(mode).output().unwrap());
    said.lines().map(str::to_owned).collect()
}

/// Of calls with null pointers and other arguments that they should not have, two answer otherwise than MIT's library, with the
/// RFC's status: docs/behaviour.md says so.
#[test]
fn calls_with_wrong_arguments_answer_as_on_mits_library() {
    let [ours, mit] = [Library::Ours, Library::Mit].map(|library| calls(library, &[]));
    assert_eq!((ours.len(), mit.len()), (62, 62));
    let differences: Vec<_> = (ours.iter().zip(&mit))
        .filter(|(ours, mit)| ours != mit)
        .map(|(ours, mit)| (ours.as_str(), mit.rsplit(' ').next().unwrap()))
        .collect();
    assert_eq!(
        differences,
        [
            (
                "gss_import_sec_context(&minor, &text, &no_context) 00090000",
                "03090000"
            ),
            (
                "gss_display_status(&minor, 0, 77, NULL, &seconds, &out) 00050000",
                "00000000"
            ),
        ]
    );
}

/// Handles that were released, copied or made up, or are of another kind, are found out.
#[test]
fn handles_are_checked_and_not_trusted() {
    let said = calls(Library::Ours, &["stale"]);
    let statuses: Vec<_> = said
        .iter()
        .map(|line| line.rsplit(' ').next().unwrap())
        .collect();
    let (ok, bad_name) = ("00000000", "00020000");
    let (no_cred, no_context) = ("00070000", "00080000");
    assert_eq!(
        statuses,
        [
            // The name, and its handle as a credential's.
            ok, no_cred,
            // Released; then by a copy of the handle, and by one that was made up.
            ok, bad_name, bad_name, bad_name, bad_name,
            // A context that was made up; deletion makes the handle null.
            no_context, no_context, "01080000",
        ],
        "{said:#?}"
    );
}
