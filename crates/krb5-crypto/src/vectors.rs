//! Reads the test vectors under `vectors/crypto`.
//!
//! A file is cases with a blank line between them; a case is lines `name = value`, where a value in quotes is text and
//! any other hexadecimal. `#` begins a comment.

/// One case of a file.
pub(crate) struct Case {
    fields: Vec<(String, String)>,
}

/// The cases of a file under `vectors/crypto`.
pub(crate) fn read(file: &str) -> Vec<Case> {
    let path = format!("{}/../../vectors/crypto/{file}", env!("CARGO_MANIFEST_DIR"));
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
        (!fields.is_empty()).then_some(Self { fields })
    }

    fn value(&self, name: &str) -> &str {
        let mut fields = self.fields.iter();
        let found = fields.find(|field| field.0 == name);
        &found.unwrap_or_else(|| panic!("no {name}")).1
    }

    /// Whether the case has this field.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.fields.iter().any(|field| field.0 == name)
    }

    /// What the case is called in a failure.
    pub(crate) fn name(&self) -> &str {
        self.value("name")
    }

    pub(crate) fn number(&self, name: &str) -> u32 {
        self.value(name).parse().expect("a number")
    }

    pub(crate) fn bytes(&self, name: &str) -> Vec<u8> {
        let value = self.value(name);
        match value
            .strip_prefix('"')
            .and_then(|text| text.strip_suffix('"'))
        {
            Some(text) => text.as_bytes().to_vec(),
            None => hex(value),
        }
    }
}

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<_> = text.chars().filter(|c| !c.is_whitespace()).collect();
    assert!(digits.len().is_multiple_of(2), "{text}");
    let byte = |pair: &[char]| u8::from_str_radix(&String::from_iter(pair), 16).expect("hex");
    digits.chunks(2).map(byte).collect()
}
