//! The one way in and out of C: a panic is caught, and an error becomes a status, a minor code and a text.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::abi::{CALL_BAD_STRUCTURE, CALL_INACCESSIBLE_READ, CALL_INACCESSIBLE_WRITE, OmUint32};
use crate::ptr::{Dialect, Out};
use crate::status;
use baton::{Error, Failure, Major};

/// What a call that fails answers with.
#[derive(Debug)]
pub struct Status {
    pub(crate) major: OmUint32,
    pub(crate) minor: OmUint32,
    /// What `gss_display_status` tells of the minor code.
    pub(crate) text: Option<String>,
}

/// `ENOMEM`, as MIT's library gives it.
const ENOMEM: OmUint32 = libc::ENOMEM as OmUint32;

impl Status {
    /// An input is a null pointer that may not be.
    pub(crate) const INACCESSIBLE_READ: Self = Self::of(CALL_INACCESSIBLE_READ);
    /// An output is a null pointer that may not be.
    pub(crate) const INACCESSIBLE_WRITE: Self = Self::of(CALL_INACCESSIBLE_WRITE);
    /// An argument does not have its form.
    pub(crate) const BAD_STRUCTURE: Self = Self::of(CALL_BAD_STRUCTURE);
    /// There is no memory for an output.
    pub(crate) const NO_MEMORY: Self = Self {
        major: Major::Failure.code(),
        minor: ENOMEM,
        text: None,
    };

    /// Just a major status.
    pub(crate) const fn of(major: OmUint32) -> Self {
        Self {
            major,
            minor: 0,
            text: None,
        }
    }

    /// The same, and what is wrong with a calling error beside a routine error, as MIT's library adds them.
    pub(crate) const fn with(mut self, major: Major) -> Self {
        self.major |= major.code();
        self
    }
}

impl From<Major> for Status {
    fn from(major: Major) -> Self {
        Self::of(major.code())
    }
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        let bit = error.supplementary().map_or(0, |bit| bit as u32);
        let minor = match error.minor() {
            0 => status::GENERIC,
            minor => minor,
        };
        Self {
            major: error.major().code() | bit,
            minor,
            text: Some(error.to_string()),
        }
    }
}

impl From<Failure> for Status {
    fn from(failure: Failure) -> Self {
        failure.error.into()
    }
}

/// Runs a call: sets its minor code whatever comes of it, and turns a panic into `GSS_S_FAILURE`.
///
/// What a panic leaves behind is whole or dead: a handshake's state was taken out of its handle before the step, and a direction
/// of a context is poisoned with its lock.
pub(crate) fn call(
    minor: Out<OmUint32>,
    body: impl FnOnce() -> Result<OmUint32, Status>,
) -> OmUint32 {
    // GNU's library goes on without a place for it.
    if minor.required().is_err() && Dialect::current() == Dialect::Mit {
        return CALL_INACCESSIBLE_WRITE;
    }
    minor.set(0);
    caught(body).unwrap_or_else(|status| {
        minor.set(status.minor);
        if let Some(text) = status.text {
            status::remember(status.minor, text);
        }
        status.major
    })
}

/// What `body` gives, or what a panic in it is for C.
pub(crate) fn caught<T>(body: impl FnOnce() -> Result<T, Status>) -> Result<T, Status> {
    catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|_| {
        Err(Status {
            major: Major::Failure.code(),
            minor: status::GENERIC,
            text: Some("internal error: this is a fault of the library".to_owned()),
        })
    })
}

/// A function of the library.
macro_rules! entry {
    ($($(#[$attribute:meta])* fn $name:ident($minor:ident $(, $argument:ident: $type:ty)* $(,)?) $body:block)*) => {$(
        $(#[$attribute])*
        #[allow(unsafe_code, reason = "C programs find it by its name")]
        #[unsafe(no_mangle)]
        pub extern "C" fn $name(
            $minor: $crate::ptr::Out<$crate::abi::OmUint32>,
            $($argument: $type),*
        ) -> $crate::abi::OmUint32 {
            $crate::boundary::call($minor, move || $body)
        }
    )*};
}
pub(crate) use entry;
