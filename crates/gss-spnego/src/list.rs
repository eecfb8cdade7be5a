//! The mechanism list, and what both sides do alike with it and with answers.

use gss_core::error::Error as GssError;
use gss_core::flags::Flags;
use gss_core::mechanism::SecurityContext;
use gss_core::oid::Oid;
use gss_core::sequence::Order;
use wire::der::{Extensions, Value};

use crate::error::{Error, PeerMisbehaved};
use crate::messages::{MechType, MechTypeList, NegState, NegTokenResp, NegotiationToken};

/// The content of the initiator's MechTypeList, byte for byte as it was sent.
#[derive(Debug)]
pub(crate) struct MechList(Vec<u8>);

impl MechList {
    pub(crate) fn of(mechanisms: &[Oid]) -> Self {
        let mut content = Vec::new();
        for oid in mechanisms {
            MechType::from(oid).encode_to(&mut content);
        }
        Self(content)
    }

    pub(crate) fn received(list: MechTypeList<'_>) -> Self {
        Self(list.content().to_vec())
    }

    pub(crate) fn content(&self) -> &[u8] {
        &self.0
    }

    pub(crate) fn as_types(&self) -> MechTypeList<'_> {
        MechTypeList::of(&self.0)
    }

    /// What the MICs are of: "NOT the DER encoding of the type [0] MechTypeList" (RFC 4178 §5 a).
    fn signed(&self) -> Vec<u8> {
        self.as_types().encode()
    }

    /// Our MIC, which costs one number of the context's sequence.
    pub(crate) fn sign(&self, context: &dyn SecurityContext) -> Result<Vec<u8>, GssError> {
        let mut mic = Vec::new();
        context.get_mic(&self.signed(), &mut mic)?;
        Ok(mic)
    }

    /// Whether `mic` is the peer's, and its first message: `GSS_S_DEFECTIVE_TOKEN` where not (RFC 4178 §5 b, c).
    pub(crate) fn verify(
        &self,
        context: &dyn SecurityContext,
        mic: &[u8],
    ) -> Result<(), PeerMisbehaved> {
        if !protects(context) {
            return Err(PeerMisbehaved::MicNotExpected);
        }
        match context.verify_mic(&self.signed(), mic) {
            Ok(Order::InOrder) => Ok(()),
            Ok(_) | Err(_) => Err(PeerMisbehaved::MicWrong),
        }
    }
}

/// Whether the context has per-message integrity; without, there are no MICs (RFC 4178 §5).
pub(crate) fn protects(context: &dyn SecurityContext) -> bool {
    context.facts().flags.contains(Flags::INTEG)
}

/// A message that follows the first.
pub(crate) fn read_resp(token: &[u8]) -> Result<NegTokenResp<'_>, Error> {
    match NegotiationToken::decode(token)? {
        NegotiationToken::Resp(resp) => Ok(without_copied_mic(resp)),
        NegotiationToken::Init(_) | NegotiationToken::Init2(_) => {
            Err(PeerMisbehaved::InitNotExpected.into())
        }
    }
}

/// Old Windows servers send the mechanism's token a second time, in the place of the MIC.
fn without_copied_mic(mut resp: NegTokenResp<'_>) -> NegTokenResp<'_> {
    if resp.mech_list_mic == resp.response_token {
        resp.mech_list_mic = None;
    }
    resp
}

/// For a state in which no mechanism waits. An empty token is as good as none.
pub(crate) fn no_mech_token(resp: &NegTokenResp<'_>) -> Result<(), PeerMisbehaved> {
    match resp.response_token {
        None | Some([]) => Ok(()),
        Some(_) => Err(PeerMisbehaved::MechTokenNotExpected),
    }
}

/// An answer of ours.
pub(crate) fn resp(
    neg_state: NegState,
    supported_mech: Option<MechType<'_>>,
    response_token: Option<&[u8]>,
    mech_list_mic: Option<&[u8]>,
) -> Vec<u8> {
    let resp = NegTokenResp {
        neg_state: Some(neg_state),
        supported_mech,
        response_token,
        mech_list_mic,
        extensions: Extensions::NONE,
    };
    NegotiationToken::Resp(resp).encode()
}
