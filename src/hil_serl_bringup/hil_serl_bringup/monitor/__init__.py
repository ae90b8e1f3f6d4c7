# SPDX-License-Identifier: Apache-2.0
"""What people watch while a run goes on."""
