//! Kerberos enctypes, checksums, key derivation, string-to-key, PRF.
