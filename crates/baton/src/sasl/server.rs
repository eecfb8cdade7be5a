//! The server's side of an exchange.

use gss_core::flags::Flags;
use gss_core::framing;

use super::gs2::{Flag, Header, HeaderError, type_and_data};
use super::layers::{self, Layer, Layers};
use super::{Established, SaslError, SaslMechanism, available, unwrap};
use crate::{Acceptor, ChannelBindings, Context, Credential, Environment, Handshake, Oid, Step};

/// A server to be.
#[derive(Clone, Debug)]
pub struct Server<'a> {
    mechanism: SaslMechanism,
    env: &'a Environment,
    cred: &'a Credential,
    options: Options,
}

#[derive(Clone, Debug)]
struct Options {
    layers: Layers,
    max_frame: u32,
    bindings: Vec<ChannelBindings>,
    bindings_required: bool,
}

/// A server that waits for the client's response.
pub struct ServerExchange<'a> {
    mechanism: SaslMechanism,
    options: Options,
    state: State<'a>,
}

enum State<'a> {
    /// Nothing has come yet.
    First(Acceptor<'a>),
    Handshake(Handshake, Option<String>),
    /// RFC 4752 §3.2: an empty response is to come, and then the layers are offered.
    Empty(Context),
    /// The client's choice is to come.
    Choice(Context, Layers),
}

/// What a step of the server came to.
#[derive(Debug)]
pub enum ServerStep<'a> {
    /// Send `challenge`; the client's response goes to `next`.
    Challenge {
        /// For the client.
        challenge: Vec<u8>,
        /// Waits for the response.
        next: ServerExchange<'a>,
    },
    /// The client is who it says.
    Done {
        /// For the client, if it is not empty: along with the success where the protocol has a place for that (RFC 4422 §3.6), else as a
        /// challenge of its own, whose response is empty.
        data: Vec<u8>,
        /// What to go on with once the client is told.
        established: Established,
    },
}

impl<'a> Server<'a> {
    /// A server with the service's keys in `cred`. `GSSAPI` offers every layer.
    pub const fn new(mechanism: SaslMechanism, env: &'a Environment, cred: &'a Credential) -> Self {
        Self {
            mechanism,
            env,
            cred,
            options: Options {
                layers: Layers::ANY,
                max_frame: 65_536,
                bindings: Vec::new(),
                bindings_required: false,
            },
        }
    }

    /// Offers these layers alone. Of use with `GSSAPI`.
    #[must_use]
    pub const fn layers(mut self, layers: Layers) -> Self {
        self.options.layers = layers;
        self
    }

    /// Takes no frames of more than `bytes` from the client. Of use with `GSSAPI`.
    #[must_use]
    pub const fn max_frame(mut self, bytes: u32) -> Self {
        self.options.max_frame = layers::at_most(bytes);
        self
    }

    /// The channel, as one more type of bindings that clients of `GS2-KRB5-PLUS` may choose; a client of `GS2-KRB5` that would have used some
    /// is refused then (RFC 5801 §5), so give them for `GS2-KRB5` too, and only where `-PLUS` is advertised. `GSS-SPNEGO` is bound to the first.
    #[must_use]
    pub fn bindings(mut self, bindings: ChannelBindings) -> Self {
        self.options.bindings.push(bindings);
        self
    }

    /// Refuses clients without bindings, where the mechanism is one of GS2.
    #[must_use]
    pub const fn bindings_required(mut self) -> Self {
        self.options.bindings_required = true;
        self
    }

    /// Waits for the client. Its first response may be empty, where its protocol has no initial response: an empty challenge asks for it.
    pub fn start(self) -> ServerExchange<'a> {
        ServerExchange {
            mechanism: self.mechanism,
            options: self.options,
            state: State::First(Acceptor::new(self.env, self.cred)),
        }
    }
}

impl<'a> ServerExchange<'a> {
    /// Goes on with the client's response.
    pub fn step(self, response: &[u8]) -> Result<ServerStep<'a>, SaslError> {
        let Self {
            mechanism,
            options,
            state,
        } = self;
        let started = Started { mechanism, options };
        match state {
            State::First(acceptor) if response.is_empty() => {
                Ok(started.challenge(Vec::new(), State::First(acceptor)))
            }
            State::First(acceptor) => started.begin(acceptor, response),
            State::Handshake(handshake, authzid) => {
                started.went(handshake.step(response)?, authzid)
            }
            State::Empty(_) if !response.is_empty() => Err(SaslError::Unexpected),
            State::Empty(context) => started.offer(context),
            State::Choice(context, offered) => started.chosen(context, offered, response),
        }
    }
}

fn is_spnego(token: &[u8]) -> bool {
    framing::open(token).is_some_and(|(oid, _)| oid == Oid::SPNEGO.bytes())
}

/// What all states have in common.
struct Started {
    mechanism: SaslMechanism,
    options: Options,
}

impl Started {
    fn challenge<'a>(self, challenge: Vec<u8>, state: State<'a>) -> ServerStep<'a> {
        let next = ServerExchange {
            mechanism: self.mechanism,
            options: self.options,
            state,
        };
        ServerStep::Challenge { challenge, next }
    }

    fn begin<'a>(
        self,
        acceptor: Acceptor<'a>,
        response: &[u8],
    ) -> Result<ServerStep<'a>, SaslError> {
        match self.mechanism {
            // RFC 4752 §3.2: the Kerberos mechanism and no other.
            SaslMechanism::Gssapi if is_spnego(response) => Err(SaslError::OtherMechanism),
            SaslMechanism::Gssapi => self.went(acceptor.step(response)?, None),
            SaslMechanism::GssSpnego => {
                let acceptor = match self.options.bindings.first() {
                    Some(bindings) => acceptor.bindings(bindings.clone()),
                    None => acceptor,
                };
                self.went(acceptor.step(response)?, None)
            }
            SaslMechanism::Gs2Krb5 | SaslMechanism::Gs2Krb5Plus => {
                let (header, inner) = Header::read(response)?;
                let bindings = self.gs2_bindings(&header)?;
                let token = framing::frame(Oid::KRB5, inner);
                let step = acceptor.bindings(bindings).step(&token)?;
                self.went(step, header.authzid)
            }
        }
    }

    /// RFC 5801 §5, §7.
    fn gs2_bindings(&self, header: &Header) -> Result<ChannelBindings, HeaderError> {
        if header.nonstandard {
            return Err(HeaderError::NonStandard);
        }
        let plus = self.mechanism == SaslMechanism::Gs2Krb5Plus;
        match &header.flag {
            Flag::ServerHasNone if !self.options.bindings.is_empty() => Err(HeaderError::Downgrade),
            Flag::None | Flag::ServerHasNone if self.options.bindings_required => {
                Err(HeaderError::BindingsRequired)
            }
            Flag::Used(_) if !plus => Err(HeaderError::NameAndFlag),
            Flag::None | Flag::ServerHasNone if plus => Err(HeaderError::NameAndFlag),
            Flag::None | Flag::ServerHasNone => Ok(header.bindings(&[])),
            Flag::Used(name) => {
                for bindings in &self.options.bindings {
                    let (ours, data) = type_and_data(bindings)?;
                    if ours == name {
                        return Ok(header.bindings(data));
                    }
                }
                Err(HeaderError::OtherType(name.clone()))
            }
        }
    }

    fn went<'a>(self, step: Step, authzid: Option<String>) -> Result<ServerStep<'a>, SaslError> {
        match step {
            Step::Continue { token, next } => {
                Ok(self.challenge(token, State::Handshake(next, authzid)))
            }
            Step::Done { token, context } => {
                self.established(token.unwrap_or_default(), context, authzid)
            }
        }
    }

    fn established<'a>(
        self,
        data: Vec<u8>,
        context: Context,
        authzid: Option<String>,
    ) -> Result<ServerStep<'a>, SaslError> {
        let layer = match self.mechanism {
            SaslMechanism::Gssapi if data.is_empty() => return self.offer(context),
            SaslMechanism::Gssapi => return Ok(self.challenge(data, State::Empty(context))),
            SaslMechanism::GssSpnego => available(&context).strongest_or_none(),
            SaslMechanism::Gs2Krb5 | SaslMechanism::Gs2Krb5Plus => {
                let flags = context.facts().flags;
                if !flags.contains(Flags::MUTUAL) {
                    return Err(SaslError::NotMutual);
                }
                // A client that bound its context to nothing would let anybody write the header.
                if !flags.contains(Flags::CHANNEL_BOUND) {
                    return Err(SaslError::NotBound);
                }
                Layer::None
            }
        };
        Ok(ServerStep::Done {
            data,
            established: Established::new(context, layer, authzid),
        })
    }

    /// RFC 4752 §3.2.
    fn offer<'a>(self, context: Context) -> Result<ServerStep<'a>, SaslError> {
        let offered = self.options.layers.in_common(available(&context));
        let message = layers::offer(offered, self.options.max_frame);
        let challenge = context.wrap(false, &message).map_err(SaslError::Message)?;
        Ok(self.challenge(challenge, State::Choice(context, offered)))
    }

    fn chosen<'a>(
        self,
        context: Context,
        offered: Layers,
        response: &[u8],
    ) -> Result<ServerStep<'a>, SaslError> {
        let answer = unwrap(&context, response)?;
        let (choice, authzid) = layers::chosen(&answer, offered)?;
        let mut established = Established::new(context, choice.layer, authzid);
        established.max_sent_frame = choice.max_sent_frame;
        established.max_frame = self.options.max_frame;
        Ok(ServerStep::Done {
            data: Vec::new(),
            established,
        })
    }
}

impl std::fmt::Debug for ServerExchange<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServerExchange")
            .field("mechanism", &self.mechanism)
            .finish_non_exhaustive()
    }
}
