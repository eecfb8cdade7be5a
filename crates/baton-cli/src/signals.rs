//! Signals as something to poll.

use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Signals that are noted when they come, and a descriptor that is readable then.
pub(crate) struct Signals {
    told: UnixStream,
    came: Vec<(i32, Arc<AtomicBool>)>,
}

impl Signals {
    /// From now on these signals do nothing but be noted.
    pub(crate) fn new(signals: &[i32]) -> io::Result<Self> {
        let (told, tells) = UnixStream::pair()?;
        told.set_nonblocking(true)?;
        let mut came = Vec::new();
        for signal in signals {
            let flag = Arc::new(AtomicBool::new(false));
            // Noted before it is told of: in the order of registration.
            signal_hook::flag::register(*signal, flag.clone())?;
            signal_hook::low_level::pipe::register(*signal, tells.try_clone()?)?;
            came.push((*signal, flag));
        }
        Ok(Self { told, came })
    }

    /// Those that came since the last time.
    pub(crate) fn take(&self) -> Vec<i32> {
        let mut buffer = [0; 64];
        while (&self.told).read(&mut buffer).is_ok_and(|count| count > 0) {}
        let came = |(signal, flag): &(i32, Arc<AtomicBool>)| {
            flag.swap(false, Ordering::SeqCst).then_some(*signal)
        };
        self.came.iter().filter_map(came).collect()
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.told.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::process::{Signal, getpid, kill_process};

    #[test]
    fn a_signal_is_noted_once() {
        use signal_hook::consts::{SIGUSR1, SIGUSR2};
        let signals = Signals::new(&[SIGUSR1, SIGUSR2]).unwrap();
        assert_eq!(signals.take(), []);
        for _ in 0..2 {
            kill_process(getpid(), Signal::USR2).unwrap();
        }
        let came = loop {
            let came = signals.take();
            if !came.is_empty() {
                break came;
            }
        };
        assert_eq!(came, [SIGUSR2]);
    }
}
