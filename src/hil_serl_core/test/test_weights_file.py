# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
import torch

from hil_serl_core.weights import WeightsError, pack, read_file


def test_policy_file_round_trip_and_refusals(tmp_path):
    packed = pack({"w": torch.ones(2, 3)}, version=3, trained_step=150, update=450, spec_hash="abc")
    (tmp_path / "policy.safetensors").write_bytes(packed.data)
    assert read_file(tmp_path) == packed == read_file(tmp_path / "policy.safetensors")
    with pytest.raises(WeightsError, match="cannot read the policy file"):
        read_file(tmp_path / "none.safetensors")
    (tmp_path / "cut.safetensors").write_bytes(packed.data[:-5])
    with pytest.raises(WeightsError, match=r"cut.safetensors is not a policy file"):
        read_file(tmp_path / "cut.safetensors")
