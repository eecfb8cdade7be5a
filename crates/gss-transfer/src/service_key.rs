//! The keys that half-open tokens are sealed under: the service's own, the same for all processes that share its handshakes.

use zeroize::Zeroizing;

use crate::envelope::derive;

/// How many keys a service can have at once.
pub const MAX_KEYS: usize = 16;

const LENGTH: usize = 32;
const ID: usize = 8;

/// The keys of a service, the newest first: it seals, and all of them open.
///
/// They are changed by rotation, without a moment at which a token is refused: the new key is first added behind the others, so
/// that every process can open what is sealed under it; then it is moved to the front; and an old one is removed once nothing that
/// it sealed is good any more.
pub struct ServiceKeys(Vec<ServiceKey>);

/// One key. It seals each token under a key derived for that token alone.
pub(crate) struct ServiceKey {
    pub(crate) id: KeyId,
    pub(crate) key: Zeroizing<[u8; LENGTH]>,
}

/// What a token calls its key: derived from the key, and no secret.
pub(crate) type KeyId = [u8; ID];

/// Why there are no keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeysError {
    /// Neither key nor anything else.
    #[error("there is no key in it: each is a line of 64 hexadecimal digits, the newest first")]
    None,
    /// More keys than anybody rotates.
    #[error("there are more than {MAX_KEYS} keys in it: remove those that seal nothing any more")]
    TooMany,
    /// A line that is neither key nor comment.
    #[error("line {0} is not a key, which is 64 hexadecimal digits, nor a comment")]
    Line(usize),
    /// One key twice.
    #[error("line {0} is a key that stands there already")]
    Twice(usize),
}

impl ServiceKeys {
    /// These keys, the newest first.
    pub fn new(keys: impl IntoIterator<Item = Zeroizing<[u8; LENGTH]>>) -> Result<Self, KeysError> {
        let mut all = Self(Vec::with_capacity(MAX_KEYS));
        for (number, key) in keys.into_iter().enumerate() {
            all.add(key, number + 1)?;
        }
        all.not_none()
    }

    /// The keys in a file: a line of 64 hexadecimal digits each, the newest first. Empty lines, and those that begin with `#`, are
    /// passed over.
    pub fn parse(text: &[u8]) -> Result<Self, KeysError> {
        let mut all = Self(Vec::with_capacity(MAX_KEYS));
        for (number, line) in text.split(|byte| *byte == b'\n').enumerate() {
            let line = line.trim_ascii();
            if line.is_empty() || line.starts_with(b"#") {
                continue;
            }
            let key = hexadecimal(line).ok_or(KeysError::Line(number + 1))?;
            all.add(key, number + 1)?;
        }
        all.not_none()
    }

    fn add(&mut self, key: Zeroizing<[u8; LENGTH]>, line: usize) -> Result<(), KeysError> {
        let key = ServiceKey { id: id(&key), key };
        if self.find(&key.id).is_some() {
            return Err(KeysError::Twice(line));
        }
        if self.0.len() == MAX_KEYS {
            return Err(KeysError::TooMany);
        }
        self.0.push(key);
        Ok(())
    }

    fn not_none(self) -> Result<Self, KeysError> {
        if self.0.is_empty() {
            return Err(KeysError::None);
        }
        Ok(self)
    }

    /// The one that seals.
    pub(crate) fn newest(&self) -> &ServiceKey {
        &self.0[0]
    }

    /// The one that a token names.
    pub(crate) fn find(&self, id: &KeyId) -> Option<&ServiceKey> {
        self.0.iter().find(|key| key.id == *id)
    }
}

/// How many there are; never the keys.
impl std::fmt::Debug for ServiceKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ServiceKeys({})", self.0.len())
    }
}

fn id(key: &[u8; LENGTH]) -> KeyId {
    let name = derive(key, b"baton half-open key name", &[]);
    *name.first_chunk().expect("32 bytes have 8")
}

fn hexadecimal(digits: &[u8]) -> Option<Zeroizing<[u8; LENGTH]>> {
    if digits.len() != 2 * LENGTH {
        return None;
    }
    let digit = |at: usize| char::from(digits[at]).to_digit(16);
    let mut key = Zeroizing::new([0; LENGTH]);
    for (at, byte) in key.iter_mut().enumerate() {
        *byte = (digit(2 * at)? << 4 | digit(2 * at + 1)?) as u8;
    }
    Some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(byte: u8) -> String {
        format!("{byte:02x}").repeat(LENGTH)
    }

    #[test]
    fn a_file_has_the_newest_key_first() {
        let text = format!(
            "# keys of www.example.com\n\n{}\n  {}\r\n{}",
            line(0xa1),
            line(0xB2).to_uppercase(),
            line(3)
        );
        let keys = ServiceKeys::parse(text.as_bytes()).unwrap();
        assert_eq!(keys.0.len(), 3);
        assert_eq!(*keys.newest().key, [0xa1; 32]);
        for byte in [0xa1, 0xb2, 3] {
            let found = keys.find(&id(&[byte; 32])).unwrap();
            assert_eq!(*found.key, [byte; 32]);
        }
        assert!(keys.find(&id(&[4; 32])).is_none());
        assert_eq!(format!("{keys:?}"), "ServiceKeys(3)");
    }

    #[test]
    fn what_is_no_key_is_told_with_its_line() {
        let error = |text: &str| ServiceKeys::parse(text.as_bytes()).unwrap_err();
        assert_eq!(error(""), KeysError::None);
        assert_eq!(error("# none\n\n"), KeysError::None);
        let key = line(7);
        assert_eq!(error(&key[1..]), KeysError::Line(1));
        assert_eq!(error(&format!("{key}\n{key}0")), KeysError::Line(2));
        assert_eq!(error(&format!("{key}\n\n{key}")), KeysError::Twice(3));
        assert_eq!(error(&key.replace("07", "0g")), KeysError::Line(1));
        assert_eq!(error(&format!("{key} {key}")), KeysError::Line(1));
        let many: Vec<_> = (0..=MAX_KEYS as u8).map(line).collect();
        assert_eq!(error(&many.join("\n")), KeysError::TooMany);
        assert!(ServiceKeys::parse(many[1..].join("\n").as_bytes()).is_ok());
        assert_eq!(ServiceKeys::new([]).unwrap_err(), KeysError::None);
    }
}
