//! An established context.

use std::sync::{Arc, Mutex, MutexGuard};

use gss_core::error::Error as GssError;
use gss_core::flags::Flags;
use gss_core::mechanism::{Facts, PrfKey, SecurityContext, Unwrapped};
use gss_core::sequence::{Order, SequenceWindow};
use wire::random::Random;
use zeroize::Zeroizing;

use crate::error::{Error, Local};
use crate::keys::{Keys, Role};
use crate::receiver::Receiver;
use crate::sender::Sender;
use crate::state::{self, State};
use crate::token::HEADER;

/// A context with both its directions, each under its own lock: two threads may wrap and unwrap at once.
///
/// It goes on protecting messages after it has expired, because long sessions live on that, as they do with MIT's library;
/// asking for its lifetime and exporting it is another matter.
pub struct Context {
    facts: Facts,
    keys: Arc<Keys>,
    authorization_data: Vec<u8>,
    sender: Mutex<Sender>,
    receiver: Mutex<Receiver>,
}

/// What a handshake, or a reader of saved state, makes a context of.
pub(crate) struct Established {
    pub(crate) facts: Facts,
    pub(crate) keys: Keys,
    pub(crate) next: u64,
    pub(crate) window: SequenceWindow,
    pub(crate) authorization_data: Vec<u8>,
}

impl Established {
    /// What travels of it.
    pub(crate) fn state(&self) -> State<'_> {
        State {
            facts: &self.facts,
            keys: &self.keys,
            next: self.next,
            window: &self.window,
            authorization_data: &self.authorization_data,
        }
    }

    pub(crate) fn open(self, random: Arc<dyn Random>) -> Context {
        let us = if self.facts.locally_initiated {
            Role::Initiator
        } else {
            Role::Acceptor
        };
        let keys = Arc::new(self.keys);
        let (sender, mut receiver) = keys.split(us, self.next, self.window, random);
        receiver.dce_style = self.facts.flags.contains(Flags::DCE_STYLE);
        Context {
            facts: self.facts,
            keys,
            authorization_data: self.authorization_data,
            sender: Mutex::new(sender),
            receiver: Mutex::new(receiver),
        }
    }
}

impl Context {
    /// The authorization data of the ticket in DER (RFC 4120 §5.2.6), empty if it has none or this side initiated.
    ///
    /// The KDC sealed it, but a client may have put it there (RFC 4120 §5.4.1): a reader has to verify what is in it.
    pub fn authorization_data(&self) -> &[u8] {
        &self.authorization_data
    }

    fn sender(&self) -> Result<MutexGuard<'_, Sender>, Error> {
        Ok(self.sender.lock().map_err(|_| Local::Poisoned)?)
    }

    fn receiver(&self) -> Result<MutexGuard<'_, Receiver>, Error> {
        Ok(self.receiver.lock().map_err(|_| Local::Poisoned)?)
    }
}

impl SecurityContext for Context {
    fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Encrypts whenever it is asked to, whatever the initiator's flags said, as MIT's library does.
    fn wrap(
        &self,
        confidential: bool,
        message: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<bool, GssError> {
        self.sender()?.wrap(confidential, message, out);
        Ok(confidential)
    }

    fn unwrap(&self, token: &[u8], out: &mut Vec<u8>) -> Result<Unwrapped, GssError> {
        Ok(self.receiver()?.unwrap(token, out)?)
    }

    fn get_mic(&self, message: &[u8], out: &mut Vec<u8>) -> Result<(), GssError> {
        self.sender()?.get_mic(message, out);
        Ok(())
    }

    fn verify_mic(&self, message: &[u8], token: &[u8]) -> Result<Order, GssError> {
        Ok(self.receiver()?.verify_mic(message, token)?)
    }

    fn wrap_size_limit(&self, confidential: bool, token_size: u32) -> u32 {
        let overhead = self.keys.overhead();
        let added = if confidential {
            HEADER + overhead.encryption + HEADER
        } else {
            HEADER + overhead.checksum
        };
        token_size.saturating_sub(added as u32)
    }

    fn pseudo_random(
        &self,
        key: PrfKey,
        input: &[u8],
        length: usize,
    ) -> Result<Zeroizing<Vec<u8>>, GssError> {
        Ok(self.keys.pseudo_random(key, input, length))
    }

    fn save(&self) -> Result<Zeroizing<Vec<u8>>, GssError> {
        let next = self.sender()?.next;
        let window = self.receiver()?.window.clone();
        Ok(state::write(&State {
            facts: &self.facts,
            keys: &self.keys,
            next,
            window: &window,
            authorization_data: &self.authorization_data,
        }))
    }
}
