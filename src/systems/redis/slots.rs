//! Which primary of a cluster has which keys: a key is in one of 16384 slots, and each slot has an owner.

use super::resp::Reply;

/// How many slots there are.
pub const SLOTS: u16 = 16384;

/// The slot of a key: of what stands in its first pair of braces, if anything does, so that keys can be kept together.
pub fn slot(key: &[u8]) -> u16 {
    let tag = || {
        let open = key.iter().position(|byte| *byte == b'{')? + 1;
        let length = key[open..].iter().position(|byte| *byte == b'}')?;
        (length > 0).then(|| &key[open..open + length])
    };
    crc(tag().unwrap_or(key)) % SLOTS
}

/// CRC-16/XMODEM: polynomial 0x1021, from 0, nothing reflected.
fn crc(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, byte| {
        (0..8).fold(crc ^ (u16::from(*byte) << 8), |crc, _| {
            if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 }
        })
    })
}

/// Slots and who owns them: the first and the last slot, and the owner's address and port.
pub type Owners = Vec<(u16, u16, (String, u16))>;

/// The owners, from the answer to `CLUSTER SLOTS`.
pub fn owners(reply: &Reply) -> Result<Owners, String> {
    let number = |reply: &Reply| -> Result<u16, String> {
        let number = reply.int()?;
        u16::try_from(number).map_err(|_| format!("a slot or port {number}"))
    };
    let range = |range: &Reply| {
        let primary = range.part(2)?;
        let owner = (primary.part(0)?.text()?.to_string(), number(primary.part(1)?)?);
        Ok((number(range.part(0)?)?, number(range.part(1)?)?, owner))
    };
    reply.list()?.iter().map(range).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::systems::redis::resp::parse;

    #[test]
    fn keys_are_in_the_slots_that_redis_says() {
        // What `CLUSTER KEYSLOT` of Redis 7.0.15 answers.
        assert_eq!(slot(b"123456789"), 12739);
        assert_eq!(slot(b"foo"), 12182);
        assert_eq!(slot(b"{user1000}.following"), slot(b"user1000"));
        assert_eq!(slot(b"foo{}{bar}"), slot(b"foo{}{bar}"));
        assert_eq!(slot(b"foo{}{bar}"), 8363);
        assert_eq!(slot(b"foo{{bar}}zap"), slot(b"{bar"));
    }

    #[test]
    fn owners_are_read_from_what_a_node_answers() {
        let said = b"*1\r\n*3\r\n:0\r\n:5460\r\n*4\r\n$9\r\n10.77.0.1\r\n:6379\r\n$2\r\nid\r\n*0\r\n";
        let (reply, _) = parse(said).unwrap().unwrap();
        assert_eq!(owners(&reply), Ok(vec![(0, 5460, ("10.77.0.1".to_string(), 6379))]));
        assert!(owners(&Reply::Word("OK".into())).is_err());
    }
}
