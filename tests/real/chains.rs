//! Contexts made by contexts, and made again and again: 12 and 13.

use offshoot_parent::prelude::*;
use offshoot_tests::real::{
    PATIENCE, Signal, eventually,
    flows::HERE,
    kill,
    leaks::{descriptors, threads},
    rss_kib,
    table::{ADD, ASK, COUNT, NAME, SUM, WORK},
};

use crate::bed::{chain, hop, leaf, root};

crate::tests![
    t12_a_chain_of_ten_contexts_each_made_by_the_one_before,
    t12_a_handler_in_a_hop_connects_calls_streams_and_selects,
    t13_200_children_in_a_loop_leave_nothing_behind_in_the_root,
    t13_200_children_in_a_loop_leave_nothing_behind_in_a_hop,
];

/// Does in a hop all that a program does at the root; gives back the children that it made.
const NEST: Function<(), (Context, Context, Vec<String>)> = Function::new("nest");
/// Makes and ends so many children; says what has grown since the loop was warm: descriptors, threads, KiB.
const CHURN: Function<u32, (usize, usize, u64)> = Function::new("churn");

/// What only a program that can have children can serve.
pub(crate) fn functions() -> Functions {
    Functions::new().serve(NEST, nest).serve(CHURN, |call: &Call, rounds| churn(&call.here(), rounds))
}

enum Happened {
    Sum(Result<i64, CallError>),
    Number(Result<Option<u64>, RecvError>),
    Lost(String),
}

fn nest(call: &Call, (): ()) -> Outcome<(Context, Context, Vec<String>)> {
    let here = call.here();
    let victim = here.connect(leaf("victim"))?;
    let (one, other) = (here.connect_async(hop("one")), here.connect_async(leaf("other")));
    let (one, other) = (one.wait()?, other.wait()?);
    let deep = one.connect(leaf("deep"))?;
    let mut said = vec![deep.call(NAME, ())?, one.call(ASK, other.clone())?];

    let (numbers, sink) = here.channel();
    let summing = deep.call_async(SUM, sink);
    let mut select = Select::new();
    // Not in `deep`, whose only worker sums.
    select.add(other.call(COUNT, 3)?, Happened::Number);
    select.add(other.call_async(ADD, (20, 22)), Happened::Sum);
    select.add(victim.lost(), Happened::Lost);
    victim.shutdown().wait_timeout(PATIENCE)?;
    while let Some(happened) = select.wait_timeout(PATIENCE)? {
        match happened {
            Happened::Sum(sum) => said.push(format!("sum {}", sum?)),
            Happened::Number(Ok(Some(number))) => numbers.send(number)?,
            Happened::Number(end) => said.push(format!("end {end:?}")),
            Happened::Lost(reason) => said.push(format!("lost {}", !reason.is_empty())),
        }
    }
    drop(numbers);
    said.push(format!("summed {}", summing.wait()?));
    Ok((one, deep, said))
}

fn t12_a_chain_of_ten_contexts_each_made_by_the_one_before() {
    let router = root();
    let chain = chain(&router, 10);
    assert_eq!(chain[9].call(ADD, (2, 3)).unwrap(), 5);
    let tree = router.tree();
    assert_eq!(tree.len(), 11);
    for (depth, context) in chain.iter().enumerate() {
        assert_eq!(context.call(NAME, ()).unwrap(), format!("hop{depth}"));
        let above = if depth == 0 { ContextId::ROOT } else { chain[depth - 1].id() };
        assert_eq!(tree.get(context.id()).unwrap().parent(), Some(above));
    }
    // From the one end to the other, and back to the root.
    assert_eq!(chain[0].call(ASK, chain[9].clone()).unwrap(), "hop9");
    assert_eq!(chain[9].call(ASK, chain[0].clone()).unwrap(), "hop0");
    assert_eq!(chain[9].call(ASK, router.here()).unwrap(), "root");
    let numbers: Vec<u64> = chain[9].call(COUNT, 1000).unwrap().into_iter().map(Result::unwrap).collect();
    assert_eq!(numbers, (0..1000).collect::<Vec<_>>());
}

fn t12_a_handler_in_a_hop_connects_calls_streams_and_selects() {
    let router = root();
    let hop = router.connect(hop("hop")).unwrap();
    let (one, deep, mut said) = hop.with_timeout(PATIENCE).call(NEST, ()).unwrap();
    said.sort();
    assert_eq!(said, ["deep", "end Ok(None)", "lost true", "other", "sum 42", "summed 3"]);
    // What it made is there for everybody, under the names that it gave.
    assert_eq!((one.name(), deep.name()), ("one", "deep"));
    assert_eq!(deep.call(ADD, (2, 3)).unwrap(), 5);
    assert_eq!(deep.call(HERE, ()).unwrap(), deep);
    let tree = router.tree();
    assert_eq!(tree.get(deep.id()).unwrap().parent(), Some(one.id()));
    assert_eq!(tree.get(one.id()).unwrap().parent(), Some(hop.id()));
}

/// Makes a child, uses it, and ends it: by a word, by killing it, in the middle of a call.
fn one_child(here: &Context, round: u32) -> Outcome<()> {
    let child = here.connect(leaf("child"))?;
    assert_eq!(child.call(ADD, (i64::from(round), 1))?, i64::from(round) + 1);
    let numbers = child.call(COUNT, 10)?;
    let pid = child.call(offshoot_tests::real::table::PID, ())?;
    match round % 3 {
        0 => child.shutdown().wait_timeout(PATIENCE)?,
        1 => {
            kill(pid, Signal::KILL);
            child.lost().wait_timeout(PATIENCE)?;
        }
        _ => {
            let working = child.call_async(WORK, 60_000);
            kill(pid, Signal::KILL);
            let error = working.wait_timeout(PATIENCE).expect_err("the child is dead");
            assert!(error.is_lost(), "{error}");
        }
    }
    drop(numbers);
    Ok(())
}

fn churn(here: &Context, rounds: u32) -> Outcome<(usize, usize, u64)> {
    let pid = std::process::id();
    for round in 0..20 {
        one_child(here, round)?;
    }
    let before = (descriptors().len(), threads(), rss_kib(pid));
    for round in 0..rounds {
        one_child(here, round)?;
    }
    // The last ones may still be on their way out.
    let end = std::time::Instant::now() + PATIENCE;
    while (descriptors().len() > before.0 || threads() > before.1) && std::time::Instant::now() < end {
        std::thread::park_timeout(std::time::Duration::from_millis(5));
    }
    Ok((
        descriptors().len().saturating_sub(before.0),
        threads().saturating_sub(before.1),
        rss_kib(pid).saturating_sub(before.2),
    ))
}

fn assert_flat((descriptors, threads, kib): (usize, usize, u64)) {
    assert_eq!((descriptors, threads), (0, 0), "descriptors and threads that stayed");
    // Far under 4 KiB a child, which is what one leaked thing with a buffer would take.
    assert!(kib < 512, "{kib} KiB more than before");
}

fn t13_200_children_in_a_loop_leave_nothing_behind_in_the_root() {
    let router = root();
    let sizes = router.sizes();
    assert_flat(churn(&router.here(), 200).unwrap());
    assert_eq!(router.tree().len(), 1);
    eventually("no more is held than before", PATIENCE, || (router.sizes() == sizes).then_some(()));
}

fn t13_200_children_in_a_loop_leave_nothing_behind_in_a_hop() {
    let router = root();
    let hop = router.connect(hop("hop")).unwrap();
    assert_flat(hop.call(CHURN, 200).unwrap());
    assert_eq!(router.tree().len(), 2);
}
