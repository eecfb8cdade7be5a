//! Authenticators without a checksum, and with one of the session key's own type.

use gss_core::error::Major;
use krb5::messages::ap_options;

use super::{Attempt, plain_checksum};
use crate::tests::realm::{done, enctypes, failed, one_bit_flips};

#[test]
fn without_a_checksum_there_are_no_flags() {
    let mut attempt = Attempt::new();
    attempt.cksum = None;
    let (reply, context) = done(attempt.accept(&attempt.token()));
    assert_eq!(context.facts().flags.bits(), 128 | 256);
    assert!(reply.is_none());
}

#[test]
fn an_ordinary_checksum_over_nothing_is_taken() {
    for (options, flags) in [(ap_options::MUTUAL_REQUIRED, 2 | 4 | 8), (0, 4 | 8)] {
        let mut attempt = Attempt::new();
        attempt.ap_options = options;
        attempt.cksum = Some(plain_checksum(&attempt, &[]));
        let (reply, context) = done(attempt.accept(&attempt.token()));
        assert_eq!(context.facts().flags.bits(), flags | 128 | 256);
        assert_eq!(reply.is_some(), flags & 2 != 0);
    }
}

#[test]
fn an_altered_ordinary_checksum_is_refused_in_each_enctype() {
    for enctype in enctypes() {
        let mut attempt = Attempt::of(enctype);
        let (cksumtype, good) = plain_checksum(&attempt, &[]);
        attempt.cksum = Some((cksumtype, good.clone()));
        done(attempt.accept(&attempt.token()));
        let cuts = (0..good.len()).map(|cut| good[..cut].to_vec());
        let flips = one_bit_flips(&good).map(|(_, other)| other);
        for other in cuts.chain(flips) {
            attempt.cksum = Some((cksumtype, other));
            let failure = failed(attempt.accept(&attempt.token()));
            assert_eq!(failure.error.major(), Major::BadMic, "{}", enctype.name());
        }
    }
}
