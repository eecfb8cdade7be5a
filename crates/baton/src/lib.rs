//! GSS-API in memory-safe Rust with its own Kerberos 5, and security contexts that really change hands.
