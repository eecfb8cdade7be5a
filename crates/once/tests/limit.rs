//! `RLIMIT_FSIZE`, a program of its own because the limit is the whole process's. Beyond it a write is answered by `SIGXFSZ`,
//! which kills: that this test ends is part of what it shows.

mod common;

use common::{Home, ManualClock, START, mark, seconds};
use once::{ClaimError, Limits, OpenError, StoreError};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

#[test]
fn nothing_is_made_or_grown_beyond_the_file_size_limit() {
    let before = getrlimit(Resource::Fsize);
    let limit = |bytes| {
        setrlimit(
            Resource::Fsize,
            Rlimit {
                current: bytes,
                ..before
            },
        )
        .unwrap()
    };
    let clock = ManualClock::new(START);
    let limits = Limits {
        marks: 64,
        mark_segments: 4,
        deposits: 16,
        ..Limits::default()
    };
    let home = Home::new();

    limit(Some(4096));
    let refused = home.open_with(&limits, &clock).err();
    assert!(
        matches!(refused, Some(OpenError::FileSizeLimit { limit: 4096, .. })),
        "{refused:?}"
    );
    assert_eq!(
        std::fs::read_dir(home.path()).unwrap().count(),
        0,
        "nothing is left behind"
    );

    limit(before.current);
    let store = home.open_with(&limits, &clock).unwrap();

    limit(Some(4096));
    let also = home.open_with(&limits, &clock).unwrap();
    let refused = (0..)
        .find_map(|number| also.claim(&mark(number), seconds(START)).err())
        .unwrap();
    assert!(
        matches!(refused, ClaimError::Store(StoreError::Open(_))),
        "what was made before is used: {refused}"
    );
    assert!(
        refused.to_string().contains("marks.1") && refused.to_string().contains("RLIMIT_FSIZE"),
        "{refused}"
    );
    assert!(matches!(
        store.claim(&mark(0), seconds(START)),
        Err(ClaimError::AlreadyClaimed)
    ));

    limit(before.current);
    assert!((1000..1200).all(|number| store.claim(&mark(number), seconds(START)).is_ok()));
}
