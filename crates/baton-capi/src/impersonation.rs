//! Credentials of a service that act for a user (`gssapi_ext.h` of MIT krb5).

use baton::{Major, Usage};

use crate::abi::{ACCEPT, COMPLETE, Int, OmUint32};
use crate::boundary::{Status, entry};
use crate::cred;
use crate::name;
use crate::ptr::{HandleSlot, InHandle, InOid, InOidSet, OidSetSlot, Out};

/// What a caller wants to get.
#[derive(Clone, Copy)]
struct Outputs {
    cred: HandleSlot,
    mechanisms: OidSetSlot,
    lifetimes: [Out<OmUint32>; 2],
}

fn impersonate(
    impersonator: InHandle,
    user: InHandle,
    usage: Int,
    outputs: Outputs,
) -> Result<OmUint32, Status> {
    outputs.cred.required()?.set(None);
    outputs.mechanisms.clear();
    for lifetime in outputs.lifetimes {
        lifetime.set(0);
    }
    if impersonator.get().is_none() {
        return Err(Status::INACCESSIBLE_READ.with(Major::NoCred));
    }
    // With what acts for a user nothing is accepted.
    if usage == ACCEPT {
        return Err(Major::Failure.into());
    }
    let user = name::name(user)?;
    let own = cred::credential(impersonator, Usage::Initiate)?;
    let acting = own.cred.impersonate(&own.env, &user)?;
    let facts = acting.inquire(&own.env)?;
    outputs.lifetimes[0].set(cred::seconds(facts.lifetime));
    outputs.mechanisms.set(&facts.mechanisms)?;
    outputs.cred.set(Some(cred::insert(&own.env, acting)?));
    Ok(COMPLETE)
}

entry! {
    /// `gss_acquire_cred_impersonate_name`.
    fn gss_acquire_cred_impersonate_name(minor, impersonator: InHandle, user: InHandle, _time: OmUint32, _wanted: InOidSet, usage: Int, output: HandleSlot, mechanisms: OidSetSlot, lifetime: Out<OmUint32>) {
        impersonate(impersonator, user, usage, Outputs { cred: output, mechanisms, lifetimes: [lifetime, Out::UNWANTED] })
    }

    /// `gss_add_cred_impersonate_name`: a credential with nothing else in it.
    fn gss_add_cred_impersonate_name(minor, input: InHandle, impersonator: InHandle, user: InHandle, mechanism: InOid, usage: Int, _time: OmUint32, _acceptor: OmUint32, output: HandleSlot, mechanisms: OidSetSlot, left: Out<OmUint32>, acceptor_left: Out<OmUint32>) {
        mechanism.required()?;
        if input.get().is_some() {
            return Err(Major::DuplicateElement.into());
        }
        impersonate(impersonator, user, usage, Outputs { cred: output, mechanisms, lifetimes: [left, acceptor_left] })
    }
}
