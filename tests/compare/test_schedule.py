"""Which runs there are, in which order, and how many fit into a time."""

from pathlib import Path

import pytest

from hf_mmel.cli.errors import UsageError
from hf_mmel.compare.plan import Plan, Setting
from hf_mmel.compare.runner import Schedule


def plan(seeds, methods=("none", "hard"), augmenters=("wordnet", "mlm")):
    return Plan(list(methods), {name: name for name in augmenters}, list(seeds), [], Path("out"))


def grid(*seeds):
    return plan(seeds).runs


NONE, WORDNET, MLM = plan([1]).settings


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def play(schedule, clock, seconds):
    """Executes the runs that the schedule hands out, and returns them; `seconds` says how long a run takes."""
    runs = []
    while (run := schedule.next_run()) is not None:
        runs.append(run)
        clock.now += (took := seconds(run))
        schedule.ended(run, took)
    return runs


def test_none_is_trained_once_per_seed_and_the_others_with_each_augmenter():
    planned = plan([3, 7], ["soft", "none", "hard"])
    assert planned.settings == [
        Setting("none"),
        Setting("soft", "wordnet"),
        Setting("hard", "wordnet"),
        Setting("soft", "mlm"),
        Setting("hard", "mlm"),
    ]
    runs = planned.runs
    assert [run.seed for run in runs] == [3] * 5 + [7] * 5
    assert len({str(run) for run in runs}) == 10 and str(runs[5]) == "none-seed-7"


def test_without_a_budget_all_are_run_in_the_order_of_the_grid(clock):
    runs = grid(1, 2)
    assert play(Schedule(runs, {}, clock=clock), clock, lambda run: 60) == runs


def test_what_is_finished_is_not_run(clock):
    runs = grid(1, 2)
    assert play(Schedule(runs, dict.fromkeys(runs[1:4], 60.0), clock=clock), clock, lambda run: 60) == [
        runs[0],
        *runs[4:],
    ]


def test_a_budget_times_one_run_with_variants_alone_first(clock):
    schedule = Schedule(grid(1, 2), {}, num_jobs=4, budget=1e4, clock=clock)
    first = schedule.next_run()
    assert first.setting == WORDNET and schedule.next_run() is None
    schedule.ended(first, 10)
    assert [schedule.next_run().setting for _ in range(3)] == [NONE, MLM, NONE]


@pytest.mark.parametrize(("budget", "seeds"), [(30, 3), (23, 2), (18, 1), (1000, 5)])
def test_as_many_seeds_are_run_as_end_in_time(clock, budget, seeds):
    """Each seed takes nine minutes; the margin is a tenth of the time left."""
    schedule, begun = Schedule(grid(1, 2, 3, 4, 5), {}, budget=60 * budget, clock=clock), clock.now
    runs = play(schedule, clock, lambda run: 180)
    assert {run.seed for run in runs} == set(range(1, seeds + 1)) and len(runs) == 3 * seeds
    assert clock.now - begun <= 60 * budget
    assert sorted(schedule.left_out) == list(range(seeds + 1, 6))


def test_times_that_turn_out_longer_leave_out_the_last_seed(clock):
    schedule = Schedule(grid(1, 2, 3), {}, budget=1000, clock=clock)
    runs = play(schedule, clock, lambda run: 60 if run.setting == WORDNET else 130)
    assert {run.seed for run in runs} == {1, 2} and clock.now <= 2000


def test_two_jobs_take_half_the_time(clock):
    runs = grid(1, 2, 3, 4)
    known = dict.fromkeys(runs[:3], 100.0)
    for num_jobs, seconds in ((1, 900), (2, 500), (3, 300)):
        assert Schedule(runs, known, num_jobs=num_jobs, clock=clock).remaining() == seconds


def test_what_runs_counts_by_what_is_left_of_it(clock):
    runs = grid(1)
    schedule = Schedule(runs, {runs[0]: 100.0}, clock=clock)
    schedule.next_run()
    clock.now += 40
    assert schedule.remaining() == 160


def test_what_is_finished_before_is_not_paid_for_by_the_budget(clock):
    runs = grid(1, 2)
    schedule = Schedule(runs, dict.fromkeys(runs[:4], 100.0), budget=250, clock=clock)
    assert play(schedule, clock, lambda run: 100) == runs[4:]


def test_a_budget_in_which_no_seed_fits_says_what_would(clock):
    schedule = Schedule(grid(1, 2), {}, budget=600, clock=clock)
    schedule.ended(schedule.next_run(), 300)
    clock.now += 300
    with pytest.raises(UsageError, match=r"budget is 10\.0 min, but the first seed takes about 17 min here") as error:
        schedule.next_run()
    assert "--budget 17m" in str(error.value)
    longer = Schedule(grid(1, 2), {}, budget=17 * 60, clock=clock)
    assert len(play(longer, clock, lambda run: 300)) == 3


def test_the_budget_runs_from_the_beginning_of_the_command(clock):
    runs = grid(1, 2)
    known = dict.fromkeys(runs[:1], 100.0)
    early, late = (Schedule(runs, known, budget=700, start=clock.now - spent, clock=clock) for spent in (0, 200))
    assert len(play(late, clock, lambda run: 100)) == 2 and late.left_out == [2]
    clock.now -= 200
    assert len(play(early, clock, lambda run: 100)) == 5


def test_runs_of_the_first_seed_that_run_are_not_given_up(clock):
    schedule = Schedule(grid(1), {}, num_jobs=2, budget=300, clock=clock)
    schedule.ended(schedule.next_run(), 100)
    running = schedule.next_run()
    clock.now += 250
    assert schedule.next_run() is None
    schedule.ended(running, 250)
    with pytest.raises(UsageError, match="Finished runs are kept"):
        schedule.next_run()


def test_a_failed_run_cannot_be_timed(clock):
    schedule = Schedule(grid(1), {}, budget=300, clock=clock)
    run = schedule.next_run()
    schedule.ended(run, None)
    with pytest.raises(UsageError, match=r"hard-wordnet-seed-1 failed; --budget needs its time"):
        schedule.next_run()
