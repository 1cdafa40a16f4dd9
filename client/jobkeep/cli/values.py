"""Values of options, as pure functions: text -> value, or an error that says what is expected."""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class BadValue(ValueError):
    """The text is not what the option takes; says what is."""


_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_LONGEST = 366 * 86400.0
_NAME = r"[A-Za-z0-9][A-Za-z0-9._:@/+-]{0,127}"
_CREDENTIAL = r"[A-Za-z0-9_][A-Za-z0-9_.@-]{0,127}"
_FUNCTION = r"(?a)[A-Za-z_][\w.]*:[A-Za-z_][\w.]*"
_NUMBER = r"[0-9]{1,12}(\.[0-9]{1,9})?|\.[0-9]{1,9}"
_REQUEST = r"[!-~]{1,128}"


def duration(text: str) -> float:
    """`90s 15m 3.5h 2d`; a bare number is seconds."""
    number, unit = (text[:-1], text[-1]) if text[-1:] in _UNITS else (text, "s")
    if not re.fullmatch(_NUMBER, number):
        raise BadValue(f"{text!r} is not a duration such as 90s, 15m, 3.5h or 2d")
    seconds = float(number) * _UNITS[unit]
    if seconds > _LONGEST:
        raise BadValue(f"{text!r} is longer than 366 days")
    return seconds


def moment(text: str) -> str:
    """A point in time as ISO 8601 in UTC. Without an offset it is local; a time of day alone is the next such one."""
    from datetime import datetime, time, timedelta

    from jobkeep.client.moments import in_utc

    try:
        if text[2:3] == ":":
            of_day = time.fromisoformat(text)
            now = datetime.now(of_day.tzinfo)
            found = datetime.combine(now, of_day)
            if found <= now:
                found += timedelta(days=1)
        else:
            found = datetime.fromisoformat(text)
        return in_utc(found).isoformat().replace("+00:00", "Z")
    except (ValueError, OverflowError):
        raise BadValue(f"{text!r} is not a time such as 18:00, 2030-01-31 or 2030-01-31T18:00") from None


def limit(text: str) -> float:
    """A duration that something may take: not nothing."""
    seconds = duration(text)
    if not seconds:
        raise BadValue(f"{text!r} leaves no time at all; without the option there is no limit")
    return seconds


def name(text: str) -> str:
    """One printable word."""
    if not re.fullmatch(_NAME, text):
        raise BadValue(f"{text!r} is not a name: letters, digits and ._:@/+- only, at most 128")
    return text


def function(text: str) -> str:
    """`MODULE:FUNCTION`."""
    if not re.fullmatch(_FUNCTION, text) or len(text) > 512:
        raise BadValue(f"{text!r} is not MODULE:FUNCTION, such as crm.tasks:refresh")
    return text


def cluster(text: str) -> str:
    """`dask:NAME`."""
    if not re.fullmatch(f"dask:{_NAME}", text):
        raise BadValue(f"{text!r} is not dask:NAME, with the name of a [dask.NAME] of the configuration")
    return text


def ids(text: str) -> list[str]:
    """Ids of jobs or prefixes of them, with commas between."""
    found = text.split(",")
    if not all(re.fullmatch("[0-9a-z]{1,32}", id) for id in found):
        raise BadValue(f"{text!r} is not the id of a job, nor several with commas between")
    return found


def request_id(text: str) -> str:
    """Any word of printable ASCII."""
    if not re.fullmatch(_REQUEST, text):
        raise BadValue(f"{text!r} is not 1 to 128 printable ASCII characters")
    return text


def reason(text: str) -> str:
    """One line for people."""
    if not text.isprintable() or len(text) > 1024:
        raise BadValue("must be one line of at most 1024 characters, without control characters")
    return text


def label(text: str) -> tuple[str, str]:
    """`KEY=VALUE`, the key a name."""
    key, equals, value = text.partition("=")
    if not equals:
        raise BadValue(f"{text!r} is not KEY=VALUE")
    if len(value) > 256:
        raise BadValue(f"the value of {key!r} is longer than 256 characters")
    return name(key), value


def variable(text: str) -> tuple[str, str]:
    """`NAME=VALUE` of an environment."""
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise BadValue(f"{text!r} is not NAME=VALUE")
    return key, value


def secret(text: str) -> str:
    """A name without the value, which would be there for all who list processes."""
    if not text or len(text) > 256 or "=" in text:
        raise BadValue("takes a name alone, such as --secret TOKEN; the value stands elsewhere")
    return text


def credential(text: str) -> str:
    """The name of a file that systemd has handed to the daemon."""
    if not re.fullmatch(_CREDENTIAL, text):
        raise BadValue(f"{text!r} is not the name of a credential: letters, digits and _.@- only, at most 128")
    return text


def argument(text: str) -> tuple[str, Any]:
    """`KEY=VALUE` of a function: the value is JSON if it parses as JSON, else a string."""
    key, equals, value = text.partition("=")
    if not equals or not key.isidentifier():
        raise BadValue(f"{text!r} is not KEY=VALUE, such as path=leads.csv, limit=100 or zip='\"12345\"'")
    try:
        return key, decode(value)
    except ValueError:
        return key, value


def arguments(text: str) -> dict[str, Any]:
    """A JSON object."""
    try:
        value = decode(text)
    except ValueError as error:
        raise BadValue(f"not JSON: {error}") from None
    if not isinstance(value, dict):
        raise BadValue("must be a JSON object, such as '{\"path\": \"leads.csv\"}'")
    return value


def decode(text: str) -> Any:
    """Strict JSON: NaN and Infinity are no numbers of it. Raises ValueError."""
    import json

    def refuse(word: str) -> None:
        raise ValueError(f"{word} is not JSON")

    try:
        return json.loads(text, parse_constant=refuse)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def priority(text: str) -> int:
    """-1000 to 1000."""
    return _integer(text, -1000, 1000)


def retries(text: str) -> int:
    """0 to 1000."""
    return _integer(text, 0, 1000)


def nice(text: str) -> int:
    """-20 to 19."""
    return _integer(text, -20, 19)


def memory(text: str) -> int:
    """`512M`, `1.5G`: at least 1M."""
    from jobkeep.protocol.sizes import to_bytes

    try:
        size = to_bytes(text)
    except ValueError as error:
        raise BadValue(str(error)) from None
    if size < 1 << 20:
        raise BadValue(f"{text!r} is less than 1M, with which nothing can start; write it like 512M or 1.5G")
    return size


def cpu(text: str) -> float:
    """How many CPUs: `2`, `0.5`."""
    if not re.fullmatch(_NUMBER, text) or not 0.01 <= float(text) <= 65536:
        raise BadValue(f"{text!r} is not a number of CPUs, such as 2, or 0.5 for half of one")
    return float(text)


def nofile(text: str) -> int:
    """16 and above."""
    return _integer(text, 16, 1 << 30)


def json_text(text: str) -> str:
    """Any JSON value that other programs can read, too; as it was written."""
    try:
        import json

        json.dumps(decode(text), allow_nan=False)
    except ValueError as error:
        raise BadValue(f"{text!r} is not JSON ({error}); a string has quotes of its own, as in '\"text\"'") from None
    return text


def queue_limit(text: str) -> int:
    """1 to 10000; 0 stands for `default`."""
    return 0 if text == "default" else _integer(text, 1, 10_000)


def port(text: str) -> int:
    """0 to 65535."""
    return _integer(text, 0, 65_535)


def positive(text: str) -> int:
    """1 and above."""
    return _integer(text, 1, (1 << 63) - 1)


def count(text: str) -> int:
    """0 and above."""
    return _integer(text, 0, (1 << 63) - 1)


def _integer(text: str, low: int, high: int) -> int:
    try:
        value = int(text)
    except ValueError:
        raise BadValue(f"{text!r} is not a whole number") from None
    if not low <= value <= high:
        bounds = f"from {low} to {high}" if high < 1 << 62 else f"of {low} or more"
        raise BadValue(f"{text!r} is not a number {bounds}")
    return value
