//! Who this process is: the facts that a transfer's policy can speak of, from the kernel, at each call anew, because a process
//! changes its user, its session and its control group as it likes.

use std::fs;

use gss_transfer::identity::{Identity, Leader, Wanted};
use rustix::process;

/// This process, as far as `wanted`.
pub(crate) fn of_this_process(wanted: Wanted) -> Identity {
    let mut identity = Identity {
        user: process::geteuid().as_raw(),
        ..Identity::default()
    };
    if wanted.user_namespace {
        identity.user_namespace = namespace("user");
    }
    if wanted.groups {
        identity.groups.push(process::getegid().as_raw());
        let others = process::getgroups().unwrap_or_default();
        identity
            .groups
            .extend(others.into_iter().map(process::Gid::as_raw));
    }
    if wanted.bounds {
        // Not by getsid(2): it answers 0 where the leader is outside this process namespace, as in a container, and that is no `Pid`.
        let groups = fs::read("/proc/self/stat").ok();
        let groups = groups.as_deref().and_then(process_group_and_session);
        let [process_group, session] = groups.map_or([None; 2], |numbers| numbers.map(leader));
        identity.process_group = process_group;
        identity.session = session;
        identity.unit = unit();
        identity.boot = boot();
        identity.process_namespace = namespace("pid");
    }
    identity
}

/// The number of this process's namespace. The link tells it, `user:[4026531837]`; to follow that costs twice as much, because the
/// kernel makes an inode for it each time.
fn namespace(kind: &str) -> Option<u64> {
    let link = fs::read_link(format!("/proc/self/ns/{kind}")).ok()?;
    let number = link.to_str()?.strip_prefix(kind)?;
    number.strip_prefix(":[")?.strip_suffix(']')?.parse().ok()
}

/// A group's or session's number with the start of its leader. Without a leader the number may be another's tomorrow, and 0
/// stands for one outside this process namespace: then it is not known.
fn leader(id: u32) -> Option<Leader> {
    let stat = (id != 0).then(|| fs::read(format!("/proc/{id}/stat")));
    Some(Leader {
        id,
        started: started(&stat?.ok()?)?,
    })
}

/// The 5th and 6th field of proc(5)'s `stat`.
fn process_group_and_session(stat: &[u8]) -> Option<[u32; 2]> {
    Some([field(stat, 5)?.parse().ok()?, field(stat, 6)?.parse().ok()?])
}

/// The 22nd field of proc(5)'s `stat`.
fn started(stat: &[u8]) -> Option<u64> {
    field(stat, 22)?.parse().ok()
}

/// A field of proc(5)'s `stat`, from the 3rd on. The second is a file name in parentheses, which may hold anything.
fn field(stat: &[u8], number: usize) -> Option<&str> {
    let end_of_name = stat.iter().rposition(|byte| *byte == b')')?;
    let after_name = str::from_utf8(&stat[end_of_name + 1..]).ok()?;
    after_name.split_ascii_whitespace().nth(number - 3)
}

fn unit() -> Option<String> {
    unit_in(&fs::read("/proc/self/cgroup").ok()?)
}

/// The path in systemd's own hierarchy where there is one, else in the unified one, of lines `number:controllers:path`
/// (cgroups(7)). The root is no unit: every process that is in none is there, and every first one of a cgroup namespace.
fn unit_in(table: &[u8]) -> Option<String> {
    let path = |wanted: fn(&[u8], &[u8]) -> bool| {
        table.split(|byte| *byte == b'\n').find_map(|line| {
            let mut parts = line.splitn(3, |byte| *byte == b':');
            let (number, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
            wanted(number, controllers).then_some(path)
        })
    };
    let path = path(|_, controllers| controllers == b"name=systemd")
        .or_else(|| path(|number, controllers| number == b"0" && controllers.is_empty()))?;
    let path = str::from_utf8(path).ok()?;
    (path.starts_with('/') && path != "/").then(|| path.to_owned())
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
            user_namespace: true,
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
    fn a_namespace_has_the_number_of_its_file() {
        use std::os::unix::fs::MetadataExt;
        for kind in ["user", "pid"] {
            let file = fs::metadata(format!("/proc/self/ns/{kind}")).expect("procfs is here");
            assert_eq!(namespace(kind), Some(file.ino()));
        }
        assert_eq!(namespace("none"), None);
    }

    #[test]
    fn a_start_time_is_found_behind_any_name() {
        let fields = "S 1 7 7 0 -1 4194304 1 0 0 0 0 0 0 0 20 0 1 0 4711 2 3";
        for name in [&b"sh"[..], b"a b", b"x) R 1 (y", b"\xff\xfe", b""] {
            let stat = [b"7 (", name, b") ", fields.as_bytes()].concat();
            assert_eq!(started(&stat), Some(4711), "{name:?}");
        }
        assert_eq!(started(b"7 (sh) S 1 7"), None);
        assert_eq!(started(b"7 (sh) \xff"), None);
        assert_eq!(started(b""), None);
    }

    #[test]
    fn groups_are_found_and_those_from_outside_have_no_leader() {
        let stat = |fields: &str| process_group_and_session(fields.as_bytes());
        assert_eq!(stat("7 (a) 1 2) S 1 8 9 0"), Some([8, 9]));
        // As it is in a container whose first process did not begin a session.
        assert_eq!(stat("7 (sh) S 0 0 0 0"), Some([0, 0]));
        assert_eq!(stat("7 (sh) S 1 8"), None);
        assert_eq!(stat("7 (sh) S 1 -8 9 0"), None);
        assert_eq!(leader(0), None);
        assert_eq!(
            leader(std::process::id()).map(|us| us.id),
            Some(std::process::id())
        );
    }

    #[test]
    fn a_unit_is_found_in_each_layout_of_control_groups() {
        let web = Some("/system.slice/web.service");
        for (table, unit) in [
            // The unified hierarchy alone.
            ("0::/system.slice/web.service\n", web),
            // The first one, whatever number systemd's hierarchy has.
            (
                "12:pids:/other\n1:name=systemd:/system.slice/web.service\n",
                web,
            ),
            ("9:name=systemd:/system.slice/web.service\n8:pids:/\n", web),
            // Both: systemd's own counts, in whichever order they come.
            (
                "9:name=systemd:/system.slice/web.service\n8:pids:/\n0::/other\n",
                web,
            ),
            ("0::/other\n9:name=systemd:/system.slice/web.service\n", web),
            ("0::/a:b\n", Some("/a:b")),
            // In no unit. The unified path of another process could be the same in systemd's.
            ("9:name=systemd:/\n0::/\n", None),
            ("9:name=systemd:/\n0::/system.slice/web.service\n", None),
            ("0::/\n", None),
            ("0::\n", None),
            ("0::", None),
            ("8:pids:/system.slice/web.service\n", None),
            ("10::/system.slice/web.service\n", None),
            ("", None),
        ] {
            assert_eq!(unit_in(table.as_bytes()).as_deref(), unit, "{table:?}");
        }
        assert_eq!(unit_in(b"0::/\xff\n"), None);
    }
}
