//! Containers of docker, and how each way in which one cannot be entered is told.

use std::fs;

use offshoot_parent::prelude::*;
use offshoot_tests::{
    far::{Docker, busybox_root},
    real::PATIENCE,
};

use crate::far::{ADD, Missing, Planned, as_root, payload, program};

crate::tests![
    what_keeps_docker_from_a_container_is_told_by_kind,
    a_container_of_docker_that_is_restarted_is_a_loss_and_is_there_again,
    a_container_of_docker_that_lets_nothing_be_put_is_told_or_gone_round,
    a_container_of_docker_without_a_shell_is_entered_by_a_descriptor,
];

/// The container of an engine, by name.
fn container(engine: &Docker, name: &str, leaf: &Payload) -> Container {
    let [client, there @ ..] = engine.words();
    Container::docker(name).program(client).option(there).payload(leaf.clone())
}

/// A new one of an image, with these options of `run`.
fn image(engine: &Docker, name: &str, options: &[&str], leaf: &Payload) -> Image {
    let new = Image::docker(name).program(engine.words()).option(Docker::RUN);
    new.option(options.iter().copied()).payload(leaf.clone())
}

fn works(method: impl Method) {
    let router = Router::new().unwrap();
    let there = router.connect(method).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(there.call(ADD, (2, 3)).unwrap(), 5);
}

#[track_caller]
fn fails(code: &str, method: impl Method) {
    let error = Router::new().unwrap().connect(method).unwrap_err();
    assert_eq!(error.code(), code, "{error}");
}

fn what_keeps_docker_from_a_container_is_told_by_kind() -> Result<(), Missing> {
    let (root, leaf) = (busybox_root()?, payload("leaf")?);
    let engine = Docker::new(root.path())?;
    let there = || container(&engine, "far", &leaf);
    works(there());
    works(there().user("1000"));
    works(image(&engine, "far:1", &[], &leaf));
    fails("no_such_user", there().user("nosuch"));
    fails("no_container", container(&engine, "nosuch", &leaf));
    fails("no_container", container(&engine, "nosuch", &leaf).without_shell());
    fails("no_container", image(&engine, "nosuch:1", &[], &leaf));
    engine.run(&["pause", "far"]).unwrap();
    fails("no_container", there());
    engine.run(&["unpause", "far"]).unwrap();
    works(there());
    engine.run(&["stop", "far"]).unwrap();
    fails("no_container", there());
    fails("no_container", there().without_shell());
    let mut stranger = there().plan();
    let words = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"].map(str::to_owned);
    stranger.transport.as_mut().unwrap().leader.splice(..0, words);
    fails("not_allowed", Planned(stranger));
    let gone = there();
    drop(engine);
    fails("no_engine", gone);
    Ok(())
}

fn a_container_of_docker_that_is_restarted_is_a_loss_and_is_there_again() -> Result<(), Missing> {
    let (root, leaf) = (busybox_root()?, payload("leaf")?);
    let engine = Docker::new(root.path())?;
    let router = Router::new().unwrap();
    let there = router.connect(container(&engine, "far", &leaf)).unwrap();
    engine.run(&["restart", "-t", "0", "far"]).unwrap();
    there.lost().wait_timeout(PATIENCE).unwrap();
    assert!(there.call(ADD, (2, 3)).unwrap_err().is_lost());
    works(container(&engine, "far", &leaf));
    Ok(())
}

fn a_container_of_docker_that_lets_nothing_be_put_is_told_or_gone_round() -> Result<(), Missing> {
    let (root, leaf) = (busybox_root()?, payload("leaf")?);
    let engine = Docker::new(root.path())?;
    let sealed = ["--read-only"];
    fails("no_place", image(&engine, "far:1", &sealed, &leaf));
    // What docker mounts so lets nothing run, if it is not told to.
    let noexec = ["--read-only", "--tmpfs=/tmp"];
    let error = Router::new().unwrap().connect(image(&engine, "far:1", &noexec, &leaf)).unwrap_err();
    assert!(error.code() == "no_place" && error.to_string().contains("(/tmp: "), "{error}");
    works(image(&engine, "far:1", &["--read-only", "--tmpfs=/tmp:exec"], &leaf));
    // It is left out where there is another place.
    works(image(&engine, "far:1", &["--tmpfs=/tmp"], &leaf));
    // There is none but memory.
    let perl = program("perl")?.display().to_string();
    let perl = format!("--volume={perl}:/bin/perl:ro");
    let libraries = ["/lib", "/lib64", "/usr/lib"].map(|at| format!("--volume={at}:{at}:ro"));
    let options = [&sealed[..], &[&perl], &libraries.each_ref().map(String::as_str)].concat();
    works(image(&engine, "far:1", &options, &leaf));
    Ok(())
}

fn a_container_of_docker_without_a_shell_is_entered_by_a_descriptor() -> Result<(), Missing> {
    let leaf = payload("leaf")?;
    as_root()?;
    program("perl")?;
    let root = tempfile::Builder::new().prefix("root-").tempdir().unwrap();
    fs::create_dir(root.path().join("bin")).unwrap();
    fs::copy(program("busybox")?, root.path().join("bin/sleep")).unwrap();
    let engine = Docker::new(root.path())?;
    fails("no_shell", container(&engine, "far", &leaf));
    fails("no_shell", image(&engine, "far:1", &[], &leaf));
    works(container(&engine, "far", &leaf).without_shell());
    Ok(())
}
