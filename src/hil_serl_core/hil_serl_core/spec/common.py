# SPDX-License-Identifier: Apache-2.0
"""Types and base class of the task file's models."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", description="lower_snake_case")]
Positive = Annotated[float, Field(gt=0.0)]
NonNegative = Annotated[float, Field(ge=0.0)]
Vector3 = tuple[float, float, float]
PositiveVector3 = tuple[Positive, Positive, Positive]
PerJoint = Annotated[tuple[NonNegative, ...], Field(min_length=1)]
NonNegativeVector3 = tuple[NonNegative, NonNegative, NonNegative]


class SpecModel(BaseModel):
    """Frozen; unknown keys are refused, so that a misspelt key never silently falls back to a default."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
