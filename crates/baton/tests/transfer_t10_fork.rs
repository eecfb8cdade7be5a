//! T10: `fork` copies a context, and once one process has exported it nobody else can use a copy.

mod common;

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use baton::transfer::{Channel, Sending, receive_over, send_over};
use baton::{Context, ExportOptions, Major, PrfKey, Step, Token};
use common::{Begun, Site};

/// A context that a parent and its children each have a copy of.
type Inherited = Arc<Mutex<Option<Context>>>;

fn inherited(context: Context) -> Inherited {
    Arc::new(Mutex::new(Some(context)))
}

fn take(context: &Inherited) -> Context {
    context.lock().unwrap().take().unwrap()
}

/// Runs `act` in a child, and says whether it did what it should.
fn in_child(act: impl FnMut() -> Result<(), u32> + Send + Sync + 'static) {
    let mut act = act;
    let mut command = Command::new("true");
    // SAFETY: the child has one thread. It allocates, which glibc makes safe after `fork`; the locks that it takes are those of
    // contexts and of this test, which no thread of its parent holds.
    unsafe {
        command.pre_exec(move || act().map_err(|line| io::Error::from_raw_os_error(line as i32)));
    }
    let outcome = command.status();
    let line = outcome.as_ref().err().and_then(io::Error::raw_os_error);
    assert!(
        outcome.is_ok_and(|status| status.success()),
        "in the child, line {line:?}"
    );
}

macro_rules! must {
    ($condition:expr) => {
        if !$condition {
            return Err(line!());
        }
    };
}

fn is_no_context<T>(answer: Result<T, baton::Error>) -> bool {
    answer.err().map(|error| error.major()) == Some(Major::NoContext)
}

/// Each call on a context answers that it is not there.
fn is_gone(context: Context) -> bool {
    let mut out = b"as it was".to_vec();
    is_no_context(context.check_here())
        && is_no_context(context.wrap(true, b"message"))
        && is_no_context(context.wrap_into(false, b"message", &mut out))
        && is_no_context(context.unwrap(b"token"))
        && is_no_context(context.unwrap_into(b"token", &mut out))
        && is_no_context(context.get_mic(b"message"))
        && is_no_context(context.verify_mic(b"message", b"token"))
        && is_no_context(context.wrap_size_limit(true, 1000))
        && is_no_context(context.pseudo_random(PrfKey::Full, b"input", 16))
        && is_no_context(context.take_delegated().map(drop))
        && is_no_context(context.room(true, 10))
        && is_no_context(context.mic_length())
        && is_no_context(context.unwrap_in_place(&mut [0; 60]).map(drop))
        && is_no_context(context.wrap_slices(true, &[b"message"], &mut [0; 99]))
        && is_no_context(context.unwrap_slice(b"token", &mut [0; 99]))
        && is_no_context(context.get_mic_slices(&[b"message"], &mut [0; 99]))
        && is_no_context(context.verify_mic_slices(&[b"message"], b"token"))
        && is_no_context(context.wrap_iov_lengths(true, &[]))
        && is_no_context(context.wrap_iov(true, &mut []))
        && is_no_context(context.unwrap_iov(&mut []))
        && is_no_context(context.get_mic_iov(&mut []))
        && is_no_context(context.verify_mic_iov(&[]))
        && is_no_context(context.wrap_aead(true, b"", b"message"))
        && is_no_context(context.unwrap_aead(b"", b"token"))
        && is_no_context(context.wrap_many(true, &[b"message"]))
        && is_no_context(context.unwrap_many(&[b"token"]).map(drop))
        && out == b"as it was"
        && !context.facts().initiator.to_string().is_empty()
        && match context.export(&ExportOptions::default()) {
            Ok(_) => false,
            Err((context, error)) => {
                drop(context);
                error.major() == Major::NoContext
            }
        }
}

#[test]
fn t10_what_a_child_exports_its_parent_cannot_use() {
    let directory = common::store_directory();
    let site = Site::in_directory(directory.path());
    let (client, server) = site.contexts();
    let (ours, theirs) = (inherited(server), inherited(client));
    let childs = Arc::clone(&ours);
    let (mut here, mut there) = UnixStream::pair().unwrap();
    in_child(move || {
        let Ok(token) = take(&childs).export(&ExportOptions::default()) else {
            return Err(line!());
        };
        must!(there.write_all(token.as_ref()).is_ok());
        Ok(())
    });
    assert!(is_gone(take(&ours)));
    let mut token = vec![0; 4096];
    let length = here.read(&mut token).unwrap();
    let server = Context::import(&site.env, &Token::from(&token[..length])).unwrap();
    common::converse(&take(&theirs), &server);
}

#[test]
fn t10_what_a_parent_exports_its_child_cannot_use() {
    let directory = common::store_directory();
    let site = Site::in_directory(directory.path());
    for client_moves in [false, true] {
        let (client, server) = site.contexts();
        let (moves, stays) = match client_moves {
            true => (client, server),
            false => (server, client),
        };
        let ours = inherited(moves);
        let childs = Arc::clone(&ours);
        let (mut here, mut there) = UnixStream::pair().unwrap();
        let exports = std::thread::spawn(move || {
            here.read_exact(&mut [0]).unwrap();
            let token = take(&ours).export(&ExportOptions::default()).unwrap();
            here.write_all(&[0]).unwrap();
            token
        });
        in_child(move || {
            must!(
                childs
                    .lock()
                    .is_ok_and(|context| context.as_ref().unwrap().check_here().is_ok())
            );
            must!(there.write_all(&[0]).is_ok());
            must!(there.read_exact(&mut [0]).is_ok());
            must!(is_gone(take(&childs)));
            Ok(())
        });
        let token = exports.join().unwrap();
        let moved = Context::import(&site.env, &token).unwrap();
        common::converse(&stays, &moved);
    }
}

#[test]
fn t10_a_failed_export_gives_the_context_back_to_its_copies() {
    // A store in memory is none in a child, so its export fails where the deposit is to be made.
    let site = Site::in_memory();
    let (client, server) = site.contexts();
    let ours = inherited(server);
    let childs = Arc::clone(&ours);
    in_child(move || {
        let Err((context, error)) = take(&childs).export(&ExportOptions::default()) else {
            return Err(line!());
        };
        must!(error.major() == Major::Failure);
        must!(context.check_here().is_ok() && context.wrap(true, b"message").is_ok());
        // And where it is refused before.
        let none = ExportOptions::default().lifetime(Duration::ZERO);
        must!(context.export(&none).is_err());
        Ok(())
    });
    common::converse(&client, &take(&ours));
}

#[test]
fn t10_a_failed_message_gives_the_context_back_to_its_copies() {
    let site = Site::in_memory();
    let (client, server) = site.contexts();
    let ours = inherited(server);
    let childs = Arc::clone(&ours);
    let (here, there) = Channel::pair().unwrap();
    drop(there);
    in_child(move || {
        let Err((context, _)) = send_over(&here, take(&childs), &Sending::default()) else {
            return Err(line!());
        };
        must!(context.check_here().is_ok());
        Ok(())
    });
    common::converse(&client, &take(&ours));
}

#[test]
fn t10_what_is_sent_over_a_socket_has_gone_from_all_copies() {
    let site = Site::in_memory();
    let (client, server) = site.contexts();
    let ours = inherited(server);
    let childs = Arc::clone(&ours);
    let (here, there) = Channel::pair().unwrap();
    in_child(move || {
        must!(send_over(&here, take(&childs), &Sending::default()).is_ok());
        Ok(())
    });
    let received = receive_over(&site.env, &there).unwrap();
    common::converse(&client, &received.context);
    let gone = take(&ours);
    let (here, _there) = Channel::pair().unwrap();
    let (gone, error) = send_over(&here, gone, &Sending::default()).unwrap_err();
    assert_eq!(error.major(), Major::NoContext);
    assert!(is_gone(gone));
}

#[test]
fn trap_7_a_copy_that_is_deleted_does_not_disturb_the_others() {
    let directory = common::store_directory();
    let site = Site::in_directory(directory.path());
    let (client, server) = site.contexts();
    let (ours, childs) = (inherited(server), inherited(client));
    let (our, their) = (Arc::clone(&ours), Arc::clone(&childs));
    let (mut here, mut there) = UnixStream::pair().unwrap();
    let deletes = std::thread::spawn(move || {
        here.read_exact(&mut [0]).unwrap();
        drop(take(&their));
        here.write_all(&[0]).unwrap();
    });
    in_child(move || {
        drop(take(&our));
        must!(there.write_all(&[0]).is_ok());
        must!(there.read_exact(&mut [0]).is_ok());
        let client = take(&childs);
        must!(client.wrap(true, b"message").is_ok());
        must!(client.export(&ExportOptions::default()).is_ok());
        Ok(())
    });
    deletes.join().unwrap();
    let server = take(&ours);
    assert!(server.check_here().is_ok());
    server.export(&ExportOptions::default()).unwrap();
}

/// Of parent and child, that export at the same moment, one does.
#[test]
fn t10_of_two_copies_one_is_exported() {
    let directory = common::store_directory();
    let site = Site::in_directory(directory.path());
    let mut by_child = 0;
    for _ in 0..40 {
        let (_, server) = site.contexts();
        let ours = inherited(server);
        let childs = Arc::clone(&ours);
        let (mut here, mut there) = UnixStream::pair().unwrap();
        let exports = std::thread::spawn(move || {
            here.read_exact(&mut [0]).unwrap();
            let exported = take(&ours).export(&ExportOptions::default()).is_ok();
            let mut childs = [0];
            here.read_exact(&mut childs).unwrap();
            (exported, childs[0] == 1)
        });
        in_child(move || {
            must!(there.write_all(&[0]).is_ok());
            let exported = take(&childs).export(&ExportOptions::default());
            must!(there.write_all(&[u8::from(exported.is_ok())]).is_ok());
            Ok(())
        });
        let (parent, child) = exports.join().unwrap();
        assert!(parent ^ child, "the parent {parent}, the child {child}");
        by_child += u32::from(child);
    }
    eprintln!("the child won {by_child} of 40");
}

/// Whoever finishes a copy of the handshake has a copy of the context.
#[test]
fn t10_a_handshake_that_was_copied_ends_in_one_context() {
    let directory = common::store_directory();
    let site = Site::in_directory(directory.path());
    let worker = common::process::Worker::start(directory.path());
    let (request, next) = site.begin();
    let Begun::Waits(next) = next else {
        panic!("mutual")
    };
    let reply = worker.call(b'A', &request).unwrap();
    let next = Arc::new(Mutex::new(Some(next)));
    let (childs, childs_reply) = (Arc::clone(&next), reply.clone());
    in_child(move || {
        let Some(next) = childs.lock().unwrap().take() else {
            return Err(line!());
        };
        let Ok(Step::Done { context, .. }) = next.step(&childs_reply) else {
            return Err(line!());
        };
        must!(context.export(&ExportOptions::default()).is_ok());
        Ok(())
    });
    let next = next.lock().unwrap().take().unwrap();
    let failure = next.step(&reply).unwrap_err();
    assert_eq!(failure.error.major(), Major::NoContext);
}

#[test]
fn t10_an_imported_context_has_a_mark_of_its_own() {
    let directory = common::store_directory();
    let site = Site::in_directory(directory.path());
    let (client, server) = site.contexts();
    let token = server.export(&ExportOptions::default()).unwrap();
    let ours = inherited(Context::import(&site.env, &token).unwrap());
    let childs = Arc::clone(&ours);
    let others = inherited(client);
    let childs_other = Arc::clone(&others);
    in_child(move || {
        let moved = take(&childs);
        must!(moved.check_here().is_ok());
        must!(moved.export(&ExportOptions::default()).is_ok());
        must!(take(&childs_other).check_here().is_ok());
        Ok(())
    });
    assert!(is_gone(take(&ours)));
    assert!(take(&others).check_here().is_ok());
}

#[test]
fn worker() {
    common::process::worker();
}
