"""debian/ says nothing else than the rest of the tree."""

import re

from batvtest import util

# What a build has anyway, and what only the packaging and its unit tests need.
ESSENTIAL = {"gcc", "libc6-dev", "make"}
PACKAGING = {"check", "debhelper-compat", "dh-apparmor", "dh-sequence-installsysusers",
             "po-debconf"}


def read(name):
    return (util.REPO / name).read_text(encoding="utf-8")


def test_build_depends_are_the_build_packages():
    listed = {package for uses, package in
              re.findall(r"^(?!#)(\S+)[ \t]+(\S+)", read(".ci/packages"), re.M)
              if "build" in uses.split(",")}
    field = re.search(r"^Build-Depends:((?:.*\n)(?: .*\n)*)", read("debian/control"), re.M).group(1)
    depends = {re.split(r"[\s(<]", item.strip())[0] for item in field.split(",")}
    assert ESSENTIAL < listed and PACKAGING < depends
    assert depends - PACKAGING == listed - ESSENTIAL


def test_the_version_is_that_of_the_makefile():
    version = re.search(r"^VERSION := (\S+)$", read("Makefile"), re.M).group(1)
    assert read("debian/changelog").startswith(f"batvd ({version}) ")


def test_the_licence_is_that_of_the_tree():
    given = re.search(r"^License: BSD-2-Clause\n((?: .*\n)+)", read("debian/copyright"), re.M)
    text = re.sub(r"^ \.?", "", given.group(1), flags=re.M)
    assert text.split() == read("LICENSE").split("\n\n", 2)[2].split()


def test_every_template_is_to_be_translated():
    text = re.sub(r'"\n"|\\n', "", read("debian/po/templates.pot"))
    lines = re.search(r"^_Description: (.*)\n((?: .*\n?)+)", read("debian/batvd.templates"), re.M)
    for paragraph in [lines.group(1), *lines.group(2).split("\n .\n")]:
        assert f'msgid "{" ".join(paragraph.split())}"' in text
