//! Their programs and libraries in our development realm.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use baton::kerberos::keytab::Keytab;
use baton::realm::DevelopmentRealm;
use baton::{Acceptor, Initiator, Name, Step};
use interop::peer::{COMPLETE, Peer, program};
use interop::realm::{SERVICES, succeeded};
use interop::{Vendor, heimdal_program};
use tempfile::TempDir;

const REALM: &str = "DEVELOPMENT.TEST";
const PASSWORD: &str = "a secret";

/// A development realm and a directory for caches.
struct Setup {
    realm: DevelopmentRealm,
    dir: TempDir,
}

impl Setup {
    fn new(enctypes: &[i32]) -> Self {
        let realm = DevelopmentRealm::builder(REALM)
            .user("alice", PASSWORD)
            .service("host/localhost")
            .service("HTTP/localhost")
            .enctypes(enctypes)
            .start();
        let dir = TempDir::new().unwrap();
        fs::write(dir.path().join("password"), PASSWORD).unwrap();
        fs::write(dir.path().join("wrong"), "wrong").unwrap();
        Self {
            realm: realm.unwrap(),
            dir,
        }
    }

    fn command(&self, program: impl AsRef<std::ffi::OsStr>, ccache: &str) -> Command {
        let cache = self.dir.path().join(ccache);
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("KRB5_CONFIG", self.realm.krb5_conf())
            .env("KRB5_KTNAME", self.realm.keytab())
            .env("KRB5RCACHEDIR", self.dir.path())
            .env("KRB5CCNAME", format!("FILE:{}", cache.display()))
            .stdin(Stdio::null());
        command
    }

    fn run(&self, program: impl AsRef<Path>, ccache: &str, arguments: &[&str]) -> String {
        let output = self
            .command(program.as_ref(), ccache)
            .args(arguments)
            .output();
        succeeded(&program.as_ref().display().to_string(), output.unwrap())
    }

    fn kinit(&self, vendor: Vendor, ccache: &str, password: &str, arguments: &[&str]) -> Output {
        let file = self.dir.path().join(password);
        let user = format!("alice@{REALM}");
        match vendor {
            Vendor::Mit => self
                .command("/usr/bin/kinit", ccache)
                .args(arguments)
                .arg(user)
                .stdin(fs::File::open(file).unwrap())
                .output()
                .unwrap(),
            Vendor::Heimdal => self
                .command(heimdal_program("kinit.heimdal"), ccache)
                .args(arguments)
                .arg(format!("--password-file={}", file.display()))
                .arg(user)
                .output()
                .unwrap(),
        }
    }

    fn get_ticket(&self, vendor: Vendor, ccache: &str, server: &str) {
        match vendor {
            Vendor::Mit => self.run("/usr/bin/kvno", ccache, &[server]),
            Vendor::Heimdal => self.run(heimdal_program("kgetcred"), ccache, &[server]),
        };
    }
}

#[test]
fn their_clients_get_tickets_with_each_enctype() {
    let aes = SERVICES.map(|(number, _, enctype)| (number, enctype, &Vendor::ALL[..]));
    // As `klist` names them. Heimdal has no Camellia, and signs requests under a key of RC4 with MD5 alone, which our KDC refuses.
    let others = [
        (16, "DEPRECATED:des3-cbc-sha1", &Vendor::ALL[..]),
        (23, "DEPRECATED:arcfour-hmac", &[Vendor::Mit]),
        (25, "camellia128-cts-cmac", &[Vendor::Mit]),
        (26, "camellia256-cts-cmac", &[Vendor::Mit]),
    ];
    for (number, enctype, vendors) in aes.into_iter().chain(others) {
        let setup = Setup::new(&[number]);
        for &vendor in vendors {
            let ccache = format!("{vendor:?}");
            succeeded("kinit", setup.kinit(vendor, &ccache, "password", &[]));
            setup.get_ticket(vendor, &ccache, "HTTP/localhost");
            let listed = setup.run("/usr/bin/klist", &ccache, &["-e"]);
            let etypes = format!("Etype (skey, tkt): {enctype}, {enctype}");
            assert!(
                listed.contains(&format!("Default principal: alice@{REALM}")),
                "{listed}"
            );
            assert!(
                listed.contains(&format!("HTTP/localhost@{REALM}")),
                "{listed}"
            );
            assert_eq!(listed.matches(&etypes).count(), 2, "{vendor:?}: {listed}");
        }
    }
}

const ALL: [i32; 4] = [18, 17, 20, 19];

#[test]
fn their_clients_are_refused_by_name() {
    let setup = Setup::new(&ALL);
    for vendor in Vendor::ALL {
        let refused = setup.kinit(vendor, "refused", "wrong", &[]);
        assert!(!refused.status.success(), "{vendor:?}");
        let said = String::from_utf8_lossy(&refused.stderr).to_lowercase();
        assert!(
            said.contains("password incorrect") || said.contains("preauth"),
            "{said}"
        );
    }
    succeeded("kinit", setup.kinit(Vendor::Mit, "cc", "password", &[]));
    let unknown = setup
        .command("/usr/bin/kvno", "cc")
        .arg("nothing/localhost")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&unknown.stderr);
    assert!(said.contains("not found in Kerberos database"), "{said}");
    let nobody = setup
        .command("/usr/bin/kinit", "cc")
        .arg(format!("nobody@{REALM}"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&nobody.stderr);
    assert!(said.contains("not found in Kerberos database"), "{said}");
}

/// Lifetimes, renewal and flags as MIT's client asks for them.
#[test]
fn tickets_are_renewed_and_have_the_flags_asked_for() {
    let setup = Setup::new(&ALL);
    let asked = ["-l", "1h", "-r", "2h", "-f", "-p"];
    succeeded("kinit", setup.kinit(Vendor::Mit, "cc", "password", &asked));
    let listed = setup.run("/usr/bin/klist", "cc", &["-f"]);
    for flag in ["F", "P", "R", "I", "A"] {
        let line = listed.lines().find(|line| line.contains("Flags:")).unwrap();
        let flags = line.rsplit_once("Flags: ").unwrap().1;
        assert!(flags.contains(flag), "{flag}: {listed}");
    }
    assert!(listed.contains("renew until"), "{listed}");
    setup.run("/usr/bin/kinit", "cc", &["-R"]);
    setup.get_ticket(Vendor::Mit, "cc", "host/localhost");
}

/// `kvno` with our keytab decrypts the ticket that our KDC gave, and says the version.
#[test]
fn kvno_opens_our_tickets_with_our_keytab() {
    let setup = Setup::new(&ALL);
    succeeded("kinit", setup.kinit(Vendor::Mit, "cc", "password", &[]));
    let keytab = setup.realm.keytab().to_str().unwrap();
    let said = setup.run("/usr/bin/kvno", "cc", &["-k", keytab, "host/localhost"]);
    assert!(said.contains("kvno = 1, keytab entry valid"), "{said}");
    setup.realm.rotate_key("host/localhost").unwrap();
    setup.get_ticket(Vendor::Mit, "cc", "host/localhost");
    let parsed = Keytab::parse(&fs::read(setup.realm.keytab()).unwrap()).unwrap();
    assert!(parsed.entries.iter().any(|entry| entry.kvno == 2));
    succeeded("kinit", setup.kinit(Vendor::Mit, "new", "password", &[]));
    let said = setup.run("/usr/bin/kvno", "new", &["-k", keytab, "host/localhost"]);
    assert!(said.contains("kvno = 2, keytab entry valid"), "{said}");
    let said = setup.run("/usr/bin/kvno", "cc", &["-k", keytab, "host/localhost"]);
    assert!(said.contains("kvno = 1, keytab entry valid"), "{said}");
}

/// Contexts in our realm: theirs with theirs, and theirs with ours, which reads the cache that their client wrote.
#[test]
fn their_libraries_establish_contexts_in_our_realm() {
    let setup = Setup::new(&ALL);
    for vendor in Vendor::ALL {
        let ccache = format!("{vendor:?}");
        succeeded("kinit", setup.kinit(vendor, &ccache, "password", &[]));
        let start = || Peer::start_with(setup.command(program(vendor), &ccache));
        let (mut initiator, mut acceptor) = (start(), start());
        initiator.initiate("host@localhost", 62, None);
        acceptor.accept(None);
        let reply = acceptor.step(&initiator.step(&[]).token()).token();
        initiator.step(&reply).token();
        let sealed = initiator.wrap(true, b"theirs");
        assert_eq!(
            acceptor.unwrap(&sealed),
            (COMPLETE, true, b"theirs".to_vec())
        );

        let env = setup.realm.environment().unwrap();
        let cache = format!("FILE:{}", setup.dir.path().join(&ccache).display());
        let cred = baton::Credential::initiator(&env, Some(&cache)).unwrap();
        let target = Name::hostbased_service("HTTP@localhost");
        let Step::Continue { token, next } = Initiator::new(&env, &cred, &target).start().unwrap()
        else {
            panic!("mutual authentication has an answer");
        };
        acceptor.accept(None);
        next.step(&acceptor.step(&token).token()).unwrap();

        initiator.initiate("host@localhost", 62, None);
        let request = initiator.step(&[]).token();
        let keys = setup.realm.acceptor(&env).unwrap();
        let Ok(Step::Done { token, context }) = Acceptor::new(&env, &keys).step(&request) else {
            panic!("{vendor:?}: not accepted");
        };
        initiator.step(&token.unwrap()).token();
        assert_eq!(
            context
                .unwrap(&initiator.wrap(true, b"to ours"))
                .unwrap()
                .data,
            b"to ours"
        );
    }
}
