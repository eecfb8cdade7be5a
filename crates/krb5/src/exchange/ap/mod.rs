//! The AP exchange (RFC 4120 §3.2): a client shows its ticket to a service, and the service proves itself in turn.
//!
//! A [`Request`] is written by the client and [opened](open) by the service. What was opened is authentic but not yet to be
//! trusted: it has to be [checked](Opened::check), and then its [mark](Checked::replay_mark) has to be put as the first
//! of its kind before anything that the client can see happens. The service's [reply](Checked::reply) is
//! [verified](Awaited::verify) by the client. In DCE style the client answers that with a [third message](ThirdLeg).

mod accept;
mod acceptable;
mod dce;
mod error;
mod request;
mod vouched;

pub use accept::{Authenticated, Checked, Opened, Policy, open, read};
pub use acceptable::Acceptable;
pub use dce::ThirdLeg;
pub use error::ApError;
pub use request::{Awaited, Reply, Request};
pub use vouched::Vouched;

use krb5_crypto::{Enctype, Key};

use crate::messages::{EncryptionKey, KeyError};

/// Whether keys of `enctype` may be used.
pub fn check_permitted(enctype: &Enctype, permitted: &[&'static Enctype]) -> Result<(), ApError> {
    let number = enctype.number();
    if permitted.iter().any(|enctype| enctype.number() == number) {
        return Ok(());
    }
    Err(ApError::EnctypeNotPermitted(number))
}

fn key(key: &EncryptionKey<'_>) -> Result<Key, ApError> {
    key.to_key().map_err(|error| match error {
        KeyError::UnknownEnctype(etype) => ApError::KeyEnctype(etype),
        KeyError::Crypto(error) => ApError::Key(error),
    })
}
