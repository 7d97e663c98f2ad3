# shellcheck shell=bash
# SPDX-License-Identifier: MIT
#
# Completion of the numarena command for bash.  A test compares the options with --help.

# Of a command, or of numarena itself; = behind those that take a value.
_numarena_options() {
	case $1 in
	'') echo '--version --help' ;;
	run) echo '--node= --huge= --mode= --policy= --stats= --conf= --settings --help' ;;
	stat | audit) echo '--json --help' ;;
	top) echo '--interval= --count= --once --sort= --help' ;;
	doctor) echo '--json --verbose --root= --help' ;;
	record) echo '--output= --help' ;;
	replay) echo '--allocator= --repeat= --summary --json --help' ;;
	help) echo '--help' ;;
	esac
}

_numarena_commands='run stat top audit doctor record replay help'

# Those that use the library: that have a page of statistics, or map it, as far as that may be read.
_numarena_processes() {
	local page pid stat
	for page in /dev/shm/numarena-*-*; do
		pid=${page#/dev/shm/numarena-}
		pid=${pid%-*}
		# A page that was left behind is of a process that began at another time.
		read -r stat 2>/dev/null <"/proc/$pid/stat" || continue
		read -ra stat <<<"${stat##*) }"
		[[ ${page##*-} == "${stat[19]}" ]] && echo "$pid"
	done
	grep -ls '/libnumarena\.so' /proc/[0-9]*/maps 2>/dev/null | while IFS=/ read -r _ _ pid _; do
		echo "$pid"
	done
}

# The words that a setting takes; without one, the settings, a colon behind each.
_numarena_settings() {
	local name words
	"$numarena" run --settings 2>/dev/null | while read -r name words; do
		if (($# == 0)); then
			echo "$name:"
		elif [[ $name == "$1" ]]; then
			echo "$words"
		fi
	done
}

# _numarena_before TEXT word...: each with the text before it.
_numarena_before() {
	local before=$1 word
	shift
	for word; do
		echo "$before$word"
	done
}

# Words of a setting, behind those that are joined by + in its value already.
_numarena_words() {
	# shellcheck disable=SC2046
	_numarena_before "${2%"${2##*+}"}" $(_numarena_settings "$1")
}

# The same for --conf: the names of settings, and words behind the name.
_numarena_conf() {
	local before=${1%"${1##*,}"} last=${1##*,}
	# shellcheck disable=SC2046
	if [[ $last == *:* ]]; then
		_numarena_before "$before${last%%:*}:" $(_numarena_words "${last%%:*}" "${last#*:}")
	else
		_numarena_before "$before" $(_numarena_settings)
	fi
}

# Words for the value of an option of $command; files where nothing is said.
_numarena_values() {
	local node
	case "$command $1" in
	'run --huge' | 'run -H') _numarena_words huge "$2" ;;
	'run --mode' | 'run -m') _numarena_words mode "$2" ;;
	'run --policy' | 'run -p') _numarena_words policy "$2" ;;
	'run --stats' | 'run -s') _numarena_words stats "$2" ;;
	'run --conf' | 'run -c') _numarena_conf "$2" ;;
	'run --node' | 'run -n')
		for node in /sys/devices/system/node/node[0-9]*; do
			echo "${node##*/node}"
		done
		;;
	'top --sort' | 'top -s') echo 'memory pid huge elsewhere refills remote fallbacks' ;;
	'replay --allocator' | 'replay -a') echo 'numarena system' ;;
	esac
}

# Does this word take the next one?  Only options do.
_numarena_takes_value() {
	local command=$1 word=$2
	case $word in
	--*) [[ " $(_numarena_options "$command") " == *" $word= "* ]] ;;
	-[ns]) [[ $command == run || $command == top ]] ;;
	-[Hmpc]) [[ $command == run ]] ;;
	-o) [[ $command == record ]] ;;
	-[ar]) [[ $command == replay ]] ;;
	-i) [[ $command == top ]] ;;
	*) false ;;
	esac
}

# Those of the words in $1 that begin as $cur does.  compgen -W would expand them first, and so
# run what was typed.
_numarena_reply() {
	local word
	local -a all
	COMPREPLY=()
	read -rd '' -a all <<<"$1" || true
	for word in "${all[@]}"; do
		[[ $word != "$cur"* ]] || COMPREPLY+=("$word")
	done
}

# For the value of an option: what is there of it is $cur.
_numarena_reply_value() {
	_numarena_reply "$(_numarena_values "$1" "$cur")"
	[[ ${COMPREPLY[*]} != *: ]] || compopt -o nospace 2>/dev/null || true
	# The shell takes a word for some, parted by : and =, and wants the last of them.
	COMPREPLY=("${COMPREPLY[@]#"${cur%"${cur##*[:=]}"}"}")
}

# What the shell has parted at : and = is one word again.  $at: where each begins in COMP_WORDS.
_numarena_join_words() {
	local rest=${COMP_LINE} i
	words=() at=()
	for ((i = 0; i <= COMP_CWORD; i++)); do
		if ((i == 0)) || [[ $rest == [[:blank:]]* ]]; then
			words+=("${COMP_WORDS[i]}")
			at+=("$i")
		else
			words[-1]+=${COMP_WORDS[i]}
		fi
		rest=${rest#"${rest%%[![:blank:]]*}"}
		rest=${rest#"${COMP_WORDS[i]}"}
	done
}

# An option, or its value behind a =.
_numarena_option() {
	local options word=${cur%%=*}
	if [[ $cur == --*=* ]] && _numarena_takes_value "$command" "$word"; then
		cur=${cur#*=}
		_numarena_reply_value "$word"
		return
	fi
	options=$(_numarena_options "$command")
	_numarena_reply "${options//=/}"
}

# Programs and their arguments.
_numarena_program() {
	if declare -F _command_offset >/dev/null; then
		_command_offset "$1"
	elif (($1 == COMP_CWORD)); then
		mapfile -t COMPREPLY < <(compgen -c -- "$cur")
	fi
}

_numarena() {
	local numarena=$1 cur command i word last options
	local -a words at
	_numarena_join_words
	last=$((${#words[@]} - 1)) cur=${words[-1]} command=${words[1]}
	COMPREPLY=()

	if ((last == 1)); then
		options=$(_numarena_options '')
		_numarena_reply "$_numarena_commands $options"
		return
	fi
	for ((i = 2; i < last; i++)); do
		word=${words[i]}
		if _numarena_takes_value "$command" "$word"; then
			if ((i + 1 == last)); then
				_numarena_reply_value "$word"
				return
			fi
			i=$((i + 1))
		elif [[ $word == -- ]]; then
			i=$((i + 1))
			break
		elif [[ $word != -* ]]; then
			break
		fi
	done
	if [[ $cur == -* ]] && ((i == last)) && [[ ${words[i - 1]} != -- ]]; then
		_numarena_option
		return
	fi
	case $command in
	run | record) _numarena_program "${at[i]}" ;;
	stat | audit)
		# One process is all that they take, and no file.
		compopt +o default 2>/dev/null || true
		((i < last)) || _numarena_reply "$(_numarena_processes)"
		;;
	help) _numarena_reply "$_numarena_commands" ;;
	esac
}

complete -o default -F _numarena numarena
