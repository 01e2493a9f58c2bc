/**
 * `hostmesh support-bundle`: one file for whoever helps, with what the host knows of itself and without its secrets.
 */
import { closeSync, fsyncSync, linkSync, openSync, rmSync, writeSync } from 'node:fs'
import { resolve } from 'node:path'
import { systemReason } from '../../agent/control/config/yaml-file.ts'
import { MeshError } from '../../contracts/errors.ts'
import type { AdminClient } from '../admin-client.ts'
import { agentUser, lookAt } from '../doctor/examination.ts'
import { gatherFacts } from '../doctor/facts.ts'
import { type ExitCode, exitCodes } from '../exit-codes.ts'
import type { Output } from '../output.ts'
import { bundleOf } from '../support/bundle.ts'
import { contents } from '../support/contents.ts'
import { secretsOf } from '../support/redact.ts'

export interface BundleCall {
  readonly config: string
  /** Undefined = a name of its own in the working directory. */
  readonly file: string | undefined
  /** Says what would be in it and writes nothing. */
  readonly isListOnly: boolean
}

/** `admin` throws when the agent's socket cannot be believed: the bundle is made without its pages then. */
export async function supportBundle(
  output: Output,
  admin: () => Promise<AdminClient>,
  call: BundleCall,
): Promise<ExitCode> {
  if (call.isListOnly) {
    const rows = [...contents, { name: 'doctor.json', holds: 'what `hostmesh doctor --json` says' }]
    if (output.isJson) output.json(rows.map(({ holds, name }) => ({ name, holds })))
    else
      output.table(
        ['name', 'holds'],
        rows.map(({ holds, name }) => [name, holds]),
      )
    return exitCodes.ok
  }
  const wall = Date.now()
  const facts = await gatherFacts(call.config, admin)
  const [findings, ...pieces] = await Promise.all([
    lookAt(facts, undefined, '/', agentUser(facts), Date.now),
    ...contents.map(async (line) => line.collect(facts)),
  ])
  const examined = { name: 'doctor.json', text: JSON.stringify(findings, undefined, 2), keeps: 'head' } as const
  // with a name of 128 characters no tar could hold what lies below
  const host = facts.config?.host.name.slice(0, 64) ?? 'host'
  const folder = `hostmesh-support-${host}-${new Date(wall).toISOString().slice(0, 19).replace(/[-:]/g, '')}`
  const secrets = facts.config === undefined ? [] : secretsOf(facts.config)
  const { file, rows } = bundleOf([examined, ...pieces.flat()], secrets, folder, wall)
  const path = resolve(call.file ?? `${folder}.tar.gz`)
  writePrivately(path, file)
  const lacking = rows.filter(({ problem }) => problem !== undefined)
  if (output.isJson) output.json({ file: path, bytes: file.length, lacking })
  else {
    output.line(`${path}  ${Math.ceil(file.length / 1024)} KiB, ${rows.length - lacking.length} files, mode 0600`)
    for (const { name, problem } of lacking) output.line(output.style('yellow', `without ${name}: ${problem}`))
    output.line(`look at it before you give it away: tar -xzf ${path}; MANIFEST.txt says what is in it`)
  }
  return exitCodes.ok
}

/** Whole or not at all; a file or link that is there is never written to. */
function writePrivately(path: string, bytes: Buffer): void {
  const draft = `${path}.${process.pid}`
  try {
    const descriptor = openSync(draft, 'wx', 0o600)
    try {
      for (let at = 0; at < bytes.length;) at += writeSync(descriptor, bytes, at)
      fsyncSync(descriptor)
      linkSync(draft, path)
    } finally {
      closeSync(descriptor)
      rmSync(draft, { force: true })
    }
  } catch (cause) {
    throw new MeshError(
      'E_INTERNAL',
      `${path}: the bundle cannot be written: ${systemReason(cause)}; nothing was left`,
      {
        cause,
      },
    )
  }
}
