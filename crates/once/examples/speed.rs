//! How fast the store is: `cargo run --release -p once --example speed`. A second process at the same time shows contention.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use once::{FileOptions, Limits, MarkTag, OnceStore, Tag};
use rustix::time::{ClockId, clock_gettime};
use wire::time::Timestamp;

const ROUNDS: u64 = 40_000;

fn now() -> Timestamp {
    let since = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp::from_micros(since.as_micros() as i64)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let directory = tempfile::tempdir_in("/dev/shm")?;
    let options = FileOptions {
        directory: Some(directory.path().join("store")),
        limits: Limits::default(),
        deposits_on_disk: false,
    };
    measure("memory", &OnceStore::memory(Arc::new(now)));
    measure("file", &OnceStore::file(&options, Arc::new(now))?);
    Ok(())
}

fn measure(backend: &str, store: &OnceStore) {
    let tags: Vec<_> = (0..ROUNDS)
        .map(|round| MarkTag::of(&[&round.to_be_bytes()]))
        .collect();
    let at = now();
    timed(backend, "claim", || {
        tags.iter()
            .for_each(|tag| _ = black_box(store.claim(tag, at)))
    });
    timed(backend, "claim of what was seen", || {
        tags.iter()
            .for_each(|tag| _ = black_box(store.claim(tag, at)))
    });
    let (value, expires) = ([7; 200], at + Duration::from_secs(300));
    timed(backend, "put, peek and take of 200 bytes", || {
        for round in 0..ROUNDS {
            let tag = Tag::from_bytes(u128::from(round).to_be_bytes());
            let _ = black_box(store.put(&tag, &value, expires));
            let _ = black_box(store.peek(&tag));
            let _ = black_box(store.take(&tag));
        }
    });
}

/// By the processor's clock, so that other work on the machine does not count.
fn timed(backend: &str, what: &str, work: impl FnOnce()) {
    let start = processor_nanos();
    work();
    println!(
        "{backend}: {what}: {} ns",
        (processor_nanos() - start) / ROUNDS as i64
    );
}

fn processor_nanos() -> i64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec * 1_000_000_000 + time.tv_nsec
}
