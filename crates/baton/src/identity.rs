//! Who this process is: the facts that a transfer's policy can speak of, from the kernel, at each call anew, because a process
//! changes its user, its session and its control group as it likes.

use std::fs;
use std::os::unix::fs::MetadataExt;

use gss_transfer::identity::{Identity, Leader, Wanted};
use rustix::process;

/// This process, as far as `wanted`.
pub(crate) fn of_this_process(wanted: Wanted) -> Identity {
    let mut identity = Identity {
        user: process::geteuid().as_raw(),
        user_namespace: namespace("user"),
        ..Identity::default()
    };
    if wanted.groups {
        identity.groups.push(process::getegid().as_raw());
        let others = process::getgroups().unwrap_or_default();
        identity
            .groups
            .extend(others.into_iter().map(process::Gid::as_raw));
    }
    if wanted.bounds {
        identity.process_group = leader(process::getpgrp());
        identity.session = process::getsid(None).ok().and_then(leader);
        identity.unit = unit();
        identity.boot = boot();
        identity.process_namespace = namespace("pid");
    }
    identity
}

fn namespace(kind: &str) -> Option<u64> {
    let metadata = fs::metadata(format!("/proc/self/ns/{kind}")).ok()?;
    Some(metadata.ino())
}

/// A group's or session's number with the start of its leader. Without a leader the number may be another's tomorrow: then
/// it is not known.
fn leader(id: process::Pid) -> Option<Leader> {
    let stat = fs::read_to_string(format!("/proc/{}/stat", id.as_raw_pid())).ok()?;
    Some(Leader {
        id: id.as_raw_pid().cast_unsigned(),
        started: started(&stat)?,
    })
}

/// The 22nd field of proc(5)'s `stat`. The second is a file name in parentheses, which may hold anything.
fn started(stat: &str) -> Option<u64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    after_name.split_ascii_whitespace().nth(19)?.parse().ok()
}

/// The path in the unified hierarchy (cgroups(7)), or in systemd's own where the unified one is not used.
fn unit() -> Option<String> {
    let table = fs::read_to_string("/proc/self/cgroup").ok()?;
    let path = |start: &str| table.lines().find_map(|line| line.strip_prefix(start));
    path("1:name=systemd:")
        .or_else(|| path("0::"))
        .map(str::to_owned)
}

fn boot() -> Option<[u8; 16]> {
    let text = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let digits: Vec<u8> = text
        .chars()
        .filter_map(|digit| digit.to_digit(16))
        .map(|digit| digit as u8)
        .collect();
    let digits: [u8; 32] = digits.try_into().ok()?;
    Some(std::array::from_fn(|at| {
        digits[2 * at] << 4 | digits[2 * at + 1]
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_tells_who_we_are() {
        let all = Wanted {
            groups: true,
            bounds: true,
        };
        let identity = of_this_process(all);
        assert_eq!(identity.user, process::geteuid().as_raw());
        assert!(identity.groups.contains(&process::getegid().as_raw()));
        assert!(identity.boot.is_some_and(|boot| boot != [0; 16]));
        assert!(identity.user_namespace.is_some());
        assert!(identity.process_namespace.is_some());
        assert_eq!(identity, of_this_process(all), "facts, not guesses");
    }

    #[test]
    fn a_start_time_is_found_behind_any_name() {
        let fields = "S 1 7 7 0 -1 4194304 1 0 0 0 0 0 0 0 20 0 1 0 4711 2 3";
        for name in ["sh", "a b", "x) R 1 (y", "\u{fffd}"] {
            let stat = format!("7 ({name}) {fields}");
            assert_eq!(started(&stat), Some(4711), "{name}");
        }
        assert_eq!(started("7 (sh) S 1 7"), None);
        assert_eq!(started(""), None);
    }
}
