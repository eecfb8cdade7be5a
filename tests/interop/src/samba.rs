//! A domain of Samba's: its directory and KDC, as an Active Directory has them, in a temporary directory and on a free port
//! of 127.0.0.1. `peers/samba_domain.py` says who is in it.

use std::fs;
use std::net::TcpStream;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::realm::{free_port, set_environment, spawn, succeeded};
use crate::{needed, peers_dir};

/// The realm's name.
pub const REALM: &str = "SAMBA.TEST";

/// The password of an account.
pub fn password(account: &str) -> String {
    format!("A.Passw0rd.of.{account}")
}

/// The domain that the tests of this process share; it is made at the first call.
pub fn shared() -> &'static Domain {
    static DOMAIN: OnceLock<Domain> = OnceLock::new();
    DOMAIN.get_or_init(Domain::start)
}

/// A domain with its KDC running; it ends with this value, or with the process.
pub struct Domain {
    dir: TempDir,
    kdc: Child,
}

impl Domain {
    /// Makes the domain and starts its KDC.
    pub fn start() -> Self {
        let dir = tempfile::Builder::new().prefix("interop").tempdir();
        let dir = dir.expect("a temporary directory");
        let port = free_port();
        configure(dir.path(), port);
        provision(dir.path(), port);
        let kdc = start(dir.path());
        let mut domain = Self { dir, kdc };
        domain.await_kdc(port);
        domain
    }

    /// A path in the domain's directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The `krb5.conf` that leads to this domain.
    pub fn config(&self) -> PathBuf {
        self.path("krb5.conf")
    }

    /// The keytab with every service's keys.
    pub fn keytab(&self) -> PathBuf {
        self.path("krb5.keytab")
    }

    /// `command` with this domain's configuration, keytab and the credential cache `ccache` in its environment.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>, ccache: &str) -> Command {
        let mut command = Command::new(program);
        set_environment(&mut command, self.dir.path());
        let ccache = format!("FILE:{}", self.path(ccache).display());
        command.env("KRB5CCNAME", ccache);
        command
    }

    fn await_kdc(&mut self, port: u16) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            let log = self.path("kdc.out");
            let log = || fs::read_to_string(&log).unwrap_or_default();
            if let Some(status) = self.kdc.try_wait().expect("the KDC's state") {
                panic!("Samba ended at once ({status}): {}", log());
            }
            assert!(
                Instant::now() < deadline,
                "Samba's KDC does not listen: {}",
                log()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Domain {
    fn drop(&mut self) {
        drop(self.kdc.stdin.take());
        let _ = self.kdc.wait();
    }
}

fn configure(dir: &Path, port: u16) {
    let text = format!(
        "[libdefaults]\n default_realm = {REALM}\n dns_canonicalize_hostname = false\n rdns = false\n \
         dns_lookup_kdc = false\n dns_lookup_realm = false\n forwardable = true\n\
         [realms]\n {REALM} = {{\n  kdc = 127.0.0.1:{port}\n }}\n[domain_realm]\n .samba.test = {REALM}\n"
    );
    fs::write(dir.join("krb5.conf"), text).expect("krb5.conf");
}

fn provision(dir: &Path, port: u16) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/samba_domain.py");
    // Debian's own interpreter has the module `samba`, whichever else is first on the path.
    let mut python = Command::new(needed("/usr/bin/python3".into()));
    set_environment(&mut python, dir);
    let output = python
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("LD_LIBRARY_PATH", libraries())
        .arg(script)
        .arg(dir)
        .arg(port.to_string())
        .stdin(Stdio::null())
        .output();
    succeeded("samba_domain.py", output.expect("python3 starts"));
}

/// What `tests/install` unpacked.
fn unpacked() -> PathBuf {
    needed(peers_dir().join("samba"))
}

fn libraries() -> PathBuf {
    unpacked().join("lib")
}

/// Samba loads its modules from where it would be installed, where there are all but the services.
fn modules(dir: &Path) -> PathBuf {
    let modules = dir.join("modules");
    fs::create_dir(&modules).expect("a directory");
    let installed = fs::read_dir(unpacked().join("installed")).expect("Samba's modules");
    for one in installed.map(|one| one.expect("a module")) {
        symlink(one.path(), modules.join(one.file_name())).expect("a link");
    }
    symlink(unpacked().join("service"), modules.join("service")).expect("a link");
    modules
}

/// The library that tells Samba where they are.
fn finder(dir: &Path) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/samba_modules.c");
    let library = dir.join("modules.so");
    let output = Command::new("gcc")
        .args(["-shared", "-fPIC", "-Wall", "-Werror", "-o"])
        .arg(&library)
        .arg(source)
        .arg("-l:libtalloc.so.2")
        .output();
    succeeded("gcc", output.expect("gcc starts"));
    library
}

fn start(dir: &Path) -> Child {
    let setting = |name: &str, value: &Path| format!("{name}={}", value.display());
    let mut kdc = Command::new("/usr/bin/env");
    kdc.arg(setting("SAMBA_PEER_MODULES", &modules(dir)))
        .arg(setting("LD_PRELOAD", &finder(dir)))
        .arg(setting("LD_LIBRARY_PATH", &libraries()))
        .arg(needed(unpacked().join("samba")))
        .args(["--interactive", "--model=single", "--debug-stdout", "-s"])
        .arg(dir.join("smb.conf"));
    spawn(&kdc, dir)
}
