//! The frame of a first token (RFC 2743 §3.1): `gss_encapsulate_token` and `gss_decapsulate_token`. They have no minor status.

use baton::Major;

use crate::abi::{COMPLETE, OmUint32};
use crate::boundary::{Status, caught};
use crate::ptr::{InBuffer, InOid, OutBuffer};

fn major(body: impl FnOnce() -> Result<(), Status>) -> OmUint32 {
    caught(body).map_or_else(|status| status.major, |()| COMPLETE)
}

/// `gss_encapsulate_token`.
#[allow(unsafe_code, reason = "C programs find it by its name")]
#[unsafe(no_mangle)]
pub extern "C" fn gss_encapsulate_token(
    inner: InBuffer,
    mechanism: InOid,
    framed: OutBuffer,
) -> OmUint32 {
    major(|| {
        let framed = framed.required()?;
        let (inner, mechanism) = (inner.required()?, mechanism.required()?);
        framed.set(&baton::framing::frame(mechanism, inner))
    })
}

/// `gss_decapsulate_token`.
#[allow(unsafe_code, reason = "C programs find it by its name")]
#[unsafe(no_mangle)]
pub extern "C" fn gss_decapsulate_token(
    framed: InBuffer,
    mechanism: InOid,
    inner: OutBuffer,
) -> OmUint32 {
    major(|| {
        let inner = inner.required()?;
        let (framed, mechanism) = (framed.required()?, mechanism.required()?);
        let bytes = baton::framing::unframe(mechanism, framed);
        inner.set(bytes.map_err(|_| Status::from(Major::DefectiveToken))?)
    })
}
