//! T8 and T12: half-open transfers are counted, and logged without secrets.
//!
//! The one test of this program: a thread without a subscriber could keep `tracing` from asking this one's.

mod common;

use std::sync::Arc;
use std::time::Duration;

use baton::{
    Config, ExportOptions, HalfOpen, HalfOpenKeys, Handshake, Policy, ServiceKeys, Store, Token,
    TransferCounts,
};
use common::Site;
use common::log::Log;

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
    let text = log.text();
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
