//! The third message of DCE style (MS-KILE §3.4.5.1): the client answers the service's AP-REP with one of its own.

use krb5_crypto::Key;
use wire::random::Random;
use wire::time::Timestamp;

use super::error::ApError;
use crate::messages::{ApRep, Const, EncApRepPart, EncryptedData, Word, encrypt};

/// What both sides know of the third message before it is sent.
pub struct ThirdLeg<'a> {
    /// The ticket's session key.
    pub session_key: &'a Key,
    /// Where the service's sequence numbers start: its AP-REP says so, and nobody but the client could read that.
    pub seq_number: u32,
}

impl ThirdLeg<'_> {
    /// The client's AP-REP. Its time is the sender's own and proves nothing.
    pub fn encode(&self, now: Timestamp, random: &dyn Random) -> Vec<u8> {
        let part = EncApRepPart {
            ctime: now.into(),
            cusec: now.into(),
            subkey: None,
            seq_number: Some(Word::from(self.seq_number)),
        };
        let cipher = encrypt(&part, self.session_key, random);
        ApRep {
            pvno: Const,
            msg_type: Const,
            enc_part: EncryptedData::new(self.session_key, None, &cipher),
        }
        .encode()
    }

    /// Verifies that `message` is the client's. The service's own AP-REP sent back has the same number under the same key, and
    /// is told apart by its subkey.
    pub fn verify(&self, message: &[u8]) -> Result<(), ApError> {
        let reply = ApRep::decode(message)?;
        let plaintext = (reply.enc_part)
            .decrypt::<EncApRepPart<'_>>(self.session_key)
            .map_err(|_| ApError::ReplyIntegrity)?;
        let part = EncApRepPart::decode(&plaintext)?;
        let ours = part.seq_number.map(Word::bits) == Some(self.seq_number);
        if !ours || part.subkey.is_some() {
            return Err(ApError::ReplyMismatch);
        }
        Ok(())
    }
}
