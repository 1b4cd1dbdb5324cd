//! Packets of chosen links as a file that Wireshark and tcpdump read (pcap, raw IP, nanoseconds).

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// pcap with nanoseconds.
const MAGIC: u32 = 0xa1b2_3c4d;
/// Packets begin with the header of the internet protocol.
const LINKTYPE_RAW: u32 = 101;
const PACKET_MAX: u32 = 65_535;

/// A capture that is being written.
#[derive(Debug)]
pub struct Capture {
    file: BufWriter<File>,
    /// The first error; nothing is written after it.
    error: Option<io::Error>,
}

impl Capture {
    /// Begins a new file.
    pub fn create(path: &Path) -> io::Result<Capture> {
        let mut file = BufWriter::new(File::create(path)?);
        for word in [MAGIC, 0x0004_0002, 0, 0, PACKET_MAX, LINKTYPE_RAW] {
            file.write_all(&word.to_ne_bytes())?;
        }
        Ok(Capture { file, error: None })
    }

    /// A packet as it arrived.
    pub fn packet(&mut self, at: SystemTime, packet: &[u8]) {
        if self.error.is_some() {
            return;
        }
        let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
        let length = packet.len() as u32;
        let mut head = [0; 16];
        for (to, word) in
            head.chunks_exact_mut(4).zip([since.as_secs() as u32, since.subsec_nanos(), length, length])
        {
            to.copy_from_slice(&word.to_ne_bytes());
        }
        let written = self.file.write_all(&head).and_then(|()| self.file.write_all(packet));
        self.error = written.err();
    }

    /// Writes what is held back.
    pub fn flush(&mut self) {
        if self.error.is_none() {
            self.error = self.file.flush().err();
        }
    }

    /// Writes what is held back, for the last time. The first error since the beginning, if there was one.
    pub fn finish(mut self) -> io::Result<()> {
        match self.error.take() {
            Some(error) => Err(error),
            None => self.file.flush(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn the_file_is_laid_out_as_others_read_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("links.pcap");
        let mut capture = Capture::create(&path).unwrap();
        capture.packet(UNIX_EPOCH + Duration::new(5, 7), &[0x45, 1, 2]);
        capture.finish().unwrap();
        let bytes = std::fs::read(path).unwrap();
        let words: Vec<u32> =
            bytes[..40].chunks(4).map(|w| u32::from_ne_bytes(w.try_into().unwrap())).collect();
        assert_eq!(words, [MAGIC, 0x0004_0002, 0, 0, 65_535, 101, 5, 7, 3, 3]);
        assert_eq!(bytes[40..], [0x45, 1, 2]);
    }
}
