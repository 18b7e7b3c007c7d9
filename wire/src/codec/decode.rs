//! The half of the codec that reads: a serde `Deserializer` that takes the one form of a value and no other.

use core::str;

use serde::de::{self, DeserializeSeed, Visitor};

use super::{MAX_DEPTH, cbor};
use crate::be;

/// What an element of a container is charged beside its size: links of nodes, small allocations.
const ELEMENT_COST: usize = 16;
/// A container that grows holds room for up to twice its elements.
const GROWTH: usize = 2;
/// A map with one entry may reserve a whole node.
const MAP_NODE: usize = 11;

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
    /// Deeper than [`MAX_DEPTH`].
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

use DecodeErrorKind as Kind;

impl de::Error for Kind {
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

/// Reads one value.
pub(super) struct Reader<'de> {
    rest: &'de [u8],
    total: usize,
    budget: usize,
    depth: u8,
}

impl<'de> Reader<'de> {
    pub(super) const fn new(bytes: &'de [u8], budget: usize) -> Self {
        Self { rest: bytes, total: bytes.len(), budget, depth: 0 }
    }

    /// How many bytes have been read.
    pub(super) const fn offset(&self) -> usize {
        self.total.saturating_sub(self.rest.len())
    }

    pub(super) const fn error(&self, kind: Kind) -> DecodeError {
        DecodeError { kind, at: self.offset() }
    }

    pub(super) const fn finish(&self) -> Result<(), Kind> {
        if self.rest.is_empty() { Ok(()) } else { Err(Kind::Trailing) }
    }

    fn peek(&self) -> Result<u8, Kind> {
        self.rest.first().copied().ok_or(Kind::End)
    }

    fn take(&mut self, len: usize) -> Result<&'de [u8], Kind> {
        let (taken, rest) = self.rest.split_at_checked(len).ok_or(Kind::End)?;
        self.rest = rest;
        Ok(taken)
    }

    /// The number in the next head, which must be of type `major` and as short as can be.
    fn head(&mut self, major: u8) -> Result<u64, Kind> {
        let first = self.peek()?;
        if first >> 5 != major {
            return Err(Kind::Type);
        }
        let info = first & 0x1f;
        let (width, least) = match info {
            0..=23 => {
                self.take(1)?;
                return Ok(u64::from(info));
            }
            24 => (1, 24),
            25 => (2, 0x100),
            26 => (4, 0x1_0000),
            27 => (8, 0x1_0000_0000),
            _ => return Err(Kind::Form),
        };
        let number = be::get(self.rest.get(1..=width).ok_or(Kind::End)?);
        if number < least {
            return Err(Kind::Form);
        }
        self.take(width.saturating_add(1))?;
        Ok(number)
    }

    /// As [`Reader::head`], for how much follows; every item takes a byte at least, so more than is at hand is an error.
    fn count(&mut self, major: u8, bytes_an_item: usize) -> Result<usize, Kind> {
        let count = usize::try_from(self.head(major)?).map_err(|_| Kind::End)?;
        if count > self.rest.len() / bytes_an_item { Err(Kind::End) } else { Ok(count) }
    }

    fn string(&mut self, major: u8) -> Result<&'de [u8], Kind> {
        let len = self.count(major, 1)?;
        self.charge(len)?;
        self.take(len)
    }

    fn text(&mut self) -> Result<&'de str, Kind> {
        str::from_utf8(self.string(cbor::TEXT)?).map_err(|_| Kind::Utf8)
    }

    /// One byte of type 7: a simple value, or the head of a float.
    fn simple(&mut self, expected: u8) -> Result<(), Kind> {
        if self.peek()? != expected {
            return Err(Kind::Type);
        }
        self.take(1).map(|_| ())
    }

    fn float(&mut self, head: u8, width: usize) -> Result<u64, Kind> {
        self.simple(head)?;
        self.take(width).map(be::get)
    }

    /// Takes `bytes` of memory from the budget.
    fn charge(&mut self, bytes: usize) -> Result<(), Kind> {
        self.budget = self.budget.checked_sub(bytes).ok_or(Kind::Budget)?;
        Ok(())
    }

    fn charge_value<T>(&mut self) -> Result<(), Kind> {
        self.charge(size_of::<T>())
    }

    /// Charged before anything is read, since a container may reserve at once what its head announces.
    fn charge_container<T>(&mut self, count: usize) -> Result<(), Kind> {
        self.charge(size_of::<T>().saturating_add(count.saturating_mul(ELEMENT_COST)))
    }

    fn charge_element<T>(&mut self) -> Result<(), Kind> {
        self.charge(size_of::<T>().saturating_mul(GROWTH))
    }

    fn enter(&mut self) -> Result<(), Kind> {
        if self.depth == MAX_DEPTH {
            return Err(Kind::Depth);
        }
        self.depth = self.depth.saturating_add(1);
        Ok(())
    }

    fn leave(&mut self) {
        self.depth = self.depth.saturating_sub(1);
    }

    /// The rest of an array of which `left` elements are to come.
    fn elements<V: Visitor<'de>>(&mut self, left: usize, visitor: V) -> Result<V::Value, Kind> {
        self.charge_container::<V::Value>(left)?;
        self.enter()?;
        let mut elements = Elements { reader: self, left };
        let value = visitor.visit_seq(&mut elements)?;
        if elements.left != 0 {
            return Err(Kind::Arity);
        }
        self.leave();
        Ok(value)
    }

    fn array<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, Kind> {
        let count = self.count(cbor::ARRAY, 1)?;
        self.elements(count, visitor)
    }

    fn array_of<V: Visitor<'de>>(&mut self, len: usize, visitor: V) -> Result<V::Value, Kind> {
        let count = self.count(cbor::ARRAY, 1)?;
        if count != len {
            return Err(Kind::Arity);
        }
        self.elements(count, visitor)
    }

    fn some<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, Kind> {
        // Counted even where no byte is read: a type may be an option of itself.
        self.enter()?;
        let value = visitor.visit_some(&mut *self)?;
        self.leave();
        Ok(value)
    }

    fn marked_some<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, Kind> {
        self.take(1)?;
        match self.peek()? {
            cbor::NULL | cbor::SOME => self.some(visitor),
            _ => Err(Kind::Form),
        }
    }
}

macro_rules! integers {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Kind> {
            self.deserialize_i64(visitor)
        }
    )*};
}

impl<'de> de::Deserializer<'de> for &mut Reader<'de> {
    type Error = Kind;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Kind> {
        let first = self.peek()?;
        match (first >> 5, first) {
            (cbor::UNSIGNED | cbor::NEGATIVE, _) => self.deserialize_i64(visitor),
            (cbor::BYTES, _) => self.deserialize_bytes(visitor),
            (cbor::TEXT, _) => self.deserialize_str(visitor),
            (cbor::ARRAY, _) => self.deserialize_seq(visitor),
            (cbor::MAP, _) => self.deserialize_map(visitor),
            (_, cbor::SOME) => self.deserialize_option(visitor),
            (_, cbor::FALSE | cbor::TRUE) => self.deserialize_bool(visitor),
            (_, cbor::NULL) => self.deserialize_unit(visitor),
            (_, cbor::F32) => self.deserialize_f32(visitor),
            (_, cbor::F64) => self.deserialize_f64(visitor),
            _ => Err(Kind::Form),
        }
    }

    integers! {
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64
        deserialize_i8 deserialize_i16 deserialize_i32
    }

    fn deserialize_i64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Kind> {
        if self.peek()? >> 5 == cbor::NEGATIVE {
            let number = i64::try_from(self.head(cbor::NEGATIVE)?).map_err(|_| Kind::Range)?;
            visitor.visit_i64(!number)
        } else {
            visitor.visit_u64(self.head(cbor::UNSIGNED)?)
        }
    }

    fn deserialize_i128<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, Kind> {
        Err(Kind::Wide)
    }

    fn deserialize_u128<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, Kind> {
        Err(Kind::Wide)
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Kind> {
        let value = match self.peek()? {
            cbor::FALSE => false,
            cbor::TRUE => true,
            _ => return Err(Kind::Type),
        };
        self.take(1)?;
        visitor.visit_bool(value)
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Kind> {
        visitor.visit_f32(f32::from_bits(self.float(cbor::F32, 4)? as u32))
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Kind> {
        visitor.visit_f64(f64::from_bits(self.float(cbor::F64, 8)?))
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Kind> {
        self.deserialize_str(visitor)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Kind> {
        self.charge_value::<V::Value>()?;
        visitor.visit_borrowed_str(self.text()?)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Kind> {
        self.deserialize_str(visitor)
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Kind> {
        self.charge_value::<V::Value>()?;
        visitor.visit_borrowed_bytes(self.string(cbor::BYTES)?)
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Kind> {
        self.deserialize_bytes(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Kind> {
        self.charge_value::<V::Value>()?;
        match self.peek()? {
            cbor::NULL => {
                self.take(1)?;
                visitor.visit_none()
            }
            cbor::SOME => self.marked_some(visitor),
            _ => self.some(visitor),
        }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Kind> {
        self.simple(cbor::NULL)?;
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Kind> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Kind> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Kind> {
        self.array(visitor)
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Kind> {
        self.array_of(len, visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, Kind> {
        self.array_of(len, visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Kind> {
        let left = self.count(cbor::MAP, 2)?;
        self.charge_container::<V::Value>(left)?;
        self.enter()?;
        let mut entries = Entries { reader: self, left, is_first: true };
        let value = visitor.visit_map(&mut entries)?;
        if entries.left != 0 {
            return Err(Kind::Arity);
        }
        self.leave();
        Ok(value)
    }

    /// `fields` also names aliases, so it does not tell the arity: the visitor does, by what it takes.
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Kind> {
        self.array(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Kind> {
        self.charge_value::<V::Value>()?;
        if self.peek()? >> 5 == cbor::UNSIGNED {
            return visitor.visit_enum(Variant { reader: self, fields: None });
        }
        let fields = self.count(cbor::ARRAY, 1)?.checked_sub(1).ok_or(Kind::Arity)?;
        visitor.visit_enum(Variant { reader: self, fields: Some(fields) })
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Kind> {
        self.deserialize_any(visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Kind> {
        self.deserialize_any(visitor)
    }

    fn is_human_readable(&self) -> bool {
        false
    }
}

/// The elements of an array that are still to be read.
struct Elements<'a, 'de> {
    reader: &'a mut Reader<'de>,
    left: usize,
}

impl<'de> de::SeqAccess<'de> for Elements<'_, 'de> {
    type Error = Kind;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Kind> {
        let Some(left) = self.left.checked_sub(1) else {
            return Ok(None);
        };
        self.left = left;
        self.reader.charge_element::<T::Value>()?;
        seed.deserialize(&mut *self.reader).map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left)
    }
}

/// The entries of a map that are still to be read.
struct Entries<'a, 'de> {
    reader: &'a mut Reader<'de>,
    left: usize,
    is_first: bool,
}

impl Entries<'_, '_> {
    fn charge<T>(&mut self) -> Result<(), Kind> {
        if self.is_first {
            self.reader.charge(size_of::<T>().saturating_mul(MAP_NODE))?;
        }
        self.reader.charge_element::<T>()
    }
}

impl<'de> de::MapAccess<'de> for Entries<'_, 'de> {
    type Error = Kind;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Kind> {
        let Some(left) = self.left.checked_sub(1) else {
            return Ok(None);
        };
        self.left = left;
        self.charge::<K::Value>()?;
        seed.deserialize(&mut *self.reader).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Kind> {
        self.charge::<V::Value>()?;
        self.is_first = false;
        seed.deserialize(&mut *self.reader)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left)
    }
}

/// A variant of an enum; `fields` is `None` for a bare index.
struct Variant<'a, 'de> {
    reader: &'a mut Reader<'de>,
    fields: Option<usize>,
}

impl<'de> de::EnumAccess<'de> for Variant<'_, 'de> {
    type Error = Kind;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Kind> {
        if self.reader.peek()? >> 5 != cbor::UNSIGNED {
            return Err(Kind::Type);
        }
        match seed.deserialize(&mut *self.reader) {
            Err(Kind::Range) => Err(Kind::Variant),
            read => Ok((read?, self)),
        }
    }
}

impl<'de> de::VariantAccess<'de> for Variant<'_, 'de> {
    type Error = Kind;

    fn unit_variant(self) -> Result<(), Kind> {
        if self.fields.is_none() { Ok(()) } else { Err(Kind::Arity) }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Kind> {
        if self.fields != Some(1) {
            return Err(Kind::Arity);
        }
        self.reader.enter()?;
        let value = seed.deserialize(&mut *self.reader)?;
        self.reader.leave();
        Ok(value)
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Kind> {
        if self.fields != Some(len) {
            return Err(Kind::Arity);
        }
        self.reader.elements(len, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Kind> {
        self.reader.elements(self.fields.ok_or(Kind::Arity)?, visitor)
    }
}
