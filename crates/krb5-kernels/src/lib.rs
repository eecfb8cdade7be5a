//! Kerberos messages (enctypes 17 to 20) encrypted and signed in one pass, with a processor's own instructions.
//!
//! CBC waits for its last block, and a hash for its own: done one after the other, each leaves most of the processor idle. Here
//! both go on together, and a message costs little more than the longer of the two.
//!
//! All of it is safe code. What is not, and not here, is to call it: the caller has to know that the processor has the
//! instructions, so it asks [`x86::Processor::detect`] or [`x86::VectorProcessor::detect`] first and gives a reason.
#![forbid(unsafe_code)]

#[cfg(target_arch = "x86_64")]
pub mod x86;
