//! Objects of libkrb5's that a program hands to GSS-API: caches, keytabs, principals, a replay cache's name.
//!
//! They are read and written by the libkrb5 that is in the process already, because the program made them by it. Where there is
//! none, there is nothing to call: this library never loads one.

mod layout;

use std::ffi::{CStr, CString, c_char, c_int, c_uint, c_void};
use std::ptr;

use baton::kerberos::ccache::{CachedKey, Credential, CredentialCache, Typed};
use baton::kerberos::keytab::{Keytab, KeytabEntry};
use baton::kerberos::{Enctype, Key, Principal};
use wire::time::Timestamp;

use self::layout::{Calls, Code, Creds, Data, KeytabEntryData, Opaque, PrincipalData, TypedBytes};
use crate::libkrb5::Libkrb5Error;

/// `krb5_ccache`, `krb5_keytab`, `krb5_principal`, `krb5_rcache`: a pointer of libkrb5's, for libkrb5.
#[repr(transparent)]
#[derive(Clone, Copy)]
pub struct Foreign(Opaque);

impl Foreign {
    /// The same, if it is not null.
    pub fn get(self) -> Option<Self> {
        (!self.0.is_null()).then_some(self)
    }
}

/// The libkrb5 of this process, for one call of ours.
pub struct LibKrb5 {
    library: *mut c_void,
    calls: Calls,
    context: Opaque,
}

/// `KRB5_CC_END` and `KRB5_KT_END`: there are no more.
const CACHE_END: Code = -1_765_328_242;
const KEYTAB_END: Code = -1_765_328_202;

/// How long a keytab's name may be.
const NAME: usize = 1100;

impl LibKrb5 {
    /// The one that is loaded.
    pub fn loaded() -> Result<Self, Libkrb5Error> {
        const FLAGS: c_int = libc::RTLD_LAZY | libc::RTLD_NOLOAD;
        // SAFETY: the name is a C string; nothing is loaded, and so no code of it runs.
        let library = unsafe { libc::dlopen(c"libkrb5.so.3".as_ptr(), FLAGS) };
        if library.is_null() {
            return Err(Libkrb5Error::NotLoaded);
        }
        // SAFETY: `library` is open, and a libkrb5.so.3 has the functions that `krb5.h` declares, under their names.
        let calls = unsafe { Calls::find(|name| libc::dlsym(library, name.as_ptr())) };
        let calls = calls.inspect_err(|_| {
            // SAFETY: opened above. The program's own reference keeps the library.
            unsafe { libc::dlclose(library) };
        })?;
        let mut session = Self {
            library,
            calls,
            context: ptr::null_mut(),
        };
        // SAFETY: as `krb5.h` says; the place of the context is writable.
        let code = unsafe { (calls.krb5_init_context)(&raw mut session.context) };
        session.check(code)?;
        Ok(session)
    }

    fn check(&self, code: Code) -> Result<(), Libkrb5Error> {
        if code == 0 {
            return Ok(());
        }
        // SAFETY: a context may be null here; the text is one of libkrb5's, which is freed after it was copied.
        let text = unsafe {
            let message = (self.calls.krb5_get_error_message)(self.context, code);
            let text = string(message);
            (self.calls.krb5_free_error_message)(self.context, message);
            text
        };
        Err(Libkrb5Error::Failed {
            code,
            text: text.unwrap_or_default(),
        })
    }

    /// That a walk ended because there are no more, and not half way.
    fn check_end(&self, code: Code, end: Code) -> Result<(), Libkrb5Error> {
        if code == end {
            return Ok(());
        }
        self.check(code)
    }

    /// `TYPE:residual` of a cache.
    pub fn cache_name(&self, cache: Foreign) -> Result<String, Libkrb5Error> {
        let mut name = ptr::null_mut();
        // SAFETY: `cache` is one of the program's, by this libkrb5; the text is copied before it is freed.
        unsafe {
            let code = (self.calls.krb5_cc_get_full_name)(self.context, cache.0, &raw mut name);
            self.check(code)?;
            let text = string(name);
            (self.calls.krb5_free_string)(self.context, name);
            text.ok_or(Libkrb5Error::Malformed)
        }
    }

    /// The cache called `name`, while `call` runs.
    pub fn with_cache<T>(
        &self,
        name: &str,
        call: impl FnOnce(&Self, Foreign) -> Result<T, Libkrb5Error>,
    ) -> Result<T, Libkrb5Error> {
        let name = CString::new(name).map_err(|_| Libkrb5Error::Malformed)?;
        let mut cache = ptr::null_mut();
        // SAFETY: a string, and a writable pointer.
        let code =
            unsafe { (self.calls.krb5_cc_resolve)(self.context, name.as_ptr(), &raw mut cache) };
        self.check(code)?;
        let done = call(self, Foreign(cache));
        // SAFETY: resolved above, and not used after this. Its contents stay.
        unsafe { (self.calls.krb5_cc_close)(self.context, cache) };
        done
    }

    /// Everything in a cache.
    pub fn read_cache(&self, cache: Foreign) -> Result<CredentialCache, Libkrb5Error> {
        let mut principal = ptr::null_mut();
        // SAFETY: `cache` is one of the program's, by this libkrb5; the principal is copied before it is freed.
        let client = unsafe {
            let code =
                (self.calls.krb5_cc_get_principal)(self.context, cache.0, &raw mut principal);
            self.check(code)?;
            let client = read_principal(principal);
            (self.calls.krb5_free_principal)(self.context, principal);
            client
        };
        let mut contents = CredentialCache::new(client.ok_or(Libkrb5Error::Malformed)?);
        let mut cursor = ptr::null_mut();
        // SAFETY: a cursor of this cache's, from its beginning to its end; each credential is copied before its contents
        // are freed.
        unsafe {
            let code = (self.calls.krb5_cc_start_seq_get)(self.context, cache.0, &raw mut cursor);
            self.check(code)?;
            let end = loop {
                let mut creds = Creds::EMPTY;
                let code = (self.calls.krb5_cc_next_cred)(
                    self.context,
                    cache.0,
                    &raw mut cursor,
                    &raw mut creds,
                );
                if code != 0 {
                    break code;
                }
                contents.credentials.extend(read_creds(&creds));
                (self.calls.krb5_free_cred_contents)(self.context, &raw mut creds);
            };
            (self.calls.krb5_cc_end_seq_get)(self.context, cache.0, &raw mut cursor);
            self.check_end(end, CACHE_END)?;
        }
        Ok(contents)
    }

    /// Makes a cache anew, for `client` and with nothing in it.
    pub fn initialize(&self, cache: Foreign, client: &Principal) -> Result<(), Libkrb5Error> {
        let mut principal = Written::of(client);
        // SAFETY: `cache` is one of the program's; libkrb5 copies the principal.
        let code = unsafe {
            (self.calls.krb5_cc_initialize)(self.context, cache.0, &raw mut principal.data)
        };
        self.check(code)
    }

    /// Adds credentials to a cache.
    pub fn add_to_cache<'c>(
        &self,
        cache: Foreign,
        credentials: impl Iterator<Item = &'c Credential>,
    ) -> Result<(), Libkrb5Error> {
        for credential in credentials {
            self.store(cache, credential)?;
        }
        Ok(())
    }

    fn store(&self, cache: Foreign, credential: &Credential) -> Result<(), Libkrb5Error> {
        let mut client = Written::of(&credential.client);
        let mut server = Written::of(&credential.server);
        let mut addresses = written_list(&credential.addresses);
        let mut authdata = written_list(&credential.authdata);
        let mut pointers = [&mut addresses, &mut authdata].map(|list| pointers(list));
        let list = |list: &mut Vec<*mut TypedBytes>| match list.len() {
            1 => ptr::null_mut(),
            _ => list.as_mut_ptr(),
        };
        let [addresses, authdata] = &mut pointers;
        let times = [
            credential.authtime,
            credential.starttime,
            credential.endtime,
            credential.renew_till,
        ];
        let mut creds = Creds {
            magic: 0,
            client: &raw mut client.data,
            server: &raw mut server.data,
            key: TypedBytes::of(credential.key.enctype(), credential.key.expose()),
            times: times.map(|time| (time.seconds() as u32).cast_signed()),
            is_skey: c_uint::from(credential.is_skey),
            flags: credential.flags.cast_signed(),
            addresses: list(addresses),
            ticket: Data::of(&credential.ticket),
            second_ticket: Data::of(&credential.second_ticket),
            authdata: list(authdata),
        };
        // SAFETY: `cache` is one of the program's; libkrb5 copies the credential, every part of which lives until here.
        let code =
            unsafe { (self.calls.krb5_cc_store_cred)(self.context, cache.0, &raw mut creds) };
        self.check(code)
    }

    /// `TYPE:residual` of a keytab.
    pub fn keytab_name(&self, keytab: Foreign) -> Result<String, Libkrb5Error> {
        let mut name = vec![0_u8; NAME];
        // SAFETY: `keytab` is one of the program's; `NAME` bytes are writable.
        let code = unsafe {
            (self.calls.krb5_kt_get_name)(
                self.context,
                keytab.0,
                name.as_mut_ptr().cast(),
                NAME as c_uint,
            )
        };
        self.check(code)?;
        let name = CStr::from_bytes_until_nul(&name).map_err(|_| Libkrb5Error::Malformed)?;
        let name = name.to_str().map_err(|_| Libkrb5Error::Malformed)?;
        Ok(name.to_owned())
    }

    /// The keys in a keytab that are of enctypes known here.
    pub fn read_keytab(&self, keytab: Foreign) -> Result<Keytab, Libkrb5Error> {
        let mut found = Keytab::default();
        let mut cursor = ptr::null_mut();
        // SAFETY: a cursor of this keytab's, from its beginning to its end; each entry is copied before its contents are
        // freed.
        unsafe {
            let code = (self.calls.krb5_kt_start_seq_get)(self.context, keytab.0, &raw mut cursor);
            self.check(code)?;
            let end = loop {
                let mut entry = KeytabEntryData::EMPTY;
                let code = (self.calls.krb5_kt_next_entry)(
                    self.context,
                    keytab.0,
                    &raw mut entry,
                    &raw mut cursor,
                );
                if code != 0 {
                    break code;
                }
                found.entries.extend(read_entry(&entry));
                (self.calls.krb5_free_keytab_entry_contents)(self.context, &raw mut entry);
            };
            (self.calls.krb5_kt_end_seq_get)(self.context, keytab.0, &raw mut cursor);
            self.check_end(end, KEYTAB_END)?;
        }
        Ok(found)
    }

    /// A principal of the program's.
    pub fn principal(&self, principal: Foreign) -> Result<Principal, Libkrb5Error> {
        // SAFETY: not null, so one of the program's, by this libkrb5.
        let read = unsafe { read_principal(principal.0.cast()) };
        read.ok_or(Libkrb5Error::Malformed)
    }

    /// `TYPE:residual` of a replay cache.
    pub fn rcache_name(&self, rcache: Foreign) -> Result<String, Libkrb5Error> {
        // SAFETY: `rcache` is one of the program's; the text is the cache's own, and copied.
        let name = unsafe { string((self.calls.k5_rc_get_name)(self.context, rcache.0)) };
        name.ok_or(Libkrb5Error::Malformed)
    }
}

impl Drop for LibKrb5 {
    fn drop(&mut self) {
        // SAFETY: nothing of libkrb5's is kept beyond this; its context may be null where it could not be made.
        unsafe {
            (self.calls.krb5_free_context)(self.context);
            libc::dlclose(self.library);
        }
    }
}

/// A principal that libkrb5 looks at.
struct Written<'p> {
    data: PrincipalData,
    /// What `data` points to.
    _components: Vec<Data>,
    _of: &'p Principal,
}

impl<'p> Written<'p> {
    fn of(principal: &'p Principal) -> Self {
        let components = principal.components().iter();
        let mut components: Vec<Data> = components.map(|component| Data::of(component)).collect();
        Self {
            data: PrincipalData {
                magic: 0,
                realm: Data::of(principal.realm()),
                components: components.as_mut_ptr(),
                count: components.len() as i32,
                name_type: principal.name_type(),
            },
            _components: components,
            _of: principal,
        }
    }
}

fn written_list(list: &[Typed]) -> Vec<TypedBytes> {
    let each = |one: &Typed| TypedBytes::of(one.kind.into(), &one.data);
    list.iter().map(each).collect()
}

/// Pointers to each, and null behind them.
fn pointers(list: &mut [TypedBytes]) -> Vec<*mut TypedBytes> {
    let each = list.iter_mut().map(ptr::from_mut);
    each.chain([ptr::null_mut()]).collect()
}

/// # Safety
/// `text` is null or a string.
unsafe fn string(text: *const c_char) -> Option<String> {
    // SAFETY: as the caller says.
    let text = (!text.is_null()).then(|| unsafe { CStr::from_ptr(text) });
    text.map(|text| text.to_string_lossy().into_owned())
}

/// # Safety
/// `data` is of an object of libkrb5's that lives.
unsafe fn data<'a>(data: Data) -> &'a [u8] {
    super::bytes(data.data, data.length as usize).unwrap_or_default()
}

/// # Safety
/// `at` is null or a principal of libkrb5's that lives.
unsafe fn read_principal(at: *const PrincipalData) -> Option<Principal> {
    if at.is_null() {
        return None;
    }
    // SAFETY: not null, so a principal, with `count` components.
    unsafe {
        let principal = &*at;
        let count = usize::try_from(principal.count).ok()?;
        let components = (0..count).map(|at| data(principal.components.add(at).read()));
        let realm = data(principal.realm);
        Some(Principal::new(principal.name_type, components, realm))
    }
}

/// # Safety
/// `list` is null or a list of libkrb5's that ends with null.
unsafe fn read_list(list: *mut *mut TypedBytes) -> Vec<Typed> {
    let mut all = Vec::new();
    if list.is_null() {
        return all;
    }
    // SAFETY: each is looked at until the null at the end.
    unsafe {
        for at in 0.. {
            let one = list.add(at).read();
            if one.is_null() {
                break;
            }
            let bytes = super::bytes((*one).contents, (*one).length as usize);
            all.push(Typed {
                kind: (*one).kind as u16,
                data: bytes.unwrap_or_default().to_vec(),
            });
        }
    }
    all
}

fn time(seconds: i32) -> Timestamp {
    Timestamp::from_seconds(seconds.cast_unsigned().into())
}

/// # Safety
/// `creds` are of libkrb5's making, and live.
unsafe fn read_creds(creds: &Creds) -> Option<Credential> {
    // SAFETY: as the caller says of every part.
    unsafe {
        let key = super::bytes(creds.key.contents, creds.key.length as usize)?;
        let [authtime, starttime, endtime, renew_till] = creds.times.map(time);
        Some(Credential {
            client: read_principal(creds.client)?,
            server: read_principal(creds.server)?,
            key: CachedKey::of(creds.key.kind, key),
            authtime,
            starttime,
            endtime,
            renew_till,
            is_skey: creds.is_skey != 0,
            flags: creds.flags.cast_unsigned(),
            addresses: read_list(creds.addresses),
            authdata: read_list(creds.authdata),
            ticket: data(creds.ticket).to_vec(),
            second_ticket: data(creds.second_ticket).to_vec(),
        })
    }
}

/// # Safety
/// `entry` is of libkrb5's making, and lives.
unsafe fn read_entry(entry: &KeytabEntryData) -> Option<KeytabEntry> {
    let bytes = super::bytes(entry.key.contents, entry.key.length as usize)?;
    let key = Key::new(Enctype::from_number(entry.key.kind)?, bytes).ok()?;
    Some(KeytabEntry {
        // SAFETY: as the caller says.
        principal: unsafe { read_principal(entry.principal) }?,
        timestamp: time(entry.timestamp),
        kvno: entry.kvno,
        key: key.into(),
    })
}
