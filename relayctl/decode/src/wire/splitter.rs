//! Finds packets in a stream of bytes.

use memchr::memmem;
use relay_format::packet::{MAGIC, SIZE as HEADER_SIZE};

use super::header::Header;

/// The largest packet that is taken for one, in bytes. The format allows more;
/// a kernel's sub-buffers are smaller, and a damaged size must not make this
/// side collect bytes without end.
pub const MAX_PACKET: u64 = 64 << 20;

/// Where the bytes come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// From a guest that runs: every packet is handed on as soon as it is whole. One that has
    /// other packets in it waits for what follows: it may have been cut off, by a reset of the
    /// machine for example.
    Live,
    /// From a file: what follows a packet is there, too.
    ///
    /// In both, a packet that nothing sound follows, but that has other packets in it, has a wrong
    /// size or was cut off; it is given up, and not they.
    Stored,
}

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// A whole packet.
    Packet(&'a Header, &'a [u8]),
    /// Bytes that are no whole packet.
    Fragment(&'a [u8]),
}

/// What the bytes at a place are.
enum Found {
    /// More bytes are needed to tell.
    More,
    /// So many bytes of no packet.
    Garbage(usize),
    /// A packet.
    Packet(Header),
}

/// Cuts a stream of bytes, which come in chunks of any length, into packets and
/// what is none. It keeps no more than one packet.
#[derive(Debug)]
pub struct Splitter {
    /// Where the bytes come from.
    kind: Kind,
    /// Bytes of the packet that is not whole yet.
    rest: Vec<u8>,
}

impl Splitter {
    /// Creates a splitter.
    #[must_use]
    pub fn new(kind: Kind) -> Self {
        Self {
            kind,
            rest: Vec::new(),
        }
    }

    /// Takes the next bytes and hands over what they complete, in order: all
    /// bytes, each once.
    ///
    /// # Errors
    ///
    /// The first that `found` returns. The splitter is useless after it.
    pub fn push<E>(
        &mut self,
        mut chunk: &[u8],
        mut found: impl FnMut(Piece<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        while !chunk.is_empty() {
            if self.rest.is_empty() {
                // No byte is copied as long as packets lie whole in the chunk.
                let taken = self.take(chunk, false, &mut found)?;
                self.rest.extend_from_slice(&chunk[taken..]);
                return Ok(());
            }
            let mut wanted = self.wanted().saturating_sub(self.rest.len()).max(1);
            if self.kind == Kind::Stored || self.rest.len() > 4 << 20 {
                // What is given up moves all the bytes behind it: not for every header.
                wanted = wanted.max(1 << 20);
            }
            let (now, later) = chunk.split_at(wanted.min(chunk.len()));
            self.rest.extend_from_slice(now);
            chunk = later;
            let rest = std::mem::take(&mut self.rest);
            let taken = self.take(&rest, false, &mut found)?;
            self.keep(rest, taken);
        }
        Ok(())
    }

    /// Hands over what is left: there will be no more bytes.
    ///
    /// # Errors
    ///
    /// The first that `found` returns.
    pub fn finish<E>(
        &mut self,
        mut found: impl FnMut(Piece<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let rest = std::mem::take(&mut self.rest);
        self.take(&rest, true, &mut found).map(|_| ())
    }

    /// Bytes that must be there before it is worth looking again.
    fn wanted(&self) -> usize {
        let size = match Header::of(&self.rest) {
            None => HEADER_SIZE,
            Some(Ok(header)) => usize::try_from(header.packet_size).unwrap_or(usize::MAX),
            Some(Err(_)) => 0,
        };
        match self.kind {
            Kind::Live if self.rest.len() < size => size,
            // And the header of the next one.
            Kind::Live | Kind::Stored => size.saturating_add(HEADER_SIZE),
        }
    }

    /// Keeps what was not taken. The memory of a large packet is given back.
    fn keep(&mut self, mut rest: Vec<u8>, taken: usize) {
        rest.drain(..taken);
        if rest.capacity() > 4 << 20 && rest.len() < 1 << 20 {
            rest.shrink_to(1 << 20);
        }
        self.rest = rest;
    }

    /// Hands over what can be told about `bytes`, and says how many that were.
    fn take<E>(
        &self,
        bytes: &[u8],
        last: bool,
        found: &mut impl FnMut(Piece<'_>) -> Result<(), E>,
    ) -> Result<usize, E> {
        let mut at = 0;
        // Garbage is handed over in one piece as far as it is known.
        let mut garbage = 0;
        loop {
            let step = match self.look(&bytes[at..], last) {
                Found::Packet(header) => {
                    if at > garbage {
                        found(Piece::Fragment(&bytes[garbage..at]))?;
                    }
                    // `look` has seen all of it.
                    let size = usize::try_from(header.packet_size).unwrap_or(usize::MAX);
                    let end = at.saturating_add(size).min(bytes.len());
                    found(Piece::Packet(&header, &bytes[at..end]))?;
                    garbage = end;
                    end - at
                }
                Found::Garbage(length) => length,
                Found::More => break,
            };
            at += step;
        }
        if at > garbage {
            found(Piece::Fragment(&bytes[garbage..at]))?;
        }
        Ok(at)
    }

    /// Says what `bytes` begin with.
    fn look(&self, bytes: &[u8], last: bool) -> Found {
        if bytes.is_empty() {
            return Found::More;
        }
        let garbage = || Found::Garbage(next_magic(bytes, last));
        let header = match Header::of(bytes) {
            Some(Ok(header)) if header.packet_size <= MAX_PACKET => header,
            Some(_) => return garbage(),
            None if could_be_magic(bytes) && !last => return Found::More,
            None => return garbage(),
        };
        let size = usize::try_from(header.packet_size).unwrap_or(usize::MAX);
        if bytes.len() < size {
            return match last {
                true => garbage(),
                false => Found::More,
            };
        }
        let is_doubtful = match self.kind {
            Kind::Live => has_inner(&header, bytes, size),
            Kind::Stored => true,
        };
        if is_doubtful {
            let behind = &bytes[size..];
            let followed = behind.starts_with(&MAGIC.to_le_bytes());
            if !followed && behind.len() < HEADER_SIZE && !last {
                return Found::More;
            }
            if !followed
                && !behind.is_empty()
                && let Some(inner) = inner_packet(&header, bytes, size)
            {
                return Found::Garbage(inner);
            }
        }
        Found::Packet(header)
    }
}

/// Whether bytes, fewer than a header, may be the beginning of one.
fn could_be_magic(bytes: &[u8]) -> bool {
    let magic = MAGIC.to_le_bytes();
    let length = bytes.len().min(magic.len());
    bytes[..length] == magic[..length]
}

/// Where, after the first byte, the next packet may begin; the end if nowhere.
fn next_magic(bytes: &[u8], last: bool) -> usize {
    let magic = MAGIC.to_le_bytes();
    let mut at = 1;
    while at < bytes.len() {
        // The first byte is looked for with the library's fast search.
        match bytes[at..].iter().position(|byte| *byte == magic[0]) {
            None => return bytes.len(),
            Some(skip) => at += skip,
        }
        let rest = &bytes[at..];
        if rest.starts_with(&magic) || (!last && rest.len() < 4 && could_be_magic(rest)) {
            return at;
        }
        at += 1;
    }
    bytes.len()
}

/// Where within the first `size` bytes of `bytes`, which are a packet's by its header, others may
/// begin.
fn inner_places(bytes: &[u8], size: usize) -> impl Iterator<Item = usize> {
    const BEGIN: &[u8] = &MAGIC.to_le_bytes();
    let within = bytes.get(1..).unwrap_or_default();
    let places = memmem::find_iter(within, BEGIN).map(|at| at + 1);
    places.take_while(move |at| *at < size)
}

/// Whether `inner`, at a place within the first `size` bytes, is a packet, and not what somebody
/// has written into one. One of another boot must look more like one.
fn is_inner(outer: &Header, inner: &Header, bytes: &[u8], at: usize, size: usize) -> bool {
    let end = usize::try_from(inner.packet_size).map_or(usize::MAX, |size| at.saturating_add(size));
    let is_followed = |end| {
        let behind: Option<&[u8]> = bytes.get(end..);
        behind.is_some_and(|behind| behind.starts_with(&MAGIC.to_le_bytes()))
    };
    inner.uuid == outer.uuid || end > size || is_followed(end)
}

/// Where within the first `size` bytes another packet begins.
fn inner_packet(outer: &Header, bytes: &[u8], size: usize) -> Option<usize> {
    inner_places(bytes, size).find(|at| match Header::of(&bytes[*at..]) {
        Some(Ok(inner)) => is_inner(outer, &inner, bytes, *at, size),
        Some(Err(_)) | None => false,
    })
}

/// Whether there is one, or may be, as far as can be told when nothing more has come.
fn has_inner(outer: &Header, bytes: &[u8], size: usize) -> bool {
    inner_places(bytes, size).any(|at| match Header::of(&bytes[at..]) {
        Some(Ok(inner)) => is_inner(outer, &inner, bytes, at, size),
        Some(Err(_)) => false,
        None => true,
    })
}
