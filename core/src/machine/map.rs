//! Ordered maps and sets whose keys are small: all of them share one order, so that a leaf carries its code once.
//!
//! A `BTreeMap` of each kind made up a quarter of the code of a small leaf, and one for all still 5 KB of it.

use std::{
    fmt,
    hash::{Hash, Hasher},
    marker::PhantomData,
};

use offshoot_wire::{CallId, ContextId, Handle, Window};

use super::LinkKey;

/// What can be a key: anything that fits 128 bits, which are in the order of the keys.
pub(super) trait Key: Copy {
    fn pack(self) -> u128;
    fn unpack(bits: u128) -> Self;
}

/// A map in the order of its keys.
#[derive(Clone)]
pub(super) struct Map<K, V> {
    order: Order,
    /// Without gaps, and in no order that may matter.
    entries: Vec<(u128, V)>,
    keys: PhantomData<K>,
}

/// Where among the entries of a map each key is: pieces of a sorted list, none of them empty but the last.
#[derive(Clone, Default)]
struct Order(Vec<Vec<(u128, usize)>>);

/// The longest piece: what an insertion moves is bounded by it, and a long list has few pieces.
const PIECE: usize = 64;
/// So many keys are looked through one by one.
const FEW: usize = 4;

// Never inlined, nor generic: that is what they are for.
impl Order {
    /// The piece in which `key` is or would be, and its place there.
    #[inline(never)]
    fn place(&self, key: u128) -> (usize, usize) {
        let piece = match self.0.len() {
            0 | 1 => 0,
            _ => below(self.0.len(), |at| self.first_of(at) <= key).saturating_sub(1),
        };
        let entries = self.0.get(piece).map_or(&[][..], Vec::as_slice);
        (piece, below(entries.len(), |at| entries.get(at).is_some_and(|(held, _)| *held < key)))
    }

    fn first_of(&self, piece: usize) -> u128 {
        self.0.get(piece).and_then(|piece| piece.first()).map_or(0, |(first, _)| *first)
    }

    #[inline(never)]
    fn find(&self, key: u128) -> Option<usize> {
        // Most maps are small, and looked into more often than changed.
        if let [piece] = &*self.0
            && piece.len() <= FEW
        {
            return piece.iter().find(|(held, _)| *held == key).map(|(_, at)| *at);
        }
        let (piece, place) = self.place(key);
        let (held, at) = self.0.get(piece)?.get(place)?;
        (*held == key).then_some(*at)
    }

    #[inline(never)]
    fn put(&mut self, key: u128, at: usize) {
        let (index, place) = self.place(key);
        let Some(piece) = self.0.get_mut(index) else { return self.0.push(vec![(key, at)]) };
        match piece.get_mut(place) {
            Some(entry) if entry.0 == key => entry.1 = at,
            Some(_) => piece.insert(place, (key, at)),
            None => piece.push((key, at)),
        }
        if piece.len() > PIECE {
            let rest = piece.split_off(PIECE / 2);
            self.0.insert(index.saturating_add(1), rest);
        }
    }

    #[inline(never)]
    fn remove(&mut self, key: u128) -> Option<usize> {
        let (index, place) = self.place(key);
        let piece = self.0.get_mut(index)?;
        let (held, at) = *piece.get(place)?;
        if held != key {
            return None;
        }
        if place.saturating_add(1) == piece.len() {
            piece.pop();
        } else {
            piece.remove(place);
        }
        // The last one keeps its memory for the next key.
        if piece.is_empty() && self.0.len() > 1 {
            self.0.remove(index);
        }
        Some(at)
    }

    /// The first key from `from` on.
    #[inline(never)]
    fn next(&self, from: u128) -> Option<(u128, usize)> {
        let (index, place) = self.place(from);
        let behind = || self.0.get(index.saturating_add(1))?.first();
        self.0.get(index)?.get(place).or_else(behind).copied()
    }

    fn first(&self) -> Option<(u128, usize)> {
        self.0.first()?.first().copied()
    }
}

/// How many of `len` places, from the first on, `is_below` holds for; behind one for which it does not it holds for none.
fn below(len: usize, is_below: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut high) = (0, len);
    while low < high {
        let middle = low.midpoint(high);
        if is_below(middle) {
            low = middle.saturating_add(1);
        } else {
            high = middle;
        }
    }
    low
}

impl<K: Key, V> Map<K, V> {
    pub(super) const fn new() -> Self {
        Self { order: Order(Vec::new()), entries: Vec::new(), keys: PhantomData }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(super) fn get(&self, key: &K) -> Option<&V> {
        let at = self.order.find(key.pack())?;
        self.entries.get(at).map(|(_, value)| value)
    }

    pub(super) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        let at = self.order.find(key.pack())?;
        self.entries.get_mut(at).map(|(_, value)| value)
    }

    /// Puts a value in the place of the one that is there.
    pub(super) fn insert(&mut self, key: K, value: V) {
        match self.get_mut(&key) {
            Some(held) => *held = value,
            None => self.add(key.pack(), value),
        }
    }

    /// The value of this key, made if there is none.
    pub(super) fn or_insert_with(&mut self, key: K, make: impl FnOnce() -> V) -> &mut V {
        let at = self.order.find(key.pack()).unwrap_or_else(|| {
            self.add(key.pack(), make());
            self.entries.len() - 1
        });
        // It was found, or put there just now.
        #[allow(clippy::indexing_slicing)]
        &mut self.entries[at].1
    }

    pub(super) fn or_default(&mut self, key: K) -> &mut V
    where
        V: Default,
    {
        self.or_insert_with(key, V::default)
    }

    pub(super) fn remove(&mut self, key: &K) -> Option<V> {
        let at = self.order.remove(key.pack())?;
        let (_, value) = self.entries.swap_remove(at);
        if let Some((moved, _)) = self.entries.get(at) {
            self.order.put(*moved, at);
        }
        Some(value)
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

    /// Whether `is_so` holds for a value, which is asked in no order.
    pub(super) fn any(&self, is_so: impl Fn(&V) -> bool) -> bool {
        self.entries.iter().any(|(_, value)| is_so(value))
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

    fn add(&mut self, bits: u128, value: V) {
        self.order.put(bits, self.entries.len());
        self.entries.push((bits, value));
    }

    fn from(&self, mut from: Option<u128>) -> impl Iterator<Item = (K, &V)> {
        std::iter::from_fn(move || {
            let (bits, at) = self.order.next(from?)?;
            from = bits.checked_add(1);
            self.entries.get(at).map(|(_, value)| (K::unpack(bits), value))
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

impl Key for Handle {
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

impl Key for LinkKey {
    fn pack(self) -> u128 {
        pair(u32::try_from(self.slot).unwrap_or(u32::MAX), self.peer.number())
    }

    fn unpack(bits: u128) -> Self {
        Self { slot: part(bits, 32) as usize, peer: ContextId::new(part(bits, 0)) }
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
