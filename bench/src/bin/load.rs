//! What it costs a program to have a GSS-API library in it that it does not use: `libgssapi_krb5.so.2` of ours (as `cargo xtask capi`
//! made it last) and MIT's, one binary on each in turn.
#![forbid(unsafe_code)]

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

const ROUNDS: usize = 400;

/// From its start to its end.
fn run(program: &Path, libraries: Option<&Path>) -> Duration {
    let mut command = on(program, libraries);
    let start = Instant::now();
    let status = command.status();
    let time = start.elapsed();
    assert!(status.is_ok_and(|status| status.success()));
    time
}

/// What it has written to, and what it has read of files that no other process reads, in KiB.
fn memory(program: &Path, libraries: Option<&Path>) -> [u64; 2] {
    let output = on(program, libraries).arg("memory").output();
    let output = String::from_utf8(output.expect("the program").stdout).expect("numbers");
    let mut numbers = output
        .split_whitespace()
        .map(|number| number.parse().expect("a number"));
    [(); 2].map(|()| numbers.next().expect("a number"))
}

fn on(program: &Path, libraries: Option<&Path>) -> Command {
    let mut command = Command::new(program);
    command.env_remove("LD_LIBRARY_PATH");
    if let Some(libraries) = libraries {
        command.env("LD_LIBRARY_PATH", libraries);
    }
    command
}

fn main() -> ExitCode {
    let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/capi/lib");
    let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    let ours = target.map_or(ours, |target| target.join("capi/lib"));
    if !ours.join("libgssapi_krb5.so.2").exists() {
        eprintln!(
            "load: there is no {}: run `cargo xtask capi` first",
            ours.display()
        );
        return ExitCode::FAILURE;
    }
    let program = interop::peer::compile("loaded.c", "mit-krb5-gssapi", "loaded");
    let whose = [("Baton", Some(ours.as_path())), ("MIT", None)];
    let mut times = [const { Vec::new() }; 2];
    for _ in 0..ROUNDS {
        for (times, (_, libraries)) in times.iter_mut().zip(whose) {
            times.push(run(&program, libraries));
        }
    }
    println!("library  start to end, least  median  memory of its own, written  read");
    for (times, (name, libraries)) in times.iter_mut().zip(whose) {
        times.sort();
        let [written, read] = memory(&program, libraries);
        let micros = |at: usize| times[at].as_micros();
        println!(
            "{name:7}  {:15} us  {:4} us  {written:19} KiB  {read} KiB",
            micros(0),
            micros(ROUNDS / 2)
        );
    }
    ExitCode::SUCCESS
}
