//! Which key protects what (RFC 4121 §2): chosen here once, derived once, and split into two directions.

use std::sync::Arc;

use gss_core::sequence::SequenceWindow;
use krb5_crypto::{CipherKey, Key, KeyUsage, MacKey};
use wire::random::Random;

use crate::receiver::Receiver;
use crate::sender::Sender;
use crate::token::TokenFlags;

/// A side of a context.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Initiator,
    Acceptor,
}

impl Role {
    pub(crate) const fn other(self) -> Self {
        match self {
            Self::Initiator => Self::Acceptor,
            Self::Acceptor => Self::Initiator,
        }
    }

    const fn seal(self) -> KeyUsage {
        match self {
            Self::Acceptor => KeyUsage::KG_USAGE_ACCEPTOR_SEAL,
            Self::Initiator => KeyUsage::KG_USAGE_INITIATOR_SEAL,
        }
    }

    const fn sign(self) -> KeyUsage {
        match self {
            Self::Acceptor => KeyUsage::KG_USAGE_ACCEPTOR_SIGN,
            Self::Initiator => KeyUsage::KG_USAGE_INITIATOR_SIGN,
        }
    }
}

/// The protocol keys of an established context.
pub(crate) struct Keys {
    /// The initiator's subkey or, where it sent none, the ticket's session key.
    pub(crate) initiators: Key,
    /// The subkey that the acceptor asserted, if it did.
    pub(crate) acceptor_subkey: Option<Key>,
}

impl Keys {
    /// The two halves of a context, of which we are `us`.
    pub(crate) fn split(
        &self,
        us: Role,
        next: u64,
        window: SequenceWindow,
        random: Arc<dyn Random>,
    ) -> (Sender, Receiver) {
        let (key, subkey) = match &self.acceptor_subkey {
            Some(key) => (key, TokenFlags::ACCEPTOR_SUBKEY),
            None => (&self.initiators, 0),
        };
        let sent_by = match us {
            Role::Acceptor => TokenFlags::SENT_BY_ACCEPTOR,
            Role::Initiator => 0,
        };
        let sender = Sender {
            direction: Direction::derive(key, us),
            flags: TokenFlags(sent_by | subkey),
            next,
            random,
        };
        let them = us.other();
        let receiver = Receiver {
            plain: Direction::derive(&self.initiators, them),
            acceptor_subkey: (self.acceptor_subkey.as_ref())
                .map(|key| Direction::derive(key, them)),
            peer: them,
            window,
        };
        (sender, receiver)
    }

    /// The length of a checksum on messages that we send.
    pub(crate) fn overhead(&self) -> Overhead {
        let enctype = self
            .acceptor_subkey
            .as_ref()
            .unwrap_or(&self.initiators)
            .enctype();
        Overhead {
            checksum: enctype.checksum_length(),
            encryption: enctype.overhead(),
        }
    }
}

/// What protection adds to a message.
pub(crate) struct Overhead {
    pub(crate) checksum: usize,
    pub(crate) encryption: usize,
}

/// The keys of one direction under one protocol key, schedules expanded.
pub(crate) struct Direction {
    /// Wrap tokens with confidentiality.
    pub(crate) seal: CipherKey,
    /// Wrap tokens without: their usage is that of sealing all the same (RFC 4121 §2).
    pub(crate) wrap_mac: MacKey,
    /// MIC tokens.
    pub(crate) mic: MacKey,
    /// The confounder's length and the tag's.
    pub(crate) confounder: usize,
    pub(crate) checksum: usize,
}

impl Direction {
    fn derive(key: &Key, from: Role) -> Self {
        Self {
            seal: key.cipher(from.seal()),
            wrap_mac: key.mac(from.seal()),
            mic: key.mac(from.sign()),
            confounder: key.enctype().confounder_length(),
            checksum: key.enctype().checksum_length(),
        }
    }
}
