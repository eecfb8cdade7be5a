//! What `fork` copies, and what one process at a time may use (rule T10).

use once::{ForkMark, Leaving};

use crate::Error;

/// A context or a handshake, with the mark that its copies share: once one of them was exported, calls on the others answer
/// `GSS_S_NO_CONTEXT`.
pub(crate) struct Copied<T: ?Sized> {
    mark: ForkMark,
    inner: Box<T>,
}

/// A mark for what is about to be made: made first, so that its failure costs nothing.
pub(crate) fn mark() -> Result<ForkMark, gss_transfer::Error> {
    ForkMark::new().map_err(gss_transfer::Error::Mark)
}

impl<T: ?Sized> Copied<T> {
    pub(crate) fn new(mark: ForkMark, inner: Box<T>) -> Self {
        Self { mark, inner }
    }

    /// For a call. One that runs already when a copy is exported may finish.
    pub(crate) fn here(&self) -> Result<&T, Error> {
        self.mark
            .check()
            .map_err(gss_transfer::Error::HandedOn)
            .map_err(Error::from)?;
        Ok(&self.inner)
    }

    /// For a use.
    pub(crate) fn used(&self) -> Result<&T, Error> {
        self.mark.used().map_err(gss_transfer::Error::HandedOn)?;
        Ok(&self.inner)
    }

    /// Takes it away from all copies, if none of them was used: tells whether.
    pub(crate) fn leave_unused(&self) -> bool {
        self.mark.leave_unused()
    }

    /// For what is no secret and never changes.
    pub(crate) fn anywhere(&self) -> &T {
        &self.inner
    }

    /// For an export: from here on no copy can be used, until what this returns is dropped or told that it has gone.
    pub(crate) fn leave(&self) -> Result<(Leaving<'_>, &T), gss_transfer::Error> {
        let leaving = self.mark.leave().map_err(gss_transfer::Error::HandedOn)?;
        Ok((leaving, &self.inner))
    }

    /// The two parts, for a step.
    pub(crate) fn into_parts(self) -> (ForkMark, Box<T>) {
        (self.mark, self.inner)
    }
}
