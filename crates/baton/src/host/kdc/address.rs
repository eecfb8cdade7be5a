//! From hosts' names to addresses, without waiting longer than one may.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// How long the names of later KDCs may hold up asking the first.
const PATIENCE: Duration = Duration::from_secs(2);

/// The addresses of each of `hosts`, as far as they were found. The resolver of the C library cannot be told a deadline, so each name is
/// looked up in a thread of its own, which is left behind if it does not come back in time.
pub(super) fn lookup(hosts: &[(&str, u16)], deadline: Instant) -> Vec<Vec<SocketAddr>> {
    let mut found: Vec<Option<Vec<SocketAddr>>> = vec![None; hosts.len()];
    let (sender, receiver) = mpsc::channel();
    let mut missing = 0;
    for (index, &(host, port)) in hosts.iter().enumerate() {
        if let Ok(address) = host.parse::<IpAddr>() {
            found[index] = Some(vec![(address, port).into()]);
            continue;
        }
        let (sender, host) = (sender.clone(), host.to_owned());
        let looked_up = move || {
            let addresses = (host.as_str(), port).to_socket_addrs();
            // Nobody listens any more if the time is over.
            _ = sender.send((index, addresses.map(Iterator::collect).unwrap_or_default()));
        };
        match thread::Builder::new()
            .name("krb5-resolve".to_owned())
            .spawn(looked_up)
        {
            Ok(_) => missing += 1,
            Err(_) => found[index] = Some(Vec::new()),
        }
    }
    let patience = deadline.min(Instant::now() + PATIENCE);
    while missing > 0 {
        let someone = found
            .iter()
            .flatten()
            .any(|addresses| !addresses.is_empty());
        let until = if someone { patience } else { deadline };
        let wait = until.saturating_duration_since(Instant::now());
        let Ok((index, addresses)) = receiver.recv_timeout(wait) else {
            break;
        };
        found[index] = Some(addresses);
        missing -= 1;
    }
    found.into_iter().map(Option::unwrap_or_default).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_need_no_lookup_and_names_get_one() {
        let deadline = Instant::now() + Duration::from_secs(5);
        let hosts = [("192.0.2.7", 88), ("2001:db8::1", 750), ("localhost", 89)];
        let found = lookup(&hosts, deadline);
        assert_eq!(found[0], ["192.0.2.7:88".parse().unwrap()]);
        assert_eq!(found[1], ["[2001:db8::1]:750".parse().unwrap()]);
        assert!(
            found[2]
                .iter()
                .all(|address| address.ip().is_loopback() && address.port() == 89)
        );
        assert!(!found[2].is_empty());
    }

    #[test]
    fn a_name_that_nobody_knows_has_no_address() {
        let deadline = Instant::now() + Duration::from_millis(500);
        assert_eq!(lookup(&[("", 88)], deadline), [Vec::new()]);
    }

    #[test]
    fn nothing_waits_beyond_the_deadline() {
        let begin = Instant::now();
        lookup(&[("no-such-host.invalid", 88)], begin);
        assert!(begin.elapsed() < Duration::from_millis(500));
    }
}
