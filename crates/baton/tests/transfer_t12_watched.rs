//! T12: transfers are counted, and logged without secrets.

mod common;

use std::fmt::{Debug, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use baton::{Config, Context, ExportOptions, Policy, Replay, Token, TransferCounts};
use common::{Site, memory};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// Everything that is logged, as text.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<String>>);

struct Fields<'a>(&'a mut String);

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        write!(self.0, " {field}={value:?}").unwrap();
    }
}

impl Subscriber for Log {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, event: &Event<'_>) {
        let mut log = self.0.lock().unwrap();
        write!(log, "\n{}", event.metadata().level()).unwrap();
        event.record(&mut Fields(&mut log));
    }
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

#[test]
fn each_outcome_has_its_count() {
    let site = Site::in_memory();
    let export = |options: &ExportOptions| site.contexts().1.export(options);
    let usual = ExportOptions::default();
    let token = export(&usual).unwrap();
    Context::import(&site.env, &token).unwrap();
    Context::import(&site.env, &token).unwrap_err();
    Context::import(&site.env, &Token::from(&b"x"[..])).unwrap_err();
    let nobody = export(&usual.clone().policy(Policy::nobody())).unwrap();
    Context::import(&site.env, &nobody).unwrap_err();
    export(&usual.clone().lifetime(Duration::ZERO)).unwrap_err();
    let (_, old) = site.contexts();
    site.clock.pass(Duration::from_secs(7200));
    old.export(&usual).unwrap_err();
    let counts = site.env.counts();
    let mut wanted = TransferCounts::default();
    wanted.exported = 2;
    wanted.imported = 1;
    wanted.not_there = 1;
    wanted.defective = 1;
    wanted.unauthorized = 1;
    wanted.export_failed = 1;
    wanted.expired = 1;
    assert_eq!(counts, wanted);
}

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
    let text = log.0.lock().unwrap().clone();
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

#[test]
fn replay_detection_switched_off_is_logged() {
    let log = Log::default();
    tracing::subscriber::with_default(log.clone(), || {
        Site::new(Config {
            replay: Replay::None,
            ..Config::default()
        })
    });
    let text = log.0.lock().unwrap().clone();
    assert!(text.contains("WARN message=replay detection"), "{text}");
}
