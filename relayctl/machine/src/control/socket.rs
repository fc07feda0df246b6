//! The socket in a capture's folder.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use relay_decode::capture::CONTROL;

/// The longest path of a unix socket, in bytes (unix(7), `sun_path` without its last 0).
const MAX_PATH: usize = 107;

/// Calls `act` with a path of the socket `name` in `folder` that is short enough for one.
fn with_path<T>(
    folder: &Path,
    name: &str,
    act: impl FnOnce(&Path) -> io::Result<T>,
) -> io::Result<T> {
    let path = folder.join(name);
    if path.as_os_str().len() <= MAX_PATH {
        return act(&path);
    }
    // The folder by its number, which is open meanwhile.
    let folder = File::open(folder)?;
    act(Path::new(&format!(
        "/proc/self/fd/{}/{name}",
        folder.as_raw_fd()
    )))
}

/// Connects to the socket in a capture's folder.
pub(super) fn connect(folder: &Path) -> io::Result<UnixStream> {
    with_path(folder, CONTROL, |path| UnixStream::connect(path))
}

/// A socket that is listened at. It is removed when this is dropped.
#[derive(Debug)]
pub(super) struct Socket {
    folder: PathBuf,
    /// Tells it from another one that somebody may have put in its place.
    inode: u64,
}

impl Socket {
    /// Makes it in `folder`, in place of one that was left there. Nobody else than the user could
    /// connect to it at any time.
    pub(super) fn bind(folder: &Path) -> io::Result<(Self, UnixListener)> {
        let path = folder.join(CONTROL);
        // Made in a folder that nobody else gets into, and moved when its mode is right.
        let closed = folder.join(format!("{CONTROL}.new"));
        let _ = fs::remove_dir_all(&closed);
        DirBuilder::new().mode(0o700).create(&closed)?;
        let made = with_path(&closed, "s", |path| UnixListener::bind(path)).and_then(|listener| {
            let new = closed.join("s");
            fs::set_permissions(&new, Permissions::from_mode(0o600))?;
            let inode = fs::metadata(&new)?.ino();
            fs::rename(&new, &path)?;
            let folder = folder.to_owned();
            Ok((Self { folder, inode }, listener))
        });
        let _ = fs::remove_dir_all(&closed);
        made
    }

    /// The folder.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let path = self.folder.join(CONTROL);
        if fs::symlink_metadata(&path).is_ok_and(|is| is.ino() == self.inode) {
            // There is nobody to tell.
            let _ = fs::remove_file(&path);
        }
    }
}

#[cfg(test)]
mod tests {
    use relay_decode::capture::Scratch;

    use super::*;

    #[test]
    fn it_is_there_for_the_user_alone_and_goes_in_the_end() {
        let scratch = Scratch::new().expect("it is writable");
        for name in ["short".to_owned(), "long".repeat(50)] {
            let folder = scratch.path().join(name);
            fs::create_dir(&folder).expect("it is writable");
            let path = folder.join(CONTROL);
            fs::write(&path, "left").expect("it is writable");
            let (socket, listener) = Socket::bind(&folder).expect("there are sockets");
            let mode = fs::metadata(&path).expect("it is there").mode();
            assert_eq!(mode & 0o777, 0o600);
            connect(&folder).expect("it is listened at");
            listener.accept().expect("somebody has come");
            let names = fs::read_dir(&folder).expect("it is there").count();
            assert_eq!(names, 1, "nothing else was left");
            drop(socket);
            assert!(!path.exists());
            let error = connect(&folder).expect_err("nobody is there");
            assert_eq!(error.kind(), io::ErrorKind::NotFound);
        }
    }

    #[test]
    fn one_that_another_has_put_in_its_place_stays() {
        let scratch = Scratch::new().expect("it is writable");
        let (first, _listener) = Socket::bind(scratch.path()).expect("there are sockets");
        let (_second, _other) = Socket::bind(scratch.path()).expect("there are sockets");
        drop(first);
        connect(scratch.path()).expect("the second one is there");
    }
}
