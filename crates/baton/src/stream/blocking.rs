//! Streams for threads.

use std::io::{self, ErrorKind, Read, Write};
use std::sync::Arc;

use super::frames::{Incoming, Outgoing, token_length};
use super::handshake::{MAX_HANDSHAKE_TOKEN, Next, Running};
use super::{StreamError, StreamOptions};
use crate::{Acceptor, Context, Initiator};

/// Does the handshake over `transport` as the client, and gives the stream. Timeouts are those of the transport.
pub fn initiate<S: Read + Write>(
    transport: S,
    initiator: Initiator<'_>,
    options: StreamOptions,
) -> Result<SecureStream<S>, StreamError> {
    let begun = initiator.start().map_err(Into::into);
    establish(transport, Running::went(begun, 0), options)
}

/// Does the handshake over `transport` as the service, and gives the stream. Timeouts are those of the transport.
pub fn accept<S: Read + Write>(
    mut transport: S,
    acceptor: Acceptor<'_>,
    options: StreamOptions,
) -> Result<SecureStream<S>, StreamError> {
    let token = read_token(&mut transport)?;
    establish(
        transport,
        Running::accepting(acceptor).step(&token),
        options,
    )
}

fn establish<S: Read + Write>(
    mut transport: S,
    mut next: Next<'_>,
    options: StreamOptions,
) -> Result<SecureStream<S>, StreamError> {
    let send = |frame: &[u8], transport: &mut S| {
        let sent = transport.write_all(frame).and_then(|()| transport.flush());
        sent.map_err(StreamError::Io)
    };
    loop {
        next = match next {
            Next::Exchange(frame, running) => {
                send(&frame, &mut transport)?;
                running.step(&read_token(&mut transport)?)
            }
            Next::Done(frame, context) => {
                send(&frame, &mut transport)?;
                return SecureStream::new(context, transport, options);
            }
            Next::Failed(frame, error) => {
                // Why it failed matters more than whether the peer could be told.
                _ = send(&frame, &mut transport);
                return Err(error);
            }
        };
    }
}

fn read_token(transport: &mut impl Read) -> Result<Vec<u8>, StreamError> {
    let closed = |error: io::Error| match error.kind() {
        ErrorKind::UnexpectedEof => StreamError::ClosedInHandshake,
        _ => StreamError::Io(error),
    };
    let mut header = [0; 4];
    transport.read_exact(&mut header).map_err(closed)?;
    let mut token = vec![0; token_length(header, MAX_HANDSHAKE_TOKEN)?];
    transport.read_exact(&mut token).map_err(closed)?;
    Ok(token)
}

/// A stream of bytes over a context and a transport. See the [module](super).
///
/// With a transport that does not block, calls give [`WouldBlock`](ErrorKind::WouldBlock) and nothing is lost.
/// Dropping it does not [finish](Self::finish) it: the peer then learns that it was cut off.
pub struct SecureStream<S> {
    context: Arc<Context>,
    transport: S,
    incoming: Incoming,
    outgoing: Outgoing,
}

impl<S> SecureStream<S> {
    /// A stream over an established context, between whose peers no message is on its way.
    pub fn new(
        context: Context,
        transport: S,
        options: StreamOptions,
    ) -> Result<Self, StreamError> {
        options.suits(&context)?;
        Ok(Self {
            outgoing: Outgoing::new(options, &context)?,
            incoming: Incoming::new(options),
            context: Arc::new(context),
            transport,
        })
    }

    /// The context: names and flags.
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// The transport: its addresses and timeouts. Who reads from it or writes to it damages the stream.
    pub fn transport(&self) -> &S {
        &self.transport
    }

    /// Context and transport, to hand them on, or to speak another protocol. Between two frames only: if a message
    /// has been read in part or sent in part, the stream comes back.
    pub fn into_parts(self) -> Result<(Context, S), Box<Self>> {
        if !self.incoming.is_empty() || !self.outgoing.unsent().is_empty() {
            return Err(Box::new(self));
        }
        let Self {
            context,
            transport,
            incoming,
            outgoing,
        } = self;
        match Arc::try_unwrap(context) {
            Ok(context) => Ok((context, transport)),
            Err(context) => Err(Box::new(Self {
                context,
                transport,
                incoming,
                outgoing,
            })),
        }
    }

    /// The two directions, for two threads: `clone` gives a second handle of the transport, such as
    /// [`TcpStream::try_clone`](std::net::TcpStream::try_clone).
    pub fn split_with(
        self,
        clone: impl FnOnce(&S) -> io::Result<S>,
    ) -> io::Result<(SecureReader<S>, SecureWriter<S>)> {
        let second = clone(&self.transport)?;
        let reader = SecureReader {
            context: Arc::clone(&self.context),
            transport: second,
            incoming: self.incoming,
        };
        let writer = SecureWriter {
            context: self.context,
            transport: self.transport,
            outgoing: self.outgoing,
        };
        Ok((reader, writer))
    }
}

impl<S: Write> SecureStream<S> {
    /// Tells the peer that this is the end of what is written. Reading goes on; the transport is not closed.
    pub fn finish(&mut self) -> io::Result<()> {
        finish(&mut self.transport, &mut self.outgoing, &self.context)
    }
}

impl<S: Read> Read for SecureStream<S> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        read(&mut self.transport, &mut self.incoming, &self.context, out)
    }
}

impl<S: Write> Write for SecureStream<S> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        write(&mut self.transport, &mut self.outgoing, &self.context, data)
    }

    fn flush(&mut self) -> io::Result<()> {
        flush(&mut self.transport, &mut self.outgoing)
    }
}

/// What a stream's peer writes.
pub struct SecureReader<R> {
    context: Arc<Context>,
    transport: R,
    incoming: Incoming,
}

impl<R: Read> Read for SecureReader<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        read(&mut self.transport, &mut self.incoming, &self.context, out)
    }
}

/// What a stream's peer reads.
pub struct SecureWriter<W> {
    context: Arc<Context>,
    transport: W,
    outgoing: Outgoing,
}

impl<W: Write> SecureWriter<W> {
    /// Tells the peer that this is the end.
    pub fn finish(&mut self) -> io::Result<()> {
        finish(&mut self.transport, &mut self.outgoing, &self.context)
    }
}

impl<W: Write> Write for SecureWriter<W> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        write(&mut self.transport, &mut self.outgoing, &self.context, data)
    }

    fn flush(&mut self) -> io::Result<()> {
        flush(&mut self.transport, &mut self.outgoing)
    }
}

fn read(
    transport: &mut impl Read,
    incoming: &mut Incoming,
    context: &Context,
    out: &mut [u8],
) -> io::Result<usize> {
    if out.is_empty() {
        return Ok(0);
    }
    loop {
        let count = incoming.take(out);
        if count > 0 || incoming.has_ended() {
            return Ok(count);
        }
        let count = transport.read(incoming.room()?)?;
        incoming.came(count, context)?;
    }
}

fn write(
    transport: &mut impl Write,
    outgoing: &mut Outgoing,
    context: &Context,
    data: &[u8],
) -> io::Result<usize> {
    push(transport, outgoing)?;
    let count = outgoing.seal(data, context)?;
    match push(transport, outgoing) {
        // It is accepted: what could not be sent now is sent by the next call.
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(count),
        pushed => pushed.map(|()| count),
    }
}

fn flush(transport: &mut impl Write, outgoing: &mut Outgoing) -> io::Result<()> {
    push(transport, outgoing)?;
    transport.flush()
}

fn finish(
    transport: &mut impl Write,
    outgoing: &mut Outgoing,
    context: &Context,
) -> io::Result<()> {
    push(transport, outgoing)?;
    outgoing.finish(context)?;
    flush(transport, outgoing)
}

fn push(transport: &mut impl Write, outgoing: &mut Outgoing) -> io::Result<()> {
    while !outgoing.unsent().is_empty() {
        match transport.write(outgoing.unsent()) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(count) => outgoing.went(count),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Names and flags; never keys.
impl<S> std::fmt::Debug for SecureStream<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SecureStream")
            .field("context", &self.context)
            .finish_non_exhaustive()
    }
}
