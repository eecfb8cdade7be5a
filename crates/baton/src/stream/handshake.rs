//! The handshake over frames, without a transport.

use gss_core::mechanism::Failure;

use super::StreamError;
use crate::{Acceptor, Context, Handshake, Step};

/// The longest token of a handshake that is read; a Kerberos token with a large PAC has some 60,000 bytes.
pub const MAX_HANDSHAKE_TOKEN: usize = 66_048;
/// How many tokens a peer may send before the context is there. SPNEGO with Kerberos needs three.
const MAX_STEPS: usize = 16;

/// A handshake between two of its steps.
pub(super) struct Running<'a> {
    waiting: Waiting<'a>,
    steps: usize,
}

enum Waiting<'a> {
    First(Acceptor<'a>),
    Next(Handshake),
}

/// What to do next.
pub(super) enum Next<'a> {
    /// Send this frame, if it is not empty, and read a token.
    Exchange(Vec<u8>, Running<'a>),
    /// Send this frame, if it is not empty: the context is there.
    Done(Vec<u8>, Context),
    /// Send this frame, if it is not empty: it failed.
    Failed(Vec<u8>, StreamError),
}

impl<'a> Running<'a> {
    pub(super) fn accepting(acceptor: Acceptor<'a>) -> Self {
        Self {
            waiting: Waiting::First(acceptor),
            steps: 0,
        }
    }

    /// Goes on with the peer's token.
    pub(super) fn step(self, token: &[u8]) -> Next<'a> {
        if self.steps == MAX_STEPS {
            return Next::Failed(Vec::new(), StreamError::EndlessHandshake(MAX_STEPS));
        }
        let step = match self.waiting {
            Waiting::First(acceptor) => acceptor.step(token),
            Waiting::Next(handshake) => handshake.step(token),
        };
        Self::went(step, self.steps + 1)
    }

    /// What a step came to.
    pub(super) fn went(step: Result<Step, Failure>, steps: usize) -> Next<'a> {
        match step {
            Ok(Step::Continue { token, next }) => {
                let waiting = Waiting::Next(next);
                Next::Exchange(frame(&token), Self { waiting, steps })
            }
            Ok(Step::Done { token, context }) => {
                Next::Done(frame(&token.unwrap_or_default()), context)
            }
            Err(Failure { error, token }) => Next::Failed(
                frame(&token.unwrap_or_default()),
                StreamError::Handshake(error),
            ),
        }
    }
}

fn frame(token: &[u8]) -> Vec<u8> {
    if token.is_empty() {
        return Vec::new();
    }
    // No mechanism makes tokens of 4 GiB.
    let length = (token.len() as u32).to_be_bytes();
    [&length[..], token].concat()
}
