# Completion of byunique's command line for bash. It asks the program itself (byunique help …), so that it can't be out of
# date. Installed as share/bash-completion/completions/byunique; or: source deploy/completion/byunique.bash
# shellcheck shell=bash

# _byunique_help PROGRAM WORD...: the help's lines that begin with two blanks, without these.
_byunique_help() {
	"$1" help "${@:2}" 2>/dev/null | sed -n 's/^  \([^ ]\)/\1/p'
}

_byunique_reply() {
	mapfile -t COMPREPLY < <(compgen "$@")
}

# _byunique_value ARGUMENT CURRENT: what an option's argument may be, by its name in the help.
_byunique_value() {
	case $1 in
	*FILE* | DIR)
		compopt -o filenames
		_byunique_reply -f -- "$2"
		;;
	PLACE)
		compopt -o nospace
		_byunique_reply -W "beginning end offset: time:" -- "$2"
		;;
	*\|*) _byunique_reply -W "$(tr '|' '\n' <<<"$1" | grep '^[a-z]')" -- "$2" ;;
	esac
}

# Without its options, the command's usage names a file.
_byunique_takes_file() {
	# shellcheck disable=SC2086
	"$1" help $2 2>/dev/null | sed -n '3s/\[[^]]*\]//gp' | grep -q FILE
}

_byunique() {
	local program=$1 current=$2 previous=$3 commands words="" first="" argument i

	COMPREPLY=()
	# After -X, "=" is a word of its own; what follows it, only the user knows.
	[[ $current == = || $previous == = ]] && return
	commands=$(_byunique_help "$program" | sed -n 's/  .*//; /^[a-z][a-z-]*\( [a-z]*\)\?$/p')
	for ((i = 1; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		-c | --config | -X | --set) ((i++)) ;;
		= | -*) [[ ${COMP_WORDS[i]} == = ]] && ((i++)) ;;
		*)
			[[ -z $first ]] && first=${COMP_WORDS[i]}
			if grep -qx -- "${words:+$words }${COMP_WORDS[i]}\( .*\)\?" <<<"$commands"; then
				words+=${words:+ }${COMP_WORDS[i]}
			fi
			;;
		esac
	done
	case $previous in
	-c | --config) _byunique_value FILE "$current"; return ;;
	-X | --set)
		compopt -o nospace
		_byunique_reply -S = -W "$(_byunique_help "$program" config | sed -n 's/ = .*//; /^[a-z][a-z.]*$/p')" -- "$current"
		return
		;;
	--*)
		# shellcheck disable=SC2086
		argument=$(_byunique_help "$program" ${words:-run} | sed -n "s/^$previous \([^ ][^ ]*\)  .*/\1/p")
		if [[ -n $argument ]]; then
			_byunique_value "$argument" "$current"
			return
		fi
		;;
	esac
	if [[ $current == -* ]]; then
		# shellcheck disable=SC2086
		_byunique_reply -W "$(_byunique_help "$program" ${words:-run} | sed -n 's/^\(--[a-z-]*\) .*/\1/p')" -- "$current"
	elif [[ -z $words && $first == "" ]]; then
		_byunique_reply -W "$(cut -d ' ' -f 1 <<<"$commands" | sort -u)" -- "$current"
	elif [[ $words == help ]]; then
		_byunique_reply -W "config $(cut -d ' ' -f 1 <<<"$commands" | sort -u)" -- "$current"
	elif grep -q "^$words [a-z]" <<<"$commands"; then
		_byunique_reply -W "$(sed -n "s/^$words //p" <<<"$commands")" -- "$current"
	elif _byunique_takes_file "$program" "$words"; then
		_byunique_value FILE "$current"
	fi
}

complete -F _byunique byunique
