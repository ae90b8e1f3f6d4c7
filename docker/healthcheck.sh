#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Healthy while the learner, or the actor, speaks:  healthcheck.sh learner|actor
# The learner reports at least twice a second, the actor once a second, whatever they are waiting for. The namespace comes
# from HIL_SERL_NAMESPACE. At low priority: a check must not disturb control.
set -euo pipefail
namespace="${HIL_SERL_NAMESPACE:+/${HIL_SERL_NAMESPACE#/}}"
echo_once=(ros2 topic echo --no-daemon --once --qos-durability volatile)
case "$1" in
  learner) command=("${echo_once[@]}" "$namespace/learner_status" hil_serl_msgs/msg/LearnerStatus) ;;
  actor) command=("${echo_once[@]}" --filter "any(s.name.startswith('actor/') for s in m.status)"
                  /diagnostics diagnostic_msgs/msg/DiagnosticArray) ;;
  *) echo "healthcheck: learner or actor, not '$1'" >&2; exit 2 ;;
esac
exec timeout 50 nice -n 5 "${command[@]}" >/dev/null
