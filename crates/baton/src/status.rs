//! `GSS_Display_status` (RFC 2743 §2.4.1, RFC 2744 §5.11): codes as texts, for programs that have a code and no
//! [`Error`](crate::Error), whose own text says more.

use std::borrow::Cow;

pub use gss_core::status::major_texts;

/// The text of a minor code that a mechanism here gives, or that its peers give: a com_err code of krb5, of its GSS-API mechanism or
/// of ASN.1, or a transfer's.
///
/// ```
/// use baton::status::minor_text;
/// assert_eq!(minor_text(0x96c7_3a25), "the clocks of client and server are too far apart");
/// ```
pub fn minor_text(code: u32) -> Cow<'static, str> {
    if code == 0 {
        return "no code of the mechanism's own".into();
    }
    let known = gss_krb5::minor::find(code).map(|minor| minor.text);
    match known.or_else(|| transfer_text(code)) {
        Some(text) => text.into(),
        None => format!("a code without a text here ({code:#010x})").into(),
    }
}

/// What `docs/transfer.md` says of a transfer's code: `BT` and the number of the rule.
fn transfer_text(code: u32) -> Option<&'static str> {
    Some(match code.checked_sub(0x4254_0000)? {
        1 => "transfer of contexts is switched off",
        2 => "the context's mechanism cannot transfer it",
        3 => "the context has expired, and an expired context is not exported",
        4 => "the policy of the transfer cannot be carried out",
        5 => "the context's state could not be saved",
        6 => "the once-store does not answer",
        7 => "this is not the token that was exported",
        8 => "the token was imported already, has expired, or was exported elsewhere",
        9 => "the token has expired",
        10 => "another importer took the context over first",
        11 => "the deposit in the once-store is damaged",
        12 => "the exporter's policy does not admit this process",
        13 => "the mechanism does not take the context's state",
        14 => "the token would expire at once",
        15 => "the context's state is too long for a token",
        16 => "the context was handed on: it is no longer here",
        17 => "there is no memory that a child of fork shares",
        18 => "the context is not established yet",
        19 => "no key for half-open tokens is configured",
        20 => "the keys for half-open tokens cannot be used",
        21 => "the half-open token is under a key that this service does not have",
        22 => "the half-open token is malformed",
        23 => "the half-open token is of the other side of a handshake",
        24 => "the half-open token is bound to another channel",
        25 => "the half-open token was redeemed before",
        26 => "whether the half-open token was redeemed before is not known",
        _ => return None,
    })
}

/// The name of a minor code in MIT's headers: `KRB5KRB_AP_ERR_SKEW`.
pub fn minor_name(code: u32) -> Option<&'static str> {
    gss_krb5::minor::find(code).map(|minor| minor.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_code_has_its_text() {
        for (code, name) in [
            (0x96c7_3a06, Some("KRB5KDC_ERR_C_PRINCIPAL_UNKNOWN")),
            (0x861b_6d0c, Some("G_BAD_TOK_HEADER")),
            (39_756_038, Some("KG_BAD_LENGTH")),
            (1_859_794_441, Some("ASN1_PARSE_ERROR")),
            (0x4254_0008, None),
            (0x1234_5678, None),
            (0, None),
        ] {
            assert_eq!(minor_name(code), name, "{code:#x}");
            assert!(!minor_text(code).is_empty());
        }
        assert!(minor_text(0x1234_5678).contains("0x12345678"));
        assert!(!minor_text(0x4254_0008).contains("without a text"));
    }
}
