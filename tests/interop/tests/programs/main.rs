//! Programs of Debian's packages that were compiled for MIT's `libgssapi_krb5.so.2`, as they are, on ours: on both sides of a
//! connection, and on one side with MIT's on the other.
#![forbid(unsafe_code)]

mod homes;
mod http;
mod languages;
mod ldap;
mod postgresql;
mod site;
mod ssh;
