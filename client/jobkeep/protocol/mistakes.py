"""What a decoder expects, in words: nobody is shown a regular expression."""

from __future__ import annotations

import re
from typing import Any, Final

from jobkeep.protocol import admin, jobs, locks, vocabulary

_FORMS: Final[tuple[tuple[Any, str], ...]] = (
    (vocabulary.Name, "a name of letters, digits and ._:@/+- only"),
    (vocabulary.Text, "one line of text, without control characters"),
    (vocabulary.JobId, "an id, of lower-case letters and digits"),
    (vocabulary.RequestId, "printable ASCII characters without blanks"),
    (locks.LeaseId, "printable ASCII characters without blanks"),
    (jobs.Function, "MODULE:FUNCTION, such as crm.tasks:refresh"),
    (jobs.Cluster, "dask:NAME"),
    (jobs.CredentialName, "the name of a credential, of letters, digits and _.@- only"),
    (jobs.Trace, "printable ASCII characters"),
    (admin.File, "an absolute path"),
)
_WORDS: Final = {repr(kind.__metadata__[0].pattern): words for kind, words in _FORMS}
_REGEX: Final = re.compile(r"`str[^`]*` matching regex (.*?)(?= - at `|\Z)", re.DOTALL)


def form(pattern: str) -> str:
    """What fits a regular expression, which is quoted as decoders do it."""
    return _WORDS.get(pattern, f"text that matches {pattern}")


def in_words(text: str) -> str:
    """A decoder's message."""
    return _REGEX.sub(lambda found: form(found[1]), text)
