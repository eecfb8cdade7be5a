//! Handles that are checked, not trusted.
//!
//! A handle is the number of a slot and of the slot's use, so one that was released, copied or made up names no object. To look one up
//! takes no lock that others share: each slot has its own.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};

/// Slots in the first segment; each further one has twice as many as the one before.
const FIRST: usize = 64;
const SEGMENTS: usize = 22;
/// The lowest bits of a handle, so that no handle is a null pointer and none of one kind is taken for one of another.
const KIND_BITS: u32 = 3;
const INDEX_BITS: u32 = 29;

/// What a program holds of an object: never a pointer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Handle(u64);

impl Handle {
    /// The handle in a pointer's bits.
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// The bits, for a pointer.
    pub const fn bits(self) -> u64 {
        self.0
    }

    const fn new(kind: u8, index: u32, generation: u32) -> Self {
        Self((generation as u64) << 32 | (index as u64) << KIND_BITS | kind as u64)
    }

    const fn kind(self) -> u8 {
        (self.0 & ((1 << KIND_BITS) - 1)) as u8
    }

    const fn index(self) -> usize {
        (self.0 >> KIND_BITS & ((1 << INDEX_BITS) - 1)) as usize
    }

    const fn generation(self) -> u32 {
        (self.0 >> 32) as u32
    }
}

struct Slot<T> {
    /// Counts the slot's uses; a handle is of one of them.
    generation: AtomicU32,
    object: RwLock<Option<Arc<T>>>,
}

/// The objects of one kind.
pub struct Table<T> {
    kind: u8,
    segments: [OnceLock<Box<[Slot<T>]>>; SEGMENTS],
    free: Mutex<Free>,
}

struct Free {
    released: Vec<u32>,
    next: u32,
}

impl<T> Table<T> {
    /// A table whose handles are of `kind`, a number from 1 to 7 that no other table has.
    pub const fn new(kind: u8) -> Self {
        assert!(kind > 0 && kind < 1 << KIND_BITS);
        Self {
            kind,
            segments: [const { OnceLock::new() }; SEGMENTS],
            free: Mutex::new(Free {
                released: Vec::new(),
                next: 0,
            }),
        }
    }

    /// Puts an object in; `None` if there is no room for another.
    pub fn insert(&self, object: T) -> Option<Handle> {
        let index = self.take_index()?;
        let slot = self.slot(index as usize, true)?;
        let mut held = slot.object.write().unwrap_or_else(PoisonError::into_inner);
        *held = Some(Arc::new(object));
        let generation = slot.generation.load(Ordering::Relaxed);
        Some(Handle::new(self.kind, index, generation))
    }

    /// The object of `handle`, if that is one of ours and was not removed.
    pub fn get(&self, handle: Handle) -> Option<Arc<T>> {
        let slot = self.slot_of(handle)?;
        let held = slot.object.read().unwrap_or_else(PoisonError::into_inner);
        if slot.generation.load(Ordering::Relaxed) != handle.generation() {
            return None;
        }
        held.clone()
    }

    /// Takes the object out: whoever still uses it goes on, and nobody finds it any more.
    pub fn remove(&self, handle: Handle) -> Option<Arc<T>> {
        let slot = self.slot_of(handle)?;
        let mut held = slot.object.write().unwrap_or_else(PoisonError::into_inner);
        if slot.generation.load(Ordering::Relaxed) != handle.generation() {
            return None;
        }
        let object = held.take()?;
        let generation = slot.generation.fetch_add(1, Ordering::Relaxed);
        drop(held);
        // A slot whose uses are all used up is not used again: an old handle must not become good.
        if generation != u32::MAX {
            let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
            free.released.push(handle.index() as u32);
        }
        Some(object)
    }

    fn take_index(&self) -> Option<u32> {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(index) = free.released.pop() {
            return Some(index);
        }
        let index = free.next;
        let fits = place(index as usize).0 < SEGMENTS && index < 1 << INDEX_BITS;
        free.next += u32::from(fits);
        fits.then_some(index)
    }

    fn slot_of(&self, handle: Handle) -> Option<&Slot<T>> {
        if handle.kind() != self.kind {
            return None;
        }
        self.slot(handle.index(), false)
    }

    fn slot(&self, index: usize, make: bool) -> Option<&Slot<T>> {
        let (segment, offset) = place(index);
        let cell = self.segments.get(segment)?;
        let slots = if make {
            cell.get_or_init(|| slots(FIRST << segment))
        } else {
            cell.get()?
        };
        slots.get(offset)
    }
}

fn slots<T>(count: usize) -> Box<[Slot<T>]> {
    let slot = || Slot {
        generation: AtomicU32::new(0),
        object: RwLock::new(None),
    };
    std::iter::repeat_with(slot).take(count).collect()
}

/// Segment and offset of a slot.
const fn place(index: usize) -> (usize, usize) {
    let segment = ((index / FIRST + 1).ilog2()) as usize;
    (segment, index + FIRST - (FIRST << segment))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_slot_has_its_place() {
        let mut expected = (0, 0);
        for index in 0..10_000 {
            assert_eq!(place(index), expected, "{index}");
            expected.1 += 1;
            if expected.1 == FIRST << expected.0 {
                expected = (expected.0 + 1, 0);
            }
        }
    }

    #[test]
    fn a_handle_is_good_for_its_object_alone() {
        let table = Table::new(1);
        let handles: Vec<_> = (0..500).map(|n| table.insert(n).unwrap()).collect();
        for (n, handle) in handles.iter().enumerate() {
            assert_ne!(handle.bits(), 0);
            assert_eq!(*table.get(*handle).unwrap(), n);
        }
        let gone = handles[77];
        assert_eq!(*table.remove(gone).unwrap(), 77);
        assert!(table.get(gone).is_none() && table.remove(gone).is_none());
        let next = table.insert(9000).unwrap();
        assert_eq!(next.index(), gone.index(), "the slot is used again");
        assert!(table.get(gone).is_none(), "and the old handle stays dead");
        assert_eq!(*table.get(next).unwrap(), 9000);
    }

    #[test]
    fn what_was_made_up_names_nothing() {
        let table = Table::new(2);
        let good = table.insert(()).unwrap();
        for bit in 0..64 {
            assert!(
                table
                    .get(Handle::from_bits(good.bits() ^ 1 << bit))
                    .is_none()
            );
        }
        for bits in [0, 1, 8, u64::MAX, u64::MAX << 3 | 2, 0x7fff_dead_beef] {
            assert!(table.get(Handle::from_bits(bits)).is_none(), "{bits:#x}");
        }
        let other = Table::<()>::new(3);
        assert!(other.get(good).is_none());
    }

    #[test]
    fn whoever_uses_an_object_that_is_removed_goes_on() {
        let table = Table::new(1);
        let handle = table.insert(5).unwrap();
        let used = table.get(handle).unwrap();
        table.remove(handle).unwrap();
        assert_eq!(*used, 5);
    }

    #[test]
    fn of_two_that_remove_one_object_one_gets_it() {
        let table = Table::new(1);
        for _ in 0..200 {
            let handle = table.insert(()).unwrap();
            let won = std::thread::scope(|scope| {
                let racers = [(); 4].map(|()| scope.spawn(|| table.remove(handle).is_some()));
                racers.map(|racer| racer.join().unwrap())
            });
            assert_eq!(won.iter().filter(|won| **won).count(), 1);
        }
    }
}
