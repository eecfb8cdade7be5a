//! What services may do in their users' names ([MS-SFU] §3.2.5).

use std::collections::{HashMap, HashSet};

use crate::principal::Principal;

/// Whom each service may reach in its users' names.
#[derive(Default)]
pub struct Delegations {
    targets: HashMap<Principal, HashSet<Principal>>,
    resources: HashMap<Principal, HashSet<Principal>>,
    trusted: HashSet<Principal>,
    recommended: HashSet<Principal>,
}

impl Delegations {
    /// Lets `service` reach `target` in the name of users who have shown it a ticket (S4U2Proxy).
    pub fn allow(&mut self, service: Principal, target: Principal) {
        self.targets.entry(service).or_default().insert(target);
    }

    /// The same, by the word of `target` (resource-based constrained delegation): tickets that cannot be forwarded will do too.
    pub fn allow_by_resource(&mut self, target: Principal, service: Principal) {
        self.resources.entry(target).or_default().insert(service);
    }

    /// Believes `service` about who its users are: the tickets for itself that it gets in anybody's name (S4U2Self) can be
    /// forwarded, and so be evidence for [`Self::allow`].
    pub fn trust(&mut self, service: Principal) {
        self.trusted.insert(service);
    }

    /// Tells clients that they may forward their tickets to `service` (OK-AS-DELEGATE, RFC 4120 §2.8).
    pub fn may_be_delegated_to(&mut self, service: Principal) {
        self.recommended.insert(service);
    }

    pub(super) fn recommends(&self, service: &Principal) -> bool {
        self.recommended.contains(service)
    }

    /// Whether tickets for `service` may become evidence.
    pub(super) fn concern(&self, service: &Principal) -> bool {
        let by_resource = |services: &HashSet<Principal>| services.contains(service);
        self.targets.contains_key(service) || self.resources.values().any(by_resource)
    }

    pub(super) fn allows(&self, service: &Principal, target: &Principal) -> bool {
        let targets = self.targets.get(service);
        targets.is_some_and(|targets| targets.contains(target))
    }

    pub(super) fn resource_allows(&self, target: &Principal, service: &Principal) -> bool {
        let services = self.resources.get(target);
        services.is_some_and(|services| services.contains(service))
    }

    pub(super) fn trusts(&self, service: &Principal) -> bool {
        self.trusted.contains(service)
    }
}
