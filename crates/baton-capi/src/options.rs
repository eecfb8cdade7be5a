//! Options, and what programs that know Kerberos set (`gssapi_krb5.h` and `gssapi_ext.h` of MIT krb5).

use std::cell::RefCell;
use std::ffi::CString;

use baton::Major;

use crate::abi::COMPLETE;
use crate::boundary::{Status, entry};
use crate::ptr::{HandleSlot, InBuffer, InHandle, InOid, InString, Out, TextPointer};

thread_local! {
    /// The cache that a thread named, and the text of the one it had before, which C still looks at.
    static CCACHE: RefCell<(Option<String>, CString)> = RefCell::new((None, CString::default()));
}

/// The cache that this thread named.
pub(crate) fn ccache() -> Option<String> {
    let named = CCACHE.try_with(|ccache| ccache.borrow().0.clone());
    named.ok().flatten()
}

fn unknown(what: &str) -> Status {
    Status {
        text: Some(format!("{what} knows no such option")),
        minor: crate::status::GENERIC,
        ..Major::Unavailable.into()
    }
}

entry! {
    /// `gss_krb5_ccache_name`: the default cache of this thread from now on; null is that of the environment again. The name that
    /// it had before is good until the thread's next call.
    fn gss_krb5_ccache_name(minor, name: InString, old: Out<TextPointer>) {
        let name = name.get()?;
        let previous = match ccache() {
            Some(name) => name,
            None => crate::environment::default_ccache()?,
        };
        let text = CString::new(previous).map_err(|_| Status::BAD_STRUCTURE)?;
        CCACHE.with(|ccache| {
            let mut ccache = ccache.borrow_mut();
            *ccache = (name, text);
            old.set(TextPointer::new(&ccache.1));
        });
        Ok(COMPLETE)
    }

    /// `gss_set_cred_option`: no mechanism here has options of credentials.
    fn gss_set_cred_option(minor, _cred: HandleSlot, option: InOid, _value: InBuffer) {
        option.required()?;
        Err(unknown("gss_set_cred_option"))
    }

    /// `gssspi_set_cred_option`: the same under its older name.
    fn gssspi_set_cred_option(minor, _cred: InHandle, option: InOid, _value: InBuffer) {
        option.required()?;
        Err(unknown("gssspi_set_cred_option"))
    }

    /// `gss_set_sec_context_option`: no mechanism here has options of contexts.
    fn gss_set_sec_context_option(minor, _context: HandleSlot, option: InOid, _value: InBuffer) {
        option.required()?;
        Err(unknown("gss_set_sec_context_option"))
    }
}
