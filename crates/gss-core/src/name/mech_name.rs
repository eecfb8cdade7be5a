//! The name of one principal, in one mechanism's terms.

use std::fmt;
use std::sync::Arc;

use super::attributes::{Attribute, AttributeError, Attributes};
use super::{Name, exported};
use crate::oid::Oid;

/// A mechanism's name (RFC 2743 §1.1.5: an MN): what `GSS_Canonicalize_name` gives, and the names of a context's parties. It has
/// one spelling, that in which the mechanism displays it. `Clone` is `GSS_Duplicate_name`, and shares the attributes.
#[derive(Clone, Debug)]
pub struct MechName {
    mechanism: Oid,
    name: Name,
    anonymous: bool,
    attributes: Option<Arc<dyn Attributes>>,
}

impl MechName {
    /// The name that `mechanism` displays as `name`.
    pub const fn new(mechanism: Oid, name: Name) -> Self {
        Self {
            mechanism,
            name,
            anonymous: false,
            attributes: None,
        }
    }

    /// One of the names by which `mechanism` calls nobody in particular.
    #[must_use]
    pub const fn anonymous(mut self) -> Self {
        self.anonymous = true;
        self
    }

    /// The same name with attributes.
    #[must_use]
    pub fn with_attributes(mut self, attributes: Arc<dyn Attributes>) -> Self {
        self.attributes = Some(attributes);
        self
    }

    /// Whose name it is.
    pub const fn mechanism(&self) -> Oid {
        self.mechanism
    }

    /// The name as it is displayed, with the type of that: `GSS_Display_name`.
    pub const fn name(&self) -> &Name {
        &self.name
    }

    /// The type in which it is displayed.
    pub const fn name_type(&self) -> Oid {
        self.name.name_type()
    }

    /// The spelling.
    pub const fn text(&self) -> &[u8] {
        self.name.text()
    }

    /// Whether it is nobody's in particular.
    pub const fn is_anonymous(&self) -> bool {
        self.anonymous
    }

    /// `GSS_Compare_name`: whether both are names of one principal. An anonymous name is never known to be the same as any, itself
    /// included (RFC 2743 §2.4.3), which is why this is not `==`. Attributes are not compared.
    pub fn is_same_as(&self, other: &Self) -> bool {
        !self.anonymous
            && !other.anonymous
            && self.mechanism == other.mechanism
            && self.text() == other.text()
    }

    /// `GSS_Export_name`: the same bytes for the same principal, so that lists of them can be compared (RFC 2743 §3.2).
    /// [`Name::exported`] reads them again.
    pub fn export(&self) -> Vec<u8> {
        exported::export(&self.mechanism, self.text())
    }

    /// `GSS_Export_name_composite`: the name with its attributes, and how far they can be relied on, for another process that is
    /// trusted (RFC 6680 §7.8). Nothing protects these bytes. [`Name::composite_export`] reads them again.
    pub fn export_composite(&self) -> Vec<u8> {
        let attributes = self.attributes.as_ref();
        let attributes = attributes.map(|all| all.export()).unwrap_or_default();
        exported::export_composite(&self.mechanism, self.text(), &attributes)
    }

    /// `GSS_Inquire_name`: the names of all attributes.
    pub fn attribute_names(&self) -> Vec<String> {
        let attributes = self.attributes.as_ref();
        attributes.map(|all| all.names()).unwrap_or_default()
    }

    /// `GSS_Get_name_attribute`: all values of the attribute. `GSS_S_UNAVAILABLE` if there is none of that name.
    pub fn attribute(&self, name: &str) -> Result<Attribute, AttributeError> {
        self.find(name)
            .ok_or_else(|| AttributeError::Unknown(name.to_owned()))
    }

    /// `GSS_Set_name_attribute`. What a ticket says stays as it is and no mechanism here has others, so this tells why not.
    pub fn set_attribute(&mut self, name: &str, _: Attribute) -> Result<(), AttributeError> {
        Err(self.fixed(name))
    }

    /// `GSS_Delete_name_attribute`, with the same answers.
    pub fn delete_attribute(&mut self, name: &str) -> Result<(), AttributeError> {
        Err(self.fixed(name))
    }

    fn find(&self, name: &str) -> Option<Attribute> {
        self.attributes.as_ref()?.get(name)
    }

    fn fixed(&self, name: &str) -> AttributeError {
        match self.find(name) {
            Some(_) => AttributeError::ReadOnly(name.to_owned()),
            None => AttributeError::NotSettable(name.to_owned()),
        }
    }
}

impl From<MechName> for Name {
    fn from(name: MechName) -> Self {
        name.name
    }
}

/// As a [`Name`] is shown.
impl fmt::Display for MechName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.name.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Error, Major};

    #[derive(Debug)]
    struct Colour;

    impl Attributes for Colour {
        fn names(&self) -> Vec<String> {
            vec!["colour".to_owned()]
        }

        fn get(&self, name: &str) -> Option<Attribute> {
            (name == "colour").then(|| Attribute::single(true, *b"red", None))
        }

        fn export(&self) -> Vec<u8> {
            b"red".to_vec()
        }
    }

    fn alice() -> MechName {
        MechName::new(Oid::KRB5, Name::krb5_principal("alice@R"))
    }

    #[test]
    fn names_are_the_same_by_mechanism_and_spelling() {
        let bob = MechName::new(Oid::KRB5, Name::krb5_principal("bob@R"));
        let elsewhere = MechName::new(Oid::SPNEGO, Name::krb5_principal("alice@R"));
        assert!(alice().is_same_as(&alice().with_attributes(Arc::new(Colour))));
        assert!(!alice().is_same_as(&bob));
        assert!(!alice().is_same_as(&elsewhere));
    }

    /// RFC 2743 §2.4.3.
    #[test]
    fn an_anonymous_name_is_the_same_as_no_name() {
        let nobody = alice().anonymous();
        assert!(!nobody.is_same_as(&nobody.clone()));
        assert!(!nobody.is_same_as(&alice()) && !alice().is_same_as(&nobody));
    }

    #[test]
    fn attributes_are_read_and_no_more() {
        let mut name = alice().with_attributes(Arc::new(Colour));
        assert_eq!(name.attribute_names(), ["colour"]);
        let red = name.attribute("colour").unwrap();
        assert!(red.authenticated && red.complete);
        let unknown = |error| assert!(matches!(error, AttributeError::Unknown(_)), "{error}");
        unknown(name.attribute("Colour").unwrap_err());
        unknown(alice().attribute("colour").unwrap_err());
        for (error, expected) in [
            (
                name.set_attribute("colour", red.clone()),
                "cannot be changed",
            ),
            (name.delete_attribute("colour"), "cannot be changed"),
            (name.set_attribute("size", red), "can be set"),
            (name.delete_attribute("size"), "can be set"),
        ] {
            let error = error.unwrap_err();
            assert!(error.to_string().contains(expected), "{error}");
            assert_eq!(Error::from(error).major(), Major::Unavailable);
        }
    }

    #[test]
    fn a_composite_token_has_the_attributes() {
        let token = alice().with_attributes(Arc::new(Colour)).export_composite();
        let read = exported::Exported::parse_composite(&token).unwrap();
        assert_eq!((read.name, read.attributes), (&b"alice@R"[..], &b"red"[..]));
        let bare = alice().export_composite();
        let read = exported::Exported::parse_composite(&bare).unwrap();
        assert!(read.attributes.is_empty());
        assert_eq!(alice().export(), exported::export(&Oid::KRB5, b"alice@R"));
    }
}
