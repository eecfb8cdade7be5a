//! The realms between a client's and a service's, and how far the walk along them is.

use crate::formats::settings::Capaths;

/// A path, the realm that was reached, and the one whose ticket-granting ticket is wanted next.
pub(super) struct Path {
    realms: Vec<Vec<u8>>,
    at: usize,
    wanted: usize,
}

impl Path {
    /// The path from `start` to `end`, which are not the same; the end is wanted first.
    pub(super) fn new(start: &[u8], end: &[u8], capaths: &Capaths) -> Self {
        let between = capaths.between(start, end);
        let realms: Vec<_> = [start]
            .into_iter()
            .chain(between)
            .chain([end])
            .map(<[u8]>::to_vec)
            .collect();
        Self {
            at: 0,
            wanted: realms.len() - 1,
            realms,
        }
    }

    pub(super) fn wanted(&self) -> &[u8] {
        &self.realms[self.wanted]
    }

    pub(super) fn is_wanted(&self, position: usize) -> bool {
        position == self.wanted
    }

    /// Where `realm` is on the rest of the path.
    pub(super) fn position(&self, realm: &[u8]) -> Option<usize> {
        let rest = self.realms.iter().enumerate().skip(self.at + 1);
        rest.into_iter()
            .find(|(_, one)| *one == realm)
            .map(|(position, _)| position)
    }

    /// The realm at `position` is reached, and the end is wanted again. Whether it is the end.
    pub(super) fn advance(&mut self, position: usize) -> bool {
        self.at = position;
        self.wanted = self.realms.len() - 1;
        self.at == self.wanted
    }

    /// The realm that was wanted is reached.
    pub(super) fn advance_to_wanted(&mut self) -> bool {
        self.advance(self.wanted)
    }

    /// Wants the realm before the one that was not to be had; false if that is where we are.
    pub(super) fn want_nearer(&mut self) -> bool {
        self.wanted -= 1;
        self.wanted > self.at
    }
}
