//! Calls come while a context begins to end: each that came in time is run, each that came later is refused, and the
//! main thread waits for those that run and for no others.

use std::{collections::VecDeque, sync::Arc};

use loom::{
    sync::{Condvar, Mutex, MutexGuard},
    thread,
};

use crate::{
    crew::{Calls, Crew, Next, Worker},
    finds,
    flaw::{Flaw, has},
    holds,
    sync::lock,
};

/// The main thread is the first worker.
const MAIN: usize = 0;

/// What the machine knows of calls, and what became of them.
#[derive(Default)]
struct Desk {
    queue: VecDeque<u8>,
    held: [Option<u8>; 2],
    is_ending: bool,
    ran: Vec<u8>,
    refused: Vec<u8>,
    /// The main thread has left.
    has_ended: bool,
}

impl Calls for Desk {
    type Call = u8;

    fn release(&mut self, worker: usize) {
        self.held[worker] = None;
    }

    fn take(&mut self, worker: usize) -> Option<u8> {
        let call = self.queue.pop_front()?;
        self.held[worker] = Some(call);
        Some(call)
    }

    fn are_running(&self) -> bool {
        self.held.iter().any(Option::is_some)
    }

    fn are_over(&self) -> bool {
        self.is_ending
    }
}

/// What a worker sleeps on.
#[derive(Default)]
struct Bell {
    is_rung: Mutex<bool>,
    changed: Condvar,
}

impl Bell {
    fn ring(&self) {
        *lock(&self.is_rung) = true;
        self.changed.notify_one();
    }

    fn sleep(&self) {
        let mut is_rung = lock(&self.is_rung);
        while !*is_rung {
            is_rung = self.changed.wait(is_rung).unwrap();
        }
        *is_rung = false;
    }
}

struct Context {
    state: Mutex<(Crew<usize>, Desk)>,
    bells: [Bell; 2],
}

impl Context {
    fn new() -> Arc<Self> {
        let state = Mutex::new((Crew::new(), Desk::default()));
        Arc::new(Self { state, bells: [Bell::default(), Bell::default()] })
    }

    fn desk(&self) -> MutexGuard<'_, (Crew<usize>, Desk)> {
        lock(&self.state)
    }

    fn wake(&self, workers: impl IntoIterator<Item = usize>) {
        workers.into_iter().for_each(|worker| self.bells[worker].ring());
    }

    /// A call comes.
    fn comes(&self, call: u8) {
        let woken = {
            let (crew, desk) = &mut *self.desk();
            if desk.is_ending {
                desk.refused.push(call);
                None
            } else {
                desk.queue.push_back(call);
                crew.call_ready()
            }
        };
        self.wake(woken);
    }

    fn begin_to_end(&self) {
        let woken = {
            let (crew, desk) = &mut *self.desk();
            desk.is_ending = true;
            crew.dismiss()
        };
        self.wake(woken);
    }

    /// A worker, until it is told to go; `run` is what a call does.
    fn serve(&self, number: usize, run: impl Fn()) {
        loop {
            let next = {
                let (crew, desk) = &mut *self.desk();
                crew.look(Worker { number, listener: &number, reads: number == MAIN }, desk)
            };
            match next {
                Next::Run(call) => {
                    run();
                    self.desk().1.ran.push(call);
                }
                Next::Wait => self.bells[number].sleep(),
                Next::Go(waiter) => return self.wake(waiter),
            }
        }
    }

    /// The main thread, from its first call to the end; it waits until no call runs, or until `is_late`.
    fn live(&self, is_late: impl Fn() -> bool) {
        self.serve(MAIN, || ());
        loop {
            {
                let (crew, desk) = &mut *self.desk();
                if crew.is_done(&MAIN, desk) || (is_late() && !has(Flaw::WaitForEver)) {
                    desk.has_ended = true;
                    return;
                }
            }
            self.bells[MAIN].sleep();
        }
    }

    /// No call is left over, and none happened twice.
    fn assert_each_once(&self, calls: &[u8]) {
        let (_, desk) = &*self.desk();
        let mut ended = [&desk.ran[..], &desk.refused[..]].concat();
        ended.sort_unstable();
        assert_eq!((&*ended, desk.queue.len()), (calls, 0), "ran {:?}, refused {:?}", desk.ran, desk.refused);
    }
}

fn spawn(context: &Arc<Context>, run: impl FnOnce(&Context) + 'static) -> thread::JoinHandle<()> {
    let context = Arc::clone(context);
    thread::spawn(move || run(&context))
}

/// A call that came before the order to end is run, and the end is not before its own.
#[test]
fn what_came_in_time_is_run_before_the_end() {
    holds(|| {
        let context = Context::new();
        let worker = spawn(&context, |context| {
            context.serve(1, || assert!(!context.desk().1.has_ended, "the context has ended under a call"));
        });
        let parent = spawn(&context, |context| {
            context.comes(1);
            context.begin_to_end();
        });
        context.live(|| false);
        assert_eq!(context.desk().1.ran, [1]);
        parent.join().unwrap();
        worker.join().unwrap();
        context.assert_each_once(&[1]);
    });
}

/// Another context calls while the parent gives the order.
#[test]
fn whoever_calls_meanwhile_is_run_or_refused() {
    holds(|| {
        let context = Context::new();
        let caller = spawn(&context, |context| context.comes(1));
        let parent = spawn(&context, Context::begin_to_end);
        context.live(|| false);
        caller.join().unwrap();
        parent.join().unwrap();
        context.assert_each_once(&[1]);
    });
}

/// All sleep when the order comes.
#[test]
fn an_idle_context_ends() {
    holds(|| {
        let context = Context::new();
        let worker = spawn(&context, |context| context.serve(1, || ()));
        let parent = spawn(&context, Context::begin_to_end);
        context.live(|| false);
        parent.join().unwrap();
        worker.join().unwrap();
    });
}

/// A call does not return before the time is over: the context ends without it.
#[test]
fn the_end_waits_no_longer_than_its_time() {
    holds(|| {
        let context = Context::new();
        context.comes(1);
        let gate = Arc::new(Bell::default());
        let opened = Arc::clone(&gate);
        let is_late = Arc::new(Mutex::new(false));
        let late = Arc::clone(&is_late);
        let worker = spawn(&context, move |context| context.serve(1, || opened.sleep()));
        let clock = spawn(&context, move |context| {
            context.begin_to_end();
            *lock(&late) = true;
            context.bells[MAIN].ring();
        });
        context.live(|| *lock(&is_late));
        gate.ring();
        clock.join().unwrap();
        worker.join().unwrap();
        context.assert_each_once(&[1]);
    });
}

#[test]
fn a_worker_that_goes_before_the_last_call_leaves_it_behind() {
    finds(Flaw::GoBeforeTheLast, "ending::what_came_in_time_is_run_before_the_end");
}

#[test]
fn a_worker_that_goes_as_if_in_a_call_is_waited_for() {
    finds(Flaw::GoHolding, "ending::what_came_in_time_is_run_before_the_end");
}

#[test]
fn a_last_worker_that_says_nothing_is_waited_for() {
    finds(Flaw::GoSilently, "ending::what_came_in_time_is_run_before_the_end");
}

#[test]
fn a_worker_that_nobody_knows_to_sleep_sleeps_on() {
    finds(Flaw::WaitUnlisted, "ending::whoever_calls_meanwhile_is_run_or_refused");
}

#[test]
fn an_end_that_is_told_to_one_leaves_the_other_asleep() {
    finds(Flaw::DismissOne, "ending::an_idle_context_ends");
}

#[test]
fn an_end_that_has_no_time_waits_for_a_call_that_does_not_return() {
    finds(Flaw::WaitForEver, "ending::the_end_waits_no_longer_than_its_time");
}
