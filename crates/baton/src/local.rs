//! Names as this host's users, and who may act as one (`gss_localname`, `gss_userok`, `gss_pname_to_uid`).

use std::collections::BTreeMap;
use std::io;

use gss_core::error::{Error, Major};
use gss_core::name::Name;
use krb5::formats::auth_to_local::{LocalNames, RuleError};
use krb5::principal::Principal;

use crate::Environment;
use crate::host::accounts::Account;
use crate::host::k5login::{self, K5login};

/// Why a name is no local user's.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LocalNameError {
    /// No default realm, whose rules there could be.
    #[error(
        "there is no default realm, so no rules for local users; set default_realm in krb5.conf"
    )]
    NoDefaultRealm,
    /// A rule cannot be followed.
    #[error(transparent)]
    Rule(#[from] RuleError),
    /// No rule makes the principal a user.
    #[error("{0} is no user of this host by the rules of auth_to_local in krb5.conf")]
    NoUser(Principal),
    /// The rules name a user whom the host does not have.
    #[error("this host has no user {0}")]
    Unknown(String),
    /// The users of this host cannot be looked up.
    #[error("the users of this host cannot be looked up")]
    Accounts(#[source] io::Error),
}

impl From<LocalNameError> for Error {
    fn from(error: LocalNameError) -> Self {
        // As MIT's library has it.
        let major = match &error {
            LocalNameError::NoUser(_) => Major::Unavailable,
            LocalNameError::NoDefaultRealm
            | LocalNameError::Rule(_)
            | LocalNameError::Unknown(_)
            | LocalNameError::Accounts(_) => Major::Failure,
        };
        Self::new(major, error)
    }
}

/// Names as users of this host.
///
/// ```
/// use baton::{Config, Environment, Name};
/// # use baton::kerberos::settings::Settings;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let settings = Settings { default_realm: Some("EXAMPLE.TEST".into()), ..Settings::default() };
/// # let env = Environment::new(Config { settings: Some(settings), ..Config::default() })?;
/// let client = Name::krb5_principal("root@EXAMPLE.TEST"); // a context's initiator
/// assert_eq!(env.localname(&client)?, "root");
/// assert!(!env.userok(&Name::krb5_principal("root@ELSEWHERE.TEST"), "root")?);
/// # Ok(())
/// # }
/// ```
impl Environment {
    /// `gss_localname`: the user of this host that `name` is, by `auth_to_local_names` and `auth_to_local` of the default realm.
    /// `GSS_S_UNAVAILABLE` if it is none. That the host has the user is not asked.
    pub fn localname(&self, name: &Name) -> Result<String, Error> {
        let principal = self.principal(name)?;
        let found = self.local(&principal)?;
        found.ok_or_else(|| LocalNameError::NoUser(principal).into())
    }

    /// `gss_userok`, `gss_authorize_localname`: whether `name` may act as `user`: it stands in the user's `.k5login` (or in the file in
    /// `k5login_directory`), or it is the user by the rules. Where there is such a file and it does not list the name, the rules do not
    /// count either, unless `k5login_authoritative` is false.
    ///
    /// A name of a context's party is authenticated; any other is not, and then this says nothing about who is there.
    pub fn userok(&self, name: &Name, user: &str) -> Result<bool, Error> {
        let principal = self.principal(name)?;
        if principal.is_anonymous() {
            return Ok(false);
        }
        let settings = self.settings();
        let account = self.accounts().by_name(user);
        let account = account.map_err(LocalNameError::Accounts)?;
        let file = match &account {
            Some(account) => k5login::look_up(account, &principal, settings),
            None => K5login::Unlisted,
        };
        match file {
            K5login::Listed => Ok(true),
            // What denies goes before what allows, as with MIT's modules.
            K5login::Unlisted if settings.k5login_authoritative => Ok(false),
            _ if self.is_by_sssd(&principal, user, account.as_ref())? => Ok(true),
            // Rules that cannot be followed allow nobody anything.
            _ => Ok(self.local(&principal)?.as_deref() == Some(user)),
        }
    }

    /// `gss_pname_to_uid`: the number of the user of this host that `name` is.
    pub fn pname_to_uid(&self, name: &Name) -> Result<u32, Error> {
        let user = self.localname(name)?;
        let account = self.accounts().by_name(&user);
        let account = account.map_err(LocalNameError::Accounts)?;
        let account = account.ok_or(LocalNameError::Unknown(user))?;
        Ok(account.uid)
    }

    /// The user of this host whom sssd knows under the principal's name, where its module is configured. The module asks sssd
    /// alone; no other directory has users of such names.
    fn of_sssd(&self, principal: &Principal) -> Result<Option<Account>, LocalNameError> {
        let name = String::from_utf8(principal.to_bytes()).ok();
        let Some(name) = name.filter(|_| self.settings().localauth_sssd) else {
            return Ok(None);
        };
        let found = self.accounts().by_name(&name);
        found.map_err(LocalNameError::Accounts)
    }

    /// Whether the principal is `user` for sssd's module: by the same name, or the same number.
    fn is_by_sssd(
        &self,
        principal: &Principal,
        user: &str,
        account: Option<&Account>,
    ) -> Result<bool, LocalNameError> {
        if !self.settings().localauth_sssd {
            return Ok(false);
        }
        if principal.to_bytes().eq_ignore_ascii_case(user.as_bytes()) {
            return Ok(true);
        }
        let known = self.of_sssd(principal)?;
        Ok(known.is_some_and(|known| account.is_some_and(|account| account.uid == known.uid)))
    }

    fn local(&self, principal: &Principal) -> Result<Option<String>, LocalNameError> {
        if let Some(account) = self.of_sssd(principal)? {
            return Ok(Some(account.name));
        }
        let settings = self.settings();
        let realm = settings.default_realm.as_deref();
        let realm = realm.ok_or(LocalNameError::NoDefaultRealm)?;
        let none = BTreeMap::new();
        let known = settings.realms.get(realm.as_bytes());
        let names = LocalNames {
            default_realm: realm,
            auth_to_local: known.map_or(&[], |realm| &realm.auth_to_local),
            auth_to_local_names: known.map_or(&none, |realm| &realm.auth_to_local_names),
        };
        Ok(names.local(principal)?)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;
    use std::sync::Arc;

    use krb5::formats::settings::{Realm, Settings};
    use rustix::process::geteuid;

    use super::*;
    use crate::Config;
    use crate::host::accounts::PasswdFile;

    /// Two users with homes, `alice` is ours; `bob`'s number is another's.
    struct Host {
        dir: tempfile::TempDir,
        settings: Settings,
    }

    impl Host {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let (home, uid) = (dir.path().display(), geteuid().as_raw());
            let other = uid + 1;
            let passwd = format!(
                "alice:x:{uid}:0::{home}/alice:/bin/sh\nbob:x:{other}:0::{home}/bob:/bin/sh\n"
            );
            fs::write(dir.path().join("passwd"), passwd).unwrap();
            for user in ["alice", "bob"] {
                fs::create_dir(dir.path().join(user)).unwrap();
            }
            let mut settings = Settings {
                default_realm: Some("R".into()),
                ..Settings::default()
            };
            let rules = ["RULE:[2:$1;$2](.*;admin)s/;admin//", "DEFAULT"];
            let realm = Realm {
                auth_to_local: rules.map(str::to_owned).into(),
                auth_to_local_names: [("boss".to_owned(), "alice".to_owned())].into(),
                ..Realm::default()
            };
            settings.realms.insert("R", realm);
            Self { dir, settings }
        }

        fn env(&self) -> Environment {
            let config = Config {
                settings: Some(self.settings.clone()),
                accounts: Some(Arc::new(PasswdFile(self.dir.path().join("passwd")))),
                ..Config::default()
            };
            Environment::new(config).unwrap()
        }

        fn file(&self, path: impl AsRef<Path>, contents: &str, mode: u32) {
            let path = self.dir.path().join(path);
            fs::write(&path, contents).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        }

        fn may(&self, principal: &str, user: &str) -> bool {
            let name = Name::krb5_principal(principal);
            self.env().userok(&name, user).unwrap()
        }
    }

    #[test]
    fn a_name_is_a_user_by_the_rules() {
        let host = Host::new();
        let local = |name: &str| host.env().localname(&Name::krb5_principal(name));
        assert_eq!(local("carol@R").unwrap(), "carol");
        assert_eq!(local("carol/admin@R").unwrap(), "carol");
        assert_eq!(local("boss@R").unwrap(), "alice");
        for name in ["carol@OTHER", "host/web@R", "WELLKNOWN/ANONYMOUS@R"] {
            assert_eq!(
                local(name).unwrap_err().major(),
                Major::Unavailable,
                "{name}"
            );
        }
        let uid = |name: &str| host.env().pname_to_uid(&Name::krb5_principal(name));
        assert_eq!(uid("boss@R").unwrap(), geteuid().as_raw());
        let error = uid("carol@R").unwrap_err();
        assert!(error.to_string().ends_with("this host has no user carol"));
        assert!(uid("carol@OTHER").is_err());
    }

    #[test]
    fn where_sssds_module_is_configured_its_users_are_principals_too() {
        let mut host = Host::new();
        let (uid, home) = (geteuid().as_raw(), host.dir.path().display().to_string());
        let of_sssd = format!(
            "alice:x:{uid}:0::{home}/alice:/bin/sh\nAl@OTHER:x:{uid}:0::{home}/alice:/bin/sh\n\
             carol@OTHER:x:{}:0::{home}/carol:/bin/sh\n",
            uid + 2
        );
        host.file("passwd", &of_sssd, 0o644);
        assert!(!host.may("Al@OTHER", "alice"));
        assert!(
            host.env()
                .localname(&Name::krb5_principal("Al@OTHER"))
                .is_err()
        );

        host.settings.localauth_sssd = true;
        assert!(host.may("Al@OTHER", "alice"), "the same number");
        assert!(host.may("CAROL@OTHER", "carol@OTHER"), "the same name");
        assert!(!host.may("carol@OTHER", "alice"), "another number");
        assert!(!host.may("al@OTHER", "alice"), "whom sssd does not know");
        assert!(host.may("alice@R", "alice"), "the rules count as before");
        let local = |name: &str| host.env().localname(&Name::krb5_principal(name));
        assert_eq!(local("carol@OTHER").unwrap(), "carol@OTHER");
        assert_eq!(local("boss@R").unwrap(), "alice");
        // A file that lists others denies, whatever sssd says.
        host.file("alice/.k5login", "x@R\n", 0o644);
        assert!(!host.may("Al@OTHER", "alice"));
        host.settings.k5login_authoritative = false;
        assert!(host.may("Al@OTHER", "alice"));
    }

    #[test]
    fn without_a_file_the_rules_decide() {
        let host = Host::new();
        assert!(host.may("alice@R", "alice"));
        assert!(host.may("boss@R", "alice"));
        assert!(host.may("bob@R", "bob"));
        assert!(!host.may("alice@OTHER", "alice"));
        assert!(!host.may("alice@R", "bob"));
        // Whom the host does not have nobody is.
        assert!(!host.may("carol@R", "carol"));
    }

    #[test]
    fn a_file_decides_alone() {
        let host = Host::new();
        let lines = "bob@OTHER\ncarol@R \n alice@R\nx@R";
        host.file("alice/.k5login", lines, 0o644);
        assert!(host.may("bob@OTHER", "alice"));
        assert!(host.may("x@R", "alice"), "the last line needs no end");
        for unlisted in [
            "alice@R",
            "boss@R",
            "carol@R",
            "bob@OTHE",
            "bob@OTHER2",
            "ob@OTHER",
        ] {
            assert!(!host.may(unlisted, "alice"), "{unlisted}");
        }
        assert!(!host.may("bob@OTHER", "bob"));
        host.file("alice/.k5login", "", 0o600);
        assert!(!host.may("alice@R", "alice"), "an empty file lists nobody");
    }

    #[test]
    fn a_file_that_does_not_decide_alone_adds_to_the_rules() {
        let mut host = Host::new();
        host.settings.k5login_authoritative = false;
        host.file("alice/.k5login", "bob@OTHER\n", 0o644);
        assert!(host.may("bob@OTHER", "alice"));
        assert!(host.may("alice@R", "alice"));
        assert!(!host.may("carol@R", "alice"));
    }

    #[test]
    fn files_may_be_in_one_directory() {
        let mut host = Host::new();
        let directory = host.dir.path().join("k5login");
        fs::create_dir(&directory).unwrap();
        host.settings.k5login_directory = Some(directory.display().to_string());
        host.file("alice/.k5login", "carol@OTHER\n", 0o644);
        assert!(host.may("alice@R", "alice"));
        host.file("k5login/alice", "bob@OTHER\n", 0o644);
        assert!(host.may("bob@OTHER", "alice"));
        assert!(!host.may("carol@OTHER", "alice"));
        assert!(!host.may("alice@R", "alice"));
        assert!(!host.may("alice@R", "../k5login/alice"));
    }

    /// Otherwise whoever can write there can log in as the user.
    #[test]
    fn a_file_that_others_may_write_lists_nobody() {
        let host = Host::new();
        for mode in [0o620, 0o602, 0o666] {
            host.file("alice/.k5login", "bob@OTHER\nalice@R\n", mode);
            assert!(!host.may("bob@OTHER", "alice"), "{mode:o}");
            assert!(!host.may("alice@R", "alice"), "{mode:o}");
        }
        // Ours, while bob has another number; root's would be believed.
        host.file("bob/.k5login", "bob@OTHER\nbob@R\n", 0o644);
        assert_eq!(host.may("bob@OTHER", "bob"), geteuid().is_root());
        assert_eq!(host.may("bob@R", "bob"), geteuid().is_root());
        fs::create_dir(host.dir.path().join("bob/dir")).unwrap();
        fs::remove_file(host.dir.path().join("bob/.k5login")).unwrap();
        fs::rename(
            host.dir.path().join("bob/dir"),
            host.dir.path().join("bob/.k5login"),
        )
        .unwrap();
        assert!(!host.may("bob@R", "bob"), "a directory");
        host.file("alice/.k5login", &"bob@OTHER\n".repeat(200_000), 0o644);
        assert!(!host.may("bob@OTHER", "alice"), "too long");
    }

    #[test]
    fn a_home_that_can_hold_no_file_leaves_it_to_the_rules() {
        let host = Host::new();
        let uid = geteuid().as_raw();
        // The home of alice as seen from the working directory.
        let here = std::env::current_dir().unwrap();
        let mut alice: std::path::PathBuf = here.components().skip(1).map(|_| "..").collect();
        alice.push(host.dir.path().join("alice").strip_prefix("/").unwrap());
        host.file("alice/.k5login", "bob@OTHER\n", 0o644);
        assert!(alice.join(".k5login").exists());
        for home in ["/dev/null", "/nowhere", "", alice.to_str().unwrap()] {
            let line = format!("alice:x:{uid}:0::{home}:/bin/sh\n");
            host.file("passwd", &line, 0o644);
            assert!(host.may("alice@R", "alice"), "{home}");
            assert!(!host.may("bob@OTHER", "alice"), "{home}");
        }
    }

    /// What may be there and cannot be looked for: the user may have listed others alone.
    #[test]
    fn a_file_that_cannot_be_looked_for_lists_nobody() {
        let host = Host::new();
        let path = host.dir.path().join("alice/.k5login");
        std::os::unix::fs::symlink(&path, &path).unwrap();
        assert!(!host.may("alice@R", "alice"));
    }

    #[test]
    fn nobody_in_particular_is_nobodys_user() {
        let host = Host::new();
        let nobody = "WELLKNOWN/ANONYMOUS@R";
        host.file("alice/.k5login", &format!("{nobody}\n"), 0o644);
        assert!(!host.may(nobody, "alice"));
    }

    #[test]
    fn a_rule_that_cannot_be_followed_lets_nobody_in() {
        let mut host = Host::new();
        let realm = Realm {
            auth_to_local: vec!["RULE:[1:$1".to_owned(), "DEFAULT".to_owned()],
            ..Realm::default()
        };
        host.settings.realms.insert("R", realm);
        let alice = Name::krb5_principal("alice@R");
        assert!(host.env().userok(&alice, "alice").is_err());
        assert_eq!(
            host.env().localname(&alice).unwrap_err().major(),
            Major::Failure
        );
        host.settings.default_realm = None;
        assert!(host.env().localname(&alice).is_err());
    }
}
