//! The AS exchange (RFC 4120 §3.1).
