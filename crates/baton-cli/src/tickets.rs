//! `baton tickets`: what is in the credential cache; tickets for services; the cache's end.

use std::error::Error;
use std::fmt::Write as _;
use std::io::{self, Write as _};

use baton::kerberos::Enctype;
use baton::kerberos::ccache::CredentialCache;
use baton::tickets::{Ticket, TicketCache, ticket_flags};
use baton::{Environment, Name};
use clap::{ArgGroup, Args};

use crate::causes::causes;
use crate::times::{now, span, utc};

/// Lists the tickets in the credential cache
#[derive(Args, Clone, Debug)]
#[command(group = ArgGroup::new("what").args(["json", "silent", "get", "destroy"]))]
pub(crate) struct TicketsArgs {
    /// The credential cache; by default what krb5.conf and KRB5CCNAME say
    #[arg(long, value_name = "CACHE")]
    ccache: Option<String>,
    /// List as JSON
    #[arg(long)]
    json: bool,
    /// Say nothing: the exit status is 0 if there is a ticket-granting ticket that is good now, else 1
    #[arg(short, long)]
    silent: bool,
    /// Get a ticket for this service into the cache: host@server.example.com or host/server.example.com. May be given more than once
    #[arg(long, value_name = "SERVICE")]
    get: Vec<String>,
    /// Remove the cache with all its tickets
    #[arg(long)]
    destroy: bool,
}

/// Does the one thing asked for.
pub(crate) fn run(args: &TicketsArgs) -> Result<(), Box<dyn Error>> {
    let env = Environment::from_env()?;
    let cache = TicketCache::named(&env, args.ccache.as_deref())?;
    if args.silent {
        return match cache.read() {
            Ok(contents) if is_good(&contents, now()) => Ok(()),
            _ => std::process::exit(1),
        };
    }
    if args.destroy {
        return cache.destroy().map_err(Into::into);
    }
    for service in &args.get {
        let ticket = cache
            .get(&service_name(service))
            .map_err(|error| format!("no ticket for {service}: {}", causes(&error)))?;
        writeln!(
            io::stdout(),
            "{}: until {}",
            ticket.server,
            utc(ticket.endtime.seconds())
        )?;
    }
    if args.get.is_empty() {
        let contents = cache.read()?;
        let list = match args.json {
            true => json(&cache.name(), &contents),
            false => list(&cache.name(), &contents, now()),
        };
        io::stdout().write_all(list.as_bytes())?;
    }
    Ok(())
}

fn service_name(text: &str) -> Name {
    // A principal with a realm has its `@` after the `/`, a name of a host's service has no `/`.
    match text.contains('@') && !text.contains('/') {
        true => Name::hostbased_service(text),
        false => Name::krb5_principal(text),
    }
}

fn is_good(cache: &CredentialCache, now: i64) -> bool {
    let mut tickets = cache.tickets();
    tickets.any(|ticket| ticket.server.is_krbtgt() && ticket.endtime.seconds() > now)
}

fn list(name: &str, cache: &CredentialCache, now: i64) -> String {
    let mut out = format!("Credential cache {name} of {}\n", cache.principal);
    for ticket in cache.tickets() {
        let (begins, ends) = times(ticket);
        let state = match ends - now {
            left if left > 0 => format!("{} left", span(left)),
            _ => "expired".to_owned(),
        };
        let _ = write!(
            out,
            "\n{}\n  from {} until {} ({state})\n  flags: {}\n  session key: {}\n",
            ticket.server,
            utc(begins),
            utc(ends),
            flags(ticket.flags).join(", "),
            enctype(ticket.key.enctype()),
        );
        if ticket.flags & ticket_flags::RENEWABLE != 0 {
            let _ = writeln!(
                out,
                "  renewable until {}",
                utc(ticket.renew_till.seconds())
            );
        }
        if ticket.client != cache.principal {
            let _ = writeln!(out, "  client: {}", ticket.client);
        }
    }
    if cache.tickets().next().is_none() {
        out += "\nThere is no ticket in it.\n";
    }
    out
}

/// When a ticket begins and ends. One that names no beginning is good from when the client proved itself.
fn times(ticket: &Ticket) -> (i64, i64) {
    let begins = match ticket.starttime.seconds() {
        0 => ticket.authtime.seconds(),
        begins => begins,
    };
    (begins, ticket.endtime.seconds())
}

/// The flags that are set, by their names in RFC 4120 §5.3.
fn flags(flags: u32) -> Vec<&'static str> {
    use ticket_flags::*;
    let names = [
        (FORWARDABLE, "forwardable"),
        (FORWARDED, "forwarded"),
        (PROXIABLE, "proxiable"),
        (PROXY, "proxy"),
        (MAY_POSTDATE, "may-postdate"),
        (POSTDATED, "postdated"),
        (INVALID, "invalid"),
        (RENEWABLE, "renewable"),
        (INITIAL, "initial"),
        (PRE_AUTHENT, "pre-authent"),
        (HW_AUTHENT, "hw-authent"),
        (TRANSITED_POLICY_CHECKED, "transited-policy-checked"),
        (OK_AS_DELEGATE, "ok-as-delegate"),
        (ENC_PA_REP, "enc-pa-rep"),
    ];
    let set = names.into_iter().filter(|(flag, _)| flags & flag != 0);
    set.map(|(_, name)| name).collect()
}

/// An enctype's name, else its number.
pub(crate) fn enctype(number: i32) -> String {
    match Enctype::from_number(number) {
        Some(enctype) => enctype.name().to_owned(),
        None => format!("enctype {number} (not supported)"),
    }
}

fn json(name: &str, cache: &CredentialCache) -> String {
    let ticket = |ticket: &Ticket| {
        let (begins, ends) = times(ticket);
        let flags: Vec<_> = flags(ticket.flags).into_iter().map(quoted).collect();
        format!(
            "{{\"server\":{},\"client\":{},\"starts\":{begins},\"ends\":{ends},\"renewable_until\":{},\"flags\":[{}],\"enctype\":{}}}",
            quoted(&ticket.server.to_string()),
            quoted(&ticket.client.to_string()),
            match ticket.flags & ticket_flags::RENEWABLE {
                0 => "null".to_owned(),
                _ => ticket.renew_till.seconds().to_string(),
            },
            flags.join(","),
            ticket.key.enctype(),
        )
    };
    let tickets: Vec<_> = cache.tickets().map(ticket).collect();
    format!(
        "{{\"cache\":{},\"principal\":{},\"tickets\":[{}]}}\n",
        quoted(name),
        quoted(&cache.principal.to_string()),
        tickets.join(",")
    )
}

/// A string of JSON (RFC 8259 §7).
fn quoted(text: &str) -> String {
    let mut out = String::from('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => out.extend(['\\', character]),
            control if (control as u32) < 0x20 => {
                let _ = write!(out, "\\u{:04x}", control as u32);
            }
            other => out.push(other),
        }
    }
    out + "\""
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_are_named_both_ways() {
        for (text, hostbased) in [
            ("host@server.x", true),
            ("host/server.x", false),
            ("host/server.x@REALM", false),
            ("krbtgt/R@R", false),
        ] {
            let wanted = match hostbased {
                true => Name::hostbased_service(text),
                false => Name::krb5_principal(text),
            };
            assert_eq!(service_name(text), wanted);
        }
    }

    #[test]
    fn text_is_quoted() {
        assert_eq!(quoted("a\"\\\n\u{1}é"), "\"a\\\"\\\\\\u000a\\u0001é\"");
    }

    #[test]
    fn flags_have_the_standards_names() {
        let set = ticket_flags::INITIAL | ticket_flags::FORWARDABLE;
        assert_eq!(flags(set), ["forwardable", "initial"]);
        assert!(flags(0).is_empty());
    }
}
