# SPDX-License-Identifier: Apache-2.0
# Every option that --help shows is used, with its command, by at least one of these tests.
tests=$(dirname "$DATA")/cli
for command in screen classify evaluate calibrate tokenize export info bench; do
    adesieve "$command" --help | sed -n 's/^ \{2,6\}\(-., \)\{0,1\}\(--[a-z0-9-]*\).*/\2/p' >options
    test -s options
    while read -r option; do
        [[ $option == --help || $option == --version ]] && continue # help.sh has them for each command
        grep -Eqs -- "(adesieve|run|try) (.* )?$command .*$option\b" "$tests"/*.sh ||
            echo "no test has: adesieve $command $option"
    done <options
done
