//! An established context.

use std::mem;
use std::ops::Range;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use gss_core::error::Error as GssError;
use gss_core::flags::Flags;
use gss_core::inquire::Inquire;
use gss_core::mechanism::{Delegated, Facts, PrfKey, SecurityContext, Unwrapped};
use gss_core::message::{Batched, IoVec, IovLengths, MessageBuffers, Room};
use gss_core::name::MechName;
use gss_core::oid::Oid;
use gss_core::sequence::{Order, SequenceWindow};
use krb5::exchange::ap::Vouched;
use krb5::formats::ccache::{Credential, CredentialCache};
use wire::random::Random;
use zeroize::Zeroizing;

use crate::attributes::TicketAttributes;
use crate::error::{Error, Local};
use crate::inquire::TicketFacts;
use crate::keys::{Keys, Role};
use crate::names;
use crate::receiver::Receiver;
use crate::sender::Sender;
use crate::state::{self, State};

/// A context with both its directions. Any number of threads may use it at once: sequence numbers are taken and noted one
/// by one, and no lock is held while a message is encrypted or verified.
///
/// It goes on protecting messages after it has expired, because long sessions live on that, as they do with MIT's library;
/// asking for its lifetime and exporting it is another matter.
pub struct Context {
    facts: Facts,
    keys: Arc<Keys>,
    authorization_data: Vec<u8>,
    vouched: Vouched,
    ticket: TicketFacts,
    sender: Sender,
    receiver: Receiver,
    delegated: Mutex<Vec<Credential>>,
    evidence: Option<Credential>,
}

/// What a handshake, or a reader of saved state, makes a context of.
pub(crate) struct Established {
    pub(crate) facts: Facts,
    pub(crate) keys: Keys,
    pub(crate) next: u64,
    pub(crate) window: SequenceWindow,
    pub(crate) authorization_data: Vec<u8>,
    pub(crate) vouched: Vouched,
    pub(crate) ticket: TicketFacts,
    /// What the initiator delegated. It stays in this process.
    pub(crate) delegated: Vec<Credential>,
    /// The initiator's ticket, where the acceptor keeps it. It stays in this process too.
    pub(crate) evidence: Option<Credential>,
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
            vouched: &self.vouched,
            ticket: self.ticket,
        }
    }

    pub(crate) fn open(self, random: Arc<dyn Random>) -> Context {
        let us = if self.facts.locally_initiated {
            Role::Initiator
        } else {
            Role::Acceptor
        };
        let keys = Arc::new(self.keys);
        let dce = self.facts.flags.contains(Flags::DCE_STYLE);
        let (sender, receiver) = keys.split(us, self.next, self.window, dce, random);
        Context {
            facts: self.facts,
            keys,
            authorization_data: self.authorization_data,
            vouched: self.vouched,
            ticket: self.ticket,
            sender,
            receiver,
            delegated: Mutex::new(self.delegated),
            evidence: self.evidence,
        }
    }
}

impl Context {
    pub(crate) fn keys(&self) -> &Keys {
        &self.keys
    }

    pub(crate) fn ticket(&self) -> TicketFacts {
        self.ticket
    }

    /// The next number to send, and the next to be received.
    pub(crate) fn numbers(&self) -> Result<(u64, u64), Error> {
        let window = self.receiver.window.lock();
        let [first, distance, _] = window.map_err(|_| Local::Poisoned)?.save();
        let next = first.wrapping_add(distance);
        Ok((self.sender.next.load(Ordering::Relaxed), next))
    }

    /// The authorization data of the ticket in DER (RFC 4120 §5.2.6), empty if it has none or this side initiated.
    ///
    /// The KDC sealed it, but a client may have put it there (RFC 4120 §5.4.1): a reader has to verify what is in it.
    pub fn authorization_data(&self) -> &[u8] {
        &self.authorization_data
    }

    /// What of the authorization data the KDC vouches for, as the accept found it, also after a transfer.
    pub const fn vouched(&self) -> &Vouched {
        &self.vouched
    }
}

/// Credentials in the form in which they leave the mechanism.
fn handed_over(credentials: Vec<Credential>) -> Result<Option<Delegated>, GssError> {
    let Some(first) = credentials.first() else {
        return Ok(None);
    };
    let mut cache = CredentialCache::new(first.client.clone());
    cache.credentials = credentials;
    let encoded = cache.encode().map_err(Local::DelegatedCache);
    Ok(Some(Delegated {
        mechanism: Oid::KRB5,
        credential: encoded.map_err(Error::from)?,
    }))
}

impl SecurityContext for Context {
    fn facts(&self) -> &Facts {
        &self.facts
    }

    /// On the acceptor's side with what the ticket says of it.
    fn initiator_name(&self) -> MechName {
        let name = names::of_display(&self.facts.initiator);
        if self.facts.locally_initiated {
            return name;
        }
        name.with_attributes(Arc::new(TicketAttributes::new(
            self.facts.initiator.text(),
            self.authorization_data.clone(),
            self.vouched.clone(),
        )))
    }

    fn acceptor_name(&self) -> MechName {
        names::of_display(&self.facts.acceptor)
    }

    /// Encrypts whenever it is asked to, whatever the initiator's flags said, as MIT's library does.
    fn wrap(
        &self,
        confidential: bool,
        message: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<bool, GssError> {
        let seq = self.sender.take(1);
        self.sender.wrap_into(confidential, seq, message, out);
        Ok(confidential)
    }

    fn unwrap(&self, token: &[u8], out: &mut Vec<u8>) -> Result<Unwrapped, GssError> {
        Ok(self.receiver.unwrap(token, out)?)
    }

    fn get_mic(&self, message: &[u8], out: &mut Vec<u8>) -> Result<(), GssError> {
        let start = out.len();
        out.resize(start + self.sender.mic_length(), 0);
        let signed = self.sender.get_mic(&[message], &mut out[start..]);
        signed.map_err(Error::from)?;
        Ok(())
    }

    fn verify_mic(&self, message: &[u8], token: &[u8]) -> Result<Order, GssError> {
        Ok(self.receiver.verify_mic(&[message], token)?)
    }

    fn wrap_size_limit(&self, confidential: bool, token_size: u32) -> u32 {
        let limit = self.sender.size_limit(confidential, token_size as usize);
        limit as u32
    }

    fn buffers(&self) -> Option<&dyn MessageBuffers> {
        Some(self)
    }

    /// The numbers of a batch follow each other, whatever else is sent meanwhile.
    fn wrap_many(&self, confidential: bool, batch: &mut [Batched<'_>]) -> Result<bool, GssError> {
        let first = self.sender.take(batch.len());
        self.sender.wrap_many(confidential, first, batch);
        Ok(confidential)
    }

    fn unwrap_many(&self, batch: &mut [Batched<'_>]) -> Vec<Result<Unwrapped, GssError>> {
        let outcomes = self.receiver.unwrap_many(batch).into_iter();
        outcomes.map(|outcome| Ok(outcome?)).collect()
    }

    fn pseudo_random(
        &self,
        key: PrfKey,
        input: &[u8],
        length: usize,
    ) -> Result<Zeroizing<Vec<u8>>, GssError> {
        let derived = self.keys.pseudo_random(key, input, length);
        Ok(derived.map_err(Error::from)?)
    }

    fn inquire(&self) -> Option<&dyn Inquire> {
        Some(self)
    }

    fn take_delegated(&self) -> Result<Option<Delegated>, GssError> {
        let mut delegated = (self.delegated.lock()).unwrap_or_else(PoisonError::into_inner);
        let credentials = mem::take(&mut *delegated);
        handed_over(credentials)
    }

    fn evidence(&self) -> Result<Option<Delegated>, GssError> {
        handed_over(self.evidence.iter().cloned().collect())
    }

    fn save(&self) -> Result<Zeroizing<Vec<u8>>, GssError> {
        let window = self.receiver.window.lock();
        let window = window.map_err(|_| Error::from(Local::Poisoned))?.clone();
        Ok(state::write(&State {
            facts: &self.facts,
            keys: &self.keys,
            next: self.sender.next.load(Ordering::Relaxed),
            window: &window,
            authorization_data: &self.authorization_data,
            vouched: &self.vouched,
            ticket: self.ticket,
        }))
    }
}

impl MessageBuffers for Context {
    fn room(&self, confidential: bool, message: usize) -> Room {
        self.sender.room(confidential, message)
    }

    fn wrap_in_place(
        &self,
        confidential: bool,
        associated: &[u8],
        buffer: &mut [u8],
        room: Room,
    ) -> Result<bool, GssError> {
        let wrapped = (self.sender).wrap_in_place(confidential, associated, buffer, room);
        wrapped.map_err(Error::from)?;
        Ok(confidential)
    }

    fn unwrap_in_place(
        &self,
        associated: &[u8],
        token: &mut [u8],
    ) -> Result<(Range<usize>, Unwrapped), GssError> {
        Ok(self.receiver.unwrap_in_place(associated, token)?)
    }

    fn wrap_iov_lengths(
        &self,
        confidential: bool,
        iov: &[IoVec<'_>],
    ) -> Result<IovLengths, GssError> {
        let lengths = self.sender.wrap_iov_lengths(confidential, iov);
        Ok(lengths.map_err(Error::from)?)
    }

    fn wrap_iov(&self, confidential: bool, iov: &mut [IoVec<'_>]) -> Result<bool, GssError> {
        let wrapped = self.sender.wrap_iov(confidential, iov);
        Ok(wrapped.map_err(Error::from)?)
    }

    fn unwrap_iov(&self, iov: &mut [IoVec<'_>]) -> Result<Unwrapped, GssError> {
        Ok(self.receiver.unwrap_iov(iov)?)
    }

    fn mic_length(&self) -> usize {
        self.sender.mic_length()
    }

    fn get_mic_of(&self, parts: &[&[u8]], token: &mut [u8]) -> Result<usize, GssError> {
        let signed = self.sender.get_mic(parts, token);
        Ok(signed.map_err(Error::from)?)
    }

    fn verify_mic_of(&self, parts: &[&[u8]], token: &[u8]) -> Result<Order, GssError> {
        Ok(self.receiver.verify_mic(parts, token)?)
    }
}
