//! The keytab format.
