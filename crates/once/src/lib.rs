//! The once-store: has this happened before, in any process?
//!
//! Two questions have this shape: *was this authenticator seen* (a [mark](OnceStore::claim)), and *was this context already taken
//! over* (a [deposit](OnceStore::put), [looked at](OnceStore::peek) and [taken](OnceStore::take)).
