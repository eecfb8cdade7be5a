//! What idle conversations cost a worker.

mod setting;

use std::io::{Read, Write};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use setting::{Client, setting, silent_service, wait_until};

/// How many there are in the ordinary test, whose cost is multiplied; `BATON_IDLE` asks for another number, as far as the limit
/// of open files allows. The benchmark opens ten thousand.
const ORDINARY: usize = 1000;
/// Descriptors for anything else.
const REST: u64 = 60;
/// A worker with ten thousand stays below this, so each may cost its part of it.
const WHOLE: (usize, usize) = (10_000, 200_000_000);

#[test]
fn idle_conversations_cost_so_little_that_ten_thousand_stay_below_200_megabytes() {
    let count = raise_descriptor_limit(wanted());

    let setting = setting();
    let (service, kept) = silent_service();
    let door = setting.serve(["--workers=1", &format!("--forward={service}")]);
    let worker = door.workers(1)[0];
    let before = memory(worker);
    let mut clients: Vec<Client> = Vec::new();
    for _ in 0..count {
        let mut client = setting.connect(&door);
        // Each has said something, so a buffer that stays would be seen.
        client.send(&[7; 20_000]);
        clients.push(client);
    }
    let arrived = wait_until(|| (kept.lock().unwrap().len() == count).then_some(()));
    assert!(
        arrived.is_some(),
        "{} of {count}",
        kept.lock().unwrap().len()
    );
    // The service need not have seen them in the clients' order.
    for stream in kept.lock().unwrap().iter_mut() {
        let mut message = vec![0; 20_000];
        stream.read_exact(&mut message).unwrap();
        assert!(message == [7; 20_000]);
        stream.write_all(b"back").unwrap();
    }
    for client in &clients {
        assert!(client.socket.peek(&mut [0]).is_ok());
    }
    let after = memory(worker);
    let grown = after.saturating_sub(before);
    let (whole, most) = WHOLE;
    let each = grown / count;
    println!("{count} idle conversations: {before} bytes before, {after} after, {each} each");
    assert!(
        each * whole + before < most,
        "{each} bytes each, {before} before"
    );
}

fn wanted() -> usize {
    let wanted = std::env::var("BATON_IDLE").ok();
    wanted
        .and_then(|text| text.parse().ok())
        .unwrap_or(ORDINARY)
}

/// How many conversations there can be: each takes two descriptors, in the worker and here.
fn raise_descriptor_limit(wanted: usize) -> usize {
    let descriptors = |maximum| Rlimit {
        current: Some(maximum),
        maximum: Some(maximum),
    };
    let needed = 2 * wanted as u64 + REST;
    let allowed = getrlimit(Resource::Nofile).maximum.unwrap_or(needed);
    if allowed < needed && setrlimit(Resource::Nofile, descriptors(needed)).is_ok() {
        return wanted;
    }
    setrlimit(Resource::Nofile, descriptors(allowed)).unwrap();
    wanted.min(((allowed - REST) / 2) as usize)
}

/// What a process has in memory.
fn memory(pid: rustix::process::Pid) -> usize {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .unwrap();
    let kilobytes: usize = line.trim().trim_end_matches(" kB").parse().unwrap();
    kilobytes * 1024
}
