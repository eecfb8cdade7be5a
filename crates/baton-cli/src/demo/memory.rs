//! Looks for what two processes have in common that looks like keys, without knowing a key.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;

const SIZE: usize = 16;
/// Keys lie in the memory of structures and allocations, which is aligned.
const STEP: usize = 8;

/// Sixteen bytes of some process's memory.
pub(crate) type Piece = [u8; SIZE];

/// The pieces of a process's private memory that look random.
pub(crate) fn pieces(pid: u32) -> io::Result<HashSet<Piece>> {
    let mut found = HashSet::new();
    each_map(pid, |map| {
        let pieces = map.windows(SIZE).step_by(STEP).filter(|one| is_random(one));
        found.extend(pieces.filter_map(|one| Piece::try_from(one).ok()));
    })?;
    Ok(found)
}

/// How many of `wanted` are in a process's private memory, wherever they begin.
pub(crate) fn count(pid: u32, wanted: &HashSet<Piece>) -> io::Result<usize> {
    let mut found = HashSet::new();
    // Most places differ in their first bytes already.
    let starts: HashSet<[u8; 2]> = wanted.iter().map(|piece| [piece[0], piece[1]]).collect();
    each_map(pid, |map| {
        for window in map.windows(SIZE) {
            if starts.contains(&[window[0], window[1]])
                && let Ok(piece) = Piece::try_from(window)
                && wanted.contains(&piece)
            {
                found.insert(piece);
            }
        }
    })?;
    Ok(found.len())
}

/// Text, pointers, numbers and tables repeat bytes; a key hardly does.
fn is_random(bytes: &[u8]) -> bool {
    let different = bytes.iter().collect::<HashSet<_>>().len();
    let zeros = bytes.iter().filter(|byte| **byte == 0).count();
    let printable = bytes.iter().filter(|byte| byte.is_ascii_graphic()).count();
    different >= 12 && zeros <= 2 && printable <= 12
}

fn each_map(pid: u32, mut look: impl FnMut(&[u8])) -> io::Result<()> {
    let memory = File::open(format!("/proc/{pid}/mem"))?;
    for line in fs::read_to_string(format!("/proc/{pid}/maps"))?.lines() {
        let mut words = line.split_ascii_whitespace();
        let (Some(range), Some(rights)) = (words.next(), words.next()) else {
            continue;
        };
        // What is shared is the once-store.
        if !rights.contains('w') || !rights.contains('p') {
            continue;
        }
        let number = |text| u64::from_str_radix(text, 16).ok();
        let Some((Some(start), Some(end))) = range
            .split_once('-')
            .map(|(start, end)| (number(start), number(end)))
        else {
            continue;
        };
        let mut map = vec![0; usize::try_from(end - start).unwrap_or(0)];
        let mut read = 0;
        // What cannot be read is the kernel's.
        while let Ok(more @ 1..) = memory.read_at(&mut map[read..], start + read as u64) {
            read += more;
        }
        look(&map[..read]);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_pointers_and_numbers_are_no_keys() {
        let pointers = [0x7f12_3456_789a_u64, 0x5566_7788_99aa].map(u64::to_le_bytes);
        for plain in [
            b"alice@EXAMPLE.TE".to_vec(),
            pointers.concat(),
            vec![7; SIZE],
            vec![0; SIZE],
        ] {
            assert!(!is_random(&plain), "{plain:?}");
        }
        assert!(is_random(&[
            0xa1, 0x05, 0xfe, 0x33, 0x91, 0xc4, 0x78, 0x10, 0x0d, 0xe2, 0xbb, 0x5f, 0x86, 0x29,
            0xd7, 0x6c
        ]));
    }

    /// In the memory of another process, which has been told just the one.
    #[test]
    fn a_piece_is_found_wherever_it_begins_and_no_other() {
        use std::ffi::OsStr;
        use std::os::unix::ffi::OsStrExt;
        let piece = |seed: u8| -> Piece {
            std::array::from_fn(|at| (at as u8).wrapping_mul(37) ^ seed | 0x80)
        };
        let mut child = std::process::Command::new("sleep")
            .arg("60")
            .env("HELD", OsStr::from_bytes(&piece(0x9c)))
            .spawn()
            .unwrap();
        let counted = [0x9c, 0x1b].map(|seed| count(child.id(), &HashSet::from([piece(seed)])));
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(counted.map(Result::unwrap), [1, 0]);
    }
}
