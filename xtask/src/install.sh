#!/bin/sh
# Installs the packages named as arguments, as root, without starting any service.
#
# Services stay down because the tests start servers of their own: for the time
# of the installation a policy forbids starts, unless the machine has one already.
set -eu

policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    trap 'exit 1' HUP INT TERM
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
fi

export DEBIAN_FRONTEND=noninteractive
# Another apt may be at work on this machine: wait for its lock, do not fail.
wait_for_lock='-o DPkg::Lock::Timeout=300'

# shellcheck disable=SC2086
apt-get $wait_for_lock update -q
# shellcheck disable=SC2086
apt-get $wait_for_lock install -q -y --no-install-recommends "$@"
