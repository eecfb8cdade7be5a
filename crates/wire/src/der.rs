//! Strict DER (ITU-T X.690), as far as Kerberos and GSS-API need it.
//!
//! What is read borrows from the input, and a value has exactly one encoding: long lengths, padded integers, bits set in
//! the unused part of a BIT STRING, trailing bytes and unknown fields are errors. Types do not nest into themselves, so
//! the input cannot choose how deep a reader goes. Tag numbers stay below 31, which one identifier byte holds.
//!
//! [`sequence!`](crate::sequence) turns a table of fields into a type that reads and writes itself.

use core::fmt;

use crate::time::Timestamp;

/// INTEGER.
pub const INTEGER: u8 = 0x02;
/// BIT STRING.
pub const BIT_STRING: u8 = 0x03;
/// OCTET STRING.
pub const OCTET_STRING: u8 = 0x04;
/// OBJECT IDENTIFIER.
pub const OBJECT_IDENTIFIER: u8 = 0x06;
/// GeneralizedTime.
pub const GENERALIZED_TIME: u8 = 0x18;
/// GeneralString.
pub const GENERAL_STRING: u8 = 0x1b;
/// SEQUENCE and SEQUENCE OF.
pub const SEQUENCE: u8 = 0x30;

/// The identifier byte of the constructed context-specific tag `number`, below 31.
pub const fn context(number: u8) -> u8 {
    0xa0 | number
}

/// The identifier byte of the constructed application tag `number`, below 31.
pub const fn application(number: u8) -> u8 {
    0x60 | number
}

/// Why bytes are not the DER encoding of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DerError {
    /// The bytes end before the value does.
    Truncated,
    /// Bytes follow the value.
    Trailing,
    /// Another tag stands where this one must.
    Tag {
        /// The identifier byte that must stand here.
        expected: u8,
        /// The identifier byte that does.
        found: u8,
    },
    /// A length of indefinite form.
    IndefiniteLength,
    /// A length in more bytes than it needs.
    LongLength,
    /// A length beyond what any message has.
    HugeLength,
    /// An INTEGER without content.
    EmptyInteger,
    /// An INTEGER in more bytes than it needs.
    LongInteger,
    /// An INTEGER outside the range of its type.
    IntegerRange,
    /// An INTEGER that has to have one value, and has another.
    Constant {
        /// The value it must have.
        expected: i32,
        /// The value it has.
        found: i32,
    },
    /// A BIT STRING that does not say how many bits are unused, or says more than 7.
    UnusedBits,
    /// A BIT STRING with a bit set in its unused part.
    UnusedBitSet,
    /// Flags in fewer than 32 bits, or in more bits than their last one needs, or beyond the 64th.
    FlagsLength,
    /// A time that is not `YYYYMMDDHHMMSSZ` or not a moment of the calendar.
    Time,
    /// A field that must be there is not.
    MissingField {
        /// The type it belongs to.
        of: &'static str,
        /// The field.
        field: &'static str,
    },
    /// A field that the type does not have, or that is out of order.
    UnknownField {
        /// The type.
        of: &'static str,
        /// The identifier byte of the field.
        tag: u8,
    },
    /// Containers within containers, deeper than any real one.
    TooDeep,
}

impl fmt::Display for DerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated => f.write_str("the encoding is cut"),
            Self::Trailing => f.write_str("bytes follow the value"),
            Self::Tag { expected, found } => {
                write!(f, "tag {found:#04x} where {expected:#04x} must stand")
            }
            Self::IndefiniteLength => f.write_str("a length of indefinite form"),
            Self::LongLength => f.write_str("a length in more bytes than it needs"),
            Self::HugeLength => f.write_str("a length beyond every message"),
            Self::EmptyInteger => f.write_str("an integer without content"),
            Self::LongInteger => f.write_str("an integer in more bytes than it needs"),
            Self::IntegerRange => f.write_str("an integer outside its range"),
            Self::Constant { expected, found } => write!(f, "{found} where {expected} must stand"),
            Self::UnusedBits => f.write_str("a bit string with a wrong count of unused bits"),
            Self::UnusedBitSet => f.write_str("a bit string with an unused bit set"),
            Self::FlagsLength => f.write_str("flags in too few or too many bits"),
            Self::Time => f.write_str("a time that is not of the form or not in the calendar"),
            Self::MissingField { of, field } => write!(f, "{of} lacks its field {field}"),
            Self::UnknownField { of, tag } => {
                write!(f, "{of} has no field of tag {tag:#04x} at this place")
            }
            Self::TooDeep => f.write_str("containers too deep within each other"),
        }
    }
}

impl core::error::Error for DerError {}

/// A type with one tag and one encoding for each value.
pub trait Value<'a>: Sized {
    /// The identifier byte.
    const TAG: u8;

    /// Reads the value from the content of its encoding, all of it.
    fn decode_content(content: &'a [u8]) -> Result<Self, DerError>;

    /// How many bytes [`Self::encode_content`] writes.
    fn content_len(&self) -> usize;

    /// Writes the content to the end of `out`.
    fn encode_content(&self, out: &mut Vec<u8>);

    /// Reads the value from its encoding, with nothing behind it.
    fn decode(bytes: &'a [u8]) -> Result<Self, DerError> {
        Self::decode_content(only(Self::TAG, bytes)?)
    }

    /// How many bytes the encoding has.
    fn encoded_len(&self) -> usize {
        element_len(self.content_len())
    }

    /// Writes the encoding to the end of `out`.
    fn encode_to(&self, out: &mut Vec<u8>) {
        header(Self::TAG, self.content_len(), out);
        self.encode_content(out);
    }

    /// The encoding, in a vector that was never moved: no copy of a key is left behind.
    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.encoded_len());
        self.encode_to(&mut out);
        out
    }
}

/// The tag and content of the first element of `bytes`, and what follows it.
pub fn element(bytes: &[u8]) -> Result<(u8, &[u8], &[u8]), DerError> {
    let (&tag, rest) = bytes.split_first().ok_or(DerError::Truncated)?;
    let (length, rest) = length(rest)?;
    let (content, rest) = rest.split_at_checked(length).ok_or(DerError::Truncated)?;
    Ok((tag, content, rest))
}

/// The content of the one element that `bytes` are, which must have this tag.
pub fn only(expected: u8, bytes: &[u8]) -> Result<&[u8], DerError> {
    match bytes.first() {
        Some(&found) if found != expected => return Err(DerError::Tag { expected, found }),
        _ => {}
    }
    let (_, content, rest) = element(bytes)?;
    if rest.is_empty() {
        Ok(content)
    } else {
        Err(DerError::Trailing)
    }
}

/// Writes the tag and length before a content of `length` bytes.
pub fn header(tag: u8, length: usize, out: &mut Vec<u8>) {
    out.push(tag);
    if length < 0x80 {
        out.push(length as u8);
        return;
    }
    let bytes = length.to_be_bytes();
    let used = &bytes[length.leading_zeros() as usize / 8..];
    out.push(0x80 | used.len() as u8);
    out.extend_from_slice(used);
}

/// How many bytes an element with a content of `length` bytes has.
pub const fn element_len(length: usize) -> usize {
    let length_bytes = match length {
        0..0x80 => 1,
        _ => 1 + size_of::<usize>() - length.leading_zeros() as usize / 8,
    };
    1 + length_bytes + length
}

fn length(bytes: &[u8]) -> Result<(usize, &[u8]), DerError> {
    let (&first, rest) = bytes.split_first().ok_or(DerError::Truncated)?;
    let count = match first {
        0..0x80 => return Ok((usize::from(first), rest)),
        0x80 => return Err(DerError::IndefiniteLength),
        0x81..=0x84 => usize::from(first & 0x7f),
        _ => return Err(DerError::HugeLength),
    };
    let (digits, rest) = rest.split_at_checked(count).ok_or(DerError::Truncated)?;
    let length = digits
        .iter()
        .fold(0, |length, &digit| length << 8 | u64::from(digit));
    if digits[0] == 0 || length < 0x80 {
        return Err(DerError::LongLength);
    }
    Ok((
        usize::try_from(length).map_err(|_| DerError::HugeLength)?,
        rest,
    ))
}

fn integer(content: &[u8]) -> Result<i64, DerError> {
    match content {
        [] => return Err(DerError::EmptyInteger),
        [0x00, second, ..] if second & 0x80 == 0 => return Err(DerError::LongInteger),
        [0xff, second, ..] if second & 0x80 != 0 => return Err(DerError::LongInteger),
        _ if content.len() > 8 => return Err(DerError::IntegerRange),
        _ => {}
    }
    let sign = if content[0] & 0x80 == 0 { 0 } else { -1 };
    Ok(content
        .iter()
        .fold(sign, |value, &byte| value << 8 | i64::from(byte)))
}

fn integer_len(value: i64) -> usize {
    let magnitude = if value < 0 { !value } else { value };
    (64 - magnitude.leading_zeros() as usize) / 8 + 1
}

fn write_integer(value: i64, out: &mut Vec<u8>) {
    out.extend_from_slice(&value.to_be_bytes()[8 - integer_len(value)..]);
}

/// An INTEGER of 32 bits with a sign.
impl Value<'_> for i32 {
    const TAG: u8 = INTEGER;

    fn decode_content(content: &[u8]) -> Result<Self, DerError> {
        Self::try_from(integer(content)?).map_err(|_| DerError::IntegerRange)
    }

    fn content_len(&self) -> usize {
        integer_len(i64::from(*self))
    }

    fn encode_content(&self, out: &mut Vec<u8>) {
        write_integer(i64::from(*self), out);
    }
}

/// An INTEGER that stands for 32 bits: a version number of a key, a sequence number, a nonce.
///
/// The standard writes them without sign, some peers with one (RFC 4120 §5.5.1 warns of it); both are read, and a value
/// that came with a sign is written with it, so that what was signed stays what it was. Comparison is by the bits.
#[derive(Clone, Copy)]
pub struct Word(i64);

impl Word {
    /// The 32 bits.
    pub const fn bits(self) -> u32 {
        self.0 as u32
    }
}

impl From<u32> for Word {
    fn from(bits: u32) -> Self {
        Self(i64::from(bits))
    }
}

impl PartialEq for Word {
    fn eq(&self, other: &Self) -> bool {
        self.bits() == other.bits()
    }
}

impl Eq for Word {}

impl fmt::Debug for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.bits().fmt(f)
    }
}

impl Value<'_> for Word {
    const TAG: u8 = INTEGER;

    fn decode_content(content: &[u8]) -> Result<Self, DerError> {
        let value = integer(content)?;
        if (i64::from(i32::MIN)..=i64::from(u32::MAX)).contains(&value) {
            Ok(Self(value))
        } else {
            Err(DerError::IntegerRange)
        }
    }

    fn content_len(&self) -> usize {
        integer_len(self.0)
    }

    fn encode_content(&self, out: &mut Vec<u8>) {
        write_integer(self.0, out);
    }
}

/// Microseconds of a second: an INTEGER from 0 to 999,999.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Microseconds(u32);

impl Microseconds {
    /// The microseconds.
    pub const fn get(self) -> u32 {
        self.0
    }
}

/// The part of a moment below its second.
impl From<Timestamp> for Microseconds {
    fn from(time: Timestamp) -> Self {
        Self(time.subsec_micros())
    }
}

impl Value<'_> for Microseconds {
    const TAG: u8 = INTEGER;

    fn decode_content(content: &[u8]) -> Result<Self, DerError> {
        match integer(content)? {
            value @ 0..=999_999 => Ok(Self(value as u32)),
            _ => Err(DerError::IntegerRange),
        }
    }

    fn content_len(&self) -> usize {
        integer_len(i64::from(self.0))
    }

    fn encode_content(&self, out: &mut Vec<u8>) {
        write_integer(i64::from(self.0), out);
    }
}

/// An INTEGER whose one value is `N`, such as a protocol's version.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Const<const N: i32>;

impl<const N: i32> Value<'_> for Const<N> {
    const TAG: u8 = INTEGER;

    fn decode_content(content: &[u8]) -> Result<Self, DerError> {
        match i32::decode_content(content)? {
            found if found == N => Ok(Self),
            found => Err(DerError::Constant { expected: N, found }),
        }
    }

    fn content_len(&self) -> usize {
        N.content_len()
    }

    fn encode_content(&self, out: &mut Vec<u8>) {
        N.encode_content(out);
    }
}

/// An OCTET STRING.
impl<'a> Value<'a> for &'a [u8] {
    const TAG: u8 = OCTET_STRING;

    fn decode_content(content: &'a [u8]) -> Result<Self, DerError> {
        Ok(content)
    }

    fn content_len(&self) -> usize {
        self.len()
    }

    fn encode_content(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self);
    }
}

/// A GeneralString, of whatever bytes: peers write names in UTF-8 and in older 8-bit encodings.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct GeneralString<'a>(pub &'a [u8]);

impl fmt::Debug for GeneralString<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&String::from_utf8_lossy(self.0), f)
    }
}

impl<'a> Value<'a> for GeneralString<'a> {
    const TAG: u8 = GENERAL_STRING;

    fn decode_content(content: &'a [u8]) -> Result<Self, DerError> {
        Ok(Self(content))
    }

    fn content_len(&self) -> usize {
        self.0.len()
    }

    fn encode_content(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.0);
    }
}

/// A BIT STRING of flags: at least 32 bits are sent, more only up to the last that is set (RFC 4120 §5.2.8).
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Flags(u64);

impl Flags {
    /// No flag.
    pub const NONE: Self = Self(0);

    /// Bits 0 to 31, bit 0 being the most significant one.
    pub const fn from_bits(bits: u32) -> Self {
        Self((bits as u64) << 32)
    }

    /// Bits 0 to 31, bit 0 being the most significant one.
    pub const fn bits(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// Whether all of `bits` are set.
    pub const fn contains(self, bits: u32) -> bool {
        self.bits() & bits == bits
    }

    /// These flags and `bits`.
    pub const fn with(self, bits: u32) -> Self {
        Self(self.0 | (bits as u64) << 32)
    }

    /// These flags but `bits`.
    pub const fn without(self, bits: u32) -> Self {
        Self(self.0 & !((bits as u64) << 32))
    }

    fn bit_len(self) -> usize {
        32.max(64 - self.0.trailing_zeros() as usize)
    }
}

impl fmt::Debug for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#010x}", self.bits())
    }
}

impl Value<'_> for Flags {
    const TAG: u8 = BIT_STRING;

    fn decode_content(content: &[u8]) -> Result<Self, DerError> {
        let bits = bit_string(content)?;
        if bits.len() > 8 {
            return Err(DerError::FlagsLength);
        }
        let mut bytes = [0; 8];
        bytes[..bits.len()].copy_from_slice(bits);
        let flags = Self(u64::from_be_bytes(bytes));
        let sent = bits.len() * 8 - usize::from(content[0]);
        if sent == flags.bit_len() {
            Ok(flags)
        } else {
            Err(DerError::FlagsLength)
        }
    }

    fn content_len(&self) -> usize {
        1 + self.bit_len().div_ceil(8)
    }

    fn encode_content(&self, out: &mut Vec<u8>) {
        let bytes = self.bit_len().div_ceil(8);
        out.push((bytes * 8 - self.bit_len()) as u8);
        out.extend_from_slice(&self.0.to_be_bytes()[..bytes]);
    }
}

fn bit_string(content: &[u8]) -> Result<&[u8], DerError> {
    let (&unused, bits) = content.split_first().ok_or(DerError::UnusedBits)?;
    match bits.last() {
        _ if unused > 7 => Err(DerError::UnusedBits),
        None if unused > 0 => Err(DerError::UnusedBits),
        Some(last) if last.trailing_zeros() < u32::from(unused) => Err(DerError::UnusedBitSet),
        _ => Ok(bits),
    }
}

/// A GeneralizedTime in whole seconds, `YYYYMMDDHHMMSSZ` and nothing else (RFC 4120 §5.2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GeneralizedTime(i64);

const YEAR_0: i64 = -62_167_219_200;
const YEAR_10000: i64 = 253_402_300_800;
const DAY: i64 = 86_400;

impl GeneralizedTime {
    /// Seconds since 1970-01-01T00:00:00Z.
    pub const fn seconds(self) -> i64 {
        self.0
    }
}

/// The moment's second; years outside 0 to 9999, which the form cannot write, become the nearest.
impl From<Timestamp> for GeneralizedTime {
    fn from(time: Timestamp) -> Self {
        Self(time.seconds().clamp(YEAR_0, YEAR_10000 - 1))
    }
}

impl From<GeneralizedTime> for Timestamp {
    fn from(time: GeneralizedTime) -> Self {
        Self::from_seconds(time.0)
    }
}

impl Value<'_> for GeneralizedTime {
    const TAG: u8 = GENERALIZED_TIME;

    fn decode_content(content: &[u8]) -> Result<Self, DerError> {
        let (digits, b"Z") = content.split_at_checked(14).ok_or(DerError::Time)? else {
            return Err(DerError::Time);
        };
        if !digits.iter().all(u8::is_ascii_digit) {
            return Err(DerError::Time);
        }
        let number = |from: usize, to: usize| {
            digits[from..to]
                .iter()
                .fold(0, |number, digit| number * 10 + i64::from(digit - b'0'))
        };
        let (year, month, day) = (number(0, 4), number(4, 6), number(6, 8));
        let (hour, minute, second) = (number(8, 10), number(10, 12), number(12, 14));
        if !(1..=12).contains(&month) || hour > 23 || minute > 59 || second > 59 {
            return Err(DerError::Time);
        }
        let days = days_of_civil(year, month, day);
        // The calendar's inverse finds the days that a month does not have.
        if civil_of_days(days) != (year, month, day) {
            return Err(DerError::Time);
        }
        Ok(Self(days * DAY + hour * 3600 + minute * 60 + second))
    }

    fn content_len(&self) -> usize {
        15
    }

    fn encode_content(&self, out: &mut Vec<u8>) {
        let (year, month, day) = civil_of_days(self.0.div_euclid(DAY));
        let second = self.0.rem_euclid(DAY);
        let mut digits = |number: i64, count: u32| {
            for place in (0..count).rev() {
                out.push(b'0' + (number / 10_i64.pow(place) % 10) as u8);
            }
        };
        digits(year, 4);
        for pair in [month, day, second / 3600, second / 60 % 60, second % 60] {
            digits(pair, 2);
        }
        out.push(b'Z');
    }
}

/// Days since 1970-01-01 in the Gregorian calendar, counted in years that begin in March: a leap day is then the last.
fn days_of_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + of_year
        - 719_468
}

fn civil_of_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let (month, later) = if month < 10 {
        (month + 3, 0)
    } else {
        (month - 9, 1)
    };
    (era * 400 + year + later, month, day)
}

/// A SEQUENCE OF.
impl<'a, T: Value<'a>> Value<'a> for Vec<T> {
    const TAG: u8 = SEQUENCE;

    fn decode_content(content: &'a [u8]) -> Result<Self, DerError> {
        let (mut values, mut rest) = (Self::new(), content);
        while !rest.is_empty() {
            let (found, value, after) = element(rest)?;
            if found != T::TAG {
                return Err(DerError::Tag {
                    expected: T::TAG,
                    found,
                });
            }
            values.push(T::decode_content(value)?);
            rest = after;
        }
        Ok(values)
    }

    fn content_len(&self) -> usize {
        self.iter().map(T::encoded_len).sum()
    }

    fn encode_content(&self, out: &mut Vec<u8>) {
        self.iter().for_each(|value| value.encode_to(out));
    }
}

/// A value under an explicit application tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Application<const N: u8, T>(pub T);

impl<'a, const N: u8, T: Value<'a>> Value<'a> for Application<N, T> {
    const TAG: u8 = application(N);

    fn decode_content(content: &'a [u8]) -> Result<Self, DerError> {
        T::decode(content).map(Self)
    }

    fn content_len(&self) -> usize {
        self.0.encoded_len()
    }

    fn encode_content(&self, out: &mut Vec<u8>) {
        self.0.encode_to(out);
    }
}

/// What may stand as a field of a SEQUENCE, under an explicit context tag: a value, or an `Option` of one.
pub trait Field<'a>: Sized {
    /// Takes the field `number` from the front of `fields`.
    fn take(fields: &mut Fields<'a>, number: u8, name: &'static str) -> Result<Self, DerError>;

    /// How many bytes [`Self::put`] writes.
    fn field_len(&self) -> usize;

    /// Writes the field under the tag `number`.
    fn put(&self, number: u8, out: &mut Vec<u8>);
}

impl<'a, T: Value<'a>> Field<'a> for T {
    fn take(fields: &mut Fields<'a>, number: u8, name: &'static str) -> Result<Self, DerError> {
        match fields.next(number)? {
            Some(bytes) => T::decode(bytes),
            None => Err(DerError::MissingField {
                of: fields.of,
                field: name,
            }),
        }
    }

    fn field_len(&self) -> usize {
        element_len(self.encoded_len())
    }

    fn put(&self, number: u8, out: &mut Vec<u8>) {
        header(context(number), self.encoded_len(), out);
        self.encode_to(out);
    }
}

impl<'a, T: Value<'a>> Field<'a> for Option<T> {
    fn take(fields: &mut Fields<'a>, number: u8, _name: &'static str) -> Result<Self, DerError> {
        fields.next(number)?.map(T::decode).transpose()
    }

    fn field_len(&self) -> usize {
        self.as_ref().map_or(0, Field::field_len)
    }

    fn put(&self, number: u8, out: &mut Vec<u8>) {
        if let Some(value) = self {
            value.put(number, out);
        }
    }
}

/// The fields of a SEQUENCE that have not been read.
pub struct Fields<'a> {
    rest: &'a [u8],
    of: &'static str,
}

impl<'a> Fields<'a> {
    /// The fields in `content`; `of` is the type's name, for errors.
    pub const fn new(content: &'a [u8], of: &'static str) -> Self {
        Self { rest: content, of }
    }

    /// Ends the reading: an error if a field is left.
    pub fn finish(self) -> Result<(), DerError> {
        match self.rest.first() {
            None => Ok(()),
            Some(&tag) => Err(DerError::UnknownField { of: self.of, tag }),
        }
    }

    fn next(&mut self, number: u8) -> Result<Option<&'a [u8]>, DerError> {
        if self.rest.first() != Some(&context(number)) {
            return Ok(None);
        }
        let (_, content, rest) = element(self.rest)?;
        self.rest = rest;
        Ok(Some(content))
    }
}

/// Turns tables of fields into types that read and write themselves: a SEQUENCE of fields under explicit context tags,
/// the whole under an application tag where one is given. A field of type `Option` may be absent.
///
/// ```
/// use wire::der::{Const, DerError, Flags};
///
/// wire::sequence! {
///     /// A message for this example.
///     #[derive(Debug, PartialEq)]
///     pub struct Hello<'a> [APPLICATION 3] {
///         [0] version: Const<5>,
///         [1] flags: Option<Flags>,
///         [2] text: &'a [u8],
///     }
/// }
///
/// let hello = Hello { version: Const, flags: None, text: b"hi" };
/// let bytes = hello.encode();
/// assert_eq!(bytes, b"\x63\x0d\x30\x0b\xa0\x03\x02\x01\x05\xa2\x04\x04\x02hi");
/// assert_eq!(Hello::decode(&bytes), Ok(hello));
/// assert_eq!(Hello::decode(&bytes[..9]), Err(DerError::Truncated));
/// ```
#[macro_export]
macro_rules! sequence {
    ($(
        $(#[$meta:meta])*
        pub struct $name:ident $(<$life:lifetime>)? $([APPLICATION $application:literal])? {
            $( $(#[$doc:meta])* [$number:literal] $field:ident : $type:ty ),+ $(,)?
        }
    )+) => {$(
        $(#[$meta])*
        pub struct $name $(<$life>)? {
            $(
                #[doc = concat!("Field ", $number, ".")]
                $(#[$doc])*
                pub $field: $type,
            )+
        }

        $crate::sequence! { @value [$($life)?] $name [$($application)?] { $($number $field $type,)+ } }
    )+};

    (@value [$life:lifetime] $name:ident $application:tt $fields:tt) => {
        impl<$life> $name<$life> {
            $crate::sequence! { @inherent $life }
        }
        impl<$life> $crate::der::Value<$life> for $name<$life> {
            $crate::sequence! { @methods $life $name $application $fields }
        }
    };
    (@value [] $name:ident $application:tt $fields:tt) => {
        impl $name {
            $crate::sequence! { @inherent '_ }
        }
        impl<'input> $crate::der::Value<'input> for $name {
            $crate::sequence! { @methods 'input $name $application $fields }
        }
    };

    (@inherent $life:lifetime) => {
        /// Reads the value from its encoding, with nothing behind it.
        pub fn decode(bytes: &$life [u8]) -> Result<Self, $crate::der::DerError> {
            $crate::der::Value::decode(bytes)
        }

        /// The one encoding of the value.
        pub fn encode(&self) -> Vec<u8> {
            $crate::der::Value::encode(self)
        }
    };

    (@methods $life:lifetime $name:ident [$($application:literal)?] { $($number:literal $field:ident $type:ty,)+ }) => {
        const TAG: u8 = {
            let tag = $crate::der::SEQUENCE;
            $( let tag = { let _ = tag; $crate::der::application($application) }; )?
            tag
        };

        fn decode_content(content: &$life [u8]) -> Result<Self, $crate::der::DerError> {
            $(
                let _: u8 = $application;
                let content = $crate::der::only($crate::der::SEQUENCE, content)?;
            )?
            let mut fields = $crate::der::Fields::new(content, stringify!($name));
            $(
                let $field = <$type as $crate::der::Field>::take(&mut fields, $number, stringify!($field))?;
            )+
            fields.finish()?;
            Ok(Self { $($field),+ })
        }

        fn content_len(&self) -> usize {
            let length = 0 $( + $crate::der::Field::field_len(&self.$field) )+;
            $(
                let _: u8 = $application;
                let length = $crate::der::element_len(length);
            )?
            length
        }

        fn encode_content(&self, out: &mut Vec<u8>) {
            let _length = 0 $( + $crate::der::Field::field_len(&self.$field) )+;
            $(
                let _: u8 = $application;
                $crate::der::header($crate::der::SEQUENCE, _length, out);
            )?
            $( $crate::der::Field::put(&self.$field, $number, out); )+
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round<'a, T: Value<'a>>(value: &T) -> Vec<u8> {
        let bytes = value.encode();
        assert_eq!(bytes.len(), value.encoded_len());
        bytes
    }

    #[test]
    fn lengths_have_one_form() {
        for length in [0, 1, 0x7f, 0x80, 0xff, 0x100, 0xffff, 0x1_0000, 0x100_0000] {
            let mut bytes = Vec::new();
            header(OCTET_STRING, length, &mut bytes);
            assert_eq!(bytes.len() + length, element_len(length), "{length}");
            assert_eq!(
                element(&bytes).err(),
                (length > 0).then_some(DerError::Truncated)
            );
            bytes.resize(bytes.len() + length, 7);
            assert_eq!(<&[u8]>::decode(&bytes).map(<[u8]>::len), Ok(length));
        }
        let cases: [(&[u8], DerError); 7] = [
            (&[4, 0x80, 0, 0], DerError::IndefiniteLength),
            (&[4, 0x81, 1, 9], DerError::LongLength),
            (&[4, 0x82, 0, 0x80], DerError::LongLength),
            (&[4, 0x84, 0xff, 0xff, 0xff, 0xff], DerError::Truncated),
            (&[4, 0x85, 1, 0, 0, 0, 0], DerError::HugeLength),
            (&[4, 0xff], DerError::HugeLength),
            (&[4], DerError::Truncated),
        ];
        for (bytes, error) in cases {
            assert_eq!(<&[u8]>::decode(bytes), Err(error), "{bytes:x?}");
        }
        assert_eq!(<&[u8]>::decode(&[]), Err(DerError::Truncated));
        assert_eq!(<&[u8]>::decode(&[4, 0, 0]), Err(DerError::Trailing));
    }

    #[test]
    fn integers_have_one_form() {
        let values = [0, 1, 127, 128, 255, 256, 32_767, 32_768, i32::MAX];
        for value in values.into_iter().flat_map(|value| [value, -value, !value]) {
            let bytes = round(&value);
            assert_eq!(i32::decode(&bytes), Ok(value), "{bytes:x?}");
        }
        assert_eq!(128.encode(), [2, 2, 0, 128]);
        assert_eq!((-128).encode(), [2, 1, 128]);
        let cases: [(&[u8], DerError); 6] = [
            (&[2, 0], DerError::EmptyInteger),
            (&[2, 2, 0, 1], DerError::LongInteger),
            (&[2, 2, 0xff, 0x80], DerError::LongInteger),
            (&[2, 5, 0, 0x80, 0, 0, 0], DerError::IntegerRange),
            (
                &[2, 5, 0xff, 0x7f, 0xff, 0xff, 0xff],
                DerError::IntegerRange,
            ),
            (&[2, 9, 1, 0, 0, 0, 0, 0, 0, 0, 0], DerError::IntegerRange),
        ];
        for (bytes, error) in cases {
            assert_eq!(i32::decode(bytes), Err(error), "{bytes:x?}");
        }
    }

    #[test]
    fn a_word_is_read_with_and_without_sign() {
        let unsigned = [2, 5, 0, 0xff, 0, 0, 0];
        let signed = [2, 4, 0xff, 0, 0, 0];
        let (a, b) = (
            Word::decode(&unsigned).unwrap(),
            Word::decode(&signed).unwrap(),
        );
        assert_eq!((a.bits(), b.bits(), a), (0xff00_0000, 0xff00_0000, b));
        assert_eq!((round(&a), round(&b)), (unsigned.to_vec(), signed.to_vec()));
        assert_eq!(round(&Word::from(0xff00_0000)), unsigned);
        assert_eq!(
            Word::decode(&[2, 5, 1, 0, 0, 0, 0]),
            Err(DerError::IntegerRange)
        );
        assert_eq!(
            Word::decode(&[2, 5, 0xff, 0x7f, 0xff, 0xff, 0xff]),
            Err(DerError::IntegerRange)
        );
    }

    #[test]
    fn microseconds_stay_below_a_second() {
        assert_eq!(
            Microseconds::decode(&[2, 3, 0x0f, 0x42, 0x3f]).map(|m| m.get()),
            Ok(999_999)
        );
        assert_eq!(
            Microseconds::decode(&[2, 3, 0x0f, 0x42, 0x40]),
            Err(DerError::IntegerRange)
        );
        assert_eq!(
            Microseconds::decode(&[2, 1, 0xff]),
            Err(DerError::IntegerRange)
        );
    }

    #[test]
    fn flags_are_32_bits_or_what_they_need() {
        let flags = Flags::from_bits(0x4000_0010);
        assert_eq!(round(&flags), [3, 5, 0, 0x40, 0, 0, 0x10]);
        assert_eq!(Flags::decode(&[3, 5, 0, 0x40, 0, 0, 0x10]), Ok(flags));
        assert_eq!(round(&Flags::NONE), [3, 5, 0, 0, 0, 0, 0]);
        assert!(flags.contains(0x10) && !flags.contains(0x30));
        assert_eq!(flags.with(0x20).without(0x4000_0010).bits(), 0x20);
        let longer = [3, 6, 6, 0, 0, 0, 1, 0x40];
        assert_eq!(
            Flags::decode(&longer).map(|flags| round(&flags)),
            Ok(longer.to_vec())
        );
        let refused: [(&[u8], DerError); 7] = [
            (&[3, 0], DerError::UnusedBits),
            (&[3, 1, 1], DerError::UnusedBits),
            (&[3, 1, 0], DerError::FlagsLength),
            (&[3, 5, 8, 0, 0, 0, 0], DerError::UnusedBits),
            (&[3, 5, 1, 0, 0, 0, 1], DerError::UnusedBitSet),
            (&[3, 6, 0, 0, 0, 0, 1, 0x40], DerError::FlagsLength),
            (
                &[3, 10, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1],
                DerError::FlagsLength,
            ),
        ];
        for (bytes, error) in refused {
            assert_eq!(Flags::decode(bytes), Err(error), "{bytes:x?}");
        }
    }

    fn time(text: &[u8]) -> Result<i64, DerError> {
        GeneralizedTime::decode_content(text).map(GeneralizedTime::seconds)
    }

    #[test]
    fn times_are_moments_of_the_calendar() {
        let known = [
            (&b"19700101000000Z"[..], 0),
            (b"19940610060317Z", 771_228_197),
            (b"20000229120000Z", 951_825_600),
            (b"20380119031408Z", 2_147_483_648),
            (b"21060207062816Z", 4_294_967_296),
            (b"00000101000000Z", YEAR_0),
            (b"99991231235959Z", YEAR_10000 - 1),
        ];
        for (text, seconds) in known {
            assert_eq!(time(text), Ok(seconds));
            let mut out = Vec::new();
            GeneralizedTime(seconds).encode_content(&mut out);
            assert_eq!(out, text);
        }
        for day in (YEAR_0 / DAY)..(YEAR_10000 / DAY) {
            let (year, month, day_of_month) = civil_of_days(day);
            assert_eq!(days_of_civil(year, month, day_of_month), day);
        }
        let refused: [&[u8]; 13] = [
            b"19700101000000",
            b"19700101000000z",
            b"19700101000000.0Z",
            b"197001010000Z",
            b"19700101000000+0000",
            b"19700001000000Z",
            b"19701301000000Z",
            b"19700100000000Z",
            b"19710229000000Z",
            b"19000229000000Z",
            b"19700101240000Z",
            b"19700101000060Z",
            b"1970010100000 Z",
        ];
        for text in refused {
            assert_eq!(time(text), Err(DerError::Time), "{}", text.escape_ascii());
        }
        let late = GeneralizedTime::from(Timestamp::MAX);
        assert_eq!(late.seconds(), YEAR_10000 - 1);
    }

    #[test]
    fn a_list_holds_one_type() {
        assert_eq!(
            Vec::<i32>::decode(&[0x30, 6, 2, 1, 1, 2, 1, 2]),
            Ok(vec![1, 2])
        );
        assert_eq!(
            Vec::<i32>::decode(&[0x30, 3, 4, 1, 1]),
            Err(DerError::Tag {
                expected: 2,
                found: 4
            })
        );
        assert_eq!(
            Vec::<i32>::decode(&[0x30, 2, 2, 1]),
            Err(DerError::Truncated)
        );
    }
}
