//! What a script can say: calls, and things that may or will happen at any step.

use offshoot_wire::{ContextId, Frame, Handle};

use super::{
    dice::Dice,
    history::{CallEnd, CallNo},
    job::{Job, Plan, Taste, Then},
};

/// A call as a script describes it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Call {
    /// Who calls, by the name of the script.
    pub src: u32,
    /// Whom.
    pub dst: u32,
    /// What the handler does.
    pub job: Job,
    /// The function: it has the policy of its name.
    pub function: &'static str,
    /// Bytes added to the arguments.
    pub arg_bytes: u32,
    /// The deadline, in milliseconds from the call on.
    pub within_ms: Option<u32>,
    /// The chain it belongs to.
    pub chain: Option<u32>,
    /// The mailbox it goes to.
    pub mailbox: Handle,
    /// Nobody waits for an answer.
    pub one_way: bool,
    /// It grants `function` to that context.
    pub grant: Option<ContextId>,
    /// What the caller sends to an end that it keeps.
    pub plan: Plan,
    /// How the caller receives from an end that it keeps or gets.
    pub taste: Taste,
}

impl Default for Call {
    fn default() -> Self {
        Self {
            src: 0,
            dst: 0,
            job: Job::Answer(0),
            function: "anyone",
            arg_bytes: 0,
            within_ms: None,
            chain: None,
            mailbox: Handle::CALL_FUNCTION,
            one_way: false,
            grant: None,
            plan: Plan { items: 0, bytes: 0, then: Then::Close },
            taste: Taste::default(),
        }
    }
}

impl Call {
    /// A small call from one context to another, answered at once.
    #[must_use]
    pub fn new(src: u32, dst: u32) -> Self {
        Self { src, dst, ..Self::default() }
    }

    /// Some call, which may involve a third context.
    #[must_use]
    pub fn any(dice: &mut Dice, src: u32, dst: u32, third: ContextId) -> Self {
        let items = dice.below(6) as u8;
        let bytes = dice.below(3) as u32 * 150;
        let plan = Plan { items, bytes, then: Then::Close };
        let enough = dice.once_in(3).then_some(1);
        let taste = Taste { slow: dice.once_in(2), enough };
        let size = [0, 40, 300, 1500][dice.below(4) as usize];
        let job = match dice.below(12) {
            0..=4 => Job::Answer(size),
            5 => Job::Hold(size),
            6 => Job::Fail,
            7 => Job::Nest(third, Box::new(Job::Answer(0))),
            8 => Job::Source(plan),
            9 => Job::Sink(taste),
            10 => Job::Feed(plan),
            _ => Job::HandOn(third, Box::new(Job::Sink(taste))),
        };
        let function = ["anyone", "anyone", "anyone", "parents", "children"][dice.below(5) as usize];
        let call = Self { plan, taste, ..Self::new(src, dst) }.job(job).function(function).within(500);
        call.bytes([0, 0, 100, 1200][dice.below(4) as usize])
    }

    /// What the handler does.
    #[must_use]
    pub fn job(self, job: Job) -> Self {
        Self { job, ..self }
    }

    /// The function that is called.
    #[must_use]
    pub fn function(self, function: &'static str) -> Self {
        Self { function, ..self }
    }

    /// With arguments of so many bytes.
    #[must_use]
    pub fn bytes(self, arg_bytes: u32) -> Self {
        Self { arg_bytes, ..self }
    }

    /// With a deadline.
    #[must_use]
    pub fn within(self, ms: u32) -> Self {
        Self { within_ms: Some(ms), ..self }
    }

    /// As part of a chain.
    #[must_use]
    pub fn chain(self, chain: u32) -> Self {
        Self { chain: Some(chain), ..self }
    }

    /// Nobody waits for an answer.
    #[must_use]
    pub fn one_way(self) -> Self {
        Self { one_way: true, ..self }
    }

    /// To another mailbox.
    #[must_use]
    pub fn mailbox(self, mailbox: Handle) -> Self {
        Self { mailbox, ..self }
    }

    /// What the caller sends, where the job takes a receiving end.
    #[must_use]
    pub fn sending(self, items: u8, bytes: u32, then: Then) -> Self {
        Self { plan: Plan { items, bytes, then }, ..self }
    }

    /// How the caller receives, where it gets a receiving end or keeps one.
    #[must_use]
    pub fn receiving(self, taste: Taste) -> Self {
        Self { taste, ..self }
    }
}

/// Something that happens at a step of its own.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Op {
    /// A call is sent.
    Start(Call),
    /// A call is given up by its caller.
    Cancel(CallNo),
    /// The link between two contexts breaks.
    Cut(u32, u32),
    /// A context ends at once.
    Crash(u32),
    /// A context stops doing anything.
    Pause(u32),
    /// It goes on.
    Resume(u32),
    /// One context tells another to end.
    Shutdown(u32, u32),
    /// A context gets a child: parent, name, whether that can have children.
    Create(u32, u32, bool),
    /// A hostile context writes this to its parent.
    Inject(u32, Frame),
    /// A context says that it will add nothing to a chain in another.
    EndChain(u32, u32, u32),
    /// A context watches another.
    Watch(u32, u32),
}

/// Something that waits for its step.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pending {
    /// What happens.
    pub op: Op,
    /// It may as well not happen.
    pub optional: bool,
    /// What must have happened before.
    pub after: Option<OpNo>,
}

/// Something that waits for its step: its place among those of the script.
pub type OpNo = usize;

/// What a script expects of a call, when all is at rest.
#[derive(Clone, Debug)]
pub struct Expectation {
    /// The call.
    pub call: CallNo,
    /// How it may have ended.
    pub among: Vec<End>,
}

/// A way for a call to end, as coarse as scripts need it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// With its value.
    Value,
    /// With an error of the function.
    Failed,
    /// With a dead reply of any code.
    Dead,
    /// With a dead reply of this code.
    Code(offshoot_wire::DeadCode),
    /// By a loss.
    Lost,
    /// By its deadline.
    TimedOut,
    /// Refused before it left.
    Refused,
    /// Given up.
    Cancelled,
    /// Its caller is gone.
    CallerGone,
}

impl End {
    /// Whether a call ended so.
    #[must_use]
    pub fn is(self, end: &CallEnd) -> bool {
        match (self, end) {
            (Self::Code(code), CallEnd::Dead(is, ..)) => code == *is,
            (Self::Code(code), CallEnd::Refused(is)) => Some(code) == *is,
            (Self::Value, CallEnd::Value)
            | (Self::Failed, CallEnd::Failed)
            | (Self::Dead, CallEnd::Dead(..))
            | (Self::Lost, CallEnd::Lost(..))
            | (Self::TimedOut, CallEnd::TimedOut(_))
            | (Self::Refused, CallEnd::Refused(_))
            | (Self::Cancelled, CallEnd::Cancelled(_))
            | (Self::CallerGone, CallEnd::CallerGone) => true,
            _ => false,
        }
    }
}
