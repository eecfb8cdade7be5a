//! What can be wrong with an encoding.

use core::fmt;

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
    /// An OBJECT IDENTIFIER that is empty, cut, or has an arc in more bytes than it needs.
    Oid,
    /// A UTF8String that is not UTF-8.
    Utf8,
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
    /// A list of more elements than any real one has.
    TooMany,
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
            Self::Oid => f.write_str("an object identifier that is empty, cut or padded"),
            Self::Utf8 => f.write_str("a text that is not UTF-8"),
            Self::MissingField { of, field } => write!(f, "{of} lacks its field {field}"),
            Self::UnknownField { of, tag } => {
                write!(f, "{of} has no field of tag {tag:#04x} at this place")
            }
            Self::TooMany => f.write_str("a list of too many elements"),
            Self::TooDeep => f.write_str("containers too deep within each other"),
        }
    }
}

impl core::error::Error for DerError {}
