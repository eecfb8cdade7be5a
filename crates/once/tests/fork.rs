//! A real `fork`: the standard library runs a closure in the child, before `exec`, and tells the parent of its error.

mod common;

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::Arc;

use common::{Home, ManualClock, START, mark, seconds, tag};
use once::{ClaimError, ForkMark, OnceStore, OpenError, StoreError, TakeError};

/// Runs `check` in a child. It gives the number of the line that is not as it must be.
fn in_child(user: Option<u32>, check: impl FnMut() -> Result<(), u32> + Send + Sync + 'static) {
    let mut check = check;
    let mut command = Command::new("true");
    if let Some(user) = user {
        command.uid(user);
    }
    // SAFETY: the child has one thread. It allocates, which glibc makes safe after `fork`, and takes no lock of its parent's: the
    // closure captures a store and numbers.
    unsafe {
        command.pre_exec(move || check().map_err(|line| io::Error::from_raw_os_error(line as i32)))
    };
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

fn at() -> wire::time::Timestamp {
    seconds(START)
}

#[test]
fn a_child_opens_the_file_anew_and_sees_the_same_store() {
    let home = Home::new();
    let store = Arc::new(home.open(&ManualClock::new(START)).unwrap());
    let id = store.id().unwrap();
    assert!(store.claim(&mark(1), at()).is_ok());
    for number in 1..=2 {
        store
            .put(&tag(number), b"the parent's", seconds(START + 60))
            .unwrap();
    }
    let childs = Arc::clone(&store);
    in_child(None, move || {
        must!(childs.id().is_ok_and(|found| found == id));
        must!(matches!(
            childs.claim(&mark(1), at()),
            Err(ClaimError::AlreadyClaimed)
        ));
        must!(childs.claim(&mark(2), at()).is_ok());
        must!(childs.take(&tag(1)).is_ok());
        must!(matches!(childs.take(&tag(1)), Err(TakeError::NotThere)));
        must!(
            childs
                .peek(&tag(2))
                .is_ok_and(|found| found.is_some_and(|deposit| *deposit.value == b"the parent's"))
        );
        must!(
            childs
                .put(&tag(3), b"the child's", seconds(START + 60))
                .is_ok()
        );
        Ok(())
    });
    assert!(matches!(
        store.claim(&mark(2), at()),
        Err(ClaimError::AlreadyClaimed)
    ));
    assert!(matches!(store.take(&tag(1)), Err(TakeError::NotThere)));
    assert!(store.take(&tag(2)).is_ok() && store.take(&tag(3)).is_ok());
}

#[test]
fn a_child_of_a_child_opens_it_anew_too() {
    let home = Home::new();
    let store = Arc::new(home.open(&ManualClock::new(START)).unwrap());
    let childs = Arc::clone(&store);
    in_child(None, move || {
        must!(childs.claim(&mark(1), at()).is_ok());
        let grandchilds = Arc::clone(&childs);
        let mut command = Command::new("true");
        let check = move || match grandchilds.claim(&mark(1), at()) {
            Err(ClaimError::AlreadyClaimed) if grandchilds.claim(&mark(2), at()).is_ok() => Ok(()),
            _ => Err(io::ErrorKind::Other.into()),
        };
        // SAFETY: as in `in_child`.
        unsafe { command.pre_exec(check) };
        must!(command.status().is_ok_and(|status| status.success()));
        must!(matches!(
            childs.claim(&mark(2), at()),
            Err(ClaimError::AlreadyClaimed)
        ));
        Ok(())
    });
    assert!(matches!(
        store.claim(&mark(2), at()),
        Err(ClaimError::AlreadyClaimed)
    ));
}

#[test]
fn a_child_that_drops_what_it_inherited_harms_nobody() {
    let home = Home::new();
    let store = home.open(&ManualClock::new(START)).unwrap();
    let clock = ManualClock::new(START);
    let (path, mut inherited) = (home.options(), Some(store));
    in_child(None, move || {
        // Where the parent's maps were, the child's own may be by now.
        let Ok(own) = OnceStore::file(&path, Arc::new(clock.clone())) else {
            return Err(line!());
        };
        drop(inherited.take());
        must!(own.claim(&mark(1), at()).is_ok());
        must!(own.put(&tag(1), b"value", seconds(START + 60)).is_ok());
        Ok(())
    });
    let store = home.open(&ManualClock::new(START)).unwrap();
    assert!(matches!(
        store.claim(&mark(1), at()),
        Err(ClaimError::AlreadyClaimed)
    ));
    assert!(store.take(&tag(1)).is_ok());
}

/// What is there once would be there twice.
#[test]
fn a_store_in_memory_is_none_in_a_child() {
    let store = Arc::new(OnceStore::memory(Arc::new(ManualClock::new(START))));
    store.put(&tag(1), b"value", seconds(START + 60)).unwrap();
    let childs = Arc::clone(&store);
    in_child(None, move || {
        must!(matches!(
            childs.claim(&mark(1), at()),
            Err(ClaimError::Store(StoreError::Forked))
        ));
        must!(matches!(
            childs.take(&tag(1)),
            Err(TakeError::Store(StoreError::Forked))
        ));
        must!(matches!(childs.peek(&tag(1)), Err(StoreError::Forked)));
        must!(matches!(
            childs.put(&tag(2), b"", seconds(START + 60)),
            Err(StoreError::Forked)
        ));
        Ok(())
    });
    assert!(store.take(&tag(1)).is_ok() && store.claim(&mark(1), at()).is_ok());
}

/// Only root can become somebody else; another user's child stays who it is and gets in.
#[test]
fn a_child_opens_the_store_as_the_user_it_is_then() {
    const NOBODY: u32 = 65534;
    let root = rustix::process::geteuid().is_root();
    let home = Home::new();
    let store = Arc::new(home.open(&ManualClock::new(START)).unwrap());
    if root {
        // So that the way to the directory is open, and the directory itself decides.
        let parent = home.path().parent().unwrap().to_owned();
        std::fs::set_permissions(parent, std::os::unix::fs::PermissionsExt::from_mode(0o755))
            .unwrap();
    }
    let childs = Arc::clone(&store);
    in_child(root.then_some(NOBODY), move || {
        let claimed = childs.claim(&mark(1), at());
        if !root {
            must!(claimed.is_ok());
            return Ok(());
        }
        let Err(ClaimError::Store(StoreError::Open(error))) = claimed else {
            return Err(line!());
        };
        must!(matches!(
            *error,
            OpenError::Owner {
                owner: 0,
                user: NOBODY,
                ..
            }
        ));
        Ok(())
    });
    assert_eq!(store.claim(&mark(1), at()).is_ok(), root);
}

#[test]
fn what_has_gone_from_a_child_has_gone_from_its_parent() {
    let [gone, kept, given_back] = [(); 3].map(|()| Arc::new(ForkMark::new().unwrap()));
    let childs = [&gone, &kept, &given_back].map(Arc::clone);
    in_child(None, move || {
        let [gone, kept, given_back] = &childs;
        must!(gone.check().is_ok());
        let Ok(leaving) = gone.leave() else {
            return Err(line!());
        };
        leaving.gone();
        must!(gone.check().is_err() && kept.check().is_ok());
        must!(given_back.leave().is_ok());
        must!(given_back.check().is_ok());
        Ok(())
    });
    assert!(gone.check().is_err() && gone.leave().is_err());
    assert!(kept.check().is_ok() && given_back.check().is_ok());
    given_back.leave().unwrap().gone();
}

#[test]
fn what_has_gone_from_a_parent_has_gone_from_its_child() {
    let (gone, kept) = (ForkMark::new().unwrap(), ForkMark::new().unwrap());
    let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    let (gone, kept) = (Arc::new(gone), Arc::new(kept));
    let (childs, kept_by_child) = (Arc::clone(&gone), Arc::clone(&kept));
    let parent = std::thread::spawn(move || {
        // The child is there once it has said so.
        io::Read::read_exact(&mut &ours, &mut [0]).unwrap();
        gone.leave().unwrap().gone();
        io::Write::write_all(&mut &ours, &[0]).unwrap();
    });
    in_child(None, move || {
        must!(childs.check().is_ok());
        must!(io::Write::write_all(&mut &theirs, &[0]).is_ok());
        must!(io::Read::read_exact(&mut &theirs, &mut [0]).is_ok());
        must!(childs.check().is_err() && kept_by_child.check().is_ok());
        Ok(())
    });
    parent.join().unwrap();
    assert!(kept.check().is_ok());
}

#[test]
fn a_child_that_drops_a_mark_says_nothing() {
    let marks: Vec<_> = (0..10_000).map(|_| ForkMark::new().unwrap()).collect();
    let marks = Arc::new(std::sync::Mutex::new(marks));
    let childs = Arc::clone(&marks);
    in_child(None, move || {
        let Ok(mut inherited) = childs.lock() else {
            return Err(line!());
        };
        inherited.clear();
        Ok(())
    });
    let marks = marks.lock().unwrap();
    assert_eq!(marks.len(), 10_000);
    assert!(marks.iter().all(|mark| mark.check().is_ok()));
}

/// Both go on with the page that they had at the `fork`.
#[test]
fn a_mark_of_a_child_is_none_of_its_parents() {
    let before = Arc::new(ForkMark::new().unwrap());
    let childs = Arc::clone(&before);
    in_child(None, move || {
        for _ in 0..1000 {
            let Ok(mark) = ForkMark::new() else {
                return Err(line!());
            };
            let Ok(leaving) = mark.leave() else {
                return Err(line!());
            };
            leaving.gone();
        }
        must!(childs.check().is_ok());
        Ok(())
    });
    for _ in 0..1000 {
        assert!(ForkMark::new().unwrap().check().is_ok());
    }
    assert!(before.check().is_ok());
}
