//! Marks that `fork` does not copy: whether a thing that every child has a copy of has gone from one of them.
//!
//! A mark is a byte in a page that parent and children share. It is given out once while the page is mapped, to one thing in
//! one process; the count of those given out is in the page too, so that a parent and its child, which both go on with the
//! page they had at the `fork`, do not give the same one. A page is unmapped with the last of its marks.

use std::io;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError, TryLockError};

use crate::map::SharedPage;

const HERE: u8 = 0;
const GONE: u8 = 1;
/// Here, and not used yet by any copy.
const UNUSED: u8 = 2;

/// Tells all copies that `fork` makes of a thing whether one of them has gone.
///
/// It is made with the thing and lives in it. Asking is one atomic load. Dropping it says nothing: a parent that has no more use
/// for its copy does not disturb the child. It holds no secret.
#[derive(Debug)]
pub struct ForkMark {
    page: Arc<Page>,
    number: u16,
}

/// The thing has gone from one of the processes that had a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("another process that has a copy of it, since a fork, has handed it on")]
pub struct Gone;

impl ForkMark {
    /// A mark of its own for a new thing, which is here.
    pub fn new() -> io::Result<Self> {
        for current in &CURRENT {
            // Never waits: in a child, a lock stays locked for ever that another thread held at the moment of the `fork`.
            let mut current = match current.try_lock() {
                Ok(current) => current,
                Err(TryLockError::Poisoned(error)) => PoisonError::into_inner(error),
                Err(TryLockError::WouldBlock) => continue,
            };
            if let Some(mark) = current.as_ref().and_then(Page::next) {
                return Ok(mark);
            }
            // The one before lives as long as its marks.
            return Self::on(current.insert(Page::new()?));
        }
        Self::on(&Page::new()?)
    }

    /// The same, of a thing that counts as unused until the first [use](Self::used) in any process.
    #[must_use]
    pub fn unused(self) -> Self {
        self.byte().store(UNUSED, Ordering::Release);
        self
    }

    fn on(page: &Arc<Page>) -> io::Result<Self> {
        Page::next(page).ok_or_else(|| io::ErrorKind::OutOfMemory.into())
    }

    /// Whether the thing is still here, as far as the other copies go.
    pub fn check(&self) -> Result<(), Gone> {
        match self.byte().load(Ordering::Acquire) {
            GONE => Err(Gone),
            _ => Ok(()),
        }
    }

    /// The same before a use of the thing, and whether it is the first one. Of a first use and a [return](Self::leave_unused) that
    /// race, in whatever processes, one happens.
    pub fn used(&self) -> Result<bool, Gone> {
        match self.byte().load(Ordering::Acquire) {
            HERE => Ok(false),
            UNUSED => match self.swap(UNUSED, HERE) {
                Ok(_) => Ok(true),
                Err(HERE) => Ok(false),
                Err(_) => Err(Gone),
            },
            _ => Err(Gone),
        }
    }

    /// Takes the thing away from all copies, if none of them was used: tells whether.
    pub fn leave_unused(&self) -> bool {
        self.swap(UNUSED, GONE).is_ok()
    }

    /// Begins to take the thing away from all copies, in one atomic step: of those that race, one gets `Ok`. Until
    /// [it is gone](Leaving::gone), dropping what this returns gives it back.
    pub fn leave(&self) -> Result<Leaving<'_>, Gone> {
        self.used()?;
        let left = self.swap(HERE, GONE);
        left.map(|_| Leaving(self)).map_err(|_| Gone)
    }

    fn swap(&self, from: u8, to: u8) -> Result<u8, u8> {
        self.byte()
            .compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire)
    }

    fn byte(&self) -> &AtomicU8 {
        &self.page.0.bytes()[usize::from(self.number)]
    }
}

/// A thing that no copy can use, and that has not gone yet.
#[derive(Debug)]
#[must_use = "dropping it gives the thing back"]
pub struct Leaving<'a>(&'a ForkMark);

impl Leaving<'_> {
    /// It has gone.
    pub fn gone(self) {
        std::mem::forget(self);
    }
}

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        self.0.byte().store(HERE, Ordering::Release);
    }
}

struct Page(SharedPage);

impl Page {
    fn new() -> io::Result<Arc<Self>> {
        SharedPage::new().map(|page| Arc::new(Self(page)))
    }

    /// Its next mark, which nobody had before.
    fn next(page: &Arc<Self>) -> Option<ForkMark> {
        let count = page.0.count();
        let more = |count: u32| ((count as usize) < SharedPage::BYTES).then(|| count + 1);
        let number = (count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more)).ok()?;
        Some(ForkMark {
            page: Arc::clone(page),
            number: u16::try_from(number).ok()?,
        })
    }
}

impl std::fmt::Debug for Page {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Page")
    }
}

/// The pages that new marks come from, one a thread that makes one at the same moment.
static CURRENT: [Mutex<Option<Arc<Page>>>; 8] = [const { Mutex::new(None) }; 8];

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::thread;

    use super::*;

    #[test]
    fn of_two_that_leave_one_does() {
        let mark = ForkMark::new().unwrap();
        assert_eq!(mark.check(), Ok(()));
        let leaving = mark.leave().unwrap();
        assert_eq!(mark.check(), Err(Gone));
        assert!(mark.leave().is_err());
        leaving.gone();
        assert_eq!(mark.check(), Err(Gone));
        assert!(mark.leave().is_err());
    }

    #[test]
    fn what_does_not_leave_after_all_is_given_back() {
        let mark = ForkMark::new().unwrap();
        drop(mark.leave().unwrap());
        assert_eq!(mark.check(), Ok(()));
        mark.leave().unwrap().gone();
        assert_eq!(mark.check(), Err(Gone));
    }

    #[test]
    fn no_mark_is_given_out_twice() {
        let make = || -> Vec<ForkMark> { (0..9000).map(|_| ForkMark::new().unwrap()).collect() };
        let threads: Vec<_> = (0..4).map(|_| thread::spawn(make)).collect();
        let marks: Vec<_> = threads
            .into_iter()
            .flat_map(|t| t.join().unwrap())
            .collect();
        let places: HashSet<usize> = marks
            .iter()
            .map(|mark| std::ptr::from_ref(mark.byte()).addr())
            .collect();
        assert_eq!(places.len(), marks.len());
        for mark in marks.iter().step_by(2) {
            mark.leave().unwrap().gone();
        }
        for (number, mark) in marks.iter().enumerate() {
            assert_eq!(mark.check().is_err(), number % 2 == 0, "{number}");
        }
    }

    /// A page that is dropped is unmapped, so its marks are not those of the next.
    #[test]
    fn a_mark_that_was_dropped_is_not_given_out_again() {
        let kept = ForkMark::new().unwrap();
        for _ in 0..3 * SharedPage::BYTES {
            let mark = ForkMark::new().unwrap();
            assert_eq!(mark.check(), Ok(()));
            mark.leave().unwrap().gone();
        }
        assert_eq!(kept.check(), Ok(()));
    }

    #[test]
    fn a_lock_that_another_thread_holds_holds_up_nobody() {
        let held: Vec<_> = CURRENT.iter().map(Mutex::lock).collect();
        let (made, is_made) = std::sync::mpsc::channel();
        thread::spawn(move || made.send(ForkMark::new().unwrap().check()));
        let answer = is_made.recv_timeout(std::time::Duration::from_secs(20));
        assert_eq!(answer, Ok(Ok(())));
        drop(held);
    }

    #[test]
    fn what_was_used_is_not_returned_and_what_was_returned_is_not_used() {
        let mark = ForkMark::new().unwrap().unused();
        assert_eq!(mark.check(), Ok(()));
        assert_eq!(mark.used(), Ok(true));
        assert_eq!(mark.used(), Ok(false));
        assert!(!mark.leave_unused());
        let mark = ForkMark::new().unwrap().unused();
        assert!(mark.leave_unused() && !mark.leave_unused());
        assert_eq!((mark.check(), mark.used()), (Err(Gone), Err(Gone)));
        assert!(mark.leave().is_err());
        // One that never was unused cannot be returned, nor one that is on its way.
        let mark = ForkMark::new().unwrap();
        assert_eq!(mark.used(), Ok(false));
        assert!(!mark.leave_unused());
        let mark = ForkMark::new().unwrap().unused();
        let leaving = mark.leave().unwrap();
        assert!(!mark.leave_unused());
        drop(leaving);
        assert_eq!(mark.used(), Ok(false));
        assert!(!mark.leave_unused());
    }

    #[test]
    fn of_uses_and_a_return_that_race_one_kind_happens() {
        for _ in 0..500 {
            let mark = ForkMark::new().unwrap().unused();
            let (uses, returned) = thread::scope(|scope| {
                let uses = [(); 3].map(|()| scope.spawn(|| mark.used()));
                let returned = scope.spawn(|| mark.leave_unused());
                (
                    uses.map(|used| used.join().unwrap()),
                    returned.join().unwrap(),
                )
            });
            assert_eq!(uses.iter().all(Result::is_err), returned, "{uses:?}");
            assert_eq!(uses.iter().any(Result::is_ok), !returned, "{uses:?}");
            let first = uses.iter().filter(|used| **used == Ok(true)).count();
            assert_eq!(first, usize::from(!returned));
        }
    }

    /// Sixteen bytes where the thing is, and one of a page.
    #[test]
    fn a_mark_costs_little() {
        assert!(size_of::<ForkMark>() <= 16);
        let page = Page::new().unwrap();
        let marks: Vec<_> = std::iter::from_fn(|| Page::next(&page)).collect();
        assert_eq!(marks.len(), 4092);
    }
}
