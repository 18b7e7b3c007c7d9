//! The half of the codec that reads: a serde `Deserializer` that takes the one form of a value and no other.

use serde::de::{self, DeserializeSeed, Visitor};

use super::reader::{Integer, MAP_NODE, Reader};
use super::{DecodeErrorKind as Kind, cbor};

impl<'de> Reader<'de> {
    /// The rest of an array of which `left` elements are to come.
    fn elements<V: Visitor<'de>>(&mut self, left: usize, visitor: V) -> Result<V::Value, Kind> {
        self.open(size_of::<V::Value>(), left)?;
        let mut elements = Elements { reader: self, left };
        let value = visitor.visit_seq(&mut elements)?;
        let left = elements.left;
        self.close(left)?;
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
        match self.integer()? {
            Integer::Signed(number) => visitor.visit_i64(number),
            Integer::Unsigned(number) => visitor.visit_u64(number),
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
        self.open(size_of::<V::Value>(), left)?;
        let mut entries = Entries { reader: self, left, is_first: true };
        let value = visitor.visit_map(&mut entries)?;
        let left = entries.left;
        self.close(left)?;
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
        let fields = self.fields()?;
        visitor.visit_enum(Variant { reader: self, fields })
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

/// The elements of an array that are still to be read. No hint tells how many: a container would reserve room for them,
/// and only each element says of which size it is charged.
struct Elements<'a, 'de> {
    reader: &'a mut Reader<'de>,
    left: usize,
}

impl Elements<'_, '_> {
    #[inline(never)]
    fn step(&mut self, size: usize) -> Result<(), Kind> {
        self.left = self.left.saturating_sub(1);
        self.reader.charge_element(size)
    }
}

impl<'de> de::SeqAccess<'de> for Elements<'_, 'de> {
    type Error = Kind;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Kind> {
        if self.left == 0 {
            return Ok(None);
        }
        self.step(size_of::<T::Value>())?;
        Ok(Some(seed.deserialize(&mut *self.reader)?))
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
        self.reader.charge_element(size_of::<T>())
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
