# SPDX-License-Identifier: Apache-2.0
"""Analysis of a run: which steps belong to which checkpoint, and what is drawn of them."""

from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest

from hil_serl_cli.results import analysis
from hil_serl_cli.results.analysis_pictures import action_names, draw_heat_maps, draw_trajectories
from hil_serl_core.weights import POLICY_FILE
from hil_serl_learner import bags
from hil_serl_runs.run_folder import RunFolderError


@dataclass
class Agent:
    """Answers with the step's own number, so that what was asked shows in what is answered."""

    trained_step: int
    critics: object | None = "critics"

    def embed(self, steps):
        return SimpleNamespace(
            numbers=np.array([s.number for s in steps], float), actions=np.zeros((len(steps), 6))
        )

    def values(self, embedded, actions):
        return embedded.numbers + self.trained_step

    def value_variances(self, embedded, actions, rng):
        return embedded.numbers


def steps(count):
    """Every fifth record ends an episode and carries no action."""
    for number in range(count):
        last = number % 5 == 4
        poses = np.full((1, 7), 0.001 * number)
        action = None if last else np.zeros(6)
        yield SimpleNamespace(number=number, stamp=0.1 * number, action=action, tcp_poses=poses)


@pytest.fixture
def run(tmp_path, monkeypatch):
    for number in (500, 1000, 1500, 4000, 8000):
        folder = tmp_path / "checkpoints" / f"step_{number:08d}"
        folder.mkdir(parents=True)
        (folder / POLICY_FILE).touch()
    recorded(tmp_path, monkeypatch, actor_0=list(steps(100)))
    return tmp_path


def recorded(folder, monkeypatch, **actors):
    """Training bags of each actor, as far as what reads them is concerned."""
    for actor in actors:
        bag = folder / "bags" / "train" / actor / "000"
        bag.mkdir(parents=True, exist_ok=True)
        (bag / "000_0.mcap").touch()
    monkeypatch.setattr(bags, "read_steps", lambda path, **_: iter(actors[path.name]))


def test_checkpoints_are_spread_over_the_training_with_the_last_one(run):
    chosen = [path.name for path in analysis.checkpoints_of(run, 2)]
    assert chosen == ["step_00004000", "step_00008000"]
    assert len(analysis.checkpoints_of(run, 40)) == 5
    with pytest.raises(RunFolderError, match="train it first"):
        analysis.checkpoints_of(run / "nowhere", 2)


def test_a_step_belongs_to_the_checkpoint_that_was_trained_on_it_next(run):
    first, second = analysis.windows(run, [Agent(8), Agent(40)])
    # records 4 and 9 carry no action: transitions 0-7 are records 0-3 and 5-8
    assert first.positions[:, 0] == pytest.approx([0, 0.001, 0.002, 0.003, 0.005, 0.006, 0.007, 0.008])
    assert len(second.positions) == 32
    assert first.values == pytest.approx(first.variances + 8)
    assert second.values == pytest.approx(second.variances + 40)


def test_steps_of_several_actors_count_in_the_order_of_their_making(run, monkeypatch):
    both = list(steps(40))
    recorded(run, monkeypatch, actor_0=both[:10] + both[20:30], actor_1=both[10:20] + both[30:])
    first, second = analysis.windows(run, [Agent(16), Agent(32)])
    assert [round(1000 * x) for x in first.positions[:, 0]] == [n for n in range(20) if n % 5 != 4]
    assert [round(1000 * x) for x in second.positions[:, 0]] == [n for n in range(20, 40) if n % 5 != 4]


def test_many_steps_are_thinned_evenly(run):
    (window,) = analysis.windows(run, [Agent(80)], most=20)
    assert len(window.positions) == 20
    assert window.positions[-1, 0] > 0.09


def test_a_method_without_critic_has_visits_only(run, tmp_path):
    (window,) = analysis.windows(run, [Agent(80, critics=None)])
    assert np.isnan(window.values).all()
    draw_heat_maps([window], tmp_path / "maps.png")
    assert (tmp_path / "maps.png").stat().st_size > 5000


def test_a_run_without_training_steps_is_named(run, tmp_path):
    with pytest.raises(RunFolderError, match="no training steps"):
        analysis.windows(tmp_path / "elsewhere", [Agent(80)])


def test_cells_hold_counts_or_means_and_nothing_where_nobody_was():
    x, y = np.array([0.1, 0.2, 1.5]), np.array([0.5, 0.5, 1.5])
    edges = (np.array([0.0, 1.0, 2.0]),) * 2
    counts = analysis.grid(x, y, None, edges)
    means = analysis.grid(x, y, np.array([1.0, 3.0, 7.0]), edges)
    assert counts[0, 0] == 2
    assert (means[0, 0], means[1, 1]) == (2.0, 7.0)  # rows are y
    assert np.isnan(counts[0, 1])
    assert np.isnan(means[1, 0])


def test_pictures_of_maps_and_of_the_policy_over_time(run, tmp_path):
    windows = analysis.windows(run, [Agent(40), Agent(80)])
    draw_heat_maps(windows, tmp_path / "maps.png", "xz", "title")
    line = analysis.Trajectory(3, True, np.zeros((9, 14)), np.full((9, 14), 0.3))
    spec = SimpleNamespace(arm_names=("left", "right"), action=SimpleNamespace(kind="twist"))
    names = action_names(spec)
    assert (names[0], names[-1]) == ("left x", "right yaw")
    draw_trajectories([line], names, tmp_path / "policy.png")
    assert (tmp_path / "maps.png").stat().st_size > 10_000
    assert (tmp_path / "policy.png").stat().st_size > 10_000
