//! Reads the test vectors under `vectors/krb5/formats`, and what each parser is put through.

/// The cases of a file: lines `name = text` and `bytes = hexadecimal`; `#` begins a comment.
pub(super) fn read(file: &str) -> Vec<(String, Vec<u8>)> {
    let path = format!(
        "{}/../../vectors/krb5/formats/{file}",
        env!("CARGO_MANIFEST_DIR")
    );
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let mut cases = Vec::new();
    let mut name = String::new();
    for line in text.lines() {
        match line.split_once(" = ") {
            Some(("name", value)) => name = value.to_owned(),
            Some(("bytes", value)) => cases.push((name.clone(), hex(value))),
            _ => assert!(line.is_empty() || line.starts_with('#'), "{path}: {line}"),
        }
    }
    assert!(!cases.is_empty(), "{path} has no cases");
    cases
}

pub(super) fn case(file: &str, name: &str) -> Vec<u8> {
    let mut cases = read(file).into_iter();
    cases.find(|case| case.0 == name).expect("the case").1
}

fn hex(text: &str) -> Vec<u8> {
    let byte = |at| u8::from_str_radix(&text[at..at + 2], 16).expect("hexadecimal");
    (0..text.len()).step_by(2).map(byte).collect()
}

/// Every truncation and every copy of `bytes` with one bit flipped.
pub(super) fn damaged(bytes: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let cut = (0..bytes.len()).map(|length| bytes[..length].to_vec());
    let flipped = (0..bytes.len() * 8).map(|bit| {
        let mut other = bytes.to_vec();
        other[bit / 8] ^= 1 << (bit % 8);
        other
    });
    cut.chain(flipped)
}
