# SPDX-License-Identifier: Apache-2.0
"""Cameras: fast ones for the policy, primitives only and no effects, and a slow beautiful one for people."""

from collections.abc import Mapping

import mujoco
import numpy as np

from hil_serl_core.spec import TaskSpec
from hil_serl_sim.gl import choose_backend
from hil_serl_sim.gripper import HIDDEN_GROUP, POLICY_GROUP, STROKE, LinkagePose
from hil_serl_sim.scene import DISPLAY_CAMERA, DISPLAY_SIZE
from hil_serl_sim.twin import InitialState, Twin

_EFFECTS = ("SHADOW", "REFLECTION", "SKYBOX", "FOG", "HAZE", "ADDITIVE")


def _options(visible: tuple[int, ...]) -> mujoco.MjvOption:
    option = mujoco.MjvOption()
    option.geomgroup[:] = 0
    option.geomgroup[list(visible)] = 1
    option.sitegroup[:] = 0  # a visible goal site would leak the answer
    return option


class PolicyCameras:
    """The task's cameras at their drivers' sizes."""

    def __init__(self, model: mujoco.MjModel, spec: TaskSpec):
        self._sizes = {c.name: (c.source_height, c.source_width) for c in spec.cameras}
        choose_backend()
        # one context per picture size: the buffer that is read back is then no larger than the picture
        self._renderers = {size: mujoco.Renderer(model, *size) for size in set(self._sizes.values())}
        for renderer in self._renderers.values():
            for effect in _EFFECTS:
                renderer.scene.flags[getattr(mujoco.mjtRndFlag, f"mjRND_{effect}")] = 0
        self._option = _options((POLICY_GROUP,))

    def render(self, data: mujoco.MjData, camera: str) -> np.ndarray:
        """(H, W, 3) uint8 RGB."""
        renderer = self._renderers[self._sizes[camera]]
        renderer.update_scene(data, camera, self._option)
        return renderer.render()

    def close(self) -> None:
        """Free the OpenGL contexts."""
        for renderer in self._renderers.values():
            renderer.close()


class DisplayCamera:
    """The display variant of the model, posed like the simulated one and drawn with meshes and shadows."""

    def __init__(self, model: mujoco.MjModel, twin: Twin):
        self._model, self._twin = model, twin
        self._linkages = (
            {arm: LinkagePose(model, arm) for arm in twin.spec.arm_names} if twin.spec.grippers else {}
        )
        self._data = mujoco.MjData(model)
        choose_backend()
        self._renderer = mujoco.Renderer(model, *DISPLAY_SIZE)
        self._option = _options(tuple(g for g in range(6) if g != HIDDEN_GROUP))

    def render(
        self,
        model: mujoco.MjModel,
        data: mujoco.MjData,
        state: InitialState,
        openings: Mapping[str, float],
    ) -> np.ndarray:
        """(480, 640, 3) uint8 RGB of a simulated state.

        Args:
            model: the simulated model; its bodies may have been moved since the reset.
            data: the simulated state.
            state: the episode's initial state.
            openings: arm -> opening of its moving fingers, 0 to 1.
        """
        self._twin.apply(self._model, self._data, state)
        for i in range(model.nbody):
            shown = self._model.body(model.body(i).name).id
            self._model.body_pos[shown], self._model.body_quat[shown] = model.body_pos[i], model.body_quat[i]
        for arm, linkage in self._linkages.items():
            linkage.show(STROKE * openings[arm])
        self._data.qpos[:] = data.qpos
        mujoco.mj_forward(self._model, self._data)
        self._renderer.update_scene(self._data, DISPLAY_CAMERA, self._option)
        return self._renderer.render()

    def close(self) -> None:
        """Free the OpenGL context."""
        self._renderer.close()
