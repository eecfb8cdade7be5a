//! Object identifiers and sets of them (RFC 2744 §5.2, §5.10, §5.25, §5.28, §5.30).

use baton::Major;

use crate::abi::{COMPLETE, Int};
use crate::boundary::{Status, entry};
use crate::ptr::{InBuffer, InOid, InOidSet, OidSetSlot, Out, OutBuffer};

entry! {
    /// `gss_create_empty_oid_set`.
    fn gss_create_empty_oid_set(minor, set: OidSetSlot) {
        set.required()?.set(&[])?;
        Ok(COMPLETE)
    }

    /// `gss_add_oid_set_member`: a member that is there already is not added again.
    fn gss_add_oid_set_member(minor, member: InOid, set: OidSetSlot) {
        let (member, set) = (member.required()?, set.required()?);
        if !set.get()?.contains(&member) {
            set.push(member)?;
        }
        Ok(COMPLETE)
    }

    /// `gss_test_oid_set_member`.
    fn gss_test_oid_set_member(minor, member: InOid, set: InOidSet, present: Out<Int>) {
        let present = present.required()?;
        let (member, set) = (member.required()?, set.get()?);
        let set = set.ok_or(Status::INACCESSIBLE_READ)?;
        present.set(Int::from(set.contains(&member)));
        Ok(COMPLETE)
    }

    /// `gss_release_oid_set`.
    fn gss_release_oid_set(minor, set: OidSetSlot) {
        set.release();
        Ok(COMPLETE)
    }

    /// `gss_oid_to_str`.
    fn gss_oid_to_str(minor, oid: InOid, text: OutBuffer) {
        let text = text.required()?;
        text.set(format!("{:#}", oid.required()?).as_bytes())?;
        Ok(COMPLETE)
    }

    /// `gss_inquire_names_for_mech` (RFC 2744 §5.24).
    fn gss_inquire_names_for_mech(minor, mechanism: InOid, types: OidSetSlot) {
        let types = types.required()?;
        types.clear();
        let mechanism = mechanism.get()?.unwrap_or(baton::Oid::KRB5);
        let env = crate::environment::current()?;
        types.set(env.inquire_names_for_mech(mechanism)?)?;
        Ok(COMPLETE)
    }
}

entry! {
    /// `gss_str_to_oid`: the OID is released by `gss_release_oid`, which leaves it alone: it lives as long as the process.
    fn gss_str_to_oid(minor, text: InBuffer, oid: Out<crate::ptr::OidPointer>) {
        let oid = oid.required()?;
        oid.set(crate::ptr::OidPointer::NONE);
        let text = str::from_utf8(text.required()?).map_err(|_| Status::from(Major::Failure))?;
        let parsed = text.trim_end_matches('\0').parse().map_err(|_| Status::from(Major::Failure))?;
        oid.set(crate::symbols::descriptor(parsed));
        Ok(COMPLETE)
    }

    /// `gss_release_oid`: what we give lives as long as the process, so there is nothing to free.
    fn gss_release_oid(minor, oid: Out<crate::ptr::OidPointer>) {
        oid.required()?.set(crate::ptr::OidPointer::NONE);
        Ok(COMPLETE)
    }
}

/// `gss_oid_equal`.
#[allow(unsafe_code, reason = "C programs find it by its name")]
#[unsafe(no_mangle)]
pub extern "C" fn gss_oid_equal(one: InOid, other: InOid) -> Int {
    let same = match (one.get(), other.get()) {
        (Ok(Some(one)), Ok(Some(other))) => one == other,
        _ => false,
    };
    Int::from(same)
}
