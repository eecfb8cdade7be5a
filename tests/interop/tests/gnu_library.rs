//! `libgss.so.3` of ours in place of GNU's: programs that were compiled for theirs run on ours as they are, and the reverse.
//!
//! The library is what `cargo xtask capi` made last.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use interop::Vendor;
use interop::peer::{BAD_SIG, COMPLETE, Peer, Stepped, compile, compile_with};
use interop::realm::{Realm, SERVICES, shared};

const TICKETS: &str = "gnu-library-tickets";
/// Mutual authentication, replay and sequence detection, confidentiality and integrity.
const FLAGS: u32 = 62;

/// The folder of our library.
fn ours() -> PathBuf {
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/capi/lib");
    let place = place.canonicalize().unwrap_or(place);
    assert!(
        place.join("libgss.so.3").exists(),
        "{} has no libgss.so.3: run `cargo xtask capi` first",
        place.display()
    );
    place
}

fn realm() -> &'static Realm {
    static TICKETS_ARE_THERE: std::sync::Once = std::sync::Once::new();
    let realm = shared(Vendor::Mit);
    TICKETS_ARE_THERE.call_once(|| realm.kinit(Vendor::Mit, TICKETS));
    realm
}

/// A program that was compiled for GNU's library, on ours.
fn gnu() -> Peer {
    static PROGRAM: std::sync::OnceLock<PathBuf> = std::sync::OnceLock::new();
    let program = PROGRAM.get_or_init(|| compile("gnu_peer.c", "gss", "gnu_peer"));
    let mut command = realm().command(program, TICKETS);
    command.env("LD_LIBRARY_PATH", ours());
    Peer::start_with(command)
}

fn pairs() -> [[Peer; 2]; 3] {
    let mit = || Peer::start(Vendor::Mit, realm(), TICKETS);
    [[gnu(), gnu()], [gnu(), mit()], [mit(), gnu()]]
}

fn establish([client, server]: &mut [Peer; 2], service: &str) {
    client.initiate(&format!("{service}@localhost"), FLAGS, Some(b"channel"));
    server.accept(Some(b"channel"));
    let first = client.step(&[]).token();
    match server.step(&first) {
        Stepped::Done(answer) => {
            assert!(matches!(client.step(&answer), Stepped::Done(rest) if rest.is_empty()))
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn contexts_of_each_enctype_protect_messages_both_ways() {
    for mut pair in pairs() {
        for service in SERVICES {
            establish(&mut pair, service.1);
            let [client, server] = &mut pair;
            for (from, to) in [(0, 1), (1, 0)] {
                let both = [&mut *client, &mut *server];
                for confidential in [true, false] {
                    let token = both[from].wrap(confidential, b"message");
                    let unwrapped = both[to].unwrap(&token);
                    assert_eq!(unwrapped, (COMPLETE, confidential, b"message".to_vec()));
                }
                let token = both[from].mic(b"message");
                assert_eq!(both[to].verify(b"message", &token), COMPLETE);
                let token = both[from].mic(b"message");
                assert_eq!(both[to].verify(b"massage", &token), BAD_SIG);
            }
            let told = server.inquire();
            assert_eq!(told.flags & FLAGS, FLAGS);
            assert_eq!(told.source, "alice@INTEROP.TEST");
        }
    }
}

/// What GNU's library answers with `GSS_S_UNAVAILABLE`: size limits, inquiries, and contexts that change hands.
#[test]
fn what_theirs_has_stubs_for_works() {
    let mut pair = [gnu(), Peer::start(Vendor::Mit, realm(), TICKETS)];
    establish(&mut pair, "e18");
    let [client, server] = &mut pair;
    assert_eq!(client.limit(true, 1000), server.limit(true, 1000));
    assert_eq!(client.call("transfer"), ["ok", "0", "0"]);
    let token = client.wrap(true, b"afterwards");
    assert_eq!(server.unwrap(&token).2, b"afterwards");
}

/// GNU's calls need no place for a minor status, MIT's do.
#[test]
fn a_minor_status_can_be_left_out() {
    let mut pair = [gnu(), gnu()];
    establish(&mut pair, "e18");
    let [client, _] = &mut pair;
    let limit = client.limit(true, 1000);
    assert_eq!(
        client.call("without-minor"),
        ["ok", "0", &limit.to_string()]
    );
}

/// GNU's library takes a name's own text for the user, MIT's asks the rules; ours asks both.
#[test]
fn a_principal_may_act_as_itself() {
    let mut pair = [gnu(), gnu()];
    establish(&mut pair, "e18");
    let server = &mut pair[1];
    for (user, may) in [
        ("alice@INTEROP.TEST", "1"),
        ("bob@INTEROP.TEST", "0"),
        ("alice@INTEROP.TES", "0"),
        ("root", "0"),
    ] {
        assert_eq!(
            server.call(&format!("userok {user}")),
            ["ok", may],
            "{user}"
        );
    }
}

/// What both answer without a realm is the same, whichever headers and library the program was made with.
#[test]
fn answers_are_the_same_on_both_libraries() {
    let ours = ours();
    let with_theirs = compile("gnu_calls.c", "gss", "gnu_calls_theirs");
    let packages = ours.join("pkgconfig");
    let with_ours = compile_with("gnu_calls.c", "gss", "gnu_calls_ours", Some(&packages), &[]);
    let mut answers = Vec::new();
    for program in [&with_theirs, &with_ours] {
        for on_ours in [false, true] {
            let mut command = Command::new(program);
            // GNU's library keeps a folder for each user.
            command.env("HOME", realm().path("home"));
            command.env("KRB5_CONFIG", realm().config());
            command.env_remove("LD_LIBRARY_PATH");
            if on_ours {
                command.env("LD_LIBRARY_PATH", &ours);
            }
            let output = command.output().unwrap();
            assert!(output.status.success(), "{program:?} {on_ours} {output:?}");
            answers.push(String::from_utf8(output.stdout).unwrap());
        }
    }
    assert!(answers[0].lines().count() > 45, "{}", answers[0]);
    for other in &answers[1..] {
        assert_eq!(&answers[0], other);
    }
}

fn tool(arguments: &[&str]) -> Command {
    // It writes lines into a pipe only as its buffer fills up, which the other end cannot wait for.
    let mut command = realm().command("stdbuf", TICKETS);
    command.env("LD_LIBRARY_PATH", ours());
    command.args(["-oL", "gss"]).args(arguments);
    command
}

/// Debian's `gss`, as it is packaged.
#[test]
fn the_program_of_gnu_gss_runs_unmodified() {
    let listed = tool(&["--list-mechanisms"]).output().unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    assert!(
        listed.contains("GS2-KRB5") && listed.contains("SPNEGO"),
        "{listed}"
    );
    let explained = tool(&["--major=851968"]).output().unwrap();
    let explained = String::from_utf8(explained.stdout).unwrap();
    assert!(
        explained.contains("Masked routine error 851968"),
        "{explained}"
    );

    let [mut client, mut server] = ["--init-sec-context", "--accept-sec-context"].map(|side| {
        let mechanism = format!("{side}=GS2-KRB5");
        let mut command = tool(&["--quiet", "--server-name=e18@localhost", &mechanism]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        command.spawn().unwrap()
    });
    pass_token(&mut client, &mut server);
    pass_token(&mut server, &mut client);
    let [client, server] = [client, server].map(|side| side.wait_with_output().unwrap());
    assert!(client.status.success(), "{client:?}");
    assert!(server.status.success(), "{server:?}");
}

/// Gives the line that is a token in Base64 to the other side. The acceptor says what it does in lines of its own.
fn pass_token(from: &mut Child, to: &mut Child) {
    let lines = BufReader::new(from.stdout.as_mut().unwrap()).lines();
    let token = lines.map(Result::unwrap).find(|line| line.starts_with('Y'));
    let line = token.expect("a token") + "\n";
    to.stdin
        .as_mut()
        .unwrap()
        .write_all(line.as_bytes())
        .unwrap();
}
