//! What ways to a place ask: a password is answered once, to its own question and to nothing that merely looks like it.

use offshoot_bootstrap::internal::{asked_password, prompt};

use super::{
    Peak,
    sliced::{Sliced, cut},
};

const QUESTION: &str = "[offshoot] password";
/// What sudo-rs puts around it where it is the password that PAM asks for, and only before it where it is not.
const FRAME: [&str; 2] = ["[sudo: ", "] Password: "];

pub(super) fn run(input: &[u8], _: Peak) {
    let sliced = Sliced::of(input);
    on_stderr(sliced);
    let text = String::from_utf8_lossy(sliced.stream);
    if let Some(account) = asked_password(&text) {
        let asks_itself = *text == format!("{account}'s password: ");
        let is_the_server = text.starts_with(&format!("({account}) ")) && !account.contains(") ");
        assert!(asks_itself || is_the_server, "{text:?} is taken for a question of {account:?}");
    }
}

/// However it is cut: once asked it is answered, asked again it is refused.
fn on_stderr(sliced: Sliced<'_>) {
    let asked = |said: &[u8]| {
        let [opens, closes] = FRAME.map(str::as_bytes);
        let mut windows = said.windows(QUESTION.len()).enumerate();
        windows.any(|(at, window)| {
            let line = said[..at].rsplit(|byte| matches!(byte, b'\n' | b'\r')).next().unwrap_or_default();
            window == QUESTION.as_bytes()
                && (line != opens || said[at + QUESTION.len()..].starts_with(closes))
        })
    };
    match prompt(QUESTION, "secret", sliced.slices()) {
        Ok(answers) => {
            assert_eq!(answers.len(), usize::from(asked(sliced.stream)));
            assert!(answers.iter().all(|answer| answer.expose() == b"secret\n"));
        }
        Err(_) => assert!(asked(sliced.stream), "a question that was not asked was refused"),
    }
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let said = [
        "Lecture: be kind.\n[offshoot] password for root: ",
        "[offshoot] password\nSorry, try again.\n[offshoot] password",
        "[sudo: [offshoot] password] Password: ",
        "[sudo: [offshoot] password] Verification code: \n[offshoot] password",
        "me@web's password: ",
        "(me@web) Password: ",
        "(me@jump) hm) root@web's password: ",
        "(me@web) New password: ",
        "Enter passphrase for key '/etc/keys/id': ",
    ];
    said.iter().flat_map(|said| cut(said.as_bytes())).collect()
}
