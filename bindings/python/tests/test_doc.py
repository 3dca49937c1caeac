# SPDX-License-Identifier: MIT
"""What doc/python.md and README.md show runs, and prints what they say."""

from __future__ import annotations

import re
import subprocess
import sys
import unittest
from pathlib import Path

from support import Case

TOP = Path(__file__).resolve().parents[3]
BLOCK = re.compile(r"^```python\n(.*?)^```\n(?:\n```text\n(.*?)^```\n)?", re.S | re.M)


def blocks(page: str) -> list[tuple[str, str]]:
    return [(code, output) for code, output in BLOCK.findall((TOP / page).read_text())]


class Doc(Case):
    def run_python(self, code: str, *arguments: str) -> subprocess.Popen[str]:
        child = subprocess.Popen(
            [sys.executable, "-W", "error", "-c", code, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.addCleanup(child.stdout.close)  # type: ignore[union-attr]
        self.addCleanup(child.kill)
        return child

    def test_python_md_prints_what_it_says(self) -> None:
        shown = blocks("doc/python.md")
        self.assertGreaterEqual(len(shown), 3)
        for code, output in shown:
            child = self.run_python(code)
            self.assertEqual(child.communicate(timeout=30)[0], output)
            self.assertEqual(child.returncode, 0)

    def test_readme_receives_what_it_sends(self) -> None:
        [(code, _)] = blocks("README.md")
        self.assertLessEqual(max(map(len, code.splitlines())), 40)  # it stands in a column
        receiver = self.run_python(code)
        sender = self.run_python(code, "from a test")
        self.assertEqual(sender.communicate(timeout=30)[0], "")
        self.assertEqual(receiver.communicate(timeout=30)[0], "from a test\n")
        self.assertEqual((sender.returncode, receiver.returncode), (0, 0))


if __name__ == "__main__":
    unittest.main()
