//! The program `baton`: a Kerberised front door for any service, and the tools around it.
#![forbid(unsafe_code)]

mod connect;
mod control;
mod front_door;
mod knc;
mod limits;
mod logs;
mod passing;
mod serve;
mod signals;
mod state;
mod user;
mod worker;

use std::error::Error;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Kerberos for any service, with security contexts that really change hands
#[derive(Parser)]
#[command(name = "baton", version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// One line a subcommand; each is a file of its own, with its arguments and `run`.
#[derive(Subcommand)]
enum Command {
    Serve(serve::ServeArgs),
    Connect(connect::ConnectArgs),
    #[command(hide = true)]
    Worker(worker::WorkerArgs),
}

impl Command {
    fn run(&self) -> Result<(), Box<dyn Error>> {
        match self {
            Self::Serve(args) => serve::run(args),
            Self::Connect(args) => connect::run(args),
            Self::Worker(args) => worker::run(args),
        }
    }
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    logs::start();
    match cli.command.run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("baton: {error}");
            ExitCode::FAILURE
        }
    }
}
