//! Credentials: how they are acquired, what is known of them, where they go.
#![allow(missing_docs)]

mod acquire;
mod export;
mod grid;
mod renewal;
mod select;
mod site;
mod store;
