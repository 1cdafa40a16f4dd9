"""Has the daemon do what a key asks for, in a thread; what came of it is told as one line."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from jobkeep.cli.context import Context
from jobkeep.cli.failures import Failure, of_client
from jobkeep.cli.render.style import state_word
from jobkeep.cli.render.text import escape
from jobkeep.cli.top.verbs import Job, Verb
from jobkeep.cli.wire import JOBS
from jobkeep.errors import JobkeepError


@dataclass(frozen=True)
class Done:
    """What became of it; `hint` where it was refused."""

    said: str
    refused: bool = False
    hint: str | None = None


def act(context: Context, job: Job, verb: Verb, tell: Callable[[Done], None]) -> None:
    """Ask once; a connection that breaks leaves it unknown, and says so."""
    threading.Thread(target=lambda: tell(_asked(context, job, verb)), name="acting", daemon=True).start()


def _asked(context: Context, job: Job, verb: Verb) -> Done:
    shown = context.style.id(job["id"])
    link = context.another_link(say=lambda _: None)
    try:
        reply = link.once(JOBS + verb.method, again="whether it took effect is unknown", id=job["id"], **verb.flags)
    except (Failure, JobkeepError) as error:
        failure = error if isinstance(error, Failure) else of_client(error)
        return Done(escape(str(failure)), True, failure.hint)
    finally:
        link.close()
    if verb.method == "Remove":
        return Done(f"{shown} is forgotten")
    restarting = verb.method == "Restart" and reply["state"] == "running"
    return Done(f"{shown}: {'↻ restarting' if restarting else state_word(reply['state'])}")
