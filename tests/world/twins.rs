//! Broken twins: what no link, no machine and no program does, done on purpose, is seen by the check that is for it.

use std::collections::BTreeSet;

use offshoot_core::machine::Limits;
use offshoot_tests::world::{Call, Failure, Job, Op, Plan, Sabotage, Scenario, Taste, Then, World};
use offshoot_wire::{Body, ContextId, Credit, Frame, Handle, ReplyTo, Window, codec};

/// A mistake, where it is made, and by which invariant it is found out.
struct Twin {
    sabotage: Sabotage,
    found: &'static str,
    tree: &'static str,
    script: fn(&mut World),
    limits: fn(&mut Limits),
}

/// At least one for each invariant but those in [`WITHOUT`].
const TWINS: &[Twin] = &[
    twin("I1", Sabotage::Double(Handle::CALL_FUNCTION), "0>1", |w| {
        w.call(0, 1);
    }),
    twin("I2", Sabotage::Double(Handle::ADD_ROUTE), "0>1p", |w| {
        w.will(Op::Create(1, 2, false));
    }),
    twin("I2", Sabotage::Believe, "0>1 0>2", |w| {
        let forged = Frame { src: w.id(2), auth: w.id(2), ..from(w, 1, Handle::PING) };
        w.will(Op::Inject(1, forged));
    }),
    twin("I2", Sabotage::Excuse, "0>1 0>2", |w| {
        let forged = Frame { auth: w.id(2), ..from(w, 1, Handle::PING) };
        w.will(Op::Inject(1, forged));
    }),
    twin("I3", Sabotage::Divert(Handle::CALL_FUNCTION), "0>1 1>2", |w| {
        w.call(0, 2);
    }),
    twin("I4", Sabotage::Overtake(Handle::CALL_FUNCTION), "0>1", |w| {
        w.call(0, 1);
        w.call(0, 1);
    }),
    twin("I5", Sabotage::AnswerDead, "0>1", |w| {
        w.start(Call::new(0, 1).mailbox(Handle::new(300)));
    }),
    twin("I7", Sabotage::GrantTwice, "0>1p 0>2p", |w| {
        w.will(Op::Create(1, 3, false));
        w.will(Op::Create(2, 4, false));
    }),
    twin("I8", Sabotage::Misname, "0>1p", |w| {
        w.will(Op::Create(1, 2, false));
    }),
    twin("I8", Sabotage::Recycle, "0>1", |w| {
        let crash = w.will(Op::Crash(1));
        w.then(crash, Op::Create(0, 2, false));
    }),
    twin("I9", Sabotage::Unbounded, "0>1 0>2", |w| {
        for function in ["parents", "children"] {
            let grant = w.grant(0, 1, 2, function);
            w.start(grant);
        }
    })
    .within(|limits| limits.grants = 1),
    twin("I9", Sabotage::Unbounded, "0>1 0>2", |w| {
        let frames: Vec<Frame> = (1000..1050).map(|handle| credit(w, handle)).collect();
        w.wires.get_mut(&(w.id(1), w.id(0))).unwrap().frames.extend(frames);
    })
    .within(|limits| limits.control = 0),
    twin("I9", Sabotage::Unbounded, "0>1 1>2 1>3 1>4", |w| {
        for src in [2, 3, 4] {
            w.start(Call::new(src, 0).bytes(700));
        }
    })
    .within(|limits| limits.partial_bodies = 1),
    twin("I9", Sabotage::Unbounded, "0>1", |w| {
        for _ in 0..2 {
            w.start(Call::new(0, 1).job(Job::Hold(0)));
        }
    })
    .within(|limits| limits.calls_in_flight = 1),
    twin("I10", Sabotage::Untold, "0>1 0>2", |w| {
        let crash = w.will(Op::Crash(1));
        w.then(crash, Op::Start(Call::new(2, 1)));
    }),
    twin("I11", Sabotage::DataFirst, "0>1", |w| {
        w.call(0, 1);
        w.call(0, 1);
        w.start(Call::new(1, 0).bytes(900));
    }),
    twin("I12", Sabotage::Forget, "0>1 1>2", |w| {
        w.call(0, 2);
    }),
    twin("I12", Sabotage::LoseItems, "0>1", |w| {
        w.start(source(2, Then::Close));
    }),
    twin("I13", Sabotage::Double(Handle::CREDIT), "0>1", |w| {
        w.start(Call::new(0, 1).bytes(900));
    }),
    twin("I14", Sabotage::Believe, "0>1 0>2", |w| {
        let forged = Frame { src: w.id(2), auth: w.id(2), ..from(w, 1, Handle::CALL_FUNCTION) };
        let nowhere = ContextId::new(777);
        w.will(Op::Inject(1, Frame { dst: nowhere, reply_to: ReplyTo::Handle(Handle::new(1000)), ..forged }));
    }),
    twin("I15", Sabotage::Unguarded, "0>1 0>2", |w| {
        w.start(Call::new(1, 2).function("parents"));
    }),
    twin("I16", Sabotage::Damage(Handle::CALL_FUNCTION), "0>1", |w| {
        w.start(Call::new(0, 1).bytes(100));
    }),
    twin("I16", Sabotage::Whole, "0>1", |w| {
        w.start(Call::new(0, 1).bytes(900));
    }),
    twin("I16", Sabotage::Swap, "0>1", |w| {
        w.start(Call::new(0, 1).bytes(3 << 17));
    })
    .within(|limits| limits.window_start = 1 << 19),
    twin("I17", Sabotage::FreeEarly, "0>1", |w| {
        let call = w.start(Call::new(0, 1).job(Job::Hold(0)));
        w.will(Op::Cancel(call));
    }),
    twin("I19", Sabotage::LoseAnswers, "0>1", |w| {
        w.call(0, 1);
    }),
    twin("I19", Sabotage::Lose(Handle::DEL_ROUTE), "0>1 1>2", |w| {
        w.start(Call::new(0, 2).job(Job::Hold(0)));
        w.may(Op::Crash(2));
    }),
    twin("I19", Sabotage::Lose(Handle::ALLOCATE_ID), "0>1p", |w| {
        w.will(Op::Create(1, 2, false));
    }),
    twin("I20", Sabotage::Lose(Handle::ADD_ROUTE), "0>1p", |w| {
        w.will(Op::Create(1, 2, false));
    }),
    twin("I21", Sabotage::Lose(Handle::DEL_ROUTE), "0>1 0>2", |w| {
        w.call(1, 2);
        w.settle();
        w.will(Op::Crash(2));
    }),
    twin("I22", Sabotage::Lose(Handle::CREDIT), "0>1", |w| {
        w.start(source(6, Then::Close));
    }),
    twin("I22", Sabotage::Lose(Handle::DEL_ROUTE), "0>1 0>2", |w| {
        w.start(Call::new(1, 2).job(Job::Source(Plan { items: 1, bytes: 100, then: Then::Keep })));
        w.settle();
        w.will(Op::Crash(2));
    }),
    twin("I22", Sabotage::Lose(Handle::DEL_ROUTE), "0>1 0>2", |w| {
        w.call(1, 2);
        w.settle();
        w.now_do(&Op::Watch(1, 2));
        w.will(Op::Crash(2));
    }),
    twin("I23", Sabotage::LoseAnswers, "0>1", |_| {}),
    twin("I24", Sabotage::Lose(Handle::CALL_FUNCTION), "0>1", |w| {
        w.start(Call::new(0, 1).one_way());
    }),
    twin("I25", Sabotage::Invent, "", |w| {
        w.will(Op::Create(0, 1, false));
    }),
    twin("I26", Sabotage::Unnoticed, "0>1", |w| {
        w.will(Op::Crash(0));
    }),
    twin("I27", Sabotage::Unchain, "0>1", |w| {
        w.start(Call::new(0, 1).job(Job::Fail).chain(1));
        w.start(Call::new(0, 1).chain(1));
    }),
];

/// Who is beside all that the twins do, and has nothing to do with it.
const HOSTILE: u32 = 99;

/// Of these no twin can be made here: tests/LEDGER.md says why.
const WITHOUT: [&str; 2] = ["I6", "I18"];

const fn twin(found: &'static str, sabotage: Sabotage, tree: &'static str, script: fn(&mut World)) -> Twin {
    Twin { sabotage, found, tree, script, limits: |_| () }
}

impl Twin {
    /// In a world of these bounds.
    const fn within(self, limits: fn(&mut Limits)) -> Self {
        Self { limits, ..self }
    }

    fn caught(&self) -> Option<Failure> {
        self.caught_on(self.tree, self.script)
    }

    /// The same beside a hostile child of the root, who has written what he should not.
    fn caught_beside_a_hostile_child(&self) -> Option<Failure> {
        self.caught_on(&format!("{} 0>{HOSTILE}", self.tree), |w| {
            let beyond = Credit { window: Window::Calls, bytes: u32::MAX };
            let body = codec::encode(&beyond).unwrap().into();
            w.now_do(&Op::Inject(HOSTILE, Frame { body, ..from(w, HOSTILE, Handle::CREDIT) }));
            w.settle();
            (self.script)(w);
        })
    }

    fn caught_on(&self, tree: &str, script: impl Fn(&mut World)) -> Option<Failure> {
        let scenario = Scenario::on(tree).with(|s| {
            s.sabotage = Some(self.sabotage);
            (self.limits)(&mut s.limits);
        });
        scenario.explore(script).err()
    }
}

/// A call that is answered by so many items.
fn source(items: u8, then: Then) -> Call {
    Call::new(0, 1).job(Job::Source(Plan { items, bytes: 100, then })).receiving(Taste::default())
}

/// What 1 says of a stream that 2 has.
fn credit(w: &World, handle: u32) -> Frame {
    let said = Credit { window: Window::Stream(Handle::new(handle)), bytes: 1 };
    Frame { dst: w.id(2), body: codec::encode(&said).unwrap().into(), ..from(w, 1, Handle::CREDIT) }
}

/// An empty frame from a child of the root to it.
fn from(w: &World, child: u32, handle: Handle) -> Frame {
    let src = w.id(child);
    let (dst, reply_to) = (ContextId::ROOT, ReplyTo::Nobody);
    Frame { dst, src, auth: src, handle, reply_to, part: None, body: Body::default() }
}

#[test]
fn every_check_sees_the_mistake_that_is_made_for_it() {
    let missed = |twin: &&Twin| {
        let found = twin.caught().map(|failure| failure.violation.invariant);
        (found != Some(twin.found)).then(|| {
            format!("{:?} on {} is found by {found:?}, not {}", twin.sabotage, twin.tree, twin.found)
        })
    };
    let missed: Vec<String> = TWINS.iter().filter_map(|twin| missed(&twin)).collect();
    assert!(missed.is_empty(), "{}", missed.join("\n"));
    let seen: BTreeSet<&str> = TWINS.iter().map(|twin| twin.found).chain(WITHOUT).collect();
    let missing: Vec<String> =
        (1..=27).map(|no| format!("I{no}")).filter(|no| !seen.contains(&**no)).collect();
    assert!(missing.is_empty(), "no mistake is made for {missing:?}");
}

/// What somebody hostile could have done is not his who stands aside: no check is waived for those whose way is honest.
#[test]
fn every_check_sees_the_mistake_beside_somebody_hostile_too() {
    let missed = |twin: &Twin| {
        let found = twin.caught_beside_a_hostile_child().map(|failure| failure.violation);
        (found.as_ref().map(|violation| violation.invariant) != Some(twin.found)).then(|| {
            format!("{:?} on {} is found by {found:?}, not {}", twin.sabotage, twin.tree, twin.found)
        })
    };
    let missed: Vec<String> = TWINS.iter().filter_map(missed).collect();
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}

#[test]
fn the_story_of_a_failure_is_the_shortest() {
    let twin = twin("I1", Sabotage::Double(Handle::CALL_FUNCTION), "0>1 1>2", |w| {
        w.call(0, 2);
    });
    let failure = twin.caught().expect("somebody notices");
    assert_eq!(failure.trace.len(), 3, "{failure}");
    assert!(failure.to_string().contains("deliver 0>1 CALL_FUNCTION `anyone` (0 to 2"), "{failure}");
}
