//! The C headers of `capi/include` beside MIT's and GNU's: each compiles alone in every version of C and C++, and what those declare
//! ours declares alike.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const ALL: [&str; 13] = [
    "gss.h",
    "gss/api.h",
    "gss/ext.h",
    "gss/krb5-ext.h",
    "gss/krb5.h",
    "gssapi.h",
    "gssapi/gssapi.h",
    "gssapi/gssapi_alloc.h",
    "gssapi/gssapi_ext.h",
    "gssapi/gssapi_generic.h",
    "gssapi/gssapi_krb5.h",
    "gssapi/mechglue.h",
    "krb5.h gssapi/gssapi_krb5.h",
];

/// What a program includes for all of one interface, and the table of the library's symbols.
const INTERFACES: [(&[&str], &str); 2] = [
    (
        &[
            "gssapi.h",
            "gssapi/gssapi_ext.h",
            "gssapi/gssapi_generic.h",
            "gssapi/gssapi_krb5.h",
        ],
        "gssapi_krb5",
    ),
    (&["gss.h"], "gss"),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Whose headers are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Whose {
    Ours,
    Theirs,
}

/// Gives `source` to the C compiler; what it writes.
fn cc(whose: Whose, options: &[&str], source: &str) -> String {
    let mut command = Command::new("cc");
    if whose == Whose::Ours {
        command.arg("-I").arg(root().join("capi/include"));
    }
    command
        .args(options)
        .arg("-")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command
        .spawn()
        .unwrap_or_else(|error| panic!("cc: {error}: run tests/install first"));
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), source.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let wrong = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{whose:?} {options:?}: {wrong}\n{source}"
    );
    String::from_utf8(output.stdout).unwrap()
}

fn including(headers: &[&str]) -> String {
    headers
        .iter()
        .fold(String::new(), |all, header| all + &include(header))
}

fn include(headers: &str) -> String {
    headers
        .split(' ')
        .map(|header| format!("#include <{header}>\n"))
        .collect()
}

#[test]
fn each_header_compiles_alone_in_every_language() {
    let languages = [
        ("c", "c89"),
        ("c", "c99"),
        ("c", "c11"),
        ("c", "c17"),
        ("c++", "c++98"),
        ("c++", "c++11"),
        ("c++", "c++20"),
    ];
    for (language, version) in languages {
        for header in ALL {
            let standard = format!("-std={version}");
            let options = [
                "-fsyntax-only",
                "-Wall",
                "-Wextra",
                "-Werror",
                "-pedantic",
                &standard,
                "-x",
                language,
            ];
            cc(Whose::Ours, &options, &include(header).repeat(2));
        }
    }
}

/// The folders that the compiler looks into, but with none of libkrb5's headers in them.
#[test]
fn the_kerberos_header_does_without_libkrb5() {
    let place = tempfile::tempdir().unwrap();
    for entry in fs::read_dir("/usr/include").unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name();
        if !name.to_string_lossy().starts_with("krb5") {
            std::os::unix::fs::symlink(entry.path(), place.path().join(name)).unwrap();
        }
    }
    let machine = cc(Whose::Theirs, &["-print-multiarch"], "");
    let machine = format!("/usr/include/{}", machine.trim());
    let own = cc(Whose::Theirs, &["-print-file-name=include"], "");
    let system = place.path().to_str().unwrap();
    let options = [
        "-nostdinc",
        "-isystem",
        own.trim(),
        "-isystem",
        &machine,
        "-isystem",
        system,
        "-fsyntax-only",
        "-Wall",
        "-Werror",
        "-x",
        "c",
    ];
    let program = "#ifdef KRB5_KRB5_H_INCLUDED\n#error libkrb5 is there\n#endif\n\
        struct _krb5_ccache; OM_uint32 f(struct _krb5_ccache *c) { OM_uint32 m; return gss_krb5_copy_ccache(&m, 0, c); }\n";
    let source = include("gssapi/gssapi_krb5.h") + program;
    cc(Whose::Ours, &options, &source);
}

/// The declarations of `headers` that have to do with GSS-API, by the names that they declare.
fn declarations(whose: Whose, headers: &[&str]) -> BTreeMap<String, String> {
    let text = cc(whose, &["-E", "-P", "-x", "c"], &including(headers));
    let mut all = BTreeMap::new();
    for statement in text.split(';') {
        let words = statement.split_whitespace().collect::<Vec<_>>().join(" ");
        if words.contains(['{', '}']) || words.starts_with("typedef") {
            continue;
        }
        let head = words.split('(').next().unwrap_or_default();
        let head = head.split('[').next().unwrap_or_default();
        let name = head.rsplit([' ', '*']).find(|word| !word.is_empty());
        let Some(name) = name else { continue };
        if ["gss", "GSS_", "krb5_gss"]
            .iter()
            .any(|start| name.starts_with(start))
        {
            all.insert(name.to_owned(), words.clone() + ";\n");
        }
    }
    all
}

fn symbols(library: &str) -> BTreeSet<String> {
    let file = root().join("capi").join(library).join("symbols.txt");
    let text = fs::read_to_string(file).unwrap();
    let lines = text
        .lines()
        .filter(|line| line.starts_with("function ") || line.starts_with("data "));
    lines
        .map(|line| line.rsplit(' ').next().unwrap().to_owned())
        .collect()
}

#[test]
fn what_theirs_declare_and_export_ours_declare_alike() {
    for (headers, library) in INTERFACES {
        let [ours, theirs] = [Whose::Ours, Whose::Theirs].map(|whose| declarations(whose, headers));
        let exported = symbols(library);
        let mut again = including(headers);
        let mut count = 0;
        for (name, declaration) in &theirs {
            if exported.contains(name) {
                assert!(ours.contains_key(name), "{library}: {name} is not declared");
                count += 1;
            }
            // A second declaration has to be compatible with the first (C17 §6.7).
            again += declaration;
        }
        assert!(count >= 70, "{library}: {count} of {}", exported.len());
        cc(
            Whose::Ours,
            &["-fsyntax-only", "-Werror", "-x", "c"],
            &again,
        );
        // And what nobody's header has are the library's own affairs.
        let hidden: Vec<_> = exported
            .iter()
            .filter(|name| !ours.contains_key(*name))
            .collect();
        let allowed = |name: &&&String| {
            [
                "gssint_",
                "gss_krb5int_",
                "krb5_gss_dbg",
                "krb5_gss_use_kdc",
                "gssspi_set_cred_option",
            ]
            .iter()
            .any(|start| name.starts_with(start))
        };
        assert_eq!(
            hidden.iter().filter(|name| !allowed(name)).count(),
            0,
            "{hidden:?}"
        );
    }
}

/// A declaration that is not alike is found out, so the test above can fail.
#[test]
fn a_declaration_that_differs_is_refused() {
    let source = include("gssapi.h") + "int gss_release_oid_set(OM_uint32 *, gss_OID_set);\n";
    let refused = std::panic::catch_unwind(|| {
        cc(Whose::Ours, &["-fsyntax-only", "-x", "c"], &source);
    });
    assert!(refused.is_err());
}

/// The macros of `headers` that have to do with GSS-API: parameters and expansion, without blanks, by name.
fn macros(whose: Whose, headers: &[&str]) -> BTreeMap<String, String> {
    let text = cc(whose, &["-E", "-dM", "-x", "c"], &including(headers));
    let mut all = BTreeMap::new();
    for line in text.lines() {
        let rest = line.strip_prefix("#define ").unwrap_or_default();
        let end = rest.find([' ', '(']).unwrap_or(rest.len());
        let (name, expansion) = rest.split_at(end);
        let ours = ["GSS_", "gss_", "gsskrb5_"]
            .iter()
            .any(|start| name.starts_with(start));
        // Include guards say nothing, and GNU's begin with these letters too.
        if ours && !expansion.trim().is_empty() && !name.ends_with("_H_") && !name.ends_with("_H") {
            all.insert(name.to_owned(), expansion.replace(char::is_whitespace, ""));
        }
    }
    all
}

/// What a program prints of each: its value and its type; of one with a parameter, for a status with all its fields set.
fn values(whose: Whose, headers: &[&str], names: &BTreeMap<&String, bool>) -> String {
    let mut source = including(headers);
    source += "#include <stdio.h>\n\
        #define TYPE(x) _Generic((x), int: \"int\", unsigned: \"unsigned\", unsigned long: \"unsigned long\", char *: \"text\", default: \"other\")\n\
        int main(void) {\n";
    for (name, takes_one) in names {
        let it = if *takes_one {
            format!("{name}(0x01020304u)")
        } else {
            (*name).clone()
        };
        let _ = writeln!(
            source,
            "printf(\"{name} %llx %zu %s\\n\", (unsigned long long)(size_t)({it}), sizeof({it}), TYPE({it}));"
        );
    }
    source += "return 0;\n}\n";
    let place = tempfile::tempdir().unwrap();
    let program = place.path().join("values");
    cc(
        whose,
        &["-o", program.to_str().unwrap(), "-x", "c"],
        &source,
    );
    let output = Command::new(program).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn constants_have_their_values_and_types() {
    for (headers, library) in INTERFACES {
        let [ours, theirs] = [Whose::Ours, Whose::Theirs].map(|whose| macros(whose, headers));
        let mut evaluated = BTreeMap::new();
        for (name, expansion) in &theirs {
            let own = ours.get(name);
            let own = own.unwrap_or_else(|| panic!("{library}: {name} is not defined"));
            // Other names of objects, initializers, and macros over structures are the same text.
            let text = |expansion: &str| match expansion
                .strip_prefix('(')
                .and_then(|rest| rest.split_once(')'))
            {
                Some((parameter, rest))
                    if parameter
                        .trim_start_matches('_')
                        .chars()
                        .all(|c| c.is_ascii_lowercase()) =>
                {
                    rest.replace(&format!("({parameter})"), "(x)")
                }
                _ => expansion.to_owned(),
            };
            if text(expansion) == text(own) {
                continue;
            }
            evaluated.insert(
                name,
                expansion.starts_with("(x)") || expansion.starts_with("(status)"),
            );
        }
        assert!(evaluated.len() > 5, "{library}: {evaluated:?}");
        let [our_values, their_values] =
            [Whose::Ours, Whose::Theirs].map(|whose| values(whose, headers, &evaluated));
        assert_eq!(our_values, their_values, "{library}");
    }
}

/// Sizes and places of members, as a program sees them.
fn layouts(whose: Whose, headers: &[&str]) -> String {
    let mut source = including(headers) + "#include <stdio.h>\nint main(void) {\n";
    let mut members = vec![
        ("gss_OID_desc", "length elements"),
        ("gss_OID_set_desc", "count elements"),
        ("gss_buffer_desc", "length value"),
        (
            "struct gss_channel_bindings_struct",
            "initiator_addrtype initiator_address acceptor_addrtype acceptor_address application_data",
        ),
        ("OM_uint32", ""),
        ("gss_qop_t", ""),
        ("gss_cred_usage_t", ""),
        ("gss_uint32", ""),
    ];
    if headers.len() > 1 {
        members.extend([
            ("gss_buffer_set_desc", "count elements"),
            ("gss_iov_buffer_desc", "type buffer"),
            ("gss_key_value_element_desc", "key value"),
            ("gss_key_value_set_desc", "count elements"),
            ("gss_krb5_lucid_key_t", "type length data"),
            ("gss_krb5_rfc1964_keydata_t", "sign_alg seal_alg ctx_key"),
            (
                "gss_krb5_cfx_keydata_t",
                "have_acceptor_subkey ctx_key acceptor_subkey",
            ),
            (
                "gss_krb5_lucid_context_v1_t",
                "version initiate endtime send_seq recv_seq protocol rfc1964_kd cfx_kd",
            ),
            ("gss_krb5_lucid_context_version_t", "version"),
        ]);
    }
    for (name, members) in members {
        let _ = writeln!(source, "printf(\"{name} %zu\\n\", sizeof({name}));");
        for member in members.split_whitespace() {
            let _ = writeln!(
                source,
                "printf(\"{name}.{member} %zu %zu\\n\", offsetof({name}, {member}), sizeof((({name} *)0)->{member}));"
            );
        }
    }
    source += "return 0;\n}\n";
    let place = tempfile::tempdir().unwrap();
    let program = place.path().join("layouts");
    cc(
        whose,
        &["-o", program.to_str().unwrap(), "-x", "c"],
        &source,
    );
    String::from_utf8(Command::new(program).output().unwrap().stdout).unwrap()
}

#[test]
fn structures_are_laid_out_alike() {
    for (headers, library) in INTERFACES {
        let [ours, theirs] = [Whose::Ours, Whose::Theirs].map(|whose| layouts(whose, headers));
        assert!(ours.lines().count() > 15);
        assert_eq!(ours, theirs, "{library}");
    }
}
