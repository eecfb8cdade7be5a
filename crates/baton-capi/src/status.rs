//! `gss_display_status`: what a status means, in words.

use std::cell::RefCell;
use std::collections::VecDeque;

use baton::Major;
use baton::status::major_texts;

use crate::abi::{COMPLETE, GSS_CODE, Int, MECH_CODE, OmUint32};
use crate::boundary::{Status, entry};
use crate::ptr::{InOid, Out, OutBuffer};

/// The minor code of an error that has none of its own: KRB_ERR_GENERIC in MIT's table of Kerberos errors.
pub(crate) const GENERIC: OmUint32 = (-1_765_328_384_i32 + 60) as OmUint32;

/// How many texts a thread keeps.
const KEPT: usize = 16;

thread_local! {
    static TEXTS: RefCell<VecDeque<(OmUint32, String)>> = const { RefCell::new(VecDeque::new()) };
}

/// Keeps what `minor` meant in this thread, the last time it was given.
pub(crate) fn remember(minor: OmUint32, text: String) {
    // In a thread that is ending, nobody asks any more.
    let _ = TEXTS.try_with(|texts| {
        let mut texts = texts.borrow_mut();
        texts.retain(|(known, _)| *known != minor);
        if texts.len() == KEPT {
            texts.pop_front();
        }
        texts.push_back((minor, text));
    });
}

fn remembered(minor: OmUint32) -> Option<String> {
    let text = TEXTS.try_with(|texts| {
        let texts = texts.borrow();
        let found = texts.iter().find(|(known, _)| *known == minor);
        found.map(|(_, text)| text.clone())
    });
    text.ok().flatten()
}

entry! {
    /// `gss_display_status` (RFC 2744 §5.11).
    fn gss_display_status(minor, value: OmUint32, kind: Int, _mech: InOid, context: Out<OmUint32>, text: OutBuffer) {
        let text = text.required()?;
        // The message context counts what was told (RFC 2744 §5.11).
        let told = context.get().unwrap_or(0);
        context.set(0);
        match kind {
            GSS_CODE => {
                let texts: Vec<_> = major_texts(value).collect();
                let words = texts.get(told as usize).ok_or(Status::from(Major::BadStatus))?;
                text.set(words.as_bytes())?;
                let next = told + 1;
                if (next as usize) < texts.len() {
                    context.set(next);
                }
            }
            MECH_CODE => text.set(minor_text(value).as_bytes())?,
            _ => return Err(Major::BadStatus.into()),
        }
        Ok(COMPLETE)
    }
}

fn minor_text(value: OmUint32) -> String {
    remembered(value).unwrap_or_else(|| baton::status::minor_text(value).into_owned())
}
