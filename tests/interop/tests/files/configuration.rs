//! `krb5.conf` against MIT's profile library, relation by relation, and against what MIT's programs do with it.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use interop::Vendor;
use interop::peer::compile;
use interop::realm::{CLIENT, shared, succeeded};
use krb5::formats::conf::{Profile, Source};
use krb5::formats::residual::{Tokens, expand};
use krb5::formats::settings::{Server, Settings};
use tempfile::TempDir;

struct Disk;

impl Source for Disk {
    fn file(&self, path: &str) -> Result<Vec<u8>, ErrorKind> {
        fs::read(path).map_err(|error| error.kind())
    }

    fn directory(&self, path: &str) -> Result<Vec<String>, ErrorKind> {
        let entries = fs::read_dir(path).map_err(|error| error.kind())?;
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        Ok(names.collect())
    }
}

fn profile_program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| compile("profile.c", "krb5", "profile_mit"))
}

/// The values that MIT's library gives at `path`; `None` if it cannot read the files.
fn values_by_mit(files: &str, path: &[&str]) -> Option<Vec<String>> {
    let output = Command::new(profile_program())
        .arg(files)
        .args(path)
        .output();
    let text = succeeded("profile", output.unwrap());
    if text.starts_with("error") {
        return None;
    }
    let values = text.split_terminator('\x1e').map(str::to_owned);
    Some(values.collect())
}

fn values_by_us(files: &str, path: &[&str]) -> Option<Vec<String>> {
    let profile = Profile::load(files.split(':'), &Disk).ok()?;
    let values = profile
        .relations(path)
        .into_iter()
        .map(|relation| relation.value.clone());
    Some(values.collect())
}

/// A file's name and text, in which `@DIR@` stands for the directory it is written to.
type File<'a> = (&'a str, &'a str);
/// A case's name, its files, the list of those that are read, and how many values there must be.
type Case<'a> = (&'a str, &'a [File<'a>], &'a [&'a str], usize);

const PATHS: [&[&str]; 9] = [
    &["libdefaults", "default_realm"],
    &["libdefaults", "a"],
    &["libdefaults", "b"],
    &["libdefaults", "quoted"],
    &["realms", "ONE", "kdc"],
    &["realms", "TWO", "kdc"],
    &["realms", "ONE", "deep", "er", "leaf"],
    &["capaths", "ONE", "TWO"],
    &["other", "a"],
];

/// Writes the files, asks both about each of [`PATHS`] and compares; how many values there were.
fn agree(case: &str, files: &[File<'_>], list: &[&str]) -> usize {
    let dir = TempDir::new().unwrap();
    let at = dir.path().to_str().unwrap();
    for (name, text) in files {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text.replace("@DIR@", at)).unwrap();
    }
    let list: Vec<String> = list.iter().map(|name| format!("{at}/{name}")).collect();
    let list = list.join(":");
    let mut found = 0;
    for path in PATHS {
        let (theirs, ours) = (values_by_mit(&list, path), values_by_us(&list, path));
        assert_eq!(ours, theirs, "{case}: {path:?}");
        found += ours.map_or(0, |values| values.len());
    }
    found
}

/// Cases with the number of values that there must be, so that none is a comparison of nothing with nothing.
#[test]
fn one_file_means_the_same_to_both() {
    let cases = [
        ("[libdefaults]\n a = 1\n a = 2\nb=3\n", 3),
        ("a = 0\n[libdefaults]\na = 1\n", 1),
        (
            "# c\n; c\n[libdefaults]\n# a = 0\n; a = 0\n a = 1 # not a comment\n",
            1,
        ),
        ("[libdefaults]\n quoted = \"a b\\n\\t\\\"c\\\\\"\n", 1),
        (
            "[libdefaults]\n quoted = \"  blanks  \"  \n a =   blanks   \n",
            2,
        ),
        ("[libdefaults]\n a = x y\tz \t\r\n b = 2\r\n", 2),
        (
            "[realms]\n ONE = {\n  kdc = a\n  kdc = b\n }\n TWO = {\n kdc = c\n }\n",
            3,
        ),
        (
            "[realms]\n ONE = {\n  deep = {\n er = {\n leaf = 1\n }\n }\n }\n",
            1,
        ),
        ("[realms]\n ONE =\n {\n  kdc = a\n }\n", 1),
        (
            "[realms]\n ONE = {\n  kdc = a\n }\n[libdefaults]\n a = 1\n[realms]\n ONE = {\n  kdc = b\n }\n",
            3,
        ),
        ("[libdefaults]\n a = 1\n[libdefaults]\n a = 2\n", 2),
        ("[capaths]\n ONE = {\n  TWO = X Y\n  TWO = .\n }\n", 2),
        ("[libdefaults]\n a = {\n", 0),
        ("[libdefaults]\n a\n", 0),
        ("[libdefaults\n a = 1\n", 0),
        ("[realms]\n ONE = {\n kdc = 1\n", 1),
        ("[realms]\n }\n", 0),
        ("[realms]\n ONE = {\n[libdefaults]\n a = 1\n", 0),
        ("[libdefaults]\n a =\n b = 1\n", 0),
        ("[libdefaults]\n a = \"\"\n b = \n", 1),
        ("", 0),
        ("[libdefaults]\n a = \"open\n b = 1\n", 2),
        ("[other]\n a = 1\n", 1),
    ];
    for (text, values) in cases {
        assert_eq!(agree(text, &[("f", text)], &["f"]), values, "{text}");
    }
}

#[test]
fn included_files_mean_the_same_to_both() {
    let one = "[libdefaults]\n a = 1\n";
    let two = "[libdefaults]\n a = 2\n";
    let cases: [(&str, &[File<'_>], usize); 8] = [
        (
            "include at the top",
            &[
                ("f", "include @DIR@/g\n[libdefaults]\n a = 1\n"),
                ("g", two),
            ],
            2,
        ),
        (
            "include within a section",
            &[
                ("f", "[libdefaults]\n a = 1\ninclude @DIR@/g\n b = 3\n"),
                ("g", two),
            ],
            3,
        ),
        (
            "a missing file",
            &[("f", "include @DIR@/missing\n[libdefaults]\n a = 1\n")],
            0,
        ),
        (
            "a directory: only names of its kind",
            &[
                ("f", "includedir @DIR@/d\n[libdefaults]\n b = 3\n"),
                ("d/one", one),
                ("d/two.conf", two),
                ("d/three.txt", "[libdefaults]\n a = 3\n"),
                ("d/.four.conf", "[libdefaults]\n a = 4\n"),
                ("d/five~", "[libdefaults]\n a = 5\n"),
                ("d/Six_6-6", "[libdefaults]\n a = 6\n"),
            ],
            4,
        ),
        (
            "a directory that is missing",
            &[("f", "includedir @DIR@/d\n[libdefaults]\n a = 1\n")],
            0,
        ),
        (
            "include in an included file",
            &[
                ("f", "include @DIR@/g\n[libdefaults]\n b = 3\n"),
                ("g", "include @DIR@/h\n[libdefaults]\n a = 1\n"),
                ("h", two),
            ],
            3,
        ),
        (
            "an indented include is none",
            &[
                ("f", "[libdefaults]\n a = 1\n include @DIR@/g\n"),
                ("g", two),
            ],
            0,
        ),
        (
            "an included file's error",
            &[
                ("f", "include @DIR@/g\n[libdefaults]\n a = 1\n"),
                ("g", "[libdefaults]\n }\n"),
            ],
            0,
        ),
    ];
    for (case, files, values) in cases {
        assert_eq!(agree(case, files, &["f"]), values, "{case}");
    }
}

/// Final marks across files alone: within one file, and on a relation, they count from MIT's release 1.22 on, which ours
/// follows and Debian's does not.
#[test]
fn lists_of_files_and_final_marks_mean_the_same_to_both() {
    let realms = |mark: &str, kdc: &str| format!("[realms]\n ONE = {{\n  kdc = {kdc}\n }}{mark}\n");
    let (open, closed, other) = (realms("", "a"), realms("*", "a"), realms("", "b"));
    let cases: [Case<'_>; 7] = [
        ("two files", &[("f", &open), ("g", &other)], &["f", "g"], 2),
        (
            "a final subsection",
            &[("f", &closed), ("g", &other)],
            &["f", "g"],
            1,
        ),
        (
            "a final subsection comes last",
            &[("f", &open), ("g", &closed)],
            &["f", "g"],
            2,
        ),
        (
            "a final section",
            &[
                ("f", "[libdefaults]*\n a = 1\n"),
                ("g", "[libdefaults]\n a = 2\n b = 3\n"),
            ],
            &["f", "g"],
            1,
        ),
        ("the first is missing", &[("g", &other)], &["f", "g"], 1),
        (
            "a directory in the list",
            &[("d/x", &open), ("g", &other)],
            &["d", "g"],
            2,
        ),
        (
            "the second is malformed",
            &[("f", &open), ("g", "[realms]\n }\n")],
            &["f", "g"],
            0,
        ),
    ];
    for (case, files, list, values) in cases {
        assert_eq!(agree(case, files, list), values, "{case}");
    }
}

/// A realm whose one KDC is named in a file that is included: MIT's client reaches it, and we read the same address.
#[test]
fn an_included_realm_is_reached() {
    let realm = shared(Vendor::Mit);
    let dir = realm.path("included.d");
    fs::create_dir_all(&dir).unwrap();
    fs::copy(realm.config(), dir.join("realm.conf")).unwrap();
    let conf = realm.path("including.conf");
    fs::write(&conf, format!("includedir {}\n", dir.display())).unwrap();
    let output = realm
        .command("/usr/bin/kinit", "included")
        .env("KRB5_CONFIG", &conf)
        .arg(CLIENT)
        .stdin(fs::File::open(realm.path("password")).unwrap())
        .output();
    succeeded("kinit", output.unwrap());

    let profile = Profile::load([conf.to_str().unwrap()], &Disk).unwrap();
    let settings = Settings::read(&profile).unwrap();
    let name = settings.default_realm.unwrap();
    let [Server::Address(kdc)] = &settings.realms.get(name.as_bytes()).unwrap().kdc[..] else {
        panic!("one KDC, at an address");
    };
    assert_eq!(
        (kdc.host.as_str(), kdc.port),
        ("127.0.0.1", Some(realm.port()))
    );
}

/// `klist -k` says which file `default_keytab_name` means.
#[test]
fn tokens_expand_as_mits_do() {
    let realm = shared(Vendor::Mit);
    let user = succeeded("id", Command::new("id").arg("-un").output().unwrap());
    let uid = succeeded("id", Command::new("id").arg("-u").output().unwrap());
    let uid = uid.trim().parse().unwrap();
    let tokens = Tokens {
        uid,
        euid: uid,
        username: Some(user.trim()),
        temp: "/some/where",
    };
    let names = [
        "FILE:/x/%{uid}/%{euid}.keytab",
        "FILE:/x/%{USERID}",
        "FILE:/x/%{username}.keytab",
        "FILE:%{TEMP}/keytab",
        "FILE:/x/%{null}y",
        "FILE:/x/%y%%",
    ];
    for (at, name) in names.into_iter().enumerate() {
        let conf = realm.path(&format!("tokens-{at}.conf"));
        fs::write(
            &conf,
            format!("[libdefaults]\n default_keytab_name = {name}\n"),
        )
        .unwrap();
        let output = realm
            .command("/usr/bin/klist", "none")
            .env_remove("KRB5_KTNAME")
            .env("KRB5_CONFIG", &conf)
            .env("TMPDIR", "/some/where")
            .arg("-k")
            .output()
            .unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        let theirs = said.trim().strip_prefix("Keytab name: ").unwrap();
        assert_eq!(expand(name, &tokens).unwrap(), theirs, "{name}");
    }
}
