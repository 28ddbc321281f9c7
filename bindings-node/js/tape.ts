// The steps of the tapes by which values cross between JavaScript and Rust: numbers that both sides know.
// Constant enums are put into the code as literals, which makes a jump table of each `switch` over them.

/** Kinds of records (`src/batch.rs`). */
// biome-ignore lint/suspicious/noConstEnum: private to this package, which is compiled as a whole
export const enum Kind {
  Shape = 1,
  Resolved = 2,
  Rejected = 3,
  Invoke = 4,
  Released = 5,
  Signal = 6,
  Ready = 7,
  Disconnected = 8,
  Closed = 9,
  Pull = 10,
  Items = 11,
  Taken = 12,
  Cancelled = 13,
}

/** Steps of a tape from Rust (`src/convert/incoming.rs`). */
// biome-ignore lint/suspicious/noConstEnum: private to this package, which is compiled as a whole
export const enum In {
  End = 0,
  Nil = 1,
  True = 2,
  False = 3,
  Int = 4,
  Double = 5,
  BigInt = 6,
  BigUint = 7,
  Text = 8,
  Beside = 9,
  List = 10,
  Map = 11,
  Dictionary = 12,
  OtherMap = 13,
  Set = 14,
  Pairs = 15,
  Date = 16,
  Array = 17,
  Error = 18,
  Method = 19,
  Extension = 20,
  Form = 21,
  Stream = 22,
}

/** Steps of a tape to Rust (`src/convert/outgoing.rs`). */
// biome-ignore lint/suspicious/noConstEnum: private to this package, which is compiled as a whole
export const enum Out {
  Nil = 0,
  True = 1,
  False = 2,
  Int = 3,
  SafeInt = 4,
  Float = 5,
  BigInt = 6,
  BigUint = 7,
  Text = 8,
  LongText = 9,
  Bytes = 10,
  LongBytes = 11,
  List = 12,
  Map = 13,
  Set = 14,
  Pairs = 15,
  Memory = 16,
  Array = 17,
  Date = 18,
  Error = 19,
  Function = 20,
  Stub = 21,
  Extension = 22,
  Stream = 23,
  Interface = 24,
}

/** How a stream of a peer goes on behind the items that were taken (`src/stream.rs`). */
// biome-ignore lint/suspicious/noConstEnum: private to this package, which is compiled as a whole
export const enum StreamState {
  Open = 0,
  Done = 1,
  Failed = 2,
}

/** How a stream of ours goes on (`src/stream.rs`). */
// biome-ignore lint/suspicious/noConstEnum: private to this package, which is compiled as a whole
export const enum StreamEnd {
  More = 0,
  Done = 1,
  Failed = 2,
}
