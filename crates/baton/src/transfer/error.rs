//! Why a message did not get through, one variant a rule.

use std::io;

use gss_core::error::{Error, Major};

/// Why a message could not be sent or received.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CarryError {
    /// The socket is full, or empty, and does not block; or the kernel has no room on the way, whether it blocks or not.
    #[error("the socket is not ready")]
    WouldBlock,
    /// The other end is closed.
    #[error("the other end of the channel is closed")]
    Closed,
    /// A message was begun and could not be finished: what follows on this channel would not be understood.
    #[error("the channel broke within a message")]
    Broken,
    /// The other end did not go on in time.
    #[error("the other end of the channel did not go on in time")]
    TimedOut,
    /// A message longer than [`MAX_MESSAGE`](super::MAX_MESSAGE).
    #[error("the message is longer than {} bytes", super::MAX_MESSAGE)]
    TooLong,
    /// More descriptors than [`MAX_DESCRIPTORS`](super::MAX_DESCRIPTORS).
    #[error("more than {} descriptors", super::MAX_DESCRIPTORS)]
    TooManyDescriptors,
    /// A packet that no sender of ours makes.
    #[error("a packet is malformed or out of place")]
    Packet,
    /// A message that no sender of ours makes.
    #[error("the message is malformed")]
    Message(#[from] wire::fields::FieldError),
    /// Fewer or more descriptors came than were sent: this process may have too many open.
    #[error("descriptors were lost on the way; is the limit of open files reached?")]
    DescriptorsLost,
    /// Something else than a context came.
    #[error("a message without a context came where a context was expected")]
    Unexpected,
    /// The receiver did not prove who it is.
    #[error("the receiver at the named socket did not prove who it is")]
    NotProved,
    /// A context came from a user whom this process does not believe.
    #[error("user {0} sent a context, and this process believes its own user and root alone")]
    Stranger(u32),
    /// Packets came without end and made up no message.
    #[error("packets came without end and made up no message")]
    Flooded,
    /// While the receiver was asked who it is, more messages came from there than are kept.
    #[error("messages from the other end are waiting to be received first")]
    Crowded,
    /// The kernel gave no random number.
    #[error("no randomness from the kernel: {0}")]
    Random(getrandom::Error),
    /// The system's own error.
    #[error("the channel's socket failed")]
    System(#[source] io::Error),
}

impl From<CarryError> for Error {
    fn from(error: CarryError) -> Self {
        let major = match &error {
            CarryError::Packet | CarryError::Message(_) | CarryError::Flooded => {
                Major::DefectiveToken
            }
            CarryError::NotProved | CarryError::Stranger(_) => Major::Unauthorized,
            CarryError::WouldBlock
            | CarryError::Closed
            | CarryError::Broken
            | CarryError::TimedOut
            | CarryError::TooLong
            | CarryError::TooManyDescriptors
            | CarryError::DescriptorsLost
            | CarryError::Unexpected
            | CarryError::Crowded
            | CarryError::Random(_)
            | CarryError::System(_) => Major::Failure,
        };
        Self::new(major, error)
    }
}

impl From<rustix::io::Errno> for CarryError {
    fn from(errno: rustix::io::Errno) -> Self {
        use rustix::io::Errno;
        match errno {
            // The last two: the kernel has no room now for one more descriptor on its way, or for the packet. What is on its
            // way will arrive, and another socket may have room.
            Errno::AGAIN | Errno::TOOMANYREFS | Errno::NOBUFS => Self::WouldBlock,
            Errno::PIPE | Errno::CONNRESET => Self::Closed,
            other => Self::System(other.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::io::Errno;

    #[test]
    fn no_room_on_the_way_is_no_fault_of_the_channel() {
        for errno in [Errno::AGAIN, Errno::TOOMANYREFS, Errno::NOBUFS] {
            assert!(matches!(errno.into(), CarryError::WouldBlock), "{errno}");
        }
        assert!(matches!(Errno::PIPE.into(), CarryError::Closed));
        assert!(matches!(Errno::BADF.into(), CarryError::System(_)));
    }
}
