//! The recorded sessions of `tests/vectors`, read into memory.

use std::collections::HashMap;
use std::path::PathBuf;

use bytes::Bytes;
use polyfn_core::Value;
use polyfn_core::codec::Reader;
use polyfn_core::wire::{Cipher, Content, Header, KeyPair};
use serde_json::Value as Json;

/// One recorded exchange.
pub(crate) struct Recording {
    pub(crate) name: String,
    /// The user objects that the server put into frames, in JSON, by their stand-ins.
    pub(crate) users: serde_json::Map<String, Json>,
    pub(crate) frames: Vec<Frame>,
    /// The key pairs of the clients, by letter, where they encrypt.
    pub(crate) keys: HashMap<String, KeyPair>,
}

/// One binary frame.
pub(crate) struct Frame {
    pub(crate) seq: u64,
    pub(crate) client: String,
    /// From the client to the server; otherwise the other way.
    pub(crate) is_sent: bool,
    /// All bytes; without segment 2 where the recording left it out.
    pub(crate) bytes: Bytes,
    /// Where segment 2 begins.
    pub(crate) split: usize,
    pub(crate) is_elided: bool,
    /// The decoded segments as the recording tells them.
    pub(crate) told: Vec<Json>,
}

impl Recording {
    /// A frame with its second segment readable, as far as the recorded keys open it.
    pub(crate) fn opened(&self, frame: &Bytes) -> Bytes {
        let Ok(header) = Header::parse(frame) else { return frame.clone() };
        let Ok(Content::Sealed(envelope)) = Content::parse(frame, header.end) else { return frame.clone() };
        let receiver = self.keys.values().find(|pair| pair.public() != envelope.sender).unwrap();
        let opened = envelope.open(&Cipher::new(receiver, envelope.sender), &header).unwrap();
        let mut map = match Reader::new(&opened.segment).value() {
            Ok(Value::Map(map)) => map,
            other => panic!("segment 2 must be a map, found {other:?}"),
        };
        map.remove("_bound");
        let mut plain = frame[..header.end].to_vec();
        plain.extend(Value::Map(map).to_msgpack().unwrap());
        plain.into()
    }
}

impl Frame {
    pub(crate) fn segment2(&self) -> Bytes {
        self.bytes.slice(self.split..)
    }

    /// The first segment as a value.
    pub(crate) fn header(&self) -> Value {
        Reader::new(&self.bytes).value().expect("a recorded segment 1 is readable")
    }

    pub(crate) fn text(&self, key: &str) -> String {
        self.header().as_map().and_then(|map| map.text(key)).unwrap_or_default().to_owned()
    }
}

/// All recordings, in order of their names.
pub(crate) fn all() -> Vec<Recording> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors");
    let mut files: Vec<PathBuf> = std::fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "json"))
        .collect();
    files.sort();
    files.iter().map(|path| read(&std::fs::read_to_string(path).unwrap())).collect()
}

fn read(text: &str) -> Recording {
    let json: Json = serde_json::from_str(text).unwrap();
    let mut segments = HashMap::new();
    let mut frames = Vec::new();
    for frame in json["frames"].as_array().unwrap().iter().filter(|frame| frame["opcode"] == "binary") {
        let frame = read_frame(frame, &segments);
        segments.insert(frame.seq, frame.segment2());
        frames.push(frame);
    }
    Recording {
        name: json["name"].as_str().unwrap().to_owned(),
        users: json["users"].as_object().cloned().unwrap_or_default(),
        frames,
        keys: keys(&json),
    }
}

fn keys(json: &Json) -> HashMap<String, KeyPair> {
    let pair = |client: &str| {
        let key = |which: &str| json["keys"][format!("{client}_{which}")].as_str().map(str::as_bytes);
        Some((client.to_owned(), KeyPair::read(key("private")?, key("public")).unwrap()))
    };
    ["A", "B"].into_iter().filter_map(pair).collect()
}

fn read_frame(frame: &Json, earlier: &HashMap<u64, Bytes>) -> Frame {
    let mut bytes = hex(frame["hex"].as_str().or(frame["segment1_hex"].as_str()).unwrap());
    if let Some(seq) = frame["segment2_same_as_seq"].as_u64() {
        bytes.extend_from_slice(&earlier[&seq]);
    }
    let bytes = Bytes::from(bytes);
    let mut reader = Reader::new(&bytes);
    reader.skip().unwrap();
    let told = frame["segments"].as_array().unwrap();
    Frame {
        seq: frame["seq"].as_u64().unwrap(),
        client: frame["client"].as_str().unwrap().to_owned(),
        is_sent: frame["direction"] == "c2s",
        split: reader.position(),
        is_elided: frame.get("elided").is_some(),
        told: told.iter().map(|segment| segment["value"].clone()).collect(),
        bytes,
    }
}

pub(crate) fn hex(text: &str) -> Vec<u8> {
    let digit = |at: usize| char::from(text.as_bytes()[at]).to_digit(16).unwrap() as u8;
    (0..text.len() / 2).map(|at| digit(2 * at) << 4 | digit(2 * at + 1)).collect()
}
