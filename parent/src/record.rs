//! A file with every frame of a context's links, for when something is odd.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    mem,
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
    sync::{Arc, Condvar, Mutex, PoisonError},
    thread::{self, JoinHandle},
    time::Instant,
};

use offshoot_bootstrap::Text;
use offshoot_core::{
    internal::Way,
    machine::LinkKey,
    wire::{Blob, ContextId, Frame, Handle, codec},
};
use serde::{Deserialize, Serialize};

use crate::nursery::lock;

/// Bytes that may wait for the disk; what is over it is counted and left out.
const BUFFER: usize = 16 << 20;
/// What a recording begins with.
const TITLE: &str = "offshoot recording 1";
/// What decoding one item may take beside its bytes, in bytes.
const ITEM_BUDGET: usize = 64 * 1024;

/// One item of a recording.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Recorded {
    /// A frame has passed.
    Frame(RecordedFrame),
    /// So many frames have passed here for which there was no room.
    Skipped(u64),
}

/// A frame that has passed on a link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RecordedFrame {
    /// When, in microseconds since the recording began.
    pub at_us: u64,
    /// The neighbour.
    pub peer: ContextId,
    /// Whether it came from there; else it went there.
    pub came_in: bool,
    /// Where it goes.
    pub dst: ContextId,
    /// Who sends it.
    pub src: ContextId,
    /// On whose authority.
    pub auth: ContextId,
    /// To which mailbox.
    pub handle: Handle,
    /// The number that says what becomes of the answer.
    pub reply_to: u32,
    /// Of a fragment: the length of the whole body, and where this piece begins.
    pub part: Option<(u32, u32)>,
    /// Its body.
    pub body: Blob,
}

/// Writes a recording on a thread of its own. A disk that is slow or full costs frames of the recording, and nothing
/// else.
pub(crate) struct Recorder {
    start: Instant,
    shared: Arc<Pending>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Default)]
struct Pending {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    bytes: Vec<u8>,
    skipped: u64,
    is_over: bool,
}

impl Recorder {
    /// Begins a recording in a new file, for this user alone, since secrets pass too; one that is there is overwritten.
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        let opened = File::options().write(true).create(true).truncate(true).mode(0o600).open(path);
        let created = opened.and_then(|mut file| file.write_all(&encoded(&TITLE)).map(|()| file));
        let mut file = created.map_err(|error| named(path, &error))?;
        let shared = Arc::new(Pending::default());
        let writer = Arc::clone(&shared);
        let body = move || writer.write_to(&mut file);
        let thread = thread::Builder::new().name("offshoot-record".to_owned()).spawn(body)?;
        Ok(Self { start: Instant::now(), shared, thread: Mutex::new(Some(thread)) })
    }

    /// Notes a frame; never blocks on the disk.
    pub(crate) fn frame(&self, link: LinkKey, way: Way, frame: &Frame) {
        let item = encoded(&Recorded::Frame(RecordedFrame {
            at_us: u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX),
            peer: link.peer,
            came_in: way == Way::In,
            dst: frame.dst,
            src: frame.src,
            auth: frame.auth,
            handle: frame.handle,
            reply_to: frame.reply_to.number(),
            part: frame.part.map(|part| (part.total, part.offset)),
            body: Blob::from(frame.body.to_vec()),
        }));
        let mut state = lock(&self.shared.state);
        if state.is_over || state.bytes.len().saturating_add(item.len()) > BUFFER {
            state.skipped = state.skipped.saturating_add(1);
            return;
        }
        if state.skipped > 0 {
            let skipped = mem::take(&mut state.skipped);
            state.bytes.extend(encoded(&Recorded::Skipped(skipped)));
        }
        state.bytes.extend(item);
        drop(state);
        self.shared.changed.notify_one();
    }

    /// Ends the recording, and waits until what was noted is written.
    pub(crate) fn end(&self) {
        lock(&self.shared.state).is_over = true;
        self.shared.changed.notify_one();
        if let Some(thread) = lock(&self.thread).take() {
            // It writes what is left, and ends.
            drop(thread.join());
        }
    }
}

impl Pending {
    fn write_to(&self, file: &mut File) {
        loop {
            let mut state = lock(&self.state);
            // Notified when something is to be written, and at the end.
            while state.bytes.is_empty() {
                if state.is_over {
                    return;
                }
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            let bytes = mem::take(&mut state.bytes);
            drop(state);
            if let Err(error) = file.write_all(&bytes) {
                log::warn!(target: "offshoot", "the recording of frames ends here, it cannot be written: {error}");
                lock(&self.state).is_over = true;
                return;
            }
        }
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.end();
    }
}

/// What is wrong with a file, and which one it is.
fn named(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", Text::from(path)))
}

/// What is recorded can always be encoded: ids, numbers and bytes.
fn encoded<T: Serialize + ?Sized>(value: &T) -> Vec<u8> {
    codec::encode(value).unwrap_or_default()
}

/// Reads a recording that [`RouterBuilder::record`](crate::RouterBuilder::record) has made, item by item.
///
/// It holds the whole file in memory. A recording that was cut short ends with an error.
#[derive(Debug)]
pub struct Recording {
    bytes: Vec<u8>,
    at: usize,
}

impl Recording {
    /// Opens a recording.
    ///
    /// # Errors
    /// The file cannot be read, or is no recording.
    pub fn open(path: impl AsRef<Path>) -> io::Result<Self> {
        let path = path.as_ref();
        let bytes = fs::read(path).map_err(|error| named(path, &error))?;
        let mut recording = Self { bytes, at: 0 };
        match recording.item::<String>() {
            Ok(title) if title == TITLE => Ok(recording),
            _ => {
                let text =
                    "no recording of frames; name a file that `Router::builder().record(path)` has written";
                Err(named(path, &io::Error::new(io::ErrorKind::InvalidData, text)))
            }
        }
    }

    fn item<'a, T: Deserialize<'a>>(&'a mut self) -> io::Result<T> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        match codec::decode_prefix(rest, rest.len().saturating_add(ITEM_BUDGET)) {
            Ok((item, len)) => {
                self.at = self.at.saturating_add(len);
                Ok(item)
            }
            Err(error) => {
                self.at = self.bytes.len();
                Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    format!("the recording is damaged or cut: {error}"),
                ))
            }
        }
    }
}

impl Iterator for Recording {
    type Item = io::Result<Recorded>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.bytes.len() { None } else { Some(self.item()) }
    }
}

#[cfg(test)]
mod tests {
    use offshoot_core::wire::{Body, ReplyTo};

    use super::*;

    const LINK: LinkKey = LinkKey { slot: 0, peer: ContextId::new(5) };

    fn frame(body: usize) -> Frame {
        Frame {
            dst: ContextId::ROOT,
            src: LINK.peer,
            auth: LINK.peer,
            handle: Handle::CALL_FUNCTION,
            reply_to: ReplyTo::Handle(Handle::new(1000)),
            part: None,
            body: Body::from(vec![7; body]),
        }
    }

    fn recorded(frames: &[Frame]) -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("frames");
        let recorder = Recorder::create(&path).unwrap();
        for frame in frames {
            recorder.frame(LINK, Way::In, frame);
        }
        drop(recorder);
        (folder, path)
    }

    #[test]
    fn what_was_recorded_is_read_again() {
        let (_folder, path) = recorded(&[frame(3), frame(0)]);
        let items: Vec<_> = Recording::open(&path).unwrap().map(Result::unwrap).collect();
        let [Recorded::Frame(first), Recorded::Frame(second)] = items.as_slice() else { panic!("{items:?}") };
        assert_eq!((first.peer, first.came_in, first.reply_to), (LINK.peer, true, 1000));
        assert_eq!((&first.body[..], second.body.len()), (&[7, 7, 7][..], 0));
        assert!(first.at_us <= second.at_us);
    }

    #[test]
    fn a_recording_that_was_cut_ends_with_an_error() {
        let (_folder, path) = recorded(&[frame(3), frame(100)]);
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..bytes.len() - 10]).unwrap();
        let mut recording = Recording::open(&path).unwrap();
        recording.next().unwrap().unwrap();
        assert_eq!(recording.next().unwrap().unwrap_err().kind(), io::ErrorKind::InvalidData);
        assert!(recording.next().is_none());
    }

    #[test]
    fn a_recording_is_for_its_user_alone() {
        use std::os::unix::fs::PermissionsExt as _;

        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("frames");
        drop(Recorder::create(&path).unwrap());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_file_that_is_no_recording_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("frames");
        fs::write(&path, "hello").unwrap();
        let error = Recording::open(&path).unwrap_err().to_string();
        let text = "no recording of frames; name a file that `Router::builder().record(path)` has written";
        assert_eq!(error, format!("{}: {text}", path.display()));
    }

    #[test]
    fn what_there_is_no_room_for_is_counted() {
        // Nobody empties the buffer of a recorder without a thread.
        let shared = Arc::new(Pending::default());
        let recorder =
            Recorder { start: Instant::now(), shared: Arc::clone(&shared), thread: Mutex::new(None) };
        let big = frame(BUFFER / 2);
        for _ in 0..4 {
            recorder.frame(LINK, Way::Out, &big);
        }
        assert_eq!(lock(&shared.state).skipped, 3);
        lock(&shared.state).bytes.clear();
        recorder.frame(LINK, Way::Out, &frame(0));
        let bytes = lock(&shared.state).bytes.clone();
        let (first, _) = codec::decode_prefix::<Recorded>(&bytes, ITEM_BUDGET).unwrap();
        assert_eq!(first, Recorded::Skipped(3));
    }
}
