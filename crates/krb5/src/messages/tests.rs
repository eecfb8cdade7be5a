//! Every message against vectors, against damage, and against another implementation.

use std::fmt::Write as _;

use proptest::prelude::*;
use wire::der::{self, header};

use super::*;

/// A type under test: our reader and writer, and another implementation's.
struct Subject {
    file: &'static str,
    /// The encoding of what was read.
    ours: fn(&[u8]) -> Result<Vec<u8>, DerError>,
    theirs: fn(&[u8]) -> Option<Vec<u8>>,
}

macro_rules! subject {
    ($file:literal, $ours:ty, $theirs:ty) => {
        Subject {
            file: $file,
            ours: |bytes| <$ours>::decode(bytes).map(|value| value.encode()),
            theirs: |bytes| {
                let value = rasn::der::decode::<$theirs>(bytes).ok()?;
                rasn::der::encode(&value).ok()
            },
        }
    };
}

const SUBJECTS: [Subject; 24] = [
    subject!("ap_rep", ApRep, rasn_kerberos::ApRep),
    subject!("ap_req", ApReq, rasn_kerberos::ApReq),
    subject!("as_rep", AsRep, rasn_kerberos::AsRep),
    subject!("as_req", AsReq, rasn_kerberos::AsReq),
    subject!("authenticator", Authenticator, rasn_kerberos::Authenticator),
    subject!(
        "authorization_data",
        AuthorizationData,
        rasn_kerberos::AuthorizationData
    ),
    subject!("enc_ap_rep_part", EncApRepPart, rasn_kerberos::EncApRepPart),
    subject!(
        "enc_krb_cred_part",
        EncKrbCredPart,
        rasn_kerberos::EncKrbCredPart
    ),
    subject!(
        "enc_krb_priv_part",
        EncKrbPrivPart,
        rasn_kerberos::EncKrbPrivPart
    ),
    subject!(
        "enc_tgs_rep_part",
        EncTgsRepPart,
        rasn_kerberos::EncTgsRepPart
    ),
    subject!(
        "enc_ticket_part",
        EncTicketPart,
        rasn_kerberos::EncTicketPart
    ),
    subject!(
        "encrypted_data",
        EncryptedData,
        rasn_kerberos::EncryptedData
    ),
    subject!(
        "encryption_key",
        EncryptionKey,
        rasn_kerberos::EncryptionKey
    ),
    subject!(
        "etype_info2",
        Vec<EtypeInfo2Entry>,
        rasn_kerberos::EtypeInfo2
    ),
    subject!("kdc_req_body", KdcReqBody, rasn_kerberos::KdcReqBody),
    subject!("krb_cred", KrbCred, rasn_kerberos::KrbCred),
    subject!("krb_error", KrbError, rasn_kerberos::KrbError),
    subject!("krb_priv", KrbPriv, rasn_kerberos::KrbPriv),
    subject!("krb_safe", KrbSafe, rasn_kerberos::KrbSafe),
    subject!("method_data", MethodData, rasn_kerberos::MethodData),
    subject!("pa_enc_ts_enc", PaEncTsEnc, rasn_kerberos::PaEncTsEnc),
    subject!("tgs_rep", TgsRep, rasn_kerberos::TgsRep),
    subject!("tgs_req", TgsReq, rasn_kerberos::TgsReq),
    subject!("ticket", Ticket, rasn_kerberos::Ticket),
];

fn vectors(file: &str) -> Vec<(String, Vec<u8>)> {
    let path = format!(
        "{}/../../vectors/krb5/messages/{file}.txt",
        env!("CARGO_MANIFEST_DIR")
    );
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let names = text.lines().filter_map(|line| line.strip_prefix("name = "));
    let encodings = text
        .lines()
        .filter_map(|line| line.strip_prefix("encoding = "));
    let cases: Vec<_> = names
        .zip(encodings)
        .map(|(name, hex)| (name.to_owned(), unhex(hex)))
        .collect();
    assert!(!cases.is_empty(), "{path}");
    cases
}

fn unhex(text: &str) -> Vec<u8> {
    let digit = |c: u8| (c as char).to_digit(16).expect("hex") as u8;
    text.as_bytes()
        .chunks(2)
        .map(|pair| digit(pair[0]) << 4 | digit(pair[1]))
        .collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn each_vector(test: impl Fn(&Subject, &str, Vec<u8>)) {
    for subject in &SUBJECTS {
        for (name, bytes) in vectors(subject.file) {
            test(subject, &name, bytes);
        }
    }
}

fn one_bit_flips(bytes: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    (0..bytes.len() * 8).map(|bit| {
        let mut other = bytes.to_vec();
        other[bit / 8] ^= 1 << (bit % 8);
        other
    })
}

#[test]
fn vectors_are_read_and_written_again() {
    each_vector(|subject, name, bytes| {
        let again = (subject.ours)(&bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(hex(&again), hex(&bytes), "{name}");
    });
}

#[test]
fn what_is_cut_or_extended_is_an_error() {
    each_vector(|subject, name, mut bytes| {
        for cut in 0..bytes.len() {
            assert!(
                (subject.ours)(&bytes[..cut]).is_err(),
                "{name} cut to {cut}"
            );
        }
        bytes.push(0);
        assert_eq!((subject.ours)(&bytes), Err(DerError::Trailing), "{name}");
    });
}

#[test]
fn a_flipped_bit_is_an_error_or_another_value() {
    each_vector(|subject, name, bytes| {
        for other in one_bit_flips(&bytes) {
            if let Ok(again) = (subject.ours)(&other) {
                assert_eq!(hex(&again), hex(&other), "{name}: one encoding a value");
            }
        }
    });
}

#[test]
fn hostile_lengths_are_errors_at_every_place() {
    let lengths: [&[u8]; 7] = [
        &[0x80],
        &[0xff],
        &[0x84, 0xff, 0xff, 0xff, 0xff],
        &[0x84, 0x7f, 0xff, 0xff, 0xff],
        &[0x85, 1, 0, 0, 0, 0],
        &[0x88, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
        &[0x81, 0x00],
    ];
    each_vector(|subject, name, bytes| {
        for at in 1..bytes.len() {
            for length in lengths {
                let other = [&bytes[..at], length, &bytes[at + 1..]].concat();
                if let Ok(again) = (subject.ours)(&other) {
                    assert_eq!(hex(&again), hex(&other), "{name}: one encoding a value");
                }
            }
        }
    });
}

#[test]
fn depth_costs_no_stack() {
    for tag in [
        der::SEQUENCE,
        der::context(0),
        der::context(3),
        der::application(14),
    ] {
        let mut headers = Vec::new();
        let mut length = 0;
        for _ in 0..20_000 {
            let mut outer = Vec::new();
            header(tag, length, &mut outer);
            length += outer.len();
            headers.push(outer);
        }
        headers.reverse();
        let nested = headers.concat();
        for subject in &SUBJECTS {
            assert!(
                (subject.ours)(&nested).is_err(),
                "{} of tag {tag:#x}",
                subject.file
            );
        }
    }
}

#[test]
fn authorization_data_nests_to_a_limit() {
    let nest = |depth: usize| {
        let innermost = AuthorizationDataElement {
            ad_type: 7,
            ad_data: b"x",
        };
        let mut bytes = vec![innermost].encode();
        for _ in 0..depth {
            let container = AuthorizationDataElement {
                ad_type: AD_IF_RELEVANT,
                ad_data: &bytes,
            };
            bytes = vec![container, innermost].encode();
        }
        bytes
    };
    let deepest = nest(MAX_DEPTH);
    let flat = flatten(&AuthorizationData::decode(&deepest).unwrap()).unwrap();
    assert_eq!(flat.len(), MAX_DEPTH + 1);
    assert!(flat.iter().all(|element| element.ad_type == 7));
    let deeper = nest(MAX_DEPTH + 1);
    assert_eq!(
        flatten(&AuthorizationData::decode(&deeper).unwrap()),
        Err(DerError::TooDeep)
    );
    let broken = [AuthorizationDataElement {
        ad_type: AD_IF_RELEVANT,
        ad_data: b"\x30\x05",
    }];
    assert_eq!(flatten(&broken.to_vec()), Err(DerError::Truncated));
}

/// Where another implementation and we both read a value, we write the same. What it takes and writes unchanged, and we
/// refuse, breaks a rule of ours that is not DER's.
#[test]
fn another_implementation_agrees() {
    each_vector(|subject, name, bytes| {
        // It knows no signs on key versions.
        let expected = (!name.contains("kvno")).then(|| hex(&bytes));
        assert_eq!(
            (subject.theirs)(&bytes).map(|bytes| hex(&bytes)),
            expected,
            "{name}"
        );
        for other in one_bit_flips(&bytes) {
            match ((subject.ours)(&other), (subject.theirs)(&other)) {
                (Ok(ours), Some(theirs)) => assert_eq!(hex(&ours), hex(&theirs), "{name}"),
                (Err(error), Some(theirs)) if theirs == other => assert!(
                    matches!(
                        error,
                        DerError::Constant { .. } | DerError::IntegerRange | DerError::FlagsLength
                    ),
                    "{name}: {error}"
                ),
                _ => {}
            }
        }
    });
}

/// An ASN.1-ish value, to reach shapes that no vector has.
fn elements() -> impl Strategy<Value = Vec<u8>> {
    let tags = prop::sample::select(vec![
        0x02, 0x03, 0x04, 0x18, 0x1b, 0x30, 0xa0, 0xa1, 0xa2, 0xa3, 0x61, 0x6e,
    ]);
    let leaf = (tags.clone(), prop::collection::vec(any::<u8>(), 0..9));
    let leaf = leaf.prop_map(|(tag, content)| element(tag, &content));
    leaf.prop_recursive(6, 40, 4, move |inner| {
        (tags.clone(), prop::collection::vec(inner, 0..4))
            .prop_map(|(tag, parts)| element(tag, &parts.concat()))
    })
}

fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    header(tag, content.len(), &mut out);
    out.extend_from_slice(content);
    out
}

fn name_strategy() -> impl Strategy<Value = crate::principal::Principal> {
    // rasn takes graphic characters and C0 controls in a GeneralString.
    let byte = prop_oneof![0..=0x7f_u8, 0xa1..=0xfe_u8];
    let part = prop::collection::vec(byte, 0..12);
    (
        any::<i32>(),
        prop::collection::vec(part.clone(), 0..4),
        part,
    )
        .prop_map(|(name_type, parts, realm)| {
            crate::principal::Principal::new(name_type, parts, realm)
        })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_an_error_or_a_value(bytes in elements()) {
        for subject in &SUBJECTS {
            if let Ok(again) = (subject.ours)(&bytes) {
                prop_assert_eq!(hex(&again), hex(&bytes));
            }
        }
    }

    #[test]
    fn what_we_write_another_implementation_reads(
        server in name_strategy(),
        client in name_strategy(),
        number in any::<u32>(),
        signed in any::<i32>(),
        seconds in -62_167_219_200_i64..253_402_300_800,
        cipher in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let time = wire::time::Timestamp::from_seconds(seconds);
        let data = EncryptedData { etype: signed, kvno: Some(Word::from(number)), cipher: &cipher };
        let ticket = Ticket {
            tkt_vno: Const,
            realm: KerberosString(server.realm()),
            sname: PrincipalName::from(&server),
            enc_part: data,
        };
        let request = ApReq {
            pvno: Const, msg_type: Const, ap_options: Flags::from_bits(number), ticket, authenticator: data,
        };
        let bytes = request.encode();
        prop_assert_eq!(ApReq::decode(&bytes), Ok(request));
        let theirs: rasn_kerberos::ApReq = rasn::der::decode(&bytes).unwrap();
        prop_assert_eq!(theirs.authenticator.cipher.as_ref(), &cipher[..]);
        prop_assert_eq!(hex(&rasn::der::encode(&theirs).unwrap()), hex(&bytes));

        let error = KrbError {
            pvno: Const, msg_type: Const, ctime: Some(time.into()), cusec: Some(time.into()), stime: time.into(),
            susec: time.into(), error_code: signed, crealm: Some(KerberosString(client.realm())),
            cname: Some((&client).into()), realm: KerberosString(server.realm()), sname: (&server).into(),
            e_text: None, e_data: Some(&cipher),
        };
        let bytes = error.encode();
        prop_assert_eq!(KrbError::decode(&bytes), Ok(error));
        let theirs: rasn_kerberos::KrbError = rasn::der::decode(&bytes).unwrap();
        prop_assert_eq!(theirs.ctime.unwrap().0.timestamp(), seconds);
        prop_assert_eq!(theirs.error_code, signed);
    }
}

/// A name in Latin-1 or UTF-8 is a GeneralString that is in use.
#[test]
fn names_of_8_bits_are_read() {
    let ticket = |name: &'static [u8]| {
        let cipher = EncryptedData {
            etype: 18,
            kvno: None,
            cipher: b"x",
        };
        let sname = PrincipalName {
            name_type: 1,
            name_string: vec![KerberosString(name)],
        };
        Ticket {
            tkt_vno: Const,
            realm: KerberosString(b"R"),
            sname,
            enc_part: cipher,
        }
        .encode()
    };
    for name in [&b"j\xfcrgen"[..], "jürgen".as_bytes(), b"\0\xff"] {
        let bytes = ticket(name);
        assert_eq!(Ticket::decode(&bytes).unwrap().sname.name_string[0].0, name);
    }
}

/// The request of `crates/wire`'s table of what must be refused, one deviation each.
#[test]
fn deviations_from_der_have_names() {
    let (_, good) = vectors("ap_req").remove(0);
    let replaced = |from: &str, to: &str, outer: &[usize]| {
        let text = hex(&good);
        let at = text.find(from).expect("the bytes to replace");
        assert!(at.is_multiple_of(2));
        let mut bytes = unhex(&text.replacen(from, to, 1));
        let grown = to.len() as isize / 2 - from.len() as isize / 2;
        // The lengths of what encloses the change.
        for &place in outer {
            bytes[place] = (bytes[place] as isize + grown) as u8;
        }
        ApReq::decode(&bytes).unwrap_err()
    };
    let all = [2, 5];
    let cases = [
        (
            "a003020105",
            "a0048101 05".replace(' ', ""),
            &all[..],
            DerError::Tag {
                expected: 2,
                found: 0x81,
            },
        ),
        (
            "a003020105",
            "a00402810105".into(),
            &all,
            DerError::LongLength,
        ),
        (
            "a003020105",
            "a00402020005".into(),
            &all,
            DerError::LongInteger,
        ),
        (
            "a003020105",
            "a0020200".into(),
            &all,
            DerError::EmptyInteger,
        ),
        (
            "a003020105",
            "a003020104".into(),
            &[],
            DerError::Constant {
                expected: 5,
                found: 4,
            },
        ),
        (
            "a003020105",
            "a00502010502 00".replace(' ', ""),
            &all,
            DerError::Trailing,
        ),
        (
            "a10302010e",
            String::new(),
            &all,
            DerError::MissingField {
                of: "ApReq",
                field: "msg_type",
            },
        ),
        (
            "030500fedcba98",
            "030503fedcba98".into(),
            &[],
            DerError::FlagsLength,
        ),
        (
            "030500fedcba98",
            "030501fedcba99".into(),
            &[],
            DerError::UnusedBitSet,
        ),
        (
            "030500fedcba98",
            "030509fedcba98".into(),
            &[],
            DerError::UnusedBits,
        ),
        (
            "a207030500fedcba98",
            "a206030400fedcba".into(),
            &all,
            DerError::FlagsLength,
        ),
        (
            "a207030500fedcba98",
            "a208030600fedcba9800".into(),
            &all,
            DerError::FlagsLength,
        ),
        (
            "a207030500fedcba98",
            "a2020300".into(),
            &all,
            DerError::UnusedBits,
        ),
    ];
    for (from, to, outer, error) in cases {
        assert_eq!(replaced(from, &to, outer), error, "{from} to {to}");
    }
    let mut indefinite = good.clone();
    indefinite.splice(4..6, [0x80]);
    indefinite.extend([0, 0]);
    indefinite[2] += 1;
    assert_eq!(ApReq::decode(&indefinite), Err(DerError::IndefiniteLength));
    let mut constructed = good.clone();
    let at = constructed.len() - 23;
    constructed[at] |= 0x20;
    assert_eq!(
        ApReq::decode(&constructed),
        Err(DerError::Tag {
            expected: 0x04,
            found: 0x24
        })
    );
    let mut unknown = good.clone();
    unknown.extend([0xa5, 3, 2, 1, 0]);
    (unknown[2], unknown[5]) = (unknown[2] + 5, unknown[5] + 5);
    assert_eq!(
        ApReq::decode(&unknown),
        Err(DerError::UnknownField {
            of: "ApReq",
            tag: 0xa5
        })
    );
}

#[test]
fn a_reply_of_the_as_may_wear_the_tag_of_the_tgs() {
    for (name, bytes) in vectors("enc_tgs_rep_part") {
        let part = EncKdcRepPart::decode_as_rep(&bytes).unwrap_or_else(|e| panic!("{name}: {e}"));
        let own = der::Application::<25, _>(part).encode();
        assert!(EncKdcRepPart::decode_as_rep(&own).is_ok(), "{name}");
        assert!(EncTgsRepPart::decode(&own).is_err(), "{name}");
    }
}
