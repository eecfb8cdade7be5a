//! A context that was imported and not used gives its token back, once more for one importer; a used one does not. What `fork` does to it is tested
//! in a process of its own, because forks are counted for all of a process.

mod common;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use baton::{Context, ExportOptions, Major, PrfKey, Token};
use common::Site;

fn exported(site: &Site) -> (Context, Token) {
    let (client, server) = site.contexts();
    let token = server.export(&ExportOptions::default());
    (client, token.map_err(|(_, error)| error).unwrap())
}

fn gone(site: &Site, token: &Token) {
    let error = Context::import(&site.env, token).unwrap_err();
    assert_eq!(error.major(), Major::NoContext);
}

#[test]
fn an_unused_context_gives_its_token_back_as_often_as_it_is_looked_at() {
    let directory = common::store_directory();
    for site in [Site::in_memory(), Site::in_directory(directory.path())] {
        let (client, token) = exported(&site);
        for round in 1..=3 {
            let looked_at = Context::import_returnable(&site.env, &token).unwrap();
            gone(&site, &token);
            assert_eq!(
                looked_at.facts().initiator.to_string(),
                "alice@EXAMPLE.TEST"
            );
            assert!(looked_at.lifetime().is_some() && looked_at.check_here().is_ok());
            assert!(looked_at.wrap_size_limit(true, 1000).unwrap() > 0);
            assert!(looked_at.ticket_flags().is_ok() && looked_at.authtime().is_ok());
            assert!(looked_at.give_back());
            assert_eq!(site.env.counts().given_back, round);
        }
        let server = Context::import_returnable(&site.env, &token).unwrap();
        let sealed = client.wrap(true, b"hello").unwrap();
        assert_eq!(server.unwrap(&sealed).unwrap().data, b"hello");
        assert!(!server.give_back());
        gone(&site, &token);
    }
}

#[test]
fn any_use_keeps_the_token_burned() {
    type Use = fn(&Context);
    let uses: [(&str, Use); 9] = [
        ("wrap", |context| _ = context.wrap(true, b"x").unwrap()),
        ("wrap_many", |context| {
            _ = context.wrap_many(true, &["x"]).unwrap()
        }),
        ("unwrap", |context| _ = context.unwrap(b"x").unwrap_err()),
        ("get_mic", |context| _ = context.get_mic(b"x").unwrap()),
        ("verify_mic", |context| {
            _ = context.verify_mic(b"x", b"x").unwrap_err()
        }),
        ("wrap_aead", |context| {
            _ = context.wrap_aead(true, b"x", b"x").unwrap()
        }),
        ("prf", |context| {
            _ = context.pseudo_random(PrfKey::Full, b"x", 8).unwrap()
        }),
        ("session_key", |context| {
            _ = context.session_key().map_err(drop).err()
        }),
        ("by_oid", |context| {
            _ = context.inquire_by_oid(&baton::Oid::KRB5).unwrap_err()
        }),
    ];
    let site = Site::in_memory();
    for (name, used) in uses {
        let (_client, token) = exported(&site);
        let context = Context::import_returnable(&site.env, &token).unwrap();
        used(&context);
        assert!(!context.give_back(), "{name}");
        gone(&site, &token);
    }
    // Exported on, and taken apart.
    let (_client, token) = exported(&site);
    let context = Context::import_returnable(&site.env, &token).unwrap();
    let next = context
        .export(&ExportOptions::default())
        .map_err(|(_, error)| error)
        .unwrap();
    gone(&site, &token);
    let context = Context::import_returnable(&site.env, &next).unwrap();
    assert!(context.into_lucid().is_ok());
    gone(&site, &next);
    // One that was imported for good, or established here, gives nothing back.
    let (client, token) = exported(&site);
    assert!(!Context::import(&site.env, &token).unwrap().give_back());
    assert!(!client.give_back());
    gone(&site, &token);
}

#[test]
fn a_minute_is_all_there_is_and_the_expiry_stays() {
    let site = Site::in_memory();
    let (_client, token) = exported(&site);
    let context = Context::import_returnable(&site.env, &token).unwrap();
    site.clock.pass(Duration::from_secs(59));
    assert!(context.give_back());
    let context = Context::import_returnable(&site.env, &token).unwrap();
    site.clock.pass(Duration::from_secs(60));
    assert!(!context.give_back());
    gone(&site, &token);
    // Five minutes after its export a token is dead, however often it was given back.
    let (_client, token) = exported(&site);
    for _ in 0..5 {
        site.clock.pass(Duration::from_secs(59));
        let context = Context::import_returnable(&site.env, &token).unwrap();
        assert!(context.give_back());
    }
    site.clock.pass(Duration::from_secs(6));
    gone(&site, &token);
}

/// Many look, and give back or use: one uses, in all.
#[test]
fn of_many_that_look_one_uses() {
    let directory = common::store_directory();
    let site = Site::in_directory(directory.path());
    for round in 0..20 {
        let (client, token) = exported(&site);
        let (used, looked) = (AtomicUsize::new(0), AtomicUsize::new(0));
        thread::scope(|scope| {
            for racer in 0..4 {
                let (site, client, token, used, looked) = (&site, &client, &token, &used, &looked);
                scope.spawn(move || {
                    for turn in 0..50 {
                        let Ok(context) = Context::import_returnable(&site.env, token) else {
                            continue;
                        };
                        looked.fetch_add(1, Ordering::Relaxed);
                        if turn + racer > 30 + round % 3 {
                            let sealed = context.wrap(true, b"mine").unwrap();
                            assert_eq!(client.unwrap(&sealed).unwrap().data, b"mine");
                            used.fetch_add(1, Ordering::Relaxed);
                            assert!(!context.give_back());
                        } else {
                            assert!(context.give_back());
                        }
                    }
                });
            }
        });
        let (used, looked) = (used.into_inner(), looked.into_inner());
        assert!(used <= 1 && looked > 0, "{used} used, {looked} looked");
        if used == 0 {
            assert!(Context::import(&site.env, &token).is_ok());
        }
        gone(&site, &token);
    }
}
