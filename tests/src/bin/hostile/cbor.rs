//! As much of CBOR as bodies need: protocol 4.

/// Writes values one behind the other.
#[derive(Clone, Default)]
pub(crate) struct Cbor(Vec<u8>);

impl Cbor {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// A head of that type, its number as short as can be (protocol 4.1).
    fn head(mut self, major: u8, number: u64) -> Self {
        let bytes = number.to_be_bytes();
        let (info, width) = match number {
            0..=23 => (bytes[7], 0),
            24..=0xff => (24, 1),
            0x100..=0xffff => (25, 2),
            0x1_0000..=0xffff_ffff => (26, 4),
            _ => (27, 8),
        };
        self.0.push(major << 5 | info);
        self.0.extend_from_slice(&bytes[8 - width..]);
        self
    }

    pub(crate) fn uint(self, number: impl Into<u64>) -> Self {
        self.head(0, number.into())
    }

    /// Bytes follow.
    pub(crate) fn bytes_head(self, length: usize) -> Self {
        self.head(2, length as u64)
    }

    /// Text that need not be any.
    pub(crate) fn raw_text(self, bytes: &[u8]) -> Self {
        let mut written = self.head(3, bytes.len() as u64);
        written.0.extend_from_slice(bytes);
        written
    }

    pub(crate) fn text(self, text: &str) -> Self {
        self.raw_text(text.as_bytes())
    }

    /// An array: its elements follow.
    pub(crate) fn array(self, count: usize) -> Self {
        self.head(4, count as u64)
    }

    pub(crate) fn null(mut self) -> Self {
        self.0.push(0xf6);
        self
    }

    /// What was written elsewhere.
    pub(crate) fn and(mut self, written: &[u8]) -> Self {
        self.0.extend_from_slice(written);
        self
    }

    /// The head of a call that hands over nothing (protocol 6.1); its argument follows.
    pub(crate) fn call(function: &str) -> Self {
        Self::new().array(5).text(function).null().array(0).null().array(0)
    }

    /// The head of an answer with a value (protocol 6.2); the value follows.
    pub(crate) fn value() -> Self {
        Self::new().array(2).uint(0_u8).array(0)
    }
}

impl From<Cbor> for Vec<u8> {
    fn from(cbor: Cbor) -> Self {
        cbor.0
    }
}

/// Reads values one behind the other.
pub(crate) struct Read<'a>(pub(crate) &'a [u8]);

impl<'a> Read<'a> {
    /// The type and the number of the next head; for what has no number, the byte itself.
    pub(crate) fn head(&mut self) -> (u8, u64) {
        let first = self.take(1)[0];
        let number = match first & 0x1f {
            info @ 0..=23 => u64::from(info),
            info @ 24..=27 => {
                let digits = self.take(1 << (info - 24));
                digits.iter().fold(0, |number, digit| number << 8 | u64::from(*digit))
            }
            _ => panic!("a head that is none: {first:#x}"),
        };
        (first >> 5, number)
    }

    pub(crate) fn uint(&mut self) -> u32 {
        match self.head() {
            (0, number) => u32::try_from(number).expect("a number of 32 bits"),
            other => panic!("a number, not {other:?}"),
        }
    }

    pub(crate) fn text(&mut self) -> &'a str {
        match self.head() {
            (3, length) => std::str::from_utf8(self.take(length as usize)).expect("text"),
            other => panic!("a text, not {other:?}"),
        }
    }

    pub(crate) fn array(&mut self) -> usize {
        match self.head() {
            (4, count) => count as usize,
            other => panic!("an array, not {other:?}"),
        }
    }

    /// Passes over the next value, whatever it is.
    pub(crate) fn skip(&mut self) {
        match self.head() {
            (2 | 3, length) => drop(self.take(length as usize)),
            (4, count) => (0..count).for_each(|_| self.skip()),
            (5, count) => (0..2 * count).for_each(|_| self.skip()),
            (6, _) => self.skip(),
            _ => {}
        }
    }

    fn take(&mut self, length: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(length);
        self.0 = rest;
        taken
    }
}
