# Makes fresh Debian systems in folders. Scripts source this file with sh.
#
# FRESH_CACHE keeps the base system and the packages for the next run, FRESH_SUITE is the release (default
# bookworm). The package sources are this machine's. A program in such a system has mount and process
# namespaces whose contents end with them; the folders are deleted at exit.
# shellcheck shell=sh
fresh_cache=${FRESH_CACHE:-/var/tmp/batvd-fresh}
fresh_suite=${FRESH_SUITE:-bookworm}
fresh_base=$fresh_cache/$fresh_suite.tar
fresh_group=

# A prefix for a command: runs it as root with the capabilities that container engines grant.
# shellcheck disable=SC2034  # for scripts that source this
fresh_container="setpriv --inh-caps=-all --bounding-set=-all,+chown,+dac_override,+fowner,+fsetid,\
+kill,+setgid,+setuid,+setpcap,+net_bind_service,+net_raw,+sys_chroot,+mknod,+audit_write,+setfcap"

# Prints this machine's Debian sources for FRESH_SUITE, as lines for a sources.list. Unstable has only one
# archive.
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
    [ -n "$mirror" ] || { echo "fresh: this machine has no source of Debian packages" >&2; exit 1; }
    echo "fresh: debootstrap $fresh_suite"
    debootstrap --variant=minbase "$fresh_suite" "$work/base" "$mirror" >"$work/debootstrap.log" ||
        { tail "$work/debootstrap.log" >&2; exit 1; }
    tar -C "$work/base" -cf "$fresh_base.new" .
    mv "$fresh_base.new" "$fresh_base"
    rm -rf "$work/base"
}

# Makes the folder $work, which is deleted at exit, and the base system.
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

# fresh_system ROOT: makes a new minimal system in that folder.
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

# Becomes the system in $1, as FRESH_OFFLINE, FRESH_BOOT and FRESH_VOLUMES request. A line of FRESH_VOLUMES
# is FOLDER:PLACE[:ro]: a folder of this machine and its place inside.
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

# fresh_enter ROOT [NAME=VALUE...] COMMAND...: runs the command as root in the system in ROOT, with a clean
# environment. With FRESH_OFFLINE also in a separate, empty network.
fresh_enter() {
    fresh_root=$1
    shift
    unshare --mount --pid --ipc --uts ${FRESH_OFFLINE:+--net} ${FRESH_BOOT:+--cgroup} --fork \
        --kill-child --propagation private \
        sh -eu -c "$fresh_inside" sh "$fresh_root" "$fresh_cache/archives" "$@"
}

# The kernel needs a moment to end all processes in the group.
fresh_remove_group() {
    for _ in 1 2 3 4 5 6 7 8 9 10; do
        find "$fresh_group" -depth -type d -exec rmdir {} + 2>/dev/null && break
        sleep 1
    done
    fresh_group=
}

# fresh_boot ROOT UNIT: boots the system with its systemd as first process and no network, until the unit
# ends, which needs SuccessAction=exit and FailureAction=exit. Its cgroup is below ours. If that is not
# possible, the unit does not start.
fresh_boot() {
    unified=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/self/mounts)
    [ -n "$unified" ] || return 1
    fresh_group=$unified$(sed -n 's,^0::/*,/,p' /proc/self/cgroup)/batvd-fresh-$$
    mkdir "$fresh_group" 2>/dev/null || { fresh_group=; return 1; }
    status=0
    (
        # This subshell is the first process of the group.
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
