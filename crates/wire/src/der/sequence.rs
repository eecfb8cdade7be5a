//! SEQUENCE and SEQUENCE OF, and the macro that makes types of tables.

use super::{
    DerError, MAX_ELEMENTS, SEQUENCE, Value, application, context, element, element_len, header,
};

/// A SEQUENCE OF at most [`MAX_ELEMENTS`].
impl<'a, T: Value<'a>> Value<'a> for Vec<T> {
    const TAG: u8 = SEQUENCE;

    fn decode_content(content: &'a [u8]) -> Result<Self, DerError> {
        // Counted first, so that the vector never grows.
        let (mut values, mut rest) = (Self::with_capacity(count(content)?), content);
        while !rest.is_empty() {
            let (found, value, after) = element(rest)?;
            if found != T::TAG {
                return Err(DerError::Tag {
                    expected: T::TAG,
                    found,
                });
            }
            values.push(T::decode_content(value)?);
            rest = after;
        }
        Ok(values)
    }

    fn content_len(&self) -> usize {
        self.iter().map(T::encoded_len).sum()
    }

    fn encode_content(&self, out: &mut Vec<u8>) {
        self.iter().for_each(|value| value.encode_to(out));
    }
}

/// How many elements `content` is made of.
fn count(content: &[u8]) -> Result<usize, DerError> {
    let (mut count, mut rest) = (0, content);
    while !rest.is_empty() {
        (_, _, rest) = element(rest)?;
        count += 1;
        if count > MAX_ELEMENTS {
            return Err(DerError::TooMany);
        }
    }
    Ok(count)
}

/// A value under an explicit application tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Application<const N: u8, T>(pub T);

impl<'a, const N: u8, T: Value<'a>> Value<'a> for Application<N, T> {
    const TAG: u8 = application(N);

    fn decode_content(content: &'a [u8]) -> Result<Self, DerError> {
        T::decode(content).map(Self)
    }

    fn content_len(&self) -> usize {
        self.0.encoded_len()
    }

    fn encode_content(&self, out: &mut Vec<u8>) {
        self.0.encode_to(out);
    }
}

/// What may stand as a field of a SEQUENCE, under an explicit context tag: a value, or an `Option` of one.
pub trait Field<'a>: Sized {
    /// Takes the field `number` from the front of `fields`.
    fn take(fields: &mut Fields<'a>, number: u8, name: &'static str) -> Result<Self, DerError>;

    /// How many bytes [`Self::put`] writes.
    fn field_len(&self) -> usize;

    /// Writes the field under the tag `number`.
    fn put(&self, number: u8, out: &mut Vec<u8>);
}

impl<'a, T: Value<'a>> Field<'a> for T {
    fn take(fields: &mut Fields<'a>, number: u8, name: &'static str) -> Result<Self, DerError> {
        match fields.next(number)? {
            Some(bytes) => T::decode(bytes),
            None => Err(DerError::MissingField {
                of: fields.of,
                field: name,
            }),
        }
    }

    fn field_len(&self) -> usize {
        element_len(self.encoded_len())
    }

    fn put(&self, number: u8, out: &mut Vec<u8>) {
        header(context(number), self.encoded_len(), out);
        self.encode_to(out);
    }
}

impl<'a, T: Value<'a>> Field<'a> for Option<T> {
    fn take(fields: &mut Fields<'a>, number: u8, _name: &'static str) -> Result<Self, DerError> {
        fields.next(number)?.map(T::decode).transpose()
    }

    fn field_len(&self) -> usize {
        self.as_ref().map_or(0, Field::field_len)
    }

    fn put(&self, number: u8, out: &mut Vec<u8>) {
        if let Some(value) = self {
            value.put(number, out);
        }
    }
}

/// The fields that a later standard may add behind the known ones (`...` in ASN.1): whole elements under context tags from
/// its own number on, of which nothing else is known. The last field of a table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extensions<'a>(&'a [u8]);

impl Extensions<'_> {
    /// None of them.
    pub const NONE: Self = Self(&[]);
}

impl<'a> Field<'a> for Extensions<'a> {
    fn take(fields: &mut Fields<'a>, number: u8, _name: &'static str) -> Result<Self, DerError> {
        let all = fields.rest;
        while let Some(&tag) = fields.rest.first() {
            // Tag numbers from 31 on take more bytes than one.
            if !(context(number)..context(31)).contains(&tag) {
                return Err(DerError::UnknownField { of: fields.of, tag });
            }
            (_, _, fields.rest) = element(fields.rest)?;
        }
        Ok(Self(all))
    }

    fn field_len(&self) -> usize {
        self.0.len()
    }

    fn put(&self, _number: u8, out: &mut Vec<u8>) {
        out.extend_from_slice(self.0);
    }
}

/// The fields of a SEQUENCE that have not been read.
pub struct Fields<'a> {
    rest: &'a [u8],
    of: &'static str,
}

impl<'a> Fields<'a> {
    /// The fields in `content`; `of` is the type's name, for errors.
    pub const fn new(content: &'a [u8], of: &'static str) -> Self {
        Self { rest: content, of }
    }

    /// Ends the reading: an error if a field is left.
    pub fn finish(self) -> Result<(), DerError> {
        match self.rest.first() {
            None => Ok(()),
            Some(&tag) => Err(DerError::UnknownField { of: self.of, tag }),
        }
    }

    fn next(&mut self, number: u8) -> Result<Option<&'a [u8]>, DerError> {
        if self.rest.first() != Some(&context(number)) {
            return Ok(None);
        }
        let (_, content, rest) = element(self.rest)?;
        self.rest = rest;
        Ok(Some(content))
    }
}

/// Turns tables of fields into types that read and write themselves: a SEQUENCE of fields under explicit context tags,
/// the whole under an application tag where one is given. A field of type `Option` may be absent.
///
/// ```
/// use wire::der::{Const, DerError, Flags};
///
/// wire::sequence! {
///     /// A message for this example.
///     #[derive(Debug, PartialEq)]
///     pub struct Hello<'a> [APPLICATION 3] {
///         [0] version: Const<5>,
///         [1] flags: Option<Flags>,
///         [2] text: &'a [u8],
///     }
/// }
///
/// let hello = Hello { version: Const, flags: None, text: b"hi" };
/// let bytes = hello.encode();
/// assert_eq!(bytes, b"\x63\x0d\x30\x0b\xa0\x03\x02\x01\x05\xa2\x04\x04\x02hi");
/// assert_eq!(Hello::decode(&bytes), Ok(hello));
/// assert_eq!(Hello::decode(&bytes[..9]), Err(DerError::Truncated));
/// ```
#[macro_export]
macro_rules! sequence {
    ($(
        $(#[$meta:meta])*
        pub struct $name:ident $(<$life:lifetime>)? $([APPLICATION $application:literal])? {
            $( $(#[$doc:meta])* [$number:literal] $field:ident : $type:ty ),+ $(,)?
        }
    )+) => {$(
        $(#[$meta])*
        pub struct $name $(<$life>)? {
            $(
                #[doc = concat!("Field ", $number, ".")]
                $(#[$doc])*
                pub $field: $type,
            )+
        }

        $crate::sequence! { @value [$($life)?] $name [$($application)?] { $($number $field $type,)+ } }
    )+};

    (@value [$life:lifetime] $name:ident $application:tt $fields:tt) => {
        impl<$life> $name<$life> {
            $crate::sequence! { @inherent $life }
        }
        impl<$life> $crate::der::Value<$life> for $name<$life> {
            $crate::sequence! { @methods $life $name $application $fields }
        }
    };
    (@value [] $name:ident $application:tt $fields:tt) => {
        impl $name {
            $crate::sequence! { @inherent '_ }
        }
        impl<'input> $crate::der::Value<'input> for $name {
            $crate::sequence! { @methods 'input $name $application $fields }
        }
    };

    (@inherent $life:lifetime) => {
        /// Reads the value from its encoding, with nothing behind it.
        pub fn decode(bytes: &$life [u8]) -> Result<Self, $crate::der::DerError> {
            $crate::der::Value::decode(bytes)
        }

        /// The one encoding of the value.
        pub fn encode(&self) -> Vec<u8> {
            $crate::der::Value::encode(self)
        }
    };

    (@methods $life:lifetime $name:ident [$($application:literal)?] { $($number:literal $field:ident $type:ty,)+ }) => {
        const TAG: u8 = {
            let tag = $crate::der::SEQUENCE;
            $( let tag = { let _ = tag; $crate::der::application($application) }; )?
            tag
        };

        fn decode_content(content: &$life [u8]) -> Result<Self, $crate::der::DerError> {
            $(
                let _: u8 = $application;
                let content = $crate::der::only($crate::der::SEQUENCE, content)?;
            )?
            let mut fields = $crate::der::Fields::new(content, stringify!($name));
            $(
                let $field = <$type as $crate::der::Field>::take(&mut fields, $number, stringify!($field))?;
            )+
            fields.finish()?;
            Ok(Self { $($field),+ })
        }

        fn content_len(&self) -> usize {
            let length = 0 $( + $crate::der::Field::field_len(&self.$field) )+;
            $(
                let _: u8 = $application;
                let length = $crate::der::element_len(length);
            )?
            length
        }

        fn encode_content(&self, out: &mut Vec<u8>) {
            let _length = 0 $( + $crate::der::Field::field_len(&self.$field) )+;
            $(
                let _: u8 = $application;
                $crate::der::header($crate::der::SEQUENCE, _length, out);
            )?
            $( $crate::der::Field::put(&self.$field, $number, out); )+
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(unreachable_pub, reason = "the macro makes public types")]
    fn extensions_are_whole_and_come_last() {
        crate::sequence! {
            #[derive(Debug, PartialEq)]
            pub struct Extensible<'a> {
                [0] known: Option<i32>,
                [1] extensions: Extensions<'a>,
            }
        }
        for good in [
            &b"\x30\x00"[..],
            b"\x30\x05\xa0\x03\x02\x01\x07",
            b"\x30\x0a\xa0\x03\x02\x01\x07\xa1\x01\xff\xbe\x00",
        ] {
            let value = Extensible::decode(good).unwrap();
            assert_eq!(value.encode(), good);
        }
        for bad in [
            &b"\x30\x02\xa1\x01"[..],
            b"\x30\x07\xa1\x00\xa0\x03\x02\x01\x07",
            b"\x30\x02\x81\x00",
            b"\x30\x02\xbf\x00",
        ] {
            assert!(Extensible::decode(bad).is_err(), "{bad:x?}");
        }
    }

    #[test]
    fn a_list_holds_no_more_than_any_real_one_and_takes_no_more_room() {
        let list = |length: usize| vec![7; length].encode();
        for length in [0, 1, 3, MAX_ELEMENTS] {
            let values = Vec::<i32>::decode(&list(length)).unwrap();
            assert_eq!((values.len(), values.capacity()), (length, length));
        }
        for length in [MAX_ELEMENTS + 1, 10_000] {
            assert_eq!(Vec::<i32>::decode(&list(length)), Err(DerError::TooMany));
        }
    }

    #[test]
    fn a_list_holds_one_type() {
        assert_eq!(
            Vec::<i32>::decode(&[0x30, 6, 2, 1, 1, 2, 1, 2]),
            Ok(vec![1, 2])
        );
        assert_eq!(
            Vec::<i32>::decode(&[0x30, 3, 4, 1, 1]),
            Err(DerError::Tag {
                expected: 2,
                found: 4
            })
        );
        assert_eq!(
            Vec::<i32>::decode(&[0x30, 2, 2, 1]),
            Err(DerError::Truncated)
        );
    }
}
