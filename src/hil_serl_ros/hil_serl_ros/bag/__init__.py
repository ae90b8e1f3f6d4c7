# SPDX-License-Identifier: Apache-2.0
"""rosbag2 MCAP bags: writing that survives a killed process and a full disk, tolerant reading, recovery."""

from hil_serl_ros.bag.errors import BagDamagedError, BagError, BagInUseError, BagWriteError
from hil_serl_ros.bag.files import find_bag_files
from hil_serl_ros.bag.reader import (
    STEP_TYPE,
    BagFileReader,
    BagMessage,
    BagProblem,
    read_messages,
    read_steps,
    step_of,
)
from hil_serl_ros.bag.recover import Recovery, recover_all, recover_bag
from hil_serl_ros.bag.writer import BagWriter

__all__ = [
    "STEP_TYPE",
    "BagDamagedError",
    "BagError",
    "BagFileReader",
    "BagInUseError",
    "BagMessage",
    "BagProblem",
    "BagWriteError",
    "BagWriter",
    "Recovery",
    "find_bag_files",
    "read_messages",
    "read_steps",
    "recover_all",
    "recover_bag",
    "step_of",
]
