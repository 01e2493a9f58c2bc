/**
 * What the command can do, as plain data: completions and manual pages are written from it, so that they never differ
 * from `--help`.
 */
import type { Argument, Command, Option } from 'commander'

export interface OptionView {
  /** `-c`; absent when there is none. */
  readonly short?: string
  /** `--config`. */
  readonly long: string
  /** `<file>`, as in the help; absent = a switch. */
  readonly value?: string
  readonly description: string
  /** Allowed values; empty = any. */
  readonly choices: readonly string[]
  /** As the help shows it; absent = none. */
  readonly fallback?: string
  /** Environment variable that replaces the default. */
  readonly variable?: string
}

export interface ArgumentView {
  readonly name: string
  readonly description: string
  readonly isRequired: boolean
  readonly isRepeated: boolean
  readonly choices: readonly string[]
}

export interface CommandView {
  readonly name: string
  readonly description: string
  readonly options: readonly OptionView[]
  readonly arguments: readonly ArgumentView[]
  readonly commands: readonly CommandView[]
  readonly examples: readonly string[]
}

/** Hidden options and commander's own `help` are left out. */
export function commandTree(command: Command): CommandView {
  return {
    name: command.name(),
    description: command.description(),
    options: command.options.filter((option) => !option.hidden && option.long !== undefined).map(optionView),
    arguments: command.registeredArguments.map(argumentView),
    commands: command.commands.map(commandTree),
    examples: examplesOf(command),
  }
}

function optionView(option: Option): OptionView {
  const value = /[<[][^>\]]+[>\]]/.exec(option.flags)?.[0]
  const fallback: unknown = option.defaultValueDescription ?? option.defaultValue
  return {
    long: option.long!,
    description: option.description,
    choices: option.argChoices ?? [],
    ...(option.short !== undefined && { short: option.short }),
    ...(value !== undefined && { value }),
    ...((typeof fallback === 'string' || typeof fallback === 'number') && { fallback: String(fallback) }),
    ...(option.envVar !== undefined && { variable: option.envVar }),
  }
}

function argumentView(argument: Argument): ArgumentView {
  return {
    name: argument.name(),
    description: argument.description,
    isRequired: argument.required,
    isRepeated: argument.variadic,
    choices: argument.argChoices ?? [],
  }
}

/** The lines under `Examples:` in the help, which commander keeps as text to be printed, not as data. */
function examplesOf(command: Command): string[] {
  let help = ''
  const own = command.configureOutput()
  const { writeOut } = own
  command.configureOutput({ ...own, writeOut: (text) => (help += text) })
  command.outputHelp()
  command.configureOutput({ ...own, ...(writeOut !== undefined && { writeOut }) })
  const lines = help.split('\n')
  const from = lines.indexOf('Examples:')
  if (from < 0) return []
  const rest = lines.slice(from + 1)
  const end = rest.indexOf('')
  return (end < 0 ? rest : rest.slice(0, end)).map((line) => line.trim())
}

/** Whether a value is the path of a file or directory, by the word that the help uses for it. */
export function isPath(word: string): boolean {
  return /file|path|directory/.test(word)
}
