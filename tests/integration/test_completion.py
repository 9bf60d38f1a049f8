"""Completion in real shells on a terminal, as installed by `make install`: for every row of
`batvctl --help` exactly what the row says, and that for a user who may read no configuration and no
key."""

import os
import pty
import pwd
import re
import shutil
import subprocess
import threading

import pytest

from batvtest import util

NOBODY = pwd.getpwnam("nobody")
EVERYWHERE = {"--json", "--help"}
DIGITS = set("0123456789")

# TAB puts all that fits into the line, ^X^T gives the line away.
BASH = """\
PS1='' PS2=''
bind 'set enable-bracketed-paste off'
give() { printf '%s\\n' "$READLINE_LINE" >>"$GIVEN"; READLINE_LINE=; READLINE_POINT=0; }
. /usr/share/bash-completion/bash_completion
bind '"\\t": insert-completions'
bind -x '"\\C-x\\C-t": give'
printf 'ready\\n' >>"$GIVEN"
"""
ZSH = """\
PS1='' PS2=''
fpath=("$SITE_FUNCTIONS" $fpath)
autoload -Uz compinit && compinit -D -u
zstyle ':completion:*' completer _complete
zstyle ':completion:*' prefix-needed false
all-matches() { _main_complete; compstate[insert]=all; compstate[list]= }
zle -C all-matches complete-word all-matches
give() { print -r -- "$BUFFER" >>"$GIVEN"; BUFFER= }
zle -N give
bindkey -e
bindkey '^I' all-matches
bindkey '^X^T' give
print ready >>"$GIVEN"
"""


class Shell:
    """An interactive shell of nobody's."""

    def __init__(self, command, start, root):
        self.given = root / f"given-{command[0]}"
        self.given.touch()
        os.chown(self.given, NOBODY.pw_uid, NOBODY.pw_gid)
        (root / "start").write_text(start, encoding="ascii")
        env = {"PATH": f"{root}/usr/sbin:/usr/bin:/bin", "LANG": "C.UTF-8", "TERM": "dumb",
               "COLUMNS": "2000", "HOME": str(root), "GIVEN": str(self.given),
               "XDG_DATA_DIRS": f"{root}/usr/share",
               "SITE_FUNCTIONS": str(next(root.rglob("_batvctl")).parent)}
        env.update({name: value for name, value in os.environ.items() if "SAN_OPTIONS" in name})
        self.terminal, end = pty.openpty()
        self.process = subprocess.Popen(command, stdin=end, stdout=end, stderr=end, env=env,
                                        cwd=root / "files", user="nobody", group=NOBODY.pw_gid,
                                        extra_groups=[], start_new_session=True)
        os.close(end)
        self.output = b""
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        self.line = 0
        self._type(f" . {root}/start\r")
        assert self._take() == "ready"

    def _read(self):
        try:
            while chunk := os.read(self.terminal, 65536):
                self.output += chunk
        except OSError:
            pass    # the shell has ended

    def _type(self, text):
        os.write(self.terminal, text.encode())

    def _take(self):
        def there():
            lines = self.given.read_text(encoding="utf-8").split("\n")[:-1]
            return lines if len(lines) > self.line else None
        lines = util.wait_for(there, 20, lambda: f"an answer of the shell:\n{self.output!r}")
        self.line += 1
        return lines[self.line - 1]

    def complete(self, before, word=""):
        """The words that may stand behind `before`, beginning with `word`."""
        self._type(f"batvctl {before}{word}\t\x18\x14")
        line = self._take()
        start = f"batvctl {before}"
        assert line.startswith(start), line
        words = [re.sub(r"^--[\w-]+=", "", found) for found in line[len(start):].split()]
        return [] if words == [word] and line.endswith(word) else words

    def close(self):
        self.process.kill()
        self.process.wait(20)
        os.close(self.terminal)
        self.reader.join(20)


@pytest.fixture(scope="module")
def installed():
    """The program and both files, where a package has them, and two files to be completed."""
    root = util.make_folder("batv-completion")
    (root / "files").mkdir()
    for name in ("one.eml", "two.eml"):
        (root / "files" / name).touch()
    subprocess.run(["make", "-s", "-o", "all", "install", f"BUILD={util.BUILD}", f"DESTDIR={root}",
                    "PREFIX=/usr"], cwd=util.REPO, check=True, capture_output=True, timeout=60)
    yield root
    util.remove_folder(root)


@pytest.fixture(scope="module", params=["bash", "zsh"])
def shell(request, installed):
    assert shutil.which(request.param), f"no {request.param} here: 'make deps' as root gets one"
    if request.param == "bash":
        command = ["bash", "--noprofile", "--norc", "-i"]
        shell = Shell(command, BASH, installed)
    else:
        shell = Shell(["zsh", "-f", "-i"], ZSH, installed)
    yield shell
    shell.close()


@pytest.mark.parametrize("prefix", ["/usr", "/usr/local"])
def test_zsh_looks_where_it_is_installed(prefix):
    said = subprocess.run(["make", "-n", "-o", "all", "install", f"PREFIX={prefix}"], cwd=util.REPO,
                          check=True, capture_output=True, text=True, timeout=60).stdout
    folder = re.search(r"(\S+)/_batvctl$", said, re.M)[1]
    looks = subprocess.run(["zsh", "-fc", "print -l $fpath"], check=True, capture_output=True,
                           text=True, timeout=60).stdout.split("\n")
    assert folder in looks


# -- what the table says --------------------------------------------------------------------------

class Row:
    """`words` that stand for themselves, `operands` behind them, `options` with their values."""

    def __init__(self, line):
        self.words, self.operands, self.options = [], [], {}
        for name, value, word in re.findall(r"\[?(--[\w-]+)(?: ([^-\[\]\s]\S*?))?(?:\]|(?=\s)|$)"
                                            r"|(\S+)", line):
            if name:
                self.options[name] = value
            elif word[0].islower():
                self.words.append(word)
            else:
                self.operands.append(word)


@pytest.fixture(scope="module")
def table():
    done = subprocess.run([util.binary("batvctl"), "--help"], capture_output=True, text=True,
                          check=True, timeout=60)
    rows = [Row(line) for line in re.findall(r"^  (\S.*)$", done.stdout, re.M)]
    assert len(rows) > 15 and all(row.words for row in rows)
    return rows


def alternatives(value):
    return set(value.split("|")) if value[:1].islower() else None


def expected(value):
    """What is offered where a row has `value`; None: nothing can be told of it."""
    return {"K": DIGITS, "FILE": {"one.eml", "two.eml"}}.get(value.removesuffix("..."),
                                                            alternatives(value))


def same(found, wanted):
    assert sorted(found) == sorted(wanted)


def test_the_table_is_taken_apart():
    row = Row("key import K --algorithm a-1|b [--state p|q] [--force] --rcpt R... [--message FILE]")
    assert (row.words, row.operands) == (["key", "import"], ["K"])
    assert row.options == {"--algorithm": "a-1|b", "--state": "p|q", "--force": "",
                           "--rcpt": "R...", "--message": "FILE"}


def test_commands_and_their_words(shell, table):
    same(shell.complete(""), {row.words[0] for row in table})
    for command in {row.words[0] for row in table}:
        assert command in shell.complete("", command[:2])
        words = {row.words[1] for row in table if row.words[0] == command and row.words[1:]}
        if words:
            same(shell.complete(f"{command} "), words)
            same(shell.complete(f"--json {command} "), words)
            same(shell.complete(f"-c one.eml {command} "), words)


def test_options_of_the_program(shell):
    same(shell.complete("", "-"), {"-c", *EVERYWHERE, "--version"})
    same(shell.complete("-c "), {"one.eml", "two.eml"})
    same(shell.complete("-c one.eml --", "-v"), [])


def test_each_row(shell, table):
    for row in table:
        start = " ".join(row.words) + " "
        for operand in row.operands:
            same(shell.complete(start), expected(operand) or {*row.options, *EVERYWHERE})
            start += "0 "
        if not row.operands:
            same(shell.complete(start), {*row.options, *EVERYWHERE})
        same(shell.complete(start, "--"), {*row.options, *EVERYWHERE})


def test_the_value_of_each_option(shell, table):
    seen = 0
    for row in table:
        start = " ".join(row.words) + " "
        for name, value in row.options.items():
            others = {*row.options, *EVERYWHERE} - {name}
            if not value:
                same(shell.complete(f"{start}{name} ", "--"), others)
                continue
            same(shell.complete(f"{start}{name} "), expected(value) or [])
            same(shell.complete(f"{start}{name}="), expected(value) or [])
            same(shell.complete(f"{start}{name} x ", "--"), others)
            seen += 1
    assert seen > 8


def test_a_word_that_has_begun(shell):
    same(shell.complete("key rotate --algorithm ", "hmac-sha2"), {"hmac-sha256"})
    same(shell.complete("key rotate --algorithm=", "hmac-sha2"), {"hmac-sha256"})
    same(shell.complete("mta postfix --part ", "ma"), {"main", "map"})
    same(shell.complete("key ", "re"), {"revoke"})
    same(shell.complete("inspect ", "on"), {"one.eml"})


def test_what_cannot_be_told(shell):
    same(shell.complete("sign ", "ali"), [])
    same(shell.complete("nonsense ", "x"), [])
    same(shell.complete("explain --client 2001:db8::1 --from a@b --rcpt c@d e@f ", "--m"),
         {"--message"})
    same(shell.complete("sign -- ", "--"), [])


# -- whether the table is right -------------------------------------------------------------------

def test_the_table_has_every_option_of_the_commands(table):
    """And no other: an option that is in no row could not be completed."""
    known = set()
    for path in (util.REPO / "src/ctl").glob("cmd_*.c"):
        known |= set(re.findall(r'\{"(--[\w-]+)", ARGUMENT_', path.read_text(encoding="utf-8")))
    assert known == {name for row in table for name in row.options}


def test_every_alternative_is_one(table, batvd):
    """Each word that completion offers is taken; one that it does not offer is a usage error."""
    one = batvd()
    offered = [(row, name, word) for row in table for name, value in row.options.items()
               for word in sorted(alternatives(value) or ())]
    assert len(offered) >= 7
    for row, name, word in [*offered, *((row, name, "nonsense") for row, name, _ in offered)]:
        (one.state / "keyring").unlink(missing_ok=True)
        one.ctl("key", "init", rc=0)
        arguments = [*row.words, *("5" for operand in row.operands if operand == "K"),
                     f"{name}={word}"]
        if row.words == ["key", "import"] and name != "--algorithm":
            arguments.append("--algorithm=hmac-sha256")
        done = one.ctl(*arguments, stdin="ab" * 32)
        assert (done.rc == 2) == (word == "nonsense"), (arguments, done)
