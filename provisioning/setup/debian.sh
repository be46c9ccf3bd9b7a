#!/bin/sh
# Installs the Debian packages that are missing: `debian.sh demo` for what runs, `debian.sh test` for the tests as well.
# `debian.sh appliance` adds what boots a machine in an emulator (tests/appliance).
# Nothing is done, and no right is asked for, when they are all there. No daemon is started or left to start by itself.
set -eu

run="python3-venv python3-dev gcc libc6-dev libpcsclite-dev pcscd vsmartcard-vpcd mosquitto iproute2 util-linux mount ca-certificates"
try="age postgresql chromium fonts-dejavu-core openssl mosquitto-clients strace faketime swtpm tpm2-tools openssh-server openssh-client dosfstools curl rsync systemd"

case "${1:-}" in
    demo) wanted=$run ;;
    test) wanted="$run $try" ;;
    appliance) wanted="$run $try qemu-system-x86 mmdebstrap e2fsprogs" ;;
    *) echo "usage: debian.sh demo|test|appliance" >&2; exit 2 ;;
esac

there() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

if ! command -v dpkg-query >/dev/null; then
    echo "setup: this is not Debian or one of its children; it needs what these packages hold: $wanted" >&2
    exit 1
fi
missing=""
# OpenSSL before 3.0.22 ignores the authenticated attributes of CMS (docs/decisions/0028): the tests need the update.
[ "$1" = demo ] || dpkg --compare-versions "$(dpkg-query -W -f '${Version}' openssl 2>/dev/null || echo 0)" ge 3.0.22 ||
    missing=" openssl"
for package in $wanted; do there "$package" || missing="$missing $package"; done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" = 0 ]; then
    root=""
elif command -v sudo >/dev/null && { sudo -n true 2>/dev/null || [ -t 0 ]; }; then
    root=sudo
else
    echo "setup: these Debian packages are missing and I may not install them:$missing" >&2
    echo "setup: ask an administrator for:  apt-get install --no-install-recommends$missing" >&2
    exit 1
fi

echo "setup: installing Debian packages:$missing"
began=$(date +%s)

# The packages start their daemons when they are installed. We start our own, on our own ports, so: not now (policy) and
# not at the next boot either (disable), unless they were here before us.
policy=/usr/sbin/policy-rc.d
ours=""
if [ ! -e $policy ]; then
    printf '#!/bin/sh\nexit 101\n' | $root tee $policy >/dev/null
    $root chmod 755 $policy
    ours=yes
fi
clean() { [ -z "$ours" ] || $root rm -f $policy; }
trap clean EXIT
trap 'exit 130' INT TERM

log=$(mktemp)
quiet() {
    "$@" >"$log" 2>&1 || { tail -n 40 "$log" >&2; rm -f "$log"; echo "setup: apt-get failed, see above" >&2; exit 1; }
}
quiet $root env DEBIAN_FRONTEND=noninteractive apt-get update -q
# shellcheck disable=SC2086  # a list of package names
quiet $root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $missing
rm -f "$log"

case "$missing" in *" mosquitto "* | *" mosquitto") new_broker=yes ;; *) new_broker="" ;; esac
case "$missing" in *" postgresql "* | *" postgresql") new_database=yes ;; *) new_database="" ;; esac
case "$missing" in *" openssh-server "* | *" openssh-server") new_ssh=yes ;; *) new_ssh="" ;; esac
case "$missing" in *vsmartcard-vpcd*) new_vpcd=yes ;; *) new_vpcd="" ;; esac
case "$missing" in *" pcscd "* | *" pcscd") new_pcscd=yes ;; *) new_pcscd="" ;; esac
if [ -d /run/systemd/system ]; then
    [ -z "$new_broker" ] || $root systemctl disable --now --quiet mosquitto.service || true
    [ -z "$new_database" ] || $root systemctl disable --now --quiet postgresql.service || true
    [ -z "$new_ssh" ] || $root systemctl disable --now --quiet ssh.service ssh.socket || true
    [ -z "$new_pcscd" ] || $root systemctl disable --now --quiet pcscd.socket pcscd.service || true
fi
if [ -n "$new_vpcd" ]; then
    # Its configuration makes the machine's own pcscd listen on every address for virtual cards. Ours has its own.
    $root rm -f /etc/reader.conf.d/vpcd
fi
echo "setup: Debian packages installed in $(($(date +%s) - began)) s"
