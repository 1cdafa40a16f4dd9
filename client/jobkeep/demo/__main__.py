"""`python -m jobkeep.demo [--keep]`."""

import sys

from jobkeep.demo.main import main

sys.exit(main())
