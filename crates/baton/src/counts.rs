//! How often contexts changed hands, and why they did not (rule T12).

use std::sync::atomic::{AtomicU64, Ordering};

use gss_transfer::Error;

/// How often what happened to contexts of one [`Environment`](crate::Environment), in this process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TransferCounts {
    /// Contexts exported, through the once-store or over a socket.
    pub exported: u64,
    /// Contexts imported.
    pub imported: u64,
    /// Imported contexts that nobody used, and whose tokens were given back.
    pub given_back: u64,
    /// Handshakes exported half open.
    pub half_open_exported: u64,
    /// Handshakes imported half open.
    pub half_open_imported: u64,
    /// Exports that failed and left the context where it was.
    pub export_failed: u64,
    /// Exports and imports of what had expired.
    pub expired: u64,
    /// Imports refused because the token was altered, cut or not a token.
    pub defective: u64,
    /// Imports refused by the exporter's policy.
    pub unauthorized: u64,
    /// Imports whose deposit was not there: imported already, expired, or from elsewhere.
    pub not_there: u64,
    /// Imports that lost a race.
    pub lost_race: u64,
    /// Imports that failed because the once-store did not answer.
    pub import_failed: u64,
    /// Calls refused because transfer is switched off or the context cannot be transferred.
    pub unavailable: u64,
}

#[derive(Default)]
pub(crate) struct Counters {
    exported: AtomicU64,
    imported: AtomicU64,
    given_back: AtomicU64,
    half_open_exported: AtomicU64,
    half_open_imported: AtomicU64,
    export_failed: AtomicU64,
    expired: AtomicU64,
    defective: AtomicU64,
    unauthorized: AtomicU64,
    not_there: AtomicU64,
    lost_race: AtomicU64,
    import_failed: AtomicU64,
    unavailable: AtomicU64,
}

impl Counters {
    pub(crate) fn snapshot(&self) -> TransferCounts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        TransferCounts {
            exported: read(&self.exported),
            imported: read(&self.imported),
            given_back: read(&self.given_back),
            half_open_exported: read(&self.half_open_exported),
            half_open_imported: read(&self.half_open_imported),
            export_failed: read(&self.export_failed),
            expired: read(&self.expired),
            defective: read(&self.defective),
            unauthorized: read(&self.unauthorized),
            not_there: read(&self.not_there),
            lost_race: read(&self.lost_race),
            import_failed: read(&self.import_failed),
            unavailable: read(&self.unavailable),
        }
    }

    pub(crate) fn exported(&self) {
        add(&self.exported);
    }

    pub(crate) fn imported(&self) {
        add(&self.imported);
    }

    pub(crate) fn given_back(&self) {
        add(&self.given_back);
    }

    pub(crate) fn half_open_exported(&self) {
        add(&self.half_open_exported);
    }

    pub(crate) fn half_open_imported(&self) {
        add(&self.half_open_imported);
    }

    pub(crate) fn export_refused(&self, error: &Error) {
        add(match error {
            Error::SwitchedOff | Error::NotTransferable | Error::NoServiceKey => &self.unavailable,
            Error::ContextExpired => &self.expired,
            _ => &self.export_failed,
        });
    }

    /// A context that was sealed and then could not be sent.
    pub(crate) fn send_failed(&self) {
        add(&self.export_failed);
    }

    pub(crate) fn import_refused(&self, error: &Error) {
        add(match error {
            Error::SwitchedOff | Error::NoServiceKey => &self.unavailable,
            Error::TokenExpired => &self.expired,
            Error::Malformed(_)
            | Error::Restore(_)
            | Error::UnknownKey
            | Error::HalfOpenTable(_)
            | Error::OtherSide
            | Error::OtherChannel => &self.defective,
            Error::Refused(_) => &self.unauthorized,
            Error::NotThere | Error::Redeemed | Error::NotRedeemable(_) => &self.not_there,
            Error::TakenFirst => &self.lost_race,
            _ => &self.import_failed,
        });
    }
}

fn add(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
