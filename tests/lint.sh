#!/bin/sh
# Checks what the compiler does not: layers include downwards only, each foreign library has one file, the
# core is pure, banned calls, long functions, manuals, scripts, format.
# BATV_BUILD is a finished build (default build). It names a missing tool and skips its check.
set -eu
cd "$(dirname "$0")/.."
build=${BATV_BUILD:-build}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Prints the title and stdin, unless stdin is empty, and records that in a file, since pipes are subshells.
report() {
    found=$(cat)
    [ -n "$found" ] || return 0
    echo "lint: $1"
    echo "$found" | sed 's/^/    /'
    : >"$work/wrong"
}

have() {
    command -v "$1" >/dev/null && return
    echo "lint: $1 is not installed, skipping it (run 'make deps' as root)"
    return 1
}

# The findings of these tools differ between versions. Only Debian 12's count.
of_debian_12() {
    "$1" --version | grep -qwF "$2" && return
    echo "lint: $1 is not version $2 of Debian 12, skipping it"
    return 1
}

sources() {
    find "$@" -name '*.[ch]' | sort
}

# Prints each include of src and include as "file line name", the name with its < or ".
includes() {
    # shellcheck disable=SC2046  # file names without blanks
    awk '/^[ \t]*#[ \t]*include/ {
        name = $0
        sub(/^[^<"]*/, "", name)
        sub(/[>"][^>"]*$/, "", name)
        print FILENAME, FNR, name
    }' $(sources src include)
}

check_layers() {
    awk '
        function bad(why) { print $1 ":" $2 ": " substr($3, 2) ": " why }
        BEGIN {
            split("assert ctype errno inttypes limits stdalign stdarg stdbool stddef stdint stdio " \
                  "stdlib string strings time arpa/inet", names)
            for (i in names)
                pure["<" names[i] ".h"] = 1
            # From the ground up; rooms of one floor do not know of each other.
            floors = split("base config store content dns daemon mta milter,check ctl", names)
            for (i = 1; i <= floors; i++) {
                rooms = split(names[i], beside, ",")
                for (k = 1; k <= rooms; k++)
                    floor[beside[k]] = i
            }
        }
        $3 ~ /\.\.\// { bad("goes up the tree"); next }
        $1 ~ /^(include|src\/core)\// {
            if ($3 ~ /^"/ && $3 ~ /\// && $3 !~ /^"batv\//)
                bad("the core includes batv/ only")
            else if ($3 ~ /^</ && !($3 in pure) &&
                     !($3 ~ /^<openssl\// && $1 ~ /^src\/core\/(mac|secret)\.c$/) &&
                     !($3 == "<pcre2.h" && $1 == "src/core/match_regex.c") &&
                     !($3 == "<idn2.h" && $1 ~ /^src\/core\/address(_unicode)?\.c$/) &&
                     !($3 ~ /^<uni(case|norm|str)\.h$/ && $1 == "src/core/address_fold.c"))
                bad("not for the core, or not for this file of it")
            next
        }
        $1 ~ /^src\/base\// && $3 ~ /^"batv\// && $3 !~ /^"batv\/(day|ip|secret|status)\.h$/ {
            bad("the base knows nothing of deciding")
        }
        {
            split($1, from, "/")
            split(substr($3, 2), to, "/")
            if (from[2] in floor && to[1] in floor && to[1] != from[2] &&
                floor[to[1]] >= floor[from[2]])
                bad(from[2] " stands below " to[1] ", or beside it")
        }
        $3 ~ /^<libmilter\// && $1 !~ /^src\/milter\/(adapter|guard)\.c$/ { bad("for src/milter/ only") }
        $3 == "<libconfig.h" && $1 != "src/config/config.c" { bad("for src/config/config.c only") }
        $3 ~ /^<gmime\// && $1 != "src/content/mime.c" { bad("for src/content/mime.c only") }
        $3 == "<unbound.h" && $1 != "src/dns/resolver.c" { bad("for src/dns/resolver.c only") }
        $3 == "<zlib.h" && $1 != "src/content/inflate.c" { bad("for src/content/inflate.c only") }
        $3 == "<sqlite3.h" && $1 != "src/store/database.c" { bad("for src/store/database.c only") }
        $3 ~ /^<systemd\// && $1 != "src/base/systemd.c" { bad("for src/base/systemd.c only") }
        $3 ~ /^<(openssl\/|idn2|pcre2|uni(case|conv|ctype|norm|str|types)\.h)/ { bad("for the core only") }
    '
}

# Prints a C file with comments, strings and characters blanked, and the same lines.
blank_text() {
    awk '{
        out = ""
        for (i = 1; i <= length($0); i++) {
            c = substr($0, i, 1)
            two = substr($0, i, 2)
            if (state == "comment") {
                if (two == "*/") { state = ""; i++ }
                c = " "
            } else if (state != "") {
                if (c == "\\") i++
                else if (c == state) state = ""
                c = " "
            } else if (two == "//") {
                break
            } else if (two == "/*") {
                state = "comment"; i++; c = " "
            } else if (c == "\"" || c == "\047") {
                state = c; c = " "
            }
            out = out c
        }
        if (state != "comment") state = ""
        print out
    }' "$1"
}

# calls FILE FUNCTION...: prints the calls of these functions.
calls() {
    file=$1
    shift
    pattern=$(echo "$*" | tr ' ' '|')
    blank_text "$file" | grep -nE "(^|[^A-Za-z0-9_.>])($pattern)[[:space:]]*\(" |
        sed "s|^|$file:|"
}

check_calls() {
    for file in $(sources src include); do
        calls "$file" strcpy strcat sprintf vsprintf gets atoi atol atoll strtok sscanf alloca || true
    done
}

check_core_calls() {
    for file in $(sources src/core include); do
        calls "$file" time clock_gettime gettimeofday localtime localtime_r rand random srandom \
            drand48 getrandom getentropy arc4random RAND_bytes printf fprintf puts perror fopen \
            fdopen open read write close socket syslog vsyslog getenv exit abort || true
    done
}

# Writable data is a global. Constants with addresses are in .data.rel.ro.
check_core_data() {
    objdump -t "$build/libbatv.a" |
        awk '/file format/ { member = $1 }
            $3 == "O" && $4 ~ /^(\.t?(data|bss)|\*COM\*)$/ { print member, $4, $NF }'
}

# tests/unit/memory makes each allocation fail, so it must name all functions that allocate.
check_memory_calls() {
    find "$build/obj/src" -name '*.o' -exec nm -u {} + | awk '$1 == "U" { print "--wrap=" $2 }' |
        grep -E '=((m|c|re)alloc(array)?|str(n)?dup|.*v?asprintf(_chk)?|open_memstream|f(d)?open|realpath|getline|getdelim|EVP_(Digest.*|MAC_.*|MD_CTX_(new|dup|copy.*))|CRYPTO_secure_(m|z)alloc|pcre2_.*(create|compile|match)_8|idn2_(lookup|to)_.*|u(8|16|32)_(casefold|norm.*|to(lower|upper|title)|strdup))$' |
        sort -u | grep -vxF -f tests/unit/memory/calls || true
}

# Whoever opens and closes a file that SQLite has open drops its locks: one file names the paths.
check_database_paths() {
    grep -rnE --include='*.[ch]' '"[^"]*\.db(-[a-z]+)?"' src include |
        grep -v '^src/store/journal_db\.c:' || true
}

check_length() {
    for file in $(sources src include); do
        awk -v file="$file" '
            /^\{/ { start = NR }
            /^\}/ {
                if (start && NR - start - 1 > 70)
                    print file ":" start ": " NR - start - 1 " lines"
                start = 0
            }' "$file"
    done
}

# Documents for developers name files and tests: each of them is there.
check_documents() {
    tick=$(printf '\140')
    find . -path ./.git -prune -o -path ./build -prune -o -print | sed 's|^\./||' >"$work/files"
    for file in README.md CONTRIBUTING.md SECURITY.md tests/bench/README.md; do
        grep -oE '\]\([^):#]+' "$file" | cut -c 3- | while read -r link; do
            [ -e "$(dirname "$file")/$link" ] || echo "$file: $link"
        done
        grep -oE "${tick}[^$tick ]+$tick" "$file" | tr -d "$tick" | grep -E '/|\.(c|h|py)$' |
            grep -vE '[A-Z{*=]|^/|^build/' | sort -u | while read -r name; do
            grep -qE "(^|/)${name%/}\$" "$work/files" || echo "$file: $name"
        done
    done
    grep -oE "\\((${tick}[a-z_]+$tick(, )?)+\\)" SECURITY.md | grep -oE '[a-z]+(_[a-z]+)+' |
        while read -r name; do
            grep -rqF "$name" tests/unit tests/integration || echo "SECURITY.md: $name"
        done
    [ "$(wc -l <README.md)" -le 150 ] || echo "README.md: more than 150 lines"
}

scripts() {
    grep -rlE --exclude='*.py' '^#!/bin/sh' .ci tests conf debian 2>/dev/null || true
    echo tests/fresh/tree.sh
}

includes >"$work/includes"
check_layers <"$work/includes" | report "includes"
check_calls | report "banned calls"
check_core_calls | report "the core has no clock, no randomness, no I/O"
check_core_data | report "the core has no globals"
check_memory_calls | report "calls that tests/unit/memory/calls does not name"
check_database_paths | report "paths of a database, for its one file only"
check_length | report "functions over 70 lines"
check_documents | report "documents name what is not there"
{ nm "$build/batvctl" 2>&1 | grep -E 'smfi_|No such' || true; } | report "batvctl without libmilter"
if have mandoc; then
    { find man -type f -exec mandoc -T lint -W warning {} + || true; } 2>&1 | report "manuals"
fi
if have shellcheck; then
    # shellcheck disable=SC2046  # file names without blanks
    { shellcheck $(scripts) conf/completion/*.bash || true; } | report "shell scripts"
fi
if have clang-format && of_debian_12 clang-format 14; then
    # shellcheck disable=SC2046  # file names without blanks
    { clang-format --dry-run $(sources src include tests) 2>&1 || true; } |
        awk -F: '/warning:/ { n[$1]++ } END { for (f in n) print f ": " n[f] " places" }' |
        sort | report "format (run 'make format')"
fi
if have cppcheck && of_debian_12 cppcheck 2.10; then
    { cppcheck -q --enable=warning,portability --inline-suppr --std=c11 -Iinclude -Isrc \
        src 2>&1 || true; } | report "cppcheck"
fi
[ ! -e "$work/wrong" ] || exit 1
echo "lint: nothing to complain about"
