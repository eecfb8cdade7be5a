//! What came and was not asked for yet: whole messages, the beginning of one, answers to challenges.

use std::collections::VecDeque;
use std::fmt;
use std::os::fd::OwnedFd;

use zeroize::Zeroizing;

use super::channel::MAX_MESSAGE;
use super::error::CarryError;
use super::packet::{BODY, CHALLENGE, Kind, Packet, Peer};

/// How many messages are kept for a receiver while a sender waits for a proof; as bytes, [`MAX_MESSAGE`].
const MOST_KEPT: usize = 8;

/// A whole message.
pub(super) struct Arrived {
    pub(super) body: Zeroizing<Vec<u8>>,
    pub(super) descriptors: Vec<OwnedFd>,
    /// Known on a named socket.
    pub(super) from: Option<Peer>,
}

/// What came over one channel.
#[derive(Default)]
pub(super) struct Inbox {
    /// A thread is reading; it puts what comes in here, whomever it is for.
    pub(super) reading: bool,
    /// For the packet that is being received; between packets it holds zeros.
    pub(super) buffer: Vec<u8>,
    begun: Begun,
    kept: VecDeque<Result<Arrived, CarryError>>,
    kept_bytes: usize,
    /// The challenge that our sender has made, and who has answered it.
    asked: Option<[u8; CHALLENGE]>,
    answered: Option<Peer>,
    /// The challenge of the other end that is to be answered.
    pub(super) owed: Option<[u8; CHALLENGE]>,
}

/// The parts of a message whose last packet has not come.
#[derive(Default)]
struct Begun {
    message: [u8; 8],
    packets: u32,
    body: Zeroizing<Vec<u8>>,
    from: Option<Peer>,
}

impl fmt::Debug for Inbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kept, begun) = (self.kept.len(), self.begun.body.len());
        write!(f, "{kept} messages and {begun} bytes of the next")
    }
}

impl Inbox {
    /// Takes what was read. `believed` tells whether a sender may begin a message of several packets.
    pub(super) fn put(
        &mut self,
        read: Result<Packet, CarryError>,
        believed: &dyn Fn(Option<Peer>) -> Result<(), CarryError>,
    ) {
        let outcome = read.and_then(|packet| match packet.head.kind {
            Kind::Part | Kind::Last => self.begun.add(packet, believed),
            Kind::Challenge => {
                self.owed = Some(challenge(&packet)?);
                Ok(None)
            }
            Kind::Proof => {
                // Any other is the answer to a challenge that was given up.
                if self.asked.is_some() && self.asked == challenge(&packet).ok() {
                    (self.asked, self.answered) = (None, packet.peer);
                }
                Ok(None)
            }
        });
        match outcome {
            Ok(None) => {}
            Ok(Some(arrived)) => {
                self.kept_bytes += arrived.body.len();
                self.kept.push_back(Ok(arrived));
            }
            Err(error) => {
                // Of a stranger's message nothing was begun.
                if !matches!(error, CarryError::Stranger(_) | CarryError::NotProved) {
                    self.begun = Begun::default();
                }
                self.kept.push_back(Err(error));
            }
        }
    }

    /// The next message, or why it cannot be had.
    pub(super) fn take(&mut self) -> Option<Result<Arrived, CarryError>> {
        let next = self.kept.pop_front()?;
        if let Ok(arrived) = &next {
            self.kept_bytes -= arrived.body.len();
        }
        Some(next)
    }

    /// From now on `challenge` is the one to be answered, if any is.
    pub(super) fn ask(&mut self, challenge: Option<[u8; CHALLENGE]>) {
        (self.asked, self.answered) = (challenge, None);
    }

    /// Who has answered. While nobody has, messages are kept, but not without end.
    pub(super) fn answer(&mut self) -> Option<Result<Peer, CarryError>> {
        if let Some(peer) = self.answered.take() {
            return Some(Ok(peer));
        }
        let full = self.kept.len() >= MOST_KEPT || self.kept_bytes >= MAX_MESSAGE;
        full.then_some(Err(CarryError::Crowded))
    }
}

impl Begun {
    /// Adds a packet; gives the message whose last one it is.
    fn add(
        &mut self,
        packet: Packet,
        believed: &dyn Fn(Option<Peer>) -> Result<(), CarryError>,
    ) -> Result<Option<Arrived>, CarryError> {
        let last = packet.head.kind == Kind::Last;
        if !last && (packet.bytes.len() != BODY || !packet.descriptors.is_empty()) {
            return Err(CarryError::Packet);
        }
        if packet.head.index == 0 {
            // What a stranger says in one packet is looked at; for more than that nothing is kept.
            if !last {
                believed(packet.peer)?;
            }
            // A message may begin anew where an earlier one was not finished, as after a sender that died.
            *self = Self {
                message: packet.head.message,
                packets: 0,
                body: Zeroizing::default(),
                from: packet.peer,
            };
        } else if packet.head.index != self.packets
            || packet.head.message != self.message
            || packet.peer != self.from
        {
            return Err(CarryError::Packet);
        }
        if self.body.len() + packet.bytes.len() > MAX_MESSAGE {
            return Err(CarryError::TooLong);
        }
        append(&mut self.body, packet.bytes);
        self.packets += 1;
        if !last {
            return Ok(None);
        }
        Ok(Some(Arrived {
            body: std::mem::take(self).body,
            descriptors: packet.descriptors,
            from: packet.peer,
        }))
    }
}

/// Grows by hand, because a vector that grows by itself leaves bytes of a key behind.
fn append(body: &mut Zeroizing<Vec<u8>>, bytes: Zeroizing<Vec<u8>>) {
    if body.is_empty() {
        *body = bytes;
        return;
    }
    let length = body.len() + bytes.len();
    if length > body.capacity() {
        let mut larger = Zeroizing::new(Vec::with_capacity(length.max(2 * body.len())));
        larger.extend_from_slice(body);
        *body = larger;
    }
    body.extend_from_slice(&bytes);
}

fn challenge(packet: &Packet) -> Result<[u8; CHALLENGE], CarryError> {
    let bytes = packet.bytes.as_slice();
    bytes.try_into().map_err(|_| CarryError::Packet)
}
