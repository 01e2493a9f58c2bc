/** Manual pages from the definitions of the command: `hostmesh.1`, and one page for each command. */
import type { CommandView, OptionView } from '../../cli/command-tree.ts'
import { exitCodeMeanings } from '../../cli/exit-codes.ts'

/** File name to its text. `date` is that of the release, `YYYY-MM-DD`. */
export function manPages(program: CommandView, version: string, date: string): Map<string, string> {
  const pages = new Map<string, string>()
  const visit = (command: CommandView, words: readonly string[]): void => {
    pages.set(`${words.join('-')}.1`, page(command, words, program, version, date))
    for (const child of command.commands) visit(child, [...words, child.name])
  }
  visit(program, [program.name])
  return pages
}

function page(
  command: CommandView,
  words: readonly string[],
  program: CommandView,
  version: string,
  date: string,
): string {
  const isProgram = command === program
  const lines = [
    `.TH ${quoted(words.join('-').toUpperCase())} 1 ${quoted(date)} ${quoted(`Hostmesh ${version}`)} "Hostmesh"`,
    '.SH NAME',
    `${escaped(words.join('-'))} \\- ${escaped(command.description)}`,
    '.SH SYNOPSIS',
    `.B ${escaped(words.join(' '))}`,
    escaped(synopsis(command)),
  ]
  if (command.commands.length > 0)
    lines.push(
      '.SH COMMANDS',
      ...command.commands.flatMap((child) => [
        '.TP',
        `.B ${escaped(child.name)}`,
        `${escaped(child.description)} (see ${escaped([...words, child.name].join('-'))}(1))`,
      ]),
    )
  if (command.arguments.length > 0)
    lines.push(
      '.SH ARGUMENTS',
      ...command.arguments.flatMap(({ name, description, choices }) => [
        '.TP',
        `.I ${escaped(name)}`,
        escaped(description + among(choices)),
      ]),
    )
  const options = isProgram ? command.options : [...command.options, ...program.options.filter(isEverywhere)]
  lines.push('.SH OPTIONS', ...options.flatMap(optionLines))
  const variables = command.options.filter((option) => option.variable !== undefined)
  if (variables.length > 0)
    lines.push(
      '.SH ENVIRONMENT',
      ...variables.flatMap(({ variable, long }) => ['.TP', `.B ${escaped(variable!)}`, escaped(`default of ${long}`)]),
    )
  if (command.examples.length > 0)
    lines.push('.SH EXAMPLES', '.nf', ...command.examples.map((line) => escaped(line)), '.fi')
  lines.push(
    '.SH EXIT STATUS',
    ...Object.entries(exitCodeMeanings).flatMap(([code, text]) => ['.TP', `.B ${code}`, text]),
  )
  if (isProgram) lines.push('.SH FILES', ...files)
  else lines.push('.SH SEE ALSO', `.BR ${escaped(program.name)} (1)`)
  return `${lines.join('\n')}\n`
}

const files = [
  '.TP',
  '.I /etc/hostmesh/agent.yaml',
  'configuration of the agent of this host',
  '.TP',
  '.I /etc/hostmesh/center.yaml',
  'configuration of a global mesh center',
]

function isEverywhere({ long }: OptionView): boolean {
  return long !== '--version'
}

function synopsis(command: CommandView): string {
  const names = command.arguments.map(({ name, isRequired, isRepeated }) => {
    const dots = isRepeated ? '...' : ''
    return isRequired ? `<${name}${dots}>` : `[${name}${dots}]`
  })
  const first = command.commands.length > 0 ? '<command>' : ''
  return [first, ...names, command.options.length > 0 ? '[options]' : ''].filter((word) => word !== '').join(' ')
}

function optionLines({ short, long, value, description, choices, fallback }: OptionView): string[] {
  const flags = [short, long].filter((flag) => flag !== undefined).join(', ')
  const rest = fallback === undefined ? '' : ` (default: ${fallback})`
  return [
    '.TP',
    `.B ${escaped([flags, value].filter((word) => word !== undefined).join(' '))}`,
    escaped(description + among(choices) + rest),
  ]
}

function among(choices: readonly string[]): string {
  return choices.length === 0 ? '' : ` (one of: ${choices.join(', ')})`
}

/** roff reads a backslash anywhere, and a dot or a quote at the start of a line, as its own. */
function escaped(text: string): string {
  return text
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replace(/^([.'])/, '\\&$1')
}

function quoted(text: string): string {
  return `"${text.replaceAll('"', '\\(dq')}"`
}
