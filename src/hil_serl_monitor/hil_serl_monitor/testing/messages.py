# SPDX-License-Identifier: Apache-2.0
"""Messages of actor and learner as the monitor reads them."""

from __future__ import annotations

from types import SimpleNamespace


def summary(**fields):
    values = {
        "started": False,
        "actor_id": "actor",
        "episode": 0,
        "success": True,
        "truncated": False,
        "aborted": False,
        "reason": "success",
        "steps": 12,
        "intervened_steps": 3,
        "interventions": 1,
        "duration": 1.2,
        "episode_return": 1.0,
        "policy_version": 4,
        "seed": 9,
    }
    return SimpleNamespace(**{**values, **fields})


def status(**fields):
    values = {
        "phase": "training",
        "environment_steps": 40,
        "trained_step": 39,
        "updates": 117,
        "policy_version": 2,
        "demo_size": 700,
        "rl_size": 40,
        "updates_per_second": 20.0,
        "critic_loss": 0.1,
        "actor_loss": 0.2,
        "temperature": 0.01,
        "entropy": -3.0,
        "q_mean": 0.5,
        "message": "",
        "owed_updates": 120,
        "skipped_updates": 3,
    }
    return SimpleNamespace(**{**values, **fields})
