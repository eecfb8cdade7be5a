//! What an exporter leaves in the once-store: the one-time key and the terms under which it may be used.

use once::{MAX_VALUE, Tag};
use wire::random::Random;
use wire::read::{ReadError, Reader};
use wire::time::Timestamp;
use zeroize::Zeroizing;

use crate::identity::Identity;
use crate::policy::{Policy, PolicyError, Terms};

/// How a deposit reaches the importer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Carrier {
    /// By the once-store that both processes share.
    Store,
    /// In the message, over a socket pair that the exporter made itself: whoever holds the other end was given it.
    PrivateSocket,
    /// None: the token is sealed under a key of the service, and whoever has that was trusted with it.
    ServiceKey,
    /// In the message, over a socket with a name, to a process that has proved who it is.
    NamedSocket,
}

/// The version of the deposit's layout.
const VERSION: u8 = 1;

/// The one-time key of one transfer, and what is bound to it.
pub(crate) struct Deposit {
    pub(crate) key: Zeroizing<[u8; 32]>,
    pub(crate) expires: Timestamp,
    pub(crate) terms: Terms,
}

/// Why a deposit could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DepositError {
    /// It is of another version.
    #[error("version {0} of the deposit is unknown")]
    Version(u8),
    /// It ends too early.
    #[error("the deposit is cut")]
    Short(#[from] ReadError),
    /// Its terms cannot be read.
    #[error("the deposit's policy cannot be read")]
    Terms(#[from] wire::fields::FieldError),
}

impl Deposit {
    /// A deposit under a fresh key.
    pub(crate) fn fresh(
        policy: &Policy,
        exporter: &Identity,
        expires: Timestamp,
        random: &dyn Random,
    ) -> Result<Self, PolicyError> {
        let terms = policy.bind(exporter)?;
        let mut key = Zeroizing::new([0; 32]);
        random.fill(&mut *key);
        Ok(Self {
            key,
            expires,
            terms,
        })
    }

    /// The value that the store keeps.
    pub(crate) fn encode(&self) -> Zeroizing<Vec<u8>> {
        // Reserved beforehand, because a vector that grows leaves key bytes behind.
        let mut value = Zeroizing::new(Vec::with_capacity(MAX_VALUE));
        value.push(VERSION);
        value.extend_from_slice(&self.expires.micros().to_be_bytes());
        value.extend_from_slice(&*self.key);
        self.terms.encode(&mut value);
        debug_assert!(value.len() <= MAX_VALUE, "MAX_LISTED keeps the value short");
        value
    }

    /// Reads what [`encode`](Self::encode) wrote.
    pub(crate) fn decode(value: &[u8]) -> Result<Self, DepositError> {
        let mut reader = Reader::new(value);
        match reader.u8()? {
            VERSION => {}
            other => return Err(DepositError::Version(other)),
        }
        let expires = Timestamp::from_micros(reader.u64_be()?.cast_signed());
        let mut key = Zeroizing::new([0; 32]);
        key.copy_from_slice(reader.take(32)?);
        let terms = Terms::decode(reader.rest())?;
        Ok(Self {
            key,
            expires,
            terms,
        })
    }

    /// Everything besides the key and the token itself that the seal covers, each part with its length.
    pub(crate) fn bound_to(&self, tag: &Tag, store: &[u8]) -> Vec<u8> {
        let mut terms = Vec::new();
        self.terms.encode(&mut terms);
        let expires = self.expires.micros().to_be_bytes();
        let mut bound = vec![VERSION];
        for part in [&expires[..], tag.bytes(), store, &terms] {
            bound.extend_from_slice(&(part.len() as u32).to_be_bytes());
            bound.extend_from_slice(part);
        }
        bound
    }
}

impl Carrier {
    /// What the seal is bound to as the store: the store's own number, or the kind of the socket.
    pub(crate) fn bound(self, store: &[u8; 16]) -> &[u8] {
        match self {
            Self::Store => store,
            Self::ServiceKey => b"service key",
            Self::PrivateSocket => b"private socket",
            Self::NamedSocket => b"named socket",
        }
    }
}
