# SPDX-License-Identifier: Apache-2.0
# The completion for bash offers commands, the options of a command, and the choices of an option.
adesieve --help-bash >completion
# shellcheck disable=SC1091
source ./completion
complete_line() {
    COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMPREPLY=()
    _adesieve
    echo "${COMPREPLY[*]}"
}
complete_line adesieve c
complete_line adesieve classify --for
complete_line adesieve classify --format ''
complete_line adesieve info --format ''
complete_line adesieve screen --thr
complete_line adesieve e
complete_line adesieve evaluate --format ''
complete_line adesieve evaluate --se
complete_line adesieve calibrate --method ''
complete_line adesieve b
complete_line adesieve bench --precision ''
complete_line adesieve bench --se
