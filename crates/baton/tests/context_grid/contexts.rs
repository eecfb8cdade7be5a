//! The calls on a context.

use baton::IoVec::{Data, Header, MicToken, SignOnly, Stream, Trailer};
use baton::{Context, Error, ExportOptions, Oid, Order, Policy, PrfKey, Token};

use crate::site::{OK, Site, outcome};

/// What a call on a context has beside it.
pub(crate) struct Cell<'a> {
    pub(crate) site: &'a Site<'a>,
    pub(crate) peer: Context,
}

/// Where in the sequence what came from the peer stands.
pub(crate) fn order(result: Result<Order, Error>) -> String {
    result.map_or_else(|e| outcome::<()>(Err(e)), |order| format!("{order:?}"))
}

pub(crate) fn unwrapped(result: Result<baton::Message, Error>) -> String {
    order(result.map(|message| {
        assert_eq!(message.data, b"hello");
        message.order
    }))
}

/// A token of this context is one that the peer takes.
pub(crate) fn taken(cell: &Cell<'_>, token: Result<Vec<u8>, Error>) -> String {
    outcome(token.map(|token| assert_eq!(cell.peer.unwrap(&token).unwrap().data, b"hello")))
}

pub(crate) fn sealed(cell: &Cell<'_>) -> Vec<u8> {
    cell.peer.wrap(true, b"hello").unwrap()
}

/// What the call made still talks with the peer.
pub(crate) fn alive(cell: &Cell<'_>, context: &Context) {
    assert_eq!(unwrap(cell, context), "InOrder");
    assert_eq!(taken(cell, context.wrap(true, b"hello")), OK);
}

pub(crate) fn short(name: &impl ToString) -> String {
    let name = name.to_string();
    name.strip_suffix("@EXAMPLE.TEST").unwrap().to_owned()
}

pub(crate) fn flip(token: &mut [u8]) {
    *token.last_mut().unwrap() ^= 1;
}

pub(crate) fn debug(_: &Cell<'_>, context: &Context) -> String {
    let key = context.session_key().unwrap();
    let text = format!("{context:?}");
    let told = text.contains(&format!("{:?}", &*key.bytes));
    if told { text } else { "no keys".to_owned() }
}

pub(crate) fn facts(_: &Cell<'_>, context: &Context) -> String {
    let facts = context.facts();
    let side = if facts.locally_initiated {
        "initiated"
    } else {
        "accepted"
    };
    format!("{side} by {}", short(&facts.initiator))
}

pub(crate) fn lifetime(_: &Cell<'_>, context: &Context) -> String {
    let some = context.lifetime().is_some();
    if some { "some" } else { "none" }.to_owned()
}

pub(crate) fn wrap_into(cell: &Cell<'_>, context: &Context) -> String {
    let mut token = Vec::new();
    let wrapped = context.wrap_into(true, b"hello", &mut token);
    taken(
        cell,
        wrapped.map(|encrypted| {
            assert!(encrypted);
            token
        }),
    )
}

pub(crate) fn unwrap(cell: &Cell<'_>, context: &Context) -> String {
    unwrapped(context.unwrap(&sealed(cell)))
}

pub(crate) fn unwrap_into(cell: &Cell<'_>, context: &Context) -> String {
    let mut out = Vec::new();
    let result = context.unwrap_into(&sealed(cell), &mut out);
    order(result.map(|unwrapped| unwrapped.order))
}

pub(crate) fn replayed(cell: &Cell<'_>, context: &Context) -> String {
    let token = sealed(cell);
    context.unwrap(&token).unwrap();
    unwrapped(context.unwrap(&token))
}

pub(crate) fn gap(cell: &Cell<'_>, context: &Context) -> String {
    sealed(cell);
    unwrap(cell, context)
}

pub(crate) fn altered(cell: &Cell<'_>, context: &Context) -> String {
    let mut token = sealed(cell);
    flip(&mut token);
    unwrapped(context.unwrap(&token))
}

pub(crate) fn reflected(_: &Cell<'_>, context: &Context) -> String {
    unwrapped(context.unwrap(&context.wrap(true, b"hello").unwrap()))
}

pub(crate) fn get_mic(cell: &Cell<'_>, context: &Context) -> String {
    let mic = context.get_mic(b"hello");
    outcome(mic.and_then(|mic| cell.peer.verify_mic(b"hello", &mic)))
}

pub(crate) fn verify_mic(cell: &Cell<'_>, context: &Context) -> String {
    let mic = cell.peer.get_mic(b"hello").unwrap();
    order(context.verify_mic(b"hello", &mic))
}

pub(crate) fn bad_mic(cell: &Cell<'_>, context: &Context) -> String {
    let mic = cell.peer.get_mic(b"hallo").unwrap();
    order(context.verify_mic(b"hello", &mic))
}

pub(crate) fn size_limit(_: &Cell<'_>, context: &Context) -> String {
    let limit = context.wrap_size_limit(true, 1000);
    outcome(limit.map(|limit| {
        let token = context.wrap(true, &vec![0; limit as usize]).unwrap();
        assert!(token.len() <= 1000);
    }))
}

pub(crate) fn in_place(cell: &Cell<'_>, context: &Context) -> String {
    taken(
        cell,
        context.room(true, 5).and_then(|room| {
            let mut buffer = vec![0; room.before + 5 + room.after];
            buffer[room.before..][..5].copy_from_slice(b"hello");
            context.wrap_in_place(true, &mut buffer, room)?;
            Ok(buffer)
        }),
    )
}

pub(crate) fn un_place(cell: &Cell<'_>, context: &Context) -> String {
    order((context.unwrap_in_place(&mut sealed(cell))).map(|message| message.order))
}

pub(crate) fn slices(cell: &Cell<'_>, context: &Context) -> String {
    let mut token = vec![0; 200];
    let wrapped = context.wrap_slices(true, &[b"he", b"llo"], &mut token);
    taken(cell, wrapped.map(|(length, _)| token[..length].to_vec()))
}

pub(crate) fn unslice(cell: &Cell<'_>, context: &Context) -> String {
    let result = context.unwrap_slice(&sealed(cell), &mut [0; 200]);
    order(result.map(|(_, unwrapped)| unwrapped.order))
}

pub(crate) fn mic_slices(cell: &Cell<'_>, context: &Context) -> String {
    outcome(context.mic_length().and_then(|length| {
        let mut mic = vec![0; length];
        context.get_mic_slices(&[b"he", b"llo"], &mut mic)?;
        cell.peer.verify_mic(b"hello", &mic)
    }))
}

pub(crate) fn mic_sliced(cell: &Cell<'_>, context: &Context) -> String {
    let mic = cell.peer.get_mic(b"hello").unwrap();
    order(context.verify_mic_slices(&[b"he", b"llo"], &mic))
}

pub(crate) fn iov(cell: &Cell<'_>, context: &Context) -> String {
    let (mut data, mut empty, mut none) = (*b"hello", [], []);
    let iov = [Header(&mut empty), Data(&mut data), Trailer(&mut none)];
    let lengths = context.wrap_iov_lengths(true, &iov);
    taken(
        cell,
        lengths.and_then(|lengths| {
            let (mut header, mut trailer) = (vec![0; lengths.header], vec![0; lengths.trailer]);
            let mut iov = [Header(&mut header), Data(&mut data), Trailer(&mut trailer)];
            context.wrap_iov(true, &mut iov)?;
            Ok(iov
                .iter()
                .flat_map(|piece| piece.bytes())
                .copied()
                .collect())
        }),
    )
}

pub(crate) fn no_header(_: &Cell<'_>, context: &Context) -> String {
    outcome(context.wrap_iov(true, &mut [Data(&mut b"hello".to_vec())]))
}

pub(crate) fn un_iov(cell: &Cell<'_>, context: &Context) -> String {
    let mut token = sealed(cell);
    let result = context.unwrap_iov(&mut [Stream(&mut token), Data(&mut [])]);
    order(result.map(|unwrapped| unwrapped.order))
}

pub(crate) fn mic_iov(cell: &Cell<'_>, context: &Context) -> String {
    let mut mic = [0; 64];
    let mut iov = [SignOnly(b"hello"), MicToken(&mut mic)];
    let signed = context.get_mic_iov(&mut iov);
    outcome(signed.and_then(|()| cell.peer.verify_mic(b"hello", iov[1].bytes())))
}

pub(crate) fn un_mic_iov(cell: &Cell<'_>, context: &Context) -> String {
    let mut mic = cell.peer.get_mic(b"hello").unwrap();
    order(context.verify_mic_iov(&[SignOnly(b"hello"), MicToken(&mut mic)]))
}

pub(crate) fn aead(cell: &Cell<'_>, context: &Context) -> String {
    let token = context.wrap_aead(true, b"to bob", b"hello");
    outcome(token.and_then(|token| cell.peer.unwrap_aead(b"to bob", &token)))
}

pub(crate) fn un_aead(cell: &Cell<'_>, context: &Context) -> String {
    let token = cell.peer.wrap_aead(true, b"to bob", b"hello").unwrap();
    unwrapped(context.unwrap_aead(b"to bob", &token))
}

pub(crate) fn bad_aead(cell: &Cell<'_>, context: &Context) -> String {
    let token = cell.peer.wrap_aead(true, b"to eve", b"hello").unwrap();
    unwrapped(context.unwrap_aead(b"to bob", &token))
}

pub(crate) fn many(cell: &Cell<'_>, context: &Context) -> String {
    taken(
        cell,
        context
            .wrap_many(true, &["hello", "more"])
            .map(|tokens| tokens[0].clone()),
    )
}

pub(crate) fn un_many(cell: &Cell<'_>, context: &Context) -> String {
    let mut tokens = cell.peer.wrap_many(true, &["hello"; 3]).unwrap();
    flip(&mut tokens[1]);
    let outcomes = context.unwrap_many(&tokens).unwrap();
    let outcomes: Vec<_> = outcomes.into_iter().map(unwrapped).collect();
    outcomes.join(", ")
}

pub(crate) fn prf(cell: &Cell<'_>, context: &Context) -> String {
    let of = |context: &Context| {
        context
            .pseudo_random(PrfKey::Full, b"for a test", 32)
            .unwrap()
    };
    (if of(context) == of(&cell.peer) {
        "the peer's"
    } else {
        "another"
    })
    .to_owned()
}

pub(crate) fn session_key(cell: &Cell<'_>, context: &Context) -> String {
    let of = |context: &Context| context.session_key().unwrap().bytes;
    (if of(context) == of(&cell.peer) {
        "the peer's"
    } else {
        "another"
    })
    .to_owned()
}

pub(crate) fn by_oid(_: &Cell<'_>, context: &Context) -> String {
    let oid: Oid = "1.2.840.113554.1.2.2.5.5".parse().unwrap();
    outcome(context.inquire_by_oid(&oid))
}

pub(crate) fn authdata(_: &Cell<'_>, context: &Context) -> String {
    let data = context.authorization_data(128);
    data.map_or_else(
        |e| outcome::<()>(Err(e)),
        |data| format!("{} PACs", data.len()),
    )
}

pub(crate) fn delegated(_: &Cell<'_>, context: &Context) -> String {
    match context.take_delegated() {
        Ok(Some(cred)) => short(&cred.name().unwrap()),
        Ok(None) => "none".to_owned(),
        Err(error) => outcome::<()>(Err(error)),
    }
}

pub(crate) fn twice(cell: &Cell<'_>, context: &Context) -> String {
    drop(context.take_delegated());
    delegated(cell, context)
}

pub(crate) fn for_initiator(cell: &Cell<'_>, context: &Context) -> String {
    match context.for_initiator(&cell.site.world.own) {
        Ok(None) => "none".to_owned(),
        other => outcome(other),
    }
}

/// Exports as `options` say; a context that stayed is as good as it was.
pub(crate) fn exported(
    cell: &Cell<'_>,
    context: Context,
    options: &ExportOptions,
) -> Result<Token, Error> {
    context.export(options).map_err(|(context, error)| {
        alive(cell, &context);
        error
    })
}

pub(crate) fn export(cell: &Cell<'_>, context: Context) -> String {
    outcome(exported(cell, context, &ExportOptions::default()))
}

/// What comes of importing what `alter` made of the token.
pub(crate) fn imported(
    cell: &Cell<'_>,
    context: Context,
    alter: impl Fn(&mut Vec<u8>),
) -> Result<Context, Error> {
    let mut token = exported(cell, context, &ExportOptions::default())?.into_bytes();
    alter(&mut token);
    Context::import(&cell.site.env, &Token::from(token))
}

pub(crate) fn round(cell: &Cell<'_>, context: Context) -> String {
    outcome(imported(cell, context, |_| ()).map(|context| alive(cell, &context)))
}

pub(crate) fn altered_import(cell: &Cell<'_>, context: Context) -> String {
    outcome(imported(cell, context, |token| flip(token)))
}

pub(crate) fn imported_twice(cell: &Cell<'_>, context: Context) -> String {
    let token = exported(cell, context, &ExportOptions::default());
    outcome(token.and_then(|token| {
        Context::import(&cell.site.env, &token).unwrap();
        Context::import(&cell.site.env, &token)
    }))
}

pub(crate) fn to_nobody(cell: &Cell<'_>, context: Context) -> String {
    let options = ExportOptions::default().policy(Policy::nobody());
    let token = exported(cell, context, &options);
    outcome(token.and_then(|token| Context::import(&cell.site.env, &token)))
}

pub(crate) fn as_handshake(cell: &Cell<'_>, context: Context) -> String {
    let token = exported(cell, context, &ExportOptions::default());
    outcome(token.and_then(|token| cell.site.import(&token, false)))
}

pub(crate) fn lucid(cell: &Cell<'_>, context: Context) -> String {
    let lucid = context.into_lucid();
    outcome(lucid.map_err(|(context, error)| {
        alive(cell, &context);
        error
    }))
}
