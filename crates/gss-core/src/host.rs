//! The world, as values: what protocol code may know of the machine it runs on.

use once::OnceStore;
use wire::random::Random;
use wire::time::{Clock, Timestamp};

/// Clock, randomness and once-store of this process, handed to every step that needs one of them.
pub struct Host<'a> {
    /// The clock.
    pub clock: &'a dyn Clock,
    /// Randomness fit for keys.
    pub random: &'a dyn Random,
    /// Where replays are noticed. `None` switches replay detection of handshakes off, which a caller has to ask for.
    pub replay: Option<&'a OnceStore>,
}

impl Host<'_> {
    /// The moment now.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }
}
