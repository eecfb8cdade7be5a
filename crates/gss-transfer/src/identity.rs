//! Who a process is, as facts that are handed in.

/// A process group or a session: its number, and when its leader started, because numbers recycle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Leader {
    /// The process id of the leader, which is the number of the group or session.
    pub id: u32,
    /// When the leader started, in clock ticks since boot.
    pub started: u64,
}

/// The facts about one process that a policy can speak of. What could not be found out is `None`, and no policy is
/// fulfilled by a fact that is not known; but where neither exporter nor importer knows its
/// [user namespace](Self::user_namespace), because `/proc` is not mounted, they are taken to be in one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// The effective user.
    pub user: u32,
    /// The effective group and the supplementary groups.
    pub groups: Vec<u32>,
    /// The process group.
    pub process_group: Option<Leader>,
    /// The session.
    pub session: Option<Leader>,
    /// The control group's path, which names the systemd unit.
    pub unit: Option<String>,
    /// This boot of this machine.
    pub boot: Option<[u8; 16]>,
    /// The inode of the user namespace, in which user and group numbers have their meaning.
    pub user_namespace: Option<u64>,
    /// The inode of the process namespace, in which process numbers have their meaning.
    pub process_namespace: Option<u64>,
}

/// Which facts, beyond the user, somebody is going to look at: finding out the others costs system calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// [`user_namespace`](Identity::user_namespace).
    pub user_namespace: bool,
    /// [`groups`](Identity::groups).
    pub groups: bool,
    /// Process group, session, unit, boot and process namespace.
    pub bounds: bool,
}
