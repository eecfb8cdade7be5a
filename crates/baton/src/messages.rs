//! The calls of a context whose messages lie in buffers of their caller's, and batches.

use gss_core::mechanism::Unwrapped;
use gss_core::message::{Batched, IoVec, IovLengths, MessageBuffers, Room};

use crate::{Context, Error, Major, Message, Order};

/// A message that was verified, where its token was.
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct InPlace<'a> {
    /// What was sent.
    pub data: &'a mut [u8],
    /// Where it stands in the sequence, as in a [`Message`].
    pub order: Order,
    /// Whether it was encrypted.
    pub confidential: bool,
}

/// In place, and from and to slices: nothing is allocated.
impl Context {
    /// What the token of a message of `message` bytes adds to it.
    pub fn room(&self, confidential: bool, message: usize) -> Result<Room, Error> {
        Ok(self.buffers()?.room(confidential, message))
    }

    /// `GSS_Wrap` of the message in the middle of `buffer`, which has just its [`room`](Self::room) around it: the buffer
    /// becomes the token. Tells whether it is encrypted. After an error the buffer is as it was.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use baton::realm::DevelopmentRealm;
    /// # let realm = DevelopmentRealm::builder("EXAMPLE.TEST").user("alice", "secret").service("HTTP/localhost").start()?;
    /// # let env = realm.environment()?;
    /// # let (client, server) = realm.contexts(&env, "alice", "HTTP/localhost")?;
    /// let room = client.room(true, 5)?;
    /// let mut buffer = vec![0; room.before + 5 + room.after];
    /// buffer[room.before..][..5].copy_from_slice(b"hello");
    /// client.wrap_in_place(true, &mut buffer, room)?;
    /// assert_eq!(server.unwrap_in_place(&mut buffer)?.data, b"hello");
    /// # Ok(())
    /// # }
    /// ```
    pub fn wrap_in_place(
        &self,
        confidential: bool,
        buffer: &mut [u8],
        room: Room,
    ) -> Result<bool, Error> {
        (self.buffers()?).wrap_in_place(confidential, &[], buffer, room)
    }

    /// `GSS_Unwrap` of `token` where it lies. After an error it may hold anything but the message.
    pub fn unwrap_in_place<'t>(&self, token: &'t mut [u8]) -> Result<InPlace<'t>, Error> {
        let (data, unwrapped) = self.buffers()?.unwrap_in_place(&[], token)?;
        Ok(InPlace {
            data: &mut token[data],
            order: unwrapped.order,
            confidential: unwrapped.confidential,
        })
    }

    /// `GSS_Wrap` of the message that is `parts` one after another into `token`, which may be longer than needed. Gives the
    /// token's length and whether it is encrypted.
    pub fn wrap_slices(
        &self,
        confidential: bool,
        parts: &[&[u8]],
        token: &mut [u8],
    ) -> Result<(usize, bool), Error> {
        self.buffers()?.wrap_slices(confidential, parts, token)
    }

    /// `GSS_Unwrap` of `token` into `message`, which needs room for the whole token though the message is shorter, because
    /// it is decrypted there. Gives the message's length.
    pub fn unwrap_slice(
        &self,
        token: &[u8],
        message: &mut [u8],
    ) -> Result<(usize, Unwrapped), Error> {
        self.buffers()?.unwrap_slice(token, message)
    }

    /// How long a MIC token is.
    pub fn mic_length(&self) -> Result<usize, Error> {
        Ok(self.buffers()?.mic_length())
    }

    /// `GSS_GetMIC` of the message that is `parts` one after another into `token`, which may be longer than needed. Gives
    /// the token's length.
    pub fn get_mic_slices(&self, parts: &[&[u8]], token: &mut [u8]) -> Result<usize, Error> {
        self.buffers()?.get_mic_of(parts, token)
    }

    /// `GSS_VerifyMIC` of the message that is `parts` one after another.
    pub fn verify_mic_slices(&self, parts: &[&[u8]], token: &[u8]) -> Result<Order, Error> {
        self.buffers()?.verify_mic_of(parts, token)
    }
}

/// In pieces, each in a buffer of its own, and with data that is protected beside the message.
impl Context {
    /// `gss_wrap_iov_length`: how long the buffers of `iov` have to be beside the data. They may be empty here.
    pub fn wrap_iov_lengths(
        &self,
        confidential: bool,
        iov: &[IoVec<'_>],
    ) -> Result<IovLengths, Error> {
        self.buffers()?.wrap_iov_lengths(confidential, iov)
    }

    /// `gss_wrap_iov`: protects the data and what is sign-only, in the order of `iov`, and fills the other buffers, which are
    /// shortened to what is to be sent. Tells whether the data is encrypted. After an error all of it is as it was.
    ///
    /// ```
    /// use baton::IoVec::{Data, Header, SignOnly, Stream, Trailer};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use baton::realm::DevelopmentRealm;
    /// # let realm = DevelopmentRealm::builder("EXAMPLE.TEST").user("alice", "secret").service("HTTP/localhost").start()?;
    /// # let env = realm.environment()?;
    /// # let (client, server) = realm.contexts(&env, "alice", "HTTP/localhost")?;
    /// let (mut header, mut data, mut trailer) = ([0; 64], *b"hello", [0; 64]);
    /// let mut iov = [Header(&mut header), SignOnly(b"to bob"), Data(&mut data), Trailer(&mut trailer)];
    /// client.wrap_iov(true, &mut iov)?;
    /// let mut token = [iov[0].bytes(), iov[2].bytes(), iov[3].bytes()].concat();
    ///
    /// let mut iov = [Stream(&mut token), SignOnly(b"to bob"), Data(&mut [])];
    /// server.unwrap_iov(&mut iov)?;
    /// assert_eq!(iov[2].bytes(), b"hello");
    /// # Ok(())
    /// # }
    /// ```
    pub fn wrap_iov(&self, confidential: bool, iov: &mut [IoVec<'_>]) -> Result<bool, Error> {
        self.buffers()?.wrap_iov(confidential, iov)
    }

    /// `gss_unwrap_iov`: verifies and decrypts where it lies. The buffers are header, data, padding and trailer as the
    /// sender had them, or a stream and one data buffer, which becomes the message within the stream; and what is
    /// sign-only. After an error they may hold anything but the message.
    pub fn unwrap_iov(&self, iov: &mut [IoVec<'_>]) -> Result<Unwrapped, Error> {
        self.buffers()?.unwrap_iov(iov)
    }

    /// `gss_get_mic_iov`: a MIC of the data and what is sign-only into the MIC token buffer, which is shortened to it.
    pub fn get_mic_iov(&self, iov: &mut [IoVec<'_>]) -> Result<(), Error> {
        self.buffers()?.get_mic_iov(iov)
    }

    /// `gss_verify_mic_iov`: whether the MIC token is one of the data and what is sign-only.
    pub fn verify_mic_iov(&self, iov: &[IoVec<'_>]) -> Result<Order, Error> {
        self.buffers()?.verify_mic_iov(iov)
    }

    /// `gss_wrap_aead`: a token of `message` that protects `associated` too, which is no part of it. If `confidential` is
    /// asked for, the message is encrypted or the call fails.
    pub fn wrap_aead(
        &self,
        confidential: bool,
        associated: &[u8],
        message: &[u8],
    ) -> Result<Vec<u8>, Error> {
        let mut token = Vec::new();
        let buffers = self.buffers()?;
        let encrypted = buffers.wrap_aead(confidential, associated, message, &mut token)?;
        self.kept_promise(confidential, encrypted)?;
        Ok(token)
    }

    /// `gss_unwrap_aead`: the message in `token`, if that protects `associated` beside it.
    pub fn unwrap_aead(&self, associated: &[u8], token: &[u8]) -> Result<Message, Error> {
        let mut data = Vec::new();
        let unwrapped = self.buffers()?.unwrap_aead(associated, token, &mut data)?;
        Ok(Message::new(data, unwrapped))
    }

    fn buffers(&self) -> Result<&dyn MessageBuffers, Error> {
        self.here()?.buffers().ok_or_else(|| NoBuffers.into())
    }
}

/// Many at a time.
impl Context {
    /// `GSS_Wrap` of each message, in their order: the sequence numbers follow each other. Either all are wrapped or, after an
    /// error, none is, and no number was used. If `confidential` is asked for, all are encrypted or the call fails.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use baton::realm::DevelopmentRealm;
    /// # let realm = DevelopmentRealm::builder("EXAMPLE.TEST").user("alice", "secret").service("HTTP/localhost").start()?;
    /// # let env = realm.environment()?;
    /// # let (client, server) = realm.contexts(&env, "alice", "HTTP/localhost")?;
    /// let mut tokens = client.wrap_many(true, &["one", "two", "three"])?;
    /// tokens[1][20] ^= 1;
    /// let [one, two, three] = &server.unwrap_many(&tokens)?[..] else { panic!() };
    /// assert_eq!(one.as_ref().unwrap().data, b"one");
    /// assert!(two.is_err());
    /// assert_eq!(three.as_ref().unwrap().data, b"three");
    /// # Ok(())
    /// # }
    /// ```
    pub fn wrap_many(
        &self,
        confidential: bool,
        messages: &[impl AsRef<[u8]>],
    ) -> Result<Vec<Vec<u8>>, Error> {
        let mut tokens = vec![Vec::new(); messages.len()];
        let encrypted =
            (self.here()?).wrap_many(confidential, &mut batch(messages, &mut tokens))?;
        self.kept_promise(confidential, encrypted)?;
        Ok(tokens)
    }

    /// `GSS_Unwrap` of each token, in their order. Each has its own outcome: those after one that fails are unwrapped all
    /// the same, and stand in the sequence where they would without it. The call itself fails only where the context is not
    /// here.
    pub fn unwrap_many(
        &self,
        tokens: &[impl AsRef<[u8]>],
    ) -> Result<Vec<Result<Message, Error>>, Error> {
        let mut messages = vec![Vec::new(); tokens.len()];
        let outcomes = (self.here()?).unwrap_many(&mut batch(tokens, &mut messages));
        let outcomes = (outcomes.into_iter().zip(messages))
            .map(|(outcome, data)| outcome.map(|unwrapped| Message::new(data, unwrapped)));
        Ok(outcomes.collect())
    }
}

fn batch<'a>(inputs: &'a [impl AsRef<[u8]>], outputs: &'a mut [Vec<u8>]) -> Vec<Batched<'a>> {
    let pairs = inputs.iter().zip(outputs);
    pairs
        .map(|(input, output)| Batched {
            input: input.as_ref(),
            output,
        })
        .collect()
}

/// The context's mechanism cannot do it.
#[derive(Debug, thiserror::Error)]
#[error("the context's mechanism copies its messages: wrap and unwrap do what it can")]
struct NoBuffers;

impl From<NoBuffers> for Error {
    fn from(cause: NoBuffers) -> Self {
        Self::new(Major::Unavailable, cause)
    }
}
