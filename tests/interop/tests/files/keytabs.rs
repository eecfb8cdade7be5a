//! Keytabs against MIT's `kadmin`, `ktutil`, `klist` and `kinit`, and Heimdal's `kadmin` and `ktutil`.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{ChildStdout, Stdio};
use std::sync::Arc;

use interop::Vendor;
use interop::peer::hex;
use interop::realm::{CLIENT, PASSWORD, REALM, Realm, SERVICES, shared, succeeded};
use krb5::formats::keytab::{Keytab, KeytabEntry};
use krb5::principal::Principal;
use krb5_crypto::Enctype;
use wire::time::Timestamp;

/// One entry: version, principal, enctype, key.
type Listed = (u32, String, String, String);

/// What `klist -k -e -K` shows of the keytab at `path`.
fn listed_by_mit(realm: &Realm, path: &Path) -> BTreeSet<Listed> {
    let text = realm.run(
        "/usr/bin/klist",
        "none",
        &["-k", "-e", "-K", path.to_str().unwrap()],
    );
    let entries = text.lines().skip(3).map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let key = words[3].trim_matches(['(', ')']).trim_start_matches("0x");
        let enctype = words[2].trim_matches(['(', ')']);
        (
            words[0].parse().unwrap(),
            words[1].to_owned(),
            enctype.to_owned(),
            key.to_owned(),
        )
    });
    entries.collect()
}

/// What Heimdal's `ktutil list --keys` shows of it.
fn listed_by_heimdal(realm: &Realm, path: &Path) -> BTreeSet<Listed> {
    let output = realm
        .heimdal("ktutil.heimdal", "none")
        .arg("-k")
        .arg(path)
        .args(["list", "--keys"])
        .output();
    let text = succeeded("ktutil list", output.unwrap());
    let entries = text.lines().filter_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let kvno = words.first()?.parse().ok()?;
        Some((
            kvno,
            words[2].to_owned(),
            words[1].to_owned(),
            words[3].to_owned(),
        ))
    });
    entries.collect()
}

fn listed_by_us(bytes: &[u8]) -> BTreeSet<Listed> {
    let keytab = Keytab::parse(bytes).unwrap();
    assert!(keytab.others.is_empty());
    let entries = keytab.entries.iter().map(|entry| {
        let key = entry.key.expose();
        (
            entry.kvno,
            entry.principal.to_string(),
            entry.key.enctype().name().to_owned(),
            hex(key),
        )
    });
    entries.collect()
}

/// A keytab written by us: `alice` with `kvno` and the keys that her password gives for each enctype.
fn ours(kvno: u32) -> Keytab {
    let principal = Principal::user(CLIENT, REALM);
    let entries = SERVICES.map(|(number, ..)| {
        let enctype = Enctype::from_number(number).unwrap();
        let key = enctype.string_to_key(PASSWORD.as_bytes(), &principal.salt(), None);
        KeytabEntry {
            principal: principal.clone(),
            timestamp: Timestamp::from_seconds(1_700_000_000),
            kvno,
            key: Arc::new(key.unwrap()),
        }
    });
    Keytab {
        entries: entries.into(),
        others: Vec::new(),
    }
}

#[test]
fn both_kadmins_keytabs_are_read() {
    for vendor in Vendor::ALL {
        let realm = shared(vendor);
        let read = listed_by_us(&fs::read(realm.keytab()).unwrap());
        assert_eq!(
            read,
            listed_by_mit(realm, &realm.keytab()),
            "{vendor:?}'s kadmin"
        );
        let services: BTreeSet<_> = read.iter().map(|(_, name, ..)| name.clone()).collect();
        assert_eq!(services.len(), SERVICES.len(), "{vendor:?}: {services:?}");
    }
}

/// A keytab from which entries were deleted has holes where they were.
#[test]
fn a_keytab_with_holes_is_read() {
    let realm = shared(Vendor::Mit);
    let path = realm.path("holes.keytab");
    fs::copy(realm.keytab(), &path).unwrap();
    let before = fs::metadata(&path).unwrap().len();
    realm.admin(&[&format!("ktremove -k {} e18/localhost all", path.display())]);
    let bytes = fs::read(&path).unwrap();
    assert_eq!(
        bytes.len() as u64,
        before,
        "kadmin left a hole, or this test shows nothing"
    );
    let read = listed_by_us(&bytes);
    assert_eq!(read, listed_by_mit(realm, &path));
    assert!(!read.is_empty());
    assert!(read.iter().all(|(_, name, ..)| !name.starts_with("e18/")));
}

#[test]
fn heimdals_ktutil_writes_what_we_read() {
    let realm = shared(Vendor::Heimdal);
    let path = realm.path("ktutil-heimdal.keytab");
    for (at, (_, service, enctype)) in SERVICES.iter().enumerate() {
        // Above 255 the version needs the entry's 32-bit field.
        let kvno = [1, 255, 256, 70_000][at].to_string();
        let principal = format!("{service}/localhost@{REALM}");
        let added = realm
            .heimdal("ktutil.heimdal", "none")
            .arg("-k")
            .arg(&path)
            .args(["add", "-p", &principal, "-V", &kvno, "-e", enctype])
            .args(["-w", "a password"])
            .output();
        succeeded("ktutil add", added.unwrap());
    }
    let read = listed_by_us(&fs::read(&path).unwrap());
    assert_eq!(read, listed_by_heimdal(realm, &path));
    let kvnos: Vec<u32> = read.iter().map(|(kvno, ..)| *kvno).collect();
    assert_eq!(kvnos, [1, 255, 256, 70_000]);
}

/// The text up to and with `prompt`.
fn read_until(out: &mut ChildStdout, prompt: &str) {
    let (mut seen, mut byte) = (Vec::new(), [0]);
    while !seen.ends_with(prompt.as_bytes()) {
        let read = out.read(&mut byte).unwrap();
        assert_eq!(read, 1, "ktutil ended: {}", String::from_utf8_lossy(&seen));
        seen.push(byte[0]);
    }
}

#[test]
fn mits_ktutil_writes_what_we_read() {
    let realm = shared(Vendor::Mit);
    let path = realm.path("ktutil-mit.keytab");
    let mut ktutil = realm
        .command("/usr/bin/ktutil", "none")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut say, mut hear) = (ktutil.stdin.take().unwrap(), ktutil.stdout.take().unwrap());
    for (at, (_, _, enctype)) in SERVICES.iter().enumerate() {
        let kvno = [1, 255, 256, 70_000][at];
        writeln!(
            say,
            "addent -password -p {CLIENT}@{REALM} -k {kvno} -e {enctype}"
        )
        .unwrap();
        // It takes the password past its input's buffer, so that may not come before the prompt.
        read_until(&mut hear, &format!("Password for {CLIENT}@{REALM}: "));
        writeln!(say, "{PASSWORD}").unwrap();
    }
    writeln!(say, "write_kt {}", path.display()).unwrap();
    drop(say);
    succeeded("ktutil", ktutil.wait_with_output().unwrap());

    let read = listed_by_us(&fs::read(&path).unwrap());
    assert_eq!(read, listed_by_mit(realm, &path));
    let with_kvnos = ours(0).entries.into_iter().zip([1, 255, 256, 70_000]);
    let entries = with_kvnos.map(|(entry, kvno)| KeytabEntry { kvno, ..entry });
    let expected = Keytab {
        entries: entries.collect(),
        others: Vec::new(),
    };
    assert_eq!(
        read,
        listed_by_us(&expected.encode().unwrap()),
        "string-to-key"
    );
}

#[test]
fn ours_is_read_by_all_their_tools() {
    for kvno in [0, 1, 255, 256, 70_000] {
        let bytes = ours(kvno).encode().unwrap();
        let realm = shared(Vendor::Mit);
        let path = realm.path(&format!("ours-{kvno}.keytab"));
        fs::write(&path, &bytes).unwrap();
        let expected = listed_by_us(&bytes);
        assert_eq!(expected.len(), SERVICES.len(), "an entry an enctype");
        assert_eq!(expected, listed_by_mit(realm, &path), "klist, kvno {kvno}");
        assert_eq!(
            expected,
            listed_by_heimdal(realm, &path),
            "Heimdal's ktutil, kvno {kvno}"
        );
        assert_eq!(
            expected,
            rewritten_by_ktutil(realm, &path),
            "MIT's ktutil, kvno {kvno}"
        );
    }
}

fn rewritten_by_ktutil(realm: &Realm, path: &Path) -> BTreeSet<Listed> {
    let copy = path.with_extension("copy");
    let mut ktutil = realm
        .command("/usr/bin/ktutil", "none")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut say = ktutil.stdin.take().unwrap();
    write!(
        say,
        "read_kt {}\nwrite_kt {}\n",
        path.display(),
        copy.display()
    )
    .unwrap();
    drop(say);
    succeeded("ktutil", ktutil.wait_with_output().unwrap());
    listed_by_us(&fs::read(&copy).unwrap())
}

/// MIT's and Heimdal's clients get a ticket with the keys in our file.
#[test]
fn their_clients_log_in_with_our_keytab() {
    for vendor in Vendor::ALL {
        let realm = shared(vendor);
        let path = realm.path("login.keytab");
        fs::write(&path, ours(1).encode().unwrap()).unwrap();
        let path = path.to_str().unwrap();
        realm.run("/usr/bin/kinit", "keytab-mit", &["-k", "-t", path, CLIENT]);
        let output = realm
            .heimdal("kinit.heimdal", "keytab-heimdal")
            .arg(format!("--keytab={path}"))
            .args(["--use-keytab", &format!("{CLIENT}@{REALM}")])
            .output();
        succeeded("kinit.heimdal", output.unwrap());
        for ccache in ["keytab-mit", "keytab-heimdal"] {
            let tickets = realm.run("/usr/bin/klist", ccache, &[]);
            assert!(
                tickets.contains(&format!("krbtgt/{REALM}@{REALM}")),
                "{tickets}"
            );
        }
    }
}
