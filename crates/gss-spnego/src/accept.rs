//! The acceptor's side: it chooses of the initiator's list.

use gss_core::error::Error as GssError;
use gss_core::framing;
use gss_core::host::Host;
use gss_core::mechanism::{Failure, HalfOpen, Handshake, SecurityContext, Step};
use gss_core::oid::Oid;
use wire::der::Extensions;
use zeroize::Zeroizing;

use crate::error::{Error, Local, PeerMisbehaved};
use crate::half_open::{self, Inner, Saved, Saves, Waits};
use crate::list::{MechList, no_mech_token, protects, read_resp, resp};
use crate::messages::{
    HINT_NAME, MechType, MechTypeList, NegHints, NegState, NegTokenInit2, NegTokenResp,
    NegotiationToken,
};

/// A mechanism that an acceptor has credentials for.
pub trait Choice: Send {
    /// Which mechanism it is.
    fn oid(&self) -> Oid;

    /// Waits for the mechanism's first token.
    fn accept(self: Box<Self>) -> Result<Box<dyn Handshake>, GssError>;
}

/// An acceptor that waits for the initiator's list. An empty token in its place asks for a hint at what is there, for the
/// protocols in which the acceptor speaks first (MS-SPNG §3.2.5.2).
pub struct Acceptor {
    choices: Vec<Box<dyn Choice>>,
    by: Preference,
}

/// Whose order decides (RFC 4178 §3.1).
#[derive(Clone, Copy)]
enum Preference {
    Initiators,
    Ours,
}

impl Acceptor {
    /// Chooses the first of the initiator's mechanisms that is among these.
    pub const fn new(choices: Vec<Box<dyn Choice>>) -> Self {
        Self {
            choices,
            by: Preference::Initiators,
        }
    }

    /// The same, but chooses the first of these that is among the initiator's. It requests MICs unless both have the same
    /// favourite, so it notices by itself if somebody took the favourite out of the list; otherwise the initiator does.
    #[must_use]
    pub const fn by_own_preference(mut self) -> Self {
        self.by = Preference::Ours;
        self
    }

    fn hint(self) -> Result<Step, Failure> {
        if self.choices.is_empty() {
            return Err(Error::from(Local::NoMechanism).into());
        }
        let oids: Vec<Oid> = self.choices.iter().map(|choice| choice.oid()).collect();
        let list = MechList::of(&oids);
        let init = NegotiationToken::Init2(NegTokenInit2 {
            mech_types: Some(list.as_types()),
            req_flags: None,
            mech_token: None,
            neg_hints: Some(NegHints {
                hint_name: Some(HINT_NAME),
                hint_address: None,
                extensions: Extensions::NONE,
            }),
            mech_list_mic: None,
            extensions: Extensions::NONE,
        });
        Ok(Step::Continue {
            token: framing::frame(Oid::SPNEGO, &init.encode()),
            next: Box::new(ExpectInit(self)),
        })
    }

    /// The first answer (RFC 4178 §3.2 c).
    fn accept(self, init: &Init<'_>, host: &Host<'_>) -> Result<Step, Failure> {
        let Chosen {
            mech,
            choice,
            is_first,
            required,
        } = self.choose(init.mech_types)?;
        let exchange = Exchange {
            list: MechList::received(init.mech_types),
            oid: choice.oid(),
            required,
        };
        let next = choice.accept()?;
        // Of another mechanism are its token and its MIC, if the favourite was not chosen.
        let token = init.mech_token.filter(|_| is_first);
        let mic = init.mech_list_mic.filter(|_| is_first);
        match token {
            None if mic.is_some() => Err(PeerMisbehaved::MicNotExpected.into()),
            None => Ok(exchange.wait(Some(mech), None, next)),
            Some(token) => exchange.go_on(Some(mech), next, token, mic, host),
        }
    }

    fn choose<'t>(self, list: MechTypeList<'t>) -> Result<Chosen<'t>, Error> {
        let offered: Vec<MechType<'t>> = list.iter().collect();
        if offered.is_empty() {
            return Err(PeerMisbehaved::NoMechTypes.into());
        }
        let place = |oid: Oid| offered.iter().position(|mech| mech.means(oid));
        let common = self.choices.into_iter().enumerate();
        let mut common =
            common.filter_map(|(ours, choice)| Some((ours, place(choice.oid())?, choice)));
        let found = match self.by {
            Preference::Ours => common.next(),
            Preference::Initiators => common.min_by_key(|(_, theirs, _)| *theirs),
        };
        let (ours, theirs, choice) = found.ok_or(Error::NoCommonMechanism)?;
        let favourite = match self.by {
            Preference::Ours => ours == 0,
            Preference::Initiators => true,
        };
        Ok(Chosen {
            mech: offered[theirs],
            choice,
            is_first: theirs == 0,
            required: theirs != 0 || !favourite,
        })
    }
}

/// What an acceptor chose.
struct Chosen<'t> {
    /// As the initiator spelled it, which is how it is answered (MS-SPNG §3.2.5).
    mech: MechType<'t>,
    choice: Box<dyn Choice>,
    /// The initiator's favourite, whose token is the optimistic one.
    is_first: bool,
    /// Whether MICs must be exchanged.
    required: bool,
}

impl Handshake for Acceptor {
    fn step(self: Box<Self>, token: &[u8], host: &Host<'_>) -> Result<Step, Failure> {
        if token.is_empty() {
            return self.hint();
        }
        Box::new(ExpectInit(*self)).step(token, host)
    }
}

/// The initiator's list is awaited, and no further hint is given.
pub(crate) struct ExpectInit(pub(crate) Acceptor);

impl Handshake for ExpectInit {
    /// What is not in SPNEGO's frame gets no answer.
    fn step(self: Box<Self>, token: &[u8], host: &Host<'_>) -> Result<Step, Failure> {
        let inner = framing::unframe(Oid::SPNEGO, token).map_err(Error::from)?;
        let init = Init::read(inner).map_err(Failure::from);
        init.and_then(|init| self.0.accept(&init, host))
            .map_err(reject)
    }

    fn half_open(&self) -> Option<&dyn HalfOpen> {
        Some(self)
    }
}

impl HalfOpen for ExpectInit {
    fn mechanism(&self) -> Oid {
        Oid::SPNEGO
    }

    fn save(&self) -> Result<Zeroizing<Vec<u8>>, GssError> {
        Ok(half_open::write_hinted())
    }
}

/// The first message, in either form.
struct Init<'t> {
    mech_types: MechTypeList<'t>,
    mech_token: Option<&'t [u8]>,
    mech_list_mic: Option<&'t [u8]>,
}

impl<'t> Init<'t> {
    fn read(token: &'t [u8]) -> Result<Self, Error> {
        match NegotiationToken::decode(token)? {
            NegotiationToken::Init(init) => Ok(Self {
                mech_types: init.mech_types,
                mech_token: init.mech_token,
                mech_list_mic: init.mech_list_mic,
            }),
            // "The server SHOULD ignore the negHints field" (MS-SPNG §3.2.5).
            NegotiationToken::Init2(init) => Ok(Self {
                mech_types: init.mech_types.ok_or(PeerMisbehaved::NoMechTypes)?,
                mech_token: init.mech_token,
                mech_list_mic: init.mech_list_mic,
            }),
            NegotiationToken::Resp(_) => Err(PeerMisbehaved::RespNotExpected.into()),
        }
    }
}

/// Tells the peer, with the mechanism's own token where it has one.
fn reject(failure: Failure) -> Failure {
    let told = failure.error.cause() == Some(&Error::PeerRefused);
    let token = (!told).then(|| resp(NegState::Reject, None, failure.token.as_deref(), None));
    Failure { token, ..failure }
}

/// The mechanism is chosen.
pub(crate) struct Exchange {
    pub(crate) list: MechList,
    pub(crate) oid: Oid,
    /// Whether MICs must be exchanged if the mechanism can.
    pub(crate) required: bool,
}

impl Exchange {
    /// The mechanism has not finished; `first` is its name, in the first answer.
    fn wait(
        self,
        first: Option<MechType<'_>>,
        token: Option<&[u8]>,
        next: Box<dyn Handshake>,
    ) -> Step {
        let state = match first {
            Some(_) if self.required => NegState::RequestMic,
            _ => NegState::AcceptIncomplete,
        };
        Step::Continue {
            token: resp(state, first, token, None),
            next: Box::new(ExpectMechToken {
                exchange: self,
                next,
            }),
        }
    }

    fn go_on(
        self,
        first: Option<MechType<'_>>,
        next: Box<dyn Handshake>,
        token: &[u8],
        mic: Option<&[u8]>,
        host: &Host<'_>,
    ) -> Result<Step, Failure> {
        match (next.step(token, host)?, mic) {
            (Step::Continue { .. }, Some(_)) => Err(PeerMisbehaved::MicNotExpected.into()),
            (Step::Continue { token, next }, None) => Ok(self.wait(first, Some(&token), next)),
            (Step::Done { token, context }, Some(mic)) => self.answer(first, token, context, mic),
            (Step::Done { token, context }, None) => self.established(first, token, context),
        }
    }

    /// The initiator sent its MIC with the mechanism's last token: ours is the answer (RFC 4178 §5 c I).
    fn answer(
        self,
        first: Option<MechType<'_>>,
        token: Option<Vec<u8>>,
        context: Box<dyn SecurityContext>,
        mic: &[u8],
    ) -> Result<Step, Failure> {
        self.list.verify(&*context, mic)?;
        let mic = self.list.sign(&*context)?;
        Ok(done(first, token, Some(&mic), context))
    }

    /// The context is established on this side, and the initiator has sent no MIC.
    fn established(
        self,
        first: Option<MechType<'_>>,
        token: Option<Vec<u8>>,
        context: Box<dyn SecurityContext>,
    ) -> Result<Step, Failure> {
        if !self.required || !protects(&*context) {
            return Ok(done(first, token, None, context));
        }
        // It knows that it has to, and could have (RFC 4178 §5 c V), except in its first message (c IV).
        if first.is_none() && token.is_none() {
            return Err(PeerMisbehaved::MicMissing.into());
        }
        let state = match first {
            Some(_) => NegState::RequestMic,
            None => NegState::AcceptIncomplete,
        };
        let mic = self.list.sign(&*context)?;
        Ok(Step::Continue {
            token: resp(state, first, token.as_deref(), Some(&mic)),
            next: Box::new(ExpectMic {
                exchange: self,
                context,
            }),
        })
    }

    const fn saved<'a>(&'a self, waits: Waits, inner: Inner<'a>) -> Saved<'a> {
        Saved {
            waits,
            list: &self.list,
            oid: self.oid,
            required: self.required,
            inner,
        }
    }

    /// An answer of the initiator's.
    fn read<'t>(&self, token: &'t [u8]) -> Result<NegTokenResp<'t>, Error> {
        let resp = read_resp(token)?;
        match resp.neg_state {
            Some(NegState::Reject) => return Err(Error::PeerRefused),
            Some(NegState::RequestMic) => return Err(PeerMisbehaved::RequestMicLate.into()),
            None | Some(NegState::AcceptCompleted | NegState::AcceptIncomplete) => {}
        }
        // It is for the acceptor to name it, but naming the same does no harm.
        let same = |mech: MechType<'_>| mech.means(self.oid);
        if !resp.supported_mech.is_none_or(same) {
            return Err(PeerMisbehaved::MechChanged.into());
        }
        Ok(resp)
    }
}

fn done(
    first: Option<MechType<'_>>,
    token: Option<Vec<u8>>,
    mic: Option<&[u8]>,
    context: Box<dyn SecurityContext>,
) -> Step {
    Step::Done {
        token: Some(resp(
            NegState::AcceptCompleted,
            first,
            token.as_deref(),
            mic,
        )),
        context,
    }
}

/// The chosen mechanism waits for a token.
pub(crate) struct ExpectMechToken {
    pub(crate) exchange: Exchange,
    pub(crate) next: Box<dyn Handshake>,
}

impl ExpectMechToken {
    fn go_on(self, token: &[u8], host: &Host<'_>) -> Result<Step, Failure> {
        let resp = self.exchange.read(token)?;
        let token = resp.response_token.ok_or(PeerMisbehaved::NoMechToken)?;
        self.exchange
            .go_on(None, self.next, token, resp.mech_list_mic, host)
    }
}

impl Handshake for ExpectMechToken {
    fn step(self: Box<Self>, token: &[u8], host: &Host<'_>) -> Result<Step, Failure> {
        self.go_on(token, host).map_err(reject)
    }

    fn half_open(&self) -> Option<&dyn HalfOpen> {
        half_open::offer(self)
    }
}

impl Saves for ExpectMechToken {
    fn saves(&self) -> Option<Saved<'_>> {
        let inner = Inner::waiting(&*self.next)?;
        Some(self.exchange.saved(Waits::MechToken, inner))
    }
}

/// Our MIC is sent and the initiator's must come.
pub(crate) struct ExpectMic {
    pub(crate) exchange: Exchange,
    pub(crate) context: Box<dyn SecurityContext>,
}

impl ExpectMic {
    fn finish(self, token: &[u8]) -> Result<Step, Failure> {
        let resp = self.exchange.read(token)?;
        no_mech_token(&resp)?;
        let mic = resp.mech_list_mic.ok_or(PeerMisbehaved::MicMissing)?;
        self.exchange.list.verify(&*self.context, mic)?;
        if resp.neg_state == Some(NegState::AcceptIncomplete) {
            return Err(PeerMisbehaved::ExpectsMore.into());
        }
        Ok(Step::Done {
            token: None,
            context: self.context,
        })
    }
}

impl Handshake for ExpectMic {
    fn step(self: Box<Self>, token: &[u8], _: &Host<'_>) -> Result<Step, Failure> {
        self.finish(token).map_err(reject)
    }

    fn half_open(&self) -> Option<&dyn HalfOpen> {
        half_open::offer(self)
    }
}

impl Saves for ExpectMic {
    fn saves(&self) -> Option<Saved<'_>> {
        let inner = Inner::established(&*self.context)?;
        Some(self.exchange.saved(Waits::Mic, inner))
    }
}

half_open::offered_by!(ExpectMechToken, ExpectMic);
