//! T13: the status of each outcome, and that its minor code and text tell why.

mod common;

use std::time::Duration;

use baton::{
    Config, Context, Error, ExportOptions, Major, Policy, Store, StoreOptions, Token, Transfer,
};
use common::{Begun, Site};

/// A status and the number of its rule.
fn is(error: &Error, major: Major, rule: u32, text: &str) {
    assert_eq!(error.major(), major, "{error}");
    assert_eq!(error.minor(), 0x4254_0000 + rule, "{error}");
    assert!(error.to_string().contains(text), "{error}");
    assert_eq!(error.supplementary(), None);
}

#[test]
fn switched_off_is_unavailable() {
    let off = Site::new(Config {
        store: Store::Memory,
        transfer: Transfer {
            enabled: false,
            ..Transfer::default()
        },
        ..Config::default()
    });
    let on = Site::in_memory();
    let token = on.contexts().1.export(&ExportOptions::default()).unwrap();
    let (_, context) = off.contexts();
    let (_, export) = context.export(&ExportOptions::default()).unwrap_err();
    is(
        &export,
        Major::Unavailable,
        1,
        "switched off by configuration",
    );
    let import = Context::import(&off.env, &token).unwrap_err();
    is(
        &import,
        Major::Unavailable,
        1,
        "switched off by configuration",
    );
}

#[test]
fn no_context_half_open_or_imported_already() {
    let site = Site::in_memory();
    let (_, next) = site.begin();
    let Begun::Waits(half_open) = next else {
        panic!("mutual")
    };
    let (_, error) = half_open.export(&ExportOptions::default()).unwrap_err();
    assert_eq!(error.major(), Major::NoContext);
    let token = site.contexts().1.export(&ExportOptions::default()).unwrap();
    Context::import(&site.env, &token).unwrap();
    let error = Context::import(&site.env, &token).unwrap_err();
    is(
        &error,
        Major::NoContext,
        8,
        "imported already, expired, or exported elsewhere",
    );
}

#[test]
fn expired_before_export_and_after() {
    let site = Site::in_memory();
    let token = site.contexts().1.export(&ExportOptions::default()).unwrap();
    let (_, context) = site.contexts();
    site.clock.pass(Duration::from_secs(7200));
    let (_, error) = context.export(&ExportOptions::default()).unwrap_err();
    is(
        &error,
        Major::ContextExpired,
        3,
        "an expired context is not exported",
    );
    let error = Context::import(&site.env, &token).unwrap_err();
    assert_eq!(error.major(), Major::NoContext);
}

#[test]
fn defective_and_unauthorized() {
    let site = Site::in_memory();
    let error = Context::import(&site.env, &Token::from(&b""[..])).unwrap_err();
    is(
        &error,
        Major::DefectiveToken,
        7,
        "the token's frame is not whole",
    );
    let options = ExportOptions::default().policy(Policy::users([4_000_000]));
    let token = site.contexts().1.export(&options).unwrap();
    let error = Context::import(&site.env, &token).unwrap_err();
    is(&error, Major::Unauthorized, 12, "does not name user");
}

#[test]
fn anything_else_is_a_failure_that_says_what_to_do() {
    let site = Site::in_directory("/proc/baton".as_ref());
    let (_, context) = Site::new(Config {
        replay: baton::Replay::None,
        ..common::in_directory("/proc/baton".as_ref())
    })
    .contexts();
    let (_, error) = context.export(&ExportOptions::default()).unwrap_err();
    is(&error, Major::Failure, 6, "/proc/baton");
    let token = Site::in_memory()
        .contexts()
        .1
        .export(&ExportOptions::default())
        .unwrap();
    let error = Context::import(&site.env, &token).unwrap_err();
    is(&error, Major::Failure, 6, "/proc/baton");
    assert!(error.to_string().contains("configure another directory"));
}

#[test]
fn a_full_store_says_what_to_do() {
    let site = Site::new(Config {
        store: Store::Memory,
        store_options: StoreOptions {
            deposits: 1,
            ..StoreOptions::default()
        },
        ..Config::default()
    });
    let (_, error) = std::iter::repeat_with(|| site.contexts().1)
        .take(17)
        .find_map(|context| context.export(&ExportOptions::default()).err())
        .expect("no table has fewer than 16 places, and this one not more");
    is(&error, Major::Failure, 6, "configure a larger store");
}
