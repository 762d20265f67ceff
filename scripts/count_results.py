#!/usr/bin/env python3
"""Adds up JUnit XML files (of lit, ctest and pytest) and prints, as its last
line, `N passed, N failed`. Exit code 1 if any test failed or any suite is
missing, unreadable or ran no test.

    count_results.py <suite>=<file.xml>...
"""

import sys
import xml.etree.ElementTree as ElementTree


def outcome(case):
    """passed, failed or skipped, of one <testcase>."""
    tags = {child.tag for child in case}
    if tags & {"failure", "error"} or case.get("status") == "fail":
        return "failed"
    if "skipped" in tags or case.get("status") in ("disabled", "notrun"):
        return "skipped"
    return "passed"


def main():
    total = {"passed": 0, "failed": 0}
    for argument in sys.argv[1:]:
        suite, path = argument.split("=", 1)
        count = {"passed": 0, "failed": 0, "skipped": 0}
        why = ""
        try:
            for case in ElementTree.parse(path).iter("testcase"):
                count[outcome(case)] += 1
            if not count["passed"] + count["failed"]:
                why = " (ran no test)"
        except (OSError, ElementTree.ParseError):
            why = " (did not run to its end)"
        if why:  # the suite itself is one failure
            count["failed"] += 1
        print(f"{suite}: {count['passed']} passed, {count['failed']} failed, "
              f"{count['skipped']} skipped{why}")
        for key in total:
            total[key] += count[key]
    if not sys.argv[1:]:
        total["failed"] += 1
    print(f"{total['passed']} passed, {total['failed']} failed")
    return 1 if total["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
