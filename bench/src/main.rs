//! Benchmarks: ours and MIT's library take turns in one run, and the table has the medians and their ratios.
//!
//! `cargo run --release -p bench` prints the table, `-- --write` puts it into `docs/performance.md`. What is measured, and how,
//! stands there. A floor that is missed fails the run.
#![forbid(unsafe_code)]

mod contexts;
mod machine;
mod messages;
mod rounds;
mod serve;
mod sides;
mod table;
mod transfer;

use std::path::Path;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use interop::Vendor;
use interop::realm::{CLIENT, Realm, SERVICES};

use rounds::Rounds;

/// Measures ours against the system's MIT library
#[derive(Parser)]
struct Arguments {
    /// Write the tables into docs/performance.md
    #[arg(long, conflicts_with = "only")]
    write: bool,
    /// How often each side gets its turn
    #[arg(long, default_value_t = 101)]
    rounds: usize,
    /// How long a turn takes, in milliseconds
    #[arg(long, default_value_t = 5)]
    turn: u64,
    /// Measure just this
    #[arg(long)]
    only: Option<Part>,
    /// How many idle connections to open through `baton serve`
    #[arg(long, default_value_t = 10_000)]
    idle: usize,
}

/// A part of the whole.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    Contexts,
    Messages,
    Transfer,
    Serve,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let wanted = |part| arguments.only.is_none_or(|only| only == part);
    let rounds = Rounds::new(arguments.rounds, arguments.turn);
    let realm = realm();
    let mut rows = Vec::new();
    if wanted(Part::Contexts) {
        rows.extend(contexts::rows(&realm, &rounds));
    }
    if wanted(Part::Messages) {
        rows.extend(messages::rows(&realm, &rounds));
    }
    if wanted(Part::Transfer) {
        rows.extend(transfer::rows(&realm, &rounds));
    }
    let mut text = format!("{}\n{}", machine::description(), table::compared(&rows));
    if wanted(Part::Serve) {
        text.push('\n');
        text.push_str(&table::figures(&serve::figures(arguments.idle)));
    }
    println!("{text}");
    if arguments.write {
        let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/performance.md");
        table::write_into(&document, &text);
    }
    let missed = table::missed(&rows);
    if missed.is_empty() {
        return ExitCode::SUCCESS;
    }
    eprintln!("slower than it has to be: {}", missed.join(", "));
    ExitCode::FAILURE
}

/// MIT's KDC, and the client's cache [`sides::TICKETS`] with a ticket for each service, of that service's enctype.
fn realm() -> Realm {
    let realm = Realm::start(Vendor::Mit);
    realm.kinit(Vendor::Mit, sides::TICKETS);
    for (_, service, enctype) in SERVICES {
        let server = format!("{service}/localhost");
        realm.run(
            "/usr/bin/kvno",
            sides::TICKETS,
            &["-q", "-e", enctype, &server],
        );
    }
    let listed = realm.run("/usr/bin/klist", sides::TICKETS, &[]);
    assert!(listed.contains(CLIENT), "no tickets: {listed}");
    realm
}
