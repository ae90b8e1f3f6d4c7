# SPDX-License-Identifier: Apache-2.0
import dataclasses

import numpy as np
import pytest

from hil_serl_core.action import ArmCommand, TwistMapper
from hil_serl_sim.expert import Expert
from hil_serl_sim.operator import OperatorMode, Person, ScriptedOperator
from hil_serl_sim.operator_session import ArmSight, OperatorSession, ScenePoses
from hil_serl_sim.rollout import run_episode


def make(cell, mode, seed=0, person=None) -> ScriptedOperator:
    operator = ScriptedOperator(cell.spec, cell.twin.guide(), seed, person)
    operator.mode = mode
    return operator


def run(cell, operator, policy, seeds) -> dict[str, np.ndarray]:
    """Episodes with the operator's input arbitrated as the actor does it."""
    episodes = [run_episode(cell, seed, policy, operator) for seed in seeds]
    return {
        "success": np.array([e.success for e in episodes]),
        "steps": np.array([e.steps for e in episodes]),
        "intervened": np.array([e.intervened for e in episodes]),
        "segments": np.array([length for e in episodes for length in e.interventions]),
    }


def nothing(view):
    return np.zeros(6)


def test_demonstrations_succeed_slower_than_the_expert(cell):
    result = run(cell, make(cell, OperatorMode.DEMONSTRATE), nothing, range(20))
    assert result["success"].sum() >= 18
    assert 25 < result["steps"][result["success"]].mean() < 50


def test_stays_out_of_a_good_policys_way(cell):
    expert = Expert(cell.spec, cell.twin.guide())
    result = run(cell, make(cell, OperatorMode.SUPERVISE), expert.action, range(10))
    assert result["intervened"].sum() == 0
    assert result["success"].all()


def test_helps_less_the_better_the_policy_and_in_short_corrections(cell):
    expert = Expert(cell.spec, cell.twin.guide())

    def off_by(distance):
        bias = np.array([distance, 0.0, 0.0, 0.0, 0.0, 0.0])
        return lambda view: expert.action(view, bias)

    results = [
        run(cell, make(cell, OperatorMode.SUPERVISE), off_by(d), range(10)) for d in (0.02, 0.0008, 0.0)
    ]
    bad, fair, good = (r["intervened"].sum() / r["steps"].sum() for r in results)
    assert bad > fair > good == 0.0
    assert 0.15 < bad < 0.55  # the policy keeps most of the steps even when it is hopeless
    person = Person()
    release = cell.spec.intervention.release_steps
    assert results[0]["segments"].max() <= person.correction_steps[1] + release
    assert results[0]["segments"].mean() < 12


def test_off_keeps_the_hand_off(cell):
    result = run(cell, make(cell, OperatorMode.OFF), nothing, [0])
    assert result["intervened"].sum() == 0


def record(cell, operator, steps=25, seed=3, resets=None):
    """Inputs over an episode whose arm obeys the operator."""
    mapper = TwistMapper(cell.spec)
    cell.reset(seed)
    axes = []
    for tick in range(steps):
        state, view = cell.arm_state(), dataclasses.replace(cell.view(), stamp=0.1 * tick)
        axes.append(operator.act(view, resets or 1)[""].axes)
        cell.advance({"": ArmCommand(pose=mapper.target(axes[-1], state.pose))})
    return np.array(axes)


def test_same_seed_same_person_another_seed_another(cell):
    first = record(cell, make(cell, OperatorMode.DEMONSTRATE, seed=1))
    again = record(cell, make(cell, OperatorMode.DEMONSTRATE, seed=1))
    other = record(cell, make(cell, OperatorMode.DEMONSTRATE, seed=2))
    assert first.tobytes() == again.tobytes()
    assert np.abs(first - other).max() > 0.05


def test_same_stamp_same_answer(cell):
    operator = make(cell, OperatorMode.DEMONSTRATE)
    cell.reset(0)
    for tick in range(10):
        view = dataclasses.replace(cell.view(), stamp=0.1 * tick)
        first = operator.act(view, 1)
        assert operator.act(view, 1) is first


def test_reacts_late_and_moves_its_hand_smoothly(cell):
    person = Person(start_steps=(0, 0), pause_chance=0.0)
    axes = record(cell, make(cell, OperatorMode.DEMONSTRATE, person=person))
    assert (axes[:2] == 0).all()  # has not seen anything yet
    assert np.abs(axes[2:6]).max() > 0.1
    assert np.abs(np.diff(axes, axis=0)).max() < person.hand_rate + 8 * person.tremor
    assert np.abs(axes).max() <= 1.0
    still = dataclasses.replace(person, tremor=0.0)
    assert (record(cell, make(cell, OperatorMode.DEMONSTRATE, person=still)) != axes).any()


def view(stamp_ns, resets=1):
    return ScenePoses(
        stamp_ns, resets, False, False, {"card": np.eye(7)[6] * 1.0, "slot": np.eye(7)[6] * 1.0}
    )


POSE = np.array([0.0, 0.0, 0.1, 1.0, 0.0, 0.0, 0.0])


def sight(stamp_ns):
    return ArmSight(stamp_ns, POSE, np.zeros(6), np.nan)


TICK = 100_000_000


def test_session_answers_complete_ticks_only_and_waits_for_the_announcement(cell):
    session = OperatorSession(cell.spec, make(cell, OperatorMode.OFF), None, lockstep=True, patience=3.0)
    session.see_scene(view(TICK), wall=0.0)
    assert session.answer(0.0) is None  # no arm state
    session.see_arm("", sight(0))
    assert session.answer(0.0) is None  # of another tick
    session.see_arm("", sight(TICK))
    assert session.answer(0.0) is None  # what to do in this episode is not known yet
    session.announce("record_demos", TICK)
    stamp, _ = session.answer(0.0)
    assert stamp == TICK
    session.see_scene(view(5 * TICK, resets=2), wall=1.0)
    session.see_arm("", sight(5 * TICK))
    assert session.answer(1.0) is None
    assert session.answer(4.5) is not None  # the announcement was missed
    with pytest.raises(ValueError, match="dance"):
        session.announce("dance", 0)


def test_session_follows_the_actors_mode(cell):
    operator = make(cell, OperatorMode.OFF)
    session = OperatorSession(cell.spec, operator, None, lockstep=True)
    for mode, expected in [
        ("record_demos", OperatorMode.DEMONSTRATE),
        ("train", OperatorMode.SUPERVISE),
        ("eval", OperatorMode.OFF),
    ]:
        session.announce(mode, 0)
        assert operator.mode is expected
    fixed = OperatorSession(cell.spec, operator, OperatorMode.SUPERVISE, lockstep=True)
    fixed.announce("eval", 0)
    assert operator.mode is OperatorMode.SUPERVISE


def test_session_keeps_to_its_period_in_real_time(cell):
    session = OperatorSession(
        cell.spec, make(cell, OperatorMode.DEMONSTRATE), OperatorMode.DEMONSTRATE, False
    )
    session.see_arm("", sight(0))
    answers = 0
    for tick in range(1, 21):  # the scene is shown every 50 ms
        session.see_scene(view(tick * TICK // 2), wall=0.0)
        answers += session.answer(0.0) is not None
    assert answers == 10
