//! Interoperation with MIT krb5 and Heimdal: their KDCs, their libraries, on loopback, set up by each test itself.
//!
//! A [`realm::Realm`] is a KDC with its database in a temporary directory, a [`samba::Domain`] a domain of Samba's; a
//! [`peer::Peer`] is a small C program over one of their GSS-API libraries, through which a test sees every token.
//! `tests/install` brings what they need; a missing package is a failure that says so, never a skipped test.
#![forbid(unsafe_code)]

pub mod daemon;
pub mod library;
pub mod peer;
pub mod realm;
pub mod realms;
pub mod samba;

use std::path::{Path, PathBuf};

/// Which implementation a KDC or a library is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Vendor {
    /// MIT krb5, as Debian packages it.
    Mit,
    /// Heimdal, as Debian packages it.
    Heimdal,
}

impl Vendor {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Mit, Self::Heimdal];
}

/// Where `tests/install` puts what cannot be installed as a package.
fn peers_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/peers")
}

/// One of Heimdal's programs that `tests/install` unpacked, such as `kgetcred`.
pub fn heimdal_program(name: &str) -> PathBuf {
    needed(peers_dir().join("heimdal").join(name))
}

fn needed(path: PathBuf) -> PathBuf {
    assert!(
        path.exists(),
        "{} is missing: run tests/install first",
        path.display()
    );
    path
}
