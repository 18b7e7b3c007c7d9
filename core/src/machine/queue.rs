//! What queues do in less code than by the verbs of their own.

use std::collections::VecDeque;

/// Keeps what is to be kept, in its order: `VecDeque::retain` is five times the code.
pub(super) fn retain<T>(queue: &mut VecDeque<T>, is_kept: &dyn Fn(&T) -> bool) {
    for _ in 0..queue.len() {
        if let Some(entry) = queue.pop_front().filter(is_kept) {
            queue.push_back(entry);
        }
    }
}

/// Takes out what stands at `at`, which is mostly the first: `VecDeque::remove` is ten times the code.
pub(super) fn take_at<T>(queue: &mut VecDeque<T>, at: usize) -> Option<T> {
    for at in (0..at).rev() {
        queue.swap(at, at.saturating_add(1));
    }
    queue.pop_front()
}
