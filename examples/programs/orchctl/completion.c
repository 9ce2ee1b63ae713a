/* Scripts by which a shell completes commands, options and ids. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "orchctl.h"

#define COMMANDS                                                                                          \
    "apply workflows delete run start list show steps history watch cancel terminate pause resume retry " \
    "signal engines events graph completion"
#define OPTIONS                                                                               \
    "--server --output --timeout --version --id --input --key --priority --state --workflow " \
    "--limit --all --force --format --why --update --severity --help"

static const char bash[] =
    "_orchctl() {\n"
    "  local cur=${COMP_WORDS[COMP_CWORD]} cmd=${COMP_WORDS[1]}\n"
    "  if [ \"$COMP_CWORD\" -eq 1 ]; then COMPREPLY=($(compgen -W \"" COMMANDS
    "\" -- \"$cur\")); return; fi\n"
    "  case $cur in -*) COMPREPLY=($(compgen -W \"" OPTIONS "\" -- \"$cur\")); return;; esac\n"
    "  case $cmd in\n"
    "    run|start|graph|delete) COMPREPLY=($(compgen -W \"$(orchctl workflows 2>/dev/null | cut -d' ' -f1)\" -- \"$cur\"));;\n"
    "    show|steps|history|watch|cancel|terminate|pause|resume|retry|signal)\n"
    "      COMPREPLY=($(compgen -W \"$(orchctl list --limit 50 2>/dev/null | cut -d' ' -f1)\" -- \"$cur\"));;\n"
    "    apply) COMPREPLY=($(compgen -f -- \"$cur\"));;\n"
    "    completion) COMPREPLY=($(compgen -W \"bash zsh fish\" -- \"$cur\"));;\n"
    "  esac\n"
    "}\n"
    "complete -F _orchctl orchctl\n";

static const char fish[] =
    "complete -c orchctl -f -n __fish_use_subcommand -a '" COMMANDS "'\n"
    "complete -c orchctl -f -n '__fish_seen_subcommand_from run start graph delete' -a '(orchctl workflows 2>/dev/null | cut -d\" \" -f1)'\n"
    "complete -c orchctl -f -n '__fish_seen_subcommand_from show steps history watch cancel terminate pause resume retry signal' "
    "-a '(orchctl list --limit 50 2>/dev/null | cut -d\" \" -f1)'\n";

int show_completion(ctl *c)
{
    const char *shell = c->args[0];

    if (!strcmp(shell, "bash"))
        fputs(bash, stdout);
    else if (!strcmp(shell, "zsh"))
        printf("autoload -U +X bashcompinit && bashcompinit\n%s", bash);
    else if (!strcmp(shell, "fish"))
        fputs(fish, stdout);
    else
        program_misuse(&c->program, "completion takes bash, zsh or fish");
    return EXIT_SUCCESS;
}
