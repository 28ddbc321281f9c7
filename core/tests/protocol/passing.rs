//! Frames that wait to be sent pass the parts of long messages.

use polyfn_core::Value;

use crate::duo::{ANN, BOB, call, deliver, sent, take, with};

#[test]
fn small_calls_pass_a_part_but_not_for_ever() {
    let (mut ann, mut bob) = (with(ANN, None, &[]), with(BOB, None, &[]));
    let stub = take(BOB, None);
    call(&mut ann, &stub, 1, &[Value::Bytes(vec![7; 1_000_000].into())]).unwrap();
    // the message is announced, and its first part waits
    deliver(&mut ann, &mut bob);
    deliver(&mut bob, &mut ann);
    (2..102).for_each(|id| call(&mut ann, &stub, id, &[Value::Int(1)]).unwrap());
    let frames: Vec<usize> = std::iter::from_fn(|| ann.has_frames().then(|| sent(&mut ann).len())).collect();
    assert_eq!(frames.len(), 101);
    let parts: Vec<usize> = (0..frames.len()).filter(|at| frames[*at] > 100_000).collect();
    assert_eq!(parts, [64]);
}
