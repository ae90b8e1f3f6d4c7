#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Gives every command of a container the suite's environment.
set -eo pipefail
# shellcheck source=/dev/null
source /opt/ros/jazzy/setup.bash
# An overlay with drivers that Ubuntu has no package of (franka_ros2), mounted from the host.
if [ -r /overlay/install/local_setup.bash ]; then
  # shellcheck source=/dev/null
  source /overlay/install/local_setup.bash
fi
cd "${HIL_SERL_ROOT:-/hil_serl}"
# shellcheck source=/dev/null
[ ! -x .venv/bin/python ] || source tools/env.sh
exec "$@"
