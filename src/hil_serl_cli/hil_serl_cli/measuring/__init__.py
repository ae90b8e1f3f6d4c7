# SPDX-License-Identifier: Apache-2.0
"""What `hil-serl bench` and `hil-serl network` measure."""
