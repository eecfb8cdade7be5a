//! What a mechanism offers: handshakes as steps, contexts that protect messages, and state that can travel.
//!
//! A handshake's state is consumed by its step, so no step can run twice and a failed one leaves nothing half-built. A
//! context locks each direction on its own, so two threads may wrap and unwrap at once.

use once::{Claimed, Taken};
use wire::time::Timestamp;
use zeroize::Zeroizing;

use crate::error::{Error, Major};
use crate::flags::Flags;
use crate::host::Host;
use crate::inquire::Inquire;
use crate::message::{Batched, MessageBuffers};
use crate::name::{MechName, Name};
use crate::oid::Oid;
use crate::sequence::Order;

/// A handshake that waits for the peer's next token.
pub trait Handshake: Send {
    /// Takes the state away and gives the next one back.
    fn step(self: Box<Self>, token: &[u8], host: &Host<'_>) -> Result<Step, Failure>;

    /// The handshake as one that another process can finish; `None` where it cannot be, as it is unless a mechanism says
    /// otherwise.
    fn half_open(&self) -> Option<&dyn HalfOpen> {
        None
    }
}

/// A handshake that another process can finish: its state travels as a context's does.
pub trait HalfOpen {
    /// The mechanism, whose [`Resume`] reads the state.
    fn mechanism(&self) -> Oid;

    /// All of the state, keys included. The handshake is as it was: wiping is dropping it.
    fn save(&self) -> Result<Zeroizing<Vec<u8>>, Error>;
}

/// A mechanism's reader of half-open state, with what a handshake of this process's own would have: credentials, options,
/// randomness. An acceptor goes on with what an acceptor began, an initiator with what an initiator began.
pub trait Resume: Send {
    /// The mechanism's OID.
    fn oid(&self) -> Oid;

    /// Reads what [`HalfOpen::save`] wrote.
    fn resume(self: Box<Self>, state: &[u8]) -> Result<Box<dyn DormantHandshake>, Error>;
}

/// A handshake whose state has been read and which nobody may continue yet.
pub trait DormantHandshake: Send {
    /// The handshake, for whoever redeemed its one token.
    fn wake(self: Box<Self>, redeemed: Redeemed) -> Box<dyn Handshake>;
}

/// Evidence that nobody else has the state, nor ever will.
#[derive(Debug)]
#[must_use]
pub enum Redeemed {
    /// Its deposit was taken.
    Taken(Taken),
    /// Its token was marked as used.
    Claimed(Claimed),
}

impl From<Taken> for Redeemed {
    fn from(taken: Taken) -> Self {
        Self::Taken(taken)
    }
}

impl From<Claimed> for Redeemed {
    fn from(claimed: Claimed) -> Self {
        Self::Claimed(claimed)
    }
}

/// What a step of a handshake came to.
pub enum Step {
    /// `GSS_S_CONTINUE_NEEDED`: send `token`; the peer's answer goes to `next`.
    Continue {
        /// For the peer.
        token: Vec<u8>,
        /// Waits for the answer.
        next: Box<dyn Handshake>,
    },
    /// `GSS_S_COMPLETE`: the context is established.
    Done {
        /// For the peer, if there is anything left to send.
        token: Option<Vec<u8>>,
        /// The established context.
        context: Box<dyn SecurityContext>,
    },
}

/// Why a handshake ended, and what the peer should be told.
#[derive(Debug)]
pub struct Failure {
    /// Why.
    pub error: Error,
    /// An error token for the peer, where the mechanism has one.
    pub token: Option<Vec<u8>>,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self { error, token: None }
    }
}

/// What is known of an established context (RFC 2743 §2.2.6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The mechanism.
    pub mechanism: Oid,
    /// Who initiated the context.
    pub initiator: Name,
    /// Who accepted it.
    pub acceptor: Name,
    /// What was granted.
    pub flags: Flags,
    /// Whether this side initiated it.
    pub locally_initiated: bool,
    /// When it ends: the ticket's end, on the acceptor's side plus the clock skew.
    pub expires: Timestamp,
}

/// A message that was verified (RFC 2743 §1.2.3: order is information, not an error).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unwrapped {
    /// Where the token stands in the sequence.
    pub order: Order,
    /// Whether it was encrypted.
    pub confidential: bool,
}

/// Which of a context's keys an application's key is derived from (RFC 4401 §2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PrfKey {
    /// `GSS_C_PRF_KEY_FULL`: the key that both sides had a part in, where the mechanism has one.
    Full,
    /// `GSS_C_PRF_KEY_PARTIAL`: the initiator's key alone.
    Partial,
}

/// A credential that an initiator delegated to its acceptor (RFC 2743 §1.2.1.1.3). It holds keys, so it cannot be printed.
pub struct Delegated {
    /// Whose form it has.
    pub mechanism: Oid,
    /// The mechanism's own form: Kerberos's is a credential cache as in a file.
    pub credential: Zeroizing<Vec<u8>>,
}

/// The mechanism does not have what was asked of its context.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the context's mechanism has no {0}")]
pub struct NotOffered(pub &'static str);

/// Nothing but messages comes from the peer of an established context.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the context's mechanism has no tokens about a context: its end is told by the protocol around it"
)]
struct NoContextTokens;

impl From<NoContextTokens> for Error {
    fn from(cause: NoContextTokens) -> Self {
        Self::new(Major::DefectiveToken, cause)
    }
}

impl From<NotOffered> for Error {
    fn from(cause: NotOffered) -> Self {
        Self::new(Major::Unavailable, cause)
    }
}

/// An established context.
pub trait SecurityContext: Send + Sync {
    /// Names, flags, lifetime.
    fn facts(&self) -> &Facts;

    /// Who initiated the context, with the attributes that are known of the name (RFC 6680).
    fn initiator_name(&self) -> MechName {
        MechName::new(self.facts().mechanism, self.facts().initiator.clone())
    }

    /// Who accepted it, likewise.
    fn acceptor_name(&self) -> MechName {
        MechName::new(self.facts().mechanism, self.facts().acceptor.clone())
    }

    /// `GSS_Wrap`: appends the token to `out`; tells whether it is encrypted.
    fn wrap(&self, confidential: bool, message: &[u8], out: &mut Vec<u8>) -> Result<bool, Error>;

    /// `GSS_Unwrap`: appends the message to `out`, which is left as it was on an error.
    fn unwrap(&self, token: &[u8], out: &mut Vec<u8>) -> Result<Unwrapped, Error>;

    /// `GSS_GetMIC`: appends the token to `out`.
    fn get_mic(&self, message: &[u8], out: &mut Vec<u8>) -> Result<(), Error>;

    /// `GSS_VerifyMIC`.
    fn verify_mic(&self, message: &[u8], token: &[u8]) -> Result<Order, Error>;

    /// `GSS_Wrap_size_limit`: the longest message whose token has at most `token_size` bytes; 0 if none has.
    fn wrap_size_limit(&self, confidential: bool, token_size: u32) -> u32;

    /// `GSS_Pseudo_random` (RFC 4401 §2): `length` bytes that both ends derive from `input`, and nobody else can.
    /// `GSS_S_UNAVAILABLE` where the mechanism has no such function.
    fn pseudo_random(
        &self,
        _key: PrfKey,
        _input: &[u8],
        _length: usize,
    ) -> Result<Zeroizing<Vec<u8>>, Error> {
        Err(NotOffered("pseudo-random function (RFC 4401)").into())
    }

    /// The forms of messages that lie in buffers of their caller's, where the mechanism has them.
    fn buffers(&self) -> Option<&dyn MessageBuffers> {
        None
    }

    /// `GSS_Wrap` of each message of a batch, in its order, as if one after another; tells whether they are encrypted. After
    /// an error none is wrapped.
    fn wrap_many(&self, confidential: bool, batch: &mut [Batched<'_>]) -> Result<bool, Error> {
        let before: Vec<_> = batch.iter().map(|one| one.output.len()).collect();
        let mut encrypted = confidential;
        for at in 0..batch.len() {
            let Batched { input, output } = &mut batch[at];
            match self.wrap(confidential, input, output) {
                Ok(state) => encrypted &= state,
                Err(error) => {
                    let starts = batch.iter_mut().zip(before);
                    starts.for_each(|(one, start)| one.output.truncate(start));
                    return Err(error);
                }
            }
        }
        Ok(encrypted)
    }

    /// `GSS_Unwrap` of each token of a batch, in its order, as if one after another: each has its own outcome, and those
    /// after one that fails are unwrapped all the same.
    fn unwrap_many(&self, batch: &mut [Batched<'_>]) -> Vec<Result<Unwrapped, Error>> {
        let each = |one: &mut Batched<'_>| self.unwrap(one.input, one.output);
        batch.iter_mut().map(each).collect()
    }

    /// `GSS_Process_context_token` (RFC 2743 §2.2.4): what the peer says of the context itself. `GSS_S_DEFECTIVE_TOKEN` where the
    /// mechanism has no such tokens.
    fn process_token(&self, _token: &[u8]) -> Result<(), Error> {
        Err(NoContextTokens.into())
    }

    /// What else the context can be asked, where the mechanism has more to tell.
    fn inquire(&self) -> Option<&dyn Inquire> {
        None
    }

    /// The credential that the initiator delegated, for the first who asks; `None` if there is none. It is of the process that
    /// accepted the context, and does not travel with it (RFC 2743 §2.2.9).
    fn take_delegated(&self) -> Result<Option<Delegated>, Error> {
        Ok(None)
    }

    /// The initiator's own ticket, where the acceptor keeps it, as evidence for acting in its name towards others; `None` if
    /// there is none. It does not travel with the context either.
    fn evidence(&self) -> Result<Option<Delegated>, Error> {
        Ok(None)
    }

    /// All of the state, keys included, for [`Restore`]. The context is as it was: wiping is dropping it.
    fn save(&self) -> Result<Zeroizing<Vec<u8>>, Error>;
}

/// A context whose state has been read but which nobody may use yet.
pub trait Dormant: Send {
    /// Names, flags, lifetime.
    fn facts(&self) -> &Facts;

    /// The context, for whoever took its one deposit, or redeemed the one token of the handshake that it is a part of.
    fn wake(self: Box<Self>, redeemed: Redeemed) -> Box<dyn SecurityContext>;
}

/// A mechanism's reader of saved state.
pub trait Restore: Send + Sync {
    /// The mechanism's OID.
    fn oid(&self) -> Oid;

    /// Reads what [`SecurityContext::save`] wrote.
    fn restore(&self, state: &[u8]) -> Result<Box<dyn Dormant>, Error>;
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Adds a byte, and takes no empty message.
    struct Fake;

    impl SecurityContext for Fake {
        fn facts(&self) -> &Facts {
            panic!("nobody asks")
        }

        fn wrap(
            &self,
            confidential: bool,
            message: &[u8],
            out: &mut Vec<u8>,
        ) -> Result<bool, Error> {
            let [first, ..] = message else {
                return Err(NotOffered("token of nothing").into());
            };
            out.extend_from_slice(message);
            out.push(0);
            Ok(confidential && *first != b'p')
        }

        fn unwrap(&self, token: &[u8], out: &mut Vec<u8>) -> Result<Unwrapped, Error> {
            let (_, message) = token.split_last().ok_or(NotOffered("token of nothing"))?;
            out.extend_from_slice(message);
            Ok(Unwrapped {
                order: Order::InOrder,
                confidential: true,
            })
        }

        fn get_mic(&self, _: &[u8], _: &mut Vec<u8>) -> Result<(), Error> {
            Err(NotOffered("MIC").into())
        }

        fn verify_mic(&self, _: &[u8], _: &[u8]) -> Result<Order, Error> {
            Err(NotOffered("MIC").into())
        }

        fn wrap_size_limit(&self, _: bool, token_size: u32) -> u32 {
            token_size
        }

        fn save(&self) -> Result<Zeroizing<Vec<u8>>, Error> {
            Err(NotOffered("state").into())
        }
    }

    fn batch<'a>(inputs: &[&'a [u8]], outputs: &'a mut [Vec<u8>]) -> Vec<Batched<'a>> {
        let pairs = inputs.iter().zip(outputs);
        pairs
            .map(|(input, output)| Batched { input, output })
            .collect()
    }

    #[test]
    fn a_mechanism_without_batches_has_them_one_by_one() {
        let mut outputs = vec![b"before ".to_vec(); 3];
        let state = Fake.wrap_many(true, &mut batch(&[b"a", b"bc", b"d"], &mut outputs));
        assert!(state.unwrap());
        assert_eq!(outputs, [&b"before a\0"[..], b"before bc\0", b"before d\0"]);
        // One that is not encrypted, and the batch is not.
        let state = Fake.wrap_many(true, &mut batch(&[b"a", b"plain"], &mut outputs));
        assert!(!state.unwrap());

        let mut outputs = vec![b"before ".to_vec(); 3];
        let error = Fake.wrap_many(true, &mut batch(&[b"a", b"", b"d"], &mut outputs));
        assert_eq!(error.unwrap_err().major(), Major::Unavailable);
        assert_eq!(outputs, [b"before "; 3], "none is wrapped");
        let outcomes = Fake.unwrap_many(&mut batch(&[b"a\0", b"", b"d\0"], &mut outputs));
        let passed: Vec<_> = outcomes.iter().map(Result::is_ok).collect();
        assert_eq!(passed, [true, false, true]);
        assert_eq!(outputs, [&b"before a"[..], b"before ", b"before d"]);
        assert!(Fake.buffers().is_none());
    }
}
