//! The world that a C program never names: `krb5.conf` and the `KRB5*` variables as they are at a call.

use std::env;
use std::ffi::OsString;
use std::sync::{Arc, Mutex, PoisonError};

use baton::host::names;
use baton::host::user::{User, secure_execution_is};
use baton::{Config, Environment, Error, Major};
use rustix::process::geteuid;

use crate::boundary::Status;
use crate::options;
use crate::ptr::Nss;

/// What an environment is made from. A program changes its variables and its user as it likes, and the next credential that it
/// acquires is of what they are then.
const VARIABLES: [&str; 8] = [
    "KRB5_CONFIG",
    "KRB5_KTNAME",
    "KRB5_CLIENT_KTNAME",
    "KRB5CCNAME",
    "KRB5RCACHENAME",
    "KRB5RCACHETYPE",
    "KRB5RCACHEDIR",
    "TMPDIR",
];

#[derive(PartialEq)]
struct Made {
    user: u32,
    variables: [Option<OsString>; VARIABLES.len()],
    ccache: Option<String>,
}

static CURRENT: Mutex<Option<(Made, Environment)>> = Mutex::new(None);

/// The environment of this process as it is now.
pub(crate) fn current() -> Result<Environment, Error> {
    let made = Made {
        user: geteuid().as_raw(),
        variables: VARIABLES.map(env::var_os),
        ccache: options::ccache(),
    };
    let mut current = CURRENT.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((known, environment)) = &*current
        && *known == made
    {
        return Ok(environment.clone());
    }
    // The kernel's word, as MIT's library has it: a daemon that has become another user since goes on believing its variables.
    secure_execution_is(crate::ptr::secure_execution());
    let mut config = Config::from_env()?;
    // Programs know the users of every directory of the C library's.
    config.accounts = Some(Arc::new(Nss));
    if let Some(ccache) = &made.ccache {
        config.ccache = Some(ccache.clone());
    }
    let environment = Environment::new(config)?;
    *current = Some((made, environment.clone()));
    Ok(environment)
}

/// The default cache of the environment.
pub(crate) fn default_ccache() -> Result<String, Status> {
    let env = current()?;
    let explicit = env.config().ccache.as_deref();
    let name = names::ccache(explicit, env.settings(), &User::current());
    let name = name.map_err(|problem| Error::new(Major::Failure, problem))?;
    Ok(name.to_string())
}
