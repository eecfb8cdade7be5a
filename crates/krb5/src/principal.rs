//! Principal names (RFC 4120 §6.2).
