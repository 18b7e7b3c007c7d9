//! A child on the same machine, for the same user.

use std::{fmt, time::Duration};

use offshoot_wire::clean_name;

use crate::{Method, Payload, Plan, Text, method::DEFAULT_TIMEOUT};

/// A process on the machine of the context that makes it, started directly, without a shell. It inherits
/// environment and working directory.
///
/// ```
/// use offshoot_bootstrap::{Local, Payload};
///
/// let worker = Local::new(Payload::this_program()).name("worker");
/// assert_eq!(worker.to_string(), "local:worker");
/// ```
#[derive(Clone, Debug)]
#[must_use = "a method does nothing until something connects by it"]
pub struct Local {
    payload: Payload,
    name: String,
    timeout: Duration,
    stamped: bool,
}

impl Local {
    /// A child of that payload, named after it.
    pub fn new(payload: Payload) -> Self {
        let name = clean_name(&payload.name());
        Self { payload, name, timeout: DEFAULT_TIMEOUT, stamped: false }
    }

    /// What the child is called: its part of the name, 1 to 64 bytes, letters, digits and any of `-_@:+=`. Names
    /// need not be unique. Any other name is an error of the connect.
    pub fn name(self, name: impl Into<String>) -> Self {
        Self { name: name.into(), ..self }
    }

    /// How long all of the connect may take: 30 s where it is not said.
    pub fn timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// Puts the authority of the context that makes the child in place of the child's own, in all that comes by
    /// its link.
    pub fn stamped(self) -> Self {
        Self { stamped: true, ..self }
    }
}

impl Method for Local {
    fn plan(&self) -> Plan {
        let plan = Plan::new(self.name.as_str(), "local", self.name.as_str(), self.payload.clone());
        Plan { timeout: self.timeout, stamped: self.stamped, ..plan }
    }
}

impl fmt::Display for Local {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "local:{}", Text::from(self.name.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn a_child_is_named_after_its_payload() {
        assert_eq!(Local::new(Payload::file("/bin/cat").unwrap()).to_string(), "local:cat");
        assert_eq!(Local::new(Payload::this_program()).to_string(), "local:self");
    }

    #[test]
    fn what_was_said_is_in_the_plan() {
        let local = Local::new(Payload::this_program()).name("w").timeout(Duration::from_secs(1)).stamped();
        let boxed: Box<dyn Method> = Box::new(local);
        let shared: Arc<dyn Method> = Arc::new(boxed);
        let plan = shared.plan();
        assert_eq!((&*plan.name, plan.timeout, plan.stamped), ("w", Duration::from_secs(1), true));
        assert_eq!((&*plan.place, &*plan.method), ("w", "local"));
    }

    #[test]
    fn the_default_is_thirty_seconds_and_the_childs_own_authority() {
        let plan = Local::new(Payload::this_program()).plan();
        assert_eq!((plan.timeout, plan.stamped), (Duration::from_secs(30), false));
    }
}
