"""Every metric, in one place. Labels are bounded: never a path, a server or a user."""

from prometheus_client import Counter, Gauge, Histogram

requests = Counter(
    "ocm_http_requests", "Requests answered, by route and status.", ["route", "method", "status"]
)
signatures = Counter(
    "ocm_signature_verifications", "Signatures of other servers checked.", ["result", "reason"]
)
policy_verdicts = Counter(
    "ocm_policy_verdicts", "Verdicts of the policy on other servers.", ["outcome", "rule"]
)
provider_requests = Counter(
    "ocm_provider_requests", "Requests sent to other servers.", ["purpose", "result"]
)
deliveries = Counter("ocm_outbox_deliveries", "Errands run from the outbox.", ["errand", "result"])
outbox_pending = Gauge("ocm_outbox_pending", "Errands that wait to be delivered.")
outbox_dead = Gauge("ocm_outbox_dead", "Errands that were given up.")
tokens_issued = Counter(
    "ocm_tokens_issued", "Access tokens issued, and requests refused.", ["result"]
)
backend_latency = Histogram(
    "ocm_backend_latency_seconds",
    "Time until the storage, or the server that shares with us, has answered with a status.",
    ["backend", "method"],
    buckets=(0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60),
)
backend_failures = Counter(
    "ocm_backend_failures", "Requests the storage did not answer properly.", ["reason"]
)
dav_bytes = Counter("ocm_dav_bytes", "Bytes of WebDAV bodies moved.", ["direction"])
rate_limited = Counter("ocm_rate_limited", "Requests refused for their number.", ["scope"])
build = Gauge("ocm_build_info", "The version that runs.", ["version"])
