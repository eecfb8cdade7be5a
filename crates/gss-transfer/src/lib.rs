//! A security context changes hands: who may take it over, and the sealed token it travels in.
//!
//! [Exporting](export) seals a context's state under a key that exists once, leaves that key and the [policy] as a *deposit* in
//! the once-store, and gives a token that is worth nothing without the deposit. [Importing](mod@import) looks at the
//! deposit, checks the importer's [identity] against the policy, opens the token, and only then takes the
//! deposit, which the store gives to exactly one caller: so a bad token, a stranger and a lost race burn nothing.
//!
//! A handshake that waits travels [half open](half_open), without a deposit: sealed under a [key of the service](ServiceKeys), and marked
//! in the store when somebody goes on with it.
//!
//! No mechanism is known here (a [`Restore`](gss_core::mechanism::Restore) reads the state), and no fact about this process is
//! asked for: they are handed in.
#![forbid(unsafe_code)]

mod deposit;
pub mod envelope;
mod error;
pub mod export;
pub mod half_open;
pub mod identity;
pub mod import;
pub mod policy;
mod service_key;

pub use deposit::Carrier;
pub use error::Error;
pub use service_key::{KeysError, MAX_KEYS, ServiceKeys};
