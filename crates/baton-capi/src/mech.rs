//! Mechanisms: their attributes (RFC 5587) and their names in SASL (RFC 5801).

use baton::mechanisms::{Mechanism, computed_sasl_name};
use baton::{Major, MechAttribute, Oid};

use crate::abi::COMPLETE;
use crate::boundary::{Status, entry};
use crate::ptr::{InBuffer, InOid, InOidSet, OidPointer, OidSetSlot, Out, OutBuffer};
use crate::symbols::descriptor;

fn mechanism(oid: InOid) -> Result<&'static Mechanism, Status> {
    let oid = oid.get()?.unwrap_or(Oid::KRB5);
    Mechanism::find(oid).ok_or(Major::BadMech.into())
}

entry! {
    /// `gss_indicate_mechs` (RFC 2744 §5.17).
    fn gss_indicate_mechs(minor, set: OidSetSlot) {
        let all: Vec<Oid> = Mechanism::all().map(Mechanism::oid).collect();
        set.required()?.set(&all)?;
        Ok(COMPLETE)
    }

    /// `gss_indicate_mechs_by_attrs` (RFC 5587 §3.4.2).
    fn gss_indicate_mechs_by_attrs(minor, desired: InOidSet, except: InOidSet, critical: InOidSet, set: OidSetSlot) {
        let set = set.required()?;
        set.clear();
        let [desired, except, critical] = [desired.get()?, except.get()?, critical.get()?].map(Option::unwrap_or_default);
        let found = Mechanism::by_attributes(&desired, &except, &critical);
        set.set(&found.map(Mechanism::oid).collect::<Vec<_>>())?;
        Ok(COMPLETE)
    }

    /// `gss_inquire_attrs_for_mech` (RFC 5587 §3.4.3).
    fn gss_inquire_attrs_for_mech(minor, oid: InOid, offered: OidSetSlot, known: OidSetSlot) {
        offered.clear();
        known.clear();
        let mechanism = mechanism(oid)?;
        let oids = |attributes: &[MechAttribute]| attributes.iter().map(|one| one.oid()).collect::<Vec<_>>();
        offered.set(&oids(mechanism.attributes()))?;
        if let Err(error) = known.set(&oids(&MechAttribute::all().collect::<Vec<_>>())) {
            offered.release();
            return Err(error);
        }
        Ok(COMPLETE)
    }

    /// `gss_display_mech_attr` (RFC 5587 §3.4.4).
    fn gss_display_mech_attr(minor, oid: InOid, name: OutBuffer, short: OutBuffer, long: OutBuffer) {
        for output in [name, short, long] {
            output.clear();
        }
        let attribute = MechAttribute::from_oid(oid.required()?).ok_or(Status::from(Major::Unavailable))?;
        name.set(attribute.name().as_bytes())?;
        short.set(attribute.short_description().as_bytes())?;
        long.set(attribute.long_description().as_bytes())?;
        Ok(COMPLETE)
    }

    /// `gss_inquire_saslname_for_mech` (RFC 5801 §10).
    fn gss_inquire_saslname_for_mech(minor, oid: InOid, sasl: OutBuffer, name: OutBuffer, description: OutBuffer) {
        for output in [sasl, name, description] {
            output.clear();
        }
        let desired = oid.required()?;
        match Mechanism::find(desired) {
            Some(mechanism) => {
                sasl.set(mechanism.sasl_name().as_bytes())?;
                name.set(mechanism.name().as_bytes())?;
                description.set(mechanism.description().as_bytes())?;
            }
            // Any OID has one that is computed from it (RFC 5801 §3.1).
            None => sasl.set(computed_sasl_name(desired).as_bytes())?,
        }
        Ok(COMPLETE)
    }

    /// `gss_inquire_mech_for_saslname` (RFC 5801 §10).
    fn gss_inquire_mech_for_saslname(minor, sasl: InBuffer, oid: Out<OidPointer>) {
        oid.set(OidPointer::NONE);
        let name = str::from_utf8(sasl.required()?).map_err(|_| Status::from(Major::BadMech))?;
        let found = Mechanism::by_sasl_name(name).ok_or(Status::from(Major::BadMech))?;
        oid.set(descriptor(found.oid()));
        Ok(COMPLETE)
    }
}
