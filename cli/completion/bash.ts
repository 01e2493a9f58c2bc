/** Completion for bash 4 and later; needs nothing but bash. */
import type { CommandView } from '../command-tree.ts'
import { type Row, quoted, rowsOf, takesPath } from './words.ts'

export function bashCompletion(program: CommandView): string {
  const rows = rowsOf(program)
  const nested = rows.filter((row) => row.path.length > 0).map((row) => quoted(row.path.join(' ')))
  return `# bash completion for ${program.name}
_${program.name}() {
  local word=\${COMP_WORDS[COMP_CWORD]} before=\${COMP_WORDS[COMP_CWORD-1]} path='' next i
  for ((i = 1; i < COMP_CWORD; i++)); do
    next="\${path:+$path }\${COMP_WORDS[i]}"
    case "$next" in
      ${nested.join('|')}) path=$next ;;
    esac
  done
  case "$path $before" in
${rows.flatMap(valueCases).join('\n')}
  esac
  case "$path" in
${rows.map(rowCase).join('\n')}
  esac
}
complete -F _${program.name} ${program.name}
`
}

function valueCases(row: Row): string[] {
  return row.options
    .filter((option) => option.value !== undefined)
    .map((option) => {
      const words = [option.short, option.long].filter((word) => word !== undefined)
      const patterns = words.map((word) => quoted(`${row.path.join(' ')} ${word}`)).join('|')
      return `    ${patterns}) ${replies(option.choices, takesPath(option))}; return ;;`
    })
}

function rowCase(row: Row): string {
  const words = [...row.commands.map((child) => child.name), ...row.choices]
  const flags = row.options.map((option) => option.long)
  const others = `[[ $word != -* ]] && ${replies(words, row.takesFiles)}`
  return `    ${quoted(row.path.join(' '))}) if [[ $word == -* ]]; then ${replies(flags, false)}; else ${others}; fi ;;`
}

function replies(words: readonly string[], withFiles: boolean): string {
  const what = [withFiles ? '-f' : '', words.length > 0 ? `-W ${quoted(words.join(' '))}` : ''].filter((part) => part)
  return what.length === 0 ? 'COMPREPLY=()' : `mapfile -t COMPREPLY < <(compgen ${what.join(' ')} -- "$word")`
}
