//! The program `baton`: a Kerberised front door for any service, and the tools around it.
#![forbid(unsafe_code)]

mod causes;
mod connect;
mod control;
mod demo;
mod front_door;
mod inherited;
mod keytab;
mod knc;
mod limits;
mod login;
mod logs;
mod passing;
mod realm;
mod serve;
mod signals;
mod state;
mod tickets;
mod times;
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
    Realm(realm::RealmArgs),
    Demo(demo::DemoArgs),
    #[command(hide = true)]
    DemoPart(demo::part::PartArgs),
    Login(login::LoginArgs),
    Tickets(tickets::TicketsArgs),
    Keytab(keytab::KeytabArgs),
    #[command(hide = true)]
    Worker(worker::WorkerArgs),
}

impl Command {
    fn run(&self) -> Result<(), Box<dyn Error>> {
        match self {
            Self::Serve(args) => serve::run(args),
            Self::Connect(args) => connect::run(args),
            Self::Realm(args) => realm::run(args),
            Self::Demo(args) => demo::run(args),
            Self::DemoPart(args) => demo::part::run(args),
            Self::Login(args) => login::run(args),
            Self::Tickets(args) => tickets::run(args),
            Self::Keytab(args) => keytab::run(args),
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
