/**
 * The whole terminal for a while: its other screen, without a cursor, keys one by one. Whatever ends the process, the
 * terminal is as it was.
 */
import type { ReadStream, WriteStream } from 'node:tty'
import { shownText } from './shown-text.ts'

export interface Screen {
  readonly columns: number
  readonly rows: number
}

const enter = '\u001b[?1049h\u001b[?25l'
const leave = '\u001b[?25h\u001b[?1049l'
const home = '\u001b[H'
const clearLine = '\u001b[K'
const clearBelow = '\u001b[J'

export class FullScreen {
  private readonly input: ReadStream
  private readonly output: WriteStream
  private isOpen = true
  private readonly onExit = (): void => this.close()
  private readonly onData: (data: Buffer) => void
  private readonly onResize: () => void

  /** @param onKey one character; Ctrl-C arrives as `\u0003`. @param onResize the terminal has another size now. */
  constructor(input: ReadStream, output: WriteStream, onKey: (key: string) => void, onResize: () => void = () => {}) {
    this.input = input
    this.output = output
    this.onResize = onResize
    this.onData = (data) => {
      for (const key of data.toString('latin1')) onKey(key)
    }
    output.write(enter)
    input.setRawMode(true)
    input.on('data', this.onData).resume()
    output.on('resize', this.onResize)
    process.on('exit', this.onExit)
  }

  get size(): Screen {
    return { columns: this.output.columns, rows: this.output.rows }
  }

  show(lines: readonly string[]): void {
    if (!this.isOpen) return
    this.output.write(home + lines.map((line) => shownText(line) + clearLine).join('\n') + clearBelow)
  }

  close(): void {
    if (!this.isOpen) return
    this.isOpen = false
    process.off('exit', this.onExit)
    this.output.off('resize', this.onResize)
    this.input.off('data', this.onData).pause()
    this.input.setRawMode(false)
    this.output.write(leave)
  }
}
