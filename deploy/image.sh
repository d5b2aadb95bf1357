#!/bin/sh
# Build the image without a container engine's daemon, and see that it runs as it should: make image
#
# Needs buildah. BASE names the base image (Python 3.11 or newer, glibc); without one, a small Debian is made with
# mmdebstrap.
set -eu

cd "$(dirname "$0")/.."
command -v buildah >/dev/null || { echo "deploy/image.sh: buildah is not installed" >&2; exit 1; }

work=$(mktemp -d)
container=
clean() { [ -z "$container" ] || buildah rm "$container" >/dev/null; rm -rf "$work"; }
trap clean EXIT
export STORAGE_DRIVER="${STORAGE_DRIVER:-vfs}" BUILDAH_ISOLATION=chroot

if [ -z "${BASE:-}" ]; then
    command -v mmdebstrap >/dev/null || { echo "deploy/image.sh: name a BASE, or install mmdebstrap" >&2; exit 1; }
    BASE=localhost/ocm-gateway-base
    if ! buildah inspect --type image "$BASE" >/dev/null 2>&1; then
        mmdebstrap --quiet --variant=minbase --include=python3,python3-venv,ca-certificates bookworm "$work/base.tar"
        container=$(buildah from scratch)
        buildah add -q "$container" "$work/base.tar" / >/dev/null
        buildah commit -q --rm "$container" "$BASE" >/dev/null
        container=
    fi
fi

buildah bud --quiet --network host --volume /etc/ssl/certs:/etc/ssl/certs:ro --build-arg "BASE=$BASE" -t ocm-gateway .

container=$(buildah from ocm-gateway)
config=$(buildah inspect --format '{{.OCIv1.Config.User}} {{.OCIv1.Config.StopSignal}}' "$container")
case "$config" in
10001:10001*) ;;
*) echo "deploy/image.sh: the image runs as $config" >&2; exit 1 ;;
esac
cat >"$work/gateway.yaml" <<'YAML'
public: {origin: "https://cloud.example.org"}
storage: {url: "http://127.0.0.1:9000"}
policy: {default: deny}
state: {folder: /var/lib/ocm-gateway}
YAML
chmod 0755 "$work"; chmod 0644 "$work/gateway.yaml"
buildah run --volume "$work:/etc/ocm-gateway:ro" "$container" -- ocm-gateway check --config /etc/ocm-gateway/gateway.yaml
echo "The image ocm-gateway is built and starts as user 10001."
