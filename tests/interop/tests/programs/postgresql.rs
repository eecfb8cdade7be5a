//! PostgreSQL, whose connections are encrypted by GSS-API on both ends (`gssencmode=require`, `hostgssenc`).

use std::fs;
use std::io::Write;
use std::os::unix::fs::chown;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use interop::daemon::Daemon;
use interop::library::Library;
use interop::realm::{CLIENT, free_port, succeeded};

use crate::site::{
    account, bounded, client, is_root, keytab, mode, realm, runs_on, said, server, unpacked,
};

struct Server {
    daemon: Daemon,
    library: Library,
    folder: PathBuf,
    port: u16,
}

/// A program of the server's, which root may not run.
fn as_nobody(command: &Command) -> Command {
    let mut lesser = Command::new("/usr/bin/setpriv");
    if is_root() {
        let [user, group] = account("nobody").map(|number| number.to_string());
        lesser.args(["--reuid", &user, "--regid", &group, "--clear-groups"]);
    }
    lesser.arg(command.get_program()).args(command.get_args());
    lesser.env_clear();
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            lesser.env(name, value);
        }
    }
    lesser
}

fn program(name: &str) -> PathBuf {
    let versions = unpacked("usr/lib/postgresql");
    let version = fs::read_dir(versions).unwrap().next().unwrap().unwrap();
    version.path().join("bin").join(name)
}

impl Server {
    fn start(library: Library) -> Self {
        let port = free_port();
        let folder = realm().path(&format!("postgresql-{port}"));
        fs::create_dir(&folder).unwrap();
        mode(&folder, 0o755);
        let own = folder.join("keytab");
        fs::copy(keytab(realm(), "postgres"), &own).unwrap();
        if is_root() {
            let [user, group] = account("nobody");
            for place in [&folder, &own] {
                chown(place, Some(user), Some(group)).unwrap();
            }
        }
        let data = folder.join("data");
        let mut make = Command::new(program("initdb"));
        make.args([
            "-U",
            "postgres",
            "-A",
            "trust",
            "--no-sync",
            "--no-instructions",
            "--locale=C",
            "-E",
            "UTF8",
            "-D",
        ]);
        said(&as_nobody(make.arg(&data)));
        let hosts = "local all all trust\nhostgssenc all all 127.0.0.1/32 gss include_realm=0\n";
        fs::write(data.join("pg_hba.conf"), hosts).unwrap();
        let settings = format!(
            "port = {port}\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = '{0}'\nkrb_server_keyfile = 'FILE:{1}'\n\
             fsync = off\nshared_buffers = 16MB\nmax_connections = 20\ndynamic_shared_memory_type = mmap\n",
            folder.display(),
            own.display()
        );
        fs::write(data.join("postgresql.conf"), settings).unwrap();
        let mut command = server(library, program("postgres"), "none");
        command.arg("-D").arg(&data);
        let daemon = Daemon::start(&as_nobody(&command), &folder.join("log")).listening(port);
        let this = Self {
            daemon,
            library,
            folder,
            port,
        };
        let place = this.folder.to_str().unwrap().to_owned();
        this.local(&place, &format!("create role {CLIENT} superuser login"));
        this
    }

    /// A command over the server's own socket.
    fn local(&self, place: &str, command: &str) {
        let mut psql = Command::new("/usr/bin/psql");
        psql.args([
            "-X",
            "-h",
            place,
            "-p",
            &self.port.to_string(),
            "-U",
            "postgres",
            "-c",
            command,
            "postgres",
        ]);
        said(&psql);
    }

    fn psql(&self, library: Library, user: &str, command: &str) -> Command {
        let mut psql = client(library, "/usr/bin/psql");
        psql.args(["-X", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", command]);
        psql.arg(format!(
            "host=localhost hostaddr=127.0.0.1 port={} user={user} dbname=postgres gssencmode=require sslmode=disable",
            self.port
        ));
        psql
    }
}

fn pairs(each: impl Fn(&Server, Library, &str)) {
    for [client, library] in Library::PAIRS {
        let server = Server::start(library);
        each(&server, client, &format!("{client:?} to {library:?}"));
    }
}

const WHO: &str = "select gss_authenticated, principal, encrypted from pg_stat_gssapi where pid = pg_backend_pid()";

#[test]
fn connections_are_encrypted_and_everything_arrives() {
    pairs(|server, library, what| {
        let known = said(&server.psql(library, CLIENT, WHO));
        assert_eq!(
            known,
            "t|alice@INTEROP.TEST|t\n",
            "{what}: {}",
            server.daemon.said()
        );

        let rows = said(&server.psql(
            library,
            CLIENT,
            "copy (select generate_series(1, 400000)) to stdout",
        ));
        let rows: Vec<u32> = rows.lines().map(|row| row.parse().unwrap()).collect();
        assert!(rows.iter().copied().eq(1..=400_000), "{what}");
        let one = said(&server.psql(library, CLIENT, "select repeat('0123456789', 1000000)"));
        assert!(
            one.len() == 10_000_001
                && one
                    .trim_end()
                    .as_bytes()
                    .chunks(10)
                    .all(|ten| ten == b"0123456789"),
            "{what}"
        );

        said(&server.psql(library, CLIENT, "create table numbers (number int)"));
        let mut command = bounded(&server.psql(library, CLIENT, "copy numbers from stdin"));
        let mut filling = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let numbers: String = (1..=300_000).map(|number| format!("{number}\n")).collect();
        filling
            .stdin
            .take()
            .unwrap()
            .write_all(numbers.as_bytes())
            .unwrap();
        succeeded(what, filling.wait_with_output().unwrap());
        let sum = said(&server.psql(library, CLIENT, "select count(*), sum(number) from numbers"));
        assert_eq!(sum, "300000|45000150000\n", "{what}");
    });
}

#[test]
fn nobody_else_is_let_in() {
    pairs(|server, library, what| {
        let refused = |mut command: Command, why: &str| {
            let output = bounded(&command).output().unwrap();
            let told = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(
                !output.status.success() && told.contains(why),
                "{what}: {told}{}",
                server.daemon.said()
            );
            command.env_clear();
        };
        // Authenticated, and not as that user.
        refused(
            server.psql(library, "postgres", WHO),
            "GSSAPI authentication failed for user \"postgres\"",
        );
        let mut without = server.psql(library, CLIENT, WHO);
        without.env("KRB5CCNAME", "FILE:/nonexistent/tickets");
        refused(without, "GSSAPI");
        let mut session = bounded(&server.psql(library, CLIENT, "select pg_sleep(3)"))
            .spawn()
            .unwrap();
        let loaded = loop {
            let loaded = server.daemon.loaded("libgssapi_krb5");
            if !loaded.is_empty() || session.try_wait().unwrap().is_some() {
                break loaded;
            }
        };
        assert!(session.wait().unwrap().success(), "{what}");
        runs_on(server.library, &loaded);
    });
}
