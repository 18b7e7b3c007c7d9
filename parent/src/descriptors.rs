//! What many connects take of this process's descriptors, counted before the first is begun.

use std::fs;

use offshoot_bootstrap::{ConnectErrorKind, Plan, Stdio};
use rustix::process::{Resource, getrlimit};

/// What a child takes while it is up: its link, of one descriptor or two, and the stderr of what leads to it if that is a
/// process of its own.
fn kept(plan: &Plan) -> u64 {
    match plan.transport.as_ref().map(|transport| transport.stdio) {
        None => 1,
        Some(Stdio::Pipes) => 3,
        Some(_) => 2,
    }
}

/// What one takes more while it is made: both ends of what its process gets, the pipe by which it is given up, the helper
/// of an ssh client with the pipes of its first question, what starts its guards.
const MAKING: u64 = 19;
/// What a program opens beside them while they are made: threads that wait, the end of a process, its own files.
const SPARE: u64 = 16;

/// What these plans need and this process has not, if so many are made at a time.
pub(crate) fn lack(plans: &[Plan], parallel: usize) -> Option<ConnectErrorKind> {
    let limit = getrlimit(Resource::Nofile).current?;
    // What cannot be counted is told when it happens.
    let open = fs::read_dir("/proc/self/fd").ok()?.count() as u64;
    need(plans, parallel, open, limit)
}

fn need(plans: &[Plan], parallel: usize, open: u64, limit: u64) -> Option<ConnectErrorKind> {
    let making = parallel.min(plans.len()) as u64;
    let kept: u64 = plans.iter().map(kept).sum();
    let needed = [kept, making.saturating_mul(MAKING), SPARE].into_iter().fold(open, u64::saturating_add);
    (needed > limit).then_some(ConnectErrorKind::DescriptorsNeeded { needed, limit })
}

#[cfg(test)]
mod tests {
    use offshoot_bootstrap::{Chroot, Local, Method as _, Payload, Ssh};

    use super::*;

    #[test]
    fn what_is_needed_is_what_stays_and_what_is_being_made() {
        let hosts: Vec<_> = (0..100).map(|_| Ssh::new("web").plan()).collect();
        let needed = |limit| need(&hosts, 10, 5, limit);
        assert_eq!(needed(411), None);
        assert_eq!(needed(410), Some(ConnectErrorKind::DescriptorsNeeded { needed: 411, limit: 410 }));
        let local = [Local::new(Payload::this_program()).plan()];
        assert_eq!(need(&local, 10, 0, 36), None);
        assert!(need(&local, 10, 0, 35).is_some());
        assert_eq!([kept(&Chroot::new("/srv").plan()), kept(&hosts[0]), kept(&local[0])], [3, 2, 1]);
    }
}
