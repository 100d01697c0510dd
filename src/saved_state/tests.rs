//! The encodings of saved states, in JSON and in postcard.

use std::path::PathBuf;

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::*;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct PayloadV1 {
    count: u16,
    #[serde(with = "optional_path")]
    path: Option<PathBuf>,
    #[serde(with = "optional_image")]
    image: Option<Vec<u8>>,
    #[serde(deserialize_with = "optional_text::<_, 8>")]
    name: Option<String>,
    #[serde(deserialize_with = "bounded_list::<_, _, 3>")]
    list: Vec<u16>,
    #[serde(serialize_with = "bytes::serialize", deserialize_with = "bytes::deserialize::<_, 4>")]
    bytes: Vec<u8>,
}

#[derive(Clone, Debug, PartialEq)]
enum State {
    V1(Box<PayloadV1>),
    V3(u8),
    Unknown { version: u16 },
}

versioned_state!(State { 1 => V1(Box<PayloadV1>), 3 => V3(u8) });

fn payload() -> PayloadV1 {
    let (path, image) = (Some("a.img".into()), Some(vec![1, 2, 0xFF]));
    PayloadV1 { count: 515, path, image, name: Some("boot".into()), list: vec![7, 8], bytes: vec![9; 4] }
}

fn through_both<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(value: &T) {
    assert_eq!(&serde_json::from_str::<T>(&serde_json::to_string(value).unwrap()).unwrap(), value);
    // A tree of values sorts its keys.
    assert_eq!(&serde_json::from_value::<T>(serde_json::to_value(value).unwrap()).unwrap(), value);
    assert_eq!(&postcard::from_bytes::<T>(&postcard::to_allocvec(value).unwrap()).unwrap(), value);
}

#[test]
fn a_state_of_each_known_version_is_read_as_it_was_written() {
    through_both(&State::V1(Box::new(payload())));
    through_both(&State::V3(0x5A));
}

#[test]
fn the_version_comes_first_in_every_format() {
    let state = State::V3(0x5A);
    assert_eq!(serde_json::to_string(&state).unwrap(), r#"{"version":3,"versioned":90}"#);
    assert_eq!(postcard::to_allocvec(&state).unwrap(), [3, 0x5A]);
}

#[test]
fn an_unknown_version_is_told_whatever_follows() {
    for text in [r#"{"version":2,"versioned":{"a":[1,2]},"more":null}"#, r#"{"version":2}"#, r#"[2,{"a":[1,2]},null]"#]
    {
        assert_eq!(serde_json::from_str::<State>(text).unwrap(), State::Unknown { version: 2 }, "{text}");
    }
    for bytes in [&[2][..], &[2, 0xFF, 0xFF, 0xFF], &[2, 1, 2]] {
        assert_eq!(postcard::from_bytes::<State>(bytes).unwrap(), State::Unknown { version: 2 });
    }
    assert_eq!(postcard::from_bytes::<State>(&[0]).unwrap(), State::Unknown { version: 0 });
    let unknown = State::Unknown { version: 2 };
    assert!(serde_json::to_string(&unknown).unwrap_err().to_string().contains("version 2"));
    postcard::to_allocvec(&unknown).unwrap_err();
}

#[test]
fn a_state_without_its_version_in_front_is_refused() {
    for (text, reason) in [
        (r#"{"versioned":90,"version":3}"#, "the first field is not `version`"),
        (r#"{"a":1,"version":3,"versioned":90}"#, "unknown field `a`"),
        (r#"{"version":3}"#, "missing field `versioned`"),
        (r#"{"version":3,"versioned":90,"version":3}"#, "duplicate field `version`"),
        (r#"{"version":3,"version":3}"#, "missing field `versioned`"),
        ("{}", "the first field is not `version`"),
        ("[]", "invalid length 0"),
        ("[3]", "invalid length 1"),
        (r#"{"version":65536}"#, "65536"),
        ("3", "begins with its version"),
    ] {
        let error = serde_json::from_str::<State>(text).unwrap_err().to_string();
        assert!(error.contains(reason), "{text}: {error}");
    }
}

fn json_of(edit: impl FnOnce(&mut serde_json::Value)) -> Result<PayloadV1, String> {
    let mut value = serde_json::to_value(payload()).unwrap();
    edit(&mut value);
    // As text: a tree of values hands out its strings whole.
    serde_json::from_str(&value.to_string()).map_err(|error| error.to_string())
}

#[test]
fn what_is_longer_than_its_limit_is_refused() {
    use base64::prelude::*;
    let base64 = |bytes: usize| BASE64_STANDARD.encode(vec![0; bytes]);
    json_of(|_| ()).unwrap();
    json_of(|json| json["image"] = base64(MAX_IMAGE_BYTES).into()).unwrap();
    for (field, value) in [
        ("image", base64(MAX_IMAGE_BYTES + 1).into()),
        ("bytes", base64(5).into()),
        ("list", vec![0; 4].into()),
        ("name", "123456789".into()),
        ("path", serde_json::json!({ "Utf8": "x".repeat(32_768) })),
        ("path", serde_json::json!({ "Unix": base64(32_768) })),
        ("path", serde_json::json!({ "Windows": vec![0; 32_768] })),
    ] {
        let error = json_of(|json| json[field] = value).unwrap_err();
        assert!(error.contains("at most"), "{field}: {error}");
    }
    for text in ["A", "!!!!", "AAA"] {
        json_of(|json| json["bytes"] = text.into()).unwrap_err();
    }
    for state in [
        PayloadV1 { image: Some(vec![0; MAX_IMAGE_BYTES + 1]), ..payload() },
        PayloadV1 { list: vec![0; 4], ..payload() },
        PayloadV1 { bytes: vec![0; 5], ..payload() },
        PayloadV1 { name: Some("123456789".into()), ..payload() },
    ] {
        postcard::from_bytes::<PayloadV1>(&postcard::to_allocvec(&state).unwrap()).unwrap_err();
    }
    // A length that is only announced.
    postcard::from_bytes::<PayloadV1>(&[0, 0, 1, 0xFF, 0xFF, 0xFF, 0xFF, 0x0F]).unwrap_err();
}

#[test]
fn bytes_take_a_byte_each_in_binary_formats_and_a_third_more_in_readable_ones() {
    let state = PayloadV1 { image: Some(vec![0xE5; 1_474_560]), ..payload() };
    assert!(postcard::to_allocvec(&state).unwrap().len() < 1_474_560 + 64);
    assert!(serde_json::to_string(&state).unwrap().len() < 2_000_000);
    through_both(&state);
    through_both(&PayloadV1 { image: None, path: None, name: None, ..payload() });
}

#[test]
#[cfg(unix)]
fn a_path_that_is_not_unicode_survives() {
    use std::os::unix::ffi::OsStringExt;
    let path: PathBuf = std::ffi::OsString::from_vec(b"/images/\xFF.img".to_vec()).into();
    assert!(path.to_str().is_none());
    through_both(&PayloadV1 { path: Some(path), ..payload() });
}

#[test]
fn a_path_of_another_kind_of_host_is_refused() {
    let other =
        if cfg!(windows) { serde_json::json!({ "Unix": "/w==" }) } else { serde_json::json!({ "Windows": [0xD800] }) };
    assert!(json_of(|json| json["path"] = other).unwrap_err().contains("another kind of host"));
}

#[test]
fn an_invalid_field_is_named_with_its_path() {
    let error = InvalidField::new("layout", "no disk is like that").within("medium").within("drives[1]");
    assert_eq!(error.to_string(), "drives[1].medium.layout: no disk is like that");
    assert_eq!(InvalidField::new("[2]", "twice").within("drives").field, "drives[2]");
}
