"""A namespace in which /dev/log and the journal's socket are a folder's `log` and `journal`, whether or not
anything is there: the machine's own are not touched."""

_WITH_SOCKETS = """\
set -e
mkdir -p "$1/dev" "$1/systemd"
mount -t tmpfs none "$1/dev"
for name in null zero full random urandom; do
    : >"$1/dev/$name"
    mount --bind "/dev/$name" "$1/dev/$name"
done
mkdir "$1/dev/shm"
mount --bind /dev/shm "$1/dev/shm"
ln -s "$1/log" "$1/dev/log"
mount --rbind "$1/dev" /dev
if [ -d /run/systemd ]; then
    mount -t tmpfs none "$1/systemd"
    mkdir "$1/systemd/journal"
    ln -s "$1/journal" "$1/systemd/journal/socket"
    mount --rbind "$1/systemd" /run/systemd
fi
shift
exec "$@"
"""


def prefix(folder):
    """In front of a command line, which it becomes by exec."""
    return ["unshare", "-m", "sh", "-c", _WITH_SOCKETS, "sh", str(folder)]
