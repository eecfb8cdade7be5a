//! A client of `Negotiate`.

use gss_core::error::Error;
use gss_core::flags::Flags;

use super::header::{Challenge, HeaderError, negotiate_challenge, with_token};
use crate::{ChannelBindings, Context, Credential, Environment, Handshake, Initiator, Name, Step};

/// A client to be.
#[derive(Clone, Debug)]
pub struct Client<'a>(Initiator<'a>);

/// A request that is to be sent with a token.
#[derive(Debug)]
pub struct Request {
    authorization: String,
    state: State,
}

#[derive(Debug)]
enum State {
    Waiting(Handshake),
    Done(Context),
}

/// What a response means.
#[derive(Debug)]
pub enum Outcome {
    /// Send the request again, on the same connection, with the next token.
    Again(Request),
    /// The server took the client for who it is, and has proven itself. The response is the one that was asked for.
    Done {
        /// The established context.
        context: Box<Context>,
    },
    /// The response may be the one that was asked for, but the server has not proven that it is the one it should be: it sent no token where one was due. Many
    /// old servers do not; with TLS, its certificate vouches for it.
    Unproven,
    /// The server does not take this client, or not by `Negotiate`: a 401 without a token.
    Refused,
}

/// Why a response is not good.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The `WWW-Authenticate` fields.
    #[error("the server's WWW-Authenticate is not good: {0}")]
    Header(#[from] HeaderError),
    /// The handshake.
    #[error("the handshake failed: {0}")]
    Handshake(Error),
    /// A token where none is due.
    #[error("the server goes on with a handshake that is done")]
    Unexpected,
}

impl<'a> Client<'a> {
    /// A client of `target` (`HTTP@host`, the host of the URL), as whom `cred` speaks for. SPNEGO is negotiated, with mutual authentication.
    pub fn new(env: &'a Environment, cred: &'a Credential, target: &'a Name) -> Self {
        Self(
            Initiator::new(env, cred, target)
                .flags(Flags::MUTUAL)
                .negotiate(),
        )
    }

    /// Binds the context to the TLS connection, by [`server_end_point`](crate::tls::server_end_point) of the server's certificate.
    #[must_use]
    pub fn bindings(self, bindings: ChannelBindings) -> Self {
        Self(self.0.bindings(bindings))
    }

    /// Asks for other flags than mutual authentication.
    #[must_use]
    pub fn flags(self, flags: Flags) -> Self {
        Self(self.0.flags(flags))
    }

    /// The first token.
    pub fn start(self) -> Result<Request, Error> {
        Ok(Request::new(self.0.start()?))
    }

    /// The same as [`start`](Self::start), as a task of tokio's runtime.
    #[cfg(feature = "tokio")]
    pub async fn start_async(self) -> Result<Request, Error> {
        Ok(Request::new(self.0.start_async().await?))
    }
}

impl Request {
    fn new(step: Step) -> Self {
        let (token, state) = match step {
            Step::Continue { token, next } => (token, State::Waiting(next)),
            Step::Done { token, context } => (token.unwrap_or_default(), State::Done(context)),
        };
        Self {
            authorization: with_token(&token),
            state,
        }
    }

    /// The value of the request's `Authorization` field.
    pub fn authorization(&self) -> &str {
        &self.authorization
    }

    /// Goes on with the response's status and the values of its `WWW-Authenticate` fields.
    pub fn response<'v>(
        self,
        status: u16,
        www_authenticate: impl IntoIterator<Item = &'v [u8]>,
    ) -> Result<Outcome, ClientError> {
        let unauthorized = matches!(status, 401 | 407);
        let challenge = negotiate_challenge(www_authenticate)?;
        let token = match challenge {
            Some(Challenge::Token(token)) if !token.is_empty() => Some(token),
            _ => None,
        };
        match (self.state, token) {
            (State::Waiting(next), Some(token)) => step(next, &token, unauthorized),
            (State::Done(_), Some(_)) => Err(ClientError::Unexpected),
            (_, None) if unauthorized => Ok(Outcome::Refused),
            (State::Done(context), None) => Ok(Outcome::Done {
                context: Box::new(context),
            }),
            (State::Waiting(_), None) => Ok(Outcome::Unproven),
        }
    }
}

fn step(next: Handshake, token: &[u8], unauthorized: bool) -> Result<Outcome, ClientError> {
    let step = next.step(token);
    match step.map_err(|failure| ClientError::Handshake(failure.error))? {
        // The last token of ours would reach nobody: there is no request to send it with.
        Step::Done {
            token: None,
            context,
        } if !unauthorized => Ok(Outcome::Done {
            context: Box::new(context),
        }),
        Step::Done { token: None, .. } => Ok(Outcome::Refused),
        step => Ok(Outcome::Again(Request::new(step))),
    }
}
