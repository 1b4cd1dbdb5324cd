//! Frames of AMQP 0-9-1, and the arguments of methods.
//!
//! ```text
//!   type 1 │ channel 2 │ size 4 │ payload │ 0xCE          1 method, 2 header of a message, 3 a piece of it, 8 heartbeat
//! ```

/// The longest frame that is read: more than the server was told that we take.
const READ_MAX: usize = 1 << 20;
const END: u8 = 0xCE;

/// A frame.
#[derive(Debug, PartialEq, Eq)]
pub enum Frame {
    /// A method with its arguments.
    Method(Method),
    /// How long the message is.
    Header(u64),
    /// A piece of it.
    Body(Vec<u8>),
    /// A sign of life.
    Heartbeat,
}

/// A method: what it is, and its arguments as far as they were not taken yet.
#[derive(Debug, PartialEq, Eq)]
pub struct Method {
    /// 60, basic
    pub class: u16,
    /// 80, ack
    pub number: u16,
    arguments: Vec<u8>,
}

impl Method {
    /// Whether a message follows: a return, a delivery, an answer to a get.
    pub fn carries_content(&self) -> bool {
        matches!((self.class, self.number), (60, 50 | 60 | 71))
    }

    fn bytes(&mut self, count: usize) -> Option<Vec<u8>> {
        let rest = self.arguments.split_off(self.arguments.len().min(count));
        let taken = std::mem::replace(&mut self.arguments, rest);
        (taken.len() == count).then_some(taken)
    }

    /// The next argument.
    pub fn u8(&mut self) -> Option<u8> {
        self.bytes(1).map(|bytes| bytes[0])
    }

    /// The next argument.
    pub fn u16(&mut self) -> Option<u16> {
        self.bytes(2)?.try_into().ok().map(u16::from_be_bytes)
    }

    /// The next argument.
    pub fn u64(&mut self) -> Option<u64> {
        self.bytes(8)?.try_into().ok().map(u64::from_be_bytes)
    }

    /// The next argument, a short text.
    pub fn short(&mut self) -> Option<String> {
        let length = self.u8()?;
        self.bytes(usize::from(length)).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }
}

impl Frame {
    /// The frame at the beginning of `bytes` and its length, if it is whole. O(its length).
    pub fn parse(bytes: &[u8]) -> Result<Option<(Frame, usize)>, String> {
        // Whoever speaks another version says so in the place of a frame.
        if bytes.first() == Some(&b'A') {
            return Err("it does not speak AMQP 0-9-1".into());
        }
        let Some(head) = bytes.get(..7) else {
            return match bytes.first() {
                Some(1..=3 | 8) | None => Ok(None),
                Some(other) => Err(format!("a frame of the type {other}")),
            };
        };
        let size = u32::from_be_bytes([head[3], head[4], head[5], head[6]]) as usize;
        if !matches!(head[0], 1..=3 | 8) || size > READ_MAX {
            return Err(format!("a frame of the type {} and {size} bytes", head[0]));
        }
        let Some(rest) = bytes.get(7..7 + size + 1) else { return Ok(None) };
        let (payload, end) = rest.split_at(size);
        if end != [END] {
            return Err("a frame that does not end where it says".into());
        }
        let short = || format!("a frame of the type {} with {size} bytes", head[0]);
        let frame = match head[0] {
            1 => {
                let (about, arguments) = payload.split_at_checked(4).ok_or_else(short)?;
                Frame::Method(Method {
                    class: u16::from_be_bytes([about[0], about[1]]),
                    number: u16::from_be_bytes([about[2], about[3]]),
                    arguments: arguments.to_vec(),
                })
            }
            2 => {
                let size = payload.get(4..12).and_then(|bytes| bytes.try_into().ok()).ok_or_else(short)?;
                Frame::Header(u64::from_be_bytes(size))
            }
            3 => Frame::Body(payload.to_vec()),
            _ => Frame::Heartbeat,
        };
        Ok(Some((frame, 7 + size + 1)))
    }
}

/// A method that is being written.
#[derive(Debug)]
pub struct Body(Vec<u8>);

impl Body {
    /// A method without arguments so far.
    pub fn new(class: u16, number: u16) -> Body {
        Body(Vec::new()).u16(class).u16(number)
    }

    /// Bits, the first the lowest.
    pub fn bits(mut self, bits: u8) -> Body {
        self.0.push(bits);
        self
    }

    /// A number.
    pub fn u16(mut self, number: u16) -> Body {
        self.0.extend(number.to_be_bytes());
        self
    }

    /// A number.
    pub fn u32(mut self, number: u32) -> Body {
        self.0.extend(number.to_be_bytes());
        self
    }

    /// A number.
    pub fn u64(mut self, number: u64) -> Body {
        self.0.extend(number.to_be_bytes());
        self
    }

    /// A text of at most 255 bytes.
    ///
    /// # Panics
    /// If it is longer.
    pub fn short(mut self, text: &str) -> Body {
        self.0.push(u8::try_from(text.len()).expect("a short text"));
        self.0.extend(text.as_bytes());
        self
    }

    /// Any bytes.
    pub fn long(mut self, bytes: &[u8]) -> Body {
        self.0.extend((bytes.len() as u32).to_be_bytes());
        self.0.extend(bytes);
        self
    }

    /// A table without entries.
    pub fn empty_table(self) -> Body {
        self.u32(0)
    }

    /// A table of texts.
    pub fn text_table(self, entries: &[(&str, &str)]) -> Body {
        let table = entries.iter().fold(Body(Vec::new()), |mut table, (name, value)| {
            table = table.short(name);
            table.0.push(b'S');
            table.long(value.as_bytes())
        });
        self.long(&table.0)
    }
}

fn frame(kind: u8, channel: u16, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![kind];
    bytes.extend(channel.to_be_bytes());
    bytes.extend((payload.len() as u32).to_be_bytes());
    bytes.extend(payload);
    bytes.push(END);
    bytes
}

/// The frame of a method.
pub fn method(channel: u16, body: Body) -> Vec<u8> {
    frame(1, channel, &body.0)
}

/// The frame that begins a message; `properties` are their flags and values.
pub fn header(channel: u16, class: u16, size: u64, properties: &[u8]) -> Vec<u8> {
    let mut head = Body::new(class, 0).u64(size);
    head.0.extend(properties);
    frame(2, channel, &head.0)
}

/// The frame of a piece of a message.
pub fn body(channel: u16, piece: &[u8]) -> Vec<u8> {
    frame(3, channel, piece)
}

/// A sign of life.
pub fn heartbeat() -> Vec<u8> {
    frame(8, 0, &[])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_read_whole_or_not_at_all() {
        let ack = method(1, Body::new(60, 80).u64(7).bits(1));
        let header = header(1, 60, 5, &[0x10, 0x00, 2]);
        for bytes in [&ack, &header, &body(1, b"hello"), &heartbeat()] {
            let parsed = Frame::parse(bytes).unwrap();
            assert_eq!(parsed.as_ref().map(|(_, length)| *length), Some(bytes.len()));
            for length in 0..bytes.len() {
                assert_eq!(Frame::parse(&bytes[..length]), Ok(None));
            }
        }
        let Ok(Some((Frame::Method(mut ack), _))) = Frame::parse(&ack) else { panic!("a method") };
        assert_eq!((ack.class, ack.number, ack.u64(), ack.u8(), ack.u8()), (60, 80, Some(7), Some(1), None));
        assert_eq!(Frame::parse(&header), Ok(Some((Frame::Header(5), header.len()))));
    }

    #[test]
    fn a_method_is_written_as_the_protocol_says() {
        let declare = Body::new(50, 10).u16(0).short("q").bits(2).text_table(&[("x-queue-type", "quorum")]);
        let bytes = method(1, declare);
        let expected: &[u8] =
            b"\x01\x00\x01\x00\x00\x00\x25\x00\x32\x00\x0a\x00\x00\x01q\x02\x00\x00\x00\x18\x0cx-queue-typeS\x00\x00\x00\x06quorum\xce";
        assert_eq!(bytes, expected);
    }

    #[test]
    fn what_is_no_frame_is_an_error() {
        for bytes in [
            &b"AMQP\x00\x01\x00\x00"[..],
            b"HTTP/1.1 400 Bad Request",
            b"\x01\x00\x01\xff\xff\xff\xff",
            b"\x08\x00\x00\x00\x00\x00\x00\x00",
            b"\x01\x00\x01\x00\x00\x00\x01\x00\xce",
            b"\x02\x00\x01\x00\x00\x00\x01\x00\xce",
        ] {
            assert!(Frame::parse(bytes).is_err(), "{bytes:?}");
        }
    }
}
