//! Randomness as a value: protocol code is handed a source and never asks the system itself.

/// A source of random bytes fit for keys.
///
/// An implementation gives bytes or does not return: code above relies on that instead of checking each call.
pub trait Random: Send + Sync {
    /// Overwrites all of `out` with random bytes.
    fn fill(&self, out: &mut [u8]);
}

/// `N` bytes from `random`.
pub fn array<const N: usize>(random: &dyn Random) -> [u8; N] {
    let mut bytes = [0; N];
    random.fill(&mut bytes);
    bytes
}
