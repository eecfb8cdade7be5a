//! The realm's own mark in tickets that may come back to it as evidence.
//!
//! A service holds the key of its tickets and could write into them what it likes: that they can be forwarded, or who the
//! user is (CVE-2020-17049). So a ticket is evidence only with a checksum under the ticket-granting service's key, over all
//! of the ticket and the service's name. It travels as Microsoft's and MIT's KDCs used to have theirs, as authorization
//! data that no client may send.

use zeroize::Zeroizing;

use super::Principals;
use crate::messages::{AuthorizationDataElement, Checksum, EncTicketPart};
use crate::principal::Principal;
use krb5_crypto::KeyUsage;

/// The type of the element.
pub(super) const AD_SIGNTICKET: i32 = 512;

/// The element's contents for a ticket of `server` that has everything else in it.
pub(super) fn sign(
    principals: &Principals,
    server: &Principal,
    part: &EncTicketPart<'_>,
) -> Vec<u8> {
    let krbtgt = Principal::krbtgt(principals.realm());
    let key = &principals.keys(&krbtgt)[0].key;
    let signed = signed(server, part);
    let checksum = key.checksum(KeyUsage::AD_KDC_ISSUED_CHECKSUM, &parts(&signed));
    let checksum = Checksum {
        cksumtype: key.enctype().checksum_type(),
        checksum: &checksum,
    };
    checksum.encode()
}

/// Puts the element at the end, where it is taken off again.
pub(super) fn add<'a>(part: &mut EncTicketPart<'a>, signature: &'a [u8]) {
    let data = part.authorization_data.get_or_insert_default();
    data.push(AuthorizationDataElement {
        ad_type: AD_SIGNTICKET,
        ad_data: signature,
    });
}

/// Takes the element off, if it is there.
pub(super) fn take_off<'a>(part: &mut EncTicketPart<'a>) -> Option<AuthorizationDataElement<'a>> {
    let data = part.authorization_data.as_mut()?;
    let element = data.pop_if(|last| last.ad_type == AD_SIGNTICKET)?;
    if data.is_empty() {
        part.authorization_data = None;
    }
    Some(element)
}

/// Takes the element off, and whether it was there and right.
pub(super) fn verify(
    principals: &Principals,
    server: &Principal,
    part: &mut EncTicketPart<'_>,
) -> bool {
    let Some(element) = take_off(part) else {
        return false;
    };
    let Ok(checksum) = Checksum::decode(element.ad_data) else {
        return false;
    };
    let krbtgt = Principal::krbtgt(principals.realm());
    let usage = KeyUsage::AD_KDC_ISSUED_CHECKSUM;
    let keys = principals.keys(&krbtgt).iter().map(|key| &key.key);
    let mut keys = keys.filter(|key| key.enctype().checksum_type() == checksum.cksumtype);
    let signed = signed(server, part);
    keys.any(|key| {
        key.verify_checksum(usage, &parts(&signed), checksum.checksum)
            .is_ok()
    })
}

/// The session key is in it.
fn signed(server: &Principal, part: &EncTicketPart<'_>) -> [Zeroizing<Vec<u8>>; 2] {
    // Not the name's type, which is whatever a request said.
    let server = server.to_bytes();
    [Zeroizing::new(server), Zeroizing::new(part.encode())]
}

fn parts(signed: &[Zeroizing<Vec<u8>>; 2]) -> [&[u8]; 2] {
    [&signed[0], &signed[1]]
}
