"""Postfix's tables of header checks: which of them sees what batvd adds, and what `batvctl check` says
of those that take it out, through a real Postfix. What it prints as a mend is done."""

import re
import subprocess

import pytest

from batvtest import answers, evidence, util
from batvtest.postfix import make_message
from batvtest.site import Site

ALICE = "alice@example.com"
MARK = "X-Batv-Result"
CONFIG = {"verify": {"action": "mark"}}


@pytest.fixture(scope="module")
def whole():
    with Site(CONFIG) as made:
        yield made


@pytest.fixture
def site(whole):
    yield whole
    whole.postfix.configure(**dict.fromkeys(
        ["header_checks", "nested_header_checks", "mime_header_checks", "milter_header_checks",
         "smtp_header_checks", "lmtp_header_checks", "smtp_mime_header_checks",
         "smtp_nested_header_checks"]))


def use(site, parameter, lines, name="checks"):
    table = f"regexp:{site.postfix.write_file(name, lines)}"
    site.postfix.configure(**{parameter: table})
    return table


def leaves(site):
    """Which fields a message has at the far end."""
    subject = util.unique("out")
    sent = site.submit(ALICE, answers.FAR, subject=subject,
                       data=make_message(subject, sender=ALICE, rcpt=answers.FAR))
    assert sent.accepted, sent
    return {name.lower() for name in site.sink.wait_one(subject=subject).message.keys()}


def comes_back(site):
    """By what a bounce is known that brings the whole message back."""
    field = evidence.make(site.batvd.evidence_secret(), [ALICE], site.batvd.today())
    original = (f"{evidence.NAME}: {field}\nFrom: {ALICE}\nSubject: x\n"
                f"Message-ID: <{util.unique('none')}@x.test>\n\nx\n").encode()

    def bounce(original, **options):
        whole = answers.bounce(original, **options)
        return whole.replace(b"text/rfc822-headers", b"message/rfc822")
    return site.answer(bounce, original)[1]["proof"]


def marks(site):
    sent, entry = site.answer(answers.vacation, answers.unsolicited())
    assert entry["action"] == "mark", entry.line
    return MARK in site.postfix.wait_one(ALICE, sent.subject).message


def findings(site):
    found = site.ctl("check", "--json").json
    return [one for one in found if one["name"] == "postfix.header_checks"]


def bad(site):
    return [one for one in findings(site) if one["level"] != "ok"]


def mend(site, finding):
    done = subprocess.run(finding["mend"], shell=True, env=site.postfix.env, capture_output=True,
                          text=True, timeout=60, check=False)
    assert done.returncode == 0, (finding, done)


def test_all_is_well(site):
    assert [one["level"] for one in findings(site)] == ["ok"]


# What each table takes out: the field that leaves, the one that comes back, the mark.
@pytest.mark.parametrize("parameter, leaving, returning, mark", [
    ("milter_header_checks", True, False, True),
    ("smtp_header_checks", True, False, False),
    ("nested_header_checks", False, True, False),
    ("header_checks", False, True, False),    # by what nested_header_checks is by default
    ("mime_header_checks", False, False, False),
    ("smtp_mime_header_checks", False, False, False),
    ("smtp_nested_header_checks", False, False, False),
])
def test_who_drops_what(site, parameter, leaving, returning, mark):
    table = use(site, parameter, "/^X-/ IGNORE\n")
    assert ("x-batv-evidence" not in leaves(site)) == leaving
    assert comes_back(site) == ("none" if returning else "header")
    assert marks(site) != mark
    found = bad(site)
    if not (leaving or returning or mark):
        assert not found, found
        return
    assert {one["level"] for one in found} == {"warn"}, found
    assert all(table in one["text"] and "IGNORE" in one["text"] for one in found), found
    assert any(evidence.NAME in one["text"] for one in found), found
    assert any(MARK in one["text"] for one in found) == mark, found
    for one in found:
        mend(site, one)
    assert not bad(site)
    assert "x-batv-evidence" in leaves(site) and comes_back(site) == "header" and marks(site)


@pytest.mark.parametrize("parameter, action, level", [
    ("milter_header_checks", "STRIP seen", "warn"),
    ("milter_header_checks", "REPLACE X-Other: x", "warn"),
    ("milter_header_checks", "reject no", "fail"),
    ("milter_header_checks", "DISCARD", "fail"),
    ("milter_header_checks", "HOLD", "fail"),
    ("milter_header_checks", "REDIRECT x@other.test", "fail"),
    ("milter_header_checks", "FILTER smtp:[127.0.0.1]:9", "fail"),
    ("milter_header_checks", "PREPEND X-Other: x", None),
    ("milter_header_checks", "WARN", None),
    ("milter_header_checks", "DUNNO", None),
    ("nested_header_checks", "REJECT no", "fail"),
    ("smtp_header_checks", "STRIP", "warn"),
    ("smtp_header_checks", "REPLACE X-Other: x", "warn"),
    ("smtp_header_checks", "REJECT no", None),    # not by this program
    ("smtp_header_checks", "DISCARD", None),
    ("smtp_header_checks", "PREPEND X-Other: x", None),
])
def test_actions(site, parameter, action, level):
    use(site, parameter, f"/^X-Batv-Evidence:/ {action}\n")
    found = bad(site)
    assert [one["level"] for one in found] == ([level] if level else []), found
    if found:
        assert action.split()[0] in found[0]["text"]
        mend(site, found[0])
        assert not bad(site)


def test_the_first_table_that_knows_the_field_decides(site):
    first = site.postfix.write_file("first", "/^X-Batv/ DUNNO\n")
    second = site.postfix.write_file("second", "/^X-/ IGNORE\n")
    site.postfix.configure(smtp_header_checks=f"regexp:{first}, pcre:{second}")
    assert not bad(site) and "x-batv-evidence" in leaves(site)
    site.postfix.configure(smtp_header_checks=f"pcre:{second} regexp:{first}")
    found, = bad(site)
    assert f"pcre:{second}" in found["text"] and "x-batv-evidence" not in leaves(site)


def test_a_service_of_its_own(site):
    path = site.postfix.write_file("own", "/^X-Batv/ IGNORE\n")
    master = site.postfix.conf / "master.cf"
    before = master.read_text(encoding="utf-8")
    master.write_text(before + f"slow unix - - n - - smtp\n  -o smtp_header_checks=regexp:{path}\n",
                      encoding="utf-8")
    try:
        found, = bad(site)
        assert "smtp_header_checks of slow/unix" in found["text"]
        mend(site, found)
        assert not bad(site)
    finally:
        master.write_text(before, encoding="utf-8")


def test_a_message_id_that_is_changed_as_it_leaves(site):
    use(site, "smtp_header_checks", "/^Message-ID:.*@.*$/ REPLACE Message-ID: <x@example.com>\n")
    found, = bad(site)
    assert found["level"] == "warn" and "Message-ID" in found["text"]
    mend(site, found)
    assert not bad(site)


def test_what_batvd_does_not_add_is_not_asked_for(site):
    use(site, "smtp_header_checks", "/^(X-|Message-ID)/ IGNORE\n")
    assert len(bad(site)) == 2
    site.use({"evidence": {"header": False}, "journal": {"enabled": True}})
    try:
        assert [bool(re.search("Message-ID", one["text"])) for one in bad(site)] == [True]
    finally:
        site.reset()


def test_a_table_that_cannot_be_read(site):
    site.postfix.configure(smtp_header_checks="regexp:/nonexistent/checks")
    found = bad(site)
    assert found and found[0]["level"] == "warn" and "/nonexistent/checks" in found[0]["text"]


def test_what_a_content_filter_hands_back(site):
    """It passes header_checks like mail from outside."""
    use(site, "header_checks", "/^X-/ IGNORE\n")
    site.postfix.configure(nested_header_checks="", content_filter="smtp:[127.0.0.1]:9")
    try:
        found = bad(site)
        assert {one["level"] for one in found} == {"warn"}
        assert all("content filter" in one["text"] for one in found), found
        for one in found:
            mend(site, one)
        assert not bad(site)
    finally:
        site.postfix.configure(content_filter=None)
