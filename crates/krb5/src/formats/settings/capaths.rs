//! `[capaths]`: by way of which realms one realm's users reach another's services.

use std::collections::BTreeMap;

use crate::formats::conf::Profile;

/// The configured paths between realms; where none is configured the names' hierarchy is the path.
#[derive(Clone, Debug, Default)]
pub struct Capaths(BTreeMap<String, BTreeMap<String, Vec<String>>>);

impl Capaths {
    /// Reads `[capaths]`.
    pub fn read(profile: &Profile) -> Self {
        let mut capaths = Self::default();
        for client in profile.subsections(&["capaths"]) {
            for relation in profile.all_relations(&["capaths", client]) {
                let word = relation.value.split([' ', '\t']).next();
                capaths.push(client, &relation.name, word.unwrap_or_default());
            }
        }
        capaths
    }

    /// Adds `realm` to the end of the path from `client` to `server`; `.` says that there is nothing in between.
    pub fn push(&mut self, client: &str, server: &str, realm: &str) {
        let servers = self.0.entry(client.to_owned()).or_default();
        let path = servers.entry(server.to_owned()).or_default();
        path.push(realm.to_owned());
    }

    /// The realms between `client` and `server`, neither of them among these, from the client's side on.
    pub fn between<'a>(&'a self, client: &'a [u8], server: &'a [u8]) -> Vec<&'a [u8]> {
        match self.configured(client, server) {
            // As in MIT's code, a path that begins with `.` is a direct one, whatever follows.
            Some([first, ..]) if first.starts_with('.') => Vec::new(),
            Some(path) => path.iter().map(String::as_bytes).collect(),
            None => hierarchy(client, server),
        }
    }

    fn configured(&self, client: &[u8], server: &[u8]) -> Option<&[String]> {
        let (client, server) = (str::from_utf8(client).ok()?, str::from_utf8(server).ok()?);
        self.0.get(client)?.get(server).map(Vec::as_slice)
    }
}

/// From the client's realm up its parent domains to the one that both share, and down to the server's realm. Where they
/// share none, all parents of both, as in MIT's code.
fn hierarchy<'a>(client: &'a [u8], server: &'a [u8]) -> Vec<&'a [u8]> {
    let (up, down) = (domains(client), domains(server));
    let shared = up.iter().rev().zip(down.iter().rev());
    let shared = shared.take_while(|(one, other)| one == other).count();
    // What is shared is one chain of domains, of which the longest is on the way up.
    let up = &up[..(up.len() - shared + usize::from(shared > 0)).min(up.len())];
    let down = &down[..down.len() - shared];
    let path = up.iter().chain(down.iter().rev()).copied();
    path.filter(|realm| *realm != client && *realm != server)
        .collect()
}

/// `a.b.c`, `b.c`, `c`.
fn domains(realm: &[u8]) -> Vec<&[u8]> {
    let dots = realm.iter().enumerate().filter(|(_, byte)| **byte == b'.');
    let starts = dots.map(|(index, _)| index + 1);
    [0].into_iter()
        .chain(starts)
        .map(|start| &realm[start..])
        .collect()
}
