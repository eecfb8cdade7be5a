//! A server of `Negotiate`.

use std::sync::Arc;

use gss_core::error::Error;

use super::header::{HeaderError, authorization, with_token};
use crate::{Acceptor, ChannelBindings, Context, Credential, Environment, Handshake, Step};

/// What all connections of a server have in common. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Server {
    env: Environment,
    cred: Credential,
    bindings: Option<ChannelBindings>,
    per_connection: bool,
}

/// A client's connection.
#[derive(Debug)]
pub struct Connection {
    server: Server,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Nobody is known.
    Nobody,
    /// The next token is to come with the next request.
    Waiting(Handshake),
    /// Who it is, for this request or for all of them.
    Known(Arc<Context>),
}

/// What a request deserves.
#[derive(Debug)]
pub enum Answer {
    /// The client is authenticated: answer it, with this `WWW-Authenticate`, whatever the status.
    Accepted {
        /// Who it is, and what was agreed on.
        context: Arc<Context>,
        /// The value of the response's `WWW-Authenticate`, by which the server proves itself.
        www_authenticate: Option<String>,
    },
    /// Answer 401 with this `WWW-Authenticate`: the handshake begins, or goes on.
    Challenge {
        /// The value.
        www_authenticate: String,
    },
    /// Answer 401 with this `WWW-Authenticate`, or 400 where the request is malformed: the client is not who it says, or this host lacks something.
    Refused {
        /// Why; for the log and not for the client.
        refusal: Refusal,
        /// The value.
        www_authenticate: String,
    },
}

/// Why a client is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The `Authorization` field.
    #[error("the client's Authorization is not good: {0}")]
    Header(#[from] HeaderError),
    /// The handshake.
    #[error("the handshake failed: {0}")]
    Handshake(Error),
}

impl Server {
    /// A server with the keys of `HTTP/host` in `cred`.
    pub fn new(env: &Environment, cred: &Credential) -> Self {
        Self {
            env: env.clone(),
            cred: cred.clone(),
            bindings: None,
            per_connection: false,
        }
    }

    /// Insists on clients that bind to this TLS connection or to none at all, by [`server_end_point`](crate::tls::server_end_point) of the server's
    /// own certificate. The context's flag `CHANNEL_BOUND` tells which.
    #[must_use]
    pub fn bindings(mut self, bindings: ChannelBindings) -> Self {
        self.bindings = Some(bindings);
        self
    }

    /// Takes all later requests of a connection for the same client's.
    #[must_use]
    pub const fn per_connection(mut self) -> Self {
        self.per_connection = true;
        self
    }

    /// A new connection, of whose client nothing is known.
    pub fn connection(&self) -> Connection {
        Connection {
            server: self.clone(),
            state: State::Nobody,
        }
    }
}

impl Connection {
    /// Looks at the value of a request's `Authorization` field. A request without one, or with another scheme, gets a challenge.
    pub fn authenticate(&mut self, value: Option<&[u8]>) -> Answer {
        let token = match value.map(authorization) {
            Some(Err(error)) => return self.refused(error.into(), Vec::new()),
            Some(Ok(token)) => token,
            None => None,
        };
        match (token, std::mem::replace(&mut self.state, State::Nobody)) {
            (Some(token), State::Waiting(handshake)) => self.went(handshake.step(&token)),
            (Some(token), _) => {
                let mut acceptor = Acceptor::new(&self.server.env, &self.server.cred);
                if let Some(bindings) = &self.server.bindings {
                    acceptor = acceptor.bindings(bindings.clone());
                }
                let step = acceptor.step(&token);
                self.went(step)
            }
            (None, State::Known(context)) => {
                self.state = State::Known(Arc::clone(&context));
                Answer::Accepted {
                    context,
                    www_authenticate: None,
                }
            }
            (None, _) => Answer::Challenge {
                www_authenticate: "Negotiate".to_owned(),
            },
        }
    }

    fn went(&mut self, step: Result<Step, crate::Failure>) -> Answer {
        match step {
            Ok(Step::Continue { token, next }) => {
                self.state = State::Waiting(next);
                Answer::Challenge {
                    www_authenticate: with_token(&token),
                }
            }
            Ok(Step::Done { token, context }) => {
                let context = Arc::new(context);
                if self.server.per_connection {
                    self.state = State::Known(Arc::clone(&context));
                }
                Answer::Accepted {
                    context,
                    www_authenticate: token.map(|token| with_token(&token)),
                }
            }
            Err(failure) => {
                let token = failure.token.unwrap_or_default();
                self.refused(Refusal::Handshake(failure.error), token)
            }
        }
    }

    fn refused(&mut self, refusal: Refusal, token: Vec<u8>) -> Answer {
        self.state = State::Nobody;
        Answer::Refused {
            refusal,
            www_authenticate: match token.is_empty() {
                true => "Negotiate".to_owned(),
                false => with_token(&token),
            },
        }
    }
}
