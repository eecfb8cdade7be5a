//! Words of a table, wherever they lie, and the ground that new ones are made on.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::{OpenError, StoreError};
use crate::file::MappedFile;
use crate::layout::Header;
use crate::memory::Memory;
use crate::place::Directory;

/// Where tables are made.
#[derive(Clone)]
pub(crate) enum Ground {
    Memory,
    Directory(Arc<Directory>),
}

impl Ground {
    /// The table that `proposed` describes: in a directory, the one that is there already, if one is.
    pub(crate) fn region(&self, proposed: &Header) -> Result<Region, OpenError> {
        match self {
            Ground::Memory => Region::memory(*proposed),
            Ground::Directory(directory) => {
                let (file, header) = MappedFile::open_or_create(directory, proposed)?;
                Ok(Region {
                    header,
                    words: Words::File(file),
                })
            }
        }
    }

    /// As [`region`](Self::region), but it must be there.
    pub(crate) fn existing(&self, wanted: &Header) -> Result<Region, OpenError> {
        match self {
            Ground::Memory => Region::memory(*wanted),
            Ground::Directory(directory) => {
                let (file, header) =
                    MappedFile::open(directory, wanted.kind)?.ok_or_else(|| {
                        OpenError::SegmentMissing {
                            path: directory.path().join(wanted.kind.file_name()),
                        }
                    })?;
                Ok(Region {
                    header,
                    words: Words::File(file),
                })
            }
        }
    }
}

/// A table's words with the header that describes them.
pub(crate) struct Region {
    header: Header,
    words: Words,
}

enum Words {
    Memory(Memory),
    File(MappedFile),
}

impl Region {
    fn memory(header: Header) -> Result<Self, OpenError> {
        let memory = Memory::new(header.total_words()).map_err(|source| OpenError::System {
            path: PathBuf::from("memory"),
            doing: "allocate a table",
            source,
        })?;
        Ok(Self {
            header,
            words: Words::Memory(memory),
        })
    }

    pub(crate) fn header(&self) -> &Header {
        &self.header
    }

    /// All words, or why this process has none.
    pub(crate) fn words(&self) -> Result<&[AtomicU64], StoreError> {
        match &self.words {
            Words::Memory(memory) => memory.words(),
            Words::File(file) => file.words(),
        }
        .ok_or(StoreError::Forked)
    }

    /// Whether this process is a child of the one that opened it.
    pub(crate) fn forked(&self) -> bool {
        self.words().is_err()
    }

    /// Whether others that open the store now find the same words.
    pub(crate) fn confirm(&self) -> Result<(), StoreError> {
        match &self.words {
            Words::Memory(_) => Ok(()),
            Words::File(file) => file.confirm(),
        }
    }

    /// The same at a third of the cost, except that a file which was moved elsewhere is noticed only some time later.
    pub(crate) fn confirm_linked(&self) -> Result<(), StoreError> {
        match &self.words {
            Words::Memory(_) => Ok(()),
            Words::File(file) => file.confirm_linked(),
        }
    }

    /// Asks that the words stay out of swap.
    pub(crate) fn lock(&self) {
        if let Words::File(file) = &self.words {
            file.lock();
        }
    }

    /// How messages call it.
    pub(crate) fn place(&self) -> String {
        match &self.words {
            Words::Memory(_) => format!("{} in memory", self.header.kind.file_name()),
            Words::File(file) => file.path().display().to_string(),
        }
    }
}

/// Counts one more at `index` of the header.
pub(crate) fn count(words: &[AtomicU64], index: usize) {
    words[index].fetch_add(1, Ordering::Relaxed);
}
