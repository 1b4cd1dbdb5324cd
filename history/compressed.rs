//! Unpacks gzip and Zstandard, found by their first bytes.

use std::io::{self, Read};

/// What a file is packed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Packing {
    Gzip,
    Zstandard,
}

impl Packing {
    /// How a file that begins with `bytes` is packed, if it is.
    pub(crate) fn of(bytes: &[u8]) -> Option<Packing> {
        match bytes {
            [0x1f, 0x8b, ..] => Some(Packing::Gzip),
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Some(Packing::Zstandard),
            _ => None,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Packing::Gzip => "gzip",
            Packing::Zstandard => "Zstandard",
        }
    }

    /// The unpacked bytes. What is wrong with the packing is an error of kind `InvalidData` or `UnexpectedEof`.
    #[cfg(feature = "compressed")]
    pub(crate) fn unpack(self, packed: Box<dyn Read + Send>) -> io::Result<Box<dyn Read + Send>> {
        let packed = io::BufReader::with_capacity(1 << 16, packed);
        Ok(match self {
            Packing::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(packed)),
            Packing::Zstandard => Box::new(Frames { next: Some(packed), frame: None }),
        })
    }

    #[cfg(not(feature = "compressed"))]
    pub(crate) fn unpack(self, _: Box<dyn Read + Send>) -> io::Result<Box<dyn Read + Send>> {
        Err(io::Error::new(io::ErrorKind::Unsupported, "this build reads no compressed files"))
    }
}

/// The frames of a Zstandard file, one after the other.
#[cfg(feature = "compressed")]
struct Frames {
    next: Option<io::BufReader<Box<dyn Read + Send>>>,
    frame: Option<Frame>,
}

#[cfg(feature = "compressed")]
type Frame =
    ruzstd::decoding::StreamingDecoder<io::BufReader<Box<dyn Read + Send>>, ruzstd::decoding::FrameDecoder>;

#[cfg(feature = "compressed")]
impl Read for Frames {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        use std::io::BufRead;
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            if let Some(frame) = &mut self.frame {
                let count = frame.read(buffer).map_err(invalid)?;
                if count > 0 {
                    return Ok(count);
                }
            }
            if let Some(frame) = self.frame.take() {
                self.next = Some(frame.into_inner());
            }
            let Some(mut packed) = self.next.take() else { return Ok(0) };
            if packed.fill_buf()?.is_empty() {
                return Ok(0);
            }
            self.frame = Some(Frame::new(packed).map_err(invalid)?);
        }
    }
}

#[cfg(feature = "compressed")]
fn invalid(error: impl std::fmt::Display) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error.to_string())
}
