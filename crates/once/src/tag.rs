//! What entries are called: the tag of a deposit, and the tag of a mark.

use sha2::{Digest, Sha256};
use wire::random::{self, Random};

/// The tag of a deposit: 128 random bits, fresh for every [`put`](crate::OnceStore::put).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tag([u8; 16]);

impl Tag {
    /// A fresh tag.
    pub fn random(random: &dyn Random) -> Self {
        Self(random::array(random))
    }

    /// The tag that a token carries.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Its bytes, for a token. They are no secret.
    pub const fn bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

/// The tag of a mark: a digest of all that makes one authenticator this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MarkTag([u8; 32]);

impl MarkTag {
    /// SHA-256 over the parts, each preceded by its length, so that no two lists of parts run into the same bytes.
    pub fn of(parts: &[&[u8]]) -> Self {
        let mut digest = Sha256::new();
        for part in parts {
            digest.update((part.len() as u64).to_be_bytes());
            digest.update(part);
        }
        Self(digest.finalize().into())
    }

    /// Its bytes.
    pub const fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_do_not_run_into_one_another() {
        assert_ne!(MarkTag::of(&[b"ab", b"c"]), MarkTag::of(&[b"a", b"bc"]));
        assert_ne!(MarkTag::of(&[b"a", b""]), MarkTag::of(&[b"a"]));
        assert_eq!(MarkTag::of(&[b"a", b"b"]), MarkTag::of(&[b"a", b"b"]));
    }
}
