//! Users of this host (`gssapi_ext.h` of MIT krb5).

use baton::Major;

use crate::abi::{COMPLETE, Int};
use crate::boundary::{Status, entry};
use crate::environment;
use crate::name;
use crate::ptr::{Dialect, InHandle, InOid, InString, Out, OutBuffer};

entry! {
    /// `gss_localname`: the user of this host that a name is.
    fn gss_localname(minor, input: InHandle, _mechanism: InOid, local: OutBuffer) {
        let local = local.required()?;
        if input.get().is_none() {
            return Err(Status::INACCESSIBLE_READ);
        }
        local.set(environment::current()?.localname(&name::name(input)?)?.as_bytes())?;
        Ok(COMPLETE)
    }

    /// `gss_authorize_localname`: whether a name may act as a user, which is a name too. `GSS_S_UNAUTHORIZED` if it may not.
    fn gss_authorize_localname(minor, input: InHandle, user: InHandle) {
        let (name, user) = (name::name(input)?, name::name(user)?);
        let user = str::from_utf8(user.text()).map_err(|_| Status::from(Major::BadName))?;
        match environment::current()?.userok(&name, user)? {
            true => Ok(COMPLETE),
            false => Err(Major::Unauthorized.into()),
        }
    }

    /// `gss_pname_to_uid`.
    fn gss_pname_to_uid(minor, input: InHandle, _mechanism: InOid, uid: Out<u32>) {
        let uid = uid.required()?;
        uid.set(environment::current()?.pname_to_uid(&name::name(input)?)?);
        Ok(COMPLETE)
    }
}

/// `gss_userok`: 1 if a name may act as a user, else 0, whatever went wrong.
#[allow(unsafe_code, reason = "C programs find it by its name")]
#[unsafe(no_mangle)]
pub extern "C" fn gss_userok(input: InHandle, user: InString) -> Int {
    let allowed = crate::boundary::caught(|| {
        let (name, user) = (name::name(input)?, user.get()?);
        let user = user.ok_or(Status::INACCESSIBLE_READ)?;
        // GNU's library compares the texts and no more, so its programs may ask with a principal.
        let same = Dialect::current() == Dialect::Gnu && name.text() == user.as_bytes();
        Ok(same || environment::current()?.userok(&name, &user)?)
    });
    Int::from(allowed.unwrap_or(false))
}
