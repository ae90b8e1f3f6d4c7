# SPDX-License-Identifier: Apache-2.0
"""Whose episode comes next: one agent, or a forward and a backward agent that undo each other (SERL paper, Sec. 4.3)."""

from __future__ import annotations

from collections.abc import Sequence

from hil_serl_actor.loop.agent import Agent
from hil_serl_core.episode import EpisodeResult


class Rotation:
    """Agents of one cell and whose turn it is.

    An agent that has succeeded has made the other one's initial state, so that one is next. One that has not tries again:
    from where the scene is after a time-out, after a full reset if the objects were lost. Having failed ``reset.attempts``
    times in a row it gives its turn away, after a full reset for the other one: else an agent that cannot solve its task
    yet would keep the other from ever training. The first agent begins, after a full reset.

    Attributes:
        agents: The agents; of two, the forward one first.
        turn: Index of the agent whose episode it is.
        handed_over: For people: the episode that has just ended gave the turn away unsolved; else empty.
    """

    def __init__(self, agents: Sequence[Agent]) -> None:
        """Raises ValueError without agents."""
        if not agents:
            raise ValueError("a control loop needs an agent")
        self.agents = tuple(agents)
        self.turn = 0
        self.handed_over = ""
        self._unsolved = 0  # episodes in a row, of the agent whose turn it is
        self._passed = False

    @property
    def agent(self) -> Agent:
        """Whose episode it is."""
        return self.agents[self.turn]

    def resets_arm_only(self, scene_needs_reset: bool) -> bool:
        """Whether the cell is asked to leave the objects to people or to the other agent.

        A task whose partner is not there (evaluation of one direction) has everything reset, like a scripted one.
        """
        reset = self.agent.spec.reset
        if reset.method == "human":
            return True
        undone = reset.partner is None or len(self.agents) > 1
        return reset.method == "arm" and undone and not scene_needs_reset

    def finished(self, result: EpisodeResult) -> bool:
        """An episode is over.

        Returns:
            Whether the next one needs everything to be reset.
        """
        self._passed, self.handed_over = False, ""
        if result.aborted:
            self.start_over()
            return True
        if result.success:
            self._next()
            return False
        self._unsolved += 1
        attempts = self.agent.spec.reset.attempts
        if len(self.agents) == 1 or attempts is None or self._unsolved < attempts:
            return result.reason == "failure"
        count, tired = self._unsolved, self.agent.spec.name
        self._next()
        self.handed_over = (
            f"task '{tired}' was not solved {count} times in a row: everything is reset, and it is the turn of task "
            f"'{self.agent.spec.name}'"
        )
        return True

    def start_over(self) -> None:
        """The scene is unknown, between two episodes: the first agent begins, after a full reset."""
        self._passed = False
        if self.turn:
            self._unsolved = 0
        self.turn = 0

    def pass_on(self) -> bool:
        """The task is done before its episode began: gives the turn to the other agent, once between two episodes.

        Objects that were lost on the way to the start, or that a person moved, may lie where the other agent begins.

        Returns:
            False when there is nobody else.
        """
        if len(self.agents) == 1 or self._passed:
            return False
        self._passed = True
        self._next()
        return True

    def _next(self) -> None:
        self._unsolved = 0
        self.turn = (self.turn + 1) % len(self.agents)
