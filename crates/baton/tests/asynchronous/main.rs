//! The front for tokio: exchanges with KDCs, handshakes and streams as tasks.
#![allow(missing_docs)]

mod exchanges;
mod streams;
