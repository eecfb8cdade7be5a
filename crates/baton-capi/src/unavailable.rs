//! Calls that exist because programs link them, and that no mechanism here has a use for. They say so.

use baton::Major;

use crate::abi::{COMPLETE, Int, OmUint32};
use crate::boundary::entry;
use crate::context::with_open;
use crate::ptr::{InBuffer, InHandle, InOid};

entry! {
    /// `gss_complete_auth_token`: no mechanism here wants to be told that its last token was sent.
    fn gss_complete_auth_token(minor, context: InHandle, _token: InBuffer) {
        with_open(context, |_| Ok(()))?;
        Ok(COMPLETE)
    }

    /// `gss_map_name_to_any`: gives objects of libkrb5's plug-ins, which are not here.
    fn gss_map_name_to_any(minor, _name: InHandle, _authenticated: Int, _id: InBuffer, _output: InHandle) {
        Err(Major::Unavailable.into())
    }

    /// `gss_release_any_name_mapping`.
    fn gss_release_any_name_mapping(minor, _name: InHandle, _id: InBuffer, _input: InHandle) {
        Err(Major::Unavailable.into())
    }

    /// `gssspi_mech_invoke`: no mechanism here has private calls.
    fn gssspi_mech_invoke(minor, _mechanism: InOid, _object: InOid, _value: InBuffer) {
        Err(Major::Unavailable.into())
    }
}

/// What the internal calls answer with, which MIT's own tests alone use.
const ENOSYS: OmUint32 = libc::ENOSYS.cast_unsigned();

/// `krb5_gss_use_kdc_context`: for MIT's KDC.
#[allow(unsafe_code, reason = "C programs find it by its name")]
#[unsafe(no_mangle)]
pub extern "C" fn krb5_gss_use_kdc_context() -> OmUint32 {
    Major::Unavailable.code()
}

/// `gss_krb5int_make_seal_token_v3`: internal.
#[allow(unsafe_code, reason = "C programs find it by its name")]
#[unsafe(no_mangle)]
pub extern "C" fn gss_krb5int_make_seal_token_v3() -> OmUint32 {
    ENOSYS
}

/// `gss_krb5int_unseal_token_v3`: internal.
#[allow(unsafe_code, reason = "C programs find it by its name")]
#[unsafe(no_mangle)]
pub extern "C" fn gss_krb5int_unseal_token_v3() -> OmUint32 {
    ENOSYS
}

/// `gssint_g_seqstate_init`: internal.
#[allow(unsafe_code, reason = "C programs find it by its name")]
#[unsafe(no_mangle)]
pub extern "C" fn gssint_g_seqstate_init() -> OmUint32 {
    ENOSYS
}
