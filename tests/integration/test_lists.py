"""Lists in files of their own: very long ones, what is wrong in one of them, and what is no file;
at the start and by a reload, while mail goes on."""

import gc
import os
import pathlib
import resource
import signal
import statistics
import subprocess
import threading
import time

import pytest

from batvtest import capability, util
from batvtest.daemon import StartFailure
from batvtest.milter import MilterSession
from batvtest.settings import PostfixSettings
from batvtest.util import PATIENCE

pytestmark = pytest.mark.slow

MANY = 100_000
CONFIG_ERROR = 78
REJECT = {"verify": {"action": "reject"}}

# An entry of each kind, whose number makes it one of many; the last is of no other list.
KINDS = {
    "networks": lambda n: (f"2001:db8:{n >> 16:x}:{n & 0xFFFF:x}::/64",
                           f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}")[n % 2],
    "domains": lambda n: f"{'.' if n % 3 == 0 else ''}d{n * 7919 % 104729:x}-{n}.example",
    "patterns": lambda n: (f"u{n}@d.example", f"*@d{n}.example", f"*@*.e{n}.example",
                           f"u{n}-*@d.example", f"*-u{n}@*.example")[n % 5],
    "hosts": lambda n: f"{'*.' if n % 3 == 0 else ''}mx{n}.example.org",
}


@pytest.fixture(scope="module")
def lists():
    """A folder with a file of each kind, named as the kind is."""
    folder = util.make_folder("lists")
    for kind, entry in KINDS.items():
        (folder / kind).write_text("".join(f"{entry(n)}\n" for n in range(MANY)), "ascii")
    yield folder
    util.remove_folder(folder)


def naming(folder, *kinds):
    """A configuration with these long lists. example.com is ours in any case."""
    config = {**REJECT, "domains": ("example.com",), "exclude": {}}
    for kind in kinds:
        file = f"file:{folder}/{kind}"
        if kind == "domains":
            config["domains"] += (file,)
        elif kind == "networks":
            config["exclude"]["networks"] = [file]
        elif kind == "hosts":
            config["exclude"]["hosts"] = [file]
        else:
            config["exclude"]["recipients"] = [file]
    return config


def of_file(instance, text, name="list"):
    """A list's file in the instance's folder; text or octets."""
    path = instance.folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def bounce(instance, rcpt="alice@example.com", client=("mx.other.test", "192.0.2.9", 4711)):
    with MilterSession(instance.milter, client=client) as s:
        return s.message("<>", [f"<{rcpt}>"]).verdict


def seconds_to_check(instance):
    """The processor time that batvd -n takes: of the wall's clock others have their share."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([util.binary("batvd"), "-c", instance.conf, "-n"], text=True, cwd="/",
                          env=instance.environment(), timeout=60, capture_output=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def memory_kib(instance, what):
    status = pathlib.Path(f"/proc/{instance.pid}/status").read_text("ascii")
    return int(next(line for line in status.splitlines() if line.startswith(what)).split()[1])


# -- long lists -------------------------------------------------------------------------------

@pytest.mark.parametrize("kinds", [*([kind] for kind in KINDS), list(KINDS)],
                         ids=lambda kinds: "-".join(kinds))
def test_a_hundred_thousand_entries_load_in_a_second(batvd, lists, kinds):
    instance = batvd(naming(lists, *kinds))
    instance.ctl("key", "init", rc=0)
    seconds = seconds_to_check(instance)
    print(f"{seconds:.2f} s")
    assert seconds < 1 * PATIENCE


def test_every_long_list_is_looked_at(batvd, lists):
    instance = batvd(naming(lists, *KINDS)).start()
    assert bounce(instance) == "reject"
    assert bounce(instance, client=("x.test", "10.1.134.159", 4711)) == "accept"
    assert bounce(instance, client=("x.test", "2001:db8:1:869e::7", 4711)) == "accept"
    assert bounce(instance, client=("a.b.mx99999.example.org", "192.0.2.9", 4711)) == "accept"
    assert bounce(instance, client=("mx99998.example.org", "192.0.2.9", 4711)) == "accept"
    ours = [KINDS["domains"](n) for n in (99998, 99999)]
    assert ours[0][0] != "." and ours[1][0] == "."
    mark = instance.mark()
    for domain in (ours[0], "mx" + ours[1]):
        assert bounce(instance, f"somebody@{domain}") == "reject"
    assert bounce(instance, f"somebody@{ours[1][1:]}") == "accept", "not ours: not judged"
    assert len(instance.wait_log("verify", since=mark, count=2)) == 2


def test_memory_of_long_lists(batvd, lists):
    """Of 400,000 entries each may take 150 octets; a reload, which has both, twice that."""
    if os.environ.get("BATV_SANITIZER"):
        pytest.skip("a sanitizer's memory is its own")
    few = batvd(naming(lists)).start()
    base = memory_kib(few, "VmHWM")
    many = batvd(naming(lists, *KINDS)).start()
    assert memory_kib(many, "VmHWM") - base < 400_000 * 150 / 1024
    for _ in range(5):
        many.reload(timeout=30)
    assert memory_kib(many, "VmHWM") - base < 400_000 * 300 / 1024 * 1.2
    assert memory_kib(many, "VmRSS") - base < 400_000 * 300 / 1024


def talk(instance, until):
    """Bounces without end over one session; how long each took."""
    times = []
    with MilterSession(instance.milter) as s:
        while not until():
            began = time.monotonic()
            assert s.message("<>", ["<alice@example.com>"]).verdict == "reject"
            times.append(time.monotonic() - began)
    return times


def test_mail_goes_on_while_lists_are_read_anew(batvd, lists):
    """The slowest answer of a busy session is no slower while 400,000 entries are read, made and
    dropped than what a machine shared with others may take anyhow."""
    instance = batvd(naming(lists, *KINDS)).start()
    talk(instance, iter([False] * 50 + [True]).__next__)
    done = threading.Event()
    took = []

    def reload_often():
        try:
            for _ in range(6):
                began = time.monotonic()
                instance.reload(timeout=30)
                took.append(time.monotonic() - began)
        finally:
            done.set()

    gc.disable()    # a pause of ours would be taken for one of the daemon's
    try:
        thread = threading.Thread(target=reload_often)
        thread.start()
        times = sorted(talk(instance, done.is_set))
        thread.join()
    finally:
        gc.enable()
    assert len(took) == 6
    seen = (f"{len(times)} messages, middle {statistics.median(times) * 1000:.2f} ms, longest "
            f"{times[-1] * 1000:.1f} ms; a reload {statistics.median(took):.2f} s")
    print(seen)
    assert len(times) > 100, seen
    # Were each reload waited for, there would be six answers that take as long as one. Less, since
    # the machine too may stop for a moment.
    assert times[-4] < max(0.06 * PATIENCE, min(took) / 3), seen


def test_a_reload_swaps_long_lists(batvd, lists):
    instance = batvd(naming(lists, *KINDS)).start()
    client = ("x.test", "10.1.134.159", 4711)
    assert bounce(instance, client=client) == "accept"
    assert bounce(instance) == "reject"
    path = of_file(instance, (lists / "networks").read_text("ascii").replace("10.1.134.159\n",
                                                                             "192.0.2.9\n"))
    instance.reload({**naming(lists, *KINDS), "exclude": {"networks": [f"file:{path}"]}}, timeout=30)
    assert bounce(instance, client=client) == "reject"
    assert bounce(instance) == "accept"


# -- one bad line -----------------------------------------------------------------------------

BAD = {
    "networks": ("10.0.0.1/8", "exclude.networks", "a network such as"),
    "domains": ("exa mple.com", "domains", "a domain such as"),
    "patterns": ("<alice@example.com>", "exclude.recipients", "an address without < and >"),
    "hosts": ("*.*.example.org", "exclude.hosts", "a host name such as"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_one_bad_line_of_many(batvd, lists, kind):
    """Named by file, line, value and what was expected; nothing of the rest is used."""
    value, option, expected = BAD[kind]
    lines = (lists / kind).read_text("ascii").splitlines()
    lines[77_776] = value
    instance = batvd(naming(lists, *KINDS)).start()
    path = of_file(instance, "\n".join(lines) + "\n", kind)
    other = of_file(instance, "192.0.2.0/24\n", "other")
    error = f"{path}:77777: error: {option}: found \"{value}\", expected {expected}"
    bad = naming(lists, *(set(KINDS) - {kind}))
    bad["internal_networks"] = [f"file:{other}"]
    section = naming(instance.folder, kind)
    bad["domains"] = section["domains"] if kind == "domains" else bad["domains"]
    bad["exclude"] = {**bad["exclude"], **section["exclude"]}
    mark = instance.mark()
    instance.reload(bad, ok=False, timeout=30)
    assert error in instance.log_text()[mark:]
    instance.configure(REJECT)      # mended, but not taken in yet
    util.wait_for(lambda: error in (instance.ctl("status", json=True)["reload_error"] or ""))
    assert bounce(instance) == "reject", "192.0.2.9 is not internal: the former lists are in force"
    assert bounce(instance, client=("x.test", "10.1.134.159", 4711)) == "accept"
    instance.kill9()
    instance.configure(bad)
    with pytest.raises(StartFailure) as failed:
        instance.start()
    assert failed.value.status == CONFIG_ERROR and error in failed.value.log[mark:]


# -- what stands in a file --------------------------------------------------------------------

@pytest.mark.parametrize("text", [
    "192.0.2.9\n192.0.2.9\n192.0.2.0/24\n192.0.2.9/32\n",
    "# first\r\n\r\n192.0.2.9\t # a comment\r\n",
    "\n\n  \t\n192.0.2.9",
    "192.0.2.9 # no newline",
    "#" + "x" * 1_000_000 + "\n192.0.2.9\n",
    " " * 1_000_000 + "192.0.2.9" + " " * 1_000_000 + "\n",
], ids=["twice", "crlf", "no-newline", "comment-at-the-end", "long-comment", "long-blank"])
def test_what_does_not_matter(batvd, text):
    instance = batvd(REJECT)
    path = of_file(instance, text)
    instance.configure({**REJECT, "exclude": {"networks": [f"file:{path}"]}})
    assert bounce(instance.start()) == "accept"


@pytest.mark.parametrize("text, complaint", [
    ("192.0.2.9\n192.0.2.10\0\n", ":2: error: a NUL octet, expected text"),
    ("\n" + "x" * 1_000_000 + "\n", ":2: error: exclude.networks: found \"xxx"),
    ("\xef\xbb\xbf192.0.2.9\n", ":1: error: exclude.networks: found"),
], ids=["nul", "long", "mark"])
def test_what_does(batvd, text, complaint):
    instance = batvd(REJECT).start()
    path = of_file(instance, text.encode("latin-1"))
    mark = instance.mark()
    instance.reload({**REJECT, "exclude": {"networks": [f"file:{path}"]}}, ok=False)
    said = instance.log_text()[mark:]
    assert f"{path}{complaint}" in said
    assert max(map(len, said.splitlines())) < 1000, "a long value is cut"
    assert bounce(instance) == "reject"


@pytest.mark.parametrize("what, complaint", [
    ("nothing", "No such file or directory"),
    ("directory", "is a directory, expected a file"),
    ("fifo", "is not a regular file"),
    ("socket", "No such device or address"),
    ("loop", "Too many levels of symbolic links"),
    ("unreadable", "Permission denied"),
    ("large", "is far too large"),
])
def test_what_is_no_file_of_a_list(batvd, what, complaint):
    """Nor does any of these hang the daemon."""
    instance = batvd(REJECT).start()
    path = instance.folder / "list"
    if what == "directory":
        path.mkdir()
    elif what == "fifo":
        os.mkfifo(path)
    elif what == "socket":
        path = instance.socket_path
    elif what == "loop":
        path.symlink_to(path)
    elif what == "unreadable":
        path.write_text("192.0.2.9\n")
        path.chmod(0o600)       # root's: only before privileges are dropped
    elif what == "large":
        path.touch()
        os.truncate(path, (1 << 26) + 1)
    config = {**REJECT, "exclude": {"networks": [f"file:{path}"]}}
    mark = instance.mark()
    instance.reload(config, ok=False)
    assert f"exclude.networks: {path}: {complaint}" in instance.log_text()[mark:]
    assert bounce(instance) == "reject"


def test_a_file_that_changes_all_the_time(batvd):
    """A whole file that takes another's place is read as one or the other; one that is written
    into is read as far as it is, and never hangs, ends or confuses the daemon."""
    instance = batvd(REJECT)
    path = of_file(instance, "192.0.2.9\n")
    instance.configure({**REJECT, "exclude": {"networks": [f"file:{path}"]}})
    instance.start()
    done = threading.Event()

    def write():
        n = 0
        while not done.is_set():
            n += 1
            fresh = of_file(instance, "192.0.2.9\n" * (1 + n % 2 * 50_000), "list.new")
            fresh.rename(path)
            with path.open("a") as f:
                f.write("192.0.2.9\n" * 10_000)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        for _ in range(10):
            mark = instance.mark()
            instance.signal(signal.SIGUSR1)
            instance.wait_text(r"^configuration .* reloaded|stays in force", since=mark)
            assert bounce(instance) == "accept"
    finally:
        done.set()
        thread.join()
    of_file(instance, "192.0.2.9\n")
    instance.reload()
    assert bounce(instance) == "accept"


# -- what is made of very many domains ----------------------------------------------------------

def test_the_map_of_very_many_domains(batvd, lists):
    """Postfix itself finds each domain, and none that is not ours, in no time; `check` says so."""
    idn = [f"{'.' if n % 2 else ''}bücher{n}.example" for n in range(1000)]
    instance = batvd(REJECT)
    path = of_file(instance, (lists / "domains").read_text("ascii") + "\n".join(idn) + "\n")
    instance.configure({**REJECT, "domains": (f"file:{path}",)})
    instance.ctl("key", "init", rc=0)
    tag = "prvs=0000000000="
    ours = [KINDS["domains"](n) for n in range(0, MANY, 100)]
    expected = {f"{word}@mx{name}" if name[0] == "." else f"{word}@{name}"
                for name in ours + idn for word in ('alice', 'a b', 'x@y', 'ALICE')}
    expected = {(f'"{name}"@{domain}' if set(name) & set(" @") else f"{name}@{domain}")
                for name, _, domain in (text.rpartition("@") for text in expected)}
    keys = {(f'"{tag}{plain[1:]}' if plain[0] == '"' else tag + plain): plain for plain in expected}
    others = [f"{tag}alice@{name[1:]}" for name in ours if name[0] == "."]
    others += [f"{tag}alice@x{name}" for name in ours if name[0] != "."]
    others += [f"{tag}alice@{name}.test" for name in ours if name[0] != "."]
    others += [f"alice@{name}" for name in ours if name[0] != "."]
    with PostfixSettings() as postfix:
        text = instance.ctl("mta", "postfix", "--part", "map", rc=0, env=postfix.env()).out
        assert max(map(len, text.splitlines())) < 1200
        table = postfix.file("batv.pcre", text)
        postfix.write({"recipient_canonical_maps": f"pcre:{table}",
                       "recipient_canonical_classes": "envelope_recipient"})
        began = time.monotonic()
        found = postfix.lookup([*keys, *others], f"pcre:{table}")
        seconds = time.monotonic() - began
        print(f"{len(keys) + len(others)} look-ups in {seconds:.2f} s, a map of {len(text)} octets")
        assert {key: value for key, value in found.items() if keys.get(key) != value} == {}
        assert set(keys) <= set(found)
        # A line after the other would be tried for minutes.
        assert seconds < 10 * PATIENCE
        look_at_map(instance, postfix, "ok", "in all your domains")
        postfix.file("batv.pcre", "\n" + text)
        look_at_map(instance, postfix, "warn", "were not tested")
        cut = text.splitlines(keepends=True)
        del cut[len(cut) // 2:-20]
        postfix.file("batv.pcre", "".join(cut))
        look_at_map(instance, postfix, "fail", "does not remove the tag")


def look_at_map(instance, postfix, level, text):
    done = instance.ctl("check", "--json", env=postfix.env(), timeout=60)
    found = [one for one in done.json if one["name"] == "postfix.recipient_canonical_maps"]
    assert (found[0]["level"], text in found[0]["text"]) == (level, True), found


def written(instance):
    """Octets that the daemon has handed to the system to write, wherever to; 0 where nobody may look."""
    if not capability.held("CAP_SYS_PTRACE"):
        return 0
    text = pathlib.Path(f"/proc/{instance.pid}/io").read_text("ascii")
    return int(next(line for line in text.splitlines() if line.startswith("wchar")).split()[1])


def report_of(instance):
    return instance.ctl("status", json=True)


def test_the_report_of_very_many_domains(batvd, lists):
    """It says nothing of those of which there is nothing to say, so that it stays small; what
    `status` tells of each is right nevertheless, of a daemon that was killed as well."""
    names = (lists / "domains").read_text("ascii").splitlines(keepends=True)[:10_000]
    instance = batvd(REJECT)
    path = of_file(instance, "".join(names))
    config = {"verify": {"action": "auto"}, "domains": ("example.com", f"file:{path}")}
    instance.configure(config)
    instance.start()
    status = instance.state / "status"
    util.wait_for(status.exists, 15)
    assert len(report_of(instance)["domains"]) == 10_001 and status.stat().st_size < 4096
    # an idle one, then one with traffic
    before = written(instance)
    report = report_of(instance)
    util.wait_for(lambda: report_of(instance)["written"] != report["written"], 15)
    assert written(instance) - before < 10_000
    before = written(instance)
    for _ in range(50):
        bounce(instance, "prvs=0000000000=alice@example.com")
    util.wait_for(lambda: report_of(instance)["counters"]["result.bad-signature"] == 50, 15)
    assert written(instance) - before < 100_000
    # what changes is told, at once where somebody did it
    of_file(instance, "".join([*names, "later.example\n"]))
    instance.reload()
    util.wait_for(lambda: report_of(instance)["domains"][-1]["name"] == "later.example", 5)
    with MilterSession(instance.milter, client=("inside.example.com", "127.0.0.2", 4711)) as s:
        s.message("<alice@example.com>", ["<far@other.test>"])
    util.wait_for(lambda: report_of(instance)["domains"][0]["state"] == "waiting", 10)
    seen = report_of(instance)
    assert seen["domains"][1]["state"] == "never-signed"
    assert status.stat().st_size < 4096 and "never-signed" not in status.read_text("ascii")
    instance.kill9()
    assert "batvd is not running" in instance.ctl("status", rc=1).out
    assert report_of(instance)["domains"] == seen["domains"]
