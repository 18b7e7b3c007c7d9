//! A slab that can be compared and hashed: what is in it counts, and where the next goes.

use std::hash::{Hash, Hasher};

use slab::Slab;

/// Values under small, reused indices.
#[derive(Clone, Debug)]
pub(super) struct Slots<T>(Slab<T>);

impl<T> Default for Slots<T> {
    fn default() -> Self {
        Self(Slab::new())
    }
}

impl<T> std::ops::Deref for Slots<T> {
    type Target = Slab<T>;

    fn deref(&self) -> &Slab<T> {
        &self.0
    }
}

impl<T> std::ops::DerefMut for Slots<T> {
    fn deref_mut(&mut self) -> &mut Slab<T> {
        &mut self.0
    }
}

impl<T: PartialEq> PartialEq for Slots<T> {
    fn eq(&self, other: &Self) -> bool {
        self.0.vacant_key() == other.0.vacant_key() && self.0.iter().eq(other.0.iter())
    }
}

impl<T: Eq> Eq for Slots<T> {}

impl<T: Hash> Hash for Slots<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.0.len(), self.0.vacant_key()).hash(state);
        for entry in &self.0 {
            entry.hash(state);
        }
    }
}
