"""Words and bounds shared by both ends of the wire."""

from typing import Annotated, Any, Final, Literal

from msgspec import Meta

PROTOCOL_VERSION: Final = 1
DEFAULT_MESSAGE_LIMIT: Final = 1 << 20  # bytes of one message without its NUL
ARGUMENTS_LIMIT: Final = 256 << 10
ARGUMENTS_DEPTH: Final = 100  # levels; how deep a reader of JSON goes differs, and whoever lists jobs reads them all
RESULT_LIMIT: Final = 256 << 10
STATE_LIMIT: Final = 64 << 10  # checkpoint state, and cursor
ERROR_LIMIT: Final = 16 << 10

JobKind = Literal["command", "function"]
JobState = Literal["scheduled", "queued", "running", "cancelling", "succeeded", "failed", "cancelled"]
RunOutcome = Literal["succeeded", "failed", "cancelled", "interrupted", "lost"]
Health = Literal["ok", "late", "stalled"]
Stream = Literal["stdout", "stderr"]
Role = Literal["viewer", "submitter", "operator", "admin"]  # each may do what those before it may
OnConflict = Literal["reject", "return", "replace_queued", "queue", "cancel_running"]
OnLost = Literal["fail", "resume"]
DrainCommands = Literal["wait", "leave"]  # what a drain does with running commands: wait for their end, or not
OnStall = Literal["alert", "cancel", "restart"]
Missed = Literal["skip", "run_once", "run_all"]  # what becomes of times at which nobody could fire a schedule
OnMaxHold = Literal["report", "end"]

LIVE_STATES: Final[tuple[JobState, ...]] = ("scheduled", "queued", "running", "cancelling")
ENDED_STATES: Final[tuple[JobState, ...]] = ("succeeded", "failed", "cancelled")

# A name is one printable word: it reaches terminals, logs and file names unescaped.
Name = Annotated[str, Meta(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9][A-Za-z0-9._:@/+-]*\Z")]
# Free text for people: one line, no control characters and no bidirectional overrides.
Text = Annotated[
    str, Meta(max_length=1024, pattern="^[^\\x00-\\x1f\\x7f-\\x9f\\u2028\\u2029\\u202a-\\u202e\\u2066-\\u2069]*\\Z")
]
JobId = Annotated[str, Meta(min_length=1, max_length=32, pattern=r"^[0-9a-z]+\Z")]
RequestId = Annotated[str, Meta(min_length=1, max_length=128, pattern=r"^[!-~]+\Z")]
Seconds = Annotated[float, Meta(ge=0, le=366 * 86400.0)]
Count = Annotated[int, Meta(ge=0, le=(1 << 63) - 1)]
Json = Any
