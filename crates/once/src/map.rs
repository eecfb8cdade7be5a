//! The shared map: the one module with `unsafe`.
//!
//! Outside it a map is a slice of atomic words, or is gone; a page is a count and a slice of atomic bytes; and forks are a number.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::BorrowedFd;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};

use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mlock, mmap, mmap_anonymous, munmap};
use rustix::process::{Pid, getpid};

const PAGE: usize = 4096;

static FORKS: AtomicU64 = AtomicU64::new(0);

/// How often this process and those that it is a copy of have called `fork` since somebody asked first; `None` where they cannot be
/// counted. A copy that was made by the system call itself, past the C library, is not counted. What is given back only by whom it
/// was given to, and of whom no copy was made since, asks this twice.
pub fn forks() -> Option<u64> {
    static COUNTED: AtomicBool = AtomicBool::new(false);
    extern "C" fn before() {
        FORKS.fetch_add(1, Ordering::SeqCst);
    }
    if !COUNTED.load(Ordering::Acquire) {
        // Threads that race count each fork more than once, which tells the same.
        // SAFETY: the handler is a function that touches an atomic alone, and the C library forgets it when this code is unloaded.
        let failed = unsafe { libc::pthread_atfork(Some(before), None, None) };
        if failed != 0 {
            return None;
        }
        COUNTED.store(true, Ordering::Release);
    }
    Some(FORKS.load(Ordering::SeqCst))
}

/// Knows whether this process is a child of the one that made it.
///
/// It is a page that the kernel wipes in a child: as cheap as a load, and right where two processes have one number, as the
/// first of a container and the first of a container within it. Kernels without that are asked for the number.
pub(crate) struct ForkMarker {
    page: NonNull<AtomicU64>,
    process: Option<Pid>,
}

// SAFETY: the page belongs to the marker, and is only read through an atomic after `new`.
unsafe impl Send for ForkMarker {}
// SAFETY: as above.
unsafe impl Sync for ForkMarker {}

impl ForkMarker {
    pub(crate) fn new() -> io::Result<Self> {
        let rights = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: no address is asked for, so no mapping is replaced.
        let page = unsafe { mmap_anonymous(ptr::null_mut(), PAGE, rights, MapFlags::PRIVATE)? };
        let Some(page) = NonNull::new(page.cast::<AtomicU64>()) else {
            return Err(io::ErrorKind::OutOfMemory.into());
        };
        // SAFETY: the page was mapped above, is aligned and zeroed, and zero is a valid `AtomicU64`.
        unsafe { page.as_ref() }.store(1, Ordering::Relaxed);
        // SAFETY: the advice concerns the page mapped above alone.
        let wiped = unsafe { madvise(page.as_ptr().cast(), PAGE, Advice::LinuxWipeOnFork) };
        Ok(Self {
            page,
            process: wiped.is_err().then(getpid),
        })
    }

    pub(crate) fn forked(&self) -> bool {
        // SAFETY: the page stays mapped until the marker is dropped, in a child too.
        let wiped = unsafe { self.page.as_ref() }.load(Ordering::Relaxed) == 0;
        wiped || self.process.is_some_and(|process| process != getpid())
    }
}

impl Drop for ForkMarker {
    fn drop(&mut self) {
        // SAFETY: the page was mapped by `new`, is not used any more, and `fork` keeps it mapped in a child.
        let _ = unsafe { munmap(self.page.as_ptr().cast(), PAGE) };
    }
}

/// A file's words, shared with every process that maps it. Not inherited by a child.
pub(crate) struct Map {
    start: NonNull<AtomicU64>,
    words: usize,
    marker: ForkMarker,
}

// SAFETY: the map is only reached as a slice of atomics.
unsafe impl Send for Map {}
// SAFETY: as above.
unsafe impl Sync for Map {}

impl Map {
    /// Maps the first `words` words of `file`, which has at least as many, with space allocated for all of them.
    pub(crate) fn new(file: BorrowedFd<'_>, words: usize) -> io::Result<Self> {
        let marker = ForkMarker::new()?;
        let bytes = words
            .checked_mul(size_of::<AtomicU64>())
            .ok_or(io::ErrorKind::InvalidInput)?;
        let rights = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: no address is asked for, so no mapping is replaced. Other processes change the words at any time, and all of
        // them, this one included, do so atomically.
        let start = unsafe { mmap(ptr::null_mut(), bytes, rights, MapFlags::SHARED, file, 0)? };
        let Some(start) = NonNull::new(start.cast::<AtomicU64>()) else {
            return Err(io::ErrorKind::OutOfMemory.into());
        };
        let map = Self {
            start,
            words,
            marker,
        };
        for advice in [Advice::LinuxDontFork, Advice::LinuxDontDump] {
            // SAFETY: the advice concerns the mapping made above alone. A child never touches it, because `words` asks first.
            unsafe { madvise(start.as_ptr().cast(), bytes, advice)? };
        }
        Ok(map)
    }

    /// The words, or `None` in a child of the process that made the map: it is not there any more.
    pub(crate) fn words(&self) -> Option<&[AtomicU64]> {
        // SAFETY: the mapping is there while `self` is and this process is the one that made it; it is page-aligned, any bits are a
        // valid `AtomicU64`, and nobody holds a plain reference into it.
        (!self.marker.forked())
            .then(|| unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.words) })
    }

    /// Keeps the words out of swap, where this is permitted.
    pub(crate) fn lock(&self) -> bool {
        // SAFETY: the range is this mapping; in a child it may be anything, and then nothing is asked.
        !self.marker.forked() && unsafe { mlock(self.start.as_ptr().cast(), self.bytes()) }.is_ok()
    }

    fn bytes(&self) -> usize {
        self.words * size_of::<AtomicU64>()
    }
}

impl Drop for Map {
    fn drop(&mut self) {
        if !self.marker.forked() {
            // SAFETY: mapped by `new` in this process, and no reference outlives `self`. In a child the range is not ours, and
            // may be somebody else's by now.
            let _ = unsafe { munmap(self.start.as_ptr().cast(), self.bytes()) };
        }
    }
}

/// A page that a child of `fork` has too: what one process writes, all of them read.
pub(crate) struct SharedPage {
    page: NonNull<u8>,
}

// SAFETY: the page is only reached as atomics.
unsafe impl Send for SharedPage {}
// SAFETY: as above.
unsafe impl Sync for SharedPage {}

impl SharedPage {
    /// How many bytes there are beside the count.
    pub(crate) const BYTES: usize = PAGE - size_of::<AtomicU32>();

    /// A page of zeros.
    pub(crate) fn new() -> io::Result<Self> {
        let rights = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: no address is asked for, so no mapping is replaced.
        let page = unsafe { mmap_anonymous(ptr::null_mut(), PAGE, rights, MapFlags::SHARED)? };
        let page = NonNull::new(page.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { page })
    }

    /// The word at its beginning.
    pub(crate) fn count(&self) -> &AtomicU32 {
        // SAFETY: the page stays mapped while `self` is, `fork` keeps it mapped in a child, it is aligned, any bits are a valid
        // `AtomicU32`, and nobody reaches these bytes otherwise.
        unsafe { self.page.cast().as_ref() }
    }

    /// The bytes behind it.
    pub(crate) fn bytes(&self) -> &[AtomicU8] {
        // SAFETY: as above; the range ends with the page.
        unsafe {
            let start = self.page.add(PAGE - Self::BYTES).cast().as_ptr();
            std::slice::from_raw_parts(start, Self::BYTES)
        }
    }
}

impl Drop for SharedPage {
    fn drop(&mut self) {
        // SAFETY: the page was mapped by `new`, no reference outlives `self`, and `fork` keeps it mapped in a child, which unmaps
        // its own.
        let _ = unsafe { munmap(self.page.as_ptr().cast(), PAGE) };
    }
}
