//! OpenSSH: `gssapi-with-mic` (RFC 4462 §3), the key exchange of RFC 4462 §2 and `gssapi-keyex` after it, and tickets that go along.
//!
//! The server is one of this test's, with its own configuration, host key and users. Its unprivileged process has GSS-API done by
//! the monitor; the key exchange of a session is done again after the login, by the user's process through the monitor.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::chown;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use interop::daemon::Daemon;
use interop::library::Library;
use interop::realm::{CLIENT, free_port};

use crate::site::{bounded, client, is_root, mode, realm, runs_on, said, server, unpacked};

/// The user of the sessions, whom the machine does not know.
const USER: u32 = 20_001;

struct Sshd {
    daemon: Daemon,
    library: Library,
    port: u16,
}

impl Sshd {
    fn start(library: Library) -> Self {
        let port = free_port();
        let folder = realm().path(&format!("sshd-{port}"));
        fs::create_dir(&folder).unwrap();
        mode(&folder, 0o755);
        let path = |name: &str| folder.join(name);
        said(Command::new("/usr/bin/ssh-keygen").args([
            "-q",
            "-t",
            "ed25519",
            "-N",
            "",
            "-f",
            path("hostkey").to_str().unwrap(),
        ]));
        let home = path("home");
        fs::create_dir(&home).unwrap();
        chown(&home, Some(USER), Some(USER)).unwrap();
        let home = home.display();
        let users = format!(
            "root:*:0:0::/root:/bin/sh\nsshd:*:65533:65533::/run/sshd:/usr/sbin/nologin\n\
             {CLIENT}:*:{USER}:{USER}::{home}:/bin/sh\n"
        );
        fs::write(path("passwd"), users).unwrap();
        let groups = format!("root:*:0:\nsshd:*:65533:\ntty:*:5:\n{CLIENT}:*:{USER}:\n");
        fs::write(path("group"), groups).unwrap();
        let configuration = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {}\nPidFile none\nUsePAM no\nUseDNS no\n\
             AuthenticationMethods gssapi-with-mic gssapi-keyex\nGSSAPIAuthentication yes\nGSSAPIKeyExchange yes\n\
             GSSAPIStrictAcceptorCheck no\nPermitRootLogin yes\nPrintMotd no\nPrintLastLog no\nLogLevel VERBOSE\n",
            path("hostkey").display()
        );
        fs::write(path("sshd_config"), configuration).unwrap();
        // Where its unprivileged process is shut in; the service's unit makes it otherwise.
        fs::create_dir_all("/run/sshd").unwrap();
        let mut command = server(library, unpacked("usr/sbin/sshd"), "host");
        command
            .args(["-D", "-e", "-f"])
            .arg(path("sshd_config"))
            .env("LD_PRELOAD", "libnss_wrapper.so")
            .env("NSS_WRAPPER_PASSWD", path("passwd"))
            .env("NSS_WRAPPER_GROUP", path("group"));
        Self {
            daemon: Daemon::start(&command, &path("log")).listening(port),
            library,
            port,
        }
    }

    /// A client that is about to log in as `user`.
    fn ssh(&self, library: Library, user: &str, options: &[&str], session: &str) -> Command {
        let known = realm().path(&format!("known-{}", self.port));
        let mut command = client(library, "/usr/bin/ssh");
        command.args(["-v", "-F", "none", "-p", &self.port.to_string()]);
        command
            .arg("-o")
            .arg(format!("UserKnownHostsFile={}", known.display()));
        for option in [
            "StrictHostKeyChecking=no",
            "GSSAPIAuthentication=yes",
            "PreferredAuthentications=gssapi-keyex,gssapi-with-mic",
            "BatchMode=yes",
        ]
        .iter()
        .chain(options)
        {
            command.args(["-o", option]);
        }
        command.arg(format!("{user}@localhost")).arg(session);
        command
    }
}

/// Each pair of libraries, each way to log in, by an option of the client's and its name.
fn ways(mut each: impl FnMut(&Sshd, Library, &str, &str)) {
    if !is_root() {
        eprintln!("not root: sshd cannot become its users");
        return;
    }
    for [client, server] in Library::PAIRS {
        let sshd = Sshd::start(server);
        each(&sshd, client, "GSSAPIKeyExchange=no", "gssapi-with-mic");
        each(&sshd, client, "GSSAPIKeyExchange=yes", "gssapi-keyex");
    }
}

#[test]
fn a_user_logs_in_and_nobody_else() {
    ways(|sshd, library, option, way| {
        let command = sshd.ssh(library, CLIENT, &[option], "id -u; cat");
        let mut session = bounded(&command)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(session.stdout.as_mut().unwrap())
            .read_line(&mut line)
            .unwrap();
        // The processes of a session are other than the one that listens, and began with `exec`.
        let loaded = sshd.daemon.loaded("libgssapi_krb5");
        drop(session.stdin.take());
        let output = session.wait_with_output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        let what = format!(
            "{library:?} to {:?}, {way}: {told}{}",
            sshd.library,
            sshd.daemon.said()
        );
        assert!(output.status.success(), "{what}");
        assert_eq!(line, format!("{USER}\n"), "{what}");
        assert!(told.contains(&format!("using \"{way}\"")), "{what}");
        runs_on(sshd.library, &loaded);

        let refused = bounded(&sshd.ssh(library, "root", &[option], "id")).output();
        let refused = refused.unwrap();
        let told = String::from_utf8_lossy(&refused.stderr);
        assert!(!refused.status.success(), "{what}");
        assert!(told.contains("Permission denied"), "{what}: {told}");
    });
}

#[test]
fn keys_are_exchanged_again_in_a_session() {
    ways(|sshd, library, option, way| {
        let options = [option, "RekeyLimit=200K"];
        let mut command = bounded(&sshd.ssh(library, CLIENT, &options, "wc -c"));
        let mut session = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = session.stdin.take().unwrap();
        let sent = thread::spawn(move || input.write_all(&[0; 1_000_000]));
        let output = session.wait_with_output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        let what = format!(
            "{library:?} to {:?}, {way}: {told}{}",
            sshd.library,
            sshd.daemon.said()
        );
        sent.join()
            .unwrap()
            .unwrap_or_else(|error| panic!("{error}: {what}"));
        assert_eq!(
            String::from_utf8_lossy(&output.stdout).trim(),
            "1000000",
            "{what}"
        );
        let exchanges = told.matches("SSH2_MSG_NEWKEYS received").count();
        assert!(exchanges > 2, "{exchanges} {what}");
    });
}

#[test]
fn tickets_go_along() {
    ways(|sshd, library, option, way| {
        let config = realm().config();
        let session = format!(
            "export KRB5_CONFIG={}; echo $KRB5CCNAME; klist -f; kvno e18/localhost",
            config.display()
        );
        let options = [option, "GSSAPIDelegateCredentials=yes"];
        let told = said(&sshd.ssh(library, CLIENT, &options, &session));
        let what = format!(
            "{library:?} to {:?}, {way}: {told}{}",
            sshd.library,
            sshd.daemon.said()
        );
        let cache = told.lines().next().unwrap_or_default();
        assert!(cache.starts_with("FILE:/tmp/krb5cc_20001_"), "{what}");
        assert!(told.contains("krbtgt/INTEROP.TEST@INTEROP.TEST"), "{what}");
        assert!(told.contains("Flags: Ff"), "forwarded: {what}");
        assert!(
            told.contains("e18/localhost@INTEROP.TEST: kvno = 1"),
            "{what}"
        );
        // The monitor outlives the client's connection a little.
        let file = Path::new(cache.trim_start_matches("FILE:"));
        let deadline = Instant::now() + Duration::from_secs(30);
        while file.exists() {
            assert!(
                Instant::now() < deadline,
                "the cache ends with the session: {what}"
            );
            thread::sleep(Duration::from_millis(50));
        }
        // Without being asked to, the client sends none.
        let alone =
            crate::site::said(&sshd.ssh(library, CLIENT, &[option], "echo \"<$KRB5CCNAME>\""));
        assert_eq!(alone, "<>\n", "{what}");
    });
}
