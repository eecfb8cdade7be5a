//! `baton keytab`: what is in a keytab, and changes of it that lose nothing.

use std::error::Error;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use baton::host::keytab::KeytabFile;
use baton::host::keytab_change::{self, KeytabChangeError};
use baton::kerberos::keytab::{Keytab, KeytabEntry, OtherEntry};
use baton::kerberos::settings::DEFAULT_ENCTYPES;
use baton::kerberos::{Enctype, Principal};
use baton::{Environment, Name, tickets};
use clap::{ArgGroup, Args, Subcommand};

use crate::login::{ask, password_in};
use crate::tickets::enctype as enctype_name;
use crate::times::utc;

/// Lists and changes keytabs
#[derive(Args, Clone, Debug)]
pub(crate) struct KeytabArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand, Clone, Debug)]
enum Action {
    List(ListArgs),
    Add(AddArgs),
    Remove(RemoveArgs),
}

/// Lists the entries of a keytab; never its keys
#[derive(Args, Clone, Debug)]
struct ListArgs {
    /// The keytab; by default what krb5.conf and KRB5_KTNAME say
    file: Option<String>,
}

/// Adds keys of a principal to a keytab, which is made if it is not there
///
/// The keys are those of a password, or random. Random keys are of use to a realm that is told them. Nothing that is there is
/// changed: an entry of the same version and enctype is an error.
#[derive(Args, Clone, Debug)]
#[command(group = ArgGroup::new("secret").args(["random", "password_file"]))]
struct AddArgs {
    /// The keytab
    file: String,
    /// Whose keys
    principal: String,
    /// The keys' version number, as the KDC has it
    #[arg(long, value_name = "N")]
    kvno: u32,
    /// An enctype, by name or number; by default all that are supported. May be given more than once
    #[arg(long, value_name = "ENCTYPE", value_parser = enctype)]
    enctype: Vec<&'static Enctype>,
    /// Random keys, instead of a password's
    #[arg(long)]
    random: bool,
    /// Read the password from the first line of this file; `-` is the standard input
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
}

/// Removes a principal's keys from a keytab
#[derive(Args, Clone, Debug)]
struct RemoveArgs {
    /// The keytab
    file: String,
    /// Whose keys
    principal: String,
    /// Only of this version
    #[arg(long, value_name = "N")]
    kvno: Option<u32>,
    /// Only of this enctype, by name or number. May be given more than once
    #[arg(long, value_name = "ENCTYPE", value_parser = enctype_number)]
    enctype: Vec<i32>,
}

fn enctype(text: &str) -> Result<&'static Enctype, String> {
    let numbered = text.parse().ok().and_then(Enctype::from_number);
    numbered
        .or_else(|| Enctype::from_name(text))
        .ok_or_else(|| {
            let known: Vec<_> = Enctype::all().iter().map(Enctype::name).collect();
            format!("it is not supported; there are {}", known.join(", "))
        })
}

/// What cannot be used can still be removed.
fn enctype_number(text: &str) -> Result<i32, String> {
    match text.parse() {
        Ok(number) => Ok(number),
        Err(_) => enctype(text).map(Enctype::number),
    }
}

/// Does what the subcommand says.
pub(crate) fn run(args: &KeytabArgs) -> Result<(), Box<dyn Error>> {
    let env = Environment::from_env()?;
    match &args.action {
        Action::List(args) => list(&env, args),
        Action::Add(args) => add(&env, args),
        Action::Remove(args) => remove(&env, args),
    }
}

fn path(env: &Environment, name: Option<&str>) -> Result<PathBuf, Box<dyn Error>> {
    let path = tickets::keytab_path(env, name, true)?;
    Ok(path
        .ok_or("a keytab in memory is nowhere; name a file")?
        .into())
}

fn principal(env: &Environment, text: &str) -> Result<Principal, Box<dyn Error>> {
    Ok(env.principal(&Name::krb5_principal(text))?)
}

/// One entry, without its key.
struct Row<'a> {
    principal: &'a Principal,
    kvno: u32,
    enctype: i32,
    written: i64,
}

impl<'a> From<&'a KeytabEntry> for Row<'a> {
    fn from(entry: &'a KeytabEntry) -> Self {
        Self {
            principal: &entry.principal,
            kvno: entry.kvno,
            enctype: entry.key.enctype().number(),
            written: entry.timestamp.seconds(),
        }
    }
}

impl<'a> From<&'a OtherEntry> for Row<'a> {
    fn from(entry: &'a OtherEntry) -> Self {
        Self {
            principal: &entry.principal,
            kvno: entry.kvno,
            enctype: entry.enctype,
            written: entry.timestamp.seconds(),
        }
    }
}

fn rows(keytab: &Keytab) -> impl Iterator<Item = Row<'_>> {
    let entries = keytab.entries.iter().map(Row::from);
    entries.chain(keytab.others.iter().map(Row::from))
}

fn list(env: &Environment, args: &ListArgs) -> Result<(), Box<dyn Error>> {
    let path = path(env, args.file.as_deref())?;
    let keytab = KeytabFile::new(&path).current()?;
    writeln!(io::stdout(), "Keytab {}", path.display())?;
    writeln!(
        io::stdout(),
        "{:>10}  {:20}  {:26}  principal",
        "version",
        "written",
        "enctype"
    )?;
    for row in rows(&keytab) {
        let (written, enctype) = (utc(row.written), enctype_name(row.enctype));
        writeln!(
            io::stdout(),
            "{:>10}  {written}  {enctype:26}  {}",
            row.kvno,
            row.principal
        )?;
    }
    Ok(())
}

/// Why an edit was not made.
#[derive(Debug, thiserror::Error)]
enum EditError {
    #[error(transparent)]
    File(#[from] KeytabChangeError),
    #[error("{path} has a key of {principal}, version {kvno}, {enctype} already; remove it first, or give the next version", path = .path.display())]
    IsThere {
        path: PathBuf,
        principal: Principal,
        kvno: u32,
        enctype: String,
    },
    #[error("{} has no such key of {principal}; `baton keytab list {}` shows what it has", .path.display(), .path.display())]
    NotThere { path: PathBuf, principal: Principal },
}

fn add(env: &Environment, args: &AddArgs) -> Result<(), Box<dyn Error>> {
    let (path, principal) = (
        path(env, Some(&args.file))?,
        principal(env, &args.principal)?,
    );
    let enctypes = match args.enctype.is_empty() {
        true => DEFAULT_ENCTYPES.to_vec(),
        false => args.enctype.clone(),
    };
    let new = entries(args, &principal, &enctypes)?;
    keytab_change::change(&path, true, |keytab| put(keytab, &new, &path))?;
    for entry in &new {
        let name = entry.key.enctype().name();
        writeln!(
            io::stdout(),
            "{}: added {principal} version {}, {name}",
            path.display(),
            entry.kvno
        )?;
    }
    Ok(())
}

fn entries(
    args: &AddArgs,
    principal: &Principal,
    enctypes: &[&'static Enctype],
) -> Result<Vec<KeytabEntry>, Box<dyn Error>> {
    if args.random {
        return Ok(keytab_change::entries_at_random(
            principal, args.kvno, enctypes,
        ));
    }
    let password = match &args.password_file {
        Some(path) => password_in(path)?,
        None => {
            let password = ask(&format!("Password for {principal}: "))?;
            // A wrong letter would show only when a client is refused.
            match *password == *ask("Again: ")? {
                true => password,
                false => return Err("these are two different passwords; nothing is changed".into()),
            }
        }
    };
    let entries = keytab_change::entries_of_password(principal, args.kvno, &password, enctypes);
    Ok(entries?)
}

fn put(keytab: &mut Keytab, new: &[KeytabEntry], path: &Path) -> Result<(), EditError> {
    for entry in new {
        let row = Row::from(entry);
        let same = |other: Row<'_>| {
            (other.principal, other.kvno, other.enctype) == (row.principal, row.kvno, row.enctype)
        };
        if rows(keytab).any(same) {
            return Err(EditError::IsThere {
                path: path.to_owned(),
                principal: entry.principal.clone(),
                kvno: entry.kvno,
                enctype: entry.key.enctype().name().to_owned(),
            });
        }
        keytab.entries.push(KeytabEntry {
            principal: entry.principal.clone(),
            timestamp: entry.timestamp,
            kvno: entry.kvno,
            key: entry.key.clone(),
        });
    }
    Ok(())
}

fn remove(env: &Environment, args: &RemoveArgs) -> Result<(), Box<dyn Error>> {
    let (path, principal) = (
        path(env, Some(&args.file))?,
        principal(env, &args.principal)?,
    );
    let goes = |row: &Row<'_>| {
        *row.principal == principal
            && args.kvno.is_none_or(|kvno| kvno == row.kvno)
            && (args.enctype.is_empty() || args.enctype.contains(&row.enctype))
    };
    let mut removed = 0;
    keytab_change::change(&path, false, |keytab| {
        let before = rows(keytab).count();
        keytab.entries.retain(|entry| !goes(&entry.into()));
        keytab.others.retain(|entry| !goes(&entry.into()));
        removed = before - rows(keytab).count();
        match removed {
            0 => Err(EditError::NotThere {
                path: path.clone(),
                principal: principal.clone(),
            }),
            _ => Ok(()),
        }
    })?;
    writeln!(
        io::stdout(),
        "{}: {removed} keys of {principal} removed",
        path.display()
    )?;
    Ok(())
}
