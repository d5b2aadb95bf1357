#!/bin/sh
# Install what the benchmarks compare with, and a Python for the gateway under test.
#
# Quick and silent when all is there. The programs come from Debian (needs apt-get and root, or sudo
# without a password); no system service is started or enabled. The Python is Debian's own where it
# is at hand, since it is built with optimisation: build/bench-venv, from requirements.lock.
set -eu

cd "$(dirname "$0")/.."
PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"
venv=build/bench-venv

# What we look for and the Debian package that brings it.
wanted() {
    cat <<'LIST'
nginx nginx
/usr/lib/nginx/modules/ngx_http_dav_ext_module.so libnginx-mod-http-dav-ext
haproxy haproxy
wrk wrk
taskset util-linux
LIST
}

missing_packages() {
    wanted | while read -r what package; do
        command -v "$what" >/dev/null 2>&1 || [ -e "$what" ] || printf ' %s' "$package"
    done
}

give_up() {
    echo "bench/setup.sh: missing:$missing; $1" >&2
    exit 1
}

install_programs() {
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
    echo "bench/setup.sh: installing$missing"
    log=$(mktemp)
    apt() { as_root DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300 "$@"; }
    # shellcheck disable=SC2086  # the package names are words
    if ! { apt update && apt install -y --no-install-recommends $missing; } >"$log" 2>&1; then
        tail -n 20 "$log" >&2
        give_up "apt-get failed, its full output is in $log"
    fi
    rm -f "$log"
    # They should not serve after the machine's next start because of our benchmarks.
    for service in nginx haproxy; do
        case "$missing" in
        *" $service"*)
            if [ -d /run/systemd/system ]; then
                as_root systemctl disable "$service" >/dev/null 2>&1 || true
            fi
            ;;
        esac
    done
    missing=$(missing_packages)
    [ -z "$missing" ] || give_up "apt-get installed them, yet they are not found"
}

# A Python 3.11 or newer that can make environments: Debian's first, else any.
find_python() {
    for python in /usr/bin/python3.13 /usr/bin/python3.12 /usr/bin/python3.11 python3; do
        if "$python" -c 'import sys, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            echo "$python"
            return
        fi
    done
    echo "bench/setup.sh: no Python 3.11 or newer with ensurepip found" >&2
    exit 1
}

missing=$(missing_packages)
[ -z "$missing" ] || install_programs

if ! cmp -s requirements.lock "$venv/installed.lock"; then
    python=$(find_python)
    echo "bench/setup.sh: installing requirements.lock into $venv with $python"
    mkdir -p build
    "$python" -m venv --clear "$venv"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes \
        -r requirements.lock
    cp requirements.lock "$venv/installed.lock"
fi
