"""The protocol as a value: draft-ietf-ocm-open-cloud-mesh-03, and what came after it."""
