/** What the command prints: tables and colours on a terminal, plain lines in a pipe, one JSON value with `--json`. */
import { styleText } from 'node:util'
import Table from 'cli-table3'

type Style = 'bold' | 'dim' | 'red' | 'green' | 'yellow' | 'cyan'

export interface Output {
  readonly isJson: boolean
  readonly isTerminal: boolean
  line(text?: string): void
  problem(text: string): void
  json(value: unknown): void
  /** Columns are padded on a terminal and separated by tabs in a pipe, so that `cut` and `awk` work. */
  table(head: readonly string[], rows: readonly (readonly string[])[]): void
  style(style: Style, text: string): string
}

/** What the environment says about a terminal: `NO_COLOR` (no-color.org) and `TERM`. */
export interface TerminalWords {
  readonly NO_COLOR?: string | undefined
  readonly TERM?: string | undefined
}

export interface Sinks {
  readonly out: { write(text: string): unknown; isTTY?: boolean }
  readonly err: { write(text: string): unknown }
}

export function createOutput(isJson: boolean, sinks: Sinks, environment: TerminalWords = {}): Output {
  const isTerminal = sinks.out.isTTY === true && !isJson && environment.TERM !== 'dumb'
  const hasColours = isTerminal && (environment.NO_COLOR ?? '') === ''
  const style = (name: Style, text: string): string =>
    hasColours ? styleText(name, text, { validateStream: false }) : text
  return {
    isJson,
    isTerminal,
    style,
    line: (text = '') => void sinks.out.write(`${text}\n`),
    problem: (text) => void sinks.err.write(`${text}\n`),
    json: (value) => void sinks.out.write(`${JSON.stringify(value, undefined, 2)}\n`),
    table: (head, rows) => {
      if (!isTerminal) {
        for (const row of [head, ...rows]) sinks.out.write(`${row.join('\t')}\n`)
        return
      }
      const table = new Table({
        head: head.map((text) => style('bold', text)),
        style: { head: [], border: [], 'padding-left': 0, 'padding-right': 2 },
        chars: borderless,
      })
      for (const row of rows) table.push([...row])
      sinks.out.write(`${table.toString()}\n`)
    },
  }
}

const borderless = Object.fromEntries(
  [
    'top',
    'top-mid',
    'top-left',
    'top-right',
    'bottom',
    'bottom-mid',
    'bottom-left',
    'bottom-right',
    'left',
    'left-mid',
    'mid',
    'mid-mid',
    'right',
    'right-mid',
    'middle',
  ].map((name) => [name, '']),
)
