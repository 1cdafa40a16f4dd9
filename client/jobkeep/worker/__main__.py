"""Entry of a worker; a shim starts it, with what it must know in the environment."""

import os
import sys

from jobkeep.worker.serve import Server, leave
from jobkeep.worker.settings import Settings

SWITCH_S = 0.001  # a function that computes lets the link thread in so soon; each report waits for it a few times

if __name__ == "__main__":
    if sys.path[0] != os.getcwd():
        sys.path.insert(0, os.getcwd())
    sys.setswitchinterval(SWITCH_S)
    leave(Server(Settings.take(os.environ)).serve())
