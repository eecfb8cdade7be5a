//! The client's side of an exchange.

use gss_core::flags::Flags;
use gss_core::framing;

use super::gs2::{Flag, Header, HeaderError, type_and_data};
use super::layers::{self, Layers};
use super::{Established, SaslError, SaslMechanism, available, unwrap};
use crate::{
    ChannelBindings, Context, Credential, Environment, Handshake, Initiator, Name, Oid, Step,
};

/// A client to be.
#[derive(Clone, Debug)]
pub struct Client<'a> {
    mechanism: SaslMechanism,
    env: &'a Environment,
    cred: &'a Credential,
    target: &'a Name,
    options: Options,
    bindings: Option<ChannelBindings>,
}

#[derive(Clone, Debug)]
struct Options {
    authzid: String,
    layers: Layers,
    max_frame: u32,
}

/// A client that waits for the server's challenge.
pub struct ClientExchange {
    mechanism: SaslMechanism,
    options: Options,
    state: State,
}

enum State {
    Handshake(Handshake),
    /// RFC 4752 §3.1: the server's layers are to come.
    Layers(Context),
}

/// What a step of the client came to.
#[derive(Debug)]
pub enum ClientStep {
    /// Send `response`; the server's challenge goes to `next`.
    Respond {
        /// For the server: at first the initial response, where the protocol has a place for one, else the answer to an empty challenge.
        response: Vec<u8>,
        /// Waits for the challenge.
        next: ClientExchange,
    },
    /// Send `response`, and wait for the server's word that it is content.
    Done {
        /// For the server. Where it is empty and the server's last data came along with its success, nothing is to be sent.
        response: Vec<u8>,
        /// What to go on with once the server is content.
        established: Established,
    },
}

impl ClientStep {
    /// What goes to the server.
    pub fn response(&self) -> &[u8] {
        match self {
            Self::Respond { response, .. } | Self::Done { response, .. } => response,
        }
    }
}

impl<'a> Client<'a> {
    /// A client of the service `target`, as whom `cred` speaks for. Any layer is acceptable to `GSSAPI`, the strongest is chosen.
    pub fn new(
        mechanism: SaslMechanism,
        env: &'a Environment,
        cred: &'a Credential,
        target: &'a Name,
    ) -> Self {
        Self {
            mechanism,
            env,
            cred,
            target,
            options: Options {
                authzid: String::new(),
                layers: Layers::ANY,
                max_frame: 65_536,
            },
            bindings: None,
        }
    }

    /// Asks to act as somebody else (RFC 4422 §3.4.1). `GSS-SPNEGO` has no place for that, and ignores it.
    #[must_use]
    pub fn authzid(mut self, authzid: impl Into<String>) -> Self {
        self.options.authzid = authzid.into();
        self
    }

    /// Accepts these layers alone. Of use with `GSSAPI`.
    #[must_use]
    pub const fn layers(mut self, layers: Layers) -> Self {
        self.options.layers = layers;
        self
    }

    /// Takes no frames of more than `bytes` from the server. Of use with `GSSAPI`.
    #[must_use]
    pub const fn max_frame(mut self, bytes: u32) -> Self {
        self.options.max_frame = layers::at_most(bytes);
        self
    }

    /// The channel. `GS2-KRB5-PLUS` binds to it; `GS2-KRB5` then tells the server that it could have been, so that a server which offered `-PLUS`
    /// notices that somebody hid that (RFC 5801 §5); `GSS-SPNEGO` binds to it; `GSSAPI` has no bindings (RFC 4752 §5).
    #[must_use]
    pub fn bindings(mut self, bindings: ChannelBindings) -> Self {
        self.bindings = Some(bindings);
        self
    }

    /// The first step.
    pub fn start(self) -> Result<ClientStep, SaslError> {
        let (header, initiator) = self.prepare()?;
        let step = initiator.start()?;
        self.begin(header, step)
    }

    /// The same as [`start`](Self::start), as a task of tokio's runtime.
    #[cfg(feature = "tokio")]
    pub async fn start_async(self) -> Result<ClientStep, SaslError> {
        let (header, initiator) = self.prepare()?;
        let step = initiator.start_async().await?;
        self.begin(header, step)
    }

    fn prepare(&self) -> Result<(Option<Header>, Initiator<'a>), SaslError> {
        if self.options.authzid.contains('\0') {
            return Err(SaslError::Authzid);
        }
        let initiator = Initiator::new(self.env, self.cred, self.target);
        let layered = Flags::MUTUAL | Flags::REPLAY | Flags::SEQUENCE | Flags::INTEG | Flags::CONF;
        Ok(match self.mechanism {
            SaslMechanism::Gssapi => (None, initiator.flags(layered)),
            SaslMechanism::GssSpnego => {
                let initiator = initiator.flags(layered).negotiate();
                (
                    None,
                    match &self.bindings {
                        Some(bindings) => initiator.bindings(bindings.clone()),
                        None => initiator,
                    },
                )
            }
            SaslMechanism::Gs2Krb5 | SaslMechanism::Gs2Krb5Plus => {
                let (header, bindings) = self.gs2_header()?;
                // RFC 5801 §8 would have no flags of messages; Cyrus SASL's server insists on this one.
                let flags = Flags::MUTUAL | Flags::SEQUENCE;
                (Some(header), initiator.flags(flags).bindings(bindings))
            }
        })
    }

    fn gs2_header(&self) -> Result<(Header, ChannelBindings), SaslError> {
        let (flag, data) = match (&self.bindings, self.mechanism) {
            (Some(bindings), SaslMechanism::Gs2Krb5Plus) => {
                let (name, data) = type_and_data(bindings)?;
                (Flag::Used(name.to_owned()), data)
            }
            (None, SaslMechanism::Gs2Krb5Plus) => return Err(SaslError::NoBindings),
            (Some(_), _) => (Flag::ServerHasNone, &[][..]),
            (None, _) => (Flag::None, &[][..]),
        };
        let authzid = &self.options.authzid;
        let header = Header {
            nonstandard: false,
            flag,
            authzid: (!authzid.is_empty()).then(|| authzid.clone()),
        };
        let bindings = header.bindings(data);
        Ok((header, bindings))
    }

    fn begin(self, header: Option<Header>, step: Step) -> Result<ClientStep, SaslError> {
        let begun = Started {
            mechanism: self.mechanism,
            options: self.options,
        }
        .went(step)?;
        match header {
            None => Ok(begun),
            Some(header) => begun.with_header(&header),
        }
    }
}

impl ClientExchange {
    /// Goes on with the server's challenge, or with what came along with its success.
    pub fn step(self, challenge: &[u8]) -> Result<ClientStep, SaslError> {
        let started = Started {
            mechanism: self.mechanism,
            options: self.options,
        };
        match self.state {
            State::Handshake(handshake) => started.went(handshake.step(challenge)?),
            State::Layers(context) => started.choose(context, challenge),
        }
    }
}

/// What all states have in common.
struct Started {
    mechanism: SaslMechanism,
    options: Options,
}

impl Started {
    fn went(self, step: Step) -> Result<ClientStep, SaslError> {
        match step {
            Step::Continue { token, next } => Ok(self.respond(token, State::Handshake(next))),
            Step::Done { token, context } => self.established(token.unwrap_or_default(), context),
        }
    }

    fn respond(self, response: Vec<u8>, state: State) -> ClientStep {
        let next = ClientExchange {
            mechanism: self.mechanism,
            options: self.options,
            state,
        };
        ClientStep::Respond { response, next }
    }

    fn established(self, response: Vec<u8>, context: Context) -> Result<ClientStep, SaslError> {
        let layer = match self.mechanism {
            SaslMechanism::Gssapi => return Ok(self.respond(response, State::Layers(context))),
            SaslMechanism::GssSpnego => available(&context).strongest_or_none(),
            SaslMechanism::Gs2Krb5 | SaslMechanism::Gs2Krb5Plus => {
                if !context.facts().flags.contains(Flags::MUTUAL) {
                    return Err(SaslError::NotMutual);
                }
                layers::Layer::None
            }
        };
        Ok(ClientStep::Done {
            response,
            established: Established::new(context, layer, authzid(&self.options)),
        })
    }

    /// RFC 4752 §3.1.
    fn choose(self, context: Context, challenge: &[u8]) -> Result<ClientStep, SaslError> {
        let offered = unwrap(&context, challenge)?;
        let ours = self.options.layers.in_common(available(&context));
        let choice = layers::choose(&offered, ours)?;
        let (max_frame, authzid_text) = (self.options.max_frame, &self.options.authzid);
        let answer = layers::answer(choice.layer, max_frame, authzid_text);
        let response = context.wrap(false, &answer).map_err(SaslError::Message)?;
        let mut established = Established::new(context, choice.layer, authzid(&self.options));
        established.max_sent_frame = choice.max_sent_frame;
        established.max_frame = max_frame;
        Ok(ClientStep::Done {
            response,
            established,
        })
    }
}

fn authzid(options: &Options) -> Option<String> {
    (!options.authzid.is_empty()).then(|| options.authzid.clone())
}

impl ClientStep {
    /// RFC 5801 §4: the header in the place of the first token's frame.
    fn with_header(mut self, header: &Header) -> Result<Self, SaslError> {
        let (Self::Respond { response, .. } | Self::Done { response, .. }) = &mut self;
        let inner = framing::unframe(Oid::KRB5, response).map_err(|_| HeaderError::Malformed)?;
        *response = [header.write().as_bytes(), inner].concat();
        Ok(self)
    }
}

impl std::fmt::Debug for ClientExchange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientExchange")
            .field("mechanism", &self.mechanism)
            .finish_non_exhaustive()
    }
}
