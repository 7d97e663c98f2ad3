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
			s/.*'(--[a-z]+)\[[^]]*\](:?).*/\1\2/p" | sed 's/:$/=/' | sort
}

commands_of_zsh() {
	sed -n -E "s/^\t\t'([a-z]+):.*/\1/p" "$top/tools/completion/_numarena" | sort
}

is_not_empty() {
	[[ $(options_of_help "$1") == *--help* ]]
}

# What bash would offer for these words, the last of them begun.
completes() {
	local expected=$1
	shift
	(
		. "$top/tools/completion/numarena.bash"
		COMP_WORDS=(numarena "$@")
		COMP_CWORD=$#
		_numarena
		echo "${COMPREPLY[*]}"
	) | grep -qxF -- "$expected"
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
check 'bash: a process' completes "$$" audit "$$"
if [[ $(type -P zsh) ]]; then
	check 'zsh reads its file' zsh_reads
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
	sed -n -E 's/^\tSETTING\(([a-z_]+),.*/\1/p; s/^\t\{ "([a-z_]+)", .*/\1/p' "$top/arena/setting.c" | sort
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
