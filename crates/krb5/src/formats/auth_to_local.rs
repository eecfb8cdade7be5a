//! From principals to local users: `auth_to_local` and `auth_to_local_names` of a realm (MIT's krb5.conf(5)).
//!
//! Regular expressions are those of the crate `regex-lite`, which takes time in proportion to the text, whatever the expression. POSIX's
//! extended ones, which MIT uses, are read the same but for this: of two alternatives that match at one place the first one is
//! taken, not the longest; and there are more escapes, such as `\d`. Where a whole name has to match, as behind a selection, that makes
//! no difference.

use std::collections::BTreeMap;

use regex_lite::Regex;
use thiserror::Error;

use crate::principal::Principal;

/// Why a rule cannot be followed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RuleError {
    /// Neither `DEFAULT` nor `RULE:`.
    #[error("auth_to_local: `{0}` is neither DEFAULT nor RULE:...")]
    Kind(String),
    /// Not `[n:text]`, with `$` and a number at most n for what is put in.
    #[error("auth_to_local: `{0}` does not begin as [2:$1;$2] does, or not end with ]")]
    Selection(String),
    /// A parenthesis that does not close.
    #[error("auth_to_local: `{0}` has no closing parenthesis")]
    Match(String),
    /// Not `s/pattern/text/` or `s/pattern/text/g`.
    #[error("auth_to_local: `{0}` is not of the form s/pattern/text/ or s/pattern/text/g")]
    Substitution(String),
    /// The expression cannot be read, or is too large.
    #[error("auth_to_local: `{expression}` is not a regular expression: {cause}")]
    Expression {
        /// The expression.
        expression: String,
        /// What is wrong with it.
        #[source]
        cause: ExpressionError,
    },
}

/// What is wrong with an expression.
#[derive(Clone, Debug, Error)]
#[error(transparent)]
pub struct ExpressionError(regex_lite::Error);

impl PartialEq for ExpressionError {
    fn eq(&self, other: &Self) -> bool {
        self.0.to_string() == other.0.to_string()
    }
}

impl Eq for ExpressionError {}

/// How the names of a host's default realm become local users.
#[derive(Clone, Copy, Debug)]
pub struct LocalNames<'a> {
    /// The default realm.
    pub default_realm: &'a str,
    /// Its `auth_to_local`, in their order; `DEFAULT` if there are none.
    pub auth_to_local: &'a [String],
    /// Its `auth_to_local_names`.
    pub auth_to_local_names: &'a BTreeMap<String, String>,
}

impl LocalNames<'_> {
    /// The local user that `principal` is, if it is one: an explicit mapping, else what the first rule says that applies.
    ///
    /// What names no realm is about the default realm: explicit mappings, and rules that do not select. (MIT applies them to the
    /// principals of every realm.) Nobody in particular is nobody's user.
    pub fn local(&self, principal: &Principal) -> Result<Option<String>, RuleError> {
        if principal.is_anonymous() {
            return Ok(None);
        }
        let explicit = self.explicit(principal);
        if explicit.is_some() {
            return Ok(explicit.and_then(user));
        }
        if self.auth_to_local.is_empty() {
            return Ok(self.default(principal).and_then(user));
        }
        for rule in self.auth_to_local {
            let found = match rule.split_once(':') {
                Some(("RULE", rule)) => self.rule(rule, principal)?,
                None if rule == "DEFAULT" => self.default(principal),
                _ => return Err(RuleError::Kind(rule.clone())),
            };
            if found.is_some() {
                return Ok(found.and_then(user));
            }
        }
        Ok(None)
    }

    fn is_ours(&self, principal: &Principal) -> bool {
        principal.realm() == self.default_realm.as_bytes()
    }

    fn explicit(&self, principal: &Principal) -> Option<String> {
        let name = String::from_utf8(principal.name_to_bytes()).ok()?;
        let mapped = self.auth_to_local_names.get(&name);
        mapped.filter(|_| self.is_ours(principal)).cloned()
    }

    /// `user@REALM`, and `user/REALM@REALM`, of the default realm.
    fn default(&self, principal: &Principal) -> Option<String> {
        let user = match principal.components() {
            [user] => user,
            [user, realm] if **realm == *self.default_realm.as_bytes() => user,
            _ => return None,
        };
        let user = String::from_utf8(user.to_vec()).ok();
        user.filter(|_| self.is_ours(principal))
    }

    /// What follows `RULE:`.
    fn rule(&self, rule: &str, principal: &Principal) -> Result<Option<String>, RuleError> {
        let (selected, rest) = match rule.strip_prefix('[') {
            Some(selection) => select(selection, rule, principal)?,
            None => {
                let name = String::from_utf8(principal.name_to_bytes()).ok();
                (name.filter(|_| self.is_ours(principal)), rule)
            }
        };
        // What does not apply is not looked at any further.
        let Some(selected) = selected else {
            return Ok(None);
        };
        let rest = match rest.strip_prefix('(') {
            Some(rest) => {
                let (wanted, rest) = rest
                    .split_once(')')
                    .ok_or_else(|| RuleError::Match(rule.to_owned()))?;
                if !expression(&format!(r"\A(?:{wanted})\z"), wanted)?.is_match(&selected) {
                    return Ok(None);
                }
                rest
            }
            None => rest,
        };
        substitute(selected, rest).map(Some)
    }
}

/// The string that `n:text]` makes of a name of n components, and what follows the bracket. For another name, what follows n is not
/// looked at.
fn select<'r>(
    selection: &'r str,
    rule: &str,
    principal: &Principal,
) -> Result<(Option<String>, &'r str), RuleError> {
    let malformed = || RuleError::Selection(rule.to_owned());
    let (count, text) = selection.split_once(':').ok_or_else(malformed)?;
    let count: usize = count.parse().map_err(|_| malformed())?;
    if principal.components().len() != count {
        return Ok((None, text));
    }
    let (text, rest) = text.split_once(']').ok_or_else(malformed)?;
    let mut pieces = text.split('$');
    let mut selected = pieces.next().unwrap_or_default().as_bytes().to_vec();
    for piece in pieces {
        let digits = piece.bytes().take_while(u8::is_ascii_digit).count();
        let (number, literal) = piece.split_at(digits);
        let number: usize = number.parse().map_err(|_| malformed())?;
        if number > count {
            return Err(malformed());
        }
        let part = match number.checked_sub(1) {
            None => Some(principal.realm()),
            Some(at) => principal.components().get(at).map(|part| &**part),
        };
        selected.extend_from_slice(part.unwrap_or_default());
        selected.extend_from_slice(literal.as_bytes());
    }
    Ok((String::from_utf8(selected).ok(), rest))
}

/// Applies each `s/pattern/text/` and `s/pattern/text/g` in turn. In the text nothing stands for anything else.
fn substitute(mut text: String, commands: &str) -> Result<String, RuleError> {
    let mut rest = commands.trim_start();
    while !rest.is_empty() {
        let malformed = || RuleError::Substitution(rest.to_owned());
        let command = rest.strip_prefix("s/").ok_or_else(malformed)?;
        let (pattern, command) = command.split_once('/').ok_or_else(malformed)?;
        let (with, after) = command.split_once('/').ok_or_else(malformed)?;
        let pattern = expression(pattern, pattern)?;
        let all = after.strip_prefix('g');
        text = match all {
            Some(_) => replace_all(&pattern, &text, with),
            None => replace_first(&pattern, &text, with),
        };
        rest = all.unwrap_or(after).trim_start();
    }
    Ok(text)
}

fn replace_first(pattern: &Regex, text: &str, with: &str) -> String {
    pattern
        .replace(text, regex_lite::NoExpand(with))
        .into_owned()
}

/// As MIT's library does, what is behind a match is a text of its own, at whose beginning `^` matches again: `s/^a//g` removes each `a`
/// that the text begins with. Where nothing matches too, the search goes on behind the next character, and the end of a match is no
/// such place.
fn replace_all(pattern: &Regex, text: &str, with: &str) -> String {
    let (mut changed, mut rest) = (String::new(), text);
    let mut is_behind_match = false;
    while let Some(found) = pattern.find(rest) {
        let is_empty = found.range().is_empty();
        changed.push_str(&rest[..found.start()]);
        if !(is_empty && is_behind_match && found.start() == 0) {
            changed.push_str(with);
        }
        rest = &rest[found.end()..];
        is_behind_match = !is_empty;
        if is_empty {
            let mut characters = rest.chars();
            let Some(next) = characters.next() else { break };
            changed.push(next);
            rest = characters.as_str();
        }
    }
    changed + rest
}

fn expression(text: &str, shown: &str) -> Result<Regex, RuleError> {
    Regex::new(text).map_err(|cause| RuleError::Expression {
        expression: shown.to_owned(),
        cause: ExpressionError(cause),
    })
}

/// A name that a local user can have: not empty, and nothing that would be a path or end a line.
fn user(name: String) -> Option<String> {
    let plain = !name.is_empty() && !name.contains(['/', ':']) && name != "." && name != "..";
    (plain && !name.chars().any(char::is_control)).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn local(rules: &[&str], principal: &str) -> Result<Option<String>, RuleError> {
        let names = BTreeMap::from([
            ("john/admin".to_owned(), "root".to_owned()),
            ("mapped".to_owned(), "other".to_owned()),
            ("none".to_owned(), String::new()),
        ]);
        let rules: Vec<String> = rules.iter().map(|rule| (*rule).to_owned()).collect();
        let names = LocalNames {
            default_realm: "R",
            auth_to_local: &rules,
            auth_to_local_names: &names,
        };
        names.local(&Principal::parse(principal, None).unwrap())
    }

    fn is(rules: &[&str], principal: &str, user: Option<&str>) {
        let found = local(rules, principal).unwrap();
        assert_eq!(found.as_deref(), user, "{rules:?} {principal}");
    }

    #[test]
    fn the_default_rule_is_for_users_of_the_default_realm() {
        for rules in [&[][..], &["DEFAULT"]] {
            is(rules, "alice@R", Some("alice"));
            is(rules, "alice/R@R", Some("alice"));
            is(rules, "alice/admin@R", None);
            is(rules, "alice/R/R@R", None);
            is(rules, "alice@OTHER", None);
            is(rules, "alice@r", None);
            is(rules, "WELLKNOWN/ANONYMOUS@R", None);
        }
    }

    #[test]
    fn explicit_mappings_go_first_and_are_for_the_default_realm() {
        is(&["RULE:[1:nobody]", "DEFAULT"], "mapped@R", Some("other"));
        is(&[], "john/admin@R", Some("root"));
        is(&[], "mapped@OTHER", None);
        is(&[], "none@R", None);
    }

    /// The example of MIT's manual.
    #[test]
    fn rules_are_what_mits_manual_says() {
        let rules = [
            "RULE:[2:$1](johndoe)s/^.*$/guest/",
            "RULE:[2:$1;$2](^.*;admin$)s/;admin$//",
            "RULE:[2:$2](^.*;root)s/^.*$/root/",
            "DEFAULT",
        ];
        is(&rules, "johndoe/x@R", Some("guest"));
        is(&rules, "johndoe/x@ANY", Some("guest"));
        is(&rules, "alice/admin@R", Some("alice"));
        is(&rules, "alice@R", Some("alice"));
        is(&rules, "alice/other@R", None);
        is(
            &["RULE:[2:$2$1foo]"],
            "johndoe/admin@R",
            Some("adminjohndoefoo"),
        );
        is(
            &["RULE:[1:$1@$0](.*@OTHER)s/@.*//"],
            "bob@OTHER",
            Some("bob"),
        );
        is(&["RULE:[1:$1@$0](.*@OTHER)s/@.*//"], "bob@OTHERS", None);
        is(&["RULE:[1:$1@$0](.*@OTHER)s/@.*//"], "bob@R", None);
    }

    #[test]
    fn a_rule_that_selects_nothing_is_for_the_default_realm() {
        is(&["RULE:s/x/y/g"], "xax@R", Some("yay"));
        is(&["RULE:s/x/y/"], "xax@R", Some("yax"));
        is(&["RULE:s/x/y/"], "xax@OTHER", None);
        is(&["RULE:(a.*)"], "alice@R", Some("alice"));
        is(&["RULE:(a.*)"], "bob@R", None);
        is(&["RULE:"], "alice@R", Some("alice"));
    }

    #[test]
    fn a_match_is_of_the_whole_selection() {
        is(&["RULE:[1:$1](al)"], "alice@R", None);
        is(&["RULE:[1:$1](lice)"], "alice@R", None);
        is(&["RULE:[1:$1](a|alice)"], "alice@R", Some("alice"));
        is(&["RULE:[1:$1](^[[:alpha:]]{5}$)"], "alice@R", Some("alice"));
        is(&["RULE:[1:$1](alice)"], r"alice\nx@R", None);
        is(&["RULE:[1:$1](.*)"], r"alice\nx@R", None);
    }

    #[test]
    fn substitutions_follow_one_another() {
        is(&["RULE:[1:$1]s/a/b/ s/b/c/g"], "aab@R", Some("cac"));
        is(&["RULE:[1:$1]s/a/b/gs/b/c/"], "aa@R", Some("cb"));
        is(&["RULE:[1:$1]s/(a)(b)/$2$1\\2&/"], "ab@R", Some("$2$1\\2&"));
        is(&["RULE:[1:$1]s/x*/-/g"], "ab@R", Some("-a-b-"));
        is(&["RULE:[1:$1]s/x*/-/g"], "axxb@R", Some("-a-b-"));
        is(&["RULE:[1:$1]s/b*$/-/g"], "éb@R", Some("é-"));
        is(&["RULE:[1:$1]s/.*/x/g"], "alice@R", Some("x"));
        is(&["RULE:[1:$1]s/e|x*/-/g"], "éé@R", Some("-é-é-"));
        is(&["RULE:[1:$1]s/.*//"], "alice@R", None);
    }

    #[test]
    fn each_search_of_a_substitution_begins_anew() {
        is(&["RULE:[1:$1]s/^a//g"], "aaba@R", Some("ba"));
        is(&["RULE:[1:$1]s/^a//"], "aaba@R", Some("aba"));
        is(&["RULE:[1:$1]s/^ab?/-/g"], "abacab@R", Some("--cab"));
        is(&["RULE:[1:$1]s/a$//g"], "aaba@R", Some("aab"));
    }

    #[test]
    fn what_no_user_can_be_called_is_none() {
        for name in [r"a\/b", r"a\n", ".", "..", r"\0", "a:b"] {
            is(&["RULE:[1:$1]"], &format!("{name}@R"), None);
        }
        let bytes = Principal::user([0xff], "R");
        let names = LocalNames {
            default_realm: "R",
            auth_to_local: &["RULE:[1:$1](.*)".to_owned(), "DEFAULT".to_owned()],
            auth_to_local_names: &BTreeMap::new(),
        };
        assert_eq!(names.local(&bytes), Ok(None));
    }

    #[test]
    fn a_rule_that_cannot_be_read_ends_the_search() {
        use RuleError::{Expression, Kind, Match, Selection, Substitution};
        for (rule, is_it) in [
            ("", matches!(local(&[""], "a@R"), Err(Kind(_)))),
            ("DB:x", matches!(local(&["DB:x"], "a@R"), Err(Kind(_)))),
            ("rule:", matches!(local(&["rule:"], "a@R"), Err(Kind(_)))),
        ] {
            assert!(is_it, "{rule}");
        }
        for rule in [
            "[1:$1", "[1$1]", "[x:$1]", "[-1:$1]", "[1:$]", "[1:$x]", "[1:$2]", "[:$1]",
        ] {
            let found = local(&[&format!("RULE:{rule}"), "DEFAULT"], "a@R");
            assert!(matches!(found, Err(Selection(_))), "{rule}: {found:?}");
        }
        let found = local(&["RULE:[1:$1](a", "DEFAULT"], "a@R");
        assert!(matches!(found, Err(Match(_))), "{found:?}");
        for rule in ["x", "s", "s/a", "s/a/b", "S/a/b/", "s/a/b/x", "s,a,b,"] {
            let found = local(&[&format!("RULE:[1:$1]{rule}"), "DEFAULT"], "a@R");
            assert!(matches!(found, Err(Substitution(_))), "{rule}: {found:?}");
        }
        for rule in ["(a[)", "s/a(/b/", "s/*/b/"] {
            let found = local(&[&format!("RULE:[1:$1]{rule}"), "DEFAULT"], "a@R");
            assert!(matches!(found, Err(Expression { .. })), "{rule}: {found:?}");
        }
    }

    #[test]
    fn a_rule_that_does_not_apply_is_not_looked_at_any_further() {
        for rule in ["[2:$1](a[)", "[2:$3]", "[2:$x]", "[2:$1"] {
            let rule = format!("RULE:{rule}");
            is(&[&rule, "DEFAULT"], "a@R", Some("a"));
            assert!(local(&[&rule, "DEFAULT"], "a/b@R").is_err(), "{rule}");
        }
    }
}
