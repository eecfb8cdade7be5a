//! What a KDC vouches for in a ticket's authorization data. A client can have anything put there (RFC 4120 §5.2.6), so what counts is
//! signed under the service's key. Nothing here refuses a request: what does not verify is not vouched for, and that is all.

use krb5_crypto::Key;
use wire::der::Value;
use wire::time::Timestamp;

use crate::messages::{
    AD_AUTHENTICATION_INDICATOR, AD_CAMMAC, AD_WIN2K_PAC, AdCammac, AuthenticationIndicators,
    AuthorizationData, AuthorizationDataElement, flatten,
};
use crate::pac::Pac;
use crate::principal::Principal;

/// What a KDC vouches for in a ticket.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Vouched {
    /// The PAC, the first one if there are several: its signature is one under the ticket's key, and its client and time are the
    /// ticket's ([MS-PAC] §2.8.1).
    pub pac: bool,
    /// How the client authenticated to the KDC (RFC 8129), from containers that are signed for the service (RFC 7751).
    pub indicators: Vec<String>,
}

impl Vouched {
    /// What of `data`, in a ticket that `key` opened, its KDC vouches for.
    pub fn by(
        key: &Key,
        data: Option<&AuthorizationData<'_>>,
        client: &Principal,
        authtime: Timestamp,
    ) -> Self {
        let Some(Ok(elements)) = data.map(flatten) else {
            return Self::default();
        };
        let pac = elements
            .iter()
            .find(|element| element.ad_type == AD_WIN2K_PAC)
            .and_then(|element| Pac::parse(element.ad_data).ok());
        Self {
            pac: pac.is_some_and(|pac| pac.verify(key, client, authtime).is_ok()),
            indicators: elements
                .iter()
                .filter(|element| element.ad_type == AD_CAMMAC)
                .flat_map(|element| indicators(element, key))
                .collect(),
        }
    }
}

/// The indicators in a container that is signed for the service; none if it is not.
fn indicators(container: &AuthorizationDataElement<'_>, key: &Key) -> Vec<String> {
    let container = AdCammac::decode(container.ad_data).ok();
    let container = container.filter(|container| container.is_for_service(key));
    let elements = container.and_then(|container| flatten(&container.elements).ok());
    let elements = elements.into_iter().flatten();
    let lists = elements
        .filter(|element| element.ad_type == AD_AUTHENTICATION_INDICATOR)
        .filter_map(|element| AuthenticationIndicators::decode(element.ad_data).ok());
    lists.flatten().map(|found| found.0.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use krb5_crypto::{Enctype, KeyUsage};

    use super::*;
    use crate::messages::{AD_IF_RELEVANT, Checksum, Indicator, VerifierMac};
    use crate::pac::{LOGON_INFO, PacWriter};

    const AUTHTIME: Timestamp = Timestamp::from_seconds(1_800_000_000);

    fn key(number: i32, byte: u8) -> Key {
        let enctype = Enctype::from_number(number).unwrap();
        Key::new(enctype, &vec![byte; enctype.key_length()]).unwrap()
    }

    fn alice() -> Principal {
        Principal::user("alice", "R")
    }

    fn element(ad_type: i32, ad_data: &[u8]) -> AuthorizationDataElement<'_> {
        AuthorizationDataElement { ad_type, ad_data }
    }

    fn vouched(data: &[AuthorizationDataElement<'_>]) -> Vouched {
        let inner = data.to_vec().encode();
        let data = vec![element(AD_IF_RELEVANT, &inner)];
        Vouched::by(&key(18, 1), Some(&data), &alice(), AUTHTIME)
    }

    #[test]
    fn the_first_pac_counts_and_has_to_be_the_tickets() {
        let pac = |client: &Principal, server: &Key| {
            let writer = PacWriter::new(client, AUTHTIME).buffer(LOGON_INFO, *b"SIDs");
            writer.sign(server, &key(18, 9))
        };
        let own = pac(&alice(), &key(18, 1));
        let forged = pac(&alice(), &key(18, 2));
        let others = pac(&Principal::user("bob", "R"), &key(18, 1));
        let of = |pacs: &[&Vec<u8>]| {
            let elements: Vec<_> = pacs.iter().map(|pac| element(AD_WIN2K_PAC, pac)).collect();
            vouched(&elements).pac
        };
        assert!(of(&[&own]));
        assert!(of(&[&own, &forged]));
        for pacs in [
            &[][..],
            &[&forged],
            &[&others],
            &[&forged, &own],
            &[&b"no PAC".to_vec()],
        ] {
            assert!(!of(pacs));
        }
        assert_eq!(
            Vouched::by(&key(18, 1), None, &alice(), AUTHTIME),
            Vouched::default()
        );
    }

    /// A container with one indicator, signed under `key`; its type is told by `cksumtype` if that is given.
    fn cammac(key: &Key, cksumtype: Option<i32>, text: &str) -> Vec<u8> {
        let list: AuthenticationIndicators<'_> = vec![Indicator(text)];
        let list = list.encode();
        let elements = vec![element(AD_AUTHENTICATION_INDICATOR, &list)];
        let mac = key.checksum(KeyUsage::CAMMAC, &[&elements.encode()]);
        let verifier = VerifierMac {
            identifier: None,
            kvno: None,
            enctype: None,
            mac: Checksum {
                cksumtype: cksumtype.unwrap_or(key.enctype().checksum_type()),
                checksum: &mac,
            },
        };
        let container = AdCammac {
            elements,
            kdc_verifier: None,
            svc_verifier: Some(verifier),
            other_verifiers: None,
        };
        container.encode()
    }

    #[test]
    fn indicators_count_in_a_container_for_the_service_alone() {
        let own = cammac(&key(18, 1), None, "otp");
        let forged = cammac(&key(18, 2), None, "pkinit");
        let mistyped = cammac(&key(18, 1), Some(15), "pkinit");
        let of = |containers: &[&[u8]]| {
            let elements: Vec<_> = containers
                .iter()
                .map(|one| element(AD_CAMMAC, one))
                .collect();
            vouched(&elements).indicators
        };
        assert_eq!(of(&[&own]), ["otp"]);
        assert_eq!(of(&[&forged, &mistyped, &own]), ["otp"]);
        assert!(of(&[&forged]).is_empty());
        let list: AuthenticationIndicators<'_> = vec![Indicator("bare")];
        let list = list.encode();
        let bare = vouched(&[element(AD_AUTHENTICATION_INDICATOR, &list)]);
        assert!(bare.indicators.is_empty());
        for bit in 0..own.len() * 8 {
            let mut other = own.clone();
            other[bit / 8] ^= 1 << (bit % 8);
            assert!(of(&[&other]).is_empty(), "bit {bit}");
        }
        for cut in 0..own.len() {
            assert!(of(&[&own[..cut]]).is_empty(), "cut to {cut}");
        }
    }
}
