//! Two parties and the handshake between them.

use std::fs;
use std::sync::{Arc, OnceLock};

use baton::kerberos::ccache::CredentialCache;
use baton::kerberos::keytab::Keytab;
use baton::{
    Acceptor, ChannelBindings, Config, Context, Credential, Environment, Flags, Initiator, Name,
    Step, Store,
};
use interop::Vendor;
use interop::peer::{Peer, Stepped};
use interop::realm::{Realm, SERVICES, shared};

/// What both sides ask for unless a test says otherwise: mutual authentication, replay and sequence detection,
/// confidentiality and integrity.
pub(crate) const ALL_FLAGS: Flags = Flags::from_bits(62);

/// The cache with a ticket for each of [`SERVICES`], whose session key has that service's enctype.
pub(crate) const TICKETS: &str = "tickets";

/// Which side is ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum We {
    Initiate,
    Accept,
}

impl We {
    pub(crate) const BOTH: [Self; 2] = [Self::Initiate, Self::Accept];
}

/// A handshake to be done.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Case {
    pub(crate) vendor: Vendor,
    pub(crate) we: We,
    pub(crate) service: &'static str,
    pub(crate) flags: Flags,
    pub(crate) ours: Option<&'static [u8]>,
    pub(crate) theirs: Option<&'static [u8]>,
}

impl Case {
    pub(crate) fn new(vendor: Vendor, we: We, service: &'static str) -> Self {
        Self {
            vendor,
            we,
            service,
            flags: ALL_FLAGS,
            ours: None,
            theirs: None,
        }
    }

    /// Every vendor, side and enctype.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        Vendor::ALL.into_iter().flat_map(|vendor| {
            We::BOTH.into_iter().flat_map(move |we| {
                SERVICES
                    .iter()
                    .map(move |(_, service, _)| Self::new(vendor, we, service))
            })
        })
    }

    /// Every vendor and side, with enctype 18.
    pub(crate) fn each_way() -> impl Iterator<Item = Self> {
        Self::all().filter(|case| case.service == "e18")
    }

    pub(crate) fn target(&self) -> String {
        format!("{}@localhost", self.service)
    }

    pub(crate) fn enctype(&self) -> &'static baton::kerberos::Enctype {
        let (number, ..) = SERVICES
            .iter()
            .find(|(_, name, _)| *name == self.service)
            .unwrap();
        baton::kerberos::Enctype::from_number(*number).unwrap()
    }

    pub(crate) fn bindings(&self) -> Option<ChannelBindings> {
        self.ours.map(ChannelBindings::application)
    }
}

/// The vendor's realm, with [`TICKETS`].
pub(crate) fn realm(vendor: Vendor) -> &'static Realm {
    static MIT: OnceLock<()> = OnceLock::new();
    static HEIMDAL: OnceLock<()> = OnceLock::new();
    let realm = shared(vendor);
    let ready = match vendor {
        Vendor::Mit => &MIT,
        Vendor::Heimdal => &HEIMDAL,
    };
    ready.get_or_init(|| {
        realm.kinit(Vendor::Mit, TICKETS);
        for (_, service, enctype) in SERVICES {
            let server = format!("{service}/localhost");
            realm.run("/usr/bin/kvno", TICKETS, &["-q", "-e", enctype, &server]);
        }
    });
    realm
}

pub(crate) fn config(realm: &Realm) -> Config {
    Config {
        krb5_conf: vec![realm.config()],
        store: Store::Memory,
        ..Config::default()
    }
}

pub(crate) fn environment(realm: &Realm) -> Environment {
    Environment::new(config(realm)).unwrap()
}

/// Ours, where just these enctypes are permitted, the preferred first.
pub(crate) fn environment_with(realm: &Realm, enctypes: &[&str]) -> Environment {
    Environment::new(Config {
        krb5_conf: vec![realm.config_permitting(enctypes)],
        ..config(realm)
    })
    .unwrap()
}

/// Ours, where the enctype of the service of `case` is the only one permitted, so that no other is negotiated.
pub(crate) fn own_config(case: Case) -> Config {
    let realm = realm(case.vendor);
    Config {
        krb5_conf: vec![realm.config_permitting(&[case.enctype().name()])],
        ..config(realm)
    }
}

/// Our credential as the initiator: the tickets that MIT's client got.
pub(crate) fn tickets(realm: &Realm) -> Credential {
    let bytes = fs::read(realm.path(TICKETS)).unwrap();
    Credential::from_cache(&CredentialCache::parse(&bytes).unwrap()).unwrap()
}

/// Our credential as the acceptor: all of the realm's services.
pub(crate) fn keys(realm: &Realm) -> Credential {
    let keytab = Keytab::parse(&fs::read(realm.keytab()).unwrap()).unwrap();
    Credential::from_keytab(Arc::new(keytab))
}

/// An established context: our end and theirs.
pub(crate) struct Pair {
    pub(crate) ours: Context,
    pub(crate) theirs: Peer,
}

impl Pair {
    /// Both sides' messages are under the key of one enctype, that of the service of `case`.
    pub(crate) fn assert_enctype(&mut self, case: Case) {
        let ours = self.ours.session_key().unwrap();
        let (key, told) = self.theirs.session_key();
        assert_eq!(ours.enctype, case.enctype().number(), "{case:?}");
        assert!(*ours.bytes == *key, "{case:?}: two keys");
        assert_told(case, &key, told);
    }
}

/// What theirs says of the context's key is true of the enctype of the service of `case`.
fn assert_told(case: Case, key: &[u8], told: Option<i32>) {
    assert_eq!(key.len(), case.enctype().key_length(), "{case:?}");
    let number = (case.vendor == Vendor::Mit).then(|| case.enctype().number());
    assert_eq!(told, number, "{case:?}");
}

/// Does the handshake of `case`, which must succeed, and whose messages are under the service's enctype.
pub(crate) fn establish(case: Case) -> Pair {
    let env = Environment::new(own_config(case)).unwrap();
    let mut pair = establish_in(&env, case);
    pair.assert_enctype(case);
    pair
}

/// The same with our side in `env`, whichever enctype is then agreed on.
pub(crate) fn establish_in(env: &Environment, case: Case) -> Pair {
    let realm = realm(case.vendor);
    let mut theirs = Peer::start(case.vendor, realm, TICKETS);
    let ours = match case.we {
        We::Initiate => initiated(env, realm, case, &mut theirs),
        We::Accept => accepted(env, realm, case, &mut theirs),
    };
    Pair { ours, theirs }
}

/// The handshake of `case` between two of theirs, the one in our place first, with messages under the service's enctype.
pub(crate) fn establish_theirs(case: Case) -> (Peer, Peer) {
    let realm = realm(case.vendor);
    let own = [case.enctype().name()];
    let start = || Peer::start_permitting(case.vendor, realm, TICKETS, &own);
    let (mut initiator, mut acceptor) = (start(), start());
    initiator.initiate(&case.target(), case.flags.bits(), None);
    acceptor.accept(None);
    let reply = acceptor.step(&initiator.step(&[]).token()).token();
    if !reply.is_empty() {
        initiator.step(&reply).token();
    }
    let (key, told) = acceptor.session_key();
    assert_told(case, &key, told);
    assert!(initiator.session_key() == (key, told), "{case:?}: two keys");
    match case.we {
        We::Initiate => (initiator, acceptor),
        We::Accept => (acceptor, initiator),
    }
}

/// Our first step as the initiator.
pub(crate) fn start(env: &Environment, realm: &Realm, case: Case) -> Step {
    let (cred, target) = (tickets(realm), Name::hostbased_service(&case.target()));
    let mut initiator = Initiator::new(env, &cred, &target).flags(case.flags);
    if let Some(bindings) = case.bindings() {
        initiator = initiator.bindings(bindings);
    }
    initiator
        .start()
        .unwrap_or_else(|error| panic!("{case:?}: {error}"))
}

fn initiated(env: &Environment, realm: &Realm, case: Case, theirs: &mut Peer) -> Context {
    theirs.accept(case.theirs);
    match start(env, realm, case) {
        Step::Continue { token, next } => {
            assert!(case.flags.contains(Flags::MUTUAL), "{case:?}");
            let Stepped::Done(reply) = theirs.step(&token) else {
                panic!("{case:?}: the acceptor is not done");
            };
            match next
                .step(&reply)
                .unwrap_or_else(|failure| panic!("{case:?}: {}", failure.error))
            {
                Step::Done {
                    token: None,
                    context,
                } => context,
                other => panic!("{case:?}: {other:?}"),
            }
        }
        Step::Done { token, context } => {
            assert!(!case.flags.contains(Flags::MUTUAL), "{case:?}");
            assert_eq!(theirs.step(&token.unwrap()).token(), b"", "{case:?}");
            context
        }
    }
}

/// Our one step as the acceptor.
pub(crate) fn accept(
    env: &Environment,
    realm: &Realm,
    case: Case,
    token: &[u8],
) -> Result<Step, baton::Failure> {
    let cred = keys(realm);
    let mut acceptor = Acceptor::new(env, &cred);
    if let Some(bindings) = case.bindings() {
        acceptor = acceptor.bindings(bindings);
    }
    acceptor.step(token)
}

fn accepted(env: &Environment, realm: &Realm, case: Case, theirs: &mut Peer) -> Context {
    theirs.initiate(&case.target(), case.flags.bits(), case.theirs);
    let request = theirs.step(&[]).token();
    let step = accept(env, realm, case, &request);
    let step = step.unwrap_or_else(|failure| panic!("{case:?}: {}", failure.error));
    let Step::Done { token, context } = step else {
        panic!("{case:?}: one step is enough");
    };
    assert_eq!(
        token.is_some(),
        case.flags.contains(Flags::MUTUAL),
        "{case:?}"
    );
    if let Some(reply) = token {
        let Stepped::Done(rest) = theirs.step(&reply) else {
            panic!("{case:?}: the initiator is not done");
        };
        assert_eq!(rest, b"", "{case:?}");
    }
    context
}
