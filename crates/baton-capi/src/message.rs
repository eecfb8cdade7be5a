//! Messages.

use baton::{Context, Major, Order};

use crate::abi::{COMPLETE, Int, OmUint32};
use crate::boundary::{Status, entry};
use crate::context::{required, with_open};
use crate::ptr::{InBuffer, InHandle, Out, OutBuffer};

/// The supplementary bit of a message's place in the sequence (RFC 2744 §3.9.1).
pub(crate) const fn bit(order: Order) -> OmUint32 {
    match order {
        Order::InOrder => 0,
        Order::Duplicate => 1 << 1,
        Order::Old => 1 << 2,
        Order::Unsequenced => 1 << 3,
        Order::Gap => 1 << 4,
    }
}

/// There is one quality of protection (RFC 4121 §3).
pub(crate) fn check(qop: OmUint32) -> Result<(), Status> {
    if qop == 0 {
        Ok(())
    } else {
        Err(Major::BadQop.into())
    }
}

fn wrap(
    context: InHandle,
    confidential: bool,
    qop: OmUint32,
    message: InBuffer,
    encrypted: Out<Int>,
    token: OutBuffer,
) -> Result<OmUint32, Status> {
    required(context)?;
    encrypted.set(0);
    let message = message.required()?;
    let token = token.required()?;
    check(qop)?;
    let room = with_open(context, |context| context.room(confidential, message.len()))?;
    // Where there is no memory for the token, no number of the sequence was used for it.
    let sealed = token.write(room.before + message.len() + room.after, |token| {
        with_open(context, |context| {
            context.wrap_slices(confidential, &[message], token)
        })
    })?;
    encrypted.set(Int::from(sealed));
    Ok(COMPLETE)
}

fn unwrap(
    context: InHandle,
    token: InBuffer,
    message: OutBuffer,
    encrypted: Out<Int>,
    qop: Out<OmUint32>,
) -> Result<OmUint32, Status> {
    required(context)?;
    encrypted.set(0);
    qop.set(0);
    let token = token.required()?;
    let message = message.required()?;
    let unwrapped = message.write(token.len(), |message| {
        with_open(context, |context| context.unwrap_slice(token, message))
    })?;
    encrypted.set(Int::from(unwrapped.confidential));
    Ok(bit(unwrapped.order))
}

fn get_mic(
    context: InHandle,
    qop: OmUint32,
    message: InBuffer,
    token: OutBuffer,
) -> Result<OmUint32, Status> {
    required(context)?;
    let message = message.required()?;
    let token = token.required()?;
    check(qop)?;
    let length = with_open(context, Context::mic_length)?;
    token.write(length, |token| {
        let length = with_open(context, |context| context.get_mic_slices(&[message], token));
        Ok((length?, ()))
    })?;
    Ok(COMPLETE)
}

fn verify_mic(
    context: InHandle,
    message: InBuffer,
    token: InBuffer,
    qop: Out<OmUint32>,
) -> Result<OmUint32, Status> {
    required(context)?;
    qop.set(0);
    let (message, token) = (message.required()?, token.required()?);
    with_open(context, |context| context.verify_mic(message, token)).map(bit)
}

entry! {
    /// `gss_wrap` (RFC 2744 §5.33).
    fn gss_wrap(minor, context: InHandle, confidential: Int, qop: OmUint32, message: InBuffer, encrypted: Out<Int>, token: OutBuffer) {
        wrap(context, confidential != 0, qop, message, encrypted, token)
    }

    /// `gss_unwrap` (RFC 2744 §5.31).
    fn gss_unwrap(minor, context: InHandle, token: InBuffer, message: OutBuffer, encrypted: Out<Int>, qop: Out<OmUint32>) {
        unwrap(context, token, message, encrypted, qop)
    }

    /// `gss_get_mic` (RFC 2744 §5.15).
    fn gss_get_mic(minor, context: InHandle, qop: OmUint32, message: InBuffer, token: OutBuffer) {
        get_mic(context, qop, message, token)
    }

    /// `gss_verify_mic` (RFC 2744 §5.32).
    fn gss_verify_mic(minor, context: InHandle, message: InBuffer, token: InBuffer, qop: Out<OmUint32>) {
        verify_mic(context, message, token, qop)
    }

    /// `gss_sign`: `gss_get_mic` in version 1, with an `int` for the quality.
    fn gss_sign(minor, context: InHandle, qop: Int, message: InBuffer, token: OutBuffer) {
        get_mic(context, qop.cast_unsigned(), message, token)
    }

    /// `gss_verify`: `gss_verify_mic` in version 1.
    fn gss_verify(minor, context: InHandle, message: InBuffer, token: InBuffer, qop: Out<OmUint32>) {
        verify_mic(context, message, token, qop)
    }

    /// `gss_seal`: `gss_wrap` in version 1.
    fn gss_seal(minor, context: InHandle, confidential: Int, qop: Int, message: InBuffer, encrypted: Out<Int>, token: OutBuffer) {
        wrap(context, confidential != 0, qop.cast_unsigned(), message, encrypted, token)
    }

    /// `gss_unseal`: `gss_unwrap` in version 1.
    fn gss_unseal(minor, context: InHandle, token: InBuffer, message: OutBuffer, encrypted: Out<Int>, qop: Out<OmUint32>) {
        unwrap(context, token, message, encrypted, qop)
    }

    /// `gss_wrap_size_limit` (RFC 2744 §5.34).
    fn gss_wrap_size_limit(minor, context: InHandle, confidential: Int, _qop: OmUint32, size: OmUint32, limit: Out<OmUint32>) {
        required(context)?;
        let limit = limit.required()?;
        limit.set(with_open(context, |context| context.wrap_size_limit(confidential != 0, size))?);
        Ok(COMPLETE)
    }
}
