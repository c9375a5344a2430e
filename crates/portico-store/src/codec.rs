//! Between the types of the portal and the four column types.

use std::str::FromStr;

use serde::{Serialize, de::DeserializeOwned};

use crate::StoreError;

/// JSON text of a value. The types of this crate always have one.
pub(crate) fn json<T: Serialize + ?Sized>(what: &str, value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value)
        .map_err(|e| StoreError::Statement(format!("{what} has no JSON form: {e}")))
}

/// A value from its JSON text; `what` names it for people.
pub(crate) fn from_json<T: DeserializeOwned>(what: &str, text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|e| StoreError::corrupt(what, e))
}

/// A value from the word or id that it is written as.
pub(crate) fn parsed<T>(what: &str, text: &str) -> Result<T, StoreError>
where
    T: FromStr,
    T::Err: ToString,
{
    text.parse()
        .map_err(|e: T::Err| StoreError::corrupt(what, e.to_string()))
}

/// The word that an enum without fields is written as in JSON.
pub(crate) fn word<T: Serialize>(value: T) -> Result<String, StoreError> {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => Ok(word),
        _ => Err(StoreError::Statement(
            "an enum is not written as one word".into(),
        )),
    }
}

/// The enum value that `text` is the word of.
pub(crate) fn from_word<T: DeserializeOwned>(what: &str, text: &str) -> Result<T, StoreError> {
    T::deserialize(serde::de::value::StrDeserializer::<serde::de::value::Error>::new(text))
        .map_err(|e| StoreError::corrupt(what, e))
}

/// A count from its column.
pub(crate) fn count(what: &str, value: i64) -> Result<u64, StoreError> {
    u64::try_from(value).map_err(|_| StoreError::corrupt(what, format!("{value} is negative")))
}
