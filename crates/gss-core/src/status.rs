//! Major status codes as texts: one each for the routine error, the calling error and each supplementary bit (RFC 2744 §3.9.1,
//! §5.11).

use std::borrow::Cow;

/// The texts of a major status code: the routine error's, then the calling error's, then one a supplementary bit, in the order of
/// the bits. It is never empty: `GSS_S_COMPLETE` has a text too.
///
/// The `n`th of them is what C's `gss_display_status` gives for the message context `n`.
///
/// ```
/// use gss_core::status::major_texts;
/// let texts: Vec<_> = major_texts(13 << 16 | 2).collect();
/// assert_eq!(texts, ["failure", "the token was seen before"]);
/// ```
pub fn major_texts(code: u32) -> impl Iterator<Item = Cow<'static, str>> + Clone {
    let complete = (code == 0).then_some(Cow::Borrowed("success"));
    let bits = (0..16).filter(move |bit| code & 1 << bit != 0);
    complete
        .into_iter()
        .chain(routine(code >> 16 & 0xff))
        .chain(calling(code >> 24))
        .chain(bits.map(supplementary))
}

/// RFC 2744 §3.9.1, table 1.
fn calling(error: u32) -> Option<Cow<'static, str>> {
    Some(Cow::Borrowed(match error {
        0 => return None,
        1 => "a required input parameter could not be read",
        2 => "a required output parameter could not be written",
        3 => "a parameter was malformed",
        other => return Some(format!("a calling error without a text here ({other})").into()),
    }))
}

/// RFC 2744 §3.9.1, table 2, and RFC 5587 §3.4.5.
fn routine(error: u32) -> Option<Cow<'static, str>> {
    use crate::error::Major;
    Some(Cow::Borrowed(match error {
        0 => return None,
        1 => Major::BadMech.text(),
        2 => Major::BadName.text(),
        3 => Major::BadNameType.text(),
        4 => Major::BadBindings.text(),
        5 => Major::BadStatus.text(),
        6 => Major::BadMic.text(),
        7 => Major::NoCred.text(),
        8 => Major::NoContext.text(),
        9 => Major::DefectiveToken.text(),
        10 => Major::DefectiveCredential.text(),
        11 => Major::CredentialsExpired.text(),
        12 => Major::ContextExpired.text(),
        13 => Major::Failure.text(),
        14 => Major::BadQop.text(),
        15 => Major::Unauthorized.text(),
        16 => Major::Unavailable.text(),
        17 => "the credential is there already",
        18 => "the name given is not a mechanism name",
        19 => "the mechanism attribute is not known",
        other => return Some(format!("a routine error without a text here ({other})").into()),
    }))
}

/// RFC 2744 §3.9.1, table 3.
fn supplementary(bit: u32) -> Cow<'static, str> {
    Cow::Borrowed(match bit {
        0 => "the routine must be called again to complete its function",
        1 => "the token was seen before",
        2 => "the token is too old to tell whether it was seen before",
        3 => "a later token has been processed already",
        4 => "an expected token was not received",
        other => return format!("a bit of information without a text here ({other})").into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Major, Supplementary};

    #[test]
    fn each_part_has_its_own_text_in_order() {
        let code = 1 << 24 | Major::Failure.code() | 1 | Supplementary::GapToken as u32;
        let texts: Vec<_> = major_texts(code).collect();
        assert_eq!(
            texts,
            [
                "failure",
                "a required input parameter could not be read",
                "the routine must be called again to complete its function",
                "an expected token was not received",
            ]
        );
        assert_eq!(major_texts(0).collect::<Vec<_>>(), ["success"]);
    }

    #[test]
    fn no_code_is_without_a_text() {
        for bit in 0..32 {
            let texts: Vec<_> = major_texts(1 << bit).collect();
            assert!(texts.len() == 1 && !texts[0].is_empty(), "{bit}");
        }
        assert_eq!(major_texts(u32::MAX).count(), 18);
        let errors: Vec<_> = (1..=19)
            .flat_map(|error| major_texts(error << 16))
            .collect();
        let mut once = errors.clone();
        once.sort();
        once.dedup();
        assert_eq!((errors.len(), once.len()), (19, 19), "no two are the same");
    }
}
