//! On which `libgssapi_krb5.so.2` a program runs that was compiled for MIT's.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Vendor;
use crate::peer::{Peer, program};
use crate::realm::Realm;

/// The folder of our library, as `cargo xtask capi` made it last.
pub fn ours() -> PathBuf {
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/capi/lib");
    let library = place.join("libgssapi_krb5.so.2");
    assert!(
        library.exists(),
        "{} is missing: run `cargo xtask capi` first",
        library.display()
    );
    place
}

/// Whose library a program loads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Library {
    /// This project's.
    Ours,
    /// The system's, which is MIT's.
    Mit,
}

impl Library {
    /// Every pair with ours in it, an initiator's first.
    pub const PAIRS: [[Self; 2]; 3] = [
        [Self::Ours, Self::Ours],
        [Self::Ours, Self::Mit],
        [Self::Mit, Self::Ours],
    ];

    /// [`Realm::command`] on this library.
    pub fn command(self, realm: &Realm, program: impl AsRef<OsStr>, ccache: &str) -> Command {
        let mut command = realm.command(program, ccache);
        if self == Self::Ours {
            command.env("LD_LIBRARY_PATH", ours());
        }
        command
    }

    /// The peer that was compiled for MIT's library, on this one.
    pub fn peer(self, realm: &Realm, ccache: &str) -> Peer {
        Peer::start_with(self.command(realm, program(Vendor::Mit), ccache))
    }
}
