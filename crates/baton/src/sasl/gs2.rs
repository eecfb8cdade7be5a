//! The header of GS2 (RFC 5801 §4), and the bindings that it is a part of (§5.1).

use crate::ChannelBindings;

/// What a client says of channel bindings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Flag {
    /// `n`: it has none.
    None,
    /// `y`: it has, and thinks that the server has not.
    ServerHasNone,
    /// `p`: it uses them, of this type.
    Used(String),
}

/// The header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// `F`: the mechanism's token has no frame.
    pub(super) nonstandard: bool,
    pub(super) flag: Flag,
    pub(super) authzid: Option<String>,
}

/// Why a header is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HeaderError {
    /// Not the form of RFC 5801 §4.
    #[error("the GS2 header is malformed")]
    Malformed,
    /// A token without a frame, which Kerberos's always has.
    #[error("the client says that its token has no frame, and Kerberos's has one")]
    NonStandard,
    /// `y`, and the server does have bindings: somebody took the `-PLUS` name off the server's list.
    #[error(
        "the client believes that this server has no channel bindings: somebody on the way changed the list of mechanisms"
    )]
    Downgrade,
    /// The server insists on bindings.
    #[error("the client has no channel bindings, and this server asks for them")]
    BindingsRequired,
    /// `p` without `-PLUS`, or `-PLUS` without `p`.
    #[error("the name of the mechanism and the GS2 header do not agree about channel bindings")]
    NameAndFlag,
    /// Bindings of a type that the server does not have here.
    #[error("the client binds to the channel by `{0}`, which this server does not have")]
    OtherType(String),
    /// The bindings have no type: what [`ChannelBindings::tls_exporter`] and the like make begins with one.
    #[error("the channel bindings do not begin with a type's name and a colon")]
    NoType,
}

/// The longest header that is looked at.
const MAX_HEADER: usize = 4096;

impl Header {
    /// The bytes.
    pub(super) fn write(&self) -> String {
        let nonstandard = if self.nonstandard { "F," } else { "" };
        let flag = match &self.flag {
            Flag::None => "n".to_owned(),
            Flag::ServerHasNone => "y".to_owned(),
            Flag::Used(name) => format!("p={name}"),
        };
        let authzid = self.authzid.as_deref().map(|name| {
            // The equals sign first: its own escape has one.
            format!("a={}", name.replace('=', "=3D").replace(',', "=2C"))
        });
        format!("{nonstandard}{flag},{},", authzid.unwrap_or_default())
    }

    /// The header that `message` begins with, and the rest.
    pub(super) fn read(message: &[u8]) -> Result<(Self, &[u8]), HeaderError> {
        let mut rest = message;
        let mut field = || {
            let end = rest.iter().take(MAX_HEADER).position(|byte| *byte == b',');
            let (field, after) = rest.split_at(end.ok_or(HeaderError::Malformed)?);
            rest = &after[1..];
            str::from_utf8(field).map_err(|_| HeaderError::Malformed)
        };
        let mut flag = field()?;
        let nonstandard = flag == "F";
        if nonstandard {
            flag = field()?;
        }
        let flag = match flag {
            "n" => Flag::None,
            "y" => Flag::ServerHasNone,
            other => Flag::Used(binding_type(other)?),
        };
        let authzid = match field()? {
            "" => None,
            text => Some(authzid(text)?),
        };
        Ok((
            Self {
                nonstandard,
                flag,
                authzid,
            },
            rest,
        ))
    }

    /// What the context is bound to: the header, without `F`, and the channel.
    pub(super) fn bindings(&self, channel: &[u8]) -> ChannelBindings {
        let header = Self {
            nonstandard: false,
            ..self.clone()
        };
        ChannelBindings::application([header.write().as_bytes(), channel].concat())
    }
}

fn binding_type(text: &str) -> Result<String, HeaderError> {
    let name = text.strip_prefix("p=").ok_or(HeaderError::Malformed)?;
    if !is_binding_type(name) {
        return Err(HeaderError::Malformed);
    }
    Ok(name.to_owned())
}

fn is_binding_type(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-');
    !name.is_empty() && name.bytes().all(allowed)
}

/// `=2C` and `=3D` are the only escapes, and `=` stands for nothing else.
fn authzid(text: &str) -> Result<String, HeaderError> {
    let escaped = text.strip_prefix("a=").ok_or(HeaderError::Malformed)?;
    let mut parts = escaped.split('=');
    let mut name = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (sign, rest) = match (part.strip_prefix("2C"), part.strip_prefix("3D")) {
            (Some(rest), _) => (',', rest),
            (_, Some(rest)) => ('=', rest),
            _ => return Err(HeaderError::Malformed),
        };
        name.push(sign);
        name.push_str(rest);
    }
    if name.is_empty() || name.contains('\0') {
        return Err(HeaderError::Malformed);
    }
    Ok(name)
}

/// The type's name and the data: `tls-unique:...` (RFC 5056 §2.1).
pub(super) fn type_and_data(bindings: &ChannelBindings) -> Result<(&str, &[u8]), HeaderError> {
    let data = &bindings.application_data;
    let colon = data.iter().position(|byte| *byte == b':');
    let (name, data) = data.split_at(colon.ok_or(HeaderError::NoType)?);
    let name = str::from_utf8(name)
        .ok()
        .filter(|name| is_binding_type(name));
    Ok((name.ok_or(HeaderError::NoType)?, &data[1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(nonstandard: bool, flag: Flag, authzid: Option<&str>) -> Header {
        let authzid = authzid.map(str::to_owned);
        Header {
            nonstandard,
            flag,
            authzid,
        }
    }

    /// RFC 5801 §6.
    #[test]
    fn headers_are_written_and_read() {
        let used = || Flag::Used("tls-unique".to_owned());
        for (header, text) in [
            (header(false, Flag::None, Some("someuser")), "n,a=someuser,"),
            (header(false, Flag::None, None), "n,,"),
            (header(true, Flag::None, None), "F,n,,"),
            (
                header(false, used(), Some("someuser")),
                "p=tls-unique,a=someuser,",
            ),
            (header(false, used(), None), "p=tls-unique,,"),
            (
                header(false, Flag::ServerHasNone, Some("someuser")),
                "y,a=someuser,",
            ),
            (
                header(true, used(), Some("a=b,c=2C")),
                "F,p=tls-unique,a=a=3Db=2Cc=3D2C,",
            ),
            (header(false, Flag::None, Some("bøb")), "n,a=bøb,"),
        ] {
            assert_eq!(header.write(), text);
            let message = format!("{text}to,ken");
            assert_eq!(
                Header::read(message.as_bytes()),
                Ok((header, &b"to,ken"[..]))
            );
            for cut in 0..text.len() {
                let cut = &text.as_bytes()[..cut];
                assert_eq!(Header::read(cut), Err(HeaderError::Malformed), "{cut:?}");
            }
        }
    }

    #[test]
    fn other_forms_are_refused() {
        for text in [
            "",
            ",",
            ",,",
            "x,,",
            "N,,",
            "n,a=,",
            "n,b=x,",
            "n,a=x=,",
            "n,a==2c,",
            "n,a=x=2,",
            "n,a=\0,",
            "p,,",
            "p=,,",
            "p=tls unique,,",
            "p=tls_unique,,",
            "F,F,n,,",
            "f,n,,",
            "nn,,",
            "n=,,",
            "n,x",
            "n, a=x,",
        ] {
            assert_eq!(
                Header::read(text.as_bytes()).unwrap_err(),
                HeaderError::Malformed,
                "{text}"
            );
        }
        assert_eq!(
            Header::read(b"n,a=\xff,").unwrap_err(),
            HeaderError::Malformed
        );
        let long = format!("n,a={},", "x".repeat(MAX_HEADER));
        assert_eq!(
            Header::read(long.as_bytes()).unwrap_err(),
            HeaderError::Malformed
        );
    }

    #[test]
    fn bindings_are_the_header_and_the_channel() {
        let flag = Flag::Used("tls-exporter".to_owned());
        let bindings = header(true, flag, Some("x")).bindings(b"data");
        assert_eq!(bindings.application_data, b"p=tls-exporter,a=x,data");
        let exporter = ChannelBindings::tls_exporter(&[b':'; 32]);
        assert_eq!(
            type_and_data(&exporter),
            Ok(("tls-exporter", &[b':'; 32][..]))
        );
        for other in [&b"no colon"[..], b":data", b"a b:data", b""] {
            let bindings = ChannelBindings::application(other);
            assert_eq!(type_and_data(&bindings), Err(HeaderError::NoType));
        }
    }
}
