//! Which key protects what (RFC 4121 §2): chosen here once, split into two directions, and derived once, when it is first
//! needed. A context that is handed on unused derives nothing.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, OnceLock};

use gss_core::sequence::SequenceWindow;
use krb5_crypto::{CipherKey, Key, KeyUsage, MacKey};
use wire::random::Random;

use crate::older::{Older, has_older_tokens};
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

    /// The direction indicator (RFC 1964 §1.2.1.2).
    pub(crate) const fn indicator(self) -> u8 {
        match self {
            Self::Initiator => 0,
            Self::Acceptor => 0xff,
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
    pub(crate) initiators: Arc<Key>,
    /// The subkey that the acceptor asserted, if it did.
    pub(crate) acceptor_subkey: Option<Key>,
}

impl Keys {
    /// The keys that messages are under. A token of RFC 1964 does not tell which one that is, so an acceptor's subkey counts
    /// only where it makes its tokens those of RFC 4121, and in DCE style, where there always is one.
    pub(crate) fn new(initiators: Arc<Key>, acceptor_subkey: Option<Key>, dce: bool) -> Self {
        let counts = |subkey: &Key| {
            let number = subkey.enctype().number();
            dce || !has_older_tokens(number) || initiators.enctype().number() != number
        };
        Self {
            acceptor_subkey: acceptor_subkey.filter(counts),
            initiators,
        }
    }

    /// The two halves of a context, of which we are `us`.
    pub(crate) fn split(
        self: &Arc<Self>,
        us: Role,
        next: u64,
        window: SequenceWindow,
        dce: bool,
        random: Arc<dyn Random>,
    ) -> (Sender, Receiver) {
        let toward = |whose, from| Direction::new(Arc::clone(self), whose, from);
        let asserted = (self.acceptor_subkey.as_ref()).map(|_| Whose::Acceptors);
        let sent_by = match us {
            Role::Acceptor => TokenFlags::SENT_BY_ACCEPTOR,
            Role::Initiator => 0,
        };
        let subkey = asserted.map_or(0, |_| TokenFlags::ACCEPTOR_SUBKEY);
        let sender = Sender {
            direction: toward(asserted.unwrap_or(Whose::Initiators), us),
            flags: TokenFlags(sent_by | subkey),
            next: AtomicU64::new(next),
            dce,
            random,
        };
        let them = us.other();
        let window = match sender.direction.has_older() {
            true => window.of_32_bits(),
            false => window,
        };
        let receiver = Receiver {
            plain: toward(Whose::Initiators, them),
            acceptor_subkey: asserted.map(|whose| toward(whose, them)),
            peer: them,
            dce,
            window: Mutex::new(window),
        };
        (sender, receiver)
    }

    /// The key under which messages are sent: the acceptor's subkey where it asserted one.
    pub(crate) fn sending(&self) -> &Key {
        self.of(Whose::Acceptors)
    }

    /// The initiator's where the acceptor asserted none.
    fn of(&self, whose: Whose) -> &Key {
        match (whose, &self.acceptor_subkey) {
            (Whose::Acceptors, Some(subkey)) => subkey,
            _ => &self.initiators,
        }
    }
}

/// Whose subkey it is: which of the two protocol keys.
#[derive(Clone, Copy)]
enum Whose {
    Initiators,
    Acceptors,
}

/// The keys of one direction under one protocol key, each with its schedule once it was needed.
pub(crate) struct Direction {
    keys: Arc<Keys>,
    whose: Whose,
    pub(crate) from: Role,
    has_older: bool,
    older: OnceLock<Option<Older>>,
    seal: OnceLock<CipherKey>,
    wrap_mac: OnceLock<MacKey>,
    mic: OnceLock<MacKey>,
    /// The confounder's length and the tag's.
    pub(crate) confounder: usize,
    pub(crate) checksum: usize,
}

impl Direction {
    fn new(keys: Arc<Keys>, whose: Whose, from: Role) -> Self {
        let enctype = keys.of(whose).enctype();
        Self {
            keys,
            whose,
            from,
            has_older: has_older_tokens(enctype.number()),
            older: OnceLock::new(),
            seal: OnceLock::new(),
            wrap_mac: OnceLock::new(),
            mic: OnceLock::new(),
            confounder: enctype.confounder_length(),
            checksum: enctype.checksum_length(),
        }
    }

    /// Whether the tokens are those of RFC 1964.
    pub(crate) const fn has_older(&self) -> bool {
        self.has_older
    }

    /// For the tokens of RFC 1964, if those are what this key protects.
    pub(crate) fn older(&self) -> Option<&Older> {
        if !self.has_older {
            return None;
        }
        (self.older).get_or_init(|| Older::new(self.key())).as_ref()
    }

    /// For Wrap tokens with confidentiality.
    pub(crate) fn seal(&self) -> &CipherKey {
        (self.seal).get_or_init(|| self.key().cipher(self.from.seal()))
    }

    /// For Wrap tokens without: their usage is that of sealing all the same (RFC 4121 §2).
    pub(crate) fn wrap_mac(&self) -> &MacKey {
        (self.wrap_mac).get_or_init(|| self.key().mac(self.from.seal()))
    }

    /// For MIC tokens.
    pub(crate) fn mic(&self) -> &MacKey {
        (self.mic).get_or_init(|| self.key().mac(self.from.sign()))
    }

    fn key(&self) -> &Key {
        self.keys.of(self.whose)
    }
}
