//! Messages that lie in buffers of their caller's: in place, in several pieces, and many at a time.
//!
//! A plain [`wrap`](crate::mechanism::SecurityContext::wrap) copies the message into its token. What is here leaves it where it
//! is: [`wrap_in_place`](MessageBuffers::wrap_in_place) protects a message in a buffer with [`Room`] around it, and the
//! forms with an [`IoVec`] protect one whose header, data and trailer each have a buffer of their own, as DCE's remote
//! procedure calls need it (`gss_wrap_iov` of MIT krb5 and Heimdal).

use std::fmt;
use std::ops::Range;

use zeroize::Zeroize;

use crate::error::{Error, Major};
use crate::mechanism::Unwrapped;
use crate::sequence::Order;

/// A buffer of a message, by what it holds.
///
/// After a call each one has the length of what it holds: a header that was longer than needed is shortened to the part
/// that is to be sent.
pub enum IoVec<'a> {
    /// `GSS_IOV_BUFFER_TYPE_HEADER`: the token's beginning, and where there is no [`Trailer`](Self::Trailer) its end too.
    Header(&'a mut [u8]),
    /// `GSS_IOV_BUFFER_TYPE_DATA`: what is protected, and encrypted if confidentiality is asked for.
    Data(&'a mut [u8]),
    /// `GSS_IOV_BUFFER_TYPE_SIGN_ONLY`: what is protected and never encrypted, and is no part of the token.
    SignOnly(&'a [u8]),
    /// `GSS_IOV_BUFFER_TYPE_PADDING`: what fills the data up to whole blocks, in tokens that need it.
    Padding(&'a mut [u8]),
    /// `GSS_IOV_BUFFER_TYPE_TRAILER`: the token's end.
    Trailer(&'a mut [u8]),
    /// `GSS_IOV_BUFFER_TYPE_STREAM`: a whole token, of which [`Data`](Self::Data) becomes the message. When unwrapped only.
    Stream(&'a mut [u8]),
    /// `GSS_IOV_BUFFER_TYPE_MIC_TOKEN`: a MIC token.
    MicToken(&'a mut [u8]),
}

/// What a buffer holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BufferKind {
    /// [`IoVec::Header`].
    Header,
    /// [`IoVec::Data`].
    Data,
    /// [`IoVec::SignOnly`].
    SignOnly,
    /// [`IoVec::Padding`].
    Padding,
    /// [`IoVec::Trailer`].
    Trailer,
    /// [`IoVec::Stream`].
    Stream,
    /// [`IoVec::MicToken`].
    MicToken,
    /// The one buffer of a call that takes no [`IoVec`].
    Token,
    /// The one buffer that a message is unwrapped to.
    Message,
}

impl fmt::Display for BufferKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Header => "header",
            Self::Data => "data",
            Self::SignOnly => "sign-only",
            Self::Padding => "padding",
            Self::Trailer => "trailer",
            Self::Stream => "stream",
            Self::MicToken => "MIC token",
            Self::Token => "token",
            Self::Message => "message",
        })
    }
}

impl<'a> IoVec<'a> {
    /// What it holds.
    pub const fn kind(&self) -> BufferKind {
        match self {
            Self::Header(_) => BufferKind::Header,
            Self::Data(_) => BufferKind::Data,
            Self::SignOnly(_) => BufferKind::SignOnly,
            Self::Padding(_) => BufferKind::Padding,
            Self::Trailer(_) => BufferKind::Trailer,
            Self::Stream(_) => BufferKind::Stream,
            Self::MicToken(_) => BufferKind::MicToken,
        }
    }

    /// Its bytes.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::SignOnly(bytes) => bytes,
            Self::Header(bytes)
            | Self::Data(bytes)
            | Self::Padding(bytes)
            | Self::Trailer(bytes)
            | Self::Stream(bytes)
            | Self::MicToken(bytes) => bytes,
        }
    }

    /// The buffer itself, to put another in its place. `None` if it is [sign-only](Self::SignOnly).
    pub fn buffer_mut(&mut self) -> Option<&mut &'a mut [u8]> {
        match self {
            Self::SignOnly(_) => None,
            Self::Header(bytes)
            | Self::Data(bytes)
            | Self::Padding(bytes)
            | Self::Trailer(bytes)
            | Self::Stream(bytes)
            | Self::MicToken(bytes) => Some(bytes),
        }
    }
}

/// Kind and length; never the message.
impl fmt::Debug for IoVec<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}({} bytes)", self.kind(), self.bytes().len())
    }
}

/// What a token adds to a message of a certain length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Room {
    /// Bytes in front of the message.
    pub before: usize,
    /// Bytes behind it.
    pub after: usize,
}

/// How long the buffers have to be (`gss_wrap_iov_length`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct IovLengths {
    /// [`IoVec::Header`].
    pub header: usize,
    /// [`IoVec::Padding`]; 0 if none is needed.
    pub padding: usize,
    /// [`IoVec::Trailer`]; 0 if there is no such buffer.
    pub trailer: usize,
    /// Whether the data will be encrypted. Without any [data](IoVec::Data) there is nothing to encrypt.
    pub confidential: bool,
}

/// A message of a batch.
#[derive(Debug)]
pub struct Batched<'a> {
    /// The message to wrap, or the token to unwrap.
    pub input: &'a [u8],
    /// What becomes of it is appended here.
    pub output: &'a mut Vec<u8>,
}

/// What is wrong with the buffers that a caller gave. Nothing was done, and no sequence number was used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BufferError {
    /// A buffer that the call needs is missing.
    #[error("the call needs a {0} buffer, and none was given")]
    Missing(BufferKind),
    /// There may be one such buffer, and there are several.
    #[error("several {0} buffers were given, where one is wanted")]
    Several(BufferKind),
    /// The call has no use for such a buffer.
    #[error("a {0} buffer was given, and this call has no use for one")]
    Unexpected(BufferKind),
    /// A buffer is too short.
    #[error("the {buffer} buffer has {found} bytes and needs {needed}")]
    TooShort {
        /// Which one.
        buffer: BufferKind,
        /// Bytes it has to have.
        needed: usize,
        /// Bytes it has.
        found: usize,
    },
    /// The room around a message in place is another than its token needs.
    #[error(
        "a message of {message} bytes needs {} bytes before it and {} after it, not {} and {}",
        needed.before, needed.after, found.before, found.after
    )]
    Room {
        /// The message's length.
        message: usize,
        /// What [`MessageBuffers::room`] says of it.
        needed: Room,
        /// What was given.
        found: Room,
    },
    /// In DCE style the caller pads its data, and this is not padded.
    #[error("the data has {found} bytes, and has to be padded to a multiple of {block}")]
    Unpadded {
        /// The length that divides that of the data.
        block: usize,
        /// The data's length.
        found: usize,
    },
}

impl From<BufferError> for Error {
    /// With EINVAL, or the number a mechanism has for it.
    fn from(cause: BufferError) -> Self {
        const EINVAL: u32 = 22;
        Self::new(Major::Failure, cause).with_minor(EINVAL)
    }
}

/// A context whose messages may lie in buffers of their caller's.
///
/// Nothing here allocates, but where a vector is appended to, and for more than [`FEW`] pieces of one message.
pub trait MessageBuffers: Send + Sync {
    /// What the token of a message of `message` bytes adds to it.
    fn room(&self, confidential: bool, message: usize) -> Room;

    /// Makes a token of `buffer`: the message in its middle, with just its [`room`](Self::room) around it. What is
    /// `associated` is protected too, and is no part of the token (`gss_wrap_aead`). Tells whether the message is
    /// encrypted. After an error the buffer is as it was.
    fn wrap_in_place(
        &self,
        confidential: bool,
        associated: &[u8],
        buffer: &mut [u8],
        room: Room,
    ) -> Result<bool, Error>;

    /// Verifies and decrypts `token` where it lies, and tells which part of it is the message. After an error it may hold
    /// anything but the message.
    fn unwrap_in_place(
        &self,
        associated: &[u8],
        token: &mut [u8],
    ) -> Result<(Range<usize>, Unwrapped), Error>;

    /// `gss_wrap_iov_length`: how long the buffers have to be that are in `iov` beside the data. They may be empty here.
    fn wrap_iov_lengths(&self, confidential: bool, iov: &[IoVec<'_>]) -> Result<IovLengths, Error>;

    /// `gss_wrap_iov`: protects the data and what is sign-only, in the order of `iov`, and fills the other buffers, which are
    /// shortened to what is to be sent. Tells whether the data is encrypted. After an error all of it is as it was.
    fn wrap_iov(&self, confidential: bool, iov: &mut [IoVec<'_>]) -> Result<bool, Error>;

    /// `gss_unwrap_iov`: verifies and decrypts where it lies. The buffers are header, data, padding and trailer as the sender
    /// had them, or a stream and one data buffer, which becomes the message within the stream; and what is sign-only. After
    /// an error they may hold anything but the message.
    fn unwrap_iov(&self, iov: &mut [IoVec<'_>]) -> Result<Unwrapped, Error>;

    /// `gss_get_mic_iov_length`: how long a MIC token is.
    fn mic_length(&self) -> usize;

    /// `GSS_GetMIC` of the message that is `parts` one after another. Gives the token's length; what `token` has beyond it
    /// is left alone.
    fn get_mic_of(&self, parts: &[&[u8]], token: &mut [u8]) -> Result<usize, Error>;

    /// `GSS_VerifyMIC` of the message that is `parts` one after another.
    fn verify_mic_of(&self, parts: &[&[u8]], token: &[u8]) -> Result<Order, Error>;

    /// `gss_get_mic_iov`: a MIC of the data and what is sign-only into the one MIC token buffer, which is shortened to it.
    fn get_mic_iov(&self, iov: &mut [IoVec<'_>]) -> Result<(), Error> {
        let at = the_one(iov, BufferKind::MicToken)?;
        let token = (iov[at].buffer_mut()).map_or(&mut [][..], std::mem::take);
        let signed = with_list(
            iov.len(),
            || &[][..],
            |list| self.get_mic_of(signed(iov, list), token),
        );
        let length = *signed.as_ref().unwrap_or(&token.len());
        iov[at] = IoVec::MicToken(&mut token[..length]);
        signed.map(|_| ())
    }

    /// `gss_verify_mic_iov`: whether the MIC token is one of the data and what is sign-only.
    fn verify_mic_iov(&self, iov: &[IoVec<'_>]) -> Result<Order, Error> {
        let token = iov[the_one(iov, BufferKind::MicToken)?].bytes();
        with_list(
            iov.len(),
            || &[][..],
            |list| self.verify_mic_of(signed(iov, list), token),
        )
    }

    /// Wraps the message that is `parts` one after another into `token`. Gives the token's length and whether it is
    /// encrypted; what `token` has beyond it is left alone.
    fn wrap_slices(
        &self,
        confidential: bool,
        parts: &[&[u8]],
        token: &mut [u8],
    ) -> Result<(usize, bool), Error> {
        let message = parts.iter().map(|part| part.len()).sum();
        let room = self.room(confidential, message);
        let length = room.before + message + room.after;
        let token = enough(BufferKind::Token, token, length)?;
        let mut rest = &mut token[room.before..];
        for part in parts {
            let (place, later) = rest.split_at_mut(part.len());
            place.copy_from_slice(part);
            rest = later;
        }
        Ok((length, self.wrap_in_place(confidential, &[], token, room)?))
    }

    /// Unwraps `token` into `message`, which needs room for the whole token though the message is shorter, because it is
    /// decrypted there. Gives the message's length.
    fn unwrap_slice(&self, token: &[u8], message: &mut [u8]) -> Result<(usize, Unwrapped), Error> {
        let place = enough(BufferKind::Message, message, token.len())?;
        place.copy_from_slice(token);
        let (data, unwrapped) = self.unwrap_in_place(&[], place)?;
        let length = data.len();
        place.copy_within(data, 0);
        Ok((length, unwrapped))
    }

    /// `gss_wrap_aead`: appends a token to `out` that protects `message` and `associated`, of which only `message` is in it.
    fn wrap_aead(
        &self,
        confidential: bool,
        associated: &[u8],
        message: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<bool, Error> {
        let room = self.room(confidential, message.len());
        let start = out.len();
        out.reserve(room.before + message.len() + room.after);
        out.resize(start + room.before, 0);
        out.extend_from_slice(message);
        out.resize(out.len() + room.after, 0);
        let wrapped = self.wrap_in_place(confidential, associated, &mut out[start..], room);
        if wrapped.is_err() {
            out.truncate(start);
        }
        wrapped
    }

    /// `gss_unwrap_aead`: verifies `token` and `associated` and appends the message to `out`, which is left as it was on an
    /// error.
    fn unwrap_aead(
        &self,
        associated: &[u8],
        token: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<Unwrapped, Error> {
        let start = out.len();
        out.extend_from_slice(token);
        let place = &mut out[start..];
        let opened = self.unwrap_in_place(associated, place);
        let length = match &opened {
            Ok((data, _)) => {
                place.copy_within(data.clone(), 0);
                data.len()
            }
            Err(_) => 0,
        };
        place[length..].zeroize();
        out.truncate(start + length);
        opened.map(|(_, unwrapped)| unwrapped)
    }
}

/// How many pieces of one message are listed without allocating.
pub const FEW: usize = 16;

/// Calls `f` with a list of `count` elements, on the stack if there are [`FEW`].
pub fn with_list<T, R>(count: usize, blank: impl Fn() -> T, f: impl FnOnce(&mut [T]) -> R) -> R {
    if count <= FEW {
        let mut few: [T; FEW] = std::array::from_fn(|_| blank());
        f(&mut few[..count])
    } else {
        let mut many: Vec<T> = (0..count).map(|_| blank()).collect();
        f(&mut many)
    }
}

/// Where the one buffer of `kind` is.
pub fn the_one(iov: &[IoVec<'_>], kind: BufferKind) -> Result<usize, BufferError> {
    at_most_one(iov, kind)?.ok_or(BufferError::Missing(kind))
}

/// Where the buffer of `kind` is, if there is one.
pub fn at_most_one(iov: &[IoVec<'_>], kind: BufferKind) -> Result<Option<usize>, BufferError> {
    let mut places = (0..iov.len()).filter(|at| iov[*at].kind() == kind);
    match (places.next(), places.next()) {
        (place, None) => Ok(place),
        (_, Some(_)) => Err(BufferError::Several(kind)),
    }
}

/// The first `needed` bytes of `bytes`, if it has so many.
pub fn enough(
    buffer: BufferKind,
    bytes: &mut [u8],
    needed: usize,
) -> Result<&mut [u8], BufferError> {
    let found = bytes.len();
    bytes.get_mut(..needed).ok_or(BufferError::TooShort {
        buffer,
        needed,
        found,
    })
}

/// What a MIC of `iov` covers.
fn signed<'l, 'i>(iov: &'i [IoVec<'_>], list: &'l mut [&'i [u8]]) -> &'l [&'i [u8]] {
    for (entry, piece) in list.iter_mut().zip(iov) {
        if let BufferKind::Data | BufferKind::SignOnly = piece.kind() {
            *entry = piece.bytes();
        }
    }
    list
}
