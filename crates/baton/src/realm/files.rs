//! The files of a development realm: `krb5.conf` and the keytab, in a directory of mode 0700.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use krb5::formats::keytab::{Keytab, KeytabEntry};
use krb5::kdc::Principals;
use krb5::principal::Principal;
use wire::random::array;
use wire::time::Clock;

use super::RealmError;
use crate::world::{SystemClock, SystemRandom};

pub(super) struct Files {
    directory: PathBuf,
    krb5_conf: PathBuf,
    keytab: PathBuf,
    /// Whether the directory ends with this value.
    own: bool,
}

impl Files {
    pub(super) fn new(directory: Option<PathBuf>) -> io::Result<Self> {
        let (directory, own) = match directory {
            Some(directory) => {
                fs::create_dir_all(&directory)?;
                (directory, false)
            }
            None => (fresh_directory()?, true),
        };
        Ok(Self {
            krb5_conf: directory.join("krb5.conf"),
            keytab: directory.join("krb5.keytab"),
            directory,
            own,
        })
    }

    pub(super) fn krb5_conf(&self) -> &Path {
        &self.krb5_conf
    }

    pub(super) fn keytab(&self) -> &Path {
        &self.keytab
    }

    pub(super) fn write_krb5_conf(&self, realm: &str, kdc: SocketAddr) -> Result<(), RealmError> {
        let text = format!(
            "# A development realm. Not for production.\n\
             [libdefaults]\n\
             \tdefault_realm = {realm}\n\
             \tdns_lookup_kdc = false\n\
             \tdns_lookup_realm = false\n\
             \tdns_canonicalize_hostname = false\n\
             \trdns = false\n\
             \tforwardable = true\n\
             [realms]\n\
             \t{realm} = {{\n\
             \t\tkdc = {kdc}\n\
             \t}}\n\
             [domain_realm]\n\
             \tlocalhost = {realm}\n"
        );
        write(&self.krb5_conf, 0o644, text.as_bytes()).map_err(|cause| RealmError::Io {
            doing: "write krb5.conf",
            cause,
        })
    }

    pub(super) fn write_keytab(
        &self,
        principals: &Principals,
        services: &[Principal],
    ) -> Result<(), RealmError> {
        let mut keytab = Keytab::default();
        let timestamp = SystemClock.now();
        for service in services {
            for key in principals.keys(service) {
                keytab.entries.push(KeytabEntry {
                    principal: service.clone(),
                    timestamp,
                    kvno: key.kvno,
                    key: key.key.clone(),
                });
            }
        }
        let bytes = keytab.encode().map_err(RealmError::Keytab)?;
        write(&self.keytab, 0o600, &bytes).map_err(|cause| RealmError::Io {
            doing: "write the keytab",
            cause,
        })
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        if self.own {
            // What stays behind is in the directory for temporary files, and nobody relies on its going.
            let _ = fs::remove_dir_all(&self.directory);
        }
    }
}

/// A new directory that is ours alone, in the directory for temporary files.
fn fresh_directory() -> io::Result<PathBuf> {
    let name = u64::from_le_bytes(array(&SystemRandom));
    let directory = std::env::temp_dir().join(format!("baton-realm-{name:016x}"));
    // Fails if somebody was there first.
    DirBuilder::new().mode(0o700).create(&directory)?;
    Ok(directory)
}

/// Writes a file in one step: who reads it sees the old or the new one.
fn write(path: &Path, mode: u32, bytes: &[u8]) -> io::Result<()> {
    let temporary = path.with_extension("new");
    let _ = fs::remove_file(&temporary);
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(&temporary)?;
    file.write_all(bytes)?;
    fs::rename(&temporary, path)
}
