//! `gss_export_sec_context` and `gss_import_sec_context`: the context changes hands.

use baton::{Context, ExportOptions, Major, Token};

use crate::abi::{COMPLETE, OmUint32};
use crate::boundary::{Status, entry};
use crate::context;
use crate::environment;
use crate::ptr::{HandleSlot, InBuffer, InLucid, LucidSlot, OutBuffer};

entry! {
    /// `gss_export_sec_context` (RFC 2744 §5.14). If it fails there is no token, and the context is as it was.
    fn gss_export_sec_context(minor, context: HandleSlot, token: OutBuffer) {
        if context.get().is_none() {
            return Err(Status::INACCESSIBLE_READ.with(Major::NoContext));
        }
        let token = token.required()?;
        context::take_open(context, |open| {
            match open.export(&ExportOptions::default()) {
                // Where there is no memory for it the token comes back at once, before anybody saw it.
                Ok(exported) => token.set(exported.as_ref()).map_err(|status| {
                    let back = environment::current().and_then(|env| Context::import(&env, &exported));
                    (back.ok(), status)
                }),
                Err((open, error)) => Err((Some(open), error.into())),
            }
        })?;
        Ok(COMPLETE)
    }

    /// `gss_import_sec_context` (RFC 2744 §5.18). Programs import a token to look at it, delete the context and import the token again:
    /// until its first use the token can be given back.
    fn gss_import_sec_context(minor, token: InBuffer, context: HandleSlot) {
        let context = context.required()?;
        context.set(None);
        let token = token.get()?.filter(|token| !token.is_empty());
        let token = token.ok_or(Status::INACCESSIBLE_READ.with(Major::DefectiveToken))?;
        let token = Token::from(token);
        let imported = Context::import_returnable(&environment::current()?, &token)?;
        let initiating = imported.facts().locally_initiated;
        let handle = context::insert_open(imported, initiating)?;
        context.set(Some(handle));
        Ok(COMPLETE)
    }

    /// `gss_krb5_export_lucid_sec_context`: the context's keys, for one who protects messages itself. The context is gone.
    fn gss_krb5_export_lucid_sec_context(minor, context: HandleSlot, version: OmUint32, output: LucidSlot) {
        let output = output.required()?;
        if version != 1 {
            return Err(Major::Failure.into());
        }
        let mut room = output.reserve()?;
        let lucid = context::take_open(context, |open| {
            open.into_lucid().map_err(|(open, error)| (Some(open), error.into()))
        })?;
        room.fill(&lucid);
        output.set(room);
        Ok(COMPLETE)
    }

    /// `gss_krb5_free_lucid_sec_context`.
    fn gss_krb5_free_lucid_sec_context(minor, context: InLucid) {
        context.release()?;
        Ok(COMPLETE)
    }
}
