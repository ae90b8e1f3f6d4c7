# SPDX-License-Identifier: Apache-2.0
"""Evaluations, results page, analysis, films."""
