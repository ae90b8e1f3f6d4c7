#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Healthy while something is published on a topic:  healthcheck.sh TOPIC
# The namespace comes from HIL_SERL_NAMESPACE. At lowest priority: a check must not disturb control.
set -euo pipefail
topic="${HIL_SERL_NAMESPACE:+/${HIL_SERL_NAMESPACE#/}}/$1"
exec timeout 15 nice -n 19 ros2 topic echo --no-daemon --once "$topic" >/dev/null
