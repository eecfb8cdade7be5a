//! Where the file backend's files lie, what is asked of them, and how they are made and mapped.

mod common;

use std::fs::{self, OpenOptions, Permissions};
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, chown, symlink};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use common::{Home, ManualClock, START, mark, options, seconds, tag};
use once::{ClaimError, FileOptions, Limits, OnceStore, OpenError, StoreError, TakeError};

const FILES: [&str; 2] = ["marks", "deposits"];
const NOBODY: u32 = 65534;

fn clock() -> ManualClock {
    ManualClock::new(START)
}

/// A home whose store was made and closed.
fn made() -> Home {
    let home = Home::new();
    home.open(&clock()).unwrap();
    home
}

fn error(home: &Home) -> OpenError {
    home.open(&clock()).err().expect("must not open")
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

#[test]
fn a_store_is_made_whole_and_for_its_user_alone() {
    let home = made();
    assert_eq!(fs::metadata(home.path()).unwrap().mode() & 0o7777, 0o700);
    let mut names: Vec<_> = fs::read_dir(home.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    names.sort();
    assert_eq!(
        names,
        ["deposits", "marks"],
        "and nothing temporary is left"
    );
    for name in FILES {
        let file = fs::metadata(home.path().join(name)).unwrap();
        assert_eq!((file.mode() & 0o7777, file.nlink()), (0o600, 1));
        assert!(file.blocks() * 512 >= file.len(), "{name} is sparse");
    }
}

#[test]
fn all_who_open_it_share_it() {
    let home = Home::new();
    let (one, other) = (home.open(&clock()).unwrap(), home.open(&clock()).unwrap());
    assert!(one.claim(&mark(1), seconds(START)).is_ok());
    assert!(matches!(
        other.claim(&mark(1), seconds(START)),
        Err(ClaimError::AlreadyClaimed)
    ));
    one.put(&tag(1), b"value", seconds(START + 60)).unwrap();
    assert!(other.take(&tag(1)).is_ok());
    assert!(matches!(one.take(&tag(1)), Err(TakeError::NotThere)));
    drop((one, other));
    let later = home.open(&clock()).unwrap();
    assert!(matches!(
        later.claim(&mark(1), seconds(START)),
        Err(ClaimError::AlreadyClaimed)
    ));
    assert_eq!(later.counts().unwrap().claimed, 1);
}

#[test]
fn many_that_open_a_new_store_at_once_share_it() {
    for _ in 0..20 {
        let home = Home::new();
        let claim = || {
            home.open(&clock())
                .unwrap()
                .claim(&mark(1), seconds(START))
                .is_ok()
        };
        let won = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..6).map(|_| scope.spawn(claim)).collect();
            threads
                .into_iter()
                .map(|thread| usize::from(thread.join().unwrap()))
                .sum::<usize>()
        });
        assert_eq!(won, 1);
    }
}

#[test]
fn a_directory_of_somebody_else_is_refused_by_its_owners_name() {
    let home = made();
    let (directory, wanted) = if is_root() {
        chown(home.path(), Some(NOBODY), None).unwrap();
        (home.path(), NOBODY)
    } else {
        ("/usr".into(), 0)
    };
    let refused = OnceStore::file(&options(&directory, &Limits::default()), Arc::new(clock()))
        .err()
        .unwrap();
    assert!(
        matches!(refused, OpenError::Owner { owner, .. } if owner == wanted),
        "{refused}"
    );
    assert!(refused.to_string().contains(directory.to_str().unwrap()));
    assert!(refused.to_string().contains(&format!("uid {wanted}")));
}

#[test]
fn a_file_of_somebody_else_is_refused() {
    if !is_root() {
        // Only root can make one here; the check is the directory's, which is tested for every user above.
        return;
    }
    for name in FILES {
        let home = made();
        chown(home.path().join(name), Some(NOBODY), None).unwrap();
        assert!(
            matches!(error(&home), OpenError::Owner { owner: NOBODY, .. }),
            "{name}"
        );
    }
}

#[test]
fn what_others_may_enter_is_refused() {
    for mode in [0o701, 0o710, 0o750, 0o777, 0o600] {
        let home = made();
        fs::set_permissions(home.path(), Permissions::from_mode(mode)).unwrap();
        assert!(
            matches!(
                error(&home),
                OpenError::Mode { .. } | OpenError::System { .. }
            ),
            "{mode:o}"
        );
    }
    for name in FILES {
        for mode in [0o604, 0o640, 0o620, 0o606, 0o700, 0o4600] {
            let home = made();
            fs::set_permissions(home.path().join(name), Permissions::from_mode(mode)).unwrap();
            assert!(
                matches!(error(&home), OpenError::Mode { mode: found, .. } if found == mode),
                "{name} {mode:o}"
            );
        }
    }
}

#[test]
fn a_second_name_is_refused() {
    for name in FILES {
        let home = made();
        fs::hard_link(home.path().join(name), home.beside("second")).unwrap();
        assert!(
            matches!(error(&home), OpenError::Links { links: 2, .. }),
            "{name}"
        );
        fs::remove_file(home.beside("second")).unwrap();
        home.open(&clock()).unwrap();
    }
}

#[test]
fn links_are_not_followed() {
    let home = made();
    fs::rename(home.path(), home.beside("moved")).unwrap();
    symlink(home.beside("moved"), home.path()).unwrap();
    assert!(matches!(
        error(&home),
        OpenError::Kind {
            wanted: "directory",
            ..
        }
    ));
    let with_slash = format!("{}/", home.path().display());
    let through_slash = OnceStore::file(
        &options(Path::new(&with_slash), &Limits::default()),
        Arc::new(clock()),
    );
    assert!(matches!(
        through_slash.err(),
        Some(OpenError::Kind {
            wanted: "directory",
            ..
        })
    ));
    for name in FILES {
        let home = made();
        fs::rename(home.path().join(name), home.beside("moved")).unwrap();
        symlink(home.beside("moved"), home.path().join(name)).unwrap();
        assert!(
            matches!(
                error(&home),
                OpenError::Kind {
                    wanted: "regular file",
                    ..
                }
            ),
            "{name}"
        );
    }
}

#[test]
fn only_directories_and_regular_files_will_do() {
    let home = Home::new();
    fs::write(home.path(), "").unwrap();
    assert!(matches!(
        error(&home),
        OpenError::Kind {
            wanted: "directory",
            ..
        }
    ));
    for name in FILES {
        let home = made();
        fs::remove_file(home.path().join(name)).unwrap();
        fs::create_dir(home.path().join(name)).unwrap();
        assert!(
            matches!(
                error(&home),
                OpenError::Kind {
                    wanted: "regular file",
                    ..
                }
            ),
            "{name}"
        );
    }
    for name in FILES {
        let home = made();
        fs::remove_file(home.path().join(name)).unwrap();
        let fifo = home.path().join(name);
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        assert!(
            matches!(
                error(&home),
                OpenError::Kind {
                    wanted: "regular file",
                    ..
                }
            ),
            "{name}"
        );
    }
}

#[test]
fn a_truncated_or_longer_file_is_refused_before_it_is_mapped() {
    for name in FILES {
        let home = made();
        let file = OpenOptions::new()
            .write(true)
            .open(home.path().join(name))
            .unwrap();
        let len = file.metadata().unwrap().len();
        for cut in [
            0,
            1,
            127,
            128,
            4095,
            4096,
            len / 2,
            len - 8,
            len - 1,
            len + 1,
            2 * len,
        ] {
            let bytes = fs::read(home.path().join(name)).unwrap();
            file.set_len(cut).unwrap();
            assert!(
                matches!(error(&home), OpenError::Size { found, .. } if found == cut),
                "{name} cut to {cut}"
            );
            file.write_all_at(&bytes, 0).unwrap();
            file.set_len(len).unwrap();
        }
        home.open(&clock()).unwrap();
    }
}

#[test]
fn a_sparse_copy_is_made_whole_before_it_is_mapped() {
    let home = made();
    let path = home.path().join("marks");
    let (len, header) = (
        fs::metadata(&path).unwrap().len(),
        fs::read(&path).unwrap()[..4096].to_vec(),
    );
    let file = OpenOptions::new().write(true).open(&path).unwrap();
    file.set_len(0).unwrap();
    file.write_all_at(&header, 0).unwrap();
    file.set_len(len).unwrap();
    assert!(file.metadata().unwrap().blocks() * 512 < len);
    let store = home.open(&clock()).unwrap();
    assert!(file.metadata().unwrap().blocks() * 512 >= len);
    assert!(store.claim(&mark(1), seconds(START)).is_ok());
}

#[test]
fn each_flipped_bit_of_a_header_is_refused() {
    for name in FILES {
        let home = made();
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(home.path().join(name))
            .unwrap();
        for bit in 0..128 * 8 {
            let at = bit / 8;
            let mut byte = [0];
            file.read_exact_at(&mut byte, at).unwrap();
            file.write_all_at(&[byte[0] ^ 1 << (bit % 8)], at).unwrap();
            assert!(
                matches!(error(&home), OpenError::Header { .. }),
                "{name} bit {bit}"
            );
            file.write_all_at(&byte, at).unwrap();
        }
        home.open(&clock()).unwrap();
    }
}

#[test]
fn a_skew_beyond_the_headers_is_refused_and_a_smaller_one_is_not() {
    let home = made();
    let limits = |seconds| Limits {
        clock_skew: Duration::from_secs(seconds),
        ..home.options().limits
    };
    assert!(home.open_with(&limits(60), &clock()).is_ok());
    assert!(home.open_with(&limits(300), &clock()).is_ok());
    let refused = home.open_with(&limits(301), &clock()).err();
    assert!(
        matches!(refused, Some(OpenError::Skew { made_for, .. }) if made_for == Duration::from_secs(300))
    );
}

#[test]
fn a_skew_that_no_store_is_made_for_is_refused_and_spoils_nothing() {
    let home = Home::new();
    let year = Duration::from_secs(366 * 86_400);
    let limits = |clock_skew| Limits {
        clock_skew,
        ..home.options().limits
    };
    for skew in [
        Duration::MAX,
        Duration::from_secs(1 << 32),
        year + Duration::from_secs(1),
    ] {
        let refused = home.open_with(&limits(skew), &clock()).err();
        assert!(
            matches!(refused, Some(OpenError::SkewTooGreat { wanted, .. }) if wanted == skew),
            "{refused:?}"
        );
    }
    let store = home.open_with(&limits(year), &clock()).unwrap();
    assert!(store.claim(&mark(1), seconds(START)).is_ok());
    let claimed = store.claim(&mark(1), seconds(START));
    assert!(matches!(claimed, Err(ClaimError::AlreadyClaimed)));
}

#[test]
fn deposits_are_not_kept_on_a_disk_unless_allowed() {
    // The build's own directory is where a disk is most likely; where it is none, there is nothing to refuse.
    let parent = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let on_disk = FileOptions {
        deposits_on_disk: true,
        ..options(&parent.path().join("store"), &Limits::default())
    };
    let strict = FileOptions {
        deposits_on_disk: false,
        ..on_disk.clone()
    };
    let opened = OnceStore::file(&strict, Arc::new(clock()));
    let tmpfs = rustix::fs::statfs(parent.path()).unwrap().f_type as u64 == 0x0102_1994;
    assert_eq!(
        matches!(opened.err(), Some(OpenError::OnDisk { .. })),
        !tmpfs
    );
    let store = OnceStore::file(&on_disk, Arc::new(clock())).unwrap();
    assert!(store.claim(&mark(1), seconds(START)).is_ok());
}

#[test]
fn a_map_that_was_removed_or_replaced_answers_nothing_more() {
    type Change = fn(&Path, &Path);
    let changes: [Change; 3] = [
        |file, _| fs::remove_file(file).unwrap(),
        |file, beside| fs::rename(file, beside).unwrap(),
        |file, beside| {
            fs::copy(file, beside).unwrap();
            fs::rename(beside, file).unwrap();
        },
    ];
    for (change, at_once) in changes.into_iter().zip([true, false, true]) {
        let home = Home::new();
        let store = home.open(&clock()).unwrap();
        store.put(&tag(1), b"value", seconds(START + 60)).unwrap();
        assert!(store.claim(&mark(0), seconds(START)).is_ok() && store.peek(&tag(1)).is_ok());
        for name in FILES {
            change(&home.path().join(name), &home.beside(name));
        }
        if !at_once {
            std::thread::sleep(Duration::from_millis(150));
        }
        let claimed = store.claim(&mark(1), seconds(START));
        assert!(
            matches!(claimed, Err(ClaimError::Store(StoreError::Unlinked { path })) if path.ends_with("marks"))
        );
        let put = store.put(&tag(2), b"value", seconds(START + 60));
        assert!(matches!(put, Err(StoreError::Unlinked { path }) if path.ends_with("deposits")));
        assert!(matches!(
            store.peek(&tag(1)),
            Err(StoreError::Unlinked { .. })
        ));
        assert!(matches!(
            store.take(&tag(1)),
            Err(TakeError::Store(StoreError::Unlinked { .. }))
        ));
    }
}

#[test]
fn a_missing_or_foreign_segment_is_an_error() {
    let limits = Limits {
        marks: 64,
        mark_segments: 4,
        ..Limits::default()
    };
    let grown = || {
        let home = Home::new();
        let store = home.open_with(&limits, &clock()).unwrap();
        assert!((0..200).all(|number| store.claim(&mark(number), seconds(START)).is_ok()));
        assert!(home.path().join("marks.1").exists());
        (home, store)
    };
    let (home, store) = grown();
    fs::remove_file(home.path().join("marks.1")).unwrap();
    let refuse = |store: &OnceStore| {
        (200..300).find_map(|number| store.claim(&mark(number), seconds(START)).err())
    };
    assert!(matches!(
        refuse(&store),
        Some(ClaimError::Store(StoreError::Unlinked { .. }))
    ));
    let anew = home.open_with(&limits, &clock()).unwrap();
    let missing = refuse(&anew).unwrap();
    assert!(
        missing.to_string().contains("marks.1: is missing"),
        "{missing}"
    );

    let (other, _) = grown();
    fs::copy(other.path().join("marks.1"), home.path().join("marks.1")).unwrap();
    let foreign = refuse(&home.open_with(&limits, &clock()).unwrap()).unwrap();
    assert!(
        foreign.to_string().contains("a segment of another store"),
        "{foreign}"
    );
}

#[test]
fn what_a_killed_maker_left_is_removed_and_what_one_at_work_needs_is_not() {
    let home = made();
    let (old, young) = (
        home.path().join(".new-0000000000000001"),
        home.path().join(".new-0000000000000002"),
    );
    let make = |path: &Path, age| {
        let file = fs::File::create(path).unwrap();
        file.set_modified(std::time::SystemTime::now() - Duration::from_secs(age))
            .unwrap();
    };
    make(&old, 120);
    make(&young, 5);
    fs::remove_file(home.path().join("marks")).unwrap();
    home.open(&clock()).unwrap();
    assert!(!old.exists() && young.exists());
}

/// No child inherits the maps, no core dump holds them, and no program started from here gets a descriptor.
#[test]
fn maps_are_neither_inherited_nor_dumped() {
    let home = Home::new();
    let store = home.open(&clock()).unwrap();
    let maps = fs::read_to_string("/proc/self/smaps").unwrap();
    for name in FILES {
        let path = home.path().join(name);
        let entry = maps
            .split_once(path.to_str().unwrap())
            .expect("is mapped")
            .1;
        let flags: Vec<_> = entry
            .lines()
            .find(|line| line.starts_with("VmFlags"))
            .unwrap()
            .split(' ')
            .collect();
        assert!(
            flags.contains(&"dc") && flags.contains(&"dd") && flags.contains(&"sh"),
            "{name}: {flags:?}"
        );
    }
    let listing = std::process::Command::new("ls")
        .args(["-l", "/proc/self/fd"])
        .output()
        .unwrap();
    let listing = String::from_utf8_lossy(&listing.stdout).into_owned();
    assert!(
        listing.contains("->") && !listing.contains(home.path().to_str().unwrap()),
        "{listing}"
    );
    drop(store);
    assert!(
        !fs::read_to_string("/proc/self/smaps")
            .unwrap()
            .contains(home.path().to_str().unwrap())
    );
}

/// Once taken or swept, no word of a deposit is left in the file.
#[test]
fn what_is_taken_or_expired_leaves_no_word_behind() {
    let home = Home::new();
    let clock = clock();
    let store = home.open(&clock).unwrap();
    let bodies = || {
        fs::read(home.path().join("deposits"))
            .unwrap()
            .split_off(4096 + 64 * 8)
    };
    assert!(bodies().iter().all(|&byte| byte == 0));
    for number in 0..8 {
        store
            .put(&tag(number), &[0xA5; once::MAX_VALUE], seconds(START + 60))
            .unwrap();
    }
    assert!(bodies().iter().filter(|&&byte| byte != 0).count() > 8 * 400);
    for number in 0..4 {
        assert!(store.take(&tag(number)).is_ok());
    }
    clock.advance(60);
    store.put(&tag(9), b"", seconds(START + 120)).unwrap();
    assert!(store.take(&tag(9)).is_ok());
    assert!(bodies().iter().all(|&byte| byte == 0));
    std::sync::atomic::fence(Ordering::SeqCst);
}
