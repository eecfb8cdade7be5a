//! The users of this host.

use std::fmt;
use std::fs;
use std::io;
use std::path::PathBuf;

/// A user's entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The name.
    pub name: String,
    /// The number.
    pub uid: u32,
    /// The home directory.
    pub home: PathBuf,
}

/// Where users are looked up. [`PasswdFile`] unless a program has its own directory.
pub trait Accounts: fmt::Debug + Send + Sync {
    /// The user of that name; the first one, if there are several.
    fn by_name(&self, name: &str) -> io::Result<Option<Account>>;

    /// The user of that number; the first one, if there are several.
    fn by_uid(&self, uid: u32) -> io::Result<Option<Account>>;
}

/// A file of the form of passwd(5). Directories that only the C library's plug-ins know are not asked.
#[derive(Clone, Debug)]
pub struct PasswdFile(pub PathBuf);

impl Default for PasswdFile {
    fn default() -> Self {
        Self("/etc/passwd".into())
    }
}

impl PasswdFile {
    fn find(&self, wanted: impl Fn(&Account) -> bool) -> io::Result<Option<Account>> {
        let contents = fs::read(&self.0)?;
        let lines = contents.split(|byte| *byte == b'\n');
        let accounts = lines.filter_map(|line| account(str::from_utf8(line).ok()?));
        Ok(accounts.into_iter().find(wanted))
    }
}

impl Accounts for PasswdFile {
    fn by_name(&self, name: &str) -> io::Result<Option<Account>> {
        self.find(|account| account.name == name)
    }

    fn by_uid(&self, uid: u32) -> io::Result<Option<Account>> {
        self.find(|account| account.uid == uid)
    }
}

/// `name:password:uid:gid:gecos:home:shell`. Comments, and entries that stand for another directory's (`+`, `-`), are none.
fn account(line: &str) -> Option<Account> {
    let mut fields = line.split(':');
    let (name, uid) = (fields.next()?, fields.nth(1)?);
    let home = fields.nth(2)?;
    if name.is_empty() || name.starts_with(['#', '+', '-']) {
        return None;
    }
    Some(Account {
        name: name.to_owned(),
        uid: uid.parse().ok()?,
        home: home.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_found_by_name_and_by_number() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("passwd");
        let text = b"root:x:0:0:root:/root:/bin/sh\nbroken\n:x:7::::\n#old:x:8:8::/:\n+::9:9::/:\n\
            \xff:x:6:6::/:\nalice:x:1000:1000:A:/home/alice:/bin/sh\nalias:x:1000:1::/:\nalice:x:1:1::/:\n";
        fs::write(&path, text).unwrap();
        let accounts = PasswdFile(path);
        let alice = Account {
            name: "alice".into(),
            uid: 1000,
            home: "/home/alice".into(),
        };
        assert_eq!(accounts.by_name("alice").unwrap(), Some(alice.clone()));
        assert_eq!(accounts.by_uid(1000).unwrap(), Some(alice));
        for uid in [1, 6, 7, 8, 9] {
            let found = accounts.by_uid(uid).unwrap();
            assert!(found.is_none_or(|found| found.uid == 1), "{uid}");
        }
        assert_eq!(accounts.by_name("broken").unwrap(), None);
        assert!(PasswdFile(dir.path().join("none")).by_uid(0).is_err());
    }
}
