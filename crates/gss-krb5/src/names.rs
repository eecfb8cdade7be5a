//! Principals as GSS-API has them (RFC 1964 §2.1, RFC 4121 §5).

use gss_core::name::{MechName, Name};
use gss_core::oid::Oid;
use krb5::principal::Principal;

/// The name of `principal` as this mechanism displays it: of its own name type, but that nobody in particular (RFC 8062 §2) is
/// of the anonymous one.
pub fn display(principal: &Principal) -> Name {
    displayed(principal.to_bytes())
}

/// The same, of the spelling.
pub(crate) fn displayed(text: impl Into<Box<[u8]>>) -> Name {
    let text = text.into();
    let name_type = match &*text {
        b"WELLKNOWN/ANONYMOUS@WELLKNOWN:ANONYMOUS" => Oid::NT_ANONYMOUS,
        _ => Oid::NT_KRB5_PRINCIPAL,
    };
    Name::new(name_type, text)
}

/// The name of `principal` in this mechanism's terms. Anonymous ones whose realm is known are anonymous too.
pub fn mech_name(principal: &Principal) -> MechName {
    let name = MechName::new(Oid::KRB5, display(principal));
    if principal.is_anonymous() {
        name.anonymous()
    } else {
        name
    }
}

/// The name that is displayed so.
pub(crate) fn of_display(name: &Name) -> MechName {
    match Principal::parse_bytes(name.text(), None) {
        Ok(principal) => mech_name(&principal),
        // Only a saved state that was never sealed could hold such a name.
        Err(_) => MechName::new(Oid::KRB5, name.clone()),
    }
}

/// The kinds of names that mean principals here: `GSS_Inquire_names_for_mech` (RFC 2743 §2.4.12).
pub const NAME_TYPES: [Oid; 10] = [
    Oid::NT_KRB5_PRINCIPAL,
    Oid::NT_USER_NAME,
    Oid::NT_HOSTBASED_SERVICE,
    Oid::NT_HOSTBASED_SERVICE_X,
    Oid::NT_MACHINE_UID_NAME,
    Oid::NT_STRING_UID_NAME,
    Oid::NT_ANONYMOUS,
    Oid::NT_KRB5_ENTERPRISE,
    Oid::NT_EXPORT_NAME,
    Oid::NT_COMPOSITE_EXPORT,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_in_particular_is_displayed_as_such() {
        let nobody = Principal::anonymous();
        assert_eq!(display(&nobody).name_type(), Oid::NT_ANONYMOUS);
        assert_eq!(
            nobody.to_bytes(),
            b"WELLKNOWN/ANONYMOUS@WELLKNOWN:ANONYMOUS"
        );
        let of_a_realm = nobody.with_realm("R");
        assert_eq!(display(&of_a_realm).name_type(), Oid::NT_KRB5_PRINCIPAL);
        assert!(mech_name(&of_a_realm).is_anonymous());
        assert!(!mech_name(&Principal::user("ANONYMOUS", "R")).is_anonymous());
    }
}
