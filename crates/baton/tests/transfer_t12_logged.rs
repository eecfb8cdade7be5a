//! T12: transfers are logged without secrets.
//!
//! The one test of this program: a thread without a subscriber could keep `tracing` from asking this one's.

mod common;

use std::time::Duration;

use baton::{Context, ExportOptions};
use common::log::Log;
use common::{Site, memory};

#[test]
fn each_outcome_is_logged_without_secrets() {
    let log = Log::default();
    let directory = common::store_directory();
    let mut token = Vec::new();
    let mut state = Vec::new();
    tracing::subscriber::with_default(log.clone(), || {
        let site = Site::in_directory(directory.path());
        let (_, server) = site.contexts();
        let exported = server.export(&ExportOptions::default()).unwrap();
        state = memory::open_state(directory.path(), &exported);
        Context::import(&site.env, &exported).unwrap();
        Context::import(&site.env, &exported).unwrap_err();
        let (_, server) = site.contexts();
        let none = ExportOptions::default().lifetime(Duration::ZERO);
        server.export(&none).unwrap_err();
        token = exported.into_bytes();
    });
    let text = log.text();
    for wanted in [
        "INFO message=context exported initiator=alice@EXAMPLE.TEST acceptor=host/a.example.test@EXAMPLE.TEST",
        "INFO message=context imported initiator=alice@EXAMPLE.TEST",
        "WARN message=context not imported error=",
        "WARN message=context not exported initiator=alice@EXAMPLE.TEST error=",
    ] {
        assert!(text.contains(wanted), "{wanted}: {text}");
    }
    let hex = |bytes: &[u8]| {
        bytes
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
    };
    for secret in state.windows(8).chain(token.windows(8).skip(14)) {
        assert!(!text.contains(&hex(secret)));
        let listed = format!("{secret:?}");
        assert!(!text.contains(&listed[1..listed.len() - 1]));
        assert!(secret.is_ascii() || !text.as_bytes().windows(8).any(|window| window == secret));
    }
}
