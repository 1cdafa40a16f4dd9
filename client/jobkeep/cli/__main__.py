"""`python -m jobkeep.cli`."""

import sys

from jobkeep.cli.main import main

sys.exit(main())
