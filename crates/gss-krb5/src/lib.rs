//! The Kerberos 5 mechanism of GSS-API (RFC 4121).
