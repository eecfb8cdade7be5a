//! Several realms that trust one another, each with a KDC of either vendor on loopback.

use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::realm::{CLIENT, PASSWORD, free_port, set_environment, spawn, succeeded};
use crate::{Vendor, heimdal_program, needed};

/// What two realms share. Each makes the same key of it, because both have the same salt.
const SHARED: &str = "shared by two realms";
/// The enctype of every key.
const ENCTYPE: &str = "aes256-cts-hmac-sha1-96";

/// A realm that is to be there.
#[derive(Clone, Copy, Debug)]
pub struct Member<'m> {
    /// Its name.
    pub name: &'m str,
    /// Whose KDC it has.
    pub vendor: Vendor,
    /// Its services, besides [`CLIENT`].
    pub services: &'m [&'m str],
    /// The realms that it shares keys with.
    pub trusts: &'m [&'m str],
}

/// Running KDCs; they end with this value, or with the process.
pub struct Realms {
    kdcs: Vec<Kdc>,
    dir: TempDir,
}

struct Kdc {
    name: String,
    vendor: Vendor,
    port: u16,
    child: Child,
    dir: PathBuf,
}

impl Realms {
    /// Starts a KDC for each of `members`. `configuration` is what each KDC knows besides, such as `[capaths]`.
    pub fn start(members: &[Member<'_>], configuration: &str) -> Self {
        let dir = tempfile::Builder::new().prefix("interop").tempdir();
        let dir = dir.expect("a temporary directory");
        let ports: Vec<_> = members.iter().map(|_| free_port()).collect();
        let places = members.iter().zip(&ports);
        let places: Vec<_> = places.map(|(one, port)| (one.name, *port)).collect();
        fs::write(dir.path().join("password"), PASSWORD).expect("the password file");
        let kdcs = members.iter().zip(ports);
        let kdcs = kdcs.map(|(member, port)| {
            let own = dir.path().join(member.name);
            fs::create_dir(&own).expect("the KDC's directory");
            configure(&own, member, &places, configuration);
            let kdc = Kdc {
                name: member.name.to_owned(),
                vendor: member.vendor,
                port,
                child: start(&own, member, port),
                dir: own,
            };
            kdc.awaited()
        });
        Self {
            kdcs: kdcs.collect(),
            dir,
        }
    }

    /// A path in a directory of these realms' own.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A `krb5.conf` for clients and services at home in `realm`, with `more` in it.
    pub fn client_conf(&self, realm: &str, more: &str) -> PathBuf {
        let path = self.path(&format!("client-{realm}.conf"));
        let places: Vec<_> = self.kdcs.iter().map(|kdc| (&*kdc.name, kdc.port)).collect();
        let text = format!("{}{more}", libdefaults(realm, &places));
        fs::write(&path, text).expect("krb5.conf");
        path
    }

    /// The keytab of the realm's services.
    pub fn keytab(&self, realm: &str) -> PathBuf {
        self.kdc(realm).dir.join("krb5.keytab")
    }

    /// One command of the administration program of the realm's KDC.
    pub fn admin(&self, realm: &str, command: &[&str]) -> String {
        let kdc = self.kdc(realm);
        admin(kdc.vendor, &kdc.dir, &kdc.name, command)
    }

    /// A program with the configuration `conf` and the cache `ccache`.
    pub fn command(
        &self,
        program: impl AsRef<std::ffi::OsStr>,
        conf: &Path,
        ccache: &str,
    ) -> Command {
        let mut command = Command::new(program);
        let ccache = format!("FILE:{}", self.path(ccache).display());
        command
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("KRB5_CONFIG", conf)
            .env("KRB5RCACHEDIR", self.dir.path())
            .env("KRB5CCNAME", ccache)
            .stdin(Stdio::null());
        command
    }

    /// Gets [`CLIENT`] of `realm` a ticket-granting ticket with MIT's kinit.
    pub fn kinit(&self, realm: &str, conf: &Path, ccache: &str) {
        let password = fs::File::open(self.path("password")).expect("the password file");
        let output = self
            .command("/usr/bin/kinit", conf, ccache)
            .arg(format!("{CLIENT}@{realm}"))
            .stdin(password)
            .output();
        succeeded("kinit", output.expect("kinit starts"));
    }

    /// What `vendor`'s program says that gets a ticket for `server`.
    pub fn get_ticket(&self, vendor: Vendor, conf: &Path, ccache: &str, server: &str) -> Output {
        let program = match vendor {
            Vendor::Mit => PathBuf::from("/usr/bin/kvno"),
            Vendor::Heimdal => heimdal_program("kgetcred"),
        };
        let output = self.command(program, conf, ccache).arg(server).output();
        output.expect("the program starts")
    }

    fn kdc(&self, realm: &str) -> &Kdc {
        let found = self.kdcs.iter().find(|kdc| kdc.name == realm);
        found.unwrap_or_else(|| panic!("no realm {realm}"))
    }
}

impl Kdc {
    fn awaited(mut self) -> Self {
        let deadline = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            if let Some(status) = self.child.try_wait().expect("the KDC's state") {
                let log = fs::read_to_string(self.dir.join("kdc.out")).unwrap_or_default();
                panic!("the KDC of {} ended at once ({status}): {log}", self.name);
            }
            assert!(
                Instant::now() < deadline,
                "the KDC of {} does not listen",
                self.name
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        self
    }
}

impl Drop for Kdc {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

fn libdefaults(realm: &str, places: &[(&str, u16)]) -> String {
    let realms = places
        .iter()
        .map(|(name, port)| format!(" {name} = {{\n  kdc = 127.0.0.1:{port}\n }}\n"));
    format!(
        "[libdefaults]\n default_realm = {realm}\n dns_canonicalize_hostname = false\n rdns = false\n \
         dns_lookup_kdc = false\n dns_lookup_realm = false\n forwardable = true\n[realms]\n{}",
        realms.collect::<String>()
    )
}

/// One file that both vendors' KDCs read.
fn configure(dir: &Path, member: &Member<'_>, places: &[(&str, u16)], more: &str) {
    let (name, path) = (member.name, dir.display());
    let krb5 = libdefaults(name, places) + more;
    let (_, port) = places
        .iter()
        .find(|(other, _)| *other == name)
        .expect("its own port");
    let kdc = format!(
        "{krb5}[kdcdefaults]\n kdc_listen = 127.0.0.1:{port}\n kdc_tcp_listen = 127.0.0.1:{port}\n\
         [logging]\n kdc = FILE:{path}/kdc.log\n[kadmin]\n default_keys = {ENCTYPE}:pw-salt\n\
         [kdc]\n database = {{\n  dbname = {path}/heimdal\n  realm = {name}\n  mkey_file = {path}/m-key\n  \
         acl_file = {path}/acl\n  log_file = {path}/log\n }}\n"
    );
    let kdc = kdc.replacen(
        &format!("  kdc = 127.0.0.1:{port}\n"),
        &format!(
            "  kdc = 127.0.0.1:{port}\n  database_name = {path}/principal\n  key_stash_file = {path}/stash\n  \
             acl_file = {path}/acl\n  supported_enctypes = {ENCTYPE}:normal\n  max_life = 1d\n  max_renewable_life = 7d\n  \
             reject_bad_transit = false\n"
        ),
        1,
    );
    fs::write(dir.join("krb5.conf"), krb5).expect("krb5.conf");
    fs::write(dir.join("kdc.conf"), kdc).expect("kdc.conf");
    fs::write(dir.join("acl"), "").expect("acl");
}

fn start(dir: &Path, member: &Member<'_>, port: u16) -> Child {
    let run = |command: &[&str]| admin(member.vendor, dir, member.name, command);
    match member.vendor {
        Vendor::Mit => {
            let mut create = Command::new(needed("/usr/sbin/kdb5_util".into()));
            set_environment(&mut create, dir);
            let create = create.args(["-r", member.name, "create", "-s", "-P", "master"]);
            succeeded("kdb5_util", create.output().expect("kdb5_util starts"));
        }
        Vendor::Heimdal => {
            let mut stash = Command::new(heimdal_program("kstash"));
            set_environment(&mut stash, dir);
            let key_file = format!("--key-file={}", dir.join("m-key").display());
            let stash = stash.args(["--random-key", &key_file]);
            succeeded("kstash", stash.output().expect("kstash starts"));
            run(&[
                "init",
                "--realm-max-ticket-life=1d",
                "--realm-max-renewable-life=7d",
                member.name,
            ]);
        }
    }
    add_with_password(member, dir, CLIENT, PASSWORD);
    for other in member.trusts {
        for granting in [
            format!("krbtgt/{other}@{}", member.name),
            format!("krbtgt/{}@{other}", member.name),
        ] {
            add_with_password(member, dir, &granting, SHARED);
        }
    }
    for service in member.services {
        add_service(member, dir, service);
    }
    let mut kdc = match member.vendor {
        Vendor::Mit => Command::new(needed("/usr/sbin/krb5kdc".into())),
        Vendor::Heimdal => Command::new(heimdal_program("kdc")),
    };
    match member.vendor {
        Vendor::Mit => kdc
            .args(["-n", "-r", member.name, "-P"])
            .arg(dir.join("kdc.pid")),
        Vendor::Heimdal => kdc
            .arg(format!("--config-file={}", dir.join("kdc.conf").display()))
            .arg(format!("--ports={port}"))
            .arg("--addresses=127.0.0.1"),
    };
    spawn(&kdc, dir)
}

fn add_with_password(member: &Member<'_>, dir: &Path, name: &str, password: &str) {
    let run = |command: &[&str]| admin(member.vendor, dir, member.name, command);
    match member.vendor {
        Vendor::Mit => run(&[&format!("addprinc -pw \"{password}\" {name}")]),
        Vendor::Heimdal => run(&[
            "add",
            &format!("--password={password}"),
            "--use-defaults",
            name,
        ]),
    };
}

fn add_service(member: &Member<'_>, dir: &Path, name: &str) {
    let run = |command: &[&str]| admin(member.vendor, dir, member.name, command);
    let keytab = dir.join("krb5.keytab");
    let keytab = keytab.display();
    match member.vendor {
        Vendor::Mit => {
            run(&[&format!("addprinc -randkey {name}")]);
            run(&[&format!("ktadd -k {keytab} -norandkey {name}")])
        }
        Vendor::Heimdal => {
            run(&["add", "--random-key", "--use-defaults", name]);
            run(&["ext_keytab", &format!("--keytab={keytab}"), name])
        }
    };
}

fn admin(vendor: Vendor, dir: &Path, realm: &str, command: &[&str]) -> String {
    let mut program = match vendor {
        Vendor::Mit => Command::new(needed("/usr/sbin/kadmin.local".into())),
        Vendor::Heimdal => Command::new(heimdal_program("kadmin.heimdal")),
    };
    set_environment(&mut program, dir);
    match vendor {
        Vendor::Mit => program.args(["-r", realm, "-q"]).arg(command.join(" ")),
        Vendor::Heimdal => program
            .args(["-l", "-r", realm])
            .arg(format!("--config-file={}", dir.join("kdc.conf").display()))
            .args(command),
    };
    let output = program.stdin(Stdio::null()).output();
    succeeded(
        &format!("kadmin {}", command.join(" ")),
        output.expect("kadmin starts"),
    )
}
