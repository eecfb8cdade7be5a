//! Names.

use std::sync::{Arc, PoisonError, RwLock};

use baton::{Attribute, AttributeError, Error, Major, MechName, Name, Oid};

use crate::abi::{COMPLETE, Int};
use crate::boundary::{Status, entry};
use crate::environment;
use crate::handles::{Handle, Table};
use crate::ptr::{
    BufferSetSlot, Dialect, HandleSlot, InBuffer, InHandle, InOid, OidPointer, OidSetSlot, Out,
    OutBuffer,
};
use crate::symbols::descriptor;

/// A name of a program's.
pub(crate) enum NameObject {
    /// As it was imported.
    Imported(Name),
    /// A mechanism's, with what it knows of it.
    Mechanism(MechName),
}

impl NameObject {
    pub(crate) const fn name(&self) -> &Name {
        match self {
            Self::Imported(name) => name,
            Self::Mechanism(name) => name.name(),
        }
    }
}

static NAMES: Table<RwLock<NameObject>> = Table::new(1);

/// The name of a handle that a caller passes.
fn object(handle: InHandle) -> Result<Arc<RwLock<NameObject>>, Status> {
    let handle = handle.get();
    let handle = handle.ok_or(Status::INACCESSIBLE_READ.with(Major::BadName))?;
    NAMES.get(handle).ok_or(Major::BadName.into())
}

/// Does something with the name of a handle.
fn with<T>(
    handle: InHandle,
    call: impl FnOnce(&NameObject) -> Result<T, Status>,
) -> Result<T, Status> {
    let object = object(handle)?;
    let object = object.read().unwrap_or_else(PoisonError::into_inner);
    call(&object)
}

/// The same with a mechanism's name: the attributes are its (RFC 6680 §7).
fn with_mechanism<T>(
    handle: InHandle,
    call: impl FnOnce(&mut MechName) -> Result<T, AttributeError>,
) -> Result<T, Status> {
    let object = object(handle)?;
    let mut object = object.write().unwrap_or_else(PoisonError::into_inner);
    match &mut *object {
        NameObject::Mechanism(name) => Ok(call(name).map_err(Error::from)?),
        NameObject::Imported(_) => Err(Major::Unavailable.into()),
    }
}

/// The name of a handle, for a call that needs it longer.
pub(crate) fn name(handle: InHandle) -> Result<Name, Status> {
    with(handle, |object| Ok(object.name().clone()))
}

/// The name, if the caller passes one.
pub(crate) fn optional(handle: InHandle) -> Result<Option<Name>, Status> {
    handle.get().map(|_| name(handle)).transpose()
}

/// A handle for a mechanism's name.
pub(crate) fn of_mechanism(name: MechName) -> Result<Handle, Status> {
    insert(NameObject::Mechanism(name))
}

fn insert(object: NameObject) -> Result<Handle, Status> {
    NAMES.insert(RwLock::new(object)).ok_or(Status::NO_MEMORY)
}

entry! {
    /// `gss_import_name` (RFC 2744 §5.16).
    fn gss_import_name(minor, text: InBuffer, name_type: InOid, output: HandleSlot) {
        let output = output.required()?;
        output.set(None);
        let text = text.get()?.filter(|text| !text.is_empty());
        let text = text.ok_or(Status::from(Major::BadName))?;
        let name_type = name_type.get()?.unwrap_or(Oid::NT_USER_NAME);
        let exported = [Oid::NT_EXPORT_NAME, Oid::NT_COMPOSITE_EXPORT].contains(&name_type);
        // Programs count the zero at the end of a string, and MIT's library passes over it.
        let end = text.iter().position(|byte| *byte == 0).filter(|_| !exported);
        let name = Name::new(name_type, &text[..end.unwrap_or(text.len())]);
        let handle = if exported {
            // It is a mechanism's name, and what is none is found out here (RFC 2743 §2.4.5).
            of_mechanism(environment::current()?.canonicalize(&name)?)?
        } else {
            insert(NameObject::Imported(name))?
        };
        output.set(Some(handle));
        Ok(COMPLETE)
    }

    /// `gss_display_name` (RFC 2744 §5.10).
    fn gss_display_name(minor, input: InHandle, text: OutBuffer, name_type: Out<OidPointer>) {
        let text = text.required()?;
        name_type.set(OidPointer::NONE);
        let shown = name(input)?;
        text.set(shown.text())?;
        name_type.set(descriptor(shown.name_type()));
        Ok(COMPLETE)
    }

    /// `gss_compare_name` (RFC 2744 §5.5).
    fn gss_compare_name(minor, one: InHandle, other: InHandle, equal: Out<Int>) {
        let equal = equal.required()?;
        equal.set(0);
        let (one, other) = (name(one)?, name(other)?);
        let same = environment::current()?.compare_names(&one, &other)?;
        equal.set(Int::from(same));
        Ok(COMPLETE)
    }

    /// `gss_canonicalize_name` (RFC 2744 §5.4).
    fn gss_canonicalize_name(minor, input: InHandle, mechanism: InOid, output: HandleSlot) {
        output.set(None);
        // GNU's library has a default here.
        let mechanism = match (mechanism.get()?, Dialect::current()) {
            (Some(mechanism), _) => mechanism,
            (None, Dialect::Gnu) => Oid::KRB5,
            (None, Dialect::Mit) => return Err(Status::INACCESSIBLE_READ),
        };
        if input.get().is_none() {
            return Err(Status::INACCESSIBLE_READ);
        }
        let canonical = environment::current()?.canonicalize_for(&name(input)?, mechanism)?;
        if output.is_wanted() {
            output.set(Some(of_mechanism(canonical)?));
        }
        Ok(COMPLETE)
    }

    /// `gss_export_name` (RFC 2744 §5.13). GNU's library makes a mechanism's name of one that is none.
    fn gss_export_name(minor, input: InHandle, exported: OutBuffer) {
        let exported = exported.required()?;
        exported.set(&with(input, |object| match object {
            NameObject::Mechanism(name) => Ok(name.export()),
            NameObject::Imported(name) if Dialect::current() == Dialect::Gnu => {
                Ok(environment::current()?.canonicalize_for(name, Oid::KRB5)?.export())
            }
            NameObject::Imported(_) => Err(Major::NameNotMn.into()),
        })?)?;
        Ok(COMPLETE)
    }

    /// `gss_duplicate_name` (RFC 2744 §5.12).
    fn gss_duplicate_name(minor, input: InHandle, output: HandleSlot) {
        let output = output.required()?;
        output.set(None);
        let copy = with(input, |object| Ok(match object {
            NameObject::Imported(name) => NameObject::Imported(name.clone()),
            NameObject::Mechanism(name) => NameObject::Mechanism(name.clone()),
        }))?;
        output.set(Some(insert(copy)?));
        Ok(COMPLETE)
    }

    /// `gss_release_name` (RFC 2744 §5.28).
    fn gss_release_name(minor, input: HandleSlot) {
        if !input.is_wanted() {
            return Err(Status::INACCESSIBLE_READ.with(Major::BadName));
        }
        let Some(handle) = input.get() else {
            return Ok(COMPLETE);
        };
        input.set(None);
        NAMES.remove(handle).ok_or(Status::from(Major::BadName))?;
        Ok(COMPLETE)
    }

    /// `gss_inquire_mechs_for_name` (RFC 2744 §5.23).
    fn gss_inquire_mechs_for_name(minor, input: InHandle, mechanisms: OidSetSlot) {
        let mechanisms = mechanisms.required()?;
        mechanisms.clear();
        mechanisms.set(&environment::current()?.inquire_mechs_for_name(&name(input)?))?;
        Ok(COMPLETE)
    }
}

entry! {
    /// `gss_display_name_ext` (RFC 6680 §7.4).
    fn gss_display_name_ext(minor, input: InHandle, name_type: InOid, text: OutBuffer) {
        let text = text.required()?;
        let name_type = name_type.required()?;
        text.set(&environment::current()?.display_as(&name(input)?, name_type)?)?;
        Ok(COMPLETE)
    }

    /// `gss_inquire_name` (RFC 6680 §7.3).
    fn gss_inquire_name(minor, input: InHandle, is_mechanism: Out<Int>, mechanism: Out<OidPointer>, attributes: BufferSetSlot) {
        is_mechanism.set(0);
        mechanism.set(OidPointer::NONE);
        attributes.clear();
        with(input, |object| {
            if let NameObject::Mechanism(name) = object {
                is_mechanism.set(1);
                mechanism.set(descriptor(name.mechanism()));
                let names = name.attribute_names();
                if attributes.required().is_ok() && !names.is_empty() {
                    attributes.set(&names)?;
                }
            }
            Ok(COMPLETE)
        })
    }

    /// `gss_get_name_attribute` (RFC 6680 §7.5). `more` is -1 at first, then where to go on, and 0 after the last value.
    fn gss_get_name_attribute(minor, input: InHandle, attribute: InBuffer, authenticated: Out<Int>, complete: Out<Int>, value: OutBuffer, display: OutBuffer, more: Out<Int>) {
        authenticated.set(0);
        complete.set(0);
        value.clear();
        display.clear();
        let which = attribute_name(attribute)?;
        let found = with_mechanism(input, |name| name.attribute(which))?;
        let at = usize::try_from(more.get().unwrap_or(-1)).unwrap_or(0);
        let one = found.values.get(at).ok_or(Status::from(Major::Unavailable))?;
        value.set(&one.value)?;
        display.set(one.display.as_deref().unwrap_or_default().as_bytes())?;
        authenticated.set(Int::from(found.authenticated));
        complete.set(Int::from(found.complete));
        let next = Int::try_from(at + 1).unwrap_or(0);
        more.set(if at + 1 < found.values.len() { next } else { 0 });
        Ok(COMPLETE)
    }

    /// `gss_set_name_attribute` (RFC 6680 §7.6).
    fn gss_set_name_attribute(minor, input: InHandle, complete: Int, attribute: InBuffer, value: InBuffer) {
        let which = attribute_name(attribute)?;
        let value = value.required()?;
        let mut given = Attribute::single(false, value, None);
        given.complete = complete != 0;
        with_mechanism(input, |name| name.set_attribute(which, given))?;
        Ok(COMPLETE)
    }

    /// `gss_delete_name_attribute` (RFC 6680 §7.7).
    fn gss_delete_name_attribute(minor, input: InHandle, attribute: InBuffer) {
        let which = attribute_name(attribute)?;
        with_mechanism(input, |name| name.delete_attribute(which))?;
        Ok(COMPLETE)
    }

    /// `gss_export_name_composite` (RFC 6680 §7.8).
    fn gss_export_name_composite(minor, input: InHandle, exported: OutBuffer) {
        let exported = exported.required()?;
        exported.set(&with(input, |object| match object {
            NameObject::Mechanism(name) => Ok(name.export_composite()),
            NameObject::Imported(_) => Err(Major::NameNotMn.into()),
        })?)?;
        Ok(COMPLETE)
    }
}

fn attribute_name<'a>(attribute: InBuffer) -> Result<&'a str, Status> {
    let name = str::from_utf8(attribute.required()?);
    name.map_err(|_| Major::Unavailable.into())
}
