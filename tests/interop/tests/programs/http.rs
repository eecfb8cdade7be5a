//! curl's `--negotiate` (RFC 4559) against Apache with `mod_auth_gssapi`, whose worker processes have many threads.

use std::fmt::Write;
use std::fs;
use std::os::unix::fs::chown;
use std::path::PathBuf;
use std::process::Command;

use interop::daemon::Daemon;
use interop::library::Library;
use interop::realm::{CLIENT, PASSWORD, free_port};

use crate::site::{account, bounded, client, is_root, keytab, mode, realm, runs_on, said, server};

const MODULES: [&str; 10] = [
    "mpm_event",
    "authn_core",
    "authz_core",
    "authz_user",
    "auth_gssapi",
    "session",
    "session_cookie",
    "headers",
    "alias",
    "env",
];

/// What the server answers with beside the page: who the client is, and where its tickets are.
const TOLD: &str = "Header set X-User \"expr=%{REMOTE_USER}\"\nHeader set X-Name \"%{GSS_NAME}e\"\nHeader set X-Tickets \"%{KRB5CCNAME}e\"\n";

/// The places of the server, and what each has beside `AuthType GSSAPI`.
const PLACES: [(&str, &str); 5] = [
    ("plain", ""),
    (
        "session",
        "GssapiUseSessions On\nSession On\nSessionCookieName ticket path=/session;httponly\n",
    ),
    ("tickets", "GssapiDelegCcacheDir FOLDER/tickets\n"),
    ("basic", "GssapiBasicAuth On\nGssapiBasicAuthMech krb5\n"),
    ("local", "GssapiLocalName On\n"),
];

struct Apache {
    daemon: Daemon,
    folder: PathBuf,
    port: u16,
}

impl Apache {
    fn start(library: Library) -> Self {
        let port = free_port();
        let folder = realm().path(&format!("apache-{port}"));
        let pages = folder.join("pages");
        let tickets = folder.join("tickets");
        for place in [&folder, &pages, &tickets] {
            fs::create_dir(place).unwrap();
            mode(place, 0o755);
        }
        let own = folder.join("keytab");
        fs::copy(keytab(realm(), "HTTP"), &own).unwrap();
        let configuration = configuration(port).replace("FOLDER", folder.to_str().unwrap());
        fs::write(folder.join("apache2.conf"), configuration).unwrap();
        if is_root() {
            let [user, group] = account("www-data");
            for place in [&own, &tickets] {
                chown(place, Some(user), Some(group)).unwrap();
            }
        }
        for (place, _) in PLACES {
            fs::write(pages.join(place), format!("the page {place}")).unwrap();
        }
        let mut command = server(library, "/usr/sbin/apache2", "HTTP");
        command
            .args(["-D", "FOREGROUND", "-f"])
            .arg(folder.join("apache2.conf"));
        let daemon = Daemon::start(&command, &folder.join("log")).listening(port);
        Self {
            daemon,
            folder,
            port,
        }
    }

    fn page(&self, place: &str) -> String {
        format!("http://localhost:{}/{place}", self.port)
    }

    fn said(&self) -> String {
        let errors = fs::read_to_string(self.folder.join("errors")).unwrap_or_default();
        format!("{}{errors}", self.daemon.said())
    }
}

fn configuration(port: u16) -> String {
    let mut text = format!(
        "ServerRoot FOLDER\nServerName localhost\nListen 127.0.0.1:{port}\nPidFile FOLDER/pid\nErrorLog FOLDER/errors\n\
         LogLevel info\nMutex posixsem\nStartServers 1\nDocumentRoot FOLDER/pages\n"
    );
    if is_root() {
        text += "User www-data\nGroup www-data\n";
    }
    for module in MODULES {
        writeln!(
            text,
            "LoadModule {module}_module /usr/lib/apache2/modules/mod_{module}.so"
        )
        .unwrap();
    }
    text += TOLD;
    for (place, more) in PLACES {
        writeln!(
            text,
            "<Location /{place}>\nAuthType GSSAPI\nAuthName here\nGssapiCredStore keytab:FOLDER/keytab\n{more}Require valid-user\n\
             </Location>"
        )
        .unwrap();
    }
    text
}

fn curl(library: Library, options: &[&str], page: &str) -> Command {
    let mut command = client(library, "/usr/bin/curl");
    command
        .args(["--silent", "--show-error", "--include", "--noproxy", "*"])
        .args(options)
        .arg(page);
    command
}

const NEGOTIATE: [&str; 3] = ["--negotiate", "--user", ":"];

fn pairs(each: impl Fn(&Apache, Library, &str)) {
    for [client, library] in Library::PAIRS {
        let apache = Apache::start(library);
        each(&apache, client, &format!("{client:?} to {library:?}"));
        runs_on(library, &apache.daemon.loaded("libgssapi_krb5"));
    }
}

fn found(answer: &str, apache: &Apache, what: &str, place: &str) {
    let page = format!("the page {place}");
    assert!(
        answer.contains(&page),
        "{what}: {answer}\n{}",
        apache.said()
    );
}

#[test]
fn clients_are_known() {
    pairs(|apache, library, what| {
        let answer = said(&curl(library, &NEGOTIATE, &apache.page("plain")));
        found(&answer, apache, what, "plain");
        assert!(
            answer.contains("X-User: alice@INTEROP.TEST"),
            "{what}: {answer}"
        );
        assert!(
            answer.contains("X-Name: alice@INTEROP.TEST"),
            "{what}: {answer}"
        );
        // The second answer proves the server.
        assert!(
            answer.contains("WWW-Authenticate: Negotiate "),
            "{what}: {answer}"
        );
        let answer = said(&curl(library, &NEGOTIATE, &apache.page("local")));
        found(&answer, apache, what, "local");
        assert!(
            answer.contains(&format!("X-User: {CLIENT}\r")),
            "{what}: {answer}"
        );
        let unknown = said(&curl(library, &[], &apache.page("plain")));
        assert!(unknown.starts_with("HTTP/1.1 401"), "{what}: {unknown}");
        let mut nobody = curl(library, &NEGOTIATE, &apache.page("plain"));
        nobody.env("KRB5CCNAME", "FILE:/nonexistent/tickets");
        let unknown = said(&nobody);
        assert!(
            unknown.starts_with("HTTP/1.1 401") && !unknown.contains("200 OK"),
            "{what}: {unknown}"
        );
    });
}

#[test]
fn many_clients_at_once_are_known() {
    pairs(|apache, library, what| {
        let page = apache.page("plain");
        let pages: Vec<&str> = [page.as_str(); 24].into();
        let mut command = curl(library, &NEGOTIATE, &page);
        command
            .args(["--parallel", "--parallel-max", "8", "--no-keepalive"])
            .args(pages);
        let answers = said(&command);
        assert_eq!(
            answers.matches("the page plain").count(),
            25,
            "{what}: {answers}\n{}",
            apache.said()
        );
        assert_eq!(
            answers.matches("X-User: alice@INTEROP.TEST").count(),
            25,
            "{what}: {answers}"
        );
    });
}

#[test]
fn a_session_cookie_stands_for_the_client() {
    pairs(|apache, library, what| {
        let jar = apache.folder.join("jar");
        let jar = jar.to_str().unwrap();
        let keep = [&NEGOTIATE[..], &["--cookie-jar", jar]].concat();
        let answer = said(&curl(library, &keep, &apache.page("session")));
        found(&answer, apache, what, "session");
        let answer = said(&curl(library, &["--cookie", jar], &apache.page("session")));
        found(&answer, apache, what, "session");
        assert!(
            answer.contains("X-User: alice@INTEROP.TEST"),
            "{what}: {answer}"
        );
        let unknown = said(&curl(library, &[], &apache.page("session")));
        assert!(unknown.starts_with("HTTP/1.1 401"), "{what}: {unknown}");
    });
}

#[test]
fn tickets_go_along() {
    pairs(|apache, library, what| {
        let send = [&NEGOTIATE[..], &["--delegation", "always"]].concat();
        let answer = said(&curl(library, &send, &apache.page("tickets")));
        found(&answer, apache, what, "tickets");
        let tickets = answer
            .lines()
            .find_map(|line| line.strip_prefix("X-Tickets: "));
        let tickets = tickets
            .unwrap_or_else(|| panic!("{what}: {answer}\n{}", apache.said()))
            .trim();
        let mut kvno = realm().command("/usr/bin/kvno", "none");
        kvno.env("KRB5CCNAME", tickets).arg("e17/localhost");
        assert!(said(&kvno).contains("kvno = 1"), "{what}: {answer}");
        let answer = said(&curl(library, &NEGOTIATE, &apache.page("tickets")));
        assert!(answer.contains("X-Tickets: (null)"), "{what}: {answer}");
    });
}

#[test]
fn passwords_are_tried_at_the_kdc() {
    pairs(|apache, library, what| {
        let right = format!("{CLIENT}:{PASSWORD}");
        let answer = said(&curl(
            library,
            &["--basic", "--user", &right],
            &apache.page("basic"),
        ));
        found(&answer, apache, what, "basic");
        assert!(
            answer.contains("X-User: alice@INTEROP.TEST"),
            "{what}: {answer}"
        );
        for wrong in ["alice:another", "nobody:another", "alice:"] {
            let output = bounded(&curl(
                library,
                &["--basic", "--user", wrong],
                &apache.page("basic"),
            ))
            .output();
            let answer = String::from_utf8_lossy(&output.unwrap().stdout).into_owned();
            assert!(
                answer.starts_with("HTTP/1.1 401"),
                "{what} {wrong}: {answer}"
            );
        }
    });
}
