//! The state of a negotiation that waits, as one table of fields: for a process that finishes what another began.
//!
//! The inner mechanism's own state is a field of it, whether that waits too or has a context already whose MICs are still to be
//! exchanged. What the process has of its own does not travel: the choices of an acceptor that was not offered anything yet.

use gss_core::error::Error as GssError;
use gss_core::flags::Flags;
use gss_core::mechanism::{
    Dormant, DormantHandshake, HalfOpen, Handshake, Redeemed, Restore, Resume, SecurityContext,
};
use gss_core::oid::Oid;
use wire::der::Value;
use wire::fields::{FieldReader, FieldWriter};
use zeroize::Zeroizing;

use crate::accept::{self, Acceptor, Exchange};
use crate::error::{Error, Malformed};
use crate::initiate;
use crate::list::MechList;
use crate::messages::MechTypeList;

const VERSION: u8 = 1;

const WAITS_FOR: u8 = 1;
const LIST: u8 = 2;
const MECHANISM: u8 = 3;
const REQUIRED: u8 = 4;
const INNER: u8 = 5;

/// What a negotiation waits for, on which side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Waits {
    /// An acceptor that gave a hint: the initiator's list.
    Init = 1,
    /// An acceptor: the mechanism's next token.
    MechToken = 2,
    /// An acceptor with a context: the initiator's MIC.
    Mic = 3,
    /// An initiator: the acceptor's choice, and the next token of a mechanism that it began.
    Choice = 4,
    /// An initiator with a context: the acceptor's choice.
    ChoiceAlone = 5,
    /// An initiator: the mechanism's next token.
    Reply = 6,
    /// An initiator with a context that has sent no MIC: the acceptor's last word.
    Completed = 7,
    /// An initiator with a context that has sent its MIC: the acceptor's.
    ReplyMic = 8,
}

impl Waits {
    const ALL: [Self; 8] = [
        Self::Init,
        Self::MechToken,
        Self::Mic,
        Self::Choice,
        Self::ChoiceAlone,
        Self::Reply,
        Self::Completed,
        Self::ReplyMic,
    ];

    fn read(fields: &mut FieldReader<'_>) -> Result<Self, Malformed> {
        let number = fields.number(WAITS_FOR)?;
        let mut all = Self::ALL.into_iter();
        all.find(|waits| *waits as u64 == number)
            .ok_or(Malformed::StateValue(WAITS_FOR))
    }
}

/// The mechanism under a negotiation.
pub(crate) enum Inner<'a> {
    Waits(&'a dyn HalfOpen),
    Established(&'a dyn SecurityContext),
}

impl<'a> Inner<'a> {
    /// Of a mechanism that waits, if another process can finish it.
    pub(crate) fn waiting(next: &'a dyn Handshake) -> Option<Self> {
        next.half_open().map(Self::Waits)
    }

    /// Of an established context, if it can be transferred.
    pub(crate) fn established(context: &'a dyn SecurityContext) -> Option<Self> {
        let transferable = context.facts().flags.contains(Flags::TRANS);
        transferable.then_some(Self::Established(context))
    }

    fn save(&self) -> Result<Zeroizing<Vec<u8>>, GssError> {
        match self {
            Self::Waits(next) => next.save(),
            Self::Established(context) => context.save(),
        }
    }
}

/// All that a negotiation has to keep.
pub(crate) struct Saved<'a> {
    pub(crate) waits: Waits,
    pub(crate) list: &'a MechList,
    pub(crate) oid: Oid,
    pub(crate) required: bool,
    pub(crate) inner: Inner<'a>,
}

impl Saved<'_> {
    /// Written into a vector that never grows, because one that does leaves key bytes behind.
    pub(crate) fn write(&self) -> Result<Zeroizing<Vec<u8>>, GssError> {
        let inner = self.inner.save()?;
        let (list, oid) = (self.list.content(), self.oid.bytes());
        let room = 1 + usize::from(INNER) * (1 + 4 + 8) + list.len() + oid.len() + inner.len();
        let mut out = Zeroizing::new(Vec::with_capacity(room));
        let room = out.capacity();
        FieldWriter::new(&mut out, VERSION)
            .number(WAITS_FOR, self.waits as u64)
            .bytes(LIST, list)
            .bytes(MECHANISM, oid)
            .number(REQUIRED, u64::from(self.required))
            .bytes(INNER, &inner);
        debug_assert_eq!(out.capacity(), room, "the state grew");
        Ok(out)
    }
}

/// A state that another process can finish, where its mechanism can be.
pub(crate) trait Saves: HalfOpen {
    fn saves(&self) -> Option<Saved<'_>>;
}

pub(crate) fn offer<T: Saves>(state: &T) -> Option<&dyn HalfOpen> {
    state.saves().is_some().then_some(state)
}

/// [`HalfOpen`] of states that [`Saves`] says all of.
macro_rules! offered_by {
    ($($state:ty),+) => {$(
        impl gss_core::mechanism::HalfOpen for $state {
            fn mechanism(&self) -> gss_core::oid::Oid {
                gss_core::oid::Oid::SPNEGO
            }

            fn save(&self) -> Result<zeroize::Zeroizing<Vec<u8>>, gss_core::error::Error> {
                let saved = $crate::half_open::Saves::saves(self);
                let saved = saved.ok_or($crate::Error::from($crate::Local::NotTransferable))?;
                saved.write()
            }
        }
    )+};
}
pub(crate) use offered_by;

/// The state of an acceptor that gave a hint, and knows nothing yet.
pub(crate) fn write_hinted() -> Zeroizing<Vec<u8>> {
    let mut out = Zeroizing::new(Vec::with_capacity(16));
    FieldWriter::new(&mut out, VERSION).number(WAITS_FOR, Waits::Init as u64);
    out
}

/// What reads the state of one inner mechanism.
pub struct Reader {
    /// Of a handshake that waits, on the side that goes on.
    pub handshake: Box<dyn Resume>,
    /// Of a context whose MICs are still to be exchanged.
    pub context: Box<dyn Restore>,
}

/// Goes on with what another acceptor began.
pub struct AcceptorResume {
    acceptor: Acceptor,
    readers: Vec<Reader>,
}

impl AcceptorResume {
    /// `acceptor` goes on where nothing was chosen yet, and `readers` with what was.
    pub const fn new(acceptor: Acceptor, readers: Vec<Reader>) -> Self {
        Self { acceptor, readers }
    }
}

impl Resume for AcceptorResume {
    fn oid(&self) -> Oid {
        Oid::SPNEGO
    }

    fn resume(self: Box<Self>, state: &[u8]) -> Result<Box<dyn DormantHandshake>, GssError> {
        let state = State::read(state).map_err(Error::from)?;
        let asleep = match (state.waits, state.agreed) {
            (Waits::Init, None) => Accepting::Hinted(self.acceptor),
            (Waits::MechToken, Some(agreed)) => {
                let (exchange, reader) = agreed.find(self.readers)?;
                Accepting::MechToken(exchange, reader.handshake.resume(agreed.inner)?)
            }
            (Waits::Mic, Some(agreed)) => {
                let (exchange, reader) = agreed.find(self.readers)?;
                Accepting::Mic(exchange, reader.context.restore(agreed.inner)?)
            }
            _ => return Err(other_side()),
        };
        Ok(Box::new(asleep))
    }
}

/// Goes on with what another initiator began.
pub struct InitiatorResume {
    readers: Vec<Reader>,
}

impl InitiatorResume {
    /// `readers` go on with the mechanism that was begun.
    pub const fn new(readers: Vec<Reader>) -> Self {
        Self { readers }
    }
}

impl Resume for InitiatorResume {
    fn oid(&self) -> Oid {
        Oid::SPNEGO
    }

    fn resume(self: Box<Self>, state: &[u8]) -> Result<Box<dyn DormantHandshake>, GssError> {
        let state = State::read(state).map_err(Error::from)?;
        let Some(agreed) = state.agreed else {
            return Err(other_side());
        };
        let ((list, oid, required), reader) = agreed.find(self.readers)?;
        let exchange = initiate::Exchange::new(list, oid, required);
        let asleep = match state.waits {
            Waits::Choice => Initiating::Choice(exchange, reader.handshake.resume(agreed.inner)?),
            Waits::Reply => Initiating::Reply(exchange, reader.handshake.resume(agreed.inner)?),
            Waits::ChoiceAlone | Waits::Completed | Waits::ReplyMic => {
                Initiating::Context(state.waits, exchange, reader.context.restore(agreed.inner)?)
            }
            Waits::Init | Waits::MechToken | Waits::Mic => return Err(other_side()),
        };
        Ok(Box::new(asleep))
    }
}

fn other_side() -> GssError {
    Error::from(Malformed::StateValue(WAITS_FOR)).into()
}

type Parts = (MechList, Oid, bool);

/// A state that was read.
struct State<'a> {
    waits: Waits,
    /// `None` in an acceptor that gave a hint.
    agreed: Option<Agreed<'a>>,
}

struct Agreed<'a> {
    list: MechTypeList<'a>,
    oid: &'a [u8],
    required: bool,
    inner: &'a [u8],
}

impl<'a> State<'a> {
    fn read(state: &'a [u8]) -> Result<Self, Malformed> {
        let mut fields = FieldReader::new(state, VERSION)?;
        let waits = Waits::read(&mut fields)?;
        let agreed = match waits {
            Waits::Init => None,
            _ => Some(Agreed {
                list: MechTypeList::decode_content(fields.bytes(LIST)?)?,
                oid: fields.bytes(MECHANISM)?,
                required: match fields.number(REQUIRED)? {
                    0 => false,
                    1 => true,
                    _ => return Err(Malformed::StateValue(REQUIRED)),
                },
                inner: fields.bytes(INNER)?,
            }),
        };
        fields.finish()?;
        Ok(Self { waits, agreed })
    }
}

impl Agreed<'_> {
    /// What reads the mechanism's own state.
    fn find(&self, readers: Vec<Reader>) -> Result<(Parts, Reader), GssError> {
        let mut readers = readers.into_iter();
        let reader = readers
            .find(|reader| reader.handshake.oid().bytes() == self.oid)
            .ok_or(Error::from(Malformed::StateValue(MECHANISM)))?;
        let oid = reader.handshake.oid();
        Ok(((MechList::received(self.list), oid, self.required), reader))
    }
}

/// An acceptor that nobody may continue before its token is redeemed.
enum Accepting {
    Hinted(Acceptor),
    MechToken(Parts, Box<dyn DormantHandshake>),
    Mic(Parts, Box<dyn Dormant>),
}

impl DormantHandshake for Accepting {
    fn wake(self: Box<Self>, redeemed: Redeemed) -> Box<dyn Handshake> {
        let exchange = |(list, oid, required)| Exchange {
            list,
            oid,
            required,
        };
        match *self {
            Self::Hinted(acceptor) => Box::new(accept::ExpectInit(acceptor)),
            Self::MechToken(parts, next) => Box::new(accept::ExpectMechToken {
                exchange: exchange(parts),
                next: next.wake(redeemed),
            }),
            Self::Mic(parts, context) => Box::new(accept::ExpectMic {
                exchange: exchange(parts),
                context: context.wake(redeemed),
            }),
        }
    }
}

/// The same for an initiator.
enum Initiating {
    Choice(initiate::Exchange, Box<dyn DormantHandshake>),
    Reply(initiate::Exchange, Box<dyn DormantHandshake>),
    Context(Waits, initiate::Exchange, Box<dyn Dormant>),
}

impl DormantHandshake for Initiating {
    fn wake(self: Box<Self>, redeemed: Redeemed) -> Box<dyn Handshake> {
        use initiate::Inner;
        match *self {
            Self::Choice(exchange, next) => exchange.offered(Inner::Waits(next.wake(redeemed))),
            Self::Reply(exchange, next) => Box::new(initiate::ExpectMechToken {
                exchange,
                next: next.wake(redeemed),
            }),
            Self::Context(waits, exchange, context) => {
                let context = context.wake(redeemed);
                match waits {
                    Waits::ChoiceAlone => exchange.offered(Inner::Established(context)),
                    Waits::ReplyMic => Box::new(initiate::ExpectMic { exchange, context }),
                    _ => Box::new(initiate::ExpectCompleted { exchange, context }),
                }
            }
        }
    }
}
