//! The world, as values: what protocol code may know of the machine it runs on.

use std::error::Error;

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
    /// Where they are noticed besides: the replay cache of other programs of this host. Both have to find a request new.
    pub shared_replay: Option<&'a dyn ReplayCache>,
}

impl Host<'_> {
    /// The moment now.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

/// A replay cache that acceptors of another implementation use too.
pub trait ReplayCache: Send + Sync {
    /// Records the authenticator of `tag`, which was made at `ctime`, in one atomic step: of acceptors that race, one gets `Ok`.
    /// The tag is MIT's, 12 bytes of the checksum in the authenticator's ciphertext.
    fn record(
        &self,
        tag: &[u8; 12],
        ctime: Timestamp,
        now: Timestamp,
    ) -> Result<(), ReplayCacheError>;
}

/// Why a request is not known to be new.
#[derive(Debug, thiserror::Error)]
pub enum ReplayCacheError {
    /// It is not.
    #[error("seen before")]
    Seen,
    /// The cache could not answer.
    #[error(transparent)]
    Failed(Box<dyn Error + Send + Sync>),
}
