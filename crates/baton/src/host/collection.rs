//! A collection of credential caches: all that MIT's programs would look through for a client.
//!
//! Where the default cache is a directory, `DIR:`, those in it, the primary one first; otherwise that one. The named ones in this
//! process's memory belong to it too.

use krb5::formats::residual::CcacheName;
use krb5::principal::Principal;

use super::ccache::directory::{self, DirectoryError};
use super::ccache::{CcacheStore, CcacheStoreError, memory_names};

/// The caches that belong together because of the default one.
#[derive(Clone, Debug)]
pub struct CacheCollection {
    default: CcacheName,
}

impl CacheCollection {
    /// The collection whose default cache is called `default`.
    pub const fn new(default: CcacheName) -> Self {
        Self { default }
    }

    /// What it is called.
    pub const fn name(&self) -> &CcacheName {
        &self.default
    }

    /// Whether it has room for caches of several clients, of which one is the default.
    pub const fn is_switchable(&self) -> bool {
        matches!(self.default, CcacheName::Dir(_))
    }

    /// The default cache, which need not be there.
    pub fn default_cache(&self) -> Result<CcacheStore, CcacheStoreError> {
        let name = match &self.default {
            CcacheName::Dir(path) => {
                let primary = directory::primary(path).map_err(|cause| self.error(cause))?;
                subsidiary(primary)
            }
            other => other.clone(),
        };
        Ok(CcacheStore::new(name))
    }

    /// All of its caches. What cannot be read is among them.
    pub fn caches(&self) -> Result<Vec<CcacheStore>, CcacheStoreError> {
        let mut names = match &self.default {
            CcacheName::Dir(path) => match directory::caches(path) {
                Ok(paths) => paths.into_iter().map(subsidiary).collect(),
                Err(DirectoryError::NotFound) => Vec::new(),
                Err(cause) => return Err(self.error(cause)),
            },
            other => vec![other.clone()],
        };
        let memory = memory_names().into_iter().map(CcacheName::Memory);
        names.extend(memory.filter(|name| *name != self.default));
        Ok(names.into_iter().map(CcacheStore::new).collect())
    }

    /// The caches that can be read, each with its client.
    pub fn clients(&self) -> Result<Vec<(CcacheStore, Principal)>, CcacheStoreError> {
        let caches = self.caches()?.into_iter();
        Ok(caches
            .filter_map(|cache| {
                let contents = cache.read().ok()?;
                Some((cache, contents.principal))
            })
            .collect())
    }

    /// The cache of `client`.
    pub fn find(&self, client: &Principal) -> Result<Option<CcacheStore>, CcacheStoreError> {
        let mut clients = self.clients()?.into_iter();
        Ok(clients.find(|(_, of)| of == client).map(|(cache, _)| cache))
    }

    /// One more cache, if the collection [has room](Self::is_switchable).
    pub fn new_cache(&self) -> Result<Option<CcacheStore>, CcacheStoreError> {
        match &self.default {
            CcacheName::Dir(path) => {
                let path = directory::new_path(path).map_err(|cause| self.error(cause))?;
                Ok(Some(CcacheStore::new(subsidiary(path))))
            }
            _ => Ok(None),
        }
    }

    /// Makes `cache` the default one, if the collection has a choice of it.
    pub fn switch_to(&self, cache: &CcacheStore) -> Result<(), CcacheStoreError> {
        match (&self.default, cache.name()) {
            (CcacheName::Dir(_), CcacheName::DirFile(path)) => {
                directory::switch_to(path.as_ref()).map_err(|cause| self.error(cause))
            }
            _ => Ok(()),
        }
    }

    fn error(&self, cause: DirectoryError) -> CcacheStoreError {
        CcacheStore::new(self.default.clone()).directory(cause)
    }
}

fn subsidiary(path: std::path::PathBuf) -> CcacheName {
    CcacheName::DirFile(path.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::MetadataExt;

    use krb5::formats::ccache::CredentialCache;

    use super::*;

    fn client(name: &str) -> Principal {
        Principal::user(name, "R")
    }

    fn named(cache: &CcacheStore) -> String {
        let name = cache.name().to_string();
        name.rsplit_once('/').unwrap().1.to_owned()
    }

    fn is_file(cache: &CcacheStore) -> bool {
        matches!(cache.name(), CcacheName::DirFile(_))
    }

    #[test]
    fn a_directory_holds_caches_of_several_clients() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("cc");
        let collection = CacheCollection::new(CcacheName::Dir(path.to_str().unwrap().into()));
        assert!(collection.is_switchable());
        assert!(!collection.caches().unwrap().iter().any(is_file));
        assert!(matches!(
            collection.default_cache(),
            Err(CcacheStoreError::NotFound(_))
        ));
        // By its own name the directory stands for its primary cache, and is made when that is.
        let whole = CcacheStore::new(collection.name().clone());
        assert!(matches!(whole.read(), Err(CcacheStoreError::NotFound(_))));
        whole
            .replace(&CredentialCache::new(client("alice")))
            .unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o700);
        assert_eq!(named(&collection.default_cache().unwrap()), "tkt");

        let second = collection.new_cache().unwrap().unwrap();
        second
            .replace(&CredentialCache::new(client("bob")))
            .unwrap();
        fs::write(path.join("other"), b"no cache").unwrap();
        fs::write(path.join("tktbroken"), b"no cache").unwrap();
        let found = |name| collection.find(&client(name)).unwrap();
        assert_eq!(named(&found("alice").unwrap()), "tkt");
        assert_eq!(found("bob").unwrap(), second);
        assert_eq!(found("carol"), None);

        collection.switch_to(&second).unwrap();
        let line = fs::read_to_string(path.join("primary")).unwrap();
        assert_eq!(line, format!("{}\n", named(&second)));
        assert_eq!(collection.default_cache().unwrap(), second);
        assert_eq!(whole.read().unwrap().principal, client("bob"));
        let files: Vec<CcacheStore> = collection.caches().unwrap();
        let files: Vec<String> = files.iter().filter(|one| is_file(one)).map(named).collect();
        assert_eq!(files[0], named(&second));
        assert_eq!(files[1..], ["tkt", "tktbroken"]);
    }

    #[test]
    fn a_primary_file_that_names_no_cache_is_an_error() {
        let home = tempfile::tempdir().unwrap();
        let collection =
            CacheCollection::new(CcacheName::Dir(home.path().to_str().unwrap().to_owned()));
        fs::write(home.path().join("tktx"), b"").unwrap();
        for line in [
            &b"tkt"[..],
            b"other\n",
            b"tkt/../../x\n",
            b"tkt\\x\n",
            b"\n",
            b"tkt\xff\n",
            &[b't'; 100],
        ] {
            fs::write(home.path().join("primary"), line).unwrap();
            let error = collection.default_cache().unwrap_err().to_string();
            assert!(error.contains("kswitch"), "{error}");
            // The others are there all the same.
            let caches = collection.caches().unwrap();
            assert!(caches.iter().any(is_file));
        }
    }

    /// Who put it there does not decide which cache we use, nor keep us waiting.
    #[test]
    fn a_primary_file_that_is_a_pipe_or_a_link_is_not_read() {
        let home = tempfile::tempdir().unwrap();
        let collection =
            CacheCollection::new(CcacheName::Dir(home.path().to_str().unwrap().to_owned()));
        let primary = home.path().join("primary");
        let elsewhere = home.path().join("elsewhere");
        fs::write(&elsewhere, b"tktx\n").unwrap();
        std::os::unix::fs::symlink(&elsewhere, &primary).unwrap();
        let refused = |what| {
            let found = collection.default_cache();
            assert!(
                matches!(found, Err(CcacheStoreError::Primary(_))),
                "{what}: {found:?}"
            );
        };
        refused("a link");
        fs::remove_file(&primary).unwrap();
        let pipe = rustix::fs::FileType::Fifo;
        rustix::fs::mknodat(rustix::fs::CWD, &primary, pipe, 0o600.into(), 0).unwrap();
        refused("a pipe");
        fs::remove_file(&primary).unwrap();
        fs::create_dir(&primary).unwrap();
        refused("a directory");
        fs::remove_dir(&primary).unwrap();
        fs::rename(&elsewhere, &primary).unwrap();
        assert_eq!(named(&collection.default_cache().unwrap()), "tktx");
    }

    /// Neither root nor who runs the tests, where root does.
    const SOMEBODY: u32 = 7;
    const NOBODY: u32 = 65534;

    /// What the process of another user does that the test below starts: it uses each of the directories, and says what it saw.
    #[test]
    fn another_user_looks_into_directories() {
        let Ok(directories) = std::env::var("HOST_DIRECTORIES") else {
            return;
        };
        for directory in directories.split(':') {
            let name = CcacheName::Dir(directory.to_owned());
            let collection = CacheCollection::new(name.clone());
            let outcome = |result: Result<(), CcacheStoreError>| match result {
                Ok(()) => "fine".to_owned(),
                Err(CcacheStoreError::Owner { owner, .. }) => format!("of {owner}"),
                Err(other) => other.to_string(),
            };
            let seen = outcome(collection.default_cache().map(drop));
            let cache = CredentialCache::new(client("alice"));
            let made = outcome(CcacheStore::new(name).replace(&cache));
            println!("SEEN {seen}, {made}");
        }
    }

    #[test]
    fn a_directory_of_somebody_else_is_not_used() {
        use std::os::unix::fs::{PermissionsExt, chown};
        use std::os::unix::process::CommandExt;
        let home = tempfile::tempdir().unwrap();
        let open = fs::Permissions::from_mode(0o755);
        fs::set_permissions(home.path(), open).unwrap();
        let mut directories = Vec::new();
        for (name, directory, primary) in [
            ("ours", NOBODY, NOBODY),
            ("theirs", SOMEBODY, NOBODY),
            ("their-primary", NOBODY, SOMEBODY),
        ] {
            let path = home.path().join(name);
            fs::create_dir(&path).unwrap();
            fs::write(path.join("primary"), b"tktx\n").unwrap();
            if chown(path.join("primary"), Some(primary), None).is_err() {
                eprintln!("left out: only root can give a file to another user");
                return;
            }
            // Everybody may write there, so that nothing but the owner speaks against it.
            fs::set_permissions(&path, fs::Permissions::from_mode(0o777)).unwrap();
            chown(&path, Some(directory), None).unwrap();
            directories.push(path.display().to_string());
        }
        let mut command = std::process::Command::new(std::env::current_exe().unwrap());
        let test = "host::collection::tests::another_user_looks_into_directories";
        command.args(["--exact", test, "--nocapture"]);
        command.env("HOST_DIRECTORIES", directories.join(":"));
        let output = command.current_dir("/").uid(NOBODY).gid(NOBODY).output();
        let output = String::from_utf8(output.unwrap().stdout).unwrap();
        let seen: Vec<&str> = output
            .lines()
            .filter_map(|line| Some(line.split_once("SEEN ")?.1))
            .collect();
        assert_eq!(seen, ["fine, fine", "of 7, of 7", "of 7, of 7"], "{output}");
    }

    #[test]
    fn caches_in_memory_belong_to_it_and_those_of_one_credential_do_not() {
        let collection = CacheCollection::new(CcacheName::Memory("collection default".into()));
        let named = CcacheStore::new(CcacheName::Memory("collection other".into()));
        named
            .replace(&CredentialCache::new(client("memory")))
            .unwrap();
        let own = super::super::ccache::own(&CredentialCache::new(client("own")));
        assert_eq!(collection.find(&client("memory")).unwrap(), Some(named));
        assert_eq!(collection.find(&client("own")).unwrap(), None);
        assert!(collection.new_cache().unwrap().is_none());
        own.destroy().unwrap();
    }
}
