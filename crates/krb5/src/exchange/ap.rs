//! The AP exchange (RFC 4120 §3.2).
