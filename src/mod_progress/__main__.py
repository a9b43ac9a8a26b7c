"""Runs the command line where its program is not on the path: ``python -m mod_progress``."""

import sys

from mod_progress.cli import main

sys.exit(main())
