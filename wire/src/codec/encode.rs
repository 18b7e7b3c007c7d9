//! The half of the codec that writes: a serde `Serializer`.

use alloc::vec::Vec;

use serde::{Serialize, ser};

use super::{EncodeError, MAX_DEPTH, cbor};
use crate::be;

/// Writes one value.
pub(super) struct Writer<'o> {
    out: &'o mut Vec<u8>,
    depth: u8,
    /// A long part that is not to be copied has its place here, if there may be one.
    #[cfg(feature = "std")]
    apart: Option<&'o mut Option<Apart>>,
}

/// A part of the value that is left out, and the place in the bytes where it belongs.
#[cfg(feature = "std")]
pub(super) struct Apart {
    pub(super) at: usize,
    pub(super) long: crate::Body,
}

impl<'o> Writer<'o> {
    pub(super) const fn new(out: &'o mut Vec<u8>) -> Self {
        Self {
            out,
            depth: 0,
            #[cfg(feature = "std")]
            apart: None,
        }
    }

    /// Leaves out the first long [`Blob`](crate::Blob), and says where it belongs.
    #[cfg(feature = "std")]
    pub(super) const fn sharing(out: &'o mut Vec<u8>, apart: &'o mut Option<Apart>) -> Self {
        Self { out, depth: 0, apart: Some(apart) }
    }

    fn enter(&mut self) -> Result<(), EncodeError> {
        if self.depth == MAX_DEPTH {
            return Err(EncodeError::Depth);
        }
        self.depth = self.depth.saturating_add(1);
        Ok(())
    }

    fn leave(&mut self) {
        self.depth = self.depth.saturating_sub(1);
    }

    fn head(&mut self, major: u8, number: u64) {
        let major = major << 5;
        match number {
            0..=23 => self.out.push(major | number as u8),
            24..=0xff => self.long::<1>(major | 24, number),
            0x100..=0xffff => self.long::<2>(major | 25, number),
            0x1_0000..=0xffff_ffff => self.long::<4>(major | 26, number),
            _ => self.long::<8>(major | 27, number),
        }
    }

    fn long<const WIDTH: usize>(&mut self, first: u8, number: u64) {
        self.out.push(first);
        be::put::<WIDTH>(self.out, number);
    }

    fn string(&mut self, major: u8, bytes: &[u8]) {
        self.head(major, bytes.len() as u64);
        self.out.extend_from_slice(bytes);
    }

    #[cfg(feature = "std")]
    fn set_apart(&mut self, long: crate::Body) {
        if let Some(place) = &mut self.apart {
            **place = Some(Apart { at: self.out.len(), long });
        }
    }

    /// So many bytes were put in at `at`.
    #[cfg(feature = "std")]
    const fn shift(&mut self, at: usize, by: usize) {
        if let Some(Some(apart)) = &mut self.apart
            && apart.at > at
        {
            apart.at = apart.at.saturating_add(by);
        }
    }

    /// Begins an array or map of `announced` items; one of unknown length gets its head when it ends.
    fn items(&mut self, major: u8, announced: Option<usize>) -> Result<Items<'_, 'o>, EncodeError> {
        self.enter()?;
        let head_at = self.out.len();
        if let Some(count) = announced {
            self.head(major, count as u64);
        }
        Ok(Items { writer: self, major, head_at, announced, written: 0 })
    }

    fn variant(&mut self, index: u32, fields: usize) -> Result<Items<'_, 'o>, EncodeError> {
        let mut items = self.items(cbor::ARRAY, Some(fields.saturating_add(1)))?;
        items.item(&index)?;
        Ok(items)
    }
}

macro_rules! integers {
    ($($unsigned:ident($u:ty), $signed:ident($i:ty);)*) => {$(
        fn $unsigned(self, value: $u) -> Result<(), EncodeError> {
            self.head(cbor::UNSIGNED, u64::from(value));
            Ok(())
        }

        fn $signed(self, value: $i) -> Result<(), EncodeError> {
            let value = i64::from(value);
            if value < 0 {
                self.head(cbor::NEGATIVE, !value as u64);
            } else {
                self.head(cbor::UNSIGNED, value as u64);
            }
            Ok(())
        }
    )*};
}

impl<'a, 'o> ser::Serializer for &'a mut Writer<'o> {
    type Ok = ();
    type Error = EncodeError;
    type SerializeSeq = Items<'a, 'o>;
    type SerializeTuple = Items<'a, 'o>;
    type SerializeTupleStruct = Items<'a, 'o>;
    type SerializeTupleVariant = Items<'a, 'o>;
    type SerializeMap = Items<'a, 'o>;
    type SerializeStruct = Items<'a, 'o>;
    type SerializeStructVariant = Items<'a, 'o>;

    integers! {
        serialize_u8(u8), serialize_i8(i8);
        serialize_u16(u16), serialize_i16(i16);
        serialize_u32(u32), serialize_i32(i32);
        serialize_u64(u64), serialize_i64(i64);
    }

    fn serialize_u128(self, _value: u128) -> Result<(), EncodeError> {
        Err(EncodeError::Wide)
    }

    fn serialize_i128(self, _value: i128) -> Result<(), EncodeError> {
        Err(EncodeError::Wide)
    }

    fn serialize_bool(self, value: bool) -> Result<(), EncodeError> {
        self.out.push(if value { cbor::TRUE } else { cbor::FALSE });
        Ok(())
    }

    fn serialize_f32(self, value: f32) -> Result<(), EncodeError> {
        self.long::<4>(cbor::F32, u64::from(value.to_bits()));
        Ok(())
    }

    fn serialize_f64(self, value: f64) -> Result<(), EncodeError> {
        self.long::<8>(cbor::F64, value.to_bits());
        Ok(())
    }

    fn serialize_char(self, value: char) -> Result<(), EncodeError> {
        self.serialize_str(value.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, value: &str) -> Result<(), EncodeError> {
        self.string(cbor::TEXT, value.as_bytes());
        Ok(())
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<(), EncodeError> {
        #[cfg(feature = "std")]
        if let Some(None) = self.apart
            && let Some(long) = crate::shared::share(value)
        {
            self.head(cbor::BYTES, value.len() as u64);
            self.set_apart(long);
            return Ok(());
        }
        self.string(cbor::BYTES, value);
        Ok(())
    }

    fn serialize_none(self) -> Result<(), EncodeError> {
        self.out.push(cbor::NULL);
        Ok(())
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), EncodeError> {
        self.enter()?;
        let start = self.out.len();
        value.serialize(&mut *self)?;
        if matches!(self.out.get(start), Some(&(cbor::NULL | cbor::SOME))) {
            self.out.insert(start, cbor::SOME);
        }
        self.leave();
        Ok(())
    }

    fn serialize_unit(self) -> Result<(), EncodeError> {
        self.serialize_none()
    }

    fn serialize_unit_struct(self, _name: &'static str) -> Result<(), EncodeError> {
        self.serialize_none()
    }

    fn serialize_unit_variant(
        self,
        _name: &'static str,
        index: u32,
        _variant: &'static str,
    ) -> Result<(), EncodeError> {
        self.serialize_u32(index)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        value: &T,
    ) -> Result<(), EncodeError> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        index: u32,
        _variant: &'static str,
        value: &T,
    ) -> Result<(), EncodeError> {
        let mut items = self.variant(index, 1)?;
        items.item(value)?;
        items.finish()
    }

    fn serialize_seq(self, len: Option<usize>) -> Result<Items<'a, 'o>, EncodeError> {
        self.items(cbor::ARRAY, len)
    }

    fn serialize_tuple(self, len: usize) -> Result<Items<'a, 'o>, EncodeError> {
        self.items(cbor::ARRAY, Some(len))
    }

    fn serialize_tuple_struct(self, _name: &'static str, len: usize) -> Result<Items<'a, 'o>, EncodeError> {
        self.items(cbor::ARRAY, Some(len))
    }

    fn serialize_tuple_variant(
        self,
        _name: &'static str,
        index: u32,
        _variant: &'static str,
        len: usize,
    ) -> Result<Items<'a, 'o>, EncodeError> {
        self.variant(index, len)
    }

    fn serialize_map(self, len: Option<usize>) -> Result<Items<'a, 'o>, EncodeError> {
        self.items(cbor::MAP, len)
    }

    fn serialize_struct(self, _name: &'static str, len: usize) -> Result<Items<'a, 'o>, EncodeError> {
        self.items(cbor::ARRAY, Some(len))
    }

    fn serialize_struct_variant(
        self,
        _name: &'static str,
        index: u32,
        _variant: &'static str,
        len: usize,
    ) -> Result<Items<'a, 'o>, EncodeError> {
        self.variant(index, len)
    }

    fn is_human_readable(&self) -> bool {
        false
    }
}

/// Writes the elements of an array, or the keys and values of a map in turn.
pub(super) struct Items<'a, 'o> {
    writer: &'a mut Writer<'o>,
    major: u8,
    head_at: usize,
    announced: Option<usize>,
    written: usize,
}

impl Items<'_, '_> {
    fn item<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), EncodeError> {
        self.written = self.written.saturating_add(1);
        value.serialize(&mut *self.writer)
    }

    fn finish(self) -> Result<(), EncodeError> {
        let is_map = self.major == cbor::MAP;
        let entries = if is_map { self.written / 2 } else { self.written };
        let is_half = is_map && !self.written.is_multiple_of(2);
        if is_half || self.announced.is_some_and(|count| count != entries) {
            return Err(EncodeError::Length);
        }
        if self.announced.is_none() {
            let body_end = self.writer.out.len();
            self.writer.head(self.major, entries as u64);
            let head_len = self.writer.out.len().saturating_sub(body_end);
            if let Some(moved) = self.writer.out.get_mut(self.head_at..) {
                moved.rotate_right(head_len);
            }
            #[cfg(feature = "std")]
            self.writer.shift(self.head_at, head_len);
        }
        self.writer.leave();
        Ok(())
    }
}

macro_rules! elements {
    ($($kind:ident::$method:ident;)*) => {$(
        impl ser::$kind for Items<'_, '_> {
            type Ok = ();
            type Error = EncodeError;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), EncodeError> {
                self.item(value)
            }

            fn end(self) -> Result<(), EncodeError> {
                self.finish()
            }
        }
    )*};
}

elements! {
    SerializeSeq::serialize_element;
    SerializeTuple::serialize_element;
    SerializeTupleStruct::serialize_field;
    SerializeTupleVariant::serialize_field;
}

macro_rules! fields {
    ($($kind:ident)*) => {$(
        impl ser::$kind for Items<'_, '_> {
            type Ok = ();
            type Error = EncodeError;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                _name: &'static str,
                value: &T,
            ) -> Result<(), EncodeError> {
                self.item(value)
            }

            fn skip_field(&mut self, _name: &'static str) -> Result<(), EncodeError> {
                Err(EncodeError::Skipped)
            }

            fn end(self) -> Result<(), EncodeError> {
                self.finish()
            }
        }
    )*};
}

fields!(SerializeStruct SerializeStructVariant);

impl ser::SerializeMap for Items<'_, '_> {
    type Ok = ();
    type Error = EncodeError;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), EncodeError> {
        self.item(key)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), EncodeError> {
        self.item(value)
    }

    fn end(self) -> Result<(), EncodeError> {
        self.finish()
    }
}
