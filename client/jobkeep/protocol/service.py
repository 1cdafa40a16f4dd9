"""The interface org.varlink.service, which every Varlink service has: its standard text, and its messages."""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta, Struct

from jobkeep.protocol.interface import Interface, Method, Nothing

# Word for word from https://varlink.org/Service: tools compare it.
DESCRIPTION: Final = """\
# The Varlink Service Interface is provided by every varlink service. It
# describes the service and the interfaces it implements.
interface org.varlink.service

# Get a list of all the interfaces a service provides and information
# about the implementation.
method GetInfo() -> (
  vendor: string,
  product: string,
  version: string,
  url: string,
  interfaces: []string
)

# Get the description of an interface that is implemented by this service.
method GetInterfaceDescription(interface: string) -> (description: string)

# The requested interface was not found.
error InterfaceNotFound (interface: string)

# The requested method was not found
error MethodNotFound (method: string)

# The interface defines the requested method, but the service does not
# implement it.
error MethodNotImplemented (method: string)

# One of the passed parameters is invalid.
error InvalidParameter (parameter: string)

# Client is denied access
error PermissionDenied ()

# Method is expected to be called with 'more' set to true, but wasn't
error ExpectedMore ()
"""


class Info(Struct):
    vendor: str
    product: str
    version: str
    url: str
    interfaces: list[str]


class DescriptionParameters(Struct, forbid_unknown_fields=True):
    interface: Annotated[str, Meta(max_length=256)]


class DescriptionReply(Struct):
    description: str


class InterfaceNotFound(Struct, frozen=True):
    interface: str


class MethodNotFound(Struct, frozen=True):
    method: str


class InvalidParameter(Struct, frozen=True):
    """`parameter` is the path of the field; `message`, which the standard does not know, says what is wrong."""

    parameter: str
    message: str


class ExpectedMore(Struct, frozen=True):
    """The method only streams."""


Error = InterfaceNotFound | MethodNotFound | InvalidParameter | ExpectedMore

INTERFACE: Final = Interface(
    "org.varlink.service",
    "What this service is and which interfaces it has.",
    methods=(
        Method("GetInfo", Nothing, Info, "The service and its interfaces."),
        Method("GetInterfaceDescription", DescriptionParameters, DescriptionReply, "One interface as text."),
    ),
)
