# SPDX-License-Identifier: Apache-2.0
"""Steps to the disk and to the learner."""
