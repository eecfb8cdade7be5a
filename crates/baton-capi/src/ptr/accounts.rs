//! The users of this host, as the C library knows them: by every directory of nsswitch.conf(5).

use std::ffi::{CStr, CString, c_char};
use std::io;
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::ptr;

use baton::host::accounts::{Account, Accounts};

/// How much one entry may need at first, and at most.
const SIZE: usize = 4096;
const LARGEST: usize = 1 << 20;

/// What `getpwnam_r` and `getpwuid_r` tell.
#[derive(Clone, Copy, Debug)]
pub struct Nss;

impl Accounts for Nss {
    fn by_name(&self, name: &str) -> io::Result<Option<Account>> {
        let Ok(name) = CString::new(name) else {
            return Ok(None);
        };
        look_up(|entry, buffer, found| {
            // SAFETY: a string, a writable entry, a buffer with its length, a writable pointer.
            unsafe {
                libc::getpwnam_r(
                    name.as_ptr(),
                    entry,
                    buffer.as_mut_ptr(),
                    buffer.len(),
                    found,
                )
            }
        })
    }

    fn by_uid(&self, uid: u32) -> io::Result<Option<Account>> {
        look_up(|entry, buffer, found| {
            // SAFETY: a writable entry, a buffer with its length, a writable pointer.
            unsafe { libc::getpwuid_r(uid, entry, buffer.as_mut_ptr(), buffer.len(), found) }
        })
    }
}

fn look_up(
    call: impl Fn(*mut libc::passwd, &mut [c_char], *mut *mut libc::passwd) -> i32,
) -> io::Result<Option<Account>> {
    let mut buffer: Vec<c_char> = vec![0; SIZE];
    loop {
        let mut entry = MaybeUninit::uninit();
        let mut found = ptr::null_mut();
        match call(entry.as_mut_ptr(), &mut buffer, &raw mut found) {
            0 if found.is_null() => return Ok(None),
            // SAFETY: found, so the entry is filled, and its texts are in the buffer, which is here still.
            0 => return Ok(unsafe { account(&*found) }),
            libc::ERANGE if buffer.len() < LARGEST => buffer.resize(buffer.len() * 2, 0),
            libc::EINTR => {}
            // Some directories say it so that they do not know the user.
            libc::ENOENT | libc::ESRCH => return Ok(None),
            error => return Err(io::Error::from_raw_os_error(error)),
        }
    }
}

/// # Safety
/// The entry is filled.
unsafe fn account(entry: &libc::passwd) -> Option<Account> {
    // SAFETY: the texts of an entry are strings.
    let (name, home) = unsafe { (CStr::from_ptr(entry.pw_name), CStr::from_ptr(entry.pw_dir)) };
    Some(Account {
        name: name.to_str().ok()?.to_owned(),
        uid: entry.pw_uid,
        home: PathBuf::from(std::ffi::OsStr::from_bytes(home.to_bytes())),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_is_known_and_nobody_is_made_up() {
        let root = Nss.by_uid(0).unwrap().unwrap();
        assert_eq!(
            (root.name.as_str(), root.home.to_str()),
            ("root", Some("/root"))
        );
        assert_eq!(Nss.by_name("root").unwrap(), Some(root));
        assert_eq!(Nss.by_name("no such user").unwrap(), None);
        assert_eq!(Nss.by_name("ro\0ot").unwrap(), None);
    }
}
