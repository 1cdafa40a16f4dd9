"""Who reads replies to reports: the helm, or the job in passing."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from jobkeep.errors import ProtocolError
from jobkeep.worker.awaited import Awaited, Kind, Query
from jobkeep.worker.channel import Channel
from jobkeep.worker.replies import Replies

GOOD, BAD = b'{"parameters":{}}\0', b'{"error":"org.jobkeep.Worker.StaleToken","parameters":{}}\0'


class Scene:
    """Replies over a real socket; `rings` counts the calls of the helm."""

    def __init__(self) -> None:
        ours, self.daemon = socket.socketpair()
        self.channel = Channel(ours)
        self.rings = 0
        self.replies = Replies(self._ring)

    def _ring(self) -> None:
        self.rings += 1

    def expect(self, *calls: Kind | Query) -> None:
        for number, what in enumerate(calls, 1):
            self.replies.expect(Awaited(what, "j1.1", number, sent_at=0.0))

    def look(self, now: float = 1.0) -> list[int]:
        return [awaited.number for awaited, _ in self.replies.look(self.channel, now)]

    def receive(self) -> list[int]:
        return [awaited.number for awaited, _ in self.replies.receive(self.channel)]


@pytest.fixture
def scene() -> Iterator[Scene]:
    made = Scene()
    yield made
    made.daemon.close()
    made.channel.close()


def test_a_job_takes_the_good_news_that_is_there(scene: Scene) -> None:
    """In the order of the calls, without the helm, and without waiting for what has not come."""
    scene.expect("checkpoint", "step", "checkpoint")
    assert scene.look() == []
    scene.daemon.send(GOOD + GOOD)
    assert scene.look() == [1, 2]
    assert scene.rings == 0
    scene.daemon.send(GOOD)
    assert scene.receive() == [3]


def test_all_but_good_news_is_for_the_helm(scene: Scene) -> None:
    """It is called for a refusal or an answer, and gets it with all that came after it, in order."""
    scene.expect("checkpoint", "checkpoint", "checkpoint")
    scene.daemon.send(GOOD + BAD + GOOD)
    assert scene.look() == [1]
    assert scene.rings == 1
    assert scene.look() == []
    assert scene.receive() == [2, 3]
    scene.expect(Query("FailedKeys", None, "j1.1", lambda reply: None))
    scene.daemon.send(GOOD)
    assert scene.look() == []
    assert scene.receive() == [1]


@pytest.mark.parametrize("said", [b"", b"nonsense\0"])
def test_trouble_in_passing_is_raised_at_the_helm(scene: Scene, said: bytes) -> None:
    """The job goes on: what a lost connection means is not decided there. Another connection begins anew."""
    scene.expect("checkpoint")
    scene.daemon.send(said)
    scene.daemon.shutdown(socket.SHUT_WR)
    assert scene.look() == []
    assert scene.rings == 1
    with pytest.raises((OSError, ProtocolError, ValueError)):
        scene.receive()
    scene.replies.forget()
    assert not scene.replies.left
    assert scene.replies.oldest_wait(9.0) == 0.0


def test_a_reply_to_nothing_ends_the_connection(scene: Scene) -> None:
    """Whoever reads it."""
    scene.daemon.send(GOOD)
    assert scene.look() == []
    with pytest.raises(ConnectionError):
        scene.receive()


def test_the_helm_listens_unless_the_job_looks_often(scene: Scene) -> None:
    """Again soon after the job has looked last, and at once when it waits for a reply."""
    assert scene.replies.tended_for(1.0) == 0.0
    scene.look(now=1.0)
    assert 0.0 < scene.replies.tended_for(1.01) < 0.05
    assert scene.replies.tended_for(1.06) == 0.0
    scene.look(now=2.0)
    scene.replies.untend()
    scene.replies.untend()
    assert scene.replies.tended_for(2.0) == 0.0
    assert scene.rings == 1
