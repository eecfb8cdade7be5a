//! Which mechanisms may be negotiated (RFC 4178 Appendix B).

use gss_core::oid::Oid;
use gss_spnego::Local;

use crate::Error;
use crate::mechanisms::meant;

/// The mechanisms that may be negotiated, in the order of preference (`GSS_Set_neg_mechs`, RFC 4178 Appendix B.1).
///
/// Those among them that are not there are passed over; where none is left, there is nothing to negotiate and the handshake is
/// `GSS_S_BAD_MECH`. Microsoft's OID for Kerberos stands for Kerberos.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NegMechs(Vec<Oid>);

impl NegMechs {
    /// These, the favourite first.
    ///
    /// # Errors
    /// `GSS_S_BAD_MECH` for a list with SPNEGO itself (RFC 4178 §3.1).
    pub fn new(mechanisms: impl IntoIterator<Item = Oid>) -> Result<Self, Error> {
        let mut list = Vec::new();
        for mechanism in mechanisms {
            let mechanism = match meant(mechanism) {
                Oid::SPNEGO => return Err(gss_spnego::Error::from(Local::Spnego).into()),
                other => other,
            };
            if !list.contains(&mechanism) {
                list.push(mechanism);
            }
        }
        Ok(Self(list))
    }

    /// The mechanisms, the favourite first.
    pub fn iter(&self) -> impl Iterator<Item = Oid> {
        self.0.iter().copied()
    }

    /// Those of `all` that are in the list, in its order; all of them where there is no list.
    pub(crate) fn choose<T>(list: Option<&Self>, all: Vec<T>, oid: impl Fn(&T) -> Oid) -> Vec<T> {
        let Some(Self(list)) = list else {
            return all;
        };
        let place = |one: &T| list.iter().position(|mechanism| *mechanism == oid(one));
        let mut chosen: Vec<(usize, T)> = all
            .into_iter()
            .filter_map(|one| Some((place(&one)?, one)))
            .collect();
        chosen.sort_by_key(|(place, _)| *place);
        chosen.into_iter().map(|(_, one)| one).collect()
    }

    /// Whether any mechanism of this library is in the list.
    pub(crate) fn check(list: Option<&Self>) -> Result<(), Error> {
        match list {
            Some(list) if !list.0.contains(&Oid::KRB5) => {
                Err(gss_spnego::Error::from(Local::NoMechanism).into())
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Major;

    #[test]
    fn a_list_decides_what_is_offered_and_in_which_order() {
        let (a, b, c) = (Oid::KRB5, Oid::NT_USER_NAME, Oid::NT_EXPORT_NAME);
        let list = NegMechs::new([b, Oid::KRB5_MICROSOFT, b, c, a]).unwrap();
        assert_eq!(list.iter().collect::<Vec<_>>(), [b, a, c]);
        let chosen = NegMechs::choose(Some(&list), vec![a, Oid::NT_KRB5_PRINCIPAL, b], |oid| *oid);
        assert_eq!(chosen, [b, a]);
        assert_eq!(NegMechs::choose(None, vec![a, b], |oid| *oid), [a, b]);
        let error = NegMechs::new([a, Oid::SPNEGO]).unwrap_err();
        assert_eq!(error.major(), Major::BadMech);
    }
}
