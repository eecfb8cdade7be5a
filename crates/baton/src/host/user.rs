//! Who this process runs for.

use std::fs;
use std::sync::OnceLock;

use krb5::formats::residual::Tokens;
use rustix::process::{getegid, geteuid, getgid, getuid};

/// The user of this process, as `%{tokens}` in configured names mean it.
#[derive(Clone, Debug)]
pub struct User {
    /// The real user's number.
    pub uid: u32,
    /// The effective user's number.
    pub euid: u32,
    /// The effective user's name in `/etc/passwd`. Directories that only the C library's plug-ins know are not asked.
    pub username: Option<String>,
    /// The directory for temporary files.
    pub temp: String,
}

impl User {
    /// The user of this process now.
    pub fn current() -> Self {
        let euid = geteuid().as_raw();
        let temp = match has_foreign_rights() {
            true => None,
            false => std::env::var("TMPDIR").ok(),
        };
        let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
        Self {
            uid: getuid().as_raw(),
            euid,
            username: name_in(&passwd, euid),
            temp: temp.unwrap_or_else(|| "/tmp".to_owned()),
        }
    }

    /// The values of the tokens.
    pub fn tokens(&self) -> Tokens<'_> {
        Tokens {
            uid: self.uid,
            euid: self.euid,
            username: self.username.as_deref(),
            temp: &self.temp,
        }
    }
}

/// The name of `uid` in a file of the form of passwd(5).
fn name_in(passwd: &str, uid: u32) -> Option<String> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, number) = (fields.next()?, fields.nth(1)?);
        let is_it = number.parse() == Ok(uid) && !name.is_empty();
        is_it.then(|| name.to_owned())
    })
}

/// The entry of the auxiliary vector that says secure execution, getauxval(3).
const AT_SECURE: usize = 23;

/// What [`secure_execution_is`] was told.
static SECURE_EXECUTION: OnceLock<bool> = OnceLock::new();

/// Tells what `getauxval(AT_SECURE)` answers, which is a call of the C library's: what the kernel found when the program began. A daemon
/// that has become another user since cannot read its auxiliary vector in `/proc` any more, and in a chroot there is none. The first
/// word stands.
pub fn secure_execution_is(secure: bool) {
    // A later word is the same: the kernel's answer does not change.
    let _ = SECURE_EXECUTION.set(secure);
}

/// Whether this process has rights that its caller has not (set-uid, set-gid, file capabilities). Then the environment is
/// the caller's and is not believed. Where nobody [told](secure_execution_is), what cannot be found out is taken for it.
pub fn has_foreign_rights() -> bool {
    if let Some(secure) = SECURE_EXECUTION.get() {
        return *secure;
    }
    if getuid() != geteuid() || getgid() != getegid() {
        return true;
    }
    match fs::read("/proc/self/auxv") {
        Ok(auxv) => secure_execution(&auxv),
        // That file of a process with more rights than its caller is root's; without `/proc` nothing is known.
        Err(_) => true,
    }
}

fn secure_execution(auxv: &[u8]) -> bool {
    let words = auxv.as_chunks::<{ size_of::<usize>() }>().0;
    let mut pairs = words.as_chunks::<2>().0.iter();
    pairs.any(|[kind, value]| {
        usize::from_ne_bytes(*kind) == AT_SECURE && usize::from_ne_bytes(*value) != 0
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_by_number() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\nbroken\n:x:7::\nalice:x:1000:1000::/:\nalias:x:1000:1::/:\n";
        assert_eq!(name_in(passwd, 0).as_deref(), Some("root"));
        assert_eq!(name_in(passwd, 1000).as_deref(), Some("alice"));
        assert_eq!(name_in(passwd, 7), None);
        assert_eq!(name_in(passwd, 1), None);
    }

    #[test]
    fn secure_execution_is_read_from_the_auxiliary_vector() {
        let auxv = |pairs: &[(usize, usize)]| {
            let words = pairs.iter().flat_map(|(kind, value)| [*kind, *value]);
            words.flat_map(usize::to_ne_bytes).collect::<Vec<u8>>()
        };
        assert!(secure_execution(&auxv(&[(6, 4096), (23, 1), (0, 0)])));
        assert!(!secure_execution(&auxv(&[(6, 23), (23, 0), (0, 0)])));
        assert!(!secure_execution(&[]));
        assert!(!secure_execution(&auxv(&[(23, 1)])[..15]));
    }

    #[test]
    fn a_test_has_its_callers_rights() {
        assert!(!has_foreign_rights());
        assert_eq!(User::current().euid, geteuid().as_raw());
    }
}
