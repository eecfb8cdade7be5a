//! How many instructions an operation takes, counted by valgrind: a figure that a busy machine does not change, so that a regression
//! shows where times would not show it.
//!
//! `cargo run --release -p bench --bin instructions` compares with what is on record in `bench/instructions.txt` and fails where an
//! operation takes more than a twentieth more; `-- --write` puts the new counts on record. The processor that valgrind plays has
//! AES-NI and AVX2 and neither SHA-NI nor VAES, so the counts say nothing of the speed of cryptography. Another processor, compiler
//! or C library may count differently for no fault of ours: what was recorded elsewhere is compared and fails nothing.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::hint::black_box;
use std::path::Path;
use std::process::{Command, ExitCode};

use baton::realm::DevelopmentRealm;
use baton::{
    Acceptor, Config, Context, Credential, Environment, ExportOptions, Flags, Initiator, Name,
    Step, Store,
};
use clap::{Parser, ValueEnum};

/// By how much an operation may take more than is on record.
const TOLERANCE: f64 = 0.05;
/// How often an operation is done before it is counted: what the first time costs alone, a table that is made or a key that is
/// derived, is not of interest.
const BEFORE: usize = 4;
/// How often it is done then.
const TIMES: usize = 32;

/// Counts instructions, and compares them with what is on record
#[derive(Parser)]
struct Arguments {
    /// Put the counts on record
    #[arg(long)]
    write: bool,
    /// Do this and nothing else: what is run under valgrind
    #[arg(long, hide = true)]
    run: Option<Operation>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Operation {
    Initiate,
    Accept,
    Wrap64,
    Unwrap64,
    Mic64,
    VerifyMic64,
    Export,
    Import,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Some(operation) = arguments.run {
        Setting::new().run(operation);
        return ExitCode::SUCCESS;
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("instructions.txt");
    let counted: BTreeMap<String, u64> = Operation::value_variants()
        .iter()
        .map(|operation| (name(*operation), instructions(*operation)))
        .collect();
    if arguments.write {
        fs::write(&path, record(&counted)).expect("the record is written");
        return ExitCode::SUCCESS;
    }
    let text = fs::read_to_string(&path).expect("the record is read");
    let (place, recorded) = text.split_once('\n').expect("where it was recorded");
    if compare(&counted, &read(recorded)) {
        return ExitCode::SUCCESS;
    }
    if place != here() {
        println!("the record is of another place, so this fails nothing: {place}");
        return ExitCode::SUCCESS;
    }
    println!("find out why, or put it on record with --write");
    ExitCode::FAILURE
}

/// What counts depend on beside our code.
fn here() -> String {
    let said = |program: &str, argument: &str| {
        let output = Command::new(program).arg(argument).output();
        let output = output.expect("valgrind, rustc and ldd run");
        let text = String::from_utf8_lossy(&output.stdout);
        text.lines().next().unwrap_or_default().trim().to_owned()
    };
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let of_cpu = |key: &str| {
        let line = cpu.lines().find(|line| {
            line.split(':')
                .next()
                .is_some_and(|name| name.trim() == key)
        });
        line.and_then(|line| line.split(':').nth(1))
            .unwrap_or("?")
            .trim()
            .to_owned()
    };
    let [family, model] = ["cpu family", "model"].map(of_cpu);
    format!(
        "{}, {}, {}, processor family {family} model {model}",
        said("valgrind", "--version"),
        said("rustc", "--version"),
        said("ldd", "--version"),
    )
}

fn name(operation: Operation) -> String {
    let value = operation.to_possible_value();
    value.expect("none is hidden").get_name().to_owned()
}

/// The instructions of one time of `operation`.
fn instructions(operation: Operation) -> u64 {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg("--toggle-collect=instructions::counted*")
        .arg(env::current_exe().expect("our own path"))
        .args(["--run", &name(operation)])
        .output()
        .expect("valgrind runs: `tests/install` installs it");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let count = said
        .lines()
        .find_map(|line| line.split_once("Collected : ").map(|(_, count)| count));
    let count: Option<u64> = count.and_then(|count| count.trim().parse().ok());
    count.unwrap_or_else(|| panic!("valgrind gave no count: {said}")) / TIMES as u64
}

fn record(counted: &BTreeMap<String, u64>) -> String {
    let lines = counted
        .iter()
        .map(|(name, count)| format!("{name} {count}\n"));
    format!("{}\n{}", here(), lines.collect::<String>())
}

fn read(recorded: &str) -> BTreeMap<String, u64> {
    let line = |line: &str| {
        let (name, count) = line.split_once(' ')?;
        Some((name.to_owned(), count.parse().ok()?))
    };
    let lines = recorded.lines();
    lines
        .map(|text| line(text).expect("a name and a count"))
        .collect()
}

/// Whether no operation takes more than it may.
fn compare(counted: &BTreeMap<String, u64>, recorded: &BTreeMap<String, u64>) -> bool {
    let mut holds = true;
    for (name, now) in counted {
        let Some(before) = recorded.get(name) else {
            println!("{name:<16}{now:>10}  not on record");
            holds = false;
            continue;
        };
        let change = *now as f64 / *before as f64 - 1.0;
        let too_much = change > TOLERANCE;
        let verdict = if too_much { "  too much" } else { "" };
        println!("{name:<16}{now:>10}  {:+.1} %{verdict}", 100.0 * change);
        holds &= !too_much;
    }
    holds
}

/// Everything an operation needs, made before it.
struct Setting {
    env: Environment,
    client: Credential,
    server: Credential,
    name: Name,
    _realm: DevelopmentRealm,
}

impl Setting {
    fn new() -> Self {
        let realm = DevelopmentRealm::builder("EXAMPLE.TEST")
            .user("alice", "secret")
            .service("HTTP/localhost")
            .start()
            .expect("a realm");
        let env = Environment::new(Config {
            krb5_conf: vec![realm.krb5_conf().to_owned()],
            store: Store::Memory,
            ..Config::default()
        });
        let env = env.expect("an environment");
        Self {
            client: realm.credential(&env, "alice").expect("tickets"),
            server: Credential::acceptor(&env, Some(&format!("FILE:{}", realm.keytab().display())))
                .expect("keys"),
            name: Name::hostbased_service("HTTP@localhost"),
            env,
            _realm: realm,
        }
    }

    fn begin(&self) -> Step {
        Initiator::new(&self.env, &self.client, &self.name)
            .flags(Flags::MUTUAL | Flags::REPLAY | Flags::SEQUENCE)
            .start()
            .expect("a first token")
    }

    fn accept(&self, token: &[u8]) -> Step {
        Acceptor::new(&self.env, &self.server)
            .step(token)
            .expect("accepted")
    }

    fn contexts(&self) -> (Context, Context) {
        let Step::Continue { token, next } = self.begin() else {
            panic!("mutual authentication has an answer")
        };
        let Step::Done {
            token: Some(reply),
            context: server,
        } = self.accept(&token)
        else {
            panic!("one step with an answer")
        };
        let Ok(Step::Done { context, .. }) = next.step(&reply) else {
            panic!("two steps are enough")
        };
        (context, server)
    }

    fn run(&self, operation: Operation) {
        let message = [7; 64];
        let (client, server) = self.contexts();
        match operation {
            Operation::Initiate => repeat(|| (), |()| self.begin()),
            Operation::Accept => repeat(
                || self.begin(),
                |step| match step {
                    Step::Continue { token, .. } => self.accept(&token),
                    Step::Done { .. } => panic!("mutual authentication has an answer"),
                },
            ),
            Operation::Wrap64 => repeat(|| (), |()| client.wrap(true, &message).expect("wrapped")),
            Operation::Unwrap64 => repeat(
                || client.wrap(true, &message).expect("wrapped"),
                |token| server.unwrap(&token).expect("unwrapped"),
            ),
            Operation::Mic64 => repeat(|| (), |()| client.get_mic(&message).expect("signed")),
            Operation::VerifyMic64 => repeat(
                || client.get_mic(&message).expect("signed"),
                |token| server.verify_mic(&message, &token).expect("verified"),
            ),
            Operation::Export => repeat(|| self.contexts().1, export),
            Operation::Import => repeat(
                || export(self.contexts().1),
                |token| Context::import(&self.env, &token).expect("imported"),
            ),
        }
    }
}

/// Does an operation as often as it is counted, each time with something of its own that is made beforehand.
fn repeat<I, O>(mut make: impl FnMut() -> I, mut operation: impl FnMut(I) -> O) {
    for _ in 0..BEFORE {
        black_box(operation(make()));
    }
    for _ in 0..TIMES {
        let input = make();
        black_box(counted(|| operation(input)));
    }
}

/// Valgrind counts what happens in here. What it gives is dropped outside.
#[inline(never)]
fn counted<O>(operation: impl FnOnce() -> O) -> O {
    black_box(operation())
}

fn export(context: Context) -> baton::Token {
    let exported = context.export(&ExportOptions::default());
    exported.unwrap_or_else(|(_, error)| panic!("{error}"))
}
