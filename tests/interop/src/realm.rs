//! A realm with a real KDC: MIT's or Heimdal's, its database in a temporary directory, on a free port of 127.0.0.1.

use std::fs;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::{Vendor, heimdal_program, needed};

/// The realm's name.
pub const REALM: &str = "INTEROP.TEST";
/// The client every realm has.
pub const CLIENT: &str = "alice";
/// The client's password.
pub const PASSWORD: &str = "alice's password";

/// An enctype's number, the service that has a key of just this one (`e18/localhost@INTEROP.TEST`), and its name.
pub type Service = (i32, &'static str, &'static str);

/// The four enctypes of AES.
pub const SERVICES: [Service; 4] = [
    (17, "e17", "aes128-cts-hmac-sha1-96"),
    (18, "e18", "aes256-cts-hmac-sha1-96"),
    (19, "e19", "aes128-cts-hmac-sha256-128"),
    (20, "e20", "aes256-cts-hmac-sha384-192"),
];

/// Ends the KDC when standard input ends, and so with the test process, however that ends; then removes the directory.
const GUARD: &str = r#"
dir=$1; shift; exec 3<&0
"$@" </dev/null 3<&- & kdc=$!
( read -r _ <&3; kill -9 $kdc ) &
wait $kdc; status=$?
[ $status -lt 128 ] || rm -rf "$dir"
exit $status
"#;

/// The realm of `vendor` that the tests of this process share; it is started at the first call.
pub fn shared(vendor: Vendor) -> &'static Realm {
    static MIT: OnceLock<Realm> = OnceLock::new();
    static HEIMDAL: OnceLock<Realm> = OnceLock::new();
    match vendor {
        Vendor::Mit => &MIT,
        Vendor::Heimdal => &HEIMDAL,
    }
    .get_or_init(|| Realm::start(vendor))
}

/// A running KDC; it ends with this value, or with the process.
pub struct Realm {
    vendor: Vendor,
    dir: TempDir,
    kdc: Child,
    port: u16,
}

impl Realm {
    /// Starts a KDC of `vendor` with [`CLIENT`] and the services of [`SERVICES`].
    pub fn start(vendor: Vendor) -> Self {
        Self::start_with(vendor, &SERVICES)
    }

    /// Starts a KDC of `vendor` that has and permits the enctypes of `services` and no others.
    pub fn start_with(vendor: Vendor, services: &[Service]) -> Self {
        let (dir, port) = configured(services);
        Self::start_in(dir, vendor, port, services)
    }

    /// Starts MIT's KDC so that anybody gets tickets of nobody's name with `kinit -n` (RFC 8062, over the KDC's certificate).
    pub fn start_anonymous(services: &[Service]) -> Self {
        let (dir, port) = configured(services);
        certify_kdc(dir.path());
        let realm = Self::start_in(dir, Vendor::Mit, port, services);
        realm.admin(&["addprinc -randkey WELLKNOWN/ANONYMOUS"]);
        realm
    }

    fn start_in(dir: TempDir, vendor: Vendor, port: u16, services: &[Service]) -> Self {
        fs::write(dir.path().join("password"), PASSWORD).expect("the password file");
        let kdc = match vendor {
            Vendor::Mit => start_mit(dir.path(), services),
            Vendor::Heimdal => start_heimdal(dir.path(), port, services),
        };
        let mut realm = Self {
            vendor,
            dir,
            kdc,
            port,
        };
        realm.await_kdc();
        realm
    }

    /// Whose KDC this is.
    pub fn vendor(&self) -> Vendor {
        self.vendor
    }

    /// The KDC's UDP and TCP port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// A path in the realm's directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The `krb5.conf` that leads to this realm.
    pub fn config(&self) -> PathBuf {
        self.path("krb5.conf")
    }

    /// A `krb5.conf` that leads to this realm and permits just these enctypes, the preferred first. Who wants messages under a
    /// certain enctype says so with it: an acceptor chooses its subkey's among all that both sides permit (RFC 4537).
    pub fn config_permitting(&self, enctypes: &[&str]) -> PathBuf {
        static FILES: AtomicU32 = AtomicU32::new(0);
        let whole = fs::read_to_string(self.config()).expect("krb5.conf");
        let lines = whole.lines().map(|line| match line.trim_start() {
            line if line.starts_with("permitted_enctypes") => {
                // Heimdal's libraries offer the second, whatever the first.
                let names = enctypes.join(" ");
                format!(" permitted_enctypes = {names}\n default_etypes = {names}\n")
            }
            _ => format!("{line}\n"),
        });
        // Tests of one process share the realm: nobody reads a file that is half written.
        let number = FILES.fetch_add(1, Ordering::Relaxed);
        let (own, path) = (
            self.path(&format!("permitting{number}")),
            self.path(&format!("{}.conf", enctypes.join("+"))),
        );
        fs::write(&own, lines.collect::<String>()).expect("a krb5.conf");
        fs::rename(own, &path).expect("a krb5.conf");
        path
    }

    /// The keytab with every service's keys.
    pub fn keytab(&self) -> PathBuf {
        self.path("krb5.keytab")
    }

    /// `command` with this realm's configuration, keytab and the credential cache `ccache` in its environment.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>, ccache: &str) -> Command {
        let mut command = Command::new(program);
        set_environment(&mut command, self.dir.path());
        command.env(
            "KRB5CCNAME",
            format!("FILE:{}", self.path(ccache).display()),
        );
        command
    }

    /// One of Heimdal's programs that `tests/install` unpacked, such as `kgetcred`.
    pub fn heimdal(&self, program: &str, ccache: &str) -> Command {
        self.command(heimdal_program(program), ccache)
    }

    /// Gets [`CLIENT`] a ticket-granting ticket with `vendor`'s kinit into the cache `ccache`.
    pub fn kinit(&self, vendor: Vendor, ccache: &str) {
        let password = self.path("password");
        let principal = format!("{CLIENT}@{REALM}");
        let output = match vendor {
            Vendor::Mit => {
                let input = fs::File::open(&password).expect("the password file");
                self.command("/usr/bin/kinit", ccache)
                    .arg(&principal)
                    .stdin(input)
                    .output()
            }
            Vendor::Heimdal => self
                .heimdal("kinit.heimdal", ccache)
                .arg(format!("--password-file={}", password.display()))
                .arg(&principal)
                .output(),
        };
        succeeded("kinit", output.expect("kinit starts"));
    }

    /// Runs `program` with `arguments` in this realm; its standard output. Panics, with what it said, if it fails.
    pub fn run(&self, program: &str, ccache: &str, arguments: &[&str]) -> String {
        let output = self
            .command(program, ccache)
            .args(arguments)
            .stdin(Stdio::null())
            .output();
        succeeded(
            program,
            output.unwrap_or_else(|e| panic!("{program}: {e}: run tests/install first")),
        )
    }

    /// One command of the KDC's own administration program, on its database.
    pub fn admin(&self, command: &[&str]) -> String {
        admin(self.vendor, self.dir.path(), command)
    }

    fn await_kdc(&mut self) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            if let Some(status) = self.kdc.try_wait().expect("the KDC's state") {
                let log = fs::read_to_string(self.path("kdc.log")).unwrap_or_default();
                panic!("the {:?} KDC ended at once ({status}): {log}", self.vendor);
            }
            assert!(
                Instant::now() < deadline,
                "the {:?} KDC does not listen",
                self.vendor
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Realm {
    fn drop(&mut self) {
        drop(self.kdc.stdin.take());
        let _ = self.kdc.wait();
    }
}

/// A port free for both UDP and TCP on 127.0.0.1.
pub fn free_port() -> u16 {
    loop {
        let tcp = TcpListener::bind("127.0.0.1:0").expect("a loopback port");
        let port = tcp.local_addr().expect("its address").port();
        if UdpSocket::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

pub(crate) fn set_environment(command: &mut Command, dir: &Path) {
    command
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env("KRB5_CONFIG", dir.join("krb5.conf"))
        .env("KRB5_KDC_PROFILE", dir.join("kdc.conf"))
        .env(
            "KRB5_KTNAME",
            format!("FILE:{}", dir.join("krb5.keytab").display()),
        )
        .env("KRB5RCACHEDIR", dir);
}

/// A directory with the configuration of a realm, and the port that is in it.
fn configured(services: &[Service]) -> (TempDir, u16) {
    let dir = tempfile::Builder::new().prefix("interop").tempdir();
    let dir = dir.expect("a temporary directory");
    let port = free_port();
    write_configuration(dir.path(), port, services);
    (dir, port)
}

fn write_configuration(dir: &Path, port: u16, services: &[Service]) {
    let path = dir.display();
    let types = services.iter().map(|(_, _, name)| *name);
    let types = types.collect::<Vec<_>>().join(" ");
    // MIT's KDC issues session keys of these only if it is told to.
    let allowed = match services
        .iter()
        .any(|(number, _, _)| [16, 23].contains(number))
    {
        true => " allow_des3 = true\n allow_rc4 = true\n",
        false => "",
    };
    let krb5 = format!(
        "[libdefaults]\n default_realm = {REALM}\n dns_canonicalize_hostname = false\n rdns = false\n \
         dns_lookup_kdc = false\n dns_lookup_realm = false\n{allowed} permitted_enctypes = {types}\n forwardable = true\n\
         [realms]\n {REALM} = {{\n  kdc = 127.0.0.1:{port}\n }}\n\
         [domain_realm]\n localhost = {REALM}\n"
    );
    let salted = |kind: &str| {
        let each = services.iter().map(|(_, _, name)| format!("{name}:{kind}"));
        each.collect::<Vec<_>>().join(" ")
    };
    let keys = salted("normal");
    // The two KDCs read different sections, so one file serves both.
    let kdc = format!(
        "{krb5}\
         [kdcdefaults]\n kdc_listen = 127.0.0.1:{port}\n kdc_tcp_listen = 127.0.0.1:{port}\n\
         [logging]\n kdc = FILE:{path}/kdc.log\n\
         [kadmin]\n default_keys = {pw_salts}\n\
         [kdc]\n database = {{\n  dbname = {path}/heimdal\n  realm = {REALM}\n  mkey_file = {path}/m-key\n \
         acl_file = {path}/acl\n  log_file = {path}/log\n }}\n",
        pw_salts = salted("pw-salt"),
    );
    let kdc = kdc.replacen(
        &format!("  kdc = 127.0.0.1:{port}\n"),
        &format!(
            "  kdc = 127.0.0.1:{port}\n  database_name = {path}/principal\n  key_stash_file = {path}/stash\n  \
             acl_file = {path}/acl\n  supported_enctypes = {keys}\n  max_life = 1d\n  max_renewable_life = 7d\n"
        ),
        1,
    );
    fs::write(dir.join("krb5.conf"), krb5).expect("krb5.conf");
    fs::write(dir.join("kdc.conf"), kdc).expect("kdc.conf");
    fs::write(dir.join("acl"), "").expect("acl");
}

/// A certificate for the KDC in `dir`, as RFC 4556 §3.2.4 has it: of itself, so that it is the anchor too.
fn certify_kdc(dir: &Path) {
    let form = format!(
        "[req]\ndistinguished_name=dn\n[dn]\n[kdc]\nkeyUsage=digitalSignature,keyEncipherment,keyAgreement\n\
         extendedKeyUsage=1.3.6.1.5.2.3.5\nsubjectAltName=otherName:1.3.6.1.5.2.2;SEQUENCE:name\n\
         [name]\nrealm=EXP:0,GeneralString:{REALM}\nprincipal=EXP:1,SEQUENCE:principal\n\
         [principal]\ntype=EXP:0,INTEGER:2\nparts=EXP:1,SEQUENCE:parts\n\
         [parts]\none=GeneralString:krbtgt\ntwo=GeneralString:{REALM}\n"
    );
    let [form_file, key, certificate] =
        ["kdc.req", "kdc.key", "kdc.pem"].map(|name| dir.join(name));
    fs::write(&form_file, form).expect("the certificate's form");
    let output = Command::new(needed("/usr/bin/openssl".into()))
        .args([
            "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
        ])
        .args(["-subj", "/CN=kdc", "-extensions", "kdc", "-config"])
        .arg(&form_file)
        .arg("-keyout")
        .arg(&key)
        .arg("-out")
        .arg(&certificate)
        .output();
    succeeded("openssl", output.expect("openssl starts"));
    let anchor = format!(" pkinit_anchors = FILE:{}\n", certificate.display());
    let identity = format!(
        " pkinit_identity = FILE:{},{}\n",
        certificate.display(),
        key.display()
    );
    for (file, section, lines) in [
        ("krb5.conf", "[libdefaults]\n", anchor.clone()),
        ("kdc.conf", "[kdcdefaults]\n", anchor + &identity),
    ] {
        let path = dir.join(file);
        let text = fs::read_to_string(&path).expect("a configuration");
        let text = text.replacen(section, &format!("{section}{lines}"), 1);
        fs::write(path, text).expect("a configuration");
    }
}

fn start_mit(dir: &Path, services: &[Service]) -> Child {
    let mut create = Command::new(needed("/usr/sbin/kdb5_util".into()));
    set_environment(&mut create, dir);
    let output = create
        .args(["-r", REALM, "create", "-s", "-P", "master"])
        .output()
        .expect("kdb5_util starts");
    succeeded("kdb5_util", output);
    let client = format!("addprinc -pw \"{PASSWORD}\" {CLIENT}");
    admin(Vendor::Mit, dir, &[&client]);
    for (_, service, enctype) in services {
        let keytab = dir.join("krb5.keytab");
        admin(
            Vendor::Mit,
            dir,
            &[&format!(
                "addprinc -randkey -e {enctype}:normal {service}/localhost"
            )],
        );
        // Without -norandkey the keytab entry would come with a new key of every supported enctype.
        admin(
            Vendor::Mit,
            dir,
            &[&format!(
                "ktadd -k {} -norandkey {service}/localhost",
                keytab.display()
            )],
        );
    }
    let mut kdc = Command::new(needed("/usr/sbin/krb5kdc".into()));
    kdc.args(["-n", "-r", REALM, "-P"]).arg(dir.join("kdc.pid"));
    spawn(&kdc, dir)
}

fn start_heimdal(dir: &Path, port: u16, services: &[Service]) -> Child {
    let mut stash = Command::new(heimdal_program("kstash"));
    set_environment(&mut stash, dir);
    let key_file = dir.join("m-key");
    let output = stash
        .arg("--random-key")
        .arg(format!("--key-file={}", key_file.display()))
        .output();
    succeeded("kstash", output.expect("kstash starts"));
    admin(
        Vendor::Heimdal,
        dir,
        &[
            "init",
            "--realm-max-ticket-life=1d",
            "--realm-max-renewable-life=7d",
            REALM,
        ],
    );
    admin(
        Vendor::Heimdal,
        dir,
        &[
            "add",
            &format!("--password={PASSWORD}"),
            "--use-defaults",
            CLIENT,
        ],
    );
    for (_, service, enctype) in services {
        let name = format!("{service}/localhost");
        admin(
            Vendor::Heimdal,
            dir,
            &["add", "--random-key", "--use-defaults", &name],
        );
        for (_, _, other) in services.iter().filter(|(_, _, other)| other != enctype) {
            admin(Vendor::Heimdal, dir, &["del_enctype", &name, other]);
        }
        let keytab = format!("--keytab={}", dir.join("krb5.keytab").display());
        admin(Vendor::Heimdal, dir, &["ext_keytab", &keytab, &name]);
    }
    let mut kdc = Command::new(heimdal_program("kdc"));
    kdc.arg(format!("--config-file={}", dir.join("kdc.conf").display()))
        .arg(format!("--ports={port}"))
        .arg("--addresses=127.0.0.1");
    spawn(&kdc, dir)
}

pub(crate) fn spawn(kdc: &Command, dir: &Path) -> Child {
    let log = fs::File::create(dir.join("kdc.out")).expect("the KDC's output file");
    let errors = log.try_clone().expect("the KDC's output file");
    let mut guarded = Command::new("/bin/sh");
    set_environment(&mut guarded, dir);
    guarded
        .args(["-c", GUARD, "guard"])
        .arg(dir)
        .arg(kdc.get_program())
        .args(kdc.get_args())
        .stdin(Stdio::piped())
        .stdout(log)
        .stderr(errors)
        .spawn()
        .expect("the KDC starts")
}

fn admin(vendor: Vendor, dir: &Path, command: &[&str]) -> String {
    let mut program = match vendor {
        Vendor::Mit => Command::new(needed("/usr/sbin/kadmin.local".into())),
        Vendor::Heimdal => Command::new(heimdal_program("kadmin.heimdal")),
    };
    set_environment(&mut program, dir);
    match vendor {
        Vendor::Mit => program.args(["-r", REALM, "-q"]).arg(command.join(" ")),
        Vendor::Heimdal => program
            .args(["-l", "-r", REALM])
            .arg(format!("--config-file={}", dir.join("kdc.conf").display()))
            .args(command),
    };
    let output = program
        .stdin(Stdio::null())
        .output()
        .expect("kadmin starts");
    succeeded(&format!("kadmin {}", command.join(" ")), output)
}

/// The standard output of a program that succeeded. Panics, with what it said, if it did not.
pub fn succeeded(what: &str, output: std::process::Output) -> String {
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(
        output.status.success(),
        "{what}: {}\n{out}{err}",
        output.status
    );
    out.into_owned()
}
