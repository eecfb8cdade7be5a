//! Two parties in memory, with a clock and randomness that are values.

mod attributes;
mod batches;
mod buffers;
mod calls;
mod checks;
mod crafted;
mod dce;
mod delegation;
mod half_open;
mod handshake;
mod in_place;
mod inquire;
mod messages;
mod older;
mod realm;
mod state;
pub(crate) mod vectors;
