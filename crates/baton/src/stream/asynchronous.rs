//! The same streams for tokio. Its [`split`](tokio::io::split) gives the two directions to two tasks.
//!
//! Reads, writes and [`shutdown`](tokio::io::AsyncWriteExt::shutdown), which finishes the stream, can be cancelled at any point and nothing is lost; a
//! cancelled handshake ends with its transport.

use std::io;
use std::pin::Pin;
use std::task::{Context as Task, Poll, ready};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};

use super::frames::{Incoming, Outgoing, token_length};
use super::handshake::{MAX_HANDSHAKE_TOKEN, Next, Running};
use super::{StreamError, StreamOptions};
use crate::{Acceptor, Context, Initiator};

/// Does the handshake over `transport` as the client, KDCs included, and gives the stream. For a time limit there is
/// [`timeout`](tokio::time::timeout).
pub async fn initiate<S: AsyncRead + AsyncWrite + Unpin>(
    transport: S,
    initiator: Initiator<'_>,
    options: StreamOptions,
) -> Result<SecureStream<S>, StreamError> {
    let begun = initiator.start_async().await.map_err(Into::into);
    establish(transport, Running::went(begun, 0), options).await
}

/// Does the handshake over `transport` as the service, and gives the stream. For a time limit there is
/// [`timeout`](tokio::time::timeout).
pub async fn accept<S: AsyncRead + AsyncWrite + Unpin>(
    mut transport: S,
    acceptor: Acceptor<'_>,
    options: StreamOptions,
) -> Result<SecureStream<S>, StreamError> {
    let token = read_token(&mut transport).await?;
    establish(
        transport,
        Running::accepting(acceptor).step(&token),
        options,
    )
    .await
}

async fn establish<S: AsyncRead + AsyncWrite + Unpin>(
    mut transport: S,
    mut next: Next<'_>,
    options: StreamOptions,
) -> Result<SecureStream<S>, StreamError> {
    loop {
        next = match next {
            Next::Exchange(frame, running) => {
                send(&mut transport, &frame).await?;
                running.step(&read_token(&mut transport).await?)
            }
            Next::Done(frame, context) => {
                send(&mut transport, &frame).await?;
                return SecureStream::new(context, transport, options);
            }
            Next::Failed(frame, error) => {
                // Why it failed matters more than whether the peer could be told.
                _ = send(&mut transport, &frame).await;
                return Err(error);
            }
        };
    }
}

async fn send(transport: &mut (impl AsyncWrite + Unpin), frame: &[u8]) -> Result<(), StreamError> {
    transport.write_all(frame).await.map_err(StreamError::Io)?;
    transport.flush().await.map_err(StreamError::Io)
}

async fn read_token(transport: &mut (impl AsyncRead + Unpin)) -> Result<Vec<u8>, StreamError> {
    let closed = |error: io::Error| match error.kind() {
        io::ErrorKind::UnexpectedEof => StreamError::ClosedInHandshake,
        _ => StreamError::Io(error),
    };
    let mut header = [0; 4];
    transport.read_exact(&mut header).await.map_err(closed)?;
    let mut token = vec![0; token_length(header, MAX_HANDSHAKE_TOKEN)?];
    transport.read_exact(&mut token).await.map_err(closed)?;
    Ok(token)
}

/// A stream of bytes over a context and a transport. See the [module](super).
///
/// Dropping it does not finish it: the peer then learns that it was cut off.
pub struct SecureStream<S> {
    context: Context,
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
            context,
            transport,
        })
    }

    /// The context: names and flags.
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// The transport: its addresses. Who reads from it or writes to it damages the stream.
    pub fn transport(&self) -> &S {
        &self.transport
    }

    /// Context and transport, to hand them on, or to speak another protocol. Between two frames only: if a message
    /// has been read in part or sent in part, the stream comes back.
    pub fn into_parts(self) -> Result<(Context, S), Box<Self>> {
        if !self.incoming.is_empty() || !self.outgoing.unsent().is_empty() {
            return Err(Box::new(self));
        }
        Ok((self.context, self.transport))
    }
}

impl<S: AsyncWrite + Unpin> SecureStream<S> {
    fn poll_push(&mut self, task: &mut Task<'_>) -> Poll<io::Result<()>> {
        while !self.outgoing.unsent().is_empty() {
            let unsent = self.outgoing.unsent();
            match ready!(Pin::new(&mut self.transport).poll_write(task, unsent))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                count => self.outgoing.went(count),
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for SecureStream<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        task: &mut Task<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if out.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        loop {
            let count = this.incoming.available().min(out.remaining());
            if count > 0 || this.incoming.has_ended() {
                let taken = this.incoming.take(out.initialize_unfilled_to(count));
                out.advance(taken);
                return Poll::Ready(Ok(()));
            }
            let mut room = ReadBuf::new(this.incoming.room()?);
            ready!(Pin::new(&mut this.transport).poll_read(task, &mut room))?;
            let count = room.filled().len();
            this.incoming.came(count, &this.context)?;
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for SecureStream<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        task: &mut Task<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        ready!(this.poll_push(task))?;
        let count = this.outgoing.seal(data, &this.context)?;
        match this.poll_push(task) {
            // It is accepted: what could not be sent now is sent by the next call.
            Poll::Pending => Poll::Ready(Ok(count)),
            Poll::Ready(pushed) => Poll::Ready(pushed.map(|()| count)),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, task: &mut Task<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_push(task))?;
        Pin::new(&mut this.transport).poll_flush(task)
    }

    fn poll_shutdown(self: Pin<&mut Self>, task: &mut Task<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_push(task))?;
        this.outgoing.finish(&this.context)?;
        ready!(this.poll_push(task))?;
        Pin::new(&mut this.transport).poll_shutdown(task)
    }
}

/// Names and flags; never keys.
impl<S> std::fmt::Debug for SecureStream<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SecureStream")
            .field("context", &self.context)
            .finish_non_exhaustive()
    }
}
