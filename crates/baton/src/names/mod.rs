//! From the names that GSS-API knows to Kerberos principals (RFC 1964 §2.1, RFC 4121 §5), and back.

mod error;
mod forms;
mod hostbased;

use gss_core::error::{Error, Major};
use gss_core::name::{MechName, Name};
use gss_core::oid::Oid;
use gss_krb5::NAME_TYPES;
use krb5::principal::Principal;

pub use self::error::NameError;
pub(crate) use self::forms::principal;
pub(crate) use self::hostbased::second_choice;
use crate::Environment;

/// The name of `principal`, as the mechanism displays it.
pub(crate) fn name(principal: &Principal) -> Name {
    gss_krb5::display(principal)
}

/// Names (RFC 2743 §2.4, RFC 6680).
///
/// ```
/// use baton::{Environment, Config, Name, Oid};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use baton::kerberos::settings::Settings;
/// # let settings = Settings { default_realm: Some("EXAMPLE.TEST".into()), ..Settings::default() };
/// # let env = Environment::new(Config { settings: Some(settings), ..Config::default() })?;
/// let service = env.canonicalize(&Name::hostbased_service("HTTP@Web.example.test"))?;
/// assert_eq!(service.to_string(), "HTTP/web.example.test@EXAMPLE.TEST");
/// assert_eq!(service.name_type(), Oid::NT_KRB5_PRINCIPAL);
///
/// let token = service.export(); // the same bytes for the same principal, in every process
/// let again = env.canonicalize(&Name::exported(token))?;
/// assert!(again.is_same_as(&service));
/// # Ok(())
/// # }
/// ```
impl Environment {
    /// `GSS_Canonicalize_name` for Kerberos: the principal that `name` means (RFC 2743 §2.4.14).
    pub fn canonicalize(&self, name: &Name) -> Result<MechName, Error> {
        Ok(forms::mech_name(name, self)?)
    }

    /// `GSS_Canonicalize_name` for `mechanism`: Kerberos by any of its OIDs, or SPNEGO, which has no names of its own and hands on
    /// Kerberos's. `GSS_S_BAD_MECH` for others.
    pub fn canonicalize_for(&self, name: &Name, mechanism: Oid) -> Result<MechName, Error> {
        known(mechanism)?;
        self.canonicalize(name)
    }

    /// `GSS_Compare_name`: whether both mean one principal. An anonymous name is never known to be the same as any
    /// (RFC 2743 §2.4.3).
    pub fn compare_names(&self, one: &Name, other: &Name) -> Result<bool, Error> {
        Ok(self
            .canonicalize(one)?
            .is_same_as(&self.canonicalize(other)?))
    }

    /// `GSS_Export_name` of the principal that `name` means: see [`MechName::export`].
    pub fn export_name(&self, name: &Name) -> Result<Vec<u8>, Error> {
        Ok(self.canonicalize(name)?.export())
    }

    /// `GSS_Display_name_ext` (RFC 6680 §7.3): the name in the syntax of `name_type`. What was given in that syntax comes back as
    /// it is; else the principal is displayed in it if it can be: a service of a host loses its realm. `GSS_S_UNAVAILABLE` if it
    /// cannot.
    pub fn display_as(&self, name: &Name, name_type: Oid) -> Result<Vec<u8>, Error> {
        if name.name_type() == name_type {
            return Ok(name.text().to_vec());
        }
        let principal = principal(name, self)?;
        let shown = forms::display_as(&principal, name_type);
        shown.ok_or_else(|| NameError::NotDisplayable(name_type).into())
    }

    /// `GSS_Inquire_names_for_mech`: the types of names that `mechanism` takes (RFC 2743 §2.4.12). `GSS_S_BAD_MECH` for one that
    /// is not here.
    pub fn inquire_names_for_mech(&self, mechanism: Oid) -> Result<&'static [Oid], Error> {
        known(mechanism)?;
        Ok(&NAME_TYPES)
    }

    /// `GSS_Inquire_mechs_for_name`: the mechanisms that may take `name`, by its type, or if it was exported, by whose it is
    /// (RFC 2743 §2.4.13).
    pub fn inquire_mechs_for_name(&self, name: &Name) -> Vec<Oid> {
        if NAME_TYPES.contains(&name.name_type()) && forms::may_be_ours(name) {
            vec![Oid::KRB5, Oid::SPNEGO]
        } else {
            Vec::new()
        }
    }
}

/// That a mechanism is one of ours.
fn known(mechanism: Oid) -> Result<(), Error> {
    match mechanism {
        Oid::KRB5 | Oid::KRB5_MICROSOFT | Oid::SPNEGO => Ok(()),
        other => Err(Error::new(Major::BadMech, NameError::Mechanism(other))),
    }
}

#[cfg(test)]
mod tests;
