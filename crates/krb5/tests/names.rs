//! Names are read from what people type and what peers send: no damage makes a name that is not written as it is read.

use krb5::principal::Principal;

#[test]
fn a_damaged_name_is_refused_or_another_name() {
    let names: [&[u8]; 4] = [
        b"alice@EXAMPLE.ORG",
        b"HTTP/web.example.org@EXAMPLE.ORG",
        br"a\/b/c\@d\\/\n\t\b\0@R\@S",
        b"krbtgt/A@B",
    ];
    for name in names {
        let cuts = (0..name.len()).map(|length| name[..length].to_vec());
        let flips = (0..name.len() * 8).map(|bit| {
            let mut other = name.to_vec();
            other[bit / 8] ^= 1 << (bit % 8);
            other
        });
        for other in cuts.chain(flips) {
            let Ok(read) = Principal::parse_bytes(&other, Some(b"DEFAULT")) else {
                continue;
            };
            let again = Principal::parse_bytes(&read.to_bytes(), None);
            assert_eq!(again.as_ref(), Ok(&read), "{}", other.escape_ascii());
        }
    }
}
