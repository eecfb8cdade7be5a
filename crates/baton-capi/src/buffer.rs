//! Buffers.

use crate::abi::COMPLETE;
use crate::boundary::entry;
use crate::ptr::{BufferSetSlot, InBuffer, OutBuffer};

entry! {
    /// `gss_release_buffer` (RFC 2744 §5.26).
    fn gss_release_buffer(minor, buffer: OutBuffer) {
        buffer.release();
        Ok(COMPLETE)
    }

    /// `gss_create_empty_buffer_set`.
    fn gss_create_empty_buffer_set(minor, set: BufferSetSlot) {
        set.required()?.make()?;
        Ok(COMPLETE)
    }

    /// `gss_add_buffer_set_member`.
    fn gss_add_buffer_set_member(minor, member: InBuffer, set: BufferSetSlot) {
        set.required()?.push(member.required()?)?;
        Ok(COMPLETE)
    }

    /// `gss_release_buffer_set`.
    fn gss_release_buffer_set(minor, set: BufferSetSlot) {
        set.release();
        Ok(COMPLETE)
    }
}
