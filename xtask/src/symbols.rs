//! The one table of a library's symbols: `capi/*/symbols.txt`.

use std::collections::BTreeMap;
use std::fmt::Write;

/// What a symbol is to the dynamic linker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Function,
    /// An object of so many bytes: programs hold copies of it, so the size counts.
    Data(u64),
}

/// Whose library the entry points stand in for, where that makes a difference to them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    Mit,
    Gnu,
}

impl Dialect {
    /// C source of the constant that `baton-capi` reads (its `ptr/dialect.rs`).
    pub(crate) fn source(self) -> String {
        format!("const unsigned char baton_dialect = {};\n", self as u8)
    }
}

/// A library's name, its version node and its symbols.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Table {
    pub(crate) soname: String,
    pub(crate) node: String,
    pub(crate) dialect: Dialect,
    pub(crate) symbols: BTreeMap<String, Kind>,
}

impl Table {
    /// Reads lines: `soname NAME`, `node NAME`, `dialect gnu`, `function NAME`, `data SIZE NAME`, and `include LIBRARY`, which has the
    /// symbols of another table, whose text `other` gives; `#` begins a comment.
    pub(crate) fn parse(
        text: &str,
        other: &dyn Fn(&str) -> Result<String, String>,
    ) -> Result<Self, String> {
        let (mut soname, mut node, mut dialect) = (None, None, Dialect::Mit);
        let mut symbols = BTreeMap::new();
        for line in text.lines() {
            let words = line.split('#').next().unwrap_or_default();
            let words: Vec<_> = words.split_whitespace().collect();
            let (name, kind) = match words[..] {
                [] => continue,
                ["soname", name] => {
                    soname = Some(name.to_owned());
                    continue;
                }
                ["node", name] => {
                    node = Some(name.to_owned());
                    continue;
                }
                ["dialect", "gnu"] => {
                    dialect = Dialect::Gnu;
                    continue;
                }
                ["include", library] => {
                    let none = |_: &str| Err("a table that is included includes none".to_owned());
                    symbols.append(&mut Self::parse(&other(library)?, &none)?.symbols);
                    continue;
                }
                ["function", name] => (name, Kind::Function),
                ["data", size, name] => {
                    let size = size.parse().map_err(|_| format!("`{line}`: no size"))?;
                    (name, Kind::Data(size))
                }
                _ => return Err(format!("`{line}` is no line of a table of symbols")),
            };
            if symbols.insert(name.to_owned(), kind).is_some() {
                return Err(format!("{name} is there twice"));
            }
        }
        Ok(Self {
            soname: soname.ok_or("no soname")?,
            node: node.ok_or("no node")?,
            dialect,
            symbols,
        })
    }

    /// What `-l` finds: the soname without its number.
    pub(crate) fn link_name(&self) -> &str {
        let end = self.soname.find(".so").map_or(0, |at| at + ".so".len());
        &self.soname[..end]
    }

    /// The linker's version script.
    pub(crate) fn version_script(&self) -> String {
        let mut script = format!("{} {{\n  global:\n", self.node);
        for name in self.symbols.keys() {
            let _ = writeln!(script, "    {name};");
        }
        script.push_str("  local: *;\n};\n");
        script
    }

    /// The symbols of a library's dynamic table, as `objdump -T` prints it, in `node`.
    pub(crate) fn exported(dump: &str, node: &str) -> BTreeMap<String, Kind> {
        dump.lines()
            .filter_map(|line| exported(line, node))
            .collect()
    }
}

/// `000c0de0 g    DO .data  0008  NODE GSS_C_NT_USER_NAME`; a symbol that is wanted from elsewhere has the section `*UND*`.
fn exported(line: &str, node: &str) -> Option<(String, Kind)> {
    let words: Vec<_> = line.split_whitespace().collect();
    let &[_, ref flags @ .., section, size, version, name] = words.as_slice() else {
        return None;
    };
    if version != node || ["*UND*", "*ABS*"].contains(&section) {
        return None;
    }
    let size = u64::from_str_radix(size, 16).ok()?;
    let is_data = flags.iter().any(|flag| flag.contains("DO"));
    let kind = if is_data {
        Kind::Data(size)
    } else {
        Kind::Function
    };
    Some((name.to_owned(), kind))
}

/// What is different: missing, of another kind, or too much.
pub(crate) fn differences(
    wanted: &BTreeMap<String, Kind>,
    found: &BTreeMap<String, Kind>,
) -> Vec<String> {
    let mut all = Vec::new();
    for (name, kind) in wanted {
        match found.get(name) {
            None => all.push(format!("{name} is missing")),
            Some(other) if other != kind => {
                all.push(format!("{name} is {other:?}, not {kind:?}"));
            }
            Some(_) => {}
        }
    }
    let known = |name: &&String| !wanted.contains_key(*name);
    all.extend(
        found
            .keys()
            .filter(known)
            .map(|name| format!("{name} is too much")),
    );
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "# a library\nsoname liba.so.1\nnode A_1\nfunction f\ndata 8 D\n";
    const DUMP: &str = "\
DYNAMIC SYMBOL TABLE:
0000000000000000      DF *UND*\t0000000000000000 (GLIBC_2.2.5) free
0000000000000000 g    DO *ABS*\t0000000000000000  A_1         A_1
00000000000272d0 g    DF .text\t000000000000000e  A_1         f
00000000001ed3d8 g    DO .data.rel.ro\t0000000000000008  A_1         D
";

    fn alone(text: &str) -> Result<Table, String> {
        Table::parse(text, &|library| Err(format!("there is no {library}")))
    }

    #[test]
    fn a_table_is_read_and_makes_a_script() {
        let table = alone(TABLE).unwrap();
        assert_eq!(table.soname, "liba.so.1");
        assert_eq!(table.link_name(), "liba.so");
        assert_eq!(
            table.version_script(),
            "A_1 {\n  global:\n    D;\n    f;\n  local: *;\n};\n"
        );
        for wrong in [
            "node A\n",
            "soname a\n",
            "function\n",
            "data x D\n",
            "f\n",
            "dialect x\n",
        ] {
            assert!(alone(wrong).is_err(), "{wrong}");
        }
        assert!(alone(&format!("{TABLE}function f\n")).is_err());
    }

    #[test]
    fn a_table_has_the_symbols_of_one_that_it_includes() {
        let text = "soname libb.so.1\nnode B_1\ndialect gnu\ninclude a\nfunction g\n";
        let table = Table::parse(text, &|library| {
            assert_eq!(library, "a");
            Ok(TABLE.to_owned())
        });
        let table = table.unwrap();
        assert_eq!(table.soname, "libb.so.1");
        assert_eq!(table.symbols.keys().collect::<Vec<_>>(), ["D", "f", "g"]);
        assert_eq!(
            table.dialect.source(),
            "const unsigned char baton_dialect = 1;\n"
        );
        assert!(alone(text).is_err());
        let again = text.replace("function g", "function f");
        assert!(Table::parse(&again, &|_| Ok(TABLE.to_owned())).is_err());
    }

    #[test]
    fn a_library_is_compared_with_its_table() {
        let table = alone(TABLE).unwrap();
        let found = Table::exported(DUMP, "A_1");
        assert_eq!(differences(&table.symbols, &found), Vec::<String>::new());
        let small = DUMP.replace("0000000000000008", "0000000000000000");
        let found = Table::exported(&small, "A_1");
        assert_eq!(
            differences(&table.symbols, &found),
            ["D is Data(0), not Data(8)"]
        );
        let renamed = DUMP.replace("A_1         f", "A_1         g");
        let found = Table::exported(&renamed, "A_1");
        assert_eq!(
            differences(&table.symbols, &found),
            ["f is missing", "g is too much"]
        );
        assert_eq!(Table::exported(DUMP, "B_1").len(), 0);
    }
}
