"""The tables. Columns carry the field names of the records in `model.py`."""

import sqlalchemy
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    Index,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
    true,
)

metadata = MetaData()

Integer = BigInteger().with_variant(sqlalchemy.Integer(), "sqlite")
"""Sizes and times need 64 bits, which SQLite's integers have anyway."""

facts = Table(
    "facts",
    metadata,
    Column("name", String, primary_key=True),
    Column("value", Text, nullable=False),
)

signing_keys = Table(
    "signing_keys",
    metadata,
    Column("kid", String, primary_key=True),
    Column("algorithm", String, nullable=False),
    Column("sealed_private", Text, nullable=False),
    Column("state", String, nullable=False),
    Column("created_at", Integer, nullable=False),
    Column("changed_at", Integer, nullable=False),
)

sent_shares = Table(
    "sent_shares",
    metadata,
    Column("provider_id", String, primary_key=True),
    Column("resource", Text, nullable=False),
    Column("resource_type", String, nullable=False),
    Column("owner", String, nullable=False),
    Column("share_with", String, nullable=False),
    Column("receiving_server", String, nullable=False),
    Column("permissions", String, nullable=False),
    Column("must_exchange_token", Boolean),
    Column("sealed_secret", Text, nullable=False),
    Column("secret_fingerprint", String, nullable=False, unique=True),
    Column("created_at", Integer, nullable=False),
    Column("expiration_at", Integer),
    Column("size", Integer),
    Column("description", Text, nullable=False),
    Column("state", String, nullable=False),
    Column("reason", Text, nullable=False),
    Column("form", String, nullable=False, server_default=""),
    Column("at_root", Boolean, nullable=False, server_default=false()),
    Column("must_use_mfa", Boolean, nullable=False, server_default=false()),
    Column("share_type", String, nullable=False, server_default="user"),
    Column("ended_at", Integer),
    Column("found_by", Text, nullable=False, server_default=""),
    Column("resource_key", String, nullable=False, server_default=""),
    Column("granted_by", String, nullable=False, server_default=""),
    Index("sent_shares_by_grant", "granted_by"),
    Index("sent_shares_by_resource", "owner", "resource_key"),
    Index("sent_shares_by_owner", "owner", "created_at", "state"),
    Index("sent_shares_by_end", "ended_at"),
    Index("sent_shares_by_expiration", "expiration_at"),
)

accesses = Table(
    "accesses",
    metadata,
    Column("position", sqlalchemy.Integer, primary_key=True, autoincrement=True),
    Column("share", String, nullable=False),
    Column("provider", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("path", Text, nullable=False),
    Column("first_at", Integer, nullable=False),
    Column("last_at", Integer, nullable=False),
    Column("times", Integer, nullable=False),
    Column("bytes", Integer, nullable=False),
    Index("accesses_by_share", "share", "last_at"),
)

received_shares = Table(
    "received_shares",
    metadata,
    Column("id", String, primary_key=True),
    Column("sending_server", String, nullable=False),
    Column("provider_id", String, nullable=False),
    Column("recipient", String, nullable=False),
    Column("owner", String, nullable=False),
    Column("sender", String, nullable=False),
    Column("name", String, nullable=False),
    Column("folder", String, nullable=False),
    Column("resource_type", String, nullable=False),
    Column("uri", Text, nullable=False),
    Column("permissions", String, nullable=False),
    Column("must_exchange_token", Boolean, nullable=False),
    Column("sealed_secret", Text, nullable=False),
    Column("received_at", Integer, nullable=False),
    Column("expiration_at", Integer),
    Column("size", Integer),
    Column("description", Text, nullable=False),
    Column("sender_display_name", Text, nullable=False),
    Column("owner_display_name", Text, nullable=False),
    Column("state", String, nullable=False),
    Column("checked_at", Integer),
    Column("must_use_mfa", Boolean, nullable=False, server_default=false()),
    Column("hidden", Boolean, nullable=False, server_default=false()),
    Column("group", String, nullable=False, server_default=""),
    Column("ended_at", Integer),
    Column("misses", Integer, nullable=False, server_default="0"),
    Column("found_by", Text, nullable=False, server_default=""),
    Column("folder_key", String, nullable=False, server_default=""),
    UniqueConstraint("sending_server", "provider_id", "recipient"),
    UniqueConstraint("recipient", "folder"),
    Index(
        "received_shares_by_recipient",
        *("recipient", "received_at", "state", "hidden", "expiration_at", "group"),
    ),
    Index("received_shares_by_folder_key", "recipient", "folder_key"),
    Index("received_shares_by_check", "checked_at", "received_at"),
    Index("received_shares_by_end", "ended_at"),
    Index("received_shares_by_expiration", "expiration_at"),
)

outbox = Table(
    "outbox",
    metadata,
    Column("position", sqlalchemy.Integer, primary_key=True, autoincrement=True),
    Column("id", String, nullable=False, unique=True),
    Column("errand", String, nullable=False),
    Column("share", String, nullable=False),
    Column("provider", String, nullable=False),
    Column("created_at", Integer, nullable=False),
    Column("next_attempt_at", Integer, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("last_error", Text, nullable=False),
    Column("dead", Boolean, nullable=False),
    Column("leased_by", String),
    Column("found_by", Text, nullable=False, server_default=""),
    Index("outbox_due", "dead", "next_attempt_at", "position"),
    Index("outbox_by_share", "share", "position"),
)

invites = Table(
    "invites",
    metadata,
    Column("id", String, primary_key=True),
    Column("sender", String, nullable=False),
    Column("sealed_token", Text, nullable=False),
    Column("token_fingerprint", String, nullable=False, unique=True),
    Column("created_at", Integer, nullable=False),
    Column("expiration_at", Integer),
    Column("note", Text, nullable=False),
    Column("email", String, nullable=False),
    Column("state", String, nullable=False),
    Column("accepted_at", Integer),
    Column("accepted_by", String, nullable=False),
    Column("mailed_at", Integer),
    Index("invites_by_sender", "sender", "created_at", "state"),
)

acceptances = Table(
    "acceptances",
    metadata,
    Column("user", String, primary_key=True),
    Column("provider", String, primary_key=True),
    Column("token_fingerprint", String, primary_key=True),
    Column("begun_at", Integer, nullable=False),
)

contacts = Table(
    "contacts",
    metadata,
    Column("id", String, primary_key=True),
    Column("user", String, nullable=False),
    Column("user_id", String, nullable=False),
    Column("provider", String, nullable=False),
    Column("name", Text, nullable=False),
    Column("email", String, nullable=False),
    Column("label", Text, nullable=False),
    Column("source", String, nullable=False),
    Column("added_at", Integer, nullable=False),
    Column("trusted", Boolean, nullable=False, server_default=false()),
    Column("removed_at", Integer),
    Column("found_by", Text, nullable=False, server_default=""),
    UniqueConstraint("user", "provider", "user_id"),
)

lessons = Table(
    "lessons",
    metadata,
    Column("provider", String, primary_key=True),
    Column("dialect", String, nullable=False),
    Column("form", String, nullable=False),
    Column("approach", String, nullable=False),
    Column("learnt_at", Integer, nullable=False),
)

providers = Table(
    "providers",
    metadata,
    Column("authority", String, primary_key=True),
    Column("standing", String, nullable=False),
    Column("source", String, nullable=False),
    Column("first_seen_at", Integer, nullable=False),
    Column("last_seen_at", Integer, nullable=False),
    Column("scheme", String, nullable=False),
    Column("our_scheme", String, nullable=False),
    Column("dialect", String, nullable=False),
    Column("api_version", String, nullable=False),
    Column("capabilities", Text, nullable=False),
    Column("comment", Text, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("failing_since_at", Integer, nullable=False),
    Column("paused_until", Integer, nullable=False),
    Column("last_error", Text, nullable=False),
    Column("found_by", Text, nullable=False, server_default=""),
    Index("providers_by_last_seen", "standing", "last_seen_at"),
)

provider_keys = Table(
    "provider_keys",
    metadata,
    Column("provider", String, primary_key=True),
    Column("thumbprint", String, primary_key=True),
    Column("kid", Text, nullable=False),
    Column("algorithm", String, nullable=False),
    Column("standing", String, nullable=False),
    Column("first_seen_at", Integer, nullable=False),
    Column("last_seen_at", Integer, nullable=False),
)

revisions = Table(
    "revisions",
    metadata,
    Column("topic", String, primary_key=True),
    Column("number", Integer, nullable=False),
)

directories = Table(
    "directories",
    metadata,
    Column("name", String, primary_key=True),
    Column("url", String, nullable=False),
    Column("document", Text, nullable=False),
    Column("fetched_at", Integer),
    Column("tried_at", Integer, nullable=False),
    Column("error", Text, nullable=False),
)

leases = Table(
    "leases",
    metadata,
    Column("name", String, primary_key=True),
    Column("held_by", String, nullable=False),
    Column("held_at", Integer, nullable=False),
)

replays = Table(
    "replays",
    metadata,
    Column("signature", String, primary_key=True),
    Column("expires_at", Integer, nullable=False),
    Index("replays_by_expiry", "expires_at"),
)

rates = Table(
    "rates",
    metadata,
    Column("bucket", String, primary_key=True),
    Column("empty_at", Double, nullable=False),
    Index("rates_by_end", "empty_at"),
)

sessions = Table(
    "sessions",
    metadata,
    Column("id", String, primary_key=True),
    Column("user", String, nullable=False),
    Column("display_name", Text, nullable=False),
    Column("method", String, nullable=False),
    Column("created_at", Integer, nullable=False),
    Column("seen_at", Integer, nullable=False),
    Column("expires_at", Integer, nullable=False),
    Column("strong", Boolean, nullable=False),
    Column("acr", Text, nullable=False),
    Column("amr", Text, nullable=False),
    Column("agent", Text, nullable=False),
    Index("sessions_by_user", "user"),
)

decisions = Table(
    "decisions",
    metadata,
    Column("position", sqlalchemy.Integer, primary_key=True, autoincrement=True),
    Column("id", String, nullable=False, unique=True),
    Column("at", Integer, nullable=False),
    Column("action", String, nullable=False),
    Column("provider", String, nullable=False),
    Column("user", String, nullable=False),
    Column("outcome", String, nullable=False),
    Column("rule", String, nullable=False),
    Column("reason", Text, nullable=False),
    Column("shadow", Text, nullable=False),
    Column("policy", String, nullable=False),
    Column("request", String, nullable=False),
    Column("chain", Text, nullable=False),
    Index("decisions_by_time", "at"),
    Index("decisions_by_provider", "provider", "position"),
)

policy_lists = Table(
    "policy_lists",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("made_at", Integer, nullable=False),
    Column("made_by", String, nullable=False),
    Column("note", Text, nullable=False),
    Column("document", Text, nullable=False),
)

policy_bundles = Table(
    "policy_bundles",
    metadata,
    Column("url", String, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("etag", Text, nullable=False),
    Column("document", Text, nullable=False),
    Column("fetched_at", Integer, nullable=False),
    Column("checked_at", Integer, nullable=False),
    Column("last_error", Text, nullable=False),
)

audit = Table(
    "audit",
    metadata,
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("at", Integer, nullable=False),
    Column("what", String, nullable=False),
    Column("outcome", String, nullable=False),
    Column("decision", String, nullable=False),
    Column("provider", String, nullable=False),
    Column("about", String, nullable=False),
    Column("who", Text, nullable=False),
    Column("who_salt", Text, nullable=False),
    Column("who_seal", Text, nullable=False),
    Column("whom", Text, nullable=False),
    Column("whom_salt", Text, nullable=False),
    Column("whom_seal", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("reason_salt", Text, nullable=False),
    Column("reason_seal", Text, nullable=False),
    Column("hash", String, nullable=False),
    Index("audit_by_decision", "decision"),
    Index("audit_by_who", "who"),
    Index("audit_by_whom", "whom"),
)

requests = Table(
    "requests",
    metadata,
    Column("id", String, primary_key=True),
    Column("owner", String, nullable=False),
    Column("share_with", String, nullable=False),
    Column("provider", String, nullable=False),
    Column("resource", Text, nullable=False),
    Column("about", String, nullable=False),
    Column("created_at", Integer, nullable=False),
    Column("state", String, nullable=False),
    Column("decided_at", Integer),
    Column("share", String, nullable=False),
    Index("requests_by_owner", "owner", "created_at", "state"),
)

sent_requests = Table(
    "sent_requests",
    metadata,
    Column("id", String, primary_key=True),
    Column("user", String, nullable=False),
    Column("owner", String, nullable=False),
    Column("provider", String, nullable=False),
    Column("share", Text, nullable=False),
    Column("created_at", Integer, nullable=False),
    Column("state", String, nullable=False),
    Column("reason", Text, nullable=False),
    Index("sent_requests_by_user", "user", "created_at"),
)

links = Table(
    "links",
    metadata,
    Column("share", String, primary_key=True),
    Column("token_fingerprint", String, nullable=False, unique=True),
    Column("created_at", Integer, nullable=False),
    Column("asked", Integer, nullable=False),
)

link_visits = Table(
    "link_visits",
    metadata,
    Column("share", String, primary_key=True),
    Column("share_with", String, primary_key=True),
    Column("asked_at", Integer, nullable=False),
)

news = Table(
    "news",
    metadata,
    Column("id", String, primary_key=True),
    Column("way", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("user", String, nullable=False),
    Column("who", Text, nullable=False),
    Column("what", Text, nullable=False),
    Column("about", String, nullable=False),
    Column("at", Integer, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_attempt_at", Integer, nullable=False),
    Index("news_by_time", "next_attempt_at"),
    Index("news_by_user", "user", "way"),
)

wishes = Table(
    "wishes",
    metadata,
    Column("user", String, primary_key=True),
    Column("by_mail", Boolean, nullable=False, server_default=true()),
    Column("mailed_at", Integer),
    Column("language", String, nullable=False, server_default=""),
)
