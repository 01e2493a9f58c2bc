/**
 * What the command prints: tables and colours on a terminal, plain lines in a pipe, one JSON value with `--json`. Words
 * of others control no terminal, whatever they are.
 */
import { styleText } from 'node:util'
import Table from 'cli-table3'
import { shownJson, shownText } from './terminal/shown-text.ts'

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
  const print = (text: string): void => void sinks.out.write(`${isJson ? shownJson(text) : shownText(text)}\n`)
  return {
    isJson,
    isTerminal,
    style,
    line: (text = '') => print(text),
    problem: (text) => void sinks.err.write(`${shownText(text)}\n`),
    json: (value) => print(JSON.stringify(value, undefined, 2)),
    table: (head, rows) => {
      if (!isTerminal) {
        for (const row of [head, ...rows]) print(row.join('\t'))
        return
      }
      const table = new Table({
        head: head.map((text) => style('bold', text)),
        style: { head: [], border: [], 'padding-left': 0, 'padding-right': 2 },
        chars: borderless,
      })
      for (const row of rows) table.push(row.map(shownText))
      print(table.toString())
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
