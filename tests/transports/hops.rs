//! Children beyond children: what a hop is sent and keeps, and ways of several kinds one behind the other.

use std::fs;

use offshoot_parent::{
    prelude::*,
    record::{Recorded, Recording},
};

use crate::{
    accounts::{Desk, PASSWORD},
    containers::Namespaces,
    far::{ADD, Missing, payload, static_program},
};

crate::tests![
    a_program_passes_each_link_once_and_is_kept_by_the_hop,
    a_program_that_a_hop_has_lost_its_child_with_is_sent_to_the_next_one,
    fifty_connects_go_side_by_side_through_one_hop_and_hold_no_worker,
    ways_of_several_kinds_lead_one_behind_the_other,
];

/// Served by the reference hop.
const ECHO: Function<String, String> = Function::new("echo");

/// The leaf as bytes, which are the same wherever it is made from them.
fn leaf() -> Result<Payload, Missing> {
    Ok(Payload::bytes("leaf", static_program("leaf")?).unwrap())
}

fn adds(child: &Context) {
    assert_eq!(child.call(ADD, (2, 3)).unwrap(), 5);
}

/// A hop below `maker`, and the file in which everything stands that it is sent.
fn watched_hop(maker: &Context, file: &str) -> Context {
    let watch = ["sh", "-c", "tee \"$0\" | \"$@\"", file];
    maker.connect(Wrapped::new(watch).payload(payload("hop").unwrap()).name("inner")).unwrap()
}

fn a_program_passes_each_link_once_and_is_kept_by_the_hop() -> Result<(), Missing> {
    let (hop, leaf) = (payload("hop")?, leaf()?);
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    let router = Router::builder().record(at("frames")).build().unwrap();
    let outer = router.connect(Local::new(hop).name("outer")).unwrap();
    let inner = watched_hop(&outer, &at("inner"));
    let before = fs::metadata(at("inner")).unwrap().len();
    for maker in [&inner, &outer, &inner] {
        let children = [0; 5].map(|_| maker.connect_async(Local::new(leaf.clone())));
        children.into_iter().for_each(|child| adds(&child.wait().unwrap()));
    }
    let size = leaf.size() as u64;
    let behind = fs::metadata(at("inner")).unwrap().len() - before;
    assert!(
        behind > size && behind < size + size / 8,
        "{behind} bytes of a program of {size} went to the inner hop"
    );
    drop(router);
    let frames = Recording::open(at("frames")).unwrap().map(Result::unwrap);
    let sent = frames.filter_map(|item| match item {
        Recorded::Frame(frame) if !frame.came_in => Some(frame.body.len() as u64),
        _ => None,
    });
    let sent: u64 = sent.sum();
    assert!(
        sent > size && sent < size + size / 8,
        "{sent} bytes of a program of {size} went to the outer hop"
    );
    Ok(())
}

fn a_program_that_a_hop_has_lost_its_child_with_is_sent_to_the_next_one() -> Result<(), Missing> {
    let (hop, leaf) = (payload("hop")?, leaf()?);
    let router = Router::new().unwrap();
    let outer = router.connect(Local::new(hop.clone()).name("outer")).unwrap();
    for _ in 0..2 {
        let inner = outer.connect(Local::new(hop.clone()).name("inner")).unwrap();
        adds(&inner.connect(Local::new(leaf.clone())).unwrap());
        inner.shutdown().wait_timeout(std::time::Duration::from_secs(5)).unwrap();
    }
    Ok(())
}

fn fifty_connects_go_side_by_side_through_one_hop_and_hold_no_worker() -> Result<(), Missing> {
    let (hop, leaf) = (payload("hop")?, leaf()?);
    let folder = tempfile::tempdir().unwrap();
    let router = Router::new().unwrap();
    let gateway = router.connect(Local::new(hop)).unwrap();
    // None goes on before all have come so far.
    let script = "touch $0/$$; until [ $(ls $0 | wc -l) -ge 51 ]; do sleep 0.1; done; exec \"$@\"";
    let meeting = ["sh", "-c", script, folder.path().to_str().unwrap()];
    let begin = |_| gateway.connect_async(Wrapped::new(meeting).payload(leaf.clone()));
    let connecting: Vec<_> = (0..50).map(begin).collect();
    assert_eq!(gateway.call(ECHO, "free".into()).unwrap(), "free");
    assert!(connecting.iter().all(|child| !child.is_ready()));
    fs::write(folder.path().join("go"), "").unwrap();
    connecting.into_iter().for_each(|child| adds(&child.wait().unwrap()));
    Ok(())
}

fn ways_of_several_kinds_lead_one_behind_the_other() -> Result<(), Missing> {
    let desk = Desk::of_sudoer("chain")?;
    let namespaces = Namespaces::new()?;
    let hop = Payload::bytes("hop", static_program("hop")?).unwrap();
    let root = desk.there.connect(Sudo::new().password(PASSWORD).payload(hop)).unwrap();
    let inside = root.connect(Container::nsenter(namespaces.pid).payload(leaf()?)).unwrap();
    adds(&inside);
    let tree = desk.router.tree();
    assert_eq!(tree.len(), 4, "{tree}");
    // Its name is the way there.
    let path = format!("ssh:far.sudo:root.nsenter:{}", namespaces.pid);
    assert_eq!(tree.get(inside.id()).unwrap().path(), path);
    root.shutdown().wait_timeout(std::time::Duration::from_secs(5)).unwrap();
    assert!(inside.call(ADD, (2, 3)).unwrap_err().is_lost());
    assert!(desk.there.is_alive());
    Ok(())
}
