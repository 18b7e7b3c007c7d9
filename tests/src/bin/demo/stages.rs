//! The parts of the demo, in order; each fails if what it shows does not happen.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use offshoot_parent::{prelude::*, tree::Node};
use offshoot_tests::real::{self, PATIENCE, Signal};
use serde_json::json;

use crate::{
    Options,
    functions::{ADD, ASK, COUNT, NAME, WORK, functions},
    grow::{Grown, grow, ms},
    host::visit,
    say::Say,
};

pub(crate) fn run(options: &Options, say: &mut Say) -> anyhow::Result<()> {
    let router = Router::builder().functions(functions()).build()?;

    say.stage("A tree of processes, four levels deep");
    let grown = grow(&router, options, say)?;
    tree(&router, &grown, say)?;

    say.stage("Typed calls to all of them at once");
    call_all(&grown, say)?;

    say.stage("A stream from the deepest leaf, through three hops");
    stream(&grown, say)?;

    say.stage("One leaf calls its sibling: refused, then granted");
    siblings(&grown, say)?;

    say.stage("A hop is killed while calls below it are in flight");
    let pids = pids(&router);
    kill(&router, &grown, say)?;
    tree(&router, &grown, say)?;

    if let Some(host) = &options.host {
        say.stage("A host by ssh, and a leaf on it");
        visit(&router, host, options, say)?;
    }

    say.stage("The end");
    end(router, &pids, say)
}

/// The tree, each context with its way there and back.
fn tree(router: &Router, grown: &Grown, say: &mut Say) -> anyhow::Result<()> {
    for node in &router.tree() {
        let indent = 2 * node.depth();
        let context = grown.all().find(|context| context.id() == node.id());
        let took = context.map(Context::ping).transpose().with_context(|| format!("ping of {node}"))?;
        let us = took.map(|took| took.as_secs_f64() * 1e6);
        let there_and_back = us.map(|us| format!(", {us:.0} us there and back")).unwrap_or_default();
        say.plain(
            &format!("  {:indent$}{node}{there_and_back}", ""),
            json!({
                "event": "context", "name": node.name(), "id": node.id().number(), "depth": node.depth(),
                "parent": node.parent().map(ContextId::number), "pid": node.pid(), "us": us,
            }),
        );
    }
    Ok(())
}

fn call_all(grown: &Grown, say: &mut Say) -> anyhow::Result<()> {
    let start = Instant::now();
    let pending: Vec<_> =
        (1_i64..).zip(grown.all()).map(|(n, context)| (n, context.call_async(ADD, (n, n)))).collect();
    let count = pending.len();
    for (n, pending) in pending {
        let sum = pending.wait_timeout(PATIENCE)?;
        ensure!(sum == n + n, "{n} + {n} came back as {sum}");
    }
    let took = start.elapsed();
    say.good(
        &format!("{count} contexts added two numbers, in {:.2} ms altogether", ms(took)),
        json!({ "event": "calls", "count": count, "ms": ms(took) }),
    );
    Ok(())
}

fn stream(grown: &Grown, say: &mut Say) -> anyhow::Result<()> {
    const UNTIL: u64 = 50_000;
    let start = Instant::now();
    let numbers = grown.deep.with_timeout(PATIENCE).call(COUNT, UNTIL)?;
    let mut next = 0;
    for number in numbers {
        let number = number?;
        ensure!(number == next, "number {next} came as {number}");
        next += 1;
    }
    ensure!(next == UNTIL, "the stream ended at {next}");
    let took = start.elapsed();
    say.good(
        &format!("{UNTIL} numbers in order, one message each, in {:.0} ms", ms(took)),
        json!({ "event": "stream", "items": UNTIL, "ms": ms(took) }),
    );
    Ok(())
}

fn siblings(grown: &Grown, say: &mut Say) -> anyhow::Result<()> {
    let (a, b) = (&grown.leaves[0], &grown.leaves[1]);
    let refusal = match a.with_timeout(PATIENCE).call(ASK, b.clone()) {
        Ok(name) => anyhow::bail!("{a} may not ask {b}, and got {name}"),
        Err(error) => error.to_string(),
    };
    say.refused(&format!("{a} asks {b}: {refusal}"), json!({ "event": "refused", "error": refusal }));
    b.grant(NAME, a)?;
    let name = a.with_timeout(PATIENCE).call(ASK, b.clone())?;
    say.good(&format!("granted; {a} asks {b}: {name}"), json!({ "event": "granted", "answer": name }));
    Ok(())
}

fn kill(router: &Router, grown: &Grown, say: &mut Say) -> anyhow::Result<()> {
    let victim = &grown.hops[1];
    let pid = router.tree().pid(victim.id()).context("the tree knows the pid of every hop")?;
    let below: Vec<&Context> =
        [victim, &grown.hops[2], &grown.deep].into_iter().chain(&grown.leaves[10..]).collect();
    let working: Vec<_> = below.iter().map(|context| (*context, context.call_async(WORK, 60_000))).collect();
    // Long enough for each to say that its call has begun.
    std::thread::park_timeout(Duration::from_millis(300));
    real::kill(pid, Signal::KILL);
    say.refused(
        &format!("SIGKILL to {victim}, pid {pid}"),
        json!({ "event": "killed", "id": victim.id().number(), "pid": pid }),
    );
    for (context, pending) in working {
        match pending.wait_timeout(PATIENCE) {
            Ok(()) => anyhow::bail!("the call to {context} ended well though {victim} was killed"),
            Err(error) => {
                let names_it = error.to_string().contains(victim.name());
                ensure!(error.is_lost() && names_it, "the call to {context} ended with {error}");
                let text = format!("work in {context}: {error}");
                say.refused(
                    &text,
                    json!({
                        "event": "lost", "id": context.id().number(), "error": error.to_string(),
                        "may_have_run": error.may_have_run(),
                    }),
                );
            }
        }
    }
    let rest = grown.leaves[..10].iter().chain([&grown.hops[0]]);
    for context in rest {
        context
            .with_timeout(PATIENCE)
            .call(ADD, (1, 1))
            .with_context(|| format!("{context} should live on"))?;
    }
    say.good("the rest of the tree works on", json!({ "event": "rest_works" }));
    Ok(())
}

/// The processes of the tree but this one.
fn pids(router: &Router) -> Vec<u32> {
    router.tree().iter().skip(1).filter_map(Node::pid).collect()
}

fn end(router: Router, pids: &[u32], say: &mut Say) -> anyhow::Result<()> {
    let start = Instant::now();
    router.shutdown().wait_timeout(PATIENCE)?;
    drop(router);
    for pid in pids {
        real::eventually(&format!("process {pid} is gone"), PATIENCE, || real::is_gone(*pid).then_some(()));
    }
    say.good(
        &format!(
            "the tree is down in {:.0} ms, and none of its {} processes is left",
            ms(start.elapsed()),
            pids.len()
        ),
        json!({ "event": "end", "processes": pids.len(), "ms": ms(start.elapsed()) }),
    );
    Ok(())
}
