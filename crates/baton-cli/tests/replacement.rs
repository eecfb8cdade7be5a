//! Workers are replaced: a generation by another without dropping a conversation, one that dies by a new one.

mod setting;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use rustix::process::{Signal, kill_process, test_kill_process};
use setting::{echo_service, pattern, setting, wait_until};

#[test]
fn a_new_generation_takes_over_and_no_conversation_notices() {
    let setting = setting();
    let service = echo_service();
    let mut door = setting.serve(["--workers=2", &format!("--forward={service}")]);
    let done = AtomicBool::new(false);
    let rounds = AtomicUsize::new(0);
    let mut idle: Vec<_> = (0..20).map(|_| setting.connect(&door)).collect();
    thread::scope(|scope| {
        for seed in 0..6 {
            let mut client = setting.connect(&door);
            let (done, rounds) = (&done, &rounds);
            // Small and large messages, so that frames are cut and unsent bytes wait.
            scope.spawn(move || {
                for round in 0.. {
                    let data = pattern([10, 5_000, 300_000][round % 3], seed * 1000 + round as u64);
                    for part in data.chunks(60_000) {
                        client.send(part);
                    }
                    assert!(client.receive_exactly(data.len()) == data);
                    rounds.fetch_add(1, Ordering::Relaxed);
                    if done.load(Ordering::Relaxed) {
                        break;
                    }
                }
                client.finish();
                assert_eq!(client.receive(), None);
            });
        }
        for generation in 2..5 {
            thread::sleep(Duration::from_millis(200));
            door.signal(Signal::HUP);
            door.wait_for(&format!(
                "generation {generation} of workers has taken over"
            ));
            // New clients are served meanwhile.
            setting.connect(&door).echo(b"newcomer");
            door.wait_for(&format!("worker {}.1 (process ", generation - 1));
            door.wait_for_count(
                "conversations over and keeps 0 until they end",
                2 * (generation as usize - 1),
            );
        }
        let before = rounds.load(Ordering::Relaxed);
        wait_until(|| (rounds.load(Ordering::Relaxed) > before + 12).then_some(())).unwrap();
        done.store(true, Ordering::Relaxed);
    });
    for client in &mut idle {
        client.echo(b"still here");
    }
    for pid in [1, 2, 3]
        .into_iter()
        .flat_map(|generation| door.workers(generation))
    {
        let gone = wait_until(|| test_kill_process(pid).is_err().then_some(()));
        assert!(gone.is_some(), "worker {pid} has ended");
    }
    assert!(
        door.lines()
            .iter()
            .all(|line| !line.contains("broken off") && !line.contains("lost"))
    );
    drop(idle);
    door.signal(Signal::TERM);
    assert_eq!(door.wait(), Some(0));
}

#[test]
fn half_closed_and_blocked_conversations_move_too() {
    let setting = setting();
    let (service, kept) = setting::silent_service();
    let door = setting.serve(["--workers=1", &format!("--forward={service}")]);
    // Nobody reads: everything on the way is full.
    let mut blocked = setting.connect(&door);
    let data = pattern(20_000_000, 7);
    blocked
        .socket
        .set_write_timeout(Some(Duration::from_millis(300)))
        .unwrap();
    let mut frames = Vec::new();
    for part in data.chunks(60_000) {
        frames.extend(setting::frame(&blocked.context.wrap(true, part).unwrap()));
    }
    let mut sent = 0;
    while let Ok(count) = std::io::Write::write(&mut blocked.socket, &frames[sent..]) {
        sent += count;
        if sent == frames.len() {
            break;
        }
    }
    assert!(sent < frames.len());
    let mut finished = setting.connect(&door);
    finished.send(b"question");
    finished.finish();
    wait_until(|| (kept.lock().unwrap().len() == 2).then_some(())).unwrap();
    thread::sleep(Duration::from_millis(200));
    door.signal(Signal::HUP);
    door.wait_for("handed 2 conversations over and keeps 0");
    let streams: Vec<_> = kept.lock().unwrap().drain(..).collect();
    thread::scope(|scope| {
        for mut stream in streams {
            scope.spawn(move || {
                let mut all = Vec::new();
                std::io::Read::read_to_end(&mut stream, &mut all).unwrap();
                std::io::Write::write_all(&mut stream, &all[all.len() - 8..]).unwrap();
            });
        }
        blocked.socket.set_write_timeout(None).unwrap();
        std::io::Write::write_all(&mut blocked.socket, &frames[sent..]).unwrap();
        blocked.finish();
        assert_eq!(finished.receive_all(), b"question");
        assert_eq!(blocked.receive_all(), data[data.len() - 8..]);
    });
    door.wait_for_count("has finished", 2);
}

#[test]
fn programs_outlive_their_worker() {
    let setting = setting();
    let door = setting.serve(["--workers=1", "--", "cat"]);
    let mut client = setting.connect(&door);
    client.echo(b"before");
    door.signal(Signal::HUP);
    door.wait_for("generation 2 of workers has taken over");
    door.wait_for("worker 1.0 (process ");
    client.echo(b"after");
    client.finish();
    assert_eq!(client.receive(), None);
    let children = format!("/proc/{0}/task/{0}/children", door.pid());
    // The worker alone: the program has been waited for.
    let waited_for = wait_until(|| {
        let text = std::fs::read_to_string(&children).unwrap();
        (text.split_whitespace().count() == 1).then_some(())
    });
    assert!(waited_for.is_some());
}

#[test]
fn a_worker_that_dies_is_replaced_and_its_conversations_alone_are_lost() {
    let setting = setting();
    let service = echo_service();
    let door = setting.serve(["--workers=2", &format!("--forward={service}")]);
    let mut clients: Vec<_> = (0..8).map(|_| setting.connect(&door)).collect();
    for client in &mut clients {
        client.echo(b"x");
    }
    thread::sleep(Duration::from_millis(1100));
    let victim = door.workers(1)[0];
    kill_process(victim, Signal::KILL).unwrap();
    let line = door.wait_for("was ended by signal 9");
    assert!(
        line.contains(&format!("worker 1.0 (process {victim})")),
        "{line}"
    );
    assert!(line.contains("4 conversations are lost"), "{line}");
    let mut lost = 0;
    for client in &mut clients {
        let alive = client.try_send(b"y").is_ok() && matches!(client.try_receive(), Ok(Some(_)));
        lost += usize::from(!alive);
    }
    assert_eq!(lost, 4);
    wait_until(|| (door.workers(1).len() == 3).then_some(())).unwrap();
    let replacement = door.workers(1)[2];
    let with = format!("is with worker 1.0 (process {replacement})");
    let mut again = Vec::new();
    wait_until(|| {
        let mut client = setting.connect(&door);
        client.echo(b"served");
        again.push(client);
        let has_some = door.lines().iter().any(|line| line.contains(&with));
        has_some.then_some(())
    })
    .unwrap();
}

#[test]
fn a_worker_that_is_stopped_holds_up_nobody_else() {
    let setting = setting();
    let service = echo_service();
    let door = setting.serve(["--workers=2", &format!("--forward={service}")]);
    let victim = door.workers(1)[0];
    kill_process(victim, Signal::STOP).unwrap();
    // Every second client goes to the other one.
    let mut clients: Vec<_> = (0..40).map(|_| setting.connect(&door)).collect();
    let other = door.workers(1)[1];
    door.wait_for_count(&format!("is with worker 1.1 (process {other})"), 20);
    kill_process(victim, Signal::CONT).unwrap();
    for client in &mut clients {
        client.echo(b"served");
    }
}

/// The program in a directory that only its owner may enter, as in a home directory.
#[test]
fn an_upgrade_that_fails_changes_nothing_and_one_that_works_drops_nobody() {
    let setting = setting();
    let private = setting.directory.path().join("private");
    fs::create_dir(&private).unwrap();
    fs::set_permissions(&private, fs::Permissions::from_mode(0o700)).unwrap();
    let program = private.join("baton");
    let put = |bytes: &[u8]| {
        let new = private.join("new");
        fs::write(&new, bytes).unwrap();
        fs::set_permissions(&new, fs::Permissions::from_mode(0o755)).unwrap();
        fs::rename(&new, &program).unwrap();
    };
    let baton = fs::read(env!("CARGO_BIN_EXE_baton")).unwrap();
    put(&baton);
    let mut command = Command::new(&program);
    command.args(["serve", "--listen", "127.0.0.1:0", "--keytab"]);
    command.arg(setting.realm.keytab());
    command.arg(format!("--forward={}", echo_service()));
    let door = setting.start(command);
    let mut client = setting.connect(&door);
    client.echo(b"before");
    for round in 1..3 {
        put(&fs::read("/bin/false").unwrap());
        door.signal(Signal::HUP);
        let lines = door.wait_for_count(
            "the workers stay as they are: a new one did not live",
            round,
        );
        assert_eq!(lines.len(), round);
        client.echo(b"nothing has changed");
        setting.connect(&door).echo(b"nor for the next one");
    }
    put(&baton);
    wait_until(|| {
        door.signal(Signal::HUP);
        thread::sleep(Duration::from_millis(500));
        let taken_over = |line: &String| line.contains("of workers has taken over");
        door.lines().iter().any(taken_over).then_some(())
    })
    .unwrap();
    door.wait_for("handed 1 conversations over and keeps 0");
    client.echo(b"after");
    assert!(door.lines().iter().all(|line| !line.contains("broken off")));
}

#[test]
fn a_worker_that_says_what_cannot_be_is_ended() {
    let setting = setting();
    let program = setting.directory.path().join("baton");
    fs::copy(env!("CARGO_BIN_EXE_baton"), &program).unwrap();
    setting::open_to_all(&program);
    let mut command = Command::new(&program);
    command.args(["serve", "--workers=1", "--listen=127.0.0.1:0", "--keytab"]);
    command.arg(setting.realm.keytab());
    command.arg(format!("--forward={}", echo_service()));
    let door = setting.start(command);
    let mut client = setting.connect(&door);
    client.echo(b"before");
    // It received one, and nobody sent it any.
    let liar = r"printf 'L\0\0\0\0\1\0\0\0\0\0\0\0'; sleep 0.2; printf 'R\1\1'; exec sleep 60";
    fs::remove_file(&program).unwrap();
    fs::write(&program, format!("#!/bin/sh\n{liar}\n")).unwrap();
    setting::open_to_all(&program);
    door.signal(Signal::HUP);
    door.wait_for("worker 2.0 reports 1 connections, which cannot be: 0 were handed to it");
    door.wait_for("the workers stay as they are: a new one did not live");
    client.echo(b"nothing has changed");
}

#[test]
fn conversations_outlive_the_front_door() {
    let setting = setting();
    let mut door = setting.serve(["--workers=1", &format!("--forward={}", echo_service())]);
    let worker = door.workers(1)[0];
    let mut client = setting.connect(&door);
    client.echo(b"before");
    door.signal(Signal::KILL);
    door.wait();
    door.wait_for("the front door has gone; worker 1.0 goes on with 1 conversations");
    client.echo(b"after");
    client.finish();
    assert_eq!(client.receive(), None);
    drop(client);
    let ended = wait_until(|| has_ended(worker).then_some(()));
    assert!(ended.is_some());
}

#[test]
fn what_the_front_door_handed_over_before_it_died_is_carried() {
    let setting = setting();
    let mut door = setting.serve(["--workers=1", &format!("--forward={}", echo_service())]);
    let worker = door.workers(1)[0];
    kill_process(worker, Signal::STOP).unwrap();
    // More than a worker takes in two turns: it learns of the front door's end before it has them all.
    let mut clients: Vec<_> = (0..150).map(|_| setting.connect(&door)).collect();
    door.wait_for_count("is with worker 1.0", clients.len());
    door.signal(Signal::KILL);
    door.wait();
    kill_process(worker, Signal::CONT).unwrap();
    for client in &mut clients {
        client.echo(b"served");
    }
    drop(clients);
    assert!(wait_until(|| has_ended(worker).then_some(())).is_some());
}

/// Gone, or not waited for yet by whoever adopted it.
fn has_ended(pid: rustix::process::Pid) -> bool {
    match fs::read_to_string(format!("/proc/{pid}/stat")) {
        Ok(stat) => stat
            .rsplit(") ")
            .next()
            .is_some_and(|rest| rest.starts_with('Z')),
        Err(_) => true,
    }
}

#[test]
fn a_new_worker_that_dies_takes_only_what_it_has() {
    let setting = setting();
    let door = setting.serve(["--workers=1", &format!("--forward={}", echo_service())]);
    let mut clients: Vec<_> = (0..200).map(|_| setting.connect(&door)).collect();
    for client in &mut clients {
        client.echo(b"x");
    }
    door.signal(Signal::HUP);
    door.wait_for("worker 2.0 is process");
    // At some moment of the takeover.
    kill_process(door.workers(2)[0], Signal::KILL).unwrap();
    door.wait_for("was ended by signal 9");
    let alive = clients.iter_mut().filter_map(|client| {
        client.try_send(b"y").ok()?;
        client.try_receive().ok()?
    });
    let alive = alive.count();
    // Those that had not moved live on; new clients are served either way.
    let moved = door
        .lines()
        .iter()
        .any(|line| line.contains("has taken over"));
    assert!(moved || alive == 200, "{alive}");
    let served = wait_until(|| {
        let mut client = setting
            .try_connect(&door, &setting.alice, setting::all_flags())
            .ok()?;
        client.try_send(b"z").ok()?;
        client.try_receive().ok()?
    });
    assert_eq!(served.unwrap(), b"z");
}
