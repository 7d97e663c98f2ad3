# shellcheck shell=bash
# SPDX-License-Identifier: MIT
#
# Completion of the numarena command for bash.  A test compares the options with --help.

# Of a command, or of numarena itself; = behind those that take a value.
_numarena_options() {
	case $1 in
	'') echo '--version --help' ;;
	run) echo '--node= --huge= --mode= --policy= --stats= --conf= --help' ;;
	stat | audit) echo '--json --help' ;;
	top) echo '--interval= --count= --once --sort= --help' ;;
	doctor) echo '--json --verbose --root= --help' ;;
	record) echo '--output= --help' ;;
	replay) echo '--allocator= --repeat= --summary --json --help' ;;
	help) echo '--help' ;;
	esac
}

_numarena_commands='run stat top audit doctor record replay help'

_numarena_processes() {
	local comm
	for comm in /proc/[0-9]*; do
		echo "${comm#/proc/}"
	done
}

# Words for the value of an option of $command; files where nothing is said.
_numarena_values() {
	local node
	case "$command $1" in
	'run --huge' | 'run -H') echo 'auto thp hugetlb off' ;;
	'run --mode' | 'run -m') echo 'arena baseline sharded' ;;
	'run --policy' | 'run -p') echo 'preferred strict interleave inherit' ;;
	'run --stats' | 'run -s') echo 'exit page SIGUSR1 SIGUSR2' ;;
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

_numarena_reply() {
	mapfile -t COMPREPLY < <(compgen -W "$1" -- "$cur")
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
	local cur=${COMP_WORDS[COMP_CWORD]} command=${COMP_WORDS[1]} i word options
	COMPREPLY=()

	if ((COMP_CWORD == 1)); then
		options=$(_numarena_options '')
		_numarena_reply "$_numarena_commands $options"
		return
	fi
	for ((i = 2; i < COMP_CWORD; i++)); do
		word=${COMP_WORDS[i]}
		if _numarena_takes_value "$command" "$word"; then
			if ((i + 1 == COMP_CWORD)); then
				_numarena_reply "$(_numarena_values "$word")"
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
	if [[ $cur == -* ]] && ((i == COMP_CWORD)) && [[ ${COMP_WORDS[i - 1]} != -- ]]; then
		options=$(_numarena_options "$command")
		_numarena_reply "${options//=/}"
		return
	fi
	case $command in
	run | record) _numarena_program "$i" ;;
	stat | audit) _numarena_reply "$(_numarena_processes)" ;;
	help) _numarena_reply "$_numarena_commands" ;;
	esac
}

complete -o default -F _numarena numarena
