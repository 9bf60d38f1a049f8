# batvd: `make` builds, `make check` tests, `make demo` shows, `make install` installs.
# V=1 shows the commands, DEV=1 makes warnings errors. `make help` lists the targets.

VERSION := 0.1.0

# What the caller may set; CC and AR too.
INSTALL    ?= install
PREFIX     ?= /usr/local
SYSCONFDIR ?= /etc
# Where systemd looks: below /usr and /usr/local, nowhere else.
SYSTEMDDIR ?= $(if $(filter /usr /usr/local,$(PREFIX)),$(PREFIX),/usr/local)/lib
UNITDIR    ?= $(SYSTEMDDIR)/systemd/system
SYSUSERSDIR ?= $(SYSTEMDDIR)/sysusers.d
TMPFILESDIR ?= $(SYSTEMDDIR)/tmpfiles.d
DESTDIR    ?=
BASH_COMPLETIONS ?= $(PREFIX)/share/bash-completion/completions
# Below /usr Debian's zsh looks in vendor-completions only.
ZSH_DEBIAN       := $(and $(filter /usr,$(PREFIX)),$(wildcard /etc/debian_version))
ZSH_COMPLETIONS  ?= $(PREFIX)/share/zsh/$(if $(ZSH_DEBIAN),vendor-completions,site-functions)
BUILD      ?= build
MACHINE    := $(shell $(CC) -dumpmachine 2>/dev/null)
CFLAGS     ?= -O2 -g
HARDENING  ?= -fstack-protector-strong -fstack-clash-protection -D_FORTIFY_SOURCE=2 \
              $(if $(filter x86_64%,$(MACHINE)),-fcf-protection)
CHECK_LIBS ?= -lcheck_pic -lsubunit -lm -lrt

# What the sources need, whatever the caller sets.
SANITIZE   :=
WARNINGS   := -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
              -Wpointer-arith -Wcast-qual -Wwrite-strings -Wformat=2 -Wvla -Wundef \
              $(if $(DEV),-Werror)
COMPILE     = $(CC) -std=c11 -D_GNU_SOURCE -DBATV_VERSION='"$(VERSION)"' \
              -DBATV_SYSCONFDIR='"$(SYSCONFDIR)"' -Iinclude $(WARNINGS) \
              $(CPPFLAGS) $(CFLAGS) $(HARDENING) $(SANITIZE) -fPIE -pthread
LINK        = $(CC) $(CFLAGS) $(SANITIZE) -pie -pthread -Wl,-z,relro,-z,now $(LDFLAGS)
CORE_LIBS  := -lcrypto -lidn2 -lpcre2-8 -lunistring
IO_LIBS    := -lconfig -lz -lsqlite3 -lsystemd -lunbound $(shell pkg-config --libs gmime-3.0 2>/dev/null) \
              $(CORE_LIBS)
# As a system's headers: our warnings are not for them.
GMIME      := $(patsubst -I%,-isystem %,$(shell pkg-config --cflags gmime-3.0 2>/dev/null))

# A folder of src is a room, a higher floor named later (CONTRIBUTING.md). The daemon has those of IO,
# batvctl those of CTL besides.
objects     = $(patsubst %.c,$(BUILD)/obj/%.o,$(wildcard $(1)))
CORE       := $(call objects,src/core/*.c)
IO_ROOMS   := base config store content dns daemon
CTL_ROOMS  := mta check ctl
IO         := $(foreach room,$(IO_ROOMS),$(call objects,src/$(room)/*.c))
MILTER     := $(call objects,src/milter/*.c)
CTL        := $(foreach room,$(CTL_ROOMS),$(call objects,src/$(room)/*.c))
LIBBATV    := $(BUILD)/libbatv.a
PROGRAMS   := $(patsubst src/%.c,$(BUILD)/%,$(wildcard src/batvd.c src/batvctl.c))
unit        = $(patsubst tests/unit/%.c,$(BUILD)/tests/%,$(wildcard tests/unit/$(1)/test_*.c))
CORE_TESTS := $(call unit,core)
IO_TESTS   := $(foreach room,$(IO_ROOMS),$(call unit,$(room)))
CTL_TESTS  := $(foreach room,$(CTL_ROOMS),$(call unit,$(room)))
MEMORY_TESTS := $(call unit,memory)
UNIT_TESTS := $(CORE_TESTS) $(IO_TESTS) $(CTL_TESTS) $(MEMORY_TESTS)
SEED_TESTS := $(patsubst tests/fuzz/fuzz_%.c,$(BUILD)/tests/fuzz/test_%,$(wildcard tests/fuzz/fuzz_*.c))
BENCHES    := $(addprefix $(BUILD)/tests/bench/,load null primitives growth journal lists)
FUZZERS    := $(patsubst tests/fuzz/%.c,$(BUILD)/tests/fuzz/%,$(wildcard tests/fuzz/fuzz_*.c))
MAN8       := $(wildcard man/*.8)
MAN5       := $(wildcard man/*.5)
C_FILES     = $(shell find include src tests -name '*.[ch]')

Q          := $(if $(V),,@)
say         = $(if $(V),,@echo '  $(1)	$(2)';)
# A make below this one uses all processors, unless the caller has said how many.
PARALLEL    = $(if $(filter -j%,$(MAKEFLAGS)),,-j$(shell nproc))

all: $(LIBBATV) $(PROGRAMS)

$(BUILD)/batvd: $(BUILD)/obj/src/batvd.o $(MILTER) $(IO) $(LIBBATV)
	$(call say,LD,$@)$(LINK) -o $@ $^ -lmilter $(IO_LIBS)

$(BUILD)/batvctl: $(BUILD)/obj/src/batvctl.o $(CTL) $(IO) $(LIBBATV)
	$(call say,LD,$@)$(LINK) -o $@ $^ $(IO_LIBS)

$(LIBBATV): $(CORE)
	$(call say,AR,$@)rm -f $@ && $(AR) rcs $@ $^

# A test links no more than its layer: tests/unit/core/* nothing but the core, and what tests share.
FIXTURES := $(call objects,$(filter-out %/memory.c $(wildcard tests/unit/*/test_*.c),\
    $(wildcard tests/unit/*/*.c)))
$(UNIT_TESTS): $(FIXTURES)
$(CORE_TESTS): $(BUILD)/tests/%: $(BUILD)/obj/tests/unit/%.o $(LIBBATV)
$(IO_TESTS): $(BUILD)/tests/%: $(BUILD)/obj/tests/unit/%.o $(IO) $(LIBBATV)
$(CTL_TESTS): $(BUILD)/tests/%: $(BUILD)/obj/tests/unit/%.o $(CTL) $(IO) $(LIBBATV)
$(CORE_TESTS): LIBS := $(CORE_LIBS)
$(IO_TESTS) $(CTL_TESTS): LIBS := $(IO_LIBS)
# With each call refused in turn (tests/unit/memory/calls); test_milter plays libmilter.
$(BUILD)/tests/memory/test_milter: $(BUILD)/obj/tests/unit/memory/test_milter.o $(MILTER)
$(MEMORY_TESTS): $(BUILD)/tests/%: $(BUILD)/obj/tests/unit/%.o \
    $(BUILD)/obj/tests/unit/memory/memory.o $(CTL) $(IO) $(LIBBATV)
$(MEMORY_TESTS): LIBS := $(IO_LIBS) -Wl,@tests/unit/memory/calls
$(UNIT_TESTS):
	@mkdir -p $(@D)
	$(call say,LD,$@)$(LINK) -o $@ $(filter-out %.a,$^) $(LIBBATV) $(CHECK_LIBS) $(LIBS)

# What tests/bench measures with.
$(BUILD)/tests/bench/load: $(BUILD)/obj/tests/bench/plan.o
BENCHES_IO := $(filter-out %/load %/null,$(BENCHES))
$(BENCHES_IO): $(IO) $(LIBBATV)
$(BENCHES): $(BUILD)/tests/bench/%: $(BUILD)/obj/tests/bench/%.o
	@mkdir -p $(@D)
	$(call say,LD,$@)$(LINK) -o $@ $^ $(LIBS)
$(BUILD)/tests/bench/null: LIBS := -lmilter
$(BENCHES_IO): LIBS := $(IO_LIBS)

# Each target twice: for `make fuzz`, with clang, and as a test that is given its seeds. Those of
# sessions have stand-ins for what brings chance in, that of the session for libmilter too.
SESSIONS := $(filter %_session %_milter,$(FUZZERS) $(SEED_TESTS))
$(filter-out $(SESSIONS),$(FUZZERS) $(SEED_TESTS)): $(IO)
$(SESSIONS): $(BUILD)/obj/tests/fuzz/site.o $(MILTER) $(filter-out %/keeper.o %/random.o,$(IO))
$(filter %_milter,$(SESSIONS)): LIBS := -lmilter
$(FUZZERS): $(BUILD)/tests/fuzz/%: $(BUILD)/obj/tests/fuzz/%.o
$(FUZZERS): LIBS += -fsanitize=fuzzer
$(SEED_TESTS): $(BUILD)/tests/fuzz/test_%: $(BUILD)/obj/tests/fuzz/fuzz_%.o \
    $(BUILD)/obj/tests/fuzz/replay.o
$(SEED_TESTS): LIBS += $(CHECK_LIBS)
$(FUZZERS) $(SEED_TESTS): $(LIBBATV)
	@mkdir -p $(@D)
	$(call say,LD,$@)$(LINK) -o $@ $(filter-out %.a,$^) $(LIBBATV) $(LIBS) $(IO_LIBS)
fuzzers: $(FUZZERS)

# Only what lies above the core finds the headers in src/.
src_headers = $(if $(filter src/core/% tests/unit/core/%,$<),,-Isrc)
$(BUILD)/obj/%.o: %.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(call say,CC,$<)$(COMPILE) $(src_headers) $(if $(filter src/content/mime.c,$<),$(GMIME)) -MMD -MP -c -o $@ $<

# Other flags than last time: everything is compiled again.
$(BUILD)/flags: FORCE
	@mkdir -p $(@D)
	@echo "$(subst ",\",$(COMPILE) $(LINK))" | cmp -s - $@ || \
	    echo "$(subst ",\",$(COMPILE) $(LINK))" > $@

-include $(shell find $(BUILD)/obj -name '*.d' 2>/dev/null)

tests: all $(UNIT_TESTS) $(SEED_TESTS) $(BENCHES)

# Packages: all of the list, or `make deps USE="build check"`.
USE ?= build demo check fuzz dev
deps:
	@.ci/deps $(USE)

need_root = [ "$$(id -u)" -eq 0 ] || \
    { echo 'make $@: run it as root: it starts a Postfix of its own' >&2; exit 1; }
# TESTS: arguments of tests/run, such as --quick; all tests without.
check:
	@$(need_root)
	@.ci/deps build check
	@$(MAKE) --no-print-directory $(PARALLEL) tests
	@tests/with-build $(BUILD) tests/run $(TESTS)

# What needs neither root nor packages beside those to build and Check's: for a package's build.
unit-check: tests
	@BATV_BUILD=$(BUILD) tests/run --unit

# The Debian package: built, examined and used in new systems in folders.
package-check:
	@.ci/deps package
	@FRESH_CACHE=$${FRESH_CACHE:-$(abspath $(BUILD))/fresh} \
	    tests/package/run $(BUILD)/package

# All of the sources compiled with another C library, and the core's tests linked with it and run:
# with the system's own libraries, which tests/musl/glibc.c helps out.
MUSL_CC ?= musl-gcc
musl:
	@.ci/deps build check musl
	@tests/musl/headers $(BUILD)/musl/include
	@$(MAKE) --no-print-directory $(PARALLEL) BUILD=$(BUILD)/musl CC=$(MUSL_CC) HARDENING= \
	    LINK='$(MUSL_CC) -static' CHECK_LIBS='$(call archives,check_pic subunit) -lm' \
	    CORE_LIBS='$(call archives,crypto idn2 pcre2-8 unistring)' \
	    CPPFLAGS='-isystem $(BUILD)/musl/include' MUSL=$(BUILD)/musl/obj/tests/musl/glibc.o \
	    musl-objects core-tests
	@for test in $(BUILD)/musl/tests/core/test_*; do \
	    CK_TIMEOUT_MULTIPLIER=10 "$$test" || exit 1; done
archives = $(foreach name,$(1),$(shell gcc -print-file-name=lib$(name).a))
$(CORE_TESTS): $(MUSL)
musl-objects: $(CORE) $(IO) $(MILTER) $(CTL) $(patsubst %,$(BUILD)/obj/src/%.o,batvd batvctl)
core-tests: $(CORE_TESTS)

asan tsan:
	@.ci/deps build check
	@$(MAKE) --no-print-directory $(PARALLEL) BUILD=$(BUILD)/$@ HARDENING= \
	    SANITIZE='$(SANITIZE_$@)' CFLAGS='-O1 -g -fno-omit-frame-pointer' tests
	@BATV_SANITIZER=$@ tests/with-build $(BUILD)/$@ tests/run
SANITIZE_asan := -fsanitize=address,undefined -fno-sanitize-recover=all
SANITIZE_tsan := -fsanitize=thread -DSTACK_SIZE=2097152

# The counts are written by the daemon too, which has given up root: in a folder that it gets at.
coverage:
	@.ci/deps build check
	@counts=$$(mktemp -d /tmp/batv-counts.XXXXXX) && trap 'rm -rf "$$counts"' EXIT && \
	trap 'exit 130' INT && trap 'exit 143' TERM HUP && \
	$(MAKE) --no-print-directory $(PARALLEL) BUILD=$(BUILD)/$@ HARDENING= CFLAGS='-O0 -g' \
	    SANITIZE="$(SANITIZE_coverage) -fprofile-dir=$$counts" tests && \
	BATV_SANITIZER=$@ tests/coverage $(BUILD)/$@ "$$counts" tests/with-build $(BUILD)/$@ tests/run
SANITIZE_coverage := --coverage -fprofile-update=atomic -include tests/coverage.h

# What takes too long for each change. The result is a file of the tree: commit it.
nightly:
	@tests/nightly/run

# Each target for this long; CORPUS may name a folder of further seeds for the bounce reader.
SECONDS ?= 60
fuzz:
	@.ci/deps build fuzz
	@$(MAKE) --no-print-directory $(PARALLEL) BUILD=$(BUILD)/fuzz CC=clang HARDENING= \
	    SANITIZE='$(SANITIZE_fuzz)' CFLAGS='-O1 -g -fno-omit-frame-pointer' fuzzers
	@tests/fuzz/run $(BUILD)/fuzz $(SECONDS)
SANITIZE_fuzz := -fsanitize=address,undefined,fuzzer-no-link -fno-sanitize-recover=all

demo:
	@$(need_root)
	@.ci/deps build demo
	@$(MAKE) --no-print-directory $(PARALLEL) all
	@tests/with-build $(BUILD) tests/demo/demo

bench: all $(BENCHES)
	@BATV_BUILD=$(abspath $(BUILD)) tests/bench/speed

lint: all
	@BATV_BUILD=$(abspath $(BUILD)) tests/lint.sh

# Of the compiler's analyser all but its search for leaks, which loses sight of what is kept in an
# array; `make asan` looks for leaks.
analyze:
	@.ci/deps build dev
	@$(MAKE) --no-print-directory $(PARALLEL) BUILD=$(BUILD)/analyze-gcc HARDENING= \
	    CFLAGS='-O1 -g -fanalyzer -Wno-analyzer-malloc-leak -Werror' all
	@scan-build --status-bugs -o $(BUILD)/analyze-clang/report \
	    $(MAKE) --no-print-directory BUILD=$(BUILD)/analyze-clang CC=clang HARDENING= all
	@clang-tidy --quiet $(wildcard src/*.c src/*/*.c) -- $(filter-out $(CC),$(COMPILE)) -Isrc $(GMIME)

format:
	$(Q)clang-format -i $(C_FILES)
format-check:
	$(Q)clang-format --dry-run -Werror $(C_FILES)

ETC   = $(DESTDIR)$(SYSCONFDIR)/batvd
SHARE = $(DESTDIR)$(PREFIX)/share
install: all
	$(INSTALL) -d $(DESTDIR)$(PREFIX)/sbin $(SHARE)/man/man5 $(SHARE)/man/man8 \
	    $(SHARE)/batvd/postfix $(SHARE)/batvd/sendmail $(SHARE)/batvd/mark $(ETC)
	$(INSTALL) -m 755 $(PROGRAMS) $(DESTDIR)$(PREFIX)/sbin
	$(INSTALL) -m 644 $(MAN8) $(SHARE)/man/man8
	$(INSTALL) -m 644 $(MAN5) $(SHARE)/man/man5
	$(INSTALL) -m 644 $(wildcard conf/postfix/*) $(SHARE)/batvd/postfix
	$(INSTALL) -m 644 $(wildcard conf/sendmail/*) $(SHARE)/batvd/sendmail
	$(INSTALL) -m 644 $(wildcard conf/mark/*) $(SHARE)/batvd/mark
	$(INSTALL) -d $(DESTDIR)$(BASH_COMPLETIONS) $(DESTDIR)$(ZSH_COMPLETIONS)
	$(INSTALL) -m 644 conf/completion/batvctl.bash $(DESTDIR)$(BASH_COMPLETIONS)/batvctl
	$(INSTALL) -m 644 conf/completion/_batvctl $(DESTDIR)$(ZSH_COMPLETIONS)/_batvctl
	@if [ -e $(ETC)/batvd.conf ] || [ -L $(ETC)/batvd.conf ]; then \
	    echo '$(ETC)/batvd.conf is there already and stays as it is'; \
	else set -x; $(INSTALL) -m 644 conf/batvd.conf $(ETC)/batvd.conf; fi

# Nothing is enabled or started.
install-service:
	$(INSTALL) -d $(addprefix $(DESTDIR),$(UNITDIR) $(SYSUSERSDIR) $(TMPFILESDIR))
	sed 's,/usr/local/sbin/,$(PREFIX)/sbin/,' conf/systemd/batvd.service \
	    > $(DESTDIR)$(UNITDIR)/batvd.service && chmod 644 $(DESTDIR)$(UNITDIR)/batvd.service
	$(INSTALL) -m 644 conf/systemd/sysusers.conf $(DESTDIR)$(SYSUSERSDIR)/batvd.conf
	$(INSTALL) -m 644 conf/systemd/tmpfiles.conf $(DESTDIR)$(TMPFILESDIR)/batvd.conf
	@printf '    %s\n' 'Next, as root:' \
	    'systemd-sysusers $(SYSUSERSDIR)/batvd.conf' \
	    'systemd-tmpfiles --create $(TMPFILESDIR)/batvd.conf' \
	    '$(PREFIX)/sbin/batvctl setup example.com' \
	    'systemctl daemon-reload' \
	    'systemctl enable --now batvd' \
	    '$(PREFIX)/sbin/batvctl setup example.com --apply   # Sendmail: batvctl mta sendmail | sh'

# The configuration stays: it is the administrator's. So do the user and the keys.
uninstall:
	rm -f $(addprefix $(DESTDIR),$(UNITDIR)/batvd.service $(SYSUSERSDIR)/batvd.conf \
	    $(TMPFILESDIR)/batvd.conf)
	rm -f $(addprefix $(DESTDIR)$(PREFIX)/sbin/,$(notdir $(PROGRAMS)))
	rm -f $(addprefix $(SHARE)/man/man8/,$(notdir $(MAN8)))
	rm -f $(addprefix $(SHARE)/man/man5/,$(notdir $(MAN5)))
	rm -rf $(SHARE)/batvd
	rm -f $(DESTDIR)$(BASH_COMPLETIONS)/batvctl $(DESTDIR)$(ZSH_COMPLETIONS)/_batvctl

# The sources of the last commit, the same octets wherever and whenever it is made.
DIST := $(BUILD)/batvd-$(VERSION).tar
dist:
	@mkdir -p $(BUILD)
	@git -c tar.umask=0022 archive --format=tar --prefix=batvd-$(VERSION)/ -o $(DIST) HEAD
	@gzip -9nf $(DIST)
	@sha256sum $(DIST).gz

clean:
	rm -rf $(BUILD)

help:
	@echo 'make            build $(BUILD)/batvd and $(BUILD)/batvctl'
	@echo 'make check      as root: install what is missing, build, run every test'
	@echo 'make demo       as root: install what is missing, build, show what batvd does'
	@echo 'make nightly    as root: sanitizers, fuzzers and what else takes hours'
	@echo 'make dist       $(BUILD)/batvd-$(VERSION).tar.gz of the last commit'
	@echo 'make package-check   as root: build, examine and use the Debian package in new systems'
	@echo 'make install    PREFIX=$(PREFIX) SYSCONFDIR=$(SYSCONFDIR) DESTDIR=$(DESTDIR)'
	@echo 'make install-service   unit, user and folders for systemd; PREFIX DESTDIR UNITDIR'
	@echo '                SYSUSERSDIR TMPFILESDIR; enables and starts nothing'
	@echo 'make deps       as root: install the packages of .ci/packages'
	@echo 'make fuzz       SECONDS=$(SECONDS), as root: each fuzz target for that long'
	@echo 'also: uninstall clean tests musl asan tsan coverage lint analyze format format-check bench'

FORCE:
.PHONY: all tests deps check musl musl-objects core-tests asan tsan coverage fuzz fuzzers demo bench \
        lint analyze format format-check install install-service uninstall unit-check package-check \
        nightly dist clean help FORCE
.DELETE_ON_ERROR:
