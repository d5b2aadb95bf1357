#!/bin/sh
# Install the real servers that the tests talk to.
#
# Quick and silent when all are there. Needs apt-get and root (or sudo without a password); where
# that is not to be had it says what is missing, and the tests that need it are skipped. With
# CI=true nothing may be missing, so it fails instead. No system service is started or enabled.
set -eu

PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"

# What we look for and the Debian package that brings it. apache2-bin is Apache without its service.
wanted() {
    cat <<'LIST'
apache2 apache2-bin
nginx nginx
caddy caddy
/usr/lib/nginx/modules/ngx_http_dav_ext_module.so libnginx-mod-http-dav-ext
lighttpd lighttpd
/usr/lib/lighttpd/mod_webdav.so lighttpd-mod-webdav
rclone rclone
xrootd xrootd-server
/usr/lib/*/libXrdHttp-*.so xrootd-server-plugins
litmus litmus
curl curl
cadaver cadaver
mount.davfs davfs2
/usr/lib/postgresql/*/bin/postgres postgresql
chromium chromium
promtool prometheus
kubectl kubernetes-client
LIST
}

missing_packages() {
    wanted | while read -r what package; do
        # shellcheck disable=SC2086  # a path may hold a star
        command -v "$what" >/dev/null 2>&1 || ls $what >/dev/null 2>&1 || printf ' %s' "$package"
    done
}

give_up() {
    echo "tests/setup.sh: missing:$missing; $1" >&2
    if [ "${CI:-}" = true ]; then exit 1; fi
    echo "tests/setup.sh: the tests that need them will be skipped" >&2
    exit 0
}

missing=$(missing_packages)
[ -n "$missing" ] || exit 0

command -v apt-get >/dev/null || give_up "there is no apt-get to install them with"
if [ "$(id -u)" = 0 ]; then
    as_root() { env "$@"; }
elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
    as_root() { sudo -n env "$@"; }
else
    give_up "installing them needs root or sudo without a password"
fi

# Debian's packages ask this file before they start a service: 101 is "not allowed".
gate=/usr/sbin/policy-rc.d
if [ ! -e "$gate" ]; then
    trap 'as_root rm -f "$gate"' EXIT
    trap 'exit 130' INT TERM
    printf '#!/bin/sh\nexit 101\n' | as_root tee "$gate" >/dev/null
    as_root chmod 755 "$gate"
fi

echo "tests/setup.sh: installing$missing"
log=$(mktemp)
apt() { as_root DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300 "$@"; }
# shellcheck disable=SC2086  # the package names are words
if ! { apt update && apt install -y --no-install-recommends $missing; } >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    give_up "apt-get failed, its full output is in $log"
fi
rm -f "$log"

# A developer's machine should not serve port 80 after its next start because of our tests.
for service in nginx lighttpd caddy; do
    case "$missing" in
    *" $service"*) if [ -d /run/systemd/system ]; then as_root systemctl disable $service >/dev/null 2>&1 || true; fi ;;
    esac
done

missing=$(missing_packages)
[ -z "$missing" ] || give_up "apt-get installed them, yet they are not found"
