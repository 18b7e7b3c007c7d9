//! How trees grow: ids, names, who makes whom.

use std::thread;

use offshoot_parent::prelude::*;

use crate::{
    ADD, ADD_THERE, GROW,
    harness::{Folder, PATIENCE},
    this_program,
};

crate::tests![
    a_child_is_made_and_called,
    the_root_counts_its_children_and_a_hop_asks_for_a_range,
    a_handler_in_a_hop_makes_children_with_the_same_words,
    ten_contexts_each_made_by_the_one_before,
    many_are_made_at_once_by_many,
    a_child_of_a_child_calls_its_cousin_where_it_was_granted,
    the_tree_prints_names_ids_and_processes,
    several_trees_in_one_process_keep_apart,
    a_root_that_serves_nothing_says_so_to_whoever_calls_it,
    every_frame_of_the_roots_links_is_recorded,
    a_connect_can_be_awaited
];

fn a_child_is_made_and_called() {
    let router = Router::new().unwrap();
    let child = router.connect(this_program("child")).unwrap();
    assert_eq!(child.call(ADD, (2, 3)), Ok(5));
    assert_eq!((child.id(), child.name()), (ContextId::new(1), "child"));
}

fn the_root_counts_its_children_and_a_hop_asks_for_a_range() {
    let router = Router::new().unwrap();
    let numbers = |context: &Context| context.id().number();
    let a = router.connect(this_program("a")).unwrap();
    let below = [(); 2].map(|()| a.connect(this_program("below")).unwrap());
    let b = router.connect(this_program("b")).unwrap();
    let deep = below[0].connect(this_program("deep")).unwrap();
    assert_eq!([&a, &b, &below[0], &below[1], &deep].map(numbers), [1, 2, 1000, 1001, 2000]);
    assert_eq!(deep.call(ADD, (1, 1)), Ok(2));
}

fn a_handler_in_a_hop_makes_children_with_the_same_words() {
    let router = Router::new().unwrap();
    let hop = router.connect(this_program("hop")).unwrap();
    let made = hop.call(GROW, "made".into()).unwrap();
    assert_eq!(made.name(), "made");
    assert_eq!(made.call(ADD, (20, 22)), Ok(42));
    assert_eq!(router.tree().get(made.id()).unwrap().parent(), Some(hop.id()));
}

fn ten_contexts_each_made_by_the_one_before() {
    let router = Router::new().unwrap();
    let mut last = router.here();
    for depth in 1..=10 {
        last = last.connect(this_program(&format!("c{depth}"))).unwrap();
    }
    assert_eq!(last.call(ADD, (4, 5)), Ok(9));
    let deepest = router.tree().iter().map(|node| node.depth()).max();
    assert_eq!(deepest, Some(10));
}

fn many_are_made_at_once_by_many() {
    let router = Router::new().unwrap();
    let hops = ["a", "b"].map(|name| router.connect(this_program(name)).unwrap());
    let connecting: Vec<_> =
        (0..20).map(|n| hops[n % 2].connect_async(this_program(&format!("leaf{n}")))).collect();
    let leaves: Vec<_> = connecting.into_iter().map(|connecting| connecting.wait().unwrap()).collect();
    let sums: Vec<_> = leaves.iter().map(|leaf| leaf.call_async(ADD, (3, 4))).collect();
    assert!(sums.into_iter().all(|sum| sum.wait() == Ok(7)));
    assert_eq!(router.tree().len(), 1 + 2 + 20);
    assert_eq!(router.dropped(), []);
}

fn a_child_of_a_child_calls_its_cousin_where_it_was_granted() {
    let router = Router::new().unwrap();
    let hops = ["a", "b"].map(|name| router.connect(this_program(name)).unwrap());
    let cousins = hops.each_ref().map(|hop| hop.connect(this_program("cousin")).unwrap());
    let refused = cousins[0].call(ADD_THERE, (cousins[1].clone(), 4)).unwrap_err();
    assert!(refused.to_string().contains("does not let"), "{refused}");
    cousins[1].grant(ADD, &cousins[0]).unwrap();
    assert_eq!(cousins[0].call(ADD_THERE, (cousins[1].clone(), 4)), Ok(8));
}

fn the_tree_prints_names_ids_and_processes() {
    let router = Router::new().unwrap();
    let hop = router.connect(this_program("hop")).unwrap();
    let deep = hop.connect(this_program("deep")).unwrap();
    router.connect(this_program("leaf")).unwrap();
    let tree = router.tree();
    let pid = |id| tree.pid(id).unwrap();
    let expected = format!(
        "root (0, pid {})\n  hop (1, pid {})\n    deep (1000, pid {})\n  leaf (2, pid {})",
        std::process::id(),
        pid(hop.id()),
        pid(deep.id()),
        pid(ContextId::new(2)),
    );
    assert_eq!(tree.to_string(), expected);
}

fn several_trees_in_one_process_keep_apart() {
    let routers: Vec<Router> = (0..3).map(|_| Router::new().unwrap()).collect();
    let children: Vec<_> =
        routers.iter().map(|router| router.connect(this_program("child")).unwrap()).collect();
    assert!(children.iter().all(|child| child.id() == ContextId::new(1)));
    drop(routers.into_iter().next());
    thread::scope(|scope| {
        for (n, child) in (0..).zip(&children) {
            scope.spawn(move || child.call(ADD, (n, n)));
        }
    });
    assert!(children.iter().all(|child| child.call(ADD, (1, 1)).is_err()), "all routers are dropped");
}

fn every_frame_of_the_roots_links_is_recorded() {
    use offshoot_parent::record::{Recorded, Recording};

    let folder = Folder::new();
    let path = folder.path().join("frames");
    let router = Router::builder().record(&path).build().unwrap();
    let child = router.connect(this_program("child")).unwrap();
    assert_eq!(child.call(ADD, (2, 3)), Ok(5));
    // Whoever has a context still keeps parts of the router.
    drop(router);
    let items: Vec<_> = Recording::open(&path).unwrap().map(Result::unwrap).collect();
    let handles = |came_in: bool| -> Vec<u32> {
        let frames = items
            .iter()
            .filter_map(|item| if let Recorded::Frame(frame) = item { Some(frame) } else { None });
        frames.filter(|frame| frame.came_in == came_in).map(|frame| frame.handle.number()).collect()
    };
    assert!(handles(false).starts_with(&[200, 101]), "SETUP, then the call: {:?}", handles(false));
    assert_eq!(handles(true).first(), Some(&201), "HELLO: {:?}", handles(true));
    assert!(handles(true).iter().any(|handle| *handle >= 1000), "a reply: {:?}", handles(true));
}

fn a_connect_can_be_awaited() {
    let router = Router::new().unwrap();
    let mut select = Select::new();
    for name in ["a", "b"] {
        select.add(router.connect_async(this_program(name)), |up| up.unwrap().name().to_owned());
    }
    let mut names: Vec<String> = std::iter::from_fn(|| select.wait()).collect();
    names.sort();
    assert_eq!(names, ["a", "b"]);
}

fn a_root_that_serves_nothing_says_so_to_whoever_calls_it() {
    let router = Router::new().unwrap();
    let root = router.here();
    let own = root.call_async(ADD, (1, 2)).wait_timeout(PATIENCE).unwrap_err();
    assert!(matches!(own, CallError::NoSuchFunction { .. }), "{own}");
    assert!(own.to_string().contains("add"), "{own}");
    let child = router.connect(this_program("child")).unwrap();
    let below = child.call_async(ADD_THERE, (root, 4)).wait_timeout(PATIENCE).unwrap_err();
    assert!(below.to_string().contains("add"), "{below}");
    assert!(!matches!(below, CallError::TimedOut { .. }), "{below}");
}
