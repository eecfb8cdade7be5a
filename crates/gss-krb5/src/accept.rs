//! The acceptor's side of the handshake: the checks of RFC 4120 §3.2.3 and RFC 4121 §4.1.1 in their order, the replay mark
//! last, and nothing that the peer can see before it.

use std::sync::Arc;

use gss_core::bindings::ChannelBindings;
use gss_core::flags::Flags;
use gss_core::host::Host;
use gss_core::mechanism::{Facts, Failure, HalfOpen, Handshake, Step};
use gss_core::oid::Oid;
use gss_core::sequence::SequenceWindow;
use krb5::exchange::ap::{self, Acceptable, ApError, Authenticated, Checked, Opened, Policy};
use krb5::exchange::cred::{self, CredError};
use krb5::formats::ccache::Credential;
use krb5::formats::keytab::Keytab;
use krb5::messages::{ApReq, Const, KrbError, PrincipalName, Realm, ap_options, ticket_flags};
use krb5_crypto::{Enctype, Key, KeyUsage};
use once::Claimed;
use subtle::ConstantTimeEq;
use wire::random::Random;
use wire::time::Timestamp;

use crate::authenticator_data::{choose, etype_list, insists_on_bindings};
use crate::checksum::{self, GSS_CHECKSUM, GssChecksum, NO_BINDINGS};
use crate::context::Established;
use crate::dce::ExpectThirdLeg;
use crate::error::{Error, Local, Malformed, PeerMisbehaved};
use crate::frame::{HandshakeToken, Style};
use crate::initiate::first_number;
use crate::inquire::TicketFacts;
use crate::keys::Keys;
use crate::names::display;
use crate::older::has_older_tokens;

/// Whose keys an acceptor has: a snapshot of a keytab, which goes on as it was when the file changes.
#[derive(Clone)]
pub struct AcceptorCred {
    /// The keys.
    pub keytab: Arc<Keytab>,
    /// Whose keys are used.
    pub acceptable: Acceptable,
}

/// What an acceptor asks for.
#[derive(Clone)]
pub struct AcceptOptions {
    /// The channel. Without bindings, those of the peer are ignored (RFC 4121 §4.1.1.2).
    pub bindings: Option<ChannelBindings>,
    /// Whether delegated credentials are read, and kept for who asks the context. Otherwise they are passed over, and their flag
    /// tells of them all the same.
    pub takes_delegated: bool,
    /// Whether the initiator's ticket is kept, which is evidence for acting in its name towards others (constrained
    /// delegation).
    pub keeps_evidence: bool,
    /// What the AP exchange accepts.
    pub policy: Policy,
    /// Where the context takes the confounders of its messages from, for as long as it lives.
    pub random: Arc<dyn Random>,
}

impl AcceptOptions {
    /// No bindings, delegated credentials taken, and the usual policy.
    pub fn new(random: Arc<dyn Random>) -> Self {
        Self {
            bindings: None,
            takes_delegated: true,
            keeps_evidence: false,
            policy: Policy::default(),
            random,
        }
    }
}

/// An acceptor that waits for the initiator's request.
pub struct Acceptor {
    cred: AcceptorCred,
    options: AcceptOptions,
}

impl Acceptor {
    /// Waits for a request to `cred`.
    pub const fn new(cred: AcceptorCred, options: AcceptOptions) -> Self {
        Self { cred, options }
    }

    /// Where the context takes the confounders of its messages from.
    pub(crate) fn random(&self) -> Arc<dyn Random> {
        Arc::clone(&self.options.random)
    }

    pub(crate) const fn cred(&self) -> &AcceptorCred {
        &self.cred
    }

    pub(crate) const fn policy(&self) -> &Policy {
        &self.options.policy
    }

    fn accept(&self, request: &ApReq<'_>, style: Style, host: &Host<'_>) -> Result<Step, Refused> {
        let cred = &self.cred;
        let waits = request.ap_options.contains(ap_options::MUTUAL_REQUIRED);
        let opened = ap::open(request, &cred.keytab, &cred.acceptable); // authentic
        let opened = opened.map_err(|error| Refused::new(error, waits))?;
        let waits = waits || asks_for_mutual(&opened);
        let ticket = self.options.keeps_evidence.then(|| request.ticket.encode());
        let accepted = self.establish(opened, style, ticket, host);
        accepted.map_err(|error| Refused::new(error, waits))
    }

    fn establish(
        &self,
        opened: Opened,
        style: Style,
        ticket: Option<Vec<u8>>,
        host: &Host<'_>,
    ) -> Result<Step, Error> {
        let options = &self.options;
        let checked = opened.check(&options.policy, host.now())?; // RFC 4120 §3.2.3
        let bound = bind(checked, style, options)?; // RFC 4121 §4.1.1
        let seen = bound.claim(host)?; // nowhere before
        Ok(bound.establish(seen, ticket, options, host.random)) // the first effect a peer can see
    }

    /// The KRB-ERROR token for `error`.
    fn refusal(
        &self,
        style: Style,
        error: &Error,
        request: Option<&ApReq<'_>>,
        now: Timestamp,
    ) -> Vec<u8> {
        let (realm, sname) = match (request, &self.cred.acceptable) {
            (Some(request), _) => (request.ticket.realm, request.ticket.sname.clone()),
            (None, Acceptable::Principal(principal)) => {
                (Realm(principal.realm()), principal.into())
            }
            (None, _) => (Realm(b""), nobody()),
        };
        let error = KrbError {
            pvno: Const,
            msg_type: Const,
            ctime: None,
            cusec: None,
            stime: now.into(),
            susec: now.into(),
            error_code: error.krb_error_code(),
            crealm: None,
            cname: None,
            realm,
            sname,
            e_text: None,
            e_data: None,
        };
        // DCE style's errors are framed too, as MIT's and Heimdal's are.
        let style = match style {
            Style::Bare => Style::FRAMED,
            framed => framed,
        };
        HandshakeToken::KrbError(&error.encode()).to_token(style)
    }
}

fn nobody() -> PrincipalName<'static> {
    PrincipalName {
        name_type: krb5::principal::NT_UNKNOWN,
        name_string: vec![Realm(b"")],
    }
}

impl Handshake for Acceptor {
    /// A peer that waits for an answer gets a KRB-ERROR where there is no context: one that asked for mutual authentication, and
    /// one whose request cannot be read. What is not in this mechanism's frame gets none.
    fn step(self: Box<Self>, token: &[u8], host: &Host<'_>) -> Result<Step, Failure> {
        let style = Style::of(token);
        let request = match read(style, token) {
            Ok(request) => request,
            Err(error) => {
                let framed = !matches!(error, Error::Malformed(Malformed::Frame(_)));
                let token = framed.then(|| self.refusal(style, &error, None, host.now()));
                let error = error.into();
                return Err(Failure { error, token });
            }
        };
        match self.accept(&request, style, host) {
            Ok(step) => Ok(step),
            Err(Refused { error, waits }) => {
                let token = waits.then(|| self.refusal(style, &error, Some(&request), host.now()));
                let error = error.into();
                Err(Failure { error, token })
            }
        }
    }

    fn half_open(&self) -> Option<&dyn HalfOpen> {
        Some(self)
    }
}

/// Why there is no context, and whether the peer waits for an answer.
struct Refused {
    error: Error,
    waits: bool,
}

impl Refused {
    fn new(error: impl Into<Error>, waits: bool) -> Self {
        let error = error.into();
        Self { error, waits }
    }
}

/// Whether the checksum asks for mutual authentication: some peers set its flag and not the AP option.
fn asks_for_mutual(opened: &Opened) -> bool {
    match opened.cksum() {
        Some((GSS_CHECKSUM, checksum)) => GssChecksum::parse(checksum)
            .is_ok_and(|checksum| implied(checksum.flags).contains(Flags::MUTUAL)),
        _ => false,
    }
}

/// DCE style is mutual.
pub(crate) fn implied(flags: Flags) -> Flags {
    flags | Flags::MUTUAL.when(flags.contains(Flags::DCE_STYLE))
}

fn read(style: Style, token: &[u8]) -> Result<ApReq<'_>, Error> {
    match HandshakeToken::parse(style, token)? {
        HandshakeToken::ApReq(message) => Ok(ap::read(message)?),
        HandshakeToken::ApRep(_) | HandshakeToken::KrbError(_) => Err(ApError::MessageType.into()),
    }
}

/// A request whose checksum was looked at, so that its flags are known and its channel is ours.
struct Bound {
    checked: Checked,
    flags: Flags,
    /// Of which enctype our subkey is to be, if we assert one.
    subkey_enctype: &'static Enctype,
    style: Style,
    delegated: Vec<Credential>,
}

/// The checks of RFC 4121 §4.1.1.
fn bind(checked: Checked, style: Style, options: &AcceptOptions) -> Result<Bound, Error> {
    let request = checked.request();
    let bindings = options.bindings.as_ref();
    let mut delegated = Vec::new();
    let flags = match &request.cksum {
        // Handcrafted SMB clients send none; Windows takes it, with no flags.
        None => Flags::NONE,
        Some((GSS_CHECKSUM, checksum)) => {
            let checksum = GssChecksum::parse(checksum)?;
            if let Some(message) = checksum.delegated().filter(|_| options.takes_delegated) {
                delegated = read_delegated(message, request)?;
            }
            implied(checksum.flags) | Flags::CHANNEL_BOUND.when(matches(&checksum, bindings)?)
        }
        Some((cksumtype, checksum)) => plain_checksum(request, *cksumtype, checksum)?,
    };
    if flags.contains(Flags::DCE_STYLE) != (style == Style::Bare) {
        return Err(PeerMisbehaved::DceStyle.into());
    }
    let bound = flags.contains(Flags::CHANNEL_BOUND);
    if bindings.is_some() && !bound && insists_on_bindings(&request.authenticator_data)? {
        return Err(PeerMisbehaved::BindingsMissing.into());
    }
    let offered = etype_list(&request.authenticator_data)?;
    let used = request.subkey.as_ref().unwrap_or(&request.session_key);
    let permitted = &options.policy.permitted_enctypes;
    let subkey_enctype = choose(permitted, &offered, used.enctype());
    Ok(Bound {
        checked,
        flags,
        subkey_enctype,
        style,
        delegated,
    })
}

/// Delegated credentials are under the session key (RFC 4121 §4.1.1), under the subkey with some peers, or not encrypted again:
/// the authenticator around them is.
fn read_delegated(message: &[u8], request: &Authenticated) -> Result<Vec<Credential>, CredError> {
    let mut keys = vec![&request.session_key];
    keys.extend(&request.subkey);
    cred::read(message, &keys)
}

/// Whether the peer bound the context to our channel. A peer that gave no bindings is not refused for it.
fn matches(checksum: &GssChecksum, bindings: Option<&ChannelBindings>) -> Result<bool, Error> {
    if bindings.is_none() {
        return Ok(false);
    }
    let ours = checksum::hash(bindings)?;
    let same = bool::from(ours.ct_eq(&checksum.bindings));
    if !same && checksum.bindings != NO_BINDINGS {
        return Err(PeerMisbehaved::BindingsDiffer.into());
    }
    Ok(same)
}

/// Samba sends an ordinary checksum over nothing. Verifying it shows that the authenticator was not made for another
/// protocol, where the checksum would be over something.
fn plain_checksum(
    request: &Authenticated,
    cksumtype: i32,
    checksum: &[u8],
) -> Result<Flags, Error> {
    let key = &request.session_key;
    let usage = KeyUsage::AP_REQ_AUTHENTICATOR_CHECKSUM;
    if key.enctype().checksum_type() != cksumtype {
        return Err(PeerMisbehaved::Checksum.into());
    }
    (key.verify_checksum(usage, &[], checksum)).map_err(|_| PeerMisbehaved::Checksum)?;
    Ok(Flags::REPLAY | Flags::SEQUENCE | Flags::MUTUAL.when(request.mutual))
}

/// That a request was not seen before, or that nobody wants to know.
enum Seen {
    Once(Claimed),
    Unasked,
}

impl Bound {
    fn claim(&self, host: &Host<'_>) -> Result<Seen, Error> {
        let Some(store) = host.replay else {
            return Ok(Seen::Unasked);
        };
        let ctime = self.checked.request().ctime;
        if let Some(cache) = host.shared_replay {
            let recorded = cache.record(self.checked.rcache2_tag().bytes(), ctime, host.now());
            recorded.map_err(Local::SharedReplay)?;
        }
        // Ours last: what it gives is the evidence.
        let claimed = store.claim(self.checked.replay_mark(), ctime);
        Ok(Seen::Once(claimed.map_err(Local::Replay)?))
    }

    /// The context, and the AP-REP if the peer asked for one. In DCE style the context waits for the peer's answer to that.
    fn establish(
        self,
        seen: Seen,
        ticket: Option<Vec<u8>>,
        options: &AcceptOptions,
        random: &dyn Random,
    ) -> Step {
        // The evidence is spent here: no context without it.
        let (Seen::Once(Claimed { .. }) | Seen::Unasked) = seen;
        let style = self.style;
        let anonymous = self.checked.request().flags & ticket_flags::ANONYMOUS != 0;
        let flags = self.flags | Flags::TRANS | Flags::PROT_READY | Flags::ANON.when(anonymous);
        let answer = flags.contains(Flags::MUTUAL).then(|| {
            let dce = flags.contains(Flags::DCE_STYLE);
            Answer::new(&self.checked, self.subkey_enctype, dce, random)
        });
        let mut request = self.checked.into_request();
        let session_key = Arc::new(request.session_key);
        let initiators = match request.subkey.take() {
            Some(subkey) => Arc::new(subkey),
            None => Arc::clone(&session_key),
        };
        let initiators_number = request.seq_number.unwrap_or(0);
        let (reply, acceptor_subkey, next) = match answer {
            Some(answer) => (Some(answer.reply), answer.subkey, answer.seq_number),
            // Both directions start at the authenticator's number.
            None => (None, None, initiators_number),
        };
        let evidence = ticket.map(|ticket| Credential {
            client: request.client.clone(),
            server: request.server.clone(),
            key: Arc::clone(&session_key).into(),
            authtime: request.authtime,
            starttime: request.starttime,
            endtime: request.endtime,
            renew_till: Timestamp::default(),
            is_skey: false,
            flags: request.flags,
            addresses: Vec::new(),
            authdata: Vec::new(),
            ticket,
            second_ticket: Vec::new(),
        });
        let established = Established {
            facts: Facts {
                mechanism: Oid::KRB5,
                initiator: display(&request.client),
                acceptor: display(&request.server),
                flags,
                locally_initiated: false,
                expires: request.endtime + options.policy.clock_skew,
            },
            keys: Keys::new(
                initiators,
                acceptor_subkey,
                flags.contains(Flags::DCE_STYLE),
            ),
            next: u64::from(next),
            window: SequenceWindow::new(
                u64::from(initiators_number),
                flags.contains(Flags::REPLAY),
                flags.contains(Flags::SEQUENCE),
            ),
            authorization_data: request.authorization_data,
            vouched: request.vouched,
            ticket: TicketFacts::new(request.flags, request.authtime, request.endtime),
            delegated: self.delegated,
            evidence,
        };
        let random = Arc::clone(&options.random);
        match reply {
            Some(reply) if flags.contains(Flags::DCE_STYLE) => Step::Continue {
                token: HandshakeToken::ApRep(&reply).to_token(Style::Bare),
                next: Box::new(ExpectThirdLeg {
                    established,
                    session_key,
                    random,
                }),
            },
            reply => Step::Done {
                token: reply.map(|reply| HandshakeToken::ApRep(&reply).to_token(style)),
                context: Box::new(established.open(random)),
            },
        }
    }
}

/// What the acceptor proves itself with.
struct Answer {
    reply: Vec<u8>,
    /// None where the tokens are those of RFC 1964, which do not tell whether they are under it. DCE style has it all the same.
    subkey: Option<Key>,
    seq_number: u32,
}

impl Answer {
    fn new(checked: &Checked, enctype: &'static Enctype, dce: bool, random: &dyn Random) -> Self {
        let request = checked.request();
        let key = request.subkey.as_ref().unwrap_or(&request.session_key);
        let older = [key.enctype(), enctype].map(|one| has_older_tokens(one.number()));
        let subkey = (dce || older != [true; 2]).then(|| enctype.random_key(random));
        let seq_number = first_number(random);
        let reply = checked.reply(subkey.as_ref(), Some(seq_number), random);
        Self {
            reply,
            subkey,
            seq_number,
        }
    }
}
