//! SEQUENCE and SEQUENCE OF, and the macro that makes types of tables.

use super::{DerError, SEQUENCE, Value, application, context, element, element_len, header};

/// A SEQUENCE OF.
impl<'a, T: Value<'a>> Value<'a> for Vec<T> {
    const TAG: u8 = SEQUENCE;

    fn decode_content(content: &'a [u8]) -> Result<Self, DerError> {
        let (mut values, mut rest) = (Self::new(), content);
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
