#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The help, the manual and the completions know the same commands and options.
set -euo pipefail

. "$(dirname "$0")/tools.sh"

manual=$top/doc/numarena.1

commands_of_help() {
	"$numarena" --help | awk '/^Commands:/ { on = 1; next } !NF { on = 0 } on { print $1 }' | sort
}

# Of a command, or of numarena itself: "-n --node=", "--root=" a line; = where there is a value.
options_of_help() {
	"$numarena" ${1:+"$1"} --help | sed -n -E '/^Options:/,/^$/{
		s/^  (-[A-Za-z]), (--[a-z]+)( ([A-Z:]+))?( .*|$)/\1 \2\3/
		t value
		s/^      (--[a-z]+)( ([A-Z:]+))?( .*|$)/\1\2/
		t value
		d
		:value
		s/ [A-Z:]+$/=/
		p
	}' | sort
}

# .It Fl n , Fl -node Ar list; before the first .Ss come those of numarena itself.
options_of_manual() {
	awk -v command="$1" '
	/^\.Ss numarena / { at = $3 }
	/^\.Sh / { at = /DESCRIPTION/ ? "" : "-" }
	/^\.It Fl / && at == command { print }' "$manual" |
		sed -E 's/^\.It //; s/Fl -/--/g; s/Fl /-/g; s/ , / /; s/ Ar .*/=/' | sort
}

commands_of_manual() {
	awk '/^\.Ss numarena / { print $3 }' "$manual" | sort
}

options_of_bash() {
	(
		# shellcheck source=tools/completion/numarena.bash
		. "$top/tools/completion/numarena.bash"
		_numarena_options "$1"
	) | tr ' ' '\n' | sort
}

commands_of_bash() {
	(
		. "$top/tools/completion/numarena.bash"
		echo "$_numarena_commands"
	) | tr ' ' '\n' | sort
}

# Between _numarena_run() { and }, and for numarena itself after the last of these.
options_of_zsh() {
	awk -v name="_numarena_$1() {" -v command="$1" '
	/^_arguments/ && command == "" { on = 1 }
	$0 == name { on = 1 }
	on && /^(}|$)/ { on = 0 }
	on { print }' "$top/tools/completion/_numarena" |
		sed -n -E "s/.*\{(-[A-Za-z]),(--[a-z]+)\}'\[[^]]*\](:?).*/\1 \2\3/p
			s/.*'(\(- \*\))?(--[a-z]+)\[[^]]*\](:?).*/\2\3/p" | sed 's/:$/=/' | sort
}

commands_of_zsh() {
	sed -n -E "s/^\t\t'([a-z]+):.*/\1/p" "$top/tools/completion/_numarena" | sort
}

is_not_empty() {
	[[ $(options_of_help "$1") == *--help* ]]
}

# As bash has them: what has : and = in it is some.
part_words() {
	local word rest
	COMP_WORDS=(numarena)
	for word; do
		rest=$word
		while [[ $rest == *[:=]* ]]; do
			[[ ! ${rest%%[:=]*} ]] || COMP_WORDS+=("${rest%%[:=]*}")
			rest=${rest#"${rest%%[:=]*}"}
			COMP_WORDS+=("${rest:0:1}")
			rest=${rest:1}
		done
		[[ ! $rest && $word ]] || COMP_WORDS+=("$rest")
	done
	COMP_LINE="numarena $*"
	COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
}

# What bash would offer for these words, the last of them begun.
offered() {
	. "$top/tools/completion/numarena.bash"
	part_words "$@"
	_numarena "$numarena"
	echo "${COMPREPLY[*]}"
}

completes() {
	local expected=$1
	shift
	(offered "$@") | grep -qxF -- "$expected"
}

settings() {
	"$numarena" run --settings
}

words_of() {
	settings | sed -n "s/^$1 //p"
}

# Its functions with others in the place of zsh's, which print what they are asked to offer.
in_zsh() {
	zsh -f -c '
		_arguments() {}
		_describe() { print -l ${(P)@[-1]} }
		_call_program() { shift; "$@" }
		_files() { print files }
		compset() { [[ $PREFIX == ${~2}* ]] && PREFIX=${PREFIX##${~2}} }
		compadd() { [[ $1 == -a ]] && print ${(P)2} || print ${@[4,-1]} }
		words=($1) PREFIX=$3
		source $2
		shift 3
		"$@"' zsh "$numarena" "$top/tools/completion/_numarena" "$@"
}

zsh_offers() {
	local expected=$1
	shift
	in_zsh "$@" | grep -qxF -- "$expected"
}

# The processes that are offered: who maps it or has a page, and nobody else.
offers_processes() {
	sleep 1000 &
	local other=$!
	"$@" >"$tap_dir/offered"
	kill "$other"
	cat "$tap_dir/offered"
	grep -qw "$pid" "$tap_dir/offered" && ! grep -qw "$other" "$tap_dir/offered" && ! grep -qw "$$" "$tap_dir/offered"
}

# In what was typed the shell may find a command, which is not for us to run.
runs_nothing() {
	offered run "$1" "$2\$(touch $tap_dir/ran)$3" >"$tap_dir/offered"
	[[ ! -e $tap_dir/ran ]]
}

offers_nothing() {
	[[ ! $(offered "$@") ]]
}

# with_page START command...: what it prints while this shell has a page that says so.
with_page() {
	local page=/dev/shm/numarena-$$-$1
	shift
	touch "$page"
	"$@" >"$tap_dir/offered"
	rm "$page"
	cat "$tap_dir/offered"
}

has_page() {
	with_page "$(sed 's/.*) //' /proc/$$/stat | cut -d ' ' -f 20)" "$@" | grep -qw "$$"
}

# It is of one that began at another time and had the number.
page_is_left() {
	! with_page 1 "$@" | grep -qw "$$"
}

zsh_reads() {
	zsh -n "$top/tools/completion/_numarena"
}

is_clean_manual() {
	[[ ! $(man --warnings -l "$manual" 2>&1 >/dev/null) ]]
}

check 'commands of the manual' diff <(commands_of_help) <(commands_of_manual)
check 'commands of bash' diff <(commands_of_help) <(commands_of_bash)
check 'commands of zsh' diff <(commands_of_help) <(commands_of_zsh)
for command in '' $(commands_of_help); do
	name=numarena${command:+ $command}
	check "$name: options are found" is_not_empty "$command"
	check "$name: the manual" diff <(options_of_help "$command") <(options_of_manual "$command")
	check "$name: bash" diff <(options_of_help "$command" | sed 's/.* //' | sort) \
		<(options_of_bash "$command")
	check "$name: zsh" diff <(options_of_help "$command") <(options_of_zsh "$command")
done

printf '#!/bin/sh\n' >"$tap_dir/tap-program"
chmod +x "$tap_dir/tap-program"
PATH=$tap_dir:$PATH

check 'bash: a command' completes 'doctor' 'do'
check 'bash: an option' completes '--policy' run --po
check 'bash: a value' completes 'strict' run --policy s
check 'bash: behind an option with a value' completes '--mode' run --huge off --mo
check 'bash: a program' completes 'tap-program' run --huge off tap-pro
check 'bash: no options behind the program' completes '' run true --po
check 'bash: a command for help' completes 'replay' help rep
check 'bash: settings have words' test "$(settings | wc -l)" -ge 10
for name in huge mode policy stats; do
	check "bash: words of --$name" completes "$(words_of $name)" run --$name ''
done
check 'bash: the same behind a =' completes 'interleave inherit' run --policy=in
check 'bash: an option behind such a one' completes '--mode' run --policy=inherit --mo
check 'bash: several words behind an option' completes 'exit+page' run --stats exit+pa
check 'bash: settings' completes "$(settings | sed 's/ .*//; s/$/:/' | tr '\n' ' ' | sed 's/ $//')" run --conf ''
check 'bash: a setting' completes 'huge:' run --conf hu
check 'bash: its words' completes 'thp' run --conf huge:t
check 'bash: all its words' completes "$(words_of huge)" run -c huge:
check 'bash: another one behind a comma' completes 'thp,mode:' run --conf huge:thp,mo
check 'bash: the words of that' completes 'baseline' run --conf huge:thp,mode:b
check 'bash: several words' completes 'exit+page' run --conf stats:exit+pa
check 'bash: of a number none' completes '' run --conf decay_ms:
check 'bash: nothing is run' runs_nothing --conf stats_file: ,
check 'bash: nor behind a +' runs_nothing --stats exit+ +
check 'bash: an option behind a setting' completes '--node' run --conf huge:thp,mode:arena --no
check 'bash: a program behind a setting' completes 'tap-program' run --conf huge:thp tap-pro

# shellcheck source=tests/tools/holder.sh
. "$here/holder.sh"
start env LD_PRELOAD="$library" "$build/tests/tools/holder" 1
check 'bash: a process that maps the library' offers_processes offered stat ''
check 'bash: and no second one' offers_nothing stat "$pid" ''
if [[ $(type -P zsh) ]]; then
	check 'zsh: the same' offers_processes in_zsh '' _numarena_processes
	check 'zsh: and its name' zsh_offers "$pid:holder" '' _numarena_processes
fi
stop
check 'bash: a process with a page' has_page offered audit ''
check 'bash: a page that was left behind' page_is_left offered audit ''

if [[ $(type -P zsh) ]]; then
	check 'zsh reads its file' zsh_reads
	for name in huge mode policy stats; do
		check "zsh: words of --$name" zsh_offers "$(words_of $name)" '' _numarena_word $name
	done
	check 'zsh: a process with a page' has_page in_zsh '' _numarena_processes
	check 'zsh: a page that was left behind' page_is_left in_zsh '' _numarena_processes
	check 'zsh: settings' zsh_offers "$(settings | sed 's/ .*//' | tr '\n' ' ' | sed 's/ $//')" '' _numarena_conf
	check 'zsh: words of a setting' zsh_offers "$(words_of mode)" huge:thp,mode:b _numarena_conf
	check 'zsh: a path' zsh_offers files stats_file:/t _numarena_conf
else
	skip 'zsh reads its file' 'there is no zsh'
fi
if [[ $(type -P man) ]]; then
	check 'man has nothing to say against the manual' is_clean_manual
else
	skip 'man has nothing to say against the manual' 'there is no man'
fi

# ---- Of the library ----

library_options_of_code() {
	settings | sed 's/ .*//' | sort
}

library_options_of_manual() {
	sed -n -E 's/^\.It Cm ([a-z_]+) : .*/\1/p' "$top/doc/numarena.7" | sort
}

library_options_of_readme() {
	sed -n -E '/^## Options/,/^## [^O]/s/^\| `([a-z_]+)` .*/\1/p' "$top/README.md" | sort
}

library_options_agree() {
	[[ $(library_options_of_code | wc -l) -ge 10 ]]
	diff <(library_options_of_code) <("library_options_of_$1")
}

for where in manual readme; do
	check "options of the library in the $where" library_options_agree $where
done

tap_end
