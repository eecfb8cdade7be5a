//! As much of JSON (RFC 8259) as MIT's exported credentials are made of: null, truth, whole numbers, strings, arrays.
//!
//! Strings hold what C strings hold, any bytes but zero. They may be keys, so they are wiped, and read and written into buffers that do
//! not grow.

use zeroize::Zeroizing;

/// A value.
pub(super) enum Json {
    Null,
    Bool(bool),
    Number(i64),
    Text(Zeroizing<Vec<u8>>),
    Array(Vec<Self>),
}

/// Why bytes are no such value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// Something else than a value, at this byte.
    #[error("no value of this format at byte {0}")]
    Value(usize),
    /// A string that does not end, or with an escape that means nothing here.
    #[error("the string at byte {0} is malformed")]
    Text(usize),
    /// A number that is none, or too large.
    #[error("the number at byte {0} is malformed")]
    Number(usize),
    /// Arrays within arrays.
    #[error("arrays are nested too deeply at byte {0}")]
    Depth(usize),
}

/// How many arrays may be within each other: MIT's tokens have five.
const MAX_DEPTH: usize = 8;

impl Json {
    pub(super) fn text(bytes: impl Into<Vec<u8>>) -> Self {
        Self::Text(Zeroizing::new(bytes.into()))
    }

    /// Bytes in base64, RFC 4648 §4.
    pub(super) fn base64(bytes: &[u8]) -> Self {
        let mut out = Zeroizing::new(Vec::with_capacity(bytes.len().div_ceil(3) * 4));
        for chunk in bytes.chunks(3) {
            let [a, b, c] = [0, 1, 2].map(|at| chunk.get(at).copied().unwrap_or(0));
            let bits = u32::from_be_bytes([0, a, b, c]);
            for at in 0..4 {
                let digit = DIGITS[(bits >> (18 - 6 * at) & 63) as usize];
                out.push(if at <= chunk.len() { digit } else { b'=' });
            }
        }
        Self::Text(out)
    }

    /// The bytes of a string in base64, if it is one.
    pub(super) fn unbase64(&self) -> Option<Zeroizing<Vec<u8>>> {
        let Self::Text(text) = self else { return None };
        let (chunks, rest) = text.as_chunks::<4>();
        let mut out = Zeroizing::new(Vec::with_capacity(text.len() / 4 * 3));
        for (at, chunk) in chunks.iter().enumerate() {
            let padding = match chunk {
                [_, _, b'=', b'='] => 2,
                [_, _, _, b'='] => 1,
                _ => 0,
            };
            if padding > 0 && at + 1 < chunks.len() {
                return None;
            }
            let mut bits = 0;
            for byte in &chunk[..4 - padding] {
                let digit = DIGITS.iter().position(|digit| digit == byte)?;
                bits = bits << 6 | digit as u32;
            }
            let [_, bytes @ ..] = (bits << (6 * padding)).to_be_bytes();
            let (kept, spare) = bytes.split_at(3 - padding);
            if spare.iter().any(|byte| *byte != 0) {
                return None;
            }
            out.extend_from_slice(kept);
        }
        rest.is_empty().then_some(out)
    }

    /// Reads one value, with nothing but blanks after it.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, JsonError> {
        let mut reader = Reader { bytes, at: 0 };
        let value = reader.value(0)?;
        reader.blanks();
        match reader.at == bytes.len() {
            true => Ok(value),
            false => Err(JsonError::Value(reader.at)),
        }
    }

    /// The value as MIT's code writes it: in as few bytes as it takes.
    pub(super) fn encode(&self) -> Zeroizing<Vec<u8>> {
        let mut length = 0;
        self.write(&mut |bytes| length += bytes.len());
        let mut out = Zeroizing::new(Vec::with_capacity(length));
        self.write(&mut |bytes| out.extend_from_slice(bytes));
        out
    }

    fn write(&self, put: &mut dyn FnMut(&[u8])) {
        match self {
            Self::Null => put(b"null"),
            Self::Bool(true) => put(b"true"),
            Self::Bool(false) => put(b"false"),
            Self::Number(number) => put(number.to_string().as_bytes()),
            Self::Text(text) => write_text(text, put),
            Self::Array(values) => {
                put(b"[");
                for (at, value) in values.iter().enumerate() {
                    if at > 0 {
                        put(b",");
                    }
                    value.write(put);
                }
                put(b"]");
            }
        }
    }
}

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// The escapes of one letter; the slash is written without, and read with.
const ESCAPES: [(u8, u8); 7] = [
    (b'"', b'"'),
    (b'\\', b'\\'),
    (0x08, b'b'),
    (0x0c, b'f'),
    (b'\n', b'n'),
    (b'\r', b'r'),
    (b'\t', b't'),
];

fn write_text(text: &[u8], put: &mut dyn FnMut(&[u8])) {
    put(b"\"");
    for byte in text {
        let escape = ESCAPES.iter().find(|(plain, _)| plain == byte);
        match (escape, byte) {
            (Some((_, letter)), _) => put(&[b'\\', *letter]),
            (None, 0..0x20) => put(format!("\\u00{byte:02X}").as_bytes()),
            (None, byte) => put(&[*byte]),
        }
    }
    put(b"\"");
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn rest(&self) -> &[u8] {
        &self.bytes[self.at..]
    }

    fn blanks(&mut self) {
        let blank = |byte: &&u8| matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
        self.at += self.rest().iter().take_while(blank).count();
    }

    fn takes(&mut self, word: &[u8]) -> bool {
        let is_next = self.rest().starts_with(word);
        if is_next {
            self.at += word.len();
        }
        is_next
    }

    fn value(&mut self, depth: usize) -> Result<Json, JsonError> {
        self.blanks();
        match self.rest().first().copied() {
            Some(b'[') => self.array(depth),
            Some(b'"') => self.text(),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ if self.takes(b"null") => Ok(Json::Null),
            _ if self.takes(b"true") => Ok(Json::Bool(true)),
            _ if self.takes(b"false") => Ok(Json::Bool(false)),
            _ => Err(JsonError::Value(self.at)),
        }
    }

    fn array(&mut self, depth: usize) -> Result<Json, JsonError> {
        if depth == MAX_DEPTH {
            return Err(JsonError::Depth(self.at));
        }
        self.at += 1;
        let mut values = Vec::new();
        self.blanks();
        if self.takes(b"]") {
            return Ok(Json::Array(values));
        }
        loop {
            values.push(self.value(depth + 1)?);
            self.blanks();
            if self.takes(b"]") {
                return Ok(Json::Array(values));
            }
            if !self.takes(b",") {
                return Err(JsonError::Value(self.at));
            }
        }
    }

    fn number(&mut self) -> Result<Json, JsonError> {
        let start = self.at;
        let in_it = |byte: &&u8| matches!(byte, b'-' | b'0'..=b'9');
        let length = self.rest().iter().take_while(in_it).count();
        let digits = str::from_utf8(&self.rest()[..length]).unwrap_or_default();
        let number = digits.parse().map_err(|_| JsonError::Number(start))?;
        self.at += length;
        Ok(Json::Number(number))
    }

    fn text(&mut self) -> Result<Json, JsonError> {
        let start = self.at;
        let malformed = JsonError::Text(start);
        self.at += 1;
        // What is escaped gets no longer by being read.
        let mut out = Zeroizing::new(Vec::with_capacity(self.length()));
        loop {
            let byte = *self.rest().first().ok_or(malformed)?;
            self.at += 1;
            out.push(match byte {
                b'"' => return Ok(Json::Text(out)),
                b'\\' => self.escaped().filter(|byte| *byte != 0).ok_or(malformed)?,
                0 => return Err(malformed),
                other => other,
            });
        }
    }

    /// How long the string that goes on here is at most.
    fn length(&self) -> usize {
        let mut escaped = false;
        let in_it = |byte: &&u8| {
            let ends = **byte == b'"' && !escaped;
            escaped = **byte == b'\\' && !escaped;
            !ends
        };
        self.rest().iter().take_while(in_it).count()
    }

    fn escaped(&mut self) -> Option<u8> {
        let letter = *self.rest().first()?;
        self.at += 1;
        match letter {
            b'/' => Some(b'/'),
            b'u' => {
                // Strings are bytes here: MIT's code reads no other characters from an escape either.
                let digits = self.rest().first_chunk::<4>()?;
                let all_hex = digits.iter().all(u8::is_ascii_hexdigit);
                let digits = str::from_utf8(digits).ok().filter(|_| all_hex)?;
                let number = u16::from_str_radix(digits, 16).ok()?;
                self.at += 4;
                u8::try_from(number).ok()
            }
            letter => ESCAPES
                .iter()
                .find(|(_, known)| *known == letter)
                .map(|(plain, _)| *plain),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn again(text: &str) -> Result<String, JsonError> {
        let value = Json::parse(text.as_bytes())?;
        Ok(String::from_utf8_lossy(&value.encode()).into_owned())
    }

    #[test]
    fn values_are_read_and_written() {
        for text in [
            "null",
            "true",
            "false",
            "0",
            "-1",
            "9223372036854775807",
            "-9223372036854775808",
            "\"\"",
            "\"a\\\"b\\\\c\\n\\u0001\"",
            "[]",
            "[1,[\"x\",null],true]",
        ] {
            assert_eq!(again(text).as_deref(), Ok(text));
        }
        assert_eq!(
            again(" [ 1 , \"\\/\\u0041\" ] ").as_deref(),
            Ok("[1,\"/A\"]")
        );
        for text in [
            "",
            "nul",
            "1.5",
            "1e3",
            "-",
            "1-2",
            "9223372036854775808",
            "\"",
            "\"\\\"",
            "\"\\x\"",
            "\"\\u0000\"",
            "\"\\u0100\"",
            "\"\\u+041\"",
            "\"\\u12\"",
            "[",
            "[1",
            "[1,",
            "[,]",
            "[1]]",
            "{}",
            "\"a\0b\"",
        ] {
            assert!(again(text).is_err(), "{text}");
        }
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert!(again(&nested(8)).is_ok());
        assert_eq!(again(&nested(9)), Err(JsonError::Depth(8)));
        assert_eq!(again(&nested(100_000)), Err(JsonError::Depth(8)));
    }

    #[test]
    fn bytes_are_written_in_base64() {
        // RFC 4648 §10.
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            let Json::Text(written) = Json::base64(bytes.as_bytes()) else {
                panic!("a string")
            };
            assert_eq!(*written, text.as_bytes());
            let read = Json::text(text).unbase64().unwrap();
            assert_eq!(*read, bytes.as_bytes());
        }
        for text in [
            "Zg",
            "Zg=",
            "Z===",
            "====",
            "Zg==Zg==",
            "Zh==",
            "Zm9=",
            "Z g=",
            "Zm9vYg==\n",
        ] {
            assert!(Json::text(text).unbase64().is_none(), "{text}");
        }
        assert!(Json::Null.unbase64().is_none());
    }
}
