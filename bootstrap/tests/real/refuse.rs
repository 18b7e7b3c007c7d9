//! What cannot be started, and what the error says then.

use std::{fs, os::unix::fs::PermissionsExt as _};

use offshoot_bootstrap::{ConnectError, ConnectErrorKind, Payload, Phase};

use crate::harness::{Folder, quiet, rest, start, with_room_for};

/// The error of starting what was a program when the payload was made, after `change`.
fn refused(change: impl FnOnce(&Folder)) -> (ConnectError, String) {
    let folder = Folder::new();
    let payload = Payload::file(folder.program("tool", "#!/bin/sh\n")).unwrap();
    change(&folder);
    let error = start(payload).unwrap_err();
    assert_eq!(error.phase(), Phase::Spawn);
    let text = error.to_string().replace(&*folder.path().to_string_lossy(), "FOLDER");
    (error, text)
}

#[test]
fn a_program_that_has_gone() {
    let _quiet = quiet();
    let (error, text) = refused(|folder| fs::remove_file(folder.path().join("tool")).unwrap());
    assert_eq!(text, "child: local, starting the process: there is no file FOLDER/tool");
    assert_eq!(error.code(), "not_found");
}

#[test]
fn a_directory() {
    let _quiet = quiet();
    let (error, text) = refused(|folder| {
        fs::remove_file(folder.path().join("tool")).unwrap();
        fs::create_dir(folder.path().join("tool")).unwrap();
    });
    assert_eq!(text, "child: local, starting the process: FOLDER/tool is a directory, not a program");
    assert_eq!(error.code(), "not_executable");
}

#[test]
fn a_program_that_is_not_executable() {
    let _quiet = quiet();
    let (error, text) = refused(|folder| {
        fs::set_permissions(folder.path().join("tool"), fs::Permissions::from_mode(0o600)).unwrap();
    });
    assert_eq!(
        text,
        "child: local, starting the process: FOLDER/tool is not executable for this user; `chmod +x` it"
    );
    assert_eq!(error.code(), "not_executable");
}

#[test]
fn a_file_that_is_no_program() {
    let _quiet = quiet();
    let (error, text) = refused(|folder| drop(folder.program("tool", "hello\n")));
    assert_eq!(
        text,
        "child: local, starting the process: FOLDER/tool is no program, and the machine cannot run it; \
         build the program for that machine"
    );
    assert_eq!(error.code(), "wrong_format");
}

#[test]
fn a_program_for_another_machine() {
    let _quiet = quiet();
    // An ELF header of a machine that nobody has built (0xfefe).
    let mut program = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\xfe\xfe\x01\0\0\0".to_vec();
    program.resize(4096, 0);
    let (_, text) = refused(|folder| drop(folder.program("tool", &program)));
    assert_eq!(
        text,
        "child: local, starting the process: FOLDER/tool is a program for another kind of machine, and the \
         machine cannot run it; build the program for that machine"
    );
    let error = start(Payload::bytes("alien", program).unwrap()).unwrap_err();
    assert_eq!(error.code(), "wrong_format");
}

#[test]
fn a_script_whose_interpreter_is_missing() {
    let _quiet = quiet();
    let (error, text) = refused(|folder| drop(folder.program("tool", "#!/no/such/shell\n")));
    assert_eq!(
        text,
        "child: local, starting the process: FOLDER/tool is there, but the program that must load it is not; \
         build it static, or mend the first line of a script"
    );
    assert_eq!(error.code(), "no_loader");
}

#[test]
fn what_cannot_be_a_payload_is_refused_when_it_is_made() {
    let _quiet = quiet();
    let folder = Folder::new();
    let text = |path: &str| {
        let error = Payload::file(folder.path().join(path)).unwrap_err().to_string();
        error.replace(&*folder.path().to_string_lossy(), "FOLDER")
    };
    fs::write(folder.path().join("plain"), "").unwrap();
    assert_eq!(text("none"), "FOLDER/none: no such file");
    assert_eq!(text("plain/below"), "FOLDER/plain/below: no such file");
    assert_eq!(text("."), "FOLDER: a directory, not a program");
    assert_eq!(
        text("plain"),
        "FOLDER/plain: not executable for this user; `chmod +x` it, or build the program and name its binary"
    );
}

#[test]
fn a_script_given_as_bytes() {
    let error = Payload::bytes("install", b"#!/bin/sh\nrm -rf /\n".as_slice()).unwrap_err();
    assert!(error.to_string().starts_with("install: a script, and bytes must be"), "{error}");
}

#[test]
fn a_bad_name_starts_nothing() {
    use offshoot_bootstrap::{Local, Method as _, spawn};

    let _quiet = quiet();
    let error = spawn(&Local::new(Payload::file("/bin/cat").unwrap()).name("a.b").plan()).unwrap_err();
    assert_eq!((error.code(), error.phase()), ("bad_name", Phase::Allocate));
}

#[test]
fn without_descriptors_the_error_names_the_limit_whichever_is_missing() {
    let _quiet = quiet();
    let in_memory = Payload::bytes("cat", fs::read("/bin/cat").unwrap()).unwrap();
    for payload in [Payload::file("/bin/cat").unwrap(), in_memory] {
        let mut refusals = 0;
        let child = loop {
            match with_room_for(refusals, || start(payload.clone())) {
                Ok(child) => break child,
                Err(error) => {
                    let ConnectErrorKind::TooManyDescriptors { limit: Some(limit) } = error.kind() else {
                        panic!("{refusals}: {error}");
                    };
                    let text = format!(
                        "child: local, starting the process: too many descriptors are open (this process may have \
                         {limit}); raise the limit (`ulimit -n`) or have fewer children at once"
                    );
                    assert_eq!(error.to_string(), text);
                    refusals += 1;
                }
            }
        };
        assert!((7..20).contains(&refusals), "{refusals}");
        assert_eq!(rest(&child), "");
    }
}
