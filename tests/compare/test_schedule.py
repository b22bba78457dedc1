"""Which cells there are, in which order, and how many fit into a time."""

import pytest

from hf_mmel.cli.errors import UsageError
from hf_mmel.compare.grid import Kind, grid, kinds_of
from hf_mmel.compare.schedule import Schedule


KINDS = kinds_of(["none", "hard"], ["wordnet", "mlm"])
NONE, WORDNET, MLM = KINDS


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def play(schedule, clock, seconds):
    """Runs what the schedule hands out at one place, and gives the cells; `seconds` says how long a cell takes."""
    cells = []
    while (cell := schedule.next_cell()) is not None:
        cells.append(cell)
        clock.now += (took := seconds(cell))
        schedule.ended(cell, took)
    return cells


def test_none_is_trained_once_per_seed_and_the_others_with_each_augmenter():
    kinds = kinds_of(["soft", "none", "hard"], ["wordnet", "mlm"])
    assert kinds == [
        Kind("none"),
        Kind("soft", "wordnet"),
        Kind("hard", "wordnet"),
        Kind("soft", "mlm"),
        Kind("hard", "mlm"),
    ]
    cells = grid(kinds, [3, 7])
    assert [cell.seed for cell in cells] == [3] * 5 + [7] * 5
    assert len({str(cell) for cell in cells}) == 10 and str(cells[5]) == "none-seed-7"


def test_without_a_budget_all_are_run_in_the_order_of_the_grid(clock):
    cells = grid(KINDS, [1, 2])
    assert play(Schedule(cells, {}, clock=clock), clock, lambda cell: 60) == cells


def test_what_is_finished_is_not_run(clock):
    cells = grid(KINDS, [1, 2])
    assert play(Schedule(cells, dict.fromkeys(cells[1:4], 60.0), clock=clock), clock, lambda cell: 60) == [
        cells[0],
        *cells[4:],
    ]


def test_a_budget_measures_one_cell_with_variants_alone_first(clock):
    schedule = Schedule(grid(KINDS, [1, 2]), {}, num_places=4, budget=1e4, clock=clock)
    first = schedule.next_cell()
    assert first.kind == WORDNET and schedule.next_cell() is None
    schedule.ended(first, 10)
    assert [schedule.next_cell().kind for _ in range(3)] == [NONE, MLM, NONE]


@pytest.mark.parametrize(("budget", "seeds"), [(30, 3), (23, 2), (18, 1), (1000, 5)])
def test_as_many_seeds_are_run_as_end_in_time(clock, budget, seeds):
    """Each seed takes nine minutes; a tenth of the time that is left is a margin."""
    schedule, begun = Schedule(grid(KINDS, range(1, 6)), {}, budget=60 * budget, clock=clock), clock.now
    cells = play(schedule, clock, lambda cell: 180)
    assert {cell.seed for cell in cells} == set(range(1, seeds + 1)) and len(cells) == 3 * seeds
    assert clock.now - begun <= 60 * budget
    assert sorted(schedule.left_out) == list(range(seeds + 1, 6))


def test_times_that_turn_out_longer_leave_out_the_last_seed(clock):
    schedule = Schedule(grid(KINDS, [1, 2, 3]), {}, budget=1000, clock=clock)
    cells = play(schedule, clock, lambda cell: 60 if cell.kind == WORDNET else 130)
    assert {cell.seed for cell in cells} == {1, 2} and clock.now <= 2000


def test_two_places_take_half_the_time(clock):
    cells = grid(KINDS, [1, 2, 3, 4])
    known = dict.fromkeys(cells[:3], 100.0)
    for places, seconds in ((1, 900), (2, 500), (3, 300)):
        assert Schedule(cells, known, num_places=places, clock=clock).remaining() == seconds


def test_what_runs_counts_by_what_is_left_of_it(clock):
    cells = grid(KINDS, [1])
    schedule = Schedule(cells, {cells[0]: 100.0}, clock=clock)
    schedule.next_cell()
    clock.now += 40
    assert schedule.remaining() == 160


def test_what_is_finished_before_is_not_paid_for_by_the_budget(clock):
    cells = grid(KINDS, [1, 2])
    schedule = Schedule(cells, dict.fromkeys(cells[:4], 100.0), budget=250, clock=clock)
    assert play(schedule, clock, lambda cell: 100) == cells[4:]


def test_a_budget_in_which_no_seed_fits_says_what_would(clock):
    schedule = Schedule(grid(KINDS, [1, 2]), {}, budget=600, clock=clock)
    schedule.ended(schedule.next_cell(), 300)
    clock.now += 300
    with pytest.raises(UsageError, match=r"budget is 10\.0 min, and the first seed takes some 17 min here") as error:
        schedule.next_cell()
    assert "--budget 17m" in str(error.value)
    longer = Schedule(grid(KINDS, [1, 2]), {}, budget=17 * 60, clock=clock)
    assert len(play(longer, clock, lambda cell: 300)) == 3


def test_the_budget_runs_from_the_beginning_of_the_command(clock):
    cells = grid(KINDS, [1, 2])
    known = dict.fromkeys(cells[:1], 100.0)
    early, late = (Schedule(cells, known, budget=700, begun=clock.now - spent, clock=clock) for spent in (0, 200))
    assert len(play(late, clock, lambda cell: 100)) == 2 and late.left_out == [2]
    clock.now -= 200
    assert len(play(early, clock, lambda cell: 100)) == 5


def test_cells_of_the_first_seed_that_run_are_not_given_up(clock):
    schedule = Schedule(grid(KINDS, [1]), {}, num_places=2, budget=300, clock=clock)
    schedule.ended(schedule.next_cell(), 100)
    running = schedule.next_cell()
    clock.now += 250
    assert schedule.next_cell() is None
    schedule.ended(running, 250)
    with pytest.raises(UsageError, match="What is finished is kept"):
        schedule.next_cell()


def test_a_failed_cell_cannot_be_measured(clock):
    schedule = Schedule(grid(KINDS, [1]), {}, budget=300, clock=clock)
    cell = schedule.next_cell()
    schedule.ended(cell, None)
    with pytest.raises(UsageError, match=r"hard-wordnet-seed-1.*has failed"):
        schedule.next_cell()
