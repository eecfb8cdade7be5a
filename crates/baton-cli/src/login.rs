//! `baton login`: a ticket-granting ticket into the credential cache.

use std::error::Error;
use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use baton::host::keytab::KeytabFile;
use baton::kerberos::{Principal, conf};
use baton::tickets::{self, ExchangeError, InitialOptions, Secret, TicketCache, TicketError};
use baton::{Environment, Name};
use clap::{ArgGroup, Args};
use zeroize::Zeroizing;

use crate::causes::causes;
use crate::times::{now, span, utc};

/// A longer first line than this is no password.
const MAX_PASSWORD: u64 = 64 * 1024;

/// Gets a ticket-granting ticket into the credential cache
///
/// Asks for the password unless a keytab or a file with the password is named.
#[derive(Args, Clone, Debug)]
#[command(group = ArgGroup::new("secret").args(["keytab", "password_file"]))]
pub(crate) struct LoginArgs {
    /// Who logs in; without a realm, of the default realm
    principal: String,
    /// Use the principal's key in this keytab; without FILE, in the configured client keytab
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = false)]
    keytab: Option<Option<String>>,
    /// Read the password from the first line of this file; `-` is the standard input
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// The credential cache; by default what krb5.conf and KRB5CCNAME say
    #[arg(long, value_name = "CACHE")]
    ccache: Option<String>,
    /// For how long the ticket is to be good, as 10h or 1d12h
    #[arg(long, value_name = "TIME", value_parser = duration)]
    lifetime: Option<Duration>,
    /// For how long it is to be renewable
    #[arg(long, value_name = "TIME", value_parser = duration)]
    renewable: Option<Duration>,
    /// Ask for a ticket that can be forwarded
    #[arg(long)]
    forwardable: bool,
    /// Ask for a proxiable ticket
    #[arg(long)]
    proxiable: bool,
}

fn duration(text: &str) -> Result<Duration, String> {
    match conf::duration(text) {
        Some(duration) if !duration.is_zero() => Ok(duration),
        _ => Err("a span of time is needed, as 10h, 1d12h, 30m or a number of seconds".to_owned()),
    }
}

/// Logs in, and says into which cache.
pub(crate) fn run(args: &LoginArgs) -> Result<(), Box<dyn Error>> {
    let env = Environment::from_env()?;
    let client = env.principal(&Name::krb5_principal(&args.principal))?;
    let cache = TicketCache::named(&env, args.ccache.as_deref())?;
    let options = InitialOptions {
        lifetime: args.lifetime,
        renew_lifetime: args.renewable,
        forwardable: args.forwardable.then_some(true),
        proxiable: args.proxiable.then_some(true),
        ..InitialOptions::default()
    };
    let secret = secret(args, &env, &client)?;
    let ticket = cache.log_in(&client, secret, &options).map_err(|error| {
        format!(
            "{client} is not logged in: {}{}",
            causes(&error),
            hint(&error)
        )
    })?;
    let (ends, left) = (ticket.endtime.seconds(), ticket.endtime.seconds() - now());
    writeln!(
        io::stdout(),
        "{} is logged in until {} ({})",
        ticket.client,
        utc(ends),
        span(left)
    )?;
    writeln!(io::stdout(), "The ticket is in {}", cache.name())?;
    Ok(())
}

/// What to do about it.
fn hint(error: &TicketError) -> &'static str {
    let TicketError::Exchange(ExchangeError::Refused(refusal)) = error else {
        return "";
    };
    // RFC 4120 §7.5.9.
    match refusal.code {
        6 => "; are name and realm right?",
        18 => "; the principal is locked or has expired: ask the realm's administrator",
        23 => "; the password has expired and must be changed first",
        24 => "; is the password, or the keytab, right?",
        37 => "; set this host's clock",
        _ => "",
    }
}

fn secret(
    args: &LoginArgs,
    env: &Environment,
    client: &Principal,
) -> Result<Secret, Box<dyn Error>> {
    if let Some(keytab) = &args.keytab {
        let path = tickets::keytab_path(env, keytab.as_deref(), false)?;
        let path = path.ok_or("a keytab in memory has no keys here; name a file")?;
        let keytab = KeytabFile::new(&path).current()?;
        let keys = tickets::keys(client, &keytab);
        return Ok(keys.map_err(|error| {
            format!("{path}: {error}; `baton keytab list {path}` shows what it has")
        })?);
    }
    let password = match &args.password_file {
        Some(path) => password_in(path)?,
        None => ask(&format!("Password for {client}: "))?,
    };
    Ok(tickets::password(&*password))
}

/// Asks at the terminal, without an echo.
pub(crate) fn ask(prompt: &str) -> Result<Zeroizing<Vec<u8>>, Box<dyn Error>> {
    let password = rpassword::prompt_password(prompt).map_err(|error| {
        format!("there is no terminal to ask for the password at ({error}); name a file with --password-file, or `-` for the standard input")
    })?;
    Ok(Zeroizing::new(password.into_bytes()))
}

/// The first line of a file.
pub(crate) fn password_in(path: &Path) -> Result<Zeroizing<Vec<u8>>, Box<dyn Error>> {
    let read = match path.as_os_str() == "-" {
        true => first_line(io::stdin().lock()),
        false => File::open(path).and_then(first_line),
    };
    let shown = path.display();
    let password = read.map_err(|error| format!("cannot read the password in {shown}: {error}"))?;
    match password.is_empty() {
        true => Err(format!("there is no password in the first line of {shown}").into()),
        false => Ok(password),
    }
}

fn first_line(from: impl Read) -> io::Result<Zeroizing<Vec<u8>>> {
    // As long as it may get: a buffer that grows leaves a copy behind.
    let mut line = Zeroizing::new(Vec::with_capacity(MAX_PASSWORD as usize));
    let (mut from, mut byte) = (from.take(MAX_PASSWORD), Zeroizing::new([0]));
    loop {
        // One at a time: what comes after the line is somebody else's.
        match from.read(&mut *byte) {
            Ok(0) => break,
            Ok(_) if *byte == *b"\n" => break,
            Ok(_) => line.push(byte[0]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_the_first_line() {
        for (text, password) in [
            ("secret\n", "secret"),
            ("secret", "secret"),
            ("secret\r\nmore", "secret"),
            (" two words \nmore\n", " two words "),
            ("", ""),
            ("\nsecond", ""),
        ] {
            assert_eq!(*first_line(text.as_bytes()).unwrap(), password.as_bytes());
        }
        assert_eq!(
            first_line(io::repeat(b'x')).unwrap().len() as u64,
            MAX_PASSWORD
        );
    }

    #[test]
    fn lifetimes_are_spans_of_time() {
        assert_eq!(duration("1d2h"), Ok(Duration::from_secs(93_600)));
        assert_eq!(duration("90"), Ok(Duration::from_secs(90)));
        for bad in ["", "0", "soon", "-5m"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }
}
