//! The two sides of the comparison in one realm: ours in this process, MIT's library in processes of its own.

use baton::{
    Acceptor, Config, Context, Credential, Environment, Flags, Initiator, Name, Step, Store,
};
use interop::Vendor;
use interop::peer::Peer;
use interop::realm::{Realm, SERVICES, Service};
use tempfile::TempDir;

/// The client's credential cache.
pub(crate) const TICKETS: &str = "tickets";

/// Mutual authentication, replay and sequence detection, confidentiality and integrity.
pub(crate) const FLAGS: Flags = Flags::from_bits(62);

/// Our side, with the once-store in a file, as servers have it.
///
/// Here and with [`theirs`] the service's enctype is the only one permitted: sides that permit more agree on what they prefer for
/// their messages (RFC 4537), each library by its own taste, and two enctypes would be compared.
pub(crate) struct Ours {
    service: Service,
    env: Environment,
    client: Credential,
    server: Credential,
    _store: TempDir,
}

impl Ours {
    pub(crate) fn new(realm: &Realm, service: Service) -> Self {
        let (store, directory) = store();
        let env = Environment::new(Config {
            krb5_conf: vec![realm.config_permitting(&[service.2])],
            store: directory,
            ..Config::default()
        });
        let env = env.expect("the configuration is read");
        let file = |name: &str| format!("FILE:{}", realm.path(name).display());
        Self {
            service,
            client: Credential::initiator(&env, Some(&file(TICKETS))).expect("the cache is read"),
            server: Credential::acceptor(&env, Some(&file("krb5.keytab")))
                .expect("the keytab is read"),
            env,
            _store: store,
        }
    }

    pub(crate) fn env(&self) -> &Environment {
        &self.env
    }

    /// An established context, whose messages are under the service's enctype: the client's end and the server's.
    pub(crate) fn checked_contexts(&self) -> (Context, Context) {
        let (number, name, _) = self.service;
        let (client, server) = self.contexts(&target(name));
        for context in [&client, &server] {
            let key = context.session_key().expect("an established context");
            assert_eq!(key.enctype, number, "our context's enctype");
        }
        (client, server)
    }

    /// An established context: the client's end and the server's.
    pub(crate) fn contexts(&self, target: &Name) -> (Context, Context) {
        let started = Initiator::new(&self.env, &self.client, target)
            .flags(FLAGS)
            .start();
        let Step::Continue { token, next } = started.expect("a first token") else {
            panic!("mutual authentication has an answer");
        };
        let accepted = Acceptor::new(&self.env, &self.server).step(&token);
        let Step::Done {
            token: Some(reply),
            context: server,
        } = accepted.expect("accepted")
        else {
            panic!("one step with an answer");
        };
        match next.step(&reply).expect("established") {
            Step::Done { context, .. } => (context, server),
            Step::Continue { .. } => panic!("two steps are enough"),
        }
    }
}

/// A once-store of its own, in memory as the usual one is.
fn store() -> (TempDir, Store) {
    use std::fs::{Permissions, set_permissions};
    use std::os::unix::fs::PermissionsExt;
    let dir = TempDir::with_prefix_in("bench", "/dev/shm").expect("a directory in /dev/shm");
    set_permissions(dir.path(), Permissions::from_mode(0o700)).expect("the directory's mode");
    let directory = Some(dir.path().to_owned());
    (dir, Store::File { directory })
}

/// The service that has a key of just this enctype.
pub(crate) fn service(enctype: i32) -> Service {
    let mut services = SERVICES.into_iter();
    let found = services.find(|(number, ..)| *number == enctype);
    found.expect("one of four")
}

/// The name of `service` on this host.
pub(crate) fn target(service: &str) -> Name {
    Name::hostbased_service(&format!("{service}@localhost"))
}

/// A program over MIT's library, toward or with the keys of `service`.
pub(crate) fn their_program(realm: &Realm, service: Service) -> Peer {
    Peer::start_permitting(Vendor::Mit, realm, TICKETS, &[service.2])
}

/// MIT's two ends of a context with `service`, whose messages are under the service's enctype.
pub(crate) fn theirs(realm: &Realm, service: Service) -> (Peer, Peer) {
    let (number, name, _) = service;
    let start = || their_program(realm, service);
    let (mut client, mut server) = (start(), start());
    client.initiate(&format!("{name}@localhost"), FLAGS.bits(), None);
    server.accept(None);
    let reply = server.step(&client.step(&[]).token()).token();
    client.step(&reply).token();
    for peer in [&mut client, &mut server] {
        let (_, enctype) = peer.session_key();
        assert_eq!(enctype, Some(number), "MIT's context's enctype");
    }
    (client, server)
}
