//! Messages in buffers of their caller's take nothing from the heap, in whichever form.
//!
//! In a test binary of its own, because it replaces the process's allocator by one that counts.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use baton::IoVec::{Data, Header, MicToken, Padding, SignOnly, Stream, Trailer};
use baton::realm::DevelopmentRealm;
use baton::{Context, Environment, IoVec};

/// The system's allocator, and how often a thread asks it: other threads are the realm's and the test harness's.
struct Counting;

thread_local! {
    // Without a destructor and made at compile time, so that looking at it allocates nothing.
    static COUNT: Cell<usize> = const { Cell::new(0) };
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// A wrapper around an allocator cannot be written without `unsafe`. `realloc` and `alloc_zeroed` are the trait's own,
// which come down to `alloc`.
//
// SAFETY: each call is handed to the system's allocator as it came, which fulfils the trait's contract; counting
// allocates nothing and cannot panic.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.set(COUNT.get().wrapping_add(1));
        // SAFETY: the caller's layout, unchanged.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: `at` came from `System.alloc` with this layout, as the caller vouches.
        unsafe { System.dealloc(at, layout) }
    }
}

/// How often `call` asked for memory.
fn counted(call: impl FnOnce()) -> usize {
    let before = COUNT.get();
    call();
    COUNT.get().wrapping_sub(before)
}

const MESSAGE: &[u8] = &[7; 5000];

/// One way to bring a message over.
type Form = fn(&Context, &Context, bool, &mut Space);

/// The buffers of a caller that has all it needs.
struct Space {
    token: Vec<u8>,
    message: Vec<u8>,
    header: Vec<u8>,
    padding: Vec<u8>,
    trailer: Vec<u8>,
}

const FORMS: [(&str, Form); 7] = [
    ("in place", |from, to, confidential, space| {
        let room = from.room(confidential, MESSAGE.len()).unwrap();
        let token = &mut space.token[..room.before + MESSAGE.len() + room.after];
        token[room.before..][..MESSAGE.len()].copy_from_slice(MESSAGE);
        from.wrap_in_place(confidential, token, room).unwrap();
        assert!(to.unwrap_in_place(token).unwrap().data == MESSAGE);
    }),
    ("in slices", |from, to, confidential, space| {
        let parts = MESSAGE.split_at(1000);
        let wrapped = from.wrap_slices(confidential, &[parts.0, parts.1], &mut space.token);
        let token = &space.token[..wrapped.unwrap().0];
        let (length, _) = to.unwrap_slice(token, &mut space.message).unwrap();
        assert!(space.message[..length] == *MESSAGE);
    }),
    (
        "in vectors that have room",
        |from, to, confidential, space| {
            space.token.clear();
            space.message.clear();
            from.wrap_into(confidential, MESSAGE, &mut space.token)
                .unwrap();
            to.unwrap_into(&space.token, &mut space.message).unwrap();
            assert!(space.message == MESSAGE);
            space.token.resize(space.token.capacity(), 0);
            space.message.resize(space.message.capacity(), 0);
        },
    ),
    ("in parts", |from, to, confidential, space| {
        parts(from, to, confidential, space, true);
    }),
    (
        "in parts without a trailer",
        |from, to, confidential, space| {
            parts(from, to, confidential, space, false);
        },
    ),
    ("as a stream", |from, to, confidential, space| {
        let wrapped = from.wrap_slices(confidential, &[MESSAGE], &mut space.token);
        let token = &mut space.token[..wrapped.unwrap().0];
        let mut iov = [Stream(token), Data(&mut [])];
        to.unwrap_iov(&mut iov).unwrap();
        assert!(iov[1].bytes() == MESSAGE);
    }),
    ("signed", |from, to, _, space| {
        let parts = MESSAGE.split_at(1000);
        let signed = from.get_mic_slices(&[parts.0, parts.1], &mut space.token);
        let token = &space.token[..signed.unwrap()];
        to.verify_mic_slices(&[parts.0, parts.1], token).unwrap();
        let data = &mut space.message[..MESSAGE.len()];
        data.copy_from_slice(MESSAGE);
        let mut iov = [SignOnly(b"to bob"), Data(data), MicToken(&mut space.token)];
        from.get_mic_iov(&mut iov).unwrap();
        to.verify_mic_iov(&iov).unwrap();
    }),
];

fn parts(from: &Context, to: &Context, confidential: bool, space: &mut Space, trailer: bool) {
    let data = &mut space.message[..MESSAGE.len()];
    data.copy_from_slice(MESSAGE);
    // Not a multiple of a block, so that some lie across the two.
    let (one, two) = data.split_at_mut(1001);
    let mut iov = [
        Header(&mut space.header),
        SignOnly(b"to bob"),
        Data(one),
        Data(two),
        Padding(&mut space.padding),
        Trailer(&mut space.trailer),
    ];
    let iov: &mut [IoVec<'_>] = if trailer { &mut iov } else { &mut iov[..5] };
    from.wrap_iov_lengths(confidential, iov).unwrap();
    from.wrap_iov(confidential, iov).unwrap();
    to.unwrap_iov(iov).unwrap();
    assert!(iov[2].bytes() == &MESSAGE[..1001] && iov[3].bytes() == &MESSAGE[1001..]);
}

#[test]
fn messages_in_their_callers_buffers_allocate_nothing() {
    // One of each form of token and of encryption.
    for (enctype, name, first) in [
        (18, "aes256-cts", 5),
        (20, "aes256-sha2", 5),
        (25, "camellia128-cts", 5),
        (16, "des3", 0x60),
        (23, "rc4", 0x60),
    ] {
        let realm = DevelopmentRealm::builder("EXAMPLE.TEST")
            .user("alice", "secret")
            .service("HTTP/localhost")
            .enctypes([enctype])
            .start()
            .unwrap();
        let permission = tempfile::NamedTempFile::new().unwrap();
        let lines = format!("[libdefaults]\n permitted_enctypes = {name}\n");
        std::fs::write(permission.path(), lines).unwrap();
        let mut config = realm.config();
        config.krb5_conf.push(permission.path().to_path_buf());
        let env = Environment::new(config).unwrap();
        let (client, server) = realm.contexts(&env, "alice", "HTTP/localhost").unwrap();
        for context in [&client, &server] {
            assert_eq!(context.session_key().unwrap().enctype, enctype);
        }
        let mut space = Space {
            token: vec![0; 6000],
            message: vec![0; 6000],
            header: vec![0; 200],
            padding: vec![0; 8],
            trailer: vec![0; 200],
        };
        for (name, form) in FORMS {
            for (from, to) in [(&client, &server), (&server, &client)] {
                for confidential in [true, false] {
                    // The first time the keys are derived.
                    form(from, to, confidential, &mut space);
                    let count = counted(|| form(from, to, confidential, &mut space));
                    assert_eq!(count, 0, "{enctype}: {name}, {confidential}");
                }
            }
        }
        let count = counted(|| {
            let token = client.wrap(true, MESSAGE).unwrap();
            assert_eq!(token[0], first, "{name}");
        });
        assert!(count > 0, "what counts, counts");
    }
}
