"""Entry of a bridge; a shim starts it as it does a worker, with the cluster in the environment."""

import logging
import os
import sys
from functools import partial

from jobkeep.dask_bridge.settings import Cluster
from jobkeep.worker.serve import Server, leave
from jobkeep.worker.settings import Settings


def main() -> None:
    """Serve until there is nothing more to do here."""
    try:
        from jobkeep.dask_bridge.bridge import carry
    except ModuleNotFoundError as error:
        sys.exit(f"a bridge to Dask needs {error.name}: pip install 'jobkeep[dask]' for {sys.executable}")
    cluster = Cluster.take(os.environ)
    logging.getLogger("distributed").setLevel(logging.CRITICAL + 1)  # it reports on its own connections
    leave(Server(Settings.take(os.environ), partial(carry, cluster)).serve())


if __name__ == "__main__":
    main()
