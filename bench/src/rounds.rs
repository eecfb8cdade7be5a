//! Turns: ours, theirs, ours, theirs, ... each long enough to be measured, and the median of each side's.

use std::cmp::Ordering;
use std::time::{Duration, Instant};

/// How many turns, and how long.
pub(crate) struct Rounds {
    rounds: usize,
    turn: Duration,
}

/// What one operation took, and how many times as fast ours is: medians. The ratio is that of turns that were neighbours, so what
/// slows the machine down for a while slows down both sides of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Compared {
    pub(crate) ours: Duration,
    pub(crate) theirs: Duration,
    pub(crate) ratio: f64,
}

/// Does something so often and tells how long it took.
pub(crate) type Turn<'a> = &'a mut dyn FnMut(usize) -> Duration;

impl Rounds {
    pub(crate) fn new(rounds: usize, milliseconds: u64) -> Self {
        assert!(rounds > 0, "at least one round");
        Self {
            rounds,
            turn: Duration::from_millis(milliseconds),
        }
    }

    /// Ours and theirs in turns. `most` is how often they may do it in one turn.
    pub(crate) fn compare(&self, most: usize, ours: Turn<'_>, theirs: Turn<'_>) -> Compared {
        let (our_count, their_count) = (self.count(most, ours), self.count(most, theirs));
        let turns = (0..self.rounds).map(|_| {
            let ours = each(ours(our_count), our_count);
            (ours, each(theirs(their_count), their_count))
        });
        let turns: Vec<_> = turns.collect();
        let ratio =
            |(ours, theirs): &(Duration, Duration)| theirs.as_secs_f64() / ours.as_secs_f64();
        Compared {
            ours: median(turns.iter().map(|(ours, _)| *ours), Ord::cmp),
            theirs: median(turns.iter().map(|(_, theirs)| *theirs), Ord::cmp),
            ratio: median(turns.iter().map(ratio), f64::total_cmp),
        }
    }

    /// How often it goes into a turn.
    fn count(&self, most: usize, turn: Turn<'_>) -> usize {
        let mut count = 1;
        loop {
            let took = turn(count);
            if took * 4 > self.turn || count >= most {
                let fit = self.turn.as_secs_f64() / each(took, count).as_secs_f64().max(1e-9);
                return (fit as usize).clamp(1, most);
            }
            count = (count * 4).min(most);
        }
    }
}

/// Times `count` times `operation`.
pub(crate) fn timed(count: usize, mut operation: impl FnMut()) -> Duration {
    let start = Instant::now();
    for _ in 0..count {
        operation();
    }
    start.elapsed()
}

fn each(time: Duration, count: usize) -> Duration {
    Duration::from_secs_f64(time.as_secs_f64() / count as f64)
}

fn median<T: Copy>(all: impl Iterator<Item = T>, order: fn(&T, &T) -> Ordering) -> T {
    let mut all: Vec<T> = all.collect();
    all.sort_by(order);
    all[all.len() / 2]
}
