//! Reads the test vectors under `vectors/gss-krb5`.
//!
//! A file is cases with a blank line between them; a case is lines `name = value`, where a value in quotes is text and any
//! other hexadecimal or, for numbers, decimal. `#` begins a comment.

/// One case of a file.
pub(crate) struct Case(Vec<(String, String)>);

/// The cases of a file.
pub(crate) fn read(file: &str) -> Vec<Case> {
    let path = format!(
        "{}/../../vectors/gss-krb5/{file}",
        env!("CARGO_MANIFEST_DIR")
    );
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    text.split("\n\n").filter_map(Case::parse).collect()
}

impl Case {
    fn parse(text: &str) -> Option<Self> {
        let lines = text
            .lines()
            .filter(|line| !line.starts_with('#') && !line.is_empty());
        let fields: Vec<_> = lines
            .map(|line| line.split_once(" = ").expect("name = value"))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        (!fields.is_empty()).then_some(Self(fields))
    }

    fn value(&self, name: &str) -> &str {
        let found = self.0.iter().find(|field| field.0 == name);
        &found.unwrap_or_else(|| panic!("no {name}")).1
    }

    pub(crate) fn number(&self, name: &str) -> i32 {
        self.value(name).parse().unwrap()
    }

    pub(crate) fn bytes(&self, name: &str) -> Vec<u8> {
        let value = self.value(name);
        if let Some(text) = value
            .strip_prefix('"')
            .and_then(|text| text.strip_suffix('"'))
        {
            return text.as_bytes().to_vec();
        }
        let pairs = value.as_bytes().chunks(2);
        pairs
            .map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect()
    }
}
