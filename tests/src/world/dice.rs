//! Choices that can be made again: random numbers of a seed, or the bytes of an input.

/// Where choices come from.
#[derive(Clone, Debug)]
pub struct Dice(Source);

#[derive(Clone, Debug)]
enum Source {
    /// Splitmix64 (Steele, Lea, Flood 2014).
    Seed(u64),
    /// What is left of an input, the next byte last. Once nothing is left all numbers are 0.
    Bytes(Vec<u8>),
}

impl Dice {
    /// The numbers of a seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(Source::Seed(seed))
    }

    /// Numbers of their own for each of many things that one seed decides: whatever one takes, the others get the same.
    #[must_use]
    pub const fn of(seed: u64, thing: u64) -> Self {
        let mut both = seed;
        let mixed = splitmix(&mut both) ^ thing.wrapping_mul(0xd6e8_feb8_6659_fd93);
        Self::new(mixed)
    }

    /// The numbers that an input spells: a choice among up to 256 takes one byte of it, so that whoever changes a byte
    /// changes one choice.
    #[must_use]
    pub fn spelt(input: &[u8]) -> Self {
        Self(Source::Bytes(input.iter().rev().copied().collect()))
    }

    /// Whether an input has been spelt to its end.
    #[must_use]
    pub const fn is_spent(&self) -> bool {
        matches!(&self.0, Source::Bytes(left) if left.is_empty())
    }

    /// The next number.
    #[expect(clippy::should_implement_trait, reason = "they have no end")]
    pub fn next(&mut self) -> u64 {
        match &mut self.0 {
            Source::Seed(seed) => splitmix(seed),
            Source::Bytes(left) => number(left, 8),
        }
    }

    /// The next number, below `bound`.
    ///
    /// # Panics
    /// If nothing is below it.
    pub fn below(&mut self, bound: u64) -> u64 {
        let number = match &mut self.0 {
            Source::Bytes(left) if bound <= 256 => number(left, 1),
            _ => self.next(),
        };
        number % bound
    }

    /// Once in so many times.
    pub fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    /// One of these, if there are any.
    pub fn one_of<T: Copy>(&mut self, of: &[T]) -> Option<T> {
        if of.is_empty() { None } else { Some(of[self.below(of.len() as u64) as usize]) }
    }
}

const fn splitmix(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *seed;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// The number that the next bytes make, as many of them as are left.
fn number(left: &mut Vec<u8>, bytes: usize) -> u64 {
    (0..bytes).filter_map(|_| left.pop()).fold(0, |number, byte| number << 8 | u64::from(byte))
}
