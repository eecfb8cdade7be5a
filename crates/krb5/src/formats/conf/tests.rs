use std::collections::HashMap;

use super::*;

/// Files by their paths; a directory is whatever paths begin with it.
#[derive(Default)]
struct Files(HashMap<&'static str, &'static str>);

impl Files {
    fn of(files: &[(&'static str, &'static str)]) -> Self {
        Self(files.iter().copied().collect())
    }
}

impl Source for Files {
    fn file(&self, path: &str) -> Result<Vec<u8>, ErrorKind> {
        match self.0.get(path) {
            Some(&"forbidden") => Err(ErrorKind::PermissionDenied),
            Some(contents) => Ok(contents.as_bytes().to_vec()),
            None if self.directory(path).is_ok() => Err(ErrorKind::IsADirectory),
            None => Err(ErrorKind::NotFound),
        }
    }

    fn directory(&self, path: &str) -> Result<Vec<String>, ErrorKind> {
        let within = self
            .0
            .keys()
            .filter_map(|name| name.strip_prefix(path)?.strip_prefix('/'));
        let names: Vec<_> = within.map(str::to_owned).collect();
        if names.is_empty() {
            Err(ErrorKind::NotFound)
        } else {
            Ok(names)
        }
    }
}

fn parse(text: &str) -> Result<Profile, ConfError> {
    Profile::parse("krb5.conf", text.as_bytes(), &())
}

fn values<'p>(profile: &'p Profile, path: &[&str]) -> Vec<&'p str> {
    let relations = profile.relations(path).into_iter();
    relations.map(|relation| relation.value.as_str()).collect()
}

fn problem(text: &str) -> (usize, ConfProblem) {
    let error = parse(text).err().unwrap_or_else(|| panic!("{text} parses"));
    assert_eq!(&*error.place.file, "krb5.conf");
    (error.place.line, error.problem)
}

#[test]
fn sections_relations_and_braces() {
    let profile = parse(
        "everything before the first section is comment = { }\n\
         [one]\n\
         ; a comment\n\
         \t# another\n\
         a = 1\n a=2  \n\
         \tb =   with blanks  inside # and this too \r\n\
         sub = {\n  c = 3\n  deeper =\n{ whatever\n d = 4\n }\n}\n\
         [two] \n\
         a = other\n\
         [one]\n\
         a = 3\n\
         sub = {\n c = 5\n }\n\
         brace = { not alone\n",
    )
    .unwrap();
    assert_eq!(values(&profile, &["one", "a"]), ["1", "2", "3"]);
    assert_eq!(
        values(&profile, &["one", "b"]),
        ["with blanks  inside # and this too"]
    );
    assert_eq!(values(&profile, &["one", "sub", "c"]), ["3", "5"]);
    assert_eq!(values(&profile, &["one", "sub", "deeper", "d"]), ["4"]);
    assert_eq!(values(&profile, &["two", "a"]), ["other"]);
    assert_eq!(values(&profile, &["one", "brace"]), ["{ not alone"]);
    assert_eq!(profile.string(&["one", "sub"]), None);
    assert_eq!(profile.subsections(&["one"]), ["sub"]);
    assert_eq!(profile.subsections(&[]), ["one", "two"]);
    assert_eq!(profile.all_relations(&["two"]).len(), 1);
    let relation = profile.relation(&["one", "sub", "c"]).unwrap();
    assert_eq!(relation.place.to_string(), "krb5.conf:9");
}

#[test]
fn quoted_strings() {
    let profile = parse(
        "[s]\n a = \"  b \\\" \\\\ \\n\\t\\b\\q\" ignored\n b = \"\"\n c = \"unclosed\n d = \"end\\\n e = not \"quoted\"\n",
    )
    .unwrap();
    assert_eq!(values(&profile, &["s", "a"]), ["  b \" \\ \n\t\x08q"]);
    assert_eq!(values(&profile, &["s", "b"]), [""]);
    assert_eq!(values(&profile, &["s", "c"]), ["unclosed"]);
    assert_eq!(values(&profile, &["s", "d"]), ["end\\"]);
    assert_eq!(values(&profile, &["s", "e"]), ["not \"quoted\""]);
}

#[test]
fn errors_name_their_line() {
    use ConfProblem as P;
    assert_eq!(problem("[s]\na = {\n[t]\n"), (3, P::SectionWithinBraces));
    assert_eq!(problem("[s\n"), (1, P::SectionSyntax));
    assert_eq!(problem("[s] x\n"), (1, P::SectionSyntax));
    assert_eq!(problem("\n[s]\nrubbish\n"), (3, P::RelationSyntax));
    assert_eq!(problem("[s]\n= a\n"), (2, P::RelationSyntax));
    assert_eq!(problem("[s]\na b = c\n"), (2, P::RelationSyntax));
    assert_eq!(problem("[s]\na =\n\nb = c"), (3, P::MissingBrace));
    assert_eq!(problem("[s]\n}\n"), (2, P::ExtraBrace));
    assert_eq!(problem("[s]\na = {\n}\n}\n"), (4, P::ExtraBrace));
    assert_eq!(problem("# x\nmodule /lib/x.so:y\n[s]\n"), (2, P::Module));
    let error = Profile::parse("f", b"# \xff\n[s]\na = \xff\n", &()).unwrap_err();
    assert_eq!((error.place.line, error.problem), (3, P::NotUtf8));
    assert_eq!(
        parse("[s]\n}\n").unwrap_err().to_string(),
        "krb5.conf:2: a closing brace without an opening one"
    );
}

#[test]
fn a_module_line_after_the_first_section_is_like_any_other() {
    assert_eq!(problem("[s]\nmodule /x\n").1, ConfProblem::RelationSyntax);
}

#[test]
fn braces_open_at_the_end_are_forgiven_as_by_mit() {
    let profile = parse("[s]\na = {\n b = c\n").unwrap();
    assert_eq!(values(&profile, &["s", "a", "b"]), ["c"]);
    assert!(parse("[s]\na =\n").is_ok());
}

#[test]
fn depth_is_bounded() {
    let deep = |levels| format!("[s]\n{}", "a = {\n".repeat(levels));
    assert!(parse(&deep(MAX_NESTING)).is_ok());
    let (line, problem) = problem(&deep(1_000_000));
    assert_eq!((line, problem), (MAX_NESTING + 2, ConfProblem::TooDeep));
    // Where everything is discarded too.
    let text = format!("[s]\na = {{\n}}*\na = {{\n{}", "b = {\n".repeat(1_000_000));
    assert_eq!(parse(&text).unwrap_err().problem, ConfProblem::TooDeep);
}

#[test]
fn a_final_relation_takes_no_further_value() {
    let profile = parse("[s]\na* = 1\na = 2\nb = 1\nb* = 2\nb = 3\n").unwrap();
    assert_eq!(values(&profile, &["s", "a"]), ["1"]);
    assert_eq!(values(&profile, &["s", "b"]), ["1", "2"]);
}

#[test]
fn a_final_section_takes_nothing_further() {
    let profile =
        parse("[s]*\na = 1\nt = {\n x = 1\n}\n[s]\na = 2\nt = {\n x = 2\n}\n[u]\na = 3\n").unwrap();
    assert_eq!(values(&profile, &["s", "a"]), ["1"]);
    assert_eq!(values(&profile, &["s", "t", "x"]), ["1"]);
    assert_eq!(values(&profile, &["u", "a"]), ["3"]);
}

#[test]
fn a_final_subsection_takes_nothing_further() {
    for mark in ["a* = {\n x = 1\n}\n", "a = {\n x = 1\n}*\n"] {
        let text = format!("[s]\n{mark}a = {{\n x = 2\n y = {{\n z = 3\n }}\n}}\nb = 4\n");
        let profile = parse(&text).unwrap();
        assert_eq!(values(&profile, &["s", "a", "x"]), ["1"], "{mark}");
        assert_eq!(values(&profile, &["s", "a", "y", "z"]), [""; 0], "{mark}");
        assert_eq!(values(&profile, &["s", "b"]), ["4"], "{mark}");
    }
}

#[test]
fn files_of_a_list_are_asked_one_after_the_other() {
    let files = Files::of(&[
        (
            "/one",
            "[s]\na = 1\n[f]*\na = 1\n[r]\nx = {\n k = 1\n}*\nb* = 1\n",
        ),
        (
            "/two",
            "[s]\na = 2\n[f]\na = 2\nb = 2\n[r]\nx = {\n k = 2\n j = 2\n}\nb = 2\n",
        ),
    ]);
    let profile = Profile::load(["/missing", "/one", "/two"], &files).unwrap();
    assert_eq!(values(&profile, &["s", "a"]), ["1", "2"]);
    assert_eq!(values(&profile, &["f", "a"]), ["1"]);
    assert_eq!(
        values(&profile, &["f", "b"]),
        [""; 0],
        "the section was final"
    );
    assert_eq!(values(&profile, &["r", "x", "k"]), ["1"]);
    assert_eq!(values(&profile, &["r", "x", "j"]), [""; 0]);
    assert_eq!(values(&profile, &["r", "b"]), ["1"]);
    assert_eq!(profile.subsections(&["r"]), ["x"]);
    let relation = profile.relations(&["s", "a"])[1];
    assert_eq!(relation.place.to_string(), "/two:2");
}

#[test]
fn files_that_are_missing_or_forbidden_are_left_out() {
    let files = Files::of(&[("/no", "forbidden"), ("/one", "[s]\na = 1\n")]);
    let profile = Profile::load(["/no", "/one"], &files).unwrap();
    assert_eq!(values(&profile, &["s", "a"]), ["1"]);
    assert!(
        Profile::load(["/x", "/y"], &files)
            .unwrap()
            .subsections(&[])
            .is_empty()
    );
    let error = Profile::load(["/x", "/no"], &files).unwrap_err();
    assert_eq!(
        error.problem,
        ConfProblem::Unreadable(ErrorKind::PermissionDenied)
    );
    assert_eq!(error.place.to_string(), "/no");
}

#[test]
fn includes_share_the_tree_and_nothing_else() {
    let files = Files::of(&[
        (
            "/etc/inc",
            "x = comment here\n[s]\na = 2\nsub = {\n b = 1\n",
        ),
        (
            "/main",
            "include /etc/inc\n[s]\nsub = {\n b = 2\ninclude   /etc/inc\r\n b = 3\n}\na = 4\n",
        ),
    ]);
    let profile = Profile::load(["/main"], &files).unwrap();
    assert_eq!(values(&profile, &["s", "a"]), ["2", "2", "4"]);
    assert_eq!(values(&profile, &["s", "sub", "b"]), ["1", "2", "1", "3"]);
    let error = Profile::parse("main", b"[s]\ninclude /etc/none\n", &files).unwrap_err();
    assert_eq!(
        error.to_string(),
        "main:2: cannot include /etc/none: entity not found"
    );
    // An error in an included file names that file.
    let files = Files::of(&[("/bad", "[s]\n}\n")]);
    let error = Profile::parse("main", b"include /bad\n", &files).unwrap_err();
    assert_eq!(error.place.to_string(), "/bad:2");
    // Only at the very beginning of a line is it a directive.
    assert_eq!(problem("[s]\n include /x\n").1, ConfProblem::RelationSyntax);
    assert_eq!(
        values(&parse("[s]\nincluded = x\n").unwrap(), &["s", "included"]),
        ["x"]
    );
}

#[test]
fn includedir_takes_names_that_are_no_backups_in_order() {
    let files = Files::of(&[
        ("/d/b", "[s]\na = b\n"),
        ("/d/a.conf", "[s]\na = a.conf\n"),
        ("/d/c-1_D", "[s]\na = c-1_D\n"),
        ("/d/.hidden.conf", "[s]\na = hidden\n"),
        ("/d/b~", "[s]\na = backup\n"),
        ("/d/x.rpmsave", "[s]\na = rpmsave\n"),
        ("/d/.conf", "[s]\na = dot\n"),
    ]);
    let profile = Profile::parse("main", b"includedir /d\n", &files).unwrap();
    assert_eq!(values(&profile, &["s", "a"]), ["a.conf", "b", "c-1_D"]);
    // As a member of KRB5_CONFIG a directory is read the same way.
    let profile = Profile::load(["/d"], &files).unwrap();
    assert_eq!(values(&profile, &["s", "a"]), ["a.conf", "b", "c-1_D"]);
    let error = Profile::parse("main", b"includedir /none\n", &files).unwrap_err();
    assert!(matches!(error.problem, ConfProblem::Include { .. }));
}

#[test]
fn includes_end() {
    let files = Files::of(&[
        ("/self", "include /self\n"),
        ("/ping", "include /pong\n"),
        ("/pong", "include /ping\n"),
    ]);
    for path in ["/self", "/ping"] {
        let error = Profile::load([path], &files).unwrap_err();
        assert!(
            matches!(error.problem, ConfProblem::IncludeLoop { .. }),
            "{error}"
        );
    }
    /// A file that includes another name of itself, twice.
    struct Doubling;
    impl Source for Doubling {
        fn file(&self, path: &str) -> Result<Vec<u8>, ErrorKind> {
            Ok(format!("include {path}a\ninclude {path}b\n").into_bytes())
        }
        fn directory(&self, _: &str) -> Result<Vec<String>, ErrorKind> {
            Err(ErrorKind::NotFound)
        }
    }
    let error = Profile::load(["/"], &Doubling).unwrap_err();
    assert_eq!(error.problem, ConfProblem::IncludesTooDeep);
    let mut wide = String::new();
    for _ in 0..=MAX_FILES {
        wide.push_str("include /leaf\n");
    }
    let files = Files::of(&[("/leaf", "")]);
    let error = Profile::parse("wide", wide.as_bytes(), &files).unwrap_err();
    assert_eq!(
        (error.place.line, error.problem),
        (MAX_FILES + 1, ConfProblem::TooManyFiles)
    );
}

#[test]
fn words_for_yes_and_no() {
    for text in ["y", "YES", "true", "t", "1", "On"] {
        assert_eq!(boolean(text), Some(true), "{text}");
    }
    for text in ["n", "No", "FALSE", "nil", "0", "off"] {
        assert_eq!(boolean(text), Some(false), "{text}");
    }
    for text in ["", "2", "ye", "true "] {
        assert_eq!(boolean(text), None, "{text}");
    }
}

#[test]
fn spans_of_time() {
    let cases = [
        ("300", 300),
        ("0", 0),
        ("8h", 28_800),
        ("10m", 600),
        ("7s", 7),
        ("1d2h3m4s", 93_784),
        (" 1d 2h 3m 4s ", 93_784),
        ("1d4s", 86_404),
        ("10:00:00", 36_000),
        ("1:30", 5_400),
        ("2-1:00:05", 176_405),
        ("2147483647", 2_147_483_647),
        ("100d", 8_640_000),
    ];
    for (text, seconds) in cases {
        assert_eq!(duration(text), Some(Duration::from_secs(seconds)), "{text}");
    }
    for text in [
        "",
        " ",
        "d",
        "1x",
        "1h1d",
        "1d1d",
        "h1",
        "-5",
        "1:2:3:4",
        "1:",
        ":1",
        "2-1:00",
        "1.5",
        "1d -2h",
        "2147483648",
        "99999d",
        "18446744073709551616",
        "1 2",
        "1h x",
        "é",
        "1d\u{e9}",
    ] {
        assert_eq!(duration(text), None, "{text}");
    }
}

#[test]
fn values_of_the_wrong_kind_name_their_place() {
    let profile = parse("[s]\na = maybe\nn = 12x\nt = soon\n m = -7\n").unwrap();
    let text = |error: ConfError| error.to_string();
    let error = profile.boolean(&["s", "a"]).map_err(text).unwrap_err();
    assert_eq!(
        error,
        "krb5.conf:2: a is `maybe`, which is neither true nor false"
    );
    assert!(profile.number(&["s", "n"]).is_err());
    assert_eq!(profile.number(&["s", "m"]), Ok(Some(-7)));
    assert_eq!(profile.number(&["s", "none"]), Ok(None));
    assert_eq!(profile.duration(&["s", "t"]).unwrap_err().place.line, 4);
}

#[test]
fn damage_never_panics() {
    let text = "[a]*\nb* = \"c\\n\"\nd = {\n e =\n {\n f = 1\n }*\n}\n[g]\n h = 2\n";
    assert!(parse(text).is_ok());
    for other in super::super::vectors::damaged(text.as_bytes()) {
        if let Ok(profile) = Profile::parse("f", &other, &()) {
            for section in profile.subsections(&[]) {
                _ = profile.all_relations(&[section]);
            }
        }
    }
}
