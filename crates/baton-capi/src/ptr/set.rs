//! What sets of OIDs and sets of buffers have in common: members with bytes, every part from `malloc`.

use std::ffi::c_void;
use std::ptr;

use super::buffer::allocate;
use crate::abi::{BufferDesc, OidDesc, SetDesc};
use crate::boundary::Status;

/// A member of a set: some bytes.
pub trait Member: Copy {
    /// Of `length` bytes at `bytes`.
    fn new(bytes: *mut c_void, length: usize) -> Self;
    /// Where its bytes are.
    fn bytes(self) -> *mut c_void;
}

impl Member for OidDesc {
    fn new(bytes: *mut c_void, length: usize) -> Self {
        Self {
            length: length as u32,
            elements: bytes,
        }
    }

    fn bytes(self) -> *mut c_void {
        self.elements.cast_mut()
    }
}

impl Member for BufferDesc {
    fn new(bytes: *mut c_void, length: usize) -> Self {
        Self {
            length,
            value: bytes,
        }
    }

    fn bytes(self) -> *mut c_void {
        self.value
    }
}

/// Where a caller has a set that a call makes, changes or takes away.
#[repr(transparent)]
pub struct SetSlot<M>(*mut *mut SetDesc<M>);

impl<M> Clone for SetSlot<M> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<M> Copy for SetSlot<M> {}

impl<M: Member> SetSlot<M> {
    /// That there is one.
    pub fn required(self) -> Result<Self, Status> {
        if self.0.is_null() {
            return Err(Status::INACCESSIBLE_WRITE);
        }
        Ok(self)
    }

    /// Makes it null, without looking at what is there.
    pub fn clear(self) {
        if !self.0.is_null() {
            // SAFETY: not null, so a writable pointer.
            unsafe { self.0.write(ptr::null_mut()) }
        }
    }

    /// The set that is there; null if none is.
    pub(super) fn read(self) -> *mut SetDesc<M> {
        if self.0.is_null() {
            return ptr::null_mut();
        }
        // SAFETY: not null, so a readable pointer.
        unsafe { self.0.read() }
    }

    /// A new set without members.
    pub fn make(self) -> Result<(), Status> {
        let slot = self.required()?.0;
        // SAFETY: `calloc` takes any size. Zeroes are a set of no members.
        let set: *mut SetDesc<M> = unsafe { libc::calloc(1, size_of::<SetDesc<M>>()) }.cast();
        if set.is_null() {
            return Err(Status::NO_MEMORY);
        }
        // SAFETY: not null, so a writable pointer.
        unsafe { slot.write(set) };
        Ok(())
    }

    /// A new set of members with these bytes. If it cannot be made there is none.
    pub(super) fn fill<'m>(self, members: impl Iterator<Item = &'m [u8]>) -> Result<(), Status> {
        self.make()?;
        for member in members {
            if let Err(error) = self.append(member) {
                self.release();
                return Err(error);
            }
        }
        Ok(())
    }

    /// Adds a member with a copy of `bytes` to the set that is there.
    pub(super) fn append(self, bytes: &[u8]) -> Result<(), Status> {
        let set = self.read();
        if set.is_null() {
            return Err(Status::INACCESSIBLE_READ);
        }
        // SAFETY: not null, so a set from here: from `malloc`, as its parts are.
        unsafe {
            let count = (*set).count;
            let size = count
                .checked_add(1)
                .and_then(|count| count.checked_mul(size_of::<M>()));
            let size = size.ok_or(Status::NO_MEMORY)?;
            let copy = allocate(bytes)?;
            let elements = libc::realloc((*set).elements.cast(), size).cast::<M>();
            if elements.is_null() {
                libc::free(copy);
                return Err(Status::NO_MEMORY);
            }
            elements.add(count).write(M::new(copy, bytes.len()));
            (*set).elements = elements;
            (*set).count = count + 1;
        }
        Ok(())
    }

    /// `gss_release_oid_set`, `gss_release_buffer_set`.
    pub fn release(self) {
        let set = self.read();
        if set.is_null() {
            return;
        }
        // SAFETY: not null, so a set from here or from another library's calls, whose parts are all from `malloc`.
        unsafe {
            for at in 0..(*set).count {
                libc::free((*set).elements.add(at).read().bytes());
            }
            libc::free((*set).elements.cast());
            libc::free(set.cast());
        }
        self.clear();
    }
}
