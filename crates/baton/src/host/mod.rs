//! The edge: the one place with files, locks, sockets, DNS and the user database.
//!
//! Everything below this crate is handed values; what is here finds them. [`keytab`] and [`ccache`] are the files with keys, [`collection`] all caches of a user,
//! [`names`] tells which of them are meant where nobody says, [`kdc`] finds and asks KDCs, and [`tickets`] gets tickets
//! with all of these. [`accounts`] are the users of this host, [`resolver`] finds hosts by DNS. [`mit_replay`] is shared with the acceptors of MIT's library.

pub mod accounts;
pub mod ccache;
pub mod collection;
pub(crate) mod k5identity;
pub mod k5login;
pub mod kdc;
pub mod keytab;
pub mod keytab_change;
pub mod mit_replay;
pub mod names;
pub mod resolver;
pub(crate) mod secret_file;
pub mod tickets;
pub mod user;
