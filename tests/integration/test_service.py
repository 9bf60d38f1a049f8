"""Run by systemd: what the daemon tells it, the unit and its companions, and, in a small machine with
a real systemd, the unit itself, with every restriction in force."""

import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import time

import pytest

from batvtest import capability, util
from batvtest.daemon import StartFailure, config_text, parse_line
from batvtest.machine import Machine, Unavailable
from batvtest.milter import MilterSession

INSIDE = {"client": ("inside.example.com", "127.0.0.2", 4711)}
UNIT = util.REPO / "conf/systemd/batvd.service"
EXPOSURE = 1.5
SOCKET = "/var/spool/postfix/batvd/milter.sock"
CONFIG_ERROR = "78"
CONFIG = {"domains": ("example.com",), "internal_networks": ["127.0.0.2/32"],
          "verify": {"action": "reject"}, "log": {"target": "journald"}}


def tool(*command, rc=0, **options):
    """A program of systemd's on this machine, which is skipped where it is missing."""
    try:
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False,
                              timeout=60, **options)
    except FileNotFoundError:
        pytest.skip(f"{command[0]} is not installed")
    assert rc is None or done.returncode == rc, done
    return done.stdout + done.stderr


# -- what systemd is told -------------------------------------------------------------------------

class Notified:
    """The other end of NOTIFY_SOCKET."""

    def __init__(self, instance):
        path = instance.folder / "notify"
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        path.chmod(0o777)
        self.socket.settimeout(10 * util.PATIENCE)
        plain = instance.environment
        instance.environment = lambda more=None: {**plain(more), "NOTIFY_SOCKET": str(path)}

    def next(self):
        """The next message: a dict."""
        return dict(line.split("=", 1) for line in self.socket.recv(8192).decode().splitlines())

    def until(self, name):
        """The message that has `name`, and the last STATUS until then."""
        status = None
        while True:
            message = self.next()
            status = message.get("STATUS", status)
            if name in message:
                return message, status

    def silent(self):
        self.socket.setblocking(False)
        try:
            return self.socket.recv(8192)
        except BlockingIOError:
            return None

    def close(self):
        self.socket.close()


@pytest.fixture
def notified():
    made = []

    def make(instance):
        made.append(Notified(instance))
        return made[-1]
    yield make
    for end in made:
        end.close()


def test_ready_is_told_when_the_mta_can_connect(batvd, notified):
    instance = batvd()
    end = notified(instance)
    instance.start()
    end.until("READY")
    assert instance.accepts()
    message, _ = end.until("STATUS")
    assert message["STATUS"].startswith("1 domain, 1 of them only logging; key 0 signs; next key on 2")


def test_a_reload_is_told_from_beginning_to_end(batvd, notified):
    instance = batvd().start()
    end = notified(instance)
    instance.restart()
    end.until("READY")
    before = time.monotonic_ns() // 1000
    instance.reload({"domains": ("example.com", "example.net")})
    message, _ = end.until("RELOADING")
    assert before <= int(message["MONOTONIC_USEC"]) <= time.monotonic_ns() // 1000
    message, status = end.until("READY")
    assert message["READY"] == "1" and status.startswith("2 domains, 2 of them only logging")


def test_a_refused_reload_is_told(batvd, notified):
    instance = batvd()
    end = notified(instance)
    instance.start()
    end.until("READY")
    instance.reload({"verify": {"action": "maybe"}}, ok=False)
    end.until("RELOADING")
    _, status = end.until("READY")
    assert "Reload rejected" in status and "verify.action" in status
    assert "1 domain" in status


def test_the_end_is_told(batvd, notified):
    instance = batvd()
    end = notified(instance)
    instance.start()
    end.until("READY")
    instance.stop()
    assert end.until("STOPPING")[0] == {"STOPPING": "1"}


def test_a_faulty_configuration_is_never_ready(batvd, notified):
    instance = batvd({"verify": {"action": "maybe"}}, init_keys=False)
    end = notified(instance)
    with pytest.raises(StartFailure) as failure:
        instance.start()
    assert failure.value.status == int(CONFIG_ERROR)
    assert end.silent() is None


def test_without_a_journal_lines_go_to_stderr_with_their_priority(batvd):
    if os.path.exists("/run/systemd/journal/socket"):
        pytest.skip("this machine has a journal, where the lines would go")
    instance = batvd({"log": {"target": "journald"}}).start()
    with MilterSession(instance.milter, **INSIDE) as s:
        s.message("<alice@example.com>", ["<far@other.test>"])
    assert instance.wait_text("^<6>[0-9A-Za-z]+: sign from=<alice@example.com> ")
    assert instance.wait_text("^<5>batvd .* started")


# -- the files ------------------------------------------------------------------------------------

def test_the_unit_is_restricted():
    text = tool("systemd-analyze", "security", "--offline=true", "--no-pager", UNIT)
    found = re.search(r"Overall exposure level for batvd.service: ([0-9.]+)", text)
    assert found and float(found[1]) <= EXPOSURE, text


@pytest.fixture
def folder():
    made = util.make_folder("service")
    yield made
    util.remove_folder(made)


def make(target, folder, **variables):
    settings = [f"{name}={value}" for name, value in variables.items()]
    return tool("make", target, f"DESTDIR={folder}", *settings, cwd=util.REPO,
                env={"PATH": os.environ["PATH"]})


def install(target, folder, **variables):
    make(target, folder, **variables)
    return sorted("/" + str(path.relative_to(folder)) for path in folder.rglob("*")
                  if path.is_file())


@pytest.mark.parametrize("prefix, lib", [("/usr", "/usr/lib"), ("/usr/local", "/usr/local/lib"),
                                         ("/opt/batvd", "/usr/local/lib")])
def test_install_and_uninstall(folder, prefix, lib):
    files = install("install-service", folder, PREFIX=prefix)
    assert files == [f"{lib}/systemd/system/batvd.service", f"{lib}/sysusers.d/batvd.conf",
                     f"{lib}/tmpfiles.d/batvd.conf"]
    unit = (folder / files[0].lstrip("/")).read_text()
    assert re.findall(r"^Exec\w+=(\S+)", unit, re.M) == [
        f"{prefix}/sbin/batvd", f"{prefix}/sbin/batvd", "/bin/kill"]
    assert install("uninstall", folder, PREFIX=prefix) == []


def test_install_where_the_variables_say(folder):
    assert install("install-service", folder, PREFIX="/usr", UNITDIR="/u", SYSUSERSDIR="/s",
                   TMPFILESDIR="/t") == ["/s/batvd.conf", "/t/batvd.conf", "/u/batvd.service"]


def test_what_is_next_is_said_and_not_done(folder):
    said = make("install-service", folder, PREFIX="/usr")
    for line in ("systemd-sysusers /usr/lib/sysusers.d/batvd.conf",
                 "systemd-tmpfiles --create /usr/lib/tmpfiles.d/batvd.conf",
                 "/usr/sbin/batvctl setup example.com",
                 "systemctl enable --now batvd"):
        assert f"\n    {line}\n" in said
    assert not list(folder.rglob("*.wants"))


@pytest.mark.parametrize("mta, rc", [("postfix", 0), ("sendmail", 65)])
def test_user_and_folders(folder, mta, rc):
    """Without Postfix its line is passed over, the other is not."""
    (folder / "etc").mkdir()
    (folder / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
    (folder / "etc/group").write_text("root:x:0:\n" + ("postfix:x:120:\n" * (mta == "postfix")))
    install("install-service", folder, PREFIX="/usr")
    tool("systemd-sysusers", f"--root={folder}", "batvd.conf")
    user = re.search(r"^batvd:x:(\d+):(\d+):.*:/var/lib/batvd:\S*nologin$",
                     (folder / "etc/passwd").read_text(), re.M)
    assert user
    said = tool("systemd-tmpfiles", f"--root={folder}", "--create", "batvd.conf", rc=rc)
    assert ("postfix" in said) == (rc != 0)
    state = (folder / "var/lib/batvd").stat()
    assert (state.st_mode & 0o7777, state.st_uid, state.st_gid) == (0o700, int(user[1]), int(user[2]))
    place = folder / "var/spool/postfix/batvd"
    assert place.exists() == (mta == "postfix")
    if place.exists():
        place = place.stat()
        assert (place.st_mode & 0o7777, place.st_uid, place.st_gid) == (0o2750, int(user[1]), 120)


# -- the unit under a real systemd ----------------------------------------------------------------

# Run as one more command of the unit: what its restrictions let through, and what not.
PROBE = """
import errno, json, mmap, os, socket, subprocess
def attempt(what, *arguments):
    try:
        result = what(*arguments)
    except OSError as error:
        return errno.errorcode[error.errno]
    if hasattr(result, "close"):
        result.close()
    return "ok"
def datagram(family, address):
    with socket.socket(family, socket.SOCK_DGRAM) as s:
        s.bind((address, 0))
        s.sendto(b"?", s.getsockname())
        s.recv(1)
def stream():
    with socket.create_server(("127.0.0.1", 0)) as s:
        socket.create_connection(s.getsockname()).close()
def write(path):
    with open(path, "w"):
        pass
    os.unlink(path)
def run(*command):
    if subprocess.run(command, stderr=subprocess.DEVNULL).returncode != 0:
        raise OSError(errno.EPERM, command)
def change_mode():
    with open("/run/batvd/mode", "w"):
        pass
    try:
        os.chmod("/run/batvd/mode", 0o4755)
    finally:
        os.unlink("/run/batvd/mode")
print("PROBE " + json.dumps({
    "dns by udp": attempt(datagram, socket.AF_INET, "127.0.0.1"),
    "dns by udp6": attempt(datagram, socket.AF_INET6, "::1"),
    "dns by tcp": attempt(stream),
    "resolv.conf": attempt(open, "/etc/resolv.conf"),
    "netlink": attempt(socket.socket, socket.AF_NETLINK, socket.SOCK_RAW),
    "raw": attempt(socket.socket, socket.AF_INET, socket.SOCK_RAW, 1),
    "state": attempt(write, "/var/lib/batvd/probe"),
    "run": attempt(write, "/run/batvd/probe"),
    "chroot": attempt(write, "/var/spool/postfix/batvd/probe"),
    "configuration": attempt(write, "/etc/batvd/probe"),
    "beside the state": attempt(write, "/var/lib/probe"),
    "program memory": attempt(mmap.mmap, -1, 4096, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS,
                              mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC),
    "program": attempt(run, "true"),
    "namespace": attempt(run, "unshare", "--user", "true"),
    "setuid file": attempt(change_mode),
    "other user": attempt(os.setuid, 65534),
    "other priority": attempt(os.setpriority, os.PRIO_PROCESS, 0, 5),
}))
"""
ALLOWED = {"dns by udp", "dns by udp6", "dns by tcp", "resolv.conf", "state", "run", "chroot",
           "program"}
# Nobody waits five seconds for the next start here.
DROP_IN = "[Service]\nRestartSec=200ms\nExecStartPost=/usr/bin/python3 /etc/probe.py\n"


@pytest.fixture(scope="module")
def machine():
    if os.environ.get("BATV_SANITIZER"):
        pytest.skip("a sanitizer's memory and its search for leaks are not what the unit allows")
    capability.needed("CAP_SYS_ADMIN", "a machine of its own: mounts, namespaces, a cgroup")
    made = Machine()
    made.add("etc/systemd/system/batvd.service.d/test.conf", DROP_IN)
    made.add("etc/probe.py", PROBE)
    made.add("etc/resolv.conf", "nameserver 127.0.0.1\n")
    made.add("etc/batvd/batvd.conf", "")
    try:
        with made:
            yield made
    except Unavailable as reason:
        pytest.skip(str(reason))


class Service:
    """batvd.service in the machine."""

    def __init__(self, machine):
        self.machine = machine

    def configure(self, **config):
        self.machine.path("/etc/batvd/batvd.conf").write_text(config_text({**CONFIG, **config}))

    def ctl(self, *args):
        return self.machine.run("batvctl", *args, rc=0).out

    def systemctl(self, verb, rc=0):
        return self.machine.run("systemctl", verb, "batvd", rc=rc)

    def show(self, name):
        return self.machine.show("batvd", name)[name]

    def kill(self):
        self.machine.run("systemctl", "kill", "--signal=KILL", "--kill-whom=main", "batvd", rc=0)

    @property
    def pid(self):
        """As this process sees it."""
        inside = self.show("MainPID")
        return next(path.name for path in pathlib.Path("/proc").iterdir() if path.name.isdigit()
                    and (path / "comm").read_text().strip() == "batvd"
                    and re.search(rf"^NSpid:.*\t{inside}$", (path / "status").read_text(), re.M))

    def session(self, place=SOCKET, **options):
        return MilterSession(f"unix:{self.machine.path(place)}", **options)

    def sign(self, place=SOCKET, **options):
        with self.session(place, **INSIDE) as s:
            return s.message("<alice@example.com>", ["<far@other.test>"], **options).new_sender

    def wait(self, name, value):
        util.wait_for(lambda: self.show(name) == value, 15,
                      lambda: f"{name}={value}, not {self.show(name)}\n" + self.machine.diagnosis())

    def entries(self, **fields):
        return [entry for entry in self.machine.journal("-u", "batvd")
                if all(entry.get(name) == value for name, value in fields.items())]


@pytest.fixture
def service(machine):
    """Configured, with a key, and not running."""
    service = Service(machine)
    service.configure()
    if not machine.path("/var/lib/batvd/keyring").exists():
        service.ctl("key", "init")
    yield service
    # The quick end: libmilter takes its time over the other one.
    machine.run("systemctl", "stop", "--no-block", "batvd", rc=0)
    machine.run("systemctl", "kill", "--signal=KILL", "batvd")
    util.wait_for(lambda: service.show("ActiveState") in ("inactive", "failed"), 15, "the end")
    machine.run("systemctl", "reset-failed", "batvd")


def test_the_machine_finds_no_fault_with_the_unit(machine):
    done = machine.run("systemd-analyze", "verify", "--man=no",
                       "/usr/local/lib/systemd/system/batvd.service", rc=0)
    assert "batvd" not in done.out + done.err


def test_without_a_key_it_is_not_started_again(machine):
    assert not machine.path("/var/lib/batvd/keyring").exists()
    service = Service(machine)
    service.configure()
    service.systemctl("start", rc=1)
    assert service.show("ActiveState") == "failed"
    assert service.show("ExecMainStatus") == CONFIG_ERROR
    assert service.show("NRestarts") == "0"
    machine.run("systemctl", "reset-failed", "batvd", rc=0)


@pytest.mark.parametrize("config, words", [
    ({}, ""),
    ({"user": "batvd"}, ""),
    ({"user": "nobody"}, 'to become "nobody", start batvd as root or as that user'),
    ({"listen_group": "mail"}, 'user batvd cannot give the socket to group "mail" .*: set '
                               'listen_group = "postfix", the group of /var/spool/postfix/batvd'),
    ({"listen_group": "none"}, 'there is no group "none": set listen_group = "postfix"'),
    ({"listen": "unix:/run/batvd/milter.sock", "listen_group": ""}, ""),
    ({"listen": "unix:/run/other/milter.sock", "listen_group": ""}, "listen: .*No such file"),
    ({"listen": "inet:8891@127.0.0.1"}, ""),
    ({"listen": "inet:889@127.0.0.1"}, "listen: .*Permission denied"),
])
def test_root_asks_for_the_start_that_systemd_makes(service, config, words):
    """`batvd -n` by hand, while the unit is not running."""
    service.configure(**config)
    done = service.machine.run("batvd", "-n")
    assert (done.rc == 0) == (words == "") and re.search(words, done.err), done
    service.systemctl("start", rc=0 if words == "" else 1)
    if words:
        said = [entry["MESSAGE"] for entry in service.entries(_COMM="batvd")]
        assert done.err.strip() in said, said
    else:
        service.systemctl("reload")
        assert service.machine.run("batvd", "-n").rc == 0


CAPABILITY = "AmbientCapabilities=CAP_NET_BIND_SERVICE\nCapabilityBoundingSet=CAP_NET_BIND_SERVICE\n"


@pytest.mark.parametrize("config, more, fits", [
    ({"listen_group": "mail"}, "SupplementaryGroups=mail\n", False),
    ({"listen_group": "mail"}, "SupplementaryGroups=mail\nSystemCallFilter=fchownat\n", True),
    ({"listen": "inet:889@127.0.0.1"}, CAPABILITY, True)])
def test_rights_that_a_drop_in_adds(service, config, more, fits):
    """The unit's filter of system calls denies what a group of the user's own would allow."""
    service.configure(**config)
    drop_in = service.machine.path("/etc/systemd/system/batvd.service.d/rights.conf")
    drop_in.write_text("[Service]\n" + more)
    service.machine.run("systemctl", "daemon-reload", rc=0)
    try:
        assert (service.machine.run("batvd", "-n").rc == 0) == fits
        service.systemctl("start", rc=0 if fits else 1)
        if "fchownat" in more:
            assert service.machine.path(SOCKET).stat().st_gid == 8
    finally:
        drop_in.unlink()
        service.machine.run("systemctl", "daemon-reload", rc=0)


def test_it_filters_mail_under_the_units_restrictions(service):
    service.systemctl("start")
    place = service.machine.path(SOCKET).stat()
    assert (place.st_mode & 0o777, place.st_gid) == (0o660, 120)
    tagged = service.sign()
    assert re.fullmatch("prvs=0[0-9]{3}[0-9a-f]{6}=alice@example.com", tagged)
    with service.session() as s:
        assert s.message("<>", [f"<{tagged}>"]).mods_named("delrcpt")
    with service.session() as s:
        assert s.message("<>", ["<alice@example.com>"]).text.startswith("550 5.7.1")
    status = pathlib.Path(f"/proc/{service.pid}/status").read_text()
    for line in ("CapPrm:\t0000000000000000", "CapBnd:\t0000000000000000", "NoNewPrivs:\t1",
                 "Seccomp:\t2"):
        assert f"\n{line}\n" in status, line
    said = [entry["MESSAGE"] for entry in service.entries() if "PROBE" in entry["MESSAGE"]][-1]
    probe = json.loads(said.removeprefix("PROBE "))
    assert {name for name, result in probe.items() if result == "ok"} == ALLOWED, probe


def test_a_decision_has_its_fields_in_the_journal(service):
    service.systemctl("start")
    service.sign()
    with service.session() as s:
        s.message("<>", ["<alice@example.com>"])
    for event in ("sign", "verify"):
        entry = service.entries(BATV_EVENT=event)[-1]
        line = parse_line(entry["MESSAGE"])
        fields = {name: value for name, value in entry.items() if name.startswith("BATV_")}
        assert fields == {"BATV_EVENT": event, "BATV_QUEUE_ID": line.id,
                          **{f"BATV_{name.upper()}": value for name, value in line.items()}}
        assert (entry["PRIORITY"], entry["SYSLOG_FACILITY"], entry["SYSLOG_IDENTIFIER"],
                entry["_TRANSPORT"]) == ("6", "2", "batvd", "journal")
    assert entry["BATV_RESULT"] == "missing" and entry["BATV_ACTION"] == "reject"
    assert entry["BATV_RULE"] == "verify.action" and entry["BATV_RCPT"] == "<alice@example.com>"
    found = service.machine.journal("BATV_RCPT=<alice@example.com>", "BATV_RESULT=missing")
    assert entry in found


def test_hostile_octets_reach_the_journal_as_they_are(service):
    service.systemctl("start")
    rcpt = '"a b\\"\\\t\n\x7f\xe9=x"'
    with service.session() as s:
        s.message("<>", [f"<{rcpt}@example.com>".encode("latin-1").decode("utf-8", "surrogateescape")])
    entry = service.entries(BATV_EVENT="verify")[-1]
    value = entry["BATV_RCPT"]
    octets = bytes(value) if isinstance(value, list) else value.encode()
    assert octets == f"<{rcpt}@example.com>".encode("latin-1")
    assert "\n" not in entry["MESSAGE"]


def test_other_lines_have_their_priority(service):
    service.configure(log={"target": "journald", "facility": "local3"})
    service.systemctl("start")
    entry = next(entry for entry in reversed(service.entries()) if "started:" in entry["MESSAGE"])
    assert (entry["PRIORITY"], entry["SYSLOG_FACILITY"]) == ("5", "19")
    assert not [name for name in entry if name.startswith("BATV_")]


def test_rotation_under_restrictions(service):
    service.systemctl("start")
    before = service.sign()
    service.ctl("key", "rotate")
    util.wait_for(lambda: service.sign()[5] != before[5], 10, "a signature by the new key")
    with service.session() as s:
        assert s.message("<>", [f"<{before}>"]).mods_named("delrcpt")
    util.wait_for(lambda: f"key {service.sign()[5]} signs" in service.show("StatusText"), 15,
                  "the new key in the status line")


def test_reload_puts_a_good_file_into_force_and_no_other(service):
    service.systemctl("start")
    service.configure(domains=("example.net",))
    service.systemctl("reload")
    util.wait_for(lambda: service.sign() is None, 10, "the new configuration in force")
    util.wait_for(lambda: service.show("ActiveState") == "active", 10, "the end of the reload")
    started = service.show("MainPID")
    service.configure(verify={"action": "maybe"})
    service.systemctl("reload", rc=1)
    assert service.show("ActiveState") == "active" and service.show("MainPID") == started
    assert service.sign() is None
    assert not any("reload: " in entry["MESSAGE"] for entry in service.entries(_PID=started))


def test_killed_it_comes_back_but_not_with_a_faulty_configuration(service):
    service.systemctl("start")
    first = service.show("MainPID")
    service.kill()
    service.wait("NRestarts", "1")
    service.wait("ActiveState", "active")
    assert service.show("MainPID") != first
    assert service.sign()
    service.configure(verify={"action": "maybe"})
    service.kill()
    service.wait("ActiveState", "failed")
    assert service.show("ExecMainStatus") == CONFIG_ERROR
    assert service.show("NRestarts") == "2"    # the start that found the fault, and none after it


def test_stop(service):
    service.systemctl("start")
    service.systemctl("stop")
    assert service.show("ActiveState") == "inactive"
    assert service.show("Result") == "success"
    assert not service.machine.path(SOCKET).exists()
    assert service.entries(MESSAGE="batvd ended")


def test_a_socket_for_another_mta_in_run(service):
    place = "/run/batvd/milter.sock"
    service.configure(listen=f"unix:{place}", listen_group="", user="batvd")
    service.systemctl("start")
    assert service.sign(place)
    assert service.machine.path("/run/batvd").stat().st_mode & 0o7777 == 0o755
    assert service.machine.path(place).stat().st_mode & 0o777 == 0o660


@pytest.fixture
def drop_in(machine):
    """Lines in a drop-in, as by `systemctl edit`."""
    path = machine.path("/etc/systemd/system/batvd.service.d/site.conf")

    def write(*lines):
        path.write_text("\n".join(["[Service]", *lines, ""]))
        machine.run("systemctl", "daemon-reload", rc=0)
    yield write
    path.unlink()
    machine.run("systemctl", "daemon-reload", rc=0)


def sign_by_inet(machine, port):
    code = ("from batvtest.milter import MilterSession\n"
            f"with MilterSession('inet:127.0.0.1:{port}', **{INSIDE!r}) as s:\n"
            "    print(s.message('<alice@example.com>', ['<far@other.test>']).new_sender)\n")
    done = subprocess.run(["nsenter", "-t", str(machine.pid), "-n", "--", "/usr/bin/python3",
                           "-B", "-c", code], cwd=pathlib.Path(__file__).parent, text=True,
                          capture_output=True, check=False, timeout=30)
    assert done.stdout.startswith("prvs="), done


def test_an_inet_listener(service):
    service.configure(listen="inet:8899@127.0.0.1")
    service.systemctl("start")
    sign_by_inet(service.machine, 8899)


def test_a_low_port_takes_a_drop_in(service, drop_in):
    service.configure(listen="inet:899@127.0.0.1")
    service.systemctl("start", rc=1)
    assert any("899@127.0.0.1: Permission denied" in entry["MESSAGE"] for entry in service.entries())
    drop_in("AmbientCapabilities=CAP_NET_BIND_SERVICE", "CapabilityBoundingSet=CAP_NET_BIND_SERVICE")
    service.systemctl("start")
    sign_by_inet(service.machine, 899)


def test_another_state_dir_takes_a_drop_in(service, drop_in):
    service.machine.run("install", "-d", "-o", "batvd", "-m", "700", "/srv/batvd", rc=0)
    service.configure(state_dir="/srv/batvd")
    service.ctl("key", "init")
    service.systemctl("start", rc=1)
    drop_in("ReadWritePaths=/srv/batvd")
    service.systemctl("start")
    assert service.sign()


def test_a_site_without_network_takes_it_away(service, drop_in):
    drop_in("RestrictAddressFamilies=", "RestrictAddressFamilies=AF_UNIX", "IPAddressDeny=any")
    service.systemctl("start")
    assert service.sign()
    assert service.entries(BATV_EVENT="sign")


def test_a_journal_of_its_own(service, drop_in):
    drop_in("LogNamespace=batvd")
    service.systemctl("start")
    tagged = service.sign()
    found = service.machine.run("journalctl", "--namespace=batvd", "-o", "cat", "BATV_EVENT=sign", rc=0)
    assert tagged in found.out
