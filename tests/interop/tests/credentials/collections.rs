//! Directories of caches, `.k5identity` and client keytabs: ours and MIT's programs in one home.

use baton::{Acquire, Credential, Initiator, Name, StoreCred, Usage};
use interop::Vendor;
use interop::realm::CLIENT;

use crate::{User, alice, client, converse};

#[test]
fn a_directory_of_caches_is_shared_with_their_programs() {
    for vendor in Vendor::ALL {
        let user = User::of(vendor);
        let service = user.client_keytab("e17");
        let directory = user.named("DIR", "caches");
        std::fs::create_dir(user.path("caches")).unwrap();
        let env = user.env(&directory);
        // Theirs first, then ours, then theirs: each beside the others.
        user.kinit(&directory, &[CLIENT]);
        let found = Credential::initiator(&env, None).unwrap();
        assert_eq!(found.name().unwrap().to_string(), client());
        assert_eq!(converse(&env, &found), client());
        let name = Name::krb5_principal(&service);
        let ours = Acquire::new(&env, Usage::Initiate)
            .name(&name)
            .acquire()
            .unwrap();
        assert_eq!(converse(&env, &ours), service);

        let listed = user.run("/usr/bin/klist", &directory, &["-A"]);
        for principal in [&client(), &service] {
            let line = format!("Default principal: {principal}");
            assert!(listed.contains(&line), "{listed}");
        }
        let list = user.run("/usr/bin/klist", &directory, &["-l"]);
        assert_eq!(list.lines().count(), 4, "{list}");

        // Who switches decides for both.
        user.run("/usr/bin/kswitch", &directory, &["-p", &service]);
        let default = Credential::initiator(&env, None).unwrap();
        assert_eq!(default.name().unwrap().to_string(), service);
        StoreCred::new(&env)
            .overwrite()
            .make_default()
            .store_cred(&alice(&env))
            .unwrap();
        let listed = user.run("/usr/bin/klist", &directory, &[]);
        assert!(
            listed.contains(&format!("Default principal: {}", client())),
            "{listed}"
        );
        for library in Vendor::ALL {
            let answer = user.peer(library, &directory, &["acquire", "initiate", "-"]);
            assert_eq!(
                (&*answer[0], &answer[2]),
                ("0", &client()),
                "{library:?}: {answer:?}"
            );
        }
    }
}

/// The same home, the same target: theirs and ours are the same client.
#[test]
fn both_choose_the_same_client() {
    let user = User::of(Vendor::Mit);
    let service = user.client_keytab("e17");
    let directory = user.named("DIR", "caches");
    std::fs::create_dir(user.path("caches")).unwrap();
    let env = user.env(&directory);
    let both = |target: &str| {
        let name = Name::hostbased_service(target);
        let cred = Acquire::new(&env, Usage::Initiate).acquire().unwrap();
        Initiator::new(&env, &cred, &name).start().unwrap();
        let ours = cred.name().unwrap().to_string();
        let answer = user.peer(
            Vendor::Mit,
            &directory,
            &["select", &format!("HOSTBASED:{target}")],
        );
        assert_eq!(answer, ["0".to_owned(), ours.clone()], "{target}");
        ours
    };
    // Nothing but the client keytab.
    assert_eq!(both("e18@localhost"), service);
    user.kinit(&directory, &[CLIENT]);
    let rules = [
        format!("{service} service=e19\n"),
        format!("# {service}\n{} host=*\n", client()),
        format!(
            "{service} host=elsewhere*\n\t{} realm=INTEROP.[S-U]EST service=e1?\n",
            client()
        ),
        format!(
            "{service} unknown=field\n{} service=[!x]18\n{service}\n",
            client()
        ),
        format!("{service} service=e1[89] host=LOCALHOST\n"),
        String::new(),
    ];
    let mut seen = std::collections::BTreeSet::new();
    for rule in rules {
        std::fs::write(user.path(".k5identity"), rule).unwrap();
        for target in ["e18@localhost", "e19@localhost"] {
            seen.insert(both(target));
        }
    }
    assert_eq!(seen.len(), 2, "{seen:?}");
}

#[test]
fn the_refresh_time_of_either_is_known_to_the_other() {
    let user = User::of(Vendor::Mit);
    let service = user.client_keytab("e18");
    let cache = user.named("FILE", "cc");
    let env = user.env(&cache);
    let refresh = || user.run("/usr/bin/klist", &cache, &["-C"]);
    let set = |mark: bool| {
        let path = user.path("cc");
        let bytes = std::fs::read(&path).unwrap();
        let mut contents = baton::kerberos::ccache::CredentialCache::parse(&bytes).unwrap();
        contents.set_config("refresh_time", None, b"1");
        if mark {
            contents.set_config("mark", None, b"old");
        }
        std::fs::write(&path, &*contents.encode().unwrap()).unwrap();
    };
    let marked = || refresh().contains("mark = old");
    // Ours makes it, theirs renews it; theirs makes it, ours renews it.
    Credential::initiator(&env, None).unwrap();
    assert!(refresh().contains("refresh_time = "), "{}", refresh());
    let target = ["select", "HOSTBASED:e18@localhost"];
    set(true);
    assert_eq!(user.peer(Vendor::Mit, &cache, &target), ["0", &service]);
    assert!(!marked(), "theirs did not renew: {}", refresh());
    set(true);
    Credential::initiator(&env, None).unwrap();
    assert!(!marked(), "ours did not renew: {}", refresh());
    std::fs::remove_file(user.path("cc")).unwrap();
    user.peer(Vendor::Mit, &cache, &target);
    let made = refresh();
    assert!(made.contains("refresh_time = "), "{made}");
    Credential::initiator(&env, None).unwrap();
    assert_eq!(refresh(), made, "ours renewed what is fresh");
}
