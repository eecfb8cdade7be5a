use super::*;

fn unhex(text: &str) -> Vec<u8> {
    let digits = text.as_bytes().chunks(2);
    digits
        .map(|two| u8::from_str_radix(str::from_utf8(two).unwrap(), 16).unwrap())
        .collect()
}

/// Name, hash, certificate.
fn certificates() -> Vec<(String, Option<Vec<u8>>, Vec<u8>)> {
    let text = include_str!("../../../../vectors/tls/certificates.txt");
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let [name, _, hash, der] = line.split(' ').collect::<Vec<_>>().try_into().unwrap();
            let hash = (hash != "-").then(|| unhex(hash));
            (name.to_owned(), hash, unhex(der))
        })
        .collect()
}

#[test]
fn each_signature_has_the_hash_of_the_standard() {
    let certificates = certificates();
    assert_eq!(certificates.len(), 12);
    for (name, hash, der) in certificates {
        let found = server_end_point(&der).map(|bindings| bindings.application_data);
        match hash {
            Some(hash) => {
                let wanted = [&b"tls-server-end-point:"[..], &hash].concat();
                assert_eq!(found.unwrap(), wanted, "{name}");
            }
            None => {
                let error = found.unwrap_err();
                assert!(
                    matches!(error, CertificateError::NoHash(_)),
                    "{name}: {error}"
                );
            }
        }
    }
}

#[test]
fn what_has_no_hash_says_which_signature_it_has() {
    let ed25519 = certificates().pop().unwrap().2;
    let text = server_end_point(&ed25519).unwrap_err().to_string();
    assert!(text.contains("1.3.101.112"), "{text}");
}

#[test]
fn a_cut_or_lengthened_certificate_is_none() {
    for (name, _, der) in certificates() {
        for cut in 0..der.len() {
            assert_eq!(
                server_end_point(&der[..cut]),
                Err(CertificateError::Malformed),
                "{name} cut to {cut}"
            );
        }
        let longer = [&der[..], &[0]].concat();
        assert_eq!(server_end_point(&longer), Err(CertificateError::Malformed));
    }
    for other in [
        &b"-----BEGIN CERTIFICATE-----"[..],
        &[0x30, 0x80],
        &[0x30, 0x84, 0xff, 0xff, 0xff, 0xff],
    ] {
        assert_eq!(server_end_point(other), Err(CertificateError::Malformed));
    }
}

/// Another certificate is another channel, whatever changed in it.
#[test]
fn no_flipped_bit_leaves_the_binding_as_it_was() {
    let (_, _, der) = certificates().swap_remove(6);
    let true_one = server_end_point(&der).unwrap();
    for bit in 0..der.len() * 8 {
        let mut other = der.clone();
        other[bit / 8] ^= 1 << (bit % 8);
        assert_ne!(server_end_point(&other), Ok(true_one.clone()), "{bit}");
    }
}
