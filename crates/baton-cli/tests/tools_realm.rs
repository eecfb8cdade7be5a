//! `baton realm`, `login`, `tickets` and `keytab` together, as a user runs them.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};

const BATON: &str = env!("CARGO_BIN_EXE_baton");

/// `baton realm`, and what it says to export.
struct Realm {
    child: Child,
    exports: BTreeMap<String, String>,
    /// For caches and keytabs of a test.
    directory: tempfile::TempDir,
}

impl Realm {
    fn start(arguments: &[&str]) -> Self {
        let mut child = Command::new(BATON)
            .arg("realm")
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut exports = BTreeMap::new();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        for line in lines.map_while(Result::ok) {
            if let Some((name, value)) = line
                .strip_prefix("export ")
                .and_then(|text| text.split_once('='))
            {
                exports.insert(name.to_owned(), value.to_owned());
            }
            if line.contains("baton connect") {
                break;
            }
        }
        let directory = tempfile::tempdir().unwrap();
        let cache = format!("FILE:{}", directory.path().join("cache").display());
        exports.insert("KRB5CCNAME".to_owned(), cache);
        Self {
            child,
            exports,
            directory,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn run(&self, arguments: &[&str], input: &str) -> Output {
        let mut child = Command::new(BATON)
            .args(arguments)
            .envs(&self.exports)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // Who reads no input may have gone already.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        child.wait_with_output().unwrap()
    }

    /// What it says when all goes well.
    #[track_caller]
    fn says(&self, arguments: &[&str], input: &str) -> String {
        let output = self.run(arguments, input);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {error}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// What it complains about.
    #[track_caller]
    fn fails(&self, arguments: &[&str], input: &str) -> String {
        let output = self.run(arguments, input);
        assert!(!output.status.success(), "{arguments:?}");
        String::from_utf8(output.stderr).unwrap()
    }

    fn keytab(&self) -> &Path {
        Path::new(&self.exports["KRB5_KTNAME"]["FILE:".len()..])
    }

    fn end(&mut self) -> Option<i32> {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, Signal::TERM).unwrap();
        self.child.wait().unwrap().code()
    }
}

impl Drop for Realm {
    fn drop(&mut self) {
        // Not killed: its directory has to go as well.
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
            let _ = self.child.wait();
        }
    }
}

#[track_caller]
fn has(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "no {part:?} in: {text}");
    }
}

#[test]
fn a_user_logs_in_gets_tickets_and_logs_out() {
    let realm = Realm::start(&[]);
    let missing = realm.fails(&["tickets"], "");
    has(&missing, &["there is no credential cache FILE:"]);
    assert_eq!(realm.fails(&["tickets", "-s"], ""), "");

    let said = realm.says(&["login", "alice", "--password-file", "-"], "secret\n");
    has(&said, &["alice@EXAMPLE.TEST is logged in until "]);
    let cache = realm.path("cache");
    assert_eq!(
        fs::metadata(&cache).unwrap().permissions().mode() & 0o7777,
        0o600
    );
    assert_eq!(realm.says(&["tickets", "--silent"], ""), "");
    let got = realm.says(&["tickets", "--get", "HTTP@localhost"], "");
    has(&got, &["HTTP/localhost@EXAMPLE.TEST: until "]);
    let listed = realm.says(&["tickets"], "");
    has(
        &listed,
        &[
            "of alice@EXAMPLE.TEST",
            "krbtgt/EXAMPLE.TEST@EXAMPLE.TEST",
            "HTTP/localhost@EXAMPLE.TEST",
            "flags: forwardable, initial, pre-authent",
            "session key: aes256-cts-hmac-sha1-96",
        ],
    );
    let json = realm.says(&["tickets", "--json"], "");
    has(
        &json,
        &[
            "\"principal\":\"alice@EXAMPLE.TEST\"",
            "\"server\":\"HTTP/localhost@EXAMPLE.TEST\"",
            "\"enctype\":18",
        ],
    );
    assert_eq!(realm.says(&["tickets", "--destroy"], ""), "");
    assert!(!cache.exists());
}

#[test]
fn who_does_not_get_in_learns_why() {
    let realm = Realm::start(&["--realm", "OTHER.TEST", "--user", "bob:pass:word"]);
    let with_file = |who: &'static str| ["login", who, "--password-file", "-"];
    let wrong = realm.fails(&with_file("bob"), "secret\n");
    has(
        &wrong,
        &["bob@OTHER.TEST is not logged in", "pre-authentication"],
    );
    let unknown = realm.fails(&with_file("alice"), "secret\n");
    has(
        &unknown,
        &["alice@OTHER.TEST is not logged in", "not known"],
    );
    assert!(!realm.path("cache").exists());
    has(
        &realm.fails(&with_file("bob"), "\n"),
        &["no password in the first line"],
    );
    let missing = realm.fails(&["login", "bob", "--password-file", "/nonexistent"], "");
    has(&missing, &["/nonexistent", "No such file"]);

    let arguments = [
        "login",
        "bob@OTHER.TEST",
        "--password-file",
        "-",
        "--lifetime",
        "5m",
    ];
    realm.says(&arguments, "pass:word\r\n");
    let unknown = realm.fails(&["tickets", "--get", "nfs@localhost"], "");
    has(&unknown, &["no ticket for nfs@localhost", "not known"]);
    let listed = realm.says(&["tickets"], "");
    assert!(
        ["(5 min 0 s left)", "(4 min "]
            .iter()
            .any(|left| listed.contains(left)),
        "{listed}"
    );
}

#[test]
fn a_keytab_is_made_used_and_changed_without_loss() {
    let realm = Realm::start(&["--service", "HTTP/localhost", "--service", "imap/localhost"]);
    let file = realm.path("alice.keytab");
    let keytab = file.to_str().unwrap();
    let add = |who: &'static str, more: &[&'static str]| {
        [&["keytab", "add", keytab, who, "--kvno"][..], more].concat()
    };
    has(
        &realm.says(&add("alice", &["1", "--password-file", "-"]), "secret\n"),
        &["added alice@EXAMPLE.TEST version 1, aes256-cts-hmac-sha384-192"],
    );
    assert_eq!(
        fs::metadata(&file).unwrap().permissions().mode() & 0o7777,
        0o600
    );
    let there = realm.fails(&add("alice", &["1", "--random"]), "");
    has(&there, &[keytab, "version 1", "already"]);
    realm.says(
        &add(
            "x/y@Z",
            &[
                "70000",
                "--random",
                "--enctype",
                "aes128-cts",
                "--enctype=20",
            ],
        ),
        "",
    );
    let listed = realm.says(&["keytab", "list", keytab], "");
    has(&listed, &["70000", "x/y@Z", "aes128-cts-hmac-sha1-96"]);
    assert_eq!(listed.lines().count(), 2 + 6 + 2);

    realm.says(&["login", "alice", "--keytab", keytab], "");
    has(&realm.says(&["tickets"], ""), &["of alice@EXAMPLE.TEST"]);
    let none = realm.fails(&["login", "bob", "--keytab", keytab], "");
    has(&none, &[keytab, "no key for bob@EXAMPLE.TEST"]);

    let remove = [
        "keytab",
        "remove",
        keytab,
        "alice",
        "--enctype",
        "18",
        "--enctype=aes256-sha2",
    ];
    has(
        &realm.says(&remove, ""),
        &["2 keys of alice@EXAMPLE.TEST removed"],
    );
    has(
        &realm.fails(&remove, ""),
        &["no such key of alice@EXAMPLE.TEST"],
    );
    let listed = realm.says(&["keytab", "list", keytab], "");
    assert_eq!(listed.lines().count(), 2 + 4 + 2);
    // The keys that stayed are the keys that were.
    realm.says(&["login", "alice", "--keytab", keytab], "");
    has(
        &realm.fails(&["keytab", "remove", "/nonexistent/k", "alice"], ""),
        &["there is no keytab /nonexistent/k"],
    );
}

#[test]
fn a_realm_writes_a_keytab_for_all_and_one_for_each_service_and_cleans_up() {
    let mut realm = Realm::start(&["--service=HTTP/localhost", "--service=imap/localhost"]);
    let all = realm.keytab().to_owned();
    let directory = all.parent().unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode(directory), 0o700);
    for (name, lines) in [("krb5", 12), ("HTTP_localhost", 6), ("imap_localhost", 6)] {
        let path = directory.join(format!("{name}.keytab"));
        assert_eq!(mode(&path), 0o600);
        let listed = realm.says(&["keytab", "list", path.to_str().unwrap()], "");
        assert_eq!(listed.lines().count(), 2 + lines, "{listed}");
    }
    assert_eq!(realm.end(), Some(0));
    assert!(!directory.exists());
}

#[test]
fn a_directory_that_is_named_stays_and_has_to_be_ours() {
    let place = tempfile::tempdir().unwrap();
    let directory = place.path().join("realm");
    let mut realm = Realm::start(&["--dir", directory.to_str().unwrap()]);
    assert_eq!(realm.end(), Some(0));
    assert!(directory.join("krb5.conf").exists());

    let refused = |arguments: &[&str], part: &str| {
        let output = Command::new(BATON).arg("realm").args(arguments).output();
        let output = output.unwrap();
        assert!(!output.status.success());
        has(&String::from_utf8_lossy(&output.stderr), &[part]);
    };
    fs::set_permissions(&directory, PermissionsExt::from_mode(0o777)).unwrap();
    refused(
        &["--dir", directory.to_str().unwrap()],
        "others can write to",
    );
    refused(&["--listen", "0.0.0.0:0"], "not a loopback address");
    refused(&["--user", "alice"], "a name and a password are needed");
}
