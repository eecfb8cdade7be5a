//! What C sees: types as RFC 2744 §3 and MIT's headers lay them out, and the numbers of status and options.

use std::ffi::{c_int, c_void};

/// `OM_uint32`.
pub type OmUint32 = u32;

/// `gss_OID_desc` (RFC 2744 §3.1).
#[repr(C)]
#[derive(Clone, Copy)]
pub struct OidDesc {
    /// How many octets there are.
    pub length: OmUint32,
    /// The contents octets of the DER encoding.
    pub elements: *const c_void,
}

/// What sets are made of.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct SetDesc<M> {
    /// How many members there are.
    pub count: usize,
    /// The first of them.
    pub elements: *mut M,
}

/// `gss_OID_set_desc` (RFC 2744 §3.1).
pub type OidSetDesc = SetDesc<OidDesc>;

/// `gss_buffer_desc` (RFC 2744 §3.2).
#[repr(C)]
#[derive(Clone, Copy)]
pub struct BufferDesc {
    /// How many bytes there are.
    pub length: usize,
    /// The first of them.
    pub value: *mut c_void,
}

/// `struct gss_channel_bindings_struct` (RFC 2744 §3.11).
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ChannelBindingsDesc {
    /// The type of the initiator's address.
    pub initiator_addrtype: OmUint32,
    /// The initiator's address.
    pub initiator_address: BufferDesc,
    /// The type of the acceptor's address.
    pub acceptor_addrtype: OmUint32,
    /// The acceptor's address.
    pub acceptor_address: BufferDesc,
    /// What the application knows of the channel.
    pub application_data: BufferDesc,
}

/// `gss_cred_usage_t` and other small integers of C.
pub type Int = c_int;

/// `GSS_S_COMPLETE`.
pub const COMPLETE: OmUint32 = 0;
/// `GSS_S_CONTINUE_NEEDED`.
pub const CONTINUE_NEEDED: OmUint32 = 1;
/// `GSS_S_CALL_INACCESSIBLE_READ`: an input that was needed is a null pointer.
pub const CALL_INACCESSIBLE_READ: OmUint32 = 1 << 24;
/// `GSS_S_CALL_INACCESSIBLE_WRITE`: an output that was needed is a null pointer.
pub const CALL_INACCESSIBLE_WRITE: OmUint32 = 2 << 24;
/// `GSS_S_CALL_BAD_STRUCTURE`: an argument does not have its form.
pub const CALL_BAD_STRUCTURE: OmUint32 = 3 << 24;

/// `GSS_C_INDEFINITE`.
pub const INDEFINITE: OmUint32 = u32::MAX;
/// `GSS_C_BOTH`.
pub const BOTH: Int = 0;
/// `GSS_C_INITIATE`.
pub const INITIATE: Int = 1;
/// `GSS_C_ACCEPT`.
pub const ACCEPT: Int = 2;

/// `GSS_C_GSS_CODE`.
pub const GSS_CODE: Int = 1;
/// `GSS_C_MECH_CODE`.
pub const MECH_CODE: Int = 2;

/// `gss_iov_buffer_desc` of MIT's `gssapi_ext.h`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct IovDesc {
    /// What it holds, and [`IOV_ALLOCATE`] or [`IOV_ALLOCATED`].
    pub kind: OmUint32,
    /// Its bytes.
    pub buffer: BufferDesc,
}

/// `GSS_IOV_BUFFER_TYPE_EMPTY`: not looked at.
pub const IOV_EMPTY: OmUint32 = 0;
/// `GSS_IOV_BUFFER_TYPE_DATA`.
pub const IOV_DATA: OmUint32 = 1;
/// `GSS_IOV_BUFFER_TYPE_HEADER`.
pub const IOV_HEADER: OmUint32 = 2;
/// `GSS_IOV_BUFFER_TYPE_MECH_PARAMS`: no mechanism has any; not looked at.
pub const IOV_MECH_PARAMS: OmUint32 = 3;
/// `GSS_IOV_BUFFER_TYPE_TRAILER`.
pub const IOV_TRAILER: OmUint32 = 7;
/// `GSS_IOV_BUFFER_TYPE_PADDING`.
pub const IOV_PADDING: OmUint32 = 9;
/// `GSS_IOV_BUFFER_TYPE_STREAM`.
pub const IOV_STREAM: OmUint32 = 10;
/// `GSS_IOV_BUFFER_TYPE_SIGN_ONLY`.
pub const IOV_SIGN_ONLY: OmUint32 = 11;
/// `GSS_IOV_BUFFER_TYPE_MIC_TOKEN`.
pub const IOV_MIC_TOKEN: OmUint32 = 12;
/// `GSS_IOV_BUFFER_FLAG_ALLOCATE`: the library is to find the memory.
pub const IOV_ALLOCATE: OmUint32 = 0x0001_0000;
/// `GSS_IOV_BUFFER_FLAG_ALLOCATED`: the library has found it.
pub const IOV_ALLOCATED: OmUint32 = 0x0002_0000;

/// `gss_key_value_element_desc` of MIT's `gssapi_ext.h`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct KeyValueDesc {
    /// What it says something of.
    pub key: *const std::ffi::c_char,
    /// What it says.
    pub value: *const std::ffi::c_char,
}

/// `gss_key_value_set_desc` of MIT's `gssapi_ext.h`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct KeyValueSetDesc {
    /// How many elements there are.
    pub count: OmUint32,
    /// The first of them.
    pub elements: *const KeyValueDesc,
}

/// `gss_krb5_lucid_key_t` of MIT's `gssapi_krb5.h`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct LucidKey {
    /// The enctype.
    pub kind: OmUint32,
    /// How many bytes it has.
    pub length: OmUint32,
    /// The key.
    pub data: *mut c_void,
}

impl LucidKey {
    /// No key.
    pub const NONE: Self = Self {
        kind: 0,
        length: 0,
        data: std::ptr::null_mut(),
    };
}

/// `gss_krb5_rfc1964_keydata_t` of MIT's `gssapi_krb5.h`.
#[repr(C)]
pub struct Rfc1964Keydata {
    /// `SGN_ALG`.
    pub sign_alg: OmUint32,
    /// `SEAL_ALG`.
    pub seal_alg: OmUint32,
    /// The context's key.
    pub ctx_key: LucidKey,
}

/// `gss_krb5_cfx_keydata_t` of MIT's `gssapi_krb5.h`.
#[repr(C)]
pub struct CfxKeydata {
    /// Whether the acceptor asserted a key.
    pub have_acceptor_subkey: OmUint32,
    /// The context's key.
    pub ctx_key: LucidKey,
    /// The acceptor's.
    pub acceptor_subkey: LucidKey,
}

/// `gss_krb5_lucid_context_v1_t` of MIT's `gssapi_krb5.h`.
#[repr(C)]
pub struct LucidContextV1 {
    /// 1.
    pub version: OmUint32,
    /// Whether this side initiated the context.
    pub initiate: OmUint32,
    /// When it ends, in seconds since 1970.
    pub endtime: OmUint32,
    /// The next number to send.
    pub send_seq: u64,
    /// The next number to be received.
    pub recv_seq: u64,
    /// 0 for the tokens of RFC 1964, 1 for those of RFC 4121.
    pub protocol: OmUint32,
    /// With protocol 0.
    pub rfc1964: Rfc1964Keydata,
    /// With protocol 1.
    pub cfx: CfxKeydata,
}
