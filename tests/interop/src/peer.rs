//! A GSS-API party of another implementation: `peers/gss_peer.c`, with the commands of `peers/messages_peer.c`, over its
//! library, one command a line.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use crate::Vendor;
use crate::realm::Realm;

/// `GSS_S_COMPLETE`.
pub const COMPLETE: u32 = 0;
/// `GSS_S_DUPLICATE_TOKEN`.
pub const DUPLICATE_TOKEN: u32 = 1 << 1;
/// `GSS_S_OLD_TOKEN`.
pub const OLD_TOKEN: u32 = 1 << 2;
/// `GSS_S_UNSEQ_TOKEN`.
pub const UNSEQ_TOKEN: u32 = 1 << 3;
/// `GSS_S_GAP_TOKEN`.
pub const GAP_TOKEN: u32 = 1 << 4;
/// `GSS_S_BAD_SIG`.
pub const BAD_SIG: u32 = 6 << 16;
/// `GSS_S_DEFECTIVE_TOKEN`.
pub const DEFECTIVE_TOKEN: u32 = 9 << 16;
/// `GSS_S_UNAVAILABLE`.
pub const UNAVAILABLE: u32 = 16 << 16;
/// `GSS_S_BAD_BINDINGS`.
pub const BAD_BINDINGS: u32 = 4 << 16;

/// What a step of a handshake gave.
#[derive(Debug)]
pub enum Stepped {
    /// The context is established; the token, if any, goes to the other side.
    Done(Vec<u8>),
    /// The other side's answer is awaited.
    Continue(Vec<u8>),
    /// The handshake failed; an error token may go to the other side.
    Failed {
        /// The major status.
        major: u32,
        /// The minor status.
        minor: u32,
        /// The error token, or nothing.
        token: Vec<u8>,
        /// What `gss_display_status` says.
        text: String,
    },
}

impl Stepped {
    /// The token of a step that did not fail.
    pub fn token(self) -> Vec<u8> {
        match self {
            Self::Done(token) | Self::Continue(token) => token,
            Self::Failed {
                major, minor, text, ..
            } => panic!("the peer failed: {major:#x}/{minor}: {text}"),
        }
    }
}

/// What `gss_inquire_context` says.
#[derive(Debug)]
pub struct Inquired {
    /// `GSS_C_*_FLAG` bits.
    pub flags: u32,
    /// Seconds left.
    pub lifetime: u32,
    /// The initiator's displayed name.
    pub source: String,
    /// The acceptor's displayed name.
    pub target: String,
}

/// `gss_krb5_lucid_context_v1_t`.
#[derive(Debug, PartialEq, Eq)]
pub struct LucidForm {
    /// Whether the peer initiated the context.
    pub initiate: bool,
    /// When it ends, in seconds.
    pub endtime: u64,
    /// The next number that the peer sends.
    pub send_seq: u64,
    /// The number that it awaited at first, or awaits next.
    pub recv_seq: u64,
    /// 0 for the tokens of RFC 1964, 1 for those of RFC 4121.
    pub protocol: u64,
    /// `SGN_ALG` and `SEAL_ALG` of the former.
    pub algorithms: (u64, u64),
    /// An enctype and a key: the context's own, or that of its initiator.
    pub ctx_key: (u64, Vec<u8>),
    /// That of the acceptor, where it asserted one and the tokens are those of RFC 4121.
    pub acceptor_subkey: Option<(u64, Vec<u8>)>,
}

/// A running peer; it ends with this value.
pub struct Peer {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Peer {
    /// Starts `vendor`'s party in `realm` with the credential cache `ccache`.
    pub fn start(vendor: Vendor, realm: &Realm, ccache: &str) -> Self {
        Self::start_with(realm.command(program(vendor), ccache))
    }

    /// The same, where just these enctypes are permitted.
    pub fn start_permitting(
        vendor: Vendor,
        realm: &Realm,
        ccache: &str,
        enctypes: &[&str],
    ) -> Self {
        let mut command = realm.command(program(vendor), ccache);
        command.env("KRB5_CONFIG", realm.config_permitting(enctypes));
        Self::start_with(command)
    }

    /// Starts the party that `command` (see [`program`]) describes.
    pub fn start_with(mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the peer starts");
        let input = child.stdin.take().expect("piped");
        let output = BufReader::new(child.stdout.take().expect("piped"));
        Self {
            child,
            input,
            output,
        }
    }

    /// Begins as the initiator toward the host-based service `target`, such as `e18@localhost`.
    pub fn initiate(&mut self, target: &str, flags: u32, bindings: Option<&[u8]>) {
        let answer = self.ask(&format!(
            "initiate {target} {flags} {}",
            hex(bindings.unwrap_or_default())
        ));
        assert_eq!(number(&answer, 1), COMPLETE, "gss_import_name");
    }

    /// Begins as the acceptor, with every key of the keytab.
    pub fn accept(&mut self, bindings: Option<&[u8]>) {
        self.ask(&format!("accept {}", hex(bindings.unwrap_or_default())));
    }

    /// Acquires the default acceptor credential once, instead of anew at each accept.
    pub fn acquire(&mut self) {
        let answer = self.ask("acquire");
        assert_eq!(number(&answer, 1), COMPLETE, "gss_acquire_cred");
    }

    /// Initiates with the mechanism whose OID has these bytes.
    pub fn mechanism(&mut self, oid: &[u8]) {
        self.ask(&format!("mechanism {}", hex(oid)));
    }

    /// `gss_set_neg_mechs` on a credential for SPNEGO, of one mechanism or two: the major status.
    pub fn neg_mechs(&mut self, accepts: bool, mechanisms: &[&[u8]]) -> u32 {
        let usage = if accepts { "accept" } else { "initiate" };
        let mechanisms: Vec<String> = mechanisms.iter().map(|oid| hex(oid)).collect();
        let answer = self.ask(&format!("neg {usage} {}", mechanisms.join(" ")));
        number(&answer, 1)
    }

    /// One call of `gss_init_sec_context` or `gss_accept_sec_context`.
    pub fn step(&mut self, token: &[u8]) -> Stepped {
        let answer = self.ask(&format!("step {}", hex(token)));
        let token = unhex(&answer[3]);
        match answer[0].as_str() {
            "ok" => Stepped::Done(token),
            "continue" => Stepped::Continue(token),
            _ => Stepped::Failed {
                major: number(&answer, 1),
                minor: number(&answer, 2),
                token,
                text: answer[4..].join(" "),
            },
        }
    }

    /// `gss_wrap`.
    pub fn wrap(&mut self, conf: bool, message: &[u8]) -> Vec<u8> {
        let answer = self.ask(&format!("wrap {} {}", u8::from(conf), hex(message)));
        assert_eq!(
            (number(&answer, 1), number(&answer, 2)),
            (COMPLETE, u32::from(conf)),
            "gss_wrap"
        );
        unhex(&answer[3])
    }

    /// `gss_unwrap`: major status, whether it was confidential, message.
    pub fn unwrap(&mut self, token: &[u8]) -> (u32, bool, Vec<u8>) {
        let answer = self.ask(&format!("unwrap {}", hex(token)));
        (
            number(&answer, 1),
            number(&answer, 2) != 0,
            unhex(&answer[3]),
        )
    }

    /// `gss_get_mic`.
    pub fn mic(&mut self, message: &[u8]) -> Vec<u8> {
        let answer = self.ask(&format!("mic {}", hex(message)));
        assert_eq!(number(&answer, 1), COMPLETE, "gss_get_mic");
        unhex(&answer[2])
    }

    /// `gss_verify_mic`: the major status.
    pub fn verify(&mut self, message: &[u8], token: &[u8]) -> u32 {
        let answer = self.ask(&format!("verify {} {}", hex(message), hex(token)));
        number(&answer, 1)
    }

    /// `gss_wrap_size_limit`.
    pub fn limit(&mut self, conf: bool, size: u32) -> u32 {
        let answer = self.ask(&format!("limit {} {size}", u8::from(conf)));
        assert_eq!(number(&answer, 1), COMPLETE, "gss_wrap_size_limit");
        number(&answer, 2)
    }

    /// `gss_inquire_context`.
    pub fn inquire(&mut self) -> Inquired {
        let answer = self.ask("inquire");
        assert_eq!(number(&answer, 1), COMPLETE, "gss_inquire_context");
        Inquired {
            flags: number(&answer, 2),
            lifetime: number(&answer, 3),
            source: answer[4].clone(),
            target: answer[5].clone(),
        }
    }

    /// `gss_pseudo_random`, with the partial key if `partial`: major status and output.
    pub fn prf(&mut self, partial: bool, length: usize, input: &[u8]) -> (u32, Vec<u8>) {
        let partial = u8::from(partial);
        let answer = self.ask(&format!("prf {partial} {length} {}", hex(input)));
        (number(&answer, 1), unhex(&answer[2]))
    }

    /// `gss_inquire_sec_context_by_oid` with the OID of these bytes: major status and buffers.
    pub fn inquire_by_oid(&mut self, oid: &[u8]) -> (u32, Vec<Vec<u8>>) {
        let answer = self.ask(&format!("oid {}", hex(oid)));
        let buffers = answer[2..].iter().map(|word| unhex(word)).collect();
        (number(&answer, 1), buffers)
    }

    /// `GSS_C_INQ_SSPI_SESSION_KEY`: the key that protects the context's messages, and its enctype, which Heimdal's library does
    /// not tell.
    pub fn session_key(&mut self) -> (Vec<u8>, Option<i32>) {
        /// 1.2.840.113554.1.2.2, under which the OID and what it answers are.
        const KRB5: [u8; 9] = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x12, 1, 2, 2];
        let (major, found) = self.inquire_by_oid(&[&KRB5[..], &[5, 5]].concat());
        assert_eq!(major, COMPLETE, "gss_inquire_sec_context_by_oid");
        let enctype = found.get(1).and_then(|oid| match oid.strip_prefix(&KRB5) {
            Some([4, number]) => Some(i32::from(*number)),
            _ => None,
        });
        (found[0].clone(), enctype)
    }

    /// `gss_krb5_export_lucid_sec_context`, which ends the context: the numbers of its structure, of version 1.
    pub fn lucid(&mut self) -> LucidForm {
        let answer = self.ask("lucid");
        let at = |index: usize| answer[index].parse().expect("a number");
        assert_eq!((at(1), at(2)), (0, 1), "gss_krb5_export_lucid_sec_context");
        LucidForm {
            initiate: at(3) != 0,
            endtime: at(4),
            send_seq: at(5),
            recv_seq: at(6),
            protocol: at(7),
            algorithms: (at(8), at(9)),
            ctx_key: (at(10), unhex(&answer[11])),
            acceptor_subkey: (at(12) != 0).then(|| (at(12), unhex(&answer[13]))),
        }
    }

    /// `gss_process_context_token`: the major status.
    pub fn process(&mut self, token: &[u8]) -> u32 {
        number(&self.ask(&format!("process {}", hex(token))), 1)
    }

    /// Whose credential the acceptor was given, if it was given one.
    pub fn delegated(&mut self) -> Option<String> {
        let answer = self.ask("delegated");
        (number(&answer, 1) == COMPLETE).then(|| answer[2].clone())
    }

    /// From here on it initiates with what it was given.
    pub fn use_delegated(&mut self) {
        assert_eq!(number(&self.ask("use-delegated"), 1), COMPLETE);
    }

    /// One of the peer's own loops (`bench ...`, `bench-contexts ...`): the time it took. `lines` follow the command.
    pub fn bench(&mut self, command: &str, lines: &[String]) -> Duration {
        writeln!(self.input, "{command}").expect("the peer reads");
        for line in lines {
            writeln!(self.input, "{line}").expect("the peer reads");
        }
        let answer = self.answer(command);
        assert_eq!(answer[0], "ok", "{command}: {answer:?}");
        Duration::from_nanos(answer[1].parse().expect("nanoseconds"))
    }

    /// One of the calls over several buffers, such as `wrap-iov 1`: major status, whether it was confidential, and the buffers
    /// as it left them. A buffer's kind is a letter of `peers/messages_peer.c`.
    pub fn buffers(
        &mut self,
        command: &str,
        buffers: &[(char, &[u8])],
    ) -> (u32, bool, Vec<Vec<u8>>) {
        let mut line = command.to_owned();
        for (kind, bytes) in buffers {
            line.push(' ');
            line.push(*kind);
            if !bytes.is_empty() {
                line.push(':');
                line.push_str(&hex(bytes));
            }
        }
        let answer = self.ask(&line);
        (
            number(&answer, 1),
            number(&answer, 2) != 0,
            answer[3..].iter().map(|text| unhex(text)).collect(),
        )
    }

    /// `gss_wrap_aead`: major status and token.
    pub fn wrap_aead(&mut self, conf: bool, associated: &[u8], message: &[u8]) -> (u32, Vec<u8>) {
        let (associated, message) = (hex(associated), hex(message));
        let answer = self.ask(&format!(
            "wrap-aead {} {associated} {message}",
            u8::from(conf)
        ));
        (number(&answer, 1), unhex(&answer[3]))
    }

    /// `gss_unwrap_aead`: major status and message.
    pub fn unwrap_aead(&mut self, associated: &[u8], token: &[u8]) -> (u32, Vec<u8>) {
        let answer = self.ask(&format!("unwrap-aead {} {}", hex(associated), hex(token)));
        (number(&answer, 1), unhex(&answer[3]))
    }

    /// A command that another file than `peers/gss_peer.c` has: the words of the answer.
    pub fn call(&mut self, command: &str) -> Vec<String> {
        self.ask(command)
    }

    fn ask(&mut self, command: &str) -> Vec<String> {
        writeln!(self.input, "{command}").expect("the peer reads");
        self.answer(command)
    }

    fn answer(&mut self, command: &str) -> Vec<String> {
        self.input.flush().expect("the peer reads");
        let mut line = String::new();
        self.output.read_line(&mut line).expect("the peer answers");
        let what: String = command.chars().take(60).collect();
        assert!(!line.is_empty(), "the peer ended at `{what}`");
        line.split_whitespace().map(str::to_owned).collect()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The peer's program over `vendor`'s library, compiled once a test process.
pub fn program(vendor: Vendor) -> OsString {
    static MIT: OnceLock<PathBuf> = OnceLock::new();
    static HEIMDAL: OnceLock<PathBuf> = OnceLock::new();
    let (cell, package, name) = match vendor {
        Vendor::Mit => (&MIT, "mit-krb5-gssapi", "gss_peer_mit"),
        Vendor::Heimdal => (&HEIMDAL, "heimdal-gssapi", "gss_peer_heimdal"),
    };
    cell.get_or_init(|| compile("messages_peer.c", package, name))
        .clone()
        .into_os_string()
}

/// Compiles `peers/SOURCE` against `package`, or several that spaces part; the program's path.
///
/// Under a name of this process at first, and then renamed, because test processes run side by side.
pub fn compile(source: &str, package: &str, name: &str) -> PathBuf {
    compile_with(source, package, name, None, &[])
}

/// The same with `more` options of the compiler's, and against what the files in `packages` tell of `package`, if there are any.
pub fn compile_with(
    source: &str,
    package: &str,
    name: &str,
    packages: Option<&Path>,
    more: &[&str],
) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("peers")
        .join(source);
    let exe = std::env::current_exe().expect("the test's own path");
    let dir = exe.parent().expect("a directory");
    let (own, shared) = (
        dir.join(format!("{name}.{}", std::process::id())),
        dir.join(name),
    );
    let mut options = Command::new("pkg-config");
    options
        .args(["--cflags", "--libs"])
        .args(package.split_whitespace());
    if let Some(packages) = packages {
        options.env("PKG_CONFIG_PATH", packages);
    }
    let options = options.output();
    let options = options.unwrap_or_else(|e| panic!("pkg-config: {e}: run tests/install first"));
    assert!(
        options.status.success(),
        "pkg-config does not know {package}: run tests/install first"
    );
    let options = String::from_utf8(options.stdout).expect("options are text");
    let output = Command::new("cc")
        .args(["-O2", "-Wall", "-Wextra", "-Werror", "-o"])
        .args([&own, &source])
        .args(more)
        .args(options.split_whitespace())
        .output()
        .unwrap_or_else(|e| panic!("cc: {e}: run tests/install first"));
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    std::fs::rename(&own, &shared).expect("the peer's program");
    shared
}

fn number(answer: &[String], at: usize) -> u32 {
    answer
        .get(at)
        .and_then(|word| word.parse().ok())
        .unwrap_or_else(|| panic!("no number {at} in {answer:?}"))
}

/// Bytes as hex; nothing as `-`.
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    if bytes.is_empty() {
        return "-".to_owned();
    }
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
}

/// The bytes of [`hex`].
pub fn unhex(text: &str) -> Vec<u8> {
    if text == "-" {
        return Vec::new();
    }
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).expect("hex"))
        .collect()
}
