//! `baton serve` in front of an echo service, client, service and program on this one host.

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use baton::realm::DevelopmentRealm;
use baton::{Context, Credential, Environment, Initiator, Name, Step};
use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, setrlimit};

use crate::sides::FLAGS;

const MESSAGE: usize = 64 * 1024;
const PATIENCE: Duration = Duration::from_secs(60);

/// What was measured: handshakes, throughput, memory.
pub(crate) fn figures(idle: usize) -> Vec<(String, String)> {
    let Some(program) = program() else {
        let hint = "`cargo build --release` first".to_owned();
        return vec![("not measured: there is no program".to_owned(), hint)];
    };
    let idle = raise_descriptor_limit(idle);
    let setting = Setting::new();
    let mut figures = Vec::new();
    {
        let door = setting.serve(&program, &echo_service());
        figures.push(setting.handshakes(&door));
        figures.push(setting.throughput(&door));
    }
    let (service, kept) = silent_service();
    let door = setting.serve(&program, &service);
    figures.extend(setting.memory(&door, idle, &kept));
    figures
}

/// The program beside this one.
fn program() -> Option<PathBuf> {
    let path = std::env::current_exe().ok()?.with_file_name("baton");
    path.exists().then_some(path)
}

/// How many conversations there can be: each takes two descriptors here, and two in the worker.
fn raise_descriptor_limit(wanted: usize) -> usize {
    const REST: u64 = 100;
    let limit = |maximum| Rlimit {
        current: Some(maximum),
        maximum: Some(maximum),
    };
    let needed = 2 * wanted as u64 + REST;
    let allowed = getrlimit(Resource::Nofile).maximum.unwrap_or(needed);
    if setrlimit(Resource::Nofile, limit(needed.max(allowed))).is_ok() {
        return wanted;
    }
    setrlimit(Resource::Nofile, limit(allowed)).expect("the limit that is allowed");
    wanted.min(((allowed - REST) / 2) as usize)
}

struct Setting {
    realm: DevelopmentRealm,
    env: Environment,
    alice: Credential,
}

/// `baton serve` with one worker.
struct Door {
    child: Child,
    address: SocketAddr,
    worker: Pid,
}

struct Client {
    socket: TcpStream,
    context: Context,
}

impl Setting {
    fn new() -> Self {
        let realm = DevelopmentRealm::builder("EXAMPLE.TEST")
            .user("alice", "secret")
            .service("HTTP/localhost")
            .start()
            .expect("a realm");
        let env = realm.environment().expect("an environment");
        let alice = realm.credential(&env, "alice").expect("a ticket");
        Self { realm, env, alice }
    }

    fn serve(&self, program: &PathBuf, service: &SocketAddr) -> Door {
        let mut child = Command::new(program)
            .args([
                "serve",
                "--listen",
                "127.0.0.1:0",
                "--workers",
                "1",
                "--keytab",
            ])
            .arg(self.realm.keytab())
            .arg(format!("--forward={service}"))
            .env_remove("RUST_LOG")
            .env("KRB5_CONFIG", self.realm.krb5_conf())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let mut lines = BufReader::new(child.stderr.take().expect("piped")).lines();
        let (mut address, mut worker) = (None, None);
        while address.is_none() || worker.is_none() {
            let line = lines.next().expect("the program goes on").expect("text");
            let after = |text: &str| {
                line.split(text)
                    .nth(1)?
                    .split_whitespace()
                    .next()
                    .map(str::to_owned)
            };
            address = address.or_else(|| after("listening on ")?.parse().ok());
            worker = worker.or_else(|| Pid::from_raw(after(" is process ")?.parse().ok()?));
        }
        thread::spawn(move || lines.for_each(drop));
        Door {
            child,
            address: address.expect("seen above"),
            worker: worker.expect("seen above"),
        }
    }

    fn connect(&self, door: &Door) -> Client {
        let mut socket = TcpStream::connect(door.address).expect("a connection");
        socket.set_nodelay(true).expect("no delay");
        socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let name = Name::hostbased_service("HTTP@localhost");
        let begun = Initiator::new(&self.env, &self.alice, &name)
            .flags(FLAGS)
            .start();
        let Step::Continue { token, next } = begun.expect("a first token") else {
            panic!("mutual authentication has an answer");
        };
        send(&mut socket, &token).expect("sent");
        match next
            .step(&receive(&mut socket).expect("an answer"))
            .expect("established")
        {
            Step::Done { context, .. } => Client { socket, context },
            Step::Continue { .. } => panic!("two steps are enough"),
        }
    }

    /// Two clients, one after the other's handshake each; connection, handshake, hand-over, one echo, end.
    fn handshakes(&self, door: &Door) -> (String, String) {
        const CLIENTS: usize = 2;
        const EACH: usize = 1000;
        let start = Instant::now();
        thread::scope(|scope| {
            for _ in 0..CLIENTS {
                scope.spawn(|| {
                    for _ in 0..EACH {
                        let mut client = self.connect(door);
                        client.send(b"x");
                        assert_eq!(client.receive(), b"x");
                    }
                });
            }
        });
        let each_second = (CLIENTS * EACH) as f64 / start.elapsed().as_secs_f64();
        (
            "conversations a second (connection, handshake, hand-over, one echo, end), two clients"
                .to_owned(),
            format!("{each_second:.0}"),
        )
    }

    /// One conversation: sent, echoed and received at once.
    fn throughput(&self, door: &Door) -> (String, String) {
        const BYTES: usize = 256 << 20;
        let Client { socket, context } = self.connect(door);
        let mut writer = socket.try_clone().expect("a second handle");
        let mut reader = socket;
        let start = Instant::now();
        thread::scope(|scope| {
            scope.spawn(|| {
                let message = vec![7; MESSAGE];
                for _ in 0..BYTES / MESSAGE {
                    let token = context.wrap(true, &message).expect("wrapped");
                    send(&mut writer, &token).expect("sent");
                }
                writer.shutdown(Shutdown::Write).expect("half-closed");
            });
            let mut received = 0;
            while received < BYTES {
                let token = receive(&mut reader).expect("an echo");
                received += context.unwrap(&token).expect("unwrapped").data.len();
            }
            assert_eq!(received, BYTES);
        });
        let rate = BYTES as f64 / start.elapsed().as_secs_f64() / 1e6;
        (
            "MB a second through one conversation, to an echo service and back".to_owned(),
            format!("{rate:.0} in each direction at once"),
        )
    }

    /// Connections that have said something and then say nothing.
    fn memory(
        &self,
        door: &Door,
        count: usize,
        kept: &Mutex<Vec<TcpStream>>,
    ) -> Vec<(String, String)> {
        let before = resident(door.worker);
        let start = Instant::now();
        let clients: Vec<Client> = (0..count)
            .map(|_| {
                let mut client = self.connect(door);
                client.send(&[7; 20_000]);
                client
            })
            .collect();
        while kept.lock().expect("whole").len() < count {
            assert!(
                start.elapsed() < 5 * PATIENCE,
                "the service got {}",
                kept.lock().expect("whole").len()
            );
            thread::sleep(Duration::from_millis(10));
        }
        for stream in kept.lock().expect("whole").iter_mut() {
            stream
                .read_exact(&mut [0; 20_000])
                .expect("what the client said");
        }
        let after = resident(door.worker);
        drop(clients);
        vec![(
            format!(
                "memory of a worker with {count} idle conversations (floor: below 200 MB with 10000)"
            ),
            format!(
                "{:.0} MB; {:.0} MB without any",
                after as f64 / 1e6,
                before as f64 / 1e6
            ),
        )]
    }
}

impl Client {
    fn send(&mut self, message: &[u8]) {
        let token = self.context.wrap(true, message).expect("wrapped");
        send(&mut self.socket, &token).expect("sent");
    }

    fn receive(&mut self) -> Vec<u8> {
        let token = receive(&mut self.socket).expect("a frame");
        self.context.unwrap(&token).expect("unwrapped").data
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        // Twice: it does not wait for conversations then.
        for _ in 0..2 {
            let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
            thread::sleep(Duration::from_millis(100));
        }
        let _ = self.child.wait();
    }
}

fn send(socket: &mut TcpStream, token: &[u8]) -> io::Result<()> {
    let mut frame = (token.len() as u32).to_be_bytes().to_vec();
    frame.extend_from_slice(token);
    socket.write_all(&frame)
}

fn receive(socket: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    socket.read_exact(&mut length)?;
    let mut token = vec![0; u32::from_be_bytes(length) as usize];
    socket.read_exact(&mut token)?;
    Ok(token)
}

/// Sends back whatever comes.
fn echo_service() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("its address");
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || {
                let mut back = stream.try_clone()?;
                io::copy(&mut { stream }, &mut back)?;
                back.shutdown(Shutdown::Write)
            });
        }
    });
    address
}

/// Keeps every connection and says nothing.
fn silent_service() -> (SocketAddr, Arc<Mutex<Vec<TcpStream>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("its address");
    let kept: Arc<Mutex<Vec<TcpStream>>> = Arc::default();
    let keep = Arc::clone(&kept);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            keep.lock().expect("whole").push(stream);
        }
    });
    (address, kept)
}

/// What a process has in memory, in bytes.
fn resident(process: Pid) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).expect("the worker lives");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes: u64 = line
        .and_then(|line| line.trim().trim_end_matches(" kB").parse().ok())
        .expect("kilobytes");
    kilobytes * 1024
}
