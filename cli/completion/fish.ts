/** Completion for fish. */
import type { CommandView } from '../command-tree.ts'
import { type Row, quoted, rowsOf, takesPath } from './words.ts'

export function fishCompletion(program: CommandView): string {
  const rows = rowsOf(program)
  return `# fish completion for ${program.name}
complete -c ${program.name} -f
${rows.flatMap((row) => linesOf(program, row)).join('\n')}
`
}

function linesOf(program: CommandView, row: Row): string[] {
  const here = condition(row)
  const begin = `complete -c ${program.name} -n ${quoted(here)}`
  const commands = row.commands.map((child) => `${begin} -a ${child.name} -d ${quoted(child.description)}`)
  const choices = row.choices.length > 0 ? [`${begin} -a ${quoted(row.choices.join(' '))}`] : []
  const files = row.takesFiles ? [`${begin} -F`] : []
  const options = row.options.map((option) => {
    const flags = `${option.short === undefined ? '' : `-s ${option.short.slice(1)} `}-l ${option.long.slice(2)}`
    const among = option.choices.length > 0 ? ` -x -a ${quoted(option.choices.join(' '))}` : ''
    const value = option.value === undefined ? '' : takesPath(option) ? ' -r -F' : among || ' -x'
    return `${begin} ${flags}${value} -d ${quoted(option.description)}`
  })
  return [...commands, ...choices, ...files, ...options]
}

/** True where the words of this row were typed, and none of a row below it. */
function condition(row: Row): string {
  if (row.path.length === 0) return '__fish_use_subcommand'
  const seen = row.path.map((word) => `__fish_seen_subcommand_from ${word}`)
  const below = row.commands.map((child) => child.name)
  return [...seen, ...(below.length > 0 ? [`not __fish_seen_subcommand_from ${below.join(' ')}`] : [])].join('; and ')
}
