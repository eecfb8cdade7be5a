//! KDCs: our client with MIT's and Heimdal's, theirs with our development realm, and the way between them.
#![allow(missing_docs)]

mod client;
mod clocks;
mod development;
mod network;
mod relay;

use std::fs;
use std::path::Path;

use baton::host::tickets::TicketError;
use baton::{Config, CredentialError, Environment, Store};
use krb5::exchange::as_exchange::ExchangeError;
use wire::random::Random;

/// Our environment with the `krb5.conf` at `path`.
fn environment(path: &Path) -> Environment {
    Environment::new(config(path)).unwrap()
}

fn config(path: &Path) -> Config {
    Config {
        krb5_conf: vec![path.to_owned()],
        store: Store::Memory,
        ..Config::default()
    }
}

/// Why no ticket came.
fn ticket_error(error: &baton::Error) -> &TicketError {
    match error.cause::<CredentialError>() {
        Some(CredentialError::Ticket(cause)) => cause,
        _ => panic!("{error:?}"),
    }
}

/// The code of the KRB-ERROR with which the KDC refused.
fn refusal(error: &baton::Error) -> i32 {
    match ticket_error(error) {
        TicketError::Exchange(ExchangeError::Refused(refused)) => refused.code,
        _ => panic!("{error}"),
    }
}

struct Urandom;

impl Random for Urandom {
    fn fill(&self, out: &mut [u8]) {
        use std::io::Read;
        fs::File::open("/dev/urandom")
            .unwrap()
            .read_exact(out)
            .unwrap();
    }
}
