//! What must not work, each tried for real.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use baton::transfer::{Policy, Sending, send_over};
use baton::{
    Acceptor, Context, Credential, Environment, ExportOptions, Initiator, Major, Name, Step, Token,
};
use rustix::process::geteuid;

use super::clients::{Clients, SERVICE};
use super::memory;
use super::part::order;
use super::processes::{Door, Holder, Leftovers, user_of};
use super::report::{Refusal, Report};
use crate::user::User;

/// What the trials need.
pub(crate) struct Trials<'a> {
    pub(crate) leftovers: &'a Leftovers,
    pub(crate) env: &'a Environment,
    pub(crate) clients: &'a Clients,
    pub(crate) service: &'a Credential,
    pub(crate) door: &'a Door,
    pub(crate) store: &'a Path,
    pub(crate) keytab: &'a Path,
    pub(crate) other_user: Option<&'a User>,
}

/// How long tokens that are to expire are good.
const SHORT: Duration = Duration::from_millis(700);

/// How much of a token says which deposit is its own.
const TAG_BITS: usize = 128;

type Tried = Result<(), String>;

impl Trials<'_> {
    /// All of them.
    pub(crate) fn run(&self, report: &mut Report) -> Tried {
        let (_, server) = self.contexts()?;
        let short = ExportOptions::default().lifetime(SHORT);
        let (expiring, begun) = (export(server, &short)?, Instant::now());

        report.title("What must not work: a token");
        self.altered(report)?;
        self.again(report)?;
        let left = (SHORT + Duration::from_millis(100)).saturating_sub(begun.elapsed());
        thread::sleep(left);
        let outcome = Context::import(self.env, &expiring).map_err(Refusal::from);
        report.refused("a token after its time", outcome, Major::NoContext);

        report.title("What must not work: another user");
        self.other_users(report)?;

        report.title("What must not work: a replayed request");
        self.replay(report)?;

        report.title("What must not work: the exporter's old context");
        self.half_open(report)?;
        self.old_context(report)
    }

    /// Both sides of a context, in this process.
    pub(crate) fn contexts(&self) -> Result<(Context, Context), String> {
        let (token, next) = self.begin()?;
        let accepted = Acceptor::new(self.env, self.service).step(&token);
        let Step::Done {
            token: Some(answer),
            context: server,
        } = accepted.map_err(|failure| failure.error.to_string())?
        else {
            return Err("the acceptor has no answer".to_owned());
        };
        Ok((finish(next, &answer)?, server))
    }

    fn begin(&self) -> Result<(Vec<u8>, baton::Handshake), String> {
        let name = Name::hostbased_service(SERVICE);
        let (_, user) = &self.clients.users[0];
        match Initiator::new(self.env, user, &name).start() {
            Ok(Step::Continue { token, next }) => Ok((token, next)),
            Ok(Step::Done { .. }) => Err("no answer is needed".to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }

    fn holder(&self, keytab: bool) -> Result<Holder, String> {
        let keytab = keytab.then_some(self.keytab);
        Holder::start(self.leftovers, self.env, None, self.store, keytab)
            .map_err(|error| format!("a process cannot be started: {error}"))
    }

    /// Each single bit, each length; and then the token is as good as before.
    fn altered(&self, report: &mut Report) -> Tried {
        let (client, server) = self.contexts()?;
        let token = export(server, &ExportOptions::default())?.into_bytes();
        let (mut defective, mut unknown) = (0, 0);
        let mut try_one = |bytes: &[u8]| match Context::import(self.env, &Token::from(bytes)) {
            Err(error) if error.major() == Major::DefectiveToken => {
                defective += 1;
                Ok(())
            }
            // Whose tag was hit looks for a deposit that nobody made.
            Err(error) if error.major() == Major::NoContext => {
                unknown += 1;
                Ok(())
            }
            Err(error) => Err(error.to_string()),
            Ok(_) => Err("an altered token was imported".to_owned()),
        };
        let mut outcome = Ok(());
        for bit in 0..token.len() * 8 {
            let mut other = token.clone();
            other[bit / 8] ^= 1 << (bit % 8);
            outcome = outcome.and_then(|()| try_one(&other));
        }
        for length in 0..token.len() {
            outcome = outcome.and_then(|()| try_one(&token[..length]));
        }
        let shown = outcome.and_then(|()| match unknown {
            TAG_BITS => Ok(format!(
                "{defective} were GSS_S_DEFECTIVE_TOKEN; {unknown}, with another tag, GSS_S_NO_CONTEXT"
            )),
            other => Err(format!("{other} were GSS_S_NO_CONTEXT, and a tag has {TAG_BITS} bits")),
        });
        let what = format!(
            "a token of {} bytes with each bit flipped, and cut to each length",
            token.len()
        );
        report.refused_somehow(&what, shown);
        let imported = Context::import(self.env, &Token::from(token));
        let shown = imported
            .map_err(|error| error.to_string())
            .and_then(|server| converse(&client, &server))
            .map(|()| "and both sides understand each other".to_owned());
        report.claim("the true token still imports afterwards", shown);
        Ok(())
    }

    /// A token is worth something once, whoever comes second.
    fn again(&self, report: &mut Report) -> Tried {
        let (client, server) = self.contexts()?;
        let token = export(server, &ExportOptions::default())?;
        let (first, second) = (self.holder(false)?, self.holder(false)?);
        let imported = first.ask(order::IMPORT, token.as_ref());
        let shown = imported.and_then(|_| talk(&client, &first));
        let claim = format!(
            "exported by process {}, imported by process {}",
            std::process::id(),
            first.pid()
        );
        let shown = shown.map(|()| "the client talks on and notices nothing".to_owned());
        report.claim(&claim, shown.map_err(|refusal| refusal.to_string()));
        for (who, holder) in [("another", &second), ("the same", &first)] {
            let what = format!("the same token again, in {who} process {}", holder.pid());
            report.refused(
                &what,
                holder.ask(order::IMPORT, token.as_ref()),
                Major::NoContext,
            );
        }
        let outcome = Context::import(self.env, &token).map_err(Refusal::from);
        report.refused(
            "the same token again, in the process that exported it",
            outcome,
            Major::NoContext,
        );
        Ok(())
    }

    fn other_users(&self, report: &mut Report) -> Tried {
        let us = geteuid().as_raw();
        let (_, server) = self.contexts()?;
        let token = export(
            server,
            &ExportOptions::default().policy(Policy::users([us + 1])),
        )?;
        let outcome = Context::import(self.env, &token).map_err(Refusal::from);
        let what = format!("a token for user {} alone, imported by user {us}", us + 1);
        report.refused(&what, outcome, Major::Unauthorized);
        let (_, server) = self.contexts()?;
        let token = export(server, &ExportOptions::default().policy(Policy::nobody()))?;
        let outcome = Context::import(self.env, &token).map_err(Refusal::from);
        report.refused("a token for nobody", outcome, Major::Unauthorized);
        match self.other_user {
            Some(user) => self.process_of(user, report),
            None => {
                report.say(
                    "(not started as root, so no process of another user can be started here)",
                );
                Ok(())
            }
        }
    }

    fn process_of(&self, user: &User, report: &mut Report) -> Tried {
        let start = || Holder::start(self.leftovers, self.env, Some(user), self.store, None);
        let stranger = start().map_err(|error| format!("a process of another user: {error}"))?;
        // Handed to it outright, over a socketpair of its own: the policy alone stands between.
        let (_, server) = self.contexts()?;
        let sending = Sending {
            policy: Some(Policy::same_user()),
            ..Sending::default()
        };
        let sent = send_over(&stranger.channel, server, &sending);
        sent.map_err(|(_, error)| error.to_string())?;
        let outcome = stranger.answer();
        let (_, name) = user_of(stranger.pid());
        let who = format!("process {} of user {name}", stranger.pid());
        let what = format!("a context for the same user, with its key in the hands of {who}");
        report.refused(&what, outcome, Major::Unauthorized);

        let (client, server) = self.contexts()?;
        let token = export(server, &ExportOptions::default())?;
        let outcome = match stranger.ask(order::IMPORT, token.as_ref()) {
            Ok(_) => Err("it was not refused".to_owned()),
            Err(refusal) => Ok(refusal.to_string()),
        };
        let what = format!("a true token, stolen by {who}, who has not the store");
        report.refused_somehow(&what, outcome);
        let imported = Context::import(self.env, &token).map_err(|error| error.to_string());
        let shown = imported.and_then(|server| converse(&client, &server));
        let shown = shown.map(|()| "the theft has burned nothing".to_owned());
        report.claim("the true token still imports afterwards", shown);
        Ok(())
    }

    /// What a client began with, recorded on its way and sent again.
    fn replay(&self, report: &mut Report) -> Tried {
        let mut conversation = self.clients.connect(1)?;
        conversation.echo(100)?;
        let request = conversation.request.clone();
        report.refused_somehow(
            "a client's request, recorded and sent again to the front door",
            self.send_to_door(&request),
        );
        let holder = self.holder(true)?;
        let what = format!(
            "the same, sent to another acceptor with the same key, process {}",
            holder.pid()
        );
        report.refused(&what, holder.ask(order::ACCEPT, &request), Major::Failure);
        let mut altered = request;
        if let Some(last) = altered.last_mut() {
            *last ^= 1;
        }
        report.refused_somehow("the same with one bit altered", self.send_to_door(&altered));
        let shown = conversation.echo(100).map(|()| "it goes on".to_owned());
        report.claim("the client whose request it was notices nothing", shown);
        conversation.finish().map(drop)
    }

    /// Why the front door refuses a request; an error if it does not.
    fn send_to_door(&self, request: &[u8]) -> Result<String, String> {
        let (_socket, port) = self.clients.send_request(request)?;
        // It says either `refused 127.0.0.1:PORT: ...` or `... from 127.0.0.1:PORT is with worker ...`.
        let line = self.door.wait_for_either([
            &format!("refused 127.0.0.1:{port}: "),
            &format!("127.0.0.1:{port} is with worker"),
        ])?;
        match line.split_once(&format!("refused 127.0.0.1:{port}: ")) {
            Some((_, reason)) => Ok(format!("front door: {reason}")),
            None => Err("it was not refused".to_owned()),
        }
    }

    /// A context that `to` accepts; gives the client's side.
    fn accept(&self, to: &Holder) -> Result<Context, String> {
        let (request, next) = self.begin()?;
        let client = finish(next, &told(to.ask(order::ACCEPT, &request))?)?;
        told(talk(&client, to))?;
        Ok(client)
    }

    /// A context that goes from one process to another.
    fn pass(&self, from: &Holder, to: &Holder) -> Tried {
        let client = self.accept(from)?;
        let token = told(from.ask(order::EXPORT, &[]))?;
        told(to.ask(order::IMPORT, &token))?;
        told(talk(&client, to))
    }

    fn half_open(&self, report: &mut Report) -> Tried {
        let (_, next) = self.begin()?;
        let outcome = next.export(&ExportOptions::default());
        let outcome = outcome.map_err(|(_, error)| Refusal::from(error));
        report.refused(
            "the export of a context that is not established",
            outcome,
            Major::NoContext,
        );
        Ok(())
    }

    /// After an export the exporter has nothing: no value, and no key in its memory.
    fn old_context(&self, report: &mut Report) -> Tried {
        let (exporter, importer) = (self.holder(true)?, self.holder(false)?);
        let look = |holder: &Holder| memory::pieces(holder.pid());
        // Another context first: after it, both have opened the store and have what is the same in every process.
        self.pass(&exporter, &importer)?;
        told(importer.ask(order::EXPORT, &[]))?;
        let usual = look(&exporter).and_then(|one| Ok((one, look(&importer)?)));

        let client = self.accept(&exporter)?;
        let before = look(&exporter);
        let token = told(exporter.ask(order::EXPORT, &[]))?;
        told(importer.ask(order::IMPORT, &token))?;
        told(talk(&client, &importer))?;

        let (from, to) = (exporter.pid(), importer.pid());
        let what = format!("process {from} wraps with the context that process {to} has now");
        report.refused(
            &what,
            exporter.ask(order::WRAP, b"still me?"),
            Major::NoContext,
        );
        report.say("           (in Rust, `export(self)` takes the context away: code that uses it afterwards does not compile)");
        let what = format!("process {from} takes it back by its own token");
        report.refused(&what, exporter.ask(order::IMPORT, &token), Major::NoContext);

        let looked = usual.and_then(|(of_exporter, of_importer)| {
            let mut keys = before?;
            let now = look(&importer)?;
            keys.retain(|piece| {
                now.contains(piece) && !of_exporter.contains(piece) && !of_importer.contains(piece)
            });
            let still_there = memory::count(to, &keys)?;
            Ok((keys.len(), still_there, memory::count(from, &keys)?))
        });
        let claim = format!("no key is left in the memory of process {from}");
        match looked {
            Ok((keys @ 1.., there, 0)) if there == keys => report.claim(
                &claim,
                Ok(format!(
                    "{keys} pieces of 16 random-looking bytes came with the context and are with process {to} now; process {from} has 0 of them"
                )),
            ),
            Ok((keys, there, left)) => report.claim(
                &claim,
                Err(format!("of {keys} pieces the importer has {there} and the exporter {left}")),
            ),
            Err(error) => report.say(format!("(the memory of process {from} cannot be looked at here: {error})")),
        }
        Ok(())
    }
}

fn finish(next: baton::Handshake, answer: &[u8]) -> Result<Context, String> {
    match next.step(answer) {
        Ok(Step::Done { context, .. }) => Ok(context),
        Ok(Step::Continue { .. }) => Err("the handshake does not end".to_owned()),
        Err(failure) => Err(failure.error.to_string()),
    }
}

fn told<T>(outcome: Result<T, Refusal>) -> Result<T, String> {
    outcome.map_err(|refusal| refusal.to_string())
}

pub(crate) fn export(context: Context, options: &ExportOptions) -> Result<Token, String> {
    context
        .export(options)
        .map_err(|(_, error)| error.to_string())
}

/// Both sides understand each other.
pub(crate) fn converse(client: &Context, server: &Context) -> Result<(), String> {
    for (from, to) in [(client, server), (server, client)] {
        let sealed = from
            .wrap(true, b"hello")
            .map_err(|error| error.to_string())?;
        let message = to.unwrap(&sealed).map_err(|error| error.to_string())?;
        if message.data != b"hello" || message.order != baton::Order::InOrder {
            return Err("the two sides do not understand each other".to_owned());
        }
    }
    Ok(())
}

/// The same, where the other side is a process.
fn talk(client: &Context, server: &Holder) -> Result<(), Refusal> {
    let sealed = client.wrap(true, b"hello")?;
    let heard = server.ask(order::UNWRAP, &sealed)?;
    let said = server.ask(order::WRAP, &heard)?;
    match client.unwrap(&said)?.data == b"hello" {
        true => Ok(()),
        false => Err(Refusal {
            status: "wrong".to_owned(),
            reason: "the two sides do not understand each other".to_owned(),
        }),
    }
}
