//! The hunt for a secret, as somebody hunts who has all rights here: in what each process shows of itself, in files that
//! have come meanwhile, and in those that ours hold open.

use std::{
    collections::BTreeSet,
    env, fs,
    io::{Read as _, Write as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use offshoot_parent::Connecting;
use offshoot_tests::real::{descendants, eventually};

use crate::far::Missing;

crate::tests![a_hunt_finds_a_word_in_arguments_environments_and_files];

/// What is longer is looked at so far: a program is shorter, and a device has no end.
const LONGEST: u64 = 16 << 20;
/// So much is read at a time.
const PIECE: usize = 64 << 10;

/// One who looks for a word.
#[must_use = "it finds nothing by itself"]
pub(crate) struct Hunt {
    word: &'static str,
    places: Vec<PathBuf>,
    before: BTreeSet<PathBuf>,
}

impl Hunt {
    /// From now on, in the folders where programs are put, those of daemons, and these.
    pub(crate) fn new(word: &'static str, folders: impl IntoIterator<Item = PathBuf>) -> Self {
        let usual = [env::temp_dir(), "/var/tmp".into(), "/dev/shm".into(), "/run".into()];
        let places: Vec<PathBuf> = usual.into_iter().chain(folders).collect();
        let before = places.iter().flat_map(|place| entries(place)).collect();
        Self { word, places, before }
    }

    /// Looks again and again until a connect has ended; how often it did from beginning to end while a process of that
    /// name was there.
    #[track_caller]
    pub(crate) fn until_over(&self, connecting: &Connecting, tool: &str) -> usize {
        let is_at_work = || descendants().into_iter().any(|pid| comm(pid) == tool);
        let mut looks = 0;
        while !connecting.is_ready() {
            let was_at_work = is_at_work();
            self.look();
            looks += usize::from(was_at_work && is_at_work());
        }
        looks
    }

    /// Looks everywhere once.
    #[track_caller]
    pub(crate) fn look(&self) {
        assert_eq!(self.find(), None, "there is `{}`", self.word);
    }

    /// What is said somewhere does not hold it.
    #[track_caller]
    pub(crate) fn assert_not_in(&self, text: &str, place: &str) {
        assert!(!self.is_in(text.as_bytes()), "{place} holds `{}`", self.word);
    }

    /// Where it is, if anywhere.
    fn find(&self) -> Option<PathBuf> {
        let shown = entries(Path::new("/proc"))
            .into_iter()
            .flat_map(|process| ["cmdline", "environ"].map(|name| process.join(name)));
        // To read anything but files would take from it, or wait; those of memory and without a name are files too.
        let open = descendants().into_iter().flat_map(|pid| entries(Path::new(&format!("/proc/{pid}/fd"))));
        let open = open.filter(|file| fs::metadata(file).is_ok_and(|found| found.is_file()));
        let new = self.places.iter().flat_map(|place| entries(place));
        let new = new.filter(|entry| !self.before.contains(entry)).flat_map(|entry| files_below(&entry));
        shown.chain(open).chain(new).find(|file| self.is_in_file(file))
    }

    /// Whether it is in a file, of which no more than a piece is held. What has gone meanwhile, or is a process of the kernel,
    /// shows nothing.
    fn is_in_file(&self, file: &Path) -> bool {
        let Ok(file) = fs::File::open(file) else { return false };
        let (mut file, mut piece, mut kept) = (file.take(LONGEST), vec![0; PIECE], 0);
        while let Ok(read @ 1..) = file.read(&mut piece[kept..]) {
            let end = kept + read;
            if self.is_in(&piece[..end]) {
                return true;
            }
            // It may lie across two pieces.
            kept = end.min(self.word.len() - 1);
            piece.copy_within(end - kept..end, 0);
        }
        false
    }

    fn is_in(&self, text: &[u8]) -> bool {
        text.windows(self.word.len()).any(|window| window == self.word.as_bytes())
    }
}

/// The names of whatever is in a folder, as far as it is there.
fn entries(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

/// A file, or those in a folder. What leads elsewhere is looked at there.
fn files_below(path: &Path) -> Vec<PathBuf> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => entries(path).iter().flat_map(|entry| files_below(entry)).collect(),
        Ok(found) if found.is_file() => vec![path.to_owned()],
        _ => Vec::new(),
    }
}

fn comm(pid: u32) -> String {
    fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default().trim().to_owned()
}

fn a_hunt_finds_a_word_in_arguments_environments_and_files() -> Result<(), Missing> {
    const WORD: &str = "it is hidden here";
    let hunt = Hunt::new(WORD, []);
    hunt.look();
    let mut holder = tempfile::tempfile().unwrap();
    writeln!(holder, "{WORD}").unwrap();
    let sleeping = || {
        let mut command = Command::new("sleep");
        command.arg("1000").stdin(Stdio::null());
        command
    };
    let [mut by_words, mut by_environment, mut by_descriptor] = [Command::new("sh"), sleeping(), sleeping()];
    by_words.args(["-c", "read -r line", WORD]).stdin(Stdio::piped());
    by_environment.env("SECRET", WORD);
    by_descriptor.stdin(holder);
    let ways = [("cmdline", by_words), ("environ", by_environment), ("fd/0", by_descriptor)];
    for (place, mut command) in ways {
        let mut process = command.spawn().unwrap();
        // It has begun before it shows what it was given.
        let shows =
            |what| fs::read(format!("/proc/{}/{what}", process.id())).is_ok_and(|words| !words.is_empty());
        let shows_all = || ["cmdline", "environ"].into_iter().all(shows);
        eventually("it shows its words", Duration::from_secs(10), || shows_all().then_some(()));
        let found = hunt.find();
        drop(process.kill());
        drop(process.wait());
        assert_eq!(found, Some(format!("/proc/{}/{place}", process.id()).into()));
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    // It lies across two pieces.
    fs::write(&file, " ".repeat(PIECE - 5) + WORD).unwrap();
    assert_eq!(hunt.find(), Some(file));
    Ok(())
}
