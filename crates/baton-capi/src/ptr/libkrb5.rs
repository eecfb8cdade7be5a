//! libkrb5, where a program has loaded it: found by the dynamic linker, called for the program's own objects of it.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::mem;
use std::ptr;

use crate::boundary::Status;
use crate::libkrb5::Libkrb5Error;

type Code = i32;
type Context = *mut c_void;
type Creds = *mut c_void;

/// `krb5_data`.
#[repr(C)]
struct Data {
    magic: Code,
    length: u32,
    data: *const c_char,
}

/// What is called.
struct Library {
    handle: *mut c_void,
    init_context: unsafe extern "C" fn(*mut Context) -> Code,
    free_context: unsafe extern "C" fn(Context),
    unmarshal: unsafe extern "C" fn(Context, *const Data, *mut Creds) -> Code,
    free_creds: unsafe extern "C" fn(Context, Creds),
    store: unsafe extern "C" fn(Context, *mut c_void, Creds) -> Code,
}

impl Library {
    /// The one that is loaded. It stays for as long as this value.
    fn loaded() -> Result<Self, Libkrb5Error> {
        const FLAGS: c_int = libc::RTLD_LAZY | libc::RTLD_NOLOAD;
        // SAFETY: the name is a C string; nothing is loaded, and so no code of it runs.
        let handle = unsafe { libc::dlopen(c"libkrb5.so.3".as_ptr(), FLAGS) };
        if handle.is_null() {
            return Err(Libkrb5Error::NotLoaded);
        }
        let found = Self::found(handle);
        if found.is_err() {
            close(handle);
        }
        found
    }

    fn found(handle: *mut c_void) -> Result<Self, Libkrb5Error> {
        let function = |name: &'static CStr| {
            // SAFETY: the handle is open, the name a C string.
            let function = unsafe { libc::dlsym(handle, name.as_ptr()) };
            match function.is_null() {
                true => Err(Libkrb5Error::NoFunction(name.to_str().unwrap_or_default())),
                false => Ok(function),
            }
        };
        // SAFETY: these are the functions' types in krb5.h of MIT krb5, whose soname the library has; the pointers to a
        // context, to credentials and to a cache are opaque here.
        unsafe {
            Ok(Self {
                handle,
                init_context: mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(*mut Context) -> Code,
                >(function(c"krb5_init_context")?),
                free_context: mem::transmute::<*mut c_void, unsafe extern "C" fn(Context)>(
                    function(c"krb5_free_context")?,
                ),
                unmarshal: mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(Context, *const Data, *mut Creds) -> Code,
                >(function(c"krb5_unmarshal_credentials")?),
                free_creds: mem::transmute::<*mut c_void, unsafe extern "C" fn(Context, Creds)>(
                    function(c"krb5_free_creds")?,
                ),
                store: mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(Context, *mut c_void, Creds) -> Code,
                >(function(c"krb5_cc_store_cred")?),
            })
        }
    }

    fn store_all<'e>(
        &self,
        context: Context,
        ccache: *mut c_void,
        entries: impl Iterator<Item = &'e [u8]>,
    ) -> Result<(), Libkrb5Error> {
        for entry in entries {
            let data = Data {
                magic: 0,
                length: entry.len() as u32,
                data: entry.as_ptr().cast(),
            };
            let mut creds = ptr::null_mut();
            // SAFETY: the context is good, `data` describes `entry`, `creds` is writable.
            let code = unsafe { (self.unmarshal)(context, &raw const data, &raw mut creds) };
            done("krb5_unmarshal_credentials", code)?;
            // SAFETY: the context is good, the cache the caller's, the credentials were made by the call before.
            let code = unsafe { (self.store)(context, ccache, creds) };
            // SAFETY: they are freed once.
            unsafe { (self.free_creds)(context, creds) };
            done("krb5_cc_store_cred", code)?;
        }
        Ok(())
    }
}

impl Drop for Library {
    fn drop(&mut self) {
        close(self.handle);
    }
}

fn close(handle: *mut c_void) {
    // SAFETY: what `dlopen` gave, once. The program's own reference keeps the library.
    unsafe { libc::dlclose(handle) };
}

fn done(function: &'static str, code: Code) -> Result<(), Libkrb5Error> {
    match code {
        0 => Ok(()),
        code => Err(Libkrb5Error::Failed { function, code }),
    }
}

/// A `krb5_ccache` that a caller passes.
#[repr(transparent)]
#[derive(Clone, Copy)]
pub struct InCcache(*mut c_void);

impl InCcache {
    /// That there is one.
    pub fn required(self) -> Result<Self, Status> {
        match self.0.is_null() {
            true => Err(Status::INACCESSIBLE_READ),
            false => Ok(self),
        }
    }

    /// Stores entries in the form of version 4 of credential caches.
    pub fn store<'e>(self, entries: impl Iterator<Item = &'e [u8]>) -> Result<(), Libkrb5Error> {
        let library = Library::loaded()?;
        let mut context = ptr::null_mut();
        // SAFETY: `context` is writable.
        done("krb5_init_context", unsafe {
            (library.init_context)(&raw mut context)
        })?;
        let stored = library.store_all(context, self.0, entries);
        // SAFETY: it was made above, and is freed once.
        unsafe { (library.free_context)(context) };
        stored
    }
}
