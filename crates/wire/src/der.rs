//! Strict DER (ITU-T X.690), as far as Kerberos needs it.
