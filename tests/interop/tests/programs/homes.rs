//! Where libraries are not at ease: sandboxes, forks, chroots, set-uid programs, programs that unload them. `peers/homes.c` and
//! `peers/unloaded.c` live there.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use interop::library::Library;
use interop::peer::{compile, compile_with};

use crate::site::{account, client, is_root, realm, said};

fn homes() -> PathBuf {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM
        .get_or_init(|| compile("homes.c", "mit-krb5-gssapi", "homes"))
        .clone()
}

fn lives(arguments: &[&str]) -> Command {
    let mut command = client(Library::Ours, homes().to_str().unwrap());
    command.args(arguments);
    command
}

#[test]
fn in_a_sandbox_like_sshds_messages_go_on() {
    said(&lives(&["sandbox"]));
}

#[test]
fn a_child_goes_on_with_a_context_that_its_parent_deletes() {
    said(&lives(&["fork"]));
}

#[test]
fn after_an_export_every_inherited_copy_is_dead() {
    said(&lives(&["fork-export"]));
}

#[test]
fn signals_locale_errno_and_descriptors_are_left_alone() {
    said(&lives(&["untouched"]));
}

#[test]
fn in_a_chroot_a_context_goes_on() {
    if !is_root() {
        eprintln!("not root: there is no chroot");
        return;
    }
    let empty = realm().path("empty");
    fs::create_dir(&empty).unwrap();
    said(&lives(&["chroot", empty.to_str().unwrap()]));
}

#[test]
fn a_library_is_unloaded_under_threads_that_used_it() {
    let program = compile_with(
        "unloaded.c",
        "mit-krb5-gssapi",
        "unloaded",
        None,
        &["-pthread"],
    );
    let mut command = client(Library::Ours, program.to_str().unwrap());
    said(command.env("KRB5CCNAME", "FILE:/nonexistent/tickets"));
}

#[test]
fn a_set_uid_program_does_not_believe_its_environment() {
    if !is_root() {
        eprintln!("not root: there is nobody whose rights a program could have");
        return;
    }
    // The dynamic linker does not believe it either: the program knows its library's place.
    let place = format!("-Wl,-rpath,{}", realm().path("library").display());
    let built = compile_with(
        "homes.c",
        "mit-krb5-gssapi",
        "homes-set-uid",
        None,
        &[&place],
    );
    let program = realm().path("set-uid");
    fs::copy(built, &program).unwrap();
    let [user, group] = account("nobody").map(|number| number.to_string());
    let mut command = realm().command("/usr/bin/setpriv", "none");
    command.args(["--reuid", &user, "--regid", &group, "--clear-groups"]);
    command.arg(&program).arg("realm");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(
        said(&command),
        format!("{user} {user} alice@INTEROP.TEST\n")
    );
    fs::set_permissions(&program, fs::Permissions::from_mode(0o4755)).unwrap();
    let known = said(&command);
    if known.starts_with(&format!("{user} {user} ")) {
        eprintln!("the temporary directory's file system knows no set-uid programs");
        return;
    }
    assert!(known.starts_with(&format!("{user} 0 ")), "{known}");
    assert!(!known.contains("INTEROP.TEST"), "{known}");
}
