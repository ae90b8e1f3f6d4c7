# SPDX-License-Identifier: Apache-2.0
"""Errors a user can cause and cure: they are shown as one message, without a traceback."""

from hil_serl_bringup.graph.build import GraphError
from hil_serl_bringup.graph.executables import ExecutableNotFound
from hil_serl_bringup.graph.robots import RobotFileError
from hil_serl_cli.crop.sources import PictureError
from hil_serl_core.methods import MethodError
from hil_serl_core.rewards import RewardError
from hil_serl_core.spec import TaskFileError
from hil_serl_datasets.errors import DatasetError
from hil_serl_ros.bag import BagError
from hil_serl_ros.domain import DomainBusyError
from hil_serl_runs.run_folder import RunFolderError

USER_ERRORS = (
    GraphError,
    RobotFileError,
    TaskFileError,
    MethodError,
    RewardError,
    RunFolderError,
    DatasetError,
    PictureError,
    DomainBusyError,
    ExecutableNotFound,
    BagError,
    OSError,
)
