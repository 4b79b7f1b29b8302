import { z } from 'zod';
import { readCommandLine } from '#main/config/command-options.ts';
import { AppError } from '#shared/protocol/errors.ts';

export const shells = ['bash', 'zsh', 'fish', 'powershell'] as const;
type Shell = (typeof shells)[number];

const usage = `Usage: zimage completion ${shells.join('|')}

Prints the completions for a shell. To switch them on:
  bash        source <(zimage completion bash)           in ~/.bashrc
  zsh         source <(zimage completion zsh)            in ~/.zshrc, after compinit
  fish        zimage completion fish | source            in ~/.config/fish/config.fish
  powershell  zimage completion powershell | Out-String | Invoke-Expression   in $PROFILE`;
export const optionsSchema = z.object({});

/** A command as the completions offer it. */
export interface CompletedCommand {
  name: string;
  summary: string;
  /** With their dashes. */
  options: string[];
  /** Its fixed words. */
  words: readonly string[];
}

/** @param runOptions Of a prompt without a command. */
export function completion(argv: readonly string[], commands: readonly CompletedCommand[], runOptions: readonly string[]): void {
  const { words } = readCommandLine(optionsSchema, usage, argv);
  const shell = shells.find((name) => name === words[0]);
  if (shell === undefined || words.length > 1) throw new AppError('bad_option', usage, { option: words.join(' ') });
  process.stdout.write(scripts[shell](commands, runOptions));
}

const choicesOf = ({ words, options }: CompletedCommand): string => [...words, ...options].join(' ');
const quoted = (text: string): string => `'${text.replaceAll("'", "''")}'`;

const scripts: Record<Shell, (commands: readonly CompletedCommand[], runOptions: readonly string[]) => string> = {
  bash: (commands, runOptions) => `_zimage() {
  local choices word=\${COMP_WORDS[COMP_CWORD]}
  case \${COMP_CWORD}:\${COMP_WORDS[1]} in
    1:*) choices='${[...commands.map(({ name }) => name), ...runOptions].join(' ')}' ;;
${commands.map((command) => `    *:${command.name}) choices='${choicesOf(command)}' ;;\n`).join('')}    *) choices='${runOptions.join(' ')}' ;;
  esac
  COMPREPLY=($(compgen -W "$choices" -- "$word"))
}
complete -o default -F _zimage zimage
`,
  zsh: (commands, runOptions) => `#compdef zimage
_zimage() {
  local -a commands=(${commands.map(({ name, summary }) => quoted(`${name}:${summary}`)).join(' ')})
  if (( CURRENT == 2 )); then
    _describe command commands
    compadd -- ${runOptions.join(' ')}
    return
  fi
  case $words[2] in
${commands.map((command) => `    ${command.name}) compadd -- ${choicesOf(command)} ;;\n`).join('')}    *) compadd -- ${runOptions.join(' ')} ;;
  esac
  _files
}
compdef _zimage zimage
`,
  fish: (commands, runOptions) =>
    [
      ...commands.map(({ name, summary }) => `complete -c zimage -n __fish_use_subcommand -a ${name} -d '${summary.replaceAll("'", "\\'")}'`),
      ...runOptions.map((option) => `complete -c zimage -n __fish_use_subcommand ${fishOption(option)}`),
      ...commands.flatMap(({ name, options, words }) => [
        ...(words.length === 0 ? [] : [`complete -c zimage -n '__fish_seen_subcommand_from ${name}' -f -a '${words.join(' ')}'`]),
        ...options.map((option) => `complete -c zimage -n '__fish_seen_subcommand_from ${name}' ${fishOption(option)}`),
      ]),
      '',
    ].join('\n'),
  powershell: (commands, runOptions) => `Register-ArgumentCompleter -Native -CommandName zimage -ScriptBlock {
  param($word, $line, $position)
  $choices = @{
${commands.map((command) => `    ${command.name} = ${quoted(choicesOf(command))}\n`).join('')}  }
  $typed = @($line.CommandElements | ForEach-Object { $_.ToString() })
  $found = if ($typed.Count -gt 1) { $choices[$typed[1]] }
  if ($typed.Count -le 2 -and $found -eq $null) { $found = (@($choices.Keys) + ${quoted(runOptions.join(' '))}) -join ' ' }
  "$found".Split(' ') | Where-Object { $_ -like "$word*" } | ForEach-Object { [System.Management.Automation.CompletionResult]::new($_) }
}
`,
};

function fishOption(option: string): string {
  return option.startsWith('--') ? `-l ${option.slice(2)}` : `-s ${option.slice(1)}`;
}
