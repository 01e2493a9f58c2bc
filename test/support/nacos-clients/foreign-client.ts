/** The test's half of protocol.md: starts a foreign client, sends requests, waits for events. */
import type { ChildProcess } from 'node:child_process'
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'

/** How to start a client; `undefined` where a prerequisite is missing, with the reason. */
export type Launch =
  | { readonly command: string; readonly args: readonly string[]; readonly env: Readonly<Record<string, string>> }
  | { readonly missing: string }

interface Waiter {
  readonly matches: (fields: readonly string[]) => boolean
  readonly resolve: () => void
}

export class ForeignClient {
  private readonly child: ChildProcess
  private readonly answers = new Map<string, { resolve: (value: string) => void; reject: (error: Error) => void }>()
  private readonly events: string[][] = []
  private readonly lines: string[] = []
  private readonly exited: Promise<void>
  private waiters: Waiter[] = []
  private nextId = 0

  /** `more`: user and password, or whatever else the program takes. */
  constructor(launch: Exclude<Launch, { missing: string }>, server: string, ...more: string[]) {
    this.child = spawn(launch.command, [...launch.args, server, ...(more.length === 0 ? ['', ''] : more)], {
      env: { ...process.env, ...launch.env },
      stdio: ['pipe', 'pipe', 'pipe'],
    })
    this.exited = new Promise((resolve) => this.child.once('close', () => resolve()))
    this.child.once('close', (code, signal) => {
      for (const { reject } of this.answers.values())
        reject(new Error(`client ended (${code ?? signal})\n${this.log()}`))
      this.answers.clear()
    })
    createInterface({ input: this.child.stdout! }).on('line', (line) => this.line(line))
    createInterface({ input: this.child.stderr! }).on('line', (line) => this.keep(line))
  }

  /** Sends a request; rejects with the client's own message. */
  ask(operation: string, ...fields: (string | number)[]): Promise<string> {
    const id = String(++this.nextId)
    return new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => settle(() => reject(new Error(`${operation}: no answer in 90 s\n${this.log()}`))),
        90_000,
      )
      const settle = (act: () => void): void => {
        clearTimeout(timer)
        this.answers.delete(id)
        act()
      }
      this.answers.set(id, {
        resolve: (value) => settle(() => resolve(value)),
        reject: (error) => settle(() => reject(error)),
      })
      this.child.stdin!.write(`${[id, operation, ...fields].join('\t')}\n`)
    })
  }

  /** Resolves when an event with these fields has come, also when it came before. */
  /** Rejects after `timeoutMs` with what was heard instead. */
  event(...fields: string[]): Promise<void> {
    return this.eventWithin(60_000, ...fields)
  }

  eventWithin(timeoutMs: number, ...fields: string[]): Promise<void> {
    const matches = (event: readonly string[]): boolean => fields.every((field, index) => event[index] === field)
    if (this.events.some(matches)) return Promise.resolve()
    return new Promise((resolve, reject) => {
      const waiter: Waiter = {
        matches,
        resolve: () => {
          clearTimeout(timer)
          resolve()
        },
      }
      const timer = setTimeout(() => {
        this.waiters = this.waiters.filter((other) => other !== waiter)
        reject(new Error(`no event ${fields.join(' ')}\nheard: ${JSON.stringify(this.events)}\n${this.log()}`))
      }, timeoutMs)
      this.waiters.push(waiter)
    })
  }

  /** Forgets the events so far. */
  forget(): void {
    this.events.length = 0
  }

  /** Ends the client as an application ends. */
  async close(): Promise<void> {
    this.child.stdin!.end()
    const timer = setTimeout(() => this.child.kill('SIGKILL'), 5_000)
    await this.exited
    clearTimeout(timer)
  }

  /** Kills it with nothing said. */
  async kill(): Promise<void> {
    this.child.kill('SIGKILL')
    await this.exited
  }

  log(): string {
    return this.lines.slice(-30).join('\n')
  }

  private keep(line: string): void {
    this.lines.push(line)
    if (this.lines.length > 500) this.lines.shift()
  }

  private line(line: string): void {
    const [kind, ...fields] = line.split('\t')
    const [id = '', value = ''] = fields
    if (kind === '=') this.answers.get(id)?.resolve(value)
    else if (kind === '!') this.answers.get(id)?.reject(new Error(`${value}\n${this.log()}`))
    else if (kind === '@') {
      this.events.push(fields)
      const ready = this.waiters.filter((waiter) => waiter.matches(fields))
      this.waiters = this.waiters.filter((waiter) => !ready.includes(waiter))
      for (const waiter of ready) waiter.resolve()
    } else this.keep(line)
  }
}
