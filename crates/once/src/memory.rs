//! The memory backend: the same words, in a box.

use std::io;
use std::sync::atomic::AtomicU64;

use zeroize::Zeroize;

use crate::map::ForkMarker;

/// Words of one process. A child would have a copy of them, in which all that is there once is there again: so it has none.
pub(crate) struct Memory {
    words: Box<[AtomicU64]>,
    marker: ForkMarker,
}

impl Memory {
    pub(crate) fn new(words: usize) -> io::Result<Self> {
        Ok(Self {
            words: (0..words).map(|_| AtomicU64::new(0)).collect(),
            marker: ForkMarker::new()?,
        })
    }

    pub(crate) fn words(&self) -> Option<&[AtomicU64]> {
        (!self.marker.forked()).then_some(&self.words)
    }
}

impl Drop for Memory {
    /// Deposits hold keys.
    fn drop(&mut self) {
        // Nobody else has them any more, and writing them atomically costs many times as much.
        for word in &mut self.words {
            word.get_mut().zeroize();
        }
    }
}
