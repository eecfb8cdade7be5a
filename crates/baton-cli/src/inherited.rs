//! Descriptors that whoever started us left open, and that workers and programs would inherit from us.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use rustix::fs::{FileType, OFlags};

/// A descriptor beside the standard three that stays open in programs we start.
pub(crate) struct Inherited {
    pub(crate) number: u32,
    pub(crate) name: PathBuf,
    /// A file or directory that not every user may read.
    pub(crate) is_private: bool,
}

/// All of them. What we open ourselves is closed when another program starts, so these came from outside.
pub(crate) fn find() -> io::Result<Vec<Inherited>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc/self/fd")? {
        let entry = entry?;
        let Some(number) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
        else {
            continue;
        };
        if number > 2 && stays_open(&fs::read_to_string(format!("/proc/self/fdinfo/{number}"))?) {
            found.push(Inherited {
                number,
                name: fs::read_link(entry.path())?,
                is_private: is_private(&fs::metadata(entry.path())?),
            });
        }
    }
    found.sort_by_key(|inherited| inherited.number);
    Ok(found)
}

fn is_private(metadata: &fs::Metadata) -> bool {
    match FileType::from_raw_mode(metadata.mode()) {
        FileType::RegularFile => metadata.mode() & 0o004 == 0,
        FileType::Directory => metadata.mode() & 0o005 != 0o005,
        _ => false,
    }
}

/// What `/proc/self/fdinfo` says of a descriptor: its flags, in octal digits.
fn stays_open(info: &str) -> bool {
    let flags = info.lines().find_map(|line| line.strip_prefix("flags:"));
    let flags = flags.and_then(|digits| u32::from_str_radix(digits.trim(), 8).ok());
    flags.is_none_or(|flags| !OFlags::from_bits_retain(flags).contains(OFlags::CLOEXEC))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_tell_what_stays_open() {
        assert!(stays_open("pos:\t0\nflags:\t0100002\nmnt_id:\t15\n"));
        assert!(!stays_open("pos:\t0\nflags:\t02100002\nmnt_id:\t15\n"));
        assert!(stays_open("unknown"));
    }
}
