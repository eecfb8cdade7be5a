//! Messages in pieces, and messages with data beside them (`gssapi_ext.h` of MIT krb5).

use baton::{IoVec, Major};

use crate::abi::{COMPLETE, IOV_HEADER, IOV_MIC_TOKEN, IOV_PADDING, IOV_TRAILER, Int, OmUint32};
use crate::boundary::{Status, entry};
use crate::context::{required, with_open};
use crate::message::{bit, check};
use crate::ptr::{InBuffer, InHandle, InOutIov, Out, OutBuffer};

/// The lengths of header, padding and trailer; nothing is written where there is no such buffer.
fn lengths(
    context: InHandle,
    confidential: bool,
    iov: InOutIov,
    count: Int,
    allocate: bool,
) -> Result<bool, Status> {
    let lengths = iov.measure(count, |pieces| {
        with_open(context, |context| {
            context.wrap_iov_lengths(confidential, pieces)
        })
    })?;
    iov.set_lengths(count, allocate, |kind| match kind {
        IOV_HEADER => Some(lengths.header),
        IOV_PADDING => Some(lengths.padding),
        IOV_TRAILER => Some(lengths.trailer),
        _ => None,
    })?;
    Ok(lengths.confidential)
}

entry! {
    /// `gss_wrap_iov_length`.
    fn gss_wrap_iov_length(minor, context: InHandle, confidential: Int, qop: OmUint32, encrypted: Out<Int>, iov: InOutIov, count: Int) {
        check(qop)?;
        let will_be = lengths(context, confidential != 0, iov, count, false)?;
        encrypted.set(Int::from(will_be));
        Ok(COMPLETE)
    }

    /// `gss_wrap_iov`.
    fn gss_wrap_iov(minor, context: InHandle, confidential: Int, qop: OmUint32, encrypted: Out<Int>, iov: InOutIov, count: Int) {
        check(qop)?;
        lengths(context, confidential != 0, iov, count, true)?;
        let is_encrypted = iov.with(count, |pieces| {
            with_open(context, |context| context.wrap_iov(confidential != 0, pieces))
        })?;
        encrypted.set(Int::from(is_encrypted));
        Ok(COMPLETE)
    }

    /// `gss_unwrap_iov`.
    fn gss_unwrap_iov(minor, context: InHandle, encrypted: Out<Int>, qop: Out<OmUint32>, iov: InOutIov, count: Int) {
        qop.set(0);
        let unwrapped = iov.with(count, |pieces| with_open(context, |context| context.unwrap_iov(pieces)))?;
        encrypted.set(Int::from(unwrapped.confidential));
        Ok(bit(unwrapped.order))
    }

    /// `gss_get_mic_iov_length`.
    fn gss_get_mic_iov_length(minor, context: InHandle, qop: OmUint32, iov: InOutIov, count: Int) {
        check(qop)?;
        mic_lengths(context, iov, count, false)?;
        Ok(COMPLETE)
    }

    /// `gss_get_mic_iov`.
    fn gss_get_mic_iov(minor, context: InHandle, qop: OmUint32, iov: InOutIov, count: Int) {
        check(qop)?;
        mic_lengths(context, iov, count, true)?;
        iov.with(count, |pieces| with_open(context, |context| context.get_mic_iov(pieces)))?;
        Ok(COMPLETE)
    }

    /// `gss_verify_mic_iov`.
    fn gss_verify_mic_iov(minor, context: InHandle, qop: Out<OmUint32>, iov: InOutIov, count: Int) {
        qop.set(0);
        let order = iov.with(count, |pieces: &mut [IoVec<'_>]| with_open(context, |context| context.verify_mic_iov(pieces)))?;
        Ok(bit(order))
    }

    /// `gss_release_iov_buffer`.
    fn gss_release_iov_buffer(minor, iov: InOutIov, count: Int) {
        iov.release(count)?;
        Ok(COMPLETE)
    }

    /// `gss_wrap_aead`.
    fn gss_wrap_aead(minor, context: InHandle, confidential: Int, qop: OmUint32, associated: InBuffer, message: InBuffer, encrypted: Out<Int>, token: OutBuffer) {
        let token = token.required()?;
        check(qop)?;
        encrypted.set(0);
        let (associated, message) = (associated.get()?.unwrap_or_default(), message.required()?);
        token.set(&with_open(context, |context| context.wrap_aead(confidential != 0, associated, message))?)?;
        encrypted.set(Int::from(confidential != 0));
        Ok(COMPLETE)
    }

    /// `gss_unwrap_aead`.
    fn gss_unwrap_aead(minor, context: InHandle, token: InBuffer, associated: InBuffer, message: OutBuffer, encrypted: Out<Int>, qop: Out<OmUint32>) {
        let message = message.required()?;
        encrypted.set(0);
        qop.set(0);
        let (associated, token) = (associated.get()?.unwrap_or_default(), token.required()?);
        let unwrapped = with_open(context, |context| context.unwrap_aead(associated, token))?;
        message.set(&unwrapped.data)?;
        encrypted.set(Int::from(unwrapped.confidential));
        Ok(bit(unwrapped.order))
    }

    /// `gss_pseudo_random` (RFC 4401).
    fn gss_pseudo_random(minor, context: InHandle, key: Int, input: InBuffer, length: isize, output: OutBuffer) {
        required(context)?;
        let output = output.required()?;
        let which = match key {
            0 => baton::PrfKey::Full,
            1 => baton::PrfKey::Partial,
            _ => return Err(Status::BAD_STRUCTURE.with(Major::Failure)),
        };
        let length = usize::try_from(length).map_err(|_| Status::BAD_STRUCTURE.with(Major::Failure))?;
        let input = input.required()?;
        output.set(&with_open(context, |context| context.pseudo_random(which, input, length))?)?;
        Ok(COMPLETE)
    }
}

fn mic_lengths(context: InHandle, iov: InOutIov, count: Int, allocate: bool) -> Result<(), Status> {
    let length = with_open(context, baton::Context::mic_length)?;
    iov.set_lengths(count, allocate, |kind| {
        (kind == IOV_MIC_TOKEN).then_some(length)
    })
}
