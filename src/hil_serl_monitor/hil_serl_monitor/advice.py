# SPDX-License-Identifier: Apache-2.0
"""Advice to the operator while a policy trains, after the paper's Sec. 3.4 and 3.5. A plain object; knows no topics.

The paper: intervene more at first and ever less, with specific corrections, and leave the robot to explore otherwise;
do not persistently carry episodes to success with long interventions, because values are then overestimated, above
all early in training.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from hil_serl_core.methods import Method
from hil_serl_core.spec import TaskSpec
from hil_serl_runs.statistics import WINDOW, Episode, LearnerSample, counted

CARRIED_SHARE = 0.5
"""Share of an episode's steps from which the person, not the policy, is what made it succeed: the larger half."""

LONG_SHARE = 1.0 / 3.0
"""Mean length of an intervention, as a share of its episode, from which it is no correction any more. Two corrections
that mend an episode take well under a third of it each; somebody who finishes the task for the robot takes more."""

PERSISTENT = 5
"""Carried successes within the window that count as a habit: a quarter of it. One or two rescues do no harm."""

OWN_SUCCESS = 0.25
"""Share of episodes solved without any intervention below which training is early: critics have then seen too few
successes of the policy itself to correct what they believe of the person's."""

Q_MARGIN = 0.05
"""Overshoot of the largest possible return that is let pass: a regression onto targets at the bound scatters around it
by a few per cent. The mean over a batch stands far below the bound (0.59 of 1 on the USB twin) while all is well."""

Q_SAMPLES = 10
"""Looks at the learner in a row, one a second, that find such values: one batch may be an outlier."""

LOW_SUCCESS = 0.3
"""Success rate below which a window without interventions is worth a word: demonstrations alone leave a policy at 30
to 40 % (behaviour cloning on the RAM twin), so that below it exploring by itself finds too little."""


LEAST_DONE = 0.8
"""Share of the owed updates below which the learner counts as too slow: results of this suite have all of them."""

OWED_RECORDS = 100
"""Records whose updates are looked at, about 10 s: while a checkpoint is written a few may be skipped."""


@dataclass(frozen=True)
class Advice:
    """One thing that the operator should know.

    Attributes:
        kind: Short name, the same each time.
        reason: What was seen and why it matters.
        remedy: What to do.
    """

    kind: str
    reason: str
    remedy: str

    @property
    def text(self) -> str:
        """Everything in one line."""
        return f"{self.kind}: {self.reason}. {self.remedy}."


class Advisor:
    """Looks at a training for what the operator could do better.

    Args:
        spec: The task.
        method: The learning method; one that clones learns no values that could be overestimated.
        person: A person can intervene. (A script takes no advice.)
    """

    def __init__(self, spec: TaskSpec, method: Method, person: bool) -> None:
        self._spec, self._method = spec, method
        self._person = person and method.needs_operator
        self._q: deque[float] = deque(maxlen=Q_SAMPLES)
        self._updates = -1
        self._owed: deque[tuple[int, int]] = deque()

    def see(self, learner: LearnerSample) -> None:
        """Take the learner's newest counters; the same ones again change nothing."""
        if learner.updates != self._updates:
            self._updates = learner.updates
            self._q.append(learner.q_mean)
        self._see_owed(learner.owed_updates, learner.skipped_updates)

    def _see_owed(self, owed: int, skipped: int) -> None:
        """Keeps the counts of the last records; those of a learner that was resumed may fall."""
        if self._owed and owed < self._owed[-1][0]:
            self._owed.clear()
        if not self._owed or owed > self._owed[-1][0]:
            self._owed.append((owed, skipped))
        wanted = OWED_RECORDS * self._spec.learner.update_to_data
        while len(self._owed) > 2 and owed - self._owed[1][0] >= wanted:
            self._owed.popleft()

    def advice(self, episodes: Sequence[Episode]) -> list[Advice]:
        """What there is to say after these episodes of the training, most urgent first."""
        recent = counted(episodes)[-WINDOW:]
        found = [self._slow()]
        found += [self._values()] if self._method.explores else []
        if self._person:
            found += [self._carried(recent) if self._method.explores else None, self._absent(recent)]
        return [advice for advice in found if advice is not None]

    def _slow(self) -> Advice | None:
        learner = self._spec.learner
        if not self._owed:
            return None
        owed, skipped = (new - old for new, old in zip(self._owed[-1], self._owed[0], strict=True))
        if owed < OWED_RECORDS * learner.update_to_data or skipped <= (1.0 - LEAST_DONE) * owed:
            return None
        share = 1.0 - skipped / owed
        remedies = ["a GPU (device:=cuda)", "more CPU threads for the learner"]
        if learner.feature_cache and learner.crop_padding and learner.augmented_views > 1:
            remedies.append(f"learner.augmented_views below {learner.augmented_views}")
        remedies += [f"learner.batch_size below {learner.batch_size}", "fewer or smaller cameras"]
        reached = share * learner.update_to_data
        lower = f"; or learner.update_to_data: {reached:.2g}, which it reaches, at the price of more steps"
        return Advice(
            "learner too slow",
            f"this machine does {share:.0%} of the {learner.update_to_data:g} updates that each step owes "
            "(learner.update_to_data), and skips the others",
            f"What helps: {', '.join(remedies)}{lower if reached >= 0.1 else ''} (hil-serl bench measures it)",
        )

    def _values(self) -> Advice | None:
        bounds = self._spec.return_bounds
        if bounds is None or len(self._q) < Q_SAMPLES:
            return None
        largest = bounds[1]
        if not all(math.isfinite(q) and q > largest + Q_MARGIN * abs(largest) for q in self._q):
            return None
        remedy = "Keep interventions short and let the policy fail and succeed by itself for a while"
        if not self._spec.learner.bounded_targets:
            remedy += "; learner.bounded_targets: true keeps TD targets possible"
        remedy += "; if it stays, look for false successes of the reward"
        return Advice(
            "values too high",
            f"mean Q is {self._q[-1]:.2f}, and no policy can return more than {largest:g} in this task",
            remedy,
        )

    def _carried(self, recent: Sequence[Episode]) -> Advice | None:
        own = sum(e.success and not e.interventions for e in recent)
        carried = [e for e in recent if is_carried(e)]
        if len(carried) < PERSISTENT or own >= OWN_SUCCESS * len(recent):
            return None
        return Advice(
            "long interventions",
            f"you carried {len(carried)} of the last {len(recent)} episodes to success, the policy solved {own} alone: "
            "so early, that makes the critic overestimate what the policy can do",
            "Correct one mistake for a second or two, let go, and let some episodes fail",
        )

    def _absent(self, recent: Sequence[Episode]) -> Advice | None:
        if len(recent) < WINDOW or any(e.interventions for e in recent):
            return None
        success = sum(e.success for e in recent) / len(recent)
        if success >= LOW_SUCCESS:
            return None
        return Advice(
            "no interventions",
            f"{success:.0%} of the last {len(recent)} episodes succeeded and nobody corrected them: "
            "exploring alone rarely finds the way out of a dead end",
            "Correct the robot briefly where it gets stuck or goes astray "
            "(if you do and nothing happens: hil-serl teleop-check)",
        )


def is_carried(episode: Episode) -> bool:
    """A success that is the person's rather than the policy's: long interventions that fill most of the episode."""
    if not (episode.success and episode.interventions and episode.steps):
        return False
    share = episode.intervened_steps / episode.steps
    return share >= CARRIED_SHARE and share / episode.interventions >= LONG_SHARE


class Announcer:
    """Which advice is new, so that it is said once in the log while the view goes on showing it."""

    def __init__(self) -> None:
        self._shown: frozenset[str] = frozenset()

    def new(self, advice: Sequence[Advice]) -> list[Advice]:
        """Those that were not among the advice of the last call."""
        fresh = [one for one in advice if one.kind not in self._shown]
        self._shown = frozenset(one.kind for one in advice)
        return fresh
