"""``python -m conformance`` is the command `bindmatrix`."""

import sys

from conformance.cli.main import main

sys.exit(main())
