//! Buffers and sets of buffers.

use std::ffi::c_void;
use std::ptr;
use std::slice;

use zeroize::Zeroize;

use super::bytes;
use super::set::SetSlot;
use crate::abi::BufferDesc;
use crate::boundary::Status;

/// A buffer that a caller passes.
#[repr(transparent)]
#[derive(Clone, Copy)]
pub struct InBuffer(*const BufferDesc);

impl InBuffer {
    /// The bytes; `None` if no buffer was passed (`GSS_C_NO_BUFFER`).
    pub fn get<'a>(self) -> Result<Option<&'a [u8]>, Status> {
        if self.0.is_null() {
            return Ok(None);
        }
        // SAFETY: not null, so a readable descriptor.
        let desc = unsafe { self.0.read() };
        buffer(desc).map(Some)
    }

    /// The bytes of a buffer that there must be.
    pub fn required<'a>(self) -> Result<&'a [u8], Status> {
        self.get()?.ok_or(Status::INACCESSIBLE_READ)
    }
}

pub(super) fn buffer<'a>(desc: BufferDesc) -> Result<&'a [u8], Status> {
    bytes(desc.value, desc.length).ok_or(Status::BAD_STRUCTURE)
}

/// A buffer that a caller gets: from `malloc`, so that `free` and another library's `gss_release_buffer` take it.
#[repr(transparent)]
#[derive(Clone, Copy)]
pub struct OutBuffer(*mut BufferDesc);

impl OutBuffer {
    pub(super) const EMPTY: BufferDesc = BufferDesc {
        length: 0,
        value: ptr::null_mut(),
    };

    /// That the caller wants it. It is empty until it is set, whatever happens.
    pub fn required(self) -> Result<Self, Status> {
        if self.0.is_null() {
            return Err(Status::INACCESSIBLE_WRITE);
        }
        self.clear();
        Ok(self)
    }

    /// Makes it empty, without looking at what is there.
    pub fn clear(self) {
        if !self.0.is_null() {
            // SAFETY: not null, so a writable descriptor.
            unsafe { self.0.write(Self::EMPTY) }
        }
    }

    /// A copy of `bytes`, if the caller wants it. One more byte, a zero, stands behind it for those who print it.
    pub fn set(self, bytes: &[u8]) -> Result<(), Status> {
        if self.0.is_null() {
            return Ok(());
        }
        let value = allocate(bytes)?;
        // SAFETY: not null, so a writable descriptor.
        unsafe {
            self.0.write(BufferDesc {
                length: bytes.len(),
                value,
            });
        }
        Ok(())
    }

    /// At most `room` bytes, which `write` writes where they will lie and tells the number of. What it wrote is gone if it fails.
    pub fn write<T>(
        self,
        room: usize,
        write: impl FnOnce(&mut [u8]) -> Result<(usize, T), Status>,
    ) -> Result<T, Status> {
        let slot = self.required()?;
        let size = room.checked_add(1).ok_or(Status::NO_MEMORY)?;
        // SAFETY: `calloc` takes any size.
        let value: *mut u8 = unsafe { libc::calloc(1, size) }.cast();
        if value.is_null() {
            return Err(Status::NO_MEMORY);
        }
        // SAFETY: `size` bytes are there, which are this call's alone and zeroes.
        let bytes = unsafe { slice::from_raw_parts_mut(value, size) };
        match write(&mut bytes[..room]) {
            Ok((length, done)) => {
                bytes[length] = 0;
                // SAFETY: not null, so a writable descriptor.
                unsafe {
                    slot.0.write(BufferDesc {
                        length,
                        value: value.cast(),
                    });
                }
                Ok(done)
            }
            Err(status) => {
                bytes.zeroize();
                // SAFETY: from `calloc`, and nobody else has it.
                unsafe { libc::free(value.cast()) };
                Err(status)
            }
        }
    }

    /// `gss_release_buffer`: gives the bytes back and makes it empty.
    pub fn release(self) {
        if self.0.is_null() {
            return;
        }
        // SAFETY: not null, so a descriptor, whose bytes came from `malloc` or are not there.
        unsafe {
            libc::free((*self.0).value);
            self.0.write(Self::EMPTY);
        }
    }
}

/// `bytes` and a zero in memory from `malloc`.
pub(super) fn allocate(bytes: &[u8]) -> Result<*mut c_void, Status> {
    let size = bytes.len().checked_add(1).ok_or(Status::NO_MEMORY)?;
    // SAFETY: `malloc` takes any size.
    let value: *mut u8 = unsafe { libc::malloc(size) }.cast();
    if value.is_null() {
        return Err(Status::NO_MEMORY);
    }
    // SAFETY: `size` bytes are there, one more than is copied, and new memory overlaps nothing.
    unsafe {
        ptr::copy_nonoverlapping(bytes.as_ptr(), value, bytes.len());
        value.add(bytes.len()).write(0);
    }
    Ok(value.cast())
}

/// Where a caller has a set of buffers that a call makes, changes or takes away.
pub type BufferSetSlot = SetSlot<BufferDesc>;

impl BufferSetSlot {
    /// Adds a copy of `member` to the set that is there, which is made if it is not.
    pub fn push(self, member: &[u8]) -> Result<(), Status> {
        if self.read().is_null() {
            self.make()?;
        }
        self.append(member)
    }

    /// A new set of `members`.
    pub fn set<M: AsRef<[u8]>>(self, members: &[M]) -> Result<(), Status> {
        self.fill(members.iter().map(M::as_ref))
    }
}

/// `gss_buffer_t` of a text that lives as long as the library: a data symbol.
#[repr(transparent)]
pub struct StaticBuffer(BufferDesc);

// SAFETY: nobody writes it: programs are told not to, and we do not.
unsafe impl Sync for StaticBuffer {}

impl StaticBuffer {
    /// Of these bytes.
    pub const fn new(bytes: &'static [u8]) -> Self {
        Self(BufferDesc {
            length: bytes.len(),
            value: bytes.as_ptr().cast_mut().cast(),
        })
    }

    /// For C.
    pub const fn pointer(&'static self) -> BufferPointer {
        BufferPointer(&raw const self.0)
    }
}

/// A data symbol that points to a buffer.
#[repr(transparent)]
pub struct BufferPointer(*const BufferDesc);

// SAFETY: it points to a `StaticBuffer`.
unsafe impl Sync for BufferPointer {}
