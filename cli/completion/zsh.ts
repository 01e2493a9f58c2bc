/** Completion for zsh, in the form that lies in a directory of `$fpath` as `_hostmesh`. */
import { type CommandView, type OptionView, isPath } from '../command-tree.ts'
import { type Row, quoted, rowsOf, takesPath } from './words.ts'

export function zshCompletion(program: CommandView): string {
  const rows = rowsOf(program)
  return `#compdef ${program.name}
# zsh completion for ${program.name}
${rows.map((row) => functionOf(program, row)).join('\n')}
_${program.name} "$@"
`
}

function functionName(program: CommandView, path: readonly string[]): string {
  return ['', program.name, ...path].join('_').replaceAll('-', '_')
}

function functionOf(program: CommandView, row: Row): string {
  const options = row.options.map(specification)
  if (row.commands.length === 0) {
    const rest = restOf(row)
    return `${functionName(program, row.path)}() {
  _arguments ${[...options, ...rest].join(' ')}
}`
  }
  const names = row.commands.map((child) => quoted(`${child.name}:${child.description.replaceAll(':', '\\:')}`))
  const cases = row.commands.map(
    (child) => `        ${child.name}) ${functionName(program, [...row.path, child.name])} ;;`,
  )
  return `${functionName(program, row.path)}() {
  local state
  _arguments -C ${options.join(' ')} '1: :->command' '*:: :->rest'
  case $state in
    command)
      local -a commands=(${names.join(' ')})
      _describe command commands ;;
    rest)
      case $words[1] in
${cases.join('\n')}
      esac ;;
  esac
}`
}

function restOf(row: Row): string[] {
  if (row.choices.length > 0) return [quoted(`1:value:(${row.choices.join(' ')})`)]
  return row.takesFiles ? [quoted('*:file:_files')] : []
}

function specification(option: OptionView): string {
  const description = option.description.replaceAll(/[[\]:]/g, (sign) => `\\${sign}`)
  const value = valueOf(option)
  const flags = [option.short, option.long].filter((word) => word !== undefined)
  const alone = flags.length > 1 ? `'(${flags.join(' ')})'{${flags.join(',')}}` : ''
  return alone === '' ? quoted(`${flags[0]}[${description}]${value}`) : `${alone}${quoted(`[${description}]${value}`)}`
}

function valueOf(option: OptionView): string {
  if (option.value === undefined) return ''
  const name = option.value.replaceAll(/[<>[\].]/g, '')
  if (option.choices.length > 0) return `:${name}:(${option.choices.join(' ')})`
  return takesPath(option) || isPath(name) ? `:${name}:_files` : `:${name}: `
}
