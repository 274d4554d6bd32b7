# SPDX-License-Identifier: BSD-3-Clause
"""Command-line entry point: ``python -m sklearn_neurox``."""

import sys

from sklearn_neurox.cli import main

if __name__ == "__main__":
    sys.exit(main())
