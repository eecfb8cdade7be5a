//! The files of Kerberos as pure parsers and writers: bytes in, types out.
//!
//! [`keytab`] and [`ccache`] hold keys, [`conf`] is `krb5.conf` as a tree and [`settings`] what it means,
//! [`auth_to_local`] tells which local user a principal is, [`k5identity`] tells as whom a user initiates, [`rcache2`] is where MIT's acceptors note what they have seen, [`residual`] the names by which such files are configured (`FILE:/tmp/krb5cc_%{uid}`).

pub mod auth_to_local;
pub mod ccache;
pub mod conf;
mod exact;
pub mod k5identity;
pub mod keytab;
pub mod rcache2;
pub mod residual;
pub mod settings;
#[cfg(test)]
mod vectors;
