# SPDX-License-Identifier: Apache-2.0
import os

import pytest

from hil_serl_sim import gl


@pytest.fixture
def environment(monkeypatch):
    # choose_backend writes to the environment: monkeypatch restores both afterwards
    monkeypatch.setenv("MUJOCO_GL", "")
    monkeypatch.setenv("_HIL_SERL_GL_CHECKED", "")
    return monkeypatch


def test_a_backend_that_works_is_found_and_not_probed_twice(environment):
    backend = gl.choose_backend()
    assert os.environ["MUJOCO_GL"] == backend
    environment.setattr(gl, "probe", lambda *_: pytest.fail("probed again"))
    assert gl.choose_backend() == backend


def test_first_backend_that_works_is_taken(environment):
    environment.setattr(gl, "probe", lambda backend: None if backend == "osmesa" else "no display")
    assert gl.choose_backend() == "osmesa"


def test_without_any_the_remedy_is_named(environment):
    environment.setattr(gl, "probe", lambda backend: f"lib{backend}.so: cannot open")
    with pytest.raises(gl.RendererUnavailableError, match=r"(?s)libosmesa6.*libegl\.so: cannot open"):
        gl.choose_backend()


def test_the_users_choice_is_checked_and_named(environment):
    environment.setenv("MUJOCO_GL", "osmesa")
    environment.setattr(gl, "probe", lambda backend: "broken" if backend == "osmesa" else None)
    with pytest.raises(gl.RendererUnavailableError, match="MUJOCO_GL=osmesa"):
        gl.choose_backend()


def test_probe_reports_why_a_backend_fails():
    assert gl.probe("no_such_backend")
