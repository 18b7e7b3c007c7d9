//! What sudo, su and doas ask that is not the password: by PAM, of the prompter of whoever connects.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use offshoot_parent::{Phase, prelude::*};
use offshoot_tests::real::{descendants, eventually};
use tempfile::TempDir;

use crate::{
    accounts::{DoasRule, PASSWORD, SudoRule},
    far::{ADD, Missing, User, as_root, payload, program, run},
    sudo_rs::SudoRs,
};

crate::tests![
    a_code_that_sudo_asks_for_is_asked_of_the_prompter,
    a_code_that_nobody_knows_ends_the_connect_with_its_question,
    a_password_that_was_not_given_is_asked_of_the_prompter,
    who_asks_at_a_terminal_says_whether_the_answer_may_be_seen,
    a_menu_is_shown_with_its_question,
    what_is_typed_once_the_shell_has_spoken_is_not_run,
    what_is_typed_and_nobody_has_waited_for_is_not_run,
    a_password_goes_to_no_question_for_a_code_by_sudo_rs,
    a_sudo_whose_pam_asks_in_other_words_is_told_which,
    what_is_typed_is_one_line_and_nothing_else,
];

const CODES: [&str; 4] = ["11112222", "33334444", "55556666", "77778888"];

/// Where PAM looks for a module, in Debian's folder for this machine.
fn module(name: &str) -> Result<(), Missing> {
    let found = fs::read_dir("/lib")
        .unwrap()
        .flatten()
        .any(|folder| folder.path().join("security").join(name).exists());
    found.then_some(()).ok_or_else(|| Missing::because(format!("no {name} here")))
}

/// A user who is asked for a code, and then for his password, by whatever leads him to root.
struct Coded {
    user: User,
    folder: TempDir,
    _rules: (SudoRule, DoasRule, Service),
}

/// A service of PAM while the value lives.
struct Service(PathBuf);

impl Drop for Service {
    fn drop(&mut self) {
        drop(fs::remove_file(&self.0));
    }
}

impl Coded {
    fn new(name: &str) -> Result<Self, Missing> {
        as_root()?;
        payload("leaf")?;
        program("sudo")?;
        module("pam_google_authenticator.so")?;
        let user = User::new(name, &program("bash")?)?;
        user.password(PASSWORD);
        let folder = tempfile::Builder::new().prefix("coded-").tempdir().unwrap();
        let at = |name: &str| folder.path().join(name).display().to_string();
        fs::write(at("codes"), format!("JBSWY3DPEHPK3PXPJBSWY3DPEH\n\" TOTP_AUTH\n{}\n", CODES.join("\n")))
            .unwrap();
        run(&["chmod", "400", &at("codes")]);
        let pam = format!(
            "auth requisite pam_google_authenticator.so echo_verification_code user=root secret={}\n\
             auth required pam_unix.so\naccount required pam_permit.so\nsession required pam_permit.so\n",
            at("codes")
        );
        fs::write(at("pam"), &pam).unwrap();
        let service = Service(Path::new("/etc/pam.d").join(&user.name));
        fs::write(&service.0, pam).unwrap();
        let rule = format!("{0} ALL=(ALL) ALL\nDefaults:{0} pam_service={0}", user.name);
        let rules = (
            SudoRule::new(&user.name, &rule),
            DoasRule::new(&format!("permit {} as root", user.name))?,
            service,
        );
        Ok(Self { user, folder, _rules: rules })
    }

    /// The way to root by a tool that he starts, and that has its service of PAM from us.
    fn way(&self, method: Sudo, tool: &str) -> Sudo {
        self.way_by(method, tool, tool)
    }

    /// The same by another program of that service.
    fn way_by(&self, method: Sudo, service: &str, tool: &str) -> Sudo {
        let file = self.folder.path().join(service).display().to_string();
        let (pam, name) = (self.folder.path().join("pam").display().to_string(), &self.user.name);
        let script = format!(
            "#!/bin/sh\nexec unshare --mount sh -c 'mount --bind {pam} /etc/pam.d/{service} && \
             exec setpriv --reuid={name} --regid={name} --init-groups {tool} \"$@\"' {service} \"$@\"\n"
        );
        fs::write(&file, script).unwrap();
        run(&["chmod", "755", &file]);
        method.program(file).payload(payload("leaf").unwrap())
    }
}

/// What a prompter was asked: by which way, at which place, what, whether it is seen, and which time.
type Seen = Arc<Mutex<Vec<(String, String, String, bool, u32)>>>;

/// A root whose prompter has these answers, in order, and what it is asked.
fn answering<const N: usize>(answers: [&'static str; N]) -> (Router, Seen) {
    let seen = Seen::default();
    let (theirs, answers) = (Arc::clone(&seen), Mutex::new(answers.into_iter()));
    let prompter = move |query: &Query| {
        assert!(query.is_of_place && query.account.is_none() && !query.is_consent);
        let Query { method, place, text, echoes, attempt, .. } = query;
        let words = |text: &str| text.to_owned();
        theirs.lock().unwrap().push((words(method), words(place), words(text), *echoes, *attempt));
        answers.lock().unwrap().next().map(Secret::from)
    };
    (Router::builder().prompter(prompter).build().unwrap(), seen)
}

fn asked(method: &str, text: &str, echoes: bool, attempt: u32) -> (String, String, String, bool, u32) {
    (method.to_owned(), "root".to_owned(), text.to_owned(), echoes, attempt)
}

fn adds(child: &Context) {
    assert_eq!(child.call(ADD, (2, 3)).unwrap(), 5);
}

fn a_code_that_sudo_asks_for_is_asked_of_the_prompter() -> Result<(), Missing> {
    let coded = Coded::new("coded")?;
    let (router, seen) = answering([CODES[0]]);
    let method = coded.way(Sudo::new(), "sudo").password(PASSWORD);
    adds(&router.connect(method.clone()).unwrap());
    assert_eq!(*seen.lock().unwrap(), [asked("sudo", "Verification code:", false, 1)]);
    // Another time for a wrong one: what then is asked again is known to be so.
    let (router, seen) = answering(["1", CODES[1]]);
    adds(&router.connect(method).unwrap());
    let code = |attempt| asked("sudo", "Verification code:", false, attempt);
    assert_eq!(*seen.lock().unwrap(), [code(1), code(2)]);
    Ok(())
}

fn a_code_that_nobody_knows_ends_the_connect_with_its_question() -> Result<(), Missing> {
    let coded = Coded::new("codeless")?;
    let method = coded.way(Sudo::new(), "sudo").password(PASSWORD);
    let (silent, _) = answering([]);
    for router in [Router::new().unwrap(), silent] {
        let since = Instant::now();
        let error = router.connect(method.clone()).unwrap_err();
        assert_eq!((error.code(), error.phase()), ("unanswered", Phase::Shell), "{error}");
        assert!(
            error.to_string().contains("it asks `Verification code:`, and there is no answer"),
            "{error}"
        );
        assert!(since.elapsed() < Duration::from_secs(10), "{:?}", since.elapsed());
    }
    Ok(())
}

fn a_password_that_was_not_given_is_asked_of_the_prompter() -> Result<(), Missing> {
    let coded = Coded::new("uncoded")?;
    let words = "[offshoot] password:";
    let (router, seen) = answering([CODES[0], PASSWORD]);
    adds(&router.connect(coded.way(Sudo::new(), "sudo").ask()).unwrap());
    let code = |tool| asked(tool, "Verification code:", false, 1);
    assert_eq!(*seen.lock().unwrap(), [code("sudo"), asked("sudo", words, false, 1)]);
    let (router, seen) = answering([CODES[1], PASSWORD]);
    let error = router.connect(coded.way(Sudo::by_su(), "su")).unwrap_err();
    // It is that of the other user, who has none.
    assert_eq!(error.code(), "password_wrong", "{error}");
    assert_eq!(*seen.lock().unwrap(), [code("su"), asked("su", "Password:", false, 1)]);
    // One that was given and is wrong is given once, and then whoever sits here may know better.
    let (router, seen) = answering([CODES[2], CODES[3], PASSWORD]);
    adds(&router.connect(coded.way(Sudo::new(), "sudo").password("wrong")).unwrap());
    assert_eq!(seen.lock().unwrap().last().unwrap(), &asked("sudo", words, false, 2));
    let error = Router::new().unwrap().connect(coded.way(Sudo::by_doas(), "doas").ask()).unwrap_err();
    assert_eq!(error.code(), "unanswered", "{error}");
    Ok(())
}

fn who_asks_at_a_terminal_says_whether_the_answer_may_be_seen() -> Result<(), Missing> {
    let coded = Coded::new("codetty")?;
    let (router, seen) = answering([CODES[0], "wrong"]);
    let error = router.connect(coded.way(Sudo::by_doas(), "doas").ask()).unwrap_err();
    assert_eq!(error.code(), "password_wrong", "{error}");
    let seen = seen.lock().unwrap();
    assert_eq!(seen[0], asked("doas", "Verification code:", true, 1));
    assert_eq!((&*seen[1].0, seen[1].3, seen[1].4), ("doas", false, 1), "{seen:?}");
    // What was typed is not shown, though it might be.
    assert!(!error.to_string().contains(CODES[0]), "{error}");
    let (router, _) = answering([CODES[1], PASSWORD]);
    adds(&router.connect(coded.way(Sudo::by_doas(), "doas").ask()).unwrap());
    Ok(())
}

/// An su of our own, and the way by it. The line for the shell is its fourth word.
fn stand_in(folder: &TempDir, script: &str) -> Result<Sudo, Missing> {
    let file = folder.path().join("su");
    fs::write(&file, format!("#!/bin/sh\ncd {}\n{script}\nexec sh -c \"$4\"\n", folder.path().display()))
        .unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o700)).unwrap();
    Ok(Sudo::by_su().program(file.display().to_string()).payload(payload("leaf")?))
}

fn a_menu_is_shown_with_its_question() -> Result<(), Missing> {
    let folder = tempfile::tempdir().unwrap();
    let long = "x".repeat(100_000);
    let script = format!(
        "printf '{long}\\n 1. Push\\033[2J to **34\\n 2. Call\\n\\nPasscode or option (1-2): ' >&2; read word; echo $word >word"
    );
    let method = stand_in(&folder, &script)?;
    let seen = Arc::<Mutex<Option<Query>>>::default();
    let shown = Arc::clone(&seen);
    let prompter = move |query: &Query| {
        *shown.lock().unwrap() = Some(query.clone());
        Some("1".into())
    };
    adds(&Router::builder().prompter(prompter).build().unwrap().connect(method).unwrap());
    let query = seen.lock().unwrap().take().unwrap();
    assert_eq!(&*query.text, "Passcode or option (1-2):");
    assert!(query.above.ends_with("x\n 1. Push\\u{1b}[2J to **34\n 2. Call"), "{}", query.above);
    assert!(query.above.len() <= 4096, "{}", query.above.len());
    assert_eq!(fs::read_to_string(folder.path().join("word")).unwrap(), "1\n");
    Ok(())
}

fn what_is_typed_once_the_shell_has_spoken_is_not_run() -> Result<(), Missing> {
    let folder = tempfile::tempdir().unwrap();
    // Somebody has consented elsewhere, while it is typed here.
    let method = stand_in(&folder, "printf 'Code: ' >&2; until [ -e go ]; do sleep 0.01; done")?;
    let at = |name: &str| folder.path().join(name);
    let (go, typed) = (at("go"), format!("touch {}", at("run").display()));
    let prompter = move |_: &Query| {
        let is_shell = |pid: &u32| {
            // It has spoken, and reads what it is told on its stdin.
            let of = |file: &str| fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default();
            let is_at_stdin = of("syscall").split(' ').nth(1) == Some("0x0");
            of("cmdline").starts_with("sh\0-c\0o() {") && is_at_stdin && of("wchan").contains("pipe_read")
        };
        fs::write(&go, "").unwrap();
        let speaks = || descendants().iter().any(is_shell).then_some(());
        eventually("a shell has spoken", Duration::from_secs(10), speaks);
        Some(typed.as_str().into())
    };
    adds(&Router::builder().prompter(prompter).build().unwrap().connect(method).unwrap());
    assert!(!at("run").exists());
    Ok(())
}

fn what_is_typed_and_nobody_has_waited_for_is_not_run() -> Result<(), Missing> {
    let folder = tempfile::tempdir().unwrap();
    program("bash")?;
    // It goes on once the answer is there, which it does not read.
    let method = stand_in(&folder, "printf 'Loading: ' >&2; bash -c 'until read -t 0; do sleep 0.01; done'")?;
    let (router, seen) = answering(["touch run"]);
    adds(&router.connect(method).unwrap());
    assert_eq!(*seen.lock().unwrap(), [asked("su", "Loading:", false, 1)]);
    assert!(!folder.path().join("run").exists());
    Ok(())
}

/// It shows its own words in front of all that PAM asks and nobody may see.
fn a_password_goes_to_no_question_for_a_code_by_sudo_rs() -> Result<(), Missing> {
    let coded = Coded::new("codedrs")?;
    let tool = SudoRs::new(&coded.user.name)?;
    let hidden = coded.folder.path().join("pam");
    let pam = fs::read_to_string(&hidden).unwrap().replace("echo_verification_code", "");
    fs::write(hidden, pam).unwrap();
    let method = coded.way_by(Sudo::new(), "sudo", &tool.file()).password(PASSWORD);
    let error = Router::new().unwrap().connect(method.clone()).unwrap_err();
    assert_eq!(error.code(), "unanswered", "{error}");
    let (router, seen) = answering([CODES[0]]);
    adds(&router.connect(method).unwrap());
    let seen = seen.lock().unwrap();
    assert!(seen.len() == 1 && seen[0].2.ends_with("Verification code:"), "{seen:?}");
    Ok(())
}

fn a_sudo_whose_pam_asks_in_other_words_is_told_which() -> Result<(), Missing> {
    let coded = Coded::new("worded")?;
    let service = Path::new("/etc/pam.d").join(&coded.user.name);
    let pam = fs::read_to_string(&service).unwrap().replace("auth required pam_unix.so\n", "");
    fs::write(service, pam).unwrap();
    let method = coded.way(Sudo::new(), "sudo").password(CODES[0]);
    let router = Router::new().unwrap();
    assert_eq!(router.connect(method.clone()).unwrap_err().code(), "unanswered");
    adds(&router.connect(method.asks("Verification code: ")).unwrap());
    Ok(())
}

fn what_is_typed_is_one_line_and_nothing_else() -> Result<(), Missing> {
    for typed in ["1\ntouch run", "1\rx", "1\u{3}", "1\0"] {
        let folder = tempfile::tempdir().unwrap();
        let method = stand_in(&folder, "printf 'Code: ' >&2; read word; echo \"$word\" >word")?;
        let (router, seen) = answering([typed]);
        let error = router.connect(method).unwrap_err();
        assert_eq!((error.code(), seen.lock().unwrap().len()), ("unanswered", 1), "{error}");
        assert_eq!(fs::read_to_string(folder.path().join("word")).unwrap_or_default().trim(), "");
    }
    Ok(())
}
