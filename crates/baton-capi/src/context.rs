//! Contexts: established in steps, inquired, deleted.

use std::sync::{Arc, Mutex, PoisonError, RwLock};

use baton::{Acceptor, Context, Error, Flags, Handshake, Initiator, Major, Oid, Step, Usage};

use crate::abi::{COMPLETE, CONTINUE_NEEDED, INDEFINITE, Int, OmUint32};
use crate::boundary::{Status, entry};
use crate::cred::{self, MECHANISMS};
use crate::handles::{Handle, Table};
use crate::name;
use crate::ptr::{HandleSlot, InBindings, InBuffer, InHandle, InOid, OidPointer, Out, OutBuffer};
use crate::symbols::descriptor;

/// A context of a program's, in whatever state it is.
pub(crate) struct ContextObject {
    initiating: bool,
    state: RwLock<State>,
}

pub(crate) enum State {
    /// A handshake that waits for the peer's token.
    /// The lock is for the compiler: a handshake is no thread's alone, and never used by two.
    Waiting(Mutex<Box<Handshake>>),
    Open(Context),
    /// A handshake that failed, or that a panic ended: the handle can be deleted, and nothing else.
    Dead,
}

static CONTEXTS: Table<ContextObject> = Table::new(3);

/// The object of a handle that a caller passes.
fn object(handle: InHandle) -> Result<Arc<ContextObject>, Status> {
    let handle = handle.get();
    let handle = handle.ok_or(Status::INACCESSIBLE_READ.with(Major::NoContext))?;
    CONTEXTS.get(handle).ok_or(Major::NoContext.into())
}

/// That a caller passes a context at all: what MIT's library looks at before anything else.
pub(crate) fn required(handle: InHandle) -> Result<(), Status> {
    let there = handle.get().map(|_| ());
    there.ok_or(Status::INACCESSIBLE_READ.with(Major::NoContext))
}

/// Does something with an established context. Others may use it at the same time.
pub(crate) fn with_open<T>(
    handle: InHandle,
    call: impl FnOnce(&Context) -> Result<T, Error>,
) -> Result<T, Status> {
    let object = object(handle)?;
    let state = object.state.read().unwrap_or_else(PoisonError::into_inner);
    match &*state {
        State::Open(context) => Ok(call(context)?),
        State::Waiting(_) | State::Dead => Err(Major::NoContext.into()),
    }
}

/// A handle for an established context.
pub(crate) fn insert_open(context: Context, initiating: bool) -> Result<Handle, Status> {
    insert(State::Open(context), initiating)
}

fn insert(state: State, initiating: bool) -> Result<Handle, Status> {
    let object = ContextObject {
        initiating,
        state: RwLock::new(state),
    };
    CONTEXTS.insert(object).ok_or(Status::NO_MEMORY)
}

/// Takes an established context out of its handle; a context that comes back goes in again, and the handle stays.
pub(crate) fn take_open<T>(
    slot: HandleSlot,
    call: impl FnOnce(Context) -> Result<T, (Option<Context>, Status)>,
) -> Result<T, Status> {
    let handle = slot.get();
    let handle = handle.ok_or(Status::INACCESSIBLE_READ.with(Major::NoContext))?;
    let object = CONTEXTS.get(handle).ok_or(Status::from(Major::NoContext))?;
    let mut state = object.state.write().unwrap_or_else(PoisonError::into_inner);
    match std::mem::replace(&mut *state, State::Dead) {
        State::Open(context) => match call(context) {
            Ok(done) => {
                CONTEXTS.remove(handle);
                slot.set(None);
                Ok(done)
            }
            Err((back, status)) => {
                *state = back.map_or(State::Dead, State::Open);
                Err(status)
            }
        },
        other => {
            *state = other;
            Err(Major::NoContext.into())
        }
    }
}

/// What a step gives, for C.
struct Stepped {
    token: Option<Vec<u8>>,
    state: State,
}

impl From<Step> for Stepped {
    fn from(step: Step) -> Self {
        match step {
            Step::Continue { token, next } => Self {
                token: Some(token),
                state: State::Waiting(Mutex::new(Box::new(next))),
            },
            Step::Done { token, context, .. } => Self {
                token,
                state: State::Open(context),
            },
        }
    }
}

/// A further step of the handshake in `slot`, whose side is `initiating`. If it fails the handle is dead.
fn go_on(
    object: &ContextObject,
    initiating: bool,
    token: &[u8],
) -> Result<Stepped, baton::Failure> {
    let mut state = object.state.write().unwrap_or_else(PoisonError::into_inner);
    if object.initiating != initiating {
        return Err(Error::new(Major::NoContext, WrongSide).into());
    }
    match std::mem::replace(&mut *state, State::Dead) {
        State::Waiting(next) => {
            let next = next.into_inner().unwrap_or_else(PoisonError::into_inner);
            next.step(token).map(Stepped::from)
        }
        other => {
            *state = other;
            Err(Error::new(Major::NoContext, NotWaiting).into())
        }
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the context was begun by the other of gss_init_sec_context and gss_accept_sec_context")]
struct WrongSide;

#[derive(Debug, thiserror::Error)]
#[error("the context is established already, or its handshake has failed")]
struct NotWaiting;

/// The outputs of both calls.
#[derive(Clone, Copy)]
struct Outputs {
    context: HandleSlot,
    token: OutBuffer,
    mechanism: Out<OidPointer>,
    flags: Out<OmUint32>,
    lifetime: Out<OmUint32>,
}

impl Outputs {
    fn clear(self) -> Result<(), Status> {
        self.token.required()?;
        self.mechanism.set(OidPointer::NONE);
        self.flags.set(0);
        self.lifetime.set(0);
        Ok(())
    }

    /// Everything that a step which went well sets, in one place.
    fn give(
        self,
        stepped: Stepped,
        known: Option<(Handle, &ContextObject)>,
        initiating: bool,
    ) -> Result<OmUint32, Status> {
        let status = match &stepped.state {
            State::Open(context) => {
                let facts = context.facts();
                self.mechanism.set(descriptor(facts.mechanism));
                self.flags.set(facts.flags.bits());
                self.lifetime.set(lifetime(context));
                COMPLETE
            }
            State::Waiting(_) | State::Dead => CONTINUE_NEEDED,
        };
        self.token
            .set(stepped.token.as_deref().unwrap_or_default())?;
        match known {
            Some((_, object)) => {
                let mut state = object.state.write().unwrap_or_else(PoisonError::into_inner);
                *state = stepped.state;
            }
            None => match insert(stepped.state, initiating) {
                Ok(handle) => self.context.set(Some(handle)),
                Err(error) => {
                    self.token.release();
                    return Err(error);
                }
            },
        }
        Ok(status)
    }
}

/// In seconds; 0 if it has expired.
fn lifetime(context: &Context) -> OmUint32 {
    let left = context.lifetime().unwrap_or_default();
    u32::try_from(left.as_secs()).unwrap_or(INDEFINITE)
}

entry! {
    /// `gss_init_sec_context` (RFC 2744 §5.19).
    fn gss_init_sec_context(minor, claimant: InHandle, context: HandleSlot, target: InHandle, mechanism: InOid, flags: OmUint32, _time: OmUint32, bindings: InBindings, input: InBuffer, actual: Out<OidPointer>, output: OutBuffer, granted: Out<OmUint32>, lifetime: Out<OmUint32>) {
        let context = context.required().map_err(|status| status.with(Major::NoContext))?;
        let outputs = Outputs { context, token: output, mechanism: actual, flags: granted, lifetime };
        outputs.clear()?;
        let token = input.get()?.unwrap_or_default();
        if let Some(handle) = context.get() {
            let object = CONTEXTS.get(handle).ok_or(Status::from(Major::NoContext))?;
            let stepped = go_on(&object, true, token)?;
            return outputs.give(stepped, Some((handle, &object)), true);
        }
        let mechanism = mechanism.get()?.unwrap_or(Oid::KRB5);
        if !MECHANISMS.contains(&mechanism) {
            return Err(Major::BadMech.into());
        }
        let target = name::name(target)?;
        let cred = cred::credential(claimant, Usage::Initiate)?;
        let mut begun = Initiator::new(&cred.env, &cred.cred, &target).flags(Flags::from_bits(flags));
        if let Some(bindings) = bindings.get()? {
            begun = begun.bindings(bindings);
        }
        if mechanism == Oid::SPNEGO {
            begun = match &cred.neg_mechs {
                Some(mechanisms) => begun.neg_mechs(mechanisms.clone()),
                None => begun.negotiate(),
            };
        }
        outputs.give(begun.start()?.into(), None, true)
    }

    /// `gss_accept_sec_context` (RFC 2744 §5.1).
    fn gss_accept_sec_context(minor, context: HandleSlot, acceptor: InHandle, input: InBuffer, bindings: InBindings, source: HandleSlot, mechanism: Out<OidPointer>, output: OutBuffer, flags: Out<OmUint32>, lifetime: Out<OmUint32>, delegated: HandleSlot) {
        let outputs = Outputs { context: context.required()?, token: output, mechanism, flags, lifetime };
        outputs.clear()?;
        source.set(None);
        delegated.set(None);
        let token = input.required()?;
        let known = context.get().map(|handle| {
            let object = CONTEXTS.get(handle);
            object.map(|object| (handle, object)).ok_or(Status::from(Major::NoContext))
        });
        let known = known.transpose()?;
        let stepped = match &known {
            Some((_, object)) => go_on(object, false, token),
            None => {
                let cred = cred::credential(acceptor, Usage::Accept)?;
                let mut begun = Acceptor::new(&cred.env, &cred.cred);
                if let Some(mechanisms) = &cred.neg_mechs {
                    begun = begun.neg_mechs(mechanisms.clone());
                }
                if !delegated.is_wanted() {
                    begun = begun.without_delegation();
                }
                if let Some(bindings) = bindings.get()? {
                    begun = begun.bindings(bindings);
                }
                begun.step(token).map(Stepped::from)
            }
        };
        let stepped = match stepped {
            Ok(stepped) => stepped,
            Err(failure) => {
                // A token that tells the peer why travels beside the error.
                outputs.token.set(failure.token.as_deref().unwrap_or_default())?;
                return Err(failure.into());
            }
        };
        if source.is_wanted() && let State::Open(open) = &stepped.state {
            source.set(Some(name::of_mechanism(open.initiator_name())?));
        }
        if delegated.is_wanted()
            && let State::Open(open) = &stepped.state
            && let Some(cred) = open.take_delegated()?
        {
            delegated.set(Some(cred::insert(&crate::environment::current()?, cred)?));
        }
        let known = known.as_ref().map(|(handle, object)| (*handle, &**object));
        outputs.give(stepped, known, false)
    }

    /// `gss_delete_sec_context` (RFC 2744 §5.9). There is no token for the peer (RFC 2743 §2.2.3).
    fn gss_delete_sec_context(minor, context: HandleSlot, output: OutBuffer) {
        output.clear();
        let handle = context.get().ok_or(Status::INACCESSIBLE_WRITE.with(Major::NoContext))?;
        context.set(None);
        let object = CONTEXTS.remove(handle).ok_or(Status::from(Major::NoContext))?;
        // Calls of other threads that run may finish first.
        let mut state = object.state.write().unwrap_or_else(PoisonError::into_inner);
        if let State::Open(context) = std::mem::replace(&mut *state, State::Dead) {
            // One that was imported and not used is there for another import; any other ends.
            context.give_back();
        }
        Ok(COMPLETE)
    }

    /// `gss_inquire_context` (RFC 2744 §5.20).
    fn gss_inquire_context(minor, context: InHandle, source: HandleSlot, target: HandleSlot, left: Out<OmUint32>, mechanism: Out<OidPointer>, flags: Out<OmUint32>, local: Out<Int>, open: Out<Int>) {
        source.set(None);
        target.set(None);
        mechanism.set(OidPointer::NONE);
        let known = with_open(context, |context| {
            let names = [context.initiator_name(), context.acceptor_name()];
            Ok((context.facts().clone(), lifetime(context), names))
        });
        let (facts, lifetime, [initiator, acceptor]) = known?;
        if source.is_wanted() {
            source.set(Some(name::of_mechanism(initiator)?));
        }
        if target.is_wanted() {
            target.set(Some(name::of_mechanism(acceptor)?));
        }
        left.set(lifetime);
        mechanism.set(descriptor(facts.mechanism));
        flags.set(facts.flags.bits());
        local.set(Int::from(facts.locally_initiated));
        open.set(1);
        Ok(COMPLETE)
    }

    /// `gss_context_time` (RFC 2744 §5.6).
    fn gss_context_time(minor, context: InHandle, left: Out<OmUint32>) {
        let left = left.required()?;
        left.set(0);
        match with_open(context, |context| Ok(lifetime(context)))? {
            0 => Err(Major::ContextExpired.into()),
            seconds => {
                left.set(seconds);
                Ok(COMPLETE)
            }
        }
    }

    /// `gss_process_context_token` (RFC 2744 §5.25): no mechanism here has tokens for it.
    fn gss_process_context_token(minor, context: InHandle, token: InBuffer) {
        required(context)?;
        token.required()?;
        with_open(context, |_| Ok(()))?;
        Err(Major::DefectiveToken.into())
    }
}
