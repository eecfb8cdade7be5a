//! A context's state as one table of fields: written, read, and woken by whoever took its deposit.

use std::sync::Arc;

use gss_core::error::Error as GssError;
use gss_core::flags::Flags;
use gss_core::mechanism::{Dormant, Facts, Redeemed, Restore, SecurityContext};
use gss_core::oid::Oid;
use gss_core::sequence::SequenceWindow;
use krb5::exchange::ap::Vouched;
use krb5::messages::{AuthenticationIndicators, Indicator, Value};
use krb5_crypto::{Enctype, Key};
use wire::fields::{FieldReader, FieldWriter};
use wire::random::Random;
use wire::time::Timestamp;
use zeroize::Zeroizing;

use crate::context::Established;
use crate::error::{Error, Malformed};
use crate::inquire::TicketFacts;
use crate::keys::Keys;
use crate::names::displayed;

const VERSION: u8 = 1;

const FLAGS: u8 = 1;
const LOCALLY_INITIATED: u8 = 2;
const INITIATOR: u8 = 3;
const ACCEPTOR: u8 = 4;
const EXPIRES: u8 = 5;
const INITIATORS_KEY: u8 = 6;
const INITIATORS_ENCTYPE: u8 = 7;
/// This field and the next are there if the acceptor asserted a subkey.
const ACCEPTOR_SUBKEY: u8 = 8;
const ACCEPTOR_ENCTYPE: u8 = 9;
const NEXT_SENT: u8 = 10;
const WINDOW_FIRST: u8 = 11;
const WINDOW_NEXT: u8 = 12;
const WINDOW_SEEN: u8 = 13;
const AUTHORIZATION_DATA: u8 = 14;
/// There, and 1, if the KDC vouches for the PAC.
const PAC_VOUCHED: u8 = 15;
/// There if the KDC vouches for indicators, in DER.
const INDICATORS: u8 = 16;
const TICKET_FLAGS: u8 = 17;
/// In seconds.
const AUTHTIME: u8 = 18;
/// In seconds.
const ENDTIME: u8 = 19;

/// What travels.
pub(crate) struct State<'a> {
    pub(crate) facts: &'a Facts,
    pub(crate) keys: &'a Keys,
    pub(crate) next: u64,
    pub(crate) window: &'a SequenceWindow,
    pub(crate) authorization_data: &'a [u8],
    pub(crate) vouched: &'a Vouched,
    pub(crate) ticket: TicketFacts,
}

/// Writes a state into a vector that never grows, because one that does leaves key bytes behind.
pub(crate) fn write(state: &State<'_>) -> Zeroizing<Vec<u8>> {
    let facts = state.facts;
    let mut out = Zeroizing::new(Vec::with_capacity(capacity(state)));
    let room = out.capacity();
    let mut fields = FieldWriter::new(&mut out, VERSION);
    fields
        .number(FLAGS, u64::from(facts.flags.bits()))
        .number(LOCALLY_INITIATED, u64::from(facts.locally_initiated))
        .bytes(INITIATOR, facts.initiator.text())
        .bytes(ACCEPTOR, facts.acceptor.text())
        .number(EXPIRES, facts.expires.micros().cast_unsigned());
    let mut key = |key: &Key, number: u8, enctype: u8| {
        // A context travels with its keys, or it could protect nothing: the state is sealed before it leaves.
        fields
            .bytes(number, key.expose())
            .number(enctype, u64::from(key.enctype().number().cast_unsigned()));
    };
    key(&state.keys.initiators, INITIATORS_KEY, INITIATORS_ENCTYPE);
    if let Some(subkey) = &state.keys.acceptor_subkey {
        key(subkey, ACCEPTOR_SUBKEY, ACCEPTOR_ENCTYPE);
    }
    let [first, next, seen] = state.window.save();
    fields
        .number(NEXT_SENT, state.next)
        .number(WINDOW_FIRST, first)
        .number(WINDOW_NEXT, next)
        .number(WINDOW_SEEN, seen)
        .bytes(AUTHORIZATION_DATA, state.authorization_data);
    write_vouched(state.vouched, &mut fields);
    fields
        .number(TICKET_FLAGS, u64::from(state.ticket.flags))
        .number(AUTHTIME, state.ticket.authtime.seconds().cast_unsigned())
        .number(ENDTIME, state.ticket.endtime.seconds().cast_unsigned());
    debug_assert_eq!(out.capacity(), room, "the state grew");
    out
}

/// At least what [`write`] needs: a field has a number and at most four bytes of length, a number at most eight of value.
fn capacity(state: &State<'_>) -> usize {
    const FIELDS: usize = ENDTIME as usize;
    let key = |key: &Key| key.enctype().key_length();
    1 + FIELDS * (1 + 4 + 8)
        + state.facts.initiator.text().len()
        + state.facts.acceptor.text().len()
        + key(&state.keys.initiators)
        + state.keys.acceptor_subkey.as_ref().map_or(0, key)
        + state.authorization_data.len()
        + indicators(&state.vouched.indicators).len()
}

pub(crate) fn read(state: &[u8]) -> Result<Established, Malformed> {
    let mut fields = FieldReader::new(state, VERSION)?;
    let flags = Flags::from_bits(narrow(&mut fields, FLAGS)?);
    let locally_initiated = match fields.number(LOCALLY_INITIATED)? {
        0 => false,
        1 => true,
        _ => return Err(Malformed::StateValue(LOCALLY_INITIATED)),
    };
    let facts = Facts {
        mechanism: Oid::KRB5,
        flags,
        locally_initiated,
        initiator: displayed(fields.bytes(INITIATOR)?),
        acceptor: displayed(fields.bytes(ACCEPTOR)?),
        expires: Timestamp::from_micros(fields.number(EXPIRES)?.cast_signed()),
    };
    let keys = Keys {
        initiators: Arc::new(key(
            fields.bytes(INITIATORS_KEY)?,
            &mut fields,
            INITIATORS_ENCTYPE,
        )?),
        acceptor_subkey: (fields.optional(ACCEPTOR_SUBKEY)?)
            .map(|bytes| key(bytes, &mut fields, ACCEPTOR_ENCTYPE))
            .transpose()?,
    };
    let next = fields.number(NEXT_SENT)?;
    let window = [
        fields.number(WINDOW_FIRST)?,
        fields.number(WINDOW_NEXT)?,
        fields.number(WINDOW_SEEN)?,
    ];
    let authorization_data = fields.bytes(AUTHORIZATION_DATA)?.to_vec();
    let vouched = read_vouched(&mut fields)?;
    let ticket = TicketFacts {
        flags: narrow(&mut fields, TICKET_FLAGS)?,
        authtime: seconds(&mut fields, AUTHTIME)?,
        endtime: seconds(&mut fields, ENDTIME)?,
    };
    fields.finish()?;
    Ok(Established {
        window: SequenceWindow::restore(
            window,
            flags.contains(Flags::REPLAY),
            flags.contains(Flags::SEQUENCE),
        ),
        facts,
        keys,
        next,
        authorization_data,
        vouched,
        ticket,
        delegated: Vec::new(),
        evidence: None,
    })
}

/// What is not vouched for takes no room.
pub(crate) fn write_vouched(vouched: &Vouched, fields: &mut FieldWriter<'_>) {
    if vouched.pac {
        fields.number(PAC_VOUCHED, 1);
    }
    if !vouched.indicators.is_empty() {
        fields.bytes(INDICATORS, &indicators(&vouched.indicators));
    }
}

fn indicators(indicators: &[String]) -> Vec<u8> {
    let all: AuthenticationIndicators<'_> = indicators.iter().map(|one| Indicator(one)).collect();
    all.encode()
}

pub(crate) fn read_vouched(fields: &mut FieldReader<'_>) -> Result<Vouched, Malformed> {
    let pac = match fields.optional_number(PAC_VOUCHED)? {
        None => false,
        Some(1) => true,
        Some(_) => return Err(Malformed::StateValue(PAC_VOUCHED)),
    };
    let all = fields.optional(INDICATORS)?;
    let all = all.map(AuthenticationIndicators::decode).transpose();
    let all = all.map_err(|_| Malformed::StateValue(INDICATORS))?;
    if all.as_ref().is_some_and(Vec::is_empty) {
        return Err(Malformed::StateValue(INDICATORS));
    }
    let indicators = all.into_iter().flatten().map(|one| one.0.to_owned());
    Ok(Vouched {
        pac,
        indicators: indicators.collect(),
    })
}

/// A time in whole seconds that a [`Timestamp`] can hold.
pub(crate) fn seconds(fields: &mut FieldReader<'_>, number: u8) -> Result<Timestamp, Malformed> {
    let seconds = fields.number(number)?.cast_signed();
    let time = Timestamp::from_seconds(seconds);
    match time.seconds() == seconds {
        true => Ok(time),
        false => Err(Malformed::StateValue(number)),
    }
}

pub(crate) fn narrow(fields: &mut FieldReader<'_>, number: u8) -> Result<u32, Malformed> {
    u32::try_from(fields.number(number)?).map_err(|_| Malformed::StateValue(number))
}

pub(crate) fn key(
    bytes: &[u8],
    fields: &mut FieldReader<'_>,
    enctype: u8,
) -> Result<Key, Malformed> {
    let number = narrow(fields, enctype)?.cast_signed();
    let known = Enctype::from_number(number).ok_or(Malformed::StateValue(enctype))?;
    Ok(Key::new(known, bytes)?)
}

/// The mechanism as a reader of saved states.
pub struct Krb5 {
    random: Arc<dyn Random>,
}

impl Krb5 {
    /// `random` is where the contexts that wake take the confounders of their messages from.
    pub const fn new(random: Arc<dyn Random>) -> Self {
        Self { random }
    }
}

impl Restore for Krb5 {
    fn oid(&self) -> Oid {
        Oid::KRB5
    }

    fn restore(&self, state: &[u8]) -> Result<Box<dyn Dormant>, GssError> {
        let established = read(state).map_err(Error::from)?;
        Ok(asleep(established, Arc::clone(&self.random)))
    }
}

/// `established`, for whoever redeemed it.
pub(crate) fn asleep(established: Established, random: Arc<dyn Random>) -> Box<dyn Dormant> {
    Box::new(Asleep {
        established,
        random,
    })
}

/// A context that nobody may use before its deposit is taken.
struct Asleep {
    established: Established,
    random: Arc<dyn Random>,
}

impl Dormant for Asleep {
    fn facts(&self) -> &Facts {
        &self.established.facts
    }

    fn wake(self: Box<Self>, _: Redeemed) -> Box<dyn SecurityContext> {
        Box::new(self.established.open(self.random))
    }
}
