# Completion of batvctl(8) for bash. It names no command: each completion reads
# `batvctl --help`, the program's own table.
# shellcheck shell=bash

# Splits a row of the table: its words, in order, into ops, its options into opts, each as --name or
# --name=VALUE.
_batvctl_row()
{
    local n=${#ops[@]} name='' word
    ops[n]=
    opts[n]=
    for word in $1; do
        if [[ $word == ?(\[)--* ]]; then
            name=${word//[][]/}
            opts[n]+=" $name"
            [[ $word != *']' ]] || name=
        elif [[ -n $name ]]; then
            opts[n]+="=${word%]}"
            name=
        else
            ops[n]+=" $word"
        fi
    done
}

# The word of row $1 at the place `at`, if any; the last one can stand for more (WORD...).
_batvctl_place()
{
    local words
    read -ra words <<<"${ops[$1]}"
    if [[ $at -ge ${#words[@]} && ${#words[@]} -gt 0 && ${words[-1]} == *... ]]; then
        place=${words[-1]}
    else
        place=${words[at]-}
    fi
}

# Drops the rows without the word $1 at the place `at`, and advances `at`.
_batvctl_follow()
{
    local row place kept=()
    for row in "${rows[@]}"; do
        _batvctl_place "$row"
        if [[ $place != [a-z]* || "|$place|" == *"|$1|"* ]]; then
            kept+=("$row")
        fi
    done
    rows=("${kept[@]}")
    at=$((at + 1))
}

# The options that fit here, in `options`: those of each row whose lower-case words are complete.
_batvctl_options()
{
    local row place
    if [[ $at -eq 0 ]]; then
        options=$global
        return
    fi
    options=' --json --help'
    for row in "${rows[@]}"; do
        _batvctl_place "$row"
        [[ $place == [a-z]* ]] || options+=${opts[row]}
    done
}

# The value of the option $1, in `value`; empty if it takes none.
_batvctl_value()
{
    local options option
    value=
    _batvctl_options
    for option in $options; do
        if [[ ${option%%=*} == "$1" && $option == *=* ]]; then
            value=${option#*=}
        fi
    done
}

# Offers the values of $1, a word of the table.
_batvctl_offer()
{
    local words
    case ${1%...} in
    FILE) compopt -o default ;; # readline's own completion, where nothing else is offered
    K) words='0 1 2 3 4 5 6 7 8 9' ;;
    -* | [a-z]*) words=${1//|/ } ;;
    esac
    mapfile -t -O ${#COMPREPLY[@]} COMPREPLY < <(compgen -W "${words-}" -- "$cur")
}

_batvctl_offer_options()
{
    local options option
    _batvctl_options
    for option in $options; do
        [[ "$used " == *" ${option%%=*} "* ]] || _batvctl_offer "${option%%=*}"
    done
}

# Offers the words for the place `at`, or options if any word fits.
_batvctl_offer_place()
{
    local row place places=''
    for row in "${rows[@]}"; do
        _batvctl_place "$row"
        places+=" $place"
        _batvctl_offer "$place"
    done
    if [[ -z $cur && -z $ended && ${#COMPREPLY[@]} -eq 0 && $places != *FILE* ]]; then
        _batvctl_offer_options
    fi
}

_batvctl()
{
    local cur=${COMP_WORDS[COMP_CWORD]} line word
    local ops=() opts=() rows at=0 global='' used='' value='' ended=''
    COMPREPLY=()
    while IFS= read -r line; do
        if [[ $line =~ ^'  '([a-z].*)$ ]]; then
            _batvctl_row "${BASH_REMATCH[1]}"
        elif [[ $line =~ ^(-[-a-z]+)(' '([A-Z]+))?'  ' ]]; then
            global+=" ${BASH_REMATCH[1]}${BASH_REMATCH[3]:+=${BASH_REMATCH[3]}}"
        fi
    done < <(PATH=$PATH:/usr/local/sbin:/usr/sbin "$1" --help 2>/dev/null)
    rows=("${!ops[@]}")

    for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
        if [[ $word == = ]]; then
            continue # --name=VALUE comes as three words
        elif [[ -n $value ]]; then
            value=
        elif [[ -z $ended && $word == -- ]]; then
            ended=yes
        elif [[ -z $ended && $word == -?* ]]; then
            used+=" $word"
            _batvctl_value "$word"
        else
            _batvctl_follow "$word"
        fi
    done

    [[ $cur != = ]] || cur=
    if [[ -n $value ]]; then
        _batvctl_offer "$value"
    elif [[ -z $ended && $cur == -* ]]; then
        _batvctl_offer_options
    else
        _batvctl_offer_place
    fi
}
complete -F _batvctl batvctl
