//! The credential cache format.
