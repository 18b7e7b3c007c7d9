//! What can be wrong with a value or with bytes: small enums, whose texts cost a program that never shows them nothing.

use serde::{de, ser};

/// Why a value cannot be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// A 128-bit integer.
    #[error("128-bit integers cannot be encoded: send two of 64 bits, or a text")]
    Wide,
    /// A field was left out.
    #[error(
        "a field was left out of a struct, whose fields have no names here: remove `skip_serializing_if`"
    )]
    Skipped,
    /// The number of elements differs from the announced one.
    #[error("another number of elements was written than announced: correct the type's own `Serialize`")]
    Length,
    /// Deeper than [`MAX_DEPTH`](super::MAX_DEPTH).
    #[error("the value is nested deeper than 64 levels: send it flat, for example as a list with indices")]
    Depth,
    /// The type's own `Serialize` refused. Its text is not kept: it would cost every leaf the code that formats it.
    #[error("the type's own `Serialize` refused the value")]
    Custom,
}

impl ser::Error for EncodeError {
    fn custom<T: core::fmt::Display>(_text: T) -> Self {
        Self::Custom
    }
}

/// Why bytes are not the value that was asked for, and where that showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[error("byte {at}: {kind}")]
pub struct DecodeError {
    /// What is wrong.
    pub kind: DecodeErrorKind,
    /// How many bytes had been read.
    pub at: usize,
}

/// What is wrong with bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeErrorKind {
    /// The bytes end within the value, or a length reaches beyond them.
    #[error("the bytes end within the value")]
    End,
    /// Bytes follow the value.
    #[error("bytes follow the value")]
    Trailing,
    /// Another type than the one asked for.
    #[error("another type than the one asked for")]
    Type,
    /// A form that a restricted encoder never writes: indefinite, tagged, reserved or longer than necessary.
    #[error("not in the one form that a value has (indefinite, tagged, reserved or too long)")]
    Form,
    /// An array with more or fewer elements than the type has.
    #[error("another number of elements than the type has")]
    Arity,
    /// An enum without a variant of that index.
    #[error("no variant of the enum has this index")]
    Variant,
    /// A text that is not UTF-8.
    #[error("a text is not UTF-8")]
    Utf8,
    /// A value that its type does not take: a number out of its range, several characters for one.
    #[error("the value is out of the range of its type")]
    Range,
    /// Deeper than [`MAX_DEPTH`](super::MAX_DEPTH).
    #[error("nested deeper than 64 levels")]
    Depth,
    /// More memory than the budget.
    #[error("the value would take more memory than it may")]
    Budget,
    /// A field of a map-like struct (`flatten`) is missing, unknown or there twice.
    #[error("a field is missing, unknown or there twice")]
    Field,
    /// A type that this codec does not read: 128-bit integers.
    #[error("128-bit integers cannot be decoded: take two of 64 bits, or a text")]
    Wide,
    /// The type's own `Deserialize` refused. Its text is not kept: it would cost every leaf the code that formats it.
    #[error(
        "the type's own `Deserialize` refused the value (an untagged enum can hold no plain enum and no named fields of its own)"
    )]
    Custom,
}

impl de::Error for DecodeErrorKind {
    fn custom<T: core::fmt::Display>(_text: T) -> Self {
        Self::Custom
    }

    fn invalid_type(_found: de::Unexpected<'_>, _expected: &dyn de::Expected) -> Self {
        Self::Type
    }

    fn invalid_value(_found: de::Unexpected<'_>, _expected: &dyn de::Expected) -> Self {
        Self::Range
    }

    fn invalid_length(_found: usize, _expected: &dyn de::Expected) -> Self {
        Self::Arity
    }

    fn unknown_variant(_found: &str, _expected: &'static [&'static str]) -> Self {
        Self::Variant
    }

    fn unknown_field(_found: &str, _expected: &'static [&'static str]) -> Self {
        Self::Field
    }

    fn missing_field(_field: &'static str) -> Self {
        Self::Field
    }

    fn duplicate_field(_field: &'static str) -> Self {
        Self::Field
    }
}
