//! Two processes on one store, one of them killed, or stopped and continued, five hundred times at random.
//!
//! Never two winners, never a stall of the other, never a torn value. The workers are this program again. Their clock runs two
//! hundred times too fast, so that buckets turn, deposits expire and fillers are taken for dead within fractions of a second.

mod common;

use std::collections::HashMap;
use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use common::{Home, ManualClock, START, mark, options, seconds, tag};
use once::{ClaimError, FileOptions, Limits, OnceStore, StoreError, TakeError};
use rustix::process::{Pid, Signal, kill_process};
use wire::time::Timestamp;

const DISTURBANCES: usize = 500;
const FASTER: u64 = 200;
/// Each entry has its moment, in microseconds of real time: both workers are at the same one.
const MOMENT: u64 = 200;
/// A worker that says nothing for so long has stalled. Generous, for a machine that is busy with other things.
const PATIENCE: Duration = Duration::from_secs(15);

const DIRECTORY: &str = "ONCE_HAMMER_DIRECTORY";
const BEGIN: &str = "ONCE_HAMMER_BEGIN";
const ROLE: &str = "ONCE_HAMMER_ROLE";

fn limits() -> Limits {
    let clock_skew = Duration::from_secs(50);
    Limits {
        clock_skew,
        marks: 1024,
        mark_segments: 8,
        deposits: 1024,
        ..Limits::default()
    }
}

fn micros() -> u64 {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap()
        .as_micros() as u64
}

/// The fast time at a real one.
fn fast(begin: u64, micros: u64) -> Timestamp {
    seconds(START) + Duration::from_micros(FASTER * micros.saturating_sub(begin))
}

/// What must be in the deposit of a moment.
fn value(moment: u64) -> Vec<u8> {
    (0..8 + moment % 400)
        .map(|at| (moment.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (at % 57)) as u8 ^ at as u8)
        .collect()
}

/// The worker: nothing to do unless the test below started it.
#[test]
fn worker() {
    let (Ok(directory), Ok(begin)) = (std::env::var(DIRECTORY), std::env::var(BEGIN)) else {
        return;
    };
    let begin: u64 = begin.parse().unwrap();
    let role: u64 = std::env::var(ROLE).unwrap().parse().unwrap();
    let clock = move || fast(begin, micros());
    let store = OnceStore::file(&options(directory.as_ref(), &limits()), Arc::new(clock)).unwrap();
    let mut done = 0;
    loop {
        let moment = (micros() - begin) / MOMENT;
        if moment != done {
            done = moment;
            work(&store, role, moment, fast(begin, begin + moment * MOMENT));
        }
    }
}

fn work(store: &OnceStore, role: u64, moment: u64, at: Timestamp) {
    match store.claim(&mark(moment), at) {
        Ok(_) => say("claimed", moment),
        Err(ClaimError::AlreadyClaimed) => say("refused", moment),
        // It was stopped between looking at the clock and claiming.
        Err(ClaimError::TooOld) => say("late", moment),
        Err(error) => panic!("claim: {error}"),
    }
    // Both take, and one puts, because a tag is used once.
    if moment % 2 == role {
        match store.put(&tag(moment), &value(moment), expiry(at)) {
            Ok(()) => say("put", moment),
            Err(StoreError::Expired | StoreError::Stalled { .. }) => {}
            Err(error) => panic!("put: {error}"),
        }
    }
    take(
        store,
        moment.saturating_sub(1),
        at - Duration::from_micros(FASTER * MOMENT),
    );
    take(store, moment, at);
}

fn expiry(at: Timestamp) -> Timestamp {
    at + Duration::from_secs(20)
}

fn take(store: &OnceStore, moment: u64, at: Timestamp) {
    match store.peek(&tag(moment)) {
        Ok(Some(deposit)) => {
            assert!(
                *deposit.value == value(moment) && deposit.expires == expiry(at),
                "torn"
            );
        }
        Ok(None) => return,
        Err(error) => panic!("peek: {error}"),
    }
    // Every fourth or so is left to expire.
    if moment / 2 % 4 == 3 {
        return;
    }
    match store.take(&tag(moment)) {
        Ok(_) => say("taken", moment),
        Err(TakeError::NotThere) => say("too late", moment),
        Err(error) => panic!("take: {error}"),
    }
}

/// One write a line: a worker that is killed says all of it or nothing.
fn say(what: &str, moment: u64) {
    if io::stderr()
        .write_all(format!("{what} {moment}\n").as_bytes())
        .is_err()
    {
        std::process::exit(0);
    }
}

/// What all workers said.
#[derive(Default)]
struct Heard {
    lines: HashMap<(String, u64), u64>,
    complaints: Vec<String>,
}

impl Heard {
    fn hear(&mut self, line: &str) {
        match line
            .rsplit_once(' ')
            .map(|(what, moment)| (what, moment.parse()))
        {
            Some((what, Ok(moment))) => *self.lines.entry((what.into(), moment)).or_default() += 1,
            _ => self.complaints.push(line.into()),
        }
    }

    fn of(&self, wanted: &str) -> impl Iterator<Item = (u64, u64)> {
        self.lines
            .iter()
            .filter(move |((what, _), _)| what == wanted)
            .map(|((_, moment), &times)| (*moment, times))
    }
}

struct Worker {
    child: Child,
    lines: Arc<AtomicU64>,
}

impl Worker {
    fn start(home: &Home, role: usize, begin: u64, heard: &Arc<Mutex<Heard>>) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "worker", "--nocapture"])
            .envs([
                (DIRECTORY, home.path().into_os_string()),
                (BEGIN, begin.to_string().into()),
                (ROLE, role.to_string().into()),
            ])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (lines, heard) = (Arc::new(AtomicU64::new(0)), Arc::clone(heard));
        let (counter, output) = (
            Arc::clone(&lines),
            BufReader::new(child.stderr.take().unwrap()),
        );
        thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                heard.lock().unwrap().hear(&line);
                counter.fetch_add(1, Ordering::SeqCst);
            }
        });
        Self { child, lines }
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// It goes on, whatever happened to the other.
    fn must_go_on(&self, because: &str) {
        let (before, since) = (self.lines.load(Ordering::SeqCst), Instant::now());
        while self.lines.load(Ordering::SeqCst) == before {
            assert!(since.elapsed() < PATIENCE, "stalled {because}");
            thread::sleep(Duration::from_micros(200));
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// xorshift: where a disturbance hits is the scheduler's choice anyway.
fn random(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

#[test]
fn two_processes_of_which_one_is_killed_or_stopped_have_one_winner_each_time() {
    let (home, begin, heard) = (Home::new(), micros(), Arc::default());
    let mut workers = [0, 1].map(|role| Worker::start(&home, role, begin, &heard));
    workers
        .iter()
        .for_each(|worker| worker.must_go_on("at the start"));
    let mut dice = 0x9E37_79B9_7F4A_7C15 ^ begin;
    for disturbance in 0..DISTURBANCES {
        thread::sleep(Duration::from_micros(random(&mut dice) % 20_000));
        let victim = random(&mut dice) as usize % 2;
        let other = 1 - victim;
        if random(&mut dice).is_multiple_of(4) {
            workers[victim].signal(Signal::KILL);
            workers[other].must_go_on("after the other was killed");
            workers[victim] = Worker::start(&home, victim, begin, &heard);
        } else {
            workers[victim].signal(Signal::STOP);
            workers[other].must_go_on("while the other is stopped");
            // Now and then for longer than a filler's ten seconds, or a bucket's two minutes.
            let longer = if disturbance % 50 == 7 { 700 } else { 70 };
            let millis = if random(&mut dice).is_multiple_of(8) {
                longer
            } else {
                10
            };
            thread::sleep(Duration::from_micros(random(&mut dice) % (1000 * millis)));
            workers[victim].signal(Signal::CONT);
        }
        assert!(
            heard.lock().unwrap().complaints.is_empty(),
            "{:?}",
            heard.lock().unwrap().complaints
        );
    }
    workers
        .iter()
        .for_each(|worker| worker.must_go_on("at the end"));
    drop(workers);
    judge(&heard.lock().unwrap());
    nothing_is_left(&home, begin);
}

fn judge(heard: &Heard) {
    assert!(heard.complaints.is_empty(), "{:?}", heard.complaints);
    for what in ["claimed", "taken"] {
        let twice: Vec<_> = heard.of(what).filter(|&(_, times)| times > 1).collect();
        assert!(twice.is_empty(), "{what} twice: {twice:?}");
    }
    let count = |what| heard.of(what).count();
    let (claimed, refused, taken, late) = (
        count("claimed"),
        count("refused"),
        count("taken"),
        count("late"),
    );
    eprintln!(
        "{claimed} claimed, {refused} refused, {late} late; {} put, {taken} taken",
        count("put")
    );
    assert!(
        claimed > 1000 && refused > 1000 && taken > 500,
        "they did not meet"
    );
}

/// After everything expired and one more put swept, no word of a deposit is in the file, whoever died in the middle of what.
fn nothing_is_left(home: &Home, begin: u64) {
    let later = ManualClock::new(fast(begin, micros()).seconds() + 3600);
    let options: FileOptions = options(&home.path(), &limits());
    let store = OnceStore::file(&options, Arc::new(later)).unwrap();
    store
        .put(&tag(u64::MAX), b"sweeps", Timestamp::MAX)
        .unwrap();
    assert!(store.take(&tag(u64::MAX)).is_ok());
    let words = fs::read(home.path().join("deposits"))
        .unwrap()
        .split_off(4096 + 1024 * 8);
    let left = words.iter().filter(|&&byte| byte != 0).count();
    assert_eq!(left, 0, "bytes of deposits are left");
}
