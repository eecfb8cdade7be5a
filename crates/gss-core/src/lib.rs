//! GSS-API terms: [OIDs](oid), [names](name), [flags], [channel bindings](bindings), [status and errors](error), their [texts](status),
//! [token framing](framing), [mechanism attributes](attribute), the [sequence window](sequence), the [traits](mechanism) that a
//! mechanism offers, and the forms of [messages](message) that lie in buffers of their caller's.
//!
//! Nothing here knows a mechanism or a cryptographic algorithm. The world (clock, randomness, the once-store) comes in as a
//! [`Host`](host::Host).
#![forbid(unsafe_code)]

pub mod attribute;
pub mod bindings;
pub mod error;
pub mod flags;
pub mod framing;
pub mod host;
pub mod inquire;
pub mod mechanism;
pub mod message;
pub mod name;
pub mod oid;
pub mod sequence;
pub mod status;
