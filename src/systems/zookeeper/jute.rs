//! The bytes of ZooKeeper's client protocol: records in big-endian order, each behind its length.

/// A record that is being written.
#[derive(Debug, Default)]
pub struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    /// A flag.
    pub fn bool(mut self, value: bool) -> Writer {
        self.bytes.push(u8::from(value));
        self
    }

    /// A number of four bytes.
    pub fn int(mut self, value: i32) -> Writer {
        self.bytes.extend(value.to_be_bytes());
        self
    }

    /// A number of eight bytes.
    pub fn long(mut self, value: i64) -> Writer {
        self.bytes.extend(value.to_be_bytes());
        self
    }

    /// Bytes behind their number.
    pub fn buffer(self, value: &[u8]) -> Writer {
        // What is written here is never near two gigabytes: values of histories, and paths of them.
        let mut writer = self.int(value.len() as i32);
        writer.bytes.extend_from_slice(value);
        writer
    }

    /// Text.
    pub fn text(self, value: &str) -> Writer {
        self.buffer(value.as_bytes())
    }

    /// The record behind its length, as it travels.
    pub fn frame(self) -> Vec<u8> {
        Writer::default().buffer(&self.bytes).bytes
    }
}

/// A record that is being read.
#[derive(Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    /// From its first byte on.
    pub fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { bytes }
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], String> {
        let (taken, rest) = self
            .bytes
            .split_at_checked(length)
            .ok_or_else(|| format!("a record that ends {} bytes too early", length - self.bytes.len()))?;
        self.bytes = rest;
        Ok(taken)
    }

    /// A number of four bytes.
    pub fn int(&mut self) -> Result<i32, String> {
        let bytes = self.take(4)?.try_into().map_err(|_| "four bytes".to_string())?;
        Ok(i32::from_be_bytes(bytes))
    }

    /// A number of eight bytes.
    pub fn long(&mut self) -> Result<i64, String> {
        let bytes = self.take(8)?.try_into().map_err(|_| "eight bytes".to_string())?;
        Ok(i64::from_be_bytes(bytes))
    }

    /// Bytes behind their number; no bytes are written as −1.
    pub fn buffer(&mut self) -> Result<&'a [u8], String> {
        let length = self.int()?;
        if length == -1 {
            return Ok(&[]);
        }
        let length = usize::try_from(length).map_err(|_| format!("a field of length {length}"))?;
        self.take(length)
    }

    /// Text.
    pub fn text(&mut self) -> Result<&'a str, String> {
        std::str::from_utf8(self.buffer()?).map_err(|e| format!("a text: {e}"))
    }

    /// Texts behind their number.
    pub fn texts(&mut self) -> Result<Vec<&'a str>, String> {
        let count = self.int()?;
        (0..count.max(0)).map(|_| self.text()).collect()
    }

    /// Whatever is left, which nothing here knows: later versions add fields behind the ones of earlier ones.
    pub fn rest(self) -> &'a [u8] {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let frame = Writer::default().int(-4).bool(true).long(1 << 40).text("/a/ä").buffer(&[]).frame();
        assert_eq!(frame[..4], (frame.len() as u32 - 4).to_be_bytes());
        let mut reader = Reader::new(&frame[4..]);
        assert_eq!(reader.int(), Ok(-4));
        assert_eq!(reader.take(1), Ok(&[1u8][..]));
        assert_eq!(reader.long(), Ok(1 << 40));
        assert_eq!(reader.text(), Ok("/a/ä"));
        assert_eq!(reader.buffer(), Ok(&[][..]));
        assert_eq!(reader.rest(), [0u8; 0]);
    }

    #[test]
    fn a_record_that_is_cut_short_or_lies_about_its_length_is_an_error() {
        assert!(Reader::new(&[0, 0, 0]).int().unwrap_err().contains("1 bytes too early"));
        assert!(Reader::new(&[0, 0, 0, 9, b'x']).text().unwrap_err().contains("8 bytes too early"));
        assert!(Reader::new(&[0xff, 0xff, 0xff, 0xf0]).buffer().unwrap_err().contains("length -16"));
        assert!(Reader::new(&[0, 0, 0, 1, 0xff]).text().is_err());
        assert_eq!(Reader::new(&[0xff, 0xff, 0xff, 0xff]).buffer(), Ok(&[][..]));
        assert!(Reader::new(&[0x7f, 0xff, 0xff, 0xff]).texts().is_err());
    }
}
