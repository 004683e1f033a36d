# Completion of byunique's command line for fish. It asks the program itself (byunique help …), so that it can't be out of
# date. Installed as share/fish/vendor_completions.d/byunique.fish.

# The help's lines that begin with two blanks, without these.
function __byunique_help
    command byunique help $argv 2>/dev/null | string replace --filter --regex '^  (\S)' '$1'
end

function __byunique_commands
    __byunique_help | string replace --regex '  .*' '' | string match --regex '^[a-z][a-z-]*(?: [a-z]*)?$'
end

# The words of the command line so far that are a command's name.
function __byunique_found
    set -l commands (__byunique_commands)
    set -l found
    set -l skip 0
    for word in (commandline --tokenize --cut-at-cursor --current-process)[2..]
        if test $skip = 1
            set skip 0
        else if contains -- $word -c --config -X --set
            set skip 1
        else if not string match --quiet -- '-*' $word
            set -l name (string join ' ' $found $word)
            string match --quiet --regex "^$name( .*)?\$" $commands
            and set --append found $word
        end
    end
    string join \n $found
end

# What an option's argument may be, by its name in the help.
function __byunique_value
    switch $argv[1]
        case '*FILE*' DIR
            __fish_complete_path (commandline --current-token)
        case PLACE
            printf '%s\n' beginning end offset: time:
        case '*|*'
            string split '|' $argv[1] | string match --regex '^[a-z].*'
    end
end

function __byunique_complete
    set -l current (commandline --current-token)
    set -l previous (commandline --tokenize --cut-at-cursor --current-process)[-1]
    set -l found (__byunique_found)
    set -l options (__byunique_help (test -n "$found"; and printf '%s\n' $found; or echo run) | string match -- '--*')
    switch $previous
        case -c --config
            __byunique_value FILE
            return
        case -X --set
            __byunique_help config | string replace --regex ' = .*' '' | string match --regex '^[a-z][a-z.]*$' | string replace --regex '$' '='
            return
        case '--*'
            set -l argument (string replace --filter --regex -- "^$previous (\S+)  .*" '$1' $options)
            if test -n "$argument"
                __byunique_value $argument
                return
            end
    end
    if string match --quiet -- '-*' $current
        string replace --regex -- '^(--\S+)( \S+)?  +(.*)' '$1\t$3' $options
    else if test -z "$found"
        __byunique_commands | string replace --regex ' .*' '' | sort -u
    else if test "$found" = help
        echo config
        __byunique_commands | string replace --regex ' .*' '' | sort -u
    else if string match --quiet --regex "^$found " (__byunique_commands)
        __byunique_commands | string replace --filter --regex "^$found " ''
    else if command byunique help $found 2>/dev/null | string replace --all --regex '\[[^]]*\]' '' | string match --quiet --regex '^Usage: .*FILE'
        __byunique_value FILE
    end
end

complete --command byunique --no-files --arguments '(__byunique_complete)'
