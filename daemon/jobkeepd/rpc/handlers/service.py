"""org.varlink.service: what this service is."""

from __future__ import annotations

from jobkeep.protocol.interface import Nothing
from jobkeep.protocol.registry import INTERFACES, description
from jobkeep.protocol.service import DescriptionParameters, DescriptionReply, Info
from jobkeepd import __version__
from jobkeepd.core.model import Peer
from jobkeepd.rpc.faults import NoInterface
from jobkeepd.rpc.services import Services

VENDOR = "jobkeep"
PRODUCT = "jobkeepd"
URL = "https://pypi.org/project/jobkeep/"


def info(services: Services, asked: Nothing, peer: Peer) -> Info:
    return Info(VENDOR, PRODUCT, __version__, URL, list(INTERFACES))


def describe(services: Services, asked: DescriptionParameters, peer: Peer) -> DescriptionReply:
    text = description(asked.interface)
    if text is None:
        raise NoInterface(asked.interface)
    return DescriptionReply(text)
