"""The members of the API's requests as JSON has them (draft 03, 4.4 and 6.1).

Nothing is coerced: a number is no string and true is no number. Members we do not know are
ignored, except in `protocol`, where they are further protocols. An optional member that is null
counts as absent, since several servers write it so.
"""

from typing import Annotated

from pydantic import (
    AfterValidator,
    AliasChoices,
    BaseModel,
    ConfigDict,
    Field,
    PlainValidator,
    StringConstraints,
)

from gateway.errors import Malformed
from gateway.ocm import json
from gateway.ocm.address import LONGEST_IDENTIFIER, Address, parse_address

LONGEST_SECRET = 4096
_LARGEST_SECONDS = 1 << 53


def _line(text: str) -> str:
    if json.has_control(text):
        raise ValueError("must not hold control characters")
    return text


def _text(text: str) -> str:
    if "\0" in text:
        raise ValueError("must not hold NUL")
    return text


def _address(value: object) -> Address:
    if not isinstance(value, str):
        raise ValueError("must be an OCM Address")
    try:
        return parse_address(value)
    except Malformed as error:
        raise ValueError(error.message) from error


AddressText = Annotated[Address, PlainValidator(_address)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=255), AfterValidator(_line)]
Word = Annotated[str, StringConstraints(min_length=1, max_length=64), AfterValidator(_line)]
Words = Annotated[list[Word], Field(max_length=50)]
Uri = Annotated[str, StringConstraints(min_length=1, max_length=2048), AfterValidator(_line)]
Secret = Annotated[
    str, StringConstraints(min_length=1, max_length=LONGEST_SECRET), AfterValidator(_line)
]
Prose = Annotated[str, StringConstraints(max_length=16_384), AfterValidator(_text)]
DisplayName = Annotated[str, StringConstraints(max_length=1024), AfterValidator(_text)]
UserId = Annotated[
    str, StringConstraints(min_length=1, max_length=LONGEST_IDENTIFIER), AfterValidator(_line)
]
Email = Annotated[str, StringConstraints(max_length=1024), AfterValidator(_line)]
Seconds = Annotated[int, Field(ge=0, le=_LARGEST_SECONDS)]


class WebDavMembers(BaseModel):
    """protocol.webdav."""

    model_config = ConfigDict(strict=True)

    uri: Uri
    shared_secret: Secret = Field(alias="sharedSecret", repr=False)
    permissions: Words | None = None
    requirements: Words | None = None
    # Draft 03's change log calls it accessType.
    access_types: Words | None = Field(
        default=None, validation_alias=AliasChoices("accessTypes", "accessType")
    )
    size: object = None


class ProtocolMembers(BaseModel):
    """protocol."""

    model_config = ConfigDict(strict=True, extra="allow")

    name: Word | None = None
    options: dict[str, object] | None = Field(default=None, repr=False)
    webdav: WebDavMembers | None = None


class ShareMembers(BaseModel):
    """The whole body."""

    model_config = ConfigDict(strict=True)

    share_with: AddressText = Field(alias="shareWith")
    name: Name
    provider_id: Name = Field(alias="providerId")
    owner: AddressText
    sender: AddressText
    share_type: Word = Field(alias="shareType")
    resource_type: Word = Field(alias="resourceType")
    protocol: ProtocolMembers
    description: Prose | None = None
    owner_display_name: DisplayName | None = Field(default=None, alias="ownerDisplayName")
    sender_display_name: DisplayName | None = Field(default=None, alias="senderDisplayName")
    expiration: Seconds | None = None


class PersonMembers(BaseModel):
    """Who an Invite Sender or Invite Receiver is: the whole body of the answer (4.4.4)."""

    model_config = ConfigDict(strict=True)

    user_id: UserId = Field(alias="userID")
    email: Email
    name: DisplayName


class AcceptanceMembers(PersonMembers):
    """The whole body of an Invite Acceptance Request (4.4.3)."""

    recipient_provider: Uri = Field(alias="recipientProvider")
    token: Secret = Field(repr=False)
