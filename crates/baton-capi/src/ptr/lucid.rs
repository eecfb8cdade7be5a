//! The lucid form of a context, whose keys C gets in the clear.

use std::ffi::c_void;
use std::ptr;
use std::slice;

use baton::{Lucid, LucidProtocol, SessionKey};
use zeroize::Zeroize;

use crate::abi::{CfxKeydata, LucidContextV1, LucidKey, OmUint32, Rfc1964Keydata};
use crate::boundary::Status;

/// Where a caller gets a lucid context, or the context itself when it gives it back: each part from `malloc`.
#[repr(transparent)]
#[derive(Clone, Copy)]
pub struct LucidSlot(*mut *mut c_void);

impl LucidSlot {
    /// That there is one. It is null until it is set, whatever happens.
    pub fn required(self) -> Result<Self, Status> {
        if self.0.is_null() {
            return Err(Status::INACCESSIBLE_WRITE);
        }
        // SAFETY: not null, so a writable pointer.
        unsafe { self.0.write(ptr::null_mut()) }
        Ok(self)
    }

    /// Finds the memory for a context, so that nothing can fail any more once there is one.
    pub fn reserve(self) -> Result<LucidRoom, Status> {
        // SAFETY: `calloc` takes any size.
        let room = unsafe { libc::calloc(1, size_of::<LucidContextV1>()) };
        if room.is_null() {
            return Err(Status::NO_MEMORY);
        }
        let mut room = LucidRoom(room.cast(), [ptr::null_mut(); 2]);
        for key in &mut room.1 {
            // SAFETY: as above.
            *key = unsafe { libc::calloc(1, LONGEST_KEY) }.cast();
            if key.is_null() {
                return Err(Status::NO_MEMORY);
            }
        }
        Ok(room)
    }

    /// Gives the caller what is in `room`.
    pub fn set(self, mut room: LucidRoom) {
        if !self.0.is_null() {
            // SAFETY: not null, so a writable pointer.
            unsafe { self.0.write(room.0.cast()) }
            room.0 = ptr::null_mut();
        }
    }
}

/// No key of an enctype is longer: AES-256's.
const LONGEST_KEY: usize = 32;

/// Memory for a lucid context, and for two keys.
pub struct LucidRoom(*mut LucidContextV1, [*mut u8; 2]);

impl LucidRoom {
    /// Writes the context.
    pub fn fill(&mut self, lucid: &Lucid) {
        let mut form = LucidContextV1 {
            version: 1,
            initiate: lucid.initiate.into(),
            endtime: lucid.endtime.seconds() as OmUint32,
            send_seq: lucid.send_seq,
            recv_seq: lucid.recv_seq,
            protocol: 0,
            rfc1964: Rfc1964Keydata {
                sign_alg: 0,
                seal_alg: 0,
                ctx_key: LucidKey::NONE,
            },
            cfx: CfxKeydata {
                have_acceptor_subkey: 0,
                ctx_key: LucidKey::NONE,
                acceptor_subkey: LucidKey::NONE,
            },
        };
        match &lucid.protocol {
            LucidProtocol::Rfc1964 {
                sign_alg,
                seal_alg,
                ctx_key,
            } => {
                form.rfc1964 = Rfc1964Keydata {
                    sign_alg: *sign_alg,
                    seal_alg: *seal_alg,
                    ctx_key: self.key(0, ctx_key),
                };
            }
            LucidProtocol::Cfx {
                ctx_key,
                acceptor_subkey,
            } => {
                form.protocol = 1;
                form.cfx.ctx_key = self.key(0, ctx_key);
                if let Some(subkey) = acceptor_subkey {
                    form.cfx.have_acceptor_subkey = 1;
                    form.cfx.acceptor_subkey = self.key(1, subkey);
                }
            }
        }
        // SAFETY: `reserve` found room for one.
        unsafe { self.0.write(form) }
    }

    fn key(&mut self, place: usize, key: &SessionKey) -> LucidKey {
        let bytes = &key.bytes[..key.bytes.len().min(LONGEST_KEY)];
        let data = std::mem::replace(&mut self.1[place], ptr::null_mut());
        // SAFETY: `reserve` found room for the longest key, and each is asked for once.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), data, bytes.len()) }
        LucidKey {
            kind: key.enctype.cast_unsigned(),
            length: bytes.len() as OmUint32,
            data: data.cast(),
        }
    }
}

impl Drop for LucidRoom {
    fn drop(&mut self) {
        // SAFETY: each is from `calloc` or null, and nobody else has it.
        unsafe {
            for key in self.1 {
                libc::free(key.cast());
            }
            libc::free(self.0.cast());
        }
    }
}

/// A lucid context that a caller gives back.
#[repr(transparent)]
#[derive(Clone, Copy)]
pub struct InLucid(*mut LucidContextV1);

impl InLucid {
    /// Wipes and frees it; tells whether it was one.
    pub fn release(self) -> Result<(), Status> {
        if self.0.is_null() {
            return Err(Status::INACCESSIBLE_READ);
        }
        // SAFETY: not null, so from `export`, as the version is looked at to tell.
        unsafe {
            if (*self.0).version != 1 {
                return Err(Status::BAD_STRUCTURE);
            }
            let form = &*self.0;
            for key in [
                form.rfc1964.ctx_key,
                form.cfx.ctx_key,
                form.cfx.acceptor_subkey,
            ] {
                if !key.data.is_null() {
                    slice::from_raw_parts_mut(key.data.cast::<u8>(), key.length as usize).zeroize();
                    libc::free(key.data);
                }
            }
            libc::free(self.0.cast());
        }
        Ok(())
    }
}
