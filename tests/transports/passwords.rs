//! Passwords for ssh: a real client and a real sshd, a jump host on the way, and clients that ask what they should not.

use std::{
    any::Any,
    fs,
    os::unix::fs::PermissionsExt as _,
    panic::panic_any,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    time::{Duration, Instant},
};

use offshoot_bootstrap::{Launch, Told, spawn};
use offshoot_parent::{Phase, Plan, Step, prelude::*};
use offshoot_tests::real::{descendants, eventually, logs};

use crate::{
    beside::attacked,
    far::{ADD, Listening, Missing, Sshd, Twice, User, payload, program, run},
    hunt::Hunt,
};

crate::tests![
    a_password_is_given_to_the_client_that_asks_for_it,
    a_wrong_password_is_tried_once,
    a_wrong_password_is_not_proved_by_another_that_was_typed,
    without_a_password_it_is_said_that_one_is_needed,
    each_host_on_the_way_gets_its_own_password,
    a_wrong_password_of_a_jump_host_is_told_whatever_the_host_goes_by,
    attack_57_the_password_of_a_host_is_not_for_whoever_asks_on_the_way,
    what_is_asked_a_second_time_or_is_something_else_ends_the_connect,
    attack_64_a_host_key_that_is_unknown_or_has_changed_is_shown_and_not_accepted,
    a_client_that_may_not_ask_is_refused_and_nobody_hears_of_it,
    a_client_without_a_helper_is_told_to_ask_nobody,
    a_password_is_not_refused_where_a_code_behind_it_may_have_been,
    a_prompter_sees_who_asks_and_what,
    a_prompter_that_panics_gives_no_answer,
    nobody_is_asked_for_a_connect_that_is_over,
    clients_that_ask_at_the_same_time_each_get_their_own_answer,
    an_ssh_password_is_nowhere_to_be_read,
    a_key_that_wants_to_be_touched_ends_no_connect,
    a_prompter_is_told_of_a_key_to_be_touched_until_it_is_or_the_connect_is_over,
    consent_is_given_by_a_prompter,
    a_client_that_only_wants_consent_is_refused_it_and_goes_on,
];

const PASSWORD: &str = "pass word$1";
const OTHER: &str = "another 'word'";

fn user(name: &str) -> Result<User, Missing> {
    let user = User::new(name, &program("bash")?)?;
    user.password(PASSWORD);
    Ok(user)
}

/// The way in by a password alone.
fn by_password(sshd: &Sshd, user: &User) -> Ssh {
    sshd.ssh().user(&user.name).payload(payload("leaf").unwrap()).option("PubkeyAuthentication=no")
}

fn adds(router: &Router, method: Ssh) {
    assert_eq!(router.connect(method).unwrap().call(ADD, (2, 3)).unwrap(), 5);
}

fn fails(method: Ssh) -> ConnectError {
    Router::new().unwrap().connect(method).unwrap_err()
}

fn a_password_is_given_to_the_client_that_asks_for_it() -> Result<(), Missing> {
    payload("leaf")?;
    let (sshd, user, router) = (Sshd::new("")?, user("typed")?, Router::new().unwrap());
    for way in ["password", "keyboard-interactive"] {
        let only = format!("PreferredAuthentications={way}");
        adds(&router, by_password(&sshd, &user).password(PASSWORD).option(only));
    }
    // Where a key lets one in nothing is asked.
    adds(&router, sshd.ssh().user(&user.name).payload(payload("leaf")?).password("not needed"));
    Ok(())
}

fn a_wrong_password_is_tried_once() -> Result<(), Missing> {
    payload("leaf")?;
    let (sshd, user) = (Sshd::new("LogLevel VERBOSE\nMaxAuthTries 10")?, user("mistyped")?);
    let error = fails(by_password(&sshd, &user).password(OTHER));
    assert_eq!((error.code(), error.phase()), ("password_wrong", Phase::Shell), "{error}");
    let error = fails(by_password(&sshd, &user).password(OTHER).option("PreferredAuthentications=password"));
    assert_eq!(error.code(), "password_wrong", "{error}");
    Ok(())
}

fn a_wrong_password_is_not_proved_by_another_that_was_typed() -> Result<(), Missing> {
    payload("leaf")?;
    let (sshd, user) = (Sshd::new("")?, user("retyped")?);
    let typed = |_: &Query| Some(PASSWORD.into());
    for (given, told) in [(OTHER, Told::Refused), (PASSWORD, Told::Proved)] {
        let plan = by_password(&sshd, &user).password(given).plan();
        let there = Launch::new(&plan).asking(&typed).run().unwrap();
        assert_eq!(there.passwords, [told], "{given}");
    }
    Ok(())
}

fn a_password_is_not_refused_where_a_code_behind_it_may_have_been() -> Result<(), Missing> {
    payload("leaf")?;
    let again = "ask '(me@web) Password: '";
    for (between, told) in [("", Told::Refused), ("ask '(me@web) Verification code: '; ", Told::Untold)] {
        let client =
            Client::new(&format!("{again}; {between}{again}\nfor line do :; done; exec sh -c \"$line\""));
        let typed = |_: &Query| Some(OTHER.into());
        let plan = client.ssh().password(PASSWORD).plan();
        assert_eq!(Launch::new(&plan).asking(&typed).run().unwrap().passwords, [told], "{between}");
    }
    // A code for another account is none of its.
    let on_the_way = "(ask '(me@jump) Password: '; ask '(me@jump) Verification code: ')";
    let client =
        Client::new(&format!("{on_the_way}; {again}; {again}\nfor line do :; done; exec sh -c \"$line\""));
    let typed = |_: &Query| Some(OTHER.into());
    let plan = client.ssh().password(PASSWORD).jump_password("me@jump", OTHER).plan();
    assert_eq!(Launch::new(&plan).asking(&typed).run().unwrap().passwords, [Told::Refused, Told::Proved]);
    Ok(())
}

fn without_a_password_it_is_said_that_one_is_needed() -> Result<(), Missing> {
    payload("leaf")?;
    let (sshd, user) = (Sshd::new("")?, user("untyped")?);
    let since = Instant::now();
    let error = fails(by_password(&sshd, &user).ask());
    assert_eq!(error.code(), "password_needed", "{error}");
    assert!(error.last_words().contains(&format!("({}@far) Password:", user.name)), "{error}");
    assert!(since.elapsed() < Duration::from_secs(3), "{:?}", since.elapsed());
    // One that is for another user is not for this one.
    let wrong =
        by_password(&sshd, &user).user("root").password(PASSWORD).option(format!("User={}", user.name));
    assert!(matches!(fails(wrong).code(), "password_wrong" | "authentication"));
    assert_eq!(fails(by_password(&sshd, &user)).code(), "authentication");
    Ok(())
}

/// A host that is reached by way of another: both are this machine.
struct Deep {
    near: Sshd,
    jump: User,
    user: User,
    _server: Listening,
}

impl Deep {
    fn new(name: &str) -> Result<Self, Missing> {
        payload("leaf")?;
        let near = Sshd::new("")?;
        let (jump, user) = (user(&format!("{name}j"))?, user(&format!("{name}d"))?);
        user.password(OTHER);
        let server = Listening::new(&near)?;
        let port = server.port;
        // Both have one host key, and so go by one name.
        let client = fs::read_to_string(near.file("client")).unwrap();
        let deep = format!(
            "Host deep\n  HostName 127.0.0.1\n  Port {port}\n  HostKeyAlias far\n  ProxyJump {}@far\n\
             Host *\n  PubkeyAuthentication no\n{client}",
            jump.name
        );
        fs::write(near.file("client"), deep).unwrap();
        Ok(Self { near, jump, user, _server: server })
    }

    fn ssh(&self) -> Ssh {
        let deep = Ssh::new("deep").config(self.near.file("client"));
        deep.user(&self.user.name).payload(payload("leaf").unwrap())
    }

    fn jump_account(&self) -> String {
        format!("{}@far", self.jump.name)
    }
}

fn each_host_on_the_way_gets_its_own_password() -> Result<(), Missing> {
    let deep = Deep::new("both")?;
    adds(&Router::new().unwrap(), deep.ssh().password(OTHER).jump_password(deep.jump_account(), PASSWORD));
    // The one for the place is not for the jump host, nor the other way round.
    let error = fails(deep.ssh().password(OTHER));
    assert_eq!(error.code(), "password_needed", "{error}");
    assert!(error.last_words().contains(&deep.jump_account()), "{error}");
    let error = fails(deep.ssh().jump_password(deep.jump_account(), PASSWORD));
    assert_eq!(error.code(), "password_needed", "{error}");
    assert!(error.last_words().contains(&format!("{}@far", deep.user.name)), "{error}");
    // It was enough, whatever became of the rest.
    assert_eq!(error.passwords(), [Told::Proved], "{error}");
    for (jump, place, told) in
        [(OTHER, OTHER, [Told::Untold, Told::Refused]), (PASSWORD, PASSWORD, [Told::Refused, Told::Proved])]
    {
        let error = fails(deep.ssh().password(place).jump_password(deep.jump_account(), jump));
        assert_eq!((error.code(), error.passwords()), ("password_wrong", &told[..]), "{error}");
    }
    // A key that is refused behind a jump host is no password that was wrong, and neither is a host there that is down.
    for (option, code) in [("PasswordAuthentication=no", "authentication"), ("Port=1", "unreachable")] {
        let jump = deep.ssh().jump_password(deep.jump_account(), PASSWORD);
        let error = fails(jump.option(option).option("KbdInteractiveAuthentication=no"));
        assert_eq!((error.code(), error.passwords()), (code, &[Told::Proved][..]), "{error}");
    }
    Ok(())
}

fn a_wrong_password_of_a_jump_host_is_told_whatever_the_host_goes_by() -> Result<(), Missing> {
    let deep = Deep::new("alias")?;
    let client = fs::read_to_string(deep.near.file("client")).unwrap();
    // It asks in the name of the alias, and is not let in where the address says.
    let elsewhere = "Host far\n  HostName bastion.example\n  HostKeyAlias far\n  NumberOfPasswordPrompts 1\n";
    for way in ["password", "keyboard-interactive"] {
        fs::write(deep.near.file("client"), format!("{elsewhere}  PreferredAuthentications {way}\n{client}"))
            .unwrap();
        adds(
            &Router::new().unwrap(),
            deep.ssh().password(OTHER).jump_password(deep.jump_account(), PASSWORD),
        );
        let error = fails(deep.ssh().password(OTHER).jump_password(deep.jump_account(), OTHER));
        assert!(error.last_words().contains("@bastion.example: Permission denied ("), "{error}");
        let told = [Told::Untold, Told::Unclear];
        assert_eq!((error.code(), error.passwords()), ("password_wrong", &told[..]), "{error}");
    }
    Ok(())
}

/// A client of our own: a script that asks by the helper, and puts the answers into a file.
struct Client {
    folder: tempfile::TempDir,
}

impl Client {
    fn new(script: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let client = Self { folder };
        let answers = client.file("answers");
        let text = format!(
            "#!/bin/sh\n[ \"$1\" = -V ] && exit\nask() {{ \"$SSH_ASKPASS\" \"$1\" >>{answers}; }}\n{script}\nexec sleep 1000\n"
        );
        fs::write(client.file("ssh"), text).unwrap();
        fs::set_permissions(client.file("ssh"), fs::Permissions::from_mode(0o700)).unwrap();
        client
    }

    fn file(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn ssh(&self) -> Ssh {
        let ssh = Ssh::new("web").user("me").payload(payload("leaf").unwrap());
        ssh.program(self.file("ssh")).timeout(Duration::from_secs(10))
    }

    fn answers(&self) -> String {
        fs::read_to_string(self.file("answers")).unwrap()
    }
}

/// A client's wait for the touch of a key, as OpenSSH does it: over once there is a file, and then it is the shell.
const TOUCH: &str = "SSH_ASKPASS_PROMPT=none \"$SSH_ASKPASS\" 'Confirm user presence for key ED25519-SK SHA256:x' >/dev/null &\n\
     until [ -e $0.touched ]; do sleep 0.01; done; kill $!; wait $!\nfor line do :; done; exec sh -c \"$line\"";

fn a_key_that_wants_to_be_touched_ends_no_connect() -> Result<(), Missing> {
    payload("leaf")?;
    let client = Client::new(TOUCH);
    let touched = client.file("ssh.touched");
    let observer = move |_: &Plan, step: &Step| {
        if step.to_string().contains("Confirm user presence for key ED25519-SK") {
            fs::write(&touched, "").unwrap();
        }
    };
    adds(&Router::builder().observer(observer).build().unwrap(), client.ssh());
    Ok(())
}

/// Touches the key that it is told of, unless it is `lame`.
struct Toucher {
    touched: String,
    told: Arc<Mutex<Vec<(String, bool, bool)>>>,
    lame: bool,
}

impl Prompter for Toucher {
    fn answer(&self, _query: &Query) -> Option<Secret> {
        None
    }

    fn notice(&self, notice: &Notice) {
        self.told.lock().unwrap().push((notice.text.to_string(), notice.is_of_place, notice.is_over));
        if !self.lame {
            fs::write(&self.touched, "").unwrap();
        }
    }
}

fn a_prompter_is_told_of_a_key_to_be_touched_until_it_is_or_the_connect_is_over() -> Result<(), Missing> {
    payload("leaf")?;
    let text = "Confirm user presence for key ED25519-SK SHA256:x".to_owned();
    let expected = [(text.clone(), true, false), (text.clone(), true, true)];
    for lame in [false, true] {
        let client = Client::new(TOUCH);
        let told = Arc::default();
        let toucher = Toucher { touched: client.file("ssh.touched"), told: Arc::clone(&told), lame };
        let router = Router::builder().prompter(toucher).build().unwrap();
        if lame {
            let error = router.connect(client.ssh().timeout(Duration::from_secs(4))).unwrap_err();
            assert_eq!(error.code(), "no_answer", "{error}");
            // Why it has taken so long.
            assert!(error.last_words().contains(&text), "{error}");
        } else {
            adds(&router, client.ssh());
        }
        assert_eq!(*told.lock().unwrap(), expected, "lame: {lame}");
    }
    Ok(())
}

/// A client that asks for consent in the words of a question for a password, and is a shell then.
fn consenting() -> Client {
    Client::new(
        "SSH_ASKPASS_PROMPT=confirm ask \"me@web's password: \" || echo denied >>$0.denied\n\
         for line do :; done; exec sh -c \"$line\"",
    )
}

fn a_client_that_only_wants_consent_is_refused_it_and_goes_on() -> Result<(), Missing> {
    payload("leaf")?;
    // An empty line is a yes to a client that is given it.
    for answer in [None, Some(""), Some("no")] {
        let client = consenting();
        let prompter = move |_: &Query| answer.map(Secret::from);
        adds(&Router::builder().prompter(prompter).build().unwrap(), client.ssh().password(PASSWORD));
        let denied = fs::read_to_string(client.file("ssh.denied")).unwrap_or_default();
        assert_eq!((client.answers().as_str(), denied.as_str()), ("", "denied\n"), "{answer:?}");
    }
    Ok(())
}

fn consent_is_given_by_a_prompter() -> Result<(), Missing> {
    payload("leaf")?;
    let client = consenting();
    let prompter =
        |query: &Query| (query.is_consent && query.account.is_none() && query.echoes).then(|| "yes".into());
    adds(&Router::builder().prompter(prompter).build().unwrap(), client.ssh());
    assert_eq!(client.answers(), "yes\n");
    assert!(!fs::exists(client.file("ssh.denied")).unwrap());
    Ok(())
}

fn attack_57_the_password_of_a_host_is_not_for_whoever_asks_on_the_way() -> Result<(), Missing> {
    payload("leaf")?;
    // Somebody below the client that was started uses the words of the place.
    let below = Client::new("(ask \"me@web's password: \"; :)");
    // A jump host's server puts them behind what the client says of itself.
    let behind = Client::new("(ask \"(me@jump) me@web's password: \"; :)");
    attacked(|root| {
        for client in [below, behind] {
            let error = root.fails(client.ssh().password(PASSWORD));
            assert_eq!((error.code(), client.answers().as_str()), ("password_needed", ""), "{error}");
        }
    });
    Ok(())
}

fn what_is_asked_a_second_time_or_is_something_else_ends_the_connect() -> Result<(), Missing> {
    payload("leaf")?;
    let client = Client::new("ask '(me@web) Password: '; ask '(me@web) Password: '");
    let error = fails(client.ssh().password(PASSWORD));
    assert_eq!((error.code(), client.answers()), ("password_wrong", format!("{PASSWORD}\n")), "{error}");
    let client = Client::new("ask '(me@web) Password: '; ask '(me@web) Verification code: '");
    let error = fails(client.ssh().password(PASSWORD));
    assert_eq!((error.code(), client.answers()), ("unanswered", format!("{PASSWORD}\n")), "{error}");
    assert!(error.to_string().contains("it asks `(me@web) Verification code:`, and there is no"), "{error}");
    let client = Client::new("ask '(me@web) New password: '");
    let error = fails(client.ssh().password(PASSWORD));
    assert_eq!((error.code(), client.answers().as_str()), ("password_expired", ""), "{error}");
    // Without what opens a key the client goes on.
    let client = Client::new("ask \"Enter passphrase for key 'k': \" || ask '(me@web) Password: '; exit 7");
    let error = fails(client.ssh().password(PASSWORD));
    assert_eq!((error.code(), client.answers()), ("exited", format!("{PASSWORD}\n")), "{error}");
    Ok(())
}

fn attack_64_a_host_key_that_is_unknown_or_has_changed_is_shown_and_not_accepted() -> Result<(), Missing> {
    payload("leaf")?;
    let (sshd, user) = (Sshd::new("")?, user("stranger")?);
    let changed = format!("far {}", fs::read_to_string(sshd.file("other.pub")).unwrap());
    let client = fs::read_to_string(sshd.file("client")).unwrap();
    // What the client does by itself, and what its user has told it.
    let own = client.replace("StrictHostKeyChecking yes", "");
    let asks = client.replace("StrictHostKeyChecking yes", "StrictHostKeyChecking ask");
    assert!(own != client && asks != client);
    attacked(|root| {
        for (known, client) in [("", &own), ("", &asks), (&*changed, &own), (&*changed, &asks)] {
            fs::write(sshd.file("known"), known).unwrap();
            fs::write(sshd.file("client"), client).unwrap();
            for method in [by_password(&sshd, &user), by_password(&sshd, &user).password(PASSWORD)] {
                let error = root.fails(method);
                assert_eq!(error.code(), "host_key", "{error}");
                assert!(error.last_words().contains("SHA256:"), "{error}");
                let has_changed = error.last_words().contains("HOST IDENTIFICATION HAS CHANGED");
                assert_eq!(has_changed, !known.is_empty(), "{error}");
                assert_eq!(fs::read_to_string(sshd.file("known")).unwrap(), known);
            }
        }
    });
    Ok(())
}

fn a_client_that_may_not_ask_is_refused_and_nobody_hears_of_it() -> Result<(), Missing> {
    payload("leaf")?;
    let client = Client::new(
        "ask 'Enter PIN for ED25519-SK key: ' || ask \"Enter passphrase for key 'k': \" || \
         ask 'Are you sure you want to continue connecting (yes/no/[fingerprint])? ' || exit 7",
    );
    let (heard, asked) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(0)));
    let (theirs, seen) = (Arc::clone(&heard), Arc::clone(&asked));
    let prompter = move |query: &Query| {
        theirs.lock().unwrap().push((query.is_of_place, query.text.to_string()));
        Some("yes".into())
    };
    let observer = move |_: &Plan, step: &Step| {
        *seen.lock().unwrap() += u32::from(matches!(step, Step::Asked { .. }));
    };
    let router = Router::builder().prompter(prompter).observer(observer).build().unwrap();
    let error = router.connect(client.ssh()).unwrap_err();
    assert_eq!((error.code(), client.answers().as_str()), ("exited", ""), "{error}");
    assert!(error.to_string().contains("exit status 7"), "{error}");
    assert_eq!(*asked.lock().unwrap(), 3);
    // A real one does not ask for what opens a key, or for a password.
    let (sshd, user) = (Sshd::new("")?, user("silent")?);
    let locked = sshd.file("locked");
    fs::copy(sshd.file("stranger.pub"), sshd.file("authorized")).unwrap();
    run(&["ssh-keygen", "-q", "-t", "ed25519", "-N", "a word", "-f", &locked]);
    let method = sshd.ssh().user(&user.name).identity(locked).payload(payload("leaf")?);
    let error = router.connect(method).unwrap_err();
    assert_eq!(error.code(), "authentication", "{error}");
    assert_eq!((*asked.lock().unwrap(), &*heard.lock().unwrap()), (3, &Vec::new()));
    // To go on without a password would be a failed login.
    let client = Client::new("ask \"me@web's password: \"; exit 7");
    assert_eq!(router.connect(client.ssh()).unwrap_err().code(), "password_needed");
    assert_eq!(*heard.lock().unwrap(), []);
    // The client of a jump host reads the configuration alone, and may ask.
    let client = Client::new("(ask \"me@jump's password: \"; :) && exit 7");
    assert_eq!(router.connect(client.ssh()).unwrap_err().code(), "exited");
    assert_eq!(*heard.lock().unwrap(), [(false, "me@jump's password:".to_owned())]);
    Ok(())
}

fn a_client_without_a_helper_is_told_to_ask_nobody() -> Result<(), Missing> {
    payload("leaf")?;
    let client = Client::new("echo \"$*\" >$0.words");
    let words = |started: Box<dyn Any>| {
        let words = eventually("it runs", Duration::from_secs(5), || {
            fs::read_to_string(client.file("ssh.words")).ok().filter(|words| words.ends_with('\n'))
        });
        drop(started);
        fs::remove_file(client.file("ssh.words")).unwrap();
        words
    };
    let given = words(Box::new(spawn(&client.ssh().ask().plan()).unwrap()));
    let helped = words(Box::new(Launch::new(&client.ssh().plan()).start().unwrap()));
    let first =
        |words: &str| words.split(' ').find_map(|word| word.strip_prefix("BatchMode=")).map(str::to_owned);
    assert_eq!((first(&given).as_deref(), first(&helped).as_deref()), (Some("yes"), Some("no")));
    Ok(())
}

fn a_prompter_sees_who_asks_and_what() -> Result<(), Missing> {
    let deep = Deep::new("asked")?;
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (theirs, jump) = (Arc::clone(&seen), deep.jump_account());
    let prompter = move |query: &Query| {
        let account = query.account.as_deref().unwrap_or_default().to_owned();
        let answer = if account == jump { PASSWORD } else { OTHER };
        theirs.lock().unwrap().push((account, query.is_of_place, query.echoes, query.attempt));
        Some(answer.into())
    };
    let router = Router::builder().prompter(prompter).build().unwrap();
    adds(&router, deep.ssh().ask());
    let expected =
        [(deep.jump_account(), false, false, 1), (format!("{}@far", deep.user.name), true, false, 1)];
    assert_eq!(*seen.lock().unwrap(), expected);
    Ok(())
}

fn a_prompter_that_panics_gives_no_answer() -> Result<(), Missing> {
    payload("leaf")?;
    let client = Client::new("ask \"me@web's password: \"");
    let router = Router::builder().prompter(|_: &Query| panic_any(Twice)).build().unwrap();
    let error = router.connect(client.ssh().ask().timeout(Duration::from_secs(10))).unwrap_err();
    assert_eq!(error.code(), "password_needed", "{error}");
    Ok(())
}

fn nobody_is_asked_for_a_connect_that_is_over() -> Result<(), Missing> {
    payload("leaf")?;
    let (asked, questions) = mpsc::channel();
    let (answer, answers) = mpsc::channel::<()>();
    let answers = Mutex::new(answers);
    let prompter = move |query: &Query| {
        asked.send(query.text.to_string()).unwrap();
        answers.lock().unwrap().recv().ok()?;
        Some("typed".into())
    };
    let router = Router::builder().prompter(prompter).build().unwrap();
    let client = |n: u32| Client::new(&format!("ask 'Enter PIN {n}: '; exit 7"));
    let (first, second, third) = (client(1), client(2), client(3));
    let begun = router.connect_async(first.ssh().ask());
    assert_eq!(questions.recv_timeout(Duration::from_secs(10)).unwrap(), "Enter PIN 1:");
    // It has to wait for its turn, and longer than it has time; the other is given up meanwhile.
    let given_up = router.connect_async(third.ssh().ask());
    let late = router.connect_async(second.ssh().ask().timeout(Duration::from_millis(500)));
    let error = late.wait().unwrap_err();
    assert_eq!(error.code(), "no_answer", "{error}");
    drop(given_up);
    let of_third = third.file("ssh");
    let is_of_third = |pid: &u32| {
        fs::read_to_string(format!("/proc/{pid}/cmdline")).is_ok_and(|words| words.contains(&of_third))
    };
    let none = || (!descendants().iter().any(is_of_third)).then_some(());
    eventually("its client is gone", Duration::from_secs(5), none);
    answer.send(()).unwrap();
    assert_eq!(begun.wait().unwrap_err().code(), "exited");
    // Whoever still waited would be asked now.
    drop(answer);
    drop(router);
    assert_eq!(questions.iter().count(), 0);
    Ok(())
}

fn clients_that_ask_at_the_same_time_each_get_their_own_answer() -> Result<(), Missing> {
    payload("leaf")?;
    let helpers = || {
        let is_helper = |pid: &u32| {
            let words = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let state = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            words.contains("@j") && words.contains("/proc/") && state.contains(") S ")
        };
        descendants().iter().filter(|pid| is_helper(pid)).count()
    };
    // The first is answered only once all have asked, as far as they can.
    let is_first = AtomicBool::new(true);
    let prompter = move |query: &Query| {
        if is_first.swap(false, Ordering::Relaxed) {
            eventually("three ask", Duration::from_secs(10), || (helpers() >= 3).then_some(()));
        }
        Some(query.account.as_deref()?.into())
    };
    let router = Router::builder().prompter(prompter).build().unwrap();
    // By a pipe, as a client has it.
    let ask = |n: u32| format!("(\"$SSH_ASKPASS\" \"me@j{n}'s password: \" || echo no >&2) | cat >>$0.{n} &");
    let client = Client::new(&format!("{} {} {} wait; exit 7", ask(1), ask(2), ask(3)));
    let error = router.connect(client.ssh().ask()).unwrap_err();
    assert_eq!(error.code(), "exited", "{error}");
    let answers = [1, 2, 3].map(|n| fs::read_to_string(client.file(&format!("ssh.{n}"))).unwrap());
    assert_eq!(answers, ["me@j1\n", "me@j2\n", "me@j3\n"], "{error}");
    assert!(!error.last_words().lines().any(|line| line == "no"), "{error}");
    Ok(())
}

fn an_ssh_password_is_nowhere_to_be_read() -> Result<(), Missing> {
    payload("leaf")?;
    let (sshd, user) = (Sshd::new("")?, user("hidden")?);
    let (hunts, logged) = logs::of_every_level(|| {
        let [hunt, wrong] = [PASSWORD, OTHER].map(|word| Hunt::new(word, [user.home.path().to_owned()]));
        // One that has its answer, and keeps it for itself.
        let client = Client::new("word=$(\"$SSH_ASKPASS\" \"me@web's password: \") && touch $0.asked");
        let method = client.ssh().password(PASSWORD).timeout(Duration::from_secs(3));
        hunt.assert_not_in(&format!("{method:?} {method} {:?}", method.plan()), "the way");
        let router = Router::new().unwrap();
        let connecting = router.connect_async(method);
        let asked = client.file("ssh.asked");
        eventually("it has been asked", Duration::from_secs(5), || fs::exists(&asked).unwrap().then_some(()));
        assert!(hunt.until_over(&connecting, "sleep") > 0);
        let error = connecting.wait().unwrap_err();
        hunt.assert_not_in(&format!("{error} {error:?}"), "the error");
        // A server that thinks about it for two seconds.
        let connecting = router.connect_async(by_password(&sshd, &user).password(OTHER));
        assert!(wrong.until_over(&connecting, "ssh") > 1);
        let error = connecting.wait().unwrap_err();
        assert_eq!(error.code(), "password_wrong", "{error}");
        wrong.assert_not_in(&format!("{error} {error:?}"), "the error");
        let connecting = router.connect_async(by_password(&sshd, &user).password(PASSWORD));
        hunt.until_over(&connecting, "ssh");
        assert_eq!(connecting.wait().unwrap().call(ADD, (2, 3)).unwrap(), 5);
        hunt.look();
        [hunt, wrong]
    });
    hunts.iter().for_each(|hunt| hunt.assert_not_in(&logged.concat(), "the log"));
    Ok(())
}
