//! OpenLDAP's server and tools, which reach GSS-API through the modules of Cyrus SASL (RFC 4752).

use std::fs;

use interop::daemon::Daemon;
use interop::library::Library;
use interop::realm::{CLIENT, REALM, free_port};

use crate::site::{client, realm, runs_on, said, server, unpacked};

const ENTRIES: &str = "dn: dc=test\nobjectClass: dcObject\nobjectClass: organization\no: test\ndc: test\n\n\
                       dn: cn=alice,dc=test\nobjectClass: person\ncn: alice\nsn: in Wonderland\n";

fn started(library: Library) -> (Daemon, u16) {
    let port = free_port();
    let folder = realm().path(&format!("slapd-{port}"));
    fs::create_dir_all(folder.join("entries")).unwrap();
    let path = |name: &str| folder.join(name).display().to_string();
    let root = unpacked("");
    let root = root.display().to_string();
    let root = root.trim_end_matches('/');
    let user = |mechanism: &str, realm: &str| {
        format!("authz-regexp uid=([^,]*),{realm}cn={mechanism},cn=auth cn=$1,dc=test\n")
    };
    let realm = format!("cn={},", REALM.to_lowercase());
    let configuration = format!(
        "include {root}/etc/ldap/schema/core.schema\nmodulepath {root}/usr/lib/ldap\nmoduleload back_mdb\npidfile {}\n\
         sasl-host localhost\nsasl-realm {REALM}\n{}{}{}{}database mdb\nsuffix dc=test\ndirectory {}\nmaxsize 10000000\n\
         access to * by users read\n",
        path("pid"),
        user("gssapi", &realm),
        user("gssapi", ""),
        user("gss-spnego", &realm),
        user("gss-spnego", ""),
        path("entries"),
    );
    fs::write(folder.join("slapd.conf"), configuration).unwrap();
    fs::write(folder.join("entries.ldif"), ENTRIES).unwrap();
    // Its own library lies beside it.
    let own = fs::read_dir(unpacked("usr/lib")).unwrap().flatten();
    let own = own.map(|place| place.path().display().to_string());
    let beside = own.chain([format!("{root}/usr/lib")]);
    let ours = realm_library(library);
    let libraries = ours.into_iter().chain(beside).collect::<Vec<_>>().join(":");
    let mut add = server(library, unpacked("usr/sbin/slapadd"), "ldap");
    add.env("LD_LIBRARY_PATH", &libraries);
    add.args(["-q", "-f", &path("slapd.conf"), "-l", &path("entries.ldif")]);
    said(&add);
    let mut slapd = server(library, unpacked("usr/sbin/slapd"), "ldap");
    slapd.env("LD_LIBRARY_PATH", &libraries);
    let address = format!("ldap://127.0.0.1:{port}/");
    slapd.args(["-d", "0", "-f", &path("slapd.conf"), "-h", &address]);
    let daemon = Daemon::start(&slapd, &folder.join("log")).listening(port);
    (daemon, port)
}

fn realm_library(library: Library) -> Option<String> {
    let ours = realm().path("library").display().to_string();
    (library == Library::Ours).then_some(ours)
}

#[test]
fn searches_are_authenticated_and_encrypted() {
    for [library, other] in Library::PAIRS {
        let (daemon, port) = started(other);
        for mechanism in ["GSSAPI", "GSS-SPNEGO"] {
            let what = format!("{library:?} to {other:?}, {mechanism}: {}", daemon.said());
            let address = format!("ldap://localhost:{port}/");
            let common = ["-Q", "-N", "-Y", mechanism, "-H", &address];
            let mut whoami = client(library, "/usr/bin/ldapwhoami");
            let known = said(whoami.args(common));
            assert_eq!(known, format!("dn:cn={CLIENT},dc=test\n"), "{what}");
            let mut search = client(library, "/usr/bin/ldapsearch");
            search
                .args(common)
                .args(["-LLL", "-b", "dc=test", "cn=alice", "sn"]);
            let found = said(&search);
            assert!(found.contains("sn: in Wonderland"), "{what}: {found}");
        }
        runs_on(other, &daemon.loaded("libgssapi_krb5"));
    }
}
