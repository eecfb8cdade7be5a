//! The table of `docs/errors.md`: each row is produced for real, and its text is the one in the file.
#![allow(missing_docs)]

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use baton::kerberos::ccache::CredentialCache;
use baton::kerberos::{Principal, keytab::Keytab};
use baton::realm::DevelopmentRealm;
use baton::status::minor_name;
use baton::{
    Acceptor, ChannelBindings, Config, Context, Credential, Environment, Error, ExportOptions,
    Initiator, Name, Step, Store,
};
use wire::time::{Clock, Timestamp};

/// What the realm is called, and its one user and service.
const REALM: &str = "EXAMPLE.TEST";

struct Setting {
    realm: DevelopmentRealm,
    env: Environment,
    home: tempfile::TempDir,
}

impl Setting {
    fn new() -> Self {
        let realm = DevelopmentRealm::builder(REALM)
            .user("alice", "secret")
            .service("HTTP/localhost")
            .start()
            .unwrap();
        let env = realm.environment().unwrap();
        let home = tempfile::tempdir().unwrap();
        Self { realm, env, home }
    }

    fn path(&self, name: &str) -> String {
        self.home.path().join(name).display().to_string()
    }

    fn file(&self, name: &str) -> String {
        format!("FILE:{}", self.path(name))
    }

    fn alice(&self) -> Credential {
        self.realm.credential(&self.env, "alice").unwrap()
    }

    fn service(&self) -> Credential {
        self.realm.acceptor(&self.env).unwrap()
    }

    /// The realm's configuration with other lines for KDCs, or with lines of its own.
    fn configured(&self, libdefaults: &str, realms: &str) -> Environment {
        let text = format!(
            "[libdefaults]\n default_realm = {REALM}\n dns_lookup_kdc = false\n{libdefaults}\n[realms]\n {REALM} = {{\n{realms}\n }}\n"
        );
        let path = self.home.path().join("krb5.conf");
        fs::write(&path, text).unwrap();
        Environment::new(Config {
            krb5_conf: vec![path],
            store: Store::Memory,
            ..self.realm.config()
        })
        .unwrap()
    }

    /// The realm by a clock that is ahead.
    fn ahead(&self, by: Duration) -> Environment {
        let config = Config {
            store: Store::Memory,
            ..self.realm.config()
        };
        Environment::with_clock(config, ahead(by)).unwrap()
    }

    /// The first token of a context with the service.
    fn token(&self) -> Vec<u8> {
        first_token(&self.env, &self.alice(), None)
    }
}

fn ahead(by: Duration) -> Arc<dyn Clock> {
    Arc::new(move || {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap() + by;
        Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap())
    })
}

fn service() -> Name {
    Name::hostbased_service("HTTP@localhost")
}

fn alice() -> Name {
    Name::krb5_principal("alice@EXAMPLE.TEST")
}

fn first_token(env: &Environment, cred: &Credential, bindings: Option<&[u8]>) -> Vec<u8> {
    let name = service();
    let mut initiator = Initiator::new(env, cred, &name);
    if let Some(bindings) = bindings {
        initiator = initiator.bindings(ChannelBindings::application(bindings));
    }
    match initiator.start().unwrap() {
        Step::Continue { token, .. } => token,
        Step::Done { .. } => panic!("mutual authentication has an answer"),
    }
}

fn initiate(env: &Environment, cred: &Credential, target: &str) -> Error {
    let name = Name::hostbased_service(target);
    Initiator::new(env, cred, &name).start().unwrap_err()
}

fn accept(env: &Environment, cred: &Credential, token: &[u8]) -> Error {
    Acceptor::new(env, cred).step(token).unwrap_err().error
}

fn contexts(setting: &Setting, env: &Environment) -> (Context, Context) {
    setting
        .realm
        .contexts(env, "alice", "HTTP/localhost")
        .unwrap()
}

fn old_keytab(path: &Path) -> Credential {
    Credential::from_keytab(Arc::new(Keytab::parse(&fs::read(path).unwrap()).unwrap()))
}

type Row = (&'static str, fn(&Setting) -> Error);

/// What goes wrong, and how to make it go wrong.
const ROWS: [Row; 24] = [
    ("no ticket: there is no credential cache", |it| {
        Credential::initiator(&it.env, Some(&it.file("ccache"))).unwrap_err()
    }),
    ("no ticket: the cache has none to get others with", |it| {
        let alice = Principal::parse("alice@EXAMPLE.TEST", None).unwrap();
        let cred = Credential::from_cache(&CredentialCache::new(alice)).unwrap();
        initiate(&it.env, &cred, "HTTP@localhost")
    }),
    ("the ticket-granting ticket has expired", |it| {
        let cred = it.alice();
        initiate(
            &it.ahead(Duration::from_secs(30 * 86_400)),
            &cred,
            "HTTP@localhost",
        )
    }),
    ("wrong password", |it| {
        Credential::with_password(&it.env, &alice(), "wrong").unwrap_err()
    }),
    ("unknown client", |it| {
        let name = Name::krb5_principal("bob@EXAMPLE.TEST");
        Credential::with_password(&it.env, &name, "secret").unwrap_err()
    }),
    ("unknown service", |it| {
        initiate(&it.env, &it.alice(), "ldap@localhost")
    }),
    ("the KDC cannot be reached", |it| {
        let closed = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        let env = it.configured("", &format!("  kdc = tcp/{closed}"));
        Credential::with_password(&env, &alice(), "secret").unwrap_err()
    }),
    ("no KDC is known", |it| {
        let env = it.configured("", "");
        Credential::with_password(&env, &alice(), "secret").unwrap_err()
    }),
    ("a name without a realm, and no default realm", |_| {
        let config = Config {
            settings: Some(Default::default()),
            ..Config::default()
        };
        let env = Environment::new(config).unwrap();
        env.canonicalize(&Name::krb5_principal("alice"))
            .unwrap_err()
    }),
    ("no keytab", |it| {
        Credential::acceptor(&it.env, Some(&it.file("keytab"))).unwrap_err()
    }),
    ("the keytab cannot be read", |it| {
        let path = it.home.path().join("directory");
        fs::create_dir(&path).unwrap();
        Credential::acceptor(&it.env, Some(&format!("FILE:{}", path.display()))).unwrap_err()
    }),
    ("the keytab has no key for the service", |it| {
        let other = DevelopmentRealm::builder(REALM)
            .service("ldap/localhost")
            .start()
            .unwrap();
        accept(&it.env, &old_keytab(other.keytab()), &it.token())
    }),
    ("wrong kvno: the keytab is older than the ticket", |it| {
        let old = old_keytab(it.realm.keytab());
        it.realm.rotate_key("HTTP/localhost").unwrap();
        accept(&it.env, &old, &it.token())
    }),
    ("the key in the keytab is another one", |it| {
        let other = DevelopmentRealm::builder(REALM)
            .service("HTTP/localhost")
            .start()
            .unwrap();
        accept(&it.env, &old_keytab(other.keytab()), &it.token())
    }),
    (
        "the acceptor is to be a service that the keytab does not have",
        |it| {
            let name = Name::krb5_principal("ldap/localhost@EXAMPLE.TEST");
            it.service().for_service(&it.env, &name).unwrap_err()
        },
    ),
    ("clock skew between client and service", |it| {
        let env = it.ahead(Duration::from_secs(3600));
        accept(&env, &it.service(), &it.token())
    }),
    ("wrong enctype: not permitted here", |it| {
        let kdc = format!("  kdc = {}", it.realm.address());
        let env = it.configured(" permitted_enctypes = aes128-cts-hmac-sha1-96", &kdc);
        accept(&env, &it.service(), &it.token())
    }),
    ("replay", |it| {
        let (token, service) = (it.token(), it.service());
        Acceptor::new(&it.env, &service).step(&token).unwrap();
        accept(&it.env, &service, &token)
    }),
    ("the channel bindings differ", |it| {
        let token = first_token(&it.env, &it.alice(), Some(b"tls-unique:a"));
        let bindings = ChannelBindings::application(&b"tls-unique:b"[..]);
        let cred = it.service();
        let acceptor = Acceptor::new(&it.env, &cred).bindings(bindings);
        acceptor.step(&token).unwrap_err().error
    }),
    ("the token is not one of Kerberos or SPNEGO", |it| {
        accept(&it.env, &it.service(), b"GET / HTTP/1.1\r\n")
    }),
    ("a message was changed on its way", |it| {
        let (client, server) = contexts(it, &it.env);
        let mut token = client.wrap(true, b"message").unwrap();
        *token.last_mut().unwrap() ^= 1;
        server.unwrap(&token).unwrap_err()
    }),
    ("a context is imported twice", |it| {
        let (_, server) = contexts(it, &it.env);
        let token = server.export(&ExportOptions::default()).unwrap();
        Context::import(&it.env, &token).unwrap();
        Context::import(&it.env, &token).unwrap_err()
    }),
    ("a credential is used for the other side", |it| {
        initiate(&it.env, &it.service(), "HTTP@localhost")
    }),
    ("the replay check does not work", |it| {
        // A file where the store's directory should be.
        let place = it.home.path().join("store");
        fs::write(&place, "").unwrap();
        let store = Store::File {
            directory: Some(place),
        };
        let env = Environment::new(Config {
            store,
            ..it.realm.config()
        })
        .unwrap();
        accept(&env, &it.service(), &it.token())
    }),
];

/// The text, with names in the place of what differs from run to run.
fn general(text: &str, setting: &Setting) -> String {
    let text = text.replace(&*setting.home.path().to_string_lossy(), "DIR");
    let realm = setting.realm.keytab().parent().unwrap();
    let text = text.replace(&*realm.to_string_lossy(), "DIR");
    let mut out = String::new();
    let mut rest = &*text;
    while let Some(at) = rest.find("127.0.0.1:") {
        let (before, after) = rest.split_at(at);
        let digits = after["127.0.0.1:".len()..]
            .bytes()
            .take_while(u8::is_ascii_digit)
            .count();
        out.push_str(before);
        out.push_str("127.0.0.1:PORT");
        rest = &after["127.0.0.1:".len() + digits..];
    }
    out.push_str(rest);
    // How far apart the clocks are depends on how long the test takes.
    let Some((before, after)) = out.split_once("the clocks are ") else {
        return out;
    };
    let after = after.trim_start_matches(|digit: char| digit.is_ascii_digit());
    format!("{before}the clocks are N{after}")
}

/// As code in Markdown, whatever is in it.
fn code(text: &str) -> String {
    match text.contains('`') {
        true => format!("`` {text} ``"),
        false => format!("`{text}`"),
    }
}

#[test]
fn each_row_of_the_table_is_what_happens() {
    let mut produced = String::new();
    for (what, make) in ROWS {
        let setting = Setting::new();
        let error = make(&setting);
        let (major, text) = (error.major(), general(&error.to_string(), &setting));
        let minor = match (error.minor(), minor_name(error.minor())) {
            (0, _) => "-".to_owned(),
            (_, Some(name)) => format!("`{name}`"),
            (code, None) => format!("`{code:#x}`"),
        };
        let text = code(&text);
        produced.push_str(&format!("| {what} | `{major:?}` | {minor} | {text} |\n"));
    }
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/errors.md");
    let file = fs::read_to_string(file).unwrap();
    let rows = file
        .lines()
        .skip_while(|line| !line.starts_with("|---"))
        .skip(1);
    // The last column is what to do, for people.
    let without_last = |line: &str| match line.rsplit_once(" | ") {
        Some((row, _)) => format!("{row} |\n"),
        None => line.to_owned(),
    };
    let rows = rows.take_while(|line| line.starts_with('|'));
    let written: String = rows.map(without_last).collect();
    assert_eq!(written, produced, "\nthe table should be:\n{produced}");
}
