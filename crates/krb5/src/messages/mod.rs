//! The messages of RFC 4120 §5.
