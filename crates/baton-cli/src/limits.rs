//! Limits of the process.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// How many descriptors are wanted for ten thousand conversations and some.
const WANTED: u64 = 65_536;

/// Allows this process as many descriptors as it may have, and as many as it wants where it may decide that itself.
pub(crate) fn raise_descriptor_limit() {
    let limit = getrlimit(Resource::Nofile);
    let maximum = limit.maximum.unwrap_or(WANTED);
    let wanted = Rlimit {
        current: Some(maximum.max(WANTED)),
        maximum: Some(maximum.max(WANTED)),
    };
    if setrlimit(Resource::Nofile, wanted).is_err() {
        let allowed = Rlimit {
            current: limit.maximum,
            maximum: limit.maximum,
        };
        if let Err(error) = setrlimit(Resource::Nofile, allowed) {
            tracing::debug!(target: "serve", "the limit of descriptors stays: {error}");
        }
    }
}
