//! Chapter 8 of the protocol: credit.

use offshoot_wire::{
    ContextId, Credit, Dead, DeadCode, DelRoute, Direction, FRAME_COST, Frame, Handle, ReplyHead, ReplyTo,
    StreamHead, Window, codec,
};

use super::{
    super::{Action, DropKind, Ended, Limits, Routes},
    bed::{
        ABOVE, Bed, COUSIN, ME, ROOT, THEIRS, call, call_from, dead, decode, encode, end_of, frame, handles,
        item, pieces, reply,
    },
};

const WINDOW: usize = 16_384;

fn cost(frames: &[Frame]) -> usize {
    frames.iter().map(|frame| frame.body.len() + FRAME_COST).sum()
}

/// The CREDIT among what a context says.
fn credits(frames: &[Frame]) -> Vec<Credit> {
    frames.iter().filter(|frame| frame.handle == Handle::CREDIT).map(decode).collect()
}

fn small_windows(bytes: u32) -> Limits {
    Limits { window_start: bytes, ..Limits::default() }
}

// protocol 8.1
#[test]
fn a_window_begins_at_16_kib_and_a_frame_costs_its_body_and_128_bytes() {
    let mut leaf = Bed::leaf();
    let body = call("f", &"x".repeat(1000));
    let fit = WINDOW / (body.len() + 128);
    for _ in 0..2 * fit {
        leaf.calls_with(ROOT, body.clone(), None).unwrap();
    }
    let said = leaf.says();
    let whole = said.iter().filter(|frame| frame.part.is_none()).count();
    assert_eq!(whole, fit);
    assert!(cost(&said) <= WINDOW, "{}", cost(&said));
}

// protocol 8.1 and 3.1
#[test]
fn a_body_longer_than_what_is_left_is_cut() {
    let mut leaf = Bed::leaf();
    leaf.calls_with(ROOT, call("f", &"x".repeat(30_000)), None).unwrap();
    let said = leaf.says();
    assert!(said.iter().all(|frame| frame.part.is_some()));
    assert!(cost(&said) <= WINDOW && cost(&said) > WINDOW - 2048, "{}", cost(&said));
}

// protocol 8.1
#[test]
fn calls_replies_and_each_stream_have_windows_of_their_own_and_so_has_each_destination() {
    let mut leaf = Bed::leaf_with(small_windows(300));
    let long = "x".repeat(1000);
    let starved = |said: &[Frame]| said.iter().all(|frame| frame.part.is_some());
    leaf.calls_with(ROOT, call("f", &long), None).unwrap();
    assert!(starved(&leaf.says()));
    leaf.calls(ROOT);
    assert_eq!(leaf.says(), [], "calls to the root wait");
    leaf.calls(COUSIN);
    assert_eq!(leaf.says().len(), 1);
    leaf.gets(call_from(ROOT, 4000, call("f", &())));
    leaf.works();
    assert_eq!(leaf.says().len(), 1);
    for home in [4001, 4002] {
        let end = end_of(ROOT, home, Direction::Sends);
        let handle = leaf.machine.import(ROOT, end).unwrap();
        leaf.with(|machine, now, out| machine.stream_send(now, handle, item(&7).into(), out)).unwrap();
        assert_eq!(leaf.says().len(), 2, "its opening and the item");
    }
}

// protocol 8.1 and 6.3
#[test]
fn the_news_that_a_call_runs_is_paid_for_as_a_reply() {
    let mut leaf = Bed::leaf_with(small_windows(300));
    let mut news = 0;
    for reply_to in 4100..4103 {
        leaf.gets(call_from(COUSIN, reply_to, call("open", &())));
        leaf.with(|machine, now, out| machine.take_call(now, 0, out));
        leaf.pass(20);
        let started = |frame: &&Frame| frame.body[..] == encode(&ReplyHead::Started)[..];
        news += leaf.says().iter().filter(started).count();
    }
    assert_eq!(news, 2, "two fit into 300 bytes");
}

// protocol 8.2 and 6.5
#[test]
fn what_is_outside_credit_leaves_where_there_is_none() {
    let mut leaf = Bed::leaf_with(small_windows(200));
    let sent = leaf.calls(ROOT);
    leaf.says();
    leaf.with(|machine, _, out| machine.end_chain(ROOT, 3, out));
    assert_eq!(handles(&leaf.says()), [Handle::CHAIN_END]);
    leaf.calls(ROOT);
    assert_eq!(leaf.says(), [], "no credit is left");
    leaf.with(|machine, now, out| machine.cancel(now, sent, out));
    assert_eq!(handles(&leaf.says()), [Handle::CANCEL]);
    leaf.gets(frame(ABOVE, ME, Handle::PING, 0, encode(&())));
    leaf.gets(frame(ROOT, ME, Handle::new(4711), 4000, Vec::new()));
    assert_eq!(handles(&leaf.says()), [Handle::PONG, THEIRS]);
    let end = end_of(ROOT, 4001, Direction::Sends);
    let handle = leaf.machine.import(ROOT, end).unwrap();
    let long = item(&"x".repeat(1000));
    leaf.with(|machine, now, out| machine.stream_send(now, handle, long.into(), out)).unwrap();
    let said = leaf.says();
    assert_eq!(codec::decode(&said[0].body, 64), Ok(StreamHead::Open));
    assert!(said[1..].iter().all(|frame| frame.part.is_some()));
}

// protocol 8.3
#[test]
fn a_call_is_given_back_when_it_is_taken_and_more_with_it() {
    let mut leaf = Bed::leaf();
    leaf.gets(call_from(ROOT, 4000, call("f", &"x".repeat(WINDOW / 2))));
    assert_eq!(credits(&leaf.says()), []);
    leaf.works();
    let [credit] = credits(&leaf.says())[..] else { panic!("one CREDIT") };
    assert_eq!(credit.window, Window::Calls);
    assert!(credit.bytes as usize > WINDOW, "the window grows while it is used: {credit:?}");
}

// protocol 8.3
#[test]
fn nothing_is_given_back_before_half_a_window_is() {
    let mut leaf = Bed::leaf();
    let body = call("f", &"x".repeat(2500));
    for _ in 0..3 {
        leaf.gets(call_from(ROOT, 4000, body.clone()));
        leaf.works();
        assert_eq!(credits(&leaf.says()), []);
    }
    leaf.gets(call_from(ROOT, 4000, body));
    leaf.works();
    assert_eq!(credits(&leaf.says()).len(), 1);
}

// protocol 8.3
#[test]
fn a_reply_is_given_back_when_it_comes_a_piece_when_it_is_put_in_and_an_item_when_it_is_taken() {
    let mut leaf = Bed::leaf();
    let handle = leaf.calls(ROOT);
    leaf.says();
    leaf.gets(frame(ROOT, ME, handle, 0, reply(&"x".repeat(9000))));
    assert_eq!(credits(&leaf.says()).iter().map(|it| it.window).collect::<Vec<_>>(), [Window::Replies]);

    let long = call_from(ROOT, 4000, call("f", &"x".repeat(20_000)));
    leaf.gets(pieces(&long, 9000)[0].clone());
    assert_eq!(credits(&leaf.says()).iter().map(|it| it.window).collect::<Vec<_>>(), [Window::Calls]);

    let home = leaf.machine.export(ROOT, Direction::Receives);
    let actions = leaf.gets(frame(ROOT, ME, home, THEIRS.number(), item(&"x".repeat(9000))));
    let Some(Action::Item { cost, .. }) = actions.last().cloned() else { panic!("{actions:?}") };
    assert_eq!(credits(&leaf.says()), []);
    leaf.with(|machine, _, out| machine.taken(home, cost, out));
    assert_eq!(credits(&leaf.says()).iter().map(|it| it.window).collect::<Vec<_>>(), [Window::Stream(home)]);
}

// protocol 8.3
#[test]
fn what_a_frame_cost_that_is_refused_on_its_way_is_given_back_in_the_name_of_its_destination() {
    let mut hop = Bed::hop();
    let nobody = ContextId::new(1999);
    let lost = frame(ROOT, nobody, Handle::CALL_FUNCTION, 4000, call("f", &()));
    hop.gets(lost.clone());
    let said = hop.says();
    let credit = said.iter().find(|frame| frame.handle == Handle::CREDIT).unwrap();
    assert_eq!((credit.dst, credit.src, credit.auth), (ROOT, nobody, ME));
    let bytes = u32::try_from(lost.cost()).unwrap();
    assert_eq!(decode::<Credit>(credit), Credit { window: Window::Calls, bytes });
}

// protocol 8.3
#[test]
fn who_sends_beyond_his_credit_is_refused_and_his_stream_broken() {
    let mut leaf = Bed::leaf();
    leaf.gets(call_from(ROOT, 4000, call("f", &"x".repeat(WINDOW))));
    assert_eq!(dead(&leaf.says()).map(|(_, code)| code), Some(DeadCode::Congested));
    assert_eq!((leaf.works(), leaf.dropped(DropKind::Credit)), (None, 1));
    let home = leaf.machine.export(ROOT, Direction::Receives);
    let actions = leaf.gets(frame(ROOT, ME, home, THEIRS.number(), item(&"x".repeat(WINDOW))));
    assert!(matches!(actions.last(), Some(Action::Ended { how: Ended::Lost(_), .. })), "{actions:?}");
    let said = leaf.says();
    assert!(said.iter().any(|frame| frame.handle == THEIRS && frame.is_dead()), "{said:?}");
}

// protocol 8.3
#[test]
fn credit_beyond_what_a_window_holds_or_for_one_that_was_not_used_is_refused() {
    let mut leaf = Bed::leaf();
    let credit = |window, bytes| frame(ROOT, ME, Handle::CREDIT, 0, encode(&Credit { window, bytes }));
    leaf.gets(credit(Window::Calls, 1));
    assert_eq!(leaf.dropped(DropKind::Late), 1);
    leaf.calls(ROOT);
    leaf.says();
    leaf.gets(credit(Window::Calls, (1 << 31) - 1));
    assert_eq!(leaf.dropped(DropKind::Credit), 1);
    leaf.gets(credit(Window::Calls, 1 << 20));
    assert_eq!(leaf.dropped(DropKind::Credit), 1);
}

// protocol 8.3
#[test]
fn credit_beyond_what_the_window_of_a_stream_holds_breaks_it() {
    let mut leaf = Bed::leaf();
    let ours = leaf.machine.export(ROOT, Direction::Sends);
    leaf.gets(frame(ROOT, ME, ours, THEIRS.number(), encode(&StreamHead::Open)));
    leaf.with(|machine, now, out| machine.stream_send(now, ours, item(&7).into(), out)).unwrap();
    leaf.says();
    let credit = encode(&Credit { window: Window::Stream(THEIRS), bytes: (1 << 31) - 1 });
    let actions = leaf.gets(frame(ROOT, ME, Handle::CREDIT, 0, credit));
    assert!(matches!(actions.last(), Some(Action::Ended { how: Ended::Lost(_), .. })), "{actions:?}");
    assert_eq!(leaf.says().iter().filter(|frame| frame.handle == THEIRS).count(), 1, "the other end is told");
    assert_eq!(leaf.dropped(DropKind::Credit), 1);
}

// protocol 8.3
#[test]
fn credit_for_what_went_to_nobody_is_not_counted_twice() {
    let mut leaf = Bed::leaf_with(small_windows(1024));
    let waits = leaf.calls_with(COUSIN, call("f", &"x".repeat(5000)), None).unwrap();
    let first = cost(&leaf.says());
    let nobody = Dead { code: DeadCode::NoRoute, text: "it was never announced".to_owned() };
    leaf.gets(Frame { auth: ABOVE, reply_to: ReplyTo::Dead, ..frame(COUSIN, ME, waits, 0, encode(&nobody)) });
    // The next call to it leaves before the credit of the first has come back.
    leaf.calls_with(COUSIN, call("f", &"x".repeat(5000)), None).unwrap();
    leaf.says();
    let back = Credit { window: Window::Calls, bytes: u32::try_from(first).unwrap() };
    leaf.gets(frame(COUSIN, ME, Handle::CREDIT, 0, encode(&back)));
    assert!(cost(&leaf.says()) <= 1024);
}

// protocol 8.3
#[test]
fn nothing_is_remembered_about_a_context_that_nobody_knows_once_its_credit_is_back() {
    let mut leaf = Bed::leaf();
    let waits = leaf.calls(COUSIN);
    let spent = cost(&leaf.says());
    let nobody = Dead { code: DeadCode::NoRoute, text: "there is no such context".to_owned() };
    leaf.gets(Frame { auth: ABOVE, reply_to: ReplyTo::Dead, ..frame(COUSIN, ME, waits, 0, encode(&nobody)) });
    let back = Credit { window: Window::Calls, bytes: u32::try_from(spent).unwrap() };
    leaf.gets(frame(COUSIN, ME, Handle::CREDIT, 0, encode(&back)));
    assert_eq!(leaf.machine.remembers(), std::collections::BTreeSet::new());
}

// protocol 8.1
#[test]
fn a_stream_has_a_window_of_its_own_though_its_handle_was_that_of_one_which_has_not_ended_here() {
    let mut leaf = Bed::leaf_with(small_windows(1024));
    let long = item(&"x".repeat(700));
    let open = |leaf: &mut Bed<_>| {
        let ours = leaf.machine.export(COUSIN, Direction::Sends);
        leaf.gets(frame(COUSIN, ME, ours, THEIRS.number(), encode(&StreamHead::Open)));
        leaf.with(|machine, now, out| machine.stream_send(now, ours, long.clone().into(), out)).unwrap();
        ours
    };
    let old = open(&mut leaf);
    leaf.with(|machine, _, out| machine.stream_close(old, None, out));
    assert_eq!(leaf.says().len(), 2, "an item and the close");
    // Its other end has closed too and used its handle again, and the word of that is late.
    let new = open(&mut leaf);
    assert_eq!(leaf.says().len(), 1, "the whole item");
    leaf.with(|machine, now, out| machine.stream_send(now, new, long.clone().into(), out)).unwrap();
    leaf.gets(frame(COUSIN, ME, old, THEIRS.number(), encode(&StreamHead::Close)));
    assert!(cost(&leaf.says()) < 1024 - 700);
    let credit = Credit { window: Window::Stream(THEIRS), bytes: 1024 };
    leaf.gets(frame(COUSIN, ME, Handle::CREDIT, 0, encode(&credit)));
    assert_ne!(leaf.says(), []);
}

/// A stream of ours to a cousin, with a window of about `window` bytes.
fn stream_with(leaf: &mut Bed<impl Routes>, window: u32) -> Handle {
    let ours = leaf.machine.export(COUSIN, Direction::Sends);
    leaf.gets(frame(COUSIN, ME, ours, THEIRS.number(), encode(&StreamHead::Open)));
    sends(leaf, ours, 10);
    credits_stream(leaf, window);
    ours
}

/// What leaves when an item of so many bytes is sent.
fn sends(leaf: &mut Bed<impl Routes>, stream: Handle, len: usize) -> Vec<Frame> {
    let long = item(&"x".repeat(len));
    leaf.with(|machine, now, out| machine.stream_send(now, stream, long.into(), out)).unwrap();
    leaf.says()
}

fn credits_stream(leaf: &mut Bed<impl Routes>, bytes: u32) {
    let credit = Credit { window: Window::Stream(THEIRS), bytes };
    leaf.gets(frame(COUSIN, ME, Handle::CREDIT, 0, encode(&credit)));
}

// protocol 8.1
#[test]
fn a_body_that_fits_half_the_window_waits_for_credit_and_leaves_whole() {
    let mut leaf = Bed::leaf();
    let stream = stream_with(&mut leaf, 70_000);
    for _ in 0..2 {
        assert_eq!(sends(&mut leaf, stream, 30_000).iter().map(|it| it.part).collect::<Vec<_>>(), [None]);
    }
    assert_eq!(sends(&mut leaf, stream, 30_000), [], "a piece would fit");
    credits_stream(&mut leaf, 40_000);
    let said = leaf.says();
    assert_eq!(said.iter().map(|it| it.part).collect::<Vec<_>>(), [None]);
    // No credit may ever come for one that is longer.
    assert!(sends(&mut leaf, stream, 60_000).iter().all(|frame| frame.part.is_some()));
}

#[test]
fn short_frames_find_no_more_than_pieces_of_32_kib_in_front_of_them_once_they_came_beside_long_ones() {
    let mut leaf = Bed::leaf();
    let stream = stream_with(&mut leaf, 1 << 30);
    let longest = |said: &[Frame]| said.iter().map(|frame| frame.body.len()).max().unwrap();
    assert!(longest(&sends(&mut leaf, stream, 100_000)) > 100_000);
    // Short items of the same stream are behind the long ones anyhow.
    sends(&mut leaf, stream, 10);
    assert!(longest(&sends(&mut leaf, stream, 100_000)) > 100_000);
    leaf.calls(ROOT);
    leaf.says();
    let pieces = sends(&mut leaf, stream, 100_000);
    assert_eq!((pieces.len(), longest(&pieces)), (4, 32 * 1024));
    let more = (0..400).map(|_| sends(&mut leaf, stream, 100_000));
    assert!(more.map(|said| longest(&said)).any(|longest| longest > 100_000), "they are forgotten");
}

/// What two calls cost comes back from where they end, one of them made before its loss was known, and one behind it.
#[test]
fn no_account_stays_with_somebody_who_was_called_again_while_answers_were_under_way() {
    let mut leaf = Bed::leaf();
    let first = leaf.calls_with(COUSIN, call("f", &1_u8), None).unwrap();
    let one = cost(&leaf.says());
    let gone = DelRoute { ids: vec![COUSIN], top: COUSIN, name: "cousin".into(), reason: "killed".into() };
    leaf.gets(frame(ABOVE, ME, Handle::DEL_ROUTE, 0, encode(&gone)));
    let again = leaf.calls_with(COUSIN, call("f", &"longer".to_owned()), None).unwrap();
    assert_eq!(first, again, "its handle is free");
    let two = cost(&leaf.says());
    for bytes in [one, two] {
        let back = Credit { window: Window::Calls, bytes: u32::try_from(bytes).unwrap() };
        leaf.gets(frame(COUSIN, ME, Handle::CREDIT, 0, encode(&back)));
        let dead = encode(&Dead { code: DeadCode::Gone, text: "context 9 is gone".into() });
        let dead = frame(COUSIN, ME, again, Handle::IS_DEAD, dead);
        leaf.gets(Frame { auth: ABOVE, ..dead });
    }
    assert_eq!(leaf.machine.remembers().into_iter().collect::<Vec<_>>(), []);
}

/// Whoever speaks for those below it, or whose authority is stamped, could else send as much again, time after time.
#[test]
fn that_nobody_is_there_frees_none_of_what_he_has_sent() {
    let full = || {
        let mut leaf = Bed::leaf_with(small_windows(1000));
        let fill = |leaf: &mut Bed<_>| {
            (4000..4020).for_each(|waits| drop(leaf.gets(call_from(COUSIN, waits, call("open", &())))));
        };
        fill(&mut leaf);
        let calls = leaf.machine.sizes().calls;
        assert!((1..20).contains(&calls), "{calls}");
        (leaf, fill, calls)
    };
    let dead = |to| {
        let body = encode(&Dead { code: DeadCode::NoRoute, text: "there is no context 9".into() });
        Frame { auth: ABOVE, ..frame(COUSIN, ME, to, Handle::IS_DEAD, body) }
    };
    // To nobody who waits, and to a call.
    let (mut leaf, fill, calls) = full();
    leaf.gets(dead(THEIRS));
    fill(&mut leaf);
    assert_eq!(leaf.machine.sizes().calls, calls);
    let (mut leaf, fill, calls) = full();
    let ours = leaf.calls(COUSIN);
    leaf.gets(dead(ours));
    fill(&mut leaf);
    assert_eq!(leaf.machine.sizes().calls, calls);
}
