//! Ordered maps and sets whose keys are small: all of them share one order, so that a leaf carries its code once.
//!
//! A `BTreeMap` of each kind made up a quarter of the code of a small leaf, and one for all still 5 KB of it.

use std::{
    fmt,
    hash::{Hash, Hasher},
    marker::PhantomData,
    mem,
};

use offshoot_wire::{ContextId, Handle, Window};

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
    values: Vec<V>,
    keys: PhantomData<K>,
}

/// Where among the values of a map each key is; nothing as long as there was none.
#[derive(Clone, Default)]
struct Order(Option<Box<Places>>);

/// Keys, and the place of each.
#[derive(Clone, Default)]
struct Places {
    /// The keys with their places: pieces of a sorted list, none of them empty but the last.
    sorted: Vec<Vec<(u128, usize)>>,
    /// The key of each place.
    placed: Vec<u128>,
}

/// A key, and its place.
type Placed = (u128, usize);

/// The longest piece: what an insertion moves is bounded by it, and a long list has few pieces.
const PIECE: usize = 64;
/// So many keys are looked through one by one.
const FEW: usize = 4;

// Never inlined, nor generic: that is what they are for.
impl Order {
    #[inline(never)]
    fn find(&self, key: u128) -> Option<usize> {
        self.0.as_ref()?.find(key)
    }

    #[inline(never)]
    fn enter(&mut self, key: u128) -> usize {
        self.0.get_or_insert_default().enter(key)
    }

    #[inline(never)]
    fn remove(&mut self, key: u128) -> Option<usize> {
        self.0.as_mut()?.remove(key)
    }

    #[inline(never)]
    fn between(&self, first: u128, last: u128) -> Vec<(u128, usize)> {
        self.0.as_ref().map(|places| places.between(first, last)).unwrap_or_default()
    }

    #[inline(never)]
    fn has_between(&self, first: u128, last: u128, least: usize) -> bool {
        self.0.as_ref().map_or(least == 0, |places| places.has_between(first, last, least))
    }

    fn all(&self) -> Vec<(u128, usize)> {
        self.between(0, u128::MAX)
    }

    fn first(&self) -> Option<u128> {
        Some(self.0.as_ref()?.sorted.first()?.first()?.0)
    }

    fn len(&self) -> usize {
        self.0.as_ref().map_or(0, |places| places.placed.len())
    }

    fn keys(&self) -> impl Iterator<Item = u128> + '_ {
        self.0.iter().flat_map(|places| &places.sorted).flatten().map(|(key, _)| *key)
    }
}

impl Places {
    /// The piece in which `key` is or would be, and its place there.
    #[inline(never)]
    fn place(&self, key: u128) -> (usize, usize) {
        let begins_below = |piece: &Vec<(u128, usize)>| piece.first().is_some_and(|(first, _)| *first <= key);
        let piece = match self.sorted.len() {
            0 | 1 => 0,
            _ => self.sorted.partition_point(begins_below).saturating_sub(1),
        };
        let entries = self.sorted.get(piece).map_or(&[][..], Vec::as_slice);
        (piece, entries.partition_point(|(held, _)| *held < key))
    }

    fn find(&self, key: u128) -> Option<usize> {
        // Most maps are small, and looked into more often than changed.
        if let [piece] = &*self.sorted
            && piece.len() <= FEW
        {
            return piece.iter().find(|(held, _)| *held == key).map(|(_, at)| *at);
        }
        let (piece, place) = self.place(key);
        let (held, at) = self.sorted.get(piece)?.get(place)?;
        (*held == key).then_some(*at)
    }

    /// The place of a key, for one that is not there the one behind all others.
    fn enter(&mut self, key: u128) -> usize {
        let (index, place) = self.place(key);
        if self.sorted.is_empty() {
            self.sorted.push(Vec::new());
        }
        let behind = self.placed.len();
        let Some(piece) = self.sorted.get_mut(index) else { return behind };
        match piece.get(place) {
            Some((held, at)) if *held == key => return *at,
            _ => piece.insert(place, (key, behind)),
        }
        if piece.len() > PIECE {
            let rest = piece.split_off(PIECE / 2);
            self.sorted.insert(index.saturating_add(1), rest);
        }
        self.placed.push(key);
        behind
    }

    /// Takes a key out; where it was is then what had the last place.
    fn remove(&mut self, key: u128) -> Option<usize> {
        let (index, place) = self.place(key);
        let piece = self.sorted.get_mut(index)?;
        let (held, at) = *piece.get(place)?;
        if held != key {
            return None;
        }
        piece.remove(place);
        // The last one keeps its memory for the next key.
        if piece.is_empty() && self.sorted.len() > 1 {
            self.sorted.remove(index);
        }
        self.placed.swap_remove(at);
        if let Some(moved) = self.placed.get(at) {
            let (index, place) = self.place(*moved);
            let entry = self.sorted.get_mut(index).and_then(|piece| piece.get_mut(place));
            entry.into_iter().for_each(|(_, held)| *held = at);
        }
        Some(at)
    }

    /// The keys from `first` to `last`, both among them, with their places.
    fn between(&self, first: u128, last: u128) -> Vec<(u128, usize)> {
        let mut found = Vec::new();
        self.walk(first, last, &mut |keys| {
            found.extend_from_slice(keys);
            true
        });
        found
    }

    /// Whether there are at least so many of them: none behind these is looked at.
    fn has_between(&self, first: u128, last: u128, least: usize) -> bool {
        let mut count = 0_usize;
        self.walk(first, last, &mut |keys| {
            count = count.saturating_add(keys.len());
            count < least
        });
        count >= least
    }

    /// Goes through them in their order, as far as wanted.
    fn walk(&self, first: u128, last: u128, goes_on: &mut dyn FnMut(&[Placed]) -> bool) {
        let (piece, mut from) = self.place(first);
        for piece in self.sorted.get(piece..).unwrap_or_default() {
            let rest = piece.get(from..).unwrap_or_default();
            let end = rest.partition_point(|(key, _)| *key <= last);
            if !goes_on(rest.get(..end).unwrap_or_default()) || end < rest.len() {
                break;
            }
            from = 0;
        }
    }
}

impl<K: Key, V> Map<K, V> {
    pub(super) const fn new() -> Self {
        Self { order: Order(None), values: Vec::new(), keys: PhantomData }
    }

    pub(super) fn len(&self) -> usize {
        self.values.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    pub(super) fn get(&self, key: &K) -> Option<&V> {
        self.values.get(self.order.find(key.pack())?)
    }

    pub(super) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.values.get_mut(self.order.find(key.pack())?)
    }

    /// Puts a value in the place of the one that is there, which it gives back.
    pub(super) fn insert(&mut self, key: K, value: V) -> Option<V> {
        match self.values.get_mut(self.order.enter(key.pack())) {
            Some(held) => Some(mem::replace(held, value)),
            None => {
                self.values.push(value);
                None
            }
        }
    }

    /// The value of this key, made if there is none: the key is there by then, so that must not panic.
    pub(super) fn or_insert_with(&mut self, key: K, make: impl FnOnce() -> V) -> &mut V {
        let at = self.order.enter(key.pack());
        if at == self.values.len() {
            self.values.push(make());
        }
        // It was found, or put there just now.
        #[allow(clippy::indexing_slicing)]
        &mut self.values[at]
    }

    pub(super) fn or_default(&mut self, key: K) -> &mut V
    where
        V: Default,
    {
        self.or_insert_with(key, V::default)
    }

    pub(super) fn remove(&mut self, key: &K) -> Option<V> {
        let at = self.order.remove(key.pack())?;
        Some(self.values.swap_remove(at))
    }

    /// Every entry, in the order of the keys.
    pub(super) fn iter(&self) -> impl Iterator<Item = (K, &V)> {
        let entry = |(bits, at)| Some((K::unpack(bits), self.values.get(at)?));
        self.order.all().into_iter().filter_map(entry)
    }

    /// The keys from `first` to `last`, both among them, as they are now.
    pub(super) fn keys_between(&self, first: K, last: K) -> impl Iterator<Item = K> + use<K, V> {
        keys(self.order.between(first.pack(), last.pack()))
    }

    /// Whether there are at least so many keys from `first` to `last`.
    pub(super) fn has_between(&self, first: K, last: K, least: usize) -> bool {
        self.order.has_between(first.pack(), last.pack(), least)
    }

    pub(super) fn first_key(&self) -> Option<K> {
        self.order.first().map(K::unpack)
    }

    /// Every key, as they are now.
    pub(super) fn keys(&self) -> impl Iterator<Item = K> + use<K, V> {
        keys(self.order.all())
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &V> {
        self.iter().map(|(_, value)| value)
    }

    /// The values in no order that may matter, which costs less.
    pub(super) fn unordered(&self) -> &[V] {
        &self.values
    }
}

fn keys<K: Key>(entries: Vec<(u128, usize)>) -> impl Iterator<Item = K> {
    entries.into_iter().map(|(bits, _)| K::unpack(bits))
}

impl<K: Key, V> Default for Map<K, V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: Key, V: PartialEq> PartialEq for Map<K, V> {
    fn eq(&self, other: &Self) -> bool {
        self.order == other.order && self.values().eq(other.values())
    }
}

impl<K: Key, V: Eq> Eq for Map<K, V> {}

impl<K: Key, V: Hash> Hash for Map<K, V> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.order.hash(state);
        self.values().for_each(|value| value.hash(state));
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
        for (key, value) in entries {
            map.insert(key, value);
        }
        map
    }
}

// Where the values are is no matter.
impl PartialEq for Order {
    fn eq(&self, other: &Self) -> bool {
        self.keys().eq(other.keys())
    }
}

impl Eq for Order {}

impl Hash for Order {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.len().hash(state);
        self.keys().for_each(|key| key.hash(state));
    }
}

/// A set in the order of its members.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Set<K> {
    order: Order,
    keys: PhantomData<K>,
}

impl<K: Key> Set<K> {
    pub(super) const fn new() -> Self {
        Self { order: Order(None), keys: PhantomData }
    }

    pub(super) fn len(&self) -> usize {
        self.order.len()
    }

    pub(super) fn insert(&mut self, key: K) {
        self.order.enter(key.pack());
    }

    /// Tells whether it was there.
    pub(super) fn remove(&mut self, key: &K) -> bool {
        self.order.remove(key.pack()).is_some()
    }

    pub(super) fn contains(&self, key: &K) -> bool {
        self.order.find(key.pack()).is_some()
    }

    /// The members from `first` to `last`, both among them, as they are now.
    pub(super) fn keys_between(&self, first: K, last: K) -> impl Iterator<Item = K> + use<K> {
        keys(self.order.between(first.pack(), last.pack()))
    }

    pub(super) fn first(&self) -> Option<K> {
        self.order.first().map(K::unpack)
    }

    /// Every member, as they are now.
    pub(super) fn iter(&self) -> impl Iterator<Item = K> + use<K> {
        keys(self.order.all())
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
    use std::collections::BTreeMap;

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
        assert_eq!(map.keys_between(id(3), id(4)).collect::<Vec<_>>(), [id(3), id(4)]);
        assert_eq!(map.keys_between(id(6), id(8)).count(), 0);
        map.remove(&id(3));
        assert_eq!(map, [(id(9), 9), (id(4), 40), (id(2), 2), (id(5), 5)].into_iter().collect());
    }

    #[test]
    fn many_keys_are_found_in_their_order_whatever_came_and_went() {
        let (mut map, mut model) = (Map::new(), BTreeMap::new());
        // A generator that goes through all numbers below 1024, in an order that looks like none.
        let mut next = 1_u32;
        for step in 0..4096_u32 {
            next = (next * 5 + 3) % 1024;
            let key = id(next / 2);
            assert_eq!(map.get(&key), model.get(&key));
            if step % 3 == 0 {
                assert_eq!(map.remove(&key), model.remove(&key));
            } else {
                assert_eq!(map.insert(key, step), model.insert(key, step));
            }
            assert_eq!(map.len(), model.len());
            let (first, last) = (key, id(key.number() + step % 300));
            let between: Vec<_> = model.range(first..=last).map(|(key, _)| *key).collect();
            for least in [0, 1, between.len(), between.len() + 1] {
                assert_eq!(map.has_between(first, last, least), between.len() >= least, "{least}");
            }
            assert_eq!(map.keys_between(first, last).collect::<Vec<_>>(), between);
        }
        assert!(model.len() > 4 * PIECE);
        assert_eq!(
            map.iter().collect::<Vec<_>>(),
            model.iter().map(|(key, it)| (*key, it)).collect::<Vec<_>>()
        );
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
