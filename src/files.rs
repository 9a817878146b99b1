//! Reads small files that others write: never a pipe, a device or an endless file, and for a few seconds at most. A
//! file system that does not answer holds up nothing else.

use std::fs::{self, File, FileType};
use std::io::{self, Read};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use zeroize::Zeroizing;

/// No file of certificates or their keys is larger.
pub const PEM_BYTES_MAX: u64 = 4 << 20;
/// How long a read may take: far more than any disk needs.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a file holds; wiped when it is dropped, since it may be a secret.
type Content = Zeroizing<Vec<u8>>;

/// Reads a file of at most this many bytes. The error is for people, and names the path.
///
/// # Errors
/// It cannot be read, is not a regular file, is larger, or does not answer.
pub fn read(path: &Path, bytes_max: u64) -> io::Result<Content> {
    Reading::of(path, bytes_max).read(PATIENCE)
}

/// A file that is read again and again.
#[derive(Debug)]
pub struct Reading {
    path: PathBuf,
    bytes_max: u64,
    /// A read that has not ended in time: no other begins until it does.
    begun: Option<Receiver<io::Result<Content>>>,
}

impl Reading {
    /// Nothing is read yet.
    #[must_use]
    pub fn of(path: &Path, bytes_max: u64) -> Self {
        Self { path: path.to_owned(), bytes_max, begun: None }
    }

    /// The file's path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// As [`read`], for this file.
    ///
    /// # Errors
    /// As [`read`].
    pub fn again(&mut self) -> io::Result<Content> {
        self.read(PATIENCE)
    }

    fn read(&mut self, patience: Duration) -> io::Result<Content> {
        let (begun, patience) = match self.begun.take() {
            Some(begun) => (begun, Duration::ZERO),
            None => (self.begin()?, patience),
        };
        match begun.recv_timeout(patience) {
            Ok(read) => read.map_err(|error| about(&self.path, &error)),
            Err(RecvTimeoutError::Timeout) => {
                self.begun = Some(begun);
                let error = "its file system does not answer: see whether what is mounted there is reachable";
                Err(about(&self.path, &io::Error::new(io::ErrorKind::TimedOut, error)))
            }
            Err(RecvTimeoutError::Disconnected) => Err(about(&self.path, &io::Error::other("reading it failed"))),
        }
    }

    fn begin(&self) -> io::Result<Receiver<io::Result<Content>>> {
        let (done, begun) = mpsc::sync_channel(1);
        let (path, bytes_max) = (self.path.clone(), self.bytes_max);
        thread::Builder::new().name("file".to_owned()).spawn(move || {
            // Nobody listens any more if the process gave up on it.
            let _ = done.send(read_now(&path, bytes_max));
        })?;
        Ok(begun)
    }
}

/// A file that several tasks read again and again, without holding up a worker of the runtime. Clones share what has been
/// begun, so that a file system that does not answer holds one thread, however often it is asked.
#[derive(Debug, Clone)]
pub struct SharedReading(Arc<Mutex<Reading>>);

impl SharedReading {
    /// Nothing is read yet.
    #[must_use]
    pub fn of(path: &Path, bytes_max: u64) -> Self {
        Self(Arc::new(Mutex::new(Reading::of(path, bytes_max))))
    }

    /// As [`read`], for this file.
    ///
    /// # Errors
    /// As [`read`].
    pub async fn again(&self) -> io::Result<Content> {
        let reading = self.0.clone();
        let read = move || reading.lock().unwrap_or_else(PoisonError::into_inner).again();
        tokio::task::spawn_blocking(read).await.unwrap_or_else(|_| Err(io::Error::other("reading a file failed")))
    }
}

fn about(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("file `{}` cannot be read: {error}", path.display()))
}

fn read_now(path: &Path, bytes_max: u64) -> io::Result<Content> {
    let invalid = |what: String| io::Error::new(io::ErrorKind::InvalidData, what);
    // Before it is opened: opening a pipe waits until somebody writes to it.
    if let Some(other) = no_file(fs::metadata(path)?.file_type()) {
        return Err(invalid(format!("it is a {other}; only a regular file is read")));
    }
    let mut bytes = Zeroizing::new(Vec::new());
    File::open(path)?.take(bytes_max.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > bytes_max {
        return Err(invalid(format!("it is larger than {bytes_max} bytes")));
    }
    Ok(bytes)
}

/// What it is, if it is not a regular file.
fn no_file(kind: FileType) -> Option<&'static str> {
    Some(match kind {
        _ if kind.is_file() => return None,
        _ if kind.is_dir() => "directory",
        _ if kind.is_fifo() => "pipe",
        _ if kind.is_socket() => "socket",
        _ => "device",
    })
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use rustix::fs::{CWD, Mode, mknodat};

    use super::*;

    #[test]
    fn only_a_regular_file_within_its_bound_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("file"), "12345").unwrap();
        assert_eq!(read(&path("file"), 5).unwrap().as_slice(), b"12345");
        let pipe = path("pipe");
        mknodat(CWD, &pipe, rustix::fs::FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        let began = Instant::now();
        for (file, expected) in [
            (path("file"), "larger than 4 bytes"),
            (pipe, "it is a pipe"),
            (folder.path().to_owned(), "it is a directory"),
            ("/dev/zero".into(), "it is a device"),
            (path("none"), "No such file"),
        ] {
            let error = read(&file, 4).unwrap_err().to_string();
            assert!(error.contains(expected) && error.contains(&file.display().to_string()), "{error}");
        }
        assert!(began.elapsed() < PATIENCE, "no read ran into the time limit");
    }

    #[test]
    fn a_file_that_does_not_answer_is_reported_and_read_only_once() {
        let folder = tempfile::tempdir().unwrap();
        let mut reading = Reading::of(&folder.path().join("file"), 9);
        let (done, begun) = mpsc::sync_channel(1);
        reading.begun = Some(begun);
        for _ in 0..3 {
            let error = reading.again().unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::TimedOut, "{error}");
        }
        done.send(Ok(Zeroizing::new(b"at last".to_vec()))).unwrap();
        assert_eq!(reading.again().unwrap().as_slice(), b"at last");
        assert_eq!(reading.again().unwrap_err().kind(), io::ErrorKind::NotFound, "it is read anew");
    }

    #[tokio::test]
    async fn all_readers_of_a_file_that_does_not_answer_share_one_thread_and_hold_up_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let shared = SharedReading::of(&folder.path().join("file"), 9);
        let (done, begun) = mpsc::sync_channel(1);
        shared.0.lock().unwrap().begun = Some(begun);
        let other = shared.clone();
        for reading in [&shared, &other, &shared] {
            assert_eq!(reading.again().await.unwrap_err().kind(), io::ErrorKind::TimedOut);
        }
        done.send(Ok(Zeroizing::new(b"at last".to_vec()))).unwrap();
        assert_eq!(other.again().await.unwrap().as_slice(), b"at last");
    }
}
