//! Several realms: our client by way of MIT's and Heimdal's KDCs, and what our acceptor makes of such tickets.
#![allow(missing_docs)]

mod impersonation;
mod ways;

use std::fs;
use std::path::Path;

use baton::kerberos::ccache::CredentialCache;
use baton::{
    Acceptor, Config, Credential, Environment, Error, Failure, Initiator, Name, Step, Store,
};
use interop::realm::{CLIENT, PASSWORD};
use interop::realms::Realms;

fn environment(conf: &Path) -> Environment {
    let config = Config {
        krb5_conf: vec![conf.to_owned()],
        store: Store::Memory,
        ..Config::default()
    };
    Environment::new(config).unwrap()
}

/// The user of `realm`, with a ticket-granting ticket.
fn log_in(env: &Environment, realm: &str) -> Credential {
    let name = Name::krb5_principal(&format!("{CLIENT}@{realm}"));
    Credential::with_password(env, &name, PASSWORD).unwrap()
}

/// The first token for `target`.
fn first_token(env: &Environment, cred: &Credential, target: &Name) -> Result<Vec<u8>, Error> {
    match Initiator::new(env, cred, target).start()? {
        Step::Continue { token, .. } => Ok(token),
        Step::Done { .. } => panic!("mutual authentication has an answer"),
    }
}

/// What the services of `realm` make of a first token, in the environment of `conf`: the client's name.
fn accepted(realms: &Realms, realm: &str, conf: &Path, token: &[u8]) -> Result<String, Failure> {
    let env = environment(conf);
    let keytab = format!("FILE:{}", realms.keytab(realm).display());
    let keys = Credential::acceptor(&env, Some(&keytab)).unwrap();
    match Acceptor::new(&env, &keys).step(token)? {
        Step::Done { context, .. } => Ok(context.facts().initiator.to_string()),
        Step::Continue { .. } => panic!("one step is enough"),
    }
}

fn servers(cache: &CredentialCache) -> Vec<String> {
    let tickets = cache.tickets();
    tickets.map(|ticket| ticket.server.to_string()).collect()
}

fn read(path: &Path) -> CredentialCache {
    CredentialCache::parse(&fs::read(path).unwrap()).unwrap()
}
