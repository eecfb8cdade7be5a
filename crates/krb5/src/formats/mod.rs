//! The files of Kerberos as pure parsers and writers: bytes in, types out.
//!
//! [`keytab`] and [`ccache`] hold keys, [`conf`] is `krb5.conf` as a tree and [`settings`] what it means,
//! [`residual`] the names under which files are configured (`FILE:/etc/krb5.keytab`, `/tmp/krb5cc_%{uid}`).

pub mod ccache;
pub mod conf;
mod exact;
pub mod keytab;
