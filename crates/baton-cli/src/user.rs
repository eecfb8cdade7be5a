//! Users by name or number, as `/etc/passwd` has them.

use std::fs;
use std::io;

use rustix::process::{Gid, Uid, geteuid};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};
use thiserror::Error;

/// Who workers are where nothing else is said.
const DEFAULT: &str = "nobody";
const PASSWD: &str = "/etc/passwd";

/// A user that a process can become.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

/// Why workers cannot run as a user.
#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum UserError {
    #[error("only root can start workers as another user")]
    NotRoot,
    #[error("workers must not run as root")]
    Root,
    #[error("/etc/passwd has no user {0}")]
    Unknown(String),
    #[error("/etc/passwd cannot be read: {0}")]
    Passwd(String),
}

impl User {
    /// Who the workers are to be; `None` where they can only be who we are.
    pub(crate) fn for_workers(wanted: Option<&str>) -> Result<Option<Self>, UserError> {
        if !geteuid().is_root() {
            return match wanted {
                Some(_) => Err(UserError::NotRoot),
                None => Ok(None),
            };
        }
        let passwd = fs::read(PASSWD).map_err(|error| UserError::Passwd(error.to_string()))?;
        let wanted = wanted.unwrap_or(DEFAULT);
        let user = find(&String::from_utf8_lossy(&passwd), wanted)
            .ok_or_else(|| UserError::Unknown(wanted.to_owned()))?;
        match user {
            User { uid: 0, .. } | User { gid: 0, .. } => Err(UserError::Root),
            user => Ok(Some(user)),
        }
    }
}

impl User {
    /// Makes this process that user's, for good: real, effective and saved, in no other group, without root's capabilities.
    ///
    /// The kernel does so for a thread, so this is for a process that has one.
    pub(crate) fn become_it(&self) -> io::Result<()> {
        if fs::read_dir("/proc/self/task")?.count() != 1 {
            return Err(io::Error::other("other threads would stay who they are"));
        }
        let (uid, gid) = (Uid::from_raw(self.uid), Gid::from_raw(self.gid));
        set_thread_groups(&[])?;
        set_thread_res_gid(gid, gid, gid)?;
        set_thread_res_uid(uid, uid, uid)?;
        Ok(())
    }
}

fn find(passwd: &str, wanted: &str) -> Option<User> {
    passwd.lines().find_map(|line| {
        let fields: Vec<_> = line.split(':').collect();
        let &[name, _, uid, gid, ..] = fields.as_slice() else {
            return None;
        };
        if name != wanted && uid != wanted {
            return None;
        }
        Some(User {
            uid: uid.parse().ok()?,
            gid: gid.parse().ok()?,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_found_by_name_or_number() {
        let passwd =
            "root:x:0:0:root:/root:/bin/sh\nodd\nnobody:x:65534:65533:n:/:/x\nbad:x:y:1:\n";
        let nobody = Some(User {
            uid: 65534,
            gid: 65533,
        });
        assert_eq!(find(passwd, "nobody"), nobody);
        assert_eq!(find(passwd, "65534"), nobody);
        for unknown in ["nobod", "65533", "", "bad", "odd"] {
            assert_eq!(find(passwd, unknown), None, "{unknown}");
        }
    }

    #[test]
    fn workers_are_never_root() {
        if geteuid().is_root() {
            assert_eq!(User::for_workers(Some("root")), Err(UserError::Root));
            assert_eq!(User::for_workers(Some("0")), Err(UserError::Root));
            assert!(User::for_workers(None).unwrap().is_some());
        } else {
            assert_eq!(User::for_workers(Some("0")), Err(UserError::NotRoot));
            assert_eq!(User::for_workers(None), Ok(None));
        }
    }
}
