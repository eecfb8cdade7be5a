//! The data symbols: pointers to OIDs, each an object of eight bytes, because programs hold copies of them (COPY relocations).
#![allow(
    non_upper_case_globals,
    unsafe_code,
    reason = "C programs find them by their names"
)]

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use baton::Oid;

use crate::abi::Int;
use crate::ptr::{
    BufferPointer, OidPointer, OidSetPointer, StaticBuffer, StaticOid, StaticOidSet, leak,
};

/// Octets, and every name under which programs know a pointer to them; in brackets, where a library has the descriptor itself under
/// a name, the names of that. The first is the one that is pointed to.
macro_rules! oids {
    ($($octets:literal: $first:ident $($other:ident)* $([$($descriptor:ident)*])?;)*) => {
        $(
            oids!(@first $octets $first $($($descriptor)*)?);
            $(
                #[doc = concat!("`", stringify!($other), "`.")]
                #[unsafe(no_mangle)]
                pub static $other: OidPointer = $first;
            )*
        )*
        /// The descriptor of octets that have one.
        static KNOWN: &[(&[u8], &OidPointer)] = &[$(($octets, &$first)),*];
    };
    (@first $octets:literal $name:ident) => {
        #[doc = concat!("`", stringify!($name), "`.")]
        #[unsafe(no_mangle)]
        pub static $name: OidPointer = {
            static DESCRIPTOR: StaticOid = StaticOid::new($octets);
            DESCRIPTOR.pointer()
        };
    };
    (@first $octets:literal $name:ident $descriptor:ident $($copy:ident)*) => {
        #[doc = concat!("`", stringify!($name), "`.")]
        #[unsafe(no_mangle)]
        pub static $name: OidPointer = $descriptor.pointer();
        oids!(@descriptors $octets $descriptor $($copy)*);
    };
    (@descriptors $octets:literal $($descriptor:ident)*) => {$(
        #[doc = concat!("`", stringify!($descriptor), "`.")]
        #[unsafe(no_mangle)]
        pub static $descriptor: StaticOid = StaticOid::new($octets);
    )*};
}

oids! {
    b"\x2a\x86\x48\x86\xf7\x12\x01\x02\x02\x05\x10": GSS_C_INQ_NEGOEX_KEY;
    b"\x2a\x86\x48\x86\xf7\x12\x01\x02\x02\x05\x11": GSS_C_INQ_NEGOEX_VERIFY_KEY;
    b"\x2a\x86\x48\x86\xf7\x12\x01\x02\x02\x05\x05": GSS_C_INQ_SSPI_SESSION_KEY;
    b"\x2b\x06\x01\x05\x05\x0d\x0a": GSS_C_MA_AUTH_INIT;
    b"\x2b\x06\x01\x05\x05\x0d\x0e": GSS_C_MA_AUTH_INIT_ANON;
    b"\x2b\x06\x01\x05\x05\x0d\x0c": GSS_C_MA_AUTH_INIT_INIT;
    b"\x2b\x06\x01\x05\x05\x0d\x0b": GSS_C_MA_AUTH_TARG;
    b"\x2b\x06\x01\x05\x05\x0d\x0f": GSS_C_MA_AUTH_TARG_ANON;
    b"\x2b\x06\x01\x05\x05\x0d\x0d": GSS_C_MA_AUTH_TARG_INIT;
    b"\x2b\x06\x01\x05\x05\x0d\x18": GSS_C_MA_CBINDINGS;
    b"\x2b\x06\x01\x05\x05\x0d\x1a": GSS_C_MA_COMPRESS;
    b"\x2b\x06\x01\x05\x05\x0d\x12": GSS_C_MA_CONF_PROT;
    b"\x2b\x06\x01\x05\x05\x0d\x1b": GSS_C_MA_CTX_TRANS;
    b"\x2b\x06\x01\x05\x05\x0d\x10": GSS_C_MA_DELEG_CRED;
    b"\x2b\x06\x01\x05\x05\x0d\x07": GSS_C_MA_DEPRECATED;
    b"\x2b\x06\x01\x05\x05\x0d\x11": GSS_C_MA_INTEG_PROT;
    b"\x2b\x06\x01\x05\x05\x0d\x09": GSS_C_MA_ITOK_FRAMED;
    b"\x2b\x06\x01\x05\x05\x0d\x03": GSS_C_MA_MECH_COMPOSITE;
    b"\x2b\x06\x01\x05\x05\x0d\x01": GSS_C_MA_MECH_CONCRETE;
    b"\x2b\x06\x01\x05\x05\x0d\x05": GSS_C_MA_MECH_GLUE;
    b"\x2b\x06\x01\x05\x05\x0d\x04": GSS_C_MA_MECH_NEGO;
    b"\x2b\x06\x01\x05\x05\x0d\x02": GSS_C_MA_MECH_PSEUDO;
    b"\x2b\x06\x01\x05\x05\x0d\x13": GSS_C_MA_MIC;
    b"\x2a\x86\x48\x86\xf7\x12\x01\x02\x02\x05\x12": GSS_C_MA_NEGOEX_AND_SPNEGO;
    b"\x2b\x06\x01\x05\x05\x0d\x08": GSS_C_MA_NOT_DFLT_MECH;
    b"\x2b\x06\x01\x05\x05\x0d\x06": GSS_C_MA_NOT_MECH;
    b"\x2b\x06\x01\x05\x05\x0d\x17": GSS_C_MA_OOS_DET;
    b"\x2b\x06\x01\x05\x05\x0d\x19": GSS_C_MA_PFS;
    b"\x2b\x06\x01\x05\x05\x0d\x15": GSS_C_MA_PROT_READY;
    b"\x2b\x06\x01\x05\x05\x0d\x16": GSS_C_MA_REPLAY_DET;
    b"\x2b\x06\x01\x05\x05\x0d\x14": GSS_C_MA_WRAP;
    b"\x2b\x06\x01\x05\x06\x03": GSS_C_NT_ANONYMOUS [GSS_C_NT_ANONYMOUS_static];
    b"\x2b\x06\x01\x05\x06\x06": GSS_C_NT_COMPOSITE_EXPORT;
    b"\x2b\x06\x01\x05\x06\x04": GSS_C_NT_EXPORT_NAME gss_nt_exported_name [GSS_C_NT_EXPORT_NAME_static];
    b"\x2a\x86\x48\x86\xf7\x12\x01\x02\x01\x04": GSS_C_NT_HOSTBASED_SERVICE gss_nt_service_name GSS_KRB5_NT_HOSTBASED_SERVICE_NAME [GSS_C_NT_HOSTBASED_SERVICE_static];
    b"\x2b\x06\x01\x05\x06\x02": GSS_C_NT_HOSTBASED_SERVICE_X gss_nt_service_name_v2 [GSS_C_NT_HOSTBASED_SERVICE_X_static];
    b"\x2a\x86\x48\x86\xf7\x12\x01\x02\x01\x02": GSS_C_NT_MACHINE_UID_NAME gss_nt_machine_uid_name GSS_KRB5_NT_MACHINE_UID_NAME [GSS_C_NT_MACHINE_UID_NAME_static GSS_KRB5_NT_MACHINE_UID_NAME_static];
    b"\x2a\x86\x48\x86\xf7\x12\x01\x02\x01\x03": GSS_C_NT_STRING_UID_NAME gss_nt_string_uid_name GSS_KRB5_NT_STRING_UID_NAME [GSS_C_NT_STRING_UID_NAME_static GSS_KRB5_NT_STRING_UID_NAME_static];
    b"\x2a\x86\x48\x86\xf7\x12\x01\x02\x01\x01": GSS_C_NT_USER_NAME gss_nt_user_name GSS_KRB5_NT_USER_NAME [GSS_C_NT_USER_NAME_static GSS_KRB5_NT_USER_NAME_static];
    b"\x2a\x86\x48\x86\xf7\x12\x01\x02\x02\x05\x0f": GSS_C_SEC_CONTEXT_SASL_SSF;
    b"\x2a\x85\x70\x2b\x0d\x1d": GSS_KRB5_CRED_NO_CI_FLAGS_X;
    b"\x2a\x86\x48\x86\xf7\x12\x01\x02\x02\x05\x0e": GSS_KRB5_GET_CRED_IMPERSONATOR;
    b"\x2a\x86\x48\x86\xf7\x12\x01\x02\x02\x06": GSS_KRB5_NT_ENTERPRISE_NAME;
    b"\x2a\x86\x48\x86\xf7\x12\x01\x02\x02\x01": GSS_KRB5_NT_PRINCIPAL_NAME gss_nt_krb5_name [GSS_KRB5_NT_PRINCIPAL_NAME_static];
    b"\x2a\x86\x48\x86\xf7\x12\x01\x02\x02\x07": GSS_KRB5_NT_X509_CERT;
    b"\x2b\x06\x01\x05\x02\x05": gss_mech_iakerb;
    b"\x2a\x86\x48\x86\xf7\x12\x01\x02\x02": gss_mech_krb5 GSS_KRB5 [GSS_KRB5_static];
    b"\x2b\x05\x01\x05\x02": gss_mech_krb5_old;
    b"\x2a\x86\x48\x82\xf7\x12\x01\x02\x02": gss_mech_krb5_wrong;
    b"\x2a\x86\x48\x86\xf7\x12\x01\x02\x02\x02": gss_nt_krb5_principal;
    b"\x2b\x06\x01\x05\x05\x02": baton_mech_spnego;
}

macro_rules! sets {
    ($($name:ident: [$($octets:literal),*];)*) => {$(
        #[doc = concat!("`", stringify!($name), "`.")]
        #[unsafe(no_mangle)]
        pub static $name: OidSetPointer = {
            static MEMBERS: &[StaticOid] = &[$(StaticOid::new($octets)),*];
            static SET: StaticOidSet = StaticOidSet::new(MEMBERS);
            SET.pointer()
        };
    )*};
}

sets! {
    gss_mech_set_krb5: [b"\x2a\x86\x48\x86\xf7\x12\x01\x02\x02"];
    gss_mech_set_krb5_both: [b"\x2a\x86\x48\x86\xf7\x12\x01\x02\x02", b"\x2b\x05\x01\x05\x02", b"\x2a\x86\x48\x82\xf7\x12\x01\x02\x02"];
    gss_mech_set_krb5_old: [b"\x2b\x05\x01\x05\x02"];
}

/// `GSS_C_ATTR_LOCAL_LOGIN_USER`: the attribute that tells a local name.
#[unsafe(no_mangle)]
pub static GSS_C_ATTR_LOCAL_LOGIN_USER: BufferPointer = {
    static NAME: StaticBuffer = StaticBuffer::new(b"local-login-user");
    NAME.pointer()
};

/// `krb5_gss_dbg_client_expcreds`: a program could switch off a check by it; ours stays.
#[unsafe(no_mangle)]
pub static krb5_gss_dbg_client_expcreds: Int = 0;

/// A descriptor of `oid` that lives as long as the process.
pub(crate) fn descriptor(oid: Oid) -> OidPointer {
    let known = KNOWN.iter().find(|(octets, _)| *octets == oid.bytes());
    if let Some((_, pointer)) = known {
        return **pointer;
    }
    // Name types that programs made up: as many as they have, each once.
    static OTHERS: Mutex<Option<HashMap<Oid, OidPointer>>> = Mutex::new(None);
    let mut others = OTHERS.lock().unwrap_or_else(PoisonError::into_inner);
    let others = others.get_or_insert_with(HashMap::new);
    *others.entry(oid).or_insert_with(|| leak(oid))
}
