//! `baton realm`: a development realm on loopback.

use std::error::Error;
use std::fs::{self, DirBuilder};
use std::io::{self, ErrorKind, Write};
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use baton::host::keytab::KeytabFile;
use baton::host::keytab_change::{self, KeytabChangeError};
use baton::kerberos::Principal;
use baton::kerberos::keytab::KeytabEntry;
use baton::realm::DevelopmentRealm;
use clap::Args;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::geteuid;
use signal_hook::consts::{SIGINT, SIGTERM};

use crate::signals::Signals;

const DIRECTORY_MODE: u32 = 0o700;
const DEFAULT_USER: (&str, &str) = ("alice", "secret");
const DEFAULT_SERVICES: [&str; 2] = ["host/localhost", "HTTP/localhost"];

/// Runs a Kerberos realm to develop and test against (NOT for production)
///
/// A KDC in memory on a loopback address, and the files that programs need to use it, MIT's and Heimdal's too. It is not for
/// production: keys lie in files of this user, there is no administration, no password policy and no lockout, and everything
/// is forgotten when it ends. It runs until SIGINT or SIGTERM.
#[derive(Args, Clone, Debug)]
pub(crate) struct RealmArgs {
    /// The realm's name
    #[arg(long, default_value = "EXAMPLE.TEST")]
    realm: String,
    /// Where to serve, over UDP and TCP: loopback only; port 0 is any that is free
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:0", value_parser = loopback)]
    listen: SocketAddr,
    /// Where to write krb5.conf and keytabs; by default a new directory, which is removed at the end
    #[arg(long)]
    dir: Option<PathBuf>,
    /// A user with a password; by default `alice:secret`. May be given more than once
    #[arg(long = "user", value_name = "NAME:PASSWORD", value_parser = user)]
    users: Vec<User>,
    /// A service with a random key, in the keytab; by default host/localhost and HTTP/localhost. May be given more than once
    #[arg(long = "service", value_name = "NAME/HOST")]
    services: Vec<String>,
}

#[derive(Clone)]
struct User {
    name: String,
    password: String,
}

/// Without the password.
impl std::fmt::Debug for User {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.name.fmt(f)
    }
}

fn loopback(text: &str) -> Result<SocketAddr, String> {
    let address: SocketAddr = text
        .parse()
        .map_err(|_| "an address and a port are needed, as 127.0.0.1:8888".to_owned())?;
    match address.ip().is_loopback() {
        true => Ok(address),
        false => Err(format!(
            "{} is not a loopback address; a development realm serves this host alone",
            address.ip()
        )),
    }
}

fn user(text: &str) -> Result<User, String> {
    match text.split_once(':') {
        Some((name, password)) if !name.is_empty() && !password.is_empty() => Ok(User {
            name: name.to_owned(),
            password: password.to_owned(),
        }),
        _ => Err("a name and a password are needed, as alice:secret".to_owned()),
    }
}

/// Serves until it is told to end.
pub(crate) fn run(args: &RealmArgs) -> Result<(), Box<dyn Error>> {
    let signals = Signals::new(&[SIGINT, SIGTERM])?;
    let mut builder = DevelopmentRealm::builder(&args.realm).address(args.listen);
    if let Some(directory) = &args.dir {
        builder = builder.directory(prepare(directory)?);
    }
    let users = users(args);
    for (name, password) in &users {
        builder = builder.user(name, password);
    }
    for service in services(args) {
        builder = builder.service(service);
    }
    let realm = builder.start()?;
    let keytabs = split_keytab(realm.keytab())?;
    // The passwords of a command line are its reader's own; the default one has to be told.
    let known = args.users.is_empty().then_some(DEFAULT_USER.1);
    let service = services(args)[0].replacen('/', "@", 1);
    let text = directions(&realm, &keytabs, (&users[0].0, known), &service);
    io::stdout().write_all(text.as_bytes())?;
    io::stdout().flush()?;
    wait(&signals)?;
    Ok(())
}

fn users(args: &RealmArgs) -> Vec<(String, String)> {
    let given = args.users.iter().cloned();
    let mut users: Vec<_> = given.map(|user| (user.name, user.password)).collect();
    if users.is_empty() {
        users.push((DEFAULT_USER.0.to_owned(), DEFAULT_USER.1.to_owned()));
    }
    users
}

fn services(args: &RealmArgs) -> Vec<String> {
    match args.services.is_empty() {
        true => DEFAULT_SERVICES.map(str::to_owned).into(),
        false => args.services.clone(),
    }
}

/// The directory, as an absolute path: ours alone, because whoever writes there chooses which KDC others ask.
fn prepare(directory: &Path) -> Result<PathBuf, Box<dyn Error>> {
    let shown = directory.display();
    let made = DirBuilder::new().mode(DIRECTORY_MODE).create(directory);
    match made {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => {
            return Err(format!("cannot make the directory {shown}: {error}").into());
        }
        _ => {}
    }
    let metadata = fs::symlink_metadata(directory).map_err(|error| format!("{shown}: {error}"))?;
    if !metadata.is_dir() {
        return Err(format!("{shown} is not a directory; name another one with --dir").into());
    }
    if metadata.uid() != geteuid().as_raw() {
        let owner = metadata.uid();
        return Err(format!("{shown} belongs to user {owner}; name another one with --dir").into());
    }
    if metadata.mode() & 0o022 != 0 {
        let mode = metadata.mode() & 0o777;
        return Err(format!(
            "others can write to {shown} (mode {mode:o}); name another one with --dir"
        )
        .into());
    }
    Ok(fs::canonicalize(directory)?)
}

/// Beside the keytab with all services, one for each: a service should hold no other's key.
fn split_keytab(all: &Path) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let keytab = KeytabFile::new(all).current()?;
    let mut services: Vec<&Principal> = Vec::new();
    for entry in &keytab.entries {
        if !services.contains(&&entry.principal) {
            services.push(&entry.principal);
        }
    }
    let mut paths = Vec::new();
    for service in services {
        let path = all.with_file_name(format!("{}.keytab", file_name(service)));
        let of_service = keytab
            .entries
            .iter()
            .filter(|one| one.principal == *service);
        let entries: Vec<&KeytabEntry> = of_service.collect();
        keytab_change::change(&path, true, |keytab| {
            // A realm of before may have left one.
            keytab.entries = entries.iter().map(|entry| copy(entry)).collect();
            keytab.others.clear();
            Ok::<(), KeytabChangeError>(())
        })?;
        paths.push(path);
    }
    Ok(paths)
}

fn copy(entry: &KeytabEntry) -> KeytabEntry {
    KeytabEntry {
        principal: entry.principal.clone(),
        timestamp: entry.timestamp,
        kvno: entry.kvno,
        key: Arc::clone(&entry.key),
    }
}

/// The name without its realm, of characters that mean nothing in a path.
fn file_name(service: &Principal) -> String {
    let name = service.name_to_bytes();
    let plain = |byte: &u8| match char::from(*byte) {
        letter if letter.is_ascii_alphanumeric() || "-_.".contains(letter) => letter,
        _ => '_',
    };
    let name: String = name.iter().map(plain).collect();
    // No file that is hidden, and not the keytab of all.
    match name.starts_with('.') || name == "krb5" {
        true => format!("_{name}"),
        false => name,
    }
}

fn directions(
    realm: &DevelopmentRealm,
    keytabs: &[PathBuf],
    (user, password): (&str, Option<&str>),
    service: &str,
) -> String {
    let (name, address) = (realm.name(), realm.address());
    let directory = realm.keytab().with_file_name("");
    let directory = directory.display();
    let mut out = format!(
        "# The development realm {name} serves on {address} until it is interrupted. It is NOT for production.\n\
         # For other programs, MIT's and Heimdal's too:\n\
         export KRB5_CONFIG={}\n\
         export KRB5_KTNAME=FILE:{}\n\
         export KRB5CCNAME=FILE:{directory}ccache\n",
        realm.krb5_conf().display(),
        realm.keytab().display(),
    );
    for keytab in keytabs {
        out += &format!("#   keytab of one service: {}\n", keytab.display());
    }
    let told = password.map(|password| format!("        # the password is `{password}`"));
    out += &format!(
        "# Then try:\n\
         #   baton login {user}{}\n\
         #   baton tickets --get {service}\n\
         #   baton keytab list\n\
         #   baton serve --listen 127.0.0.1:7000 -- cat &\n\
         #   echo hello | baton connect {service}:7000\n",
        told.unwrap_or_default()
    );
    out
}

fn wait(signals: &Signals) -> io::Result<()> {
    while signals.take().is_empty() {
        match poll(&mut [PollFd::new(signals, PollFlags::IN)], None) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_is_served() {
        for good in ["127.0.0.1:0", "127.1.2.3:88", "[::1]:88"] {
            assert!(loopback(good).is_ok(), "{good}");
        }
        for bad in [
            "0.0.0.0:88",
            "[::]:88",
            "192.0.2.1:88",
            "[::ffff:1.2.3.4]:1",
            "localhost",
            "",
        ] {
            assert!(loopback(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_user_is_a_name_and_a_password() {
        let parsed = user("alice:a:b").map_err(drop).unwrap();
        assert_eq!((&*parsed.name, &*parsed.password), ("alice", "a:b"));
        assert_eq!(format!("{parsed:?}"), "\"alice\"");
        for bad in ["", "alice", "alice:", ":secret"] {
            assert!(user(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_keytabs_file_stays_in_its_directory() {
        for (service, name) in [
            ("HTTP/web.example", "HTTP_web.example"),
            ("../../x", ".._.._x"),
            ("a b/c", "a_b_c"),
            ("krb5", "_krb5"),
        ] {
            let service = Principal::parse(service, Some("R")).unwrap();
            let file = file_name(&service);
            assert_eq!(file.trim_start_matches('_'), name.trim_start_matches('_'));
            assert!(!file.starts_with('.') && !file.contains('/') && file != "krb5");
        }
    }
}
