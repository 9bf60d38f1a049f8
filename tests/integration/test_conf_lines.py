"""Lines of configuration that `check` prints fit the configuration as it is: where the setting or its
group is there already, the place is named, and what was set stays."""

import re
import subprocess

import pytest

from batvtest import conf_lines, util
from batvtest.site import Site

PIPE = "scan unix - n n - - pipe flags=Rq user=nobody argv=/usr/sbin/sendmail -G -i -f ${sender} ${recipient}\n"

CASES = [
    # finding, text of configuration, what stays in it
    ("backscatter.srs", "", []),
    ("backscatter.srs", 'exclude: {\n  # recipients = [ "no@*" ];\n  hosts = [ "far.test" ]; # mine\n};',
     ['hosts = [ "far.test" ]; # mine', '"postmaster@*"', '"abuse@*"']),
    ("backscatter.srs", 'exclude =\n{ hosts = [ "far.test" ];\n  recipients = [ "owner-x@*", # list\n'
     '    "srs0=*@*",\n    "joe@*" ]; };', ['hosts = [ "far.test" ];', '[ "owner-x@*", "joe@*" ];']),
    ("postfix.pipe_filters", "", []),
    ("postfix.pipe_filters", 'relays = [ "192.0.2.8", # a filter\n  "192.0.2.9" ];',
     ['relays = [ "192.0.2.8", "192.0.2.9", "local" ];']),
    ("postfix.pipe_filters", "relays = [ ];", ['relays = [ "local" ];']),
    ("postfix.unlisted_sender", "", []),
    ("postfix.unlisted_sender", 'verify: { text = "forged_sender = 1;"; };',
     ['text = "forged_sender = 1;";']),
    ("postfix.unlisted_sender", 'verify:\n{\n  text = "own words";\n  forged_sender = "accept";\n};',
     ['text = "own words";']),
]


@pytest.fixture(scope="module")
def site():
    main = {"virtual_alias_maps": "inline:{@example.com=alice@example.com}",
            "smtpd_reject_unlisted_sender": "yes", "content_filter": "scan:x"}
    with Site(main=main, master_lines=PIPE) as made:
        yield made


def findings(site):
    return {one["name"]: one for one in site.ctl("--json", "check").json}


@pytest.mark.parametrize("name, more, stays", CASES)
def test_the_line_fits_the_configuration(site, name, more, stays):
    conf = site.batvd.conf
    base = conf.read_text(encoding="utf-8")
    bare = re.sub(r"(?ms)^(verify|exclude) = \{.*?^\};\n", "", base)
    conf.write_text(f"{bare}\n{more}\n", encoding="utf-8")
    try:
        before = findings(site)
        assert before[name]["level"] == "warn", before[name]
        text = conf_lines.applied(before[name]["mend"], conf)
        assert all(one in text for one in stays), text
        conf.write_text(text, encoding="utf-8")
        done = subprocess.run([util.BUILD / "batvd", "-n", "-c", conf], capture_output=True, text=True,
                              check=False)
        assert done.returncode == 0, (done, text)
        after = findings(site)
        assert after[name]["level"] == "ok", (after[name], text)
    finally:
        conf.write_text(base, encoding="utf-8")
