//! A realm with the services of those programs, and places that servers of other users can read.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use interop::Vendor;
use interop::library::{Library, ours};
use interop::realm::{Realm, succeeded};

/// The services, each on `localhost`.
const SERVICES: [&str; 4] = ["host", "HTTP", "ldap", "postgres"];
/// The cache with the client's tickets.
pub(crate) const TICKETS: &str = "tickets";

/// The realm that the tests of this process share.
pub(crate) fn realm() -> &'static Realm {
    static REALM: OnceLock<Realm> = OnceLock::new();
    REALM.get_or_init(|| {
        let realm = Realm::start(Vendor::Mit);
        let folder = realm.path("");
        mode(&folder, 0o711);
        for service in SERVICES {
            realm.admin(&[&format!("addprinc -randkey {service}/localhost")]);
            let keytab = keytab(&realm, service);
            realm.admin(&[&format!(
                "ktadd -k {} -norandkey {service}/localhost",
                keytab.display()
            )]);
        }
        // Servers of several users keep their replay caches there.
        let replays = realm.path("replays");
        fs::create_dir(&replays).unwrap();
        mode(&replays, 0o1777);
        // The build's own folder may be one that only its user can enter.
        let library = realm.path("library");
        fs::create_dir(&library).unwrap();
        mode(&library, 0o755);
        let name = "libgssapi_krb5.so.2";
        fs::copy(ours().join(name), library.join(name)).unwrap();
        realm.kinit(Vendor::Mit, TICKETS);
        realm
    })
}

/// The keytab of one service.
pub(crate) fn keytab(realm: &Realm, service: &str) -> PathBuf {
    realm.path(&format!("{service}.keytab"))
}

/// Sets a file's permissions.
pub(crate) fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// A program on a library, with the client's tickets.
pub(crate) fn client(library: Library, program: &str) -> Command {
    on(library, realm().command(program, TICKETS))
}

/// A server on a library, with the keytab of its service. It has no tickets.
pub(crate) fn server(library: Library, program: impl AsRef<OsStr>, service: &str) -> Command {
    let realm = realm();
    let mut command = realm.command(program, TICKETS);
    let keytab = format!("FILE:{}", keytab(realm, service).display());
    command
        .env_remove("KRB5CCNAME")
        .env("KRB5_KTNAME", keytab)
        .env("KRB5RCACHEDIR", realm.path("replays"));
    on(library, command)
}

fn on(library: Library, mut command: Command) -> Command {
    if library == Library::Ours {
        command.env("LD_LIBRARY_PATH", realm().path("library"));
    }
    command
}

/// Runs a program, for a minute at most: what it said. Panics, with all that it said, if it fails.
pub(crate) fn said(command: &Command) -> String {
    let output = bounded(command)
        .output()
        .unwrap_or_else(|error| panic!("timeout: {error}"));
    succeeded(&format!("{command:?}"), output)
}

/// The command, which ends after a minute.
pub(crate) fn bounded(command: &Command) -> Command {
    let mut bounded = Command::new("/usr/bin/timeout");
    bounded.args(["--kill-after=5", "60"]);
    bounded.arg(command.get_program()).args(command.get_args());
    bounded.env_clear().stdin(Stdio::null());
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            bounded.env(name, value);
        }
    }
    bounded
}

/// That a program runs on this library and no other, where `loaded` are the libraries of that name that it has.
pub(crate) fn runs_on(library: Library, loaded: &[String]) {
    let ours = realm().path("library");
    let is_ours = |path: &String| Path::new(path).starts_with(&ours);
    assert!(
        !loaded.is_empty()
            && loaded
                .iter()
                .all(|path| is_ours(path) == (library == Library::Ours)),
        "{library:?}: {loaded:?}"
    );
}

/// Whether the tests may become other users.
pub(crate) fn is_root() -> bool {
    fs::metadata("/proc/self").unwrap().uid() == 0
}

/// The numbers of a user of this machine, and of its group.
pub(crate) fn account(name: &str) -> [u32; 2] {
    let users = fs::read_to_string("/etc/passwd").unwrap();
    let line = users
        .lines()
        .find_map(|line| line.strip_prefix(&format!("{name}:")));
    let line = line.unwrap_or_else(|| panic!("there is no user {name}: run tests/install first"));
    let mut fields = line.split(':').skip(1);
    [(); 2].map(|()| fields.next().unwrap().parse().unwrap())
}

/// A file of a package that `tests/install` unpacked instead of installing it, in a folder that every user may enter.
pub(crate) fn unpacked(path: &str) -> PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/peers/servers");
        let folder = folder.canonicalize().unwrap_or(folder);
        let complete = folder.join("complete").exists();
        assert!(
            complete,
            "{} is not complete: run tests/install first",
            folder.display()
        );
        let open = |place: &Path| fs::metadata(place).unwrap().mode() & 1 == 1;
        if folder.ancestors().all(open) {
            return folder;
        }
        let copy = realm().path("servers");
        said(Command::new("/bin/cp").arg("-r").args([&folder, &copy]));
        copy
    });
    folder.join(path)
}
