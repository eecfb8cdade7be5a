//! The calls on a handshake.

use baton::{Context, Error, ExportOptions, Failure, Handshake, Step, Token};

use crate::contexts::flip;
use crate::site::{Site, both, outcome};

/// What a call on a handshake has beside it: among others the peer's token that it waits for.
pub(crate) struct Waiting<'a> {
    pub(crate) site: &'a Site<'a>,
    pub(crate) initiator: bool,
    pub(crate) answer: Vec<u8>,
}

pub(crate) fn stepped(step: Result<Step, Failure>) -> String {
    match step {
        Ok(Step::Done { .. }) => "done".to_owned(),
        Ok(Step::Continue { .. }) => "continues".to_owned(),
        Err(failure) => format!("{:?}", failure.error.major()),
    }
}

pub(crate) fn altered_step(handshake: Handshake, answer: &[u8]) -> String {
    let mut answer = answer.to_vec();
    flip(&mut answer);
    stepped(handshake.step(&answer))
}

pub(crate) fn half_exported(handshake: Handshake, options: &ExportOptions) -> Result<Token, Error> {
    handshake.export(options).map_err(|(_, error)| error)
}

pub(crate) fn moved(at: &Waiting<'_>, half: Handshake) -> String {
    let token = half_exported(half, &both());
    match token.and_then(|token| at.site.import(&token, at.initiator)) {
        Ok(half) => stepped(half.step(&at.answer)),
        Err(error) => outcome::<()>(Err(error)),
    }
}

pub(crate) fn moved_twice(at: &Waiting<'_>, half: Handshake) -> String {
    let token = half_exported(half, &both());
    outcome(token.and_then(|token| {
        at.site.import(&token, at.initiator).unwrap();
        at.site.import(&token, at.initiator)
    }))
}

pub(crate) fn other_side(at: &Waiting<'_>, half: Handshake) -> String {
    let token = half_exported(half, &both());
    outcome(token.and_then(|token| at.site.import(&token, !at.initiator)))
}

pub(crate) fn as_context(at: &Waiting<'_>, half: Handshake) -> String {
    let token = half_exported(half, &both());
    outcome(token.and_then(|token| Context::import(&at.site.env, &token)))
}
