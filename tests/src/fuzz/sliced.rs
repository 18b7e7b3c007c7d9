//! An input whose first bytes say in which slices the rest comes.

/// How many slices there are before their lengths repeat.
const LENGTHS: usize = 3;

/// A stream, and how it is cut.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sliced<'a> {
    lengths: [usize; LENGTHS],
    pub(super) stream: &'a [u8],
}

impl<'a> Sliced<'a> {
    /// Short slices are as likely as long ones: a length is the square of its byte, and one more.
    pub(super) fn of(input: &'a [u8]) -> Self {
        let (lengths, stream) = input.split_first_chunk().unwrap_or((&[u8::MAX; LENGTHS], input));
        Self { lengths: lengths.map(|byte| usize::from(byte).pow(2) + 1), stream }
    }

    pub(super) fn slices(self) -> impl Iterator<Item = &'a [u8]> {
        let mut rest = self.stream;
        self.lengths.into_iter().cycle().map_while(move |length| {
            let (slice, behind) = rest.split_at(length.min(rest.len()));
            rest = behind;
            (!slice.is_empty()).then_some(slice)
        })
    }
}

/// The stream as an input, cut nowhere, everywhere, and here and there.
pub(super) fn cut(stream: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    [[255; LENGTHS], [0; LENGTHS], [1, 6, 3]].into_iter().map(move |lengths| [&lengths, stream].concat())
}
