//! Connections change hands: socket, context and unsent bytes in one message over a socketpair that the front door made.

use std::os::fd::{BorrowedFd, OwnedFd};

use baton::transfer::{CarryError, Channel, Received, Sending, send_over};
use baton::{Context, Order};
use thiserror::Error;

use crate::state::{State, StateError};
use crate::worker::relay::Protection;

/// A connection on its way.
pub(crate) struct Parcel {
    pub(crate) context: Context,
    pub(crate) client: OwnedFd,
    pub(crate) service: Option<OwnedFd>,
    pub(crate) state: State,
}

/// Why a connection that arrived cannot be carried.
#[derive(Debug, Error)]
pub(crate) enum ReceiveError {
    #[error("{0}")]
    State(#[from] StateError),
    #[error("it came with {0} sockets")]
    Descriptors(usize),
}

impl Parcel {
    /// Puts together what arrived in one message.
    pub(crate) fn open(received: Received) -> Result<Self, ReceiveError> {
        let state = State::decode(&received.extra)?;
        let count = received.descriptors.len();
        let mut descriptors = received.descriptors.into_iter();
        let (client, service) = match (descriptors.next(), descriptors.next(), state.service) {
            (Some(client), None, None) => (client, None),
            (Some(client), service @ Some(_), Some(_)) if count == 2 => (client, service),
            _ => return Err(ReceiveError::Descriptors(count)),
        };
        Ok(Self {
            context: received.context,
            client,
            service,
            state,
        })
    }
}

/// Hands a connection over. If it cannot be, its context comes back.
pub(crate) fn send(
    channel: &Channel,
    context: Context,
    client: BorrowedFd<'_>,
    service: Option<BorrowedFd<'_>>,
    state: &State,
) -> Result<(), (Context, baton::Error)> {
    let descriptors: Vec<_> = [Some(client), service].into_iter().flatten().collect();
    let sending = Sending {
        descriptors: &descriptors,
        extra: &state.encode(),
        ..Sending::default()
    };
    send_over(channel, context, &sending)
}

/// Whether nothing was sent because the socket is full.
pub(crate) fn would_block(error: &baton::Error) -> bool {
    matches!(error.cause::<CarryError>(), Some(CarryError::WouldBlock))
}

/// Whether nothing was sent because the other end is closed, or of no more use.
pub(crate) fn is_gone(error: &baton::Error) -> bool {
    matches!(
        error.cause::<CarryError>(),
        Some(CarryError::Closed | CarryError::Broken | CarryError::TimedOut)
    )
}

impl Protection for Context {
    fn wrap(&self, message: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
        match self.wrap_into(true, message, out) {
            Ok(true) => Ok(()),
            Ok(false) => Err("the context does not encrypt".to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }

    fn unwrap(&self, token: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
        let message = self
            .unwrap_into(token, out)
            .map_err(|error| error.to_string())?;
        match message.order {
            _ if !message.confidential => Err("it is not encrypted".to_owned()),
            Order::InOrder => Ok(()),
            Order::Duplicate => Err("it has come before".to_owned()),
            Order::Old => Err("it is too old to tell whether it has come before".to_owned()),
            Order::Unsequenced => Err("a later one has come before it".to_owned()),
            Order::Gap => Err("one before it is missing".to_owned()),
        }
    }
}
