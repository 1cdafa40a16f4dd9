"""docs/protocol.md: what is written by hand, and the interfaces as the daemon describes them. `make docs` writes it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from jobkeep.protocol.registry import INTERFACES, description

PAGE: Final = Path(__file__).resolve().parents[2] / "docs/protocol.md"
BY_HAND: Final = """\
# The protocol

`jobkeepd` speaks [Varlink](https://varlink.org): each message is a JSON object that a NUL byte ends, over a Unix stream
socket. Any Varlink client can drive it; the Python library and the command line are two of them.

```sh
varlink call unix:/run/user/1000/jobkeep/socket/org.jobkeep.Jobs.Submit '{"spec": {"command": ["true"]}}'
```

- A call is `{"method": …, "parameters": …}`, its reply `{"parameters": …}` or `{"error": …, "parameters": …}`. Replies
  come in the order of the calls, and a caller need not wait for one before it sends the next.
- With `"more": true` some methods answer with a stream: each reply but the last one says `"continues": true`.
- Fields that a method does not know are refused. Replies may gain fields in later versions: ignore what you do not
  know.
- A message has at most 1 MiB; arguments (100 levels deep at most) and results at most 256 KiB, the state and the cursor
  of a checkpoint 64 KiB.
- Times are ISO 8601 in UTC, durations seconds. An id may be any unique prefix of it.
- A submit that gets no answer may have happened. With a `request_id` it is asked again as often as you like, and is one
  job, also across a crash of the daemon.
- Whoever connects is known by the kernel (SO_PEERCRED, SO_PEERGROUPS); there is nothing to log in with. What the role
  of a caller does not allow is answered with `NotPermitted`: the caller's role, the one that is needed, and who has it.
- A reader of a stream that does not keep up is dropped with `SlowReader`, which says where to go on.
- The rest of a message that has begun is waited for 10 s, and so is a reader that takes nothing. 128 calls of a
  connection may wait for their replies at once; a user may have 256 connections. What is no message ends it.

All errors have a `message`, a sentence for people. Beside those of its own interface a method may answer with those of
`org.jobkeep.Admin`.
"""


def page() -> str:
    """The whole text."""
    parts = [BY_HAND]
    for name in INTERFACES:
        text = description(name)
        assert text is not None
        parts.append(f"\n## {name}\n\n```varlink\n{text.strip()}\n```\n")
    return "".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
