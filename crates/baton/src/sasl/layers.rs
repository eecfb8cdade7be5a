//! The security layers of RFC 4752 §3.3, and the two messages that choose one.

/// The longest frame that a message can announce: 24 bits.
pub(super) const MAX_BUFFER: u32 = 0x00ff_ffff;

/// `bytes`, or the most that can be announced.
pub(super) const fn at_most(bytes: u32) -> u32 {
    if bytes < MAX_BUFFER {
        bytes
    } else {
        MAX_BUFFER
    }
}

/// What protects data after the exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Layer {
    /// Nothing: TLS does, or nobody.
    None = 1,
    /// Integrity.
    Integrity = 2,
    /// Integrity and confidentiality.
    Confidentiality = 4,
}

/// Layers that are acceptable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layers(u8);

impl Layers {
    /// Any.
    pub const ANY: Self = Self(7);
    /// None of the protecting ones: for connections with TLS.
    pub const NONE_ALONE: Self = Self(Layer::None as u8);
    /// Confidentiality and nothing less.
    pub const CONFIDENTIALITY_ALONE: Self = Self(Layer::Confidentiality as u8);

    /// These and `layer`.
    #[must_use]
    pub const fn and(self, layer: Layer) -> Self {
        Self(self.0 | layer as u8)
    }

    /// Whether `layer` is one of them.
    pub const fn contains(self, layer: Layer) -> bool {
        self.0 & layer as u8 != 0
    }

    pub(super) const fn in_common(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// The strongest of them; [`Layer::None`] is always one.
    pub(super) fn strongest_or_none(self) -> Layer {
        self.strongest().unwrap_or(Layer::None)
    }

    fn strongest(self) -> Option<Layer> {
        let layers = [Layer::Confidentiality, Layer::Integrity, Layer::None];
        layers.into_iter().find(|layer| self.contains(*layer))
    }

    const fn protect(self) -> bool {
        self.0 & (Layer::Integrity as u8 | Layer::Confidentiality as u8) != 0
    }
}

/// Why no layer was agreed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LayerError {
    /// The server's message does not have 4 octets, or the client's has fewer.
    #[error("the message that chooses a security layer has {0} octets, and not 4")]
    Length(usize),
    /// A size where there is no layer.
    #[error("the peer names a maximum size of {0} for messages, though there is no security layer")]
    SizeWithoutLayer(u32),
    /// Nothing in common.
    #[error(
        "server and client have no security layer in common: one asks for what the other does not allow"
    )]
    NothingInCommon,
    /// The client chose what was not offered, or several layers at once.
    #[error("the client chose {0:#04x}, which is not one of the security layers that were offered")]
    NotOffered(u8),
    /// The name to act as is not UTF-8, or has a NUL in it.
    #[error("the authorization identity is not UTF-8 without NUL")]
    Authzid,
}

/// What a client answers.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Choice {
    pub(super) layer: Layer,
    /// What the peer takes.
    pub(super) max_sent_frame: u32,
}

/// The server's message.
pub(super) fn offer(layers: Layers, max_frame: u32) -> [u8; 4] {
    message(layers.0, if layers.protect() { max_frame } else { 0 })
}

/// The strongest of what the server's message offers and `ours` allow.
pub(super) fn choose(offered: &[u8], ours: Layers) -> Result<Choice, LayerError> {
    let offered: [u8; 4] = offered
        .try_into()
        .map_err(|_| LayerError::Length(offered.len()))?;
    let (theirs, size) = parts(offered);
    let theirs = Layers(theirs);
    if !theirs.protect() && size != 0 {
        return Err(LayerError::SizeWithoutLayer(size));
    }
    let both = theirs.in_common(ours);
    // A server that takes no byte offers no layer, whatever its bits say.
    let both = if size == 0 {
        both.in_common(Layers::NONE_ALONE)
    } else {
        both
    };
    Ok(Choice {
        layer: both.strongest().ok_or(LayerError::NothingInCommon)?,
        max_sent_frame: size,
    })
}

/// The client's message.
pub(super) fn answer(layer: Layer, max_frame: u32, authzid: &str) -> Vec<u8> {
    let size = if layer == Layer::None { 0 } else { max_frame };
    [&message(layer as u8, size)[..], authzid.as_bytes()].concat()
}

/// What the client's message chooses, and as whom it wants to act.
pub(super) fn chosen(
    answer: &[u8],
    offered: Layers,
) -> Result<(Choice, Option<String>), LayerError> {
    let (head, authzid) = answer
        .split_first_chunk::<4>()
        .ok_or(LayerError::Length(answer.len()))?;
    let (bits, size) = parts(*head);
    let layers = [Layer::None, Layer::Integrity, Layer::Confidentiality];
    let layer = layers.into_iter().find(|layer| *layer as u8 == bits);
    let layer = layer
        .filter(|layer| offered.contains(*layer))
        .ok_or(LayerError::NotOffered(bits))?;
    if layer == Layer::None && size != 0 {
        return Err(LayerError::SizeWithoutLayer(size));
    }
    let choice = Choice {
        layer,
        max_sent_frame: size,
    };
    Ok((choice, self::authzid(authzid)?))
}

fn authzid(bytes: &[u8]) -> Result<Option<String>, LayerError> {
    let text = str::from_utf8(bytes).map_err(|_| LayerError::Authzid)?;
    if text.contains('\0') {
        return Err(LayerError::Authzid);
    }
    Ok((!text.is_empty()).then(|| text.to_owned()))
}

fn message(bits: u8, size: u32) -> [u8; 4] {
    let [_, a, b, c] = at_most(size).to_be_bytes();
    [bits, a, b, c]
}

fn parts([bits, a, b, c]: [u8; 4]) -> (u8, u32) {
    (bits, u32::from_be_bytes([0, a, b, c]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_strongest_common_layer_is_chosen() {
        use Layer::*;
        let only = |layer| Layers(layer as u8);
        for (theirs, ours, found) in [
            (Layers::ANY, Layers::ANY, Ok(Confidentiality)),
            (only(None).and(Integrity), Layers::ANY, Ok(Integrity)),
            (Layers::ANY, Layers::NONE_ALONE, Ok(None)),
            (Layers::NONE_ALONE, Layers::ANY, Ok(None)),
            (
                Layers::NONE_ALONE,
                Layers::CONFIDENTIALITY_ALONE,
                Err(LayerError::NothingInCommon),
            ),
            (
                only(Integrity),
                Layers::CONFIDENTIALITY_ALONE,
                Err(LayerError::NothingInCommon),
            ),
            // Bits that nobody defined are negotiated off.
            (Layers(0xff), Layers::ANY, Ok(Confidentiality)),
            (
                Layers(0xf8),
                Layers::ANY,
                Err(LayerError::SizeWithoutLayer(1000)),
            ),
        ] {
            let offered = message(
                theirs.0,
                if theirs == Layers::NONE_ALONE {
                    0
                } else {
                    1000
                },
            );
            let choice = choose(&offered, ours).map(|choice| choice.layer);
            assert_eq!(choice, found, "{theirs:?} {ours:?}");
        }
    }

    #[test]
    fn messages_have_their_form() {
        assert_eq!(offer(Layers::ANY, 0x0001_0203), [7, 1, 2, 3]);
        assert_eq!(offer(Layers::ANY, u32::MAX), [7, 0xff, 0xff, 0xff]);
        assert_eq!(offer(Layers::NONE_ALONE, 1000), [1, 0, 0, 0]);
        assert_eq!(answer(Layer::Integrity, 256, "bob"), b"\x02\x00\x01\x00bob");
        assert_eq!(answer(Layer::None, 256, ""), b"\x01\0\0\0");
        for length in [0, 1, 3, 5, 6] {
            let offered = vec![1; length];
            assert_eq!(
                choose(&offered, Layers::ANY),
                Err(LayerError::Length(length))
            );
        }
        assert_eq!(
            choose(&[1, 0, 0, 1], Layers::ANY),
            Err(LayerError::SizeWithoutLayer(1))
        );
        // Layers from a server that takes nothing are none.
        assert_eq!(
            choose(&[7, 0, 0, 0], Layers::ANY).unwrap().layer,
            Layer::None
        );
        assert_eq!(
            choose(&[6, 0, 0, 0], Layers::ANY),
            Err(LayerError::NothingInCommon)
        );
    }

    #[test]
    fn a_client_chooses_one_layer_of_those_offered() {
        let offered = Layers::NONE_ALONE.and(Layer::Integrity);
        for bits in 0..=255 {
            let answer = [bits, 0, 0, if bits == 1 { 0 } else { 9 }];
            let found = chosen(&answer, offered).map(|(choice, _)| choice.layer);
            let wanted = match bits {
                1 => Ok(Layer::None),
                2 => Ok(Layer::Integrity),
                other => Err(LayerError::NotOffered(other)),
            };
            assert_eq!(found, wanted, "{bits}");
        }
        assert_eq!(
            chosen(&[1, 0, 0, 7], offered).unwrap_err(),
            LayerError::SizeWithoutLayer(7)
        );
        for length in 0..4 {
            let error = chosen(&vec![1; length], offered).unwrap_err();
            assert_eq!(error, LayerError::Length(length));
        }
    }

    #[test]
    fn who_the_client_acts_as_is_text() {
        let of = |authzid: &[u8]| {
            let answer = [&[1, 0, 0, 0], authzid].concat();
            chosen(&answer, Layers::ANY).map(|(_, authzid)| authzid)
        };
        assert_eq!(of(b""), Ok(None));
        assert_eq!(of("bøb".as_bytes()), Ok(Some("bøb".to_owned())));
        for other in [&b"\xff"[..], b"bob\0", b"\0", b"b\xc3"] {
            assert_eq!(of(other), Err(LayerError::Authzid), "{other:x?}");
        }
    }
}
