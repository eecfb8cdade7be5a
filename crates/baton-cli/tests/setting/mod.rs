//! What the tests of the program share: a realm, a front door as a process, clients that speak the protocol by hand, services.
#![allow(dead_code, unreachable_pub, reason = "each test program uses its part")]

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use baton::realm::DevelopmentRealm;
use baton::{Context, Credential, Environment, Flags, Initiator, Name, Step};
use rustix::process::{Pid, Signal, kill_process};

pub const PATIENCE: Duration = Duration::from_secs(30);
pub const FLAGS: [Flags; 5] = [
    Flags::MUTUAL,
    Flags::SEQUENCE,
    Flags::REPLAY,
    Flags::CONF,
    Flags::INTEG,
];

/// The flags that `baton connect` asks for.
pub fn all_flags() -> Flags {
    FLAGS.into_iter().fold(Flags::NONE, |all, flag| all | flag)
}

/// A realm with a user, a service, and someone else.
pub struct Setting {
    pub realm: DevelopmentRealm,
    pub env: Environment,
    pub alice: Credential,
    pub mallory: Credential,
    pub directory: tempfile::TempDir,
}

pub fn setting() -> Setting {
    let realm = DevelopmentRealm::builder("EXAMPLE.TEST")
        .user("alice", "secret")
        .user("mallory", "secret")
        .service("HTTP/localhost")
        .start()
        .unwrap();
    let env = realm.environment().unwrap();
    Setting {
        alice: realm.credential(&env, "alice").unwrap(),
        mallory: realm.credential(&env, "mallory").unwrap(),
        env,
        realm,
        directory: tempfile::tempdir().unwrap(),
    }
}

/// `baton serve`, and what it logs.
pub struct Door {
    child: Child,
    pub address: SocketAddr,
    log: Arc<Mutex<Vec<String>>>,
}

impl Setting {
    /// Starts `baton serve` with these arguments beside address and keytab.
    pub fn serve<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Door {
        let mut command = Command::new(env!("CARGO_BIN_EXE_baton"));
        command.args(["serve", "--listen", "127.0.0.1:0", "--keytab"]);
        command.arg(self.realm.keytab()).args(arguments);
        self.start(command)
    }

    /// Starts a command that becomes `baton serve`.
    pub fn start(&self, mut command: Command) -> Door {
        let mut child = command
            .env_remove("RUST_LOG")
            .env("KRB5_CONFIG", self.realm.krb5_conf())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = Arc::new(Mutex::new(Vec::new()));
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let written = Arc::clone(&log);
        thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                written.lock().unwrap().push(line);
            }
        });
        let mut door = Door {
            child,
            address: "127.0.0.1:0".parse().unwrap(),
            log,
        };
        let line = door.wait_for("listening on ");
        door.address = after(&line, "listening on ").parse().unwrap();
        door
    }

    pub fn connect(&self, door: &Door) -> Client {
        self.try_connect(door, &self.alice, all_flags()).unwrap()
    }

    /// A client after its handshake; why not, if it was not let in.
    pub fn try_connect(
        &self,
        door: &Door,
        who: &Credential,
        flags: Flags,
    ) -> Result<Client, String> {
        let mut socket = TcpStream::connect(door.address).map_err(|error| error.to_string())?;
        socket.set_nodelay(true).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let name = Name::hostbased_service("HTTP@localhost");
        let mut step = Initiator::new(&self.env, who, &name)
            .flags(flags)
            .start()
            .unwrap();
        loop {
            match step {
                Step::Continue { token, next } => {
                    socket
                        .write_all(&frame(&token))
                        .map_err(|error| error.to_string())?;
                    let answer = read_frame(&mut socket)?.ok_or("closed")?;
                    step = next
                        .step(&answer)
                        .map_err(|failure| failure.error.to_string())?;
                }
                Step::Done { token, context } => {
                    if let Some(token) = token {
                        socket
                            .write_all(&frame(&token))
                            .map_err(|error| error.to_string())?;
                    }
                    return Ok(Client { socket, context });
                }
            }
        }
    }

    /// The first token of a handshake.
    pub fn first_token(&self) -> Vec<u8> {
        let name = Name::hostbased_service("HTTP@localhost");
        match Initiator::new(&self.env, &self.alice, &name)
            .flags(all_flags())
            .start()
            .unwrap()
        {
            Step::Continue { token, .. } => token,
            Step::Done { .. } => panic!("mutual authentication has an answer"),
        }
    }
}

impl Door {
    pub fn lines(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }

    /// The first line with `text`, once there is one.
    pub fn wait_for(&self, text: &str) -> String {
        self.wait_for_count(text, 1).remove(0)
    }

    /// All lines with `text`, once there are `count`.
    pub fn wait_for_count(&self, text: &str, count: usize) -> Vec<String> {
        let found = wait_until(|| {
            let lines = self.lines().into_iter().filter(|line| line.contains(text));
            Some(lines.collect::<Vec<_>>()).filter(|lines| lines.len() >= count)
        });
        found.unwrap_or_else(|| panic!("no {count} lines with {text:?} in {:#?}", self.lines()))
    }

    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// The processes of a generation of workers.
    pub fn workers(&self, generation: u32) -> Vec<Pid> {
        let prefix = format!(" worker {generation}.");
        let lines = self.lines();
        let of = |line: &String| {
            line.contains(&prefix)
                .then(|| line.split(" is process ").nth(1)?.parse().ok())?
        };
        lines
            .iter()
            .filter_map(of)
            .filter_map(Pid::from_raw)
            .collect()
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    /// Waits for the program's end; its status.
    pub fn wait(&mut self) -> Option<i32> {
        let status = wait_until(|| self.child.try_wait().unwrap());
        status
            .unwrap_or_else(|| panic!("it goes on: {:#?}", self.log))
            .code()
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        // Twice: conversations that a test left open are not waited for.
        for _ in 0..2 {
            // Its number is its own until it has been waited for.
            if matches!(self.child.try_wait(), Ok(None)) {
                let _ = kill_process(self.pid(), Signal::TERM);
                thread::sleep(Duration::from_millis(100));
            }
        }
        if wait_until(|| self.child.try_wait().ok()?).is_none() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        if thread::panicking() {
            eprintln!("the door's log: {:#?}", self.lines());
        }
    }
}

/// What `ask` gives, as soon as it gives anything.
pub fn wait_until<T>(mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = ask() {
            return Some(found);
        }
        if Instant::now() > deadline {
            return None;
        }
        thread::sleep(Duration::from_millis(10));
    }
}

fn after<'a>(line: &'a str, text: &str) -> &'a str {
    line.split(text)
        .nth(1)
        .unwrap()
        .split_whitespace()
        .next()
        .unwrap()
}

/// A client whose context is established.
pub struct Client {
    pub socket: TcpStream,
    pub context: Context,
}

impl Client {
    pub fn send(&mut self, message: &[u8]) {
        self.try_send(message).unwrap();
    }

    pub fn try_send(&mut self, message: &[u8]) -> std::io::Result<()> {
        let token = self.context.wrap(true, message).unwrap();
        self.socket.write_all(&frame(&token))
    }

    /// The next message; none at the end.
    pub fn receive(&mut self) -> Option<Vec<u8>> {
        self.try_receive().unwrap()
    }

    pub fn try_receive(&mut self) -> Result<Option<Vec<u8>>, String> {
        match read_frame(&mut self.socket)? {
            None => Ok(None),
            Some(token) => {
                let message = self
                    .context
                    .unwrap(&token)
                    .map_err(|error| error.to_string())?;
                assert_eq!(message.order, baton::Order::InOrder);
                assert!(message.confidential);
                Ok(Some(message.data))
            }
        }
    }

    pub fn receive_exactly(&mut self, length: usize) -> Vec<u8> {
        let mut out = Vec::new();
        while out.len() < length {
            out.extend(self.receive().expect("more data"));
        }
        assert_eq!(out.len(), length);
        out
    }

    pub fn receive_all(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        while let Some(message) = self.receive() {
            out.extend(message);
        }
        out
    }

    pub fn finish(&self) {
        self.socket.shutdown(Shutdown::Write).unwrap();
    }

    /// Sends, and has it back.
    pub fn echo(&mut self, message: &[u8]) {
        self.send(message);
        assert_eq!(self.receive_exactly(message.len()), message);
    }

    /// Whether the other side has broken it off.
    pub fn is_broken_off(&mut self) -> bool {
        matches!(self.try_receive(), Ok(None) | Err(_))
    }
}

pub fn frame(token: &[u8]) -> Vec<u8> {
    [&(token.len() as u32).to_be_bytes()[..], token].concat()
}

pub fn read_frame(from: &mut impl Read) -> Result<Option<Vec<u8>>, String> {
    let mut length = [0; 4];
    match from.read(&mut length) {
        Ok(0) => return Ok(None),
        Ok(count) => from.read_exact(&mut length[count..]),
        Err(error) => Err(error),
    }
    .map_err(|error| error.to_string())?;
    let mut token = vec![0; u32::from_be_bytes(length) as usize];
    from.read_exact(&mut token)
        .map_err(|error| error.to_string())?;
    Ok(Some(token))
}

/// Bytes that differ everywhere.
pub fn pattern(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    let mut out = Vec::with_capacity(length + 8);
    while out.len() < length {
        out.extend(next());
    }
    out.truncate(length);
    out
}

fn echo(mut from: impl Read, mut to: impl Write, end: impl FnOnce()) {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => {
                if to.write_all(&buffer[..count]).is_err() {
                    break;
                }
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
    end();
}

/// A TCP service that says everything back, and ends when its client does.
pub fn echo_service() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            thread::spawn(move || {
                let other = stream.try_clone().unwrap();
                echo(&stream, other, || drop(stream.shutdown(Shutdown::Write)));
            });
        }
    });
    address
}

/// The same at a Unix socket that anybody can reach.
pub fn unix_echo_service(path: &Path) {
    let listener = UnixListener::bind(path).unwrap();
    open_to_all(path);
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            thread::spawn(move || {
                let other = stream.try_clone().unwrap();
                echo(&stream, other, || drop(stream.shutdown(Shutdown::Write)));
            });
        }
    });
}

/// The workers' user has to get there.
pub fn open_to_all(path: &Path) {
    use std::fs::{Permissions, set_permissions};
    use std::os::unix::fs::PermissionsExt;
    set_permissions(path, Permissions::from_mode(0o777)).unwrap();
    if let Some(parent) = path.parent() {
        set_permissions(parent, Permissions::from_mode(0o755)).unwrap();
    }
}

/// A service that takes whatever comes and keeps it, and says nothing.
pub fn silent_service() -> (SocketAddr, Arc<Mutex<Vec<TcpStream>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let kept = Arc::new(Mutex::new(Vec::new()));
    let keep = Arc::clone(&kept);
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            keep.lock().unwrap().push(stream);
        }
    });
    (address, kept)
}
