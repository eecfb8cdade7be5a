//! The initiator's side: it offers a list, and goes on with what the acceptor chose of it.

use gss_core::framing;
use gss_core::host::Host;
use gss_core::mechanism::{Failure, HalfOpen, Handshake, SecurityContext, Step};
use gss_core::oid::Oid;
use wire::der::Extensions;

use crate::error::{Error, Local, PeerMisbehaved};
use crate::half_open::{self, Saved, Saves, Waits};
use crate::hint::Hint;
use crate::list::{MechList, no_mech_token, protects, read_resp, resp};
use crate::messages::{MechType, NegState, NegTokenInit, NegTokenResp, NegotiationToken};

/// A mechanism that an initiator has credentials for.
pub trait Offer: Send {
    /// Which mechanism it is.
    fn oid(&self) -> Oid;

    /// Begins a context. Integrity has to be asked for, if the mechanism wants to be asked (RFC 4178 §3).
    fn initiate(self: Box<Self>, host: &Host<'_>) -> Result<Step, Failure>;
}

/// An initiator that has not said anything yet.
pub struct Initiator {
    offers: Vec<Box<dyn Offer>>,
    optimistic: bool,
}

impl Initiator {
    /// Offers these, the favourite first.
    pub const fn new(offers: Vec<Box<dyn Offer>>) -> Self {
        Self {
            offers,
            optimistic: true,
        }
    }

    /// The same, with a first message that does not guess the acceptor's choice: one more round, for a mechanism whose first
    /// token costs too much to be sent in vain (RFC 4178 §3.1).
    #[must_use]
    pub const fn without_optimistic_token(mut self) -> Self {
        self.optimistic = false;
        self
    }

    /// The same, for an acceptor that has spoken first: the favourite's token is left out where it does not have that mechanism.
    #[must_use]
    pub fn hinted(mut self, hint: &Hint) -> Self {
        let favourite = self.offers.first();
        self.optimistic &= favourite.is_none_or(|offer| hint.has(offer.oid()));
        self
    }

    /// The first message, with the favourite's first token. A mechanism that cannot begin is not offered (RFC 4178 §3.1).
    pub fn start(self, host: &Host<'_>) -> Result<Step, Failure> {
        if self.offers.iter().any(|offer| offer.oid() == Oid::SPNEGO) {
            return Err(Error::from(Local::Spnego).into());
        }
        let mut offers = self.offers.into_iter();
        if !self.optimistic {
            let first = offers.next().ok_or(Error::from(Local::NoMechanism))?;
            return Ok(offer(First::NotBegun(first), offers.collect(), None));
        }
        let (oid, step) = begin(&mut offers, host)?;
        let (token, inner) = match step {
            Step::Continue { token, next } => (Some(token), Inner::Waits(next)),
            Step::Done { token, context } => (token, Inner::Established(context)),
        };
        Ok(offer(First::Begun { oid, inner }, offers.collect(), token))
    }
}

/// The first of `offers` that begins; if none does, why the favourite does not.
fn begin(
    offers: &mut impl Iterator<Item = Box<dyn Offer>>,
    host: &Host<'_>,
) -> Result<(Oid, Step), Failure> {
    let mut reason = None;
    for offer in offers {
        let oid = offer.oid();
        match offer.initiate(host) {
            Ok(step) => return Ok((oid, step)),
            Err(failure) => {
                reason.get_or_insert(failure);
            }
        }
    }
    Err(reason.unwrap_or_else(|| Error::from(Local::NoMechanism).into()))
}

/// The first message (RFC 4178 §4.2.1), without the flags, which nothing protects.
fn offer(first: First, others: Vec<Box<dyn Offer>>, mech_token: Option<Vec<u8>>) -> Step {
    let oids = std::iter::once(first.oid()).chain(others.iter().map(|offer| offer.oid()));
    let list = MechList::of(&oids.collect::<Vec<_>>());
    let init = NegotiationToken::Init(NegTokenInit {
        mech_types: list.as_types(),
        req_flags: None,
        mech_token: mech_token.as_deref(),
        mech_list_mic: None,
        extensions: Extensions::NONE,
    });
    Step::Continue {
        token: framing::frame(Oid::SPNEGO, &init.encode()),
        next: Box::new(ExpectFirstResp {
            list,
            first,
            others,
        }),
    }
}

/// The favourite.
enum First {
    Begun { oid: Oid, inner: Inner },
    NotBegun(Box<dyn Offer>),
}

impl First {
    fn oid(&self) -> Oid {
        match self {
            Self::Begun { oid, .. } => *oid,
            Self::NotBegun(offer) => offer.oid(),
        }
    }
}

/// Where the chosen mechanism stands.
pub(crate) enum Inner {
    Waits(Box<dyn Handshake>),
    Established(Box<dyn SecurityContext>),
}

/// The list is sent; the acceptor's choice is awaited.
struct ExpectFirstResp {
    list: MechList,
    first: First,
    others: Vec<Box<dyn Offer>>,
}

/// An offer that has not begun needs its holder's credentials, and does not travel.
impl Saves for ExpectFirstResp {
    fn saves(&self) -> Option<Saved<'_>> {
        let First::Begun { oid, inner } = &self.first else {
            return None;
        };
        let (waits, inner) = match inner {
            Inner::Waits(next) => (Waits::Choice, half_open::Inner::waiting(&**next)?),
            Inner::Established(context) => {
                let inner = half_open::Inner::established(&**context)?;
                (Waits::ChoiceAlone, inner)
            }
        };
        self.others.is_empty().then_some(Saved {
            waits,
            list: &self.list,
            oid: *oid,
            required: false,
            inner,
        })
    }
}

impl Handshake for ExpectFirstResp {
    fn step(self: Box<Self>, token: &[u8], host: &Host<'_>) -> Result<Step, Failure> {
        let resp = read_resp(token)?;
        let Self {
            list,
            first,
            others,
        } = *self;
        match resp.neg_state {
            None => return Err(PeerMisbehaved::NoNegState.into()),
            Some(NegState::Reject) => return Err(rejected(first, &resp, host)),
            Some(_) => {}
        }
        let requested = resp.neg_state == Some(NegState::RequestMic);
        match (first, resp.supported_mech) {
            (First::NotBegun(_), None) => Err(PeerMisbehaved::NoSupportedMech.into()),
            // Without a name it is the one whose token was sent.
            (First::Begun { oid, inner }, mech) if mech.is_none_or(|mech| mech.means(oid)) => {
                Exchange::new(list, oid, requested).go_on(inner, &resp, host)
            }
            (First::NotBegun(offer), Some(mech)) if mech.means(offer.oid()) => {
                Exchange::new(list, offer.oid(), requested).begin(offer, &resp, host)
            }
            // The optimistic token was in vain. MICs must follow, also where Windows 2003 does not request them.
            (_, mech) => {
                let mut others = others.into_iter();
                let offer = others.find(|offer| mech.is_some_and(|mech| mech.means(offer.oid())));
                let offer = offer.ok_or(PeerMisbehaved::MechNotOffered)?;
                Exchange::new(list, offer.oid(), true).begin(offer, &resp, host)
            }
        }
    }

    fn half_open(&self) -> Option<&dyn HalfOpen> {
        half_open::offer(self)
    }
}

/// What a `reject` means: the mechanism knows best, if there is a token for it.
fn rejected(first: First, resp: &NegTokenResp<'_>, host: &Host<'_>) -> Failure {
    match first {
        First::Begun {
            inner: Inner::Waits(next),
            ..
        } => reason(next, resp, host),
        First::Begun { .. } | First::NotBegun(_) => Error::PeerRefused.into(),
    }
}

fn reason(next: Box<dyn Handshake>, resp: &NegTokenResp<'_>, host: &Host<'_>) -> Failure {
    let failed = resp
        .response_token
        .and_then(|token| next.step(token, host).err());
    match failed {
        Some(failure) => failure.error.into(),
        None => Error::PeerRefused.into(),
    }
}

/// What the mechanism has to tell its peer travels in a reject.
fn tell(failure: Failure) -> Failure {
    let token = failure
        .token
        .map(|token| resp(NegState::Reject, None, Some(&token), None));
    Failure { token, ..failure }
}

/// The mechanism is chosen.
pub(crate) struct Exchange {
    list: MechList,
    oid: Oid,
    /// Whether MICs must be exchanged if the mechanism can.
    required: bool,
}

impl Exchange {
    /// Back to the list that was sent, with what was begun.
    pub(crate) fn offered(self, inner: Inner) -> Box<dyn Handshake> {
        let Self { list, oid, .. } = self;
        Box::new(ExpectFirstResp {
            list,
            first: First::Begun { oid, inner },
            others: Vec::new(),
        })
    }

    const fn saved<'a>(&'a self, waits: Waits, inner: half_open::Inner<'a>) -> Saved<'a> {
        Saved {
            waits,
            list: &self.list,
            oid: self.oid,
            required: self.required,
            inner,
        }
    }

    pub(crate) const fn new(list: MechList, oid: Oid, required: bool) -> Self {
        Self {
            list,
            oid,
            required,
        }
    }

    /// The acceptor chose a mechanism that has not begun, so it cannot have a token for it, let alone be done.
    fn begin(
        self,
        offer: Box<dyn Offer>,
        resp: &NegTokenResp<'_>,
        host: &Host<'_>,
    ) -> Result<Step, Failure> {
        no_mech_token(resp)?;
        if resp.mech_list_mic.is_some() {
            return Err(PeerMisbehaved::MicNotExpected.into());
        }
        match offer.initiate(host).map_err(tell)? {
            Step::Continue { token, next } => self.wait(&token, next, resp),
            Step::Done { token, context } => self.established(token, context, resp),
        }
    }

    fn go_on(
        self,
        inner: Inner,
        resp: &NegTokenResp<'_>,
        host: &Host<'_>,
    ) -> Result<Step, Failure> {
        match inner {
            Inner::Established(context) => {
                no_mech_token(resp)?;
                self.established(None, context, resp)
            }
            Inner::Waits(next) => {
                let token = resp.response_token.ok_or(PeerMisbehaved::NoMechToken)?;
                match next.step(token, host).map_err(tell)? {
                    Step::Continue { token, next } => self.wait(&token, next, resp),
                    Step::Done { token, context } => self.established(token, context, resp),
                }
            }
        }
    }

    /// Sends `token` of a mechanism that has not finished.
    fn wait(
        self,
        token: &[u8],
        next: Box<dyn Handshake>,
        said: &NegTokenResp<'_>,
    ) -> Result<Step, Failure> {
        if said.mech_list_mic.is_some() {
            return Err(PeerMisbehaved::MicNotExpected.into());
        }
        goes_on(said)?;
        Ok(Step::Continue {
            token: resp(NegState::AcceptIncomplete, None, Some(token), None),
            next: Box::new(ExpectMechToken {
                exchange: self,
                next,
            }),
        })
    }

    /// The context is established on this side; `token` is the mechanism's last, if it is ours.
    fn established(
        self,
        token: Option<Vec<u8>>,
        context: Box<dyn SecurityContext>,
        said: &NegTokenResp<'_>,
    ) -> Result<Step, Failure> {
        match token {
            Some(token) => self.last_token(&token, context, said),
            None => self.finish(context, said),
        }
    }

    /// We send the mechanism's last token, and the first MIC where one must be sent (RFC 4178 §5 c).
    fn last_token(
        self,
        token: &[u8],
        context: Box<dyn SecurityContext>,
        said: &NegTokenResp<'_>,
    ) -> Result<Step, Failure> {
        if said.mech_list_mic.is_some() {
            return Err(PeerMisbehaved::MicNotExpected.into());
        }
        goes_on(said)?;
        let signs = self.required && protects(&*context);
        let mic = signs.then(|| self.list.sign(&*context)).transpose()?;
        let token = resp(
            NegState::AcceptIncomplete,
            None,
            Some(token),
            mic.as_deref(),
        );
        let next: Box<dyn Handshake> = if signs {
            Box::new(ExpectMic {
                exchange: self,
                context,
            })
        } else {
            Box::new(ExpectCompleted {
                exchange: self,
                context,
            })
        };
        Ok(Step::Continue { token, next })
    }

    /// The mechanism has no more tokens, and we have sent no MIC: the acceptor's is the first (RFC 4178 §5 b, and c IV).
    fn finish(
        self,
        context: Box<dyn SecurityContext>,
        said: &NegTokenResp<'_>,
    ) -> Result<Step, Failure> {
        match said.mech_list_mic {
            Some(mic) => {
                self.list.verify(&*context, mic)?;
                let token = match said.neg_state {
                    // It does not ask for ours.
                    Some(NegState::AcceptCompleted) => None,
                    _ => {
                        let mic = self.list.sign(&*context)?;
                        Some(resp(NegState::AcceptCompleted, None, None, Some(&mic)))
                    }
                };
                Ok(Step::Done { token, context })
            }
            None if self.required && protects(&*context) => Err(PeerMisbehaved::MicMissing.into()),
            None => {
                completed(said)?;
                Ok(Step::Done {
                    token: None,
                    context,
                })
            }
        }
    }

    /// An answer that is not the first.
    fn read<'t>(&self, token: &'t [u8]) -> Result<NegTokenResp<'t>, Error> {
        let resp = read_resp(token)?;
        if resp.neg_state == Some(NegState::RequestMic) {
            return Err(PeerMisbehaved::RequestMicLate.into());
        }
        // Some repeat it.
        let same = |mech: MechType<'_>| mech.means(self.oid);
        if !resp.supported_mech.is_none_or(same) {
            return Err(PeerMisbehaved::MechChanged.into());
        }
        Ok(resp)
    }
}

fn goes_on(said: &NegTokenResp<'_>) -> Result<(), PeerMisbehaved> {
    if said.neg_state == Some(NegState::AcceptCompleted) {
        return Err(PeerMisbehaved::CompletedEarly);
    }
    Ok(())
}

/// Without a state it is the mechanism's (RFC 4178 §4.2.2), which is done.
fn completed(said: &NegTokenResp<'_>) -> Result<(), PeerMisbehaved> {
    match said.neg_state {
        None | Some(NegState::AcceptCompleted) => Ok(()),
        Some(_) => Err(PeerMisbehaved::ExpectsMore),
    }
}

/// The chosen mechanism waits for its next token.
pub(crate) struct ExpectMechToken {
    pub(crate) exchange: Exchange,
    pub(crate) next: Box<dyn Handshake>,
}

impl Saves for ExpectMechToken {
    fn saves(&self) -> Option<Saved<'_>> {
        let inner = half_open::Inner::waiting(&*self.next)?;
        Some(self.exchange.saved(Waits::Reply, inner))
    }
}

impl Handshake for ExpectMechToken {
    fn step(self: Box<Self>, token: &[u8], host: &Host<'_>) -> Result<Step, Failure> {
        let resp = self.exchange.read(token)?;
        if resp.neg_state == Some(NegState::Reject) {
            return Err(reason(self.next, &resp, host));
        }
        self.exchange.go_on(Inner::Waits(self.next), &resp, host)
    }

    fn half_open(&self) -> Option<&dyn HalfOpen> {
        half_open::offer(self)
    }
}

/// The mechanism's last token is sent without a MIC; the acceptor may still begin an exchange of them.
pub(crate) struct ExpectCompleted {
    pub(crate) exchange: Exchange,
    pub(crate) context: Box<dyn SecurityContext>,
}

impl Saves for ExpectCompleted {
    fn saves(&self) -> Option<Saved<'_>> {
        let inner = half_open::Inner::established(&*self.context)?;
        Some(self.exchange.saved(Waits::Completed, inner))
    }
}

impl Handshake for ExpectCompleted {
    fn step(self: Box<Self>, token: &[u8], _: &Host<'_>) -> Result<Step, Failure> {
        let resp = self.exchange.read(token)?;
        last_words(&resp)?;
        Exchange {
            required: false,
            ..self.exchange
        }
        .finish(self.context, &resp)
    }

    fn half_open(&self) -> Option<&dyn HalfOpen> {
        half_open::offer(self)
    }
}

/// The mechanism's last token and our MIC are sent; the acceptor's MIC must come.
pub(crate) struct ExpectMic {
    pub(crate) exchange: Exchange,
    pub(crate) context: Box<dyn SecurityContext>,
}

impl Saves for ExpectMic {
    fn saves(&self) -> Option<Saved<'_>> {
        let inner = half_open::Inner::established(&*self.context)?;
        Some(self.exchange.saved(Waits::ReplyMic, inner))
    }
}

half_open::offered_by!(ExpectFirstResp, ExpectMechToken, ExpectCompleted, ExpectMic);

impl Handshake for ExpectMic {
    fn step(self: Box<Self>, token: &[u8], _: &Host<'_>) -> Result<Step, Failure> {
        let resp = self.exchange.read(token)?;
        last_words(&resp)?;
        let mic = resp.mech_list_mic.ok_or(PeerMisbehaved::MicMissing)?;
        self.exchange.list.verify(&*self.context, mic)?;
        completed(&resp)?;
        Ok(Step::Done {
            token: None,
            context: self.context,
        })
    }

    fn half_open(&self) -> Option<&dyn HalfOpen> {
        half_open::offer(self)
    }
}

/// An answer to a mechanism that is done.
fn last_words(resp: &NegTokenResp<'_>) -> Result<(), Error> {
    if resp.neg_state == Some(NegState::Reject) {
        return Err(Error::PeerRefused);
    }
    Ok(no_mech_token(resp)?)
}
