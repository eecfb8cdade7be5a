//! T2: a token is opaque, and an altered one is refused and burns nothing.

mod common;

use baton::{Context, ExportOptions, Major, Oid, Token};
use common::Site;

fn major(site: &Site, token: &[u8]) -> Major {
    let refused = Context::import(&site.env, &Token::from(token));
    refused.expect_err("an altered token was believed").major()
}

#[test]
fn every_bit_flip_cut_and_extension_is_refused_and_the_true_token_still_imports() {
    for enctype in [17, 18, 19, 20, 25, 26] {
        let site = Site {
            enctype,
            ..Site::in_memory()
        };
        let (client, server) = site.contexts();
        let token = server.export(&ExportOptions::default()).unwrap();
        let token = token.into_bytes();
        for bit in 0..token.len() * 8 {
            let mut other = token.clone();
            other[bit / 8] ^= 1 << (bit % 8);
            let tag = (14..30).contains(&(bit / 8));
            let wanted = if tag {
                Major::NoContext
            } else {
                Major::DefectiveToken
            };
            assert_eq!(major(&site, &other), wanted, "bit {bit}");
        }
        for cut in 0..token.len() {
            assert_eq!(
                major(&site, &token[..cut]),
                Major::DefectiveToken,
                "cut to {cut}"
            );
        }
        for more in 1..=64 {
            let longer = [&token[..], &vec![0; more]].concat();
            assert_eq!(major(&site, &longer), Major::DefectiveToken, "{more} more");
        }
        let server = Context::import(&site.env, &Token::from(token)).unwrap();
        common::converse(&client, &server);
    }
}

#[test]
fn a_token_shows_the_outer_frame_a_version_and_a_random_tag_alone() {
    let site = Site::in_memory();
    let export = || {
        let (_, server) = site.contexts();
        server
            .export(&ExportOptions::default())
            .unwrap()
            .into_bytes()
    };
    let (one, two) = (export(), export());
    assert_eq!(one[..4], 9u32.to_be_bytes());
    assert_eq!(one[4..13], *Oid::KRB5.bytes());
    assert_eq!(one[13], 1);
    assert_ne!(one[14..30], two[14..30], "the tag is random");
    for name in [&b"alice"[..], b"EXAMPLE", b"a.example.test"] {
        assert!(!one.windows(name.len()).any(|window| window == name));
    }
    let printed = format!("Token({} bytes)", one.len());
    assert_eq!(format!("{:?}", Token::from(one)), printed);
}
