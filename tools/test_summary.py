#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""One summary of several pytest passes, from the JUnit files that they wrote; fails if a test or a pass failed.

python tools/test_summary.py PASS.xml ...
"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

WORDS = {"failure": "failed", "error": "failed", "skipped": "skipped"}


def outcome(case: ElementTree.Element) -> str:
    """Word for what became of a test."""
    return next((WORDS[child.tag] for child in case if child.tag in WORDS), "passed")


def main(files: list[str]) -> int:
    """Print the summary; 1 if something failed or a pass left no report."""
    counts: Counter[str] = Counter()
    failed, seconds = [], 0.0
    for file in files:
        if not Path(file).is_file():
            failed.append(f"the pass '{Path(file).stem}' ended without a report")
            continue
        for suite in ElementTree.parse(file).iter("testsuite"):
            seconds += float(suite.get("time", 0.0))
            results: dict[str, str] = {}  # a test whose clean-up fails is listed twice
            for case in suite.iter("testcase"):
                name = f"{case.get('classname')}::{case.get('name')}"
                results[name] = "failed" if "failed" in (outcome(case), results.get(name)) else outcome(case)
            counts.update(results.values())
            failed += [name for name, word in results.items() if word == "failed"]
    print(*("", "All passes together:", *(f"  FAILED {name}" for name in failed)), sep="\n")
    parts = [
        f"{counts[word]} {word}"
        for word in ("failed", "passed", "skipped")
        if counts[word] or word == "passed"
    ]
    print(f"  {', '.join(parts)} in {seconds // 60:.0f} min {seconds % 60:.0f} s")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
