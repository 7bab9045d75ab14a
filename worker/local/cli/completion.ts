import type { Command } from "./command.ts";

/* Completion of `xenner` in shells: scripts that know the commands and their options, and leave files to the shell. */

export const SHELLS = ["bash", "zsh", "fish"] as const;
export type Shell = (typeof SHELLS)[number];

/** The script for a shell; `commands` are all there are. */
export function completionFor(shell: Shell, commands: readonly Command[]): string {
  switch (shell) {
    case "bash":
      return bash(commands);
    case "zsh":
      return `#compdef xenner\nautoload -U +X bashcompinit && bashcompinit\n${bash(commands)}`;
    case "fish":
      return fish(commands);
  }
}

const optionsOf = ({ options }: Command): string => options.map((name) => `--${name}`).join(" ");

function bash(commands: readonly Command[]): string {
  const cases = commands.map(
    (command) =>
      `    ${command.name}) words=${quoted([optionsOf(command), ...(command.words ?? [])].join(" "))} ;;`,
  );
  return `# Completion of xenner for bash: source <(xenner completion bash)
_xenner() {
  local current=\${COMP_WORDS[COMP_CWORD]} words
  COMPREPLY=()
  if [ "$COMP_CWORD" -eq 1 ]; then
    words=${quoted(`${commands.map(({ name }) => name).join(" ")} --help --version`)}
  else
    case \${COMP_WORDS[1]} in
${cases.join("\n")}
    *) return ;;
    esac
  fi
  while IFS= read -r word; do COMPREPLY+=("$word"); done < <(compgen -W "$words" -- "$current")
}
complete -o default -F _xenner xenner
`;
}

function fish(commands: readonly Command[]): string {
  const lines = ["# Completion of xenner for fish: xenner completion fish | source"];
  for (const { name, summary, options, words = [] } of commands) {
    lines.push(`complete -c xenner -n __fish_use_subcommand -f -a ${name} -d ${quoted(summary)}`);
    const here = `-n '__fish_seen_subcommand_from ${name}'`;
    for (const option of options) lines.push(`complete -c xenner ${here} -l ${option}`);
    if (words.length > 0) lines.push(`complete -c xenner ${here} -a ${quoted(words.join(" "))}`);
  }
  return `${lines.join("\n")}\n`;
}

/** A word that no shell takes apart; none of ours has a quote in it. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", "")}'`;
}
