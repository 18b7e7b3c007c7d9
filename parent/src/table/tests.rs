//! The routing table, rule by rule, and trees of tables that talk to each other.

use offshoot_core::{
    machine::{DropKind, LinkKey, NoId, Owner, RouteFrame, Routes, Standing, Step},
    wire::{AllocateId, ContextId, IdRange, Role},
};

use super::{
    Table, TableLimits,
    bed::{ASK, Bed, Net, add, del, drops, grant, id, lost, range, told, withdrawn},
};

const REFUSED: RouteFrame = RouteFrame::Ids(AllocateId::Refused);

// --- ids (rule 7)

#[test]
fn the_first_children_of_the_root_are_1_2_3_whatever_its_links_ask_for_meanwhile() {
    let mut root = Bed::new(Table::root());
    assert_eq!(root.granted(1).peer, id(1));
    assert_eq!(root.granted(2).peer, id(2));
    assert_eq!(root.child(None).peer, id(3));
}

#[test]
fn a_hop_takes_its_childrens_ids_out_of_a_range_that_it_asks_for_once() {
    let mut hop = Bed::new(Table::hop(id(1)));
    let mut steps = Vec::new();
    assert_eq!(hop.table.take_id(&mut steps), Err(NoId::Asked));
    assert_eq!(hop.table.take_id(&mut steps), Err(NoId::Asked));
    assert_eq!(steps, [Step::Up(ASK)]);
    assert_eq!(hop.parent(grant(1)), [Step::Ids]);
    assert_eq!(hop.table.take_id(&mut steps), Ok(id(1000)));
    assert_eq!(hop.table.take_id(&mut steps), Ok(id(1001)));
}

#[test]
fn the_next_range_is_asked_for_before_the_last_is_used_up_and_follows_without_a_stall() {
    let mut hop = Bed::hop();
    let mut steps = Vec::new();
    let mut answer = None;
    for number in 1000..2000 {
        assert_eq!(hop.table.take_id(&mut steps), Ok(id(number)));
        if answer.is_none() && !steps.is_empty() {
            answer = Some(number);
            assert_eq!(hop.parent(grant(7)), [Step::Ids]);
        }
    }
    assert_eq!(answer, Some(1900));
    assert_eq!(steps, [Step::Up(ASK)]);
    assert_eq!(hop.table.take_id(&mut steps), Ok(id(7000)));
}

#[test]
fn the_root_goes_on_in_the_next_free_range_when_its_first_is_used_up() {
    let mut root = Bed::new(Table::root());
    root.granted(1);
    let ids: Vec<_> = (2..1002).map(|_| root.table.take_id(&mut Vec::new()).unwrap().number()).collect();
    assert_eq!(ids[997..], [999, 2000, 2001]);
}

#[test]
fn a_refused_hop_is_told_once_and_may_ask_again() {
    let mut hop = Bed::new(Table::hop(id(1)));
    assert_eq!(hop.table.take_id(&mut Vec::new()), Err(NoId::Asked));
    assert_eq!(hop.parent(REFUSED), [Step::Ids]);
    let mut steps = Vec::new();
    assert_eq!(hop.table.take_id(&mut steps), Err(NoId::Exhausted));
    assert_eq!(steps, []);
    assert_eq!(hop.table.take_id(&mut steps), Err(NoId::Asked));
    assert_eq!(steps, [Step::Up(ASK)]);
}

#[test]
fn a_refused_question_in_advance_does_not_keep_the_last_ids_from_being_used() {
    let mut hop = Bed::hop();
    let mut steps = Vec::new();
    for number in 1000..2000 {
        assert_eq!(hop.table.take_id(&mut steps), Ok(id(number)));
        if number == 1900 {
            hop.parent(REFUSED);
        }
    }
    assert_eq!(steps, [Step::Up(ASK)]);
    assert_eq!(hop.table.take_id(&mut steps), Err(NoId::Exhausted));
}

// protocol 5.6
#[test]
fn a_hop_asks_for_several_at_once_and_serves_them_in_order() {
    let mut hop = Bed::hop();
    let (a, b) = (hop.child(Role::Parent), hop.child(Role::Parent));
    assert_eq!(hop.says(a, ASK), [Step::Up(ASK)]);
    assert_eq!(hop.says(b, ASK), [Step::Up(ASK)]);
    let passed_down = |link, number| Step::Down(link, grant(number));
    assert_eq!(hop.parent(grant(8)), [passed_down(a, 8)]);
    assert_eq!(hop.parent(grant(9)), [passed_down(b, 9)]);
    assert_eq!(drops(&hop.parent(grant(10))), [DropKind::Route]);
    assert_eq!(hop.table.owner(id(8000)), Owner::Child(a));
    assert_eq!(hop.table.owner(id(9999)), Owner::Child(b));
}

#[test]
fn a_range_that_was_not_asked_for_is_dropped() {
    let mut hop = Bed::hop();
    assert_eq!(drops(&hop.parent(grant(9))), [DropKind::Route]);
    let link = hop.child(Role::Parent);
    assert_eq!(drops(&hop.says(link, grant(9))), [DropKind::Route]);
    assert_eq!(hop.table.owner(id(9000)), Owner::Up);
}

#[test]
fn who_has_not_said_that_it_can_have_children_gets_no_ids_and_announces_nobody() {
    for role in [None, Some(Role::Leaf)] {
        let mut root = Bed::new(Table::root());
        let link = root.child(role);
        assert_eq!(root.says(link, ASK), [Step::Drop(link, DropKind::Role)]);
        assert_eq!(root.says(link, add(1000, 1, "x")), [Step::Drop(link, DropKind::Role)]);
    }
}

#[test]
fn a_million_questions_get_four_ranges() {
    let mut root = Bed::new(Table::root());
    let link = root.child(Role::Parent);
    let mut granted = 0;
    for _ in 0..1_000_000 {
        match root.says(link, ASK).as_slice() {
            [Step::Down(_, RouteFrame::Ids(AllocateId::Grant(_)))] => granted += 1,
            steps => assert_eq!(steps, [Step::Drop(link, DropKind::Quota), Step::Down(link, REFUSED)]),
        }
    }
    assert_eq!(granted, 4);
    assert_eq!(root.table.ids.grants().count(), 4);
}

#[test]
fn a_million_questions_through_a_hop_wait_four_at_a_time() {
    let mut hop = Bed::hop();
    let link = hop.child(Role::Parent);
    let up = (0..1_000_000).filter(|_| hop.says(link, ASK).contains(&Step::Up(ASK))).count();
    assert_eq!(up, 4);
    let answered = (2..100).take_while(|number| drops(&hop.parent(grant(*number))).is_empty()).count();
    assert_eq!(answered, 4);
    assert_eq!(hop.table.ids.grants().filter(|(_, holder)| *holder == link).count(), 4);
}

#[test]
fn no_more_than_32_questions_are_with_the_parent_at_once() {
    let mut hop = Bed::hop();
    let askers: Vec<_> = (0..40).map(|_| hop.child(Role::Parent)).collect();
    let up = askers.iter().filter(|link| hop.says(**link, ASK) == [Step::Up(ASK)]).count();
    assert_eq!(up, 32);
    let answered: Vec<_> = (0..40).map(|number| hop.parent(grant(100 + number)).len()).collect();
    assert_eq!(answered, [vec![2; 8], vec![1; 32]].concat());
    assert_eq!(drops(&hop.parent(grant(99))), [DropKind::Route]);
}

/// Who asks serves those that asked him in the order of the answers: none of them gets what is another's.
#[test]
fn a_refusal_does_not_overtake_what_was_asked_for_before() {
    let mut hop = Bed::hop();
    let link = hop.child(Role::Parent);
    for _ in 0..4 {
        assert_eq!(hop.says(link, ASK), [Step::Up(ASK)]);
    }
    assert_eq!(hop.says(link, ASK), [Step::Drop(link, DropKind::Quota)]);
    let passed_down = |number| Step::Down(link, grant(number));
    for number in 5..8 {
        assert_eq!(hop.parent(grant(number)), [passed_down(number)]);
    }
    assert_eq!(hop.parent(grant(8)), [passed_down(8), Step::Down(link, REFUSED)]);
    // Where nothing is before it, it is told at once.
    assert_eq!(hop.says(link, ASK), [Step::Drop(link, DropKind::Quota), Step::Down(link, REFUSED)]);
}

#[test]
fn each_announced_context_allows_one_unused_range_more() {
    let mut root = Bed::new(Table::root());
    let link = root.granted(1);
    for _ in 0..3 {
        assert_eq!(drops(&root.says(link, ASK)), []);
    }
    assert_eq!(drops(&root.says(link, ASK)), [DropKind::Quota]);
    root.says(link, add(1000, 1, "x"));
    // One more because range 1 is in use now, and one for the context.
    assert_eq!(drops(&root.says(link, ASK)), []);
    assert_eq!(drops(&root.says(link, ASK)), []);
    assert_eq!(drops(&root.says(link, ASK)), [DropKind::Quota]);
}

#[test]
fn a_link_gets_so_many_ranges_in_its_life_and_no_more() {
    let limits = TableLimits { ranges: 2, ..TableLimits::default() };
    let mut root = Bed::new(Table::root_with(limits, 0));
    let link = root.granted(1);
    root.says(link, add(1000, 1, "x"));
    assert_eq!(drops(&root.says(link, ASK)), []);
    assert_eq!(drops(&root.says(link, ASK)), [DropKind::Quota]);
}

#[test]
fn the_counter_stops_at_the_last_range_and_does_not_wrap() {
    let last = IdRange::LAST.number();
    let mut root = Bed::new(Table::root_with(TableLimits::default(), last - 1));
    let link = root.granted(last);
    assert_eq!(root.says(link, ASK), [Step::Down(link, REFUSED)]);
    let taken = (0..2000).map_while(|_| root.table.take_id(&mut Vec::new()).ok()).last();
    assert_eq!(taken, Some(id((last - 1) * 1000 + 999)));
    assert_eq!(root.table.take_id(&mut Vec::new()), Err(NoId::Exhausted));
}

#[test]
fn a_counter_that_starts_beyond_the_end_gives_nothing() {
    let mut root = Table::root_with(TableLimits::default(), u32::MAX);
    assert_eq!(root.take_id(&mut Vec::new()), Err(NoId::Exhausted));
}

#[test]
fn t7_a_range_meant_for_a_link_that_is_lost_goes_to_who_asked_next() {
    let mut hop = Bed::hop();
    let (a, b) = (hop.child(Role::Parent), hop.child(Role::Parent));
    hop.says(a, ASK);
    hop.says(b, ASK);
    hop.down(a);
    assert_eq!(hop.parent(grant(8)), [Step::Down(b, grant(8))]);
}

#[test]
fn t7_a_range_meant_for_a_link_that_is_lost_stays_as_the_hops_own() {
    let mut hop = Bed::hop();
    let a = hop.child(Role::Parent);
    hop.says(a, ASK);
    hop.down(a);
    assert_eq!(hop.parent(grant(8)), []);
    assert_eq!(hop.table.owner(id(8000)), Owner::Nobody);
    let ids: Vec<_> = (0..1000).map(|_| hop.table.take_id(&mut Vec::new()).unwrap()).collect();
    assert_eq!(ids.last(), Some(&id(8000)));
}

#[test]
fn a_child_that_is_gone_is_told_from_one_that_never_was() {
    for mut here in [Bed::new(Table::root()), Bed::hop()] {
        let first = here.table.take_id(&mut Vec::new()).unwrap().number();
        assert_eq!(here.table.standing(id(first)), Standing::Gone, "not up, and its id is spent");
        for never in [first + 1, first + 500, 77_000] {
            assert_eq!(here.table.standing(id(never)), Standing::Unknown, "{never}");
        }
    }
}

#[test]
fn the_ranges_of_a_dead_link_are_nobodys_and_never_used_again() {
    let mut hop = Bed::hop();
    let link = hop.granted(8);
    hop.says(link, add(8000, link.peer.number(), "x"));
    hop.down(link);
    for gone in [link.peer, id(8000), id(8999)] {
        assert_eq!(hop.table.owner(gone), Owner::Nobody);
        assert_eq!(hop.table.standing(gone), Standing::Gone);
    }
    assert_eq!(hop.table.take_id(&mut Vec::new()), Ok(id(1001)));
    assert!(hop.table.is_idle());
}

// --- owners (rule 1)

#[test]
fn everything_that_was_not_granted_is_up_at_a_hop_and_nobodys_at_the_root() {
    let mut hop = Bed::hop();
    let link = hop.child(None);
    let owners = [0, 4, 5, 1000, 1001, 1999, 2000, u32::MAX].map(|number| hop.table.owner(id(number)));
    use Owner::{Child, Me, Nobody, Up};
    assert_eq!(owners, [Up, Up, Me, Child(link), Nobody, Nobody, Up, Up]);
    let mut root = Bed::new(Table::root());
    let link = root.granted(1);
    let owners = [0, 1, 2, 1000, 1999, 2000, u32::MAX].map(|number| root.table.owner(id(number)));
    assert_eq!(owners, [Me, Child(link), Nobody, Child(link), Child(link), Nobody, Nobody]);
}

// --- announcing (rule 5)

// protocol 5.4
#[test]
fn an_announced_context_is_entered_and_passed_on_in_the_hops_own_name() {
    let mut hop = Bed::hop();
    let link = hop.granted(8);
    let frame = add(8000, 1000, "db");
    assert_eq!(hop.says(link, frame.clone()), [Step::Up(frame)]);
    assert_eq!(hop.table.owner(id(8000)), Owner::Child(link));
    assert_eq!(hop.table.standing(id(8000)), Standing::Live);
    assert_eq!(hop.table.name(id(8000)), Some("db"));
}

/// A root with the cast of the threats: 1 is hostile and holds range 1, 2 is honest and holds range 2.
fn hostile_and_honest() -> (Bed, LinkKey, LinkKey) {
    let mut root = Bed::new(Table::root());
    let (hostile, honest) = (root.granted(1), root.granted(2));
    root.says(honest, add(2000, 2, "honest"));
    (root, hostile, honest)
}

#[test]
fn attack_31_nobody_announces_what_is_somebody_elses() {
    let (mut root, hostile, honest) = hostile_and_honest();
    let before = root.table.clone();
    for number in [2, 2000, 0, 1, u32::MAX] {
        assert_eq!(root.says(hostile, add(number, 1, "mine")), [Step::Drop(hostile, DropKind::Route)]);
    }
    assert_eq!(root.table, before);
    assert_eq!(root.table.owner(id(2000)), Owner::Child(honest));
}

#[test]
fn attack_32_an_id_that_was_not_granted_is_refused_and_the_maker_told() {
    let (mut root, hostile, _) = hostile_and_honest();
    for number in [2001, 3, 77_000] {
        let steps = root.says(hostile, add(number, 1, "mine"));
        assert_eq!(drops(&steps), [DropKind::Grant]);
        assert_eq!(told(&steps), [(hostile, vec![number])]);
        assert_eq!(root.table.standing(id(number)), Standing::Unknown);
    }
}

#[test]
fn at_a_hop_an_id_from_elsewhere_is_refused_in_silence_as_it_may_be_alive() {
    let mut hop = Bed::hop();
    let link = hop.granted(8);
    assert_eq!(hop.says(link, add(77_000, 1000, "mine")), [Step::Drop(link, DropKind::Grant)]);
}

// protocol 5.4
#[test]
fn attack_33_an_id_is_announced_once_in_its_life() {
    let (mut root, hostile, _) = hostile_and_honest();
    assert_eq!(drops(&root.says(hostile, add(1000, 1, "x"))), []);
    assert_eq!(drops(&root.says(hostile, del(&[1000], "gone"))), []);
    assert_eq!(root.table.standing(id(1000)), Standing::Gone);
    let steps = root.says(hostile, add(1000, 1, "x"));
    assert_eq!(drops(&steps), [DropKind::Grant]);
    assert_eq!(told(&steps), [(hostile, vec![1000])]);
    assert_eq!(root.table.standing(id(1000)), Standing::Gone);
}

#[test]
fn a_second_announcement_of_a_live_context_leaves_it_as_it_is() {
    let (mut root, hostile, _) = hostile_and_honest();
    root.says(hostile, add(1000, 1, "first"));
    assert_eq!(root.says(hostile, add(1000, 1, "second")), [Step::Drop(hostile, DropKind::Route)]);
    assert_eq!(root.table.name(id(1000)), Some("first"));
}

#[test]
fn the_maker_must_live_behind_the_link_that_announces() {
    let (mut root, hostile, _) = hostile_and_honest();
    for parent in [0, 2, 2000, 1001, 1000] {
        let steps = root.says(hostile, add(1000, parent, "x"));
        assert_eq!(drops(&steps), [DropKind::Route]);
        assert_eq!(told(&steps), [(hostile, vec![1000])]);
    }
    assert_eq!(drops(&root.says(hostile, add(1000, 1, "x"))), []);
    assert_eq!(drops(&root.says(hostile, add(1001, 1000, "y"))), []);
}

#[test]
fn attack_35_a_name_is_one_part_without_anything_that_acts_on_a_terminal_or_path() {
    let (mut root, hostile, _) = hostile_and_honest();
    let names = ["\x1b]0;x\x07", "\0", "..", "a/b", "ssh.prod", "\u{202e}x", "", &"x".repeat(65)];
    for (number, name) in (1000..).zip(names) {
        root.says(hostile, add(number, 1, name));
        let kept = root.table.name(id(number)).unwrap();
        assert!(kept.len() <= 64, "{kept}");
        assert!(!kept.is_empty() && kept.chars().all(|c| c.is_alphanumeric() || c == '_'), "{kept}");
    }
}

#[test]
fn only_so_many_contexts_live_behind_one_link() {
    let limits = TableLimits { contexts: 3, ..TableLimits::default() };
    let mut root = Bed::new(Table::root_with(limits, 0));
    let link = root.granted(1);
    root.says(link, add(1000, 1, "x"));
    root.says(link, add(1001, 1, "x"));
    assert_eq!(drops(&root.says(link, add(1002, 1, "x"))), [DropKind::Quota]);
    root.says(link, del(&[1000], "gone"));
    assert_eq!(drops(&root.says(link, add(1003, 1, "x"))), []);
}

#[test]
fn a_refusal_from_above_cuts_the_child_with_the_reason_and_is_not_answered_by_a_withdrawal() {
    let mut hop = Bed::hop();
    let child = hop.granted(8);
    hop.says(child, add(8000, 1000, "x"));
    assert_eq!(hop.parent(del(&[1000], "too many")), [Step::Cut(child, "refused: too many".to_owned())]);
    let steps = hop.down(child);
    assert_eq!(withdrawn(&steps), []);
    assert_eq!(lost(&steps), [1000, 8000]);
}

// protocol 5.4
#[test]
fn a_refusal_from_above_of_something_deeper_goes_to_the_context_that_made_it() {
    let mut hop = Bed::hop();
    let child = hop.granted(8);
    let other = hop.child(None);
    hop.says(child, add(8000, 1000, "x"));
    hop.says(child, add(8001, 8000, "y"));
    hop.table.passed(other, id(8001));
    let steps = hop.parent(del(&[8000], "no"));
    assert_eq!(lost(&steps), [8000, 8001]);
    assert_eq!(told(&steps), [(other, vec![8001]), (child, vec![8000])]);
    assert_eq!(withdrawn(&steps), []);
    assert_eq!(hop.table.standing(id(8001)), Standing::Gone);
}

#[test]
fn the_parent_announces_nothing_to_its_child() {
    let mut hop = Bed::hop();
    assert_eq!(drops(&hop.parent(add(77, 0, "x"))), [DropKind::Route]);
    assert_eq!(hop.table.standing(id(77)), Standing::Unknown);
}

// --- withdrawing (rule 6)

// protocol 5.5
#[test]
fn a_withdrawal_takes_all_below_with_it_and_names_the_top_alone_upward() {
    let mut hop = Bed::hop();
    let link = hop.granted(8);
    hop.says(link, add(8000, 1000, "a"));
    hop.says(link, add(8001, 8000, "b"));
    hop.says(link, add(8002, 8001, "c"));
    hop.says(link, add(8003, 1000, "d"));
    let steps = hop.says(link, del(&[8000], "crashed"));
    assert_eq!(withdrawn(&steps), [8000]);
    assert_eq!(lost(&steps), [8000, 8001, 8002]);
    let Some(Step::Lost(del)) = steps.get(1) else { panic!("{steps:?}") };
    assert_eq!((del.top, del.name.as_str(), del.reason.as_str()), (id(8000), "a", "crashed"));
    assert_eq!(hop.table.tree().map(|entry| entry.id.number()).collect::<Vec<_>>(), [1000, 8003]);
}

#[test]
fn attack_34_nobody_withdraws_what_is_somebody_elses_or_itself() {
    let (mut root, hostile, _) = hostile_and_honest();
    let before = root.table.clone();
    for number in [2, 2000, 0, 1, 1000, 77_000] {
        assert_eq!(root.says(hostile, del(&[number], "lies")), [Step::Drop(hostile, DropKind::Route)]);
    }
    assert_eq!(root.table, before);
}

#[test]
fn a_lost_link_withdraws_everything_that_came_by_it() {
    let mut hop = Bed::hop();
    let link = hop.granted(8);
    hop.says(link, add(8000, 1000, "a"));
    hop.says(link, add(8001, 8000, "b"));
    let steps = hop.down(link);
    assert_eq!(withdrawn(&steps), [1000]);
    assert_eq!(lost(&steps), [1000, 8000, 8001]);
    assert!(hop.table.is_idle());
    assert_eq!(hop.down(link), []);
}

// protocol 5.5
#[test]
fn a_link_hears_of_the_loss_of_those_that_talked_over_it_and_of_no_others() {
    let mut root = Bed::new(Table::root());
    let (a, b, c) = (root.granted(1), root.child(None), root.child(None));
    for number in 1000..1004 {
        root.says(a, add(number, 1, "x"));
    }
    root.table.passed(b, id(1001));
    root.table.passed(b, id(1003));
    root.table.passed(a, id(1002));
    assert_eq!(told(&root.says(a, del(&[1001], "gone"))), [(b, vec![1001])]);
    assert_eq!(told(&root.says(a, del(&[1002], "gone"))), []);
    assert_eq!(told(&root.down(a)), [(b, vec![1003])]);
    root.down(b);
    root.down(c);
    assert!(root.table.is_idle());
}

#[test]
fn attack_38_a_link_that_talks_to_too_many_hears_of_every_loss() {
    let mut hop = Bed::hop();
    let (chatty, other) = (hop.child(None), hop.granted(8));
    hop.says(other, add(8000, other.peer.number(), "x"));
    for number in 100_000..1_100_000 {
        hop.table.passed(chatty, id(number));
    }
    assert_eq!(told(&hop.says(other, del(&[8000], "gone"))), [(chatty, vec![8000])]);
    assert_eq!(told(&hop.parent(del(&[77], "gone"))), [(chatty, vec![77])]);
}

#[test]
fn up_to_4096_correspondents_are_remembered_one_by_one() {
    let mut hop = Bed::hop();
    let chatty = hop.child(None);
    for number in 100_000..100_000 + 4096 {
        hop.table.passed(chatty, id(number));
    }
    assert_eq!(told(&hop.parent(del(&[77], "gone"))), []);
    hop.table.passed(chatty, id(99_999));
    assert_eq!(told(&hop.parent(del(&[77], "gone"))), [(chatty, vec![77])]);
}

#[test]
fn news_from_above_reach_this_context_and_the_links_that_talked_to_the_lost() {
    let mut hop = Bed::hop();
    let (a, b) = (hop.child(None), hop.child(None));
    hop.table.passed(a, id(77));
    hop.table.passed(b, id(78));
    let steps = hop.parent(del(&[77, 79], "gone"));
    assert_eq!(lost(&steps), [77, 79]);
    assert_eq!(told(&steps), [(a, vec![77])]);
    assert_eq!(told(&hop.parent(del(&[77, 79], "gone"))), []);
}

#[test]
fn t13_a_second_withdrawal_of_the_same_is_ignored() {
    let mut hop = Bed::hop();
    let link = hop.granted(8);
    hop.says(link, add(8000, 1000, "x"));
    hop.parent(del(&[8000], "no"));
    let before = hop.table.clone();
    assert_eq!(hop.parent(del(&[8000], "no")), []);
    assert_eq!(hop.parent(del(&[5, 1999, 8001], "no")), []);
    assert_eq!(hop.table, before);
}

#[test]
fn a_long_loss_travels_in_frames_of_at_most_4_kib() {
    let mut root = Bed::new(Table::root());
    let (a, b) = (root.granted(1), root.child(None));
    for number in 1000..2000 {
        root.says(a, add(number, 1, &"n".repeat(64)));
        root.table.passed(b, id(number));
    }
    let mut steps = Vec::new();
    root.table.child_down(a, &"r".repeat(100_000), &mut steps);
    let sizes: Vec<_> = told(&steps).iter().map(|(_, ids)| ids.len()).collect();
    assert_eq!(sizes, [500, 500]);
    for step in &steps {
        if let Step::Down(_, RouteFrame::Del(del)) = step {
            let size = del.ids.len() * 5 + del.name.len() + del.reason.len() + 32;
            assert!(size <= 4096, "{size}");
        }
    }
}

#[test]
fn what_is_below_an_orphan_hears_of_those_above_that_it_talked_to() {
    let mut hop = Bed::hop();
    let (a, b, silent) = (hop.child(None), hop.child(None), hop.child(None));
    for (link, other) in [(a, 0), (a, 7), (b, 7), (b, silent.peer.number())] {
        hop.table.passed(link, id(other));
    }
    let mut steps = Vec::new();
    hop.table.parent_down(id(3), "gone", &mut steps);
    assert_eq!(told(&steps), [(a, vec![0, 7]), (b, vec![7])]);
    let Step::Down(_, RouteFrame::Del(del)) = &steps[0] else { panic!("{steps:?}") };
    assert_eq!((del.top, del.reason.as_str()), (id(3), "gone"));
}

// --- trees of tables

#[test]
fn t1_news_of_a_loss_and_an_announcement_of_a_sibling_cross() {
    let mut net = Net::new();
    let (hop, other) = (net.grown(0), net.grown(0));
    let child = net.grown(hop);
    let far = net.grown(other);
    net.talk(child, far);
    net.kill(id(far));
    // The DEL goes up to the root and down to the hop while the hop makes one more child.
    net.deliver(id(other), id(0));
    let sibling = net.grow(id(hop)).unwrap();
    net.run();
    assert_eq!(net.drops, []);
    assert!(net.lost.contains(&(id(hop), id(far))) && net.lost.contains(&(id(child), id(far))));
    assert_eq!(net.tables[&id(0)].standing(sibling), Standing::Live);
}

#[test]
fn t1_a_withdrawal_of_an_id_that_is_not_behind_that_link_is_ignored() {
    let mut net = Net::new();
    let (hop, other) = (net.grown(0), net.grown(0));
    let child = net.grown(hop);
    net.send(id(other), id(0), del(&[child], "lies"));
    net.run();
    assert_eq!(net.drops, [(id(0), DropKind::Route)]);
    assert_eq!(net.tables[&id(0)].standing(id(child)), Standing::Live);
}

#[test]
fn a_chain_of_ten_contexts_is_known_at_the_root_and_withdrawn_at_once() {
    let mut net = Net::new();
    let mut at = 0;
    for _ in 0..10 {
        at = net.grown(at);
    }
    let depth = net.tables[&id(0)].tree().count();
    assert_eq!((depth, at), (10, 9000));
    net.kill(id(1));
    assert!(net.tables[&id(0)].is_idle());
    assert_eq!(net.lost.iter().filter(|(at, _)| *at == ContextId::ROOT).count(), 10);
}

#[test]
fn two_hops_allocate_at_once_and_get_different_ranges() {
    let mut net = Net::new();
    let (a, b) = (net.grown(0), net.grown(0));
    assert_eq!((net.grow(id(a)), net.grow(id(b))), (None, None));
    net.run();
    assert_eq!((net.grow(id(a)), net.grow(id(b))), (Some(id(1000)), Some(id(2000))));
    assert_eq!(
        net.tables[&id(0)].ids.grants().map(|(range, _)| range).collect::<Vec<_>>(),
        [range(1), range(2)]
    );
}
