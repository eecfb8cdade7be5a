//! The files of Kerberos as pure parsers and writers: bytes in, types out.

pub mod ccache;
pub mod conf;
pub mod keytab;
