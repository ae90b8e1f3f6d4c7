# SPDX-License-Identifier: Apache-2.0
"""Cameras of a task."""

from __future__ import annotations

from pydantic import Field, model_validator

from hil_serl_core.spec.common import Name, SpecModel


class CameraSpec(SpecModel):
    """One camera of the policy."""

    name: Name
    source_width: int = Field(ge=16, le=4096, description="width of the driver's image [px]")
    source_height: int = Field(ge=16, le=4096, description="height of the driver's image [px]")
    crop: tuple[int, int, int, int] | None = Field(
        default=None, description="x, y, width, height of the area of interest in the driver's image [px]"
    )
    size: int = Field(default=128, ge=16, le=512, description="side of the square image the policy sees [px]")

    @model_validator(mode="after")
    def _crop_inside(self) -> CameraSpec:
        if self.crop is not None:
            x, y, w, h = self.crop
            if x < 0 or y < 0 or w < 1 or h < 1 or x + w > self.source_width or y + h > self.source_height:
                raise ValueError(
                    f"crop {list(self.crop)} of camera '{self.name}' does not lie inside its "
                    f"{self.source_width}x{self.source_height} image"
                )
        return self
