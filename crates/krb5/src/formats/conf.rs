//! `krb5.conf`.
