# The gateway as an image. Build it from the top of the tree: docker build -t ocm-gateway .
# Any base image will do that has Python 3.11 or newer with venv and pip, and glibc.
ARG BASE=python:3.13-slim

FROM ${BASE} AS build
WORKDIR /src
RUN python3 -m venv /opt/ocm-gateway
# requirements-otel.lock brings what telemetry needs.
ARG LOCK=requirements.lock
COPY ${LOCK} ./
RUN /opt/ocm-gateway/bin/pip install --no-cache-dir --require-hashes -r ${LOCK}
COPY pyproject.toml README.md LICENSE ./
COPY gateway ./gateway
RUN /opt/ocm-gateway/bin/pip install --no-cache-dir --no-deps --no-build-isolation .

FROM ${BASE}
COPY --from=build /opt/ocm-gateway /opt/ocm-gateway
# A number, so that Kubernetes can tell that it is not root.
RUN install -d -m 0700 -o 10001 -g 10001 /var/lib/ocm-gateway
USER 10001:10001
# Nothing is written outside /var/lib/ocm-gateway: the root file system may be read-only.
ENV PATH=/opt/ocm-gateway/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
LABEL org.opencontainers.image.title="ocm-gateway" \
      org.opencontainers.image.licenses="Apache-2.0"
STOPSIGNAL SIGTERM
WORKDIR /var/lib/ocm-gateway
VOLUME /var/lib/ocm-gateway
ENTRYPOINT ["ocm-gateway"]
CMD ["serve", "--config", "/etc/ocm-gateway/gateway.yaml"]
