//! Acting for users in a development realm: with a ticket that the KDC gives, and with one that the user has shown.
#![allow(missing_docs)]

use baton::host::tickets::{ImpersonationError, TicketError};
use baton::realm::DevelopmentRealm;
use baton::{
    Acceptor, Context, Credential, CredentialError, Environment, Error, ExportOptions, Initiator,
    Name, Step,
};

const WEB: &str = "HTTP/localhost@EXAMPLE.TEST";

struct Setting {
    realm: DevelopmentRealm,
    env: Environment,
    web: Credential,
}

fn setting() -> Setting {
    let realm = DevelopmentRealm::builder("EXAMPLE.TEST")
        .user("alice", "secret")
        .service("HTTP/localhost")
        .service("postgres/localhost")
        .service("imap/localhost")
        .delegation("HTTP/localhost", "postgres/localhost")
        .start()
        .unwrap();
    let env = realm.environment().unwrap();
    let keytab = format!("FILE:{}", realm.keytab().display());
    let web = Credential::with_keytab(&env, &Name::krb5_principal(WEB), Some(&keytab)).unwrap();
    Setting { realm, env, web }
}

impl Setting {
    fn first_token(&self, cred: &Credential, service: &str) -> Result<Vec<u8>, Error> {
        let target = Name::hostbased_service(&format!("{service}@localhost"));
        match Initiator::new(&self.env, cred, &target).start()? {
            Step::Continue { token, .. } => Ok(token),
            Step::Done { .. } => panic!("mutual authentication has an answer"),
        }
    }

    fn accepted(&self, token: &[u8], keeps: bool) -> Context {
        let keys = self.realm.acceptor(&self.env).unwrap();
        let acceptor = Acceptor::new(&self.env, &keys);
        let acceptor = if keeps {
            acceptor.keeping_evidence()
        } else {
            acceptor
        };
        match acceptor.step(token) {
            Ok(Step::Done { context, .. }) => context,
            _ => panic!("accepted in one step"),
        }
    }

    /// Whom the service sees.
    fn seen(&self, cred: &Credential, service: &str) -> String {
        let token = self.first_token(cred, service).unwrap();
        self.accepted(&token, false).facts().initiator.to_string()
    }
}

fn refusal(error: &Error) -> &TicketError {
    match error.cause::<CredentialError>() {
        Some(CredentialError::Ticket(error)) => error,
        _ => panic!("{error:?}"),
    }
}

#[test]
fn a_service_acts_for_a_user_whom_it_knows_by_name() {
    let setting = setting();
    let alice = Name::krb5_principal("alice@EXAMPLE.TEST");
    let acting = setting.web.impersonate(&setting.env, &alice).unwrap();
    assert_eq!(acting.name().unwrap().to_string(), "alice@EXAMPLE.TEST");
    let service = acting.impersonator(&setting.env).unwrap().unwrap();
    assert_eq!(service.to_string(), WEB);
    for service in ["HTTP", "postgres"] {
        assert_eq!(
            setting.seen(&acting, service),
            "alice@EXAMPLE.TEST",
            "{service}"
        );
    }
    let error = setting.first_token(&acting, "imap").unwrap_err();
    assert!(
        matches!(refusal(&error), TicketError::Impersonation(_)),
        "{error}"
    );
    // KDC_ERR_BADOPTION, in MIT's table.
    assert_eq!(error.minor(), 0x96c7_3a00 + 13);
    // Who acts for one user acts for nobody else with that.
    let error = acting.impersonate(&setting.env, &alice).unwrap_err();
    assert!(
        matches!(refusal(&error), TicketError::ActsAlready { .. }),
        "{error}"
    );
}

/// The initiator's own ticket in place of one from S4U2Self: nothing is delegated, and the KDC decides.
#[test]
fn an_acceptor_acts_for_its_initiator() {
    let setting = setting();
    let (env, web) = (&setting.env, &setting.web);
    let alice = setting.realm.credential(env, "alice").unwrap();
    let context = |keeps| setting.accepted(&setting.first_token(&alice, "HTTP").unwrap(), keeps);
    let kept = context(true);
    assert!(kept.take_delegated().unwrap().is_none());
    let acting = kept.for_initiator(web).unwrap().unwrap();
    assert_eq!(setting.seen(&acting, "postgres"), "alice@EXAMPLE.TEST");
    assert!(setting.first_token(&acting, "imap").is_err());
    // Somebody else's tickets are not those of the service that accepted: the KDC says so, which knows every name of each.
    let other = kept.for_initiator(&alice).unwrap().unwrap();
    let error = setting.first_token(&other, "postgres").unwrap_err();
    let TicketError::Impersonation(ImpersonationError::EvidenceForAnother { server, .. }) =
        refusal(&error)
    else {
        panic!("{error}")
    };
    assert_eq!(server.to_string(), WEB);
    // Who acts for somebody already does not act for others with that.
    let error = kept.for_initiator(&acting).unwrap_err();
    assert!(
        matches!(refusal(&error), TicketError::ActsAlready { .. }),
        "{error}"
    );
    // Without asking nothing is kept, and nothing travels.
    assert!(context(false).for_initiator(web).unwrap().is_none());
    let token = kept.export(&ExportOptions::default());
    let token = token.map_err(|(_, error)| error).unwrap();
    let moved = Context::import(env, &token).unwrap();
    assert!(moved.for_initiator(web).unwrap().is_none());
}

/// A cache in which nobody's ticket is evidence any more, and one that names nobody.
#[test]
fn a_cache_that_cannot_be_acted_with_says_why() {
    let setting = setting();
    let alice = Name::krb5_principal("alice@EXAMPLE.TEST");
    let acting = setting.web.impersonate(&setting.env, &alice).unwrap();
    let mut cache = acting.tickets().unwrap();
    cache
        .credentials
        .retain(|ticket| ticket.server.to_string() != WEB);
    let error = Credential::from_cache(&cache).unwrap();
    let error = setting.first_token(&error, "postgres").unwrap_err();
    assert!(
        matches!(refusal(&error), TicketError::NoEvidence { .. }),
        "{error}"
    );
    cache.set_config("proxy_impersonator", None, b"a@b@c");
    let misnamed = Credential::from_cache(&cache).unwrap();
    let error = setting.first_token(&misnamed, "postgres").unwrap_err();
    assert!(
        matches!(refusal(&error), TicketError::Impersonator(_)),
        "{error}"
    );
}
