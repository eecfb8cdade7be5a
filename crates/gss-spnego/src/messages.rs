//! The messages of RFC 4178 §4.2 and MS-SPNG §2.2.1, in strict DER. Fields that a later standard may add are passed over (§6).

use gss_core::oid::Oid;
use wire::der::{
    self, BIT_STRING, DerError, Extensions, GeneralString, OBJECT_IDENTIFIER, SEQUENCE, Value,
    context, element,
};

use crate::error::{Error, Malformed};

wire::sequence! {
    /// NegTokenInit, RFC 4178 §4.2.1.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct NegTokenInit<'a> {
        [0] mech_types: MechTypeList<'a>,
        /// Not protected, so nobody looks at them.
        [1] req_flags: Option<ContextFlags<'a>>,
        [2] mech_token: Option<&'a [u8]>,
        [3] mech_list_mic: Option<&'a [u8]>,
        [4] extensions: Extensions<'a>,
    }

    /// NegTokenInit2, MS-SPNG §2.2.1: what an acceptor that speaks first sends.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct NegTokenInit2<'a> {
        [0] mech_types: Option<MechTypeList<'a>>,
        [1] req_flags: Option<ContextFlags<'a>>,
        [2] mech_token: Option<&'a [u8]>,
        [3] neg_hints: Option<NegHints<'a>>,
        [4] mech_list_mic: Option<&'a [u8]>,
        [5] extensions: Extensions<'a>,
    }

    /// NegHints, MS-SPNG §2.2.1. Nobody uses them.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct NegHints<'a> {
        [0] hint_name: Option<GeneralString<'a>>,
        [1] hint_address: Option<&'a [u8]>,
        [2] extensions: Extensions<'a>,
    }

    /// NegTokenResp, RFC 4178 §4.2.2.
    #[derive(Clone, Debug, Default, PartialEq, Eq)]
    pub struct NegTokenResp<'a> {
        [0] neg_state: Option<NegState>,
        [1] supported_mech: Option<MechType<'a>>,
        [2] response_token: Option<&'a [u8]>,
        [3] mech_list_mic: Option<&'a [u8]>,
        [4] extensions: Extensions<'a>,
    }
}

/// The hint that stands for no hint (MS-SPNG §2.2.1).
pub const HINT_NAME: GeneralString<'_> = GeneralString(b"not_defined_in_RFC4178@please_ignore");

/// NegotiationToken, RFC 4178 §4.2.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NegotiationToken<'a> {
    /// The first message.
    Init(NegTokenInit<'a>),
    /// The first message in Microsoft's form, under the same tag.
    Init2(NegTokenInit2<'a>),
    /// Every other message.
    Resp(NegTokenResp<'a>),
}

const INIT: u8 = context(0);
const RESP: u8 = context(1);

impl<'a> NegotiationToken<'a> {
    /// Reads a token, with nothing behind it.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, Error> {
        let (tag, content, rest) = element(bytes)?;
        if !rest.is_empty() {
            return Err(DerError::Trailing.into());
        }
        match tag {
            INIT => match NegTokenInit::decode(content) {
                Ok(init) => Ok(Self::Init(init)),
                // Hints, where the standard has a MIC.
                Err(
                    DerError::Tag {
                        found: SEQUENCE, ..
                    }
                    | DerError::MissingField { .. },
                ) => Ok(Self::Init2(NegTokenInit2::decode(content)?)),
                Err(error) => Err(error.into()),
            },
            RESP => Ok(Self::Resp(NegTokenResp::decode(content)?)),
            _ => Err(Malformed::Kind.into()),
        }
    }

    /// The one encoding of the token.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Init(init) => tagged(INIT, init),
            Self::Init2(init) => tagged(INIT, init),
            Self::Resp(resp) => tagged(RESP, resp),
        }
    }
}

fn tagged<'a>(tag: u8, value: &impl Value<'a>) -> Vec<u8> {
    let length = value.encoded_len();
    let mut out = Vec::with_capacity(der::element_len(length));
    der::header(tag, length, &mut out);
    value.encode_to(&mut out);
    out
}

/// MechType: the contents octets of an OBJECT IDENTIFIER.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MechType<'a>(&'a [u8]);

impl MechType<'_> {
    /// Whether this is `oid`, or stands for it.
    pub(crate) fn means(self, oid: Oid) -> bool {
        self.0 == oid.bytes() || self.is_microsofts() && oid == Oid::KRB5
    }

    /// Windows 2000 wrote Kerberos's OID with an arc in 16 bits, and every Windows since offers both (RFC 4178 Appendix C).
    fn is_microsofts(self) -> bool {
        self.0 == Oid::KRB5_MICROSOFT.bytes()
    }
}

impl<'a> From<&'a Oid> for MechType<'a> {
    fn from(oid: &'a Oid) -> Self {
        Self(oid.bytes())
    }
}

impl<'a> Value<'a> for MechType<'a> {
    const TAG: u8 = OBJECT_IDENTIFIER;

    fn decode_content(content: &'a [u8]) -> Result<Self, DerError> {
        // X.690 §8.19: at least one arc, none padded in front, the last one whole.
        let begins = |at: usize| at == 0 || content[at - 1] & 0x80 == 0;
        let padded = (0..content.len()).any(|at| content[at] == 0x80 && begins(at));
        match content.last() {
            Some(last) if last & 0x80 == 0 && !padded => Ok(Self(content)),
            _ => Err(DerError::Oid),
        }
    }

    fn content_len(&self) -> usize {
        self.0.len()
    }

    fn encode_content(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.0);
    }
}

/// MechTypeList, kept byte for byte, because that is what the MICs protect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MechTypeList<'a>(&'a [u8]);

impl<'a> MechTypeList<'a> {
    /// The list with this content, which is known to be one.
    pub(crate) const fn of(content: &'a [u8]) -> Self {
        Self(content)
    }

    pub(crate) const fn content(self) -> &'a [u8] {
        self.0
    }

    /// The mechanisms, the favourite first.
    pub fn iter(&self) -> impl Iterator<Item = MechType<'a>> {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            let (_, content, after) = element(rest).ok()?;
            rest = after;
            Some(MechType(content))
        })
    }
}

impl<'a> Value<'a> for MechTypeList<'a> {
    const TAG: u8 = SEQUENCE;

    fn decode_content(content: &'a [u8]) -> Result<Self, DerError> {
        Vec::<MechType<'a>>::decode_content(content)?;
        Ok(Self(content))
    }

    fn content_len(&self) -> usize {
        self.0.len()
    }

    fn encode_content(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.0);
    }
}

/// ContextFlags, of which nothing is read: "the acceptor MUST ignore this reqFlags field" (RFC 4178 §4.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContextFlags<'a>(&'a [u8]);

impl<'a> Value<'a> for ContextFlags<'a> {
    const TAG: u8 = BIT_STRING;

    fn decode_content(content: &'a [u8]) -> Result<Self, DerError> {
        Ok(Self(content))
    }

    fn content_len(&self) -> usize {
        self.0.len()
    }

    fn encode_content(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.0);
    }
}

/// negState, RFC 4178 §4.2.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum NegState {
    /// The sender has an established context and expects nothing more.
    AcceptCompleted = 0,
    /// The sender expects at least one more message.
    AcceptIncomplete = 1,
    /// The sender ends the negotiation.
    Reject = 2,
    /// As incomplete, and MICs of the mechanism list are to be exchanged.
    RequestMic = 3,
}

impl<'a> Value<'a> for NegState {
    const TAG: u8 = 0x0a; // ENUMERATED

    fn decode_content(content: &'a [u8]) -> Result<Self, DerError> {
        match content {
            [0] => Ok(Self::AcceptCompleted),
            [1] => Ok(Self::AcceptIncomplete),
            [2] => Ok(Self::Reject),
            [3] => Ok(Self::RequestMic),
            [] => Err(DerError::EmptyInteger),
            _ => Err(DerError::IntegerRange),
        }
    }

    fn content_len(&self) -> usize {
        1
    }

    fn encode_content(&self, out: &mut Vec<u8>) {
        out.push(*self as u8);
    }
}
