//! What was imported before a `fork` is not given back by anybody, because each process may be using its copy.

mod common;

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::sync::{Arc, Mutex};
use std::thread;

use baton::{Context, ExportOptions, Major, Token};
use common::Site;

/// One test after the other: forks are counted for all of a process.
static ALONE: Mutex<()> = Mutex::new(());

fn exported(site: &Site) -> (Context, Token) {
    let (client, server) = site.contexts();
    let token = server.export(&ExportOptions::default());
    (client, token.map_err(|(_, error)| error).unwrap())
}

fn gone(site: &Site, token: &Token) {
    let error = Context::import(&site.env, token).unwrap_err();
    assert_eq!(error.major(), Major::NoContext);
}

/// Runs `act` in a child, which is asked for its exit afterwards.
fn child(act: impl FnMut() -> Result<(), u32> + Send + Sync + 'static) -> Child {
    let mut act = act;
    let mut command = Command::new("true");
    // SAFETY: the child has one thread. It allocates, which glibc makes safe after `fork`; the locks that it takes are those of
    // contexts and of this test, which no thread of its parent holds.
    unsafe {
        command.pre_exec(move || act().map_err(|line| io::Error::from_raw_os_error(line as i32)));
    }
    command
        .spawn()
        .unwrap_or_else(|error| panic!("in the child, line {error}"))
}

#[test]
fn after_a_fork_nobody_gives_back_and_the_copies_go_on() {
    let _alone = ALONE.lock();
    let directory = common::store_directory();
    let site = Site::in_directory(directory.path());
    let (client, token) = exported(&site);
    let context = Context::import_returnable(&site.env, &token).unwrap();
    let parents = Arc::new(Mutex::new(Some(context)));
    let childs = Arc::clone(&parents);
    let again = Context::import_returnable(&site.env, &exported(&site).1).unwrap();
    let again = Mutex::new(Some(again));
    let (mut here, mut there) = UnixStream::pair().unwrap();
    // Spawning ends when the child has begun another program: the parent's part is a thread's.
    let spawned = thread::spawn(move || {
        child(move || {
            // A child gives nothing back that its parent has.
            if again.lock().unwrap().take().unwrap().give_back() {
                return Err(line!());
            }
            there.write_all(b"1").map_err(|_| line!())?;
            there.read_exact(&mut [0]).map_err(|_| line!())?;
            let context = childs.lock().unwrap().take().unwrap();
            let token = context.wrap(true, b"of the child").map_err(|_| line!())?;
            there.write_all(&token).map_err(|_| line!())
        })
    });
    here.read_exact(&mut [0]).unwrap();
    // The child is there, and will use its copy.
    assert!(!parents.lock().unwrap().take().unwrap().give_back());
    gone(&site, &token);
    here.write_all(b"2").unwrap();
    let mut sealed = vec![0; 4096];
    let length = here.read(&mut sealed).unwrap();
    assert_eq!(
        client.unwrap(&sealed[..length]).unwrap().data,
        b"of the child"
    );
    assert!(spawned.join().unwrap().wait().unwrap().success());
    // What is imported after the fork is this process's alone.
    let (_client, token) = exported(&site);
    assert!(
        Context::import_returnable(&site.env, &token)
            .unwrap()
            .give_back()
    );
    assert!(
        Context::import_returnable(&site.env, &token)
            .unwrap()
            .give_back()
    );
}

#[test]
fn whoever_dies_with_an_unused_context_gives_nothing_back() {
    let _alone = ALONE.lock();
    let directory = common::store_directory();
    let site = Site::in_directory(directory.path());
    let (_client, token) = exported(&site);
    let (env, childs) = (site.env.clone(), token.clone());
    let mut dead = child(move || {
        let context = Context::import_returnable(&env, &childs).map_err(|_| line!())?;
        // It begins another program, which is as abrupt as SIGKILL.
        std::mem::forget(context);
        Ok(())
    });
    assert!(dead.wait().unwrap().success());
    gone(&site, &token);
}
