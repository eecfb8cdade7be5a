//! T12: transfers are counted, and logged without secrets.

mod common;

use std::fmt::{Debug, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use baton::{
    Config, Context, Environment, ExportOptions, HalfOpen, HalfOpenKeys, Handshake, Policy, Replay,
    ServiceKeys, Store, Token, TransferCounts,
};
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
    let late = export(&usual.clone().lifetime(Duration::from_secs(60))).unwrap();
    let nobody = export(&usual.clone().policy(Policy::nobody())).unwrap();
    Context::import(&site.env, &nobody).unwrap_err();
    export(&usual.clone().lifetime(Duration::ZERO)).unwrap_err();
    let (_, old) = site.contexts();
    site.clock.pass(Duration::from_secs(61));
    let error = Context::import(&site.env, &late).unwrap_err();
    assert!(
        error.to_string().contains("the token has expired"),
        "{error}"
    );
    Context::import(&site.env, &late).unwrap_err();
    site.clock.pass(Duration::from_secs(7200));
    old.export(&usual).unwrap_err();
    let counts = site.env.counts();
    let mut wanted = TransferCounts::default();
    wanted.exported = 3;
    wanted.imported = 1;
    wanted.not_there = 1;
    wanted.defective = 1;
    wanted.unauthorized = 1;
    wanted.export_failed = 1;
    wanted.expired = 3;
    assert_eq!(counts, wanted);
}

#[test]
fn a_store_that_does_not_answer_is_counted() {
    let directory = common::store_directory();
    let site = Site::in_directory(directory.path());
    let token = site.contexts().1.export(&ExportOptions::default()).unwrap();
    std::fs::remove_file(directory.path().join("deposits")).unwrap();
    Context::import(&site.env, &token).unwrap_err();
    let counts = site.env.counts();
    assert_eq!((counts.import_failed, counts.not_there), (1, 0));
}

type Happening = Box<dyn FnOnce() + Send>;

/// A clock at which something happens when it is read for the `count`-th time from now.
#[derive(Clone, Default)]
struct Eventful {
    clock: common::Clock,
    next: Arc<Mutex<Option<(u32, Happening)>>>,
}

impl Eventful {
    fn env(&self) -> Environment {
        let config = Config {
            store: Store::Memory,
            settings: Some(common::settings()),
            ..Config::default()
        };
        Environment::with_clock(config, Arc::new(self.clone())).unwrap()
    }

    fn at(&self, count: u32, event: impl FnOnce() + Send + 'static) {
        *self.next.lock().unwrap() = Some((count, Box::new(event)));
    }

    /// Whether it has happened.
    fn happened(&self) -> bool {
        self.next.lock().unwrap().take().is_none()
    }
}

impl wire::time::Clock for Eventful {
    fn now(&self) -> wire::time::Timestamp {
        let mut next = self.next.lock().unwrap();
        let due = match &mut *next {
            Some((1, _)) => next.take(),
            Some((count, _)) => {
                *count -= 1;
                None
            }
            None => None,
        };
        // Let go first: what happens then reads this clock too.
        drop(next);
        if let Some((_, event)) = due {
            event();
        }
        self.clock.shared().now()
    }
}

/// Another importer takes the context over, or the token expires, at each moment of an import.
#[test]
fn what_happens_during_an_import_is_counted_as_what_it_is() {
    let clock = Eventful::default();
    let env = clock.env();
    let site = Site {
        env: env.clone(),
        ..Site::in_memory()
    };
    let export = || site.contexts().1.export(&ExportOptions::default()).unwrap();
    for moment in 1.. {
        let token = export();
        let (theirs, bytes) = (env.clone(), token.as_ref().to_vec());
        clock.at(moment, move || {
            Context::import(&theirs, &Token::from(bytes)).unwrap();
        });
        let imported = Context::import(&env, &token);
        assert_ne!(imported.is_ok(), clock.happened());
        if imported.is_ok() {
            break;
        }
    }
    let raced = env.counts();
    assert!(raced.lost_race > 0, "{raced:?}");
    for moment in 1.. {
        let token = export();
        let time = clock.clock.clone();
        clock.at(moment, move || time.pass(Duration::from_secs(301)));
        let imported = Context::import(&env, &token);
        assert_ne!(imported.is_ok(), clock.happened());
        if imported.is_ok() {
            break;
        }
    }
    let counts = env.counts();
    assert!(counts.expired > 1, "{counts:?}");
    assert_eq!(
        (counts.lost_race, counts.not_there, counts.import_failed),
        (raced.lost_race, raced.not_there, 0)
    );
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
fn t8_half_open_transfers_are_counted_and_logged_without_secrets() {
    let log = Log::default();
    let key = "c3".repeat(32);
    let keys = ServiceKeys::parse(key.as_bytes()).unwrap();
    let mut config = Config {
        store: Store::Memory,
        ..Config::default()
    };
    config.transfer.half_open_keys = HalfOpenKeys::Given(Arc::new(keys));
    let mut token = Vec::new();
    let counts = tracing::subscriber::with_default(log.clone(), || {
        let site = Site::new(config);
        let export = |options: &ExportOptions| {
            let (_, next) = site.start(|initiator| initiator);
            next.export(options)
        };
        let asked = ExportOptions::default().half_open(HalfOpen::BothSides);
        let import = |token: &Token| Handshake::import(&site.env, token, None);
        let good = export(&asked).unwrap();
        import(&good).unwrap();
        import(&good).unwrap_err();
        import(&Token::from(&b"x"[..])).unwrap_err();
        let nobody = asked.clone().policy(Policy::nobody());
        import(&export(&nobody).unwrap()).unwrap_err();
        export(&ExportOptions::default()).unwrap_err();
        export(&asked.clone().lifetime(Duration::ZERO)).unwrap_err();
        let late = export(&asked).unwrap();
        site.clock.pass(Duration::from_secs(61));
        import(&late).unwrap_err();
        token = good.into_bytes();
        site.env.counts()
    });
    let mut wanted = TransferCounts::default();
    wanted.half_open_exported = 3;
    wanted.half_open_imported = 1;
    wanted.not_there = 1;
    wanted.defective = 1;
    wanted.unauthorized = 1;
    wanted.export_failed = 2;
    wanted.expired = 1;
    assert_eq!(counts, wanted);
    let text = log.0.lock().unwrap().clone();
    for wanted in [
        "INFO message=handshake exported accepting=false",
        "INFO message=handshake imported accepting=false",
        "WARN message=handshake not imported accepting=false error=",
        "WARN message=handshake not exported accepting=false error=",
    ] {
        assert!(text.contains(wanted), "{wanted}: {text}");
    }
    assert!(!text.contains(&key[..16]));
    for part in token.windows(8).skip(14) {
        let listed = format!("{part:?}");
        assert!(!text.contains(&listed[1..listed.len() - 1]));
        let hexadecimal: String = part.iter().map(|byte| format!("{byte:02x}")).collect();
        assert!(!text.contains(&hexadecimal));
    }
}

#[test]
fn replay_detection_switched_off_is_logged() {
    let unwary = Config {
        replay: Replay::None,
        ..Config::default()
    };
    let named = Config {
        rcache: Some("none:".to_owned()),
        ..Config::default()
    };
    for config in [unwary, named] {
        let log = Log::default();
        tracing::subscriber::with_default(log.clone(), || Site::new(config));
        let text = log.0.lock().unwrap().clone();
        assert!(text.contains("WARN message=replay detection"), "{text}");
    }
}
