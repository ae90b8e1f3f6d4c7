# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Source this file to work in the suite:  source tools/env.sh
#
# It activates the environment made by `make setup` and, where one is built, the colcon overlay. Everything it sets
# can be overridden beforehand, except the paths. Works in bash and zsh.

_hil_self="${BASH_SOURCE[0]:-${(%):-%x}}"
HIL_SERL_ROOT="$(cd "$(dirname "$_hil_self")/.." && pwd)"
export HIL_SERL_ROOT
_hil_venv="$HIL_SERL_ROOT/.venv"

if [ ! -x "$_hil_venv/bin/python" ]; then
  echo "tools/env.sh: there is no environment yet; run 'make setup' in $HIL_SERL_ROOT first." >&2
else
  export VIRTUAL_ENV="$_hil_venv"
  case ":$PATH:" in *":$_hil_venv/bin:"*) ;; *) export PATH="$_hil_venv/bin:$PATH" ;; esac

  # A ROS 2 installation that the set-up chose, for shells in which it is not sourced.
  if [ -r "$_hil_venv/hil-serl/ros_prefix" ] && [ "${ROS_DISTRO:-}" != jazzy ]; then
    case "$-" in *u*) _hil_nounset=1; set +u ;; *) _hil_nounset= ;; esac
    . "$(cat "$_hil_venv/hil-serl/ros_prefix")/setup.sh"
    [ -z "$_hil_nounset" ] || set -u
    export PATH="$_hil_venv/bin:$PATH"
  fi

  # ROS from wheels lives inside the environment itself. (With a sourced ROS 2 there is no hook and nothing to do.)
  _hil_site="$(echo "$_hil_venv"/lib/python3.*/site-packages)"
  if [ -e "$_hil_site/ros_wheels_bootstrapper.pth" ]; then
    # The hook would start Python a second time just to set LD_LIBRARY_PATH; with its guard set it does nothing.
    export _ROS_WHEELS_BOOTSTRAP_COMPLETE=1
    for _hil_dir in "$_hil_venv/lib" "$_hil_site"/ros_*.libs; do
      case ":${LD_LIBRARY_PATH:-}:" in
        *":$_hil_dir:"*) ;;
        *) export LD_LIBRARY_PATH="$_hil_dir${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}" ;;
      esac
    done
    for _hil_var in AMENT_PREFIX_PATH CMAKE_PREFIX_PATH; do
      eval "_hil_old=\${$_hil_var:-}"
      case ":$_hil_old:" in
        *":$_hil_venv:"*) ;;
        *) export "$_hil_var=$_hil_venv${_hil_old:+:$_hil_old}" ;;
      esac
    done
    # Eigen and its CMake files come as a wheel too.
    case ":$CMAKE_PREFIX_PATH:" in
      *cmeel.prefix*) ;;
      *) export CMAKE_PREFIX_PATH="$CMAKE_PREFIX_PATH:$_hil_site/cmeel.prefix" ;;
    esac
    # Left over from another ROS in this terminal: its Python packages would be imported instead of these, and another
    # middleware ends every process at its first line, as the wheels are built for one.
    _hil_old= _hil_rest="${PYTHONPATH:-}:"
    while [ "$_hil_rest" != : ] && [ -n "$_hil_rest" ]; do
      _hil_dir="${_hil_rest%%:*}" _hil_rest="${_hil_rest#*:}"
      if [ -n "$_hil_dir" ] && [ -d "$_hil_dir/rclpy" ]; then
        echo "tools/env.sh: $_hil_dir is left out of PYTHONPATH: it has another ROS than this environment." >&2
      elif [ -n "$_hil_dir" ]; then
        _hil_old="$_hil_old${_hil_old:+:}$_hil_dir"
      fi
    done
    [ "$_hil_old" = "${PYTHONPATH:-}" ] || export PYTHONPATH="$_hil_old"
    if [ "${RMW_IMPLEMENTATION:-rmw_fastrtps_cpp}" != rmw_fastrtps_cpp ]; then
      echo "tools/env.sh: RMW_IMPLEMENTATION=$RMW_IMPLEMENTATION is not in this environment; it is rmw_fastrtps_cpp now." >&2
    fi
    export ROS_DISTRO=jazzy ROS_VERSION=2 ROS_PYTHON_VERSION=3 RMW_IMPLEMENTATION=rmw_fastrtps_cpp
  fi

  # Processes that share cores must not spin in OpenMP: it costs a factor of five.
  export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}" OMP_WAIT_POLICY="${OMP_WAIT_POLICY:-PASSIVE}"
  # A file of the environment says which GL back-end worked when it was set up.
  if [ -z "${MUJOCO_GL:-}" ] && [ -r "$_hil_venv/hil-serl/gl" ]; then
    MUJOCO_GL="$(cat "$_hil_venv/hil-serl/gl")"
  fi
  export MUJOCO_GL="${MUJOCO_GL:-egl}"
  # One machine by default: nothing is announced to, or heard from, the network around it.
  export ROS_AUTOMATIC_DISCOVERY_RANGE="${ROS_AUTOMATIC_DISCOVERY_RANGE:-LOCALHOST}"

  if [ -r "$HIL_SERL_ROOT/install/local_setup.sh" ] && [ -z "${HIL_SERL_NO_OVERLAY:-}" ]; then
    COLCON_CURRENT_PREFIX="$HIL_SERL_ROOT/install"
    COLCON_PYTHON_EXECUTABLE="$_hil_venv/bin/python"
    export COLCON_PYTHON_EXECUTABLE
    # colcon's script reads variables that may be unset; callers may run under `set -u`.
    case "$-" in *u*) _hil_nounset=1; set +u ;; *) _hil_nounset= ;; esac
    . "$HIL_SERL_ROOT/install/local_setup.sh"
    [ -z "$_hil_nounset" ] || set -u
    unset COLCON_CURRENT_PREFIX
  fi
fi
unset _hil_self _hil_venv _hil_site _hil_dir _hil_var _hil_old _hil_rest _hil_nounset
