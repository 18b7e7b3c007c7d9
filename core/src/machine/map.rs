//! Ordered maps and sets whose keys are small: all of them share one tree, so that a leaf carries its code once.
//!
//! A `BTreeMap` of each kind made up a quarter of the code of a small leaf.

use std::{
    collections::BTreeMap,
    fmt,
    hash::{Hash, Hasher},
    marker::PhantomData,
};

use offshoot_wire::{CallId, ContextId, Handle, Window};

/// What can be a key: anything that fits 128 bits, which are in the order of the keys.
pub(super) trait Key: Copy {
    fn pack(self) -> u128;
    fn unpack(bits: u128) -> Self;
}

/// A map in the order of its keys.
#[derive(Clone)]
pub(super) struct Map<K, V> {
    order: Order,
    /// Each where the order says; the others are free.
    values: Vec<Option<V>>,
    keys: PhantomData<K>,
}

/// Where among the entries of a map each key is: in a list while there are few, so that a map whose only entry comes and
/// goes needs neither a search nor new memory each time.
#[derive(Clone, Default)]
struct Order {
    /// In the order of the keys.
    few: Vec<(u128, usize)>,
    /// All of them, once there are more.
    many: BTreeMap<u128, usize>,
    /// Places that a value has left.
    free: Vec<usize>,
}

/// So many are few.
const FEW: usize = 8;

// Never inlined, nor generic: that is what they are for.
impl Order {
    const fn new() -> Self {
        Self { few: Vec::new(), many: BTreeMap::new(), free: Vec::new() }
    }

    fn len(&self) -> usize {
        self.few.len().saturating_add(self.many.len())
    }

    #[inline(never)]
    fn find(&self, key: u128) -> Option<usize> {
        if self.many.is_empty() {
            self.few.iter().find(|(held, _)| *held == key).map(|(_, at)| *at)
        } else {
            self.many.get(&key).copied()
        }
    }

    /// Where this key is; a free place, or the next, if it is new.
    #[inline(never)]
    fn enter(&mut self, key: u128) -> usize {
        let next = self.free.last().copied().unwrap_or_else(|| self.len());
        let at = self.enter_at(key, next);
        if at == next {
            self.free.pop();
        }
        at
    }

    fn enter_at(&mut self, key: u128, at: usize) -> usize {
        if self.many.is_empty() {
            let place = self.place(key);
            if let Some((_, held)) = self.few.get(place).filter(|(held, _)| *held == key) {
                return *held;
            }
            if self.few.len() < FEW {
                self.few.insert(place, (key, at));
                return at;
            }
            // One by one: what collects into a tree brings a sort along.
            for (key, at) in self.few.drain(..) {
                self.many.insert(key, at);
            }
        }
        *self.many.entry(key).or_insert(at)
    }

    #[inline(never)]
    fn remove(&mut self, key: u128) -> Option<usize> {
        let at = if self.many.is_empty() {
            let place = self.place(key);
            self.few.get(place).filter(|(held, _)| *held == key)?;
            self.few.remove(place).1
        } else {
            self.many.remove(&key)?
        };
        // Not as soon as they are few again: the next one may come at once.
        if self.many.len() <= FEW / 2 {
            while let Some(first) = self.many.pop_first() {
                self.few.push(first);
            }
        }
        self.free.push(at);
        Some(at)
    }

    #[inline(never)]
    fn first(&self) -> Option<(u128, usize)> {
        let many = || self.many.first_key_value().map(|(key, at)| (*key, *at));
        self.few.first().copied().or_else(many)
    }

    /// The first key from `from` on.
    #[inline(never)]
    fn next(&self, from: u128) -> Option<(u128, usize)> {
        let many = || self.many.range(from..).next().map(|(key, at)| (*key, *at));
        self.few.get(self.place(from)).copied().or_else(many)
    }

    /// Where among the few this key is, or would be.
    fn place(&self, key: u128) -> usize {
        self.few.iter().take_while(|(held, _)| *held < key).count()
    }
}

impl<K: Key, V> Map<K, V> {
    pub(super) const fn new() -> Self {
        Self { order: Order::new(), values: Vec::new(), keys: PhantomData }
    }

    pub(super) fn len(&self) -> usize {
        self.order.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn get(&self, key: &K) -> Option<&V> {
        self.values.get(self.order.find(key.pack())?)?.as_ref()
    }

    pub(super) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.values.get_mut(self.order.find(key.pack())?)?.as_mut()
    }

    /// Puts a value in the place of the one that is there.
    pub(super) fn insert(&mut self, key: K, value: V) {
        *self.place(key) = Some(value);
    }

    /// The value of this key, made if there is none.
    pub(super) fn or_insert_with(&mut self, key: K, make: impl FnOnce() -> V) -> &mut V {
        self.place(key).get_or_insert_with(make)
    }

    pub(super) fn or_default(&mut self, key: K) -> &mut V
    where
        V: Default,
    {
        self.or_insert_with(key, V::default)
    }

    pub(super) fn remove(&mut self, key: &K) -> Option<V> {
        self.values.get_mut(self.order.remove(key.pack())?)?.take()
    }

    /// Every entry, in the order of the keys.
    pub(super) fn iter(&self) -> impl Iterator<Item = (K, &V)> {
        self.from(self.order.first().map(|(first, _)| first))
    }

    /// Every entry from `key` on.
    pub(super) fn iter_from(&self, key: K) -> impl Iterator<Item = (K, &V)> {
        self.from(Some(key.pack()))
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = K> {
        self.iter().map(|(key, _)| key)
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &V> {
        self.iter().map(|(_, value)| value)
    }

    /// Keeps what `keep` wants, which is asked in the order of the keys.
    pub(super) fn retain(&mut self, mut keep: impl FnMut(K, &mut V) -> bool) {
        let keys: Vec<K> = self.keys().collect();
        for key in keys {
            if self.get_mut(&key).is_some_and(|value| !keep(key, value)) {
                self.remove(&key);
            }
        }
    }

    /// Where the value of this key is, or goes.
    fn place(&mut self, key: K) -> &mut Option<V> {
        let at = self.order.enter(key.pack());
        if self.values.len() <= at {
            self.values.push(None);
        }
        // Places are given out one after the other.
        #[allow(clippy::indexing_slicing)]
        &mut self.values[at]
    }

    fn from(&self, mut from: Option<u128>) -> impl Iterator<Item = (K, &V)> {
        std::iter::from_fn(move || {
            let (bits, at) = self.order.next(from?)?;
            from = bits.checked_add(1);
            self.values.get(at)?.as_ref().map(|value| (K::unpack(bits), value))
        })
    }
}

impl<K: Key, V> Default for Map<K, V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: Key, V: PartialEq> PartialEq for Map<K, V> {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len()
            && self
                .iter()
                .zip(other.iter())
                .all(|(ours, theirs)| ours.0.pack() == theirs.0.pack() && ours.1 == theirs.1)
    }
}

impl<K: Key, V: Eq> Eq for Map<K, V> {}

impl<K: Key, V: Hash> Hash for Map<K, V> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.len().hash(state);
        for (key, value) in self.iter() {
            key.pack().hash(state);
            value.hash(state);
        }
    }
}

impl<K: Key + fmt::Debug, V: fmt::Debug> fmt::Debug for Map<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl<K: Key, V> FromIterator<(K, V)> for Map<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let mut map = Self::new();
        entries.into_iter().for_each(|(key, value)| map.insert(key, value));
        map
    }
}

/// A set in the order of its members.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Set<K: Key>(Map<K, ()>);

impl<K: Key> Set<K> {
    pub(super) const fn new() -> Self {
        Self(Map::new())
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn insert(&mut self, key: K) {
        self.0.insert(key, ());
    }

    /// Tells whether it was there.
    pub(super) fn remove(&mut self, key: &K) -> bool {
        self.0.remove(key).is_some()
    }

    pub(super) fn contains(&self, key: &K) -> bool {
        self.0.get(key).is_some()
    }

    pub(super) fn first(&self) -> Option<K> {
        self.0.order.first().map(|(bits, _)| K::unpack(bits))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = K> {
        self.0.keys()
    }

    pub(super) fn retain(&mut self, mut keep: impl FnMut(K) -> bool) {
        self.0.retain(|key, ()| keep(key));
    }
}

impl<K: Key> Default for Set<K> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: Key + fmt::Debug> fmt::Debug for Set<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

impl<K: Key> Extend<K> for Set<K> {
    fn extend<I: IntoIterator<Item = K>>(&mut self, keys: I) {
        keys.into_iter().for_each(|key| self.insert(key));
    }
}

impl<K: Key> FromIterator<K> for Set<K> {
    fn from_iter<I: IntoIterator<Item = K>>(keys: I) -> Self {
        let mut set = Self::new();
        set.extend(keys);
        set
    }
}

/// Two numbers of 32 bits, the first in front.
pub(super) fn pair(first: u32, second: u32) -> u128 {
    u128::from(first) << 32 | u128::from(second)
}

/// The lowest 32 bits behind the first `shift`.
#[allow(clippy::cast_possible_truncation, reason = "the rest is another part of the key")]
pub(super) const fn part(bits: u128, shift: u32) -> u32 {
    (bits >> shift) as u32
}

impl Key for ContextId {
    fn pack(self) -> u128 {
        self.number().into()
    }

    fn unpack(bits: u128) -> Self {
        Self::new(part(bits, 0))
    }
}

impl Key for (ContextId, u32) {
    fn pack(self) -> u128 {
        pair(self.0.number(), self.1)
    }

    fn unpack(bits: u128) -> Self {
        (ContextId::new(part(bits, 32)), part(bits, 0))
    }
}

impl Key for (ContextId, Handle) {
    fn pack(self) -> u128 {
        pair(self.0.number(), self.1.number())
    }

    fn unpack(bits: u128) -> Self {
        (ContextId::new(part(bits, 32)), Handle::new(part(bits, 0)))
    }
}

impl Key for CallId {
    fn pack(self) -> u128 {
        (self.context, self.handle).pack()
    }

    fn unpack(bits: u128) -> Self {
        let (context, handle) = Key::unpack(bits);
        Self { context, handle }
    }
}

impl Key for (ContextId, Window) {
    fn pack(self) -> u128 {
        let (kind, handle) = match self.1 {
            Window::Calls => (0, 0),
            Window::Replies => (1, 0),
            Window::Stream(handle) => (2, handle.number()),
        };
        u128::from(self.0.number()) << 64 | pair(kind, handle)
    }

    fn unpack(bits: u128) -> Self {
        let window = match part(bits, 32) {
            0 => Window::Calls,
            1 => Window::Replies,
            _ => Window::Stream(Handle::new(part(bits, 0))),
        };
        (ContextId::new(part(bits, 64)), window)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn id(id: u32) -> ContextId {
        ContextId::new(id)
    }

    #[test]
    fn a_map_is_in_the_order_of_its_keys_whatever_came_and_went() {
        let mut map = Map::new();
        for key in [5, 1, 4, 2, 3] {
            map.insert(id(key), key);
        }
        assert_eq!((map.remove(&id(1)), map.remove(&id(1))), (Some(1), None));
        *map.or_default(id(9)) += 9;
        map.insert(id(4), 40);
        assert_eq!(
            map.iter().map(|(key, value)| (key.number(), *value)).collect::<Vec<_>>(),
            [(2, 2), (3, 3), (4, 40), (5, 5), (9, 9)]
        );
        assert_eq!(map.iter_from(id(4)).count(), 3);
        map.retain(|key, value| key != id(3) && *value < 40);
        assert_eq!(map, [(id(9), 9), (id(2), 2), (id(5), 5)].into_iter().collect());
    }

    #[test]
    fn a_map_is_the_same_whether_it_holds_few_or_many() {
        let mut map = Map::new();
        let mut held = BTreeMap::new();
        // Up over the bound and down under it, several times, and each key more than once.
        let keys = (0..600_u32).map(|n| (n * 7919) % 37);
        for (n, key) in keys.enumerate() {
            if n % 120 < 60 {
                map.insert(id(key), n);
                held.insert(id(key), n);
            } else {
                assert_eq!(map.remove(&id(key)), held.remove(&id(key)));
            }
            assert!(map.iter().eq(held.iter().map(|(key, value)| (*key, value))), "after {n}");
            assert_eq!(map.get(&id(key)), held.get(&id(key)));
            assert!(map.iter_from(id(key)).eq(held.range(id(key)..).map(|(key, value)| (*key, value))));
        }
        assert!(held.len() < FEW, "it went down as well");
    }

    #[test]
    fn a_key_is_what_it_was_and_keeps_its_order() {
        let windows = [
            Window::Calls,
            Window::Replies,
            Window::Stream(Handle::new(0)),
            Window::Stream(Handle::new(u32::MAX)),
        ];
        let keys: Vec<_> =
            [0, 7, u32::MAX].into_iter().flat_map(|key| windows.map(|window| (id(key), window))).collect();
        let set: Set<_> = keys.iter().rev().copied().collect();
        assert_eq!(set.iter().collect::<Vec<_>>(), keys);
        assert!(keys.is_sorted());
    }
}
