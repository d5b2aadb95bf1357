import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import Malformed
from gateway.ocm import notifications
from gateway.ocm.notifications import NewNotification, NotificationType

BODY = {"notificationType": "SHARE_ACCEPTED", "providerId": "7c08", "resourceType": "file"}


def read(**change):
    members = {name: value for name, value in (BODY | change).items() if value is not ...}
    return notifications.parse(json.dumps(members).encode())


def test_a_notification_is_read():
    found = read(notification={"sharedSecret": "s3cret"})
    assert found.notification_type == NotificationType.SHARE_ACCEPTED
    assert (found.provider_id, found.resource_type) == ("7c08", "file")
    assert found.notification == {"sharedSecret": "s3cret"}
    assert "s3cret" not in repr(found)


def test_only_type_and_provider_id_are_demanded():
    assert read(resourceType=...) == NewNotification("SHARE_ACCEPTED", "7c08")
    assert read(resourceType=None, notification=None).notification == {}


def test_unknown_types_are_well_formed():
    assert read(notificationType="FOO").notification_type == "FOO"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("notificationType", ...), ("notificationType", 1), ("notificationType", ""),
        ("notificationType", "x" * 65), ("providerId", ...), ("providerId", 7), ("providerId", ""),
        ("providerId", "x" * 256), ("providerId", "a\nb"), ("resourceType", 1),
        ("notification", "x"), ("notification", [1]),
    ],
)  # fmt: skip
def test_one_wrong_member_is_enough_and_is_named(name, value):
    with pytest.raises(Malformed) as caught:
        read(**{name: value})
    assert [fault for fault, _ in caught.value.fields] == [name]


@given(st.sampled_from(NotificationType), st.none() | st.just("folder"))
def test_a_notification_survives_the_journey(kind, resource_type):
    sent = NewNotification(kind, "7c08", resource_type, {"message": "x"} if resource_type else {})
    assert notifications.parse(notifications.encode(sent)) == sent


@given(
    st.dictionaries(st.sampled_from([*BODY, "notification"]), st.none() | st.integers() | st.text())
)
def test_nothing_but_malformed_comes_out(change):
    with contextlib.suppress(Malformed):
        read(**change)
