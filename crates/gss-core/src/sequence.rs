//! The window of sequence numbers in which replays and reordering are noticed (RFC 2743 §1.2.3, RFC 4121 §4.2.1).

/// Where a token stands in the sequence. Anything but [`InOrder`](Self::InOrder) is information beside a valid message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Order {
    /// The one expected, or order is not looked at.
    InOrder,
    /// `GSS_S_DUPLICATE_TOKEN`: seen before.
    Duplicate,
    /// `GSS_S_OLD_TOKEN`: too old to tell whether it was seen before.
    Old,
    /// `GSS_S_UNSEQ_TOKEN`: a later one was seen before it.
    Unsequenced,
    /// `GSS_S_GAP_TOKEN`: one or more before it were not seen.
    Gap,
}

/// The numbers seen of one direction: the next one expected and a bit for each of the [`WIDTH`] before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SequenceWindow {
    replay: bool,
    sequence: bool,
    first: u64,
    /// How many numbers after `first` the next expected one lies.
    next: u64,
    /// Bit `n` stands for the number `n + 1` before the next one.
    seen: u64,
    /// Which bits a number has.
    mask: u64,
}

/// How many numbers back a replay is noticed exactly.
pub const WIDTH: u64 = 64;

impl SequenceWindow {
    /// Expects `first`; notices replays if `replay`, and gaps and late tokens if `sequence`.
    pub const fn new(first: u64, replay: bool, sequence: bool) -> Self {
        Self {
            replay,
            sequence,
            first,
            next: 0,
            seen: 0,
            mask: u64::MAX,
        }
    }

    /// The same for numbers of 32 bits, after the last of which comes 0 again (RFC 1964 §1.2.1.2).
    #[must_use]
    pub const fn of_32_bits(self) -> Self {
        Self {
            mask: u32::MAX as u64,
            ..self
        }
    }

    /// What [`restore`](Self::restore) needs: first number, distance to the next one, bits.
    pub const fn save(&self) -> [u64; 3] {
        [self.first, self.next, self.seen]
    }

    /// The window that [`save`](Self::save) described.
    pub const fn restore([first, next, seen]: [u64; 3], replay: bool, sequence: bool) -> Self {
        Self {
            replay,
            sequence,
            first,
            next,
            seen,
            mask: u64::MAX,
        }
    }

    /// Notes the number of a token whose integrity has been verified, and tells where it stands.
    pub fn note(&mut self, number: u64) -> Order {
        if !self.replay && !self.sequence {
            return Order::InOrder;
        }
        let position = number.wrapping_sub(self.first) & self.mask;
        match position.checked_sub(self.next) {
            Some(gap) => self.advance(position, gap),
            None => self.look_back(self.next - position),
        }
    }

    fn advance(&mut self, position: u64, gap: u64) -> Order {
        // The peer chooses the gap, so the shift is checked.
        let shift = u32::try_from(gap).ok().and_then(|gap| gap.checked_add(1));
        self.seen = shift.and_then(|by| self.seen.checked_shl(by)).unwrap_or(0) | 1;
        self.next = position.wrapping_add(1) & self.mask;
        if gap > 0 && self.sequence {
            Order::Gap
        } else {
            Order::InOrder
        }
    }

    fn look_back(&mut self, distance: u64) -> Order {
        if distance > WIDTH {
            return if self.sequence {
                Order::Unsequenced
            } else {
                Order::Old
            };
        }
        let bit = 1 << (distance - 1);
        if self.replay && self.seen & bit != 0 {
            return Order::Duplicate;
        }
        self.seen |= bit;
        if self.sequence {
            Order::Unsequenced
        } else {
            Order::InOrder
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_order_is_told() {
        let mut window = SequenceWindow::new(10, true, true);
        for (number, order) in [
            (10, Order::InOrder),
            (10, Order::Duplicate),
            (12, Order::Gap),
            (11, Order::Unsequenced),
            (11, Order::Duplicate),
            (13, Order::InOrder),
            (200, Order::Gap),
            (13, Order::Unsequenced),
        ] {
            assert_eq!(window.note(number), order, "{number}");
        }
    }

    #[test]
    fn replay_alone_says_old_beyond_the_window() {
        let mut window = SequenceWindow::new(0, true, false);
        assert_eq!(window.note(100), Order::InOrder);
        assert_eq!(window.note(37), Order::InOrder);
        assert_eq!(window.note(37), Order::Duplicate);
        assert_eq!(window.note(36), Order::Old);
    }

    #[test]
    fn sequence_alone_notices_no_replay_but_lateness() {
        let mut window = SequenceWindow::new(0, false, true);
        assert_eq!(window.note(0), Order::InOrder);
        assert_eq!(window.note(0), Order::Unsequenced);
    }

    #[test]
    fn neither_looks_at_nothing() {
        let mut window = SequenceWindow::new(0, false, false);
        assert_eq!([window.note(7), window.note(7)], [Order::InOrder; 2]);
    }

    #[test]
    fn numbers_of_32_bits_go_around() {
        let last = u64::from(u32::MAX);
        let mut window = SequenceWindow::new(last - 1, true, true).of_32_bits();
        for number in [last - 1, last, 0, 1] {
            assert_eq!(window.note(number), Order::InOrder, "{number}");
        }
        assert_eq!(window.note(last), Order::Duplicate);
        assert_eq!(window.note(3), Order::Gap);
        let mut wide = SequenceWindow::new(last, true, true);
        assert_eq!(wide.note(last), Order::InOrder);
        assert_eq!(wide.note(0), Order::Gap, "as far as a number can be");
    }

    #[test]
    fn any_gap_and_any_first_number_is_survived() {
        for first in [0, 1, u64::from(u32::MAX), u64::MAX] {
            for gap in [0, 1, 62, 63, 64, 65, 1 << 31, 1 << 32, 1 << 63, u64::MAX] {
                let mut window = SequenceWindow::new(first, true, true);
                let number = first.wrapping_add(gap);
                let order = if gap == 0 { Order::InOrder } else { Order::Gap };
                assert_eq!(window.note(number), order, "{first} {gap}");
                // This gap is the number before the first one, after which the window stands where it began: its replay is
                // a gap again, as with MIT's library. Nobody but the authenticated peer can bring it about.
                if gap != u64::MAX {
                    assert_eq!(window.note(number), Order::Duplicate, "{first} {gap}");
                    let saved = SequenceWindow::restore(window.save(), true, true);
                    assert_eq!(saved, window);
                }
            }
        }
    }
}
