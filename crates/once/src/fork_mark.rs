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

    fn on(page: &Arc<Page>) -> io::Result<Self> {
        Page::next(page).ok_or_else(|| io::ErrorKind::OutOfMemory.into())
    }

    /// Whether the thing is still here, as far as the other copies go.
    pub fn check(&self) -> Result<(), Gone> {
        match self.byte().load(Ordering::Acquire) {
            HERE => Ok(()),
            _ => Err(Gone),
        }
    }

    /// Begins to take the thing away from all copies, in one atomic step: of those that race, one gets `Ok`. Until
    /// [it is gone](Leaving::gone), dropping what this returns gives it back.
    pub fn leave(&self) -> Result<Leaving<'_>, Gone> {
        self.byte()
            .compare_exchange(HERE, GONE, Ordering::AcqRel, Ordering::Acquire)
            .map(|_| Leaving(self))
            .map_err(|_| Gone)
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

    /// Sixteen bytes where the thing is, and one of a page.
    #[test]
    fn a_mark_costs_little() {
        assert!(size_of::<ForkMark>() <= 16);
        let page = Page::new().unwrap();
        let marks: Vec<_> = std::iter::from_fn(|| Page::next(&page)).collect();
        assert_eq!(marks.len(), 4092);
    }
}
