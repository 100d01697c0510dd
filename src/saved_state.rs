//! What all saved states share: the error that names a wrong field, and the encodings that are the same in every format.
//!
//! A saved state is a plain struct of its own, apart from the live object. Three rules hold for each:
//!
//! - The version comes first. [`versioned_state!`] writes a struct of two fields, `version` and `versioned`, and reads the
//!   version before anything else, so that the state of a later library is told from a damaged one in every format.
//! - A length is checked before memory is allocated for it: [`bytes`], [`optional_text`], [`bounded_list`].
//! - Bytes are bytes: in binary formats as serde's bytes, in readable formats as base64.
//!
//! Whether the values of the fields belong together is not decided here: the conversion to the live object does it, and
//! answers with an [`InvalidField`].

use crate::media;

/// The error for a saved state that no object can have: which field is wrong, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {reason}")]
#[non_exhaustive]
pub struct InvalidField {
    /// The path of the field from the state that was given, such as `drives[1].medium.layout`.
    pub field: String,
    /// What is wrong with its value.
    pub reason: String,
}

impl InvalidField {
    /// Creates the error for `field` of the struct at hand.
    pub(crate) fn new(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { field: field.into(), reason: reason.into() }
    }

    /// Returns the same error as seen from the struct that holds the one at hand in its field `parent`.
    #[must_use]
    pub(crate) fn within(self, parent: impl AsRef<str>) -> Self {
        let dot = if self.field.is_empty() || self.field.starts_with('[') { "" } else { "." };
        Self { field: format!("{}{dot}{}", parent.as_ref(), self.field), reason: self.reason }
    }
}

/// The most bytes that a raw image in a state has.
pub(crate) const MAX_IMAGE_BYTES: usize = media::MAX_IMAGE_BYTES as usize;

#[cfg(feature = "serde")]
pub(crate) use encoding::*;

#[cfg(feature = "serde")]
mod encoding {
    use std::{ffi::OsString, fmt, marker::PhantomData, path::PathBuf};

    use base64::{display::Base64Display, engine::general_purpose::STANDARD, prelude::Engine as _};
    use serde::{
        Deserialize, Deserializer, Serialize, Serializer,
        de::{self, DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor},
        ser::{Error as _, SerializeStruct},
    };

    // The version

    /// The first field of every state.
    const VERSION: &str = "version";
    /// The second: what that version consists of. The name sorts behind `version`, for formats that sort their keys.
    const VERSIONED: &str = "versioned";

    /// A state that is an enum with a variant for each version and one for unknown versions; made by [`versioned_state!`].
    pub(crate) trait VersionedState: Sized {
        /// The name of the state for formats that write names.
        const NAME: &'static str;

        /// Checks whether this library knows states of this version.
        fn knows(version: u16) -> bool;
        /// Returns the version of the state.
        fn version(&self) -> u16;
        /// Returns the state of a version that this library does not know.
        fn unknown(version: u16) -> Self;
        /// Writes what follows the version.
        fn serialize_versioned<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error>;
        /// Reads what follows the version `version`, which is a known one.
        fn deserialize_versioned<'de, D: Deserializer<'de>>(version: u16, deserializer: D) -> Result<Self, D::Error>;
    }

    /// Implements `Serialize` and `Deserialize` for a state with the version in front.
    ///
    /// ```ignore
    /// pub enum ControllerState { V1(Box<ControllerStateV1>), Unknown { version: u16 } }
    /// versioned_state!(ControllerState { 1 => V1(Box<ControllerStateV1>) });
    /// ```
    ///
    /// A state of an unknown version reads as `Unknown`, and cannot be written. In a format that does not describe itself,
    /// what follows an unknown version cannot be skipped: inside another state, a versioned one is the last field.
    macro_rules! versioned_state {
        ($state:ident { $($version:literal => $variant:ident($payload:ty)),+ $(,)? }) => {
            impl $crate::saved_state::VersionedState for $state {
                const NAME: &'static str = stringify!($state);

                fn knows(version: u16) -> bool {
                    matches!(version, $($version)|+)
                }

                fn version(&self) -> u16 {
                    match self {
                        $(Self::$variant(_) => $version,)+
                        Self::Unknown { version } => *version,
                    }
                }

                fn unknown(version: u16) -> Self {
                    Self::Unknown { version }
                }

                fn serialize_versioned<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                    match self {
                        $(Self::$variant(payload) => serde::Serialize::serialize(payload, serializer),)+
                        Self::Unknown { version } => Err($crate::saved_state::unknown_version(*version)),
                    }
                }

                fn deserialize_versioned<'de, D: serde::Deserializer<'de>>(
                    version: u16,
                    deserializer: D,
                ) -> Result<Self, D::Error> {
                    match version {
                        $($version => <$payload as serde::Deserialize>::deserialize(deserializer).map(Self::$variant),)+
                        _ => Ok(Self::Unknown { version }),
                    }
                }
            }

            impl serde::Serialize for $state {
                fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                    $crate::saved_state::serialize_state(self, serializer)
                }
            }

            impl<'de> serde::Deserialize<'de> for $state {
                fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                    $crate::saved_state::deserialize_state(deserializer)
                }
            }
        };
    }
    pub(crate) use versioned_state;

    /// Returns the error for writing a state that was not understood when it was read.
    pub(crate) fn unknown_version<E: serde::ser::Error>(version: u16) -> E {
        E::custom(format_args!("a state of the unknown version {version} cannot be written"))
    }

    /// Writes a state: the version, and what it consists of.
    pub(crate) fn serialize_state<T: VersionedState, S: Serializer>(
        state: &T,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        struct Payload<'a, T>(&'a T);
        impl<T: VersionedState> Serialize for Payload<'_, T> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                self.0.serialize_versioned(serializer)
            }
        }
        if !T::knows(state.version()) {
            return Err(unknown_version(state.version()));
        }
        let mut fields = serializer.serialize_struct(T::NAME, 2)?;
        fields.serialize_field(VERSION, &state.version())?;
        fields.serialize_field(VERSIONED, &Payload(state))?;
        fields.end()
    }

    /// Reads a state: the version first, and what it consists of if the version is a known one.
    pub(crate) fn deserialize_state<'de, T: VersionedState, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<T, D::Error> {
        deserializer.deserialize_struct(T::NAME, &[VERSION, VERSIONED], StateVisitor(PhantomData))
    }

    #[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
    #[serde(field_identifier, rename_all = "lowercase")]
    enum Field {
        Version,
        Versioned,
    }

    struct StateVisitor<T>(PhantomData<T>);

    impl<'de, T: VersionedState> Visitor<'de> for StateVisitor<T> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "a {} that begins with its version", T::NAME)
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<T, A::Error> {
            let version = values.next_element()?.ok_or_else(|| A::Error::invalid_length(0, &self))?;
            if !T::knows(version) {
                // A format that describes itself wants the rest to be read; one that does not cannot skip it.
                while let Ok(Some(IgnoredAny)) = values.next_element() {}
                return Ok(T::unknown(version));
            }
            values.next_element_seed(PayloadSeed::<T>::new(version))?.ok_or_else(|| A::Error::invalid_length(1, &self))
        }

        fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<T, A::Error> {
            if fields.next_key()? != Some(Field::Version) {
                return Err(A::Error::custom("the first field is not `version`"));
            }
            let version = fields.next_value()?;
            if !T::knows(version) {
                while fields.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                return Ok(T::unknown(version));
            }
            if fields.next_key()? != Some(Field::Versioned) {
                return Err(A::Error::missing_field(VERSIONED));
            }
            let state = fields.next_value_seed(PayloadSeed::new(version))?;
            match fields.next_key()? {
                None => Ok(state),
                Some(Field::Version) => Err(A::Error::duplicate_field(VERSION)),
                Some(Field::Versioned) => Err(A::Error::duplicate_field(VERSIONED)),
            }
        }
    }

    /// What follows a version that is a known one.
    struct PayloadSeed<T> {
        version: u16,
        state: PhantomData<T>,
    }

    impl<T> PayloadSeed<T> {
        const fn new(version: u16) -> Self {
            Self { version, state: PhantomData }
        }
    }

    impl<'de, T: VersionedState> DeserializeSeed<'de> for PayloadSeed<T> {
        type Value = T;

        fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
            T::deserialize_versioned(self.version, deserializer)
        }
    }

    // Bytes, lists and text of bounded length

    /// Says what is expected of something with at most this many elements.
    struct AtMost(usize, &'static str);

    impl de::Expected for AtMost {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "at most {} {}", self.0, self.1)
        }
    }

    /// Checks the length of something before it is copied.
    fn check_length<E: de::Error>(length: usize, limit: AtMost) -> Result<(), E> {
        if length > limit.0 { Err(E::invalid_length(length, &limit)) } else { Ok(()) }
    }

    /// Bytes of bounded length, for a `Vec<u8>`:
    /// `#[serde(serialize_with = "bytes::serialize", deserialize_with = "bytes::deserialize::<_, 512>")]`.
    pub(crate) mod bytes {
        use super::*;

        /// Writes the bytes as bytes, or as base64 where people can read the format.
        pub(crate) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
            if serializer.is_human_readable() {
                serializer.collect_str(&Base64Display::new(bytes, &STANDARD))
            } else {
                serializer.serialize_bytes(bytes)
            }
        }

        /// Reads at most `MAX` bytes.
        pub(crate) fn deserialize<'de, D: Deserializer<'de>, const MAX: usize>(
            deserializer: D,
        ) -> Result<Vec<u8>, D::Error> {
            if deserializer.is_human_readable() {
                deserializer.deserialize_str(BytesVisitor::<MAX>)
            } else {
                deserializer.deserialize_bytes(BytesVisitor::<MAX>)
            }
        }
    }

    struct BytesVisitor<const MAX: usize>;

    impl<'de, const MAX: usize> Visitor<'de> for BytesVisitor<MAX> {
        type Value = Vec<u8>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "at most {MAX} bytes, or as many in base64")
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<Vec<u8>, E> {
            check_length(text.len(), AtMost(MAX.div_ceil(3) * 4, "characters of base64"))?;
            let bytes = STANDARD.decode(text).map_err(E::custom)?;
            check_length(bytes.len(), AtMost(MAX, "bytes"))?;
            Ok(bytes)
        }

        fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
            check_length(bytes.len(), AtMost(MAX, "bytes"))?;
            Ok(bytes.to_owned())
        }

        fn visit_byte_buf<E: de::Error>(self, bytes: Vec<u8>) -> Result<Vec<u8>, E> {
            check_length(bytes.len(), AtMost(MAX, "bytes"))?;
            Ok(bytes)
        }

        fn visit_seq<A: SeqAccess<'de>>(self, bytes: A) -> Result<Vec<u8>, A::Error> {
            ListVisitor::<u8, MAX>(PhantomData).visit_seq(bytes)
        }
    }

    /// Reads a list of at most `MAX` elements: `#[serde(deserialize_with = "bounded_list::<_, _, 256>")]`.
    pub(crate) fn bounded_list<'de, D: Deserializer<'de>, T: Deserialize<'de>, const MAX: usize>(
        deserializer: D,
    ) -> Result<Vec<T>, D::Error> {
        deserializer.deserialize_seq(ListVisitor::<T, MAX>(PhantomData))
    }

    struct ListVisitor<T, const MAX: usize>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>, const MAX: usize> Visitor<'de> for ListVisitor<T, MAX> {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "a list of at most {MAX} elements")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Vec<T>, A::Error> {
            check_length(elements.size_hint().unwrap_or(0), AtMost(MAX, "elements"))?;
            // The length that is announced need not be the truth.
            let mut list = Vec::new();
            while let Some(element) = elements.next_element()? {
                check_length(list.len() + 1, AtMost(MAX, "elements"))?;
                list.push(element);
            }
            Ok(list)
        }
    }

    /// A text of at most `MAX` bytes in UTF-8.
    struct Text<const MAX: usize>(String);

    impl<'de, const MAX: usize> Deserialize<'de> for Text<MAX> {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            deserializer.deserialize_str(TextVisitor::<MAX>).map(Self)
        }
    }

    struct TextVisitor<const MAX: usize>;

    impl<const MAX: usize> Visitor<'_> for TextVisitor<MAX> {
        type Value = String;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "a text of at most {MAX} bytes")
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<String, E> {
            check_length(text.len(), AtMost(MAX, "bytes of text"))?;
            Ok(text.to_owned())
        }

        fn visit_string<E: de::Error>(self, text: String) -> Result<String, E> {
            check_length(text.len(), AtMost(MAX, "bytes of text"))?;
            Ok(text)
        }
    }

    /// Reads a text of at most `MAX` bytes, or none: `#[serde(deserialize_with = "optional_text::<_, 255>")]`.
    pub(crate) fn optional_text<'de, D: Deserializer<'de>, const MAX: usize>(
        deserializer: D,
    ) -> Result<Option<String>, D::Error> {
        Ok(Option::<Text<MAX>>::deserialize(deserializer)?.map(|text| text.0))
    }

    // Images

    /// The bytes of a raw image, if they are in the state: `#[serde(with = "optional_image")]` on an `Option<Vec<u8>>`.
    pub(crate) mod optional_image {
        use super::*;
        use crate::saved_state::MAX_IMAGE_BYTES;

        /// Writes the image as [`bytes`] are written.
        pub(crate) fn serialize<S: Serializer>(image: &Option<Vec<u8>>, serializer: S) -> Result<S::Ok, S::Error> {
            image.as_deref().map(SavedBytes::<{ MAX_IMAGE_BYTES }, &[u8]>).serialize(serializer)
        }

        /// Reads the image, which is no longer than the largest that a floppy disk can have.
        pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<u8>>, D::Error> {
            Ok(Option::<SavedBytes<{ MAX_IMAGE_BYTES }>>::deserialize(deserializer)?.map(|image| image.0))
        }
    }

    /// Bytes as they are written and read by [`bytes`].
    struct SavedBytes<const MAX: usize, B = Vec<u8>>(B);

    impl<const MAX: usize, B: AsRef<[u8]>> Serialize for SavedBytes<MAX, B> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            bytes::serialize(self.0.as_ref(), serializer)
        }
    }

    impl<'de, const MAX: usize> Deserialize<'de> for SavedBytes<MAX> {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            bytes::deserialize::<_, MAX>(deserializer).map(Self)
        }
    }

    // Paths

    /// The longest path that is saved, in bytes or UTF-16 units: that of Windows, and eight times that of Linux.
    const MAX_PATH: usize = 32_767;

    /// A path, in the same encoding in every format: as text where it is Unicode, or as what the host has instead.
    #[derive(Serialize, Deserialize)]
    enum SavedPath {
        /// A path that is Unicode, in UTF-8.
        Utf8(#[serde(deserialize_with = "path_text")] String),
        /// Any other path of a Unix host, in bytes.
        Unix(SavedBytes<MAX_PATH>),
        /// Any other path of a Windows host, in UTF-16 with surrogates that have no partner.
        Windows(#[serde(deserialize_with = "bounded_list::<_, _, MAX_PATH>")] Vec<u16>),
    }

    fn path_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
        Text::<MAX_PATH>::deserialize(deserializer).map(|text| text.0)
    }

    /// A path that need not be Unicode, if there is one: `#[serde(with = "optional_path")]` on an `Option<PathBuf>`.
    pub(crate) mod optional_path {
        use super::*;

        /// Writes the path as a `SavedPath`.
        pub(crate) fn serialize<S: Serializer>(path: &Option<PathBuf>, serializer: S) -> Result<S::Ok, S::Error> {
            let Some(path) = path else { return serializer.serialize_none() };
            let path = match path.to_str() {
                Some(text) => Some(SavedPath::Utf8(text.to_owned())),
                None => host_path(path),
            };
            let path = path.ok_or_else(|| S::Error::custom("this host cannot tell a path that is not Unicode"))?;
            serializer.serialize_some(&path)
        }

        /// Reads a path of this kind of host, or one that is Unicode.
        pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<PathBuf>, D::Error> {
            let path = Option::<SavedPath>::deserialize(deserializer)?.map(|saved| match saved {
                SavedPath::Utf8(text) => Some(text.into()),
                SavedPath::Unix(bytes) => unix_path(bytes.0),
                SavedPath::Windows(units) => windows_path(&units),
            });
            path.map(|path| path.map(PathBuf::from).ok_or_else(|| D::Error::custom("a path of another kind of host")))
                .transpose()
        }
    }

    fn host_path(path: &std::path::Path) -> Option<SavedPath> {
        #[cfg(unix)]
        return Some(SavedPath::Unix(SavedBytes(std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str()).to_owned())));
        #[cfg(windows)]
        return Some(SavedPath::Windows(std::os::windows::ffi::OsStrExt::encode_wide(path.as_os_str()).collect()));
        #[cfg(not(any(unix, windows)))]
        return {
            _ = path;
            None
        };
    }

    fn unix_path(bytes: Vec<u8>) -> Option<OsString> {
        #[cfg(unix)]
        return Some(std::os::unix::ffi::OsStringExt::from_vec(bytes));
        #[cfg(not(unix))]
        return String::from_utf8(bytes).ok().map(OsString::from);
    }

    fn windows_path(units: &[u16]) -> Option<OsString> {
        #[cfg(windows)]
        return Some(std::os::windows::ffi::OsStringExt::from_wide(units));
        #[cfg(not(windows))]
        return String::from_utf16(units).ok().map(OsString::from);
    }
}

#[cfg(all(test, feature = "serde"))]
mod tests;
