//! A context established with a peer that changes hands on our side: the peer notices nothing.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use baton::{Config, Context, Environment, ExportOptions, Major, Order, Store, Token};
use interop::peer::{COMPLETE, hex, unhex};
use tempfile::TempDir;

use crate::parties::{Case, Pair, establish_in, own_config};

/// A once-store that processes share.
fn store() -> (TempDir, Store) {
    let dir = TempDir::with_prefix_in("interop", "/dev/shm").unwrap();
    fs::set_permissions(dir.path(), Permissions::from_mode(0o700)).unwrap();
    let directory = Some(dir.path().to_owned());
    (dir, Store::File { directory })
}

fn environment(case: Case, store: &Store) -> Environment {
    let config = Config {
        store: store.clone(),
        ..own_config(case)
    };
    Environment::new(config).unwrap()
}

/// Both ways, as often as one likes, with the sequence of messages going on in each place.
#[test]
fn a_context_goes_on_in_another_place() {
    for case in Case::all() {
        let (_dir, store) = store();
        let here = environment(case, &store);
        let mut pair = establish_in(&here, case);
        pair.assert_enctype(case);
        let Pair {
            mut ours,
            mut theirs,
        } = pair;
        let mut old_from_theirs = theirs.wrap(true, b"before");
        let mut old_from_ours = ours.wrap(true, b"before").unwrap();
        ours.unwrap(&old_from_theirs).unwrap();
        theirs.unwrap(&old_from_ours);
        for place in 0..3_u8 {
            // This one is under way while the context changes hands.
            let under_way = theirs.wrap(true, &[place]);
            let before = ours.facts().clone();
            let token = ours.export(&ExportOptions::default()).unwrap();
            let there = environment(case, &store);
            ours = Context::import(&there, &token).unwrap();
            assert_eq!(*ours.facts(), before, "{case:?}");
            let enctype = ours.session_key().unwrap().enctype;
            assert_eq!(enctype, case.enctype().number(), "{case:?}");
            assert_eq!(
                Context::import(&there, &token).unwrap_err().major(),
                Major::NoContext
            );

            let message = ours.unwrap(&under_way).unwrap();
            assert_eq!(
                (message.data, message.order),
                (vec![place], Order::InOrder),
                "{case:?}"
            );
            assert_eq!(
                ours.unwrap(&old_from_theirs).unwrap().order,
                Order::Duplicate,
                "{case:?}"
            );
            old_from_theirs = under_way;

            let answer = ours.wrap(place % 2 == 0, &[place]).unwrap();
            assert_eq!(
                theirs.unwrap(&answer),
                (COMPLETE, place % 2 == 0, vec![place]),
                "{case:?}"
            );
            assert_ne!(theirs.unwrap(&old_from_ours).0, COMPLETE, "{case:?}");
            old_from_ours = answer;

            let signed = ours.get_mic(b"signed").unwrap();
            assert_eq!(theirs.verify(b"signed", &signed), COMPLETE, "{case:?}");
        }
    }
}

/// What the other process is given.
const GIVEN: &str = "INTEROP_IMPORT";

/// The same with a process of its own as the other place, which has the store and the token and nothing else.
#[test]
fn a_context_goes_on_in_another_process() {
    for case in Case::each_way() {
        let (dir, store) = store();
        let here = environment(case, &store);
        let Pair { ours, mut theirs } = establish_in(&here, case);
        theirs.unwrap(&ours.wrap(true, b"from the first process").unwrap());
        let request = theirs.wrap(true, b"to the second process");
        let token = ours.export(&ExportOptions::default()).unwrap();

        let given = format!(
            "{} {} {}",
            dir.path().display(),
            hex(token.as_ref()),
            hex(&request)
        );
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "transfer::the_other_process", "--nocapture"])
            .env(GIVEN, given)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        let reply = said.lines().find_map(|line| line.strip_prefix("reply "));
        let reply = unhex(reply.unwrap_or_else(|| panic!("{case:?}: {said}")));
        assert_eq!(
            theirs.unwrap(&reply),
            (COMPLETE, true, b"to the second process, and back".to_vec()),
            "{case:?}"
        );
        assert_eq!(
            Context::import(&here, &token).unwrap_err().major(),
            Major::NoContext
        );
    }
}

/// The other process of the test above. Run by itself it has nothing to do.
#[test]
fn the_other_process() {
    let Ok(given) = std::env::var(GIVEN) else {
        return;
    };
    let words: Vec<&str> = given.split(' ').collect();
    let config = Config {
        store: Store::File {
            directory: Some(words[0].into()),
        },
        ..Config::default()
    };
    let env = Environment::new(config).unwrap();
    let context = Context::import(&env, &Token::from(unhex(words[1]))).unwrap();
    let message = context.unwrap(&unhex(words[2])).unwrap();
    assert_eq!(message.order, Order::InOrder);
    let reply = [&message.data[..], b", and back"].concat();
    println!("\nreply {}", hex(&context.wrap(true, &reply).unwrap()));
}
