/** What each shell's script is written from: one row per command, nested ones by all their words. */
import { type CommandView, type OptionView, isPath } from '../command-tree.ts'

export interface Row {
  /** Words after `hostmesh`; empty = the program itself. */
  readonly path: readonly string[]
  readonly description: string
  readonly commands: readonly CommandView[]
  readonly options: readonly OptionView[]
  /** Values of its first argument that are known beforehand. */
  readonly choices: readonly string[]
  readonly takesFiles: boolean
}

export const shells = ['bash', 'zsh', 'fish'] as const
export type Shell = (typeof shells)[number]

/** Options of the program itself are good behind every command, and stand in every row. */
export function rowsOf(program: CommandView): Row[] {
  const rows: Row[] = []
  const visit = (command: CommandView, path: readonly string[]): void => {
    rows.push({
      path,
      description: command.description,
      commands: command.commands,
      options: path.length === 0 ? command.options : [...command.options, ...everywhere(program)],
      choices: command.arguments[0]?.choices ?? [],
      takesFiles: command.arguments.some((argument) => isPath(argument.name)),
    })
    for (const child of command.commands) visit(child, [...path, child.name])
  }
  visit(program, [])
  return rows
}

function everywhere(program: CommandView): OptionView[] {
  return program.options.filter((option) => option.long !== '--version')
}

export function takesPath(option: OptionView): boolean {
  return option.value !== undefined && option.choices.length === 0 && isPath(option.value)
}

/** For single quotes of any of the three shells. */
export function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`
}
