//! The other implementations among themselves: shows that realms and peers work before ours is blamed for anything.
#![allow(missing_docs)]

use interop::Vendor;
use interop::peer::{COMPLETE, Peer};
use interop::realm::{Realm, SERVICES};

#[test]
fn each_kdc_serves_each_library() {
    for kdc in Vendor::ALL {
        let realm = Realm::start(kdc);
        for vendor in Vendor::ALL {
            realm.kinit(vendor, "cc");
            for (_, service, _) in SERVICES {
                let mut initiator = Peer::start(vendor, &realm, "cc");
                let mut acceptor = Peer::start(Vendor::Mit, &realm, "none");
                initiator.initiate(&format!("{service}@localhost"), 62, None);
                acceptor.accept(None);
                let request = initiator.step(&[]).token();
                let reply = acceptor.step(&request).token();
                initiator.step(&reply).token();
                let token = initiator.wrap(true, b"hello");
                assert_eq!(
                    acceptor.unwrap(&token),
                    (COMPLETE, true, b"hello".to_vec()),
                    "{kdc:?} {vendor:?} {service}"
                );
                assert!(acceptor.inquire().source.starts_with("alice@"));
            }
        }
    }
}
