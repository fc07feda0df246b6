//! The ramdisk: an archive of the programs that the kernel runs.
//!
//! It is a `tar` file in the format ustar: plain names, files of mode 0755, no owner, no time, in the
//! order of their names. The same programs make the same bytes. Of each program it has what the
//! kernel loads: what debuggers want stays in the file that cargo has built.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use object::elf::{FileHeader64, PT_LOAD};
use object::read::elf::{FileHeader as _, ProgramHeader as _};
use object::{Endianness, LittleEndian};

/// The longest name of a program, in bytes.
pub const NAME_BYTES: usize = 64;

/// Writes the archive of these programs to a file, if that does not have it already. A reader of the
/// file sees all of it or what was there before.
///
/// # Errors
///
/// When a program cannot be read, or the file cannot be written.
pub fn write(programs: &[PathBuf], to: &Path) -> io::Result<()> {
    let read = |path: &PathBuf| -> io::Result<(String, Vec<u8>)> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        Ok((name.into_owned(), fs::read(path)?))
    };
    let programs: Vec<_> = programs.iter().map(read).collect::<io::Result<_>>()?;
    let bytes = pack(&programs)?;
    if fs::read(to).is_ok_and(|there| there == bytes) {
        return Ok(());
    }
    let aside = to.with_extension(format!("{}.tmp", std::process::id()));
    let written = fs::File::create(&aside)
        .and_then(|mut file| file.write_all(&bytes))
        .and_then(|()| fs::rename(&aside, to));
    if written.is_err() {
        // It may not be there.
        let _ = fs::remove_file(&aside);
    }
    written
}

/// The archive of these programs, by name.
///
/// # Errors
///
/// When a name is too long, or there twice.
pub fn pack(programs: &[(String, Vec<u8>)]) -> io::Result<Vec<u8>> {
    let mut programs: Vec<_> = programs.iter().collect();
    programs.sort_by_key(|(name, _)| name);
    let mut archive = tar::Builder::new(Vec::new());
    let mut before = None;
    for (name, bytes) in programs {
        if name.is_empty() || name.len() > NAME_BYTES || before == Some(name) {
            let what = format!("'{name}' is no name for a program, or there are two of it");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
        }
        before = Some(name);
        let bytes = loaded(bytes);
        let mut header = tar::Header::new_ustar();
        header.set_path(name)?;
        header.set_size(bytes.len() as u64);
        header.set_mode(0o755);
        header.set_mtime(0);
        header.set_uid(0);
        header.set_gid(0);
        header.set_entry_type(tar::EntryType::Regular);
        header.set_cksum();
        archive.append(&header, bytes.as_slice())?;
    }
    archive.into_inner()
}

/// What a loader needs of an ELF file: its headers and its segments, without sections. What is no
/// such file stays as it is.
fn loaded(elf: &[u8]) -> Vec<u8> {
    match segments_end(elf).and_then(|end| elf.get(..end)) {
        Some(needed) if needed.len() >= size_of::<FileHeader64<Endianness>>() => {
            let mut needed = needed.to_vec();
            // e_shoff; e_shnum and e_shstrndx: there are no sections.
            needed[0x28..0x30].fill(0);
            needed[0x3c..0x40].fill(0);
            needed
        }
        _ => elf.to_vec(),
    }
}

/// Where the last of what is loaded ends in an ELF file of 64 bits, little-endian.
fn segments_end(elf: &[u8]) -> Option<usize> {
    let header = FileHeader64::<LittleEndian>::parse(elf).ok()?;
    let endian = header.endian().ok()?;
    let segments = header.program_headers(endian, elf).ok()?;
    let size = u64::from(header.e_phentsize(endian));
    let table = header.e_phoff(endian) + size * segments.len() as u64;
    let ends = segments
        .iter()
        .filter(|segment| segment.p_type(endian) == PT_LOAD)
        .filter_map(|segment| {
            segment
                .p_offset(endian)
                .checked_add(segment.p_filesz(endian))
        });
    usize::try_from(ends.fold(table, u64::max)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;

    fn programs() -> Vec<(String, Vec<u8>)> {
        vec![
            ("readers".to_owned(), vec![7; 1000]),
            ("init".to_owned(), b"no ELF file".to_vec()),
        ]
    }

    #[test]
    fn the_same_programs_make_the_same_bytes() {
        let one = pack(&programs()).expect("it can be packed");
        let mut others = programs();
        others.reverse();
        assert_eq!(one, pack(&others).expect("it can be packed"));
        // Two headers, one and two blocks of contents, and two empty blocks at the end.
        assert_eq!(one.len(), 512 * (2 + 1 + 2 + 2));
    }

    #[test]
    fn what_is_packed_is_what_a_reader_finds() {
        let bytes = pack(&programs()).expect("it can be packed");
        let mut archive = tar::Archive::new(bytes.as_slice());
        let mut found = Vec::new();
        for entry in archive.entries().expect("it is an archive") {
            let mut entry = entry.expect("it is an entry");
            let header = entry.header().clone();
            assert!(header.as_ustar().is_some());
            assert_eq!(header.mode().expect("it has one"), 0o755);
            assert_eq!(header.mtime().expect("it has one"), 0);
            assert_eq!(header.uid().expect("it has one"), 0);
            let name = entry.path().expect("it has one").display().to_string();
            let mut contents = Vec::new();
            entry.read_to_end(&mut contents).expect("it can be read");
            found.push((name, contents));
        }
        let mut wanted = programs();
        wanted.reverse();
        assert_eq!(found, wanted);
    }

    #[test]
    fn names_that_cannot_be_found_are_refused() {
        for names in [&["a", "a"][..], &[""], &["x".repeat(65).as_str()]] {
            let programs = names.iter().map(|name| ((*name).to_owned(), vec![1]));
            assert!(pack(&programs.collect::<Vec<_>>()).is_err(), "{names:?}");
        }
    }

    #[test]
    fn only_what_is_loaded_of_a_program_is_packed() {
        // The tests are an ELF file, if this is a machine of that kind.
        let own = std::env::current_exe().expect("it has a path");
        let own = fs::read(own).expect("it can be read");
        let small = loaded(&own);
        assert!(small.len() < own.len(), "{} bytes", small.len());
        assert_eq!(small[..0x28], own[..0x28]);
        assert_eq!(segments_end(&small), Some(small.len()));
        assert_eq!(small[0x40..], own[0x40..small.len()]);
        assert_eq!(
            (&small[0x28..0x30], &small[0x3c..0x40]),
            (&[0; 8][..], &[0; 4][..])
        );
        for (length, bytes) in [(0, &[][..]), (4, b"\x7fELF"), (64, &own[..64])] {
            assert_eq!(loaded(bytes).len(), length);
        }
    }

    #[test]
    fn the_file_is_written_once() {
        let folder = std::env::temp_dir().join(format!("relay-archive-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("it can be made");
        let (program, to) = (folder.join("hello"), folder.join("ramdisk.tar"));
        fs::write(&program, b"hello").expect("it can be written");
        write(std::slice::from_ref(&program), &to).expect("it can be written");
        let at = fs::metadata(&to).and_then(|at| at.modified()).ok();
        write(&[program], &to).expect("it can be written");
        assert_eq!(fs::metadata(&to).and_then(|at| at.modified()).ok(), at);
        let missing = write(&[folder.join("nothing")], &to);
        assert!(missing.is_err());
        assert_eq!(fs::read_dir(&folder).expect("it is there").count(), 2);
        fs::remove_dir_all(&folder).expect("it can be removed");
    }
}
