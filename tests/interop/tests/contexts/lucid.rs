//! The lucid form: ours and that of the other side of the same context.

use baton::{Context, Flags, Lucid, LucidProtocol, SessionKey};
use interop::Vendor;
use interop::peer::{LucidForm, Peer};

use crate::parties::{ALL_FLAGS, Case, Pair, establish};

/// Our form as the structure has it.
fn form(lucid: &Lucid) -> LucidForm {
    let key = |key: &SessionKey| (key.enctype as u64, key.bytes.to_vec());
    let (protocol, algorithms, ctx_key, acceptor_subkey) = match &lucid.protocol {
        LucidProtocol::Rfc1964 {
            sign_alg,
            seal_alg,
            ctx_key,
        } => (
            0,
            (u64::from(*sign_alg), u64::from(*seal_alg)),
            key(ctx_key),
            None,
        ),
        LucidProtocol::Cfx {
            ctx_key,
            acceptor_subkey,
        } => (1, (0, 0), key(ctx_key), acceptor_subkey.as_ref().map(key)),
    };
    LucidForm {
        initiate: lucid.initiate,
        endtime: lucid.endtime.seconds() as u64,
        send_seq: lucid.send_seq,
        recv_seq: lucid.recv_seq,
        protocol,
        algorithms,
        ctx_key,
        acceptor_subkey,
    }
}

/// What ours says of a context is what `vendor`'s says of it from the other side.
pub(crate) fn assert_mirrored(
    vendor: Vendor,
    ours: Context,
    theirs: &mut Peer,
    what: &str,
) -> LucidForm {
    let ours = ours.into_lucid().map_err(|(_, error)| error).unwrap();
    let (ours, mut theirs) = (form(&ours), theirs.lucid());
    if vendor == Vendor::Heimdal {
        as_mits(&mut theirs, &ours);
    }
    let mirrored = LucidForm {
        initiate: !theirs.initiate,
        send_seq: theirs.recv_seq,
        recv_seq: theirs.send_seq,
        ..theirs
    };
    assert_eq!(ours, mirrored, "{what}");
    ours
}

/// Heimdal's library gives the acceptor's subkey in the place of the initiator's too, calls Triple DES by the enctype, and without
/// mutual authentication does not know which number its peer begins with.
fn as_mits(theirs: &mut LucidForm, ours: &LucidForm) {
    match &theirs.acceptor_subkey {
        Some(subkey) => {
            assert_eq!(theirs.ctx_key, *subkey);
            theirs.ctx_key = ours.ctx_key.clone();
        }
        None if theirs.recv_seq == 0 => theirs.recv_seq = ours.send_seq,
        None => {}
    }
    if theirs.protocol == 0 && theirs.ctx_key.0 == 16 {
        theirs.ctx_key.0 = 6;
    }
}

#[test]
fn the_lucid_form_is_theirs_from_the_other_side() {
    for case in Case::all() {
        for flags in [ALL_FLAGS, ALL_FLAGS.without(Flags::MUTUAL)] {
            let Pair { ours, mut theirs } = establish(Case { flags, ..case });
            let what = format!("{case:?} {flags:?}");
            let form = assert_mirrored(case.vendor, ours, &mut theirs, &what);
            assert_eq!(form.protocol, 1, "{what}");
            let number = case.enctype().number() as u64;
            assert_eq!(form.ctx_key.0, number, "{what}");
            let mutual = flags.contains(Flags::MUTUAL);
            assert_eq!(form.acceptor_subkey.is_some(), mutual, "{what}");
        }
    }
}
