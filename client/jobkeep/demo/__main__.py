"""`python -m jobkeep.demo [--terminate] [--keep]`."""

import sys

from jobkeep.demo.main import main

sys.exit(main())
