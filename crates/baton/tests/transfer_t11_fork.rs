//! T11 and `fork`: what two processes send over one socket is told apart.

mod common;

use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::Arc;

use baton::transfer::Channel;
use rustix::net::{RecvFlags, recv};

#[test]
fn trap_7_a_message_of_a_child_does_not_have_the_number_of_its_parents() {
    let (here, there) = Channel::pair().unwrap();
    let here = Arc::new(here);
    // Whatever a thread keeps for random numbers, it has now.
    here.send_note(b"before", &[]).unwrap();
    let childs = Arc::clone(&here);
    let mut command = Command::new("/bin/true");
    // SAFETY: the child has one thread. It allocates, which glibc makes safe after `fork`, and takes the channel's lock, which
    // no thread of its parent holds.
    unsafe {
        command.pre_exec(move || {
            childs
                .send_note(b"child", &[])
                .map_err(std::io::Error::other)
        });
    }
    assert!(command.status().unwrap().success());
    here.send_note(b"parent", &[]).unwrap();
    let numbers = [0; 3].map(|_: u8| {
        let mut packet = [0; 256];
        recv(&there, &mut packet[..], RecvFlags::empty()).unwrap();
        packet[6..14].to_vec()
    });
    let [before, child, parent] = numbers;
    assert_ne!(child, parent);
    assert_ne!(before, child);
    assert_ne!(before, parent);
}
