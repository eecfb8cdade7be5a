//! Credentials.

use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use baton::{
    Acquire, CredStore, Credential, Environment, Lifetime, Major, NegMechs, Oid, StoreCred, Usage,
};

use crate::abi::{ACCEPT, BOTH, COMPLETE, INDEFINITE, INITIATE, Int, OmUint32};
use crate::boundary::{Status, entry};
use crate::environment;
use crate::handles::{Handle, Table};
use crate::libkrb5;
use crate::name;
use crate::ptr::{
    BufferSetSlot, HandleSlot, InBuffer, InCredStore, InHandle, InNumbers, InOid, InOidSet,
    InString, OidSetSlot, Out, OutBuffer,
};

/// What contexts are made by.
pub(crate) const MECHANISMS: [Oid; 2] = [Oid::KRB5, Oid::SPNEGO];

/// A credential of a program's, with the world that it is of.
#[derive(Clone)]
pub(crate) struct CredObject {
    pub(crate) env: Environment,
    pub(crate) cred: Credential,
    /// What may be negotiated with it, if a program said so.
    pub(crate) neg_mechs: Option<NegMechs>,
}

static CREDENTIALS: Table<RwLock<CredObject>> = Table::new(2);

/// The keytab that `krb5_gss_register_acceptor_identity` named.
static IDENTITY: Mutex<Option<String>> = Mutex::new(None);

fn usage(number: Int) -> Result<Usage, Status> {
    match number {
        BOTH => Ok(Usage::Both),
        INITIATE => Ok(Usage::Initiate),
        ACCEPT => Ok(Usage::Accept),
        _ => Err(Major::Failure.into()),
    }
}

const fn usage_number(usage: Usage) -> Int {
    match usage {
        Usage::Both => BOTH,
        Usage::Initiate => INITIATE,
        Usage::Accept => ACCEPT,
    }
}

pub(crate) fn object(handle: Handle) -> Result<Arc<RwLock<CredObject>>, Status> {
    CREDENTIALS.get(handle).ok_or(Major::NoCred.into())
}

pub(crate) fn of_handle(handle: Handle) -> Result<CredObject, Status> {
    let object = object(handle)?;
    let object = object.read().unwrap_or_else(PoisonError::into_inner);
    Ok(object.clone())
}

/// The credential of a handle, or the default one for `usage`.
pub(crate) fn credential(handle: InHandle, usage: Usage) -> Result<CredObject, Status> {
    if let Some(handle) = handle.get() {
        return of_handle(handle);
    }
    let env = environment::current()?;
    if usage.initiates() {
        libkrb5::bring(None);
    }
    let cred = Acquire::new(&env, usage)
        .store(store(None, usage)?)
        .acquire()?;
    Ok(CredObject {
        env,
        cred,
        neg_mechs: None,
    })
}

/// The cache that a caller's store names.
fn ccache_of(pairs: Option<&[(String, String)]>) -> Option<&str> {
    let found = pairs?.iter().find(|(key, _)| key == "ccache");
    found.map(|(_, value)| value.as_str())
}

/// The store of a caller's, with the keytab that was registered where it names none.
fn store(pairs: Option<Vec<(String, String)>>, usage: Usage) -> Result<CredStore, Status> {
    let identity = IDENTITY
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .clone();
    let identity = identity.filter(|_| usage.accepts());
    let has_keytab = |pairs: &[(String, String)]| pairs.iter().any(|(key, _)| key == "keytab");
    match (pairs, identity) {
        (None, None) => Ok(CredStore::new()),
        (None, Some(keytab)) => Ok(CredStore::new().keytab(keytab)),
        (Some(pairs), identity) => {
            let store = CredStore::from_pairs(pairs.iter().map(|(k, v)| (k.as_str(), v.as_str())))?;
            match identity {
                Some(keytab) if !has_keytab(&pairs) => Ok(store.keytab(keytab)),
                _ => Ok(store),
            }
        }
    }
}

pub(crate) fn seconds(lifetime: Lifetime) -> OmUint32 {
    match lifetime {
        Lifetime::Expired => 0,
        Lifetime::Left(time) => u32::try_from(time.as_secs()).unwrap_or(INDEFINITE),
        Lifetime::Indefinite => INDEFINITE,
    }
}

/// A handle for a credential.
pub(crate) fn insert(env: &Environment, cred: Credential) -> Result<Handle, Status> {
    let object = CredObject {
        env: env.clone(),
        cred,
        neg_mechs: None,
    };
    CREDENTIALS
        .insert(RwLock::new(object))
        .ok_or(Status::NO_MEMORY)
}

/// What a caller wants of a new credential, or of a new element.
struct Wanted {
    name: InHandle,
    time: OmUint32,
    mechanisms: Option<Vec<Oid>>,
    usage: Int,
    store: InCredStore,
    password: Option<InBuffer>,
}

impl Wanted {
    /// Acquires it, or adds it to `base`.
    fn acquire(self, env: &Environment, base: Option<&Credential>) -> Result<Credential, Status> {
        let usage = usage(self.usage)?;
        let name = name::optional(self.name)?;
        let pairs = self.store.get()?;
        if usage.initiates() {
            libkrb5::bring(ccache_of(pairs.as_deref()));
        }
        let mut acquire = Acquire::new(env, usage).store(store(pairs, usage)?);
        if let Some(name) = &name {
            acquire = acquire.name(name);
        }
        if let Some(mechanisms) = self.mechanisms {
            acquire = acquire.mechanisms(mechanisms);
        }
        if self.time != 0 && self.time != INDEFINITE {
            acquire = acquire.lifetime(Duration::from_secs(self.time.into()));
        }
        if let Some(password) = self.password {
            let password = str::from_utf8(password.required()?);
            acquire = acquire.password(password.map_err(|_| Status::from(Major::Failure))?);
        }
        Ok(match base {
            Some(base) => acquire.add_to(base)?,
            None => acquire.acquire()?,
        })
    }
}

/// The outputs of the calls that acquire.
#[derive(Clone, Copy)]
struct Acquired {
    cred: HandleSlot,
    mechanisms: OidSetSlot,
    lifetime: Out<OmUint32>,
}

impl Acquired {
    fn fill(self, wanted: Wanted) -> Result<OmUint32, Status> {
        self.cred.required()?.set(None);
        self.mechanisms.clear();
        self.lifetime.set(0);
        let env = environment::current()?;
        let cred = wanted.acquire(&env, None)?;
        if self.mechanisms.required().is_ok() || self.lifetime.required().is_ok() {
            let facts = cred.inquire(&env)?;
            self.lifetime.set(seconds(facts.lifetime));
            self.mechanisms.set(&facts.mechanisms)?;
        }
        match insert(&env, cred) {
            Ok(handle) => self.cred.set(Some(handle)),
            Err(error) => {
                self.mechanisms.release();
                return Err(error);
            }
        }
        Ok(COMPLETE)
    }
}

/// The outputs of the calls that add.
#[derive(Clone, Copy)]
struct Added {
    cred: HandleSlot,
    mechanisms: OidSetSlot,
    initiator: Out<OmUint32>,
    acceptor: Out<OmUint32>,
}

impl Added {
    /// Adds to the credential of `input`, which is changed where the caller wants no other (RFC 2744 §5.3).
    fn fill(
        self,
        input: InHandle,
        mechanism: InOid,
        mut wanted: Wanted,
    ) -> Result<OmUint32, Status> {
        self.cred.set(None);
        self.mechanisms.clear();
        self.initiator.set(0);
        self.acceptor.set(0);
        let mechanism = mechanism.required()?;
        wanted.mechanisms = Some(vec![mechanism]);
        let base = input.get().map(of_handle).transpose()?;
        if base.is_none() && !self.cred.is_wanted() {
            return Err(Status::INACCESSIBLE_WRITE.with(Major::NoCred));
        }
        let env = match &base {
            Some(base) => base.env.clone(),
            None => environment::current()?,
        };
        let cred = wanted.acquire(&env, base.as_ref().map(|base| &base.cred))?;
        let facts = cred.inquire_by_mechanism(&env, mechanism)?;
        self.initiator.set(facts.initiator.map_or(0, seconds));
        self.acceptor.set(facts.acceptor.map_or(0, seconds));
        self.mechanisms.set(&cred.inquire(&env)?.mechanisms)?;
        match input.get() {
            Some(handle) if !self.cred.is_wanted() => {
                let object = object(handle)?;
                object.write().unwrap_or_else(PoisonError::into_inner).cred = cred;
            }
            _ => self.cred.set(Some(insert(&env, cred)?)),
        }
        Ok(COMPLETE)
    }
}

fn store_cred(
    handle: InHandle,
    number: Int,
    mechanism: InOid,
    options: [bool; 2],
    pairs: InCredStore,
    stored: OidSetSlot,
    stored_usage: Out<Int>,
) -> Result<OmUint32, Status> {
    stored.clear();
    stored_usage.set(0);
    let wanted = usage(number)?;
    let object = credential(handle, Usage::Initiate)?;
    let mut call = StoreCred::new(&object.env).usage(wanted);
    if let Some(mechanism) = mechanism.get()? {
        call = call.mechanism(mechanism);
    }
    let [overwrite, make_default] = options;
    if overwrite {
        call = call.overwrite();
    }
    if make_default {
        call = call.make_default();
    }
    if let Some(pairs) = pairs.get()? {
        call = call.store(store(Some(pairs), Usage::Initiate)?);
    }
    let done = call.store_cred(&object.cred)?;
    libkrb5::take_along(&done.ccache)?;
    stored.set(&done.mechanisms)?;
    stored_usage.set(usage_number(done.usage));
    Ok(COMPLETE)
}

entry! {
    /// `gss_acquire_cred` (RFC 2744 §5.2).
    fn gss_acquire_cred(minor, name: InHandle, time: OmUint32, mechanisms: InOidSet, usage: Int, cred: HandleSlot, actual: OidSetSlot, lifetime: Out<OmUint32>) {
        let outputs = Acquired { cred, mechanisms: actual, lifetime };
        let mechanisms = mechanisms.get()?;
        outputs.fill(Wanted { name, time, mechanisms, usage, store: InCredStore::NONE, password: None })
    }

    /// `gss_acquire_cred_from` (`gssapi_ext.h` of MIT krb5).
    fn gss_acquire_cred_from(minor, name: InHandle, time: OmUint32, mechanisms: InOidSet, usage: Int, store: InCredStore, cred: HandleSlot, actual: OidSetSlot, lifetime: Out<OmUint32>) {
        let outputs = Acquired { cred, mechanisms: actual, lifetime };
        let mechanisms = mechanisms.get()?;
        outputs.fill(Wanted { name, time, mechanisms, usage, store, password: None })
    }

    /// `gss_acquire_cred_with_password`: initial tickets, which are kept in this process.
    fn gss_acquire_cred_with_password(minor, name: InHandle, password: InBuffer, time: OmUint32, mechanisms: InOidSet, usage: Int, cred: HandleSlot, actual: OidSetSlot, lifetime: Out<OmUint32>) {
        let outputs = Acquired { cred, mechanisms: actual, lifetime };
        let mechanisms = mechanisms.get()?;
        outputs.fill(Wanted { name, time, mechanisms, usage, store: InCredStore::NONE, password: Some(password) })
    }

    /// `gss_add_cred` (RFC 2744 §5.3).
    fn gss_add_cred(minor, input: InHandle, name: InHandle, mechanism: InOid, usage: Int, initiator: OmUint32, _acceptor: OmUint32, cred: HandleSlot, actual: OidSetSlot, left: Out<OmUint32>, acceptor_left: Out<OmUint32>) {
        let outputs = Added { cred, mechanisms: actual, initiator: left, acceptor: acceptor_left };
        outputs.fill(input, mechanism, Wanted { name, time: initiator, mechanisms: None, usage, store: InCredStore::NONE, password: None })
    }

    /// `gss_add_cred_from` (`gssapi_ext.h` of MIT krb5).
    fn gss_add_cred_from(minor, input: InHandle, name: InHandle, mechanism: InOid, usage: Int, initiator: OmUint32, _acceptor: OmUint32, store: InCredStore, cred: HandleSlot, actual: OidSetSlot, left: Out<OmUint32>, acceptor_left: Out<OmUint32>) {
        let outputs = Added { cred, mechanisms: actual, initiator: left, acceptor: acceptor_left };
        outputs.fill(input, mechanism, Wanted { name, time: initiator, mechanisms: None, usage, store, password: None })
    }

    /// `gss_add_cred_with_password`.
    fn gss_add_cred_with_password(minor, input: InHandle, name: InHandle, mechanism: InOid, password: InBuffer, usage: Int, initiator: OmUint32, _acceptor: OmUint32, cred: HandleSlot, actual: OidSetSlot, left: Out<OmUint32>, acceptor_left: Out<OmUint32>) {
        let outputs = Added { cred, mechanisms: actual, initiator: left, acceptor: acceptor_left };
        outputs.fill(input, mechanism, Wanted { name, time: initiator, mechanisms: None, usage, store: InCredStore::NONE, password: Some(password) })
    }

    /// `gss_inquire_cred` (RFC 2744 §5.21).
    fn gss_inquire_cred(minor, handle: InHandle, owner: HandleSlot, lifetime: Out<OmUint32>, usage: Out<Int>, mechanisms: OidSetSlot) {
        owner.set(None);
        mechanisms.clear();
        let object = credential(handle, Usage::Initiate)?;
        let facts = object.cred.inquire(&object.env)?;
        lifetime.set(seconds(facts.lifetime));
        usage.set(usage_number(facts.usage));
        mechanisms.set(&facts.mechanisms)?;
        give_name(&object.env, facts.name, owner)?;
        expired(facts.lifetime)
    }

    /// `gss_inquire_cred_by_mech` (RFC 2744 §5.22).
    fn gss_inquire_cred_by_mech(minor, handle: InHandle, mechanism: InOid, owner: HandleSlot, initiator: Out<OmUint32>, acceptor: Out<OmUint32>, usage: Out<Int>) {
        owner.set(None);
        let mechanism = mechanism.get()?.unwrap_or(Oid::KRB5);
        let object = credential(handle, Usage::Initiate)?;
        let facts = object.cred.inquire_by_mechanism(&object.env, mechanism)?;
        initiator.set(facts.initiator.map_or(0, seconds));
        acceptor.set(facts.acceptor.map_or(0, seconds));
        usage.set(usage_number(facts.usage));
        give_name(&object.env, facts.name, owner)?;
        Ok(COMPLETE)
    }

    /// `gss_inquire_cred_by_oid` (`gssapi_ext.h` of MIT krb5).
    fn gss_inquire_cred_by_oid(minor, handle: InHandle, what: InOid, values: BufferSetSlot) {
        let values = values.required()?;
        values.clear();
        let what = what.required()?;
        let handle = handle.get().ok_or(Status::INACCESSIBLE_READ.with(Major::NoCred))?;
        let object = of_handle(handle)?;
        values.set(&object.cred.inquire_by_oid(&object.env, what)?)?;
        Ok(COMPLETE)
    }

    /// `gss_store_cred` (RFC 5588).
    fn gss_store_cred(minor, handle: InHandle, usage: Int, mechanism: InOid, overwrite: OmUint32, make_default: OmUint32, stored: OidSetSlot, stored_usage: Out<Int>) {
        store_cred(handle, usage, mechanism, [overwrite != 0, make_default != 0], InCredStore::NONE, stored, stored_usage)
    }

    /// `gss_store_cred_into` (`gssapi_ext.h` of MIT krb5).
    fn gss_store_cred_into(minor, handle: InHandle, usage: Int, mechanism: InOid, overwrite: OmUint32, make_default: OmUint32, store: InCredStore, stored: OidSetSlot, stored_usage: Out<Int>) {
        store_cred(handle, usage, mechanism, [overwrite != 0, make_default != 0], store, stored, stored_usage)
    }

    /// `gss_export_cred` (`gssapi_ext.h` of MIT krb5).
    fn gss_export_cred(minor, handle: InHandle, token: OutBuffer) {
        let token = token.required()?;
        let object = credential(handle, Usage::Initiate)?;
        token.set(&object.cred.export(&object.env)?)?;
        Ok(COMPLETE)
    }

    /// `gss_import_cred` (`gssapi_ext.h` of MIT krb5).
    fn gss_import_cred(minor, token: InBuffer, cred: HandleSlot) {
        let cred = cred.required()?;
        cred.set(None);
        let env = environment::current()?;
        let imported = Credential::import(&env, token.required()?)?;
        cred.set(Some(insert(&env, imported)?));
        Ok(COMPLETE)
    }

    /// `gss_krb5_set_allowable_enctypes` (`gssapi_krb5.h` of MIT krb5).
    fn gss_krb5_set_allowable_enctypes(minor, handle: InHandle, count: OmUint32, enctypes: InNumbers) {
        let handle = handle.get().ok_or(Status::INACCESSIBLE_READ.with(Major::NoCred))?;
        let object = object(handle)?;
        let mut object = object.write().unwrap_or_else(PoisonError::into_inner);
        object.cred = object.cred.with_enctypes(&enctypes.get(count)?)?;
        Ok(COMPLETE)
    }

    /// `gss_set_neg_mechs` (RFC 4178 Appendix B.1).
    fn gss_set_neg_mechs(minor, handle: InHandle, mechanisms: InOidSet) {
        let handle = handle.get().ok_or(Status::INACCESSIBLE_READ.with(Major::NoCred))?;
        let mechanisms = mechanisms.get()?.ok_or(Status::INACCESSIBLE_READ)?;
        let object = object(handle)?;
        let mut object = object.write().unwrap_or_else(PoisonError::into_inner);
        object.neg_mechs = Some(NegMechs::new(mechanisms)?);
        Ok(COMPLETE)
    }

    /// `gss_release_cred` (RFC 2744 §5.27).
    fn gss_release_cred(minor, handle: HandleSlot) {
        if !handle.is_wanted() {
            return Err(Status::INACCESSIBLE_READ.with(Major::NoCred));
        }
        let Some(known) = handle.get() else {
            return Ok(COMPLETE);
        };
        handle.set(None);
        CREDENTIALS.remove(known).ok_or(Status::from(Major::NoCred))?;
        Ok(COMPLETE)
    }
}

fn give_name(env: &Environment, name: Option<baton::Name>, slot: HandleSlot) -> Result<(), Status> {
    if let Some(name) = name.filter(|_| slot.is_wanted()) {
        slot.set(Some(name::of_mechanism(env.canonicalize(&name)?)?));
    }
    Ok(())
}

/// What `gss_inquire_cred` says of a credential that has expired, with everything else that it says.
fn expired(lifetime: Lifetime) -> Result<OmUint32, Status> {
    match lifetime {
        Lifetime::Expired => Err(Major::CredentialsExpired.into()),
        _ => Ok(COMPLETE),
    }
}

/// `krb5_gss_register_acceptor_identity`: the keytab of acceptors that name none. It has no minor status.
#[allow(unsafe_code, reason = "C programs find it by its name")]
#[unsafe(no_mangle)]
pub extern "C" fn krb5_gss_register_acceptor_identity(keytab: InString) -> OmUint32 {
    let Ok(keytab) = keytab.get() else {
        return Major::Failure.code();
    };
    *IDENTITY.lock().unwrap_or_else(PoisonError::into_inner) = keytab;
    COMPLETE
}
