//! Deposits: a state word a slot that decides, and words beside it that follow.
//!
//! ```text
//! free(g) --fill--> filling(g) --done--> full(g) --take or expiry--> held(g) --wiped--> free(g + 1)
//!                       '--given up, or older than ten seconds--------^
//! ```
//!
//! Every arrow is one compare-and-swap of the exact state word, generation included, so each has one winner. A process may be
//! stopped before any instruction and go on when the slot is generations further. So words change only by compare-and-swap too:
//! a filler's from zero, a wiper's from a value that it read *before* it saw the state still held. What a slot holds is hidden
//! by a pad that differs in every generation, so that a late wiper's swap cannot hit an equal value of a later deposit. A
//! late filler can at worst leave a word in a slot that is free or being filled by another, who then gives that slot up.

use crate::atomic::{AtomicU64, Ordering};

/// A filler that has not finished after so many seconds is taken to be dead. It may not be: then it loses its slot.
pub const FILLER_SECONDS: u64 = 10;

const PHASE_BITS: u32 = 2;
const SECONDS_BITS: u32 = 14;
const SECONDS: u64 = (1 << SECONDS_BITS) - 1;
const GENERATION_SHIFT: u32 = PHASE_BITS + SECONDS_BITS;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Free = 0,
    Filling = 1,
    Full = 2,
    Held = 3,
}

/// The state word: phase, when filling began (seconds, the low bits), generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State(u64);

impl State {
    fn phase(self) -> Phase {
        match self.0 & ((1 << PHASE_BITS) - 1) {
            0 => Phase::Free,
            1 => Phase::Filling,
            2 => Phase::Full,
            _ => Phase::Held,
        }
    }

    fn generation(self) -> u64 {
        self.0 >> GENERATION_SHIFT
    }

    fn to(self, phase: Phase) -> Self {
        Self(self.0 >> PHASE_BITS << PHASE_BITS | phase as u64)
    }

    fn filling(self, seconds: u64) -> Self {
        Self(
            self.generation() << GENERATION_SHIFT
                | (seconds & SECONDS) << PHASE_BITS
                | Phase::Filling as u64,
        )
    }

    fn freed(self) -> Self {
        Self(self.generation().wrapping_add(1) << GENERATION_SHIFT)
    }

    /// A clock set back makes this large: a filler loses its slot for nothing, and takes another.
    fn filling_for(self, seconds: u64) -> u64 {
        seconds.wrapping_sub(self.0 >> PHASE_BITS) & SECONDS
    }
}

/// The slots of a table, each a state and as many words as were laid out for it. The first word is when it expires, so that a
/// sweep finds those of all slots side by side.
#[derive(Clone, Copy)]
pub struct Slots<'a> {
    /// A state word a slot.
    pub states: &'a [AtomicU64],
    /// The first word of each slot.
    pub expiries: &'a [AtomicU64],
    /// The other words.
    pub bodies: &'a [AtomicU64],
    /// What pads are made from.
    pub seed: u64,
}

/// What became of an attempt to fill a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fill {
    /// It holds the words, and this is its state.
    Done(State),
    /// It was not free.
    NotFree,
    /// Something was left in it, and it was wiped instead.
    Unclean,
    /// This process was too slow, and somebody took the slot away.
    Lost,
}

impl Slots<'_> {
    /// Fills `slot` with `words`, if it is free.
    pub fn fill(&self, slot: usize, words: &[u64], seconds: u64) -> Fill {
        let free = self.state(slot);
        let filling = free.filling(seconds);
        if free.phase() != Phase::Free || !self.swap(slot, free, filling) {
            return Fill::NotFree;
        }
        for (index, &word) in words.iter().enumerate() {
            let hidden = word ^ self.pad(filling, index);
            if self.state(slot) != filling {
                return self.unfill(slot, filling, &words[..index]);
            }
            if self
                .word(slot, index)
                .compare_exchange(0, hidden, Ordering::AcqRel, Ordering::Acquire)
                .is_err()
            {
                return self.give_up(slot, filling, &words[..index]);
            }
        }
        let full = filling.to(Phase::Full);
        if self.swap(slot, filling, full) {
            Fill::Done(full)
        } else {
            self.unfill(slot, filling, words)
        }
    }

    fn give_up(&self, slot: usize, filling: State, written: &[u64]) -> Fill {
        let held = filling.to(Phase::Held);
        if !self.swap(slot, filling, held) {
            return self.unfill(slot, filling, written);
        }
        self.wipe(slot, held);
        Fill::Unclean
    }

    /// The slot is somebody else's by now: takes back what this filler wrote and they did not wipe.
    fn unfill(&self, slot: usize, filling: State, written: &[u64]) -> Fill {
        for (index, &word) in written.iter().enumerate() {
            let hidden = word ^ self.pad(filling, index);
            let _ = self.word(slot, index).compare_exchange(
                hidden,
                0,
                Ordering::AcqRel,
                Ordering::Acquire,
            );
        }
        Fill::Lost
    }

    /// Whether `slot` is full and its words from `first` on are these.
    pub fn holds(&self, slot: usize, first: usize, words: &[u64]) -> Option<State> {
        let full = self.state(slot);
        let same = |(index, &word)| self.unhidden(slot, full, first + index) == word;
        (full.phase() == Phase::Full
            && words.iter().enumerate().all(same)
            && self.state(slot) == full)
            .then_some(full)
    }

    /// Reads the words of `slot` while it is `full`; false if it was not throughout, and then `words` mean nothing.
    pub fn read(&self, slot: usize, full: State, words: &mut [u64]) -> bool {
        for (index, word) in words.iter_mut().enumerate() {
            *word = self.unhidden(slot, full, index);
        }
        self.state(slot) == full
    }

    /// When `slot` expires, if it still is as `full` says.
    pub fn expiry(&self, slot: usize, full: State) -> Option<u64> {
        let expiry = self.unhidden(slot, full, 0);
        (self.state(slot) == full).then_some(expiry)
    }

    /// Takes `slot` away from all others, if it still is as `full` says, and wipes it: one caller gets `true`.
    pub fn take(&self, slot: usize, full: State) -> bool {
        let held = full.to(Phase::Held);
        let won = self.swap(slot, full, held);
        if won {
            self.wipe(slot, held);
        }
        won
    }

    /// [Sweeps](Self::sweep) all slots that are not free, and gives how many were expired.
    pub fn sweep_all(&self, seconds: u64, expired: impl Fn(u64) -> bool) -> u64 {
        let mut found = 0;
        // Nearly all are free, and are passed over a cache line at a time.
        for (chunk, states) in self.states.chunks(8).enumerate() {
            let phases = states
                .iter()
                .fold(0, |all, state| all | state.load(Ordering::Acquire));
            if State(phases).phase() != Phase::Free {
                let slots = 8 * chunk..8 * chunk + states.len();
                found += slots
                    .map(|slot| u64::from(self.sweep(slot, seconds, &expired)))
                    .sum::<u64>();
            }
        }
        found
    }

    /// Wipes `slot` if it is taken, if its filler is taken to be dead, or if `expired` says so of it; true if it was full.
    pub fn sweep(&self, slot: usize, seconds: u64, expired: impl Fn(u64) -> bool) -> bool {
        let state = self.state(slot);
        match state.phase() {
            Phase::Free => false,
            Phase::Filling => {
                let dead = state.filling_for(seconds) > FILLER_SECONDS;
                let held = state.to(Phase::Held);
                if dead && self.swap(slot, state, held) {
                    self.wipe(slot, held);
                }
                false
            }
            Phase::Full => self.expiry(slot, state).is_some_and(expired) && self.take(slot, state),
            Phase::Held => {
                self.wipe(slot, state);
                false
            }
        }
    }

    /// Makes every word zero and the slot free, unless others have done so already.
    fn wipe(&self, slot: usize, held: State) {
        for index in 0..self.width() {
            let word = self.word(slot, index);
            loop {
                let found = word.load(Ordering::Acquire);
                if found == 0 {
                    break;
                }
                // After the word, never before: it is this generation's if the state still is.
                if self.state(slot) != held {
                    return;
                }
                if word
                    .compare_exchange(found, 0, Ordering::AcqRel, Ordering::Acquire)
                    .is_ok()
                {
                    break;
                }
            }
        }
        self.swap(slot, held, held.freed());
    }

    /// Words a slot.
    fn width(&self) -> usize {
        1 + self.bodies.len() / self.states.len()
    }

    fn word(&self, slot: usize, index: usize) -> &AtomicU64 {
        match index.checked_sub(1) {
            None => &self.expiries[slot],
            Some(index) => &self.bodies[slot * (self.width() - 1) + index],
        }
    }

    fn unhidden(&self, slot: usize, state: State, index: usize) -> u64 {
        self.word(slot, index).load(Ordering::Acquire) ^ self.pad(state, index)
    }

    /// No two generations of a word have the same pad: this is a permutation of generation and index.
    fn pad(&self, state: State, index: usize) -> u64 {
        let mut mixed =
            (state.generation() << GENERATION_SHIFT | index as u64).wrapping_add(self.seed);
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ mixed >> 31
    }

    fn state(&self, slot: usize) -> State {
        State(self.states[slot].load(Ordering::Acquire))
    }

    fn swap(&self, slot: usize, from: State, to: State) -> bool {
        self.states[slot]
            .compare_exchange(from.0, to.0, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    struct Table {
        states: Vec<AtomicU64>,
        expiries: Vec<AtomicU64>,
        bodies: Vec<AtomicU64>,
    }

    fn table(slots: usize) -> Table {
        let words = |count| (0..count).map(|_| AtomicU64::new(0)).collect();
        Table {
            states: words(slots),
            expiries: words(slots),
            bodies: words(3 * slots),
        }
    }

    impl Table {
        fn slots(&self) -> Slots<'_> {
            Slots {
                states: &self.states,
                expiries: &self.expiries,
                bodies: &self.bodies,
                seed: 99,
            }
        }

        fn clean(&self, slot: usize) -> bool {
            let bodies = &self.bodies[3 * slot..3 * slot + 3];
            self.expiries[slot].load(Ordering::Acquire) == 0
                && bodies.iter().all(|word| word.load(Ordering::Acquire) == 0)
        }
    }

    fn full(fill: Fill) -> State {
        match fill {
            Fill::Done(state) => state,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_slot_is_filled_read_and_taken_once() {
        let table = table(2);
        let slots = table.slots();
        let state = full(slots.fill(1, &[50, 1, 2], 0));
        assert_eq!(slots.fill(1, &[50, 1, 2], 0), Fill::NotFree);
        assert_eq!(slots.holds(1, 1, &[1, 2]), Some(state));
        assert_eq!(slots.holds(1, 1, &[1, 3]), None);
        let mut words = [0; 3];
        assert!(slots.read(1, state, &mut words));
        assert_eq!(words, [50, 1, 2]);
        assert!(slots.take(1, state));
        assert!(!slots.take(1, state));
        assert!(table.clean(1));
        assert_eq!(slots.holds(1, 1, &[1, 2]), None);
        assert!(!slots.read(1, state, &mut words));
    }

    #[test]
    fn the_next_generation_is_not_taken_by_the_state_of_the_last() {
        let table = table(1);
        let slots = table.slots();
        let first = full(slots.fill(0, &[50, 1], 0));
        assert!(slots.take(0, first));
        let second = full(slots.fill(0, &[50, 1], 0));
        assert!(!slots.take(0, first));
        assert!(slots.take(0, second));
    }

    #[test]
    fn equal_words_look_different_in_each_generation() {
        let table = table(1);
        let slots = table.slots();
        let mut seen = Vec::new();
        for _ in 0..100 {
            let state = full(slots.fill(0, &[7, 7, 7], 0));
            seen.push(table.expiries[0].load(Ordering::Acquire));
            assert!(slots.take(0, state));
        }
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), 100);
    }

    #[test]
    fn a_sweep_wipes_what_is_expired_and_nothing_else() {
        let table = table(2);
        let slots = table.slots();
        full(slots.fill(0, &[50, 1], 0));
        full(slots.fill(1, &[60, 2], 0));
        let sweep = |now: u64| {
            (0..2)
                .filter(|&slot| slots.sweep(slot, 1, |expiry| expiry <= now))
                .count()
        };
        assert_eq!(sweep(49), 0);
        assert_eq!(sweep(50), 1);
        assert!(table.clean(0) && !table.clean(1));
        assert_eq!(sweep(60), 1);
    }

    #[test]
    fn a_filler_is_left_alone_for_ten_seconds_across_the_turn_of_its_clock() {
        for start in [0, 5, SECONDS - 3, SECONDS] {
            let table = table(1);
            let slots = table.slots();
            let filling = State(0).filling(start);
            assert!(slots.swap(0, State(0), filling));
            table.expiries[0].store(1234, Ordering::Release);
            slots.sweep(0, start + FILLER_SECONDS, |_| true);
            assert_eq!(slots.state(0), filling);
            slots.sweep(0, start + FILLER_SECONDS + 1, |_| true);
            assert_eq!(slots.state(0), State(0).freed());
            assert!(table.clean(0));
        }
    }

    #[test]
    fn a_filler_that_finds_something_gives_its_slot_up_and_wipes_it() {
        let table = table(1);
        let slots = table.slots();
        table.bodies[1].store(77, Ordering::Release);
        assert_eq!(slots.fill(0, &[1, 2, 3], 0), Fill::Unclean);
        assert!(table.clean(0));
        full(slots.fill(0, &[1, 2, 3], 0));
    }

    #[test]
    fn whoever_dies_after_taking_leaves_its_wiping_to_the_next_sweep() {
        let table = table(1);
        let slots = table.slots();
        let state = full(slots.fill(0, &[50, 1, 2], 0));
        assert!(slots.swap(0, state, state.to(Phase::Held)));
        assert!(!slots.sweep(0, 0, |_| false));
        assert!(table.clean(0));
        full(slots.fill(0, &[50, 1, 2], 0));
    }
}
