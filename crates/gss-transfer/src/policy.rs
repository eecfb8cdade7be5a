//! Who may import a context: what an exporter asks for ([`Policy`]), and what travels ([`Terms`]).

use hmac::digest::Digest;
use sha2::Sha256;
use wire::fields::{FieldError, FieldReader, FieldWriter};

use crate::deposit::Carrier;
use crate::identity::{Identity, Leader, Wanted};

/// How many users and groups a policy can list, together.
pub const MAX_LISTED: usize = 16;

/// Who may import a context: **any one** of those who are named, **within all** of the bounds that are set.
///
/// By default the same user. A policy that names nobody admits nobody, whatever its bounds.
///
/// In file mode the kernel enforces who can open the store, which is the same user; the rest binds processes that
/// cooperate, and guards against mistakes and leaked tokens, not against a hostile process of that user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// A process of the exporter's effective user.
    pub same_user: bool,
    /// Whoever holds the other end of the private socket that the context is sent over, or the service's key that a half-open
    /// handshake is sealed under. It names nobody where the context travels in another way.
    pub holder: bool,
    /// Processes of these effective users.
    pub users: Vec<u32>,
    /// Processes that have one of these groups, as effective or supplementary group.
    pub groups: Vec<u32>,
    /// Only within the exporter's process group.
    pub within_process_group: bool,
    /// Only within the exporter's session.
    pub within_session: bool,
    /// Only within the exporter's systemd unit (its control group).
    pub within_unit: bool,
}

impl Default for Policy {
    fn default() -> Self {
        Self::same_user()
    }
}

impl Policy {
    /// Nobody.
    pub const fn nobody() -> Self {
        Self {
            same_user: false,
            holder: false,
            users: Vec::new(),
            groups: Vec::new(),
            within_process_group: false,
            within_session: false,
            within_unit: false,
        }
    }

    /// Any process of the exporter's effective user.
    pub const fn same_user() -> Self {
        let mut policy = Self::nobody();
        policy.same_user = true;
        policy
    }

    /// Whoever holds the other end of the private socket, or the service's key.
    pub const fn holder() -> Self {
        let mut policy = Self::nobody();
        policy.holder = true;
        policy
    }

    /// Processes of the effective users in `users`.
    pub fn users(users: impl Into<Vec<u32>>) -> Self {
        Self {
            users: users.into(),
            ..Self::nobody()
        }
    }

    /// Processes that have one of `groups`.
    pub fn groups(groups: impl Into<Vec<u32>>) -> Self {
        Self {
            groups: groups.into(),
            ..Self::nobody()
        }
    }

    /// The same, only within the exporter's process group.
    #[must_use]
    pub fn within_process_group(mut self) -> Self {
        self.within_process_group = true;
        self
    }

    /// The same, only within the exporter's session.
    #[must_use]
    pub fn within_session(mut self) -> Self {
        self.within_session = true;
        self
    }

    /// The same, only within the exporter's systemd unit.
    #[must_use]
    pub fn within_unit(mut self) -> Self {
        self.within_unit = true;
        self
    }

    /// The facts about the exporter that [`bind`](Self::bind) looks at.
    pub const fn wanted(&self) -> Wanted {
        Wanted {
            // Where the holder of a socket is all that is named, no number is compared.
            user_namespace: self.same_user || !self.users.is_empty() || !self.groups.is_empty(),
            groups: false,
            bounds: self.within_process_group || self.within_session || self.within_unit,
        }
    }

    /// What this policy means when `exporter` asks for it.
    pub fn bind(&self, exporter: &Identity) -> Result<Terms, PolicyError> {
        if self.users.len() + self.groups.len() > MAX_LISTED {
            return Err(PolicyError::TooLong);
        }
        let place = exporter
            .boot
            .zip(exporter.process_namespace)
            .map(|(boot, namespace)| Place { boot, namespace });
        Ok(Terms {
            who: u8::from(self.same_user) | u8::from(self.holder) << 1,
            maker: exporter.user,
            user_namespace: exporter.user_namespace,
            users: self.users.clone(),
            groups: self.groups.clone(),
            place: known(self.wanted().bounds, place, Bound::Place)?,
            process_group: known(
                self.within_process_group,
                exporter.process_group,
                Bound::ProcessGroup,
            )?,
            session: known(self.within_session, exporter.session, Bound::Session)?,
            unit: known(
                self.within_unit,
                exporter.unit.as_deref().map(unit_digest),
                Bound::Unit,
            )?,
        })
    }
}

fn known<T>(asked: bool, fact: Option<T>, bound: Bound) -> Result<Option<T>, PolicyError> {
    match (asked, fact) {
        (false, _) => Ok(None),
        (true, None) => Err(PolicyError::Unknown(bound)),
        (true, fact) => Ok(fact),
    }
}

/// One bound of a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// Machine, boot and process namespace.
    Place,
    /// Process group.
    ProcessGroup,
    /// Session.
    Session,
    /// Systemd unit.
    Unit,
}

impl std::fmt::Display for Bound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Place => "boot or process namespace",
            Self::ProcessGroup => "process group",
            Self::Session => "session",
            Self::Unit => "systemd unit",
        })
    }
}

/// Why a policy cannot be carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// It lists more than [`MAX_LISTED`] users and groups.
    #[error("the policy lists more than {MAX_LISTED} users and groups")]
    TooLong,
    /// It bounds by something that is not known of the exporter.
    #[error("the policy bounds by the exporter's {0}, which could not be found out")]
    Unknown(Bound),
}

/// Why a policy does not admit a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The deposit was made by another user.
    #[error("the deposit was made by user {maker}, not by user {user}")]
    OtherMaker {
        /// Whose deposit it is.
        maker: u32,
        /// Who wants to import.
        user: u32,
    },
    /// The policy names nobody, or somebody else.
    #[error("the exporter's policy does not name user {0}")]
    NotNamed(u32),
    /// User and group numbers of the exporter mean something else here, or may do so.
    #[error("the exporter lives in another user namespace, or one of the two is not known")]
    OtherNamespace,
    /// The importer is outside a bound.
    #[error("the exporter's policy admits its own {0} only")]
    Outside(Bound),
}

/// Where process numbers have their meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    boot: [u8; 16],
    namespace: u64,
}

/// A policy with the exporter's own facts filled in: what a deposit carries and an importer checks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    who: u8,
    maker: u32,
    user_namespace: Option<u64>,
    users: Vec<u32>,
    groups: Vec<u32>,
    place: Option<Place>,
    process_group: Option<Leader>,
    session: Option<Leader>,
    unit: Option<[u8; 16]>,
}

const SAME_USER: u8 = 1;
const HOLDER: u8 = 2;
const VERSION: u8 = 1;

impl Terms {
    /// The user who exported.
    pub const fn maker(&self) -> u32 {
        self.maker
    }

    /// The facts about an importer that [`admit`](Self::admit) looks at.
    pub const fn wanted(&self) -> Wanted {
        let numbers = !self.users.is_empty() || !self.groups.is_empty();
        Wanted {
            user_namespace: self.who & SAME_USER != 0 || numbers,
            groups: !self.groups.is_empty(),
            bounds: self.place.is_some(),
        }
    }

    /// Whether `importer`, who got the deposit by `carrier`, may import.
    pub fn admit(&self, importer: &Identity, carrier: Carrier) -> Result<(), Refusal> {
        if carrier == Carrier::Store && self.maker != importer.user {
            return Err(Refusal::OtherMaker {
                maker: self.maker,
                user: importer.user,
            });
        }
        self.names(importer, carrier)?;
        if !self.names_holder(carrier) && self.user_namespace != importer.user_namespace {
            return Err(Refusal::OtherNamespace);
        }
        let place = importer
            .boot
            .zip(importer.process_namespace)
            .map(|(boot, namespace)| Place { boot, namespace });
        let unit = importer.unit.as_deref().map(unit_digest);
        within(self.place, place, Bound::Place)?;
        within(
            self.process_group,
            importer.process_group,
            Bound::ProcessGroup,
        )?;
        within(self.session, importer.session, Bound::Session)?;
        within(self.unit, unit, Bound::Unit)
    }

    /// Whether the exporter named `importer`, who got the deposit by `carrier`, by numbers that mean the same to both. The bounds
    /// are not looked at, which only the importer itself can do.
    ///
    /// For an exporter who asks the kernel about a peer: it tells of the peer in the asker's own user namespace. But the number
    /// 65534 (`overflowuid`, `overflowgid`) may be any user or group that has none there: who lists it, admits them all.
    pub fn names(&self, importer: &Identity, carrier: Carrier) -> Result<(), Refusal> {
        if self.names_holder(carrier) {
            return Ok(());
        }
        let same_user = self.who & SAME_USER != 0 && self.maker == importer.user;
        let listed = self.users.contains(&importer.user)
            || self
                .groups
                .iter()
                .any(|group| importer.groups.contains(group));
        if same_user || listed {
            Ok(())
        } else {
            Err(Refusal::NotNamed(importer.user))
        }
    }

    const fn names_holder(&self, carrier: Carrier) -> bool {
        let held = matches!(carrier, Carrier::PrivateSocket | Carrier::ServiceKey);
        self.who & HOLDER != 0 && held
    }

    /// Appends the one encoding of these terms.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        let mut fields = FieldWriter::new(out, VERSION);
        fields
            .number(1, u64::from(self.who))
            .number(2, u64::from(self.maker));
        if let Some(namespace) = self.user_namespace {
            fields.number(3, namespace);
        }
        for (number, list) in [(4, &self.users), (5, &self.groups)] {
            if !list.is_empty() {
                fields.bytes(number, &list_bytes(list));
            }
        }
        if let Some(place) = self.place {
            fields.bytes(6, &place.boot).number(7, place.namespace);
        }
        for (number, leader) in [(8, self.process_group), (9, self.session)] {
            if let Some(leader) = leader {
                fields.bytes(number, &leader_bytes(leader));
            }
        }
        if let Some(unit) = self.unit {
            fields.bytes(10, &unit);
        }
    }

    /// Reads what [`encode`](Self::encode) wrote.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, FieldError> {
        let mut fields = FieldReader::new(bytes, VERSION)?;
        let who = fields.number(1)?;
        let maker = fields.number(2)?;
        let user_namespace = fields.optional_number(3)?;
        let (users, groups) = (list(&mut fields, 4)?, list(&mut fields, 5)?);
        let boot = fields.optional(6)?;
        let place = match boot {
            None => None,
            Some(boot) => Some(Place {
                boot: boot.try_into().map_err(|_| FieldError::NotCanonical(6))?,
                namespace: fields.number(7)?,
            }),
        };
        let (process_group, session) = (leader(&mut fields, 8)?, leader(&mut fields, 9)?);
        let unit = fields.optional(10)?;
        let terms = Self {
            who: u8::try_from(who)
                .ok()
                .filter(|who| *who <= SAME_USER | HOLDER)
                .ok_or(FieldError::NotCanonical(1))?,
            maker: u32::try_from(maker).map_err(|_| FieldError::NotCanonical(2))?,
            user_namespace,
            users,
            groups,
            place,
            process_group,
            session,
            unit: unit
                .map(|unit| unit.try_into().map_err(|_| FieldError::NotCanonical(10)))
                .transpose()?,
        };
        fields.finish()?;
        Ok(terms)
    }
}

fn within<T: PartialEq>(bound: Option<T>, fact: Option<T>, which: Bound) -> Result<(), Refusal> {
    if bound.is_none() || bound == fact {
        Ok(())
    } else {
        Err(Refusal::Outside(which))
    }
}

fn list_bytes(list: &[u32]) -> Vec<u8> {
    list.iter().flat_map(|id| id.to_le_bytes()).collect()
}

fn list(fields: &mut FieldReader<'_>, number: u8) -> Result<Vec<u32>, FieldError> {
    let Some(bytes) = fields.optional(number)? else {
        return Ok(Vec::new());
    };
    let (ids, rest) = bytes.as_chunks::<4>();
    if ids.is_empty() || !rest.is_empty() {
        return Err(FieldError::NotCanonical(number));
    }
    Ok(ids.iter().map(|id| u32::from_le_bytes(*id)).collect())
}

fn leader_bytes(leader: Leader) -> [u8; 12] {
    let mut bytes = [0; 12];
    bytes[..4].copy_from_slice(&leader.id.to_le_bytes());
    bytes[4..].copy_from_slice(&leader.started.to_le_bytes());
    bytes
}

fn leader(fields: &mut FieldReader<'_>, number: u8) -> Result<Option<Leader>, FieldError> {
    let Some(bytes) = fields.optional(number)? else {
        return Ok(None);
    };
    let malformed = FieldError::NotCanonical(number);
    let (id, started) = bytes.split_first_chunk::<4>().ok_or(malformed)?;
    Ok(Some(Leader {
        id: u32::from_le_bytes(*id),
        started: u64::from_le_bytes(started.try_into().map_err(|_| malformed)?),
    }))
}

/// A path has no bounded length, so half of its hash stands for it.
fn unit_digest(path: &str) -> [u8; 16] {
    let hash = Sha256::digest(path.as_bytes());
    std::array::from_fn(|at| hash[at])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exporter() -> Identity {
        Identity {
            user: 1000,
            groups: vec![1000, 27],
            process_group: Some(Leader { id: 70, started: 5 }),
            session: Some(Leader { id: 60, started: 4 }),
            unit: Some("/system.slice/web.service".into()),
            boot: Some([7; 16]),
            user_namespace: Some(4_026_531_837),
            process_namespace: Some(4_026_531_836),
        }
    }

    fn admit(policy: &Policy, importer: &Identity) -> Result<(), Refusal> {
        policy
            .bind(&exporter())
            .unwrap()
            .admit(importer, Carrier::Store)
    }

    #[test]
    fn the_same_user_is_admitted_and_another_is_not() {
        assert_eq!(admit(&Policy::default(), &exporter()), Ok(()));
        let other = Identity {
            user: 1001,
            ..exporter()
        };
        assert_eq!(
            admit(&Policy::default(), &other),
            Err(Refusal::OtherMaker {
                maker: 1000,
                user: 1001
            })
        );
        let terms = Policy::same_user().bind(&exporter()).unwrap();
        assert_eq!(
            terms.admit(&other, Carrier::PrivateSocket),
            Err(Refusal::NotNamed(1001))
        );
    }

    #[test]
    fn a_policy_that_names_nobody_admits_nobody() {
        for policy in [
            Policy::nobody(),
            Policy::nobody().within_session(),
            Policy::users([]),
            Policy::holder(),
        ] {
            assert_eq!(
                admit(&policy, &exporter()),
                Err(Refusal::NotNamed(1000)),
                "{policy:?}"
            );
        }
    }

    #[test]
    fn the_holder_of_a_private_socket_is_named_there_alone() {
        let stranger = Identity {
            user: 65534,
            user_namespace: Some(1),
            ..Identity::default()
        };
        let terms = Policy::holder().bind(&exporter()).unwrap();
        assert_eq!(terms.admit(&stranger, Carrier::PrivateSocket), Ok(()));
        assert!(terms.admit(&stranger, Carrier::NamedSocket).is_err());
        assert!(terms.admit(&exporter(), Carrier::NamedSocket).is_err());
    }

    #[test]
    fn users_and_groups_are_lists_of_which_one_is_enough() {
        assert_eq!(admit(&Policy::users([5, 1000]), &exporter()), Ok(()));
        assert_eq!(admit(&Policy::groups([5, 27]), &exporter()), Ok(()));
        assert!(admit(&Policy::users([5]), &exporter()).is_err());
        assert!(admit(&Policy::groups([5]), &exporter()).is_err());
        let longest = Policy::users(vec![0; MAX_LISTED]);
        assert!(longest.bind(&exporter()).is_ok());
        let longer = Policy {
            groups: vec![0],
            ..longest
        };
        assert_eq!(longer.bind(&exporter()), Err(PolicyError::TooLong));
    }

    #[test]
    fn the_user_namespace_is_wanted_where_numbers_are_compared() {
        let wants = |policy: Policy| {
            let terms = policy.bind(&Identity::default()).unwrap();
            let wanted = policy.wanted().user_namespace;
            assert_eq!(terms.wanted().user_namespace, wanted, "both ends agree");
            wanted
        };
        assert!(!wants(Policy::holder()) && !wants(Policy::nobody()));
        assert!(wants(Policy::same_user()));
        assert!(wants(Policy::users([1000])) && wants(Policy::groups([1000])));
        let mut both = Policy::holder();
        both.same_user = true;
        assert!(wants(both));
    }

    #[test]
    fn numbers_of_another_namespace_or_an_unknown_one_are_not_ours() {
        let living_in = |user_namespace| Identity {
            user_namespace,
            ..exporter()
        };
        for (theirs, ours) in [(Some(1), Some(2)), (Some(1), None), (None, Some(2))] {
            for policy in [
                Policy::default(),
                Policy::users([1000]),
                Policy::groups([27]),
            ] {
                let terms = policy.bind(&living_in(theirs)).unwrap();
                for carrier in [Carrier::Store, Carrier::PrivateSocket, Carrier::NamedSocket] {
                    assert_eq!(
                        terms.admit(&living_in(ours), carrier),
                        Err(Refusal::OtherNamespace),
                        "{theirs:?} {ours:?}"
                    );
                }
            }
        }
        let unknown = Policy::default().bind(&living_in(None)).unwrap();
        assert_eq!(unknown.admit(&living_in(None), Carrier::Store), Ok(()));
    }

    #[test]
    fn each_bound_alone_refuses() {
        let bounded = Policy::same_user()
            .within_process_group()
            .within_session()
            .within_unit();
        assert_eq!(admit(&bounded, &exporter()), Ok(()));
        let reused = Some(Leader { id: 70, started: 6 });
        type Change = fn(&mut Identity);
        let others: [(Bound, Change); 9] = [
            (Bound::ProcessGroup, |who| {
                who.process_group = Some(Leader { id: 71, started: 5 });
            }),
            (Bound::ProcessGroup, |who| who.process_group = None),
            (Bound::Session, |who| {
                who.session = Some(Leader { id: 61, started: 4 });
            }),
            (Bound::Session, |who| who.session = None),
            (Bound::Unit, |who| {
                who.unit = Some("/system.slice/mail.service".into());
            }),
            (Bound::Unit, |who| who.unit = None),
            (Bound::Place, |who| who.boot = Some([8; 16])),
            (Bound::Place, |who| who.process_namespace = Some(1)),
            (Bound::Place, |who| who.boot = None),
        ];
        for (bound, change) in others {
            let mut other = exporter();
            change(&mut other);
            assert_eq!(admit(&bounded, &other), Err(Refusal::Outside(bound)));
        }
        let recycled = Identity {
            process_group: reused,
            ..exporter()
        };
        assert_eq!(
            admit(&bounded, &recycled),
            Err(Refusal::Outside(Bound::ProcessGroup)),
            "a recycled number is another group"
        );
    }

    #[test]
    fn a_bound_by_what_is_not_known_is_refused_to_the_exporter() {
        let bare = Identity::default();
        for (policy, bound) in [
            (Policy::same_user().within_unit(), Bound::Place),
            (Policy::same_user().within_session(), Bound::Place),
        ] {
            assert_eq!(policy.bind(&bare), Err(PolicyError::Unknown(bound)));
        }
        let placed = Identity {
            boot: Some([0; 16]),
            process_namespace: Some(0),
            ..bare
        };
        for (policy, bound) in [
            (
                Policy::same_user().within_process_group(),
                Bound::ProcessGroup,
            ),
            (Policy::same_user().within_session(), Bound::Session),
            (Policy::same_user().within_unit(), Bound::Unit),
        ] {
            assert_eq!(policy.bind(&placed), Err(PolicyError::Unknown(bound)));
        }
    }

    #[test]
    fn terms_have_one_encoding() {
        let policy = Policy {
            same_user: true,
            holder: true,
            users: vec![1, 2],
            groups: vec![3],
            within_process_group: true,
            within_session: true,
            within_unit: true,
        };
        for policy in [policy, Policy::nobody(), Policy::default()] {
            let terms = policy.bind(&exporter()).unwrap();
            let mut bytes = Vec::new();
            terms.encode(&mut bytes);
            assert_eq!(Terms::decode(&bytes), Ok(terms));
            for bit in 0..bytes.len() * 8 {
                let mut other = bytes.clone();
                other[bit / 8] ^= 1 << (bit % 8);
                if let Ok(terms) = Terms::decode(&other) {
                    let mut again = Vec::new();
                    terms.encode(&mut again);
                    assert_eq!(again, other, "bit {bit}");
                }
            }
        }
    }
}
