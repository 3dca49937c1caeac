# SPDX-License-Identifier: MIT
"""run.py [PATTERN]: all tests of the package that is imported. SLUICE_DIR is an existing private
directory. Last line: `N passed, N failed, N skipped`."""

from __future__ import annotations

import faulthandler
import sys
import unittest
import warnings
from pathlib import Path

faulthandler.dump_traceback_later(100, exit=True)
warnings.simplefilter("error")  # unittest's own default is weaker
directory = Path(__file__).resolve().parent
sys.path.insert(0, str(directory))
suite = unittest.defaultTestLoader.discover(
    str(directory), sys.argv[1] if len(sys.argv) > 1 else "test_*.py"
)
result = unittest.TextTestRunner(stream=sys.stdout, verbosity=2, warnings="error").run(suite)
failed = len(result.failures) + len(result.errors)
skipped = len(result.skipped)
print(f"{result.testsRun - failed - skipped} passed, {failed} failed, {skipped} skipped")
sys.exit(not result.wasSuccessful())
