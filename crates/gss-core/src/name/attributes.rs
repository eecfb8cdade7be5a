//! What is known of a name beside its spelling (RFC 6680).

use std::fmt::Debug;

use crate::error::{Error, Major};

/// The values of one attribute, and how far they can be relied on (RFC 6680 §7.5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribute {
    /// Whether somebody who is trusted for it vouches for the values. One that is not authenticated may be the peer's own invention.
    pub authenticated: bool,
    /// Whether these are all the values.
    pub complete: bool,
    /// The values, in their order.
    pub values: Vec<AttributeValue>,
}

/// One value of an attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttributeValue {
    /// The value, in the encoding that the attribute's name implies.
    pub value: Vec<u8>,
    /// The value for people, where there is such a form.
    pub display: Option<String>,
}

impl Attribute {
    /// An attribute of one value, which is all of it.
    pub fn single(authenticated: bool, value: impl Into<Vec<u8>>, display: Option<String>) -> Self {
        Self {
            authenticated,
            complete: true,
            values: vec![AttributeValue {
                value: value.into(),
                display,
            }],
        }
    }
}

/// A mechanism's attributes of one name.
pub trait Attributes: Debug + Send + Sync {
    /// The names of all attributes (RFC 6680 §6).
    fn names(&self) -> Vec<String>;

    /// The attribute of that name, if there is one.
    fn get(&self, name: &str) -> Option<Attribute>;

    /// All of them in the mechanism's form for composite export; empty if there is nothing to say.
    fn export(&self) -> Vec<u8>;
}

/// Why an attribute is not read, set or deleted: `GSS_S_UNAVAILABLE`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AttributeError {
    /// The name has no such attribute.
    #[error("the name has no attribute {0}")]
    Unknown(String),
    /// The attribute is what others say of the name.
    #[error("{0} is what a ticket or the name itself says, and cannot be changed")]
    ReadOnly(String),
    /// The mechanism knows of no such attribute.
    #[error("{0} is no attribute that can be set or deleted")]
    NotSettable(String),
}

impl From<AttributeError> for Error {
    fn from(error: AttributeError) -> Self {
        Self::new(Major::Unavailable, error)
    }
}
