//! What idle conversations cost a worker.

mod setting;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use setting::{Client, setting, silent_service, wait_until};

/// How many there are in the ordinary test; `BATON_IDLE` asks for another number, 10000 for the whole.
const ORDINARY: usize = 1000;
/// A worker with ten thousand stays below this, so each may cost its part of it.
const WHOLE: (usize, usize) = (10_000, 200_000_000);

#[test]
fn ten_thousand_idle_conversations_stay_below_200_megabytes() {
    let wanted = std::env::var("BATON_IDLE")
        .ok()
        .and_then(|text| text.parse().ok());
    let count: usize = wanted.unwrap_or(ORDINARY);
    let descriptors = 3 * count as u64 + 500;
    let limit = getrlimit(Resource::Nofile);
    let wanted = Rlimit {
        current: Some(descriptors),
        maximum: Some(limit.maximum.unwrap_or(descriptors).max(descriptors)),
    };
    setrlimit(Resource::Nofile, wanted).unwrap();

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
    for (client, stream) in clients.iter_mut().zip(kept.lock().unwrap().iter_mut()) {
        let mut message = vec![0; 20_000];
        std::io::Read::read_exact(stream, &mut message).unwrap();
        assert!(message == [7; 20_000]);
        std::io::Write::write_all(stream, b"back").unwrap();
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
