//! A root folder in which all is for arm64, and so is the answer of `uname -m`: by qemu, which the kernel starts for each program
//! there, and for nobody outside.

use std::{env, fs, panic, process::Command, thread};

use libtest_mimic::Trial;
use offshoot_parent::{Machine, PayloadError, prelude::*};
use offshoot_tests::{
    far::{Missing, as_root, program, root_with, try_to},
    real::{PATIENCE, Watch},
};
use tempfile::TempDir;

use crate::{built, payloads};

const ADD: Function<(i64, i64), i64> = Function::new("add");
const COUNT: Function<u64, Receiver<u64>> = Function::new("count");
const SHELL: Function<String, i32> = Function::new("shell");

/// What the kernel is told of programs for arm64: the emulator is opened here, so that none is needed in the root folder.
const RULE: &str = "/usr/lib/binfmt.d/qemu-aarch64.conf";
/// Told in a user namespace, it holds for what runs in that alone.
const ENTER: &str = "mount -t binfmt_misc none /proc/sys/fs/binfmt_misc && cat \"$1\" >/proc/sys/fs/binfmt_misc/register && shift && \
     exec chroot \"$@\"";

pub(crate) fn tests() -> Vec<Trial> {
    vec![
        trial("of_a_set_for_two_machines_each_gets_its_own", of_a_set_for_two_machines_each_gets_its_own),
        trial("what_a_set_lacks_for_a_machine_is_named", what_a_set_lacks_for_a_machine_is_named),
    ]
}

fn trial(name: &'static str, test: fn() -> Result<(), Missing>) -> Trial {
    Trial::test(name, move || {
        let watch = Watch::begin();
        match thread::Builder::new().name(name.to_owned()).spawn(test)?.join() {
            Ok(Ok(())) => {}
            Ok(Err(missing)) => println!("SKIPPED {name}: {missing}"),
            Err(panic) => panic::resume_unwind(panic),
        }
        watch.end();
        Ok(())
    })
}

fn of_a_set_for_two_machines_each_gets_its_own() -> Result<(), Missing> {
    let (far, set) = (Arm64::new()?, both()?);
    let router = Router::new().unwrap();
    let child = router.connect(far.way().payload(set.clone().into())).unwrap();
    assert!(runs(&router, &child).ends_with("qemu-aarch64-static"), "{}", runs(&router, &child));
    assert_eq!(child.call(ADD, (2, 3)).unwrap(), 5);
    let numbers: Vec<u64> = child.call(COUNT, 1000).unwrap().into_iter().map(Result::unwrap).collect();
    assert_eq!(numbers, (0..1000).collect::<Vec<_>>());
    assert_eq!(child.call(SHELL, "test \"$(uname -m)\" = aarch64".to_owned()).unwrap(), 0);
    let here = router.connect(Local::new(set.into())).unwrap();
    assert!(!runs(&router, &here).contains("qemu"), "{}", runs(&router, &here));
    assert_eq!(here.call(ADD, (2, 3)).unwrap(), 5);

    child.shutdown().wait_timeout(PATIENCE).unwrap();
    assert_eq!(fs::read_dir(far.root.path().join("tmp")).unwrap().count(), 0);
    Ok(())
}

fn what_a_set_lacks_for_a_machine_is_named() -> Result<(), Missing> {
    let far = Arm64::new()?;
    let set = PayloadSet::new("leaf").with(leaf()?).unwrap();
    let error = Router::new().unwrap().connect(far.way().payload(set.into())).unwrap_err();
    assert_eq!(error.code(), "no_payload", "{error}");
    let words = format!("it is a Linux aarch64, and the payload set has {}", env::consts::ARCH);
    assert!(error.to_string().contains(&words), "{error}");
    Ok(())
}

/// The program of its process.
fn runs(router: &Router, child: &Context) -> String {
    let pid = router.tree().pid(child.id()).unwrap();
    fs::read_link(format!("/proc/{pid}/exe")).unwrap().display().to_string()
}

/// The leaf that is tried on other machines, and for this one another that adds.
fn both() -> Result<PayloadSet, Missing> {
    let lacks = |error: PayloadError| Missing::because(error.to_string());
    let set = PayloadSet::load(payloads()).map_err(lacks)?;
    if set.entry(Machine::Aarch64).is_none() {
        return Err(Missing::because("no leaf for aarch64 is built"));
    }
    set.with(leaf()?).map_err(lacks)
}

fn leaf() -> Result<Vec<u8>, Missing> {
    fs::read(built("payloads/leaf")).map_err(|error| Missing::because(format!("payloads/leaf: {error}")))
}

/// A root folder of its own, with a shell for arm64 in it.
struct Arm64 {
    root: TempDir,
}

impl Arm64 {
    fn new() -> Result<Self, Missing> {
        as_root()?;
        if env::consts::ARCH == "aarch64" {
            return Err(Missing::because("this machine is no other than that"));
        }
        program("qemu-aarch64-static")?;
        let busybox = built("arm64-root/bin/busybox");
        if !busybox.is_file() {
            return Err(Missing::because("no busybox for arm64 is unpacked"));
        }
        let far = Self { root: root_with(&busybox)? };
        let [program, words @ ..] = &far.words()[..] else { unreachable!("it is a command") };
        // Whether a kernel lets this be done in a namespace is not for us to say.
        try_to(Command::new(program).args(words).args(["sh", "-c", "test \"$(uname -m)\" = aarch64"]))?;
        Ok(far)
    }

    /// What runs a program there.
    fn words(&self) -> Vec<String> {
        let root = self.root.path().to_str().unwrap();
        let words = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", ENTER, "sh", RULE, root];
        words.map(str::to_owned).to_vec()
    }

    fn way(&self) -> Wrapped {
        Wrapped::new(self.words())
    }
}
