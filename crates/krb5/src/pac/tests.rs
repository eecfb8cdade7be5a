use std::sync::atomic::{AtomicU8, Ordering};

use krb5_crypto::Enctype;
use wire::random::Random;

use super::*;

struct Counting(AtomicU8);

impl Random for Counting {
    fn fill(&self, out: &mut [u8]) {
        out.fill_with(|| self.0.fetch_add(1, Ordering::Relaxed));
    }
}

const AUTHTIME: Timestamp = Timestamp::from_seconds(1_800_000_000);

struct Sample {
    client: Principal,
    server: Key,
    kdc: Key,
}

impl Sample {
    fn new(enctype: &'static Enctype) -> Self {
        let random = Counting(AtomicU8::new(enctype.number() as u8));
        Self {
            client: Principal::parse("alice/\u{e4}dmin@R", None).unwrap(),
            server: enctype.random_key(&random),
            kdc: enctype.random_key(&random),
        }
    }

    fn pac(&self) -> Vec<u8> {
        let writer = PacWriter::new(&self.client, AUTHTIME);
        let writer = writer.buffer(LOGON_INFO, *b"SIDs and groups");
        writer.sign(&self.server, &self.kdc)
    }

    fn verify(&self, pac: &[u8]) -> Result<(), PacError> {
        Pac::parse(pac)?.verify(&self.server, &self.client, AUTHTIME)
    }
}

fn aes() -> Sample {
    Sample::new(Enctype::from_number(18).unwrap())
}

#[test]
fn a_pac_is_laid_out_as_the_standard_says() {
    let sample = aes();
    let pac = sample.pac();
    assert_eq!(pac[..8], [4, 0, 0, 0, 0, 0, 0, 0]);
    // type 10, 32 bytes, behind a table of four rows
    assert_eq!(
        pac[8..24],
        [10, 0, 0, 0, 32, 0, 0, 0, 72, 0, 0, 0, 0, 0, 0, 0]
    );
    let read = Pac::parse(&pac).unwrap();
    assert_eq!(read.bytes(), pac);
    let types: Vec<u32> = read.types().collect();
    assert_eq!(
        types,
        [CLIENT_INFO, LOGON_INFO, SERVER_CHECKSUM, PRIVSVR_CHECKSUM]
    );
    assert_eq!(read.buffer(LOGON_INFO), Some(&b"SIDs and groups"[..]));
    assert_eq!(read.buffer(UPN_DNS_INFO), None);
    let info = read.client_info().unwrap();
    assert_eq!(
        (info.name.as_str(), info.authtime),
        ("alice/\u{e4}dmin", AUTHTIME)
    );
    assert_eq!(read.buffer(SERVER_CHECKSUM).unwrap()[..4], [16, 0, 0, 0]);
    assert_eq!(read.buffer(SERVER_CHECKSUM).unwrap().len(), 16);
}

/// CVE-2022-45142: what passes and what does not, in each enctype.
#[test]
fn a_signature_stands_for_its_pac_alone_in_each_enctype() {
    for enctype in Enctype::all() {
        let sample = Sample::new(enctype);
        let pac = sample.pac();
        assert_eq!(sample.verify(&pac), Ok(()), "{enctype:?}");
        let kdcs = Pac::parse(&pac).unwrap().buffer(PRIVSVR_CHECKSUM).unwrap();
        let unsigned = pac
            .windows(kdcs.len())
            .position(|window| window == kdcs)
            .unwrap()
            + 4;
        for bit in 0..pac.len() * 8 {
            let mut other = pac.clone();
            other[bit / 8] ^= 1 << (bit % 8);
            // The KDC's signature is the one thing that the service's does not cover.
            let covered = !(unsigned..unsigned + kdcs.len() - 4).contains(&(bit / 8));
            assert_eq!(sample.verify(&other).is_err(), covered, "bit {bit}");
        }
        for cut in 0..pac.len() {
            assert!(sample.verify(&pac[..cut]).is_err(), "cut to {cut}");
        }
        assert!(sample.verify(&[&pac[..], &[0]].concat()).is_err());
        let pac = Pac::parse(&pac).unwrap();
        let signature = |key| pac.verify(key, &sample.client, AUTHTIME);
        assert_eq!(signature(&sample.kdc), Err(PacError::Signature));
    }
}

#[test]
fn a_pac_is_of_one_client_and_one_time() {
    let sample = aes();
    let pac = sample.pac();
    let pac = Pac::parse(&pac).unwrap();
    let verify = |client: &str, time| {
        let client = Principal::parse(client, None).unwrap();
        pac.verify(&sample.server, &client, time)
    };
    let later = Timestamp::from_micros(AUTHTIME.micros() + 999_999);
    assert_eq!(verify("alice/\u{e4}dmin@R", later), Ok(()));
    for client in ["alice@R", "alice/\u{e4}dmi@R", "Alice/\u{e4}dmin@R"] {
        assert_eq!(
            verify(client, AUTHTIME),
            Err(PacError::OtherClient),
            "{client}"
        );
    }
    for seconds in [-1, 1] {
        let time = Timestamp::from_seconds(AUTHTIME.seconds() + seconds);
        assert_eq!(verify("alice/\u{e4}dmin@R", time), Err(PacError::OtherTime));
    }
}

/// A signature that needs no key, or another key's, is none.
#[test]
fn a_signature_is_of_the_keys_own_type() {
    let sample = aes();
    let pac = sample.pac();
    let at = Pac::parse(&pac)
        .unwrap()
        .find(SERVER_CHECKSUM)
        .unwrap()
        .start;
    for other in [1, 7, 14, 15, 17, 19, 20, -138_i32] {
        let mut pac = pac.clone();
        pac[at..at + 4].copy_from_slice(&other.to_le_bytes());
        let found = PacError::SignatureType {
            found: other,
            wanted: 16,
        };
        assert_eq!(sample.verify(&pac), Err(found));
    }
}

/// [MS-PAC] §2.8: a read-only domain controller adds its number to its signatures.
#[test]
fn a_number_behind_a_signature_is_passed_over() {
    let sample = aes();
    let kdcs = sample.kdc.enctype().checksum_type().to_le_bytes();
    let own = sample.server.enctype().checksum_type().to_le_bytes();
    let writer = PacWriter::new(&sample.client, AUTHTIME)
        .buffer(SERVER_CHECKSUM, [&own[..], &[0; 14]].concat())
        .buffer(PRIVSVR_CHECKSUM, [&kdcs[..], &[0; 14]].concat());
    let (mut pac, places) = writer.lay_out();
    let signature = sample.server.checksum(KeyUsage::PAC_SIGNATURE, &[&pac]);
    write::put(&mut pac, places[1], &signature);
    let number = places[1] + 4 + signature.len();
    pac[number..number + 2].copy_from_slice(&[7, 0]);
    assert_eq!(sample.verify(&pac), Ok(()));
}

#[test]
fn what_has_to_be_there_is_missed() {
    let sample = aes();
    let signature = [&16_i32.to_le_bytes()[..], &[0; 12]].concat();
    let no_kdcs = PacWriter::new(&sample.client, AUTHTIME).buffer(SERVER_CHECKSUM, &*signature);
    let no_own = PacWriter::new(&sample.client, AUTHTIME).buffer(PRIVSVR_CHECKSUM, &*signature);
    let nobodys = PacWriter::default().sign(&sample.server, &sample.kdc);
    for (pac, missing) in [
        (no_kdcs.lay_out().0, PRIVSVR_CHECKSUM),
        (no_own.lay_out().0, SERVER_CHECKSUM),
        (nobodys, CLIENT_INFO),
    ] {
        assert_eq!(sample.verify(&pac), Err(PacError::Missing(missing)));
    }
    for (length, buffer_type) in [(3, PRIVSVR_CHECKSUM), (15, SERVER_CHECKSUM)] {
        let (own, kdcs) = match buffer_type {
            SERVER_CHECKSUM => (&signature[..length], &signature[..]),
            _ => (&signature[..], &signature[..length]),
        };
        let short = PacWriter::new(&sample.client, AUTHTIME);
        let short = short
            .buffer(SERVER_CHECKSUM, own)
            .buffer(PRIVSVR_CHECKSUM, kdcs);
        let error = sample.verify(&short.lay_out().0);
        assert_eq!(error, Err(PacError::ShortSignature(buffer_type)));
    }
}

/// One row of a table that stands before 64 bytes.
fn table(rows: &[(u32, u32, u64)], count: u32, version: u32) -> Vec<u8> {
    let mut pac = [count.to_le_bytes(), version.to_le_bytes()].concat();
    for (buffer_type, size, offset) in rows {
        pac.extend_from_slice(&buffer_type.to_le_bytes());
        pac.extend_from_slice(&size.to_le_bytes());
        pac.extend_from_slice(&offset.to_le_bytes());
    }
    pac.resize(pac.len() + 64, 0);
    pac
}

/// The count was multiplied and added to in 32 bits, so a count too large for its table passed, and what followed was read
/// and written beyond the PAC.
#[test]
fn cve_2022_42898_counts_and_lengths_stay_within_the_pac() {
    use PacError::{Alignment, Bounds, Count, Overlap, Truncated, Twice, Version};
    let refused = |pac: &[u8]| Pac::parse(pac).unwrap_err();
    for count in [0, 65, 0x1000_0000, 0x1000_0001, 0x7fff_ffff, u32::MAX] {
        let pac = table(&[(1, 8, 24)], count, 0);
        assert_eq!(refused(&pac), Count, "{count}");
    }
    let rows = [(1, 8, 24); 64];
    assert_eq!(refused(&table(&rows[..1], 64, 0)[..64]), Bounds(1));
    assert_eq!(refused(&table(&rows, 64, 0)[..7]), Truncated);
    assert_eq!(refused(&table(&[(1, 8, 1040)], 2, 0)[..39]), Bounds(1));
    assert_eq!(refused(&table(&[(1, 8, 24)], 1, 1)), Version(1));
    for (size, offset, error) in [
        (8, 0, Bounds(1)),
        (8, 16, Bounds(1)),
        (8, 28, Alignment(1)),
        (65, 24, Bounds(1)),
        (0, 96, Bounds(1)),
        (8, 88, Bounds(1)),
        (u32::MAX, 24, Bounds(1)),
        (8, u64::MAX - 7, Bounds(1)),
        (8, 1 << 32, Bounds(1)),
        (8, (1 << 32) + 24, Bounds(1)),
    ] {
        assert_eq!(
            refused(&table(&[(1, size, offset)], 1, 0)),
            error,
            "{size} at {offset}"
        );
    }
    assert!(Pac::parse(&table(&[(1, 64, 24)], 1, 0)).is_ok());
    assert!(Pac::parse(&table(&[(1, 0, 88)], 1, 0)).is_ok());
    assert_eq!(refused(&table(&[(1, 8, 40), (1, 8, 48)], 2, 0)), Twice(1));
    for (first, second) in [((16, 40), (8, 48)), ((8, 48), (16, 40)), ((8, 40), (8, 40))] {
        let rows = [(1, first.0, first.1), (2, second.0, second.1)];
        assert_eq!(refused(&table(&rows, 2, 0)), Overlap(2));
    }
    assert!(Pac::parse(&table(&[(1, 8, 40), (2, 8, 48)], 2, 0)).is_ok());
}

#[test]
fn client_information_is_read_to_its_length() {
    let sample = ClientInfo {
        authtime: AUTHTIME,
        name: "al\u{1f600}ice".to_owned(),
    };
    let bytes = sample.write();
    assert_eq!(ClientInfo::parse(&bytes), Ok(sample.clone()));
    // Windows pads.
    assert_eq!(
        ClientInfo::parse(&[&bytes[..], &[0, 0]].concat()),
        Ok(sample)
    );
    for cut in 0..bytes.len() {
        assert_eq!(
            ClientInfo::parse(&bytes[..cut]),
            Err(PacError::ClientInfo),
            "{cut}"
        );
    }
    let of = |ticks: u64, length: u16, name: &[u8]| {
        let bytes = [&ticks.to_le_bytes()[..], &length.to_le_bytes(), name].concat();
        ClientInfo::parse(&bytes)
    };
    let epoch = EPOCH * TICKS;
    assert!(of(epoch, 2, b"a\0").is_ok());
    assert_eq!(of(epoch - 1, 2, b"a\0"), Err(PacError::ClientInfo));
    assert_eq!(of(epoch, 3, b"a\0b"), Err(PacError::ClientInfo));
    assert_eq!(of(epoch, 2, b"\0\xd8"), Err(PacError::ClientInfo));
    assert!(of(u64::MAX, 0, b"").is_ok());
}
