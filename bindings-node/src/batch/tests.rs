use polyfn_core::ErrorKind;

use super::*;

fn payload(args: &'static [u8]) -> Payload {
    Payload { args: args.into(), ..Payload::default() }
}

fn told(recorder: &mut Recorder, event: &Event) -> Told {
    let mut told = Told::default();
    told.record(recorder, 3, event, None);
    told
}

#[test]
fn a_record_says_how_long_it_is_and_what_lies_beside_it() {
    let mut recorder = Recorder::default();
    // ["ok", bin] is a result whose one value is a list
    let event = Event::Resolved { call: 1 << 32 | 7, value: payload(b"\x91\x92\xa2ok\xc4\x01x") };
    let Told { steps, beside } = told(&mut recorder, &event);
    assert_eq!(steps[0], kind::RESOLVED | kind::HAS_TEXT | 2 << kind::BESIDE);
    assert_eq!(steps[1] as usize, steps.len());
    assert_eq!(steps[2..4], [7, 1]);
    assert_eq!(beside[0], Extra::Text("ok".to_owned()));
    assert_eq!(beside.len(), 2);
}

#[test]
fn a_shape_is_told_before_the_record_that_needs_it() {
    let mut recorder = Recorder::default();
    let event = Event::Resolved { call: 1, value: payload(b"\x91\x81\xa1k\x01") };
    assert_eq!(told(&mut recorder, &event).steps[0] & 0xff, kind::RESOLVED);
    let again = told(&mut recorder, &event);
    assert_eq!(again.steps[..5], [kind::SHAPE | kind::HAS_TEXT | 1 << kind::BESIDE, 5, 0, 1, 1]);
    assert_eq!(again.steps[5] & 0xff, kind::RESOLVED);
    assert_eq!(told(&mut recorder, &event).steps[0] & 0xff, kind::RESOLVED);
}

#[test]
fn a_result_that_cannot_be_read_rejects_its_call() {
    let mut recorder = Recorder::default();
    let event = Event::Resolved { call: 9, value: payload(b"\x91\x92\xa3abc\xc1") };
    let Told { steps, beside } = told(&mut recorder, &event);
    assert_eq!(steps[0] & 0xff, kind::REJECTED);
    assert_eq!(steps[2..4], [9, 0]);
    let Some(Extra::Text(text)) = beside.first() else { panic!("an error has texts") };
    assert!(text.contains("0xc1") && text.ends_with("invalid"), "{text}");
}

#[test]
fn arguments_that_cannot_be_read_reach_no_function() {
    let mut recorder = Recorder::default();
    let invocation = Invocation {
        run: None,
        handler: 1,
        payload: payload(b"\x91\xc1"),
        context: None,
        event: None,
        deadline: None,
        trace: None,
    };
    assert_eq!(told(&mut recorder, &Event::Invoke(invocation)), Told::default());
}

#[test]
fn an_end_is_told_with_its_reason() {
    let mut recorder = Recorder::default();
    let error = Error::new(ErrorKind::PeerGone, "gone");
    let Told { steps, beside } = told(&mut recorder, &Event::State(State::Closed { error }));
    assert_eq!((steps[0] & 0xff, steps[2]), (kind::CLOSED, 3));
    assert_eq!(beside, [Extra::Text("gonepeer_gone".to_owned())]);
}
