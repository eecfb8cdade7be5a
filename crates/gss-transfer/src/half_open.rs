//! A handshake that waits changes hands: its state, sealed under a key of the service.
//!
//! Such a token may travel through the client, before anybody is authenticated, so it makes no deposit: it holds all there is, and
//! the store is asked once, when it is redeemed, for a mark that it was not.
//!
//! ```text
//! length of the OID, 32 bits, most significant first  \ the outer frame of MIT's mechanism glue
//! mechanism OID, contents octets                       /
//! version                                     1 byte   \
//! name of the service's key                  8 bytes    > the header
//! number, random                            16 bytes   /
//! AES-256-GCM-SIV(table, 0x80, 0x00 to a multiple of 32 bytes) and its 16 bytes of tag
//! ```
//!
//! The table has the side, the times, the channel and the terms before the state. The sealing key is derived from the service's for
//! this number alone, so it seals once and the nonce is zero.
//!
//! ```text
//! Envelope      frame and header read, the key is there       DEFECTIVE_TOKEN
//!  -> Opened    the seal holds, the table reads               DEFECTIVE_TOKEN
//!  -> Admitted  in time, this channel, this side, the policy  NO_CONTEXT, BAD_BINDINGS, DEFECTIVE_TOKEN, UNAUTHORIZED
//!  -> Dormant   the state reads                               DEFECTIVE_TOKEN
//!  -> Claimed   it was not redeemed before                    NO_CONTEXT
//! ```

use std::time::Duration;

use aes_gcm_siv::Aes256GcmSiv;
use gss_core::bindings::ChannelBindings;
use gss_core::mechanism::{HalfOpen, Handshake, Resume};
use gss_core::oid::Oid;
use hmac::digest::Digest;
use once::{ClaimError, MarkTag, OnceStore};
use sha2::Sha256;
use wire::fields::{FieldError, FieldReader, FieldWriter};
use wire::random::{self, Random};
use wire::time::Timestamp;
use zeroize::Zeroizing;

use crate::deposit::Carrier;
use crate::envelope::{
    Body, Malformed, cipher_for, put_frame, seal_behind, sealed_length, split_frame,
};
use crate::error::Error;
use crate::identity::{Identity, Wanted};
use crate::policy::{Policy, Terms};
use crate::service_key::{KeyId, ServiceKey, ServiceKeys};

/// The longest time that a half-open token is good: the store remembers for longer that it was redeemed.
pub const MAX_LIFETIME: Duration = Duration::from_secs(300);

/// The version of the token's layout; that of an established context is 1.
const VERSION: u8 = 2;
const NUMBER: usize = 16;

const TABLE: u8 = 1;
const ACCEPTING: u8 = 1;
const MADE: u8 = 2;
const EXPIRES: u8 = 3;
const CHANNEL: u8 = 4;
const TERMS: u8 = 5;
const STATE: u8 = 6;

/// The channel that a half-open handshake is bound to: a digest of its bindings, or that it has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Channel([u8; 32]);

impl Channel {
    /// The channel of `bindings`, each field with its length.
    pub fn of(bindings: Option<&ChannelBindings>) -> Self {
        let Some(bindings) = bindings else {
            return Self([0; 32]);
        };
        let mut digest = Sha256::new();
        digest.update(bindings.initiator_address_type.to_be_bytes());
        digest.update(bindings.acceptor_address_type.to_be_bytes());
        for field in [
            &bindings.initiator_address,
            &bindings.acceptor_address,
            &bindings.application_data,
        ] {
            digest.update((field.len() as u64).to_be_bytes());
            digest.update(field);
        }
        Self(digest.finalize().into())
    }
}

/// What an export needs to know besides the handshake.
pub struct HalfOpenExporter<'a> {
    /// The service's keys.
    pub keys: &'a ServiceKeys,
    /// Who may go on.
    pub policy: &'a Policy,
    /// This process.
    pub identity: &'a Identity,
    /// Whether it is an acceptor's handshake.
    pub accepting: bool,
    /// The handshake's channel.
    pub channel: Channel,
    /// The moment now.
    pub now: Timestamp,
    /// How long the token is good, at most [`MAX_LIFETIME`].
    pub lifetime: Duration,
    /// Randomness fit for keys.
    pub random: &'a dyn Random,
}

impl HalfOpenExporter<'_> {
    /// Seals `handshake`, which must not be continued any more where it was; its keeper drops it. On an error it is as it was.
    pub fn export(&self, handshake: &dyn HalfOpen) -> Result<Vec<u8>, Error> {
        let expires = self.now + self.lifetime.min(MAX_LIFETIME);
        if expires <= self.now {
            return Err(Error::NoLifetime);
        }
        let terms = self.policy.bind(self.identity).map_err(Error::Policy)?;
        let state = handshake.save().map_err(Error::Save)?;
        let table = self.table(expires, &terms, &state);
        let (mechanism, key) = (handshake.mechanism(), self.keys.newest());
        let number: [u8; NUMBER] = random::array(self.random);
        let mut token =
            Vec::with_capacity(head_length(mechanism.bytes()) + sealed_length(table.len()));
        put_frame(mechanism, &mut token);
        token.push(VERSION);
        token.extend_from_slice(&key.id);
        token.extend_from_slice(&number);
        seal_behind(&mut token, &table, &cipher(key, &number)).map_err(Error::TooLong)?;
        Ok(token)
    }

    fn table(&self, expires: Timestamp, terms: &Terms, state: &[u8]) -> Zeroizing<Vec<u8>> {
        let mut bound = Vec::new();
        terms.encode(&mut bound);
        let room = 1 + usize::from(STATE) * (1 + 4 + 8) + 32 + bound.len() + state.len();
        // Reserved beforehand, because a vector that grows leaves key bytes behind.
        let mut table = Zeroizing::new(Vec::with_capacity(room));
        let room = table.capacity();
        FieldWriter::new(&mut table, TABLE)
            .number(ACCEPTING, u64::from(self.accepting))
            .number(MADE, self.now.micros().cast_unsigned())
            .number(EXPIRES, expires.micros().cast_unsigned())
            .bytes(CHANNEL, &self.channel.0)
            .bytes(TERMS, &bound)
            .bytes(STATE, state);
        debug_assert_eq!(table.capacity(), room, "the table grew");
        table
    }
}

const fn head_length(mechanism: &[u8]) -> usize {
    4 + mechanism.len() + 1 + size_of::<KeyId>() + NUMBER
}

fn cipher(key: &ServiceKey, number: &[u8; NUMBER]) -> Aes256GcmSiv {
    cipher_for(&key.key, b"baton half-open handshake", number)
}

/// Whether `token` says that it is of `mechanism`: nobody has verified it.
pub fn is_of(token: &[u8], mechanism: Oid) -> bool {
    split_frame(token).is_ok_and(|(oid, _)| mechanism.bytes() == oid)
}

/// What an import needs to know besides the token.
pub struct HalfOpenImporter<'a> {
    /// The service's keys.
    pub keys: &'a ServiceKeys,
    /// Where it is marked that the token was redeemed.
    pub store: &'a OnceStore,
    /// Finds out about this process.
    pub identify: &'a dyn Fn(Wanted) -> Identity,
    /// Whether this process goes on as an acceptor.
    pub accepting: bool,
    /// The channel that it goes on over.
    pub channel: Channel,
    /// The moment now.
    pub now: Timestamp,
}

impl HalfOpenImporter<'_> {
    /// Goes on with the handshake of `token`, which one of `mechanisms` reads. On an error nothing is burned, and the true token is
    /// still good, here or elsewhere.
    pub fn import(
        &self,
        token: &[u8],
        mechanisms: Vec<Box<dyn Resume>>,
    ) -> Result<Box<dyn Handshake>, Error> {
        let envelope = Envelope::parse(token, self.keys)?;
        let table = envelope.open()?;
        let opened = Opened::read(&table).map_err(Error::HalfOpenTable)?;
        opened.admit(self)?;
        let mechanism = mechanisms
            .into_iter()
            .find(|mechanism| mechanism.oid().bytes() == envelope.mechanism)
            .ok_or(Error::Malformed(Malformed::Mechanism))?;
        let dormant = mechanism.resume(opened.state).map_err(Error::Restore)?;
        let claimed = self
            .store
            .claim(&envelope.mark(), opened.made)
            .map_err(not_redeemed)?;
        Ok(dormant.wake(claimed.into()))
    }
}

fn not_redeemed(error: ClaimError) -> Error {
    match error {
        ClaimError::AlreadyClaimed => Error::Redeemed,
        ClaimError::Store(error) => Error::Store(error),
        other => Error::NotRedeemable(other),
    }
}

/// A token's parts, read but not trusted.
struct Envelope<'a> {
    mechanism: &'a [u8],
    key: &'a ServiceKey,
    number: &'a [u8; NUMBER],
    body: Body<'a>,
}

impl<'a> Envelope<'a> {
    fn parse(token: &'a [u8], keys: &'a ServiceKeys) -> Result<Self, Error> {
        let (mechanism, rest) = split_frame(token).map_err(Error::Malformed)?;
        let short = || Error::Malformed(Malformed::Frame);
        let (version, rest) = rest.split_first().ok_or_else(short)?;
        if *version != VERSION {
            return Err(Error::Malformed(Malformed::Version(*version)));
        }
        let (id, rest) = rest.split_first_chunk().ok_or_else(short)?;
        let number = rest.first_chunk().ok_or_else(short)?;
        Ok(Self {
            mechanism,
            key: keys.find(id).ok_or(Error::UnknownKey)?,
            number,
            body: Body::behind(head_length(mechanism), token).map_err(Error::Malformed)?,
        })
    }

    fn open(&self) -> Result<Zeroizing<Vec<u8>>, Error> {
        let cipher = cipher(self.key, self.number);
        self.body.open(&cipher).map_err(Error::Malformed)
    }

    /// What is marked when the token is redeemed.
    fn mark(&self) -> MarkTag {
        MarkTag::of(&[b"half-open handshake", &self.key.id, self.number])
    }
}

/// What was sealed.
struct Opened<'a> {
    accepting: bool,
    made: Timestamp,
    expires: Timestamp,
    channel: Channel,
    terms: Terms,
    state: &'a [u8],
}

impl<'a> Opened<'a> {
    fn read(table: &'a [u8]) -> Result<Self, FieldError> {
        let mut fields = FieldReader::new(table, TABLE)?;
        let time = |micros: u64| Timestamp::from_micros(micros.cast_signed());
        let opened = Self {
            accepting: match fields.number(ACCEPTING)? {
                0 => false,
                1 => true,
                _ => return Err(FieldError::NotCanonical(ACCEPTING)),
            },
            made: time(fields.number(MADE)?),
            expires: time(fields.number(EXPIRES)?),
            channel: Channel(fields.array(CHANNEL)?),
            terms: Terms::decode(fields.bytes(TERMS)?)?,
            state: fields.bytes(STATE)?,
        };
        fields.finish()?;
        Ok(opened)
    }

    fn admit(&self, importer: &HalfOpenImporter<'_>) -> Result<(), Error> {
        // Whoever sealed it may have allowed more, and the mark would be forgotten before.
        let expires = self.expires.min(self.made + MAX_LIFETIME);
        if expires <= importer.now {
            return Err(Error::TokenExpired);
        }
        if self.accepting != importer.accepting {
            return Err(Error::OtherSide);
        }
        if self.channel != importer.channel {
            return Err(Error::OtherChannel);
        }
        let who = (importer.identify)(self.terms.wanted());
        self.terms
            .admit(&who, Carrier::ServiceKey)
            .map_err(Error::Refused)
    }
}
