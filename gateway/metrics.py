"""Every metric, in one place. Labels are bounded: never a path, a server or a user."""

import os
from functools import lru_cache

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
    multiprocess,
)

METRICS_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
"""The environment variable under which several workers share their metrics."""

requests = Counter(
    "ocm_http_requests", "Requests answered, by route and status.", ["route", "method", "status"]
)
request_seconds = Histogram(
    "ocm_http_request_seconds",
    "Time until a request was answered, by route; transfers take as long as their client does.",
    ["route"],
    buckets=(0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60),
)
signatures = Counter(
    "ocm_signature_verifications", "Signatures of other servers checked.", ["result", "reason"]
)
signed = Counter("ocm_signed_requests", "Requests to other servers, by how we signed.", ["scheme"])
policy_verdicts = Counter(
    "ocm_policy_verdicts", "Verdicts of the policy on other servers.", ["outcome", "rule"]
)
policy_shadow = Counter(
    "ocm_policy_shadow_changes",
    "Decisions that the rehearsed policy would make differently.",
    ["live", "shadow"],
)
config_reloads = Counter("ocm_config_reloads", "Configurations that were read anew.", ["result"])
config_good = Gauge(
    "ocm_config_last_reload_successful",
    "1 while the configuration as it is written is the one in force, 0 while an older one is kept.",
    multiprocess_mode="livemin",
)
config_time = Gauge(
    "ocm_config_last_reload_timestamp_seconds",
    "When the configuration in force was read.",
    multiprocess_mode="livemin",
)
config_hash = Gauge(
    "ocm_config_hash",
    "A number for the configuration in force: replicas with the same one have the same number.",
    multiprocess_mode="livemostrecent",
)
policy_reloads = Counter("ocm_policy_reloads", "Policies that were read anew.", ["result"])
policy_good = Gauge(
    "ocm_policy_last_reload_successful",
    "1 while the policy as it is written is the one in force, 0 while an older one is kept.",
    multiprocess_mode="livemin",
)
policy_cut = Counter("ocm_policy_transfers_cut", "Running transfers that were cut off.")
policy_bundles = Counter("ocm_policy_bundles", "Looks for a newer policy bundle.", ["result"])
policy_bundle_time = Gauge(
    "ocm_policy_bundle_timestamp_seconds",
    "When the policy bundle was last known to be the newest.",
    multiprocess_mode="livemax",
)
policy_bundle_stale = Gauge(
    "ocm_policy_bundle_stale",
    "1 when that was longer ago than policy.bundle.stale_hours.",
    multiprocess_mode="livemax",
)
provider_requests = Counter(
    "ocm_provider_requests", "Requests sent to other servers.", ["purpose", "result"]
)
deliveries = Counter("ocm_outbox_deliveries", "Errands run from the outbox.", ["errand", "result"])
outbox_pending = Gauge(
    "ocm_outbox_pending", "Errands that wait to be delivered.", multiprocess_mode="livemostrecent"
)
outbox_dead = Gauge(
    "ocm_outbox_dead", "Errands that were given up.", multiprocess_mode="livemostrecent"
)
outbox_oldest = Gauge(
    "ocm_outbox_oldest_seconds",
    "For how long the oldest errand that waits has waited; 0 when none does.",
    multiprocess_mode="livemostrecent",
)
news = Counter("ocm_news", "News told to people here.", ["way", "result"])
logins = Counter("ocm_logins", "Log-ins at the pages.", ["method", "result"])
tokens_issued = Counter("ocm_tokens_issued", "Access tokens issued.")
backend_latency = Histogram(
    "ocm_backend_latency_seconds",
    "Time until the storage, or the server that shares with us, has answered with a status.",
    ["backend", "method"],
    buckets=(0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60),
)
backend_failures = Counter(
    "ocm_backend_failures", "Requests the storage did not answer properly.", ["reason"]
)
backend_up = Gauge(
    "ocm_backend_up",
    "1 while the storage answers, asked every 15 seconds.",
    multiprocess_mode="livemin",
)
dialects = Counter(
    "ocm_dialects",
    "Shares sent and shares opened, by the other server's dialect.",
    ["dialect", "use"],
)
tolerated = Counter(
    "ocm_tolerated", "What older servers sent and was read for what it means.", ["form"]
)
dav_bytes = Counter("ocm_dav_bytes", "Bytes of WebDAV bodies moved.", ["direction"])
breaker = Counter(
    "ocm_provider_breaker", "Servers that do not answer: left alone, spared, back.", ["result"]
)
rate_limited = Counter("ocm_rate_limited", "Requests refused for their number.", ["scope"])
in_progress = Gauge(
    "ocm_requests_in_progress",
    "Requests that are being answered, by kind; transfers are those that flow.",
    ["kind"],
    multiprocess_mode="livesum",
)
shed = Counter(
    "ocm_requests_shed", "Requests sent away with 503 because too many were in progress.", ["kind"]
)
directory_refreshes = Counter(
    "ocm_directory_refreshes", "Lists of Directory Services fetched.", ["directory", "result"]
)
audit_entries = Counter("ocm_audit_entries", "Entries written to the audit trail.")
audit_lost = Counter(
    "ocm_audit_lost", "Entries that were noted and not kept, because too many waited."
)
audit_streamed = Counter("ocm_audit_streamed", "Entries of the audit trail told to its stream.")
audit_behind = Gauge(
    "ocm_audit_behind_entries",
    "Entries of the audit trail that its stream has not taken yet.",
    multiprocess_mode="livemostrecent",
)
shares = Gauge(
    "ocm_shares",
    "Shares, by direction and state, counted once a minute.",
    ["direction", "state"],
    multiprocess_mode="livemostrecent",
)
invites = Gauge(
    "ocm_invites",
    "Invites of users here, by state, counted once a minute.",
    ["state"],
    multiprocess_mode="livemostrecent",
)
providers = Gauge(
    "ocm_providers",
    "Servers in the registry, by what the operator decided, counted once a minute.",
    ["standing"],
    multiprocess_mode="livemostrecent",
)
providers_paused = Gauge(
    "ocm_providers_paused",
    "Servers in the registry that are left alone, because they do not answer.",
    multiprocess_mode="livemostrecent",
)
signing_keys = Gauge(
    "ocm_signing_keys",
    "Our own keys, by where they stand.",
    ["state"],
    multiprocess_mode="livemostrecent",
)
signing_key_time = Gauge(
    "ocm_signing_key_active_timestamp_seconds",
    "Since when the key signs that does, by what it signs.",
    ["use"],
    multiprocess_mode="livemostrecent",
)
certificate_time = Gauge(
    "ocm_public_certificate_expiry_timestamp_seconds",
    "When the certificate ends that is shown at our public name; 0 where nobody can see it.",
    multiprocess_mode="livemostrecent",
)
loop_lag = Histogram(
    "ocm_event_loop_lag_seconds",
    "How late the event loop comes to what is due, four times a second.",
    buckets=(0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
)
database_transactions = Gauge(
    "ocm_database_transactions",
    "Transactions that run or wait for their turn.",
    multiprocess_mode="livesum",
)
database_connections = Gauge(
    "ocm_database_connections",
    "How many transactions can run at a time.",
    multiprocess_mode="livesum",
)
state_free = Gauge(
    "ocm_state_free_bytes",
    "Room left where state.folder lies.",
    multiprocess_mode="livemostrecent",
)
build = Gauge("ocm_build_info", "The version that runs.", ["version"], multiprocess_mode="livemax")


@lru_cache(4096)
def _requests_of(route: str, method: str, status: int) -> Counter:
    return requests.labels(route, method, status)


def count_request(route: str, method: str, status: int) -> None:
    """Count a request; looking the labels up costs more than all else, so that is remembered."""
    _requests_of(route, method, status).inc()


@lru_cache(256)
def seconds_of(route: str) -> Histogram:
    """Where the time is noted that requests of a route take."""
    return request_seconds.labels(route)


@lru_cache(64)
def _verdicts_of(outcome: str, rule: str) -> Counter:
    return policy_verdicts.labels(outcome, rule)


def count_verdict(outcome: str, rule: str) -> None:
    """Count a verdict of the policy."""
    _verdicts_of(outcome, rule).inc()


def exposition() -> bytes:
    """Every metric in Prometheus' text form; with several workers, of all of them together."""
    if METRICS_FOLDER not in os.environ:
        return generate_latest()
    together = CollectorRegistry()
    multiprocess.MultiProcessCollector(together)  # type: ignore[no-untyped-call]
    return generate_latest(together)
