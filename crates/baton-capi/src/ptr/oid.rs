//! OIDs and sets of OIDs.

use std::ptr;
use std::slice;

use baton::Oid;

use super::bytes;
use super::set::SetSlot;
use crate::abi::{OidDesc, OidSetDesc};
use crate::boundary::Status;

/// An OID that a caller passes; null stands for the default.
#[repr(transparent)]
#[derive(Clone, Copy)]
pub struct InOid(*const OidDesc);

impl InOid {
    /// The OID, if one was passed.
    pub fn get(self) -> Result<Option<Oid>, Status> {
        if self.0.is_null() {
            return Ok(None);
        }
        // SAFETY: not null, so a readable descriptor.
        let desc = unsafe { self.0.read() };
        oid(desc).map(Some)
    }

    /// The OID, which there must be.
    pub fn required(self) -> Result<Oid, Status> {
        self.get()?.ok_or(Status::INACCESSIBLE_READ)
    }
}

fn oid(desc: OidDesc) -> Result<Oid, Status> {
    let octets = bytes(desc.elements, desc.length as usize).ok_or(Status::BAD_STRUCTURE)?;
    Oid::from_bytes(octets).map_err(|_| Status::BAD_STRUCTURE)
}

/// A set of OIDs that a caller passes; null stands for the default.
#[repr(transparent)]
#[derive(Clone, Copy)]
pub struct InOidSet(*const OidSetDesc);

impl InOidSet {
    /// The members, if a set was passed.
    pub fn get(self) -> Result<Option<Vec<Oid>>, Status> {
        if self.0.is_null() {
            return Ok(None);
        }
        // SAFETY: not null, so a readable set.
        let set = unsafe { self.0.read() };
        members(set).map(Some)
    }
}

fn members(set: OidSetDesc) -> Result<Vec<Oid>, Status> {
    if set.count == 0 {
        return Ok(Vec::new());
    }
    if set.elements.is_null() {
        return Err(Status::BAD_STRUCTURE);
    }
    // SAFETY: the caller says that there are `count` descriptors.
    let descs = unsafe { slice::from_raw_parts(set.elements, set.count) };
    descs.iter().map(|desc| oid(*desc)).collect()
}

/// Where a caller has a set of OIDs that a call makes, changes or takes away.
pub type OidSetSlot = SetSlot<OidDesc>;

impl OidSetSlot {
    /// A new set of `oids`, if the caller wants it.
    pub fn set(self, oids: &[Oid]) -> Result<(), Status> {
        match self.required() {
            Ok(slot) => slot.fill(oids.iter().map(Oid::bytes)),
            Err(_) => Ok(()),
        }
    }

    /// The members of the set that is there.
    pub fn get(self) -> Result<Vec<Oid>, Status> {
        InOidSet(self.read())
            .get()?
            .ok_or(Status::INACCESSIBLE_READ)
    }

    /// Adds a member to the set that is there.
    pub fn push(self, oid: Oid) -> Result<(), Status> {
        self.append(oid.bytes())
    }
}

/// A descriptor that lives as long as the library.
#[repr(transparent)]
pub struct StaticOid(OidDesc);

// SAFETY: nobody writes it, nor the octets it points to, which are static too.
unsafe impl Sync for StaticOid {}

impl StaticOid {
    /// Of these octets.
    pub const fn new(octets: &'static [u8]) -> Self {
        Self(OidDesc {
            length: octets.len() as u32,
            elements: octets.as_ptr().cast(),
        })
    }

    /// For C.
    pub const fn pointer(&'static self) -> OidPointer {
        OidPointer(&raw const self.0)
    }
}

/// A pointer to a descriptor that lives as long as the library: what a data symbol is, and what calls give.
#[repr(transparent)]
#[derive(Clone, Copy)]
pub struct OidPointer(*const OidDesc);

// SAFETY: it points to a `StaticOid`, which nobody writes, or to nothing.
unsafe impl Sync for OidPointer {}
// SAFETY: as above; no thread has a claim on it.
unsafe impl Send for OidPointer {}

impl OidPointer {
    /// `GSS_C_NO_OID`.
    pub const NONE: Self = Self(ptr::null());
}

/// A set that lives as long as the library.
#[repr(transparent)]
pub struct StaticOidSet(OidSetDesc);

// SAFETY: nobody writes it: programs are told not to, and we do not.
unsafe impl Sync for StaticOidSet {}

impl StaticOidSet {
    /// Of these members.
    pub const fn new(members: &'static [StaticOid]) -> Self {
        Self(OidSetDesc {
            count: members.len(),
            elements: members.as_ptr().cast_mut().cast(),
        })
    }

    /// For C.
    pub const fn pointer(&'static self) -> OidSetPointer {
        OidSetPointer(&raw const self.0)
    }
}

/// A data symbol that points to a set.
#[repr(transparent)]
pub struct OidSetPointer(*const OidSetDesc);

// SAFETY: it points to a `StaticOidSet`.
unsafe impl Sync for OidSetPointer {}

/// Leaves a descriptor of `oid` to C for as long as the process lives.
pub fn leak(oid: Oid) -> OidPointer {
    let octets: &'static [u8] = oid.bytes().to_vec().leak();
    Box::leak(Box::new(StaticOid::new(octets))).pointer()
}
