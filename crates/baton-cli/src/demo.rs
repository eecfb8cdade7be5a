//! `baton demo`: the main job in one command, and what must not work.

mod clients;
mod memory;
pub(crate) mod part;
mod processes;
mod refusals;
mod report;

use std::error::Error;
use std::ffi::OsString;
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use baton::realm::DevelopmentRealm;
use baton::{Config, Context, Credential, Environment, ExportOptions, Store};
use clap::Args;
use rustix::process::Signal;

use self::clients::{Clients, Conversation, Figures};
use self::processes::{Door, Echo, Leftovers, status, user_of};
use self::refusals::{Trials, converse, export};
use self::report::Report;
use crate::user::User;

const REALM: &str = "DEMO.TEST";
const USERS: [&str; 4] = ["alice", "bob", "carol", "dave"];
const WORKERS: usize = 4;
/// Conversations that go on while the others come and go.
const LONG: usize = 24;
/// How many hand-overs are shown one by one.
const SHOWN: usize = 8;
/// How often a context changes hands to see how long that takes.
const ROUNDS: u32 = 200;

/// Shows the main job in one command: a realm, a front door, four workers, a service, a few hundred clients
///
/// It needs nothing but this program, runs on loopback and leaves nothing behind. Then it tries what must not work, and shows how each attempt is
/// refused. The exit status is 0 if all was as it must be.
#[derive(Args, Clone, Debug)]
pub(crate) struct DemoArgs {
    /// How many client conversations
    #[arg(long, value_name = "N", default_value_t = 300, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    conversations: u32,
}

/// Shows it all.
pub(crate) fn run(args: &DemoArgs) -> Result<(), Box<dyn Error>> {
    let leftovers = Leftovers::watch()?;
    let shown = show(args, &leftovers);
    leftovers.stand_aside();
    shown
}

fn show(args: &DemoArgs, leftovers: &Leftovers) -> Result<(), Box<dyn Error>> {
    let begun = Instant::now();
    let mut report = Report::default();
    let places = Places::new(leftovers)?;
    let stage = Stage::set(leftovers, &places)?;
    stage.introduce(&report)?;

    report.title("Conversations");
    let mut long = (0..LONG)
        .map(|number| stage.clients.connect(number))
        .collect::<Result<Vec<_>, _>>()?;
    let figures = stage.clients.converse(args.conversations as usize)?;
    stage.show_conversations(&mut report, &mut long, &figures)?;
    stage.show_holders(&mut report, &long)?;
    let moved = stage.replace_workers(&mut report, &mut long)?;

    let trials = stage.trials(leftovers, &places);
    trials.run(&mut report)?;

    report.title("Figures");
    let transfer = measure(&stage.env, &trials)?;
    for line in figure_lines(&figures, moved, &transfer) {
        report.say(line);
    }
    for mut conversation in long {
        conversation.echo(100)?;
        conversation.finish()?;
    }
    report.title("The end");
    let ended = stage.door.end();
    report.claim("the front door ends when it is told to", ended);
    drop((stage.echo, stage.realm));
    drop(places);
    let (claims, broken) = report.verdict();
    let seconds = begun.elapsed().as_secs_f32();
    if broken > 0 {
        return Err(format!("{broken} of {claims} claims did not hold").into());
    }
    report::print(&format!("\nAll {claims} claims held, in {seconds:.1} s."));
    Ok(())
}

/// The directories of the demonstration, which end with it.
struct Places {
    files: tempfile::TempDir,
    store: tempfile::TempDir,
}

impl Places {
    fn new(leftovers: &Leftovers) -> Result<Self, Box<dyn Error>> {
        let make = |place: &Path| {
            let made = tempfile::Builder::new()
                .prefix("baton-demo-")
                .permissions(Permissions::from_mode(0o700))
                .tempdir_in(place)
                .map_err(|error| format!("{}: {error}", place.display()))?;
            leftovers.add_directory(made.path());
            Ok::<_, String>(made)
        };
        // One-time keys belong into memory, not on a disk.
        let shared = Path::new("/dev/shm");
        let temporary = std::env::temp_dir();
        Ok(Self {
            files: make(&temporary)?,
            store: make(if shared.is_dir() { shared } else { &temporary })?,
        })
    }
}

/// The realm, the processes, the clients.
struct Stage {
    env: Environment,
    realm: DevelopmentRealm,
    service: Credential,
    echo: Echo,
    door: Door,
    clients: Clients,
    other_user: Option<User>,
}

impl Stage {
    fn set(leftovers: &Leftovers, places: &Places) -> Result<Self, Box<dyn Error>> {
        let mut realm = DevelopmentRealm::builder(REALM)
            .service("host/localhost")
            .directory(places.files.path());
        for user in USERS {
            realm = realm.user(user, format!("the password of {user}"));
        }
        let realm = realm.start()?;
        let env = Environment::new(Config {
            store: Store::File {
                directory: Some(places.store.path().to_owned()),
            },
            ..realm.config()
        })?;
        let other_user = User::for_workers(None)?;
        let echo = Echo::start(leftovers, other_user.as_ref())?;
        let arguments = [
            "--keytab".into(),
            realm.keytab().into(),
            "--store".into(),
            places.store.path().into(),
            OsString::from(format!("--workers={WORKERS}")),
            format!("--forward={}", echo.address).into(),
        ];
        let door = Door::start(leftovers, realm.krb5_conf(), &arguments)?;
        let users = USERS.map(|user| Ok((user.to_owned(), realm.credential(&env, user)?)));
        let users = users
            .into_iter()
            .collect::<Result<Vec<_>, baton::Error>>()?;
        Ok(Self {
            service: realm.acceptor(&env)?,
            clients: Clients {
                env: env.clone(),
                users,
                door: door.address,
            },
            env,
            realm,
            echo,
            door,
            other_user,
        })
    }

    fn introduce(&self, report: &Report) -> Result<(), String> {
        let me = std::process::id();
        let (_, my_name) = user_of(me);
        report.title("On the stage");
        report.say(format!(
            "realm       {REALM} on {}, a KDC in memory (process {me}, user {my_name})",
            self.realm.address()
        ));
        report.say(format!(
            "clients     {} (process {me}, each with a ticket of its own)",
            USERS.join(", ")
        ));
        let row = |what: &str, pid: u32, rest: &str| {
            let (_, user) = user_of(pid);
            report.say(format!("{what:11} process {pid}, user {user}: {rest}"));
        };
        let door = &self.door;
        row(
            "front door",
            door.process.pid(),
            &format!(
                "listens on {}, holds the keytab, does the handshakes",
                door.address
            ),
        );
        for (name, pid) in self.workers(1)? {
            row(
                &format!("worker {name}"),
                pid,
                "carries conversations, sees no keytab",
            );
        }
        row(
            "service",
            self.echo.process.pid(),
            "says everything back, knows nothing of Kerberos",
        );
        Ok(())
    }

    /// The names and numbers of a generation's workers.
    fn workers(&self, generation: u32) -> Result<Vec<(String, u32)>, String> {
        let lines = self
            .door
            .wait_for(&format!(" worker {generation}."), WORKERS)?;
        let parsed = lines.iter().filter_map(|line| {
            let (_, rest) = line.split_once(" worker ")?;
            let (name, pid) = rest.split_once(" is process ")?;
            let of_generation = name.starts_with(&format!("{generation}."));
            of_generation.then(|| Some((name.to_owned(), pid.parse().ok()?)))?
        });
        Ok(parsed.collect())
    }

    /// Who had whose context, and when it changed hands.
    fn show_conversations(
        &self,
        report: &mut Report,
        long: &mut [Conversation],
        figures: &Figures,
    ) -> Result<(), String> {
        let count = figures.handshakes.len();
        let handed = self.door.wait_for(" is with worker ", count + LONG)?;
        report.say(format!(
            "Each context was established by process {} and changed hands, together with its socket, at the moment shown:",
            self.door.process.pid()
        ));
        // Odd, so that not each one shown is of the same user.
        let step = (handed.len() / SHOWN).max(1) | 1;
        for line in handed.iter().step_by(step).take(SHOWN) {
            report.say(hand_over(line).unwrap_or_else(|| line.clone()));
        }
        report.say(format!(
            "... and {} more",
            handed.len().saturating_sub(SHOWN)
        ));
        let shown = match handed.len() == count + LONG {
            true => Ok(format!(
                "{} messages, {} bytes, each back as it was sent, encrypted and in order",
                figures.counts.messages, figures.counts.bytes
            )),
            false => Err(format!("{} hand-overs", handed.len())),
        };
        report.claim(
            &format!("{count} conversations of {} users", USERS.len()),
            shown,
        );
        let echoed = long.iter_mut().try_for_each(|one| one.echo(1000));
        let shown = echoed.map(|()| "they stay open for what follows".to_owned());
        report.claim(
            &format!("{LONG} conversations more go on all the while"),
            shown,
        );
        Ok(())
    }

    /// Who can get at what.
    fn show_holders(&self, report: &mut Report, long: &[Conversation]) -> Result<(), String> {
        report.title("Who holds what");
        let workers = self.workers(1)?;
        for (name, pid) in &workers {
            let mut mine = 0;
            for conversation in long {
                let text = format!(":{} is with worker {name} ", conversation.port()?);
                mine += self.door.lines(&text).len();
            }
            report.say(format!("process {pid} (worker {name}): contexts and sockets of {mine} of the {LONG} conversations"));
        }
        let pids: Vec<u32> = workers.iter().map(|(_, pid)| *pid).collect();
        let shown = without_privileges(&pids);
        report.claim("workers cannot gain privileges", shown);
        match &self.other_user {
            Some(_) => report.claim(
                "workers cannot read the keytab",
                self.keytab_is_apart(&pids),
            ),
            None => report
                .say("(not started as root: workers are the same user, who could read the keytab)"),
        }
        Ok(())
    }

    fn keytab_is_apart(&self, workers: &[u32]) -> Result<String, String> {
        let keytab = fs::metadata(self.realm.keytab()).map_err(|error| error.to_string())?;
        let mode = keytab.mode() & 0o777;
        if mode != 0o600 {
            return Err(format!("its mode is {mode:o}"));
        }
        for worker in workers {
            match user_of(*worker) {
                (Some(user), _) if user != 0 && user != keytab.uid() => {}
                (_, name) => return Err(format!("process {worker} is user {name}")),
            }
            if open_files(*worker)?
                .iter()
                .any(|path| path.ends_with(".keytab"))
            {
                return Err(format!("process {worker} has it open"));
            }
        }
        let (_, name) = user_of(workers[0]);
        Ok(format!(
            "its mode is {mode:o}, they are user {name}, and none has it open"
        ))
    }

    /// New workers take the conversations over; gives how many contexts changed hands.
    fn replace_workers(
        &self,
        report: &mut Report,
        long: &mut [Conversation],
    ) -> Result<usize, String> {
        report.title("New workers take over (SIGHUP)");
        let begun = Instant::now();
        let told = self.door.process.signal(Signal::HUP);
        told.map_err(|error| error.to_string())?;
        let new = self.workers(2)?;
        let lines = self
            .door
            .wait_for(" conversations over and keeps ", WORKERS)?;
        let moved: usize = lines.iter().filter_map(|line| handed(line)).sum();
        let pids: Vec<String> = new.iter().map(|(_, pid)| pid.to_string()).collect();
        report.say(format!(
            "processes {} have taken over, in {}",
            pids.join(", "),
            shown(begun.elapsed())
        ));
        let echoed = long.iter_mut().try_for_each(|one| one.echo(1000));
        let shown = match (echoed, moved) {
            (Ok(()), LONG) => Ok("no client noticed".to_owned()),
            (Ok(()), moved) => Err(format!("{moved} were handed over")),
            (Err(error), _) => Err(error),
        };
        report.claim(
            &format!("all {LONG} open conversations changed hands again"),
            shown,
        );
        Ok(moved)
    }

    fn trials<'a>(&'a self, leftovers: &'a Leftovers, places: &'a Places) -> Trials<'a> {
        Trials {
            leftovers,
            env: &self.env,
            clients: &self.clients,
            service: &self.service,
            door: &self.door,
            store: places.store.path(),
            keytab: self.realm.keytab(),
            other_user: self.other_user.as_ref(),
        }
    }
}

/// `23:29:00.123456  alice@DEMO.TEST from 127.0.0.1:5 is with worker 1.0 (process 7)`, of a line of the log.
fn hand_over(line: &str) -> Option<String> {
    let (stamp, rest) = line.split_once("  INFO serve: ")?;
    let time = stamp.split_once('T')?.1.trim_end_matches('Z');
    let (who, process) = rest.split_once(" is with worker ")?;
    let (client, from) = who.split_once(" from ")?;
    Some(format!(
        "{time}  {client:17} from {from:15}  ->  worker {process}"
    ))
}

/// How many conversations a worker has handed over, of a line of the log.
fn handed(line: &str) -> Option<usize> {
    let (_, rest) = line.split_once(" has handed ")?;
    rest.split_once(' ')?.0.parse().ok()
}

fn without_privileges(workers: &[u32]) -> Result<String, String> {
    for worker in workers {
        if status(*worker, "NoNewPrivs").as_deref() != Some("1") {
            return Err(format!("process {worker} can"));
        }
    }
    Ok("no_new_privs is set in each".to_owned())
}

fn open_files(pid: u32) -> Result<Vec<PathBuf>, String> {
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).map_err(|error| error.to_string())?;
    let links = entries.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    Ok(links.collect())
}

/// What one context's way costs.
struct Transfer {
    token: usize,
    once: Duration,
}

fn measure(env: &Environment, trials: &Trials<'_>) -> Result<Transfer, String> {
    let (client, mut server) = trials.contexts()?;
    let mut length = 0;
    let begun = Instant::now();
    for _ in 0..ROUNDS {
        let token = export(server, &ExportOptions::default())?;
        length = token.as_ref().len();
        server = Context::import(env, &token).map_err(|error| error.to_string())?;
    }
    let once = begun.elapsed() / ROUNDS;
    converse(&client, &server)?;
    Ok(Transfer {
        token: length,
        once,
    })
}

fn figure_lines(figures: &Figures, moved: usize, transfer: &Transfer) -> Vec<String> {
    let count = figures.handshakes.len();
    let mut handshakes = figures.handshakes.clone();
    handshakes.sort_unstable();
    let median = handshakes.get(count / 2).copied().unwrap_or_default();
    let seconds = figures.took.as_secs_f64().max(1e-9);
    let rate = |what: usize| what as f64 / seconds;
    let megabytes = figures.counts.bytes as f64 / 1e6;
    let row = |what: &str, value: String| format!("{what:48} {value:>12}");
    vec![
        row("handshakes", (count + LONG).to_string()),
        row(
            "conversations a second, 8 clients at once",
            format!("{:.0}", rate(count)),
        ),
        row("handshake, median, seen by the client", shown(median)),
        row("contexts handed to workers", (count + LONG).to_string()),
        row("contexts handed on to new workers", moved.to_string()),
        row("messages", figures.counts.messages.to_string()),
        row("data, both ways", format!("{megabytes:.1} MB")),
        row("exported token", format!("{} bytes", transfer.token)),
        row(
            "export and import through the once-store",
            shown(transfer.once),
        ),
    ]
}

fn shown(duration: Duration) -> String {
    match duration.as_micros() {
        micros @ ..10_000 => format!("{micros} us"),
        micros => format!("{} ms", micros / 1000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_the_front_doors_log_are_understood() {
        let line = "2026-11-24T23:29:00.123456Z  INFO serve: alice@R from 127.0.0.1:5 is with worker 1.0 (process 7)";
        let text = hand_over(line).unwrap();
        assert!(text.starts_with("23:29:00.123456  alice@R "), "{text}");
        assert!(text.ends_with("->  worker 1.0 (process 7)"), "{text}");
        assert_eq!(hand_over("something else"), None);
        let line = "serve: worker 1.2 has handed 17 conversations over and keeps 0 until they end";
        assert_eq!(handed(line), Some(17));
    }

    #[test]
    fn short_times_are_shown_in_small_units() {
        assert_eq!(shown(Duration::from_micros(37)), "37 us");
        assert_eq!(shown(Duration::from_millis(250)), "250 ms");
    }
}
