//! One encoding a value, as the standard's examples have it.

use wire::der::{DerError, Extensions};

use super::fake::{A, fake};
use crate::list::MechList;
use crate::messages::{NegState, NegTokenInit, NegTokenInit2, NegTokenResp, NegotiationToken};
use crate::{Error, Malformed};

fn decode(bytes: &[u8]) -> Result<NegotiationToken<'_>, Error> {
    NegotiationToken::decode(bytes)
}

/// RFC 4178 Appendix D's list of one mechanism.
const LIST: &[u8] = b"\x30\x0b\x06\x09\x2a\x86\x48\x86\xf7\x12\x01\x02\x02";

#[test]
fn a_message_reads_and_writes_the_same() {
    let list = MechList::of(&[A]);
    let init = NegTokenInit {
        mech_types: list.as_types(),
        req_flags: None,
        mech_token: Some(b"token"),
        mech_list_mic: None,
        extensions: Extensions::NONE,
    };
    let bytes = NegotiationToken::Init(init.clone()).encode();
    assert_eq!(
        bytes,
        [b"\xa0\x1a\x30\x18\xa0\x0d", LIST, b"\xa2\x07\x04\x05token"].concat()
    );
    assert_eq!(decode(&bytes), Ok(NegotiationToken::Init(init.clone())));

    let mic = NegotiationToken::Init(NegTokenInit {
        mech_list_mic: Some(b"mic"),
        ..init
    });
    assert_eq!(decode(&mic.encode()), Ok(mic));

    let resp = NegotiationToken::Resp(NegTokenResp {
        neg_state: Some(NegState::RequestMic),
        supported_mech: Some((&A).into()),
        response_token: None,
        mech_list_mic: Some(b"mic"),
        extensions: Extensions::NONE,
    });
    let expected = [
        b"\xa1\x1b\x30\x19\xa0\x03\x0a\x01\x03\xa1\x0b",
        &LIST[2..],
        b"\xa3\x05\x04\x03mic",
    ]
    .concat();
    assert_eq!(resp.encode(), expected);
    assert_eq!(decode(&expected), Ok(resp));
    assert_eq!(
        decode(b"\xa1\x02\x30\x00"),
        Ok(NegotiationToken::Resp(NegTokenResp::default()))
    );
}

/// "NOT the DER encoding of the type [0] MechTypeList" (RFC 4178 §5 a).
#[test]
fn mics_are_of_the_list_as_the_standard_has_it() {
    let (signer, verifier) = (fake(A, 1).context(true), fake(A, 1).context(false));
    let mic = MechList::of(&[A]).sign(&*signer).unwrap();
    verifier.verify_mic(LIST, &mic).unwrap();
}

/// A hint as Windows sends it (MS-SPNG §3.2.5.2).
#[test]
fn hints_are_told_from_a_mic() {
    let hints = b"\xa3\x2a\x30\x28\xa0\x26\x1b\x24not_defined_in_RFC4178@please_ignore";
    let bytes = [b"\xa0\x3d\x30\x3b\xa0\x0d", LIST, hints].concat();
    let Ok(NegotiationToken::Init2(init)) = decode(&bytes) else {
        panic!("{:?}", decode(&bytes));
    };
    assert_eq!(
        init.neg_hints.as_ref().unwrap().hint_name,
        Some(crate::messages::HINT_NAME)
    );
    assert_eq!(NegotiationToken::Init2(init).encode(), bytes);
    let nothing = b"\xa0\x02\x30\x00";
    assert!(matches!(
        decode(nothing),
        Ok(NegotiationToken::Init2(NegTokenInit2 {
            mech_types: None,
            ..
        }))
    ));
}

/// "Implementations receiving unknown fields MUST ignore these fields" (RFC 4178 §6).
#[test]
fn fields_of_a_later_standard_are_ignored() {
    let bytes = b"\xa1\x0a\x30\x08\xa0\x03\x0a\x01\x01\xa7\x01\xff";
    let Ok(NegotiationToken::Resp(resp)) = decode(bytes) else {
        panic!("an answer");
    };
    assert_eq!(resp.neg_state, Some(NegState::AcceptIncomplete));
    assert_eq!(NegotiationToken::Resp(resp).encode(), bytes);
}

#[test]
fn what_is_not_der_is_refused() {
    let cases: [(&[u8], Error); 11] = [
        (b"", DerError::Truncated.into()),
        (b"\xa2\x02\x30\x00", Malformed::Kind.into()),
        (b"\xa1\x02\x30\x00\x00", DerError::Trailing.into()),
        (b"\xa1\x81\x02\x30\x00", DerError::LongLength.into()),
        (
            b"\xa1\x80\x30\x00\x00\x00",
            DerError::IndefiniteLength.into(),
        ),
        (
            b"\xa1\x07\x30\x05\xa0\x03\x0a\x01\x04",
            DerError::IntegerRange.into(),
        ),
        (
            b"\xa1\x06\x30\x04\xa0\x02\x0a\x00",
            DerError::EmptyInteger.into(),
        ),
        (b"\xa1\x06\x30\x04\xa1\x02\x06\x00", DerError::Oid.into()),
        (
            b"\xa1\x07\x30\x05\xa1\x03\x06\x01\x81",
            DerError::Oid.into(),
        ),
        (
            b"\xa1\x08\x30\x06\xa1\x04\x06\x02\x80\x01",
            DerError::Oid.into(),
        ),
        (
            b"\xa0\x08\x30\x06\xa0\x04\x30\x02\x04\x00",
            DerError::Tag {
                expected: 6,
                found: 4,
            }
            .into(),
        ),
    ];
    for (bytes, expected) in cases {
        assert_eq!(decode(bytes), Err(expected), "{bytes:x?}");
    }
}

#[test]
fn each_bit_is_another_value_or_none() {
    let hints = b"\xa3\x06\x30\x04\xa0\x02\x1b\x00";
    for bytes in [
        [b"\xa0\x1a\x30\x18\xa0\x0d", LIST, b"\xa2\x07\x04\x05token"].concat(),
        [b"\xa0\x19\x30\x17\xa0\x0d", LIST, hints].concat(),
        b"\xa1\x13\x30\x11\xa0\x03\x0a\x01\x01\xa2\x03\x04\x01t\xa3\x05\x04\x03mic".to_vec(),
    ] {
        decode(&bytes).unwrap();
        for bit in 0..bytes.len() * 8 {
            let mut other = bytes.clone();
            other[bit / 8] ^= 1 << (bit % 8);
            if let Ok(token) = decode(&other) {
                assert_eq!(token.encode(), other, "bit {bit}");
            }
        }
        for length in 0..bytes.len() {
            assert!(decode(&bytes[..length]).is_err(), "cut to {length}");
        }
    }
}
