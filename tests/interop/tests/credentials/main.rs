//! Credentials between ours and theirs: caches and directories of caches, credential stores, exported credentials, selection and
//! renewal, each read by one side and written by the other.
#![allow(missing_docs)]

mod collections;
mod exported;
mod stores;

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use baton::{Acceptor, Config, Credential, Environment, Initiator, Name, Step, Store};
use interop::Vendor;
use interop::peer::compile;
use interop::realm::{CLIENT, PASSWORD, REALM, Realm, shared};
use tempfile::TempDir;

/// `GSS_S_NO_CRED`.
pub(crate) const NO_CRED: &str = "458752";
/// `GSS_S_DUPLICATE_ELEMENT`.
pub(crate) const DUPLICATE_ELEMENT: &str = "1114112";

/// A user of a vendor's realm, with a home of its own.
pub(crate) struct User {
    pub(crate) realm: &'static Realm,
    home: TempDir,
}

impl User {
    pub(crate) fn of(vendor: Vendor) -> Self {
        Self {
            realm: shared(vendor),
            home: tempfile::tempdir().unwrap(),
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    pub(crate) fn named(&self, kind: &str, name: &str) -> String {
        format!("{kind}:{}", self.path(name).display())
    }

    /// Ours, with the default cache `ccache`.
    pub(crate) fn env(&self, ccache: &str) -> Environment {
        Environment::new(Config {
            krb5_conf: vec![self.realm.config()],
            keytab: Some(format!("FILE:{}", self.realm.keytab().display())),
            client_keytab: Some(self.named("FILE", "client.keytab")),
            ccache: Some(ccache.to_owned()),
            k5identity: Some(self.path(".k5identity")),
            store: Store::Memory,
            ..Config::default()
        })
        .unwrap()
    }

    fn command(&self, program: impl AsRef<std::ffi::OsStr>, ccache: &str) -> Command {
        let mut command = self.realm.command(program, "unused");
        command
            .env("KRB5CCNAME", ccache)
            .env("KRB5_CLIENT_KTNAME", self.named("FILE", "client.keytab"))
            .env("HOME", self.home.path())
            .stdin(Stdio::null());
        command
    }

    /// What one of MIT's programs prints, whether it succeeds or not.
    pub(crate) fn run(&self, program: &str, ccache: &str, arguments: &[&str]) -> String {
        let output = self.command(program, ccache).args(arguments).output();
        let output = output.unwrap_or_else(|error| panic!("{program}: {error}"));
        let text = [output.stdout, output.stderr].concat();
        String::from_utf8_lossy(&text).into_owned()
    }

    /// MIT's kinit for the client with its password, or for another principal with the client keytab.
    pub(crate) fn kinit(&self, ccache: &str, arguments: &[&str]) {
        let mut command = self.command("/usr/bin/kinit", ccache);
        if !arguments.contains(&"-k") {
            let file = self.path("password");
            std::fs::write(&file, PASSWORD).unwrap();
            command.stdin(std::fs::File::open(file).unwrap());
        }
        let output = command.args(arguments).output().expect("kinit starts");
        interop::realm::succeeded("kinit", output);
    }

    /// One call of theirs, its answer as words.
    pub(crate) fn peer(&self, vendor: Vendor, ccache: &str, arguments: &[&str]) -> Vec<String> {
        let output = self
            .command(program(vendor), ccache)
            .args(arguments)
            .output();
        let answer = interop::realm::succeeded("the peer", output.expect("the peer starts"));
        answer.split_whitespace().map(str::to_owned).collect()
    }

    /// The key of a service as a client's, in the client keytab; its principal.
    pub(crate) fn client_keytab(&self, service: &str) -> String {
        let bytes = std::fs::read(self.realm.keytab()).unwrap();
        let mut keytab = baton::kerberos::keytab::Keytab::parse(&bytes).unwrap();
        let principal = format!("{service}/localhost@{REALM}");
        keytab
            .entries
            .retain(|entry| entry.principal.to_string() == principal);
        std::fs::write(self.path("client.keytab"), &*keytab.encode().unwrap()).unwrap();
        principal
    }
}

pub(crate) fn client() -> String {
    format!("{CLIENT}@{REALM}")
}

/// Ours, got with the password.
pub(crate) fn alice(env: &Environment) -> Credential {
    Credential::with_password(env, &Name::krb5_principal(&client()), PASSWORD).unwrap()
}

fn program(vendor: Vendor) -> PathBuf {
    static MIT: OnceLock<PathBuf> = OnceLock::new();
    static HEIMDAL: OnceLock<PathBuf> = OnceLock::new();
    let (cell, package, name) = match vendor {
        Vendor::Mit => (&MIT, "mit-krb5-gssapi", "credentials_peer_mit"),
        Vendor::Heimdal => (&HEIMDAL, "heimdal-gssapi", "credentials_peer_heimdal"),
    };
    cell.get_or_init(|| compile("credentials_peer.c", package, name))
        .clone()
}

/// A context between two of ours: that the tickets and keys are good.
pub(crate) fn converse(env: &Environment, cred: &Credential) -> String {
    let target = Name::hostbased_service("e18@localhost");
    let acceptor = Credential::acceptor(env, None).unwrap();
    let begun = Initiator::new(env, cred, &target).start().unwrap();
    let Step::Continue { token, .. } = begun else {
        panic!("an answer is awaited")
    };
    match Acceptor::new(env, &acceptor).step(&token) {
        Ok(Step::Done { context, .. }) => context.facts().initiator.to_string(),
        other => panic!("{other:?}"),
    }
}
