//! T12: transfers are counted, and logged without secrets.

mod common;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use baton::{
    Config, Context, Environment, ExportOptions, Policy, Replay, Store, Token, TransferCounts,
};
use common::Site;
use common::log::Log;

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
        let text = log.text();
        assert!(text.contains("WARN message=replay detection"), "{text}");
    }
}
