"""Entry of a worker; a shim starts it, with what it must know in the environment."""

import os
import sys

from jobkeep.worker.serve import Server, leave
from jobkeep.worker.settings import Settings

if __name__ == "__main__":
    if sys.path[0] != os.getcwd():
        sys.path.insert(0, os.getcwd())
    leave(Server(Settings.take(os.environ)).serve())
