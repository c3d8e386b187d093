"""``python -m bindmatrix`` is the command `bindmatrix`."""

import sys

from bindmatrix.cli.main import main

sys.exit(main())
