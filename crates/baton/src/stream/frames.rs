//! The two directions of a stream, without a transport: bytes of frames in and out, plaintext out and in.

use crate::{Context, Order, Unwrapped};

use super::{StreamError, StreamOptions};

/// The length before each token.
const HEADER: usize = 4;
/// How much room is made for bytes that a length promises; more follows when they have come.
const CHUNK: usize = 64 * 1024;

/// What comes: a frame as far as it has arrived, then its plaintext as far as it has been read.
pub(super) struct Incoming {
    options: StreamOptions,
    frame: Vec<u8>,
    /// How much of `frame` has arrived; what is behind is room.
    arrived: usize,
    plain: Vec<u8>,
    read: usize,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    Ended,
    Broken,
}

impl Incoming {
    pub(super) const fn new(options: StreamOptions) -> Self {
        Self {
            options,
            frame: Vec::new(),
            arrived: 0,
            plain: Vec::new(),
            read: 0,
            state: State::Open,
        }
    }

    /// Plaintext that is there, as much as fits; nothing if none is.
    pub(super) fn take(&mut self, out: &mut [u8]) -> usize {
        let rest = &self.plain[self.read..];
        let count = rest.len().min(out.len());
        out[..count].copy_from_slice(&rest[..count]);
        self.read += count;
        count
    }

    /// How much plaintext is there.
    #[cfg(feature = "tokio")]
    pub(super) fn available(&self) -> usize {
        self.plain.len() - self.read
    }

    /// Whether everything has been read.
    pub(super) fn has_ended(&self) -> bool {
        self.state == State::Ended
    }

    /// Whether this is between two frames and nothing is left to be read.
    pub(super) fn is_empty(&self) -> bool {
        self.arrived == 0 && self.read == self.plain.len() && self.state != State::Broken
    }

    /// Room for the next bytes of the frame, and not of the one behind it.
    pub(super) fn room(&mut self) -> Result<&mut [u8], StreamError> {
        if self.state == State::Broken {
            return Err(StreamError::Broken);
        }
        match self.missing() {
            Ok(missing) => {
                self.frame.resize(self.arrived + missing.min(CHUNK), 0);
                Ok(&mut self.frame[self.arrived..])
            }
            Err(error) => Err(self.broken(error)),
        }
    }

    /// `count` bytes have come into [`room`](Self::room); none means that the transport has ended.
    pub(super) fn came(&mut self, count: usize, context: &Context) -> Result<(), StreamError> {
        let step = match count {
            0 => self.transport_ended(),
            _ => {
                self.arrived += count;
                self.unwrap_if_whole(context)
            }
        };
        step.map_err(|error| self.broken(error))
    }

    fn broken(&mut self, error: StreamError) -> StreamError {
        self.state = State::Broken;
        error
    }

    /// How many bytes of the header, or of the token, have not come yet.
    fn missing(&self) -> Result<usize, StreamError> {
        match self.frame[..self.arrived].split_first_chunk::<HEADER>() {
            None => Ok(HEADER - self.arrived),
            Some((header, token)) => {
                Ok(token_length(*header, self.options.max_frame)? - token.len())
            }
        }
    }

    fn transport_ended(&mut self) -> Result<(), StreamError> {
        if self.arrived == 0 && self.options.close_is_end {
            self.state = State::Ended;
            return Ok(());
        }
        Err(StreamError::CutOff)
    }

    fn unwrap_if_whole(&mut self, context: &Context) -> Result<(), StreamError> {
        if self.missing()? > 0 {
            return Ok(());
        }
        let token = &self.frame[HEADER..self.arrived];
        self.plain.clear();
        self.read = 0;
        let unwrapped = context.unwrap_into(token, &mut self.plain);
        self.arrived = 0;
        if let Err(error) = unwrapped
            .map_err(StreamError::Message)
            .and_then(|it| self.check(it))
        {
            self.plain.clear();
            return Err(error);
        }
        if self.plain.is_empty() {
            self.state = State::Ended;
        }
        Ok(())
    }

    fn check(&self, unwrapped: Unwrapped) -> Result<(), StreamError> {
        if unwrapped.order != Order::InOrder {
            return Err(StreamError::OutOfOrder(unwrapped.order));
        }
        if self.options.confidential && !unwrapped.confidential {
            return Err(StreamError::NotConfidential);
        }
        Ok(())
    }
}

/// The length in a header.
pub(super) fn token_length(header: [u8; HEADER], limit: usize) -> Result<usize, StreamError> {
    let length = u32::from_be_bytes(header) as usize;
    match length {
        0 => Err(StreamError::EmptyFrame),
        _ if length > limit => Err(StreamError::TooLong { length, limit }),
        _ => Ok(length),
    }
}

/// What goes: the frame that is on its way.
pub(super) struct Outgoing {
    confidential: bool,
    close_is_end: bool,
    /// The longest plaintext of a frame.
    max_message: usize,
    frame: Vec<u8>,
    sent: usize,
    finished: bool,
    broken: bool,
}

impl Outgoing {
    pub(super) fn new(options: StreamOptions, context: &Context) -> Result<Self, StreamError> {
        let fits = context.wrap_size_limit(options.confidential, options.max_sent_frame);
        let fits = fits.map_err(StreamError::Message)?;
        if fits == 0 {
            return Err(StreamError::NoRoom(options.max_sent_frame));
        }
        Ok(Self {
            confidential: options.confidential,
            close_is_end: options.close_is_end,
            max_message: options.max_message.min(fits as usize),
            frame: Vec::new(),
            sent: 0,
            finished: false,
            broken: false,
        })
    }

    /// What is to be sent before anything else is.
    pub(super) fn unsent(&self) -> &[u8] {
        &self.frame[self.sent..]
    }

    /// `count` bytes of it are sent.
    pub(super) fn went(&mut self, count: usize) {
        self.sent += count;
        if self.sent == self.frame.len() {
            self.frame.clear();
            self.sent = 0;
        }
    }

    /// Wraps as much of `data` as one frame takes, once the frame before has been sent. How much that was.
    pub(super) fn seal(&mut self, data: &[u8], context: &Context) -> Result<usize, StreamError> {
        if self.finished {
            return Err(StreamError::Finished);
        }
        let data = &data[..data.len().min(self.max_message)];
        if !data.is_empty() {
            self.frame_of(data, context)?;
        }
        Ok(data.len())
    }

    /// The message that ends the stream, the first time.
    pub(super) fn finish(&mut self, context: &Context) -> Result<(), StreamError> {
        if !self.finished {
            if !self.close_is_end {
                self.frame_of(&[], context)?;
            }
            self.finished = true;
        }
        Ok(())
    }

    fn frame_of(&mut self, data: &[u8], context: &Context) -> Result<(), StreamError> {
        if self.broken {
            return Err(StreamError::Broken);
        }
        self.frame.extend_from_slice(&[0; HEADER]);
        let wrapped = context.wrap_into(self.confidential, data, &mut self.frame);
        let result = match wrapped {
            Ok(encrypted) if self.confidential && !encrypted => Err(StreamError::NotConfidential),
            Ok(_) => Ok(()),
            Err(error) => Err(StreamError::Message(error)),
        };
        if result.is_err() {
            // The number of this message may be used up, so the peer would miss one.
            self.frame.clear();
            self.broken = true;
            return result;
        }
        // Its plaintext is at most 64 KiB.
        let length = (self.frame.len() - HEADER) as u32;
        self.frame[..HEADER].copy_from_slice(&length.to_be_bytes());
        Ok(())
    }
}
