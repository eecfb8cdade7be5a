//! Every dereference of a pointer of C's: the one module with `unsafe` in it.
//!
//! The types here are `repr(transparent)` over what C passes, and nothing but a C caller makes one (outside of tests). What RFC 2744 §3 asks of
//! callers is what each block rests on: a pointer is null or points to a value of its type, which nobody else writes during
//! the call; a buffer's `value` has `length` bytes; an output is writable. Null is looked at here and nowhere else.
#![allow(unsafe_code)]

use std::ffi::c_void;
use std::ptr;
use std::slice;

use baton::ChannelBindings;

use crate::abi::{ChannelBindingsDesc, KeyValueSetDesc, OmUint32};
use crate::boundary::Status;
use crate::handles::Handle;

mod accounts;
mod buffer;
mod dialect;
mod iov;
mod libkrb5;
mod lucid;
mod oid;
mod set;

pub use accounts::Nss;
use buffer::buffer;
pub use buffer::{BufferPointer, BufferSetSlot, InBuffer, OutBuffer, StaticBuffer};
pub use dialect::Dialect;
pub use iov::InOutIov;
pub use libkrb5::{Foreign, LibKrb5};
pub use lucid::{InLucid, LucidSlot};
pub use oid::{
    InOid, InOidSet, OidPointer, OidSetPointer, OidSetSlot, StaticOid, StaticOidSet, leak,
};

/// An output of a plain value, which a caller may leave out.
#[repr(transparent)]
pub struct Out<T>(*mut T);

impl<T> Clone for Out<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Out<T> {}

impl<T: Copy> Out<T> {
    /// One that nobody wants.
    pub const UNWANTED: Self = Self(ptr::null_mut());

    /// Writes, if the caller wants it.
    pub fn set(self, value: T) {
        if !self.0.is_null() {
            // SAFETY: not null, so a writable `T` (RFC 2744 §3). `T: Copy`, so what was there needs no drop.
            unsafe { self.0.write(value) }
        }
    }

    /// What the caller has there, if it wants it.
    pub fn get(self) -> Option<T> {
        // SAFETY: not null, so a readable `T`.
        (!self.0.is_null()).then(|| unsafe { self.0.read() })
    }

    /// That the caller wants it.
    pub fn required(self) -> Result<Self, Status> {
        if self.0.is_null() {
            return Err(Status::INACCESSIBLE_WRITE);
        }
        Ok(self)
    }
}

/// `length` bytes at `at`; none are not looked for. The lifetime is the call's, in which the caller's memory stays.
fn bytes<'a>(at: *const c_void, length: usize) -> Option<&'a [u8]> {
    if length == 0 {
        return Some(&[]);
    }
    if at.is_null() || length > isize::MAX as usize {
        return None;
    }
    // SAFETY: the caller says that there are `length` bytes, which stay as they are during the call.
    Some(unsafe { slice::from_raw_parts(at.cast(), length) })
}

/// A handle that a caller passes. It is looked up, never followed.
#[repr(transparent)]
#[derive(Clone, Copy)]
pub struct InHandle(*const c_void);

impl InHandle {
    /// The handle, if one was passed.
    pub fn get(self) -> Option<Handle> {
        (!self.0.is_null()).then(|| Handle::from_bits(self.0.addr() as u64))
    }
}

/// Where a caller has a handle that a call makes, changes or takes away.
#[repr(transparent)]
#[derive(Clone, Copy)]
pub struct HandleSlot(*mut *const c_void);

impl HandleSlot {
    /// That there is one.
    pub fn required(self) -> Result<Self, Status> {
        if self.0.is_null() {
            return Err(Status::INACCESSIBLE_WRITE);
        }
        Ok(self)
    }

    /// The handle in it, if there is one.
    pub fn get(self) -> Option<Handle> {
        if self.0.is_null() {
            return None;
        }
        // SAFETY: not null, so a readable pointer, which is not followed.
        InHandle(unsafe { self.0.read() }).get()
    }

    /// Writes a handle, or null, if the caller wants it.
    pub fn set(self, handle: Option<Handle>) {
        let bits = handle.map_or(0, Handle::bits);
        if !self.0.is_null() {
            // SAFETY: not null, so a writable pointer.
            unsafe { self.0.write(ptr::without_provenance(bits as usize)) }
        }
    }

    /// Whether the caller wants it.
    pub fn is_wanted(self) -> bool {
        !self.0.is_null()
    }
}

/// Channel bindings that a caller passes; null stands for none.
#[repr(transparent)]
#[derive(Clone, Copy)]
pub struct InBindings(*const ChannelBindingsDesc);

impl InBindings {
    /// The bindings, if any were passed.
    pub fn get(self) -> Result<Option<ChannelBindings>, Status> {
        if self.0.is_null() {
            return Ok(None);
        }
        // SAFETY: not null, so a readable structure.
        let desc = unsafe { self.0.read() };
        Ok(Some(ChannelBindings {
            initiator_address_type: desc.initiator_addrtype,
            initiator_address: buffer(desc.initiator_address)?.to_vec(),
            acceptor_address_type: desc.acceptor_addrtype,
            acceptor_address: buffer(desc.acceptor_address)?.to_vec(),
            application_data: buffer(desc.application_data)?.to_vec(),
        }))
    }
}

/// A C string that a caller passes.
#[repr(transparent)]
#[derive(Clone, Copy)]
pub struct InString(*const std::ffi::c_char);

impl InString {
    /// The text, if one was passed and it is UTF-8.
    pub fn get(self) -> Result<Option<String>, Status> {
        if self.0.is_null() {
            return Ok(None);
        }
        // SAFETY: not null, so a string that ends with a zero.
        let text = unsafe { std::ffi::CStr::from_ptr(self.0) };
        let text = text.to_str().map_err(|_| Status::BAD_STRUCTURE)?;
        Ok(Some(text.to_owned()))
    }
}

/// A credential store that a caller passes; null stands for the defaults (`GSS_C_NO_CRED_STORE`).
#[repr(transparent)]
#[derive(Clone, Copy)]
pub struct InCredStore(*const KeyValueSetDesc);

impl InCredStore {
    /// `GSS_C_NO_CRED_STORE`.
    pub const NONE: Self = Self(ptr::null());

    /// The keys and values, if any were passed.
    pub fn get(self) -> Result<Option<Vec<(String, String)>>, Status> {
        if self.0.is_null() {
            return Ok(None);
        }
        // SAFETY: not null, so a readable set.
        let set = unsafe { self.0.read() };
        if set.count > 0 && set.elements.is_null() {
            return Err(Status::BAD_STRUCTURE);
        }
        let mut pairs = Vec::new();
        for at in 0..set.count as usize {
            // SAFETY: the caller says that there are `count` elements.
            let element = unsafe { set.elements.add(at).read() };
            let text = |text| InString(text).get()?.ok_or(Status::BAD_STRUCTURE);
            pairs.push((text(element.key)?, text(element.value)?));
        }
        Ok(Some(pairs))
    }
}

/// Numbers that a caller passes.
#[repr(transparent)]
#[derive(Clone, Copy)]
pub struct InNumbers(*const i32);

impl InNumbers {
    /// `count` of them.
    pub fn get(self, count: OmUint32) -> Result<Vec<i32>, Status> {
        if count == 0 {
            return Ok(Vec::new());
        }
        if self.0.is_null() {
            return Err(Status::INACCESSIBLE_READ);
        }
        // SAFETY: the caller says that there are `count` numbers.
        Ok(unsafe { slice::from_raw_parts(self.0, count as usize) }.to_vec())
    }
}

/// A text that C looks at and does not keep.
#[repr(transparent)]
#[derive(Clone, Copy)]
pub struct TextPointer(*const std::ffi::c_char);

impl TextPointer {
    /// No text.
    pub const NONE: Self = Self(ptr::null());

    /// To `text`, for as long as that is where it is.
    pub fn new(text: &std::ffi::CStr) -> Self {
        Self(text.as_ptr())
    }
}

/// Whether the kernel began this program with rights that its caller has not (`AT_SECURE` of getauxval(3)).
pub fn secure_execution() -> bool {
    // SAFETY: the call reads what the kernel gave the process, and has no conditions.
    unsafe { libc::getauxval(libc::AT_SECURE) != 0 }
}
