/** A host joins a center by the real command. */
import { spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import type { DemoHost } from '../mesh/mesh.ts'

const main = join(import.meta.dirname, '../../../cli/main.ts')

export interface Ran {
  readonly code: number | null
  readonly out: string
  readonly err: string
}

export async function hostmesh(...words: string[]): Promise<Ran> {
  const child = spawn(process.execPath, [main, ...words], { stdio: ['ignore', 'pipe', 'pipe'] })
  const ended = new Promise<number | null>((resolve) => child.once('exit', resolve))
  const [out, err, code] = await Promise.all([text(child.stdout), text(child.stderr), ended])
  return { code, out, err }
}

let files = 0

/** Answers the file with the token, in the folder of the center. Rejects with what the command says. */
export async function makeToken(center: DemoHost, host: string, ...words: string[]): Promise<string> {
  const ran = await hostmesh('ca', 'token', '-c', center.configPath, '--host', host, ...words)
  if (ran.code !== 0) throw new Error(ran.err)
  const file = join(center.options.directory, `token-${++files}`)
  writeFileSync(file, ran.out, { mode: 0o600 })
  return file
}

/** Rejects with what the command says. */
export async function joinHost(host: DemoHost, tokenFile: string): Promise<void> {
  const ran = await hostmesh('join', '-c', host.configPath, '--token-file', tokenFile)
  if (ran.code !== 0) throw new Error(ran.err)
}
