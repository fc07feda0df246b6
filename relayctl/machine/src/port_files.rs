//! Files in place of the guest's ports. QEMU writes what the guest sends into them, at once and
//! completely, so that nothing that the host does can reach the guest: with a clock that counts
//! instructions a run is then the same each time, byte for byte.

use std::env;
use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;

use relay_decode::capture::{Capture, Port, Scratch};

use crate::guest::Wires;

/// How much is read at once, in bytes.
const CHUNK: usize = 1 << 18;

/// The files of one guest: of the ports of its CPUs, and of the one for panics.
#[derive(Debug)]
pub struct PortFiles {
    /// Where they lie.
    folder: Scratch,
    /// Who gets their bytes, in the order of the ports.
    ports: Vec<Port>,
}

impl PortFiles {
    /// A folder for the files of so many ports of CPUs, and of the one for panics, whose bytes
    /// `capture` gets in the end.
    ///
    /// # Errors
    ///
    /// When the folder cannot be made.
    pub fn create(capture: &Capture, count: u32) -> io::Result<Self> {
        Ok(Self {
            folder: Scratch::within(&env::temp_dir())?,
            ports: (0..=count).map(|number| capture.port(number)).collect(),
        })
    }

    /// What the guest has to have.
    #[must_use]
    pub fn wires(&self) -> Wires {
        let count = u32::try_from(self.ports.len() - 1).unwrap_or(u32::MAX);
        Wires::Files(count, self.folder.path().to_owned())
    }

    /// Gives the capture what the files have. When the guest has ended.
    ///
    /// # Errors
    ///
    /// When a file cannot be read; one that is not there is a port that QEMU has not opened.
    pub fn finish(self) -> io::Result<()> {
        let names: Vec<_> = (0..self.ports.len())
            .map(|number| self.name(number))
            .collect();
        for (mut port, path) in self.ports.into_iter().zip(names) {
            read(&path, |chunk| port.push(chunk))?;
            port.finish();
        }
        Ok(())
    }

    /// The file of a port, as the runner script names it.
    fn name(&self, number: usize) -> PathBuf {
        self.folder.path().join(format!("port{number}"))
    }
}

/// Gives `take` all bytes of a file.
fn read(path: &PathBuf, mut take: impl FnMut(&[u8])) -> io::Result<()> {
    let mut file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        opened => opened?,
    };
    let mut chunk = vec![0; CHUNK];
    loop {
        match file.read(&mut chunk) {
            Ok(0) => return Ok(()),
            Ok(length) => take(&chunk[..length]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use relay_decode::capture::Options;
    use relay_decode::wire::Kind;

    use super::*;

    #[test]
    fn what_the_files_have_comes_to_the_capture() {
        let folder = Scratch::new().expect("it is writable");
        let out = folder.path().join("capture");
        let capture = Capture::create(&Options::new(&out, Kind::Live)).expect("it is writable");
        let files = PortFiles::create(&capture, 2).expect("it is writable");
        let Wires::Files(2, place) = files.wires() else {
            panic!("{:?}", files.wires());
        };
        for (port, length) in [(0, CHUNK + 1), (2, 7)] {
            let path = place.join(format!("port{port}"));
            fs::write(path, vec![b'x'; length]).expect("it is writable");
        }
        files.finish().expect("they are readable");
        assert_eq!(capture.totals().fragments, CHUNK as u64 + 8);
        assert!(!place.exists());
    }
}
