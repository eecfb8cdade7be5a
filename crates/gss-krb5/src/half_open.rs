//! The state of a handshake that waits, as one table of fields: for a process that finishes what another began.
//!
//! What the process has of its own does not travel: an acceptor's keys and policy, the enctypes an initiator permits, randomness.

use std::sync::Arc;

use gss_core::error::Error as GssError;
use gss_core::flags::Flags;
use gss_core::mechanism::{
    Dormant, DormantHandshake, Facts, HalfOpen, Handshake, Redeemed, Restore, Resume,
};
use gss_core::oid::Oid;
use krb5::exchange::ap::{ApError, Awaited, check_permitted};
use krb5::principal::Principal;
use krb5_crypto::{Enctype, Key};
use wire::fields::{FieldReader, FieldWriter};
use wire::random::Random;
use wire::time::Timestamp;
use zeroize::Zeroizing;

use crate::accept::Acceptor;
use crate::context::Established;
use crate::dce::ExpectThirdLeg;
use crate::error::{Error, Malformed};
use crate::initiate::{ExpectApRep, Pending};
use crate::inquire::TicketFacts;
use crate::names::displayed;
use crate::state;

const VERSION: u8 = 1;

/// What is waited for.
const WAITS_FOR: u8 = 1;
const AP_REQ: u64 = 1;
const AP_REP: u64 = 2;
const THIRD_LEG: u64 = 3;

const FLAGS: u8 = 2;
const INITIATOR: u8 = 3;
const ACCEPTOR: u8 = 4;
const EXPIRES: u8 = 5;
const SUBKEY: u8 = 6;
const SUBKEY_ENCTYPE: u8 = 7;
const SEQ_NUMBER: u8 = 8;
const SESSION_KEY: u8 = 9;
const SESSION_ENCTYPE: u8 = 10;
const CTIME: u8 = 11;
/// The state of the context that is made and waits for the third leg of DCE style.
const CONTEXT: u8 = 12;
const TICKET_FLAGS: u8 = 13;
/// In seconds.
const AUTHTIME: u8 = 14;
/// In seconds.
const ENDTIME: u8 = 15;

/// An acceptor that has no request yet, within a negotiation that chose this mechanism: all that it knows is the importer's own.
impl HalfOpen for Acceptor {
    fn mechanism(&self) -> Oid {
        Oid::KRB5
    }

    fn save(&self) -> Result<Zeroizing<Vec<u8>>, GssError> {
        let mut out = Zeroizing::new(Vec::with_capacity(16));
        FieldWriter::new(&mut out, VERSION).number(WAITS_FOR, AP_REQ);
        Ok(out)
    }
}

/// Goes on, under its own credential and options, with what another acceptor began.
impl Resume for Acceptor {
    fn oid(&self) -> Oid {
        Oid::KRB5
    }

    fn resume(self: Box<Self>, state: &[u8]) -> Result<Box<dyn DormantHandshake>, GssError> {
        Ok(Box::new(Waiting(read_acceptor(state, self)?)))
    }
}

/// Takes, under its own credential and options, the context of another acceptor whose negotiation goes on.
impl Restore for Acceptor {
    fn oid(&self) -> Oid {
        Oid::KRB5
    }

    fn restore(&self, state: &[u8]) -> Result<Box<dyn Dormant>, GssError> {
        let established = state::read(state).map_err(Error::from)?;
        if established.facts.locally_initiated {
            return Err(Error::from(Malformed::StateValue(CONTEXT)).into());
        }
        self.admits(&established)?;
        Ok(state::asleep(established, self.random()))
    }
}

fn read_acceptor(state: &[u8], own: Box<Acceptor>) -> Result<Box<dyn Handshake>, Error> {
    let mut fields = FieldReader::new(state, VERSION).map_err(Malformed::from)?;
    match fields.number(WAITS_FOR).map_err(Malformed::from)? {
        AP_REQ => {
            fields.finish().map_err(Malformed::from)?;
            Ok(own)
        }
        THIRD_LEG => {
            let (session_key, established) = read_third_leg(fields)?;
            own.permits(&session_key)?;
            own.admits(&established)?;
            Ok(Box::new(ExpectThirdLeg {
                established,
                session_key: Arc::new(session_key),
                random: own.random(),
            }))
        }
        _ => Err(Malformed::StateValue(WAITS_FOR).into()),
    }
}

fn read_third_leg(mut fields: FieldReader<'_>) -> Result<(Key, Established), Malformed> {
    let bytes = fields.bytes(SESSION_KEY)?;
    let session_key = state::key(bytes, &mut fields, SESSION_ENCTYPE)?;
    let established = state::read(fields.bytes(CONTEXT)?)?;
    fields.finish()?;
    if established.facts.locally_initiated || u32::try_from(established.next).is_err() {
        return Err(Malformed::StateValue(CONTEXT));
    }
    Ok((session_key, established))
}

/// What a context has to be that another acceptor made: one that this acceptor would have made. Those that share the keys of
/// half-open handshakes need not be for the same services.
impl Acceptor {
    fn admits(&self, established: &Established) -> Result<(), Error> {
        let server = Principal::parse_bytes(established.facts.acceptor.text(), None);
        let server = server.map_err(|_| Malformed::StateValue(CONTEXT))?;
        let keys = &established.keys;
        let cred = self.cred();
        if !cred.acceptable.includes(&server) {
            let acceptable = cred.acceptable.clone();
            return Err(ApError::NotUs { server, acceptable }.into());
        }
        let mut entries = cred.keytab.entries.iter();
        if !entries.any(|entry| entry.principal == server) {
            let etype = keys.initiators.enctype().number();
            return Err(ApError::NoKey { server, etype }.into());
        }
        self.permits(&keys.initiators)?;
        keys.acceptor_subkey
            .iter()
            .try_for_each(|subkey| self.permits(subkey))
    }

    fn permits(&self, key: &Key) -> Result<(), Error> {
        let permitted = &self.policy().permitted_enctypes;
        Ok(check_permitted(key.enctype(), permitted)?)
    }
}

impl HalfOpen for ExpectThirdLeg {
    fn mechanism(&self) -> Oid {
        Oid::KRB5
    }

    fn save(&self) -> Result<Zeroizing<Vec<u8>>, GssError> {
        let context = state::write(&self.established.state());
        let key = &self.session_key;
        let capacity =
            1 + usize::from(CONTEXT) * (1 + 4 + 8) + key.enctype().key_length() + context.len();
        let mut out = Zeroizing::new(Vec::with_capacity(capacity));
        let room = out.capacity();
        FieldWriter::new(&mut out, VERSION)
            .number(WAITS_FOR, THIRD_LEG)
            // The state is sealed before it leaves.
            .bytes(SESSION_KEY, key.expose())
            .number(SESSION_ENCTYPE, enctype(key))
            .bytes(CONTEXT, &context);
        debug_assert_eq!(out.capacity(), room, "the state grew");
        Ok(out)
    }
}

impl HalfOpen for ExpectApRep {
    fn mechanism(&self) -> Oid {
        Oid::KRB5
    }

    /// Written into a vector that never grows, because one that does leaves key bytes behind.
    fn save(&self) -> Result<Zeroizing<Vec<u8>>, GssError> {
        let Pending {
            facts,
            subkey,
            seq_number,
            ticket,
            random: _, // the importer's own
        } = &self.pending;
        let Awaited {
            session_key,
            ctime,
            permitted_enctypes: _, // the importer's own
        } = &self.awaited;
        let key_length = |key: &Key| key.enctype().key_length();
        let capacity = 1
            + usize::from(ENDTIME) * (1 + 4 + 8)
            + facts.initiator.text().len()
            + facts.acceptor.text().len()
            + key_length(subkey)
            + key_length(session_key);
        let mut out = Zeroizing::new(Vec::with_capacity(capacity));
        let room = out.capacity();
        FieldWriter::new(&mut out, VERSION)
            .number(WAITS_FOR, AP_REP)
            .number(FLAGS, u64::from(facts.flags.bits()))
            .bytes(INITIATOR, facts.initiator.text())
            .bytes(ACCEPTOR, facts.acceptor.text())
            .number(EXPIRES, facts.expires.micros().cast_unsigned())
            // The state is sealed before it leaves.
            .bytes(SUBKEY, subkey.expose())
            .number(SUBKEY_ENCTYPE, enctype(subkey))
            .number(SEQ_NUMBER, u64::from(*seq_number))
            .bytes(SESSION_KEY, session_key.expose())
            .number(SESSION_ENCTYPE, enctype(session_key))
            .number(CTIME, ctime.micros().cast_unsigned())
            .number(TICKET_FLAGS, u64::from(ticket.flags))
            .number(AUTHTIME, ticket.authtime.seconds().cast_unsigned())
            .number(ENDTIME, ticket.endtime.seconds().cast_unsigned());
        debug_assert_eq!(out.capacity(), room, "the state grew");
        Ok(out)
    }
}

fn enctype(key: &Key) -> u64 {
    u64::from(key.enctype().number().cast_unsigned())
}

/// Goes on with what another initiator began.
pub struct InitiatorResume {
    /// Of which enctypes a subkey may be that the acceptor asserts.
    pub permitted_enctypes: Arc<[&'static Enctype]>,
    /// Where the context takes the confounders of its messages from, for as long as it lives.
    pub random: Arc<dyn Random>,
}

impl Resume for InitiatorResume {
    fn oid(&self) -> Oid {
        Oid::KRB5
    }

    fn resume(self: Box<Self>, state: &[u8]) -> Result<Box<dyn DormantHandshake>, GssError> {
        let handshake = read_initiator(state, *self).map_err(malformed)?;
        Ok(Box::new(Waiting(Box::new(handshake))))
    }
}

fn read_initiator(state: &[u8], own: InitiatorResume) -> Result<ExpectApRep, Malformed> {
    let mut fields = FieldReader::new(state, VERSION)?;
    if fields.number(WAITS_FOR)? != AP_REP {
        return Err(Malformed::StateValue(WAITS_FOR));
    }
    let facts = Facts {
        mechanism: Oid::KRB5,
        flags: Flags::from_bits(state::narrow(&mut fields, FLAGS)?),
        locally_initiated: true,
        initiator: displayed(fields.bytes(INITIATOR)?),
        acceptor: displayed(fields.bytes(ACCEPTOR)?),
        expires: Timestamp::from_micros(fields.number(EXPIRES)?.cast_signed()),
    };
    let subkey = state::key(fields.bytes(SUBKEY)?, &mut fields, SUBKEY_ENCTYPE)?;
    let seq_number = state::narrow(&mut fields, SEQ_NUMBER)?;
    let session_key = state::key(fields.bytes(SESSION_KEY)?, &mut fields, SESSION_ENCTYPE)?;
    let awaited = Awaited {
        session_key: Arc::new(session_key),
        ctime: Timestamp::from_micros(fields.number(CTIME)?.cast_signed()),
        permitted_enctypes: own.permitted_enctypes,
    };
    let pending = Pending {
        facts,
        subkey,
        seq_number,
        ticket: TicketFacts {
            flags: state::narrow(&mut fields, TICKET_FLAGS)?,
            authtime: state::seconds(&mut fields, AUTHTIME)?,
            endtime: state::seconds(&mut fields, ENDTIME)?,
        },
        random: own.random,
    };
    fields.finish()?;
    Ok(ExpectApRep { awaited, pending })
}

fn malformed(error: Malformed) -> GssError {
    Error::from(error).into()
}

/// A handshake that nobody may continue before its token is redeemed.
struct Waiting(Box<dyn Handshake>);

impl DormantHandshake for Waiting {
    fn wake(self: Box<Self>, _: Redeemed) -> Box<dyn Handshake> {
        self.0
    }
}
