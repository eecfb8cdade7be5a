//! What a context tells beside its facts (`gssapi_ext.h` and `gssapi_krb5.h` of MIT krb5).

use baton::{Context, Major};

use crate::abi::{COMPLETE, Int};
use crate::boundary::{Status, entry};
use crate::context::{required, with_open};
use crate::ptr::{BufferSetSlot, InHandle, InOid, Out, OutBuffer};

entry! {
    /// `gss_inquire_sec_context_by_oid`.
    fn gss_inquire_sec_context_by_oid(minor, context: InHandle, what: InOid, values: BufferSetSlot) {
        required(context)?;
        let values = values.required()?;
        values.clear();
        let what = what.required()?;
        values.set(&with_open(context, |context| context.inquire_by_oid(&what))?)?;
        Ok(COMPLETE)
    }

    /// `gss_krb5_get_tkt_flags`.
    fn gss_krb5_get_tkt_flags(minor, context: InHandle, flags: Out<i32>) {
        required(context)?;
        let flags = flags.required()?;
        flags.set(with_open(context, Context::ticket_flags)?.cast_signed());
        Ok(COMPLETE)
    }

    /// `gsskrb5_extract_authtime_from_sec_context`: in 32 bits, which programs read as unsigned after 2038.
    fn gsskrb5_extract_authtime_from_sec_context(minor, context: InHandle, time: Out<i32>) {
        required(context)?;
        let time = time.required()?;
        time.set(with_open(context, Context::authtime)?.seconds() as i32);
        Ok(COMPLETE)
    }

    /// `gsskrb5_extract_authz_data_from_sec_context`: the first data of a type.
    fn gsskrb5_extract_authz_data_from_sec_context(minor, context: InHandle, kind: Int, data: OutBuffer) {
        required(context)?;
        let data = data.required()?;
        let all = with_open(context, |context| context.authorization_data(kind))?;
        let first = all.first().ok_or(Status::from(Major::Failure))?;
        data.set(first)?;
        Ok(COMPLETE)
    }
}
