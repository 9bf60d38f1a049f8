# Fresh Debian systems in folders, for the scripts that try things in one: to be sourced, with sh.
#
# FRESH_CACHE keeps the base system and the packages for the next time, FRESH_SUITE is the release
# (default bookworm). Package sources are those of this machine. What runs in such a system has mount
# and process namespaces that take everything with them when they end; the folders go at exit.
# shellcheck shell=sh
fresh_cache=${FRESH_CACHE:-/var/tmp/batvd-fresh}
fresh_suite=${FRESH_SUITE:-bookworm}
fresh_base=$fresh_cache/$fresh_suite.tar
fresh_group=

# In front of a command line: root with the capabilities that container engines leave it.
# shellcheck disable=SC2034  # of those who source this
fresh_container="setpriv --inh-caps=-all --bounding-set=-all,+chown,+dac_override,+fowner,+fsetid,\
+kill,+setgid,+setuid,+setpcap,+net_bind_service,+net_raw,+sys_chroot,+mknod,+audit_write,+setfcap"

# This machine's sources of Debian, with that release in place of its own, as lines for a
# sources.list. Unstable has one archive alone.
fresh_sources() {
    # shellcheck source=/dev/null
    own=$(. /etc/os-release && echo "$VERSION_CODENAME")
    # shellcheck disable=SC2016  # apt's variables, not the shell's
    apt-get indextargets --format 'deb $(REPO_URI) $(RELEASE) $(COMPONENT)' \
        'Created-By: Packages' | awk -v own="$own" -v s="$fresh_suite" '
        $3 == own || (s != "sid" && ($3 == own "-updates" || $3 == own "-security")) {
            $3 = s substr($3, length(own) + 1)
            print
        }' | sort -u
}

fresh_make_base() {
    mirror=$(fresh_sources | awk -v s="$fresh_suite" '$3 == s && $4 == "main" { print $2; exit }')
    [ -n "$mirror" ] || { echo "fresh: no source of Debian on this machine" >&2; exit 1; }
    echo "fresh: debootstrap $fresh_suite"
    debootstrap --variant=minbase "$fresh_suite" "$work/base" "$mirror" >"$work/debootstrap.log" ||
        { tail "$work/debootstrap.log" >&2; exit 1; }
    tar -C "$work/base" -cf "$fresh_base.new" .
    mv "$fresh_base.new" "$fresh_base"
    rm -rf "$work/base"
}

# A folder of our own, $work, which goes at exit, and the base system.
fresh_begin() {
    mkdir -p "$fresh_cache/archives/partial"
    work=$(mktemp -d "$fresh_cache/work.XXXXXX")
    trap fresh_end EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
    [ -e "$fresh_base" ] || fresh_make_base
}

fresh_end() {
    rm -rf --one-file-system "$work"
    [ -z "$fresh_group" ] || fresh_remove_group
}

# fresh_system ROOT: a new minimal system in that folder.
fresh_system() {
    mkdir "$1"
    tar -C "$1" -xf "$fresh_base"
    fresh_sources >"$1/etc/apt/sources.list"
    grep -ilsE 'proxy' /etc/apt/apt.conf /etc/apt/apt.conf.d/* |
        while read -r file; do cp "$file" "$1/etc/apt/apt.conf.d/"; done
    echo 'APT::Keep-Downloaded-Packages "true"; APT::Sandbox::User "root";' \
        >"$1/etc/apt/apt.conf.d/99fresh"
    cp /etc/resolv.conf /etc/hosts "$1/etc/"
}

# Becomes the system in $1; what is asked for is in FRESH_OFFLINE, FRESH_BOOT and FRESH_VOLUMES, where
# a line is FOLDER:PLACE[:ro], a folder of this machine and where it is in there.
# shellcheck disable=SC2016  # expanded by the inner shell
fresh_inside='
    root=$1 archives=$2
    shift 2
    mount --bind "$root" "$root"
    cd "$root"
    mount -t proc proc proc
    mount -t tmpfs -o mode=755 tmpfs dev
    mkdir dev/shm dev/pts
    mount -t tmpfs -o mode=1777 tmpfs dev/shm
    mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
    mknod -m 666 dev/null c 1 3
    mknod -m 666 dev/zero c 1 5
    mknod -m 666 dev/full c 1 7
    mknod -m 666 dev/random c 1 8
    mknod -m 666 dev/urandom c 1 9
    mknod -m 666 dev/tty c 5 0
    ln -s pts/ptmx dev/ptmx
    ln -s /proc/self/fd dev/fd
    mount --bind "$archives" var/cache/apt/archives
    printf "%s\n" "${FRESH_VOLUMES:-}" | while IFS=: read -r folder place options; do
        [ -n "$folder" ] || continue
        mount --bind "$folder" "$root$place"
        [ -z "$options" ] || mount -o "remount,bind,$options" "$root$place"
    done
    hostname fresh.example
    path=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
    if [ -z "${FRESH_BOOT:-}" ]; then
        exec chroot . env -i HOME=/root TERM="${TERM:-dumb}" PATH="$path" "$@"
    fi
    mount -t sysfs -o ro sysfs sys
    mount -t cgroup2 cgroup2 sys/fs/cgroup
    mount --bind proc/sys proc/sys
    mount -o remount,bind,ro proc/sys
    mkdir -p old
    pivot_root . old
    umount -l /old
    exec env -i container=fresh PATH="$path" \
        setpriv --bounding-set=-sys_time,-sys_boot,-sys_module,-sys_rawio,-syslog --inh-caps=-all \
        /lib/systemd/systemd --system --show-status=no "$@"
'

# fresh_enter ROOT [NAME=VALUE...] COMMAND...: runs it as root in the system that is there, with an
# environment of its own. FRESH_OFFLINE: in a network of its own as well, where there is nothing yet.
fresh_enter() {
    fresh_root=$1
    shift
    unshare --mount --pid --ipc --uts ${FRESH_OFFLINE:+--net} ${FRESH_BOOT:+--cgroup} --fork \
        --kill-child --propagation private \
        sh -eu -c "$fresh_inside" sh "$fresh_root" "$fresh_cache/archives" "$@"
}

# The kernel takes a moment to end all that was in it.
fresh_remove_group() {
    for _ in 1 2 3 4 5 6 7 8 9 10; do
        find "$fresh_group" -depth -type d -exec rmdir {} + 2>/dev/null && break
        sleep 1
    done
    fresh_group=
}

# fresh_boot ROOT UNIT: the same with the system's systemd as first process and no network, until
# the unit has ended, which is to have SuccessAction= and FailureAction=exit. Its cgroup is one below
# ours. Where that cannot be had the unit has not begun.
fresh_boot() {
    unified=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/self/mounts)
    [ -n "$unified" ] || return 1
    fresh_group=$unified$(sed -n 's,^0::/*,/,p' /proc/self/cgroup)/batvd-fresh-$$
    mkdir "$fresh_group" 2>/dev/null || { fresh_group=; return 1; }
    status=0
    (
        # The first of them is this subshell.
        # shellcheck disable=SC2016  # expanded by the inner shell
        sh -c 'echo $PPID' >"$fresh_group/cgroup.procs" || exit 1
        FRESH_OFFLINE=1
        FRESH_BOOT=1
        export FRESH_BOOT
        fresh_enter "$1" --unit="$2"
    ) </dev/null || status=$?
    fresh_remove_group
    return "$status"
}
