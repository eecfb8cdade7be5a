//! What a context tells beside its messages, and that theirs tells the same.

use baton::{Flags, PrfKey};
use interop::Vendor;
use interop::peer::COMPLETE;

use crate::parties::{ALL_FLAGS, Case, Pair, establish};

/// Both keys, several blocks and parts of one, in each enctype; without an acceptor's subkey too.
#[test]
fn pseudo_random_bytes_are_the_same_on_both_sides() {
    for case in Case::all() {
        for flags in [ALL_FLAGS, ALL_FLAGS.without(Flags::MUTUAL)] {
            let Pair { ours, mut theirs } = establish(Case { flags, ..case });
            // Heimdal's full key is an acceptor's subkey and nothing else.
            let none = case.vendor == Vendor::Heimdal && !flags.contains(Flags::MUTUAL);
            for (key, partial) in [(PrfKey::Full, false), (PrfKey::Partial, true)] {
                if none && !partial {
                    assert_ne!(theirs.prf(partial, 16, b"").0, COMPLETE, "{case:?}");
                    continue;
                }
                for (input, length) in [(&b"input"[..], 100), (b"", 16), (b"input", 1)] {
                    let here = ours.pseudo_random(key, input, length).unwrap();
                    let there = theirs.prf(partial, length, input);
                    assert_eq!(
                        (COMPLETE, here.to_vec()),
                        there,
                        "{case:?} {key:?} {length}"
                    );
                }
            }
        }
    }
}
