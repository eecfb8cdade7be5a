//! The TGS exchange (RFC 4120 §3.3).
