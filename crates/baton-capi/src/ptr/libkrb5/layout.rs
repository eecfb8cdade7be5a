//! What libkrb5 lays out in memory: the structures of MIT's `krb5.h`, as far as the objects that cross have them.

use std::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::ptr;

use crate::libkrb5::Libkrb5Error;

/// `krb5_data`.
#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct Data {
    pub(super) magic: i32,
    pub(super) length: c_uint,
    pub(super) data: *mut c_void,
}

/// `krb5_principal_data`.
#[repr(C)]
pub(super) struct PrincipalData {
    pub(super) magic: i32,
    pub(super) realm: Data,
    pub(super) components: *mut Data,
    pub(super) count: i32,
    pub(super) name_type: i32,
}

/// `krb5_keyblock`, and with the type's number in the place of the enctype's `krb5_address` and `krb5_authdata`.
#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct TypedBytes {
    pub(super) magic: i32,
    pub(super) kind: i32,
    pub(super) length: c_uint,
    pub(super) contents: *mut c_void,
}

/// `krb5_creds`.
#[repr(C)]
pub(super) struct Creds {
    pub(super) magic: i32,
    pub(super) client: *mut PrincipalData,
    pub(super) server: *mut PrincipalData,
    pub(super) key: TypedBytes,
    /// `authtime`, `starttime`, `endtime`, `renew_till`: 32 bits that are read as unsigned.
    pub(super) times: [i32; 4],
    pub(super) is_skey: c_uint,
    pub(super) flags: i32,
    pub(super) addresses: *mut *mut TypedBytes,
    pub(super) ticket: Data,
    pub(super) second_ticket: Data,
    pub(super) authdata: *mut *mut TypedBytes,
}

/// `krb5_keytab_entry`.
#[repr(C)]
pub(super) struct KeytabEntryData {
    pub(super) magic: i32,
    pub(super) principal: *mut PrincipalData,
    pub(super) timestamp: i32,
    pub(super) kvno: c_uint,
    pub(super) key: TypedBytes,
}

/// Any object of libkrb5's that is a pointer to us and nothing more: a context, a cache, a keytab, a cursor.
pub(super) type Opaque = *mut c_void;

/// `krb5_error_code`.
pub(super) type Code = i32;

macro_rules! calls {
    ($($name:ident($($argument:ty),*) $(-> $result:ty)?;)*) => {
        /// The functions of libkrb5 that are called, as `krb5.h` declares them.
        #[derive(Clone, Copy)]
        pub(super) struct Calls {
            $(pub(super) $name: unsafe extern "C" fn($($argument),*) $(-> $result)?,)*
        }

        impl Calls {
            /// All of them, by `find`.
            ///
            /// # Safety
            /// What `find` gives for a name is null or the function of that name.
            pub(super) unsafe fn find(find: impl Fn(&CStr) -> *mut c_void) -> Result<Self, Libkrb5Error> {
                Ok(Self {
                    $($name: {
                        let name = concat!(stringify!($name), "\0").as_bytes();
                        let name = CStr::from_bytes_with_nul(name);
                        let found = name.map_or(ptr::null_mut(), &find);
                        if found.is_null() {
                            return Err(Libkrb5Error::NoFunction(stringify!($name)));
                        }
                        // SAFETY: not null, so the function of that name, which `krb5.h` declares so.
                        unsafe {
                            std::mem::transmute::<*mut c_void, unsafe extern "C" fn($($argument),*) $(-> $result)?>(found)
                        }
                    },)*
                })
            }
        }
    };
}

calls! {
    krb5_init_context(*mut Opaque) -> Code;
    krb5_free_context(Opaque);
    krb5_get_error_message(Opaque, Code) -> *const c_char;
    krb5_free_error_message(Opaque, *const c_char);
    krb5_cc_resolve(Opaque, *const c_char, *mut Opaque) -> Code;
    krb5_cc_close(Opaque, Opaque) -> Code;
    krb5_cc_get_full_name(Opaque, Opaque, *mut *mut c_char) -> Code;
    krb5_free_string(Opaque, *mut c_char);
    krb5_cc_get_principal(Opaque, Opaque, *mut *mut PrincipalData) -> Code;
    krb5_free_principal(Opaque, *mut PrincipalData);
    krb5_cc_initialize(Opaque, Opaque, *mut PrincipalData) -> Code;
    krb5_cc_store_cred(Opaque, Opaque, *mut Creds) -> Code;
    krb5_cc_start_seq_get(Opaque, Opaque, *mut Opaque) -> Code;
    krb5_cc_next_cred(Opaque, Opaque, *mut Opaque, *mut Creds) -> Code;
    krb5_cc_end_seq_get(Opaque, Opaque, *mut Opaque) -> Code;
    krb5_free_cred_contents(Opaque, *mut Creds);
    krb5_kt_get_name(Opaque, Opaque, *mut c_char, c_uint) -> Code;
    krb5_kt_start_seq_get(Opaque, Opaque, *mut Opaque) -> Code;
    krb5_kt_next_entry(Opaque, Opaque, *mut KeytabEntryData, *mut Opaque) -> Code;
    krb5_kt_end_seq_get(Opaque, Opaque, *mut Opaque) -> Code;
    krb5_free_keytab_entry_contents(Opaque, *mut KeytabEntryData) -> Code;
    k5_rc_get_name(Opaque, Opaque) -> *const c_char;
}

impl Data {
    /// Looks at `bytes`, which libkrb5 does not write.
    pub(super) fn of(bytes: &[u8]) -> Self {
        Self {
            magic: 0,
            length: bytes.len() as c_uint,
            data: bytes.as_ptr().cast_mut().cast(),
        }
    }
}

impl TypedBytes {
    /// Looks at `bytes`, which libkrb5 does not write.
    pub(super) fn of(kind: c_int, bytes: &[u8]) -> Self {
        Self {
            magic: 0,
            kind,
            length: bytes.len() as c_uint,
            contents: bytes.as_ptr().cast_mut().cast(),
        }
    }
}

impl Creds {
    pub(super) const EMPTY: Self = Self {
        magic: 0,
        client: ptr::null_mut(),
        server: ptr::null_mut(),
        key: TypedBytes::EMPTY,
        times: [0; 4],
        is_skey: 0,
        flags: 0,
        addresses: ptr::null_mut(),
        ticket: Data::EMPTY,
        second_ticket: Data::EMPTY,
        authdata: ptr::null_mut(),
    };
}

impl TypedBytes {
    const EMPTY: Self = Self {
        magic: 0,
        kind: 0,
        length: 0,
        contents: ptr::null_mut(),
    };
}

impl Data {
    const EMPTY: Self = Self {
        magic: 0,
        length: 0,
        data: ptr::null_mut(),
    };
}

impl KeytabEntryData {
    pub(super) const EMPTY: Self = Self {
        magic: 0,
        principal: ptr::null_mut(),
        timestamp: 0,
        kvno: 0,
        key: TypedBytes::EMPTY,
    };
}
