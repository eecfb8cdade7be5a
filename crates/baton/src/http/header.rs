//! The fields `Authorization` and `WWW-Authenticate` (RFC 9110 §11), as far as `Negotiate` needs them.

use super::base64;

/// The longest value of a field that is looked at. Servers mostly take less: a token with a large PAC may need their limit raised.
pub const MAX_HEADER: usize = 128 * 1024;

/// What a server's field says of `Negotiate`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Challenge {
    /// It is wanted.
    Offered,
    /// The next token of the server.
    Token(Vec<u8>),
}

/// Why a field is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HeaderError {
    /// Longer than [`MAX_HEADER`].
    #[error("the field is longer than {MAX_HEADER} bytes")]
    TooLong,
    /// Not Base64 (RFC 4648 §4), or not all of the field.
    #[error("what follows `Negotiate` is not one token in Base64")]
    Token,
    /// Not challenges as RFC 9110 §11.6.1 has them.
    #[error("the field's challenges cannot be told apart")]
    Challenges,
    /// `Negotiate` twice.
    #[error("the server names `Negotiate` more than once, with different tokens")]
    Twice,
}

/// The token in the value of an `Authorization` field: none if the field is for another scheme.
pub fn authorization(value: &[u8]) -> Result<Option<Vec<u8>>, HeaderError> {
    if value.len() > MAX_HEADER {
        return Err(HeaderError::TooLong);
    }
    let value = value.trim_ascii();
    let end = value
        .iter()
        .position(|byte| *byte == b' ')
        .unwrap_or(value.len());
    let (scheme, rest) = value.split_at(end);
    if !scheme.eq_ignore_ascii_case(b"Negotiate") {
        return Ok(None);
    }
    let token = base64::decode(rest.trim_ascii_start()).filter(|token| !token.is_empty());
    token.map(Some).ok_or(HeaderError::Token)
}

/// The value of a field with `token`.
pub(super) fn with_token(token: &[u8]) -> String {
    format!("Negotiate {}", base64::encode(token))
}

/// Whether a server asks for `Negotiate`, going by the values of its `WWW-Authenticate` fields.
pub fn offers_negotiate<'a>(values: impl IntoIterator<Item = &'a [u8]>) -> bool {
    matches!(negotiate_challenge(values), Ok(Some(Challenge::Offered)))
}

/// What the values of `WWW-Authenticate` fields say of `Negotiate`, among other challenges in the same field or in others.
pub fn negotiate_challenge<'a>(
    values: impl IntoIterator<Item = &'a [u8]>,
) -> Result<Option<Challenge>, HeaderError> {
    let mut found = None;
    let mut total = 0;
    for value in values {
        total += value.len();
        if total > MAX_HEADER {
            return Err(HeaderError::TooLong);
        }
        for (scheme, rest) in challenges(value)? {
            if !scheme.eq_ignore_ascii_case(b"Negotiate") {
                continue;
            }
            let challenge = match rest {
                [] => Challenge::Offered,
                token => Challenge::Token(base64::decode(token).ok_or(HeaderError::Token)?),
            };
            match &found {
                Some(other) if *other != challenge => return Err(HeaderError::Twice),
                _ => found = Some(challenge),
            }
        }
    }
    Ok(found)
}

/// A scheme's name, and what is behind it.
type Scheme<'a> = (&'a [u8], &'a [u8]);

/// The challenges of a value, each a scheme and the first thing behind it (RFC 9110 §11.2, §11.6.1): elements between commas, of which those that begin with `name =` are a
/// parameter of the challenge before them.
fn challenges(value: &[u8]) -> Result<Vec<Scheme<'_>>, HeaderError> {
    let mut found = Vec::new();
    for element in elements(value)? {
        let name = element
            .iter()
            .position(|byte| !is_token(*byte))
            .unwrap_or(element.len());
        let (name, rest) = element.split_at(name);
        let behind = rest.trim_ascii_start();
        if name.is_empty() {
            return Err(HeaderError::Challenges);
        }
        // `scheme`, `scheme token68` and `scheme name=value` have a blank or an end behind the first word, `name = value` the sign.
        let is_parameter = behind.first() == Some(&b'=');
        match (is_parameter, rest.first()) {
            (true, _) if found.is_empty() => return Err(HeaderError::Challenges),
            (true, _) => {}
            (false, None | Some(b' ' | b'\t')) => found.push((name, behind)),
            (false, Some(_)) => return Err(HeaderError::Challenges),
        }
    }
    Ok(found)
}

/// What is between the commas, but for those in quoted strings.
fn elements(value: &[u8]) -> Result<Vec<&[u8]>, HeaderError> {
    let mut found = Vec::new();
    let (mut start, mut quoted, mut escaped) = (0, false, false);
    for (index, byte) in value.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b',' if !quoted => {
                found.push(value[start..index].trim_ascii());
                start = index + 1;
            }
            _ => {}
        }
    }
    if quoted {
        return Err(HeaderError::Challenges);
    }
    found.push(value[start..].trim_ascii());
    found.retain(|element| !element.is_empty());
    Ok(found)
}

/// RFC 9110 §5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn challenge(values: &[&str]) -> Result<Option<Challenge>, HeaderError> {
        negotiate_challenge(values.iter().map(|value| value.as_bytes()))
    }

    #[test]
    fn negotiate_is_found_among_others() {
        let offered = || Ok(Some(Challenge::Offered));
        let token = || Ok(Some(Challenge::Token(b"foob".to_vec())));
        for (values, found) in [
            (&["Negotiate"][..], offered()),
            (&["NEGOTIATE"], offered()),
            (&["Negotiate Zm9vYg=="], token()),
            (&["negotiate   Zm9vYg=="], token()),
            (&["Negotiate, Basic realm=\"x\""], offered()),
            (&["Basic realm=\"x\", Negotiate"], offered()),
            (
                &["Basic realm=\"Negotiate, Zm9v\", charset=\"UTF-8\""],
                Ok(None),
            ),
            (
                &["Basic realm=\"a \\\" , Negotiate\", Negotiate Zm9vYg==, NTLM"],
                token(),
            ),
            (
                &["Digest realm = \"x\" , nonce=\"Negotiate\", qop=auth,Negotiate Zm9vYg=="],
                token(),
            ),
            (&["Basic realm=\"x\"", "Negotiate", "NTLM"], offered()),
            (&["Negotiate", "Negotiate"], offered()),
            (&["Negotiated"], Ok(None)),
            (&["Basic"], Ok(None)),
            (&[""], Ok(None)),
            (&[" , ,Negotiate,, "], offered()),
            (&[], Ok(None)),
        ] {
            assert_eq!(challenge(values), found, "{values:?}");
        }
    }

    #[test]
    fn other_forms_are_refused() {
        for (values, error) in [
            (&["Negotiate Zm9vYg="][..], HeaderError::Token),
            (&["Negotiate Zm9v Zm9v"], HeaderError::Token),
            (&["Negotiate realm=\"x\""], HeaderError::Token),
            (&["Negotiate Zm9vYg==, Negotiate"], HeaderError::Twice),
            (&["Negotiate Zm9v", "Negotiate Zm9w"], HeaderError::Twice),
            (&["Basic realm=\"x"], HeaderError::Challenges),
            (&["realm=\"x\", Negotiate"], HeaderError::Challenges),
            (&["Negotiate: Zm9v"], HeaderError::Challenges),
            (&["\"Negotiate\""], HeaderError::Challenges),
            (&["Basic\u{7f}x"], HeaderError::Challenges),
        ] {
            assert_eq!(challenge(values), Err(error), "{values:?}");
        }
        let long = "x".repeat(MAX_HEADER + 1);
        assert_eq!(challenge(&[&long]), Err(HeaderError::TooLong));
        let half = "x".repeat(MAX_HEADER / 2 + 1);
        assert_eq!(challenge(&[&half, &half]), Err(HeaderError::TooLong));
    }

    #[test]
    fn an_authorization_is_a_scheme_and_a_token() {
        for (value, found) in [
            ("Negotiate Zm9vYg==", Ok(Some(b"foob".to_vec()))),
            ("negotiate  Zm9vYg== ", Ok(Some(b"foob".to_vec()))),
            ("Basic Zm9vYg==", Ok(None)),
            ("", Ok(None)),
            ("Negotiatex Zm9v", Ok(None)),
            ("Negotiate", Err(HeaderError::Token)),
            ("Negotiate ", Err(HeaderError::Token)),
            ("Negotiate Zm9vYg", Err(HeaderError::Token)),
            ("Negotiate Zm9vYg==,", Err(HeaderError::Token)),
            ("Negotiate\tZm9v", Ok(None)),
        ] {
            assert_eq!(authorization(value.as_bytes()), found, "{value}");
        }
        let long = format!("Negotiate {}", "A".repeat(MAX_HEADER));
        assert_eq!(authorization(long.as_bytes()), Err(HeaderError::TooLong));
        assert_eq!(with_token(b"foob"), "Negotiate Zm9vYg==");
    }
}
