# SPDX-License-Identifier: Apache-2.0
"""What everybody says about the latched stop."""

REMEDY = "make the cell safe, then call the service clear_stop (hil-serl clear-stop; key u of the keyboard operator)"
