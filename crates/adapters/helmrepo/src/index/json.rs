//! An index in JSON, read one version at a time.

use std::fmt;
use std::io::Read;

use helm::repository::ChartVersion;
use serde::de::{
    DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor,
};
use serde_json::Value as Json;

use super::spool::Spool;
use super::{Head, IndexError};

pub(crate) fn read(input: impl Read, spool: Spool) -> Result<(Head, Spool), IndexError> {
    let mut state = State {
        head: Head::default(),
        spool,
    };
    let mut json = serde_json::Deserializer::from_reader(input);
    let read = Document(&mut state)
        .deserialize(&mut json)
        .and_then(|()| json.end());
    match read {
        Ok(()) => Ok((state.head, state.spool)),
        Err(error) => Err(IndexError::Malformed(error.to_string())),
    }
}

struct State {
    head: Head,
    spool: Spool,
}

/// One level of the document.
macro_rules! level {
    ($name:ident, $deserialize:ident) => {
        struct $name<'a>(&'a mut State);

        impl<'de> DeserializeSeed<'de> for $name<'_> {
            type Value = ();

            fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<(), D::Error> {
                input.$deserialize(self)
            }
        }
    };
}

level!(Document, deserialize_map);
level!(Entries, deserialize_any);
level!(Versions, deserialize_any);

impl<'de> Visitor<'de> for Document<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an index")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "entries" => map.next_value_seed(Entries(self.0))?,
                "apiVersion" | "generated" | "serverInfo" | "publicKeys" | "annotations" => {
                    let value: Json = map.next_value()?;
                    self.0.head.take(&key, value);
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}

impl<'de> Visitor<'de> for Entries<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a mapping of charts")
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key::<String>()? {
            self.0.spool.chart(&name).map_err(A::Error::custom)?;
            map.next_value_seed(Versions(self.0))?;
        }
        Ok(())
    }
}

impl<'de> Visitor<'de> for Versions<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of versions")
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while let Some(item) = list.next_element::<Json>()? {
            let read = ChartVersion::from_node(&yaml::from_json(&item));
            if let Some(version) = read.map_err(A::Error::custom)? {
                self.0.spool.version(&version).map_err(A::Error::custom)?;
            }
        }
        Ok(())
    }
}
