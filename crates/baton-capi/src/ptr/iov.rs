//! The pieces of a message.

use std::slice;

use baton::IoVec;

use super::buffer::{OutBuffer, allocate};
use crate::abi::{
    BufferDesc, IOV_ALLOCATE, IOV_ALLOCATED, IOV_DATA, IOV_EMPTY, IOV_HEADER, IOV_MECH_PARAMS,
    IOV_MIC_TOKEN, IOV_PADDING, IOV_SIGN_ONLY, IOV_STREAM, IOV_TRAILER, Int, IovDesc, OmUint32,
};
use crate::boundary::Status;

/// The pieces of a message, which a call changes where they lie.
#[repr(transparent)]
#[derive(Clone, Copy)]
pub struct InOutIov(*mut IovDesc);

impl InOutIov {
    fn descs<'a>(self, count: Int) -> Result<&'a mut [IovDesc], Status> {
        let count = usize::try_from(count).map_err(|_| Status::BAD_STRUCTURE)?;
        if count == 0 {
            return Ok(&mut []);
        }
        if self.0.is_null() {
            return Err(Status::INACCESSIBLE_READ);
        }
        // SAFETY: not null, so `count` descriptors that nobody else touches during the call.
        Ok(unsafe { slice::from_raw_parts_mut(self.0, count) })
    }

    /// Gives the pieces to `call` that is to say how long the others have to be: of those nothing is looked at, because callers
    /// leave in them whatever was there.
    pub fn measure<T>(
        self,
        count: Int,
        call: impl FnOnce(&[IoVec<'_>]) -> Result<T, Status>,
    ) -> Result<T, Status> {
        let mut pieces = Vec::new();
        for desc in self.descs(count)? {
            let bytes = || piece_bytes(desc.buffer).ok_or(Status::BAD_STRUCTURE);
            pieces.push(match desc.kind & 0xffff {
                IOV_DATA => IoVec::Data(bytes()?),
                IOV_SIGN_ONLY => IoVec::SignOnly(bytes()?),
                IOV_HEADER => IoVec::Header(&mut []),
                IOV_TRAILER => IoVec::Trailer(&mut []),
                IOV_PADDING => IoVec::Padding(&mut []),
                IOV_STREAM => IoVec::Stream(&mut []),
                IOV_MIC_TOKEN => IoVec::MicToken(&mut []),
                IOV_EMPTY | IOV_MECH_PARAMS => continue,
                _ => return Err(Status::BAD_STRUCTURE),
            });
        }
        call(&pieces)
    }

    /// Gives the pieces to `call`, and writes back how long and where they are then. A piece with [`IOV_ALLOCATE`] that is to be
    /// found memory for is empty in `call`, or is given the part of a stream that it has become, as a copy.
    pub fn with<T>(
        self,
        count: Int,
        call: impl FnOnce(&mut [IoVec<'_>]) -> Result<T, Status>,
    ) -> Result<T, Status> {
        let descs = self.descs(count)?;
        let mut places = Vec::with_capacity(descs.len());
        let mut pieces = Vec::with_capacity(descs.len());
        for (place, desc) in descs.iter().enumerate() {
            let is_found = desc.kind & IOV_ALLOCATE != 0 && desc.kind & 0xffff != IOV_STREAM;
            let piece = if is_found {
                Some(&mut [][..])
            } else {
                piece_bytes(desc.buffer)
            };
            let piece = piece.ok_or(Status::BAD_STRUCTURE)?;
            let piece = match desc.kind & 0xffff {
                IOV_DATA => IoVec::Data(piece),
                IOV_HEADER => IoVec::Header(piece),
                IOV_TRAILER => IoVec::Trailer(piece),
                IOV_PADDING => IoVec::Padding(piece),
                IOV_STREAM => IoVec::Stream(piece),
                IOV_SIGN_ONLY => IoVec::SignOnly(piece),
                IOV_MIC_TOKEN => IoVec::MicToken(piece),
                IOV_EMPTY | IOV_MECH_PARAMS => continue,
                _ => return Err(Status::BAD_STRUCTURE),
            };
            places.push(place);
            pieces.push(piece);
        }
        let result = call(&mut pieces)?;
        for (place, piece) in places.into_iter().zip(&mut pieces) {
            let Some(bytes) = piece.buffer_mut() else {
                continue;
            };
            let desc = &mut descs[place];
            desc.buffer.length = bytes.len();
            if desc.kind & IOV_ALLOCATE != 0 {
                desc.buffer.value = allocate(bytes)?;
                desc.kind = desc.kind & !IOV_ALLOCATE | IOV_ALLOCATED;
            } else if !bytes.is_empty() {
                desc.buffer.value = bytes.as_mut_ptr().cast();
            }
        }
        Ok(result)
    }

    /// Sets each piece's length by `length`, which is told what it holds; finds the memory where `allocate_now` and the caller
    /// asks for that.
    pub fn set_lengths(
        self,
        count: Int,
        allocate_now: bool,
        length: impl Fn(OmUint32) -> Option<usize>,
    ) -> Result<(), Status> {
        for desc in self.descs(count)? {
            let Some(length) = length(desc.kind & 0xffff) else {
                continue;
            };
            if !allocate_now {
                desc.buffer.length = length;
            } else if desc.kind & IOV_ALLOCATE != 0 {
                desc.buffer.value = allocate(&vec![0; length])?;
                desc.buffer.length = length;
                desc.kind = desc.kind & !IOV_ALLOCATE | IOV_ALLOCATED;
            }
        }
        Ok(())
    }

    /// `gss_release_iov_buffer`: gives back what the library found.
    pub fn release(self, count: Int) -> Result<(), Status> {
        for desc in self.descs(count)? {
            if desc.kind & IOV_ALLOCATED != 0 {
                // SAFETY: the memory is from `malloc`, as the flag says that only we set.
                unsafe { libc::free(desc.buffer.value) };
                desc.buffer = OutBuffer::EMPTY;
                desc.kind &= !IOV_ALLOCATED;
            }
        }
        Ok(())
    }
}

fn piece_bytes<'a>(desc: BufferDesc) -> Option<&'a mut [u8]> {
    if desc.length == 0 {
        return Some(&mut []);
    }
    if desc.value.is_null() || desc.length > isize::MAX as usize {
        return None;
    }
    // SAFETY: the caller says that there are `length` bytes, which are this call's alone, and that pieces do not overlap.
    Some(unsafe { slice::from_raw_parts_mut(desc.value.cast(), desc.length) })
}
