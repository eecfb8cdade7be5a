//! What an initiator says in its authenticator's own authorization data: whether it would have bound the context to a channel
//! (MS-KILE §2.2.5), and of which enctypes the acceptor's subkey may be (RFC 4537).

use krb5::messages::{
    AD_ETYPE_NEGOTIATION, AD_IF_RELEVANT, AuthorizationData, AuthorizationDataElement, EtypeList,
    KERB_AP_OPTIONS, Value, flatten,
};
use krb5_crypto::Enctype;

use crate::error::Malformed;

/// The bit of `KERB_AP_OPTIONS` by which a peer says that it binds contexts to channels.
const KERB_AP_OPTIONS_CBT: u32 = 0x4000;

/// What is to be said.
pub(crate) struct Said {
    /// The acceptor has to insist on bindings if it has any.
    pub(crate) insists_on_bindings: bool,
    /// Enctypes for its subkey, the preferred first.
    pub(crate) etypes: Option<EtypeList>,
}

impl Said {
    /// What stands within AD-IF-RELEVANT, if there is anything to say.
    pub(crate) fn encode(&self) -> Option<Vec<u8>> {
        let etypes = self.etypes.as_ref().map(Value::encode);
        let options = KERB_AP_OPTIONS_CBT.to_le_bytes();
        let mut elements: AuthorizationData<'_> = Vec::with_capacity(2);
        if let Some(ad_data) = &etypes {
            elements.push(AuthorizationDataElement {
                ad_type: AD_ETYPE_NEGOTIATION,
                ad_data,
            });
        }
        if self.insists_on_bindings {
            elements.push(AuthorizationDataElement {
                ad_type: KERB_AP_OPTIONS,
                ad_data: &options,
            });
        }
        (!elements.is_empty()).then(|| elements.encode())
    }
}

/// The enctypes to offer for the acceptor's subkey: those that are permitted here, down to the session key's, which is the last
/// (RFC 4537 §3). None where that is our favourite anyway.
pub(crate) fn offer(permitted: &[&'static Enctype], session: &Enctype) -> Option<EtypeList> {
    let favourite = permitted.first()?;
    if favourite.number() == session.number() {
        return None;
    }
    let numbers = permitted.iter().map(|enctype| enctype.number());
    let mut offered: EtypeList = numbers.collect();
    if let Some(last) = offered.iter().position(|one| *one == session.number()) {
        offered.truncate(last + 1);
    }
    Some(offered)
}

/// The enctype of the acceptor's subkey: the first of those permitted here that the initiator offers or uses already.
pub(crate) fn choose(
    permitted: &[&'static Enctype],
    offered: &[i32],
    used: &'static Enctype,
) -> &'static Enctype {
    let acceptable = |one: &&&'static Enctype| {
        let number = one.number();
        number == used.number() || offered.contains(&number)
    };
    permitted.iter().find(acceptable).copied().unwrap_or(used)
}

/// The initiator's list of enctypes, empty if it sent none. Those within AD-IF-RELEVANT count, and bare ones as with MIT's
/// library; of several lists the first.
pub(crate) fn etype_list(data: &[u8]) -> Result<EtypeList, Malformed> {
    if data.is_empty() {
        return Ok(EtypeList::new());
    }
    let data = AuthorizationData::decode(data).map_err(|_| Malformed::EtypeList)?;
    let is_list = |element: &&AuthorizationDataElement<'_>| element.ad_type == AD_ETYPE_NEGOTIATION;
    for element in &data {
        let within = match element.ad_type {
            // A container that cannot be read holds nothing that has to be.
            AD_IF_RELEVANT => AuthorizationData::decode(element.ad_data).unwrap_or_default(),
            _ => vec![*element],
        };
        if let Some(list) = within.iter().find(is_list) {
            return EtypeList::decode(list.ad_data).map_err(|_| Malformed::EtypeList);
        }
    }
    Ok(EtypeList::new())
}

/// Whether the initiator sent `KERB_AP_OPTIONS_CBT`: it would have sent bindings had it known of a channel.
pub(crate) fn insists_on_bindings(data: &[u8]) -> Result<bool, Malformed> {
    if data.is_empty() {
        return Ok(false);
    }
    let data = AuthorizationData::decode(data)
        .and_then(|data| flatten(&data))
        .map_err(|_| Malformed::ApOptions)?;
    let mut options = data
        .iter()
        .filter(|element| element.ad_type == KERB_AP_OPTIONS);
    let Some(option) = options.next() else {
        return Ok(false);
    };
    let bits: [u8; 4] = option
        .ad_data
        .try_into()
        .map_err(|_| Malformed::ApOptions)?;
    if options.next().is_some() {
        return Err(Malformed::ApOptions);
    }
    Ok(u32::from_le_bytes(bits) & KERB_AP_OPTIONS_CBT != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn enctypes(numbers: &[i32]) -> Vec<&'static Enctype> {
        let known = numbers.iter().map(|number| Enctype::from_number(*number));
        known.map(Option::unwrap).collect()
    }

    #[test]
    fn an_offer_ends_with_the_session_keys_enctype() {
        let session = |number| Enctype::from_number(number).unwrap();
        for (permitted, number, expected) in [
            (&[18, 17, 20][..], 18, None),
            (&[18, 17, 20], 17, Some(vec![18, 17])),
            (&[18, 17, 20], 20, Some(vec![18, 17, 20])),
            (&[18, 17, 20], 19, Some(vec![18, 17, 20])),
            (&[], 19, None),
        ] {
            assert_eq!(offer(&enctypes(permitted), session(number)), expected);
        }
    }

    #[test]
    fn the_acceptors_order_decides_among_what_is_offered_and_used() {
        let used = Enctype::from_number(17).unwrap();
        for (permitted, offered, expected) in [
            (&[20, 18, 17][..], &[18, 20, 17][..], 20),
            (&[18, 20, 17], &[18, 20, 17], 18),
            (&[20, 18, 17], &[], 17),
            (&[17, 20], &[20], 17),
            // Neither what is not offered nor what is not permitted.
            (&[20, 18, 17], &[18], 18),
            (&[18, 17], &[20, 19, 99, -7], 17),
            (&[], &[18], 17),
        ] {
            let chosen = choose(&enctypes(permitted), offered, used).number();
            assert_eq!(chosen, expected, "{permitted:?} {offered:?}");
        }
    }

    fn within(elements: &[(i32, &[u8])]) -> Vec<u8> {
        let element = elements
            .iter()
            .map(|(ad_type, ad_data)| AuthorizationDataElement {
                ad_type: *ad_type,
                ad_data,
            });
        let elements: AuthorizationData<'_> = element.collect();
        elements.encode()
    }

    #[test]
    fn a_list_is_found_where_peers_put_it() {
        let (list, other) = (vec![18, 17].encode(), vec![20].encode());
        let [list, other] = [&list[..], &other];
        let ours = within(&[(1, &within(&[(143, &[0; 4]), (129, list)]))]);
        for (data, expected) in [
            (ours, Ok(vec![18, 17])),
            (within(&[(129, list)]), Ok(vec![18, 17])),
            (within(&[(1, b"\x30\x05"), (129, list)]), Ok(vec![18, 17])),
            (within(&[(129, list), (129, other)]), Ok(vec![18, 17])),
            (within(&[(1, &within(&[(2, list)]))]), Ok(vec![])),
            (Vec::new(), Ok(vec![])),
            (within(&[(129, b"")]), Err(Malformed::EtypeList)),
            (within(&[(129, &list[..3])]), Err(Malformed::EtypeList)),
            (
                within(&[(129, &[list, b"x"].concat())]),
                Err(Malformed::EtypeList),
            ),
        ] {
            assert_eq!(etype_list(&data), expected, "{data:02x?}");
        }
        // As many as fit, and no more.
        let most = within(&[(129, &vec![1; 64].encode())]);
        assert_eq!(etype_list(&most).unwrap().len(), 64);
        let more = within(&[(129, &vec![1; 65].encode())]);
        assert_eq!(etype_list(&more), Err(Malformed::EtypeList));
    }

    #[test]
    fn what_is_said_is_heard() {
        for (insists, etypes) in [
            (true, Some(vec![18, 17])),
            (true, None),
            (false, Some(vec![20])),
        ] {
            let said = Said {
                insists_on_bindings: insists,
                etypes: etypes.clone(),
            };
            let data = within(&[(AD_IF_RELEVANT, &said.encode().unwrap())]);
            assert_eq!(insists_on_bindings(&data), Ok(insists));
            assert_eq!(etype_list(&data), Ok(etypes.unwrap_or_default()));
        }
        let nothing = Said {
            insists_on_bindings: false,
            etypes: None,
        };
        assert_eq!(nothing.encode(), None);
    }
}
