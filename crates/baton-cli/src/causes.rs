//! An error with what lies behind it, on one line.

use std::error::Error;

/// What `error` says, then each of its causes.
pub(crate) fn causes(error: &dyn Error) -> String {
    let mut out = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        out += &format!(": {error}");
        cause = error.source();
    }
    out
}
